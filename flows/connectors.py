# ruff: noqa: ARG002 -- Bytewax fixes the arguments of build_part
"""Where the flows meet the log and the store: Bytewax sources and sinks over our interfaces.

A source's item is ``(shard, records)``: all that one poll found in one partition, never a
single reading (design.md section 6).  Sinks are fixed-partitioned and flush in
``snapshot()``, which Bytewax runs at the end of an epoch and *before* it commits the
epoch: whatever a resume will not read again is durable (tests/flows/test_connectors.py).

``close()`` writes nothing: at a finite end ``snapshot()`` has run before it, and after an error
Bytewax calls it too, where an exception would abort the process (measured, 0.21.1).

Delivery is at least once.  After a crash a source resumes at the last committed epoch and
gives the records since then again; what follows is keyed and carries its position.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from flows.resume import ResumeNotes
from nengliu import telemetry
from nengliu.bus import OFFSET_BITS, Log, Record, partition_of
from nengliu.errors import InputError, LogRefused
from schemas.block import Rows

BATCH_RECORDS = 2048
BATCH_BYTES = 1 << 19
"""About 100,000 readings as they travel (a packed frame takes some 5 bytes a reading).  Frames of one time are small,
and a batch says the hours it touches once: with 256 of them a minute's stream behind said four times the rows."""
READ_RECORDS = 256
"""Read at once: of records as large as frames of a day the memory holds no more."""
POLL_S = 0.1
"""Pause after an empty poll: ten short reads a second and partition, and the delay one sees."""
SINK_BYTES = 4 << 20
"""A log sink appends no later than at this size, so that an epoch needs little memory."""
SOON_S = 0.5
"""In the first epoch rows wait for the store no longer [s]."""

Message = tuple[str, bytes]
"""Key (the enterprise) and value of a message for the log."""
Position = tuple[int, int]
"""What a source remembers: generation of the log, offset of the next record.  Stored data."""

X = TypeVar("X")
_log = telemetry.logger.getChild(__name__)


class StoreWriter(Protocol):
    """What the sinks need of `nengliu.storage.Writer`."""

    def write(self, rows: Rows) -> None:
        """Take rows; may hold them until `flush`."""

    def flush(self) -> None:
        """Make all rows taken so far durable in the store, or raise StorageError."""


# -- source ----------------------------------------------------------------------------------


class LogSource(FixedPartitionedSource[tuple[str, list[Record]], Position]):
    """Read a topic; stream of ``(str(partition), [Record, ...])``, one item per poll.

    Parameters
    ----------
    log_factory
        Opens the log; called once per partition in the worker that reads it.
    topic
        The topic; it must exist.
    batch_records, batch_bytes
        An item holds no more than this (a single larger record travels alone).
    poll_s
        Pause after an empty poll [s].
    stop_at_end
        End when the end the log had at the start is reached (import, bench, prove).
    partitions
        Read these only; none are all of the topic.

    Notes
    -----
    `stop` ends the source at its next poll as if the log had ended: the flow drains,
    flushes and commits.  `flows.runner.run_flow` sets it on SIGTERM and SIGINT, and sets
    `notes`, where the parts tell what they will never read again: when they open, and at each epoch.
    """

    def __init__(  # noqa: PLR0913 - all but the first two are limits with a default
        self,
        log_factory: Callable[[], Log],
        topic: str,
        *,
        batch_records: int = BATCH_RECORDS,
        batch_bytes: int = BATCH_BYTES,
        poll_s: float = POLL_S,
        stop_at_end: bool = False,
        partitions: tuple[int, ...] = (),
    ) -> None:
        self.log_factory = log_factory
        self.topic = topic
        self.partitions = partitions
        self.batch_records = batch_records
        self.batch_bytes = batch_bytes
        self.poll_s = poll_s
        self.stop_at_end = stop_at_end
        self.stop = threading.Event()
        self.notes: ResumeNotes | None = None

    def list_parts(self) -> list[str]:
        """Name the partitions to read; the names are stored with the recovery state.

        Raises
        ------
        InputError
            The topic has no such partition.
        """
        log = self.log_factory()
        try:
            count = log.partitions(self.topic)
        finally:
            log.close()
        unknown = [partition for partition in self.partitions if partition >= count]
        if unknown:
            raise InputError(f"{self.topic} has the partitions 0 to {count - 1}, got {unknown}; name those")
        return [str(partition) for partition in self.partitions or range(count)]

    def build_part(self, step_id: str, for_part: str, resume_state: Position | None) -> LogSourcePart:
        """Open the log and go to where the last committed epoch ended."""
        part = LogSourcePart(self, int(for_part), resume_state)
        flow, position = step_id.partition(".")[0], part.position
        telemetry.emit(telemetry.FlowResumed(1, flow=flow, partition=int(for_part), position=position))
        return part


