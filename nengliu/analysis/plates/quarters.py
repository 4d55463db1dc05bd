"""Quarter-hours from a ring: registers, amounts and gauges of many lists at once, by the rules of `windows`.

Where every row of a quarter-hour is there, with the one on its end, its value is a matter of a few array
operations over ``(pairs, rows, columns)``.  Where rows are missing, the register at an edge is interpolated between the
rows around it and the share is marked; a gauge holds until the next row, at most `hold_ms`.

Source: docs/decisions/0011, 0012 and 0021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.plates.ring import Ring
from nengliu.analysis.plates.shape import KINDS, Shape
from nengliu.analysis.windows import LARGEST_HELD, RANK, amount_until
from nengliu.domain.points import Kind
from nengliu.domain.quality import Reason
from nengliu.domain.times import QUARTER_MS, day_of_receipt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
CHUNK = 1 << 18
"""Values worked on at once: they and their results stay in the cache."""


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
    gauge : float64 (p, 4, g)
        Of the gauges alone: value x milliseconds, lowest, highest, last; NaN where there is none (weighted: 0).
    meta : int64 (p, 3, 6)
        `Meta` by kind; REVISION 0: there is no such window.
    bad : bool (p, c)
        Columns that need the general way: a register ran backward, a gauge is beyond all bounds.
    lost : bool (p,)
        The ring does not know what lies before the window.
    """

    list_: Ints
    window: Ints
    used: Ints
    estimated: Ints
    gauge: Floats
    meta: Ints
    bad: Bools
    lost: Bools

    def take(self, some: slice | npt.NDArray[Any]) -> Values:
        """Keep some of the pairs."""
        return Values(*(getattr(self, f.name)[some] for f in fields(self)))

    def known_day(self) -> Ints:
        """China day of the newest receipt of each pair."""
        return day_of_receipt(self.meta[:, :, Meta.KNOWN_AT_S].max(1))

    def first_day(self) -> Ints:
        """China day of the earliest receipt that may speak in each pair; `NEVER` where none does."""
        return np.asarray(self.meta[:, :, Meta.FIRST_DAY].min(1))


