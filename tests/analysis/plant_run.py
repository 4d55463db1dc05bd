"""Run a story through intake and windows as the flows do: batches, epochs, crashes, one worker or two."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ingest_store import IngestStore, rows_of
from interrupted import forget
from memory_store import MemoryStore

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.intake.rows import Tally
from nengliu.analysis.intake.shard import IngestShard
from nengliu.analysis.rollups.computing import ComputedShard
from nengliu.analysis.rollups.shard import WindowShard
from nengliu.analysis.rollups.steps import RollupShard
from nengliu.analysis.totals.shard import TotalShard
from nengliu.bus import Record
from nengliu.domain.times import DAY_MS, Level
from nengliu.storage.writer import _rank
from schemas.block import Labels, Rows
from schemas.passed import pack, unpack

WINDOWS = ("window_15min", "window_hour", "window_day", "window_month")
TOTALS = ("total_15min", "total_hour", "total_day", "total_month")
TOTAL_KEY = ("enterprise", "node", "item", "unit", "period_start")


class TotalTables:
    """Rows of totals by key, and the windows a shard of totals asks for when it resumes."""

    def __init__(self, windows: MemoryStore) -> None:
        self.tables: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {name: {} for name in TOTALS}
        self._windows = windows

    def write(self, rows: Rows) -> None:
        """Insert rows; of two with one key the one of the higher revision stays."""
        for row in rows_of(rows):
            table, key = self.tables[rows.table], tuple(row[name] for name in TOTAL_KEY)
            if key not in table or row["revision"] >= table[key]["revision"]:
                table[key] = row

    def windows(self, level: Level, spans: Sequence[tuple[str, int, int]], before: int) -> Rows | None:
        """Serve `TotalShard`: window rows of enterprises in spans, below a position."""
        found = [
            row
            for (code, _, start), row in self._windows.tables[f"window_{level}"].items()
            if row["revision"] < before
            and any(code == who and first <= start * 1000 < end for who, first, end in spans)
        ]
        return _rows(f"window_{level}", found) if found else None

    def days(self, before: int) -> dict[str, tuple[int, int]]:
        """Serve `TotalShard`: the span of days that have totals."""
        found: dict[str, tuple[int, int]] = {}
        for code, _, _, _, start in self.tables["total_day"]:
            first, end = found.get(code, (start * 1000, 0))
            found[code] = min(first, start * 1000), max(end, start * 1000 + DAY_MS)
        return found


def _rows(table: str, rows: list[dict[str, Any]]) -> Rows:
    columns: dict[str, Any] = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    for name in ("enterprise", "point", "book"):
        if name in columns:
            texts = list(dict.fromkeys(row[name] for row in rows))
            codes = np.array([texts.index(row[name]) for row in rows], np.int32)
            columns[name] = Labels(codes, tuple(texts))
    columns["revision"] = columns["revision"].astype(np.uint64)
    return Rows(table, columns)


class PlantStore:
    """All tables of a plant; what an epoch wrote is seen when the next one ends, and no earlier."""

    def __init__(self) -> None:
        self.intake, self.windows = IngestStore(), MemoryStore()
        self.totals = TotalTables(self.windows)

    def keep(self, batch: Sequence[Rows]) -> None:
        """Make rows visible."""
        for rows in batch:
            if rows.table.startswith("total_"):
                self.totals.write(rows)
            elif rows.table.startswith("window_"):
                self.windows.write(rows)
            else:
                self.intake.write([rows])
        self.intake.flush()

    @property
    def tables(self) -> dict[str, dict[tuple[Any, ...], dict[str, Any]]]:
        """All tables: key -> row."""
        windows = {name: table for name, table in self.windows.tables.items() if name.startswith("window_")}
        return self.intake.tables | windows | self.totals.tables

    def final(self) -> dict[str, dict[tuple[Any, ...], str]]:
        """Every row of every table, NaN made comparable; without the history, which may say more after a crash."""
        return {
            name: {key: str(sorted(row.items())) for key, row in table.items()}
            for name, table in self.tables.items()
            if not name.endswith("_history")
        }


@dataclass(slots=True)
class Worker:
    """The chained flow over one partition, its rows on their way to a store."""

    store: PlantStore
    records: Sequence[Record]
    rng: random.Random
    forgetful: bool = False
    tallies: list[Tally] = field(default_factory=list)
    at: int = 0
    apart: bool = False
    _begun: list[int] = field(default_factory=lambda: [0, 0])
    _ended: list[Rows] = field(default_factory=list)
    _pending: list[Rows] = field(default_factory=list)
    _ingest: IngestShard | None = None
    _windows: WindowShard | None = None
    _rollups: RollupShard | None = None

    def start(self) -> None:
        """Make shards that know what the store holds."""
        self._ingest = IngestShard(Catalogue(self.store.intake.notices), self.store.intake.readings)
        catalogue = Catalogue(self.store.intake.notices)
        totals = TotalShard(catalogue, self.store.totals)
        loaders = self.store.intake.readings, self.store.windows.days
        windows = WindowShard(catalogue, *loaders)
        self._rollups, self._windows = RollupShard(windows, ComputedShard(catalogue), totals), windows

    @property
    def is_done(self) -> bool:
        """Whether the log has ended."""
        return self.at >= len(self.records)

    def step(self) -> None:
        """Take a batch; end the epoch now and then, and at the end of the log."""
        if self._ingest is None:
            self.start()
        assert self._ingest is not None
        assert self._rollups is not None
        size = self.rng.choice([1, 2, 5, 20, 80])
        outcome = self._ingest.add(self.records[self.at : self.at + size])
        self.at = min(self.at + size, len(self.records))
        self.tallies += outcome.tallies
        onward = outcome.onward
        if self.apart:  # by way of the topic of valid readings
            onward = [unpack(pack(position, message)) for position, message in onward]
        self._pending += [*outcome.rows, *self._rollups.run(onward)]
        if self.is_done or self.rng.random() < 0.5:
            self._end_epoch()

    def finish(self) -> None:
        """Store everything."""
        self.store.keep([*self._ended, *self._pending])
        self._ended, self._pending = [], []

    def crash(self) -> None:
        """Die; some tables of what was on its way are stored, in the writer's order, and the next run begins
        behind what surely was.
        """
        lost = sorted([*self._ended, *self._pending], key=lambda rows: _rank(rows.table))
        self.store.keep(lost[: self.rng.randrange(len(lost) + 1)])
        self._ended, self._pending = [], []
        self.at = self._begun[0]
        self._begun = [self.at, self.at]
        self._ingest = self._windows = self._rollups = None

    def _end_epoch(self) -> None:
        assert self._ingest is not None
        assert self._rollups is not None
        self.store.keep(self._ended)
        self._ended, self._pending = self._pending, []
        self._ingest.seal()
        self._rollups.seal()
        self._begun = [self._begun[1], self.at]
        if self.forgetful:
            self._forget()

    def _forget(self) -> None:
        """Let go of everything that the store holds."""
        assert self._ingest is not None
        assert self._windows is not None
        forget(self._ingest)
        forget(self._windows)
        self._windows.days.max_rows = self._windows.days.keep_days = 0


def run(
    logs: Sequence[Sequence[Record]],
    seed: int,
    *,
    crashes: int = 0,
    forgetful: bool = False,
    apart: bool = False,
) -> tuple[PlantStore, list[Tally]]:
    """Run the partitions of a log side by side over one store, dying `crashes` times."""
    rng = random.Random(seed)
    store = PlantStore()
    workers = [Worker(store, log, rng, forgetful, apart=apart) for log in logs]
    while not all(worker.is_done for worker in workers):
        worker = rng.choice([worker for worker in workers if not worker.is_done])
        worker.step()
        if crashes and rng.random() < 0.2:
            crashes -= 1
            worker.crash()
    for worker in workers:
        worker.finish()
    return store, [tally for worker in workers for tally in worker.tallies]
