"""The page of one incident: what it is, what to do, its evidence in words and as a chart, what happened to it."""

from __future__ import annotations

import json
from datetime import datetime
from html import escape

import pandas as pd
import streamlit as st

from dashboards import data
from dashboards.enterprise.toolbar import bound
from dashboards.filters import choice
from dashboards.formats import DASH, stamp
from dashboards.i18n import DEFAULT, Text
from dashboards.incidents import dialogs, rows
from dashboards.incidents.around import (
    SHORT,
    Drawing,
    around,
    catalogue,
    drawn_points,
    point_names,
    presence,
    readings,
)
from dashboards.incidents.words import (
    Row,
    advice,
    cause_name,
    class_name,
    class_pill,
    evidence_list,
    evidence_words,
    folded,
    link,
    moment,
    place,
    severity_pill,
    unit_name,
)
from dashboards.ui import parts
from dashboards.ui.frame import Frame
from nengliu.domain.times import CHINA

REGISTER_CAUSES = {201, 202, 203, 207, 108}  # told by the register itself, not by what was used per quarter
CHART_HEIGHT = 340
VIEWS = ("readings", "use")


def render(frame: Frame) -> None:
    """Draw the incident the address names; a plain sentence where the reader has no such incident."""
    row = _found(frame)
    if row is None:
        _unknown(frame)
        return
    dialogs.asked(frame)
    with st.container(key="card_incident"):
        _head(frame, str(row["incident"]))
    left, right = st.columns([1.9, 1], gap="xsmall")
    with left:
        _charts(frame, row)
    with right:
        _meaning(frame, row)
        with st.container(key="card_journal", height="stretch"):
            _journal(frame, row)
    st.html(f'<div class="nl-foot">{escape(frame.text("incident.foot"))}</div>')


def _found(frame: Frame) -> Row | None:
    """Ask for the incident within the reader's scope: one that is foreign is as unknown as one that never was."""
    wanted = str(st.query_params.get("id", ""))
    return _ask(frame, wanted) if len(wanted) == 16 and wanted.isascii() and wanted.isalnum() else None


def _ask(frame: Frame, incident: str) -> Row | None:
    answer = frame.asker.ask("incident_queue", live=True, incident=incident, state="all", limit=1)
    return None if answer.empty else data.records(answer)[0]


def _unknown(frame: Frame) -> None:
    text = frame.text
    parts.state("∅", text("incident.unknown"), text("incident.unknown_hint"), [])
    language = "" if text.language == DEFAULT else text.language
    back = link("incidents", text("incident.back"), lang=language)
    st.html(f'<div class="nl-back">{back}</div>')


@st.fragment(run_every="10s")
def _head(frame: Frame, incident: str) -> None:
    """Write the headline; runs by itself, so that an action shows when it has taken effect."""
    row = _ask(frame, incident)
    if row is None:
        st.rerun()
        return
    with st.container(key="head_incident", horizontal=True, vertical_alignment="center", gap="small"):
        st.html(headline(frame.text, row, data.now()), width="stretch")
        dialogs.buttons(frame, row)


def headline(text: Text, row: Row, at: datetime) -> str:
    """Give severity, class, cause and state, then where and since when."""
    language = "" if text.language == DEFAULT else text.language
    unit = link("enterprise", unit_name(text, row), enterprise=str(row["enterprise"]), lang=language)
    facts = [
        f"<span>{unit}</span>",
        f"<span>{escape(place(text, row))}</span>",
        f"<span>{escape(folded(text, row))}</span>" if folded(text, row) else "",
        f"<span>{escape(rows.since(text, row, at))}</span>",
        f"<span>{escape(text('incident.raised', at=moment(row['raised_at'], at)))}</span>",
    ]
    simulated = parts.pill("sim", "◇", text("enterprise.simulated")) if row["simulated"] else ""
    said = _said(text, row, at)
    return (
        f'<div class="nl-head">{severity_pill(text, row["severity"])}<h1>{escape(cause_name(text, row["cause"]))}</h1>'
        f"{class_pill(text, str(row['class']))}{rows.marks(text, row, at)}{simulated}</div>"
        f'<div class="nl-facts">{"".join(facts)}</div>{said}'
    )


