"""The overview of a region on one screen: coverage, indicators, map, table, incidents, path and flow."""

from __future__ import annotations

import streamlit as st

from dashboards.government.cities import map_card, table, table_card, tiles
from dashboards.government.context import Context, context_of
from dashboards.government.filters import toolbar
from dashboards.government.flows import deviation_card, deviation_drawing, flow_card, flow_drawing
from dashboards.government.headline import headline, indicators, indicators_written
from dashboards.government.incidents import incidents_card, listed
from dashboards.ui.frame import Frame

STANDING = (tiles, flow_drawing, table, deviation_drawing)
"""What is drawn once and not by itself every ten seconds, the longest first."""


def render(frame: Frame) -> None:
    """Draw the page within its frame, for the address of this session."""
    context = context_of(frame)
    if context is None:
        return
    prepare(context)
    with st.container(key="summary", horizontal=True, vertical_alignment="center"):
        with st.container(key="summary_words", width="stretch"):
            headline(context)
        toolbar(context.filters, context.known, context.text)
    indicators(context)
    _cards(context)
    _foot(context, _made(context))


@st.fragment(run_every="30s")
def _foot(context: Context, drawn: tuple[float, ...]) -> None:
    """Draw the foot; when what stands still was made anew since it was drawn, draw the whole page again."""
    prepare(context)
    if _made(context) != drawn:
        st.rerun()
    st.html(f'<div class="nl-foot">{context.text("overview.foot")}</div>')


def _made(context: Context) -> tuple[float, ...]:
    return tuple(drawing.made_s(context) for drawing in STANDING)


def prepare(context: Context) -> None:
    """Let what takes longest be made side by side, before it is drawn piece by piece."""
    for drawing in (*STANDING, listed, indicators_written):
        drawing.soon(context)


def _cards(context: Context) -> None:
    left, middle, right = st.columns([1.02, 1.62, 1.0], gap="xsmall")
    with left:
        map_card(context)
    with middle:
        table_card(context)
    with right:
        incidents_card(context)
    left, right = st.columns([1.1, 1], gap="xsmall")
    with left:
        deviation_card(context)
    with right:
        flow_card(context)
