"""From the log to stored windows and raw readings, by the product's own processes.

A log is filled; then flow and store start, and the flow reads it to its end: unpacking, checks, deduplication,
quality, windows of all levels, totals of nodes, accounts, the writing of it all.  The CPU of the flow, its start
included, and of the store, until no merge is under way, count together.  Every level must add up to the registers'
difference.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil

from nengliu import settings as own_settings
from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.intake.shard import IngestShard
from nengliu.analysis.rollups.computing import ComputedShard
from nengliu.analysis.rollups.shard import WindowShard
from nengliu.analysis.rollups.steps import RollupShard
from nengliu.analysis.totals.shard import TotalShard
from nengliu.analysis.watch.shard import WatchShard
from nengliu.bus import Log, Record
from nengliu.bus.open import open_log
from nengliu.cli.bench_equal import DiffersError
from nengliu.cli.bench_report import Fact, Figure
from nengliu.cli.language import say
from nengliu.domain.points import Column, Enterprise, Kind, Meter, Point, Schema
from nengliu.domain.times import STORED
from nengliu.errors import InputError
from nengliu.settings import Settings
from nengliu.storage import await_store, connect, disconnect, migrate
from schemas.block import Block, Sheaf
from schemas.messages import EnterpriseNotice, Frame, Message, PointNotice, SchemaNotice, encode
from schemas.topics import RAW, TOPICS

START_MS = 1_735_660_800_000  # 2025-01-01 00:00 in China
POINTS = 50
TIMES_PER_FRAME = 96


@dataclass(frozen=True, slots=True)
class Load:
    """What is measured: `enterprises` x 50 counters, read every `interval_s` for `days`; goals of rate and disk."""

    name: str
    enterprises: int
    interval_s: int
    days: float
    goal: float | None = None
    most_bytes: float | None = None

    @property
    def times(self) -> int:
        """Readings of each counter."""
        return int(self.days * 86_400 // self.interval_s) // TIMES_PER_FRAME * TIMES_PER_FRAME

    @property
    def readings(self) -> int:
        """Readings in all."""
        return self.times * self.enterprises * POINTS


def loads(scale: float) -> list[Load]:
    """The two loads: 15-minute and minute readings, 9.2 million of each at scale 1."""
    return [
        Load("one reading per window", 8, 900, 240 * scale, 0.5e6, 6.0),
        Load("15 readings per window", 8, 60, 16 * scale, 3e6, 4.0),
    ]


@dataclass(frozen=True, slots=True)
class Result:
    """CPU of one load [s] and what it made; `raw_bytes` on disk when merged."""

    load: Load
    flow_s: float
    store_s: float
    wall_s: float
    rows: int
    raw_bytes: int
    watch: bool

    @property
    def rate(self) -> float:
        """Readings per CPU-second, flow and store together."""
        return self.load.readings / (self.flow_s + self.store_s)

    def figure(self) -> Figure:
        """The load as a path of the benchmark; the goal is that of the flow without the watch."""
        watched = ", with the watch" if self.watch else ""
        note = f"flow {self.flow_s:.1f} s, store {self.store_s:.1f} s, wall {self.wall_s:.1f} s; {self.rows:,} rows"
        goal = None if self.watch else self.load.goal
        name = f"nengliu: log to store, {self.load.name}{watched}"
        return Figure(name, self.load.readings, self.flow_s + self.store_s, goal, note)

    def fact(self) -> Fact:
        """What a raw reading takes on disk."""
        name = f"raw readings on disk, {self.load.name}"
        return Fact(name, self.raw_bytes / self.load.readings, "B a reading", self.load.most_bytes, most=True)


def messages_of(load: Load, enterprise: str, seed: int) -> Iterator[Message]:
    """Catalogue and frames of one enterprise; registers grow by up to 99 steps a reading."""
    yield EnterpriseNotice(Enterprise(enterprise, "基准测试", "Benchmark", "320000", "C3110", simulated=True))
    meters = (Meter(0, "kWh", 2),)
    names = [f"p{i:02d}" for i in range(POINTS)]
    for i, name in enumerate(names):
        what = (enterprise, name, f"测点{i}", Kind.COUNTER, "electricity", "kWh", 2, load.interval_s)
        yield PointNotice(Point(*what, meters=meters))
    yield SchemaNotice(Schema(enterprise, 1, tuple(Column(name, "kWh", 2) for name in names)))
    rng, register = np.random.default_rng(seed), np.zeros(POINTS, np.int64)
    now_s = int(time.time())
    for first in range(0, load.times, TIMES_PER_FRAME):
        values = register + np.cumsum(rng.integers(0, 100, (TIMES_PER_FRAME, POINTS)), axis=0)
        register = values[-1]
        at = START_MS + (first + np.arange(TIMES_PER_FRAME)) * load.interval_s * 1000
        yield Frame(enterprise, 1, "bench", 1 << 32 | first, now_s, at, values)


def measure(load: Load, bus: str = "", *, watch: bool = True) -> Result:
    """Fill a log, run the product's flow over it, count the CPU of flow and store, check the sums.

    Parameters
    ----------
    bus
        Kafka brokers, ``host:port``, with no readings on them; empty: a log in a file.
    watch
        Whether the watch judges, as it does in the product.

    Raises
    ------
    InputError
        There are readings on that bus.
    """
    with tempfile.TemporaryDirectory(prefix="nengliu-bench-") as folder:
        settings = own_settings.load(environment(Path(folder), bus))
        with emptied(settings):
            first, last = fill(settings, load)
            with serving(settings) as store:
                client = connect(settings)
                migrate(client, settings.database)
                before, children, start = sum(store.cpu_times()[:2]), _children_s(), time.monotonic()
                flow_to_end(settings, watch=watch)
                wall_s, flow_s = time.monotonic() - start, _children_s() - children
                rows = settle(client)
                store_s = sum(store.cpu_times()[:2]) - before
                check(client, load, last - first)
                raw_bytes = raw_on_disk(client)
                disconnect(client)
    return Result(load, flow_s, store_s, wall_s, rows, raw_bytes, watch)


def flow_to_end(settings: Settings, *, watch: bool) -> None:
    """Let the chained flows read the log to its end, in a process of their own.

    Raises
    ------
    click.ClickException
        The flow did not end well.
    """
    if watch:
        code: int | None = command(settings, "flow", "all", "--stop-at-end").wait()
    else:
        child = flow_beside(settings, stop_at_end=True)
        child.join()
        code = child.exitcode
    if code:
        raise click.ClickException(say("error.bench_flow", code=code))


def flow_beside(settings: Settings, *, stop_at_end: bool = False) -> SpawnProcess:
    """Start the chained flows without the watch, in a process of their own."""
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=_unwatched, args=(settings, stop_at_end))
    child.start()
    return child


def _unwatched(settings: Settings, stop_at_end: bool) -> None:
    """As `nengliu flow all` but for the watch; runs in a process of its own."""
    from flows.embedded import run

    run(settings, stop_at_end=stop_at_end, watch=False)


@contextmanager
def emptied(settings: Settings) -> Iterator[None]:
    """Begin with an empty log and leave an empty one behind; refuse one that is in use (a file is our own)."""
    if not settings.bus:
        yield
        return
    with open_log(settings) as log:
        if any(_is_used(log, partition) for partition in range(log.partitions(RAW))):
            raise InputError(say("error.bench_bus", bus=settings.bus))
    try:
        yield
    finally:
        with open_log(settings) as log:
            for topic in TOPICS:
                log.renew(topic)


def fill(settings: Settings, load: Load) -> tuple[int, int]:
    """Write the load into a log, the enterprises in turn; sums of the first and last registers."""
    log = open_log(settings)
    names = [f"9132000000000000{i:02d}" for i in range(load.enterprises)]
    streams = [messages_of(load, name, i) for i, name in enumerate(names)]
    first = last = 0
    for turn in zip(*streams, strict=True):
        log.append(RAW, [(name, encode(message)) for name, message in zip(names, turn, strict=True)])
        frames = [message for message in turn if isinstance(message, Frame)]
        if frames and not first:
            first = sum(int(frame.values[0].sum()) for frame in frames)
        last = sum(int(frame.values[-1].sum()) for frame in frames) or last
    log.close()
    return first, last


@contextmanager
def serving(settings: Settings) -> Iterator[psutil.Process]:
    """Run the embedded store beside."""
    child = command(settings, "store")
    try:
        await_store(settings, alive=lambda: child.poll() is None)
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait()


def settle(client: Any) -> int:
    """Wait until the store has no merge under way (it belongs to the price); rows stored."""
    while number(client, "SELECT count() FROM system.merges"):
        time.sleep(0.2)
    active = "active AND database = currentDatabase()"
    return number(client, f"SELECT sum(rows) FROM system.parts WHERE {active}")


def check(client: Any, load: Load, expected: int) -> None:
    """Every level, of points and of enterprises, adds up to the registers' difference, or there is no figure.

    Raises
    ------
    DiffersError
        Names the first level that does not.
    """
    for level in STORED:
        for table in (f"window_{level}", f"total_{level}"):
            node = " WHERE node = ''" if table.startswith("total") else ""
            found = number(client, f"SELECT sum(used) FROM {table} FINAL{node}")
            if found != expected:
                words = {"load": load.name, "table": table, "found": found, "expected": expected}
                raise DiffersError(load.name, say("error.bench_sum", **words))


def raw_on_disk(client: Any) -> int:
    """Bytes of the raw readings once all parts are merged."""
    client.command("OPTIMIZE TABLE reading_chunk FINAL")
    parts = "system.parts WHERE active AND database = currentDatabase() AND table = 'reading_chunk'"
    return number(client, f"SELECT sum(bytes_on_disk) FROM {parts}")


def shares(result: Result) -> dict[str, float]:
    """Share of each step in all CPU: the shards alone in this process, transport is the rest of the flow."""
    load, name = result.load, "bench"
    small = replace(load, days=load.days / 2, enterprises=1)
    catalogue = Catalogue()
    ingest, watch = IngestShard(), WatchShard(Catalogue())
    windows = RollupShard(WindowShard(catalogue), ComputedShard(catalogue), TotalShard(catalogue))
    records = [
        Record(RAW, 0, 1, offset, name, encode(message), int(time.time()))
        for offset, message in enumerate(messages_of(small, name, 0))
    ]
    parts = dict.fromkeys(("ingest", "windows and totals", "watch"), 0.0)
    for start in range(0, len(records), 16):
        began = time.process_time()
        outcome = ingest.add(records[start : start + 16])
        began = _spend(parts, "ingest", began)
        windows.run(outcome.onward)
        began = _spend(parts, "windows and totals", began)
        for position, message in outcome.onward:
            if isinstance(message, Block | Sheaf):
                watch.add(message.block() if isinstance(message, Sheaf) else message)
            else:
                watch.take(message, position)
        _spend(parts, "watch", began)
    parts = {name: spent_s * load.readings / small.readings for name, spent_s in parts.items()}
    parts |= {"log, stream, insert": max(result.flow_s - sum(parts.values()), 0.0), "store": result.store_s}
    return {name: value / sum(parts.values()) for name, value in parts.items()}


def share_table(results: list[Result]) -> str:
    """Shares of the steps of watched loads as Markdown."""
    found = {result.load.name: shares(result) for result in results}
    names = list(next(iter(found.values())))
    lines = ["Share of each step in all CPU:", "", "| load | " + " | ".join(names) + " |"]
    lines.append("|---" * (len(names) + 1) + "|")
    for load, parts in found.items():
        lines.append(f"| {load} | " + " | ".join(f"{share:.0%}" for share in parts.values()) + " |")
    return "\n".join(lines)


def bus_table(file: Result, bus: Result) -> str:
    """The same load over a Kafka bus and over the file, as Markdown."""
    lines = ["", f"The load “{file.load.name}” over either bus, the CPU of the brokers not counted:", ""]
    lines += [
        "| bus | readings/CPU-s | of the file's | readings/s | of the file's |",
        "|---|---|---|---|---|",
    ]
    for name, one in (("file (SQLite)", file), ("Kafka", bus)):
        wall, of_wall = one.load.readings / one.wall_s, file.wall_s / one.wall_s
        lines.append(
            f"| {name} | {one.rate:,.0f} | {one.rate / file.rate:.2f} | {wall:,.0f} | {of_wall:.2f} |"
        )
    return "\n".join(lines)


def _spend(parts: dict[str, float], name: str, began_s: float) -> float:
    now_s = time.process_time()
    parts[name] += now_s - began_s
    return now_s


def command(settings: Settings, *words: str) -> subprocess.Popen[bytes]:
    """Start one of the product's commands in an installation of its own."""
    env = environment(settings.home, settings.bus)
    return subprocess.Popen([sys.executable, "-P", "-m", "nengliu.cli", *words], env=env)


def environment(home: Path, bus: str) -> dict[str, str]:
    """The caller's, but for an installation of its own."""
    return os.environ | {"NENGLIU_HOME": str(home), "NENGLIU_STORE": "", "NENGLIU_BUS": bus}


def number(client: Any, query: str) -> int:
    """Answer of a query that has one number."""
    return int(client.query(query).result_rows[0][0])


def _is_used(log: Log, partition: int) -> bool:
    """Whether a partition ever held more than the book it begins with."""
    return log.bounds(RAW, partition).end > 1


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
