"""Sending what was entered: who may, checked anew; the audit log first, then the log of the installation.

What was sent is a message like any other: the page says that it is on its way until the stream has taken it in.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from dashboards import data, identity
from dashboards.data import Asker
from dashboards.entry.context import Context
from nengliu.analysis.forms.values import refusals
from nengliu.bus.open import open_log, publish_entered
from nengliu.errors import InputError
from nengliu.settings import load
from schemas.messages import Activity, ActivityNotice, Entered, EntryNotice, RejectedRow

MAY = ("operator", "enterprise")
"""Roles that enter: the enterprise for itself, the operator for anyone."""
SLOW_S = 60
"""What has not been taken in by then is told to be waiting for the stream [s]."""
_SENT = "entry_sent"


@dataclass(frozen=True, slots=True)
class Sent:
    """What this session sent last: for whom, how much, and when [s, UTC]."""

    enterprise: str
    part: str
    count: int
    at_s: int


def refused(context: Context, rows: Sequence[Entered]) -> list[RejectedRow]:
    """Say of which values the stream would take none, and why."""
    return refusals(context.points, rows, int(time.time()), load().future_s)


def send_values(context: Context, rows: Sequence[Entered]) -> None:
    """Send values of meters.

    Raises
    ------
    InputError
        The reader may not enter for this enterprise.
    LoggedOut
        The session is over.
    LogError
        The log cannot be reached: nothing was sent.
    """
    login, at_s = _who(context.enterprise), int(time.time())
    _send(context, EntryNotice(context.enterprise, login, at_s, tuple(rows)), len(rows), at_s)


def send_figures(context: Context, figures: Sequence[Activity], origin: str) -> None:
    """Send figures of production, entered or imported; without a source the reader is it.

    Raises
    ------
    InputError
        The reader may not enter for this enterprise.
    LoggedOut
        The session is over.
    LogError
        The log cannot be reached: nothing was sent.
    """
    login, at_s = _who(context.enterprise), int(time.time())
    told = tuple(Activity(f.measure, f.period, f.value, f.unit, f.source or login) for f in figures)
    _send(context, ActivityNotice(context.enterprise, told, origin, login, at_s), len(told), at_s)


def _who(enterprise: str) -> str:
    """Give the login of the reader as he is now, who may enter for the enterprise."""
    reader = identity.current_reader()
    known = data.enterprises(Asker(reader.scope))
    if reader.role not in MAY or enterprise not in set(known["enterprise"]):
        raise InputError(f"{reader.role} {reader.login} may not enter for {enterprise}")
    return reader.login


def _send(context: Context, notice: EntryNotice | ActivityNotice, count: int, at_s: int) -> None:
    action = "entry" if isinstance(notice, EntryNotice) else "activity"
    identity.note(identity.current_reader(), action, f"{notice.enterprise} {count}")
    with open_log(load()) as log:
        publish_entered(log, notice)
    st.session_state[_SENT] = Sent(notice.enterprise, context.part, count, at_s)


def last_sent(context: Context) -> Sent | None:
    """Give what was sent last from this part of the page for this enterprise."""
    sent = st.session_state.get(_SENT)
    fits = isinstance(sent, Sent) and (sent.enterprise, sent.part) == (context.enterprise, context.part)
    return sent if fits else None
