"""One line of the queue: severity, cause, where, since when, evidence, state."""

from __future__ import annotations

from datetime import datetime, timedelta
from html import escape

import pandas as pd

from dashboards.formats import age
from dashboards.i18n import DEFAULT, Text
from dashboards.incidents import actions
from dashboards.incidents.words import (
    Row,
    cause_name,
    class_pill,
    evidence_line,
    folded,
    link,
    moment,
    place,
    severity_pill,
    state_of,
    state_pill,
    unit_name,
)
from dashboards.ui.parts import pill

STALE = timedelta(hours=24)
FRESH = timedelta(minutes=10)
MOMENT = timedelta(seconds=90)  # shorter than any length that is written
OVER = ("cleared_unack", "closed")


def line(text: Text, row: Row, at: datetime) -> str:
    """Give one incident of the queue; `at` is now, China civil time."""
    where = " · ".join(escape(words) for words in (place(text, row), folded(text, row)) if words)
    language = "" if text.language == DEFAULT else text.language
    title = link("incident", cause_name(text, row["cause"]), id=str(row["incident"]), lang=language)
    unit = link("enterprise", unit_name(text, row), enterprise=str(row["enterprise"]), lang=language)
    quiet = " q" if state_of(row) not in ("active_unack", "cleared_unack") else ""
    return (
        f'<div class="nl-inc{quiet}"><div class="s">{severity_pill(text, row["severity"])}</div>'
        f'<div class="m"><div class="a"><b>{title}</b>{class_pill(text, str(row["class"]))}'
        f'<span class="u">{unit}</span><span class="w">{where}</span></div>'
        f'<div class="e">{escape(evidence_line(text, row))}</div></div>'
        f'<div class="t"><span class="d">{escape(since(text, row, at))}</span>{marks(text, row, at)}</div></div>'
    )


def since(text: Text, row: Row, at: datetime) -> str:
    """Say since when, and how long it has lasted or did last."""
    begun, cleared = row["opened_at"], row["cleared_at"]
    if str(row["state"]) in OVER and not pd.isna(cleared):
        if cleared - begun < MOMENT:
            return text("incidents.momentary", at=moment(begun, at))
        return text(
            "incidents.lasted", at=moment(begun, at), age=age(text, max(cleared - begun, timedelta(0)), "old")
        )
    return text("link.since", at=moment(begun, at), age=age(text, max(at - begun, timedelta(0)), "old"))


def marks(text: Text, row: Row, at: datetime) -> str:
    """Give the labels of a row: state, or the action on its way; new; standing too long."""
    found = []
    if at - row["raised_at"] < FRESH:
        found.append(pill("sim", "★", text("incidents.new")))
    if is_stale(row, at):
        found.append(pill("warn", "◷", text("incidents.stale")))
    sent = actions.on_the_way(row)
    if sent is not None:
        key = "incidents.slow" if actions.is_slow(sent) else "incidents.sent"
        found.append(pill("warn", "➤", text(key, action=text(f"incident_action.{sent.action}"))))
    found.append(state_pill(text, state_of(row)))
    return "".join(found)


def is_stale(row: Row, at: datetime) -> bool:
    """Say whether an incident has been on for more than a day."""
    return str(row["state"]).startswith("active") and at - row["opened_at"] > STALE