def _said(text: Text, row: Row, at: datetime) -> str:
    """Say who did what about it, with the words he gave."""
    told = []
    if row["acknowledged_by"]:
        told.append(
            text("incident.acknowledged", by=row["acknowledged_by"], at=moment(row["acknowledged_at"], at))
        )
    if row["shelved"]:
        told.append(text("incident.shelved", at=moment(row["shelved_until"], at), why=row["shelve_reason"]))
    if row["state"] == "closed":
        by = str(row["closed_by"]) or text("incident.by_rules")
        told.append(text("incident.closed", by=by, at=moment(row["closed_at"], at)))
    if row["comment"]:
        told.append(str(row["comment"]))
    spans = "".join(f"<span>{escape(words)}</span>" for words in told)
    return f'<div class="nl-facts">{spans}</div>' if spans else ""


def _charts(frame: Frame, row: Row) -> None:
    text, points = frame.text, catalogue(frame, row)
    span = around(row, data.now())
    shown = drawn_points(row, points)
    if len(shown) > 1:
        with st.container(key="card_presence", height="stretch"):
            note = text("incident.presence_note", n=f"{len(row['members']):,}")
            st.html(parts.title(text("incident.presence"), note))
            height = 70 + 19 * max(4, min(len(shown), 24))
            _draw(frame, presence(frame, row, span), height, text("incident.presence_alt"), "presence")
    with st.container(key="card_readings", height="stretch"):
        if not shown:
            st.html(parts.title(text("incident.readings")))
            parts.nothing(text("incident.no_points"), text("incident.no_points_hint"), 200)
            return
        _readings(frame, row, shown)


def _readings(frame: Frame, row: Row, shown: list[str]) -> None:
    text = frame.text
    names = point_names(text, catalogue(frame, row))
    point = choice(st.query_params.get("point"), shown, shown[0])
    view, drawing = _view(frame, row, point)
    with st.container(key="head_readings", horizontal=True, vertical_alignment="center"):
        st.html(parts.title(text("incident.readings")), width="content")
        st.selectbox(
            text("filter.point"),
            shown,
            format_func=lambda p: names.get(p, p),
            label_visibility="collapsed",
            width=220,
            **bound("point", point),
        )
        st.segmented_control(
            text("incident.view"),
            VIEWS,
            format_func=lambda v: text(f"incident.view_{v}"),
            required=True,
            label_visibility="collapsed",
            **bound("view", view),
        )
    _draw(frame, drawing, CHART_HEIGHT, text("incident.readings_alt", name=names[point]), "readings")
    source = (
        text("incident.source_witness", name=drawing.witness)
        if drawing.witness
        else text("incident.source_alone")
    )
    st.html(f'<div class="nl-src">{escape(source)}</div>')


def _view(frame: Frame, row: Row, point: str) -> tuple[str, Drawing]:
    """Choose how it is drawn: as the address says, else what suits the cause and has something to show."""
    span = around(row, data.now())
    asked = st.query_params.get("view")
    suits = span.after - span.first <= SHORT or row["cause"] in REGISTER_CAUSES
    view = choice(asked, VIEWS, VIEWS[0 if suits else 1])
    drawing = readings(frame, row, point, span, view == "readings")
    if drawing.spec is None and asked not in VIEWS:
        view = VIEWS[1 - VIEWS.index(view)]
        drawing = readings(frame, row, point, span, view == "readings")
    return view, drawing


def _draw(frame: Frame, drawing: Drawing, height: int, alt: str, key: str) -> None:
    if drawing.spec is None:
        parts.nothing(frame.text("incident.no_readings"), frame.text("incident.no_readings_hint"), height)
        return
    parts.chart(drawing.spec, height=height, alt=alt, key=f"chart_{key}", canvas=key == "presence")


def _meaning(frame: Frame, row: Row) -> None:
    """Say what it means, what to do, and on what evidence it rests."""
    text, at = frame.text, data.now()
    kind = str(row["class"])
    told = text.get(f"incident.means_{kind}", class_name(text, kind))
    findings = text("incident.findings", n=f"{int(row['count']):,}")
    with st.container(key="card_meaning"):
        st.html(
            f"{parts.title(text('incident.meaning'))}<p class='nl-p'>{escape(told)}</p>"
            f"{parts.title(text('incident.todo'))}<p class='nl-p'>{escape(advice(text, row['cause']) or DASH)}</p>"
            f"{parts.title(text('incident.evidence'), findings)}"
            f"{evidence_html(text, row, at)}"
        )
        if len(row["members"]) > 1:
            with st.expander(text("incident.members", n=f"{len(row['members']):,}")):
                st.html(members_html(frame, row))


