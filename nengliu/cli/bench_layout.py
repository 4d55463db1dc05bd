"""Part of `nengliu bench`: how raw readings may rest in the store, measured over HTTP with all their columns.

Narrow rows, one per reading, beside chunks of a quarter-hour, an hour and a day; in bulk (many times of a point in
one batch) and live (one).  What is counted: CPU of the store until no merge runs, CPU of who writes, bytes on the
disk after a merge, and the time to read one point's whole span (docs/decisions/0022).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.cli.bench_chain import environment, serving, settle
from nengliu.settings import load as load_settings
from nengliu.storage import Writer, connect, disconnect, migrate
from schemas.block import Arrays, Labels, Rows

Ints = npt.NDArray[np.int64]
START_MS = 1_735_660_800_000  # 2025-01-01 00:00 in China
POINTS = 50
READS = 5
"""The best of so many is taken: the first one finds cold caches."""


@dataclass(frozen=True, slots=True)
class Load:
    """`enterprises` x 50 points, read every `interval_s`, written `batch` times at once."""

    name: str
    enterprises: int
    interval_s: int
    batch: int
    batches: int

    @property
    def times(self) -> int:
        """Readings of each point."""
        return self.batch * self.batches

    @property
    def readings(self) -> int:
        """Readings in all."""
        return self.times * self.enterprises * POINTS


LOADS = (
    Load("15 min, bulk", 100, 900, 96, 8),
    Load("1 min, bulk", 100, 60, 96, 8),
    Load("15 min, live", 400, 900, 1, 48),
    Load("1 min, live", 400, 60, 1, 60),
)
LAYOUTS = {"rows": 0, "quarter": 900, "hour": 3600, "day": 86_400}
"""Span of a chunk [s]; 0: a row per reading."""


@dataclass(frozen=True, slots=True)
class Result:
    """One layout under one load, per million readings; bytes per reading."""

    load: str
    layout: str
    store_s: float
    writer_s: float
    disk_bytes: float
    read_ms: float


@dataclass(frozen=True, slots=True)
class _Data:
    """What is written: values (times, points), what a frame says once (times, enterprises), and the stamps [ms]."""

    at_ms: Ints
    values: Ints
    received_at_s: Ints
    position: npt.NDArray[np.uint64]


def measure_layouts(scale: float = 1.0) -> list[Result]:
    """Measure every layout under every load; `scale` cuts the number of enterprises."""
    found = []
    for load in LOADS:
        sized = replace(load, enterprises=max(2, int(load.enterprises * scale)))
        found += [_measure(sized, name, span_s) for name, span_s in LAYOUTS.items() if _fits(sized, span_s)]
    return found


def layout_table(results: list[Result]) -> str:
    """The figures as Markdown."""
    lines = [
        "| load | layout | store CPU s/M | writer CPU s/M | bytes per reading | a point's span, ms |",
        "|---|---|---|---|---|---|",
    ]
    for r in results:
        figures = f"{r.store_s:.2f} | {r.writer_s:.2f} | {r.disk_bytes:.2f} | {r.read_ms:.1f}"
        lines.append(f"| {r.load} | {r.layout} | {figures} |")
    return "\n".join(lines)


def _fits(load: Load, span_s: int) -> bool:
    """A day's chunk is written again with each reading of the day: it needs no measurement where it comes live."""
    return not (load.batch == 1 and span_s > 3600) and (span_s == 0 or span_s >= load.interval_s)


def data_of(load: Load, seed: int = 1) -> _Data:
    """Registers that grow with the hours of the day (of five points three) and powers, both with noise."""
    rng, n = np.random.default_rng(seed), load.enterprises * POINTS
    step = np.arange(load.times)
    daily = 0.6 + 0.4 * np.sin(2 * np.pi * step * load.interval_s / 86_400)[:, None]
    size = rng.uniform(5, 500, n) * daily * rng.uniform(0.8, 1.2, (load.times, n))
    register = np.cumsum((size * load.interval_s / 900).astype(np.int64), axis=0) + rng.integers(0, 10**8, n)
    values = np.where(np.arange(n) % 5 < 3, register, (size * 10).astype(np.int64))
    at = START_MS + step * load.interval_s * 1000
    received = at[:, None] // 1000 + rng.integers(1, 8, (load.times, load.enterprises))
    position = (step[:, None] * load.enterprises + np.arange(load.enterprises)).astype(np.uint64)
    return _Data(at, values, received, position | np.uint64(1 << 48))