class LogSourcePart(StatefulSourcePartition[tuple[str, list[Record]], Position]):
    """Read position in one partition."""

    def __init__(self, source: LogSource, partition: int, resume_state: Position | None) -> None:
        self._source = source
        self._partition = partition
        self._log = source.log_factory()
        self._ready: deque[Record] = deque()
        self._idle = False
        bounds = self._log.bounds(source.topic, partition)
        self._generation, self._offset = resume_state or (bounds.generation, bounds.first)
        self._settle()
        self._end = bounds.end if source.stop_at_end else None
        self._end_generation = bounds.generation
        self._last = self._generation, self._offset
        self._note()

    @property
    def position(self) -> int:
        """Position of the record that is read next."""
        return self._generation << OFFSET_BITS | self._offset

    def next_batch(self) -> list[tuple[str, list[Record]]]:
        """Give what is there, at most one item."""
        if self._source.stop.is_set() or self._at_end():
            raise StopIteration
        batch = self._take()
        self._idle = not batch
        return [(str(self._partition), batch)] if batch else []

    def next_awake(self) -> datetime | None:
        """Come back at once while there is more, after the pause when there was nothing."""
        return datetime.now(UTC) + timedelta(seconds=self._source.poll_s) if self._idle else None

    def snapshot(self) -> Position:
        """Generation and offset of the next record to give; the one before this is committed by now."""
        self._note()
        self._last = self._generation, self._offset
        return self._last

    def close(self) -> None:
        """Let go of the log."""
        self._log.close()

    def _note(self) -> None:
        """Tell where a resume would begin at the earliest."""
        if self._source.notes is not None:
            self._source.notes.note(self._source.topic, self._partition, self._last)

    def _at_end(self) -> bool:
        if self._end is None:
            return False
        return self._generation > self._end_generation or self._offset >= self._end

    def _take(self) -> list[Record]:
        """Cut the next batch out of what was read ahead, and read on while there is room and more; the rest waits."""
        room, batch, more = self._source.batch_bytes, list[Record](), True
        while len(batch) < self._source.batch_records:
            if not self._ready and more:
                self._ready.extend(self._read())
                more = len(self._ready) == self._limit
            if not self._ready or self._ready[0].offset == self._end:
                break
            room -= len(self._ready[0].value)
            if batch and room < 0:
                break
            batch.append(self._ready.popleft())
            self._offset = batch[-1].offset + 1
        return batch

    @property
    def _limit(self) -> int:
        return min(READ_RECORDS, self._source.batch_records)

    def _read(self) -> list[Record]:
        """Read on; when the log does not continue where we are, settle first and read again."""
        records = self._read_at()
        # Empty looks the same at the end of the log and beyond it (laid anew, and shorter): ask.
        here = (self._generation, self._offset)
        if (not records or (records[0].generation, records[0].offset) != here) and self._settle():
            records = self._read_at()
        return [record for record in records if record.generation == self._generation]

    def _read_at(self) -> list[Record]:
        return self._log.read(self._source.topic, self._partition, self._offset, self._limit)

    def _settle(self) -> bool:
        """Move to the first record there is if the log was trimmed or laid anew; say it aloud."""
        bounds = self._log.bounds(self._source.topic, self._partition)
        where = f"{self._source.topic}[{self._partition}]"
        here = f"generation {self._generation} offset {self._offset}"
        if self._generation > bounds.generation or (
            self._generation == bounds.generation and self._offset > bounds.end
        ):
            raise LogRefused(
                f"{where}: this flow has read up to {here}, but the log ends at generation "
                f"{bounds.generation} offset {bounds.end}: it was lost or restored from an older copy, and "
                f"positions would be given twice; renew the topic above generation {self._generation}"
            )
        if self._generation < bounds.generation:
            _log.error(
                "%s: the log was laid anew after %s; reading on from generation %d offset %d; "
                "records appended to the old generation and not yet read are not in the log any more",
                where, here, bounds.generation, bounds.first,
            )  # fmt: skip
        elif self._offset < bounds.first:
            _log.error(
                "%s: %d records after %s were trimmed before this flow read them; reading on from offset %d",
                where, bounds.first - self._offset, here, bounds.first,
            )  # fmt: skip
        else:
            return False
        self._generation, self._offset = bounds.generation, bounds.first
        return True


# -- sinks -----------------------------------------------------------------------------------


class _ShardSink(FixedPartitionedSink[X, None]):
    """A sink whose parts each take some shards whole; there is nothing to resume.

    One part does for a process and gathers the largest batches; a joined cluster takes one
    per worker.  The number of parts can be raised later, not lowered (recovery knows them).
    """

    parts: int

    def list_parts(self) -> list[str]:
        """Name the parts so that they sort as numbers: Bytewax picks by place in the sorted list."""
        return [f"{part:04d}" for part in range(self.parts)]

    def part_fn(self, item_key: str) -> int:
        """Send a shard to the same part always (Bytewax takes it modulo the parts)."""
        return int(item_key) if item_key.isdecimal() else partition_of(item_key, self.parts)


