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

KINDS = tuple(Kind)
REACH_MS = 90 * 60_000
"""How far back a late row is taken in place (what is older goes the general way), and how far rows go in at once."""
BACK_CELLS, AHEAD_CELLS = 8, 24
"""So many cells at least, where rows are rare."""


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
    def said_ms(self) -> int:
        """How long a span windows are said of at once: that of the ring, and as long as a value holds behind it."""
        return self.rows * self.interval_ms + self.hold_ms

    @cached_property
    def quarters(self) -> int:
        """Quarter-hours kept of each list: those said at once, and the whole hour of the oldest."""
        return self.said_ms // QUARTER_MS + 2 + HOUR_MS // QUARTER_MS

    @cached_property
    def hours(self) -> int:
        """Hours kept of each list: those said at once, and the whole day of the oldest."""
        return self.said_ms // HOUR_MS + 2 + DAY_MS // HOUR_MS

    def has(self, kind: Kind) -> bool:
        """Whether there is a column of that kind."""
        return kind in self.present

    def are(self, kind: Kind) -> npt.NDArray[np.bool_]:
        """Which columns (c,) are of one kind."""
        return np.asarray(np.array(self.kinds) == KINDS.index(kind))

    @cached_property
    def is_gauge(self) -> npt.NDArray[np.bool_]:
        """Which columns (c,) are gauges."""
        return self.are(Kind.GAUGE)

    @cached_property
    def gauge_columns(self) -> int:
        """How many columns what is said of gauges alone has: all, if one is a gauge, else none."""
        return len(self.kinds) if self.has(Kind.GAUGE) else 0

    @cached_property
    def present(self) -> tuple[Kind, ...]:
        """Kinds there are."""
        return tuple(kind for number, kind in enumerate(KINDS) if number in self.kinds)

    @cached_property
    def place(self) -> npt.NDArray[np.intp]:
        """Place (c,) in `present` of each column's kind."""
        return np.array([self.present.index(KINDS[number]) for number in self.kinds], np.intp)


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
