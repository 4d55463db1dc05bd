"""The card of changes: which numbers of the period were corrected later, by how much and why."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import data
from dashboards.cache import STILL, kept
from dashboards.enterprise import views
from dashboards.enterprise.cards import foot
from dashboards.enterprise.context import Context
from dashboards.formats import DASH, stamp
from dashboards.i18n import Text
from dashboards.ui import parts

Row = dict[str, Any]
SHOWN = 30
"""Rows of the card; its numbers hold all of them."""
COLUMNS = ("name", "period_start", "known_at", "old", "new", "difference", "why")
WIDE = {"known_at", "old", "new"}
"""Columns a phone leaves out."""
MARKS = {
    "late": ("flat", "◷"),
    "correction": ("warn", "⇄"),
    "factor": ("flat", "×"),
    "meter": ("warn", "⚙"),
    "definition": ("flat", "ƒ"),
    "on_time": ("flat", "●"),
    "unknown": ("flat", "∅"),
}


def changes_card(context: Context) -> None:
    """Show the newest changes of the period, with their reasons."""
    text = context.text
    with st.container(key="card_changes", height="stretch"):
        st.html(parts.title(text("card.changes"), text("revision.note")))
        st.html(f'<div class="nl-scroll" tabindex="0" role="region">{changes_table(context)}</div>')
        foot(context, "changes", None)


@kept(STILL)
def changes_table(context: Context) -> str:
    """Give the newest changes as rows: of what, when it was known, from what to what, and why."""
    text, frame = context.text, views.changes(context)
    if frame.empty:
        return f'<div class="nl-quiet">{parts.pill("good", "●", text("revision.none"))}</div>'
    rows = [_row(context, row) for row in data.records(frame.head(SHOWN))]
    head = "".join(f"<th{_class(key)}>{escape(text(f'column.{key}'))}</th>" for key in COLUMNS)
    return f'<table class="nl-tab"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _row(context: Context, row: Row) -> str:
    name = context.point_names.get(str(row["point"]), str(row["point"]))
    written = {
        "period_start": stamp(row["period_start"])[5:].removesuffix(" 00:00"),
        "known_at": stamp(row["known_at"])[5:],
        "old": _amount(row, "old"),
        "new": _amount(row, "new"),
        "difference": _difference(context.text, row),
        "why": _why(context.text, str(row["why"])),
    }
    cells = "".join(f"<td{_class(key)}>{written[key]}</td>" for key in COLUMNS[1:])
    return f"<tr><td class='n w'><b>{escape(name)}</b></td>{cells}</tr>"


def _class(column: str) -> str:
    return " class='h'" if column in WIDE else ""


def _amount(row: Row, column: str) -> str:
    """Write the amount before or after; muted where it is not what changed."""
    written = f"{row[column]:,.2f}"
    return written if row["difference"] else f"<span class='q'>{written}</span>"


def _difference(text: Text, row: Row) -> str:
    """Write what changed in the unit of the point; where only a factor changed, in standard coal."""
    if row["difference"]:
        return f"{row['difference']:+,.2f} <span class='q'>{escape(str(row['unit']))}</span>"
    coal = row["coal_difference_kgce"]
    return DASH if pd.isna(coal) else f"{coal:+,.1f} <span class='q'>{escape(text('revision.unit'))}</span>"


def _why(text: Text, codes: str) -> str:
    return " ".join(parts.pill(*MARKS[code], text(f"revision.{code}")) for code in codes.split(","))
