"""The operator alone: frames, Arrow rows and JSON become windows of all levels, in this process.

The catalogue is told before.  The first tenth of the messages lets every list find its home and is told apart; the
rest, with the flush of what is open in the end, is the figure.  Repetitions are among the readings.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nengliu.analysis.intake.shard import IngestShard
from nengliu.analysis.rollups.shard import WindowShard
from nengliu.bus import Record
from nengliu.cli.bench_data import (
    CHANNELS,
    DECIMALS,
    START_S,
    UNITS,
    WARM,
    Telemetry,
    json_matrix,
    json_readings,
)
from nengliu.cli.bench_equal import Windows, compare, windows_of
from nengliu.cli.bench_report import Fact, Figure
from nengliu.domain.times import Level
from schemas.block import Block, Rows, Sheaf
from schemas.foreign_columns import ForeignRows, read_columns
from schemas.messages import EnterpriseNotice, Frame, Notice, PointNotice, SchemaNotice, encode
from schemas.topics import RAW

WIDTH = 400
"""Values of a JSON message."""
REPEATS = 3
"""So many runs of the operator; the best counts, as for the peers."""
METERS = WIDTH // CHANNELS
"""Meters of a list."""
LEAST = 1000
"""Meters of a process at least: fewer are done before the other has begun."""
Truth = Mapping[Level, Windows]
X = TypeVar("X")


@dataclass(frozen=True, slots=True)
class Run:
    """One run: what it took in after the warm-up, the CPU of both parts, and all rows it said."""

    readings: int
    cpu_s: float
    warm_s: float
    rows: list[Rows]
    flush_s: float = 0.0
    """Part of `cpu_s` that the flush in the end took."""


def poured(shard: WindowShard, items: Sequence[X], opened: Callable[[X], Block | Sheaf]) -> Run:
    """Open messages and pour them into a shard; flush at the end."""
    warm, rows, readings = max(1, round(len(items) * WARM)), list[Rows](), 0
    began = time.process_time()
    for item in items[:warm]:
        rows += shard.pour(opened(item))
    middle = time.process_time()
    for item in items[warm:]:
        message = opened(item)
        readings += len(message)
        rows += shard.pour(message)
    before = time.process_time()
    rows += shard.flush()
    end = time.process_time()
    return Run(readings, end - middle, middle - began, rows, end - before)


def settled(
    name: str, runs: Sequence[Run], truth: Truth, width: int, data: Telemetry, goal: float | None
) -> Figure:
    """The figure of a path: its best run, once the windows of every run were found to be right."""
    for run in runs:
        for level, expected in truth.items():
            compare(name, level, windows_of(run.rows, level, width), expected.stored(data.is_register))
    best = min(runs, key=lambda run: run.cpu_s)
    flush = f", flush {best.flush_s:.3f} s" if best.flush_s else ""
    return Figure(name, best.readings, best.cpu_s, goal, f"warm-up {best.warm_s:.2f} s{flush}")


def frames(data: Telemetry, truth: Truth, width: int, goal: float | None) -> Figure:
    """Sheaves of frames of `width` values."""
    sheaves = data.sheaves(width, first=1)
    runs = [poured(WindowShard(data.catalogue(width)), sheaves, lambda sheaf: sheaf) for _ in range(REPEATS)]
    return settled(f"nengliu: frames of {width}", runs, truth, width, data, goal)


def arrow_rows(data: Telemetry, truth: Truth, goal: float | None) -> Figure:
    """Single readings in Arrow batches."""
    batches, points = data.batches(), tuple(point for points in data.lists(CHANNELS) for point in points)
    starts = np.cumsum([1] + [batch.num_rows for batch in batches])
    items = list(zip(batches, starts.tolist(), strict=False))
    runs = []
    for _ in range(REPEATS):
        shard = WindowShard(data.catalogue(CHANNELS))
        runs.append(poured(shard, items, lambda item: _block_of_batch(points, *item)))
    return settled("nengliu: Arrow rows", runs, truth, CHANNELS, data, goal)


def _block_of_batch(points: tuple[tuple[str, str], ...], batch: pa.RecordBatch, first: int) -> Block:
    slot, at, ticks, received = (column.to_numpy() for column in batch.columns)
    position = np.arange(first, first + batch.num_rows).astype(np.uint64)
    return _block(points, slot, at, ticks, received, position)


def _block(
    points: tuple[tuple[str, str], ...],
    slot: npt.NDArray[np.int32],
    at_ms: npt.NDArray[np.int64],
    ticks: npt.NDArray[np.int64],
    received_at_s: npt.NDArray[np.int64],
    position: npt.NDArray[np.uint64],
) -> Block:
    """Plain loose readings; windows do not ask in which unit they were sent."""
    n = len(slot)
    byte, word = np.zeros(n, np.uint8), np.zeros(n, np.uint16)
    return Block(
        points=points,
        slot=slot,
        read_at_ms=at_ms,
        ticks=ticks,
        quality=byte,
        reason=word,
        origin=byte,
        received_at_s=received_at_s,
        sequence=position,
        position=position,
        sent=ticks,
        units=(("", DECIMALS),),
        sent_unit=word,
        verdict=byte,
    )


# -- JSON -----------------------------------------------------------------------------------------


class JsonReader:
    """Turns JSON messages of one shard into sheaves and blocks, as far as columns are concerned."""

    def __init__(self, data: Telemetry) -> None:
        """Know the lists of the senders."""
        self.lists = data.lists(WIDTH)
        self.units = (tuple((UNITS[i % CHANNELS], DECIMALS) for i in range(WIDTH)),) * len(self.lists)
        self.points = tuple(point for points in self.lists for point in points)
        self._number = {points[0][0]: number for number, points in enumerate(self.lists)}
        self._slot = {point: slot for slot, point in enumerate(self.points)}
        self._decimals = np.full(WIDTH, DECIMALS, np.int64)
        self._by_sender: dict[str, tuple[object, npt.NDArray[np.int32]]] = {}
        self._position = 1

    def sheaf(self, values: Sequence[bytes]) -> Sheaf:
        """Messages by column list."""
        found = [self._frame(value) for value in values]
        position = self._positions(len(found))
        ticks = np.concatenate([frame.values for frame in found])
        return Sheaf(
            lists=self.lists,
            row_list=np.array([self._number[frame.enterprise] for frame in found], np.int32),
            read_at_ms=np.concatenate([frame.read_at_ms for frame in found]),
            received_at_s=np.array([frame.received_at_s for frame in found]),
            sequence=position,
            position=position,
            ticks=ticks,
            sent=ticks,
            units=self.units,
        )

    def block(self, values: Sequence[bytes]) -> Block:
        """Messages of single readings; all of a message bear its position."""
        found = [self._rows(value) for value in values]
        slot = np.concatenate([self._slots_of(rows) for rows in found])
        at_ms, ticks, received = (
            np.concatenate([getattr(rows, name) for rows in found])
            for name in ("read_at_ms", "values", "received_at_s")
        )
        position = np.repeat(self._positions(len(found)), [len(rows.column) for rows in found])
        return _block(self.points, slot, at_ms, ticks, received, position)

    def _slots_of(self, rows: ForeignRows) -> npt.NDArray[np.int32]:
        """Slot of each reading; a sender's columns are the very same tuple message by message."""
        columns, slots = self._by_sender.get(rows.enterprise, (None, None))
        if columns is not rows.columns or slots is None:
            slots = np.array([self._slot[rows.enterprise, column[0]] for column in rows.columns], np.int32)
            self._by_sender[rows.enterprise] = rows.columns, slots
        return slots[rows.column]

    def _frame(self, value: bytes) -> Frame:
        found = read_columns(value, lambda *_: self._decimals, START_S, 0)
        assert isinstance(found, Frame)
        return found

    def _rows(self, value: bytes) -> ForeignRows:
        found = read_columns(value, lambda *_: None, START_S, 0)
        assert isinstance(found, ForeignRows)
        return found

    def _positions(self, n: int) -> npt.NDArray[np.uint64]:
        first, self._position = self._position, self._position + n
        return np.arange(first, first + n).astype(np.uint64)


