"""Computed points: windows of a formula point from the windows of the points it speaks of.

Pure functions over columns of window rows of one level, a line for each operand.  Amounts are exact sums of whole
ticks; a point that says nothing makes the sum partial and marked so (law 5), never silently smaller; a ratio is the
quotient of the sums of its period, and undefined (NaN) where a part of it is unknown or the denominator is 0.
Source: docs/decisions/0025; domain.md 3 (a denominator of 0: undefined, not zero and not infinite).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.rollups.level_rows import CLASSES, FACTORS
from nengliu.analysis.rollups.windows import BY_GRAVITY, RANK
from nengliu.domain.formulas import Computed, Side
from nengliu.domain.quality import Reason

Array = npt.NDArray[Any]
Columns = Mapping[str, Array]
COUNTS = ("received", *CLASSES)
_LARGEST = 2**63 - 1


def evaluate(computed: Computed, columns: Columns) -> dict[str, Array]:
    """Windows of a computed point.

    Parameters
    ----------
    columns
        Window rows of its operands (o, n), in order of `computed.operands`, by the names of the window tables, and
        `known` (bool): there is a row.  Where there is none only `due` counts: what the operand owes in the period.

    Returns
    -------
    The same columns of the computed point (n,), standard coal and CO2 too where the operands have them.
    `known`: some operand is.  Of an amount `used` is in ticks of the point; `estimated` is the most of it that may be.
    Of gauges and ratios `mean` is the value.  A ratio covers no time, so that nobody weighs it by time: it is computed
    anew for every length of period.
    """
    whole, n = columns["known"].all(0), columns["known"].shape[1]
    found = _trust(computed, columns)
    nan = np.full(n, np.nan)
    found |= dict.fromkeys(("mean", "low", "high", "last"), nan)
    found |= {name: np.zeros(n, np.int64) for name in ("used", "estimated")}
    found |= dict.fromkeys((name for name in FACTORS if name in columns), nan)
    if computed.total is None:
        found["mean"] = np.where(whole, _ratio(computed, columns), np.nan)
        found["covered_s"] = np.zeros_like(found["covered_s"])
    elif computed.total.gauge:
        found["mean"] = np.where(whole, _value(computed, computed.total, columns), np.nan)
    else:
        _amounts(computed.total, columns, found)
        found |= {name: _weighed(columns, name, computed.shares) for name in FACTORS if name in columns}
    return found


def _trust(computed: Computed, columns: Columns) -> dict[str, Array]:
    """What the result rests on: counts, cover, gravest reason, newest receipt and revision."""
    known = columns["known"]
    rank = RANK[np.where(known, columns["reason"], 0)].max(0)
    rank = np.where(known.all(0), rank, np.maximum(rank, RANK[Reason.PARTIAL]))
    revision = np.where(known, columns["revision"].astype(np.uint64), np.uint64(0)).max(0)
    return {
        **{name: np.where(known, columns[name], 0).sum(0) for name in COUNTS},
        "due": columns["due"].sum(0),
        "covered_s": np.where(known, columns["covered_s"], 0).min(0),
        "reason": BY_GRAVITY[rank],
        "known_at": np.where(known, columns["known_at"], 0).max(0),
        "revision": np.maximum(revision, np.uint64(computed.position)),
        "known": known.any(0),
    }


def _amounts(total: Side, columns: Columns, found: dict[str, Array]) -> None:
    """Exact sums over all operands; one that int64 cannot hold says so and counts nothing."""
    weights = [weight for _, weight in total.weights]
    used = _exact(columns, "used", weights)
    estimated = _exact(columns, "estimated", [abs(weight) for weight in weights])
    beyond = (np.abs(used) > _LARGEST) | (estimated > _LARGEST)
    found["reason"] = np.where(beyond, np.uint16(Reason.OUT_OF_INT64), found["reason"])
    found["used"] = np.where(beyond, 0, used).astype(np.int64)
    found["estimated"] = np.where(beyond, 0, estimated).astype(np.int64)


def _ratio(computed: Computed, columns: Columns) -> Array:
    value = np.full(columns["known"].shape[1], computed.constant)
    for top, bottom, scale in computed.quotients:
        upper, lower = (_value(computed, side, columns) for side in (top, bottom))
        value = value + np.where(lower == 0, np.nan, upper / np.where(lower == 0, 1, lower)) * scale
    return value


def _value(computed: Computed, side: Side, columns: Columns) -> Array:
    """A sum in its unit: of the means of gauges, or from the exact sum of ticks."""
    name = "mean" if side.gauge else "used"
    lines = [computed.operands.index(one) for one, _ in side.weights]
    weights = [weight for _, weight in side.weights]
    of_side = {"known": columns["known"][lines], name: columns[name][lines]}
    whole = (_weighed if side.gauge else _exact)(of_side, name, weights)
    return whole.astype(np.float64) / float(side.divisor)


def _weighed(columns: Columns, name: str, weights: Sequence[float]) -> Array:
    """Weighted sum over the operands that are known, always in order of their ids: the same bits in every batch."""
    total = np.zeros(columns["known"].shape[1])
    for known, column, weight in zip(columns["known"], columns[name], weights, strict=True):
        total = total + np.where(known, column, 0.0) * float(weight)
    return total


def _exact(columns: Columns, name: str, weights: Sequence[int]) -> Array:
    """Weighted sum of whole numbers over the operands that are known; beyond int64 as Python's integers."""
    values = np.where(columns["known"], columns[name], 0)
    most = (np.abs(values.astype(np.float64)) * np.abs(np.array(weights, np.float64))[:, None]).sum(0)
    wide = bool((most > _LARGEST / 2).any())
    dtype = object if wide else np.int64
    exact: Array = (values.astype(dtype) * np.array(weights, dtype)[:, None]).sum(0)
    return exact
