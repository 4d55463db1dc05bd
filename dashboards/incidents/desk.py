"""The incident desk: the queue first, with what is new and what stands open above it, the top ten beside it."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any

import streamlit as st

from dashboards import data
from dashboards.enterprise.toolbar import bound
from dashboards.government.places import Places, industry_name, places
from dashboards.i18n import Text
from dashboards.incidents import dialogs, rows, sheets
from dashboards.incidents.actions import MAY
from dashboards.incidents.filters import LONGEST_TEXT, ORDERS, PAGE_ROWS, STATES, Wanted, read
from dashboards.incidents.load import banner, load, strip, top_lists
from dashboards.incidents.words import CLASSES, Row, cause_name, causes, class_name, state_name
from dashboards.ui import parts
from dashboards.ui.frame import Frame, not_yours


def render(frame: Frame) -> None:
    """Draw the desk."""
    text = frame.text
    known = data.enterprises(frame.asker)
    if known.empty:
        parts.state("∅", text("state.empty"), text("state.empty_hint"), ["nengliu demo", "nengliu import"])
        return
    names = {
        str(row["enterprise"]): text.either(str(row["name"]), str(row["name_en"])) or str(row["enterprise"])
        for row in data.records(known)
    }
    where = places(frame.asker)
    wanted = read(st.query_params.to_dict(), tuple(names), where)
    _filters(frame, wanted, names, where)
    if wanted.foreign:
        not_yours(text)
    if wanted.wrong:
        said = text("incidents.wrong", words=", ".join(wanted.wrong))
        st.html(f'<p class="nl-notice" role="status">{escape(said)}</p>')
    dialogs.asked(frame)
    left, right = st.columns([3.1, 1], gap="xsmall")
    with left, st.container(key="card_queue", height="stretch"):
        _queue(frame, wanted)
    with right, st.container(key="card_top", height="stretch"):
        st.html(parts.title(text("incidents.top"), text("incidents.top_note")))
        _top(frame, wanted)
    st.html(f'<div class="nl-foot">{escape(text("incidents.foot"))}</div>')


def _filters(frame: Frame, wanted: Wanted, names: dict[str, str], where: Places) -> None:
    text = frame.text
    with st.container(key="toolbar", horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f'<div class="nl-head"><h1>{escape(text("nav.incidents"))}</h1></div>', width="content")
        _select(text, "state", STATES, wanted.state, lambda s: state_name(text, s))
        _select(text, "class", ("", *CLASSES), wanted.kind, lambda c: class_name(text, c or "all"))
        st.text_input(
            text("incidents.search"),
            max_chars=LONGEST_TEXT,
            placeholder=text("incidents.search"),
            label_visibility="collapsed",
            width=210,
            **_first_page("text", wanted.text),
        )
        label = text("incidents.more", n=wanted.hidden) if wanted.hidden else text("incidents.more_none")
        with st.popover(label, icon=":material/tune:", width="content"):
            _narrow(frame, wanted, names, where)
        _select(text, "order", ORDERS, wanted.order, lambda o: text(f"incidents.order_{o}"))
        with st.container(key="desk_export", width="content"):
            sheets.offer(frame, wanted)


def _narrow(frame: Frame, wanted: Wanted, names: dict[str, str], where: Places) -> None:
    """Offer the filters that are used less often."""
    text = frame.text
    everything = text("incidents.all")
    _select(
        text,
        "region",
        ("", *where.children),
        wanted.region,
        lambda r: where.name(r, text) if r else everything,
        260,
    )
    _select(
        text,
        "industry",
        ("", *where.industries),
        wanted.industry,
        lambda i: industry_name(i, text) if i else everything,
        260,
    )
    _select(text, "enterprise", ("", *names), wanted.enterprise, lambda e: names[e] if e else everything, 260)
    _select(
        text,
        "cause",
        (0, *causes()),
        wanted.cause,
        lambda c: cause_name(text, c) if c else everything,
        260,
    )


def _select(text: Text, name: str, options: Any, value: Any, words: Any, width: int = 132) -> None:
    st.selectbox(
        text(f"incidents.by_{name}"),
        list(options),
        format_func=words,
        label_visibility="collapsed" if width < 200 else "visible",
        width=width,
        **_first_page(name, value),
    )


def _first_page(name: str, value: object) -> dict[str, Any]:
    """Set a widget from the address; whoever changes it starts again at the first page."""
    made = bound(name, value)
    put = made["on_change"]

    def change(*given: str) -> None:
        put(*given)
        st.query_params.pop("page", None)
        if st.query_params.get(name) in ("", "0"):
            st.query_params.pop(name)

    return {**made, "on_change": change}


def city_names(frame: Frame) -> dict[str, str]:
    """Give code -> name of the regions there are."""
    return {
        str(row["region"]): frame.text.either(str(row["name"]), str(row["name_en"]))
        for row in data.records(places(frame.asker).regions)
    }


@st.fragment(run_every="10s")
def _queue(frame: Frame, wanted: Wanted) -> None:
    text, at = frame.text, data.now()
    found = load(frame, wanted)
    st.html(strip(text, found, frame.theme.primary) + banner(frame, wanted, found, city_names(frame)))
    answer = frame.asker.ask(
        "incident_queue",
        live=True,
        **wanted.listed,
        limit=PAGE_ROWS,
        offset=(wanted.page - 1) * PAGE_ROWS,
    )
    if answer.empty:
        _none(frame, wanted)
        return
    _lines(frame, data.records(answer), at)
    _pager(frame, wanted, int(answer["total"].iloc[0]))


def _lines(frame: Frame, found: list[Row], at: datetime) -> None:
    """Draw the rows: each with its buttons where the reader may act, else all in one piece."""
    text = frame.text
    if frame.reader.role not in MAY:
        st.html("".join(rows.line(text, row, at) for row in found))
        return
    with st.container(key="queue", gap=None):
        for row in found:
            with st.container(
                key=f"inc_{row['incident']}", horizontal=True, vertical_alignment="center", gap="small"
            ):
                st.html(rows.line(text, row, at), width="stretch")
                dialogs.buttons(frame, row)


def _none(frame: Frame, wanted: Wanted) -> None:
    text = frame.text
    narrowed = wanted.hidden or wanted.kind or wanted.text or wanted.state != "open" or wanted.page > 1
    if narrowed:
        parts.nothing(text("incidents.none_found"), text("incidents.none_found_hint"), 240)
    else:
        parts.nothing(text("incidents.none"), text("incidents.none_hint"), 240)


def _pager(frame: Frame, wanted: Wanted, total: int) -> None:
    text, pages = frame.text, -(-total // PAGE_ROWS)
    first = (wanted.page - 1) * PAGE_ROWS + 1
    last = min(wanted.page * PAGE_ROWS, total)
    with st.container(key="pager", horizontal=True, vertical_alignment="center"):
        words = text("incidents.shown", first=f"{first:,}", last=f"{last:,}", total=f"{total:,}")
        st.html(f'<div class="nl-src">{escape(words)}</div>', width="stretch")
        if pages > 1:
            chosen = st.pagination(pages, default=min(wanted.page, pages), key=f"pages_{wanted.page}_{pages}")
            if chosen != wanted.page:
                st.query_params["page"] = str(chosen)
                st.rerun()


@st.fragment(run_every="60s")
def _top(frame: Frame, wanted: Wanted) -> None:
    lists = top_lists(frame, wanted, city_names(frame))
    if lists:
        st.html(lists)
    else:
        parts.nothing(frame.text("incidents.top_none"), "", 120)
