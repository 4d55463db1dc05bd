"""Start of the page, and the shell it sends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dashboards import launch
from dashboards.middleware import ShellLanguage
from nengliu.settings import Settings

SHELL = b'<!doctype html><html lang="en"><head><title>Streamlit</title></head></html>'


def ask(
    body: bytes, kind: str, query: str = "", path: str = "/enterprise", method: str = "GET"
) -> tuple[dict, bytes]:
    """Give headers and body of an answer that passed the middleware in two pieces."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"etag", b"x"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body[:20], "more_body": True})
        await send({"type": "http.response.body", "body": body[20:]})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": []}
    asyncio.run(ShellLanguage(app)(scope, None, send))  # type: ignore[arg-type]
    return dict(sent[0]["headers"]), b"".join(m.get("body", b"") for m in sent[1:])


def test_shell_in_any_piece_size_is_rewritten_with_its_length() -> None:
    """Language, title and root are written into the shell, and the length stays true."""
    headers, body = ask(SHELL, "text/html; charset=utf-8")
    assert b'<html lang="zh-CN">' in body
    assert "<title>能耗在线监测</title>".encode() in body
    assert b'BACKEND_BASE_URL:location.origin+"/"' in body
    assert int(headers[b"content-length"]) == len(body)
    assert b"etag" not in headers
    assert b'<html lang="en">' in ask(SHELL, "text/html", "lang=en")[1]


def test_answers_that_are_not_the_shell_pass_untouched() -> None:
    """Scripts and data are never rewritten."""
    headers, body = ask(SHELL, "text/javascript")
    assert body == SHELL
    assert headers[b"etag"] == b"x"
    assert ask(SHELL, "text/html", method="POST")[1] == SHELL


def test_language_of_a_hostile_address_cannot_enter_the_shell() -> None:
    """Only known languages reach the shell."""
    assert b"script>alert" not in ask(SHELL, "text/html", "lang=%22%3E%3Cscript%3Ealert(1)")[1]


@pytest.mark.parametrize("address", ["127.0.0.1", "192.0.2.7"])
def test_command_serves_one_application_without_outside_requests(tmp_path: Path, address: str) -> None:
    """The argument list names the server, port and address, and switches every outside request off."""
    settings = Settings(home=tmp_path, port=8765)
    arguments = launch.command(settings, address)
    assert Path(arguments[arguments.index("run") + 1]).name == "server.py"
    assert "--server.port=8765" in arguments
    assert f"--server.address={address}" in arguments
    assert "--browser.gatherUsageStats=false" in arguments
    assert any(a.startswith("--browser.serverAddress=") for a in arguments)


def test_environment_of_the_page_carries_the_settings_of_its_starter(tmp_path: Path) -> None:
    """The page reads the same installation as the command that started it."""
    settings = Settings(home=tmp_path, store="http://default@db:8123", database="d", port=1)
    env = launch.environment(settings, {"PATH": "/bin"})
    assert env["NENGLIU_HOME"] == str(tmp_path)
    assert (env["NENGLIU_STORE"], env["NENGLIU_DATABASE"], env["PATH"]) == (
        "http://default@db:8123",
        "d",
        "/bin",
    )
