"""The page of one energy-using unit: states first, then filters, live headline and cards."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboards import data
from dashboards.data import Asker
from dashboards.enterprise import cards
from dashboards.enterprise.changes import changes_card
from dashboards.enterprise.collection import collection
from dashboards.enterprise.context import Context
from dashboards.enterprise.live import live
from dashboards.enterprise.toolbar import toolbar
from dashboards.filters import Filters, read
from dashboards.identity import narrowed
from dashboards.ui import parts
from dashboards.ui.frame import Frame, not_yours


def render(frame: Frame) -> None:
    """Draw the page within its frame, for the address of this session."""
    text = frame.text
    known = data.enterprises(frame.asker)
    if known.empty:
        parts.state("∅", text("state.empty"), text("state.empty_hint"), ["nengliu demo", "nengliu import"])
        return
    codes = [str(code) for code in known["enterprise"]]
    if st.query_params.get("enterprise", codes[0]) not in codes:
        not_yours(text)
    filters = read(st.query_params.to_dict(), codes, data.last_days(known, data.now().date()))
    toolbar(filters, known, text)
    context = _context(filters, known, frame)
    if context.points.empty:
        parts.state("∅", text("state.no_points"), text("state.no_points_hint"), ["nengliu import"])
        return
    live(context)
    _cards(context)
    st.html(f'<div class="nl-foot">{text("foot.line")}</div>')


def _context(filters: Filters, known: pd.DataFrame, frame: Frame) -> Context:
    text = frame.text
    asker = Asker(narrowed(frame.reader.scope, filters.enterprise), filters.as_of)
    row = known[known["enterprise"] == filters.enterprise].iloc[0]
    return Context(
        asker=asker,
        filters=filters,
        text=text,
        theme=frame.theme,
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
    changes_card(context)
