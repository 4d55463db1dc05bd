"""Open the log of an installation, with its topics laid and its book of factors first in every partition."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from typing import TypeAlias

from nengliu.bus import Log, partition_of
from nengliu.bus.sqlite import SqliteLog
from nengliu.domain.books import shipped_factors
from nengliu.settings import Settings
from schemas.messages import (
    ActionNotice,
    ActivityNotice,
    BookNotice,
    EntryNotice,
    RetentionNotice,
    TariffNotice,
    TickNotice,
    encode,
)
from schemas.topics import RAW, TOPICS


def open_log(settings: Settings) -> Log:
    """Open (and at first lay out) the durable log: the brokers of `settings.bus`, or the file of `settings.home`.

    Raises
    ------
    LogError
        It cannot be opened, or is laid out with another number of partitions.
    """
    with ExitStack() as closing:
        log = closing.enter_context(connect_log(settings))
        for topic in TOPICS:
            log.create(topic, settings.partitions)
        empty = [p for p in range(settings.partitions) if log.bounds(RAW, p).end == 0]
        publish_book(log, empty)
        closing.pop_all()
    return log


def publish_book(log: Log, partitions: list[int]) -> None:
    """Append the shipped book of factors to partitions of the raw topic."""
    if partitions:
        digest, factors = shipped_factors()
        publish(log, BookNotice(digest, factors, int(time.time())), partitions)


ToAll: TypeAlias = BookNotice | TariffNotice | RetentionNotice | TickNotice
"""What all enterprises must know."""


def publish(log: Log, notice: ToAll, partitions: Sequence[int] = ()) -> None:
    """Append what all enterprises must know to some partitions of the raw topic, or to all of them."""
    message, count = encode(notice), log.partitions(RAW)
    told = partitions or range(count)
    log.append(RAW, [(_key_for(partition, count), message) for partition in told])


def publish_tick(log: Log, at_s: int) -> None:
    """Append the time to every partition of the raw topic: silence is judged by the log's own clock [s, UTC]."""
    publish(log, TickNotice(at_s))


def publish_action(log: Log, action: ActionNotice) -> None:
    """Append what a person does about an incident; the watch takes it in its place among the readings."""
    log.append(RAW, [(action.enterprise, encode(action))])


def publish_entered(log: Log, told: ActivityNotice | EntryNotice) -> None:
    """Append what a person entered about an enterprise; ingest takes it in its place among the readings."""
    log.append(RAW, [(told.enterprise, encode(told))])


def trim_logs(settings: Settings, below: Mapping[str, Mapping[int, int]]) -> int:
    """Forget what is older than `log_days` and what no flow reads again; say how many records went.

    Parameters
    ----------
    below
        Of each topic, each partition's first offset that must stay (`flows.resume.resume_points`);
        what it does not name is kept.

    Notes
    -----
    Nothing happens on Kafka: its brokers forget by the age alone (``retention.ms`` of the topic).
    """
    if settings.bus:
        return 0
    before_s = int(time.time()) - settings.log_days * 86_400
    with open_log(settings) as log:
        return sum(log.trim(topic, before_s, below.get(topic, {})) for topic in TOPICS)


def connect_log(settings: Settings) -> Log:
    """Reach the log as it is, no topics laid; the Kafka library is loaded only where a broker is named."""
    if not settings.bus:
        settings.home.mkdir(parents=True, exist_ok=True)
        return SqliteLog(settings.log_path)
    from nengliu.bus.kafka import Access, KafkaLog

    access = Access(
        settings.bus,
        settings.bus_security,
        settings.bus_mechanism,
        settings.bus_user,
        settings.bus_password,
        settings.bus_ca,
    )
    return KafkaLog(access, replicas=settings.bus_replicas, log_days=settings.log_days)


@cache
def _key_for(partition: int, count: int) -> str:
    """Key that falls into a partition: notices to all enterprises of it have no enterprise of their own."""
    return next(key for i in itertools.count() if partition_of(key := f"book-{i}", count) == partition)
