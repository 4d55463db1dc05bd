"""`nengliu health PART`: 0 for a part that gives a sign of life, 3 for one that does not."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.runner import _recovery
from nengliu.cli.health import _noted_port, answers, flow_lives, flow_runs, lives, page_answers
from nengliu.cli.main import group
from nengliu.errors import InputError
from nengliu.settings import Settings
from nengliu.storage.client import dsn


def exit_code(part: str, **environment: str) -> int:
    return CliRunner(env=environment).invoke(group(), ["health", part]).exit_code


def note(settings: Settings, flow: str) -> Path:
    """Write what a flow writes when it ends an epoch."""
    file = settings.recovery_path / flow / "resume.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}")
    return file


def test_store_by_address_is_alive_if_it_takes_connections(store_settings: Settings, tmp_path: Path) -> None:
    """The health of the store is that of the one in force, embedded or a server."""
    assert exit_code("store", NENGLIU_HOME=str(store_settings.home), NENGLIU_STORE="") == 0
    assert exit_code("store", NENGLIU_HOME=str(tmp_path), NENGLIU_STORE=dsn(store_settings)) == 0
    assert exit_code("store", NENGLIU_HOME=str(tmp_path), NENGLIU_STORE="http://127.0.0.1:1") == 3
    assert exit_code("store", NENGLIU_HOME=str(tmp_path), NENGLIU_STORE="") == 3


def test_page_that_is_away_is_not_alive() -> None:
    """Nothing listens, so nothing answers."""
    assert not page_answers(1)
    assert not answers(1, "/", host="0.0.0.0")


def test_page_is_looked_for_where_the_supervisor_put_it(tmp_path: Path) -> None:
    """A page started with `up --port` is found; without a supervisor the settings say where it is."""
    settings = Settings(home=tmp_path, port=8501)
    assert _noted_port(settings) == 8501
    (tmp_path / "up.lock").write_text('{"address": "http://127.0.0.1:8600"}')
    assert _noted_port(settings) == 8600
    (tmp_path / "up.lock").write_text("")
    assert _noted_port(settings) == 8501


def test_flow_is_alive_while_it_ends_epochs(tmp_path: Path) -> None:
    """An epoch that ended lately is the sign of life; a longer epoch is given more time."""
    settings = Settings(home=tmp_path, epoch_s=2)
    assert not flow_lives(settings, "rollups")
    file = note(settings, "rollups")
    with _recovery(file.parent):
        assert flow_lives(settings, "rollups")
        then = time.time() - 60
        os.utime(file, (then, then))

        assert not flow_lives(settings, "rollups")
        assert flow_lives(Settings(home=tmp_path, epoch_s=20), "rollups")


def test_flow_that_ended_is_not_alive_however_fresh_its_note(tmp_path: Path) -> None:
    """The lock of the recovery store tells whether a process runs; looking does not hinder one that starts."""
    settings = Settings(home=tmp_path)
    folder = note(settings, "rollups").parent
    assert not flow_lives(settings, "rollups")
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            flow_runs(settings, "rollups")

    looking = [threading.Thread(target=look) for _ in range(2)]
    for thread in looking:
        thread.start()
    try:
        for _ in range(50):
            with _recovery(folder):
                assert flow_runs(settings, "rollups")
    finally:
        ended.set()
        for thread in looking:
            thread.join()
    assert not flow_runs(settings, "rollups")


def test_sign_of_a_predecessor_does_not_count(tmp_path: Path) -> None:
    """A part that was started anew is alive by what it did itself."""
    settings = Settings(home=tmp_path)
    with _recovery(note(settings, "embedded").parent):
        assert lives(settings, "flow")
        assert not lives(settings, "flow", started_s=time.time() + 1)


def test_collector_without_a_status_is_not_alive(tmp_path: Path) -> None:
    """A configuration alone reads no meter; a file that is no TOML is told by the doctor, not by a crash."""
    (tmp_path / "collector.toml").write_text("name = ")

    assert not lives(Settings(home=tmp_path), "collector")


def test_collectors_live_when_all_of_them_do(tmp_path: Path) -> None:
    """One process runs them; it is well when each of them is, and each can be asked for by its name."""
    settings = Settings(home=tmp_path)
    (tmp_path / "collector").mkdir()
    for name, process in (("north", os.getpid()), ("south", 0)):
        (tmp_path / f"collector-{name}.toml").write_text(f'name = "{name}"')
        status = json.dumps({"process": process, "heartbeat_s": 60})
        (tmp_path / "collector" / f"{name}.json").write_text(status)

    assert lives(settings, "collector-north")
    assert not lives(settings, "collector-south")
    assert not lives(settings, "collector")
    (tmp_path / "collector-south.toml").unlink()
    assert lives(settings, "collector")


def test_unknown_part_is_an_error_with_the_known_ones(tmp_path: Path) -> None:
    """A misspelt part in a health check is not taken for a sick one."""
    (tmp_path / "collector-north.toml").touch()

    with pytest.raises(InputError, match=r"flows.*ingest.*collector-north"):
        lives(Settings(home=tmp_path), "flows")
