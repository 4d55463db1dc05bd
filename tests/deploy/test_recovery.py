"""A whole installation of a centre: every part that is killed works again within three seconds of its restart."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import psutil
import pytest
from factories import collector_toml

from nengliu.cli.health import lives
from nengliu.settings import Profile, Settings

pytestmark = pytest.mark.slow
RESUME_S = 3.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], object], timeout_s: float = 60) -> float:
    """Wait for a condition; how long it took [s]."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < timeout_s
        time.sleep(0.02)
    return time.monotonic() - start


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of an installation that runs, with a collector whose only meter is dead."""
    home = tmp_path_factory.mktemp("centre")
    (home / "collector.toml").write_text(collector_toml(free_port()))
    found = replace(Settings(home=home), profile=Profile.PROVINCE, port=free_port())
    environment = os.environ | {
        "NENGLIU_HOME": str(home),
        "NENGLIU_PORT": str(found.port),
        "NENGLIU_PROFILE": found.profile,
    }
    started_s = time.time()
    with (home / "up.txt").open("wb") as said:
        command = [sys.executable, "-P", "-m", "nengliu.cli", "up"]
        supervisor = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
    try:
        until(lambda: all(lives(found, part, started_s) for part in PARTS))
        yield found
    finally:
        supervisor.terminate()
        supervisor.wait(60)


PARTS = ("store", "ingest", "rollups", "anomaly", "collector", "dashboard")


def process(settings: Settings, part: str) -> int:
    """Process id of a part, as the supervisor noted it; 0 while it is not there."""
    try:
        return int(json.loads((settings.home / "up.lock").read_text())["parts"][part])
    except (KeyError, ValueError, OSError):
        return 0


@pytest.mark.parametrize("part", PARTS)
def test_killed_part_resumes_within_three_seconds_of_its_restart(settings: Settings, part: str) -> None:
    """Kill -9: another process takes over, and shows a sign of life of its own (a flow: its sources are open)."""
    before = process(settings, part)
    os.kill(before, signal.SIGKILL)
    restarted_s = until(lambda: process(settings, part) not in (0, before))
    started_s = time.time()
    resumed_s = until(lambda: lives(settings, part, started_s))
    sys.stderr.write(f"{part}: started again after {restarted_s:.2f} s, works {resumed_s:.2f} s later\n")

    assert restarted_s < 2
    assert resumed_s < RESUME_S


def test_stop_ends_every_part_in_order(settings: Settings) -> None:
    """SIGTERM to the supervisor stops page, collector, flows and store, and leaves no process behind."""
    owner = json.loads((settings.home / "up.lock").read_text())
    os.kill(owner["process"], signal.SIGTERM)
    until(lambda: not any(_lives(pid) for pid in owner["parts"].values()), 40)

    assert "Traceback" not in (settings.home / "up.txt").read_text()
    for part in PARTS:
        assert "Traceback" not in (settings.home / "logs" / f"{part}.log").read_text()


def _lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
