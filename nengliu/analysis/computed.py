"""Computed points: windows of a formula point from the windows of the points it speaks of.

Pure functions over columns of window rows of one level, in one order of periods.  Amounts are exact sums of whole
ticks; a point that says nothing makes the sum partial and marked so (law 5), never silently smaller; a ratio is the
quotient of the sums of its period, and undefined (NaN) where a part of it is unknown or the denominator is 0.
Source: docs/decisions/0025; domain.md 3 (a denominator of 0: undefined, not zero and not infinite).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.level_rows import CLASSES, FACTORS
from nengliu.analysis.windows import BY_GRAVITY, RANK
from nengliu.domain.formulas import Computed, Side
from nengliu.domain.quality import Reason

Array = npt.NDArray[Any]
Columns = Mapping[str, Array]
COUNTS = ("received", *CLASSES)
_LARGEST = 2**63 - 1


def evaluate(computed: Computed, operands: Mapping[str, Columns]) -> dict[str, Array]:
    """Windows of a computed point.

    Parameters
    ----------
    operands
        For each operand the columns of its window rows (n,), by the names of the window tables, and `known` (bool):
        there is a row.  Where there is none only `due` counts: what the operand owes in the period.

    Returns
    -------
    The same columns of the computed point, standard coal and CO2 too where the operands have them.
    `known`: some operand is.  Of an amount `used` is in ticks of the point; `estimated` is the most of it that may be.
    Of gauges and ratios `mean` is the value.  A ratio covers no time, so that nobody weighs it by time: it is computed
    anew for every length of period.
    """
    columns = [operands[name] for name in computed.operands]
    known = np.stack([one["known"] for one in columns])
    found = _trust(computed, columns, known)
    nan = np.full(known.shape[1], np.nan)
    found |= dict.fromkeys(("mean", "low", "high", "last"), nan)
    found |= {name: np.zeros(known.shape[1], np.int64) for name in ("used", "estimated")}
    found |= dict.fromkeys((name for name in FACTORS if name in columns[0]), nan)
    if computed.total is None:
        found["mean"] = np.where(known.all(0), _ratio(computed, operands), np.nan)
        found["covered_s"] = np.zeros_like(found["covered_s"])
    elif computed.total.gauge:
        found["mean"] = np.where(known.all(0), _value(computed.total, operands), np.nan)
    else:
        _amounts(computed.total, operands, found)
        for name in (name for name in FACTORS if name in found):
            found[name] = _burnt(computed, operands, name)
    return found


def _trust(computed: Computed, columns: list[Columns], known: Array) -> dict[str, Array]:
    """What the result rests on: counts, cover, gravest reason, newest receipt and revision."""

    def of_known(name: str) -> Array:
        return np.where(known, np.stack([one[name] for one in columns]), 0)

    rank = RANK[of_known("reason")].max(0)
    rank = np.where(known.all(0), rank, np.maximum(rank, RANK[Reason.PARTIAL]))
    revision = np.stack([one["revision"].astype(np.uint64) for one in columns])
    return {
        **{name: of_known(name).sum(0) for name in COUNTS},
        "due": np.stack([one["due"] for one in columns]).sum(0),
        "covered_s": of_known("covered_s").min(0),
        "reason": BY_GRAVITY[rank],
        "known_at": of_known("known_at").max(0),
        "revision": np.maximum(np.where(known, revision, np.uint64(0)).max(0), np.uint64(computed.position)),
        "known": known.any(0),
    }


def _amounts(total: Side, operands: Mapping[str, Columns], found: dict[str, Array]) -> None:
    """Exact sums; one that int64 cannot hold says so and counts nothing."""
    used = _sum(total, operands, "used")
    estimated = _sum(
        Side(tuple((n, abs(w)) for n, w in total.weights), 1, gauge=False), operands, "estimated"
    )
    beyond = (np.abs(used) > _LARGEST) | (estimated > _LARGEST)
    found["reason"] = np.where(beyond, np.uint16(Reason.OUT_OF_INT64), found["reason"])
    found["used"] = np.where(beyond, 0, used).astype(np.int64)
    found["estimated"] = np.where(beyond, 0, estimated).astype(np.int64)


def _burnt(computed: Computed, operands: Mapping[str, Columns], name: str) -> Array:
    """Standard coal or CO2 of amounts: that of the operands as often as they are contained, in order of their ids."""
    assert computed.total is not None
    total = np.zeros(len(operands[computed.operands[0]]["known"]))
    for (one, _), share in zip(computed.total.weights, computed.shares, strict=True):
        total = total + np.where(operands[one]["known"], operands[one][name], 0.0) * share
    return total


def _ratio(computed: Computed, operands: Mapping[str, Columns]) -> Array:
    value = np.full(len(operands[computed.operands[0]]["known"]), computed.constant)
    for top, bottom, scale in computed.quotients:
        upper, lower = (_value(side, operands) for side in (top, bottom))
        value = value + np.where(lower == 0, np.nan, upper / np.where(lower == 0, 1, lower)) * scale
    return value


def _value(side: Side, operands: Mapping[str, Columns]) -> npt.NDArray[np.float64]:
    """Sum in its unit: of the means of gauges, or from the exact sum of ticks."""
    whole = _sum(side, operands, "mean" if side.gauge else "used")
    return whole.astype(np.float64) / float(side.divisor)


def _sum(side: Side, operands: Mapping[str, Columns], name: str) -> Array:
    """Weighted sum of a column over the operands that are known, in order of their ids; exact for ticks."""
    parts = [
        (np.where(operands[one]["known"], operands[one][name], 0), weight) for one, weight in side.weights
    ]
    if side.gauge:
        total = np.zeros(len(parts[0][0]))
        for column, weight in parts:
            total = total + column * float(weight)
        return total
    most = sum(np.abs(column.astype(np.float64)) * abs(weight) for column, weight in parts)
    wide = bool((np.asarray(most) > _LARGEST / 2).any())
    exact = np.zeros(len(parts[0][0]), object if wide else np.int64)
    for column, weight in parts:
        exact = exact + column.astype(exact.dtype) * weight
    return exact
