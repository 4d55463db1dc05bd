"""Values: what windows hold, for pairs of point list and window, with all columns of the list side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.rollups.plates.shape import Shape
from nengliu.domain.times import day_of_receipt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
NEVER = 2**40
"""Day of receipt of what did not come."""


class Meta(IntEnum):
    """What is said of a window once for all columns of a kind; the place of each in the last axis."""

    RECEIVED = 0
    COVERED_MS = 1
    KNOWN_AT_S = 2
    REVISION = 3
    RANK = 4  # of the gravest mark: how its rows came, or an interval that was cut at an edge of it
    FIRST_DAY = 5  # earliest day of receipt among its rows and the rows around it
    LATE = 6  # of those received


@dataclass(slots=True)
class Values:
    """Results for pairs of list and window.

    Attributes
    ----------
    list_, window : int64 (p,)
        Window: quarter-hours (hours, days) since 1970.
    used, estimated : int64 (p, c)
        Ticks; 0 for gauges.
    weighted, low, high, last : float64 (p, c)
        Of gauges: value x milliseconds, lowest, highest, last; NaN where there is none (weighted: 0), and for all
        other columns.  ``(p, 0)`` in a shape without gauges.
    meta : int64 (p, k, 7)
        `Meta` by kind, in the order of `Shape.present`; REVISION 0: there is no such window.
    bad : bool (p, c)
        Columns that need the general way: a register ran backward, a gauge is beyond all bounds.
    lost : bool (p,)
        The ring does not know what lies before the window.
    """

    list_: Ints
    window: Ints
    used: Ints
    estimated: Ints
    weighted: Floats
    low: Floats
    high: Floats
    last: Floats
    meta: Ints
    bad: Bools
    lost: Bools

    def take(self, some: slice | npt.NDArray[Any]) -> Values:
        """Keep some of the pairs."""
        return Values(*(getattr(self, f.name)[some] for f in fields(self)))

    def known_day(self) -> Ints:
        """China day of the newest receipt of each pair."""
        return day_of_receipt(self.meta[:, :, Meta.KNOWN_AT_S].max(1))

    def first_known_day(self) -> Ints:
        """China day of the newest receipt of each pair, in the kind that was told it first."""
        return day_of_receipt(self.meta[:, :, Meta.KNOWN_AT_S].min(1))

    def first_day(self) -> Ints:
        """China day of the earliest receipt that may speak in each pair; `NEVER` where none does."""
        return np.asarray(self.meta[:, :, Meta.FIRST_DAY].min(1))


GAUGES = ("weighted", "low", "high", "last")


def nothing(shape: Shape, list_: Ints, window: Ints) -> Values:
    """Values of which nothing is known."""
    p, c = len(list_), len(shape.kinds)
    meta = np.zeros((p, len(shape.present), len(Meta)), np.int64)
    meta[:, :, Meta.FIRST_DAY] = NEVER
    weighted, low, high, last = (np.full((p, shape.gauge_columns), np.nan) for _ in GAUGES)
    weighted[:, shape.is_gauge[: shape.gauge_columns]] = 0
    return Values(
        list_,
        window,
        used=np.zeros((p, c), np.int64),
        estimated=np.zeros((p, c), np.int64),
        weighted=weighted,
        low=low,
        high=high,
        last=last,
        meta=meta,
        bad=np.zeros((p, c), bool),
        lost=np.zeros(p, bool),
    )


def joined(parts: Sequence[Values]) -> Values:
    """Put values one after the other."""
    if len(parts) == 1:
        return parts[0]
    names = Values.__dataclass_fields__
    return Values(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
