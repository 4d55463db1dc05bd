"""Which partitions of its topic one process of a flow takes: all of them, or a share beside other processes.

Each share has a folder of its own below ``HOME/recovery``, named after the flow and its partitions: ``embedded``
takes all, ``embedded-0-1,5`` the partitions 0, 1 and 5.  No partition may be in two folders of one flow: two
processes would then read it, and what one of them noted would not be true of the other.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nengliu.errors import InputError

STORED = "part-*.sqlite3"
"""Files of a recovery store; a folder without one belongs to a flow that never ran."""
_SPAN = re.compile(r"([0-9]+)(?:-([0-9]+))?")


@dataclass(frozen=True, slots=True)
class Share:
    """What one process of a flow takes; no `partitions` are all of the topic.

    Examples
    --------
    >>> Share("embedded", (0, 1, 2, 5)).name, Share("embedded").name
    ('embedded-0-2,5', 'embedded')
    >>> share_named("embedded-0-2,5").partitions
    (0, 1, 2, 5)
    """

    flow: str
    partitions: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Name of the share's folder.  Stored data."""
        return f"{self.flow}-{partitions_text(self.partitions)}" if self.partitions else self.flow

    def takes(self, partition: int) -> bool:
        """Whether a partition is in it."""
        return not self.partitions or partition in self.partitions

    def overlaps(self, other: Share) -> bool:
        """Whether both take some partition of the same flow."""
        return self.flow == other.flow and (
            not self.partitions or not other.partitions or not {*self.partitions}.isdisjoint(other.partitions)
        )


def share_named(name: str) -> Share:
    """Give the share of a folder; one that somebody set aside (``embedded-old``) is a flow of its own."""
    flow, _, text = name.partition("-")
    try:
        return Share(flow, parse_partitions(text))
    except InputError:
        return Share(name)


def parse_partitions(text: str) -> tuple[int, ...]:
    """Read a list of partitions and of spans of them, both ends included.

    Raises
    ------
    InputError
        It is no such list, or names a partition twice.

    Examples
    --------
    >>> parse_partitions("0-2,5")
    (0, 1, 2, 5)
    """
    found: list[int] = []
    for part in text.split(","):
        span = _SPAN.fullmatch(part.strip())
        first, last = (int(span[1]), int(span[2] or span[1])) if span else (0, -1)
        if first > last:
            raise InputError(
                f"partitions {text!r}: expected a list such as 0,1 or 0-31,40, got {part!r} in it"
            )
        found += range(first, last + 1)
    if len({*found}) < len(found):
        raise InputError(f"partitions {text!r}: expected each partition once; name it once")
    return tuple(sorted(found))


def partitions_text(partitions: Iterable[int]) -> str:
    """Write partitions in the one way that names their folder.

    Examples
    --------
    >>> partitions_text((0, 1, 2, 5))
    '0-2,5'
    """
    spans = itertools.groupby(enumerate(sorted(partitions)), lambda at: at[1] - at[0])
    ends = [[partition for _, partition in span] for _, span in spans]
    return ",".join(str(span[0]) if len(span) == 1 else f"{span[0]}-{span[-1]}" for span in ends)


def shares(recovery: Path) -> Iterator[tuple[Share, Path]]:
    """Give each share that has a recovery store below a folder, and its own folder."""
    for folder in sorted(recovery.glob("*/")):
        if any(folder.glob(STORED)):
            yield share_named(folder.name), folder