class LogSink(_ShardSink[Message]):
    """Append to a topic; takes ``(shard, (key, value))``, keeps the order within a shard.

    Buffered up to `SINK_BYTES`, appended at the latest in ``snapshot()``.
    """

    def __init__(self, log_factory: Callable[[], Log], topic: str, parts: int = 1) -> None:
        self.log_factory = log_factory
        self.topic = topic
        self.parts = parts

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> LogSinkPart:
        """Open the log; there is nothing to resume."""
        return LogSinkPart(self.log_factory(), self.topic)


class LogSinkPart(StatefulSinkPartition[Message, None]):
    """Messages on their way to the log."""

    def __init__(self, log: Log, topic: str) -> None:
        self._log = log
        self._topic = topic
        self._held: list[Message] = []
        self._bytes = 0

    def write_batch(self, values: list[Message]) -> None:
        """Hold the messages; append when there is enough."""
        for message in values:
            self._held.append(message)
            self._bytes += len(message[1])
            if self._bytes >= SINK_BYTES:
                self._flush()

    def snapshot(self) -> None:
        """Append the rest before the epoch commits."""
        self._flush()

    def close(self) -> None:
        """Let go of the log; what no ``snapshot()`` appended will be read again."""
        self._log.close()

    def _flush(self) -> None:
        self._log.append(self._topic, self._held)
        self._held, self._bytes = [], 0


class StoreSink(_ShardSink[Rows]):
    """Write rows to the store; takes ``(shard, Rows)``.

    The writer flushes by itself when it is full, and always in ``snapshot()``: all rows given
    before the end of an epoch are in the store before the epoch commits.

    Parameters
    ----------
    writer_factory
        Makes a writer; called once per part in the worker that writes.
    """

    def __init__(self, writer_factory: Callable[[], StoreWriter], parts: int = 1) -> None:
        self.writer_factory = writer_factory
        self.parts = parts

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> StoreSinkPart:
        """Make a writer; there is nothing to resume."""
        return StoreSinkPart(self.writer_factory())


class StoreSinkPart(StatefulSinkPartition[Rows, None]):
    """Rows on their way to the store.

    After a start somebody waits for what came while the flow was away: in the first epoch rows are stored soon.
    """

    def __init__(self, writer: StoreWriter) -> None:
        self._writer = writer
        self._flush_at = 0.0
        """When rows are stored without waiting for the epoch; in the first one only [s, monotonic]."""

    def write_batch(self, values: list[Rows]) -> None:
        """Hand the rows to the writer in the order of the stream."""
        for rows in values:
            self._writer.write(rows)
        if time.monotonic() >= self._flush_at:
            self._writer.flush()
            self._flush_at = time.monotonic() + SOON_S

    def snapshot(self) -> None:
        """Flush before the epoch commits."""
        self._writer.flush()
        self._flush_at = math.inf


class StoreThenLogSink(_ShardSink[Rows | Message]):
    """Write rows to the store and only then messages to a topic; takes ``(shard, Rows | (key, value))``.

    For ingest running alone: an accepted block must be durable in the store before the
    flows behind `topic` hear of it.  Messages wait for the end of the epoch, whatever
    their order among the rows; so an epoch's messages must fit into memory.
    """

    def __init__(
        self,
        writer_factory: Callable[[], StoreWriter],
        log_factory: Callable[[], Log],
        topic: str,
        parts: int = 1,
    ) -> None:
        self.writer_factory = writer_factory
        self.log_factory = log_factory
        self.topic = topic
        self.parts = parts

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> StoreThenLogSinkPart:
        """Make a writer and open the log; there is nothing to resume."""
        return StoreThenLogSinkPart(self.writer_factory(), self.log_factory(), self.topic)


class StoreThenLogSinkPart(StatefulSinkPartition[Rows | Message, None]):
    """Rows on their way to the store, messages waiting for them."""

    def __init__(self, writer: StoreWriter, log: Log, topic: str) -> None:
        self._writer = writer
        self._log = log
        self._topic = topic
        self._held: list[Message] = []

    def write_batch(self, values: list[Rows | Message]) -> None:
        """Hand rows to the writer, hold messages."""
        for value in values:
            if isinstance(value, Rows):
                self._writer.write(value)
            else:
                self._held.append(value)

    def snapshot(self) -> None:
        """Flush the rows, then append the messages, before the epoch commits."""
        self._writer.flush()
        self._log.append(self._topic, self._held)
        self._held = []

    def close(self) -> None:
        """Let go of the log; messages of an epoch that failed must not follow half their rows."""
        self._log.close()
