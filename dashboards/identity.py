"""Who is reading: the account behind the session, asked anew at every run, and the scope of every question.

A websocket lives for hours, so what was true when it opened is not believed: the signed cookie it came with is
read again, and the account must still stand.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from dashboards.auth.door import sessions
from nengliu.domain.scope import Scope
from nengliu.errors import NengliuError


class LoggedOut(NengliuError):
    """The session of the reader is over."""

    code = "LOGGED_OUT"


@dataclass(frozen=True, slots=True)
class Reader:
    """Whoever is logged in.

    Parameters
    ----------
    login, name
        Name of the account, and the name shown.
    role
        One of analyst, enforcement, enterprise, operator.
    scope
        What the reader may see.
    """

    login: str
    name: str
    role: str
    scope: Scope


def current_reader() -> Reader:
    """Give the reader of this session.

    Raises
    ------
    LoggedOut
        There is no session, or it is over: its time is up, it was ended, or the account was closed.
    """
    account = sessions().account(str(st.context.cookies.get(sessions().cookie, "")))
    if account is None:
        raise LoggedOut("the session is over; log in again")
    return Reader(account.login, account.name, str(account.role), account.scope)


def current_scope() -> Scope:
    """Give the scope of the reader of this session."""
    return current_reader().scope


def note(reader: Reader, action: str, detail: str) -> None:
    """Write into the audit log what a reader did on a page."""
    sessions().accounts.note(reader.login, action, detail, st.context.ip_address or "")


def narrowed(scope: Scope, enterprise: str) -> Scope:
    """Narrow a reader's scope to one enterprise: a page about one unit asks for no more."""
    if scope.enterprise and scope.enterprise != enterprise:
        return scope
    return Scope(role="enterprise", region=scope.region, enterprise=enterprise)
