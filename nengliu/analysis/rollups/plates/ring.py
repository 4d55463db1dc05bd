"""Ring: the newest rows of many point lists of one shape, each row at its cell of time.

A cell is a multiple of the interval since 1970; a row lies at ``cell % rows``, marked with its
cell, so that what the ring has moved past is not taken for what is there.  From `floor` on the ring has every
row that was accepted; `born` says that nothing at all lies before the floor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nengliu.analysis.growing import make_room
from nengliu.analysis.rollups.plates.shape import Shape

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_BY_LIST = 44
"""Bits of a cell below the number of its list."""


class Lines(NamedTuple):
    """Rows on their way into a ring, in order of position; `day` is that of their receipt."""

    list_: Ints
    cell: Ints
    received_at_s: Ints
    day: Ints
    position: Ints
    late: Bools
    rank: npt.NDArray[np.uint8]
    values: npt.NDArray[np.int64]

    def take(self, some: npt.NDArray[np.generic]) -> Lines:
        """Keep some of them."""
        return Lines(*(column[some] for column in self))

    def where(self, mask: Bools) -> Lines:
        """Keep those under a mask; all of them cost nothing."""
        return self if mask.all() else self.take(np.flatnonzero(mask))


class Ring:
    """Rows of the lists of one shape (see the head of this file).

    `told` is the newest cell of each list when its windows were said last: until they are said again, rows go in up
    to `Shape.ahead` beyond it.  `day` is the newest day of receipt of each list, `mixed_until` the cell up to which
    rows of several days of receipt may lie together.
    """

    def __init__(self, shape: Shape) -> None:
        """Start without a list."""
        self.shape = shape
        self.size = 0
        rows, width = shape.rows, len(shape.kinds)
        self.cell = np.empty((0, rows), np.int64)
        self.values = np.empty((0, rows, width), np.int64)
        self.received_at_s = np.empty((0, rows), np.int64)
        self.position = np.empty((0, rows), np.int64)
        self.late = np.empty((0, rows), bool)
        self.rank = np.empty((0, rows), np.uint8)
        self.taken_by = np.empty((0, rows), np.int32)
        self.newest = np.empty(0, np.int64)
        self.told = np.empty(0, np.int64)
        self.floor = np.empty(0, np.int64)
        self.born = np.empty(0, bool)
        self.day = np.empty(0, np.int64)
        self.mixed_until = np.empty(0, np.int64)

    @property
    def lines(self) -> npt.NDArray[np.int64]:
        """Values (lists x rows, c): a line for each place."""
        return self.values.reshape(-1, self.values.shape[2])

    def add_list(self) -> int:
        """Make room for one more list and give its number; it has no row yet."""
        number = self.size
        make_room(self, number + 1)
        self.size += 1
        self.clear(number)
        return number

    def clear(self, number: int) -> None:
        """Forget the rows of a list."""
        self.cell[number] = -1
        self.newest[number] = self.told[number] = self.floor[number] = -1
        self.born[number], self.day[number], self.mixed_until[number] = False, -1, -1

    def judge(self, lines: Lines) -> tuple[Bools, Bools]:
        """Which rows cannot be taken in place, and which are there already.

        Odd is a row that contradicts one that stands, lies too far back or ahead, or was received on an earlier day
        than what came before it.
        """
        place = self._place(lines)
        first: npt.NDArray[np.signedinteger]
        if self._is_plain(lines):
            odd, first = np.zeros(len(place), bool), self._first_at(place)
        else:
            odd, first = self._is_out_of_reach(lines), _first_of_equal(lines.list_ << _BY_LIST | lines.cell)
        again = self.cell.reshape(-1)[place] == lines.cell
        rows = np.flatnonzero(again)
        odd[rows] |= (self.lines[place[rows]] != lines.values[rows]).any(1)
        rows = np.flatnonzero(first != np.arange(len(place)))
        odd[rows] |= (lines.values[first[rows]] != lines.values[rows]).any(1)
        again[rows] = True
        return odd, again

    def _is_plain(self, lines: Lines) -> bool:
        """Whether no row can be out of reach, even if each came before or after all others of its list."""
        owner, cell, day = lines.list_, lines.cell, lines.day
        newest = self.newest.copy()
        np.maximum.at(newest, owner, cell)
        near = (cell >= newest[owner] - self.shape.back) & (cell <= self.newest[owner] + self.shape.ahead)
        near &= (cell >= self.floor[owner]) & (day == day[0]) & (day >= self.day[owner])
        return bool(near.all())

    def _is_out_of_reach(self, lines: Lines) -> Bools:
        short = np.uint16 if self.size <= 1 << 16 else np.int64  # numpy sorts short numbers by their digits
        order = np.argsort(lines.list_.astype(short), kind="stable")
        owner, cell, day = lines.list_[order], lines.cell[order], lines.day[order]
        before = _running(owner, cell, self.newest)
        odd = (cell < before - self.shape.back) | (cell > before + self.shape.ahead)
        odd |= (cell < self.floor[owner]) & ~self.rooted(owner)
        odd |= day < _running(owner, day, self.day)
        out = np.empty_like(odd)
        out[order] = odd
        return out

    def _first_at(self, place: Ints) -> npt.NDArray[np.signedinteger]:
        """Of each row, the first row here that goes to the same place; none is a whole ring away from another."""
        taken_by, own = self.taken_by.reshape(-1), np.arange(len(place), dtype=np.int32)
        taken_by[place[::-1]] = own[::-1]
        return np.asarray(taken_by[place])

    def _place(self, lines: Lines) -> npt.NDArray[np.int64]:
        """Place of each row among all of the ring."""
        rows = self.shape.rows
        return lines.list_ * rows + lines.cell - lines.cell // rows * rows

    def stride(self, lines: Lines) -> Bools:
        """Rows that can go in at once: no list outruns what its ring still has to tell, nor mixes days of receipt."""
        near = lines.cell <= self.told[lines.list_] + self.shape.ahead
        if (lines.day == lines.day[0]).all():
            return near
        first = np.full(self.size, lines.day.max())
        np.minimum.at(first, lines.list_, lines.day)
        return np.asarray(near & (lines.day == first[lines.list_]))

    def put(self, lines: Lines) -> None:
        """Store rows, each over what its cell held a ring ago."""
        owner, place = lines.list_, self._place(lines)
        self.lines[place] = lines.values
        for name in ("cell", "received_at_s", "position", "late", "rank"):
            getattr(self, name).reshape(-1)[place] = getattr(lines, name)
        np.maximum.at(self.newest, owner, lines.cell)
        np.minimum.at(self.floor, owner, lines.cell)
        before = self.day[owner]
        other = np.flatnonzero(lines.day != before)
        np.maximum.at(self.day, owner[other], lines.day[other])
        other = other[before[other] >= 0]
        np.maximum.at(self.mixed_until, owner[other], self.newest[owner[other]] + 2 * self.shape.rows)

    def neighbours(self, list_: Ints, cell: Ints) -> tuple[Ints, Ints]:
        """Cells of the nearest rows before and after a cell of each list; -1 where there is none."""
        place = np.arange(self.shape.rows)
        first = self.newest[list_] - self.shape.rows + 1
        cells = first[:, None] + place
        there = self.cell[list_[:, None], cells % self.shape.rows] == cells
        there &= cells >= self.floor[list_][:, None]
        before = np.where(there & (cells < cell[:, None]), cells, -1).max(1)
        after = np.where(there & (cells > cell[:, None]), cells, 2**62).min(1)
        return before, np.where(after < 2**62, after, -1)

    def rooted(self, lists: Ints) -> Bools:
        """Whether nothing lies before what the ring still holds."""
        inside = self.floor[lists] > self.newest[lists] - self.shape.rows
        return np.asarray(self.born[lists] & inside)


def _running(owner: Ints, value: Ints, standing: Ints) -> Ints:
    """Largest value of the same owner before each entry (sorted by owner), what stands included."""
    top = np.maximum.accumulate(owner << _BY_LIST | np.maximum(value, 0))
    before = standing[owner]
    same = owner[1:] == owner[:-1]
    earlier = top[:-1] & (2**_BY_LIST - 1)
    before[1:] = np.where(same, np.maximum(before[1:], earlier), before[1:])
    return before


def _first_of_equal(key: Ints) -> Ints:
    """Place of the first of those equal to each key."""
    _, first, back = np.unique(key, return_index=True, return_inverse=True)
    return np.asarray(first[back])
