"""`nengliu collect`: examines its file, reads once for the eye, and runs until it is asked to stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from meters import make_toml
from peers import peer, refuses, silent

from acquisition.drivers.config import load_config
from nengliu.bus.open import open_log
from nengliu.cli.main import group
from nengliu.domain.links import LinkKind
from nengliu.errors import InputError
from nengliu.settings import Settings
from schemas.messages import Frame, LinkNotice, decode
from schemas.topics import RAW


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NENGLIU_LANG", "en")
    monkeypatch.setenv("NENGLIU_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")


@contextmanager
def served() -> Iterator[int]:
    """Run meters in a thread: unit 2 is silent, unit 3 refuses, the others answer with their addresses."""
    ready, port = threading.Event(), [0]
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with peer({2: silent, 3: refuses(2)}) as other:
            port[0] = other.port
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(5)
    try:
        yield port[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
            loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()


def write(home: Path, port: int, units: tuple[int, ...] = (1, 2)) -> Path:
    file = home / "collector.toml"
    file.write_text(make_toml(port, units), encoding="utf-8")
    return file


def test_check_shows_what_would_be_read_and_connects_to_nothing(tmp_path: Path) -> None:
    """The plan names lines, meters and the requests of a round; port 1 has nobody to ask."""
    write(tmp_path, 1)

    result = CliRunner().invoke(group(), ["collect", "--check"])

    assert result.exit_code == 0, result.output
    assert "north 127.0.0.1:1" in result.output
    assert "3:32+5" in result.output
    assert "1 lines, 2 meters, 2 requests for 4 readings" in result.output


def test_check_names_the_fault(tmp_path: Path) -> None:
    """A fault of the file ends the command with the user's exit code."""
    file = write(tmp_path, 1)
    file.write_text(file.read_text().replace("timeout_s", "timeout"))

    result = CliRunner().invoke(group(), ["collect", "--check"])

    assert isinstance(result.exception, InputError)
    assert "nearest: timeout_s" in str(result.exception)


def test_once_shows_values_and_reasons_and_writes_nothing(tmp_path: Path) -> None:
    """Each register has its value or why there is none."""
    with served() as port:
        file = write(tmp_path, port)
        result = CliRunner().invoke(group(), ["collect", "--once", "--config", str(file)])

    assert result.exit_code == 0, result.output
    assert "3.2" in result.output
    assert "0.36" in result.output
    assert result.output.count("The meter m2 did not answer in time") == 2
    assert "2 values, 2 missing" in result.output
    assert [file.name for file in tmp_path.iterdir()] == ["collector.toml"]


def test_once_tells_what_to_change_in_a_map(tmp_path: Path) -> None:
    """A register the meter does not have is named with function and address."""
    with served() as port:
        file = write(tmp_path, port, units=(3,))
        result = CliRunner().invoke(group(), ["collect", "--once", "--config", str(file)])

    assert result.exit_code == 0, result.output
    assert "it refuses function 3, address 32 (from 0; exception code 2)" in result.output


def test_collector_runs_until_it_is_asked_to_stop(tmp_path: Path) -> None:
    """A real process reads, tells its state, and at SIGTERM puts everything into the log and ends with 0."""
    with served() as port:
        write(tmp_path, port)
        command = [sys.executable, "-m", "nengliu.cli", "collect"]
        environment = os.environ | {"NENGLIU_HOME": str(tmp_path)}
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
            status = tmp_path / "collector" / "c1.json"
            until = time.monotonic() + 30
            while time.monotonic() < until and (not status.exists() or '"down": 1' not in status.read_text()):
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            errors = process.communicate(timeout=30)[1].decode()

    assert process.returncode == 0, errors
    assert "LinkChanged count=1 kind=METER_DOWN reason=TIMEOUT line=north meter=m2" in errors
    assert json.loads(status.read_text())["process"] == 0
    log = open_log(Settings(home=tmp_path))
    messages = [decode(one.value) for p in range(4) for one in log.read(RAW, p, 0, 1000)]
    log.close()
    kinds = {event.kind for one in messages if isinstance(one, LinkNotice) for event in one.events}
    assert {LinkKind.COLLECTOR_STARTED, LinkKind.COLLECTOR_STOPPED, LinkKind.METER_DOWN} <= kinds
    assert next(one.values.tolist() for one in messages if isinstance(one, Frame)) == [[32, 36]]


def test_shipped_example_is_in_order() -> None:
    """The example that people copy is a valid file."""
    folder = Path(__file__).parents[3] / "examples" / "collector"

    config = load_config(folder / "collector.toml")

    assert {line.name for line in config.lines}
    assert any(meter.map.name == "workshop_meter" for line in config.lines for meter in line.meters)
