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
from flows.loaders import catalogue_of, meet_store
from flows.runner import run_flow
from flows.shares import Share
from nengliu.analysis.watch.shard import WatchShard
from nengliu.bus.open import open_log
from nengliu.settings import Settings
from nengliu.storage import Asker, Writer
from schemas.block import Block, Rows, Sheaf, join
from schemas.topics import VALID

State: TypeAlias = tuple[int, object, tuple[Block, ...]]
"""Newest position taken, the snapshot of the shard after it, and what is held.  Stored data; before 0023 a pair."""
ShardFactory: TypeAlias = Callable[[int, object | None], WatchShard]


class WatchLogic(StatefulBatchLogic[Passed, Rows, State]):
    """Runs one shard; its state is a snapshot in the recovery store."""

    def __init__(self, make: ShardFactory, resume: State | None) -> None:
        """Wait for the first item: it says which shard this is."""
        self._make = make
        self._newest, self._state = resume[:2] if resume else (0, None)
        self._held: list[Block] = list(resume[2]) if resume and len(resume) > 2 else []
        self._shard: WatchShard | None = None

    def on_batch(self, values: list[Passed]) -> tuple[Iterable[Rows], bool]:
        """Take blocks, sheaves and notices in: `Passed` -> `Rows` of incidents."""
        self._shard = self._shard or self._make(values[0].partition, self._state)
        found = [rows for item in values for rows in self._take(self._shard, item)]
        return found, StatefulBatchLogic.RETAIN

    def snapshot(self) -> State:
        """Give what a resume goes on from."""
        state = self._state if self._shard is None else self._shard.snapshot()
        return self._newest, state, tuple(self._held)

    def _take(self, shard: WatchShard, item: Passed) -> list[Rows]:
        """Take what is new of an item: ingest says some of it again after a crash.

        Readings whose item does not reach their own position are held: others that lie among them are still to come.
        """
        message = item.message.block() if isinstance(item.message, Sheaf) else item.message
        if isinstance(message, Block):
            self._held = [*(_without(block, message) for block in self._held), message]
            return self._take_held(shard, item.position) if message.position[-1] <= item.position else []
        if item.position <= self._newest:
            return []
        found = self._take_held(shard, item.position)
        self._newest = item.position
        return [*found, *shard.take(message, item.position)]

    def _take_held(self, shard: WatchShard, until: int) -> list[Rows]:
        """Take the new readings of what is held up to a position, in order of the log."""
        before, self._newest = self._newest, max(self._newest, until)
        if not self._held:
            return []
        block = join(self._held)
        ready, fresh = block.position <= np.uint64(until), block.position > np.uint64(before)
        self._held = [] if ready.all() else [block.take(~ready)]
        if not (ready & fresh).any():
            return []
        block = block.take(ready & fresh)
        return shard.add(block.take(np.argsort(block.position, kind="stable")))


def _without(block: Block, again: Block) -> Block:
    """What of a held block is not said again: after a crash ingest may cut it in another way."""
    if not np.isin(block.position, again.position).any():
        return block
    said = set(_rows(again))
    return block.take(np.array([row not in said for row in _rows(block)], bool))


def _rows(block: Block) -> Iterable[tuple[object, ...]]:
    """Readings of a block, to be compared."""
    points = [block.points[slot] for slot in block.slot.tolist()]
    names = ("position", "read_at_ms", "origin", "ticks", "received_at_s", "sequence", "verdict")
    return zip(points, *(getattr(block, name).tolist() for name in names), strict=True)


def shard_of(settings: Settings, partition: int, state: object | None) -> WatchShard:
    """Make a shard that goes on from its state; its catalogue resumes from the store."""
    return WatchShard(catalogue_of(Asker(settings), partition, settings.partitions), state=state)


def anomaly(step_id: str, up: KeyedStream[Passed], make: ShardFactory) -> KeyedStream[Rows]:
    """Operator: `(shard, Passed)` -> `(shard, Rows)` of the incident tables."""
    return op.stateful_batch(f"{step_id}_watch", up, partial(WatchLogic, make))


def build(settings: Settings, source: LogSource, sink: StoreSink) -> Dataflow:
    """Anomaly alone, behind the topic of valid readings."""
    flow = Dataflow("anomaly")
    passed = unpack_passed("unpack_passed", op.input("read_valid", flow, source))
    op.output("store_incidents", anomaly("anomaly", passed, partial(shard_of, settings)), sink)
    return flow


def run(
    settings: Settings, *, stop_at_end: bool = False, workers: int = 1, partitions: tuple[int, ...] = ()
) -> None:
    """Run anomaly alone until it is stopped (or the log ends)."""
    meet_store(settings)
    share = Share("anomaly", partitions)
    source = LogSource(
        partial(open_log, settings), VALID, stop_at_end=stop_at_end, partitions=share.partitions
    )
    sink = StoreSink(partial(Writer, settings))
    flow = build(settings, source, sink)
    run_flow(flow, settings.recovery_path / share.name, settings.epoch_s, workers)
