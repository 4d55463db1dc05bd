"""Sources and sinks: what a source gives and remembers, when a sink is durable, and in which order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bytewax.operators as op
import numpy as np
import pytest
from bytewax.dataflow import Dataflow
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows import connectors
from flows.connectors import LogSink, LogSource, LogSourcePart, Position, StoreSink, StoreThenLogSink
from flows.runner import run_flow
from nengliu import telemetry
from nengliu.bus import Record, partition_of
from nengliu.bus.sqlite import SqliteLog
from nengliu.errors import LogError, StorageError
from schemas.block import Rows

OpenLog = Callable[[], SqliteLog]
PARTITIONS = 4
KEY = "k1"
PART = partition_of(KEY, PARTITIONS)
"""All messages of `KEY` are in this partition."""


class RecordingWriter:
    """Stands for `nengliu.storage.Writer`: remembers what it was given, and what was flushed."""

    def __init__(self, told: list[str] | None = None, error: StorageError | None = None) -> None:
        self.held: list[Rows] = []
        self.stored: list[Rows] = []
        self.told = [] if told is None else told
        self.error = error

    def write(self, rows: Rows) -> None:
        """Hold the rows."""
        self.told.append("write")
        self.held.append(rows)

    def flush(self) -> None:
        """Store what is held."""
        self.told.append("flush")
        if self.error is not None:
            raise self.error
        self.stored += self.held
        self.held = []


def rows(number: int) -> Rows:
    """Make rows that can be told apart."""
    return Rows("t", {"n": np.array([number])})


def fill(log: SqliteLog, count: int, start: int = 0, size: int = 0) -> None:
    """Append numbered messages of `KEY` to ``in``."""
    log.append("in", [(KEY, f"{n:06d}".encode() + bytes(size)) for n in range(start, start + count)])


def drain(part: LogSourcePart, polls: int = 10_000) -> list[list[Record]]:
    """Poll until nothing comes or the part ends."""
    found = []
    for _ in range(polls):
        try:
            items = part.next_batch()
        except StopIteration:
            break
        if not items:
            break
        ((shard, records),) = items
        assert shard == str(PART)
        found.append(records)
    return found


def numbers(batches: list[list[Record]]) -> list[int]:
    """Numbers of the messages in the order given."""
    return [int(record.value[:6]) for batch in batches for record in batch]


class TestLogSource:
    """A partition's records, as items, from a remembered place on."""

    @pytest.fixture
    def part(self, open_log: OpenLog) -> Callable[..., LogSourcePart]:
        """Build the part of `KEY`'s partition, with what it remembers and the source's arguments."""

        def build(resume: Position | None = None, **arguments: object) -> LogSourcePart:
            source = LogSource(open_log, "in", **arguments)  # type: ignore[arg-type]
            return source.build_part("flow.in", str(PART), resume)

        return build

    def test_list_parts_names_every_partition(self, open_log: OpenLog) -> None:
        """Each partition is a part, named by its number."""
        assert LogSource(open_log, "in").list_parts() == ["0", "1", "2", "3"]

    def test_poll_gives_one_item_of_at_most_the_records(
        self, log: SqliteLog, part: Callable[..., LogSourcePart]
    ) -> None:
        """An item never holds more records than its limit."""
        fill(log, 10)
        batches = drain(part(batch_records=4))

        assert [len(batch) for batch in batches] == [4, 4, 2]
        assert numbers(batches) == list(range(10))

    def test_poll_gives_at_most_the_bytes(self, log: SqliteLog, part: Callable[..., LogSourcePart]) -> None:
        """An item never holds more bytes than its limit."""
        fill(log, 10, size=94)

        assert [len(batch) for batch in drain(part(batch_bytes=350))] == [3, 3, 3, 1]

    def test_poll_reads_on_until_the_item_is_full(
        self, log: SqliteLog, part: Callable[..., LogSourcePart], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Small records make large items, though only a few are read at once."""
        monkeypatch.setattr(connectors, "READ_RECORDS", 3)
        fill(log, 20, size=10)
        batches = drain(part(batch_records=8))

        assert [len(batch) for batch in batches] == [8, 8, 4]
        assert numbers(batches) == list(range(20))

    def test_poll_gives_a_larger_record_alone(
        self, log: SqliteLog, part: Callable[..., LogSourcePart]
    ) -> None:
        """A record beyond the limit travels by itself instead of stopping the flow."""
        fill(log, 2, size=10)
        fill(log, 1, start=2, size=1000)
        fill(log, 2, start=3, size=10)

        assert [len(batch) for batch in drain(part(batch_bytes=100))] == [2, 1, 2]

    def test_poll_with_nothing_to_give_sleeps(
        self, log: SqliteLog, part: Callable[..., LogSourcePart]
    ) -> None:
        """After an empty poll the source asks to be woken later, after a full one at once."""
        source = part(poll_s=5)
        fill(log, 1)

        assert source.next_awake() is None
        assert source.next_batch() != []
        assert source.next_awake() is None
        assert source.next_batch() == []
        wake = source.next_awake()
        assert wake is not None
        assert timedelta(seconds=4) < wake - datetime.now(UTC) < timedelta(seconds=6)

    def test_poll_sees_records_appended_later(
        self, log: SqliteLog, part: Callable[..., LogSourcePart]
    ) -> None:
        """A source at the end goes on when more comes."""
        source = part()
        assert drain(source) == []
        fill(log, 3)

        assert numbers(drain(source)) == [0, 1, 2]

    def test_stop_at_end_ends_at_the_end_of_the_start(
        self, log: SqliteLog, part: Callable[..., LogSourcePart]
    ) -> None:
        """What is appended after the start is left for the next run."""
        fill(log, 5)
        source = part(stop_at_end=True, batch_records=2)
        fill(log, 5, start=5)

        assert numbers(drain(source)) == [0, 1, 2, 3, 4]
        with pytest.raises(StopIteration):
            source.next_batch()
        assert numbers(drain(part(source.snapshot(), stop_at_end=True))) == [5, 6, 7, 8, 9]

    def test_stop_at_end_of_an_empty_log_ends_at_once(self, part: Callable[..., LogSourcePart]) -> None:
        """There is nothing to wait for."""
        with pytest.raises(StopIteration):
            part(stop_at_end=True).next_batch()

    def test_stop_set_ends_at_the_next_poll(self, log: SqliteLog, open_log: OpenLog) -> None:
        """Asked to stop, a source ends although there is more, and remembers where."""
        fill(log, 10)
        source = LogSource(open_log, "in", batch_records=4)
        part = source.build_part("flow.in", str(PART), None)
        part.next_batch()
        source.stop.set()

        with pytest.raises(StopIteration):
            part.next_batch()
        assert part.snapshot() == (1, 4)

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        stops=st.lists(st.integers(0, 6), max_size=6),
        limits=st.tuples(st.integers(1, 9), st.integers(1, 40)),
        count=st.integers(0, 40),
    )
    def test_resume_anywhere_gives_exactly_the_rest(
        self,
        log: SqliteLog,
        part: Callable[..., LogSourcePart],
        stops: list[int],
        limits: tuple[int, int],
        count: int,
    ) -> None:
        """Stopped after any poll and built again, a source repeats nothing and skips nothing."""
        log.renew("in")
        fill(log, count)
        found: list[int] = []
        resume: Position | None = None
        for polls in [*stops, 10_000]:
            source = part(resume, batch_records=limits[0], batch_bytes=limits[1])
            found += numbers(drain(source, polls))
            resume = source.snapshot()
            source.close()

        assert found == list(range(count))

    def test_source_that_takes_up_its_work_says_where(
        self, log: SqliteLog, part: Callable[..., LogSourcePart], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Each partition is told as it is opened, by flow and position, and counted."""
        caplog.set_level(logging.INFO, "nengliu")
        telemetry.reset()
        fill(log, 5)
        part((1, 3))

        assert f"FlowResumed count=1 flow=flow partition={PART} position={1 << 48 | 3}" in caplog.text
        assert telemetry.snapshot() == {"nengliu_flows_resumed_partitions_total{flow=flow}": 1}

    def test_resume_behind_a_trim_starts_at_the_first_and_says_so(
        self, log: SqliteLog, part: Callable[..., LogSourcePart], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Records trimmed before they were read are counted aloud: that is loss."""
        fill(log, 5)
        log.trim("in", 2**40)
        fill(log, 2, start=5)
        source = part((1, 2))

        assert numbers(drain(source)) == [5, 6]
        assert source.snapshot() == (1, 7)
        ((name, level, message),) = [one for one in caplog.record_tuples if one[1] >= logging.WARNING]
        assert (name, level) == ("nengliu.flows.connectors", logging.ERROR)
        assert message.startswith(f"in[{PART}]: 3 records after generation 1 offset 2 were trimmed")

    def test_trim_under_a_running_source_is_said_too(
        self, log: SqliteLog, part: Callable[..., LogSourcePart], caplog: pytest.LogCaptureFixture
    ) -> None:
        """A source that is overtaken while it runs goes on at the first record there is."""
        fill(log, 5)
        source = part(batch_records=2)
        source.next_batch()
        log.trim("in", 2**40)
        fill(log, 1, start=5)

        assert numbers(drain(source)) == [5]
        assert "3 records" in caplog.text

    @pytest.mark.parametrize("more", [0, 2, 9], ids=["empty", "shorter", "longer"])
    @pytest.mark.parametrize("running", [True, False])
    def test_renew_of_the_log_is_followed_from_its_first_record(
        self,
        log: SqliteLog,
        part: Callable[..., LogSourcePart],
        caplog: pytest.LogCaptureFixture,
        more: int,
        running: bool,
    ) -> None:
        """A topic laid anew is read from its start, whether it is longer or shorter than before."""
        fill(log, 5)
        source = part()
        drain(source)
        log.renew("in")
        fill(log, more, start=100)
        if not running:
            source = part(source.snapshot())

        assert numbers(drain(source)) == list(range(100, 100 + more))
        assert source.snapshot() == (2, more)
        assert "laid anew after generation 1 offset 5" in caplog.text

    @pytest.mark.parametrize("resume", [(1, 6), (2, 0)], ids=["offset", "generation"])
    def test_resume_ahead_of_the_log_refused(
        self, log: SqliteLog, part: Callable[..., LogSourcePart], resume: Position
    ) -> None:
        """A log older than what was read from it would give positions twice."""
        fill(log, 5)

        with pytest.raises(LogError, match=r"restored from an older copy.*renew the topic above generation"):
            part(resume)

    def test_stop_at_end_of_a_log_renewed_meanwhile_ends(
        self, log: SqliteLog, part: Callable[..., LogSourcePart]
    ) -> None:
        """The end that was aimed at is gone; a finite run does not wait for it."""
        fill(log, 5)
        source = part(stop_at_end=True, batch_records=2)
        source.next_batch()
        log.renew("in")
        drain(source)

        with pytest.raises(StopIteration):
            source.next_batch()

    def test_read_ahead_of_an_old_generation_is_still_given(
        self, log: SqliteLog, part: Callable[..., LogSourcePart]
    ) -> None:
        """Records read before a renewal are of the log and are not thrown away."""
        fill(log, 6)
        source = part(batch_bytes=12)
        source.next_batch()
        log.renew("in")
        fill(log, 2, start=100)

        assert numbers(drain(source)) == [2, 3, 4, 5, 100, 101]


class TestLogSink:
    """Messages reach the log in order and before the epoch commits."""

    def test_snapshot_appends_what_is_held_in_order(self, log: SqliteLog, open_log: OpenLog) -> None:
        """At the end of an epoch all messages are in the log, in the order of the stream."""
        part = LogSink(open_log, "out").build_part("flow.out", "0000", None)
        part.write_batch([(KEY, b"1"), (KEY, b"2")])
        part.write_batch([(KEY, b"3")])
        assert log.read("out", PART, 0, 9) == []
        part.snapshot()

        assert [r.value for r in log.read("out", PART, 0, 9)] == [b"1", b"2", b"3"]
        part.snapshot()
        assert log.bounds("out", PART).end == 3

    def test_write_of_much_appends_before_the_epoch_ends(
        self, log: SqliteLog, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The sink does not hold a whole epoch in memory."""
        monkeypatch.setattr("flows.connectors.SINK_BYTES", 10)
        part = LogSink(open_log, "out").build_part("flow.out", "0000", None)
        part.write_batch([(KEY, bytes(4))] * 5)

        assert log.bounds("out", PART).end == 3
        part.snapshot()
        assert log.bounds("out", PART).end == 5

    def test_close_without_snapshot_appends_nothing(self, log: SqliteLog, open_log: OpenLog) -> None:
        """What no snapshot covered is read again after a resume, so it is not written now."""
        part = LogSink(open_log, "out").build_part("flow.out", "0000", None)
        part.write_batch([(KEY, b"1")])
        part.close()

        assert log.bounds("out", PART).end == 0

    def test_parts_of_many_shards_keep_a_shard_together(self, open_log: OpenLog) -> None:
        """Part names sort as numbers, so that shard 10 is part 10 among 12."""
        sink = LogSink(open_log, "out", parts=12)

        assert sorted(sink.list_parts())[sink.part_fn("10")] == "0010"
        assert sink.part_fn(KEY) == partition_of(KEY, 12)


class TestStoreSinks:
    """Rows reach the store before the epoch commits, and before a message that speaks of them."""

    def test_store_snapshot_flushes_all_that_was_given(self) -> None:
        """At the end of an epoch the store holds every row given to it, in order."""
        writer = RecordingWriter()
        part = StoreSink(lambda: writer).build_part("flow.out", "0000", None)
        part.snapshot()
        part.write_batch([rows(1), rows(2)])
        assert writer.stored == []
        part.snapshot()

        assert [int(np.asarray(r.columns["n"])[0]) for r in writer.stored] == [1, 2]

    def test_rows_of_the_first_epoch_are_stored_soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """After a start nobody waits for the end of an epoch to see what came; nor is each batch an insert."""
        monkeypatch.setattr("flows.connectors.SOON_S", 3600.0)
        writer = RecordingWriter()
        part = StoreSink(lambda: writer).build_part("flow.out", "0000", None)
        part.write_batch([rows(1)])
        assert len(writer.stored) == 1
        part.write_batch([rows(2)])
        assert len(writer.stored) == 1

    def test_store_then_log_appends_only_after_the_flush(self, log: SqliteLog, open_log: OpenLog) -> None:
        """Messages wait for the rows, even for those that come behind them."""
        told: list[str] = []
        sink = StoreThenLogSink(lambda: RecordingWriter(told), lambda: Telling(open_log(), told), "out")
        part = sink.build_part("flow.out", "0000", None)
        part.write_batch([(KEY, b"1"), rows(1), (KEY, b"2")])
        part.write_batch([rows(2)])
        part.snapshot()

        assert told == ["write", "write", "flush", "append 2"]
        assert log.bounds("out", PART).end == 2

    def test_store_then_log_without_store_appends_nothing(self, log: SqliteLog, open_log: OpenLog) -> None:
        """While the store refuses, no message speaks of its rows: not at the snapshot, not at the close."""
        writer = RecordingWriter(error=StorageError("away"))
        part = StoreThenLogSink(lambda: writer, open_log, "out").build_part("flow.out", "0000", None)
        part.write_batch([rows(1), (KEY, b"1")])

        with pytest.raises(StorageError, match="away"):
            part.snapshot()
        part.close()
        assert log.bounds("out", PART).end == 0

    @pytest.mark.parametrize("workers", [1, 2])
    def test_flow_of_rows_stores_each_once_and_in_order(
        self, log: SqliteLog, open_log: OpenLog, tmp_path: Path, workers: int
    ) -> None:
        """A finite run leaves nothing in the writer, with and without several workers."""
        fill(log, 300)
        writer = RecordingWriter()
        flow = Dataflow("rows")
        items = op.input("read", flow, LogSource(open_log, "in", batch_records=7, stop_at_end=True))
        made = op.flat_map("row", items, lambda item: [(item[0], rows(int(r.value))) for r in item[1]])
        op.output("store", made, StoreSink(lambda: writer))
        run_flow(flow, tmp_path / "recovery", 0.01, workers)

        assert [int(np.asarray(r.columns["n"])[0]) for r in writer.stored] == list(range(300))


class Telling(SqliteLog):
    """A log that says when it appends."""

    def __init__(self, log: SqliteLog, told: list[str]) -> None:
        log.close()
        super().__init__(log.path)
        self.told = told

    def append(self, topic: str, messages: object) -> list[int]:
        """Say it, then append."""
        self.told.append(f"append {len(messages)}")  # type: ignore[arg-type]
        return super().append(topic, messages)  # type: ignore[arg-type]
