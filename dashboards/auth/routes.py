"""Log-in and log-out: a plain form of the server, without a script, in the reader's language.

Requests that change something are taken from our own pages only: browsers say by ``Sec-Fetch-Site`` (older
ones by ``Origin``) which site a request comes from, and that cannot be forged by another site.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, parse_qsl, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from dashboards.auth.form import Form, written
from dashboards.i18n import Text, choose
from nengliu.accounts import Account, Refused, Sessions

LONGEST_BODY = 4096
_HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
}


def routes(sessions: Sessions, root: str) -> list[Route]:
    """Give the routes of log-in and log-out."""
    entrance = Entrance(sessions, root)
    return [
        Route(f"{root}auth/login", entrance.show, methods=["GET"]),
        Route(f"{root}auth/login", entrance.enter, methods=["POST"]),
        Route(f"{root}auth/logout", entrance.leave, methods=["GET"]),
    ]


class Entrance:
    """Answers the requests of the log-in."""

    def __init__(self, sessions: Sessions, root: str) -> None:
        """Keep whose sessions they are, and where the pages lie."""
        self.sessions = sessions
        self.root = root

    async def show(self, request: Request) -> Response:
        """Show the form; whoever has a session goes on to where he wanted."""
        text, wanted = self._asked(request)
        if self.sessions.account(request.cookies.get(self.sessions.cookie, "")):
            return RedirectResponse(wanted, 303)
        said = text("login.out") if "out" in request.query_params else ""
        if not self.sessions.accounts.everyone():
            said = text("login.nobody")
        return self._form(text, Form(wanted=wanted, said=said))

    async def enter(self, request: Request) -> Response:
        """Let somebody in, or say that name or password do not fit."""
        text, wanted = self._asked(request)
        if is_foreign(request):
            return self._form(text, Form(wanted=wanted, trouble=text("login.foreign")), 403)
        if not 0 < _length(request) <= LONGEST_BODY:
            return PlainTextResponse("413", 413)
        fields = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
        login, password = (fields.get(name, [""])[0] for name in ("login", "password"))
        found = await run_in_threadpool(self.sessions.accounts.enter, login, password, address_of(request))
        if isinstance(found, Refused):
            words = (
                text("login.paused", minutes=-(-found.wait_s // 60)) if found.wait_s else text("login.failed")
            )
            return self._form(
                text, Form(wanted=wanted, login=login, trouble=words), 429 if found.wait_s else 401
            )
        return self._entered(request, found, wanted)

    async def leave(self, request: Request) -> Response:
        """End the session of the browser; a link on another site cannot."""
        text, _ = self._asked(request)
        if is_foreign(request):
            return RedirectResponse(self.root, 303)
        self.sessions.end(request.cookies.get(self.sessions.cookie, ""), address_of(request))
        response = RedirectResponse(f"{self.root}auth/login?out=1&lang={text.language}", 303)
        response.delete_cookie(self.sessions.cookie, path=self.root)
        return response

    def _asked(self, request: Request) -> tuple[Text, str]:
        """Give the language of the address, and the page to go on to."""
        wanted = local(request.query_params.get("next", ""), self.root)
        asked = request.query_params.get("lang") or dict(parse_qsl(urlsplit(wanted).query)).get("lang")
        return Text(choose(asked)), wanted

    def _form(self, text: Text, form: Form, status: int = 200) -> Response:
        return Response(written(text, form), status, _HEADERS, "text/html; charset=utf-8")

    def _entered(self, request: Request, account: Account, wanted: str) -> Response:
        response = RedirectResponse(wanted, 303, {"cache-control": "no-store"})
        response.set_cookie(
            self.sessions.cookie,
            self.sessions.start(account),
            max_age=self.sessions.hours * 3600,
            path=self.root,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return response


def local(wanted: str, root: str) -> str:
    r"""Give a page of this server to go on to; the root for any other address.

    >>> local("/incidents?state=open", "/"), local("//evil.example", "/"), local("/\\evil.example", "/")
    ('/incidents?state=open', '/', '/')
    """
    path = re.split(r"[?#]", wanted, maxsplit=1)[0]
    inside = path.startswith(root) and "/" not in path.removeprefix(root) and "\\" not in wanted
    return wanted if inside and wanted.isascii() and wanted.isprintable() else root


def is_foreign(request: Request) -> bool:
    """Say whether a browser sends a request because of another site."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def address_of(request: Request) -> str:
    """Give the address a request comes from."""
    return request.client.host if request.client else ""


def _length(request: Request) -> int:
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0
