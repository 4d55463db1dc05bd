"""Past: values of the newest windows of one level, and their folding into the level above.

A window lies at ``window % size`` of its list, marked with its number; what the ring has moved past, or was
never said, is nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nengliu.analysis.rollups.plates.shape import Shape
from nengliu.analysis.rollups.plates.values import GAUGES, Ints, Meta, Values, nothing

_NAMES = ("used", *GAUGES, "meta")
_ADDED = (Meta.RECEIVED, Meta.COVERED_MS, Meta.LATE)
_LARGEST = (Meta.KNOWN_AT_S, Meta.REVISION, Meta.RANK)


class Past:
    """Newest windows of one level, of all lists of a shape (see the head of this file).

    Few lists have estimated amounts: only those of `estimates` are ever looked at, the others take neither time nor
    memory.
    """

    def __init__(self, shape: Shape, size: int) -> None:
        """Keep `size` windows of each list."""
        self.shape, self.size = shape, size
        width, gauges = len(shape.kinds), shape.gauge_columns
        self.tag = np.empty((0, size), np.int64)
        self.used = np.empty((0, size, width), np.int64)
        self.estimated = np.empty((0, size, width), np.int64)
        self.estimates = np.empty(0, bool)
        self.weighted, self.low, self.high, self.last = (np.empty((0, size, gauges)) for _ in GAUGES)
        self.meta = np.empty((0, size, len(shape.present), len(Meta)), np.int64)

    def clear(self, number: int) -> None:
        """Forget the windows of a list."""
        self.tag[number] = -1

    def put(self, values: Values) -> None:
        """Keep values; of two of one place the later given stays."""
        at = values.list_, values.window % self.size
        self.tag[at] = values.window
        for name in _NAMES:
            getattr(self, name)[at] = getattr(values, name)
        self.estimates[values.list_[values.estimated.any(1)]] = True
        some = np.flatnonzero(self.estimates[values.list_])
        if len(some):
            self.estimated[at[0][some], at[1][some]] = values.estimated[some]

    def fold(self, list_: Ints, first: Ints, n: int, window: Ints) -> Values:
        """Reduce the `n` windows from `first` on to one of the level above, `window`; those not kept are nothing."""
        out = nothing(self.shape, list_, window)
        for below in (first + i for i in range(n)):
            place = below % self.size
            kept = self.tag[list_, place] == below
            if kept.all():
                self._fold_in(out, slice(None), (list_, place))
            elif kept.any():
                some = np.flatnonzero(kept)
                self._fold_in(out, some, (list_[some], place[some]))
        return out

    def _fold_in(self, out: Values, some: Any, at: tuple[Ints, Ints]) -> None:
        """Add the windows at these places to some of the pairs, whose time they follow."""
        out.used[some] += self.used[at]
        if self.estimates[at[0]].any():
            out.estimated[some] += self.estimated[at]
        if self.shape.gauge_columns:
            last = self.last[at]
            out.weighted[some] += self.weighted[at]
            out.low[some] = np.fmin(out.low[some], self.low[at])
            out.high[some] = np.fmax(out.high[some], self.high[at])
            out.last[some] = np.where(np.isnan(last), out.last[some], last)
        meta = self.meta[at]
        for number in _ADDED:
            out.meta[some, :, number] += meta[:, :, number]
        for number in _LARGEST:
            out.meta[some, :, number] = np.maximum(out.meta[some, :, number], meta[:, :, number])
        earliest = np.minimum(out.meta[some, :, Meta.FIRST_DAY], meta[:, :, Meta.FIRST_DAY])
        out.meta[some, :, Meta.FIRST_DAY] = earliest
