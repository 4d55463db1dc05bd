"""The gravest open incidents beside the map; asked anew every ten seconds."""

from __future__ import annotations

from datetime import datetime
from html import escape

import streamlit as st

from dashboards import data
from dashboards.cache import LIVE, kept
from dashboards.formats import age
from dashboards.government.context import Context
from dashboards.i18n import DEFAULT
from dashboards.incidents.words import (
    SEVERITIES,
    Row,
    cause_name,
    class_pill,
    evidence_line,
    link,
    place,
    state_name,
    unit_name,
)
from dashboards.ui import parts

SHOWN = 7


def incidents_card(context: Context) -> None:
    """Draw the card of live incidents."""
    with st.container(key="card_incidents", height="stretch"):
        _live(context)


@st.fragment(run_every="10s")
def _live(context: Context) -> None:
    """Draw the list; runs by itself every ten seconds."""
    text = context.text
    asked_at, lines = listed(context)
    st.html(parts.title(text("overview.live"), text("overview.refreshed", at=f"{asked_at:%H:%M:%S}")) + lines)


@kept(LIVE)
def listed(context: Context) -> tuple[datetime, str]:
    """Give when the list was asked for, and the list with its way to the desk."""
    text, filters, at = context.text, context.filters, data.now()
    frame = context.asker.ask(
        "incident_queue", live=True, region=context.region, industry=filters.industry, limit=SHOWN
    )
    lines = "".join(_line(context, row, at) for row in data.records(frame))
    if not lines:
        lines = f'<p class="nl-quiet">{escape(text("overview.calm"))}</p>'
    total = int(frame["total"].iloc[0]) if len(frame) else 0
    address = context.address("incidents", month="", period="", compare="")
    words = text("overview.to_incidents", n=f"{total:,}")
    return at, (
        f'<div class="nl-alarms">{lines}</div>'
        f'<div class="nl-foots"><span></span><a target="_self" href="{escape(address)}">{escape(words)}</a></div>'
    )


def _line(context: Context, row: Row, at: datetime) -> str:
    text = context.text
    kind, mark = SEVERITIES.get(int(row["severity"]), ("flat", "◌"))
    language = "" if text.language == DEFAULT else text.language
    title = link("incident", cause_name(text, row["cause"]), id=str(row["incident"]), lang=language)
    quiet = (
        "" if row["state"] == "active_unack" else f" <em>{escape(state_name(text, str(row['state'])))}</em>"
    )
    since: str = age(text, at - row["opened_at"], "old")
    return (
        f'<div class="nl-alarm{" q" if quiet else ""}"><i class="nl-ink-{kind}" aria-hidden="true">{mark}</i>'
        f'<div><div class="a"><b>{title}</b>{class_pill(text, str(row["class"]))}'
        f'<span class="w">{escape(since)}{quiet}</span></div>'
        f'<div class="e">{escape(unit_name(text, row))} · {escape(place(text, row))}</div>'
        f'<div class="e x">{escape(evidence_line(text, row))}</div></div></div>'
    )
