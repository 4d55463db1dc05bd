"""Open the log of an installation, with its topics laid and its book of factors first in every partition."""

from __future__ import annotations

import itertools

from nengliu.bus import Log, partition_of
from nengliu.bus.sqlite import SqliteLog
from nengliu.domain.books import shipped_factors
from nengliu.settings import Settings
from schemas.messages import BookNotice, encode
from schemas.topics import RAW, TOPICS


def open_log(settings: Settings) -> SqliteLog:
    """Open (and at first lay out) the durable log of `settings.home`.

    Raises
    ------
    LogError
        It cannot be opened, or is laid out with another number of partitions.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    log = SqliteLog(settings.log_path)
    for topic in TOPICS:
        log.create(topic, settings.partitions)
    empty = [p for p in range(settings.partitions) if log.bounds(RAW, p).end == 0]
    publish_book(log, empty)
    return log


def publish_book(log: Log, partitions: list[int]) -> None:
    """Append the shipped book of factors to partitions of the raw topic."""
    if not partitions:
        return
    digest, factors = shipped_factors()
    message = encode(BookNotice(digest, factors))
    count = log.partitions(RAW)
    log.append(RAW, [(_key_for(partition, count), message) for partition in partitions])


def _key_for(partition: int, count: int) -> str:
    """Key that falls into a partition: notices to all enterprises of it have no enterprise of their own."""
    return next(key for i in itertools.count() if partition_of(key := f"book-{i}", count) == partition)
