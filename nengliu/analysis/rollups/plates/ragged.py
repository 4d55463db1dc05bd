"""Quarter-hours some of whose rows are missing, from a ring, by the rules of `windows`.

The register at an edge is interpolated between the rows around it and the share is marked; a gauge holds until the
next row, at most `hold_ms`.

Source: docs/decisions/0011, 0012 and 0021.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nengliu.analysis.rollups.plates.ring import Ring
from nengliu.analysis.rollups.plates.shape import Shape
from nengliu.analysis.rollups.plates.values import Bools, Floats, Ints, Meta, Values
from nengliu.analysis.rollups.windows import LARGEST_HELD, RANK, amount_until
from nengliu.domain.points import Kind
from nengliu.domain.quality import Reason
from nengliu.domain.times import day_of_receipt


def fill_ragged(ring: Ring, out: Values, pairs: Ints, worth: Ints, scale: Floats, until_day: Ints) -> None:
    """Fill in pairs some of whose rows are missing; parameters as of `quarters_of`."""
    around = around_of(ring, out.list_[pairs], until_day)
    start = out.window[pairs] * ring.shape.cells - around.first
    seen = Seen(ring, around, start, ring.shape.cells)
    out.lost[pairs] = (seen.before(start) < 0) & ~ring.rooted(out.list_[pairs])
    if ring.shape.has(Kind.COUNTER):
        _registers(ring, out, pairs, seen, worth)
    if ring.shape.has(Kind.PERIOD):
        _amounts(ring, out, pairs, seen)
    if ring.shape.has(Kind.GAUGE):
        _gauges(ring, out, pairs, seen, scale)


@dataclass(slots=True)
class Around:
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


def around_of(ring: Ring, list_: Ints, until_day: Ints) -> Around:
    """Rows of the rings of some lists, received up to a day each."""
    rows = ring.shape.rows
    first = ring.newest[list_] - rows + 1
    cells = first[:, None] + np.arange(rows)
    flat = list_[:, None] * rows + cells % rows
    there = (ring.cell.reshape(-1)[flat] == cells) & (cells >= ring.floor[list_][:, None])
    there &= day_of_receipt(ring.received_at_s.reshape(-1)[flat]) <= until_day[:, None]
    place = np.arange(rows)
    last = np.maximum.accumulate(np.where(there, place, -1), axis=1)
    next_ = np.minimum.accumulate(np.where(there, place, rows)[:, ::-1], axis=1)[:, ::-1]
    return Around(first, flat, there, last, next_)


class Seen:
    """What the windows ``[start, start + k)`` of some pairs see of the rows around."""

    def __init__(self, ring: Ring, around: Around, start: Ints, k: int) -> None:
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

    def rows(self, place: Ints, lines: Ints | None = None) -> npt.NDArray[np.int64]:
        """Values (p, c) of the row at a place of each pair, or of some; nonsense where there is none."""
        lines = self.line if lines is None else lines
        flat = self.around.flat[lines, np.clip(place, 0, self.around.n - 1)]
        return self.ring.lines.take(flat, axis=0)

    def spread(self, place: Ints) -> npt.NDArray[np.int64]:
        """Values (n, p, c) of rows at places (p, n)."""
        flat = np.take_along_axis(self.around.flat, place, axis=1)
        return self.ring.lines.take(flat.T, axis=0)

    def tell(self, out: Values, pairs: Ints, kind: Kind, mask: Bools, covered: Ints, split: Bools) -> None:
        """Say the meta of windows that rest on the rows under `mask` (p, n)."""
        flat = self.around.flat
        position = self.ring.position.reshape(-1)[flat]
        received = self.ring.received_at_s.reshape(-1)[flat]
        said = out.meta[:, self.ring.shape.present.index(kind)]
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


def _registers(ring: Ring, out: Values, pairs: Ints, seen: Seen, worth: Ints) -> None:
    start, end, n = seen.start, seen.start + seen.k, seen.around.n
    left, right = _edge(seen, start), _edge(seen, end)
    steps = worth[out.list_[pairs]]
    origin = np.where(left.before >= 0, left.before, left.after)
    base = seen.rows(origin)

    def amount(place: Ints, lines: Ints) -> Ints:
        return np.asarray((seen.rows(place, lines) - base[lines]) * steps[lines])

    something = (left.before >= 0) | (right.before >= 0)
    alive = something & (left.after < n) & (right.before >= 0) & (origin < n)
    at_left, at_right = (_register_at(edge, amount, ring.shape.interval_ms) for edge in (left, right))
    out.used[pairs] = np.where(alive[:, None], at_right - at_left, 0)
    some = np.flatnonzero(alive & left.split)
    inside = (left.after <= end)[some, None]
    share = np.where(inside, amount(left.after[some], some), at_right[some]) - at_left[some]
    out.estimated[pairs[some]] += share
    one = left.split & right.split & (left.before == right.before)
    some = np.flatnonzero(alive & right.split & ~one)
    inside = (right.before >= start)[some, None]
    share = at_right[some] - np.where(inside, amount(right.before[some], some), at_left[some])
    out.estimated[pairs[some]] += share
    begins = np.where(left.before >= 0, start, np.minimum(left.after, end))
    ends = np.where(right.after < n, end, np.maximum(right.before, start))
    covered = np.where(alive, np.maximum(ends - begins, 0), 0) * ring.shape.interval_ms
    mask = seen.mask()
    _add(mask, left.before, left.split)
    _add(mask, left.after, left.split)
    _add(mask, right.after, (seen.before(end - 1) >= 0) & (right.after < n))
    _add(mask, right.before, right.split)
    seen.tell(out, pairs, Kind.COUNTER, mask, covered, (left.split | right.split) & alive)
    _mark_backward(out, pairs, seen, left, right)


@dataclass(slots=True)
class _Edge:
    """An edge of windows among the rows: the nearest before and after it, and whether it lies between two."""

    place: Ints
    before: Ints
    after: Ints
    split: Bools


def _edge(seen: Seen, place: Ints) -> _Edge:
    before, after = seen.before(place), seen.after(place)
    return _Edge(place, before, after, (before >= 0) & (after < seen.around.n) & (before < after))


def _register_at(edge: _Edge, amount: Callable[[Ints, Ints], Ints], interval_ms: int) -> Ints:
    """Ticks at an edge, from the same origin as `amount`: interpolated between the rows around it, floored."""
    found = amount(np.where(edge.before >= 0, edge.before, edge.after), np.arange(len(edge.place)))
    some = np.flatnonzero(edge.split)
    low = found[some]
    elapsed = (edge.place - edge.before)[some] * interval_ms
    length = (edge.after - edge.before)[some] * interval_ms
    part = amount_until(amount(edge.after[some], some) - low, elapsed[:, None], length[:, None])
    found[some] = low + part
    return found


def _mark_backward(out: Values, pairs: Ints, seen: Seen, left: _Edge, right: _Edge) -> None:
    """Mark registers that fall between two rows of the window, or of an interval across one of its edges."""
    place = np.concatenate(
        [left.before[:, None], seen.inside, np.minimum(right.after, seen.around.n - 1)[:, None]], axis=1
    )
    filled = np.take_along_axis(seen.around.last, np.maximum(place, 0), axis=1)
    first = np.where(left.before >= 0, left.before, left.after)
    filled = np.maximum(filled, np.minimum(first, seen.around.n - 1)[:, None])
    filled = np.maximum.accumulate(filled, axis=1)
    values = seen.spread(filled)
    out.bad[pairs] |= (values[1:] < values[:-1]).any(0) & seen.ring.shape.are(Kind.COUNTER)


def _add(mask: Bools, place: Ints, where: Bools) -> None:
    """Add one row to each line of `mask` where `where` says so."""
    lines = np.flatnonzero(where)
    mask[lines, place[lines]] = True


def _amounts(ring: Ring, out: Values, pairs: Ints, seen: Seen) -> None:
    rows = np.where(seen.counted.T[:, :, None], seen.spread(seen.inside), 0)
    out.used[pairs] += np.where(ring.shape.are(Kind.PERIOD), rows.sum(0), 0)
    covered = seen.counted.sum(1) * ring.shape.interval_ms
    seen.tell(out, pairs, Kind.PERIOD, seen.mask(), covered, np.zeros(len(pairs), bool))


def _gauges(ring: Ring, out: Values, pairs: Ints, seen: Seen, scale: Floats) -> None:
    """Each row's value holds until the next row, at most `hold_ms`; so does the one before the window."""
    carried = np.where(seen.counted[:, 0], -1, seen.before(seen.start - 1))
    place = np.concatenate([carried[:, None], seen.inside], axis=1)
    there = np.concatenate([(carried >= 0)[:, None], seen.counted], axis=1)
    span = np.where(there, np.maximum(_held_ms(ring.shape, seen, place), 0), 0)
    holds = span > 0
    heard = np.asarray(holds.any(1))
    newest = place.shape[1] - 1 - np.argmax(holds[:, ::-1], axis=1)
    last = np.where(heard, place[seen.line, newest], 0)
    values = seen.spread(np.where(holds, place, last[:, None]))
    low, high = values.min(0), values.max(0)
    out.bad[pairs] |= is_huge(low, high) & heard[:, None] & ring.shape.is_gauge
    unit = np.where(heard[:, None], scale[out.list_[pairs]], np.nan)
    out.low[pairs], out.high[pairs], out.last[pairs] = low / unit, high / unit, seen.rows(last) / unit
    weighted = (values * span.T[:, :, None]).sum(0) / scale[out.list_[pairs]]
    out.weighted[pairs] = weighted
    mask = seen.mask()
    lines, columns = np.nonzero(holds)
    mask[lines, place[lines, columns]] = True
    seen.tell(out, pairs, Kind.GAUGE, mask, span.sum(1), np.zeros(len(pairs), bool))


def is_huge(low: Ints, high: Ints) -> Bools:
    """Which gauges (p, c) are beyond what can be weighted exactly."""
    return np.asarray((high > LARGEST_HELD) | (low < -LARGEST_HELD))


def _held_ms(shape: Shape, seen: Seen, place: Ints) -> Ints:
    """How long rows at these places (p, n) hold within their window."""
    after = np.minimum(place + 1, seen.around.n - 1)
    follower = np.take_along_axis(seen.around.next_, after, axis=1)
    follower = np.where(place + 1 < seen.around.n, follower, seen.around.n)
    start_ms, end_ms = seen.start * shape.interval_ms, (seen.start + seen.k) * shape.interval_ms
    at_ms = place * shape.interval_ms
    until = at_ms + shape.hold_ms
    until = np.where(follower < seen.around.n, np.minimum(until, follower * shape.interval_ms), until)
    return np.asarray(np.minimum(until, end_ms[:, None]) - np.maximum(at_ms, start_ms[:, None]))
