"""A stop ends a collector in every state within its patience, as a call and as SIGTERM of the real process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from factories import ENTERPRISE
from meters import make_config, make_line, make_meter, make_toml
from peers import peer, silent, well

from acquisition.drivers import collector
from acquisition.drivers.clock import SystemClock
from acquisition.drivers.collector import DRAIN_S, Collector, run_collector
from acquisition.drivers.config import BufferPlan, CollectorConfig
from acquisition.drivers.keeping.buffer import Buffer
from nengliu.bus.sqlite import SqliteLog
from nengliu.errors import LogError
from nengliu.settings import Settings

PATIENCE_S = DRAIN_S + 1


class HangingLog(SqliteLog):
    """Takes messages and never says so."""

    release = threading.Event()

    def append(self, topic: str, messages: Sequence[tuple[str, bytes]]) -> list[int]:
        """Wait for the end of the test."""
        self.release.wait(60)
        raise LogError("released")


@contextmanager
def deaf() -> Iterator[int]:
    """Give a port whose listener takes nobody in: a connection to it is for ever on its way."""
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port: int = server.getsockname()[1]
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        yield port


@contextmanager
def dumb() -> Iterator[int]:
    """Give a port that connects and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield server.getsockname()[1]


async def stop_after(
    seconds: float, settings: Settings, config: CollectorConfig, **given: SystemClock
) -> float:
    """Run a collector for a while and stop it; say how long the stop took [s]."""
    made: list[Collector] = []
    task = asyncio.create_task(run_collector(settings, config, on_ready=made.append, **given))
    await asyncio.sleep(seconds)
    began = time.monotonic()
    await made[0].stop()
    took = time.monotonic() - began
    await task
    return took


def of_port(port: int, **given: object) -> CollectorConfig:
    line = make_line(make_meter(1, interval_s=1), make_meter(2, interval_s=1), port=port, timeout_s=50.0)
    return make_config(replace(line, **given))


@pytest.mark.parametrize("manners", [silent, well])
def test_stop_while_a_meter_is_asked_is_prompt(tmp_path: Path, manners: Callable[..., object]) -> None:
    """Neither an answer that never comes nor one that comes just now holds up the end."""

    async def work() -> float:
        async with peer(manners) as other:  # type: ignore[arg-type]
            return await stop_after(1.2, Settings(home=tmp_path), of_port(other.port))

    assert asyncio.run(work()) < 1


def test_stop_while_a_line_pauses_is_prompt(tmp_path: Path) -> None:
    """The quiet between two requests is not waited for."""

    async def work() -> float:
        async with peer(well) as other:
            return await stop_after(1.2, Settings(home=tmp_path), of_port(other.port, pause_ms=50_000))

    assert asyncio.run(work()) < 1


def test_stop_while_connecting_is_prompt(tmp_path: Path) -> None:
    """A connection on its way is given up."""
    with deaf() as port:
        assert asyncio.run(stop_after(0.3, Settings(home=tmp_path), of_port(port))) < 1


def test_stop_log_hangs_ends_with_its_patience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that never returns costs the drain's patience, and the buffer keeps what it did not take."""
    log = HangingLog(tmp_path / "other.sqlite")
    monkeypatch.setattr(collector, "open_centre", lambda settings, plan, folder: log)
    monkeypatch.setattr(collector, "DRAIN_S", 1.0)

    async def work() -> float:
        async with peer(well) as other:
            return await stop_after(1.2, Settings(home=tmp_path), of_port(other.port))

    try:
        assert 0.9 < asyncio.run(work()) < 2
    finally:
        log.release.set()
    buffer = Buffer(tmp_path / "collector" / "c1.sqlite")
    assert sum(buffer.queued("centre")) > 2
    buffer.close()


def test_stop_in_a_long_backlog_ends_with_its_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is to go out slowly is left for the next start."""
    monkeypatch.setattr(collector, "DRAIN_S", 1.0)
    config = replace(of_port(1), buffer=BufferPlan(backfill_per_s=1))
    buffer = Buffer(tmp_path / "collector" / "c1.sqlite", synchronous="OFF")
    buffer.boot(0)
    for _ in range(1000):
        buffer.put(ENTERPRISE, 0, buffer.next_sequence(), bytes(40))
    buffer.flush()
    buffer.close()

    assert asyncio.run(stop_after(1.2, Settings(home=tmp_path), config)) < 2


def test_stop_disk_refuses_ends_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be kept ends the process with an error, not with a wait."""

    def refuses(buffer: Buffer) -> None:
        if buffer._rows:
            raise LogError("disk full")

    monkeypatch.setattr(Buffer, "flush", refuses)

    async def work() -> None:
        async with peer(well) as other:
            began = time.monotonic()
            with pytest.raises(LogError, match="disk full"):
                await stop_after(1.2, Settings(home=tmp_path), of_port(other.port))
            assert time.monotonic() - began < 1.2 + PATIENCE_S

    asyncio.run(work())


def test_stop_while_the_clock_was_never_set_is_prompt(tmp_path: Path) -> None:
    """A collector that waits for its clock can be ended as well, and has said nothing."""

    class Unset(SystemClock):
        def now_ms(self) -> int:
            return super().now_ms() % 86_400_000

    assert asyncio.run(stop_after(0.2, Settings(home=tmp_path), of_port(1), clock=Unset())) < 1
    buffer = Buffer(tmp_path / "collector" / "c1.sqlite")
    assert buffer.queued("centre") == (0, 0)
    buffer.close()


@pytest.mark.parametrize(
    ("log", "wait_s"),
    [
        ("embedded", 0.0),
        ("embedded", 1.5),
        pytest.param("no broker", 0.0, marks=pytest.mark.slow),
        pytest.param("dumb broker", 1.5, marks=pytest.mark.slow),
    ],
)
def test_sigterm_ends_the_real_process(tmp_path: Path, log: str, wait_s: float) -> None:
    """With silent meters, without a broker and with one that says nothing: at once or in full swing."""
    brokers: dict[str, AbstractContextManager[int]] = {"no broker": nullcontext(1), "dumb broker": dumb()}
    with dumb() as meters, brokers.get(log, nullcontext(0)) as broker:
        (tmp_path / "collector.toml").write_text(make_toml(meters, (1,), timeout_s=50.0))
        environment = os.environ | {"NENGLIU_HOME": str(tmp_path)}
        if broker:
            environment["NENGLIU_BUS"] = f"127.0.0.1:{broker}"
        command = [sys.executable, "-m", "nengliu.cli", "collect"]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
            until = time.monotonic() + 30
            while time.monotonic() < until and not (tmp_path / "collector" / "c1.json").exists():
                time.sleep(0.01)
            time.sleep(wait_s)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            errors = process.communicate(timeout=30)[1].decode()
            took = time.monotonic() - began

    assert process.returncode == 0, errors
    assert took < PATIENCE_S + 1
    assert "Traceback" not in errors
    assert "kind=COLLECTOR_STOPPED" in errors
