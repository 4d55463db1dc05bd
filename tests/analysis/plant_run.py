"""Run a story through intake and windows as the flows do: batches, epochs, crashes, one worker or two."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest_store import IngestStore
from memory_store import MemoryStore

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.intake import IngestShard
from nengliu.analysis.intake_rows import Tally
from nengliu.analysis.rollup import WindowShard
from nengliu.bus import Record
from schemas.block import Rows
from schemas.passed import pack, unpack

WINDOWS = ("window_15min", "window_hour", "window_day", "window_month")


class PlantStore:
    """All tables of a plant; what an epoch wrote is seen when the next one ends, and no earlier."""

    def __init__(self) -> None:
        self.intake, self.windows = IngestStore(), MemoryStore()

    def keep(self, batch: Sequence[Rows]) -> None:
        """Make rows visible."""
        for rows in batch:
            if rows.table.startswith("window_"):
                self.windows.write(rows)
            else:
                self.intake.write([rows])
        self.intake.flush()

    @property
    def tables(self) -> dict[str, dict[tuple[Any, ...], dict[str, Any]]]:
        """All tables: key -> row."""
        windows = {name: table for name, table in self.windows.tables.items() if name.startswith("window_")}
        return self.intake.tables | windows

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

    def start(self) -> None:
        """Make shards that know what the store holds."""
        self._ingest = IngestShard(Catalogue(self.store.intake.notices), self.store.intake.readings)
        self._windows = WindowShard(
            Catalogue(self.store.intake.notices), self.store.intake.readings, self.store.windows.days
        )

    @property
    def is_done(self) -> bool:
        """Whether the log has ended."""
        return self.at >= len(self.records)

    def step(self) -> None:
        """Take a batch; end the epoch now and then, and at the end of the log."""
        if self._ingest is None:
            self.start()
        assert self._ingest is not None
        assert self._windows is not None
        size = self.rng.choice([1, 2, 5, 20, 80])
        outcome = self._ingest.add(self.records[self.at : self.at + size])
        self.at = min(self.at + size, len(self.records))
        self.tallies += outcome.tallies
        onward = outcome.onward
        if self.apart:  # by way of the topic of valid readings
            onward = [unpack(pack(position, message)) for position, message in onward]
        self._pending += [*outcome.rows, *self._windows.run(onward)]
        if self.is_done or self.rng.random() < 0.5:
            self._end_epoch()

    def finish(self) -> None:
        """Store everything."""
        self.store.keep([*self._ended, *self._pending])
        self._ended, self._pending = [], []

    def crash(self) -> None:
        """Die; some of what was on its way is stored, the next run begins behind what surely was."""
        lost = [*self._ended, *self._pending]
        self.store.keep(lost[: self.rng.randrange(len(lost) + 1)])
        self._ended, self._pending = [], []
        self.at = self._begun[0]
        self._begun = [self.at, self.at]
        self._ingest = self._windows = None

    def _end_epoch(self) -> None:
        assert self._ingest is not None
        assert self._windows is not None
        self.store.keep(self._ended)
        self._ended, self._pending = self._pending, []
        self._ingest.seal()
        self._windows.seal()
        self._begun = [self._begun[1], self.at]
        if self.forgetful:
            self._forget()

    def _forget(self) -> None:
        """Let go of everything that the store holds."""
        for shard in (self._ingest, self._windows):
            assert shard is not None
            shard.ledger.keep_ms = shard.ledger.max_rows = shard.ledger._trim_beyond = 0
        self._windows.days.max_rows = 0


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
