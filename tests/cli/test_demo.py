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
from acquisition.simulator.site import sites
from nengliu.bus.sqlite import SqliteLog
from nengliu.cli import demo as demonstration
from nengliu.cli.demo import free_ports, write_configs
from nengliu.cli.telling import Booking, Told, append_story, begin, read_told, write_told
from nengliu.domain.links import LinkKind
from nengliu.errors import InputError
from nengliu.settings import Settings
from schemas.messages import ActionNotice, Frame, LinkNotice, decode
from schemas.topics import RAW

START_MS = 1_795_233_600_000
METERS = 7
"""Meters that the first plant's collector reads; the output has none."""
SETTINGS = {"NENGLIU_LANG": "en", "COLUMNS": "200"}


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
    env = os.environ | SETTINGS
    return subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True, env=env)


def told_by_collector(home: Path) -> tuple[list[Frame], list[LinkNotice]]:
    """What the collector put into the log: readings, and what it saw that is no value."""
    with SqliteLog(home / "log.sqlite") as log:
        records = [r for part in range(log.partitions(RAW)) for r in log.read(RAW, part, 0, 100_000)]
    found = [decode(record.value) for record in records]
    frames = [one for one in found if isinstance(one, Frame) and one.source == "qinglan" and one.schema > 1]
    return frames, [one for one in found if isinstance(one, LinkNotice)]


def messages(home: Path) -> int:
    with SqliteLog(home / "log.sqlite") as log:
        return sum(log.bounds(RAW, part).end for part in range(log.partitions(RAW)))


def test_story_broken_off_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A demonstration killed while it writes tells the rest at the next start, and nothing twice."""
    monkeypatch.setattr("nengliu.cli.telling.BATCH", 30)
    told = Told(1, START_MS, 20, 2)
    first = next(iter(append_story(Settings(home=tmp_path), told)))
    write_told(tmp_path / "demo.json", first)
    *_, last = append_story(Settings(home=tmp_path), read_told(tmp_path / "demo.json") or told)
    *_, whole = append_story(Settings(home=tmp_path / "other"), told)

    assert not first.complete
    assert last == whole
    assert messages(tmp_path) == messages(tmp_path / "other")


def test_story_killed_before_it_was_noted_tells_no_batch_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was appended is known by the log itself, so a kill before the note of it repeats nothing."""
    monkeypatch.setattr("nengliu.cli.telling.BATCH", 30)
    told = Told(1, START_MS, 20, 2)
    steps = append_story(Settings(home=tmp_path), told)
    noted, _unnoted = next(steps), next(steps)
    steps.close()
    *_, last = append_story(Settings(home=tmp_path), noted)
    *_, whole = append_story(Settings(home=tmp_path / "other"), told)

    assert last == whole
    assert messages(tmp_path) == messages(tmp_path / "other")


@pytest.mark.parametrize("name", ["log.sqlite", "store"])
def test_folder_with_data_of_ones_own_is_refused_before_anything_is_told(tmp_path: Path, name: str) -> None:
    """Invented readings never go among somebody's own."""
    (tmp_path / name).mkdir()

    with pytest.raises(InputError, match=f"{name}.*--home"):
        begin(tmp_path / "demo.json", 5, 3, default=(760, 40))
    assert not (tmp_path / "demo.json").exists()


def test_story_is_noted_before_its_first_message(tmp_path: Path) -> None:
    """A start that is killed before it told anything leaves a folder that the next start takes for its own."""
    fresh = begin(tmp_path / "demo.json", 5, 3, default=(760, 40))
    (tmp_path / "log.sqlite").touch()

    assert begin(tmp_path / "demo.json", None, None, default=(760, 40)) == fresh


def test_state_file_that_is_broken_is_told_with_a_cure(tmp_path: Path) -> None:
    """A state nobody can read is not guessed at."""
    (tmp_path / "demo.json").write_text('{"seed": 1}')

    with pytest.raises(InputError, match=r"demo\.json"):
        read_told(tmp_path / "demo.json")


def test_story_of_a_folder_is_kept_and_another_one_is_refused(tmp_path: Path) -> None:
    """What was told cannot be told otherwise; who asks for nothing gets what is there."""
    file = tmp_path / "demo.json"
    fresh = begin(file, 5, None, default=(760, 40))
    write_told(file, fresh)

    assert (fresh.days, fresh.enterprises) == (5, 40)
    assert begin(file, None, None, default=(760, 40)) == begin(file, 5, 40, default=(1, 1)) == fresh
    with pytest.raises(InputError, match=r"40 plants.*--enterprises|--enterprises.*40"):
        begin(file, None, 3, default=(760, 40))


def test_output_is_booked_once_for_each_plant_and_quarter(tmp_path: Path) -> None:
    """After a quarter-hour each plant tells its output, and how far that is survives a restart."""
    told = Told(1, START_MS, 2, 3, last_ms=START_MS + 2 * 86_400_000)
    file = tmp_path / "demo.json"
    with SqliteLog(tmp_path / "log.sqlite") as log:
        log.create(RAW, 1)
        book = Booking(file, told, log)
        for later_ms in (10_000, 900_000, 910_000):
            book(told.last_ms + later_ms)
        found = [decode(record.value) for record in log.read(RAW, 0, 0, 10)]

    assert [frame.source for frame in found if isinstance(frame, Frame)] == [
        site.slug for site in sites()[:3]
    ]
    assert all(frame.read_at_ms.tolist() == [told.last_ms] for frame in found if isinstance(frame, Frame))
    again = read_told(file)
    assert again is not None
    assert again.last_ms == told.last_ms + 900_000


