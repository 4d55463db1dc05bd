"""`nengliu bench`: readings per CPU-second from the log to the stored windows, beside a named peer."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil

from nengliu import __version__
from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.intake import IngestShard
from nengliu.analysis.rollup import WindowShard
from nengliu.analysis.watch.shard import WatchShard
from nengliu.bus import Log, Record
from nengliu.bus.open import open_log
from nengliu.cli.bench_watch import measure_watch
from nengliu.cli.language import examples, say
from nengliu.domain.points import Column, Enterprise, Kind, Meter, Point, Schema
from nengliu.errors import InputError
from nengliu.settings import Settings
from nengliu.settings import load as load_settings
from nengliu.storage import await_store, connect, disconnect, migrate
from schemas.block import Block
from schemas.messages import EnterpriseNotice, Frame, Message, PointNotice, SchemaNotice, encode
from schemas.topics import RAW, TOPICS

START_MS = 1_735_660_800_000  # 2025-01-01 00:00 in China
POINTS = 50
TIMES_PER_FRAME = 96
PEER_READINGS = 100_000
WATCH_DAYS = 30
"""Days of the province the watch takes in at scale 1: 1.1 million readings."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is measured: `enterprises` x 50 counters, read every `interval_s` for `days`."""

    name: str
    enterprises: int
    interval_s: int
    days: float

    @property
    def times(self) -> int:
        """Readings of each counter."""
        return int(self.days * 86_400 // self.interval_s) // TIMES_PER_FRAME * TIMES_PER_FRAME

    @property
    def readings(self) -> int:
        """Readings in all."""
        return self.times * self.enterprises * POINTS


@dataclass(frozen=True, slots=True)
class Result:
    """CPU of one load [s] and what it made."""

    load: Load
    flow_s: float
    store_s: float
    wall_s: float
    rows: int
    shares: dict[str, float]

    @property
    def rate(self) -> float:
        """Readings per CPU-second, flow and store together."""
        return self.load.readings / (self.flow_s + self.store_s)


@click.command(help=say("command.bench"), epilog=examples("bench"))
@click.option(
    "--scale",
    type=click.FloatRange(0.01, 100),
    default=1.0,
    show_default=True,
    help=say("option.bench_scale"),
)
@click.option(
    "--write", "target", type=click.Path(path_type=Path), default=None, help=say("option.bench_write")
)
@click.option("--bus", default="", help=say("option.bench_bus"))
def bench(scale: float, target: Path | None, bus: str) -> None:
    """Run the loads and the peer, print the table, write it if asked."""
    loads = [
        Load("one reading per window", 8, 900, 240 * scale),
        Load("15 readings per window", 8, 60, 16 * scale),
    ]
    over_bus = measure(loads[-1], bus) if bus else None
    results = [measure(load) for load in loads]
    peer = stock_rate()
    text = table(results, peer)
    if over_bus is not None:
        text += "\n" + bus_table(results[-1], over_bus)
    text += "\n\n" + measure_watch(max(2, round(WATCH_DAYS * scale))).line()
    click.echo(text)
    if target is not None:
        write(target, text)


def messages_of(load: Load, enterprise: str, seed: int) -> Iterator[Message]:
    """Catalogue and frames of one enterprise; registers grow by up to 99 steps a reading."""
    yield EnterpriseNotice(Enterprise(enterprise, "基准测试", "Benchmark", "320000", "C3110", simulated=True))
    meter = Meter(0, "kWh", 2)
    for i in range(POINTS):
        yield PointNotice(
            Point(
                enterprise,
                f"p{i:02d}",
                f"测点{i}",
                Kind.COUNTER,
                "electricity",
                "kWh",
                2,
                load.interval_s,
                meters=(meter,),
            )
        )
    yield SchemaNotice(Schema(enterprise, 1, tuple(Column(f"p{i:02d}", "kWh", 2) for i in range(POINTS))))
    rng, register = np.random.default_rng(seed), np.zeros(POINTS, np.int64)
    now_s = int(time.time())
    for first in range(0, load.times, TIMES_PER_FRAME):
        values = register + np.cumsum(rng.integers(0, 100, (TIMES_PER_FRAME, POINTS)), axis=0)
        register = values[-1]
        at = START_MS + (first + np.arange(TIMES_PER_FRAME)) * load.interval_s * 1000
        yield Frame(enterprise, 1, "bench", 1 << 32 | first, now_s, at, values)


def measure(load: Load, bus: str = "") -> Result:
    """Fill a log, run the product's flow over it, count the CPU of flow and store, check the sums.

    Parameters
    ----------
    bus
        Kafka brokers, ``host:port``, with no readings on them; empty: a log in a file.

    Raises
    ------
    InputError
        There are readings on that bus.
    """
    with tempfile.TemporaryDirectory(prefix="nengliu-bench-") as folder:
        settings = load_settings(_environment(Path(folder), bus))
        with emptied(settings):
            first, last = fill(settings, load)
            with serving(settings) as store:
                client = connect(settings)
                migrate(client, settings.database)
                before, children, start = sum(store.cpu_times()[:2]), _children_s(), time.monotonic()
                _command(settings, "flow", "all", "--stop-at-end").wait()
                wall_s, flow_s = time.monotonic() - start, _children_s() - children
                rows = settle(client)
                store_s = sum(store.cpu_times()[:2]) - before
                check(client, load, first, last)
                disconnect(client)
    return Result(load, flow_s, store_s, wall_s, rows, shares(load, flow_s, store_s))


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
    child = _command(settings, "store")
    try:
        await_store(settings, alive=lambda: child.poll() is None)
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait()


def settle(client: Any) -> int:
    """Wait until the store has no merge under way (it belongs to the price); rows stored."""
    while _number(client, "SELECT count() FROM system.merges"):
        time.sleep(0.2)
    tables = ("reading", "window_15min", "window_hour", "window_day", "window_month")
    return sum(_number(client, f"SELECT count() FROM {table}") for table in tables)


def check(client: Any, load: Load, first: int, last: int) -> None:
    """Every level adds up to the registers' difference, or there is no figure."""
    for level in ("15min", "hour", "day", "month"):
        found = _number(client, f"SELECT sum(used) FROM window_{level} FINAL")
        if found != last - first:
            raise click.ClickException(f"{load.name}: {level} adds up to {found}, expected {last - first}")


def _spend(parts: dict[str, float], name: str, began_s: float) -> float:
    now_s = time.process_time()
    parts[name] += now_s - began_s
    return now_s


def shares(load: Load, flow_s: float, store_s: float) -> dict[str, float]:
    """Share of each step in all CPU: the shards alone in this process, transport is the rest of the flow."""
    name, small = "bench", replace(load, days=load.days / 2, enterprises=1)
    ingest, windows, watch = (
        IngestShard(Catalogue(), lambda *_: None),
        WindowShard(Catalogue(), lambda *_: None, lambda *_: None),
        WatchShard(Catalogue()),
    )
    records = [
        Record(RAW, 0, 1, offset, name, encode(message), int(time.time()))
        for offset, message in enumerate(messages_of(small, name, 0))
    ]
    parts = dict.fromkeys(("ingest", "windows", "watch"), 0.0)
    for start in range(0, len(records), 16):
        began = time.process_time()
        outcome = ingest.add(records[start : start + 16])
        ingest.seal()
        began = _spend(parts, "ingest", began)
        windows.run(outcome.onward)
        windows.seal()
        began = _spend(parts, "windows", began)
        for position, message in outcome.onward:
            watch.add(message) if isinstance(message, Block) else watch.take(message, position)
        _spend(parts, "watch", began)
    parts = {name: spent_s * load.readings / small.readings for name, spent_s in parts.items()}
    parts |= {"log, stream, insert": max(flow_s - sum(parts.values()), 0.0), "store": store_s}
    return {name: value / sum(parts.values()) for name, value in parts.items()}


def stock_rate() -> float:
    """Readings per CPU-second of the peer over the first load's data, its windows checked against ours by hand."""
    from flows.stock import Reading, last_registers

    load = Load("peer", 1, 900, PEER_READINGS / POINTS / 96)
    readings: list[Reading] = []
    expected: dict[tuple[str, int], int] = {}
    for message in messages_of(load, "peer", 0):
        if not isinstance(message, Frame):
            continue
        for at_ms, row in zip(message.read_at_ms.tolist(), message.values.tolist(), strict=True):
            at = datetime.fromtimestamp(at_ms / 1000, UTC)
            readings += [(f"p{i:02d}", at, value) for i, value in enumerate(row)]
            expected |= {(f"p{i:02d}", at_ms // 900_000): value for i, value in enumerate(row)}
    start = time.process_time()
    found = last_registers(readings, timedelta(minutes=15))
    rate = len(readings) / (time.process_time() - start)
    if found != expected:
        raise click.ClickException("the peer's windows differ from the data; there is nothing to compare")
    return rate


def table(results: list[Result], peer: float) -> str:
    """The figures as Markdown."""
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `make bench`, nengliu {__version__}, {_machine()}.",
        "",
        "| load | readings | rows stored | readings/CPU-s | wall s | flow CPU s | store CPU s | x stock Bytewax |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in results:
        figures = f"{r.load.readings:,} | {r.rows:,} | **{r.rate:,.0f}**"
        seconds = f"{r.wall_s:.1f} | {r.flow_s:.1f} | {r.store_s:.1f}"
        lines.append(f"| {r.load.name} | {figures} | {seconds} | {r.rate / peer:.1f} |")
    lines += ["", "Share of each step in all CPU:", "", "| load | " + " | ".join(results[0].shares) + " |"]
    lines.append("|---" * (len(results[0].shares) + 1) + "|")
    for r in results:
        lines.append(f"| {r.load.name} | " + " | ".join(f"{share:.0%}" for share in r.shares.values()) + " |")
    lines += [
        "",
        f"Peer: stock Bytewax `fold_window`, in memory, nothing checked or stored: {peer:,.0f} readings/CPU-s.",
    ]
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


def write(target: Path, text: str) -> None:
    """Replace the measured part of a Markdown file, between its two marks."""
    opening, closing = "<!-- bench -->", "<!-- /bench -->"
    old = (
        target.read_text(encoding="utf-8") if target.is_file() else f"# Benchmarks\n\n{opening}\n{closing}\n"
    )
    head, _, rest = old.partition(opening)
    _, _, tail = rest.partition(closing)
    target.write_text(f"{head}{opening}\n{text}\n{closing}{tail}", encoding="utf-8")


def _command(settings: Settings, *words: str) -> subprocess.Popen[bytes]:
    environment = _environment(settings.home, settings.bus)
    return subprocess.Popen([sys.executable, "-P", "-m", "nengliu.cli", *words], env=environment)


def _environment(home: Path, bus: str) -> dict[str, str]:
    """The caller's, but for an installation of its own."""
    return os.environ | {"NENGLIU_HOME": str(home), "NENGLIU_STORE": "", "NENGLIU_BUS": bus}


def _is_used(log: Log, partition: int) -> bool:
    """Whether a partition ever held more than the book it begins with."""
    return log.bounds(RAW, partition).end > 1


def _number(client: Any, query: str) -> int:
    return int(client.query(query).result_rows[0][0])


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _machine() -> str:
    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    memory = psutil.virtual_memory().total / 2**30
    kind = names[0] if names else platform.machine()
    return f"{kind}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text().splitlines() if file.is_file() else []
