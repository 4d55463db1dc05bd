"""Buttons and dialogs of the actions: one click to acknowledge, a reason for all else.

A dialog is opened by the page itself and never by a part that refreshes: it would be closed with the next refresh.
"""

from __future__ import annotations

import streamlit as st

from dashboards.incidents import actions
from dashboards.incidents.actions import ACKNOWLEDGE, CLOSE, HOURS, LONGEST_REASON, SHELVE
from dashboards.incidents.words import Row, cause_name, place, unit_name
from dashboards.ui import parts
from dashboards.ui.frame import Frame
from nengliu.errors import InputError, LogError

_ASKED = "incident_asked"
_FAILED = "incident_failed"


def buttons(frame: Frame, row: Row) -> None:
    """Offer what the reader may do: the next thing as a button, the rest behind one more."""
    may = actions.allowed(frame.reader.role, row)
    if not may or actions.on_the_way(row) is not None:
        return
    text, name = frame.text, row["incident"]
    first, rest = (may[0], may[1:]) if may[0] == ACKNOWLEDGE else ("", may)
    if first and st.button(text("incident_action.acknowledge"), key=f"do_{name}", type="secondary"):
        _do(row, ACKNOWLEDGE)
    if rest:
        chosen = st.menu_button(
            text("incident_action.more"),
            rest,
            key=f"more_{name}",
            type="tertiary",
            format_func=lambda action: text(f"incident_action.{action}"),
        )
        if chosen:
            _do(row, chosen)


def _do(row: Row, action: str) -> None:
    """Send what needs no words; ask for the others' reason in a dialog of the whole page."""
    if action in (SHELVE, CLOSE):
        st.session_state[_ASKED] = (action, row)
    else:
        _send(row, action)
    st.rerun()


def _send(row: Row, action: str, reason: str = "", hours: int = 0) -> None:
    try:
        actions.send(row, action, reason, hours)
    except (LogError, InputError) as error:
        st.session_state[_FAILED] = str(error)


def asked(frame: Frame) -> None:
    """Open the dialog that was asked for; say what could not be sent."""
    if failed := st.session_state.pop(_FAILED, ""):
        st.error(frame.text("incidents.not_sent", why=failed))
    if wish := st.session_state.pop(_ASKED, None):
        _dialog(frame, wish[1], wish[0])


def _dialog(frame: Frame, row: Row, action: str) -> None:
    text = frame.text

    def body() -> None:
        st.markdown(
            f"**{parts.plain(cause_name(text, row['cause']))}** · {parts.plain(unit_name(text, row))}"
        )
        st.caption(parts.plain(place(text, row)))
        hours = _until(frame) if action == SHELVE else 0
        label = text("incidents.reason" if action == SHELVE else "incidents.comment")
        reason = st.text_area(label, max_chars=LONGEST_REASON, key="incident_reason", height=90)
        if st.button(text(f"incident_action.{action}"), type="primary", key="incident_send"):
            if not reason.strip():
                st.warning(text("incidents.reason_needed"))
                return
            _send(row, action, reason, hours)
            st.rerun()

    st.dialog(text(f"incident_action.{action}"))(body)()


def _until(frame: Frame) -> int:
    chosen = st.segmented_control(
        frame.text("incidents.shelve_for"),
        HOURS,
        default=HOURS[2],
        required=True,
        key="incident_hours",
        format_func=lambda hours: length(frame, hours),
    )
    return int(chosen or HOURS[2])


def length(frame: Frame, hours: int) -> str:
    """Write a length of hours or days."""
    return frame.text("old.hours", n=hours) if hours < 48 else frame.text("old.days", n=hours // 24)
