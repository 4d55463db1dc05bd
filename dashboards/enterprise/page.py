"""The page of one energy-using unit: states first, then filters, live headline and cards."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboards import data
from dashboards.data import Asker
from dashboards.enterprise import cards
from dashboards.enterprise.collection import collection
from dashboards.enterprise.context import Context
from dashboards.enterprise.live import live
from dashboards.enterprise.toolbar import toolbar
from dashboards.filters import Filters, read
from dashboards.i18n import Text, current_text
from dashboards.identity import current_scope, narrowed
from dashboards.ui import css, parts
from dashboards.ui.theme import Theme, theme
from nengliu.errors import NengliuError


def render() -> None:
    """Draw the page for the reader and the address of this session."""
    text = current_text()
    look = theme(st.context.theme.type == "dark")
    st.html(css.sheet(look))
    try:
        _page(text, look)
    except NengliuError as error:
        parts.state("⏻", text("state.store"), text("state.store_hint"), ["nengliu up"], str(error))
        _recover()


@st.fragment(run_every="5s")
def _recover() -> None:
    """Draw the page again as soon as the store answers."""
    try:
        data.enterprises(Asker(current_scope()))
    except NengliuError:
        return
    st.rerun()


def _page(text: Text, look: Theme) -> None:
    known = data.enterprises(Asker(current_scope()))
    if known.empty:
        parts.state("∅", text("state.empty"), text("state.empty_hint"), ["nengliu demo", "nengliu import"])
        return
    codes = [str(code) for code in known["enterprise"]]
    filters = read(st.query_params.to_dict(), codes, data.last_days(known, data.now().date()))
    toolbar(filters, known, text)
    context = _context(filters, known, text, look)
    if context.points.empty:
        parts.state("∅", text("state.no_points"), text("state.no_points_hint"), ["nengliu import"])
        return
    live(context)
    _cards(context)
    st.html(f'<div class="nl-foot">{text("foot.line")}</div>')


def _context(filters: Filters, known: pd.DataFrame, text: Text, look: Theme) -> Context:
    asker = Asker(narrowed(current_scope(), filters.enterprise), filters.as_of)
    row = known[known["enterprise"] == filters.enterprise].iloc[0]
    return Context(
        asker=asker,
        filters=filters,
        text=text,
        theme=look,
        name=text.either(str(row["name"]), str(row["name_en"])) or filters.enterprise,
        simulated=bool(row["simulated"]),
        first_at=_moment(row["first_at"]),
        last_at=_moment(row["last_at"]),
        points=data.points(asker, filters.enterprise),
    )


def _moment(value: pd.Timestamp) -> pd.Timestamp | None:
    """Give an instant, None for the store's zero (no reading yet)."""
    return None if pd.isna(value) or value.year < 1990 else value


def _cards(context: Context) -> None:
    left, right = st.columns([2.05, 1], gap="xsmall")
    with left:
        cards.curve_card(context)
    with right:
        cards.structure_card(context)
    left, right = st.columns([1.3, 1], gap="xsmall")
    with left:
        cards.bars_card(context)
    with right:
        cards.points_card(context)
    collection(context)
    left, right = st.columns([1.3, 1], gap="xsmall")
    with left:
        cards.heat_card(context)
    with right:
        cards.mix_card(context)
