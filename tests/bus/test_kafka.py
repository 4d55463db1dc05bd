"""The log on Kafka: the conformance suite, and what brokers can do to it; a real Apache Kafka."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from broker.server import PASSWORD, USER, Broker
from bus.conformance import LogConformance, OpenLog, read_all
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from nengliu.bus import Bounds
from nengliu.bus.kafka import Access, KafkaLog
from nengliu.bus.kafka_client import MAX_MESSAGE
from nengliu.bus.open import open_log
from nengliu.bus.sqlite import SqliteLog
from nengliu.errors import LogError
from nengliu.settings import Settings
from schemas.messages import MAX_BODY, VERSION
from schemas.topics import RAW, TOPICS

pytestmark = pytest.mark.broker

APPENDER = """
import sys
from nengliu.bus.kafka import Access, KafkaLog
address, topic, batches, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
log = KafkaLog(Access(address))
for batch in range(batches):
    log.append(topic, [("k", f"{batch} {i}".encode()) for i in range(size)])
    print(batch, flush=True)
"""
"""Appends batches of `size` messages and says each one that was returned."""


@pytest.fixture
def topic(kafka_topic: str) -> str:
    """Name the topic; all tests share one broker."""
    return kafka_topic


@pytest.fixture
def open_one(kafka: Broker) -> OpenLog:
    """Open the brokers once more."""
    return lambda: KafkaLog(Access(kafka.bootstrap), timeout_s=20)


@pytest.fixture
def log(open_one: OpenLog) -> Iterator[KafkaLog]:
    """Open the log for one test."""
    with open_one() as found:
        yield found  # type: ignore[misc]


@pytest.fixture
def admin(kafka: Broker) -> AdminClient:
    """Somebody else with rights on the broker."""
    return AdminClient({"bootstrap.servers": kafka.bootstrap})


def settled(futures: dict[object, object]) -> None:
    """Wait for what an administrator ordered."""
    for future in futures.values():
        future.result()  # type: ignore[attr-defined]


def names(admin: AdminClient, part: str) -> set[str]:
    """Topics of the broker whose names begin with `part`."""
    return {name for name in admin.list_topics(timeout=10).topics if name.startswith(part)}


class TestKafkaLog(LogConformance):
    """Kafka is a log."""

    @pytest.fixture
    def open_log(self, open_one: OpenLog) -> OpenLog:
        """Open the same brokers again."""
        return open_one


class TestTopics:
    """How topics lie on the brokers."""

    def test_create_lays_the_topic_as_the_log_needs_it(
        self, kafka: Broker, admin: AdminClient, topic: str
    ) -> None:
        """Time of append, no compaction, age by `log_days`, room for the largest message."""
        with KafkaLog(Access(kafka.bootstrap), log_days=17) as log:
            log.create(topic, 3)
        place = ConfigResource(ConfigResource.Type.TOPIC, f"{topic}.g1")
        config = admin.describe_configs([place])[place].result()

        assert {name: config[name].value for name in _LAID} == _LAID
        assert len(admin.list_topics(timeout=10).topics[f"{topic}.g1"].partitions) == 3

    def test_append_puts_the_version_into_a_header(self, kafka: Broker, log: KafkaLog, topic: str) -> None:
        """Who routes messages sees of which version they are."""
        log.create(topic, 1)
        log.append(topic, [("a", b"1")])
        consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "x"})
        consumer.assign([TopicPartition(f"{topic}.g1", 0, 0)])
        (message,) = consumer.consume(1, 10)
        consumer.close()

        assert message.headers() == [("nengliu-schema", str(VERSION).encode())]

    @pytest.mark.parametrize("call", ["append", "read", "bounds", "trim", "renew", "partitions"])
    def test_misspelt_topic_is_not_made_by_the_broker(
        self, log: KafkaLog, admin: AdminClient, topic: str, call: str
    ) -> None:
        """The broker makes any topic it is asked for; we never ask it."""
        arguments = {"append": ([("a", b"")],), "read": (0, 0, 1), "bounds": (0,), "trim": (0,)}

        with pytest.raises(LogError, match=rf"no topic '{topic}'; there are: .*; create it"):
            getattr(log, call)(topic, *arguments.get(call, ()))
        assert names(admin, topic) == set()

    def test_create_finishes_a_renewal_that_broke_off(
        self, log: KafkaLog, admin: AdminClient, topic: str
    ) -> None:
        """A crash between laying the new generation and deleting the old leaves two; the newest is the topic."""
        log.create(topic, 1)
        log.append(topic, [("a", b"old")])
        settled(admin.create_topics([NewTopic(f"{topic}.g5", 1, 1)]))
        log.create(topic, 1)

        assert names(admin, topic) == {f"{topic}.g5"}
        assert log.bounds(topic, 0) == Bounds(5, 0, 0)

    def test_create_on_a_topic_somebody_enlarged_refused(
        self, log: KafkaLog, admin: AdminClient, topic: str
    ) -> None:
        """More partitions would move enterprises to other shards behind our back."""
        log.create(topic, 2)
        settled(admin.create_partitions([NewPartitions(f"{topic}.g1", 3)]))
        until = time.monotonic() + 10
        while log.partitions(topic) != 3 and time.monotonic() < until:
            time.sleep(0.05)

        with pytest.raises(LogError, match="3 partitions, 2 were asked for"):
            log.create(topic, 2)

    def test_create_with_more_replicas_than_brokers_refused(self, kafka: Broker, topic: str) -> None:
        """One broker cannot hold three copies."""
        with (
            KafkaLog(Access(kafka.bootstrap), replicas=3) as log,
            pytest.raises(LogError, match=r"fewer brokers than copies.*lower bus_replicas"),
        ):
            log.create(topic, 1)

    def test_topic_deleted_by_somebody_is_said(self, log: KafkaLog, admin: AdminClient, topic: str) -> None:
        """A topic that vanished is an error with a name, in every call."""
        log.create(topic, 1)
        log.append(topic, [("a", b"1")])
        log.read(topic, 0, 0, 9)
        settled(admin.delete_topics([f"{topic}.g1"]))

        for call in (
            lambda: log.read(topic, 0, 1, 9),
            lambda: log.bounds(topic, 0),
            lambda: log.append(topic, [("a", b"2")]),
        ):
            with pytest.raises(LogError, match=f"no topic '{topic}'"):
                call()


_LAID = {
    "cleanup.policy": "delete",
    "message.timestamp.type": "LogAppendTime",
    "retention.ms": str(17 * 86_400_000),
    "max.message.bytes": str(MAX_MESSAGE),
    "min.insync.replicas": "1",
}


class TestMessages:
    """Large ones and many."""

    def test_append_of_the_largest_body_comes_back(self, log: KafkaLog, topic: str) -> None:
        """A body of the largest size the messages allow passes producer, broker and reader."""
        log.create(topic, 1)
        value = bytes(MAX_BODY - 1)
        log.append(topic, [("a", value), ("a", b"behind")])

        assert [record.value for record in read_all(log, topic, 0)] == [value, b"behind"]

    def test_append_of_a_larger_one_refused_before_anything_is_sent(self, log: KafkaLog, topic: str) -> None:
        """A message nobody could read back stops the whole batch."""
        log.create(topic, 1)

        with pytest.raises(LogError, match=rf"at most {MAX_BODY} bytes, got one of {MAX_BODY + 1}.*split"):
            log.append(topic, [("a", b"first"), ("a", bytes(MAX_BODY + 1))])
        assert log.bounds(topic, 0).end == 0

    def test_append_larger_than_somebody_allowed_is_said(
        self, log: KafkaLog, admin: AdminClient, topic: str
    ) -> None:
        """The topic's own limit is named as the cause, and the log goes on."""
        settled(admin.create_topics([NewTopic(f"{topic}.g1", 1, 1, config={"max.message.bytes": "1000"})]))
        log.create(topic, 1)

        with pytest.raises(LogError, match=r"larger than the topic takes.*max\.message\.bytes"):
            log.append(topic, [("a", bytes(5000))])
        assert len(log.append(topic, [("a", b"small")])) == 1

    def test_append_of_more_than_the_library_queues_goes_through(self, log: KafkaLog, topic: str) -> None:
        """A batch beyond the library's own queue waits for room."""
        log.create(topic, 1)
        positions = log.append(topic, [("a", b"")] * 120_000)

        assert len(set(positions)) == 120_000
        assert log.bounds(topic, 0).end == 120_000

    def test_append_by_threads_on_one_log_takes_turns(self, log: KafkaLog, topic: str) -> None:
        """Threads may share one log."""
        log.create(topic, 1)
        found: list[int] = []

        def work() -> None:
            for _ in range(10):
                found.extend(log.append(topic, [("a", b"1"), ("a", b"2")]))
                log.read(topic, 0, 0, 5)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(set(found)) == 60
        assert [r.offset for r in read_all(log, topic, 0)] == list(range(60))

    def test_foreign_record_without_key_and_value_is_read(
        self, kafka: Broker, log: KafkaLog, topic: str
    ) -> None:
        """What others write into the topic stops nobody."""
        from confluent_kafka import Producer

        log.create(topic, 1)
        producer = Producer({"bootstrap.servers": kafka.bootstrap})
        producer.produce(f"{topic}.g1", None, None, partition=0)
        producer.flush(10)

        assert [(r.key, r.value) for r in log.read(topic, 0, 0, 9)] == [("", b"")]


