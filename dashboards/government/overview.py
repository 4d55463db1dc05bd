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
    st.html(f'<div class="nl-foot">{context.text("overview.foot")}</div>')


def prepare(context: Context) -> None:
    """Let what takes longest be made side by side, before it is drawn piece by piece."""
    for drawing in (tiles, flow_drawing, table, deviation_drawing, listed, indicators_written):
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
