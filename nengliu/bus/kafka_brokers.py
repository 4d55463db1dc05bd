"""Our clients on the brokers: questions, orders and records, with patience, and what the library tells of them.

There are up to four clients of the library, each made when it is first needed: one that asks (which
topics, where a partition begins and ends), one that writes, one per partition that reads, one for laying
and trimming.  Asking has a client of its own because a broker answers one request of a connection at a
time: behind a fetch that waits for records every question took as long as that fetch waits (measured, 0.5 s).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from nengliu.bus.kafka_client import ASKING, COMMON, HEADERS, READING, WRITING, Access, Reader
from nengliu.bus.kafka_errors import ALL_DOWN, AWAY, GAVE_UP, GONE, REFUSED, UNPLACED, explain
from nengliu.errors import LogError, LogRefused

FIRST_STEP_S, LONGEST_STEP_S = 0.5, 2.0
"""Patience with one answer [s], doubled while brokers are connected and slow: between two answers the library tells
of its connections, and a process that was asked to stop hears of it."""
AWAY_S = 2.0
"""Brokers that keep us waiting for so long are called away in the log [s]."""

X = TypeVar("X")
_log = logging.getLogger(__name__)
_away: set[str] = set()
_away_lock = threading.Lock()
"""Brokers that are away, for all logs of this process: it is said once when they go and once when they come."""


class Brokers:
    """The brokers of one address; not for several threads at once.

    Parameters
    ----------
    access
        Where they are and how to log in.
    timeout_s
        How long a call waits for them before it raises [s].
    """

    def __init__(self, access: Access, timeout_s: float) -> None:
        self.access = access
        self.timeout_s = timeout_s
        self._clients: dict[type, Any] = {}
        self._readers: dict[tuple[str, int], Reader] = {}
        self._said = ""
        self._refusal: KafkaError | None = None
        self._is_cut = False
        self._is_closed = False

    def ask(self, what: str, question: Callable[[Consumer, float], X]) -> X:
        """Repeat a question, which is told how long it may take [s], until there is an answer or a refusal.

        Raises
        ------
        LogError
            No broker answered in time, or one refuses.
        """
        self._refusal = None
        started, step = time.monotonic(), FIRST_STEP_S
        until = started + self.timeout_s
        while True:
            asker = self._client(Consumer)
            self._is_cut = False
            try:
                answer = question(asker, min(step, max(until - time.monotonic(), 0.1)))
            except KafkaException as error:
                asker.poll(0)  # where the library tells what it met
                found = self._refusal or error.args[0]
                if self._refusal or found.code() not in AWAY or time.monotonic() > until:
                    raise self.explain(what, found) from error
                self._waiting(started)
                asker.poll(0.05)
            else:
                self._answered()
                return answer
            step = FIRST_STEP_S if self._is_cut else min(2 * step, LONGEST_STEP_S)

    def topics(self, what: str) -> dict[str, Any]:
        """Give what the brokers know of all topics, by name."""
        return dict(self.ask(what, lambda asker, wait_s: asker.list_topics(timeout=wait_s)).topics)

    def order(
        self,
        what: str,
        order: Callable[[AdminClient, float], Mapping[Any, Any]],
        passed: Iterable[int] = GONE,
    ) -> None:
        """Give an order, which is told how long it may take [s]; codes of `passed` are as good as done."""
        try:
            for outcome in order(self._client(AdminClient), self.timeout_s).values():
                try:
                    outcome.result(self.timeout_s + 1)
                except KafkaException as error:
                    if error.args[0].code() not in passed:
                        raise
        except KafkaException as error:
            raise self.explain(what, error.args[0]) from error

    def write(self, name: str, records: Sequence[tuple[int, str, bytes]]) -> list[int]:
        """Write ``(partition, key, value)`` records and give their offsets.

        Raises
        ------
        LogError
            Not all are known to be in; some may be.
        """
        self._refusal = None
        producer, started = self._client(Producer), time.monotonic()
        offsets: list[int | None] = [None] * len(records)
        errors: list[KafkaError] = []

        def report(place: int, error: KafkaError | None, message: Message) -> None:
            if error is None:
                offsets[place] = message.offset()
            else:
                errors.append(error)

        try:
            for place, record in enumerate(records):
                _produce(producer, name, record, partial(report, place))
            while producer.flush(FIRST_STEP_S) and self._refusal is None:
                # Each message is reported within its timeout, whatever becomes of the brokers.
                if self._said:  # else the line is slow
                    self._waiting(started)
        except (KafkaException, SystemError) as error:
            # The library gave the producer up; a report that runs at that moment becomes a SystemError.
            cause = error if isinstance(error, KafkaException) else error.__cause__
            errors.insert(0, cause.args[0] if isinstance(cause, KafkaException) else KafkaError(GAVE_UP))
        placed = [offset for offset in offsets if offset is not None and offset >= 0]
        if self._refusal is None and not errors and len(placed) == len(records):
            self._answered()
            return placed
        del self._clients[Producer]  # it may be beyond repair; the next append begins with a fresh one
        producer.purge()
        raise self.explain(f"append to {name}", self._refusal or next(iter(errors), KafkaError(UNPLACED)))

    def reader(self, name: str, number: int) -> Reader:
        """Give the reader of one partition."""
        place = (name, number)
        if place not in self._readers:
            self._readers[place] = Reader(*place, self._make(Consumer, READING))
        return self._readers[place]

    def forget(self, names: Iterable[str]) -> None:
        """Close the readers of topics that are to go."""
        for place in [place for place in self._readers if place[0] in names]:
            self._readers.pop(place).close()

    def explain(self, what: str, error: KafkaError) -> LogError:
        """Make the LogError of what the library or a broker said."""
        return explain(self.access.servers, what, error, self._said)

    def close(self) -> None:
        """Let go of the connections; nothing waits to be sent."""
        self._is_closed = True
        for reader in self._readers.values():
            reader.close()
        asker = self._clients.get(Consumer)
        if asker is not None:
            asker.close()
        self._readers, self._clients = {}, {}

    def _client(self, kind: type) -> Any:
        if kind not in self._clients:
            options = {
                Producer: WRITING | {"message.timeout.ms": int(self.timeout_s * 1000)},
                Consumer: ASKING,
            }
            self._clients[kind] = self._make(kind, options.get(kind, {}))
        return self._clients[kind]

    def _make(self, kind: type, options: dict[str, Any]) -> Any:
        if self._is_closed:
            raise LogRefused(f"{self.access.servers}: this log is closed; open it again")
        try:
            return kind(COMMON | self.access.options() | options | {"error_cb": self._hear}, logger=_log)
        except KafkaException as error:
            raise self.explain("open", error.args[0]) from error

    def _hear(self, error: KafkaError) -> None:
        """Keep what the library tells of its connections."""
        if error.code() != ALL_DOWN:
            self._said = error.str()
        if error.code() in REFUSED:
            self._refusal = error
        self._is_cut = True

    def _waiting(self, since_s: float) -> None:
        """Say once that the brokers are away, if the library told why or they keep us waiting for long."""
        if time.monotonic() - since_s < AWAY_S:
            return
        with _away_lock:
            if self.access.servers not in _away:
                _away.add(self.access.servers)
                told = f" ({self._said})" if self._said else ""
                _log.warning("%s: no broker answers%s; waiting for it", self.access.servers, told)

    def _answered(self) -> None:
        """Say once that the brokers are back."""
        self._said = ""
        with _away_lock:
            if self.access.servers in _away:
                _away.discard(self.access.servers)
                _log.warning("%s: a broker answers again", self.access.servers)


def _produce(
    producer: Producer, name: str, record: tuple[int, str, bytes], report: Callable[..., None]
) -> None:
    target, key, value = record
    while True:
        try:
            producer.produce(name, value, key.encode(), partition=target, headers=HEADERS, on_delivery=report)
        except BufferError:  # 100,000 messages wait: let some go
            producer.poll(0.05)
        else:
            return