class TestAccess:
    """Who may come in, and how."""

    @pytest.mark.parametrize("security", ["tls", "sasl", "sasl_tls"])
    def test_log_in_with_what_the_broker_wants_works(self, kafka: Broker, topic: str, security: str) -> None:
        """Encrypted, with a password, and both."""
        _need(kafka, security)
        access = Access(kafka.address(security), security, user=USER, password=PASSWORD, ca=str(kafka.ca))
        with KafkaLog(access) as log:
            log.create(topic, 1)
            log.append(topic, [("a", b"1")])

            assert [r.value for r in log.read(topic, 0, 0, 9)] == [b"1"]

    @pytest.mark.parametrize("call", ["create", "append", "read", "partitions"])
    def test_log_in_with_a_wrong_password_is_said_at_once(self, kafka: Broker, topic: str, call: str) -> None:
        """A refused log-in does not wait for better times, and the password is not in the message."""
        arguments = {"create": (1,), "append": ([("a", b"")],), "read": (0, 0, 1)}
        access = Access(kafka.address("sasl"), "sasl", user=USER, password="wrong-word")
        started = time.monotonic()

        with (
            KafkaLog(access) as log,
            pytest.raises(LogError, match=r"refuses the log-in.*check bus_user") as caught,
        ):
            getattr(log, call)(topic, *arguments.get(call, ()))
        assert time.monotonic() - started < 10
        assert "wrong-word" not in str(caught.value) + repr(access)

    def test_log_in_without_trust_is_said_at_once(self, kafka: Broker, topic: str) -> None:
        """A certificate nobody vouches for is refused by us."""
        _need(kafka, "tls")
        started = time.monotonic()

        with (
            KafkaLog(Access(kafka.address("tls"), "tls")) as log,
            pytest.raises(LogError, match=r"not trusted.*check bus_ca"),
        ):
            log.partitions(topic)
        assert time.monotonic() - started < 10

    @pytest.mark.parametrize(
        ("ours", "theirs"), [("plaintext", "tls"), ("tls", "plaintext"), ("plaintext", "sasl")]
    )
    def test_log_in_by_another_way_than_the_broker_wants_is_said(
        self, kafka: Broker, topic: str, ours: str, theirs: str
    ) -> None:
        """A mismatch of the ways ends with the patience and names the setting."""
        _need(kafka, theirs)

        with (
            KafkaLog(Access(kafka.address(theirs), ours), timeout_s=2) as log,
            pytest.raises(LogError, match="bus_security"),
        ):
            log.partitions(topic)

    def test_ca_that_is_no_file_is_said(self, kafka: Broker, topic: str, tmp_path: Path) -> None:
        """A wrong path is not a broker that is away."""
        with (
            KafkaLog(Access(kafka.bootstrap, "tls", ca=str(tmp_path / "none"))) as log,
            pytest.raises(LogError, match="bus_ca"),
        ):
            log.partitions(topic)


