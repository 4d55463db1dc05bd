"""The page: for whom and what is entered, then the cards of that part."""

from __future__ import annotations

from html import escape

import streamlit as st

from dashboards import data
from dashboards.data import Asker
from dashboards.enterprise.toolbar import bound
from dashboards.entry import figures, values
from dashboards.entry.context import FIGURES, PARTS, VALUES, Context
from dashboards.filters import choice
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
    names = {
        str(row["enterprise"]): text.either(str(row["name"]), str(row["name_en"])) or str(row["enterprise"])
        for row in data.records(known)
    }
    asked = st.query_params.get("enterprise", next(iter(names)))
    enterprise = choice(asked, list(names), next(iter(names)))
    part = choice(st.query_params.get("part", VALUES), list(PARTS), VALUES)
    _toolbar(frame, names, enterprise, part)
    if asked not in names:
        not_yours(text)
    asker = Asker(narrowed(frame.reader.scope, enterprise))
    context = Context(frame, asker, enterprise, names[enterprise], part)
    (figures if part == FIGURES else values).draw(context)
    st.html(f'<div class="nl-foot">{escape(text(f"entry.foot_{part}"))}</div>')


def _toolbar(frame: Frame, names: dict[str, str], enterprise: str, part: str) -> None:
    text = frame.text
    with st.container(key="toolbar", horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f'<div class="nl-head"><h1>{escape(text("nav.entry"))}</h1></div>', width="content")
        st.selectbox(
            text("filter.enterprise"),
            list(names),
            format_func=lambda code: names.get(code, code),
            label_visibility="collapsed",
            width=250,
            **bound("enterprise", enterprise),
        )
        st.segmented_control(
            text("entry.part"),
            list(PARTS),
            format_func=lambda name: text(f"entry.part_{name}"),
            required=True,
            label_visibility="collapsed",
            **bound("part", part),
        )
