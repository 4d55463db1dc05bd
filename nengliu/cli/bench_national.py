"""`nengliu bench national`: the load of a country on one machine, live.

1,000,000 points of 20,000 enterprises.  The product's own processes run over a log and a store of their own; the
generator is another process and does not count.  Stamps lie in the hours before the start, as if they were now, because
nothing may be stamped in the future.  What each register shows at each time is a function of both, so that every total
is known.

burst
    Each point is read on the quarter; all readings are in the log at once.  Seconds from the last append until the
    nation's total of the quarter, over the enterprises' totals in the store, is complete.
backfill
    Some enterprises, silent until now, send their last 15 days; the next burst comes right behind.
stream
    Each point is read every minute, for some minutes by the clock.
resume
    The flow is killed with signal 9; seconds from its new start until a reading that was appended after the kill is
    stored.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import click
import numpy as np
import numpy.typing as npt
import psutil

from nengliu import settings as own_settings
from nengliu.bus import Log
from nengliu.bus.open import open_log
from nengliu.cli.bench_chain import (
    command,
    environment,
    flow_beside,
    number,
    raw_on_disk,
    serving,
    settle,
)
from nengliu.cli.bench_data import code
from nengliu.cli.bench_report import Fact
from nengliu.cli.language import say
from nengliu.domain.points import Column, Enterprise, Kind, Meter, Point, Schema
from nengliu.domain.times import QUARTER_MS
from nengliu.settings import Settings
from nengliu.storage import connect, disconnect, migrate
from schemas.messages import EnterpriseNotice, Frame, Message, PointNotice, SchemaNotice, encode
from schemas.topics import RAW

POINTS = 1_000_000
MINUTES = 3
PER_ENTERPRISE = 50
SILENT = 0.02
"""Part of the enterprises that come back with 15 days: 20,000 points of a million."""
HISTORY = 8
"""Quarter-hours before the first burst."""
DAYS = 15
BATCH = 2000
"""Messages of an append."""
PATIENCE_S = 1800.0
"""How long the benchmark waits for what should have come [s]."""
POLL_S = 0.1
RESUMED_POINTS = 40_000
Ints = npt.NDArray[np.int64]
_PROVINCES = (11, 13, 21, 31, 32, 33, 35, 37, 41, 42, 44, 51, 61)


class Flow(Protocol):
    """A running flow, whatever way it was started."""

    @property
    def pid(self) -> int | None:
        """Its process."""

    def kill(self) -> None:
        """End it by signal 9."""


@dataclass(frozen=True, slots=True)
class Nation:
    """Enterprises of 50 counters each: one at the boundary, the others below it in five processes."""

    enterprises: int
    interval_s: int

    def notices(self, first: int, end: int) -> Iterator[Message]:
        """The catalogue of some enterprises."""
        columns = tuple(Column(f"p{i:02d}", "kWh", 2) for i in range(PER_ENTERPRISE))
        meters = (Meter(0, "kWh", 2),)
        for e in range(first, end):
            region = f"{_PROVINCES[e % len(_PROVINCES)]}0000"
            yield EnterpriseNotice(
                Enterprise(code(e), "基准测试", "Benchmark", region, "C3110", simulated=True)
            )
            for i, column in enumerate(columns):
                place, level = (f"plant/process-{i % 5}", 2) if i else ("plant", 1)
                what = (
                    code(e),
                    column.point,
                    column.point,
                    Kind.COUNTER,
                    "electricity",
                    "kWh",
                    2,
                    self.interval_s,
                )
                yield PointNotice(Point(*what, metering_level=level, place=place, meters=meters))
            yield SchemaNotice(Schema(code(e), 1, columns))

    def frame(self, e: int, at_ms: Ints) -> Frame:
        """Registers of an enterprise at some times; received five seconds after the last."""
        turn = at_ms // (self.interval_s * 1000)
        received_s = int(at_ms[-1]) // 1000 + 5
        return Frame(code(e), 1, "bench", int(turn[-1]), received_s, at_ms, registers(e, turn))

    def used(self, first: int, end: int, start_ms: int) -> int:
        """What enterprises use at their boundary in the interval that begins at an instant [ticks]."""
        turn = start_ms // (self.interval_s * 1000) + np.arange(2)
        return sum(int(np.diff(registers(e, turn)[:, 0])[0]) for e in range(first, end))


def registers(e: int, turn: Ints) -> Ints:
    """Registers of an enterprise at some multiples of its interval, (n, 50): they rise by about a step, with noise.

    The noise is drawn from turn and point alone, so that any total is known without a memory.
    """
    point = e * PER_ENTERPRISE + np.arange(PER_ENTERPRISE)
    step = 50 + point * 37 % 951
    mixed = turn[:, None].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + point.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    noise = (mixed >> np.uint64(40)).astype(np.int64) % step
    return np.asarray(turn[:, None] * step + noise)


@dataclass
class Site:
    """A running installation of the product, and what its processes take."""

    settings: Settings
    store: psutil.Process
    client: Any
    log: Log
    start: Callable[[], Flow]
    flow: Flow
    peak: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def processes(self) -> list[psutil.Process]:
        """Flow and store, with what they started."""
        found = [self.store, psutil.Process(self.flow.pid)]
        return found + [child for one in found for child in one.children(recursive=True)]

    def cpu_s(self) -> float:
        """CPU-seconds of all of them until now."""
        return float(sum(sum(one.cpu_times()[:2]) for one in self.processes()))

    def watch_memory(self) -> None:
        """Note the most memory all of them take together, until the site ends; runs in a thread."""
        while not self._stop.wait(0.2):
            try:
                self.peak = max(self.peak, sum(one.memory_info().rss for one in self.processes()))
            except psutil.NoSuchProcess:  # killed, and not started again yet
                continue

    def append(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Append messages in batches."""
        waiting: list[tuple[str, bytes]] = []
        for message in messages:
            waiting.append(message)
            if len(waiting) == BATCH:
                self.log.append(RAW, waiting)
                waiting = []
        if waiting:
            self.log.append(RAW, waiting)

    def kill(self) -> None:
        """End the flow by signal 9, and wait until it is gone."""
        gone = psutil.Process(self.flow.pid)
        self.flow.kill()
        gone.wait()

    def until(self, query: str, expected: int) -> float:
        """Seconds until a query answers what is expected.

        Raises
        ------
        click.ClickException
            It does not for half an hour.
        """
        began = time.monotonic()
        while (found := number(self.client, query)) != expected:
            if time.monotonic() - began > PATIENCE_S:
                raise click.ClickException(
                    say("error.bench_waited", query=query, found=found, expected=expected)
                )
            time.sleep(POLL_S)
        return time.monotonic() - began

    def end(self) -> None:
        """Let go of everything but the store."""
        self._stop.set()
        self.kill()
        self.log.close()
        disconnect(self.client)