class TestOutages:
    """The broker dies, hangs and comes back."""

    def test_no_broker_is_said_after_the_patience(self, topic: str) -> None:
        """Where nobody listens the message says where and what to check."""
        started = time.monotonic()

        with (
            KafkaLog(Access("127.0.0.1:1"), timeout_s=1.5) as log,
            pytest.raises(LogError, match=r"127\.0\.0\.1:1: cannot .*no broker.*refused.*check the address"),
        ):
            log.partitions(topic)
        assert time.monotonic() - started < 5

    def test_append_outlives_a_killed_broker(self, kafka: Broker, log: KafkaLog, topic: str) -> None:
        """What an append returned before kill -9 is there after it, in order, and the log goes on."""
        log.create(topic, 1)
        command = [sys.executable, "-c", APPENDER, kafka.bootstrap, topic, "2000", "5"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(20):
            process.stdout.readline()
        kafka.restart()
        for _ in range(20):
            process.stdout.readline()  # the same append went on by itself
        process.kill()
        rest = process.communicate()[0]
        returned = 40 + len(rest.splitlines())
        found = [tuple(map(int, r.value.split())) for r in read_all(log, topic, 0)]

        assert [r for r in found if r[0] < returned] == [(b, i) for b in range(returned) for i in range(5)]

    def test_broker_that_hangs_is_an_error_and_comes_back(self, kafka: Broker, topic: str) -> None:
        """A broker that takes connections and says nothing costs the patience, never for ever."""
        with KafkaLog(Access(kafka.bootstrap), timeout_s=2) as log:
            log.create(topic, 1)
            log.append(topic, [("a", b"1")])
            kafka.pause(on=True)
            try:
                for call in (lambda: log.append(topic, [("a", b"2")]), lambda: log.bounds(topic, 0)):
                    with pytest.raises(LogError, match="no broker answered in time"):
                        call()
            finally:
                kafka.pause(on=False)
            _patiently(lambda: log.append(topic, [("a", b"3")]))
            values = [r.value for r in read_all(log, topic, 0)]

        assert values[0] == b"1"
        assert values[-1] == b"3"  # whether 2 is in nobody can say: the caller would append it again

    def test_full_disk_of_the_broker_is_an_error_and_nothing_returned_is_lost(
        self, broker_parts: None, tmp_path: Path, topic: str
    ) -> None:
        """With no room left the append raises; with room again all that was returned is there."""
        broker = Broker(tmp_path / "small", file_bytes=12_000_000)
        with broker, KafkaLog(Access(broker.bootstrap), timeout_s=4) as log:
            log.create(topic, 1)
            returned = 0
            with suppress(LogError):
                while returned < 40:
                    log.append(topic, [("a", b"%d " % returned + bytes(1_000_000))])
                    returned += 1
            assert 0 < returned < 40  # it raised
            broker.kill()
            broker.file_bytes = None
            broker.start()
            _patiently(lambda: log.append(topic, [("a", b"more ")]))
            found = [r.value.partition(b" ")[0] for r in read_all(log, topic, 0)]

        assert found[:returned] == [b"%d" % number for number in range(returned)]
        assert found[-1] == b"more"


class TestOpen:
    """An installation on brokers."""

    def test_open_log_with_a_bus_lays_topics_and_book(self, kafka: Broker, tmp_path: Path) -> None:
        """The brokers get both topics and the book in every partition, once."""
        settings = Settings(home=tmp_path / "home", bus=kafka.bootstrap, partitions=3)
        with open_log(settings) as log:
            assert isinstance(log, KafkaLog)
        with open_log(settings) as log:
            assert [log.partitions(topic) for topic in TOPICS] == [3, 3]
            assert [log.bounds(RAW, p).end for p in range(3)] == [1, 1, 1]
            for topic in TOPICS:
                log.renew(topic, partitions=2)
        with pytest.raises(LogError, match="2 partitions, 3 were asked for"):
            open_log(settings)
        assert not settings.log_path.exists()

    def test_open_log_without_a_bus_is_the_file(self, tmp_path: Path) -> None:
        """Nothing named: the log lies in the home."""
        with open_log(Settings(home=tmp_path)) as log:
            assert isinstance(log, SqliteLog)


def _need(kafka: Broker, security: str) -> None:
    if security not in kafka.secured:
        pytest.skip("no TLS: openssl is not installed")


def _patiently(call: Callable[[], object], until_s: float = 30) -> None:
    """Repeat as a caller does whose broker is coming back."""
    until = time.monotonic() + until_s
    while time.monotonic() < until:
        with suppress(LogError):
            call()
            return
    call()
