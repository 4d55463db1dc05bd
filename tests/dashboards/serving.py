"""The page as its readers get it: the real server on a free port, on a given installation."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.message import Message
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode

from dashboards import launch
from nengliu.accounts import Account, Accounts, Role
from nengliu.settings import Settings
from tests.dashboards.plant import PLANT

PASSWORD = "Trial-Barometer-77"
PEOPLE = (
    Account("ops", "值班员", Role.OPERATOR),
    Account("analyst", "分析员", Role.ANALYST, region="32"),
    Account("officer", "监察员", Role.ENFORCEMENT, region="3205"),
    Account("plant", "能源管理员", Role.ENTERPRISE, enterprise=PLANT),
)
"""One account per role, as they fit the small plant."""

_PR_SET_PDEATHSIG = 1


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())


@contextmanager
def served(settings: Settings, wait_s: float = 60) -> Iterator[str]:
    """Serve the page and give its address; the process dies with the tests."""
    settings = replace(settings, port=_free_port())
    process = subprocess.Popen(
        launch.command(settings),
        env=launch.environment(settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,  # noqa: PLW1509
    )
    address = f"http://localhost:{settings.port}"
    try:
        _await(address, process, wait_s)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def enrol(settings: Settings, *accounts: Account) -> None:
    """Open accounts in an installation, all with `PASSWORD`; those of every role if none is named."""
    store = Accounts(settings)
    for account in accounts or PEOPLE:
        if store.find(account.login) is None:
            store.add(account, PASSWORD)
    store.close()


def logged_in(address: str, login: str, password: str = PASSWORD) -> str:
    """Log in as a browser does and give the value of its ``Cookie`` header."""
    answer = request(f"{address}/auth/login", fields={"login": login, "password": password})
    assert answer.status == 303, (answer.status, answer.body[:300])
    return answer.headers["set-cookie"].split(";")[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said, redirections not followed."""

    status: int
    headers: Message
    body: str


def request(address: str, cookie: str = "", fields: dict[str, str] | None = None, **headers: str) -> Answer:
    """Ask for an address of this machine, or send a form to it; names of headers with _ for -."""
    body = None if fields is None else urlencode(fields).encode()
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    asked = urllib.request.Request(address, body, sent | ({"Cookie": cookie} if cookie else {}))
    try:
        with _DIRECT.open(asked, timeout=10) as answer:
            return Answer(answer.status, answer.headers, answer.read().decode("utf-8", "replace"))
    except HTTPError as error:
        return Answer(error.code, error.headers, error.read().decode("utf-8", "replace"))


def fetch(address: str, cookie: str = "") -> tuple[int, str]:
    """Give status and text of an address of this machine."""
    answer = request(address, cookie)
    return answer.status, answer.body


def _await(address: str, process: subprocess.Popen[bytes], wait_s: float) -> None:
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the page ended with {process.returncode}")
        try:
            if fetch(f"{address}/_stcore/health")[0] == 200:
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the page did not answer within {wait_s} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
