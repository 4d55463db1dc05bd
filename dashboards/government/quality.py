"""Quality of the data of a region: can the numbers be trusted, and where are they thin?"""

from __future__ import annotations

import streamlit as st

from dashboards.charts.late import late_heat
from dashboards.charts.quality import heat
from dashboards.enterprise.toolbar import bound
from dashboards.filters import choice
from dashboards.government import quality_tables as tables
from dashboards.government import trust
from dashboards.government.context import Context, context_of
from dashboards.government.filters import toolbar
from dashboards.government.quality_sheets import foot
from dashboards.ui import parts
from dashboards.ui.frame import Frame

MEASURES = ("complete", "late")
SHOWN_UNITS = 30  # more rows than this are read in the table, not in a picture


def render(frame: Frame) -> None:
    """Draw the page within its frame."""
    context = context_of(frame)
    if context is None:
        return
    with st.container(key="summary", horizontal=True, vertical_alignment="center"):
        with st.container(key="summary_words", width="stretch"):
            st.html(tables.headline(context))
        toolbar(context.filters, context.known, context.text, against=False)
    _figures(context)
    left, right = st.columns([1.75, 1], gap="xsmall")
    with left:
        _heat_card(context)
    with right:
        _card(context, "online", tables.online)
    left, right = st.columns([1.75, 1], gap="xsmall")
    with left:
        _card(context, "matrix", tables.matrix)
    with right:
        _card(context, "silent", tables.silent)
    left, right = st.columns([1.75, 1], gap="xsmall")
    with left:
        _card(context, "units", tables.units)
    with right:
        _card(context, "held", tables.held)
    st.html(f'<div class="nl-foot">{context.text("trust.foot")}</div>')


@st.fragment(run_every="10s")
def _figures(context: Context) -> None:
    st.html(tables.figures(context))


def _card(context: Context, name: str, written: tables.Table) -> None:
    """Draw a card that is a table; where there is nothing to say, a sentence in its place."""
    text = context.text
    with st.container(key=f"card_{name}", height="stretch"):
        st.html(parts.title(text(f"trust.{name}"), text(f"trust.{name}_note")))
        body = written(context)
        if body:
            st.html(f'<div class="nl-scroll" tabindex="0" role="region">{body}</div>')
        else:
            parts.nothing(text(f"trust.{name}_none"), "", 120)
        foot(context, name)


def _heat_card(context: Context) -> None:
    text = context.text
    measure = choice(st.query_params.get("measure"), MEASURES, MEASURES[0])
    with st.container(key="card_trust", height="stretch"):
        with st.container(key="head_trust", horizontal=True, vertical_alignment="center"):
            st.html(parts.title(text("trust.heat")), width="content")
            st.segmented_control(
                text("trust.measure"),
                MEASURES,
                format_func=lambda m: text(f"trust.measure_{m}"),
                required=True,
                label_visibility="collapsed",
                **bound("measure", measure),
            )
            st.html(f'<div class="nl-ttl"><small>{tables.heat_note(context, SHOWN_UNITS)}</small></div>')
        _heat(context, measure)
        foot(context, "days")


def _heat(context: Context, measure: str) -> None:
    text, span = context.text, context.filters.span
    frame = trust.days(context)
    worst = [str(code) for code in trust.by_unit(frame)["enterprise"][:SHOWN_UNITS]]
    if not worst:
        parts.nothing(text("trust.heat_none"), "", 260)
        return
    labels = tables.day_labels(span)
    shown = tables.distinct(trust.names(context), worst)
    rows = frame.rename(columns={"enterprise": "point", "day": "period_start"})
    draw = heat if measure == "complete" else late_heat
    spec = draw(rows, shown, labels, context.ink)
    parts.chart(
        spec,
        height=66 + 18 * max(len(shown), 8),
        alt=text(f"trust.alt_{measure}", first=span.first, last=span.after),
        key="chart_trust",
        canvas=True,
    )
