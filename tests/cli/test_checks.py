"""What the doctor finds wrong with log, flows and collectors, each fault with its cure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import collector_toml

from flows.runner import _recovery
from nengliu.bus.open import open_log
from nengliu.cli import checks
from nengliu.cli.checks import Check, collector_checks, flow_checks, log_checks
from nengliu.cli.health import collector_lives, lives
from nengliu.settings import Settings
from schemas.topics import RAW, VALID


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NENGLIU_LANG", "en")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an installation that does not run."""
    return Settings(home=tmp_path, partitions=2)


def one(found: Iterator[Check], name: str) -> Check:
    """The check of that name; a failing one says what to do."""
    check = next(check for check in found if check.name == name)
    assert check.ok or check.cure
    return check


def collector(settings: Settings, name: str, **status: object) -> Check:
    """What the doctor says of a collector with that status."""
    (settings.home / "collector.toml").write_text(collector_toml())
    file = settings.home / "collector" / "workshop.json"
    file.parent.mkdir(exist_ok=True)
    told: Mapping[str, object] = {"process": os.getpid(), "heartbeat_s": 60, "meters": 1, **status}
    file.write_text(json.dumps(told))
    return one(collector_checks(settings, offline=False), name)


def test_log_that_is_read_is_well(settings: Settings) -> None:
    """Messages the store has taken in are not behind."""
    with open_log(settings) as log:
        log.append(RAW, [("x", b"{}")] * 5)
        taken = {part: log.bounds(RAW, part).end - 1 | 1 << 48 for part in range(2)}
    check = one(log_checks(settings, taken), "log")

    assert check.ok
    assert " 0 messages behind" in check.found


