"""Keeps the first view of the overview ready for those who may come, so that nobody waits for a cold one.

A first view that nobody has looked at for a while puts its questions to the store anew, and fifty readers who come at
once would all wait for them.  So the server looks at it itself: from its start on, for each scope, in the language
and the look most readers have, and soon after a new month has made it another view.  Cost: about 20 questions in
100 s and scope (1.3 s of CPU, measured).
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from dashboards import cache
from dashboards.auth.door import sessions
from dashboards.data import Asker
from dashboards.government.context import Context
from dashboards.government.filters import read
from dashboards.government.overview import prepare
from dashboards.government.places import places
from dashboards.i18n import DEFAULT, Text
from dashboards.identity import Reader
from dashboards.navigation import start
from dashboards.ui.frame import Frame
from dashboards.ui.theme import theme
from nengliu.accounts import Accounts
from nengliu.domain.scope import Scope
from nengliu.errors import NengliuError

EVERY_S = 50.0
"""Within the time that a live card is served old, so that it is never gone."""
GLANCE_S = 10.0
"""So often it is looked whether the first view is another: a new month of data has begun, or data have come at all."""
MOST = 4
"""Scopes whose view is kept ready: of those who logged in last."""


@asynccontextmanager
async def attended(_app: object) -> AsyncIterator[None]:
    """Keep the first views ready while the server lives."""
    over = threading.Event()
    threading.Thread(target=attend, args=(sessions().accounts, over), name="ready", daemon=True).start()
    yield
    over.set()


def attend(accounts: Accounts, over: threading.Event) -> None:
    """Look at the first view of everyone who is expected, again and again until it is over."""
    looked: dict[Scope, tuple[str, float]] = {}
    while not over.is_set():
        with suppress(NengliuError):  # the store is away: readers are told, and it is tried again
            for scope in expected(accounts):
                looked[scope] = look(scope, *looked.get(scope, ("", 0.0)))
        over.wait(GLANCE_S)


def expected(accounts: Accounts) -> list[Scope]:
    """Give the scopes of the accounts that begin with the overview, of who logged in last first."""
    known = sorted(accounts.everyone(), key=lambda pair: pair[1], reverse=True)
    found = (a.scope for a, _ in known if not a.disabled and start(a.role).key == "gov_overview")
    return list(dict.fromkeys(found))[:MOST]


def look(scope: Scope, key: str = "", at_s: float = 0.0) -> tuple[str, float]:
    """Let the overview be made as a reader of a scope gets it, if it is another than last time or that is long ago.

    Gives which view it was and when [s of the clock of this process]; nothing while there is nothing to see.
    """
    frame = Frame(Text(DEFAULT), theme(False), Reader("", "", scope.role, scope), Asker(scope))
    known = places(frame.asker)
    if not known.months:
        return "", 0.0
    context = Context(frame, known, read({}, known))
    if context.key == key and cache.clock() - at_s < EVERY_S:
        return key, at_s
    prepare(context)
    return context.key, cache.clock()
