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

from acquisition.drivers.config import load_config
from acquisition.simulator.fleet import plant_lines
from nengliu.bus.sqlite import SqliteLog
from nengliu.cli import demo as demonstration
from nengliu.cli.demo import Told, append_story, free_ports, read_told, write_config, write_told
from nengliu.cli.supervise import Supervisor
from nengliu.cli.up import Installation
from nengliu.domain.links import LinkKind
from nengliu.errors import InputError
from nengliu.settings import Settings
from schemas.messages import Frame, LinkNotice, decode
from schemas.topics import RAW

START_MS = 1_795_233_600_000
METERS = 7
"""Meters that the collector reads; the output has none."""


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


def told_by_collector(home: Path) -> tuple[list[Frame], list[LinkNotice]]:
    """What the collector put into the log: readings, and what it saw that is no value."""
    with SqliteLog(home / "log.sqlite") as log:
        records = [r for part in range(log.partitions(RAW)) for r in log.read(RAW, part, 0, 100_000)]
    found = [decode(record.value) for record in records]
    frames = [one for one in found if isinstance(one, Frame) and one.source == "plant"]
    return frames, [one for one in found if isinstance(one, LinkNotice)]


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


def test_collector_is_configured_for_the_ports_of_this_start(tmp_path: Path) -> None:
    """A later start writes its own ports over those of an earlier one."""
    file, told = tmp_path / "collector.toml", Told(1, START_MS, 2)
    write_config(file, told, 17_000)
    write_config(file, told, 18_000)
    config = load_config(file)

    assert [(line.name, line.host, line.port) for line in config.lines] == [
        ("electricity", "127.0.0.1", 18_000),
        ("media", "127.0.0.1", 18_001),
    ]
    assert {meter.interval_s for line in config.lines for meter in line.meters} == {demonstration.INTERVAL_S}


def test_configuration_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """A folder with a collector of its own is not for the demonstration."""
    file = tmp_path / "collector.toml"
    file.write_text('name = "mine"\n')

    with pytest.raises(InputError, match=r"collector\.toml.*--home"):
        write_config(file, Told(1, START_MS, 2), 17_000)
    assert file.read_text() == 'name = "mine"\n'


def test_ports_are_two_free_ones_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair of which one is taken is passed over; with none left the error says what to do."""
    first = free_ports("127.0.0.1")
    with socket.socket() as server:
        server.bind(("127.0.0.1", first + 1))
        server.listen()
        assert free_ports("127.0.0.1") != first
    monkeypatch.setattr(demonstration, "is_free", lambda _port, _host: False)

    with pytest.raises(InputError, match="15020"):
        free_ports("127.0.0.1")


@pytest.mark.slow
def test_live_readings_come_over_the_wire_and_stop_in_order(tmp_path: Path) -> None:
    """A collector reads all meters of the simulated plant exactly as the story goes on; Ctrl-C loses nothing."""
    process = demo(tmp_path, "--days", "2")
    end = time.monotonic() + 90
    while time.monotonic() < end and process.poll() is None:
        if (tmp_path / "log.sqlite").exists() and len(told_by_collector(tmp_path)[0]) >= METERS - 1:
            break
        time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    frames, notices = told_by_collector(tmp_path)
    told = read_told(tmp_path / "demo.json")
    assert told is not None
    meters = {meter.name: meter for line in plant_lines(told.plant) for meter in line.meters}
    points = {
        schema.schema: schema.columns[0].point
        for schema in load_config(tmp_path / "collector.toml").schemas()
    }

    assert process.returncode == 0, said
    assert "read over Modbus TCP" in said
    assert len({frame.schema for frame in frames}) >= METERS - 1  # the water meter may be silent just now
    for frame in frames:
        meter, at_ms = meters[points[frame.schema]], int(frame.read_at_ms[0])
        shown = [meter.counted(ms) % meter.modulus for ms in (at_ms, at_ms + 1000)]
        assert shown[0] <= frame.values[0, 0] <= shown[1]
    assert notices[-1].events[-1].kind == LinkKind.COLLECTOR_STOPPED
    assert json.loads((tmp_path / "collector" / "plant.json").read_text())["queued"] == 0


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
    """Kill -9 of each part and at last of the supervisor: the plant runs on, nothing is lost."""
    process = demo(tmp_path, "--days", "3")
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    list(itertools.takewhile(lambda line: "runs on" not in line, lines))
    for name in ("store", "flow", "simulator", "collector", "dashboard"):
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