def test_message_that_waits_half_its_keeping_is_a_fault(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flow that is down for long is told before the log forgets what it has not read."""
    open_log(settings).close()
    assert one(log_checks(settings, {}), "retention").ok
    later = time.time() + 16 * 86_400
    monkeypatch.setattr("nengliu.cli.checks.time.time", lambda: later)

    assert "16.0 days" in one(log_checks(settings, {}), "retention").found
    assert not one(log_checks(settings, {}), "retention").ok


def test_broker_that_is_away_is_a_fault_told_at_once(settings: Settings) -> None:
    """The doctor does not wait half a minute to say that nobody listens."""
    began = time.monotonic()
    check = one(log_checks(replace(settings, bus="127.0.0.1:1,nowhere"), {}), "broker")

    assert not check.ok
    assert "127.0.0.1:1" in check.found
    assert time.monotonic() - began < 5


@pytest.mark.broker
def test_broker_is_examined_from_login_to_topics(settings: Settings, empty_kafka: Any) -> None:
    """A wrong password and another number of partitions are told as what they are."""
    from broker.server import PASSWORD, USER

    known = replace(
        settings,
        bus=empty_kafka.address("sasl"),
        bus_security="sasl",
        bus_user=USER,
        bus_password=PASSWORD,
    )
    wrong = one(log_checks(replace(known, bus_password="guess"), {}), "broker")
    assert not wrong.ok
    assert "guess" not in wrong.found
    assert "bus_password" in wrong.found

    open_log(known).close()
    assert one(log_checks(known, {}), "broker").ok
    assert one(log_checks(known, {}), "topics").ok
    assert one(log_checks(known, {}), "log").ok
    other = one(log_checks(replace(known, partitions=3), {}), "topics")
    assert not other.ok
    assert "3" in other.cure


def test_machine_without_flows_is_not_blamed_for_a_lag(settings: Settings) -> None:
    """Where only a collector runs nobody knows how far the flows of the centre are, and nothing is said of it."""
    with open_log(settings) as log:
        log.append(RAW, [("x", b"{}")] * 5)

    assert [check.name for check in log_checks(settings, None)] == []


def test_flow_is_behind_by_what_it_noted(settings: Settings) -> None:
    """Without the store the flows' own notes tell how far they are, of the second topic too."""
    with open_log(settings) as log:
        log.append(VALID, [("x", b"{}")] * 5)
        places = {topic: {str(p): [1, log.bounds(topic, p).end] for p in range(2)} for topic in (RAW, VALID)}
    places[VALID] = {"0": [1, 0], "1": [1, 0]}
    folder = settings.recovery_path / "rollups"
    folder.mkdir(parents=True)
    (folder / "part-0.sqlite3").touch()
    (folder / "resume.json").write_text(json.dumps(places))

    assert " 5 messages behind" in one(log_checks(settings, None), "log").found


def test_topics_that_are_not_laid_are_named(settings: Settings) -> None:
    """A new broker has none: the doctor names them, and that a flow lays them."""
    with open_log(settings) as log:
        check = checks._topics(log, settings, [RAW])

    assert not check.ok
    assert VALID in check.found
    assert RAW not in check.found


def test_flow_that_ended_no_epoch_lately_is_a_fault(settings: Settings) -> None:
    """A flow that ran once and does not now is named; one that never ran here is no business of this folder."""
    assert list(flow_checks(settings)) == []
    folders = {name: settings.recovery_path / name for name in ("ingest", "rollups")}
    with ExitStack() as held:
        for folder in folders.values():
            held.enter_context(_recovery(folder))
            (folder / "resume.json").write_text("{}")
        assert one(flow_checks(settings), "flows").ok
        os.utime(folders["rollups"] / "resume.json", (1, 1))
        check = one(flow_checks(settings), "flows")

        assert (check.ok, check.found) == (False, "no epoch ended lately: rollups")
    check = one(flow_checks(settings), "flows")
    assert (check.ok, check.found) == (False, "not running: ingest, rollups")


def test_partition_that_no_process_takes_is_a_fault(settings: Settings) -> None:
    """Flows that are shared out are named by their shares, and what they leave out is told."""
    with ExitStack() as held:
        for name, ok in (("embedded-0", False), ("embedded-1", True)):
            held.enter_context(_recovery(settings.recovery_path / name))
            (settings.recovery_path / name / "resume.json").write_text("{}")
            check = one(flow_checks(settings), "flows")
            assert check.ok is ok
            assert ok or check.found == "no process takes the partitions flow 1"
        assert check.found == "running: flow-0, flow-1"
        assert lives(settings, "flow")
        assert lives(settings, "flow-0")
    assert not lives(settings, "flow-0")


def test_broken_configuration_of_a_collector_is_told_with_its_file(settings: Settings) -> None:
    """Also offline: a file that cannot be used is found before the collector is started."""
    (settings.home / "collector.toml").write_text(
        collector_toml().replace('map = "generic"', 'map = "generik"')
    )
    check = one(collector_checks(settings, offline=True), "collector_config")

    assert not check.ok
    assert "generik" in check.found


def test_collector_that_does_not_run_is_a_fault(settings: Settings) -> None:
    """No process, a process without a sign of life, and a clean stop are told apart from one that runs."""
    assert collector(settings, "collector").ok
    assert "not running" in collector(settings, "collector", process=0).found
    file = settings.home / "collector" / "workshop.json"
    os.utime(file, (1, 1))
    assert not collector_lives(settings, settings.home / "collector.toml")


def test_silent_meters_are_named_with_line_and_reason(settings: Settings) -> None:
    """Whoever goes there knows which meter on which line; a line that is down stands for its meters."""
    meters = [{"name": "main", "state": "DOWN", "reason": "TIMEOUT"}, {"name": "side", "state": "UP"}]
    lines = [
        {"name": "a", "state": "UP", "meters": meters},
        {"name": "b", "state": "DOWN", "reason": "LINE_DOWN", "meters": [{"name": "x", "state": "UP"}]},
    ]
    check = collector(settings, "meters", lines=lines, meters=3, down=2)

    assert not check.ok
    assert "2 of 3" in check.found
    assert "a/main (TIMEOUT), b (LINE_DOWN)" in check.found
    assert collector(settings, "meters", lines=[], meters=3).ok


def test_buffer_that_fills_is_a_fault_before_it_is_full(settings: Settings) -> None:
    """There is time to act: the alarm comes at four fifths."""
    assert collector(settings, "buffer", fill=0.79).ok
    assert "80 %" in collector(settings, "buffer", fill=0.8).found
    assert not collector(settings, "buffer", fill=0.8).ok


def test_backlog_is_a_fault_when_its_oldest_message_waits_long(settings: Settings) -> None:
    """A collector that lost its centre is told; one that merely has some messages under way is not."""
    now_ms = int(time.time() * 1000)
    assert collector(settings, "backlog", queued=3, oldest_ms=now_ms).ok
    assert collector(settings, "backlog", queued=0, oldest_ms=1, backfill=1000).ok
    old = collector(settings, "backlog", queued=3, oldest_ms=now_ms - 1000 * int(checks.MOST_WAIT_S + 60))

    assert not old.ok
    assert "16 min" in old.found


def test_centre_that_was_taken_out_and_still_costs_room_is_named(settings: Settings) -> None:
    """What is kept for nobody is told with its cure; a centre that is configured is not."""
    centre = {"name": "old", "configured": False, "queued": 3, "backfill": 4}
    for configured in (False, True):
        centres = [centre | {"configured": configured}]
        told = list(checks._forgotten("c1", {"centres": centres}))
        assert [check.ok for check in told] == ([] if configured else [False])
    found = next(checks._forgotten("c1", {"centres": [centre]}))

    assert "7 messages" in found.found
    assert "forget-centre old" in found.cure


def test_real_collector_with_a_dead_line_is_examined(settings: Settings) -> None:
    """The doctor reads what a running collector really writes: it runs, its meter does not answer."""
    (settings.home / "collector.toml").write_text(collector_toml())
    environment = os.environ | {"NENGLIU_HOME": str(settings.home), "NENGLIU_PARTITIONS": "2"}
    command = [sys.executable, "-P", "-m", "nengliu.cli", "collect"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while (
            not (found := {check.name: check for check in collector_checks(settings, offline=False)}).get(
                "meters"
            )
            or found["meters"].ok
        ):
            assert time.monotonic() < until, found
            time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(20)

    assert found["collector"].ok
    assert "line (LINE_DOWN)" in found["meters"].found
    assert found["buffer"].ok
    stopped = one(collector_checks(settings, offline=False), "collector")
    assert not stopped.ok
