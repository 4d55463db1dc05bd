"""The queue as a file: every incident the filters let through, causes and evidence in words."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import data, export
from dashboards.export import Sheet
from dashboards.incidents.filters import Wanted
from dashboards.incidents.words import (
    cause_name,
    class_name,
    evidence_words,
    place,
    state_name,
    state_of,
    unit_name,
)
from dashboards.incidents.words import evidence_list as evidences
from dashboards.ui.frame import Frame

MOST_ROWS = 20_000
_TIMES = ("opened_at", "raised_at", "cleared_at", "acknowledged_at", "closed_at", "shelved_until")
_WORDS = ("severity", "class", "cause", "state", "unit", "place", "members", "evidence")
_SAID = ("acknowledged_by", "closed_by", "shelve_reason", "comment")


def offer(frame: Frame, wanted: Wanted) -> None:
    """Offer both kinds of file; each is built when it is asked for."""
    text = frame.text
    with st.popover(text("incidents.export"), icon=":material/download:", width="content"):
        for kind, build, mime in (
            ("csv", export.csv, "text/csv"),
            ("xlsx", export.xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ):
            st.download_button(
                text(f"numbers.{kind}"),
                data=partial(_made, build, frame, wanted),
                file_name=f"incidents_{data.now():%Y%m%d_%H%M}.{kind}",
                mime=mime,
                key=f"get_{kind}_incidents",
                on_click="ignore",
                width="stretch",
            )


def _made(build: Callable[[Sheet], bytes], frame: Frame, wanted: Wanted) -> bytes:
    return build(sheet(frame, wanted))


def sheet(frame: Frame, wanted: Wanted) -> Sheet:
    """Make the table of all incidents the filters let through."""
    text = frame.text
    answer = frame.asker.ask("incident_queue", live=True, **wanted.listed, limit=MOST_ROWS)
    source = text("incidents.source", at=f"{data.now():%Y-%m-%d %H:%M}", n=f"{len(answer):,}")
    if answer["simulated"].any():
        source = f"{source} · {text('enterprise.simulated')}"
    return Sheet("incidents", text("nav.incidents"), source, table(frame, answer))


def table(frame: Frame, answer: pd.DataFrame) -> pd.DataFrame:
    """Give incidents as rows with written column names."""
    text = frame.text
    made = [{**_worded(frame, row), **{n: row[n] for n in (*_TIMES, *_SAID)}} for row in data.records(answer)]
    columns = ["incident", *_WORDS, *_TIMES, *_SAID, "count", "enterprise"]
    found = pd.DataFrame(made, columns=columns)
    return found.rename(columns={name: text(f"incident_column.{name}") for name in columns})


def _worded(frame: Frame, row: dict[str, Any]) -> dict[str, object]:
    text = frame.text
    return {
        "incident": row["incident"],
        "severity": text.get(f"incident_severity.{row['severity']}", str(row["severity"])),
        "class": class_name(text, str(row["class"])),
        "cause": cause_name(text, int(row["cause"])),
        "state": state_name(text, state_of(row)),
        "unit": unit_name(text, row),
        "place": place(text, row),
        "members": len(row["members"]),
        "evidence": "; ".join(evidence_words(text, item) for item in evidences(row)),
        "count": int(row["count"]),
        "enterprise": row["enterprise"],
    }