@contextmanager
def site(*, watch: bool) -> Iterator[Site]:
    """Run store and flow in a folder of their own."""
    with tempfile.TemporaryDirectory(prefix="nengliu-bench-") as folder:
        settings = own_settings.load(environment(Path(folder), ""))
        with serving(settings) as store:
            client = connect(settings)
            migrate(client, settings.database)
            log = open_log(settings)

            def start() -> Flow:
                return command(settings, "flow", "all") if watch else flow_beside(settings)

            running = Site(settings, store, client, log, start, start())
            threading.Thread(target=running.watch_memory, daemon=True).start()
            try:
                yield running
            finally:
                running.end()


def measure(points: int, minutes: int, *, watch: bool) -> list[Fact]:
    """All parts, one after the other."""
    return [
        *burst_and_backfill(points, watch=watch),
        *stream(points, minutes, watch=watch),
        *resume(min(points, RESUMED_POINTS), watch=watch),
    ]


def burst_and_backfill(points: int, *, watch: bool) -> list[Fact]:
    """The quarter's burst, and the next one behind 15 days of some enterprises."""
    nation = Nation(points // PER_ENTERPRISE, 900)
    live = nation.enterprises - max(1, round(nation.enterprises * SILENT))
    first_ms = _newest_edge() - 4 * QUARTER_MS
    with site(watch=watch) as here:
        told_s = _tell(here, nation)
        for k in range(-HISTORY, 0):
            here.append(_burst(nation, range(live), first_ms + k * QUARTER_MS))
        here.until(*_total(nation, live, first_ms - 2 * QUARTER_MS))
        settle(here.client)
        append_s, alone_s = _timed_burst(here, nation, live, first_ms)
        peak = here.peak
        past = first_ms - QUARTER_MS * np.arange(DAYS * 96 - 1, -1, -1, dtype=np.int64).reshape(-1, 96)
        silent = range(live, nation.enterprises)
        here.append((code(e), encode(nation.frame(e, times))) for times in past for e in silent)
        _, beside_s = _timed_burst(here, nation, live, first_ms + QUARTER_MS)
        back_s = beside_s + here.until(*_total(nation, nation.enterprises, first_ms - QUARTER_MS))
        settle(here.client)
        readings = live * PER_ENTERPRISE * (HISTORY + 2) + past.size * len(silent) * PER_ENTERPRISE
        disk = raw_on_disk(here.client) / readings
        everything = here.peak
    shown = f"{points:,} points"
    came = f"{past.size * len(silent) * PER_ENTERPRISE:,} readings of {DAYS} days"
    return [
        Fact(f"{shown} told for the first time, until stored", told_s, "s"),
        Fact(f"{shown}: append of a quarter's burst", append_s, "s"),
        Fact(f"{shown}: nation's total complete after the last reading", alone_s, "s", 15.0, most=True),
        Fact(f"{shown}: most memory of flow and store", peak / 2**30, "GiB", 4.0, most=True),
        Fact(
            f"{came} came before a burst: it was complete so much later",
            beside_s - alone_s,
            "s",
            30.0,
            most=True,
        ),
        Fact(f"{came}: all in the nation's totals after", back_s, "s"),
        Fact(f"{came}: most memory of flow and store", everything / 2**30, "GiB"),
        Fact("raw readings of bursts and backfill on disk", disk, "B a reading", 6.0, most=True),
    ]


def stream(points: int, minutes: int, *, watch: bool) -> list[Fact]:
    """Every point each minute by the clock: how far the flow is behind in the end, and what it takes."""
    nation = Nation(points // PER_ENTERPRISE, 60)
    everybody = range(nation.enterprises)
    with site(watch=watch) as here:
        _tell(here, nation)
        first_ms = _newest_edge(60_000) - (minutes + 1) * 60_000
        here.append(_burst(nation, everybody, first_ms))
        here.until(_VALID, points)
        cpu_s, began = here.cpu_s(), time.monotonic()
        for k in range(1, minutes + 1):
            here.append(_burst(nation, everybody, first_ms + k * 60_000))
            if k < minutes:
                time.sleep(max(0.0, began + 60 * k - time.monotonic()))
        behind_s = here.until(_VALID, points * (minutes + 1))
        load = (here.cpu_s() - cpu_s) / (60 * minutes)
        peak = here.peak
    shown = f"{points:,} points each minute for {minutes} min"
    return [
        Fact(f"{shown}: stored after the last reading", behind_s, "s", 60.0, most=True),
        Fact(f"{shown}: CPU of flow and store", 100 * load, "% of a core"),
        Fact(f"{shown}: most memory", peak / 2**30, "GiB"),
    ]


def resume(points: int, *, watch: bool) -> list[Fact]:
    """Kill the flow, append a reading, start it anew; the worst of three times."""
    nation = Nation(points // PER_ENTERPRISE, 900)
    first_ms, valid, spans = _newest_edge() - 8 * QUARTER_MS, 0, []
    with site(watch=watch) as here:
        _tell(here, nation)
        for k in range(4):
            here.append(_burst(nation, range(nation.enterprises), first_ms + k * QUARTER_MS))
            valid += points
        here.until(_VALID, valid)
        for k in range(4, 7):
            here.kill()
            here.append(_burst(nation, range(1), first_ms + k * QUARTER_MS))
            valid += PER_ENTERPRISE
            began = time.monotonic()
            here.flow = here.start()
            here.until(_VALID, valid)
            spans.append(time.monotonic() - began)
    return [
        Fact(f"{points:,} points: resume after kill -9, the worst of three", max(spans), "s", 3.0, most=True)
    ]


_VALID = "SELECT sum(valid) FROM intake FINAL"


def _tell(here: Site, nation: Nation) -> float:
    """Tell the catalogue; seconds until the store has it."""
    began = time.monotonic()
    here.append((notice_key(m), encode(m)) for m in nation.notices(0, nation.enterprises))
    here.until("SELECT count() FROM point FINAL", nation.enterprises * PER_ENTERPRISE)
    return time.monotonic() - began


def notice_key(message: Message) -> str:
    """Enterprise a notice of the catalogue speaks of."""
    assert isinstance(message, EnterpriseNotice | PointNotice | SchemaNotice)
    return message.value.enterprise


def _burst(nation: Nation, enterprises: Iterable[int], at_ms: int) -> list[tuple[str, bytes]]:
    """One reading of every point, ready to be appended."""
    at = np.array([at_ms])
    return [(code(e), encode(nation.frame(e, at))) for e in enterprises]


def _timed_burst(here: Site, nation: Nation, live: int, at_ms: int) -> tuple[float, float]:
    """Seconds of the append, and from its end until the nation's total of the quarter before is complete."""
    messages, awaited = _burst(nation, range(live), at_ms), _total(nation, live, at_ms - QUARTER_MS)
    began = time.monotonic()
    here.append(messages)
    append_s = time.monotonic() - began
    return append_s, here.until(*awaited)


def _total(nation: Nation, enterprises: int, start_ms: int) -> tuple[str, int]:
    """The nation's total of a quarter-hour as a query, and what it is when that many enterprises are in it."""
    start = f"toDateTime({start_ms // 1000})"
    query = f"SELECT sum(used) FROM total_15min FINAL WHERE depth = 0 AND period_start = {start}"
    return query, nation.used(0, enterprises, start_ms)


def _newest_edge(step_ms: int = QUARTER_MS) -> int:
    """The newest edge of a quarter-hour (minute) that has passed [ms]."""
    return int(time.time() * 1000) // step_ms * step_ms
