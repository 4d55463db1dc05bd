"""Rows of the window tables from the values of a plate."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.rollups.level_rows import Bare, Maker
from nengliu.analysis.rollups.plates.plate import Plate
from nengliu.analysis.rollups.plates.values import Floats, Ints, Meta, Values
from nengliu.analysis.rollups.reduce import Dirty
from nengliu.analysis.rollups.traits import Traits
from nengliu.analysis.rollups.windows import BY_GRAVITY
from nengliu.domain.points import Kind
from nengliu.domain.times import DAY_MS, day_start, due_in
from schemas.block import Rows

_NO_COUNT = ("substituted", "manual", "suspect", "bad")


class _Windows:
    """The windows there are among values (p, c), in order of pair and column, and what is said of each.

    `slots` (n,) are those of their points.
    """

    def __init__(self, plate: Plate, values: Values) -> None:
        self.plate, self.values = plate, values
        there = values.meta[:, :, Meta.REVISION] > 0
        self._mask = None
        if not there.all() or plate.partly[values.list_].any():
            self._mask = there[:, plate.shape.place] & ~plate.out[values.list_]
        self.slots = self.flat(plate.slots[values.list_])
        self.n = len(self.slots)

    def flat(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Take the windows there are from an array (p, c)."""
        return column.ravel() if self._mask is None else column[self._mask]

    def each(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What is said once a pair (p,)."""
        return self.flat(np.repeat(column, self.values.used.shape[1]).reshape(self.values.used.shape))

    def meta(self, name: Meta, dtype: npt.DTypeLike = np.int64) -> npt.NDArray[Any]:
        """What is said once a kind."""
        by_kind = self.values.meta[:, :, name].astype(dtype)
        if by_kind.shape[1] == 1 or (by_kind == by_kind[:, :1]).all():
            return self.each(by_kind[:, 0])
        return self.flat(by_kind.take(self.plate.shape.place, axis=1))

    def gauges(self, name: str) -> Floats:
        """What is said of gauges alone; NaN for all others."""
        if not self.plate.shape.gauge_columns:
            return np.full(self.n, np.nan)
        return self.flat(getattr(self.values, name))

    def mean(self) -> Floats:
        """Mean of gauges over the time they cover."""
        shape = self.plate.shape
        if not shape.gauge_columns:
            return np.full(self.n, np.nan)
        covered = self.values.meta[:, shape.present.index(Kind.GAUGE), Meta.COVERED_MS]
        return self.flat(self.values.weighted / np.where(covered > 0, covered, np.nan)[:, None])

    def due(self, start_ms: Ints, width_ms: int) -> Ints:
        """Rows due in each window, of which each pair's begins at `start_ms` (p,), while its point existed."""
        plate, values, step = self.plate, self.values, self.plate.shape.interval_ms
        due = np.full(values.used.shape, width_ms // step, np.int64)
        begins, ends = plate.valid_from.max(1)[values.list_], plate.valid_to.min(1)[values.list_]
        cut = np.flatnonzero((begins > start_ms) | (ends < start_ms + width_ms))
        if len(cut):
            lists, start = values.list_[cut], start_ms[cut, None]
            life = plate.valid_from[lists], plate.valid_to[lists]
            due[cut], _ = due_in(np.asarray(step), *life, start, start + width_ms)
        return self.flat(due)


def window_rows(table: str, plate: Plate, values: Values, width_ms: int, traits: Traits) -> Rows:
    """Rows of quarter-hours or hours.

    Parameters
    ----------
    width_ms
        Length of the windows.
    traits
        Of the slots of the shard.
    """
    windows = _Windows(plate, values)
    received, late = windows.meta(Meta.RECEIVED, np.uint32), windows.meta(Meta.LATE, np.uint32)
    return Rows(
        table,
        {
            **traits.labels(windows.slots),
            "period_start": windows.each(values.window * (width_ms // 1000)),
            "used": windows.flat(values.used),
            "estimated": windows.flat(values.estimated),
            "decimals": windows.flat(plate.decimals[values.list_]),
            "mean": windows.mean(),
            **{name: windows.gauges(name) for name in ("low", "high", "last")},
            "covered_s": (windows.meta(Meta.COVERED_MS) // 1000).astype(np.uint32),
            "received": received,
            "due": windows.due(values.window * width_ms, width_ms),
            "good": received - late,
            "late": late,
            **dict.fromkeys(_NO_COUNT, np.zeros(windows.n, np.uint8)),
            "reason": BY_GRAVITY[windows.meta(Meta.RANK, np.uint8)],
            "known_at": windows.meta(Meta.KNOWN_AT_S),
            "revision": windows.meta(Meta.REVISION, np.uint64),
        },
    )


def bare_days(plate: Plate, values: Values, traits: Traits) -> tuple[Maker, Bare]:
    """Days as the general way has them: one dirty slot and day per row."""
    windows = _Windows(plate, values)
    day = windows.each(values.window)
    maker = Maker(traits, Dirty(windows.slots, day, day + 1, []))
    owner, start_ms = np.arange(windows.n), day_start(day)
    received, late = windows.meta(Meta.RECEIVED), windows.meta(Meta.LATE)
    used = windows.flat(values.used)
    weighted = windows.gauges("weighted")
    return maker, Bare(
        owner,
        start_ms,
        {
            "used": used,
            "estimated": windows.flat(values.estimated),
            "covered_ms": windows.meta(Meta.COVERED_MS),
            "weighted": np.where(np.isnan(weighted), 0.0, weighted),
            **{name: windows.gauges(name) for name in ("low", "high", "last")},
            "received": received,
            "due": windows.due(day_start(values.window), DAY_MS),
            "good": received - late,
            "late": late,
            **dict.fromkeys(_NO_COUNT, np.zeros(windows.n, np.int64)),
            "reason": BY_GRAVITY[windows.meta(Meta.RANK, np.uint8)],
            "known_at_s": windows.meta(Meta.KNOWN_AT_S),
            "revision": windows.meta(Meta.REVISION, np.uint64),
            **maker.accounts(owner, start_ms, used),
        },
    )
