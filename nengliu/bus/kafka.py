"""The log on Kafka brokers, by confluent-kafka: the same promises as the file's (docs/decisions/0014).

A topic of ours is the Kafka topic ``<topic>.g<generation>``; the newest generation is the topic.
Offsets are Kafka's own: dense, since there are no transactions and no compaction.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.cimpl import NewTopic

from nengliu.bus import OFFSET_BITS, Bounds, Record, check_partitions, partition_of
from nengliu.bus.kafka_brokers import FIRST_STEP_S, Brokers
from nengliu.bus.kafka_client import MAX_MESSAGE, Access, record_of
from nengliu.bus.kafka_errors import TIMED_OUT
from nengliu.errors import LogRefused, NoTopic
from schemas.messages import MAX_BODY

SERVED_S = 0.2
"""A broker under load serves a deleted topic for a moment after it stopped telling of it (measured) [s]."""
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
        self._servers = access.servers
        self._brokers = Brokers(access, timeout_s)
        self._replicas = replicas
        self._log_days = log_days
        self._timeout_s = timeout_s
        self._lock = threading.RLock()
        self._known: dict[str, _Laid] = {}

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
                raise LogRefused(
                    f"{self._servers}: topic {topic} has {laid.partitions} partitions, {partitions} were "
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
            return self._newest(topic).partitions

    def append(self, topic: str, messages: Sequence[tuple[str, bytes]]) -> list[int]:
        """Append ``(key, value)`` pairs; with all replicas in step when it returns their positions.

        Not all or nothing over the messages: when it raises some may be in. Append the whole again.
        """
        for key, value in messages:
            if len(value) + len(key) > MAX_BODY:
                raise LogRefused(
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
            self._brokers.close()
            self._known = {}

    def __enter__(self) -> Self:
        """Use the log in a ``with`` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it at the end of the block."""
        self.close()

    # -- generations ---------------------------------------------------------------------

    def _on(self, topic: str, use: Callable[[_Laid], X]) -> X:
        """Use the generation we know; where the brokers do not know it (now), use the newest."""
        with self._lock:
            if topic in self._known:
                before = self._known[topic]
                try:
                    return use(before)
                except NoTopic:  # said as well of a partition whose broker is away
                    laid = self._newest(topic)
                    if laid.name != before.name:
                        _log.info("%s: %s is gone; the newest is %s", topic, before.name, laid.name)
                    return use(laid)
            return use(self._newest(topic))

    def _newest(self, topic: str) -> _Laid:
        return (self._look(topic) or [self._missing(topic)])[-1]

    def _look(self, topic: str) -> list[_Laid]:
        """List the generations of `topic` on the brokers, the newest last, and remember that one."""
        found = self._brokers.topics(f"look for {topic}")
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
        known = {name.rpartition(".g")[0] for name in self._brokers.topics("list the topics")} - {""}
        raise NoTopic(
            f"{self._servers}: no topic {topic!r}; there are: {', '.join(sorted(known)) or 'none'}; create it"
        )

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
        self._brokers.order(
            f"create {name}",
            lambda admin, wait_s: admin.create_topics(wanted, request_timeout=wait_s),
            {KafkaError.TOPIC_ALREADY_EXISTS},
        )
        self._await(f"see {name} created", lambda topics: name in topics and bool(topics[name].partitions))

    def _delete(self, topic: str, old: list[_Laid]) -> None:
        """Delete generations and wait until the brokers know of them no more."""
        names = [laid.name for laid in old]
        if not names:
            return
        self._brokers.forget(names)
        self._brokers.order(
            f"delete {', '.join(names)}",
            lambda admin, wait_s: admin.delete_topics(names, request_timeout=wait_s),
        )
        self._await(f"see the old {topic} deleted", lambda topics: not set(names) & set(topics))
        time.sleep(SERVED_S)

    def _await(self, what: str, holds: Callable[[dict[str, Any]], bool]) -> None:
        until = time.monotonic() + self._timeout_s
        while not holds(self._brokers.topics(what)):
            if time.monotonic() > until:
                raise self._brokers.explain(what, KafkaError(TIMED_OUT))
            time.sleep(0.02)

    # -- one generation ------------------------------------------------------------------

    def _append(self, laid: _Laid, messages: Sequence[tuple[str, bytes]]) -> list[int]:
        records = [(partition_of(key, laid.partitions), key, value) for key, value in messages]
        return [laid.generation << OFFSET_BITS | place for place in self._brokers.write(laid.name, records)]

    def _read(self, topic: str, laid: _Laid, what: tuple[int, int, int]) -> list[Record]:
        number, offset, limit = what
        self._check(topic, laid, number)
        reader = self._brokers.reader(laid.name, number)
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
                raise self._brokers.explain(f"read {laid.name}[{number}]@{start}", KafkaError(TIMED_OUT))
        return [record_of(topic, laid.generation, message) for message in found]

    def _edges(self, topic: str, laid: _Laid, number: int) -> tuple[int, int]:
        """First offset held and the next one to be given."""
        self._check(topic, laid, number)
        place = TopicPartition(laid.name, number)

        def edges(asker: Consumer, wait_s: float) -> tuple[int, int]:
            first, end = asker.get_watermark_offsets(place, timeout=wait_s)
            return int(first), int(end)

        return self._brokers.ask(f"find the end of {laid.name}[{number}]", edges)

    def _trim(self, topic: str, laid: _Laid, before_s: int, below: Mapping[int, int] | None) -> int:
        edges = [self._edges(topic, laid, number) for number in range(laid.partitions)]
        asked = [TopicPartition(laid.name, number, before_s * 1000) for number in range(laid.partitions)]
        young = self._brokers.ask(
            f"find the age of {laid.name}",
            lambda asker, wait_s: asker.offsets_for_times(asked, timeout=wait_s),
        )
        cuts = []
        for number, (first, end) in enumerate(edges):
            cut = young[number].offset if young[number].offset >= 0 else end
            cut = cut if below is None else min(cut, below.get(number, 0))
            if cut > first:
                cuts.append(TopicPartition(laid.name, number, cut))
        if cuts:
            self._brokers.order(
                f"trim {laid.name}",
                lambda admin, wait_s: admin.delete_records(cuts, request_timeout=wait_s),
            )
        return sum(cut.offset - edges[cut.partition][0] for cut in cuts)

    def _check(self, topic: str, laid: _Laid, number: int) -> None:
        if not 0 <= number < laid.partitions:
            raise LogRefused(
                f"{self._servers}: {topic} has partitions 0 to {laid.partitions - 1}, not {number}; "
                "check the number"
            )