def row_batches(load: Load, data: _Data) -> Iterator[Rows]:
    """Rows of one reading each, in order of time."""
    n = load.enterprises * POINTS
    for start in range(0, load.times, load.batch):
        some = slice(start, start + load.batch)
        each = partial(np.repeat, repeats=POINTS, axis=1)
        position = each(data.position[some]).ravel()
        ticks = data.values[some].ravel()
        zero = np.zeros(len(ticks), np.uint8)
        names = np.tile(np.arange(n), load.batch)
        yield Rows(
            "layout",
            _names(load, names)
            | {
                "read_at": np.repeat(data.at_ms[some], n),
                "origin": zero,
                "ticks": ticks,
                "quality": zero,
                "reason": zero,
                "received_at": each(data.received_at_s[some]).ravel(),
                "sequence": position,
                "position": position,
                "sent": ticks,
                "sent_unit": Labels(zero, ("kWh",)),
                "sent_decimals": zero,
            },
        )


def chunk_batches(load: Load, data: _Data, span_s: int) -> Iterator[Rows]:
    """Chunks of all points, whole: a batch that ends inside a chunk writes what it holds so far."""
    width = max(1, span_s // load.interval_s)
    for start in range(0, load.times, load.batch):
        edges = range(start // width * width, start + load.batch, width)
        spans = [slice(edge, min(edge + width, start + load.batch)) for edge in edges]
        yield _chunks(load, data, spans, span_s)


def _chunks(load: Load, data: _Data, spans: list[slice], span_s: int) -> Rows:
    n = load.enterprises * POINTS
    lengths = np.repeat([span.stop - span.start for span in spans], n)
    ends = np.cumsum(lengths)
    starts_ms = [int(data.at_ms[span.start]) // (span_s * 1000) * span_s * 1000 for span in spans]

    def by_point(matrix: npt.NDArray[Any], times: int = 1) -> npt.NDArray[Any]:
        return np.concatenate([np.repeat(matrix[span].T, times, axis=0).ravel() for span in spans])

    at = [np.tile(data.at_ms[span] - start, n) for span, start in zip(spans, starts_ms, strict=True)]
    position = by_point(data.position, POINTS)
    zero, nothing = (
        np.zeros(len(ends), np.uint8),
        Arrays(np.zeros(len(ends), np.int64), np.empty(0, np.int64)),
    )
    return Rows(
        "layout",
        _names(load, np.tile(np.arange(n), len(spans)))
        | {
            "period_start": np.repeat(starts_ms, n) // 1000,
            "origin": zero,
            "at": Arrays(ends, np.concatenate(at)),
            "ticks": Arrays(ends, by_point(data.values)),
            "received_at": Arrays(ends, by_point(data.received_at_s, POINTS)),
            "sequence": Arrays(ends, position),
            "position": Arrays(ends, position),
            "sent_unit": Labels(zero, ("kWh",)),
            "sent_decimals": zero,
            "revision": position[ends - 1],
        }
        | dict.fromkeys(("quality", "reason", "sent", "sent_unit_each", "sent_decimals_each"), nothing),
    )


def _names(load: Load, number: Ints) -> dict[str, Any]:
    enterprises = tuple(f"9132000000000{i:05d}" for i in range(load.enterprises))
    return {
        "enterprise": Labels(number // POINTS, enterprises),
        "point": Labels(number % POINTS, tuple(f"p{i:02d}" for i in range(POINTS))),
    }


def _measure(load: Load, layout: str, span_s: int) -> Result:
    data = data_of(load)
    batches = chunk_batches(load, data, span_s) if span_s else row_batches(load, data)
    with (
        tempfile.TemporaryDirectory(prefix="nengliu-layout-") as folder,
        serving(settings := load_settings(environment(Path(folder), ""))) as store,
    ):
        client = connect(settings)
        migrate(client, settings.database)
        client.command(_LAID["chunk" if span_s else "rows"])
        before, spent = sum(store.cpu_times()[:2]), 0.0
        with Writer(settings) as writer:
            for rows in batches:
                began = time.process_time()
                writer.write(rows)
                writer.flush()
                spent += time.process_time() - began
        settle(client)
        store_s = sum(store.cpu_times()[:2]) - before
        client.command("OPTIMIZE TABLE layout FINAL")
        size = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'layout'"
        disk = int(client.query(size).result_rows[0][0])
        read_ms = min(_read_ms(client, span_s) for _ in range(READS))
        disconnect(client)
    millions = load.readings / 1e6
    return Result(load.name, layout, store_s / millions, spent / millions, disk / load.readings, read_ms)


_LAID = {
    "rows": """CREATE TABLE layout AS reading_superseded ENGINE = ReplacingMergeTree(sequence)
        PARTITION BY toYYYYMM(read_at) ORDER BY (enterprise, point, read_at, origin)""",
    "chunk": "CREATE TABLE layout AS reading_chunk",
}


def _read_ms(client: Any, span_s: int) -> float:
    """Time to read times and values of one point."""
    where = "WHERE enterprise = '913200000000000001' AND point = 'p07'"
    query = f"SELECT read_at, ticks FROM layout FINAL {where}"
    if span_s:
        query = f"SELECT period_start, a, t FROM layout FINAL ARRAY JOIN at AS a, ticks AS t {where}"
    began = time.perf_counter()
    client.query_arrow(query)
    return (time.perf_counter() - began) * 1000
