"""Rows of the window tables from the values of a plate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.plates.plate import Plate
from nengliu.analysis.plates.quarters import Meta, Values
from nengliu.analysis.reduce import Dirty
from nengliu.analysis.traits import Traits
from nengliu.analysis.windows import BY_GRAVITY, Grid
from nengliu.domain.points import Kind
from nengliu.domain.quality import Quality
from nengliu.domain.times import CHINA_OFFSET_MS
from schemas.block import Rows

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Flat = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
"""Takes the windows there are from an array (p, c)."""
_NO_COUNT = ("substituted", "manual", "suspect", "bad")


def mask_of(plate: Plate, values: Values) -> Bools:
    """Which windows (p, c) there are, and are this plate's to say."""
    revision = values.meta[:, list(plate.shape.kinds), Meta.REVISION]
    return np.asarray((revision > 0) & ~plate.out[values.list_])


def window_rows(table: str, plate: Plate, values: Values, width_ms: int, traits: Traits) -> Rows:
    """Rows of quarter-hours or hours.

    Parameters
    ----------
    width_ms
        Length of the windows.
    traits
        Of the slots of the shard.
    """
    mask = mask_of(plate, values)
    all_ = bool(mask.all())

    def flat(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return column.ravel() if all_ else column[mask]

    pairs, c = mask.shape
    meta = values.meta[:, list(plate.shape.kinds)]
    start_ms = values.window * width_ms
    slots = flat(plate.slots[values.list_])
    n = len(slots)
    covered = flat(meta[:, :, Meta.COVERED_MS])
    gauges = _gauges(plate, values, meta, flat)
    zero = np.zeros(n, np.uint8)
    received = flat(meta[:, :, Meta.RECEIVED]).astype(np.uint32)
    late = flat(meta[:, :, Meta.LATE]).astype(np.uint32)
    return Rows(
        table,
        {
            **traits.labels(slots),
            "period_start": flat(np.broadcast_to((start_ms // 1000)[:, None], (pairs, c))),
            "used": flat(values.used),
            "estimated": flat(values.estimated),
            "decimals": flat(plate.decimals[values.list_]),
            **gauges,
            "covered_s": (covered // 1000).astype(np.uint32),
            "received": received,
            "due": flat(_due(plate, values, start_ms, width_ms)),
            "good": received - late,
            "late": late,
            **dict.fromkeys(_NO_COUNT, zero),
            "reason": BY_GRAVITY[flat(meta[:, :, Meta.RANK])],
            "known_at": flat(meta[:, :, Meta.KNOWN_AT_S]),
            "revision": flat(meta[:, :, Meta.REVISION]).astype(np.uint64),
        },
    )


def _gauges(plate: Plate, values: Values, meta: Ints, flat: Flat) -> dict[str, npt.NDArray[np.float64]]:
    names = ("mean", "low", "high", "last")
    found = {}
    some = plate.shape.of(Kind.GAUGE)
    for number, name in enumerate(names):
        column = np.full(values.used.shape, np.nan)
        if plate.shape.gauges:
            said = values.gauge[:, number]
            if name == "mean":
                covered = meta[:, some, Meta.COVERED_MS]
                said = np.where(covered > 0, said / np.maximum(covered, 1), np.nan)
            column[:, some] = said
        found[name] = flat(column)
    return found


def _due(plate: Plate, values: Values, start_ms: Ints, width_ms: int) -> Ints:
    """Rows due in each window (p, c) while its point existed."""
    due = np.full(values.used.shape, width_ms // plate.shape.interval_ms, np.int64)
    begins, ends = plate.valid_from[values.list_], plate.valid_to[values.list_]
    cut = (begins > start_ms[:, None]) | (ends < start_ms[:, None] + width_ms)
    if cut.any():
        start = np.maximum(begins, start_ms[:, None])
        end = np.minimum(ends, start_ms[:, None] + width_ms)
        step = plate.shape.interval_ms
        count = -(-(end + CHINA_OFFSET_MS) // step) + (-(start + CHINA_OFFSET_MS) // step)
        due[cut] = np.where(end > start, count, 0)[cut]
    return due


def day_grid(plate: Plate, values: Values) -> tuple[Dirty, Grid]:
    """Days as the general way has them: one slot and day per group."""
    mask = mask_of(plate, values)
    meta = values.meta[:, list(plate.shape.kinds)][mask]
    n = len(meta)
    day = np.broadcast_to(values.window[:, None], mask.shape)[mask]
    dirty = Dirty(plate.slots[values.list_][mask], day, day + 1, [])
    gauge = np.full((*mask.shape, 4), np.nan)
    gauge[:, :, 0] = 0
    if plate.shape.gauges:
        gauge[:, plate.shape.of(Kind.GAUGE)] = values.gauge.transpose(0, 2, 1)
    weighted, low, high, last = gauge[mask].T
    counts = np.zeros((n, len(Quality)), np.int64)
    counts[:, Quality.GOOD] = meta[:, Meta.RECEIVED] - meta[:, Meta.LATE]
    counts[:, Quality.LATE] = meta[:, Meta.LATE]
    grid = Grid(
        used=values.used[mask],
        estimated=values.estimated[mask],
        covered_ms=meta[:, Meta.COVERED_MS],
        weighted=weighted,
        low=low,
        high=high,
        last=last,
        counts=counts,
        gravity=meta[:, Meta.RANK].astype(np.uint8),
        known_at_s=meta[:, Meta.KNOWN_AT_S],
        revision=meta[:, Meta.REVISION].astype(np.uint64),
    )
    return dirty, grid
