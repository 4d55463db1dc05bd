"""Windows: from sorted readings to quarter-hours, by plain arithmetic over arrays.

A register's energy is the sum of the amounts between neighbouring readings.  Each amount
is an interval of time; one that lies in one window belongs to it whole, one that crosses
edges is spread in proportion to time in whole ticks, the last piece taking what is left.
So the windows of any span add up to the register's difference, to the last tick (law 1).
Interval amounts (kind period) are intervals from the start; a gauge holds its value until
the next reading, at most `hold_s`, and is weighted by time.

Everything here is a pure function; groups are numbered ``base[slot] + window``.
Source: docs/decisions/0011 and 0012; TC 4.4.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.sorted import starts_of
from nengliu.domain.quality import GRAVITY, Quality, Reason
from nengliu.domain.times import QUARTER_MS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

BY_GRAVITY = np.array(GRAVITY, np.uint16)
RANK = np.zeros(2**16, np.uint8)
"""Rank of each reason: the largest is the gravest, and a window bears that one."""
RANK[BY_GRAVITY] = np.arange(len(BY_GRAVITY))
LARGEST_HELD = 10**13
"""A gauge's value up to here [ticks] times a quarter-hour is a whole number of int64."""
ROLLOVER_FROM, ROLLOVER_TO = 0.9, 0.1
"""A register that falls from above 90 % to below 10 % of its modulus has rolled over (domain rule)."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """Amounts over time: ``amount`` ticks between ``start_ms`` and ``end_ms`` of a group base.

    Attributes
    ----------
    owner : int64 (n,)
        Index of the slot among those being reduced.
    start_ms, end_ms : int64 (n,)
    amount : int64 (n,)
    scale : float64 (n,) or None
        Of a gauge: ticks in a unit; `amount` is what it holds over the interval, not a sum to be spread.
    unknown : bool (n,) or None
        Nothing is known of the interval but its readings: it covers nothing.
    known_at_s, revision : int64 / uint64 (n,)
        Newest of the readings the amount rests on.
    reason : uint16 (n,)
    """

    owner: Ints
    start_ms: Ints
    end_ms: Ints
    amount: Ints
    known_at_s: Ints
    revision: npt.NDArray[np.uint64]
    reason: npt.NDArray[np.uint16]
    scale: Floats | None = None
    unknown: Bools | None = None


def register_amounts(
    before: Ints, after: Ints, modulus: Ints, ticks_per_step: Ints
) -> tuple[Ints, npt.NDArray[np.uint16]]:
    """Ticks between neighbouring register readings, and why an amount is unusual.

    Parameters
    ----------
    before, after : int64 (n,)
        Register [steps].
    modulus : int64 (n,)
        Steps after which the register starts again; 0: never.
    ticks_per_step : int64 (n,)
        Worth of a step, multiplier and unit included.

    >>> register_amounts(np.array([99]), np.array([1]), np.array([100]), np.array([5]))[0]
    array([10])
    """
    steps = after - before
    fell = steps < 0
    rolled = fell & (modulus > 0) & (before > ROLLOVER_FROM * modulus) & (after < ROLLOVER_TO * modulus)
    steps = np.where(rolled, steps + modulus, steps)
    reason = np.zeros(len(steps), np.uint16)
    reason[fell] = Reason.REGISTER_BACKWARD
    reason[rolled] = Reason.ROLLOVER
    return steps * ticks_per_step, reason


@dataclass(frozen=True, slots=True)
class Pieces:
    """Parts of intervals, each within one window, in the order of (owner, time)."""

    parent: Ints  # index of the interval
    window: Ints  # quarter-hours since the epoch
    share: Ints  # [ticks]
    span_ms: Ints
    split: Bools  # the interval was cut: the share is an estimate


def cut(start_ms: Ints, end_ms: Ints, amount: Ints) -> Pieces:
    """Cut intervals at the quarter-hours; the shares of each add up to its amount exactly.

    >>> pieces = cut(np.array([0]), np.array([1_800_000]), np.array([7]))
    >>> pieces.share.tolist(), pieces.split.tolist()
    ([3, 4], [True, True])
    """
    first = start_ms // QUARTER_MS
    last = np.maximum((end_ms - 1) // QUARTER_MS, first)
    count = last - first + 1
    parent = np.repeat(np.arange(len(count)), count)
    nth = np.arange(len(parent)) - np.repeat(np.cumsum(count) - count, count)
    window = first[parent] + nth
    left = np.maximum(window * QUARTER_MS, start_ms[parent])
    right = np.minimum((window + 1) * QUARTER_MS, end_ms[parent])
    until = amount_until(amount[parent], right - start_ms[parent], (end_ms - start_ms)[parent])
    share = until.copy()
    share[1:] -= np.where(nth[1:] > 0, until[:-1], 0)
    return Pieces(parent, window, share, right - left, (count > 1)[parent])


def amount_until(amount: Ints, elapsed_ms: Ints, length_ms: Ints) -> Ints:
    """Floor of ``amount * elapsed / length`` without overflow; exactly `amount` at the end."""
    unit = np.where(
        length_ms > 3_000_000_000, 1000, 1
    )  # r * x stays below 2**63 for 35 days of ms, 95 years of s
    x, length = elapsed_ms // unit, np.maximum(length_ms // unit, 1)
    whole, rest = np.divmod(amount, length)
    part = whole * x + rest * x // length
    return np.where(elapsed_ms >= length_ms, amount, part)


@dataclass(slots=True)
class Grid:
    """Dense results per (owner, window): arrays of `size` groups, see the window tables for meaning."""

    used: Ints
    estimated: Ints
    covered_ms: Ints
    weighted: Floats  # gauge value x milliseconds
    low: Floats
    high: Floats
    last: Floats
    counts: Ints  # (size, 8) readings by quality class
    gravity: npt.NDArray[np.uint8]  # rank of the gravest reason
    known_at_s: Ints
    revision: npt.NDArray[np.uint64]


def empty_grid(size: int) -> Grid:
    """Grid of `size` groups in which nothing is known."""
    nan = np.full(size, np.nan)
    ints = [np.zeros(size, np.int64) for _ in range(4)]
    counts = np.zeros((size, len(Quality)), np.int64)
    return Grid(
        used=ints[0],
        estimated=ints[1],
        covered_ms=ints[2],
        weighted=np.zeros(size),
        low=nan.copy(),
        high=nan.copy(),
        last=nan.copy(),
        counts=counts,
        gravity=np.zeros(size, np.uint8),
        known_at_s=ints[3],
        revision=np.zeros(size, np.uint64),
    )


def pour_intervals(grid: Grid, intervals: Intervals, first_window: Ints, base: Ints, width: Ints) -> None:
    """Add intervals to the grid; what falls outside an owner's range of windows is left out.

    Parameters
    ----------
    first_window, base, width : int64 (owners,)
        First window of each owner, its first group in the grid, and how many it has.
    """
    pieces = cut(intervals.start_ms, intervals.end_ms, intervals.amount)
    owner = intervals.owner[pieces.parent]
    column = pieces.window - first_window[owner]
    inside = (column >= 0) & (column < width[owner])
    parent, group = pieces.parent[inside], (base[owner] + column)[inside]
    share, span, split = pieces.share[inside], pieces.span_ms[inside], pieces.split[inside]
    size = len(grid.used)
    covered = span if intervals.unknown is None else np.where(intervals.unknown[parent], 0, span)
    grid.covered_ms += _sums(group, covered, size)
    raise_groups(grid, group, intervals.known_at_s[parent], intervals.revision[parent])
    reason = intervals.reason[parent]
    if intervals.scale is not None:
        held, scale = intervals.amount[parent], intervals.scale[parent]
        value = held / scale
        grid.weighted += _weighted(group, held, span, scale, size)
        grid.last[group] = value  # pieces come in order of time: the last one stays
        np.fmin.at(grid.low, group, value)
        np.fmax.at(grid.high, group, value)
    else:
        grid.used += _sums(group, share, size)
        grid.estimated += _sums(group[split], share[split], size)
        reason = np.where((reason == 0) & split, np.uint16(Reason.INTERPOLATED), reason)
    np.maximum.at(grid.gravity, group, RANK[reason])


def pour_readings(grid: Grid, group: Ints, quality: Ints, reason: Ints) -> None:
    """Count readings into the windows that hold their stamps."""
    size = len(grid.used)
    flat = np.bincount(group * len(Quality) + quality, minlength=size * len(Quality))
    grid.counts += flat.reshape(size, len(Quality))
    marked = reason > 0
    np.maximum.at(grid.gravity, group[marked], RANK[reason[marked]])


def _sums(group: Ints, values: Ints, size: int) -> Ints:
    """Exact integer sums per group (bincount would go through float64)."""
    total = np.zeros(size, np.int64)
    if len(group):
        starts = starts_of(group)
        np.add.at(total, group[starts], np.add.reduceat(values, starts))
    return total


def _weighted(group: Ints, held: Ints, span_ms: Ints, scale: Floats, size: int) -> Floats:
    """Value x milliseconds per group: whole numbers as long as they fit, so that no order of adding matters."""
    small = np.abs(held) <= LARGEST_HELD
    total = _sums(group, np.where(small, held * span_ms, 0), size).astype(np.float64)
    unit = np.ones(size)
    unit[group] = scale
    total /= unit
    if not small.all():
        huge = np.zeros(size, bool)
        huge[group[~small]] = True
        total[huge] = np.bincount(group, held / scale * span_ms, size)[huge]
    return total


def raise_groups(grid: Grid, group: Ints, known_at_s: Ints, revision: Ints | npt.NDArray[np.uint64]) -> None:
    """Let windows rest on what came at `known_at_s` and stands at `revision`."""
    np.maximum.at(grid.known_at_s, group, known_at_s)
    np.maximum.at(grid.revision, group, revision)


def fold(grid: Grid, n: int) -> Grid:
    """Reduce each run of `n` groups to one: hours from quarters, days from hours."""
    return Grid(
        used=_fold(grid.used, n, np.add),
        estimated=_fold(grid.estimated, n, np.add),
        covered_ms=_fold(grid.covered_ms, n, np.add),
        weighted=_fold(grid.weighted, n, np.add),
        low=_fold(grid.low, n, np.fmin),
        high=_fold(grid.high, n, np.fmax),
        last=_fold(grid.last, n, _later),
        counts=_fold(grid.counts, n, np.add),
        gravity=_fold(grid.gravity, n, np.maximum),
        known_at_s=_fold(grid.known_at_s, n, np.maximum),
        revision=_fold(grid.revision, n, np.maximum),
    )


def _fold(column: npt.NDArray[Any], n: int, join: Callable[..., Any]) -> npt.NDArray[Any]:
    """Join every n-th row with the next ones, in order of time (faster here than reducing short axes)."""
    folded = column[::n].copy()
    for i in range(1, n):
        folded = join(folded, column[i::n])
    return folded


def _later(first: Floats, second: Floats) -> Floats:
    return np.where(np.isnan(second), first, second)
