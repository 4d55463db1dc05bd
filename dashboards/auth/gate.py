"""ASGI middleware: nothing of the server is seen without a session.

Open without one are the log-in itself and the sign of life.  A browser that asks for a page is sent to the
log-in and comes back; everything else is refused, a websocket before it opens.  Whose session it is stands in
the signed cookie alone: headers are never believed, here or in the pages.
"""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from nengliu.accounts import Sessions

OPEN = ("auth/login", "auth/logout", "_stcore/health")


class Gate:
    """Lets through whoever has a session.

    Parameters
    ----------
    app
        The application behind.
    sessions
        Tells whose a token is.
    root
        Path of the server's root.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, root: str) -> None:
        """Keep the application that is guarded."""
        self.app = app
        self.sessions = sessions
        self.root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] == "lifespan" or self._is_open(scope) or self._has_session(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it opened: the server answers 403
        else:
            await self._answer(scope)(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        return scope["type"] == "http" and scope["path"] in {self.root + path for path in OPEN}

    def _has_session(self, scope: Scope) -> bool:
        token = HTTPConnection(scope).cookies.get(self.sessions.cookie, "")
        return bool(token) and self.sessions.account(token) is not None

    def _answer(self, scope: Scope) -> Response:
        path = scope["path"].removeprefix(self.root)
        if scope["method"] not in ("GET", "HEAD") or "." in path or "/" in path:
            return PlainTextResponse("401", 401)  # no page: pages lie in the root and have no ending
        query = scope["query_string"].decode("latin-1")
        wanted = scope["path"] + (f"?{query}" if query else "")
        return RedirectResponse(f"{self.root}auth/login?{urlencode({'next': wanted})}", 303)
