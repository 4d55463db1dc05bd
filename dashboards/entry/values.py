"""Values of meters: a form for one, what stands around it, and what became of those that were entered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import data
from dashboards.entry import send, words
from dashboards.entry.context import Context
from dashboards.entry.papers import offer, papers
from dashboards.export import Sheet
from dashboards.formats import stamp, unit_label
from dashboards.ui import parts
from nengliu.analysis.forms.sheets import Line
from nengliu.analysis.forms.values import (
    HEADS,
    NEEDED,
    Doubt,
    Neighbour,
    doubts,
    entries_of,
    entry,
    template,
    unit_at,
)
from nengliu.domain.points import Point
from nengliu.domain.quality import Origin
from nengliu.domain.times import CHINA, to_ms
from nengliu.errors import ContractError, InputError, LogError
from schemas.messages import Entered, RejectedRow

DAYS = 90
"""Entries of so many days are listed."""
ROWS = 200
INSIST = (Doubt.BELOW_BEFORE, Doubt.ABOVE_AFTER, Doubt.OFF_INTERVAL)
"""Doubts over which a person must insist; the others are for information."""
_TURN, _FAILED = "entry_turn", "entry_failed"
COLUMNS = ("at", "point", "read_at", "value", "state", "by", "why")
NARROW = {"at", "by", "why"}
"""Columns a phone leaves out."""


def draw(context: Context) -> None:
    """Draw the part: the form and the list side by side, forms on paper below."""
    text = context.text
    if not context.points:
        parts.state("∅", text("state.no_points"), text("state.no_points_hint"), ["nengliu import"])
        return
    left, right = st.columns([1, 1.75], gap="xsmall")
    with left, st.container(key="card_value", height="stretch"):
        st.html(parts.title(text("entry.one_value")))
        _form(context)
    with right, st.container(key="card_entries", height="stretch"):
        st.html(parts.title(text("entry.entered"), text("entry.entered_note", n=DAYS)))
        _list(context)
    papers(context, HEADS, NEEDED, lambda lines: _take_form(context, lines), _template(context))


def _form(context: Context) -> None:
    text = context.text
    point = st.selectbox(
        text("entry.point"), context.points, format_func=context.point_name, key="entry_point"
    )
    at = _when(context, point)
    unit = unit_label(text, unit_at(point, to_ms(at)))
    _around(context, point, at)
    turn = st.session_state.setdefault(_TURN, 0)  # what was sent is no more in the form of the next turn
    value = st.text_input(
        parts.plain(text("entry.value_in", unit=unit)) if unit else text("entry.value"),
        key=f"entry_value_{turn}",
        max_chars=24,
        placeholder=text(f"entry.hint_{point.kind.value}"),
    )
    reason = st.text_input(
        text("entry.why"), key=f"entry_why_{turn}", max_chars=200, placeholder=text("entry.why_hint")
    )
    checked = _doubts(context, point, at, value)
    if st.button(text("entry.send"), key="entry_send", type="primary"):
        failed = _send_one(context, point, at, value, reason) if checked else text("entry.check_first")
        st.session_state[_FAILED] = failed
        st.session_state[_TURN] += int(not failed)
        st.rerun()
    if failed := st.session_state.pop(_FAILED, ""):
        st.error(parts.plain(failed))


def _when(context: Context, point: Point) -> datetime:
    """Ask for day and time; at first the newest start of an interval."""
    text, now = context.text, data.now()
    step = max(point.interval_s, 60) if point.interval_s and 86_400 % point.interval_s == 0 else 900
    newest = now - timedelta(seconds=(now.hour * 3600 + now.minute * 60 + now.second) % step)
    left, right = st.columns(2)
    with left:
        day = st.date_input(
            text("entry.day"),
            value=newest.date(),
            max_value=now.date(),
            format="YYYY-MM-DD",
            key="entry_day",
        )
    with right:
        time = st.time_input(
            text("entry.time"),
            value=newest.time().replace(second=0, microsecond=0),
            step=60,
            key="entry_time",
        )
    return datetime.combine(day, time, tzinfo=CHINA)


def _neighbours(context: Context, point: Point, at: datetime) -> list[dict[str, Any]]:
    found = context.asker.ask(
        "neighbours", live=True, enterprise=context.enterprise, point=point.point, at=at
    )
    return data.records(found)


def _around(context: Context, point: Point, at: datetime) -> None:
    """Say what stands before, at and after the time."""
    text = context.text
    said = []
    for side in ("before", "at", "after"):
        for row in [row for row in _neighbours(context, point, at) if row["side"] == side]:
            hand = text("entry.by_hand") if row["origin"] == Origin.MANUAL else ""
            told = words.amount(text, row["value"], str(row["unit"]), int(row["decimals"]))
            when = "" if side == "at" else f"<small>{stamp(row['read_at'])}</small>"
            said.append(
                f"<li><span>{escape(text(f'entry.side_{side}'))}</span><b>{escape(told)}</b>{escape(hand)}{when}</li>"
            )
    empty = f"<li>{escape(text('entry.nothing_around'))}</li>"
    st.html(f'<ul class="nl-around">{"".join(said) or empty}</ul>')


def _doubts(context: Context, point: Point, at: datetime, value: str) -> bool:
    """Say what looks odd about a value; whether it was checked. What cannot be taken at all is told when it is sent."""
    try:
        row = _entry(point, at, value, "-")
    except ContractError:
        return True
    if send.refused(context, [row]):
        return True
    around = [
        Neighbour(
            str(one["side"]),
            to_ms(one["read_at"].to_pydatetime().replace(tzinfo=CHINA)),
            Decimal(f"{one['value']:.{int(one['decimals'])}f}"),
            str(one["unit"]),
            Origin(int(one["origin"])),
        )
        for one in _neighbours(context, point, at)
    ]
    found = doubts(point, row, around)
    for doubt in found:
        (st.warning if doubt in INSIST else st.info)(context.text(f"entry_doubt.{doubt}"))
    if not set(found) & set(INSIST):
        return True
    return st.checkbox(context.text("entry.insist"), key=f"entry_insist_{st.session_state[_TURN]}")


def _entry(point: Point, at: datetime, value: str, why: str) -> Entered:
    cells = {"point": point.point, "read_at": at.isoformat(), "value": value.strip(), "why": why}
    return entry(Line(1, cells), {point.point: point})


def _send_one(context: Context, point: Point, at: datetime, value: str, why: str) -> str:
    """Send one value; say what is wrong with it, nothing where it was sent."""
    text = context.text
    try:
        row = _entry(point, at, value, why)
        for one in send.refused(context, [row]):
            return words.sentence(text, one)
        send.send_values(context, [row])
    except ContractError as error:
        return words.sentence(text, words.rejected(error, point.point, value))
    except (LogError, InputError) as error:
        return text("entry.not_sent", why=str(error))
    return ""


def _take_form(context: Context, lines: Sequence[Line]) -> list[RejectedRow]:
    """Send the values of a form, all or none; give what is wrong with it."""
    rows, rejected = entries_of(lines, context.points)
    if not rejected and rows:
        numbers = [line.row for line in lines]
        rejected = [words.moved(one, numbers[one.row - 1]) for one in send.refused(context, rows)]
    if not rejected and rows:
        send.send_values(context, rows)
    return rejected


def _template(context: Context) -> Any:
    now = data.now().replace(minute=0, second=0, microsecond=0, tzinfo=CHINA)
    return lambda: template(context.points, to_ms(now), chinese=context.is_chinese)


@st.fragment(run_every="5s")
def _list(context: Context) -> None:
    """Show what was entered, the newest first; what is on its way above it."""
    text = context.text
    found = _answer(context)
    sent = send.last_sent(context)
    if sent is not None:
        here = (found["at"].astype("int64") // 10**9 - 8 * 3600 == sent.at_s).sum() if len(found) else 0
        on_the_way(context, sent, arrived=bool(here))
    if found.empty:
        parts.nothing(text("entry.none"), text("entry.none_hint"), 160)
        return
    rows = "".join(_row(context, row) for row in data.records(found.head(ROWS)))
    head = "".join(f"<th{_class(key)}>{escape(text(f'entry.column_{key}'))}</th>" for key in COLUMNS)
    table = f'<table class="nl-tab nl-entries"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    st.html(f'<div class="nl-scroll" tabindex="0" role="region">{table}</div>')
    offer(context, "entries", lambda: _sheet(context, found))


def on_the_way(context: Context, sent: send.Sent, *, arrived: bool) -> None:
    """Say what was sent last, and whether the stream has taken it in."""
    slow = data.now() - datetime.fromtimestamp(sent.at_s, CHINA).replace(tzinfo=None) > timedelta(
        seconds=send.SLOW_S
    )
    name = "arrived" if arrived else "slow" if slow else "sent"
    kind, mark = {"arrived": ("good", "✓"), "slow": ("warn", "◷"), "sent": ("flat", "↑")}[name]
    st.html(parts.pill(kind, mark, context.text(f"entry.way_{name}", n=f"{sent.count:,}")))


def _answer(context: Context) -> pd.DataFrame:
    """Ask for the entries of the last days; the span ends with an hour to come, so that the question stays the same."""
    end = data.now().replace(minute=0, second=0, microsecond=0, tzinfo=CHINA) + timedelta(hours=2)
    span = {"start": end - timedelta(days=DAYS), "end": end}
    return context.asker.ask("entries", live=True, enterprise=context.enterprise, **span)


def _row(context: Context, row: dict[str, Any]) -> str:
    text = context.text
    name = text.either(str(row["name"]), str(row["name_en"])) or str(row["point"])
    written = {
        "at": stamp(row["at"])[5:],
        "point": f"<b>{escape(name)}</b>",
        "read_at": stamp(row["read_at"])[2:],
        "value": escape(words.amount(text, row["value"], str(row["unit"]), int(row["decimals"]))),
        "state": words.state(text, row),
        "by": escape(str(row["by"])),
        "why": escape(str(row["why"])),
    }
    return "<tr>" + "".join(f"<td{_class(key)}>{written[key]}</td>" for key in COLUMNS) + "</tr>"


def _class(column: str) -> str:
    kinds = [*("h",) * (column in NARROW), *("n w",) * (column in ("point", "why", "state", "by"))]
    left = ["l"] * (column in ("point", "state", "why", "by"))
    return f" class='{' '.join(kinds + left)}'" if kinds or left else ""


def _sheet(context: Context, found: pd.DataFrame) -> Sheet:
    """Make the table of entries as people take it away."""
    text = context.text
    told = found.assign(
        state=[text(f"entry_state.{name}") for name in found["state"]],
        detail=[words.detail(text, row) for row in data.records(found)],
    )
    columns = ["at", "by", "point", "name", "read_at", "value", "unit", "why", "state", "detail"]
    names = {name: text(f"entry.column_{name}") for name in columns}
    source = text("entry.source_line", name=context.name, at=f"{data.now():%Y-%m-%d %H:%M}")
    file = f"{context.enterprise}_entries_{data.now():%Y%m%d}"
    return Sheet(file, text("entry.entered"), source, told[columns].rename(columns=names))
