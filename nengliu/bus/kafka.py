"""The log on Kafka brokers, by confluent-kafka: the same promises as the file's (docs/decisions/0014).

A topic of ours is the Kafka topic ``<topic>.g<generation>``; the newest generation is the topic.
Offsets are Kafka's own: dense, since there are no transactions and no compaction.

Per `KafkaLog` there are up to four clients of the library, each made when it is first needed: one that
asks (which topics, where a partition begins and ends), one that writes, one per partition that reads, one
for laying and trimming.  Asking has a client of its own because a broker answers one request of
a connection at a time: behind a fetch that waits for records every question took as long
as that fetch waits (measured, 0.5 s).
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from nengliu.bus import OFFSET_BITS, Bounds, Record, check_partitions, partition_of
from nengliu.bus.kafka_client import (
    ASKING,
    COMMON,
    HEADERS,
    MAX_MESSAGE,
    READING,
    WRITING,
    Access,
    Reader,
    record_of,
)
from nengliu.bus.kafka_errors import (
    ALL_DOWN,
    AWAY,
    GAVE_UP,
    GONE,
    REFUSED,
    TIMED_OUT,
    UNPLACED,
    TopicGone,
    explain,
)
from nengliu.errors import LogError
from schemas.messages import MAX_BODY

FIRST_STEP_S = 0.5
"""First patience with one answer, doubled at each repetition; between two the library tells of refused log-ins."""

__all__ = ["Access", "KafkaLog"]

X = TypeVar("X")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Laid:
    """One generation of a topic as the brokers hold it."""

    name: str
    generation: int
    partitions: int


class KafkaLog:
    """A durable log on Kafka brokers; calls of several threads take turns.

    Parameters
    ----------
    access
        Where the brokers are and how to log in.
    replicas
        Brokers that hold each record of a topic laid by this object; an append waits for all but one of them.
    log_days
        How long the brokers keep records of a topic laid by this object [d].
    timeout_s
        How long a call waits for the brokers before it raises [s].

    Raises
    ------
    LogError
        From any call: no broker answers, the log-in is refused, there is no such topic, a disk is full.
    """

    def __init__(
        self, access: Access, *, replicas: int = 1, log_days: int = 30, timeout_s: float = 30.0
    ) -> None:
        self._access = access
        self._replicas = replicas
        self._log_days = log_days
        self._timeout_s = timeout_s
        self._lock = threading.RLock()
        self._known: dict[str, _Laid] = {}
        self._clients: dict[type, Any] = {}
        self._readers: dict[tuple[str, int], Reader] = {}
        self._said = ""
        self._refusal: KafkaError | None = None
        self._is_closed = False

    def create(self, topic: str, partitions: int) -> None:
        """Create `topic` with generation 1; nothing happens if it is there with as many partitions.

        A renewal that broke off between laying the new generation and deleting the old is finished.

        Raises
        ------
        LogError
            It is there with another number of partitions, or the number is not positive.
        """
        check_partitions(topic, partitions)
        with self._lock:
            if not self._look(topic):
                self._lay(topic, partitions, 1)
            *old, laid = self._look(topic)
            if laid.partitions != partitions:
                raise LogError(
                    f"{self._access.servers}: topic {topic} has {laid.partitions} partitions, {partitions} were "
                    "asked for; a topic keeps its number (it decides an enterprise's shard) until renew() lays it "
                    "anew: set partitions to that number, or renew the topic"
                )
            self._delete(topic, old)

    def renew(self, topic: str, partitions: int | None = None, above: int = 0) -> int:
        """Lay `topic` anew: all its records go, offsets start at 0, the generation rises.

        Whoever appends while this runs may lose what it appends; stop the flows first.

        Parameters
        ----------
        partitions
            New number of partitions; None keeps it.
        above
            The new generation is larger than this as well.

        Returns
        -------
        int
            The new generation.
        """
        with self._lock:
            old = self._look(topic) or [self._missing(topic)]
            partitions = old[-1].partitions if partitions is None else partitions
            check_partitions(topic, partitions)
            generation = max(old[-1].generation, above) + 1
            self._lay(topic, partitions, generation)
            self._delete(topic, old)
            self._look(topic)
            return generation

    def partitions(self, topic: str) -> int:
        """Count the partitions of `topic`; LogError if there is no such topic."""
        with self._lock:
            return (self._look(topic) or [self._missing(topic)])[-1].partitions

    def append(self, topic: str, messages: Sequence[tuple[str, bytes]]) -> list[int]:
        """Append ``(key, value)`` pairs; with all replicas in step when it returns their positions.

        Not all or nothing over the messages: when it raises some may be in. Append the whole again.
        """
        for key, value in messages:
            if len(value) + len(key) > MAX_BODY:
                raise LogError(
                    f"{topic}: expected messages of at most {MAX_BODY} bytes, got one of {len(value)} with key "
                    f"{key!r}; split the frame"
                )
        if not messages:
            return []
        return self._on(topic, lambda laid: self._append(laid, messages))

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """Read at most `limit` records from `offset` on; empty at the end of the log.

        Below the first record held, it begins at that first record: the caller sees the
        gap in the offsets.
        """
        return self._on(topic, lambda laid: self._read(topic, laid, (partition, offset, limit)))

    def bounds(self, topic: str, partition: int) -> Bounds:
        """Say which offsets the partition holds, and of which generation."""
        return self._on(topic, lambda laid: Bounds(laid.generation, *self._edges(topic, laid, partition)))

    def trim(self, topic: str, before_s: int, below: Mapping[int, int] | None = None) -> int:
        """Forget the records at the head of each partition that were appended before `before_s`.

        The offset ``below[partition]`` and all after it stay; without `below` the time alone decides.
        """
        return self._on(topic, lambda laid: self._trim(topic, laid, before_s, below))

    def close(self) -> None:
        """Let go of the connections; nothing waits to be sent."""
        with self._lock:
            self._is_closed = True
            for reader in self._readers.values():
                reader.close()
            asker = self._clients.get(Consumer)
            if asker is not None:
                asker.close()
            self._readers, self._clients, self._known = {}, {}, {}

    def __enter__(self) -> Self:
        """Use the log in a ``with`` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it at the end of the block."""
        self.close()

    # -- generations ---------------------------------------------------------------------

    def _on(self, topic: str, use: Callable[[_Laid], X]) -> X:
        """Use the generation we know; if it is gone, look which one is newest and use that."""
        with self._lock:
            if topic in self._known:
                try:
                    return use(self._known[topic])
                except TopicGone:
                    _log.info("%s: %s is gone; looking for the newest", topic, self._known[topic].name)
            return use((self._look(topic) or [self._missing(topic)])[-1])

    def _look(self, topic: str) -> list[_Laid]:
        """List the generations of `topic` on the brokers, the newest last, and remember that one."""
        found = self._metadata(f"look for {topic}")
        pattern = re.compile(re.escape(topic) + r"\.g([1-9]\d*)")
        laid = [
            _Laid(name, int(match[1]), len(about.partitions))
            for name, about in found.items()
            if (match := pattern.fullmatch(name)) and about.partitions
        ]
        laid.sort(key=lambda one: one.generation)
        self._known.pop(topic, None)
        if laid:
            self._known[topic] = laid[-1]
        return laid

    def _missing(self, topic: str) -> _Laid:
        known = {name.rpartition(".g")[0] for name in self._metadata("list the topics")} - {""}
        raise LogError(
            f"{self._access.servers}: no topic {topic!r}; there are: {', '.join(sorted(known)) or 'none'}; create it"
        )

    def _metadata(self, what: str) -> dict[str, Any]:
        return dict(self._ask(what, lambda wait_s: self._asker().list_topics(timeout=wait_s)).topics)

    def _lay(self, topic: str, partitions: int, generation: int) -> None:
        """Create one generation and wait until the brokers tell of it."""
        name = f"{topic}.g{generation}"
        config = {
            "cleanup.policy": "delete",
            "retention.ms": str(self._log_days * 86_400_000),
            "retention.bytes": "-1",
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(MAX_MESSAGE),
            "min.insync.replicas": str(max(1, self._replicas - 1)),
        }
        wanted = [NewTopic(name, partitions, self._replicas, config=config)]
        self._administer(
            f"create {name}",
            lambda admin: admin.create_topics(wanted, request_timeout=self._timeout_s),
            {KafkaError.TOPIC_ALREADY_EXISTS},
        )
        self._await(f"see {name} created", lambda topics: name in topics and bool(topics[name].partitions))

    def _delete(self, topic: str, old: list[_Laid]) -> None:
        """Delete generations and wait until the brokers know of them no more."""
        names = [laid.name for laid in old]
        if not names:
            return
        for place in [place for place in self._readers if place[0] in names]:
            self._readers.pop(place).close()
        self._administer(
            f"delete {', '.join(names)}",
            lambda admin: admin.delete_topics(names, request_timeout=self._timeout_s),
            GONE,
        )
        self._await(f"see the old {topic} deleted", lambda topics: not set(names) & set(topics))

    def _await(self, what: str, holds: Callable[[dict[str, Any]], bool]) -> None:
        until = time.monotonic() + self._timeout_s
        while not holds(self._metadata(what)):
            if time.monotonic() > until:
                raise explain(self._access.servers, what, KafkaError(TIMED_OUT), self._said)
            time.sleep(0.02)

    # -- one generation ------------------------------------------------------------------

    def _append(self, laid: _Laid, messages: Sequence[tuple[str, bytes]]) -> list[int]:
        self._refusal = None
        producer = self._client(Producer)
        offsets: list[int | None] = [None] * len(messages)
        errors: list[KafkaError] = []

        def report(place: int, error: KafkaError | None, message: Message) -> None:
            if error is None:
                offsets[place] = message.offset()
            else:
                errors.append(error)

        try:
            for place, (key, value) in enumerate(messages):
                target = partition_of(key, laid.partitions)
                self._produce(producer, laid.name, (target, key, value), partial(report, place))
            while producer.flush(FIRST_STEP_S) and self._refusal is None:
                pass  # each message is reported within its timeout, whatever becomes of the brokers
        except (KafkaException, SystemError) as error:
            # The library gave the producer up; a report that runs at that moment becomes a SystemError.
            cause = error if isinstance(error, KafkaException) else error.__cause__
            errors.insert(0, cause.args[0] if isinstance(cause, KafkaException) else KafkaError(GAVE_UP))
        placed = [offset for offset in offsets if offset is not None and offset >= 0]
        if self._refusal is None and not errors and len(placed) == len(messages):
            return [laid.generation << OFFSET_BITS | offset for offset in placed]
        del self._clients[Producer]  # it may be beyond repair; the next append begins with a fresh one
        producer.purge()
        failure = self._refusal or next(iter(errors), KafkaError(UNPLACED))
        raise explain(self._access.servers, f"append to {laid.name}", failure, self._said)

    def _produce(
        self, producer: Producer, name: str, what: tuple[int, str, bytes], report: Callable[..., None]
    ) -> None:
        target, key, value = what
        while True:
            try:
                producer.produce(
                    name, value, key.encode(), partition=target, headers=HEADERS, on_delivery=report
                )
            except BufferError:  # 100,000 messages wait: let some go
                producer.poll(0.05)
            else:
                return

    def _read(self, topic: str, laid: _Laid, what: tuple[int, int, int]) -> list[Record]:
        number, offset, limit = what
        self._check(topic, laid, number)
        reader = self._reader(laid, number)
        found = reader.take(limit, 0.0) if reader.next == offset else []
        until = time.monotonic() + self._timeout_s
        while not found:
            first, end = self._edges(topic, laid, number)
            start = max(offset, first)
            if start >= end or limit < 1:
                break
            reader.place(start)
            wanted = min(limit, end - start)
            while len(found) < wanted and (more := reader.take(wanted - len(found), FIRST_STEP_S)):
                found += more
            if not found and time.monotonic() > until:
                error = KafkaError(TIMED_OUT)
                raise explain(self._access.servers, f"read {laid.name}[{number}]@{start}", error, self._said)
        return [record_of(topic, laid.generation, message) for message in found]

    def _edges(self, topic: str, laid: _Laid, number: int) -> tuple[int, int]:
        """First offset held and the next one to be given."""
        self._check(topic, laid, number)
        place = TopicPartition(laid.name, number)

        def ask(wait_s: float) -> tuple[int, int]:
            first, end = self._asker().get_watermark_offsets(place, timeout=wait_s)
            return int(first), int(end)

        return self._ask(f"find the end of {laid.name}[{number}]", ask)

    def _trim(self, topic: str, laid: _Laid, before_s: int, below: Mapping[int, int] | None) -> int:
        edges = [self._edges(topic, laid, number) for number in range(laid.partitions)]
        asked = [TopicPartition(laid.name, number, before_s * 1000) for number in range(laid.partitions)]
        young = self._ask(
            f"find the age of {laid.name}",
            lambda wait_s: self._asker().offsets_for_times(asked, timeout=wait_s),
        )
        cuts = []
        for number, (first, end) in enumerate(edges):
            cut = young[number].offset if young[number].offset >= 0 else end
            cut = cut if below is None else min(cut, below.get(number, 0))
            if cut > first:
                cuts.append(TopicPartition(laid.name, number, cut))
        if cuts:
            self._administer(
                f"trim {laid.name}",
                lambda admin: admin.delete_records(cuts, request_timeout=self._timeout_s),
            )
        return sum(cut.offset - edges[cut.partition][0] for cut in cuts)

    def _check(self, topic: str, laid: _Laid, number: int) -> None:
        if not 0 <= number < laid.partitions:
            raise LogError(
                f"{self._access.servers}: {topic} has partitions 0 to {laid.partitions - 1}, not {number}; "
                "check the number"
            )

    # -- clients -------------------------------------------------------------------------

    def _ask(self, what: str, question: Callable[[float], X]) -> X:
        """Repeat a question until there is an answer, a refusal, or no patience left."""
        self._refusal = None
        until, step = time.monotonic() + self._timeout_s, FIRST_STEP_S
        while True:
            try:
                return question(min(step, max(until - time.monotonic(), 0.1)))
            except KafkaException as error:
                asker = self._asker()
                asker.poll(0)  # where the library tells what it met
                found = self._refusal or error.args[0]
                if self._refusal or found.code() not in AWAY or time.monotonic() > until:
                    raise explain(self._access.servers, what, found, self._said) from error
                asker.poll(0.05)
            step *= 2

    def _administer(
        self,
        what: str,
        order: Callable[[AdminClient], Mapping[Any, Any]],
        passed: set[int] | frozenset[int] = GONE,
    ) -> None:
        """Give an order to the brokers and wait for the outcome; codes of `passed` are as good as done."""
        try:
            for outcome in order(self._client(AdminClient)).values():
                try:
                    outcome.result(self._timeout_s + 1)
                except KafkaException as error:
                    if error.args[0].code() not in passed:
                        raise
        except KafkaException as error:
            raise explain(self._access.servers, what, error.args[0], self._said) from error

    def _asker(self) -> Consumer:
        found: Consumer = self._client(Consumer)
        return found

    def _reader(self, laid: _Laid, number: int) -> Reader:
        place = (laid.name, number)
        if place not in self._readers:
            self._readers[place] = Reader(*place, self._make(Consumer, READING))
        return self._readers[place]

    def _client(self, kind: type) -> Any:
        if kind not in self._clients:
            options = {
                Producer: WRITING | {"message.timeout.ms": int(self._timeout_s * 1000)},
                Consumer: ASKING,
            }
            self._clients[kind] = self._make(kind, options.get(kind, {}))
        return self._clients[kind]

    def _make(self, kind: type, options: dict[str, Any]) -> Any:
        if self._is_closed:
            raise LogError(f"{self._access.servers}: this log is closed; open it again")
        try:
            return kind(COMMON | self._access.options() | options | {"error_cb": self._hear}, logger=_log)
        except KafkaException as error:
            raise explain(self._access.servers, "open", error.args[0], self._said) from error

    def _hear(self, error: KafkaError) -> None:
        """Keep what the library tells of its connections."""
        if error.code() != ALL_DOWN:
            self._said = error.str()
        if error.code() in REFUSED:
            self._refusal = error
