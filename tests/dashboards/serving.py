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
from dataclasses import replace
from urllib.error import URLError

from dashboards import launch
from nengliu.settings import Settings

_PR_SET_PDEATHSIG = 1
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def served(settings: Settings, wait_s: float = 30) -> Iterator[str]:
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


def fetch(address: str) -> tuple[int, str]:
    """Give status and text of an address of this machine."""
    with _DIRECT.open(address, timeout=10) as answer:
        return answer.status, answer.read().decode()


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
