"""The source over Kafka: it resumes exactly, follows a topic laid anew, and says what was trimmed before it came."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

import pytest
from broker.server import Broker
from confluent_kafka.admin import AdminClient

from flows.connectors import LogSource, LogSourcePart
from nengliu.bus.kafka import Access, KafkaLog
from nengliu.errors import LogError

pytestmark = pytest.mark.broker

Build = Callable[..., LogSourcePart]


@pytest.fixture
def log(kafka: Broker, kafka_topic: str) -> Iterator[KafkaLog]:
    """A log with a topic of one partition, for the side that appends."""
    with KafkaLog(Access(kafka.bootstrap)) as found:
        found.create(kafka_topic, 1)
        yield found


@pytest.fixture
def build(kafka: Broker, kafka_topic: str, log: KafkaLog) -> Iterator[Build]:
    """Build the part of the one partition, as a flow does in another process."""
    parts: list[LogSourcePart] = []

    def make(resume: tuple[int, int] | None = None, **arguments: object) -> LogSourcePart:
        source = LogSource(lambda: KafkaLog(Access(kafka.bootstrap)), kafka_topic, **arguments)  # type: ignore[arg-type]
        parts.append(source.build_part("flow.in", "0", resume))
        return parts[-1]

    yield make
    for part in parts:
        part.close()


def fill(log: KafkaLog, topic: str, numbers: range) -> None:
    """Append numbered messages."""
    log.append(topic, [("a", b"%d" % number) for number in numbers])


def drain(part: LogSourcePart, polls: int = 1000) -> list[int]:
    """Poll until nothing comes or the part ends."""
    found: list[int] = []
    for _ in range(polls):
        try:
            items = part.next_batch()
        except StopIteration:
            break
        if not items:
            break
        found += [int(record.value) for record in items[0][1]]
    return found


def test_source_resumed_after_any_poll_repeats_and_skips_nothing(
    log: KafkaLog, kafka_topic: str, build: Build
) -> None:
    """Stopped, built again, appended to meanwhile: each record comes once and in order."""
    found: list[int] = []
    resume = None
    for turn in range(8):
        fill(log, kafka_topic, range(turn * 10, turn * 10 + 10))
        part = build(resume, batch_records=3)
        found += drain(part, turn)
        resume = part.snapshot()
    found += drain(build(resume, batch_records=3))

    assert found == list(range(80))


def test_source_at_the_end_sees_what_comes_later(log: KafkaLog, kafka_topic: str, build: Build) -> None:
    """An empty poll is the end of that moment only."""
    part = build()
    for turn in range(5):
        assert drain(part) == []
        fill(log, kafka_topic, range(turn, turn + 1))

        assert drain(part) == [turn]


def test_source_to_the_end_stops_there(log: KafkaLog, kafka_topic: str, build: Build) -> None:
    """What is appended after the start is left for the next run."""
    fill(log, kafka_topic, range(5))
    part = build(stop_at_end=True, batch_records=2)
    fill(log, kafka_topic, range(5, 10))

    assert drain(part) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("more", [0, 2, 9], ids=["empty", "shorter", "longer"])
@pytest.mark.parametrize("running", [True, False])
def test_source_follows_a_topic_laid_anew(
    log: KafkaLog, kafka_topic: str, build: Build, caplog: pytest.LogCaptureFixture, more: int, running: bool
) -> None:
    """The new generation is read from its first record, whether it is longer or shorter than the old one."""
    fill(log, kafka_topic, range(5))
    part = build()
    drain(part)
    log.renew(kafka_topic)
    if more:
        fill(log, kafka_topic, range(100, 100 + more))
    if not running:
        part = build(part.snapshot())

    assert drain(part) == list(range(100, 100 + more))
    assert part.snapshot() == (2, more)
    assert "laid anew after generation 1 offset 5" in caplog.text


def test_source_behind_a_trim_says_what_is_lost(
    log: KafkaLog, kafka_topic: str, build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    """Records that the broker forgot before they were read are counted aloud."""
    caplog.set_level(logging.ERROR, "nengliu.flows.connectors")
    fill(log, kafka_topic, range(5))
    log.trim(kafka_topic, 2**32)
    fill(log, kafka_topic, range(5, 7))

    assert drain(build((1, 2))) == [5, 6]
    assert "3 records after generation 1 offset 2 were trimmed" in caplog.text


@pytest.mark.parametrize("resume", [(1, 6), (2, 0)], ids=["offset", "generation"])
def test_source_ahead_of_the_log_refused(
    log: KafkaLog, kafka_topic: str, build: Build, resume: tuple[int, int]
) -> None:
    """A topic that was lost would give positions twice."""
    fill(log, kafka_topic, range(5))

    with pytest.raises(LogError, match="renew the topic above generation"):
        build(resume)


def test_topic_laid_by_hand_under_a_running_source_is_refused(
    kafka: Broker, log: KafkaLog, kafka_topic: str, build: Build
) -> None:
    """Deleted and created again with the same name its offsets begin anew: positions would be given twice."""
    fill(log, kafka_topic, range(5))
    part = build()
    drain(part)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    (deleted,) = admin.delete_topics([f"{kafka_topic}.g1"]).values()
    deleted.result()
    time.sleep(0.5)
    log.create(kafka_topic, 1)
    fill(log, kafka_topic, range(2))

    with pytest.raises(LogError, match="renew the topic above generation") as caught:
        drain(part)
    assert not caught.value.retry
