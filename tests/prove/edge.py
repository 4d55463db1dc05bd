"""A plant on the wire, its collector in virtual time, and what must come of it."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import rig
from edge_collector import SharedTime

from acquisition.simulator.config import plant_config
from acquisition.simulator.faults import REGISTER, Fault
from acquisition.simulator.fleet import Fleet, plant_lines
from acquisition.simulator.plant import Plant
from acquisition.simulator.site import first_site
from acquisition.simulator.truth import span
from nengliu.bus import Log, Record
from nengliu.domain.points import Kind
from nengliu.domain.times import CHINA, DAY_MS, HOUR_MS, QUARTER_MS
from nengliu.storage import connect
from schemas.messages import MISSING, Frame, LinkNotice, Missed, SchemaNotice, decode
from schemas.topics import RAW

NAME = "qinglan"
"""Name of the collector, as the written configuration has it."""
Windows = dict[tuple[str, int], tuple[int, int, int]]
"""Quarter-hours: (point, start [ms]) -> used, estimated [ticks], received."""
DAYS_AGO = 40
"""The plant's story begins so long before now: a stamp in the future would be held back [d]."""


class Plants:
    """The simulated plant on Modbus TCP, in a thread of its own, in the time of a shared clock."""

    def __init__(self, clock_file: Path, seed: int, faults: Iterable[Fault] = ()) -> None:
        now_ms = time.time_ns() // 1_000_000
        start_ms = (now_ms // DAY_MS - DAYS_AGO) * DAY_MS - 8 * HOUR_MS  # midnight in China
        self.plant = Plant(seed, start_ms, 2)
        self.start_ms = start_ms
        self.clock_file = clock_file
        self.time = SharedTime(clock_file)
        self.time.set(start_ms)
        self.fleet = Fleet(plant_lines(self.plant), self.time, faults=faults)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Plants:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.fleet.start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.fleet.stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def config(self, interval_s: int, heartbeat_s: int, timeout_s: float, ports: dict[str, int]) -> str:
        """Text of collector.toml; `ports` puts lines behind other ports than their own."""
        text = plant_config(self.fleet, self.plant, interval_s, self.start_ms)
        text = re.sub(
            r"^name = .*$", lambda m: f"{m[0]}\nheartbeat_s = {heartbeat_s}", text, count=1, flags=re.M
        )
        for line in self.fleet.lines:
            port = self.fleet.ports[line.name]
            found = f"port = {port}\n"
            text = text.replace(found, f"port = {ports.get(line.name, port)}\ntimeout_s = {timeout_s}\n")
        return text


@dataclass
class Edge:
    """An installation with a collector before it."""

    installation: rig.Installation
    plants: Plants
    interval_s: int = 900
    heartbeat_s: int = 900
    timeout_s: float = 0.05
    ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.write_config()

    def write_config(self) -> None:
        """Write collector.toml."""
        file = self.installation.home / "collector.toml"
        file.write_text(
            self.plants.config(self.interval_s, self.heartbeat_s, self.timeout_s, self.ports),
            encoding="utf-8",
        )

    @property
    def buffer_file(self) -> Path:
        return self.installation.home / "collector" / f"{NAME}.sqlite"

    def start(self) -> None:
        """Start the collector; its time goes on as far as `run_to` lets it."""
        script = Path(__file__).with_name("edge_collector.py")
        words = [str(self.installation.home / "collector.toml"), str(self.plants.clock_file)]
        self.installation.start("collector", [sys.executable, str(script), *words])

    def run_to(self, at_ms: int, patience_s: float = 600) -> None:
        """Let the time go on to an instant, and wait until it is there."""
        self.plants.time.limit_ms = at_ms
        until = time.monotonic() + patience_s
        while self.plants.time() < at_ms:
            if self.installation.children["collector"].poll() is not None or time.monotonic() > until:
                self.said()
            time.sleep(0.01)

    def run_slowly(self, at_ms: int) -> None:
        """Let the time go on to an instant at ten times its real pace."""
        while (now_ms := self.plants.time()) < at_ms:
            self.run_to(min(now_ms + 1000, at_ms))
            time.sleep(0.1)

    def stop(self) -> None:
        """Ask the collector to end, as a supervisor does, and wait until it has."""
        self.plants.time.limit_ms = self.plants.time() + DAY_MS  # so that its patience can end too
        child = self.installation.children["collector"]
        child.send_signal(signal.SIGTERM)
        if child.wait(60):
            self.said()

    def said(self) -> None:
        """End the proof: the collector died, or does not move."""
        raise SystemExit((self.installation.home / "collector.out").read_text()[-3000:])

    def status(self) -> str:
        """What the collector showed of itself last."""
        try:
            told = json.loads(self.buffer_file.with_suffix(".json").read_text())
        except OSError:
            return "no status yet"
        return f"collector: {told['queued']} live and {told['backfill']} late rows wait, {told['down']} meters down"


def messages(buffer_file: Path) -> Iterator[tuple[int, object]]:
    """Sequence and message of every row of a collector's buffer, the acknowledged ones included."""
    database = sqlite3.connect(f"file:{buffer_file}?mode=ro", uri=True)
    for sequence, value in database.execute("SELECT sequence, value FROM reading ORDER BY sequence"):
        yield sequence, decode(value)
    database.close()


def sequences(buffer_file: Path) -> set[int]:
    """Sequences of all frames and link notices of a collector's buffer."""
    return {
        sequence for sequence, message in messages(buffer_file) if isinstance(message, Frame | LinkNotice)
    }


@dataclass
class Kept:
    """What a collector's buffer says it saw."""

    readings: dict[tuple[str, int], int] = field(default_factory=dict)
    missed: Counter[tuple[str, int]] = field(default_factory=Counter)
    reasons: Counter[int] = field(default_factory=Counter)


def kept(edge: Edge) -> Kept:
    """Read the buffer: readings by (point, stamp), missed slots by (point, slot)."""
    found, columns = Kept(), dict[int, list[str]]()
    for _, message in messages(edge.buffer_file):
        if isinstance(message, SchemaNotice):
            columns[message.value.schema] = [column.point for column in message.value.columns]
        elif isinstance(message, Frame):
            take_frame(found, message, columns[message.schema])
        elif isinstance(message, LinkNotice):
            for missed in message.missed:
                take_missed(found, missed)
    return found


def take_frame(found: Kept, frame: Frame, points: list[str]) -> None:
    """Note the readings of a frame."""
    for at, row in zip(frame.read_at_ms.tolist(), frame.values.tolist(), strict=True):
        found.readings |= {
            (point, at): value for point, value in zip(points, row, strict=True) if value != MISSING
        }


def take_missed(found: Kept, missed: Missed) -> None:
    """Note the slots of a missed range."""
    step = (missed.last_ms - missed.first_ms) // max(missed.count - 1, 1)
    for n in range(missed.count):
        found.missed.update((point, missed.first_ms + n * step) for point in missed.points)
    found.reasons[missed.reason] += missed.count * len(missed.points)


def in_log(installation: rig.Installation, source: str = NAME) -> list[int]:
    """Sequences of all messages of the collector in the log, in order of position, repetitions included."""
    found: list[int] = []
    with installation.log() as log:
        for partition in range(log.partitions(RAW)):
            for record in records(log, partition):
                message = decode(record.value)
                if isinstance(message, Frame | LinkNotice) and message.source == source:
                    found.append(message.sequence)
    return found


def records(log: Log, partition: int) -> Iterator[Record]:
    """All records of a partition of the raw topic."""
    offset = 0
    while batch := log.read(RAW, partition, offset, 2000):
        offset = batch[-1].offset + 1
        yield from batch


def stored(installation: rig.Installation) -> dict[tuple[str, int], int]:
    """Readings of the store: (point, stamp) -> value as sent."""
    client = connect(installation.settings)
    query = "SELECT point, toUnixTimestamp64Milli(read_at), sent FROM reading FINAL WHERE enterprise = %(e)s"
    rows = client.query(query, parameters={"e": first_site().enterprise.enterprise}).result_rows
    client.close()
    return {(point, at): value for point, at, value in rows}


def windows(installation: rig.Installation) -> Windows:
    """Quarter-hours of the store: (point, start) -> used, estimated [ticks], received."""
    client = connect(installation.settings)
    query = (
        "SELECT point, toUnixTimestamp(period_start) * 1000, used, estimated, received FROM window_15min FINAL "
        "WHERE enterprise = %(e)s"
    )
    rows = client.query(query, parameters={"e": first_site().enterprise.enterprise}).result_rows
    client.close()
    return {(point, at): (used, estimated, received) for point, at, used, estimated, received in rows}


def counters() -> dict[str, int]:
    """Counters of the plant and how many ticks one register step is worth."""
    return {
        channel.point: channel.ticks_per_step
        for channel in first_site().channels
        if channel.kind is Kind.COUNTER
    }


def line_of(fleet: Fleet, point: str) -> str:
    """Line a counter's meter hangs on."""
    return next(line.name for line in fleet.lines for meter in line.meters if meter.name == point)


def true_use(plants: Plants, point: str, from_ms: int, to_ms: int) -> int:
    """Exact use between two instants [ticks], from the truth log."""
    return (
        span(plants.fleet, line_of(plants.fleet, point), point, from_ms, to_ms).used_steps * counters()[point]
    )


def wrong_spans(
    plants: Plants, read: Iterable[tuple[str, int]], found: Windows, rng: random.Random, tries: int
) -> tuple[int, list[str]]:
    """Compare totals over spans whose edge registers were read with the truth: all of it, and random ones."""
    done, wrong = 0, []
    for point in counters():
        edges = sorted(at for name, at in read if name == point and is_edge(plants, point, at))
        for _ in range(tries):
            from_ms, to_ms = sorted(rng.sample(edges, 2)) if done % tries else (edges[0], edges[-1])
            used = sum(found.get((point, at), (0, 0, 0))[0] for at in range(from_ms, to_ms, QUARTER_MS))
            expected = true_use(plants, point, from_ms, to_ms)
            done += 1
            if used != expected:
                wrong.append(f"{point} {from_ms}..{to_ms}: {used} instead of {expected}")
    return done, wrong


def is_edge(plants: Plants, point: str, at_ms: int) -> bool:
    """Whether a reading lies on the edge of a quarter-hour and its register showed the truth."""
    faults = plants.fleet.faults_of(line_of(plants.fleet, point), point)
    return at_ms % QUARTER_MS == 0 and not any(one.kind in REGISTER and one.holds(at_ms) for one in faults)


def wrong_registers(plants: Plants, read: dict[tuple[str, int], int]) -> list[str]:
    """Readings that differ from what the meter showed at their stamp."""
    lines = {point: line_of(plants.fleet, point) for point in counters()}
    return [
        f"{point} at {at}: {value}"
        for (point, at), value in read.items()
        if point in lines and plants.fleet.register(lines[point], point, at) != value
    ]


@contextmanager
def edge(bus: str, seed: int, faults: Iterable[Fault] = (), **how: object) -> Iterator[Edge]:
    """Lay an installation, a plant and a collector's configuration."""
    with rig.Installation(bus) as installation, Plants(installation.home / "clock", seed, faults) as plants:
        yield Edge(installation, plants, **how)  # type: ignore[arg-type]


def due_slots(edge: Edge, first_ms: int, last_ms: int) -> list[int]:
    """Instants at which a meter was due in [first, last]."""
    step = edge.interval_s * 1000
    return list(range(-(-first_ms // step) * step, last_ms + 1, step))


def unaccounted(edge: Edge, what: Kept) -> tuple[int, list[tuple[str, int]]]:
    """Count the due slots from the first to the last one known, and those that are neither read nor missed, or both."""
    points = {point for point, _ in what.readings} | {point for point, _ in what.missed}
    known = [at for _, at in (*what.readings, *what.missed)]
    slots = due_slots(edge, min(known), max(known))[:-1]  # a stop may cut the last one in two
    wrong = [
        (point, at)
        for point in points
        for at in slots
        if ((point, at) in what.readings) + what.missed[point, at] != 1
    ]
    return len(points) * len(slots), wrong


def instant_ms(text: str) -> int:
    """Read a time as `nengliu query --format json` writes it [ms, UTC]."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def text_of(at_ms: int) -> str:
    """Write an instant as `nengliu query --set` takes it."""
    return datetime.fromtimestamp(at_ms / 1000, CHINA).isoformat()
