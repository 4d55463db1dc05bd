"""Past: values of the newest windows of one level, and their folding into the level above.

A window lies at ``window % size`` of its list, marked with its number; what the ring has moved past, or was
never said, is nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nengliu.analysis.plates.quarters import Meta, Values, nothing
from nengliu.analysis.plates.shape import KINDS, Shape

Ints = npt.NDArray[np.int64]
_NAMES = ("used", "estimated", "gauge", "meta")


class Past:
    """Newest windows of one level, of all lists of a shape (see the head of this file)."""

    def __init__(self, shape: Shape, size: int) -> None:
        """Keep `size` windows of each list."""
        self.shape, self.size = shape, size
        width = len(shape.kinds)
        self.tag = np.empty((0, size), np.int64)
        self.used = np.empty((0, size, width), np.int64)
        self.estimated = np.empty((0, size, width), np.int64)
        self.gauge = np.empty((0, size, 4, shape.gauges))
        self.meta = np.empty((0, size, len(KINDS), len(Meta)), np.int64)

    def clear(self, number: int) -> None:
        """Forget the windows of a list."""
        self.tag[number] = -1

    def put(self, values: Values) -> None:
        """Keep values; of two of one place the later given stays."""
        at = values.list_, values.window % self.size
        self.tag[at] = values.window
        for name in _NAMES:
            getattr(self, name)[at] = getattr(values, name)

    def get(self, list_: Ints, window: Ints) -> Values:
        """Values of windows, nothing for those that are not kept."""
        out = nothing(self.shape, list_, window)
        place = window % self.size
        kept = np.flatnonzero(self.tag[list_, place] == window)
        for name in _NAMES:
            getattr(out, name)[kept] = getattr(self, name)[list_[kept], place[kept]]
        return out


def fold(shape: Shape, parts: Values, n: int, list_: Ints, window: Ints) -> Values:
    """Reduce each run of `n` values to one, in order of time."""
    out = nothing(shape, list_, window)
    meta = parts.meta.reshape(-1, n, *parts.meta.shape[1:])
    for name in (Meta.RECEIVED, Meta.COVERED_MS, Meta.LATE):
        out.meta[..., name] = meta[..., name].sum(1)
    for name in (Meta.KNOWN_AT_S, Meta.REVISION, Meta.RANK):
        out.meta[..., name] = meta[..., name].max(1)
    out.meta[..., Meta.FIRST_DAY] = meta[..., Meta.FIRST_DAY].min(1)
    out.used[:] = parts.used.reshape(-1, n, parts.used.shape[1]).sum(1)
    out.estimated[:] = parts.estimated.reshape(-1, n, parts.used.shape[1]).sum(1)
    for i in range(n):
        weighted, low, high, last = (parts.gauge[i::n, number] for number in range(4))
        out.gauge[:, 0] += weighted
        out.gauge[:, 1] = np.fmin(out.gauge[:, 1], low)
        out.gauge[:, 2] = np.fmax(out.gauge[:, 2], high)
        out.gauge[:, 3] = np.where(np.isnan(last), out.gauge[:, 3], last)
    return out
