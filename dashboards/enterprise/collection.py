"""State of the collection: what collectors, lines and meters do now, and the readings that were missed.

A parent explains its children: below a silent collector or a line that is down nothing is known of the
meters, so they are named in its line and not listed as troubles of their own.
"""

from __future__ import annotations

import json
from datetime import datetime
from html import escape

import pandas as pd
import streamlit as st

from dashboards import data
from dashboards.cache import LIVE, kept
from dashboards.enterprise.cards import foot
from dashboards.enterprise.context import Context
from dashboards.enterprise.links import Collector, Row, collectors, name_of
from dashboards.enterprise.live import period_words
from dashboards.enterprise.sheets import reason_words
from dashboards.formats import DASH, age, stamp
from dashboards.i18n import Text
from dashboards.ui import parts

MARKS = {
    "up": ("good", "●"),
    "refuses": ("warn", "▲"),
    "damaged": ("warn", "▲"),
    "down": ("bad", "■"),
    "silent": ("bad", "■"),
    "unknown": ("flat", "◌"),
}
NAMED = 8  # children named in a line; the others are counted


def collection(context: Context) -> None:
    """Draw both cards, or one quiet sentence where no collector has ever spoken."""
    if data.links(context.asker, context.filters.enterprise).empty:
        with st.container(key="card_collection"):
            _quiet(context)
        return
    left, right = st.columns([1.3, 1], gap="xsmall")
    with left, st.container(key="card_collection", height="stretch"):
        st.html(parts.title(context.text("card.collection"), context.text("link.note")))
        _live_collection(context)
        foot(context, "collection", None)
    with right, st.container(key="card_missed", height="stretch"):
        st.html(
            parts.title(
                context.text("card.missed"), context.text("missed.note", period=period_words(context))
            )
        )
        _live_missed(context)
        foot(context, "missed", None)


@st.fragment(run_every="10s")
def _quiet(context: Context) -> None:
    """Say that readings come from files; draw the page anew when a first collector speaks."""
    if not data.links(context.asker, context.filters.enterprise).empty:
        st.rerun()
    st.html(parts.title(context.text("card.collection"), context.text("link.none")))


@st.fragment(run_every="10s")
def _live_collection(context: Context) -> None:
    st.html(f'<div class="nl-scroll" tabindex="0" role="region">{collection_list(context)}</div>')


@st.fragment(run_every="10s")
def _live_missed(context: Context) -> None:
    st.html(missed_table(context))


@kept(LIVE)
def collection_list(context: Context) -> str:
    """Give every collector with its causes as blocks of lines."""
    found = collectors(data.records(data.links(context.asker, context.filters.enterprise)))
    return "".join(_block(context.text, collector, data.now()) for collector in found)


def _block(text: Text, collector: Collector, at: datetime) -> str:
    row = collector.row
    facts = [_since(text, row, at)]
    if collector.meters and row["state"] == "up":
        facts.append(text("link.answering", n=collector.answering, m=collector.meters))
    if not pd.isna(row["queued"]):
        facts.append(text("link.queued", n=f"{int(row['queued']):,}"))
    if row["state"] != "silent":
        facts.append(text("link.heard", at=_moment(row["last_at"], at)))
    spans = "".join(f"<span>{escape(fact)}</span>" for fact in facts)
    head = f"{_state(text, row)}<b>{escape(row['source'])}</b>{spans}"
    causes = "".join(_cause(text, cause, children, at) for cause, children in collector.causes)
    lines = _lines(text, collector) if row["state"] == "up" else ""
    return f'<div class="nl-link"><div class="c">{head}</div>{lines}{causes}</div>'


def _lines(text: Text, collector: Collector) -> str:
    """Name the lines with how many of their meters answer; nothing where there is only one."""
    if len(collector.lines) < 2:
        return ""
    told = [f"{name} {well} / {all_}" for name, well, all_ in collector.lines]
    shown = text("list.join").join(told[:NAMED])
    more = text("link.more", n=len(told) - NAMED) if len(told) > NAMED else ""
    names = escape(text("link.lines", names=shown + more))
    return f'<div class="d"><small title="{escape(text("list.join").join(told))}">{names}</small></div>'


def _cause(text: Text, row: Row, children: tuple[Row, ...], at: datetime) -> str:
    """Give the line of one cause: what, since when, why, and what it explains."""
    own = bool(row["line"] or row["meter"])  # the collector's own state stands in the line above
    what = f"{_state(text, row)}<b>{escape(name_of(row))}</b><span>{escape(_since(text, row, at))}</span>"
    code = json.loads(row["parameters"]).get("code", "")  # of the exception with which a meter refused
    told = reason_words(text, row["reason"]) + (f" ({code})" if code else "")
    reason = f'<span class="r">{escape(told)}</span>' if row["reason"] else ""
    names = [str(child["meter"]) for child in children]
    named = text("list.join").join(names[:NAMED])
    more = text("link.more", n=len(names) - NAMED) if len(names) > NAMED else ""
    explains = text("link.explains", n=len(names), names=named + more) if names else ""
    folded = (
        f'<small title="{escape(text("list.join").join(names))}">{escape(explains)}</small>' if names else ""
    )
    return f'<div class="d">{what if own else ""}{reason}{folded}</div>'


def _since(text: Text, row: Row, at: datetime) -> str:
    return text("link.since", at=_moment(row["since"], at), age=age(text, at - row["since"], "old"))


def _moment(when: datetime, at: datetime) -> str:
    """Write an instant without its year where that is the present one."""
    return stamp(when)[5:] if when.year == at.year else stamp(when)


def _state(text: Text, row: Row) -> str:
    return parts.pill(*MARKS[row["state"]], text(f"link.{row['state']}"))


@kept(LIVE)
def missed_table(context: Context) -> str:
    """Give the missed readings of the period by reason, most of them first."""
    text, filters = context.text, context.filters
    frame = data.missed(context.asker, filters.enterprise, filters.span)
    if frame.empty:
        return f'<div class="nl-quiet">{parts.pill("good", "●", text("missed.none"))}</div>'
    grouped = frame.groupby("reason").agg(
        count=("count", "sum"),
        points=("point", "nunique"),
        first=("first_at", "min"),
        last=("last_at", "max"),
    )
    rows = [
        f'<tr><td class="n w"><b>{escape(reason_words(text, str(row["reason"])))}</b></td>'
        f"<td>{row['count']:,}</td><td>{row['points']}</td><td class='h'>{_span(row['first'], row['last'])}</td></tr>"
        for row in data.records(grouped.sort_values("count", ascending=False).reset_index())
    ]
    rows.append(
        f'<tr class="sum"><td>{escape(text("table.sum"))}</td><td>{frame["count"].sum():,}</td>'
        f"<td>{frame['point'].nunique()}</td><td class='h'></td></tr>"
    )
    keys = ("column.reason", "missed.readings", "missed.points", "missed.span")
    head = "".join(f"<th{' class=h' if k == 'missed.span' else ''}>{escape(text(k))}</th>" for k in keys)
    return f'<table class="nl-tab"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _span(first: datetime, last: datetime) -> str:
    end = f"{last:%H:%M}" if first.date() == last.date() else stamp(last)[5:]
    return stamp(first)[5:] if first == last else f"{stamp(first)[5:]} {DASH} {end}"
