"""What stands between the browser and the page: the HTML shell in the reader's language.

The shell always says ``<html lang="en">``; a screen reader would read Chinese with an
English voice.  And at a deep link the client does not know where the server's root is: it
tries the page's own path first and leaves two 404 on the console; the shell tells it.
The middleware rewrites the shell only, never data or scripts.
"""

from __future__ import annotations

import json
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.auth.door import root
from dashboards.i18n import Text, choose, html_code

_SHELL = b'<html lang="en">'
_TITLE = b"<title>Streamlit</title>"
_HEAD_END = b"</head>"


class ShellLanguage:
    """ASGI middleware that writes the reader's language into the HTML shell."""

    def __init__(self, app: ASGIApp) -> None:
        """Keep the application that is wrapped."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Rewrite an HTML answer; pass everything else through untouched."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        await self.app(_uncompressed(scope), receive, _Rewriter(send, _language(scope)))


def _language(scope: Scope) -> str:
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return choose(query.get("lang", [""])[0] or None)


def _uncompressed(scope: Scope) -> Scope:
    """Ask for plain text where the shell may be the answer, so that it can be rewritten."""
    if "." in scope["path"].rsplit("/", 1)[-1] or scope["path"].startswith("/_stcore"):
        return scope
    headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
    return {**scope, "headers": headers}


class _Rewriter:
    """Holds the head of an HTML answer back until its body is rewritten."""

    def __init__(self, send: Send, language: str) -> None:
        self.send = send
        self.language = language
        self.start: Message | None = None
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_html(message):
            self.start = message
        elif self.start is not None and message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self.start)
        else:
            await self.send(message)

    async def _finish(self, start: Message) -> None:
        self.start = None
        if _TITLE not in self.body:  # the log-in speaks for itself
            await self.send(start)
            await self.send({"type": "http.response.body", "body": self.body})
            return
        body = self.body.replace(_SHELL, f'<html lang="{html_code(self.language)}">'.encode(), 1)
        body = body.replace(_TITLE, f"<title>{Text(self.language)('app.title')}</title>".encode(), 1)
        body = body.replace(_HEAD_END, _root_script() + _HEAD_END, 1)
        kept = [(n, v) for n, v in start["headers"] if n.lower() not in (b"content-length", b"etag")]
        length = (b"content-length", str(len(body)).encode())
        await self.send({**start, "headers": [*kept, length] if body else kept})
        await self.send({"type": "http.response.body", "body": body})


def _root_script() -> bytes:
    """Tell the client the root of this server, the base path of a proxy included."""
    path = json.dumps(root())
    return f"<script>window.__streamlit={{BACKEND_BASE_URL:location.origin+{path}}}</script>".encode()


def _is_html(message: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/html")
        for name, value in message["headers"]
    )
