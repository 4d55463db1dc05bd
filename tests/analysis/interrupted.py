"""Runs of an ingest shard that are cut anyhow, forget all they may, or die: what the laws of intake share."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st
from ingest_store import IngestStore

from nengliu.analysis.intake.shard import IngestShard
from nengliu.analysis.rollups.shard import WindowShard
from nengliu.bus import Record

seeds = st.integers(0, 10**6)


def cuts(records: Sequence[Record], seed: int) -> list[list[Record]]:
    """Cut a log into batches."""
    rng, rest, found = random.Random(seed), list(records), []
    while rest:
        size = rng.choice([1, 2, 3, 9])
        found.append(rest[:size])
        rest = rest[size:]
    return found


def forget(one: IngestShard | WindowShard) -> None:
    """Let a shard drop all readings that it can ask the store for, again and again."""
    one.ledger.keep_ms = one.ledger._trim_beyond = one.ledger.max_rows = 0
    if isinstance(one, IngestShard):
        one.racks._trim_beyond = one.racks.most = 0


@dataclass(frozen=True, slots=True)
class Crash:
    """A crash at a share of the log, with a share of the last writes stored; `back` records are delivered again."""

    share: float
    back: int
    kept: float

    def resumes_at(self, records: Sequence[Record]) -> int:
        """Number of the first record that is delivered again."""
        return max(0, self._dies_at(records) - self.back)

    def kill(self, one: IngestShard, store: IngestStore, records: Sequence[Record], seed: int) -> None:
        """Let a shard take what comes between commit and crash; of what it says the first part is stored."""
        doomed = records[self.resumes_at(records) : self._dies_at(records)]
        lost = [rows for batch in cuts(doomed, seed) for rows in one.add(batch).rows]
        store.write(lost[: int(len(lost) * self.kept)])
        store.flush()

    def _dies_at(self, records: Sequence[Record]) -> int:
        return int(len(records) * self.share)


crashes = st.builds(Crash, share=st.floats(0, 1), back=st.integers(0, 8), kept=st.floats(0, 1))
