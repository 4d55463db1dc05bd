"""The way in, on the real server: who gets in, who does not, and that nobody gets around it."""

from __future__ import annotations

import asyncio
import http.client
import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import websockets

from dashboards.auth.routes import local
from nengliu.accounts import Account, Accounts, Role, Sessions
from nengliu.settings import Settings
from tests.dashboards.serving import PASSWORD, enrol, logged_in, request, served

EXTRA = Account("leaver", "<script>alert(1)</script>", Role.ANALYST, region="32")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of an installation with accounts and without a store."""
    settings = Settings(home=tmp_path_factory.mktemp("login"))
    enrol(settings)
    enrol(settings, EXTRA)
    return settings


@pytest.fixture(scope="module")
def address(installation: Settings) -> Iterator[str]:
    """Address of its page."""
    with served(installation) as found:
        yield found


@pytest.fixture
def sessions(installation: Settings) -> Iterator[Sessions]:
    """Sessions of the installation, as the server knows them."""
    accounts = Accounts(installation)
    yield Sessions(accounts)
    accounts.close()


def connects(address: str, cookie: str = "", **headers: str) -> int:
    """Give the status a websocket is answered with, 101 if it opens."""

    async def handshake() -> int:
        more = [(name.replace("_", "-"), value) for name, value in headers.items()]
        more += [("Cookie", cookie)] if cookie else []
        wanted = address.replace("http", "ws", 1) + "/_stcore/stream"
        try:
            async with websockets.connect(wanted, additional_headers=more, proxy=None):
                return 101
        except websockets.InvalidStatus as error:
            return error.response.status_code

    return asyncio.run(handshake())


# -- without a session --------------------------------------------------------------------------------------


def test_page_without_a_session_leads_to_the_login_and_back(address: str) -> None:
    """A deep link survives the log-in, filters and language included."""
    wanted = "/incidents?state=open&region=3205&lang=en"
    answer = request(address + wanted)
    assert answer.status == 303
    login = urlsplit(answer.headers["location"])
    assert (login.path, parse_qs(login.query)["next"]) == ("/auth/login", [wanted])
    assert "Log in" in request(address + answer.headers["location"]).body
    entered = request(address + answer.headers["location"], fields={"login": "ops", "password": PASSWORD})
    assert (entered.status, entered.headers["location"]) == (303, wanted)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/media/0123abcd.csv",
            "/_stcore/host-config",
            "/_stcore/metrics",
            "/_stcore/allowed-message-origins",
        ),
        *("/static/js/index.js", "/app/static/favicon.svg", "/component/x/index.html", "/index.html"),
        *("/auth/login/x", "/auth", "//auth/login", "/auth/../enterprise", "/_stcore/health/x", "/%61uth/x"),
    ],
)
def test_nothing_of_the_server_is_seen_without_a_session(address: str, path: str) -> None:
    """Downloads, settings, figures, scripts, ways around the names of what is open: refused or sent to the log-in."""
    answer = request(address + path)
    assert answer.status in (303, 401), answer.body[:200]
    assert answer.status == 401 or answer.headers["location"].startswith("/auth/login?next=")


def test_upload_without_a_session_is_refused(address: str) -> None:
    """Nobody fills the memory of the server without having logged in."""
    assert request(f"{address}/_stcore/upload_file/a/b", fields={"x": "y"}).status == 401


def test_health_is_open_and_says_nothing_else(address: str) -> None:
    """The supervisor and a proxy see that the page lives."""
    answer = request(f"{address}/_stcore/health")
    assert (answer.status, answer.body) == (200, "ok")


def test_websocket_opens_for_a_session_only(address: str, sessions: Sessions) -> None:
    """Without a cookie, with one made up, signed elsewhere or over, the data channel answers 403."""
    account = sessions.accounts.find("ops")
    assert account is not None
    good = f"{sessions.cookie}={sessions.start(account)}"
    accounts = Accounts(sessions.accounts.settings, clock=lambda: 1_700_000_000.0)
    over = f"{sessions.cookie}={Sessions(accounts).start(account)}"
    accounts.close()
    assert connects(address, good) == 101
    for cookie in (
        "",
        "x=1",
        f"{sessions.cookie}=made-up",
        good[:-8] + "AAAAAAAA",
        over,
        f"{sessions.cookie}=",
    ):
        assert connects(address, cookie) == 403, cookie


def test_headers_that_claim_to_be_somebody_are_not_believed(address: str) -> None:
    """Identity lies in the signed cookie alone, whatever a client or a proxy writes into headers."""
    claims = {"x_nl_login": "ops", "x_nl_role": "operator", "x_forwarded_user": "ops", "remote_user": "ops"}
    assert request(f"{address}/enterprise", **claims).status == 303
    assert connects(address, **claims) == 403


# -- logging in ---------------------------------------------------------------------------------------------


def test_cookie_of_a_session_is_kept_from_scripts_and_other_sites(address: str) -> None:
    """HttpOnly, SameSite=Lax, eight hours, and Secure where the reader comes by https."""
    fields = {"login": "ops", "password": PASSWORD}
    plain = request(f"{address}/auth/login", fields=fields).headers["set-cookie"]
    assert re.fullmatch(r"nengliu_\w{8}=[\w.-]+; HttpOnly; Max-Age=28800; Path=/; SameSite=lax", plain)
    behind = request(f"{address}/auth/login", fields=fields, x_forwarded_proto="https")
    assert "; Secure" in behind.headers["set-cookie"]


@pytest.mark.parametrize(
    "wanted",
    [
        *("https://evil.example/x", "//evil.example", "/\\evil.example", "\\\\evil.example", "evil.example"),
        *("/x/../..//evil.example", "/%0d%0aSet-Cookie:a=b", "/\r\nSet-Cookie:a=b", "javascript:alert(1)"),
        *("/auth/logout", "/media/x.csv", ""),
    ],
)
def test_login_leads_to_pages_of_this_server_only(address: str, wanted: str) -> None:
    """Nobody is sent to another site, or logged out, by a link to our log-in."""
    fields = {"login": "ops", "password": PASSWORD}
    answer = request(f"{address}/auth/login?next={quote(wanted, safe='')}", fields=fields)
    assert answer.status == 303
    assert answer.headers["location"] in ("/", "/%0d%0aSet-Cookie:a=b")
    assert len(answer.headers.get_all("set-cookie")) == 1


def test_address_to_go_on_to_keeps_within_the_base_path() -> None:
    """Behind a proxy with a base path the pages below it count, and nothing else."""
    assert local("/nengliu/incidents?id=1", "/nengliu/") == "/nengliu/incidents?id=1"
    assert local("/other/incidents", "/nengliu/") == "/nengliu/"


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_refused_login_says_so_and_escapes_what_was_typed(address: str, language: str) -> None:
    """The same plain sentence for a wrong name and a wrong password; nothing typed becomes part of the page."""
    typed = '"><script>alert(1)</script>'
    answers = [
        request(f"{address}/auth/login?lang={language}", fields={"login": login, "password": "wrong"})
        for login in ("plant", typed)
    ]
    said = {"zh_CN": "用户名或密码不正确。", "en": "User name or password is wrong."}[language]
    for answer in answers:
        assert answer.status == 401
        assert said in answer.body
        assert "<script" not in answer.body
        assert "set-cookie" not in answer.headers
    assert "&quot;&gt;&lt;script&gt;" in answers[1].body


def test_login_page_is_whole_in_itself_and_guards_itself(address: str) -> None:
    """No script, no request elsewhere, not to be framed or kept; both themes are in it."""
    answer = request(f"{address}/auth/login")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "<script" not in answer.body
    assert not re.search(r'(src|href)="(?!data:|\?)', answer.body)
    assert "prefers-color-scheme: dark" in answer.body
    assert '<html lang="zh-CN">' in answer.body


def test_request_of_another_site_changes_nothing(address: str) -> None:
    """A foreign page can neither log a browser in nor out."""
    fields = {"login": "ops", "password": PASSWORD}
    for headers in ({"sec_fetch_site": "cross-site"}, {"origin": "https://evil.example"}):
        answer = request(f"{address}/auth/login", fields=fields, **headers)
        assert answer.status == 403
        assert "set-cookie" not in answer.headers
    cookie = logged_in(address, "ops")
    request(f"{address}/auth/logout", cookie, sec_fetch_site="cross-site")
    assert request(f"{address}/enterprise", cookie).status == 200
    assert request(f"{address}/auth/login", fields=fields, origin=address).status == 303


def test_form_too_large_or_of_unknown_length_is_refused(address: str) -> None:
    """A log-in is small; nobody makes the server keep a long one."""
    assert request(f"{address}/auth/login", fields={"login": "x" * 5000, "password": "y"}).status == 413
    link = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    link.request("POST", "/auth/login", body=iter([b"login=ops&", b"password=x"]), encode_chunked=True)
    assert link.getresponse().status == 413
    link.close()


def test_login_that_fails_too_often_waits(address: str) -> None:
    """After five failures the right password waits as well, and the page says for how long."""
    for _ in range(5):
        assert request(f"{address}/auth/login", fields={"login": "officer", "password": "no"}).status == 401
    answer = request(f"{address}/auth/login?lang=en", fields={"login": "officer", "password": PASSWORD})
    assert answer.status == 429
    assert "Try again in 15 min." in answer.body


# -- after it -----------------------------------------------------------------------------------------------


def test_shell_of_a_page_is_sent_within_a_session(address: str) -> None:
    """Whoever has logged in gets the page, and goes past the log-in."""
    cookie = logged_in(address, "plant")
    assert "BACKEND_BASE_URL" in request(f"{address}/enterprise", cookie).body
    again = request(f"{address}/auth/login?next=/incidents", cookie)
    assert (again.status, again.headers["location"]) == (303, "/incidents")


def test_logout_ends_the_session_for_every_copy_of_its_cookie(address: str) -> None:
    """The cookie goes, and a copy of it opens nothing; the page says it in the language of the one before."""
    cookie = logged_in(address, "ops")
    left = request(f"{address}/auth/logout?lang=en", cookie)
    assert "Max-Age=0" in left.headers["set-cookie"]
    assert "You are logged out." in request(address + left.headers["location"]).body
    assert request(f"{address}/enterprise", cookie).status == 303
    assert request(f"{address}/media/0123abcd.csv", cookie).status == 401
    assert connects(address, cookie) == 403


def test_closed_account_is_out_at_once(address: str, sessions: Sessions) -> None:
    """What the command line closes, the running server keeps out."""
    cookie = logged_in(address, "leaver")
    assert connects(address, cookie) == 101
    sessions.accounts.set_disabled("leaver", disabled=True)
    assert connects(address, cookie) == 403
    assert request(f"{address}/enterprise", cookie).status == 303


def test_audit_log_knows_who_came_from_where(address: str, sessions: Sessions) -> None:
    """Each log-in, failure and log-out is written down with its address, unknown names without what was typed."""
    before = len(sessions.accounts.deeds())
    cookie = logged_in(address, "plant")
    request(f"{address}/auth/logout", cookie)
    request(f"{address}/auth/login", fields={"login": "my-password", "password": "x"})
    found = [(d.login, d.action, d.address) for d in sessions.accounts.deeds()[before:]]
    assert [row[:2] for row in found] == [("plant", "login"), ("plant", "logout"), ("", "login_failed")]
    assert {row[2] for row in found} <= {"127.0.0.1", "::1"}


def test_installation_without_accounts_says_how_to_open_one(installation: Settings) -> None:
    """There is no account with a known password; the log-in says what to run."""
    settings = replace(installation, home=installation.home / "fresh")
    with served(settings) as address:
        assert "nengliu user add" in request(f"{address}/auth/login").body
