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
from nengliu.analysis.plates.shape import Shape
from nengliu.analysis.windows import RANK
from nengliu.domain.quality import Quality
from nengliu.domain.times import day_of_receipt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_BY_LIST = 44
"""Bits of a cell below the number of its list."""


class Lines(NamedTuple):
    """Rows on their way into a ring, in order of position."""

    list_: Ints
    cell: Ints
    received_at_s: Ints
    sequence: npt.NDArray[np.uint64]
    position: Ints
    quality: npt.NDArray[np.uint8]
    reason: npt.NDArray[np.uint16]
    values: npt.NDArray[np.int64]

    def take(self, some: npt.NDArray[np.generic]) -> Lines:
        """Keep some of them."""
        return Lines(*(column[some] for column in self))


class Ring:
    """Rows of the lists of one shape (see the head of this file).

    `day` is the newest day of receipt of each list, `mixed_until` the cell up to which rows of several days of receipt
    may lie together.
    """

    def __init__(self, shape: Shape) -> None:
        """Start without a list."""
        self.shape = shape
        self.size = 0
        rows, width = shape.rows, len(shape.kinds)
        self.cell = np.empty((0, rows), np.int64)
        self.values = np.empty((0, rows, width), np.int64)
        self.received_at_s = np.empty((0, rows), np.int64)
        self.sequence = np.empty((0, rows), np.uint64)
        self.position = np.empty((0, rows), np.int64)
        self.late = np.empty((0, rows), bool)
        self.rank = np.empty((0, rows), np.uint8)
        self.newest = np.empty(0, np.int64)
        self.floor = np.empty(0, np.int64)
        self.born = np.empty(0, bool)
        self.day = np.empty(0, np.int64)
        self.mixed_until = np.empty(0, np.int64)

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
        self.newest[number] = self.floor[number] = -1
        self.born[number], self.day[number], self.mixed_until[number] = False, -1, -1

    def judge(self, lines: Lines) -> tuple[Bools, Bools]:
        """Which rows cannot be taken in place, and which are there already.

        Odd is a row that contradicts one that stands, lies too far back or ahead, or was received on an earlier day
        than what came before it.
        """
        order = np.argsort(lines.list_, kind="stable")
        owner, cell = lines.list_[order], lines.cell[order]
        before = _running(owner, cell, self.newest)
        odd = (cell < before - self.shape.back) | (cell > before + self.shape.ahead)
        odd |= (cell < self.floor[owner]) & ~self.rooted(owner)
        day = day_of_receipt(lines.received_at_s[order])
        odd |= day < _running(owner, day, self.day)
        again = self._again(owner, cell, lines.values[order], odd)
        strange, known = np.empty_like(odd), np.empty_like(odd)
        strange[order], known[order] = odd, again
        return strange, known

    def _again(self, owner: Ints, cell: Ints, values: npt.NDArray[np.int64], odd: Bools) -> Bools:
        """Rows whose cell is taken by an equal one, in the ring or before them here; an unequal one is odd."""
        place = cell % self.shape.rows
        again = np.asarray(self.cell[owner, place] == cell)
        for i in np.flatnonzero(again).tolist():
            odd[i] |= not np.array_equal(self.values[owner[i], place[i]], values[i])
        key = owner << _BY_LIST | cell
        if len(key) > 1 and not (key[1:] > key[:-1]).all():
            first = np.zeros(len(key), bool)
            places, back = np.unique(key, return_index=True, return_inverse=True)[1:]
            first[places] = True
            for i in np.flatnonzero(~first).tolist():
                odd[i] |= not np.array_equal(values[places[back[i]]], values[i])
            again |= ~first
        return np.asarray(again)

    def stride(self, lines: Lines) -> Bools:
        """Rows that can go in at once: no list outruns what its ring still has to tell, nor mixes days of receipt."""
        start = self.newest[lines.list_]
        day = day_of_receipt(lines.received_at_s)
        near = lines.cell <= start + self.shape.ahead
        if (day == day[0]).all():
            return near
        first = np.full(self.size, day.max())
        np.minimum.at(first, lines.list_, day)
        return np.asarray(near & (day == first[lines.list_]))

    def put(self, lines: Lines) -> None:
        """Store rows, each over what its cell held a ring ago."""
        owner, place = lines.list_, lines.cell % self.shape.rows
        flat = owner * self.shape.rows + place
        width = len(self.shape.kinds)
        before = self.day[owner]
        self.cell.reshape(-1)[flat] = lines.cell
        self.values.reshape(-1, width)[flat] = lines.values
        self.received_at_s.reshape(-1)[flat] = lines.received_at_s
        self.sequence.reshape(-1)[flat] = lines.sequence
        self.position.reshape(-1)[flat] = lines.position
        self.late.reshape(-1)[flat] = lines.quality == Quality.LATE
        self.rank.reshape(-1)[flat] = RANK[lines.reason]
        np.maximum.at(self.newest, owner, lines.cell)
        np.minimum.at(self.floor, owner, lines.cell)
        day = day_of_receipt(lines.received_at_s)
        np.maximum.at(self.day, owner, day)
        other = np.flatnonzero((before >= 0) & (day != before))
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
