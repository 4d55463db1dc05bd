"""Anomaly: readings, evidence and links become incidents with a cause: the meter, the line, or neither.

Topics in/out   `readings.valid` -> tables `incident`, `incident_event` (chained in one process: straight from ingest)
Key             shard = partition; an enterprise's collectors, lines, meters and points are all in one
Clock           the newest receipt or tick in the log, never the wall clock: silence is judged against it
State kept      the shard's own snapshot, in the recovery store: what a rule knows of a point is in no table
Delivery        at least once; what was taken already is passed over by its position, and rows carry it (law 7)

Source: TC 4.5.12, NHJC-09 4.2.3; docs/decisions/0017.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

import bytewax.operators as op
import numpy as np
from bytewax.dataflow import Dataflow
from bytewax.operators import KeyedStream, StatefulBatchLogic

from flows.connectors import LogSource, StoreSink
from flows.ingest import Passed, unpack_passed
from flows.loaders import catalogue_of
from flows.runner import run_flow
from nengliu.analysis.watch.shard import WatchShard
from nengliu.bus.open import open_log
from nengliu.settings import Settings
from nengliu.storage import Asker, Writer
from schemas.block import Block, Rows
from schemas.topics import VALID

State: TypeAlias = tuple[int, object]
"""Newest position taken, and the snapshot of the shard after it.  Stored data."""
ShardFactory: TypeAlias = Callable[[int, object | None], WatchShard]


class WatchLogic(StatefulBatchLogic[Passed, Rows, State]):
    """Runs one shard; its state is a snapshot in the recovery store."""

    def __init__(self, make: ShardFactory, resume: State | None) -> None:
        """Wait for the first item: it says which shard this is."""
        self._make = make
        self._newest, self._state = resume or (0, None)
        self._shard: WatchShard | None = None

    def on_batch(self, values: list[Passed]) -> tuple[Iterable[Rows], bool]:
        """Take blocks and notices in: `Passed` -> `Rows` of incidents."""
        self._shard = self._shard or self._make(values[0].partition, self._state)
        found = [rows for item in values for rows in self._take(self._shard, item)]
        return found, StatefulBatchLogic.RETAIN

    def snapshot(self) -> State:
        """Give what a resume goes on from."""
        return self._newest, self._state if self._shard is None else self._shard.snapshot()

    def _take(self, shard: WatchShard, item: Passed) -> list[Rows]:
        """Take what is new of an item: ingest says some of it again after a crash."""
        message, before = item.message, self._newest
        if item.position <= before:
            return []
        self._newest = item.position
        if not isinstance(message, Block):
            return shard.take(message, item.position)
        fresh = message.position > np.uint64(before)
        return shard.add(message if fresh.all() else message.take(fresh))


def shard_of(settings: Settings, partition: int, state: object | None) -> WatchShard:
    """Make a shard that goes on from its state; its catalogue resumes from the store."""
    return WatchShard(catalogue_of(Asker(settings), partition), state=state)


def anomaly(step_id: str, up: KeyedStream[Passed], make: ShardFactory) -> KeyedStream[Rows]:
    """Operator: `(shard, Passed)` -> `(shard, Rows)` of the incident tables."""
    return op.stateful_batch(f"{step_id}_watch", up, partial(WatchLogic, make))


def build(settings: Settings, source: LogSource, sink: StoreSink) -> Dataflow:
    """Anomaly alone, behind the topic of valid readings."""
    flow = Dataflow("anomaly")
    passed = unpack_passed("unpack_passed", op.input("read_valid", flow, source))
    op.output("store_incidents", anomaly("anomaly", passed, partial(shard_of, settings)), sink)
    return flow


def run(settings: Settings, *, stop_at_end: bool = False, workers: int = 1) -> None:
    """Run anomaly alone until it is stopped (or the log ends)."""
    source = LogSource(partial(open_log, settings), VALID, stop_at_end=stop_at_end)
    sink = StoreSink(partial(Writer, settings))
    flow = build(settings, source, sink)
    run_flow(flow, settings.recovery_path / "anomaly", settings.epoch_s, workers)
