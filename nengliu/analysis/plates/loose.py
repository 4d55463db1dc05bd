"""Loose readings as sheaves, so that they may lie in plates like frames.

Readings that are a whole row of a list seen before become that row again (ingest spells rows out among which it had to
look); a point that never came in a list is a list of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nengliu.analysis.sorted import starts_of
from nengliu.domain.quality import Quality
from schemas.block import Block, Sheaf, Verdict

Pair = tuple[str, str]
Points = tuple[Pair, ...]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_UNIT: tuple[str, int] = ("", 0)
"""What was sent does not matter to windows."""


@dataclass(slots=True)
class Loose:
    """Makes sheaves of blocks; remembers the lists it saw, and makes one for each point that came in none."""

    _lists: list[Points] = field(default_factory=list)
    _number: dict[Points, int] = field(default_factory=dict)
    _places: dict[Pair, tuple[int, int]] = field(default_factory=dict)
    _seen: dict[int, tuple[Points, ...]] = field(default_factory=dict)

    def see(self, lists: tuple[Points, ...]) -> None:
        """Remember the lists of a sheaf; a point belongs to the one it came in last."""
        if id(lists) in self._seen:
            return
        self._seen = {id(lists): lists}
        for points in lists:
            if points not in self._number or self._places[points[0]][0] != self._number[points]:
                self._take(points)

    def split(self, block: Block) -> tuple[list[Sheaf], Block]:
        """Sheaves of lists whose readings here are all plain, of one origin and whole rows; the block of the others."""
        plain = (block.verdict == Verdict.NEW) & (block.quality <= Quality.LATE)
        plain &= block.origin == block.origin[0]
        number, column = self._of(block.points)[:, block.slot]
        order = np.lexsort((column, block.read_at_ms, block.position, number))
        starts = _rows(number[order], block.position[order], block.read_at_ms[order])
        width = np.array([len(points) for points in self._lists])
        full = np.diff(np.append(starts, len(order))) == width[number[order][starts]]
        odd = np.zeros(len(self._lists), bool)
        odd[number[~plain]] = True
        odd[number[order][starts[~full]]] = True
        row = np.repeat(starts, np.diff(np.append(starts, len(order))))
        for marks in (block.quality, block.reason):
            odd[number[order][marks[order] != marks[order][row]]] = True
        sound = ~odd[number]
        kept = order[sound[order]]
        return [*self._sheaves(block, number, width, kept)], block.take(~sound)

    def _sheaves(
        self, block: Block, number: Ints, width: Ints, places: npt.NDArray[np.intp]
    ) -> Iterator[Sheaf]:
        """One sheaf per width of readings that lie row by row at `places`."""
        for c in np.unique(width[number[places]]).tolist():
            own = places[width[number[places]] == c].reshape(-1, c)
            own = own[np.argsort(block.position[own[:, 0]], kind="stable")]
            first = own[:, 0]
            used, row_list = np.unique(number[first], return_inverse=True)
            ticks = block.ticks[own]
            yield Sheaf(
                lists=tuple(self._lists[one] for one in used.tolist()),
                row_list=row_list.astype(np.int32),
                read_at_ms=block.read_at_ms[first],
                received_at_s=block.received_at_s[first],
                sequence=block.sequence[first],
                position=block.position[first],
                ticks=ticks,
                sent=ticks,
                units=((_UNIT,) * c,) * len(used),
                origin=int(block.origin[0]),
                quality=block.quality[first],
                reason=block.reason[first],
            )

    def _of(self, points: Points) -> Ints:
        """List and column (2, n) of points."""
        for point in points:
            if point not in self._places:
                self._take((point,))
        return np.array([self._places[point] for point in points], np.int64).reshape(-1, 2).T

    def _take(self, points: Points) -> None:
        number = self._number.setdefault(points, len(self._lists))
        if number == len(self._lists):
            self._lists.append(points)
        self._places.update({point: (number, column) for column, point in enumerate(points)})


def _rows(number: Ints, position: npt.NDArray[np.uint64], at_ms: Ints) -> npt.NDArray[np.intp]:
    """Where a new row begins among readings in the order of list, position and time."""
    if not len(number):
        return starts_of(number)
    new = (number[1:] != number[:-1]) | (position[1:] != position[:-1]) | (at_ms[1:] != at_ms[:-1])
    return np.flatnonzero(np.append(True, new))
