"""Witness: how long most of an enterprise's registers ran, so that a standstill is judged by its neighbours.

A boundary meter, lighting or a pump goes on when a plant stops.  So not any movement counts, but that
of most registers which spoke in a quarter of an hour: those that moved against those that had stood for
a while, though not for so long that nobody expects them any more.

Source: domain.md 6.2, M3 (while the others of the place move).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nengliu.analysis.sorted import starts_of
from nengliu.analysis.watch.settings import WatchSettings
from nengliu.analysis.watch.slots import GAUGE, NEVER, Columns, Ints, Slots
from nengliu.analysis.watch.sweep import TIME_BITS, Bools, Sweep, running_max

CELL_MS = 900_000
"""Movement is counted by quarters of an hour: most meters are read so often; ours."""


class Witnessed(NamedTuple):
    """Per row of the walk: how long most registers had run before [ms], and whether they ran just now."""

    active: Ints
    running: Bools


class _Cells(NamedTuple):
    """Quarters of an hour of the enterprises in a sweep, by enterprise and time; first of each the one of the state.

    Attributes
    ----------
    key, rank : int64 (c,)
        Enterprise and time; number of the enterprise in the sweep.
    moved, stood : int64 (c,)
        Registers that moved and that stood there.
    length_ms : int64 (c,)
        Time since the cell before.
    broke : int64 (c,)
        The newest cell up to here in which most stood.
    ran : bool (c,)
        Most registers moved in the cell before, and had for a while.
    active : int64 (c,)
        How long most had run when the cell began [ms].
    """

    key: Ints
    rank: Ints
    moved: Ints
    stood: Ints
    length_ms: Ints
    broke: Ints
    ran: Bools
    active: Ints


class Witness:
    """State: per enterprise its newest cell and how long most ran; per point the cells it was counted in last."""

    def __init__(self, settings: WatchSettings) -> None:
        """Start empty."""
        self.settings = settings
        self.points = Columns(moved=("i8", NEVER), stood=("i8", NEVER))
        self.plants = Columns(
            cell=("i8", NEVER),
            moved=("i8", 0),
            stood=("i8", 0),
            length_ms=("i8", 0),
            broke=("i8", NEVER),
            ran=("?", False),
            active=("i8", 0),
        )

    def snapshot(self) -> object:
        """Copy of the state."""
        return self.points.snapshot(), self.plants.snapshot()

    def resume(self, state: Any) -> None:
        """Go on with what `snapshot` gave."""
        self.points.resume(state[0])
        self.plants.resume(state[1])

    def look(self, sweep: Sweep) -> Witnessed:
        """Follow the enterprises along a sweep; `learn` remembers."""
        walk, n = sweep.walk, len(sweep.lane)
        self.points.fit(len(sweep.slots))
        self.plants.fit(len(sweep.slots.enterprises))
        speaks = walk.came & (sweep.slots.facts["kind"][walk.slot] != GAUGE)
        stood_ms = walk.at_ms - walk.since_ms
        long = stood_ms >= self.settings.resting_intervals * 1000 * sweep.slots.facts["interval_s"][walk.slot]
        stands = speaks & walk.stays & long & (stood_ms <= self.settings.witness_s * 1000)
        cell = walk.at_ms // CELL_MS
        lane = sweep.lane[walk.index]
        top = np.full(n, NEVER)
        top[lane[speaks]] = cell[speaks]
        start = starts_of(sweep.lane_rank)
        top[start] = np.maximum(top[start], self.plants["cell"][sweep.lane_enterprise])
        top = running_max(sweep.lane_rank, top)
        key = (sweep.lane_rank << TIME_BITS) + top + 1
        counted = []
        self._newest: list[tuple[str, Slots, Ints]] = []
        for name, mask in (("moved", speaks & (walk.delta != 0)), ("stood", stands)):
            rows = self._first_of(name, sweep, np.flatnonzero(mask), cell)
            counted.append(key[lane[rows[cell[rows] == top[lane[rows]]]]])
        cells = self._last = self._cells(key, counted, sweep.lane_enterprise)
        self._enterprises = sweep.lane_enterprise
        place = np.searchsorted(cells.key, key[lane])
        return Witnessed(cells.active[place], cells.ran[place])

    def learn(self) -> None:
        """Remember what was looked at last."""
        for name, slots, cell in self._newest:
            self.points[name][slots] = cell
        cells = self._last
        last = np.append(starts_of(cells.rank)[1:], len(cells.rank)) - 1
        numbers = self._enterprises
        self.plants["cell"][numbers] = (cells.key[last] & ((1 << TIME_BITS) - 1)) - 1
        for name in ("moved", "stood", "length_ms", "broke", "ran", "active"):
            self.plants[name][numbers] = getattr(cells, name)[last]

    def _first_of(self, name: str, sweep: Sweep, rows: npt.NDArray[np.intp], cell: Ints) -> Ints:
        """Those of the rows that are the first of their point in their cell."""
        slot = sweep.walk.slot[rows]
        start = starts_of(slot)
        before = np.empty(len(rows), np.int64)
        before[1:] = cell[rows][:-1]
        before[start] = self.points[name][slot[start]]
        last = np.append(start[1:], len(rows)) - 1 if len(rows) else start
        self._newest.append((name, slot[last], cell[rows[last]]))
        return np.asarray(rows[cell[rows] != before])

    def _cells(self, keys: Ints, counted: list[Ints], numbers: Slots) -> _Cells:
        """Lay the cells of a sweep behind those of the state, with what was counted in them."""
        before = {name: self.plants[name][numbers] for name in self.plants.columns}
        own = (np.arange(len(numbers)) << TIME_BITS) + before["cell"] + 1
        key = np.unique(np.concatenate([keys, own]))
        rank = key >> TIME_BITS
        first = starts_of(rank)
        tally = []
        for name, found in zip(("moved", "stood"), counted, strict=True):
            count = np.bincount(np.searchsorted(key, found), minlength=len(key))
            count[first] += before[name]
            tally.append(count)
        moved, stood = tally
        length = np.minimum(np.diff(key, prepend=key[0]) * CELL_MS, self.settings.active_most_s * 1000)
        unborn = first[before["cell"] < 0]
        length[unborn[unborn + 1 < len(key)] + 1] = CELL_MS
        length[first] = before["length_ms"]
        runs = (moved > 0) & (moved >= self.settings.share_of_parent * (moved + stood - 1))
        cell = key - (rank << TIME_BITS) - 1
        broke = np.where((stood > 0) & ~runs, cell, NEVER)
        broke[first] = np.maximum(broke[first], before["broke"])
        broke = running_max(rank, broke)
        runs &= (broke < 0) | ((cell - broke) * CELL_MS > self.settings.start_s * 1000)
        ran = np.append(False, runs[:-1])
        ran[first] = before["ran"]
        more = np.append(0, (runs * length)[:-1])
        more[first] = 0
        total = np.cumsum(more)
        active = total + np.repeat(before["active"] - total[first], np.diff(np.append(first, len(key))))
        return _Cells(key, rank, moved, stood, length, broke, ran, active)
