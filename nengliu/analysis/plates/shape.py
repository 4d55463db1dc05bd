"""Shape of a plate: what all its point lists share, so that one array operation serves all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Facts
from nengliu.domain.points import Kind
from nengliu.domain.times import DAY_MS, HOUR_MS, QUARTER_MS

Columns = slice | npt.NDArray[np.intp]
KINDS = tuple(Kind)
REACH_MS = 90 * 60_000
"""How far back a late row is taken in place (what is older goes the general way), and how far rows go in at once."""
BACK_CELLS, AHEAD_CELLS = 8, 24
"""So many cells at least, where rows are rare."""
HOURS = DAY_MS // HOUR_MS + (BACK_CELLS + AHEAD_CELLS) * QUARTER_MS // HOUR_MS + 1
"""Hours kept of each list: a whole day and what a late row may still touch of the day before."""


@dataclass(frozen=True)
class Shape:
    """Interval of the rows, and the kind of each column.

    Parameters
    ----------
    interval_ms
        Time between due rows [ms]; a whole number of them makes a quarter-hour.
    kinds
        Kind of each column, as a place in `KINDS`.
    hold_ms
        How long a gauge's value holds [ms]; 0 without gauges.
    """

    interval_ms: int
    kinds: tuple[int, ...]
    hold_ms: int

    @cached_property
    def cells(self) -> int:
        """Rows of a quarter-hour."""
        return QUARTER_MS // self.interval_ms

    @cached_property
    def back(self) -> int:
        """How many cells behind the newest row a late one may lie."""
        return max(REACH_MS // self.interval_ms, BACK_CELLS)

    @cached_property
    def ahead(self) -> int:
        """How many cells ahead of the newest row rows go in at once."""
        return max(REACH_MS // self.interval_ms, AHEAD_CELLS)

    @cached_property
    def rows(self) -> int:
        """Rows a ring holds: those of both reaches, the quarter before them and the row on its edge."""
        return self.back + self.ahead + 2 * self.cells + 1

    @cached_property
    def quarters(self) -> int:
        """Quarter-hours kept of each list: those of the reach, and the whole hour of the oldest."""
        return self.rows // self.cells + 5

    def of(self, kind: Kind) -> Columns:
        """Columns of one kind, as a slice where they lie side by side."""
        return self._columns[KINDS.index(kind)]

    def has(self, kind: Kind) -> bool:
        """Whether there is a column of that kind."""
        return KINDS.index(kind) in self.kinds

    @cached_property
    def gauges(self) -> int:
        """Columns that are gauges."""
        return self.kinds.count(KINDS.index(Kind.GAUGE))

    @cached_property
    def present(self) -> tuple[Kind, ...]:
        """Kinds there are."""
        return tuple(kind for kind in KINDS if self.has(kind))

    @cached_property
    def _columns(self) -> tuple[Columns, ...]:
        kinds = np.array(self.kinds)
        return tuple(_side_by_side(np.flatnonzero(kinds == number)) for number in range(len(KINDS)))


def _side_by_side(places: npt.NDArray[np.intp]) -> Columns:
    if len(places) and places[-1] - places[0] == len(places) - 1:
        return slice(int(places[0]), int(places[-1]) + 1)
    return places


def shape_of(facts: Sequence[Facts]) -> Shape | None:
    """Shape of a list of points; None if its rows cannot lie in a plate.

    They can where all points are due at the same interval, a whole part of the quarter-hour, and their gauges hold
    equally long.
    """
    intervals = {f.point.interval_s for f in facts}
    interval_ms = 1000 * next(iter(intervals)) if len(intervals) == 1 else 0
    if interval_ms == 0 or QUARTER_MS % interval_ms:
        return None
    holds = {f.point.hold_s * 1000 for f in facts if f.point.kind is Kind.GAUGE}
    if len(holds) > 1 or min(holds, default=interval_ms) < interval_ms:
        return None
    return Shape(interval_ms, tuple(KINDS.index(f.point.kind) for f in facts), max(holds, default=0))
