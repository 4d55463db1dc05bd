"""Quarter-hours from a ring: registers, amounts and gauges of many lists at once, by the rules of `windows`.

Where every row of a quarter-hour is there, with the one on its end, its value is a matter of a few array
operations over ``(rows, pairs, columns)``; where rows are missing, see `ragged`.  Every operation goes over all
columns, whatever their kind: a step of what is no register is worth 0, a unit of what is no gauge is NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nengliu.analysis.rollups.plates.ragged import Seen, around_of, fill_ragged, is_huge
from nengliu.analysis.rollups.plates.ring import Ring
from nengliu.analysis.rollups.plates.shape import Shape
from nengliu.analysis.rollups.plates.values import NEVER, Bools, Floats, Ints, Meta, Values, nothing
from nengliu.domain.points import Kind
from nengliu.domain.times import QUARTER_MS, day_of_receipt

CHUNK = 1 << 16
"""Values worked on at once: they and their results stay in the cache."""


def quarters_of(
    ring: Ring, list_: Ints, window: Ints, worth: Ints, scale: Floats, until_day: Ints | None = None
) -> Values:
    """Compute quarter-hours whole.

    Parameters
    ----------
    worth : int64 (lists, c)
        Ticks of a step of each column.
    scale : float64 (lists, c)
        Ticks in a unit.
    until_day : int64 (p,) or None
        Only rows received up to this China day count: what was known then.
    """
    out = nothing(ring.shape, list_, window)
    until_day = np.full(len(list_), NEVER) if until_day is None else until_day
    found = _find(ring, list_, window, until_day)
    for pairs in _chunks(ring.shape, np.flatnonzero(found.full)):
        _fill_whole(ring, out, pairs, found, worth, scale)
    for pairs in _chunks(ring.shape, np.flatnonzero(~found.full)):
        fill_ragged(ring, out, pairs, worth, scale, until_day[pairs])
    _date(ring, out)
    return out


def _chunks(shape: Shape, pairs: Ints) -> Iterator[Ints]:
    """Pairs in turn, as many as are worked on at once."""
    step = max(1, CHUNK // ((shape.cells + 1) * len(shape.kinds)))
    return (pairs[start : start + step] for start in range(0, len(pairs), step))


class _Found(NamedTuple):
    """Where the rows of some windows lie in the ring.

    Attributes
    ----------
    flat : int64 (k + 1, p)
        Places of the rows, and of the one on the window's end: where the window's last row is the list's newest,
        that stands for it.
    full : bool (p,)
        All of them are there.
    open_ : bool (p,)
        Nothing follows the window's last row.
    """

    flat: Ints
    full: Bools
    open_: Bools


def _find(ring: Ring, list_: Ints, window: Ints, until_day: Ints) -> _Found:
    rows, k = ring.shape.rows, ring.shape.cells
    cells = window * k + np.arange(k + 1)[:, None]
    open_ = ring.newest[list_] == cells[k - 1]
    cells[k] -= open_
    flat = list_ * rows + cells - cells // rows * rows
    there = ring.cell.reshape(-1)[flat] == cells
    there &= cells >= ring.floor[list_]
    if (until_day < NEVER).any():
        there &= day_of_receipt(ring.received_at_s.reshape(-1)[flat]) <= until_day
    return _Found(flat, there.all(0), np.asarray(open_))


def _date(ring: Ring, out: Values) -> None:
    """Say the earliest day of receipt: that of the newest, unless rows of several days lie together in the ring."""
    known = day_of_receipt(out.meta[:, :, Meta.KNOWN_AT_S])
    out.meta[:, :, Meta.FIRST_DAY] = np.where(out.meta[:, :, Meta.REVISION] > 0, known, NEVER)
    pairs = np.flatnonzero(out.window * ring.shape.cells <= ring.mixed_until[out.list_])
    if not len(pairs):
        return
    around = around_of(ring, out.list_[pairs], np.full(len(pairs), NEVER))
    start = out.window[pairs] * ring.shape.cells - around.first
    seen = Seen(ring, around, start, ring.shape.cells)
    held = start - -(-ring.shape.hold_ms // ring.shape.interval_ms)
    place = np.arange(around.n)
    near = place >= np.minimum(seen.before(start - 1), held)[:, None]
    near &= place <= seen.after(start + ring.shape.cells)[:, None]
    day = np.where(around.there & near, day_of_receipt(ring.received_at_s.reshape(-1)[around.flat]), NEVER)
    first = np.minimum(day.min(1)[:, None], out.meta[pairs, :, Meta.FIRST_DAY])
    out.meta[pairs, :, Meta.FIRST_DAY] = first


def _fill_whole(ring: Ring, out: Values, pairs: Ints, found: _Found, worth: Ints, scale: Floats) -> None:
    """Fill in pairs that have all their rows."""
    flat, open_ = found.flat[:, pairs], found.open_[pairs]
    k = ring.shape.cells
    received, position = (column.reshape(-1)[flat] for column in (ring.received_at_s, ring.position))
    late, rank = ring.late.reshape(-1)[flat[:k]].sum(0), ring.rank.reshape(-1)[flat[:k]].max(0)
    for number, kind in enumerate(ring.shape.present):
        rows, unknown = (k + 1, open_) if kind is Kind.COUNTER else (k, np.zeros_like(open_))
        said = out.meta[:, number]
        said[pairs, Meta.RECEIVED] = k
        said[pairs, Meta.LATE] = late
        said[pairs, Meta.RANK] = rank
        said[pairs, Meta.COVERED_MS] = QUARTER_MS - np.where(unknown, ring.shape.interval_ms, 0)
        said[pairs, Meta.KNOWN_AT_S] = received[:rows].max(0)
        said[pairs, Meta.REVISION] = position[:rows].max(0)
    values = ring.lines.take(flat, axis=0)
    list_ = out.list_[pairs]
    if ring.shape.has(Kind.COUNTER):
        out.used[pairs] = (values[k] - values[0]) * worth[list_]
        out.bad[pairs] = (values[1:] < values[:-1]).any(0) & ring.shape.are(Kind.COUNTER)
    if ring.shape.has(Kind.PERIOD):
        out.used[pairs] += np.where(ring.shape.are(Kind.PERIOD), values[:k].sum(0), 0)
    if ring.shape.has(Kind.GAUGE):
        _fill_gauges(ring.shape, out, pairs, values[:k], scale[list_])


def _fill_gauges(shape: Shape, out: Values, pairs: Ints, values: npt.NDArray[np.int64], unit: Floats) -> None:
    """The gauges of pairs that have all their rows: `values` (k, p, c), `unit` (p, c)."""
    low, high = values.min(0), values.max(0)
    out.bad[pairs] |= is_huge(low, high) & shape.is_gauge
    out.low[pairs], out.high[pairs], out.last[pairs] = low / unit, high / unit, values[-1] / unit
    out.weighted[pairs] = values.sum(0) * shape.interval_ms / unit