def json_columns(data: Telemetry, truth: Truth, goal: float | None) -> Figure:
    """JSON by column list: bytes to windows."""
    items = in_turn([json_matrix(frame) for frame in data.frames(WIDTH)], data)
    runs = [poured(WindowShard(data.catalogue(WIDTH)), items, JsonReader(data).sheaf) for _ in range(REPEATS)]
    return settled("nengliu: JSON by column list", runs, truth, WIDTH, data, goal)


def json_single(data: Telemetry, truth: Truth, goal: float | None) -> Figure:
    """JSON with one object for each reading: bytes to windows."""
    items = in_turn([json_readings(frame) for frame in data.frames(WIDTH)], data)
    runs = [poured(WindowShard(data.catalogue(WIDTH)), items, JsonReader(data).block) for _ in range(REPEATS)]
    return settled("nengliu: JSON, an object a reading", runs, truth, WIDTH, data, goal)


def in_turn(messages: Sequence[X], data: Telemetry) -> list[Sequence[X]]:
    """Messages of `WIDTH` values, as many together as make a sheaf."""
    per = max(1, data.batch // WIDTH)
    return [messages[start : start + per] for start in range(0, len(messages), per)]


# -- with the checks of ingest --------------------------------------------------------------------

FORMS: dict[str, Callable[[Frame], bytes]] = {
    "frames of 400": encode,
    "JSON by column list": json_matrix,
    "JSON, an object a reading": json_readings,
}


def records_of(data: Telemetry, form: str) -> tuple[list[Record], list[Record]]:
    """Catalogue and messages as records of the log."""
    notices = [(_key(notice), encode(notice)) for notice in data.notices(WIDTH)]
    messages = [(frame.enterprise, FORMS[form](frame)) for frame in data.frames(WIDTH)]
    now_s = int(time.time())
    records = [
        Record(RAW, 0, 1, offset, key, value, now_s)
        for offset, (key, value) in enumerate([*notices, *messages])
    ]
    return records[: len(notices)], records[len(notices) :]


def through_ingest(data: Telemetry, truth: Truth, form: str) -> Figure:
    """Records of the log through ingest and windows: unpacking, checks, deduplication, evidence, chunks, windows."""
    ingest, windows = IngestShard(), WindowShard()
    notices, messages = records_of(data, form)
    windows.run(ingest.add(notices).onward)
    items = in_turn(messages, data)
    warm, rows, marks = max(1, round(len(items) * WARM)), list[Rows](), [time.process_time()]
    for part in (items[:warm], items[warm:]):
        for item in part:
            rows += windows.run(ingest.add(item).onward)
        marks.append(time.process_time())
    readings = sum(map(len, items[warm:])) * WIDTH
    run = Run(readings, marks[2] - marks[1], marks[1] - marks[0], rows)
    return settled(f"nengliu: {form}, with ingest", [run], truth, WIDTH, data, None)


def _key(notice: Notice) -> str:
    assert isinstance(notice, EnterpriseNotice | PointNotice | SchemaNotice)
    return notice.value.enterprise


# -- two processes --------------------------------------------------------------------------------


def two_processes(data: Telemetry) -> Fact:
    """How much faster two processes take in disjoint halves of the lists than one takes a half, by the clock."""
    whole_lists = data.meters // 2 // METERS * METERS
    half = replace(data, meters=max(whole_lists, LEAST))
    alone = max(_rates([half]))
    both = sum(_rates([half, replace(half, seed=half.seed + 1)]))
    return Fact("two processes over disjoint lists", both / alone, "x", 1.8)


def _rates(parts: Sequence[Telemetry]) -> list[float]:
    """Readings a second of some processes that pour at the same time."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(len(parts))
    with ProcessPoolExecutor(len(parts), context, initializer=_wait_at, initargs=(start,)) as processes:
        return list(processes.map(_pour_beside, parts))


_start: list[Barrier] = []
"""Where the processes wait for each other."""


def _wait_at(start: Barrier) -> None:
    _start[:] = [start]


def _pour_beside(data: Telemetry) -> float:
    """In a process of its own: warm up, wait for the others, pour several rounds; say the best rate."""
    with ExitStack() as failed:
        failed.callback(_start[0].abort)  # the others would wait for good
        rate = max(_rounds(data))
        failed.pop_all()
    return rate


def _rounds(data: Telemetry) -> Iterator[float]:
    sheaves = data.sheaves(WIDTH, first=1)
    warm = max(1, round(len(sheaves) * WARM))
    for _ in range(REPEATS):
        shard = WindowShard(data.catalogue(WIDTH))
        for sheaf in sheaves[:warm]:
            shard.pour(sheaf)
        _start[0].wait()
        began = time.monotonic()
        for sheaf in sheaves[warm:]:
            shard.pour(sheaf)
        shard.flush()
        yield sum(map(len, sheaves[warm:])) / (time.monotonic() - began)
