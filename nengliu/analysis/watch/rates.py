"""Rates: how much a register moved per time before a moment, from sums of what it can have used.

The rate at a reading is taken from the first reading of the cell of six hours before its own: a
function of the readings alone, wherever batches are cut; whole numbers, so that nothing rounds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nengliu.analysis.sorted import starts_of
from nengliu.analysis.watch.slots import NEVER, Columns, Ints
from nengliu.analysis.watch.sweep import TIME_BITS, Sweep

CELL_MS = 6 * 3_600_000
"""Long enough to even out single intervals, short enough to know night from day; ours."""
Floats = npt.NDArray[np.float64]
_KEPT = ("cell", "at", "total")


class Rates:
    """State per point: what it used in all, the first readings of its two newest cells, the rate where it stands."""

    def __init__(self) -> None:
        """Start empty."""
        cells = {f"{name}{i}": ("i8", NEVER) for i in (0, 1) for name in _KEPT}
        self.state = Columns(used=("i8", 0), rate=("f8", 0.0), **cells)

    def fit(self, sweep: Sweep, amount: Ints) -> None:
        """Look at a sweep's walk; `amount` (m,) is what each of its steps used [ticks]."""
        walk = sweep.walk
        self.state.fit(len(sweep.slots))
        start = starts_of(walk.slot)
        count = np.diff(np.append(start, len(walk.slot)))
        self._walk, self._slots = walk, walk.slot[start]
        self._rank = np.repeat(np.arange(len(start)), count)
        used = np.cumsum(amount)
        self._used = used + np.repeat(self.state["used"][self._slots] - (used[start] - amount[start]), count)
        cell = walk.at_ms // CELL_MS
        before = np.empty(len(cell), np.int64)
        before[1:] = cell[:-1]
        before[start] = self.state["cell0"][self._slots]
        first = np.flatnonzero(cell != before)
        self._cell = cell
        self._gather(first)

    def at(self, rows: Ints, anchor: Ints) -> Floats:
        """Rate [ticks/ms] of the slots of `rows` at the rows `anchor`, or where they stood before the sweep (-1)."""
        inside = np.maximum(anchor, 0)
        return np.where(anchor >= 0, self._rates(inside), self.state["rate"][self._walk.slot[rows]])

    def learn(self, anchor: Ints) -> None:
        """Remember; `anchor` (slots of the walk,) is the row since which each of them shows its value."""
        last = self._walk.last()
        self.state["rate"][self._slots] = self.at(last, anchor)
        self.state["used"][self._slots] = self._used[last]
        end = np.searchsorted(self._keys, np.arange(1, len(self._slots) + 1) << TIME_BITS) - 1
        two = np.maximum(end - 1, 0)
        has_two = self._keys[two] >> TIME_BITS == np.arange(len(self._slots))
        has_two &= two < end
        for name, column in zip(_KEPT, self._cells, strict=True):
            self.state[f"{name}0"][self._slots] = column[end]
            self.state[f"{name}1"][self._slots] = np.where(has_two, column[two], NEVER)

    def _gather(self, first: npt.NDArray[np.intp]) -> None:
        """Lay the first readings of all cells in order: those of the state and those of the walk."""
        rank = [self._rank[first]]
        columns = [[column[first]] for column in (self._cell, self._walk.at_ms, self._used)]
        for i in (1, 0):
            known = np.flatnonzero(self.state[f"cell{i}"][self._slots] >= 0)
            rank.append(known)
            for name, parts in zip(_KEPT, columns, strict=True):
                parts.append(self.state[f"{name}{i}"][self._slots[known]])
        cell, at, used = (np.concatenate(parts) for parts in columns)
        keys = (np.concatenate(rank).astype(np.int64) << TIME_BITS) + cell
        order = np.argsort(keys)
        self._keys, self._cells = keys[order], (cell[order], at[order], used[order])

    def _rates(self, rows: Ints) -> Floats:
        rank = self._rank[rows].astype(np.int64)
        place = np.searchsorted(self._keys, (rank << TIME_BITS) + self._cell[rows]) - 1
        inside = np.maximum(place, 0)
        known = (place >= 0) & (self._keys[inside] >> TIME_BITS == rank)
        _, at, used = self._cells
        span = np.maximum(self._walk.at_ms[rows] - at[inside], 1)
        return np.where(known, (self._used[rows] - used[inside]) / span, 0.0)
