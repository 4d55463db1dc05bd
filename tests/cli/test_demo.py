"""The demonstration end to end: real store, real flows, real page, a few simulated days."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from nengliu.bus.sqlite import SqliteLog
from nengliu.cli.demo import Told, append_story, read_told, write_told
from nengliu.cli.supervise import Supervisor
from nengliu.cli.up import Installation
from nengliu.errors import InputError
from nengliu.settings import Settings
from schemas.topics import RAW

START_MS = 1_795_233_600_000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def demo(home: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-P",
        "-m",
        "nengliu.cli",
        "--home",
        str(home),
        "demo",
        "--port",
        str(free_port()),
    ]
    env = {**os.environ, "NENGLIU_LANG": "en", "COLUMNS": "200"}
    return subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True, env=env)


def installation(home: Path) -> Installation:
    settings = Settings(home=home)
    return Installation(settings, Supervisor((), home), "127.0.0.1", lambda **_: None)


def messages(home: Path) -> int:
    with SqliteLog(home / "log.sqlite") as log:
        return sum(log.bounds(RAW, part).end for part in range(log.partitions(RAW)))


def test_story_broken_off_goes_on_where_it_was(tmp_path: Path) -> None:
    """A demonstration killed while it writes tells the rest at the next start, and nothing twice."""
    told = Told(1, START_MS, 20)
    first = next(iter(append_story(installation(tmp_path), told)))
    write_told(tmp_path / "demo.json", first)
    *_, last = append_story(installation(tmp_path), read_told(tmp_path / "demo.json") or told)
    *_, whole = append_story(installation(tmp_path / "other"), told)

    assert not first.complete
    assert last == whole
    assert messages(tmp_path) == messages(tmp_path / "other")


def test_state_file_that_is_broken_is_told_with_a_cure(tmp_path: Path) -> None:
    """A state nobody can read is not guessed at."""
    (tmp_path / "demo.json").write_text('{"seed": 1}')

    with pytest.raises(InputError, match=r"demo\.json"):
        read_told(tmp_path / "demo.json")


def test_demo_shows_exact_facts_and_is_quick_the_second_time(tmp_path: Path) -> None:
    """One command loads the plant and says three true things; a second start tells nothing again."""
    first = demo(tmp_path, "--days", "12", "--once")
    said = first.communicate(timeout=100)[1]
    told = (tmp_path / "demo.json").read_text()
    count = messages(tmp_path)
    second = demo(tmp_path, "--once")
    again = second.communicate(timeout=60)[1]

    assert first.returncode == second.returncode == 0, said + again
    assert re.search(r"http://127\.0\.0\.1:\d+", said)
    assert "so do all 8 points, to the last digit" in said
    assert "(difference 0)" in said
    assert "3. On " in said
    assert (tmp_path / "demo.json").read_text() == told
    assert messages(tmp_path) == count
    assert not (tmp_path / "store" / "port").exists()


@pytest.mark.slow
def test_killed_parts_and_killed_supervisor_heal(tmp_path: Path) -> None:
    """Kill -9 of store, flows, page and at last of the supervisor: the plant runs on, nothing is lost."""
    process = demo(tmp_path, "--days", "3")
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    list(itertools.takewhile(lambda line: "runs on" not in line, lines))
    for name in ("store", "flow", "dashboard"):
        parts = json.loads((tmp_path / "up.lock").read_text())["parts"]
        os.kill(parts[name], signal.SIGKILL)
        list(
            itertools.takewhile(lambda line: "✗" in line or "◌" in line, itertools.dropwhile(_is_well, lines))
        )
    parts = json.loads((tmp_path / "up.lock").read_text())["parts"]
    process.kill()
    process.communicate()
    end = time.monotonic() + 20
    while time.monotonic() < end and any(psutil.pid_exists(pid) for pid in parts.values()):
        time.sleep(0.1)
    assert not any(psutil.pid_exists(pid) for pid in parts.values())
    last = demo(tmp_path, "--once")
    said = last.communicate(timeout=60)[1]

    assert last.returncode == 0, said
    assert "to the last digit" in said
    assert "(difference 0)" in said


def _is_well(line: str) -> bool:
    return "✗" not in line
