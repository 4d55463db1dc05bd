"""What a person does about an incident: who may do what, sent through the log, marked until it has taken effect.

An action is a message like any other: the page appends it to the log, the stream answers with a changed row.  Until
then the page says that it is on its way; nothing is written to the store from here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import streamlit as st

from dashboards import identity
from dashboards.incidents.words import Row, state_of
from nengliu.bus.open import open_log, publish_action
from nengliu.errors import InputError
from nengliu.settings import load
from schemas.messages import ActionNotice

ACKNOWLEDGE, SHELVE, UNSHELVE, CLOSE = "acknowledge", "shelve", "unshelve", "close"
MAY = {
    "operator": (ACKNOWLEDGE, SHELVE, UNSHELVE, CLOSE),
    "enforcement": (ACKNOWLEDGE, SHELVE, UNSHELVE, CLOSE),
    "enterprise": (ACKNOWLEDGE,),
}
HOURS = (
    1,
    4,
    8,
    24,
    72,
    168,
)  # a shelving ends: an hour to look at it, a shift, the three days of a repair, a week
LONGEST_REASON = 200
SLOW_S = 60.0  # an action that has not taken effect by then is told to be waiting for the stream
FORGOTTEN_S = 3600.0


@dataclass(frozen=True, slots=True)
class Sent:
    """An action on its way: what, by whom, and when [s, UTC]."""

    action: str
    by: str
    at_s: float


@st.cache_resource(show_spinner=False)
def _under_way() -> dict[str, Sent]:
    """Actions sent by this process, by incident: every reader sees that somebody has acted."""
    return {}


def allowed(role: str, row: Row) -> tuple[str, ...]:
    """Say what a role may do about an incident in its state, the next thing to do first."""
    state = state_of(row)
    fitting = {
        "active_unack": (ACKNOWLEDGE, SHELVE, CLOSE),
        "cleared_unack": (ACKNOWLEDGE, CLOSE),
        "active_ack": (SHELVE, CLOSE),
        "shelved": (UNSHELVE, CLOSE),
    }.get(state, ())
    if state == "shelved" and row["state"] != "active_ack":
        fitting = (ACKNOWLEDGE, *fitting)
    return tuple(action for action in fitting if action in MAY.get(role, ()))


def send(row: Row, action: str, reason: str = "", hours: int = 0) -> None:
    """Send an action about an incident the reader was shown, and remember that it is on its way.

    Who acts is asked anew, and what he does stands in the audit log before it is sent.

    Raises
    ------
    InputError
        The role may not do this, or what it must say is missing.
    LoggedOut
        The session is over.
    LogError
        The log cannot be reached: nothing was sent.
    """
    reader = identity.current_reader()
    if action not in allowed(reader.role, row):
        raise InputError(f"{reader.role} may not {action} an incident that is {state_of(row)}")
    if action in (SHELVE, CLOSE) and not reason.strip():
        raise InputError(f"{action}: a reason is needed")
    if action == SHELVE and hours not in HOURS:
        raise InputError(f"shelve: expected one of {HOURS} hours, got {hours}")
    at_s = int(time.time())
    said = "".join(c if c.isprintable() else " " for c in reason).strip()[:LONGEST_REASON]
    notice = ActionNotice(
        enterprise=str(row["enterprise"]),
        incident=str(row["incident"]),
        action=action,
        by=reader.login,
        at_s=at_s,
        reason=said,
        until_s=at_s + 3600 * hours if action == SHELVE else 0,
    )
    identity.note(reader, f"incident_{action}", f"{notice.enterprise} {notice.incident} {said}".strip())
    with open_log(load()) as log:
        publish_action(log, notice)
    _under_way()[notice.incident] = Sent(action, reader.login, float(at_s))


def on_the_way(row: Row) -> Sent | None:
    """Give the action that was sent about an incident and has not taken effect yet."""
    sent = _under_way().get(str(row["incident"]))
    if sent is None:
        return None
    if took_effect(sent.action, row) or time.time() - sent.at_s > FORGOTTEN_S:
        _under_way().pop(str(row["incident"]), None)
        return None
    return sent


def took_effect(action: str, row: Row) -> bool:
    """Say whether a row shows what an action wanted."""
    state, shelved = str(row["state"]), bool(row["shelved"])
    if state == "closed":
        return True
    if action == ACKNOWLEDGE:
        return state == "active_ack"
    return action in (SHELVE, UNSHELVE) and shelved is (action == SHELVE)


def is_slow(sent: Sent) -> bool:
    """Say whether an action takes longer than it should: the stream may stand still."""
    return time.time() - sent.at_s > SLOW_S
