"""Rollups: accepted readings become windows of 15 minutes, hours, days and months, and totals in space.

Topics in/out   `readings.valid` -> tables `window_*` and `total_*` (chained in one process: straight from ingest)
Key             shard = partition; a point's readings are all in one
Window          China civil time, half-open; kept in step with the readings however late they come
State kept      recent readings and days of the shard, bounded; asked of the store when it resumes
Delivery        at least once; a row's revision is the newest log position among its readings (law 7)

Source: TC 4.5.2-1, 4.5.4; docs/decisions/0005, 0011, 0012.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import KeyedStream, StatefulBatchLogic

from flows.computed import StoredWindows
from flows.connectors import LogSource, StoreSink
from flows.ingest import Passed, unpack_passed
from flows.loaders import catalogue_of, day_loader, meet_store, reading_loader
from flows.restating import RestateLoader
from flows.runner import run_flow
from flows.shares import Share
from flows.totals import TotalLoader
from nengliu.analysis.notice_rows import passed_rows
from nengliu.analysis.rollups.computing import ComputedShard
from nengliu.analysis.rollups.restate import Restater
from nengliu.analysis.rollups.shard import WindowShard
from nengliu.analysis.rollups.steps import RollupShard
from nengliu.analysis.totals.shard import TotalShard
from nengliu.bus.open import open_log
from nengliu.settings import Settings
from nengliu.storage import Asker, Writer
from schemas.block import Rows
from schemas.messages import RetentionNotice
from schemas.topics import VALID

ShardFactory: TypeAlias = Callable[[int], RollupShard]


class RollupLogic(StatefulBatchLogic[Passed, Rows, None]):
    """Runs one shard; its state is in the store, the recovery store keeps none of it."""

    def __init__(self, make: ShardFactory) -> None:
        """Wait for the first item: it says which shard this is."""
        self._make = make
        self._shard: RollupShard | None = None

    def on_batch(self, values: list[Passed]) -> tuple[Iterable[Rows], bool]:
        """Take blocks and notices in: `Passed` -> `Rows` of windows."""
        self._shard = self._shard or self._make(values[0].partition)
        out = self._shard.run((item.position, item.message) for item in values)
        for item in values:
            if isinstance(item.message, RetentionNotice):
                out.append(passed_rows(item.message, item.position, item.partition))
        return out, StatefulBatchLogic.RETAIN

    def snapshot(self) -> None:
        """End an epoch: what came before the last one is stored."""
        if self._shard is not None:
            self._shard.seal()


def shard_of(settings: Settings, partition: int) -> RollupShard:
    """Make a shard that resumes from the store."""
    asker = Asker(settings)
    catalogue = catalogue_of(asker, partition, settings.partitions)
    restater = Restater(RestateLoader(asker, partition, settings.partitions))
    windows = WindowShard(catalogue, reading_loader(asker), restater.over(day_loader(asker)), restater)
    computed = ComputedShard(catalogue, StoredWindows(asker))
    return RollupShard(windows, computed, TotalShard(catalogue, TotalLoader(asker)))


def rollups(step_id: str, up: KeyedStream[Passed], make: ShardFactory) -> KeyedStream[Rows]:
    """Operator: `(shard, Passed)` -> `(shard, Rows)` of the tables of windows and totals."""
    return op.stateful_batch(f"{step_id}_window", up, lambda _: RollupLogic(make))


def build(settings: Settings, source: LogSource, sink: StoreSink) -> Dataflow:
    """Rollups alone, behind the topic of valid readings."""
    flow = Dataflow("rollups")
    passed = unpack_passed("unpack_passed", op.input("read_valid", flow, source))
    op.output("store_windows", rollups("rollups", passed, partial(shard_of, settings)), sink)
    return flow


def run(
    settings: Settings, *, stop_at_end: bool = False, workers: int = 1, partitions: tuple[int, ...] = ()
) -> None:
    """Run rollups alone until it is stopped (or the log ends)."""
    meet_store(settings)
    share = Share("rollups", partitions)
    source = LogSource(
        partial(open_log, settings), VALID, stop_at_end=stop_at_end, partitions=share.partitions
    )
    sink = StoreSink(partial(Writer, settings))
    flow = build(settings, source, sink)
    run_flow(flow, settings.recovery_path / share.name, settings.epoch_s, workers)
