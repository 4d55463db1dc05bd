"""The log: one small interface with two implementations, a durable SQLite file and Kafka.

A topic has partitions; a message has a key (the enterprise) that decides its partition,
an offset that counts up from 0 within the partition, and a *generation* that is raised
when a topic is laid anew.  ``position = generation << 48 | offset`` is the revision of
everything that follows from the message (docs/decisions/0005).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from nengliu.errors import LogRefused

OFFSET_BITS = 48


@dataclass(frozen=True, slots=True)
class Record:
    """One message as read back from the log."""

    topic: str
    partition: int
    generation: int
    offset: int
    key: str
    value: bytes
    appended_at_s: int

    @property
    def position(self) -> int:
        """Place in the log as one number; larger is later, over generations too."""
        return self.generation << OFFSET_BITS | self.offset


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a partition holds: offsets ``[first, end)`` of `generation`."""

    generation: int
    first: int
    end: int


def partition_of(key: str, partitions: int) -> int:
    """Partition that all messages of an enterprise share (CRC-32 of the key, modulo)."""
    return zlib.crc32(key.encode()) % partitions


class Log(Protocol):
    """A durable, partitioned, append-only log."""

    def create(self, topic: str, partitions: int) -> None:
        """Create `topic`, generation 1; nothing if it is there with as many partitions, else LogError."""

    def renew(self, topic: str, partitions: int | None = None, above: int = 0) -> int:
        """Lay `topic` anew: empty, offsets from 0, generation higher than before and than `above`; say it."""

    def partitions(self, topic: str) -> int:
        """Count the partitions of `topic`; LogError if there is no such topic."""

    def append(self, topic: str, messages: Sequence[tuple[str, bytes]]) -> list[int]:
        """Append ``(key, value)`` pairs; durable when it returns their positions.

        When it raises, the SQLite log has taken none of them; Kafka may have taken some. The caller
        appends the whole again either way: a repetition is harmless (law 7).
        """

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """Read at most `limit` records from `offset` on, or from the first one held if that is later.

        Empty at the end of the log, and only there: what an append has returned, whoever appended, is
        seen.  All records of one answer are of one generation.
        """

    def bounds(self, topic: str, partition: int) -> Bounds:
        """Say which offsets the partition holds."""

    def trim(self, topic: str, before_s: int, below: Mapping[int, int] | None = None) -> int:
        """Forget the head of each partition as far as appended before `before_s`; say how many went.

        `below` gives each partition's limit, the offset that must stay; a partition it does not name keeps all.
        """

    def close(self) -> None:
        """Let go of files and connections."""

    def __enter__(self) -> Self:
        """Use the log in a ``with`` block."""

    def __exit__(self, *_: object) -> None:
        """Close it at the end of the block."""


def check_partitions(topic: str, partitions: int) -> None:
    """Refuse a number of partitions that no topic can have.

    Raises
    ------
    LogRefused
        It is not positive.
    """
    if partitions < 1:
        raise LogRefused(
            f"topic {topic}: expected at least 1 partition, got {partitions}; give a larger number"
        )
