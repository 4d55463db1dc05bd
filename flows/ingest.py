"""Ingest: raw messages become accepted readings; nothing vanishes.

Topics in/out   `readings.raw` -> `readings.valid` (sheaves, blocks and notices, in order of raw position)
Key             shard = partition of the raw topic; all readings of an enterprise share one
State kept      recent readings of the shard for deduplication, bounded; asked of the store when it resumes
Delivery        at least once; rows are keyed and carry the raw position, so a replay writes them again
Refused         table `quarantine`, with the closed reason and the payload; every message has a tally in `intake`

Source: TC 4.4.3 (parsing, three layers of validation, storage).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import KeyedStream, StatefulBatchLogic

from flows.connectors import LogSource, Message, StoreThenLogSink
from flows.loaders import catalogue_of, meet_store, reading_loader, waiting_loader
from flows.runner import run_flow
from flows.shares import Share
from nengliu import telemetry
from nengliu.analysis.intake.rows import Tally
from nengliu.analysis.intake.shard import IngestShard
from nengliu.analysis.intake.validate import Limits
from nengliu.analysis.intake.waiting import WaitingRoom
from nengliu.bus import Record
from nengliu.bus.open import open_log
from nengliu.settings import Settings
from nengliu.storage import Asker, Writer
from schemas.block import Block, Rows, Sheaf
from schemas.messages import Notice
from schemas.passed import pack, unpack
from schemas.topics import RAW, VALID


@dataclass(frozen=True, slots=True)
class Passed:
    """A sheaf of plain readings, a block of readings and evidence, or a notice, on its way to the other flows.

    `position`: up to there everything has been said once this is taken (`nengliu.analysis.intake.evidence.in_order`).
    """

    partition: int
    position: int
    key: str
    message: Block | Sheaf | Notice


ShardFactory: TypeAlias = Callable[[int], IngestShard]


@dataclass(frozen=True, slots=True)
class Ingested:
    """The two streams that leave ingest, keyed by shard."""

    rows: KeyedStream[Rows]
    passed: KeyedStream[Passed]


class IngestLogic(StatefulBatchLogic[list[Record], Any, None]):
    """Runs one shard; its state is in the store, the recovery store keeps none of it."""

    def __init__(self, make: ShardFactory) -> None:
        """Wait for the first records: they say which shard this is."""
        self._make = make
        self._shard: IngestShard | None = None

    def on_batch(self, values: list[list[Record]]) -> tuple[Iterable[Any], bool]:
        """Take the records of some polls in: `[Record, ...]` -> `Rows` and `Passed`."""
        out: list[Any] = []
        for records in values:
            self._shard = self._shard or self._make(records[0].partition)
            outcome = self._shard.add(records)
            _count(outcome.tallies)
            out.extend(outcome.rows)
            key, partition = records[0].key, records[0].partition
            out.extend(Passed(partition, position, key, message) for position, message in outcome.onward)
        return out, StatefulBatchLogic.RETAIN

    def snapshot(self) -> None:
        """End an epoch: what came before the last one is stored."""
        if self._shard is not None:
            self._shard.seal()


def shard_of(settings: Settings, partition: int) -> IngestShard:
    """Make a shard that resumes from the store."""
    asker = Asker(settings)
    limits = Limits(settings.future_s, settings.lateness_s)
    waiting = WaitingRoom(waiting_loader(asker, partition))
    return IngestShard(
        catalogue_of(asker, partition, settings.partitions), reading_loader(asker), limits, waiting
    )


def ingest(step_id: str, up: KeyedStream[list[Record]], make: ShardFactory) -> Ingested:
    """Operator: `(shard, [Record, ...])` -> `(shard, Rows)` for the store and `(shard, Passed)` for the flows."""
    taken = op.stateful_batch(f"{step_id}_take_in", up, lambda _: IngestLogic(make))
    rows = op.filter_value(f"{step_id}_keep_rows", taken, lambda item: isinstance(item, Rows))
    passed = op.filter_value(f"{step_id}_pass_on", taken, lambda item: isinstance(item, Passed))
    return Ingested(rows, passed)


def unpack_passed(step_id: str, up: KeyedStream[list[Record]]) -> KeyedStream[Passed]:
    """Operator of the flows behind `readings.valid`: `(shard, [Record, ...])` -> `(shard, Passed)`."""
    return op.flat_map_value(step_id, up, _passed)


def build(settings: Settings, source: LogSource, sink: StoreThenLogSink) -> Dataflow:
    """Ingest alone between topics: rows are stored before the blocks made of them are announced."""
    flow = Dataflow("ingest")
    records = op.input("read_raw", flow, source)
    done = ingest("ingest", records, partial(shard_of, settings))
    messages = op.map_value("pack_passed", done.passed, _message)
    op.output("store_and_announce", op.merge("join_out", done.rows, messages), sink)
    return flow


def run(
    settings: Settings, *, stop_at_end: bool = False, workers: int = 1, partitions: tuple[int, ...] = ()
) -> None:
    """Run ingest alone until it is stopped (or the log ends)."""
    meet_store(settings)
    share = Share("ingest", partitions)
    source = LogSource(partial(open_log, settings), RAW, stop_at_end=stop_at_end, partitions=share.partitions)
    sink = StoreThenLogSink(partial(Writer, settings), partial(open_log, settings), VALID)
    flow = build(settings, source, sink)
    run_flow(flow, settings.recovery_path / share.name, settings.epoch_s, workers)


def _count(tallies: list[Tally]) -> None:
    """Tell telemetry what became of the readings of some messages."""
    telemetry.emit(telemetry.ReadingsReceived(sum(tally.received for tally in tallies)))
    telemetry.emit(telemetry.ReadingsAccepted(sum(tally.valid for tally in tallies)))
    telemetry.emit(telemetry.ReadingsDuplicate(sum(tally.duplicate for tally in tallies)))
    telemetry.emit(telemetry.ReadingsConflicting(sum(tally.conflicts for tally in tallies)))
    telemetry.emit(telemetry.ReadingsQuarantined(sum(tally.quarantined for tally in tallies)))


def _message(passed: Passed) -> Message:
    return passed.key, pack(passed.position, passed.message)


def _passed(records: list[Record]) -> list[Passed]:
    """Passed messages of some records of `readings.valid`."""
    return [
        Passed(record.partition, position, record.key, message)
        for record in records
        for position, message in [unpack(record.value)]
    ]