def test_collectors_are_configured_for_the_ports_of_this_start(tmp_path: Path) -> None:
    """A later start writes its own ports over those of an earlier one, and takes away what is not wanted."""
    write_configs(tmp_path, Told(1, START_MS, 2, 3).province, 17_000)
    files = write_configs(tmp_path, Told(1, START_MS, 2, 2).province, 18_000)
    configs = [load_config(file) for file in files.values()]

    assert sorted(tmp_path.glob("*.toml")) == sorted(files.values())
    assert [config.name for config in configs] == list(files) == ["qinglan", "chiqiao-steel"]
    assert [(line.name, line.host, line.port) for config in configs for line in config.lines] == [
        ("electricity", "127.0.0.1", 18_000),
        ("media", "127.0.0.1", 18_001),
        ("electricity", "127.0.0.1", 18_002),
        ("media", "127.0.0.1", 18_003),
    ]
    intervals = {meter.interval_s for config in configs for line in config.lines for meter in line.meters}
    assert intervals == {demonstration.INTERVAL_S}
    assert {config.heartbeat_s for config in configs} == {demonstration.HEARTBEAT_S}


def test_configuration_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """A folder with a collector of its own is not for the demonstration."""
    file = tmp_path / "collector.toml"
    file.write_text('name = "mine"\n')

    with pytest.raises(InputError, match=r"collector\.toml.*--home"):
        write_configs(tmp_path, Told(1, START_MS, 2, 1).province, 17_000)
    assert file.read_text() == 'name = "mine"\n'


def test_ports_are_free_ones_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of which one is taken is passed over; with none left the error says what to do."""
    first = free_ports("127.0.0.1", 4)
    with socket.socket() as server:
        server.bind(("127.0.0.1", first + 3))
        server.listen()
        assert free_ports("127.0.0.1", 4) != first
    monkeypatch.setattr(demonstration, "is_free", lambda _port, _host: False)

    with pytest.raises(InputError, match="15020"):
        free_ports("127.0.0.1", 4)


@pytest.mark.slow
def test_live_readings_come_over_the_wire_and_stop_in_order(tmp_path: Path) -> None:
    """A collector reads all meters of the simulated plant exactly as the story goes on; Ctrl-C loses nothing."""
    process = demo(tmp_path, "--days", "2", "--enterprises", "2", "--scenario", "calm")
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
    meters = {meter.name: meter for line in plant_lines(told.province.plants[0]) for meter in line.meters}
    points = {
        schema.schema: schema.columns[0].point
        for schema in load_config(tmp_path / "collector-qinglan.toml").schemas()
    }

    assert process.returncode == 0, said
    assert "over Modbus TCP every 20 seconds" in said
    assert len({frame.schema for frame in frames}) >= METERS - 1  # the water meter may be silent just now
    for frame in frames:
        meter, at_ms = meters[points[frame.schema]], int(frame.read_at_ms[0])
        shown = [meter.counted(ms) % meter.modulus for ms in (at_ms, at_ms + 1000)]
        assert shown[0] <= frame.values[0, 0] <= shown[1]
    for slug in ("qinglan", "chiqiao-steel"):
        own = [notice for notice in notices if notice.source == slug]
        assert own[-1].events[-1].kind == LinkKind.COLLECTOR_STOPPED
        assert json.loads((tmp_path / "collector" / f"{slug}.json").read_text())["queued"] == 0


@pytest.mark.slow
def test_collectors_silent_while_it_was_off_are_acknowledged_at_the_next_start(tmp_path: Path) -> None:
    """What the demonstration itself did is no flood of incidents: each is closed as soon as its collector is back."""
    for arguments in (("--days", "2", "--enterprises", "2"), ()):
        process = demo(tmp_path, *arguments, "--scenario", "calm")
        assert process.stderr is not None
        next(line for line in process.stderr if "collector ●" in line)
        time.sleep(5)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    with SqliteLog(tmp_path / "log.sqlite") as log:
        records = [r for part in range(log.partitions(RAW)) for r in log.read(RAW, part, 0, 100_000)]
    actions = [one for one in (decode(record.value) for record in records) if isinstance(one, ActionNotice)]

    assert sorted(one.enterprise for one in actions) == sorted(s.enterprise.enterprise for s in sites()[:2])
    assert {(one.action, one.by, one.reason) for one in actions} == {
        ("acknowledge", "demo", "The demonstration was off.")
    }


def test_demo_shows_exact_facts_and_is_quick_the_second_time(tmp_path: Path) -> None:
    """One command loads the province and says true things of it; a second start tells nothing again."""
    first = demo(tmp_path, "--days", "12", "--enterprises", "4", "--once")
    said = first.communicate(timeout=100)[1]
    told = (tmp_path / "demo.json").read_text()
    count = messages(tmp_path)
    second = demo(tmp_path, "--once")
    again = second.communicate(timeout=60)[1]

    assert first.returncode == second.returncode == 0, said + again
    assert re.search(r"http://127\.0\.0\.1:\d+", said)
    assert "All of it is simulated" in said
    assert "of 32 points of 4 plants add up to the registers' differences, to the last digit" in said
    assert "(difference 0)" in said
    for login in ("analyst", "officer", "plant", "operator"):
        assert re.search(rf"^  {login} +\S{{12,}} ", said, re.MULTILINE)
    assert (tmp_path / "demo.json").read_text() == told
    assert messages(tmp_path) == count
    assert not (tmp_path / "store" / "port").exists()


@pytest.mark.slow
def test_killed_parts_and_killed_supervisor_heal(tmp_path: Path) -> None:
    """Kill -9 of each part and at last of the supervisor: the plant runs on, nothing is lost."""
    process = demo(tmp_path, "--days", "3", "--enterprises", "3")
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    list(itertools.takewhile(lambda line: "run on" not in line, lines))
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
