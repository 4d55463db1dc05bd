"""Habit: at which hours of the week a point moves, so that its nights, weekends and stand-by hours are no faults.

An hour in which it moved in most of the weeks before is one in which it is due to move; one nobody
knows yet is too.  Weeks are looked at when they are over, so the cuts of batches change nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.watch.slots import NEVER, Columns, Ints
from nengliu.analysis.watch.sweep import Bools, Walk

HOUR_MS = 3_600_000
HOURS = 168
SHARE = 4, 3
"""It is due to move if it moved in three of four weeks; ours."""
_ONES = np.bitwise_count(np.arange(256, dtype=np.uint8))
_DUE = np.array(
    [[SHARE[0] * _ONES[m & 254] >= SHARE[1] * _ONES[(m | s) & 254] for s in range(256)] for m in range(256)]
)
"""Of the weeks in which it moved and stood, as bits: whether it is due; the lowest bit is the week under way."""


class Habit:
    """State per point: its newest week, and of each hour of the week in which of eight weeks it moved and stood."""

    def __init__(self) -> None:
        """Start empty."""
        bits = f"({HOURS},)u1", 0
        self.state = Columns(week=("i8", NEVER), moved=bits, stood=bits)

    def snapshot(self) -> object:
        """Copy of the state."""
        return self.state.snapshot()

    def resume(self, state: Any) -> None:
        """Go on with what `snapshot` gave."""
        self.state.resume(state)

    def look(self, walk: Walk, size: int) -> tuple[Bools, Ints]:
        """Say of each row of a walk whether its point is due to move then, and at how many hours of the week it is not.

        `learn` remembers.
        """
        self.state.fit(size)
        hour, due = (walk.at_ms - 1) // HOUR_MS, np.ones(len(walk.slot), bool)
        idle = np.zeros(len(walk.slot), np.int64)
        week, hour = hour // HOURS, hour % HOURS
        self._slots, place = np.unique(walk.slot, return_inverse=True)
        newest = self.state["week"][self._slots]
        moved, stood = (self.state[name][self._slots] for name in ("moved", "stood"))
        for one in np.unique(week).tolist():
            rows = np.flatnonzero(week == one)
            mine = np.unique(place[rows])
            _age(moved, stood, mine, one - newest[mine])
            newest[mine] = one
            of_slot = np.zeros(len(newest), np.int64)
            of_slot[mine] = HOURS - _DUE[moved[mine], stood[mine]].sum(axis=1)
            idle[rows] = of_slot[place[rows]]
            at = place[rows], hour[rows]
            due[rows] = _DUE[moved[at], stood[at]]
            for bits, mask in ((moved, walk.delta[rows] != 0), (stood, walk.stays[rows])):
                some = walk.came[rows] & mask
                bits[place[rows][some], hour[rows][some]] |= 1
        self._last = newest, moved, stood
        return due, idle

    def learn(self) -> None:
        """Remember what was looked at last."""
        for name, column in zip(("week", "moved", "stood"), self._last, strict=True):
            self.state[name][self._slots] = column


def _age(
    moved: npt.NDArray[np.uint8],
    stood: npt.NDArray[np.uint8],
    mine: npt.NDArray[np.intp],
    weeks: npt.NDArray[np.int64],
) -> None:
    """Let weeks go by for some points."""
    past = np.flatnonzero(weeks > 0)
    shift = np.minimum(weeks[past], 8)[:, None]
    for bits in (moved, stood):
        bits[mine[past]] = (bits[mine[past]].astype(np.int64) << shift) & 255
