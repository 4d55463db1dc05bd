"""Faults of a broker, on order: each is a LogError that names the cause, and the next call succeeds."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator

import pytest
from bus.conformance import read_all
from bus.mock_cluster import FETCH, INIT_PRODUCER_ID, LIST_OFFSETS, METADATA, PRODUCE, MockCluster, library
from confluent_kafka import KafkaError

from nengliu.bus import OFFSET_BITS
from nengliu.bus.kafka import Access, KafkaLog
from nengliu.errors import LogError

pytestmark = pytest.mark.skipif(library() is None, reason="the Kafka library is not the wheel's own")


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """A broker in memory with the topic ``t`` of one partition."""
    found = MockCluster()
    found.lay("t.g1", 1)
    yield found
    found.close()


@pytest.fixture
def log(cluster: MockCluster) -> Iterator[KafkaLog]:
    """A log that has already appended and read one record."""
    with KafkaLog(Access(cluster.bootstrap), timeout_s=1.5) as found:
        found.append("t", [("a", b"first")])
        assert len(found.read("t", 0, 0, 9)) == 1
        yield found


def values(log: KafkaLog) -> list[bytes]:
    """All that is in the log."""
    return [record.value for record in read_all(log, "t", 0)]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "denies this user the right.*grant it"),
        (KafkaError.MSG_SIZE_TOO_LARGE, "larger than the topic takes"),
        (KafkaError.POLICY_VIOLATION, "a rule of the broker forbids it"),
        (KafkaError.INVALID_RECORD, "INVALID_RECORD.*the broker's own log"),
    ],
)
def test_append_refused_for_good_is_said_and_the_next_goes_through(
    cluster: MockCluster, log: KafkaLog, error: int, said: str
) -> None:
    """An answer that no repetition changes raises at once, and the log can be used on."""
    cluster.fail(PRODUCE, error)

    with pytest.raises(LogError, match=rf"{cluster.bootstrap}: cannot append to t\.g1: .*{said}"):
        log.append("t", [("a", b"lost")])
    assert log.append("t", [("a", b"next")]) == [1 << OFFSET_BITS | 1]
    assert values(log) == [b"first", b"next"]


@pytest.mark.parametrize(
    "error",
    [
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NOT_LEADER_FOR_PARTITION,
    ],
)
def test_append_meets_a_passing_error_and_waits_it_out(
    cluster: MockCluster, log: KafkaLog, error: int
) -> None:
    """A state that passes within the patience is not seen by the caller."""
    cluster.fail(PRODUCE, error, 2)

    assert log.append("t", [("a", b"next")]) == [1 << OFFSET_BITS | 1]
    assert values(log) == [b"first", b"next"]


@pytest.mark.parametrize("error", [KafkaError.NOT_ENOUGH_REPLICAS, KafkaError.KAFKA_STORAGE_ERROR])
def test_append_meets_a_state_that_stays_and_raises(cluster: MockCluster, log: KafkaLog, error: int) -> None:
    """A full disk or missing replicas end with the patience; afterwards the log goes on."""
    cluster.fail(PRODUCE, error, 1000)

    with pytest.raises(LogError, match=r"cannot append to t\.g1: .*in time"):
        log.append("t", [("a", b"lost")])
    cluster.heal(PRODUCE)
    log.append("t", [("a", b"next")])
    assert values(log)[-1] == b"next"


@pytest.mark.parametrize(
    "error",
    [
        KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
        KafkaError.UNKNOWN_PRODUCER_ID,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.DUPLICATE_SEQUENCE_NUMBER,
    ],
)
def test_append_with_a_producer_the_broker_forgot_succeeds_at_the_latest_the_next_time(
    cluster: MockCluster, log: KafkaLog, error: int
) -> None:
    """Whatever becomes of the writer's numbering, a repeated append gets through, with true positions."""
    cluster.fail(PRODUCE, error)
    for _ in range(3):
        try:
            (position,) = log.append("t", [("a", b"next")])
            break
        except LogError:
            continue
    (found,) = log.read("t", 0, position & (1 << OFFSET_BITS) - 1, 1)

    assert (found.position, found.value) == (position, b"next")