def joined(parts: Sequence[Values]) -> Values:
    """Put values one after the other."""
    if len(parts) == 1:
        return parts[0]
    names = Values.__dataclass_fields__
    return Values(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


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
    flat, full = _find(ring, list_, window, until_day)
    step = max(1, CHUNK // ((ring.shape.cells + 1) * len(ring.shape.kinds)))
    whole = np.flatnonzero(full)
    for start in range(0, len(whole), step):
        pairs = whole[start : start + step]
        _whole(ring, out, pairs, flat[:, pairs], worth, scale)
    if len(whole) < len(list_):
        pairs = np.flatnonzero(~full)
        _ragged(ring, out, pairs, worth, scale, until_day[pairs])
    _date(ring, out)
    return out


def _find(ring: Ring, list_: Ints, window: Ints, until_day: Ints) -> tuple[Ints, Bools]:
    """Places (k + 1, p) of the rows of each window in the ring, and whether all of them are there."""
    rows = ring.shape.rows
    cells = window * ring.shape.cells + np.arange(ring.shape.cells + 1)[:, None]
    flat = list_ * rows + cells % rows
    there = ring.cell.reshape(-1)[flat] == cells
    there &= cells >= ring.floor[list_]
    if (until_day < NEVER).any():
        there &= day_of_receipt(ring.received_at_s.reshape(-1)[flat]) <= until_day
    return flat, there.all(0)


def _date(ring: Ring, out: Values) -> None:
    """Say the earliest day of receipt: that of the newest, unless rows of several days lie together in the ring."""
    known = day_of_receipt(out.meta[:, :, Meta.KNOWN_AT_S])
    out.meta[:, :, Meta.FIRST_DAY] = np.where(out.meta[:, :, Meta.REVISION] > 0, known, NEVER)
    pairs = np.flatnonzero(out.window * ring.shape.cells <= ring.mixed_until[out.list_])
    if not len(pairs):
        return
    around = _around(ring, out.list_[pairs], np.full(len(pairs), NEVER))
    start = out.window[pairs] * ring.shape.cells - around.first
    seen = _Seen(ring, around, start, ring.shape.cells)
    held = start - -(-ring.shape.hold_ms // ring.shape.interval_ms)
    place = np.arange(around.n)
    near = place >= np.minimum(seen.before(start - 1), held)[:, None]
    near &= place <= seen.after(start + ring.shape.cells)[:, None]
    day = np.where(around.there & near, day_of_receipt(ring.received_at_s.reshape(-1)[around.flat]), NEVER)
    first = np.minimum(day.min(1)[:, None], out.meta[pairs, :, Meta.FIRST_DAY])
    out.meta[pairs, :, Meta.FIRST_DAY] = first


def nothing(shape: Shape, list_: Ints, window: Ints) -> Values:
    """Values of which nothing is known."""
    p, c = len(list_), len(shape.kinds)
    gauge = np.full((p, 4, shape.gauges), np.nan)
    gauge[:, 0] = 0
    meta = np.zeros((p, len(KINDS), len(Meta)), np.int64)
    meta[:, :, Meta.FIRST_DAY] = NEVER
    return Values(
        list_,
        window,
        used=np.zeros((p, c), np.int64),
        estimated=np.zeros((p, c), np.int64),
        gauge=gauge,
        meta=meta,
        bad=np.zeros((p, c), bool),
        lost=np.zeros(p, bool),
    )


def _whole(ring: Ring, out: Values, pairs: Ints, flat: Ints, worth: Ints, scale: Floats) -> None:
    """Fill in pairs that have all their rows, which lie at ``flat`` (k + 1, p)."""
    k, width = ring.shape.cells, len(ring.shape.kinds)
    received, position = (column.reshape(-1)[flat] for column in (ring.received_at_s, ring.position))
    late, rank = ring.late.reshape(-1)[flat[:k]].sum(0), ring.rank.reshape(-1)[flat[:k]].max(0)
    values = ring.values.reshape(-1, width).take(flat, axis=0)
    _amounts(ring.shape, out, pairs, values, worth, scale)
    for kind in ring.shape.present:
        rows = k + 1 if kind is Kind.COUNTER else k
        said = out.meta[:, KINDS.index(kind)]
        said[pairs, Meta.RECEIVED] = k
        said[pairs, Meta.LATE] = late
        said[pairs, Meta.RANK] = rank
        said[pairs, Meta.COVERED_MS] = QUARTER_MS
        said[pairs, Meta.KNOWN_AT_S] = received[:rows].max(0)
        said[pairs, Meta.REVISION] = position[:rows].max(0)


def _amounts(
    shape: Shape, out: Values, pairs: Ints, values: npt.NDArray[np.int64], worth: Ints, scale: Floats
) -> None:
    """Values of windows that have all their rows: ``values`` (k + 1, p, c).

    Columns of a kind that do not lie side by side are reduced with all others and picked out afterwards.
    """
    k = shape.cells
    list_ = out.list_[pairs]
    for kind in shape.present:
        some = shape.of(kind)
        rows, pick = (values[:, :, some], slice(None)) if isinstance(some, slice) else (values, some)
        if kind is Kind.COUNTER:
            _store(out.used, pairs, some, (rows[k] - rows[0])[:, pick] * worth[list_][:, some])
            fell = np.asarray(rows[1:] < rows[:-1])
            if fell.any():
                _or(out.bad, pairs, some, np.asarray(fell.any(0))[:, pick])
        elif kind is Kind.PERIOD:
            _store(out.used, pairs, some, rows[:k].sum(0)[:, pick])
        else:
            unit = scale[list_][:, some]
            low, high = rows[:k].min(0)[:, pick], rows[:k].max(0)[:, pick]
            _mark_huge(out, pairs, some, low, high)
            weighted = rows[:k].sum(0)[:, pick] * shape.interval_ms / unit
            _store_gauge(out, pairs, (weighted, low / unit, high / unit, rows[k - 1][:, pick] / unit))


def _mark_huge(out: Values, pairs: Ints, some: Any, low: Ints, high: Ints) -> None:
    huge = (high > LARGEST_HELD) | (low < -LARGEST_HELD)
    if huge.any():
        _or(out.bad, pairs, some, np.asarray(huge))


def _store(target: npt.NDArray[Any], pairs: Ints, some: Any, values: npt.NDArray[Any]) -> None:
    """Write the columns `some` of the lines `pairs`."""
    if isinstance(some, slice):
        target[pairs, some] = values
    else:
        target[pairs[:, None], some] = values


def _or(target: Bools, pairs: Ints, some: Any, values: npt.NDArray[Any]) -> None:
    _store(target, pairs, some, target[pairs][:, some] | values)


def _store_gauge(out: Values, pairs: Ints, values: tuple[Floats, ...]) -> None:
    for number, column in enumerate(values):
        out.gauge[pairs, number] = column


# -- windows with rows missing ------------------------------------------------------------------


@dataclass(slots=True)
class _Around:
    """Rows of some pairs' rings in order of time, and which of them are there.

    `last` and `next_` say for every place the nearest row that is there at or before, at or after it; -1 and `n` where
    there is none.
    """

    first: Ints  # cell of place 0
    flat: npt.NDArray[np.intp]
    there: Bools
    last: Ints
    next_: Ints

    @property
    def n(self) -> int:
        """Places."""
        return int(self.there.shape[1])


def _around(ring: Ring, list_: Ints, until_day: Ints) -> _Around:
    rows = ring.shape.rows
    first = ring.newest[list_] - rows + 1
    cells = first[:, None] + np.arange(rows)
    flat = list_[:, None] * rows + cells % rows
    there = (ring.cell.reshape(-1)[flat] == cells) & (cells >= ring.floor[list_][:, None])
    there &= day_of_receipt(ring.received_at_s.reshape(-1)[flat]) <= until_day[:, None]
    place = np.arange(rows)
    last = np.maximum.accumulate(np.where(there, place, -1), axis=1)
    next_ = np.minimum.accumulate(np.where(there, place, rows)[:, ::-1], axis=1)[:, ::-1]
    return _Around(first, flat, there, last, next_)


def _ragged(ring: Ring, out: Values, pairs: Ints, worth: Ints, scale: Floats, until_day: Ints) -> None:
    """Fill in pairs some of whose rows are missing."""
    around = _around(ring, out.list_[pairs], until_day)
    start = out.window[pairs] * ring.shape.cells - around.first
    seen = _Seen(ring, around, start, ring.shape.cells)
    out.lost[pairs] = (seen.before(start) < 0) & ~ring.rooted(out.list_[pairs])
    if ring.shape.has(Kind.COUNTER):
        _ragged_registers(ring, out, pairs, seen, worth)
    if ring.shape.has(Kind.PERIOD):
        _ragged_amounts(ring, out, pairs, seen)
    if ring.shape.has(Kind.GAUGE):
        _ragged_gauges(ring, out, pairs, seen, scale)


class _Seen:
    """What the windows ``[start, start + k)`` of some pairs see of the rows around."""

    def __init__(self, ring: Ring, around: _Around, start: Ints, k: int) -> None:
        self.ring, self.around, self.start, self.k = ring, around, start, k
        self.line = np.arange(len(start))
        inside = start[:, None] + np.arange(k)
        self.inside = np.clip(inside, 0, around.n - 1)
        self.counted = around.there[self.line[:, None], self.inside] & (inside == self.inside)

    def before(self, place: Ints) -> Ints:
        """Nearest row at or before a place; -1: none."""
        found = self.around.last[self.line, np.clip(place, 0, self.around.n - 1)]
        return np.where(place < 0, -1, found)

    def after(self, place: Ints) -> Ints:
        """Nearest row at or after a place; `n`: none."""
        found = self.around.next_[self.line, np.clip(place, 0, self.around.n - 1)]
        return np.where(place >= self.around.n, self.around.n, found)

    def rows(self, place: Ints) -> npt.NDArray[np.int64]:
        """Values (p, c) of the row at a place; nonsense where there is none."""
        flat = self.around.flat[self.line, np.clip(place, 0, self.around.n - 1)]
        return self.ring.values.reshape(-1, len(self.ring.shape.kinds))[flat]

    def spread(self, place: Ints) -> npt.NDArray[np.int64]:
        """Values (p, n, c) of rows at places (p, n)."""
        flat = np.take_along_axis(self.around.flat, place, axis=1)
        return self.ring.values.reshape(-1, len(self.ring.shape.kinds)).take(flat, axis=0)

    def tell(self, out: Values, pairs: Ints, kind: Kind, mask: Bools, covered: Ints, split: Bools) -> None:
        """Say the meta of windows that rest on the rows under `mask` (p, n)."""
        flat = self.around.flat
        position = self.ring.position.reshape(-1)[flat]
        received = self.ring.received_at_s.reshape(-1)[flat]
        said = out.meta[:, KINDS.index(kind)]
        said[pairs, Meta.RECEIVED] = self.counted.sum(1)
        inside = np.take_along_axis(flat, self.inside, axis=1)
        said[pairs, Meta.LATE] = (self.counted & self.ring.late.reshape(-1)[inside]).sum(1)
        rank = np.where(self.counted, self.ring.rank.reshape(-1)[inside], 0).max(1)
        said[pairs, Meta.COVERED_MS] = covered
        said[pairs, Meta.KNOWN_AT_S] = np.where(mask, received, 0).max(1)
        said[pairs, Meta.REVISION] = np.where(mask, position, 0).max(1)
        said[pairs, Meta.RANK] = np.maximum(rank, np.where(split, RANK[Reason.INTERPOLATED], 0))

    def mask(self) -> Bools:
        """Rows (p, n) whose stamp lies in the window."""
        place = np.arange(self.around.n)
        return self.around.there & (place >= self.start[:, None]) & (place < self.start[:, None] + self.k)


def _ragged_registers(ring: Ring, out: Values, pairs: Ints, seen: _Seen, worth: Ints) -> None:
    start, end, n = seen.start, seen.start + seen.k, seen.around.n
    some = ring.shape.of(Kind.COUNTER)
    left, right = _edge(seen, start), _edge(seen, end)
    steps = worth[out.list_[pairs]][:, some]
    origin = np.where(left.before >= 0, left.before, left.after)
    base = seen.rows(origin)[:, some]

    def amount(place: Ints) -> Ints:
        return np.asarray((seen.rows(place)[:, some] - base) * steps)

    at_left, at_right = (_register_at(edge, amount, ring.shape.interval_ms) for edge in (left, right))
    something = (left.before >= 0) | (right.before >= 0)
    alive = (something & (left.after < n) & (right.before >= 0) & (origin < n))[:, None]
    used = np.where(alive, at_right - at_left, 0)
    first_inside, last_inside = np.minimum(left.after, end), np.maximum(right.before, start)
    left_share = np.where((left.after <= end)[:, None], amount(left.after), at_right) - at_left
    right_share = at_right - np.where((right.before >= start)[:, None], amount(right.before), at_left)
    one = left.split & right.split & (left.before == right.before)
    estimated = np.where(left.split[:, None], left_share, 0)
    estimated += np.where((right.split & ~one)[:, None], right_share, 0)
    _store(out.used, pairs, some, used)
    _store(out.estimated, pairs, some, np.where(alive, estimated, 0))
    begins = np.where(left.before >= 0, start, first_inside)
    ends = np.where(right.after < n, end, last_inside)
    covered = np.where(alive[:, 0], np.maximum(ends - begins, 0), 0) * ring.shape.interval_ms
    mask = seen.mask()
    _add(mask, left.before, left.split)
    _add(mask, left.after, left.split)
    _add(mask, right.after, (seen.before(end - 1) >= 0) & (right.after < n))
    _add(mask, right.before, right.split)
    seen.tell(out, pairs, Kind.COUNTER, mask, covered, (left.split | right.split) & alive[:, 0])
    _mark_ragged_backward(out, pairs, some, seen, left, right)


@dataclass(slots=True)
class _Edge:
    """An edge of windows among the rows: the nearest before and after it, and whether it lies between two."""

    place: Ints
    before: Ints
    after: Ints
    split: Bools


def _edge(seen: _Seen, place: Ints) -> _Edge:
    before, after = seen.before(place), seen.after(place)
    return _Edge(place, before, after, (before >= 0) & (after < seen.around.n) & (before < after))


def _register_at(edge: _Edge, amount: Any, interval_ms: int) -> Ints:
    """Ticks at an edge, from the same origin as `amount`: interpolated between the rows around it, floored."""
    before = np.where(edge.before >= 0, edge.before, edge.after)
    low = amount(before)
    high = amount(np.where(edge.split, edge.after, before))
    elapsed = np.where(edge.split, edge.place - edge.before, 0) * interval_ms
    length = np.where(edge.split, edge.after - edge.before, 1) * interval_ms
    part = amount_until(high - low, elapsed[:, None], length[:, None])
    return np.asarray(low + np.where(edge.split[:, None], part, 0))


def _mark_ragged_backward(
    out: Values, pairs: Ints, some: Any, seen: _Seen, left: _Edge, right: _Edge
) -> None:
    """Mark registers that fall between two rows of the window, or of an interval across one of its edges."""
    place = np.concatenate(
        [left.before[:, None], seen.inside, np.minimum(right.after, seen.around.n - 1)[:, None]], axis=1
    )
    filled = np.take_along_axis(seen.around.last, np.maximum(place, 0), axis=1)
    first = np.where(left.before >= 0, left.before, left.after)
    filled = np.maximum(filled, np.minimum(first, seen.around.n - 1)[:, None])
    filled = np.maximum.accumulate(filled, axis=1)
    values = seen.spread(filled)
    fell = np.any(values[:, 1:] < values[:, :-1], axis=1)
    _or(out.bad, pairs, some, np.asarray(fell)[:, some])


def _add(mask: Bools, place: Ints, where: Bools) -> None:
    """Add one row to each line of `mask` where `where` says so."""
    lines = np.flatnonzero(where)
    mask[lines, place[lines]] = True


def _ragged_amounts(ring: Ring, out: Values, pairs: Ints, seen: _Seen) -> None:
    some = ring.shape.of(Kind.PERIOD)
    rows = np.where(seen.counted[:, :, None], seen.spread(seen.inside)[:, :, some], 0)
    _store(out.used, pairs, some, rows.sum(1))
    covered = seen.counted.sum(1) * ring.shape.interval_ms
    seen.tell(out, pairs, Kind.PERIOD, seen.mask(), covered, np.zeros(len(pairs), bool))


def _ragged_gauges(ring: Ring, out: Values, pairs: Ints, seen: _Seen, scale: Floats) -> None:
    """Each row's value holds until the next row, at most `hold_ms`; so does the one before the window."""
    some = ring.shape.of(Kind.GAUGE)
    carried = np.where(seen.counted[:, 0], -1, seen.before(seen.start - 1))
    place = np.concatenate([carried[:, None], seen.inside], axis=1)
    there = np.concatenate([(carried >= 0)[:, None], seen.counted], axis=1)
    span = np.where(there, np.maximum(_held_ms(ring.shape, seen, place), 0), 0)
    holds = span > 0
    values = seen.spread(np.maximum(place, 0))[:, :, some]
    speaks, heard = holds[:, :, None], np.any(holds, axis=1)[:, None]
    low = np.where(speaks, values, 2**62).min(1)
    high = np.where(speaks, values, -(2**62)).max(1)
    newest = place.shape[1] - 1 - np.argmax(holds[:, ::-1], axis=1)
    last = values[seen.line, newest]
    _mark_huge(out, pairs, some, np.where(heard, low, 0), np.where(heard, high, 0))
    unit = scale[out.list_[pairs]][:, some]
    weighted = (np.where(speaks, values, 0) * span[:, :, None]).sum(1) / unit
    rest = (np.where(heard, column / unit, np.nan) for column in (low, high, last))
    _store_gauge(out, pairs, (weighted, *rest))
    mask = seen.mask()
    lines, columns = np.nonzero(holds)
    mask[lines, place[lines, columns]] = True
    seen.tell(out, pairs, Kind.GAUGE, mask, span.sum(1), np.zeros(len(pairs), bool))


def _held_ms(shape: Shape, seen: _Seen, place: Ints) -> Ints:
    """How long rows at these places (p, n) hold within their window."""
    after = np.minimum(place + 1, seen.around.n - 1)
    follower = np.take_along_axis(seen.around.next_, after, axis=1)
    follower = np.where(place + 1 < seen.around.n, follower, seen.around.n)
    start_ms, end_ms = seen.start * shape.interval_ms, (seen.start + seen.k) * shape.interval_ms
    at_ms = place * shape.interval_ms
    until = at_ms + shape.hold_ms
    until = np.where(follower < seen.around.n, np.minimum(until, follower * shape.interval_ms), until)
    return np.asarray(np.minimum(until, end_ms[:, None]) - np.maximum(at_ms, start_ms[:, None]))
