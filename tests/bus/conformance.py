"""What every log must do: a test class for all implementations of `nengliu.bus.Log`.

An implementation's test file subclasses `LogConformance` and gives two fixtures:
``open_log``, a factory that opens the *same* log again at each call, and ``topic``, a name
that no other test uses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nengliu.bus import OFFSET_BITS, Bounds, Log, Record, partition_of
from nengliu.errors import LogError

OpenLog = Callable[[], Log]

KEYS = st.sampled_from(["91330000000000000A", "91330000000000000B", "9133C", "", "企业"])
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
"""One law over several logs is what this class is for; an example found on one is as good on the other."""
BATCHES = st.lists(st.lists(st.tuples(KEYS, st.binary(max_size=300)), max_size=12), max_size=8)


def read_all(log: Log, topic: str, partition: int, step: int = 1000) -> list[Record]:
    """Read a partition from its first record to its end, `step` records at a time."""
    found: list[Record] = []
    offset = log.bounds(topic, partition).first
    while records := log.read(topic, partition, offset, step):
        found.extend(records)
        offset = records[-1].offset + 1
    return found


class LogConformance:
    """The truths a log of any kind keeps."""

    @pytest.fixture
    def log(self, open_log: OpenLog) -> Iterator[Log]:
        """Open the log once and close it afterwards."""
        log = open_log()
        yield log
        log.close()

    def test_create_repeated_changes_nothing(self, log: Log, topic: str) -> None:
        """Creating a topic that is there, with as many partitions, keeps its records."""
        log.create(topic, 3)
        log.append(topic, [("a", b"1")])
        log.create(topic, 3)

        assert log.partitions(topic) == 3
        assert len(read_all(log, topic, partition_of("a", 3))) == 1

    def test_create_other_number_refused(self, log: Log, topic: str) -> None:
        """A topic's number of partitions decides the shards and is not changed in passing."""
        log.create(topic, 3)

        with pytest.raises(LogError, match="3 partitions, 4 were asked for"):
            log.create(topic, 4)

    @pytest.mark.parametrize("partitions", [0, -1])
    def test_create_without_partitions_refused(self, log: Log, topic: str, partitions: int) -> None:
        """A topic has at least one partition."""
        with pytest.raises(LogError, match="at least 1"):
            log.create(topic, partitions)

    @pytest.mark.parametrize(
        "use",
        [
            lambda log, topic: log.partitions(topic),
            lambda log, topic: log.append(topic, [("a", b"")]),
            lambda log, topic: log.read(topic, 0, 0, 1),
            lambda log, topic: log.bounds(topic, 0),
            lambda log, topic: log.trim(topic, 0),
            lambda log, topic: log.renew(topic),
        ],
        ids=["partitions", "append", "read", "bounds", "trim", "renew"],
    )
    def test_unknown_topic_any_use_refused(
        self, log: Log, topic: str, use: Callable[[Log, str], object]
    ) -> None:
        """A misspelt topic is an error that names it, never an empty topic."""
        with pytest.raises(LogError, match=topic):
            use(log, topic)

    @pytest.mark.parametrize("partition", [-1, 2])
    def test_unknown_partition_read_refused(self, log: Log, topic: str, partition: int) -> None:
        """A partition beyond the topic's number is an error."""
        log.create(topic, 2)

        with pytest.raises(LogError, match=str(partition)):
            log.read(topic, partition, 0, 1)
        with pytest.raises(LogError, match=str(partition)):
            log.bounds(topic, partition)

    def test_append_positions_are_dense_per_partition(self, log: Log, topic: str) -> None:
        """Offsets count up by one from 0 in each partition, over batches too."""
        log.create(topic, 2)
        keys = [f"k{i}" for i in range(50)]
        positions = log.append(topic, [(key, b"") for key in keys[:30]])
        positions += log.append(topic, [(key, b"") for key in keys[30:]])
        low = (1 << OFFSET_BITS) - 1

        for partition in range(2):
            mine = [
                p & low for key, p in zip(keys, positions, strict=True) if partition_of(key, 2) == partition
            ]
            assert mine == list(range(len(mine)))

    def test_append_read_back_is_what_was_given(self, log: Log, topic: str) -> None:
        """A record carries its place, its key and its bytes untouched."""
        log.create(topic, 4)
        (position,) = log.append(topic, [("企业", b"\x00\xff")])
        partition = partition_of("企业", 4)
        (record,) = log.read(topic, partition, 0, 10)

        assert record == Record(topic, partition, 1, 0, "企业", b"\x00\xff", record.appended_at_s)
        assert record.position == position == 1 << OFFSET_BITS

    def test_append_nothing_gives_no_positions(self, log: Log, topic: str) -> None:
        """An empty batch is no error."""
        log.create(topic, 1)

        assert log.append(topic, []) == []

    def test_append_large_value_comes_back(self, log: Log, topic: str) -> None:
        """A message of 5 MB, a long backfill frame, is carried like any other."""
        log.create(topic, 1)
        value = bytes(range(256)) * 20_000
        log.append(topic, [("a", value)])

        assert log.read(topic, 0, 0, 1)[0].value == value

    def test_append_other_handle_sees_it_at_once(self, log: Log, open_log: OpenLog, topic: str) -> None:
        """What an append returned is visible to every other process."""
        other = open_log()
        log.create(topic, 1)
        log.append(topic, [("a", b"1")])

        assert [record.value for record in other.read(topic, 0, 0, 9)] == [b"1"]
        other.close()

    def test_reopen_offsets_go_on(self, open_log: OpenLog, topic: str) -> None:
        """A log opened again holds everything and goes on where it ended."""
        first = open_log()
        first.create(topic, 1)
        first.append(topic, [("a", b"1"), ("a", b"2")])
        first.close()
        second = open_log()
        second.append(topic, [("a", b"3")])

        assert [(r.offset, r.value) for r in read_all(second, topic, 0)] == [(0, b"1"), (1, b"2"), (2, b"3")]
        second.close()

    @pytest.mark.parametrize(
        ("offset", "limit", "expected"),
        [(0, 3, [0, 1, 2]), (8, 5, [8, 9]), (10, 5, []), (99, 5, []), (4, 1, [4])],
        ids=["limit", "end cuts", "at end", "beyond end", "one"],
    )
    def test_read_from_offset_gives_at_most_limit(
        self, log: Log, topic: str, offset: int, limit: int, expected: list[int]
    ) -> None:
        """A read starts at its offset and gives no more than there is or was asked for."""
        log.create(topic, 1)
        log.append(topic, [("a", b"%d" % i) for i in range(10)])

        assert [record.offset for record in log.read(topic, 0, offset, limit)] == expected

    def test_bounds_of_new_topic_are_empty(self, log: Log, topic: str) -> None:
        """A new topic holds nothing and is of the first generation."""
        log.create(topic, 2)

        assert [log.bounds(topic, p) for p in range(2)] == [Bounds(1, 0, 0), Bounds(1, 0, 0)]

    def test_topics_side_by_side_do_not_mix(self, log: Log, topic: str) -> None:
        """Records and offsets of one topic are not seen in another."""
        log.create(topic, 1)
        log.create(f"{topic}.other", 1)
        log.append(topic, [("a", b"1")])
        log.append(f"{topic}.other", [("a", b"2")])

        assert [r.value for r in read_all(log, topic, 0)] == [b"1"]
        assert [(r.offset, r.value) for r in read_all(log, f"{topic}.other", 0)] == [(0, b"2")]

    def test_trim_everything_keeps_the_offsets(self, log: Log, topic: str) -> None:
        """What is trimmed is gone, and its offsets are never given again."""
        log.create(topic, 1)
        log.append(topic, [("a", b"1"), ("a", b"2")])
        later = log.read(topic, 0, 0, 1)[0].appended_at_s + 100

        assert log.trim(topic, later) == 2
        assert log.bounds(topic, 0) == Bounds(1, 2, 2)
        log.append(topic, [("a", b"3")])
        assert [(r.offset, r.value) for r in log.read(topic, 0, 0, 9)] == [(2, b"3")]
        assert log.bounds(topic, 0) == Bounds(1, 2, 3)

    def test_trim_of_young_records_forgets_nothing(self, log: Log, topic: str) -> None:
        """Records younger than the limit stay."""
        log.create(topic, 2)
        log.append(topic, [(f"k{i}", b"") for i in range(9)])

        assert log.trim(topic, 0) == 0
        assert sum(len(read_all(log, topic, p)) for p in range(2)) == 9

    def test_trim_below_a_limit_keeps_the_rest(self, log: Log, topic: str) -> None:
        """What somebody has still to read stays, however old; a partition nobody spoke for stays whole."""
        log.create(topic, 2)
        for partition in range(2):
            key = next(f"k{i}" for i in range(99) if partition_of(f"k{i}", 2) == partition)
            log.append(topic, [(key, b"%d" % i) for i in range(5)])
        later = log.read(topic, 0, 0, 1)[0].appended_at_s + 100

        assert log.trim(topic, later, {0: 3}) == 3
        assert [log.bounds(topic, p) for p in range(2)] == [Bounds(1, 3, 5), Bounds(1, 0, 5)]
        assert log.trim(topic, later, {0: 1, 1: 99}) == 5
        assert [log.bounds(topic, p) for p in range(2)] == [Bounds(1, 3, 5), Bounds(1, 5, 5)]
        assert log.trim(topic, later, {}) == 0

    def test_read_of_what_was_trimmed_begins_at_the_first_held(self, log: Log, topic: str) -> None:
        """A reader that comes too late sees the gap in the offsets."""
        log.create(topic, 1)
        log.append(topic, [("a", b"%d" % i) for i in range(5)])
        later = log.read(topic, 0, 0, 1)[0].appended_at_s + 100
        log.trim(topic, later, {0: 2})

        assert [r.offset for r in log.read(topic, 0, 0, 9)] == [2, 3, 4]
        assert [r.offset for r in log.read(topic, 0, 4, 9)] == [4]

    def test_read_polled_at_the_end_sees_what_comes_later(
        self, log: Log, open_log: OpenLog, topic: str
    ) -> None:
        """A reader at the end gets each append of another process at its next read, once and in order."""
        log.create(topic, 1)
        found: list[bytes] = []
        with open_log() as other:
            for number in range(20):
                assert log.read(topic, 0, len(found), 9) == []
                other.append(topic, [("a", b"%d" % number)])
                found += [record.value for record in log.read(topic, 0, len(found), 9)]
                assert len(found) == number + 1

        assert found == [b"%d" % number for number in range(20)]

    def test_renew_elsewhere_is_followed_by_every_call(self, log: Log, open_log: OpenLog, topic: str) -> None:
        """Who knew the old generation reads, asks and appends in the new one."""
        log.create(topic, 1)
        log.append(topic, [("a", b"old")] * 3)
        assert len(log.read(topic, 0, 0, 9)) == 3
        with open_log() as other:
            other.renew(topic)

            assert log.bounds(topic, 0) == Bounds(2, 0, 0)
            assert log.read(topic, 0, 3, 9) == []
            other.renew(topic)
            assert log.append(topic, [("a", b"new")]) == [3 << OFFSET_BITS]
            assert [r.value for r in log.read(topic, 0, 0, 9)] == [b"new"]

    def test_appended_at_is_the_time_of_the_append(self, log: Log, topic: str) -> None:
        """The log stamps a record itself when it takes it [s]."""
        log.create(topic, 1)
        before = int(time.time())
        log.append(topic, [("a", b"")])

        assert before <= log.read(topic, 0, 0, 1)[0].appended_at_s <= time.time()

    def test_log_as_a_context_is_closed_behind_it(self, open_log: OpenLog, topic: str) -> None:
        """A log may be used in a ``with`` block; afterwards it refuses work in our words."""
        with open_log() as log:
            log.create(topic, 1)

        with pytest.raises(LogError, match="closed"):
            log.partitions(topic)

    def test_renew_positions_stay_above_all_earlier(self, log: Log, topic: str) -> None:
        """A topic laid anew starts at offset 0, and yet its positions are larger than any before."""
        log.create(topic, 1)
        before = log.append(topic, [("a", b"1")] * 5)
        generation = log.renew(topic)

        assert generation == 2
        assert log.bounds(topic, 0) == Bounds(2, 0, 0)
        assert log.read(topic, 0, 0, 9) == []
        (after,) = log.append(topic, [("a", b"2")])
        assert after > max(before)
        assert [(r.generation, r.offset) for r in log.read(topic, 0, 0, 9)] == [(2, 0)]

    def test_renew_with_partitions_and_floor_takes_both(self, log: Log, topic: str) -> None:
        """Laying anew may change the partitions and lift the generation above one seen elsewhere."""
        log.create(topic, 1)

        assert log.renew(topic, partitions=3, above=41) == 42
        assert log.partitions(topic) == 3
        assert log.renew(topic, above=7) == 43

    @settings(max_examples=40, deadline=None, suppress_health_check=SHARED)
    @given(batches=BATCHES, partitions=st.integers(1, 5), step=st.integers(1, 7))
    def test_append_any_batches_read_back_in_order(
        self, log: Log, topic: str, batches: list[list[tuple[str, bytes]]], partitions: int, step: int
    ) -> None:
        """However messages are cut into batches, a partition gives its keys' messages in order."""
        name = f"{topic}.{next(_NUMBERS)}"
        log.create(name, partitions)
        positions = [position for batch in batches for position in log.append(name, batch)]
        messages = [message for batch in batches for message in batch]
        for partition in range(partitions):
            records = read_all(log, name, partition, step)
            mine = [
                (*message, position)
                for message, position in zip(messages, positions, strict=True)
                if partition_of(message[0], partitions) == partition
            ]
            assert [(r.key, r.value, r.position) for r in records] == mine
            assert log.bounds(name, partition) == Bounds(1, 0, len(mine))


_NUMBERS = count()