@pytest.mark.parametrize("kind", [LIST_OFFSETS, FETCH, METADATA, INIT_PRODUCER_ID])
def test_passing_error_of_any_request_is_waited_out(cluster: MockCluster, kind: int) -> None:
    """Reading, asking and starting to write outlive an answer that says: not now."""
    cluster.fail(kind, KafkaError.LEADER_NOT_AVAILABLE if kind != INIT_PRODUCER_ID else 14)
    with KafkaLog(Access(cluster.bootstrap), timeout_s=10) as log:
        log.append("t", [("a", b"1"), ("a", b"2")])

        assert values(log) == [b"1", b"2"]
        assert log.bounds("t", 0).end == 2


def test_read_without_the_right_is_said(cluster: MockCluster, log: KafkaLog) -> None:
    """A denied question names the right."""
    cluster.fail(LIST_OFFSETS, KafkaError.TOPIC_AUTHORIZATION_FAILED, 9)

    with pytest.raises(LogError, match="denies this user the right") as caught:
        log.bounds("t", 0)
    assert not caught.value.retry
    cluster.heal(LIST_OFFSETS)
    assert log.bounds("t", 0).end == 1


def test_broker_away_is_said_by_every_call_and_all_go_on_with_it(cluster: MockCluster, log: KafkaLog) -> None:
    """While the broker is away each call ends with the patience; nothing has to be opened again."""
    cluster.up(is_up=False)
    for call in (
        lambda: log.append("t", [("a", b"lost")]),
        lambda: log.read("t", 0, 1, 9),
        lambda: log.bounds("t", 0),
        lambda: log.partitions("t"),
    ):
        with pytest.raises(LogError, match=rf"{cluster.bootstrap}: cannot .*no broker answered in time"):
            call()
    cluster.up(is_up=True)
    log.append("t", [("a", b"next")])

    assert values(log)[-1] == b"next"


def test_broker_that_goes_and_comes_back_is_told_in_two_lines(
    cluster: MockCluster, log: KafkaLog, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for all logs of the process, whatever the library meets meanwhile; the topic is not said to be gone."""
    caplog.set_level(logging.INFO)
    cluster.up(is_up=False)
    with KafkaLog(Access(cluster.bootstrap), timeout_s=3) as other:
        for one, number in itertools.product((log, other), range(2)):
            with pytest.raises(LogError) as caught:
                one.bounds("t", 0) if number else one.append("t", [("a", b"")])
            assert caught.value.retry
        cluster.up(is_up=True)
        assert other.bounds("t", 0).end >= 1
        assert log.bounds("t", 0).end >= 1

    (away, back) = caplog.records
    assert (away.levelname, back.levelname) == ("WARNING", "WARNING")
    assert f"{cluster.bootstrap}: no broker answers" in away.getMessage()
    assert back.getMessage() == f"{cluster.bootstrap}: a broker answers again"


def test_slow_answers_within_the_patience_are_waited_for(cluster: MockCluster, log: KafkaLog) -> None:
    """A satellite link of 300 ms is slow, not broken."""
    cluster.slow(300)
    log.append("t", [("a", b"next")])

    assert values(log) == [b"first", b"next"]


def test_answers_slower_than_the_patience_raise_and_pass(cluster: MockCluster, log: KafkaLog) -> None:
    """Slower than the patience is away; when it is quick again, so are we."""
    cluster.slow(4000)
    with pytest.raises(LogError, match="no broker answered in time"):
        log.append("t", [("a", b"lost")])
    with pytest.raises(LogError, match="no broker answered in time"):
        log.bounds("t", 0)
    cluster.slow(0)
    with KafkaLog(Access(cluster.bootstrap), timeout_s=20) as again:
        again.append("t", [("a", b"next")])

        assert values(again)[-1] == b"next"