def evidence_html(text: Text, row: Row, at: datetime) -> str:
    """Give the evidence as a list, the newest first."""
    found = evidence_list(row)[::-1]
    if not found:
        return f'<p class="nl-p">{DASH}</p>'
    lines = "".join(
        _told(_instant(item.get("at_ms"), at), escape(evidence_words(text, item)) + _often(item))
        for item in found
    )
    return f'<ul class="nl-ev">{lines}</ul>'


def _told(when: str, body: str) -> str:
    return f"<li><time>{escape(when)}</time><span>{body}</span></li>"


def _often(item: Row) -> str:
    """Count how often a piece of evidence came; nothing for once."""
    given = item.get("parameters")
    count = str(given.get("count", "")) if isinstance(given, dict) else ""
    return f' <small class="q">×{int(count):,}</small>' if count.isdigit() and 1 < int(count) < 1e12 else ""


def _instant(at_ms: object, at: datetime) -> str:
    if isinstance(at_ms, bool) or not isinstance(at_ms, int | float) or not 0 < at_ms < 4e12:
        return DASH
    return moment(datetime.fromtimestamp(at_ms / 1000, CHINA).replace(tzinfo=None), at)


def members_html(frame: Frame, row: Row) -> str:
    """Give the points folded under it as rows: name, id, newest reading."""
    text = frame.text
    names = point_names(text, catalogue(frame, row))
    fresh = data.freshness(frame.asker, str(row["enterprise"])).set_index("point")["last_read_at"]
    lines = "".join(_member(str(member), names, fresh.get(str(member))) for member in row["members"])
    head = f"<th>{escape(text('table.point'))}</th><th>{escape(text('table.last'))}</th>"
    return (
        '<div class="nl-scroll" tabindex="0" role="region"><table class="nl-tab">'
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _member(point: str, names: dict[str, str], last: object) -> str:
    known = isinstance(last, datetime) and not pd.isna(last) and last.year > 1990
    told = stamp(last)[5:] if isinstance(last, datetime) and known else DASH
    name = f'<b>{escape(names.get(point, ""))}</b> <span class="q">{escape(point)}</span>'
    return f'<tr><td class="n">{name}</td><td>{told}</td></tr>'


@st.fragment(run_every="10s")
def _journal(frame: Frame, row: Row) -> None:
    text = frame.text
    answer = frame.asker.ask(
        "incident_events", live=True, enterprise=str(row["enterprise"]), incident=str(row["incident"])
    )
    st.html(parts.title(text("incident.journal"), text("incident.events", n=f"{len(answer):,}")))
    if answer.empty:
        parts.nothing(text("incident.no_journal"), "", 80)
        return
    events = data.records(answer)[::-1]
    lines = "".join(journal_line(text, event, data.now()) for event in events)
    st.html(f'<div class="nl-scroll" tabindex="0" role="region"><ul class="nl-ev">{lines}</ul></div>')


def journal_line(text: Text, event: Row, at: datetime) -> str:
    """Give one line of the journal: when, what, by whom, and what was given with it."""
    what = str(event["what"])
    by = str(event["by"]) or text("incident.by_rules")
    told = text.get(f"incident_what.{what}", what)
    if what == "reclassified":
        told = f"{told}: {cause_name(text, event['cause'])}"
    more = _given(text, event)
    body = f"<b>{escape(told)}</b> · {escape(by)}" + (f"<br>{escape(more)}" if more else "")
    return _told(moment(event["at"], at), body)


def _given(text: Text, event: Row) -> str:
    """Write what an event carries: evidence in words, or the words of a person."""
    try:
        found = json.loads(str(event["parameters"]) or "{}")
    except json.JSONDecodeError:
        return ""
    if not isinstance(found, dict):
        return ""
    if "evidence" in found:
        return evidence_words(text, {"code": found["evidence"], "parameters": found})
    told = [str(found[name]) for name in ("reason", "comment") if found.get(name)]
    until = str(found.get("until_s", ""))
    if until.isdigit() and 0 < int(until) < 4e9:
        end = datetime.fromtimestamp(int(until), CHINA).replace(tzinfo=None)
        told.append(text("incident.until", at=stamp(end)))
    return " · ".join(told)
