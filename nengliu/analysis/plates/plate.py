"""Plate: the windows of many point lists of one shape, closed as their rows arrive.

`pour` takes rows in and says the windows they close, or change behind the close; `flush` says those still open.  What a
plate cannot do it gives back: rows that are odd, lists whose past it does not know, columns whose register fell.
Those go the general way (`nengliu.analysis.rollup`), which gives the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Facts
from nengliu.analysis.growing import make_room
from nengliu.analysis.plates.past import Past, fold
from nengliu.analysis.plates.quarters import Meta, Values, joined, quarters_of
from nengliu.analysis.plates.ring import Lines, Ring
from nengliu.analysis.plates.shape import HOURS, Shape
from nengliu.analysis.sorted import ranges
from nengliu.domain.points import Kind
from nengliu.domain.times import CHINA_OFFSET_MS, DAY_MS, HOUR_MS, QUARTER_MS, day_of_receipt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
PER_HOUR, PER_DAY = 4, 24
EAST = CHINA_OFFSET_MS // HOUR_MS
"""Hours by which a China day begins before that of UTC."""
WAIT_MS = 180_000
"""How long a window of several rows waits for rows that were overtaken, by the clock of its own rows."""
NOTHING = 2**40
"""No window waits to be said."""
_BY_LIST = 40
"""Bits of a window below the number of its list."""
KEPT_DAYS = 3
"""How long versions of earlier days of receipt are kept: longer than a ring reaches."""


@dataclass(slots=True)
class Said:
    """Values to be stored, by table; and what the general way must take over."""

    quarters: list[Values] = field(default_factory=list)
    hours: list[Values] = field(default_factory=list)
    days: list[Values] = field(default_factory=list)
    quarters_before: list[Values] = field(default_factory=list)
    days_before: list[Values] = field(default_factory=list)


class Plate:
    """Lists of one shape (see the head of this file)."""

    def __init__(self, shape: Shape) -> None:
        """Start without a list."""
        self.shape = shape
        self.ring = Ring(shape)
        self.quarters, self.hours = Past(shape, shape.quarters), Past(shape, HOURS)
        self.facts: list[Sequence[Facts]] = []
        width = len(shape.kinds)
        self.slots = np.empty((0, width), np.int32)
        self.worth = np.empty((0, width), np.int64)
        self.decimals = np.empty((0, width), np.uint8)
        self.scale = np.empty((0, width))
        self.valid_from = np.empty((0, width), np.int64)
        self.valid_to = np.empty((0, width), np.int64)
        self.out = np.empty((0, width), bool)
        self.partly = np.empty(0, bool)
        self.since = np.empty(0, np.int64)
        self.open_from, self.hours_from, self.days_from = (np.empty(0, np.int64) for _ in range(3))
        self.said = Said()
        self.gone: dict[int, Bools] = {}
        self.earlier: list[Values] = []

    def add_list(self, facts: Sequence[Facts], slots: npt.NDArray[np.int32], number: int = -1) -> int:
        """Take a list in, again if `number` says so; its rows and past windows are put by `seed`."""
        if number < 0:
            number = self.ring.add_list()
            for grown in (self, self.quarters, self.hours):
                make_room(grown, number + 1)
            self.facts.append(facts)
        self.facts[number] = facts
        self.slots[number] = slots
        self.worth[number] = [f.services[-1].ticks_per_step if f.services else 1 for f in facts]
        self.decimals[number] = [f.point.decimals for f in facts]
        self.scale[number] = 10.0 ** self.decimals[number]
        self.valid_from[number] = [f.point.valid_from_ms for f in facts]
        self.valid_to[number] = [f.point.valid_to_ms for f in facts]
        self.out[number] = self.partly[number] = False
        self._rest(number)
        for part in (self.ring, self.quarters, self.hours):
            part.clear(number)
        return number

    def _rest(self, number: int) -> None:
        """Nothing of the list waits to be said."""
        self.open_from[number] = self.hours_from[number] = self.days_from[number] = NOTHING

    def pour(self, lines: Lines) -> Bools:
        """Take rows in, in order of position; say which lists' rows were not taken, because one of them is odd."""
        odd, again = self.ring.judge(lines)
        refused = np.zeros(self.ring.size, bool)
        refused[lines.list_[odd]] = True
        kept = ~refused[lines.list_]
        lines = lines.take(np.flatnonzero(kept & ~again))
        while len(lines.cell):
            now = self.ring.stride(lines)
            part = lines if now.all() else lines.take(np.flatnonzero(now))
            self._stride(part)
            lines = lines.take(np.flatnonzero(~now))
        return ~kept

    def flush(self) -> None:
        """Say every window that is still open and has changed."""
        waiting = np.minimum(np.minimum(self.open_from, self.hours_from), self.days_from)[: self.ring.size]
        lists = np.flatnonzero(waiting < NOTHING)
        if len(lists):
            self._flush(lists)

    def _flush(self, lists: Ints) -> None:
        held_ms = self.shape.hold_ms - 1 if self.shape.has(Kind.GAUGE) else 0
        end = (self.ring.newest[lists] * self.shape.interval_ms + held_ms) // QUARTER_MS + 1
        self._say_quarters(*_pairs(lists, self.open_from[lists], end))
        self._say_hours(lists, -(-end // PER_HOUR))
        self._say_days(lists, -(-(-(-end // PER_HOUR) + EAST) // PER_DAY))
        self.open_from[lists] = self.hours_from[lists] = self.days_from[lists] = NOTHING

    def take_said(self) -> Said:
        """Hand over what was said since the last time."""
        said, self.said = self.said, Said()
        return said

    def evict(self, number: int, columns: Bools | None = None) -> int:
        """Give columns of a list (None: all) to the general way.

        Returns
        -------
        From when on their windows are not yet handed over [ms]; -1: all of them are.
        """
        levels = (
            (QUARTER_MS, 0, self.said.quarters),
            (HOUR_MS, 0, self.said.hours),
            (DAY_MS, CHINA_OFFSET_MS, self.said.days),
        )
        waits = (self.open_from[number], self.hours_from[number], self.days_from[number])
        starts = [
            int(first) * width - east
            for (width, east, _), first in zip(levels, waits, strict=True)
            if first < NOTHING
        ]
        for width, east, said in levels:
            for values in said:
                own = values.window[values.list_ == number]
                starts += [int(own.min()) * width - east] if len(own) else []
        self.out[number] |= True if columns is None else columns
        self.partly[number] = True
        if self.out[number].all():
            self._rest(number)
        return min(starts, default=-1)

    # -- one stride -----------------------------------------------------------------------------

    def _stride(self, lines: Lines) -> None:
        newest = self.ring.newest[lines.list_]
        late = lines.cell < newest
        turning = np.unique(lines.list_[day_of_receipt(lines.received_at_s) > self.ring.day[lines.list_]])
        if len(turning):
            self._turn(turning)
        self.ring.put(lines)
        np.minimum.at(self.open_from, lines.list_[~late], newest[~late] // self.shape.cells)
        lists = np.unique(lines.list_)
        ripe = self._ripe(lists)
        pairs = _pairs(lists, self.open_from[lists], ripe)
        self.open_from[lists] = _passed(self.open_from[lists], ripe)
        if late.any():
            pairs = self._with_late(
                pairs, lines.list_[late], lines.cell[late], ripe[np.searchsorted(lists, lines.list_[late])]
            )
        self._say_quarters(*pairs)
        self._say_hours(lists, ripe // PER_HOUR)
        self._say_days(lists, (ripe // PER_HOUR + EAST) // PER_DAY)

    def _ripe(self, lists: Ints) -> Ints:
        """First quarter-hour of each list that is still open."""
        wait = min(WAIT_MS // self.shape.interval_ms, self.shape.cells - 1)
        return np.asarray((self.ring.newest[lists] - wait) // self.shape.cells)

    def _with_late(self, pairs: tuple[Ints, Ints], list_: Ints, cell: Ints, ripe: Ints) -> tuple[Ints, Ints]:
        """Add the quarter-hours between the neighbours of late rows; those not ripe yet wait with the others."""
        before, after = self.ring.neighbours(list_, cell)
        for number in np.unique(list_[(before < 0) & ~self.ring.rooted(list_)]).tolist():
            self.gone[number] = ~self.out[number]
        first = np.where(before < 0, cell, before) // self.shape.cells
        end = np.where(after < 0, cell, np.maximum(cell, after - 1)) // self.shape.cells + 1
        more = _pairs(list_, first, np.minimum(end, ripe))
        open_ = end > ripe
        np.minimum.at(self.open_from, list_[open_], np.maximum(first, ripe)[open_])
        key = np.unique(np.concatenate([pairs[0] << _BY_LIST | pairs[1], more[0] << _BY_LIST | more[1]]))
        return key >> _BY_LIST, key & (2**_BY_LIST - 1)

    def _say_quarters(self, list_: Ints, window: Ints) -> None:
        if not len(list_):
            return
        values = quarters_of(self.ring, list_, window, self.worth, self.scale)
        self._note_gone(values)
        self.quarters.put(values)
        self.said.quarters.append(values)
        self.said.quarters_before += self._quarters_before(values)
        np.minimum.at(self.hours_from, list_, window // PER_HOUR)

    def _note_gone(self, values: Values) -> None:
        """Note the columns that need the general way: all of a list whose past is not known here, or some."""
        lost = values.lost | (values.window < self.since[values.list_])
        gone = (values.bad | lost[:, None]) & ~self.out[values.list_]
        for pair in np.flatnonzero(gone.any(1)).tolist():
            number = int(values.list_[pair])
            self.gone[number] = self.gone.get(number, False) | gone[pair]

    def _say_hours(self, lists: Ints, end: Ints) -> None:
        list_, window = _pairs(lists, self.hours_from[lists], end)
        self.hours_from[lists] = _passed(self.hours_from[lists], end)
        if not len(list_):
            return
        below = self.quarters.get(*_below(list_, window * PER_HOUR, PER_HOUR))
        hours = fold(self.shape, below, PER_HOUR, list_, window)
        self.hours.put(hours)
        self.said.hours.append(hours)
        np.minimum.at(self.days_from, list_, (window + EAST) // PER_DAY)

    def _say_days(self, lists: Ints, end: Ints) -> None:
        list_, window = _pairs(lists, self.days_from[lists], end)
        self.days_from[lists] = _passed(self.days_from[lists], end)
        if not len(list_):
            return
        below = self.hours.get(*_below(list_, window * PER_DAY - EAST, PER_DAY))
        days = fold(self.shape, below, PER_DAY, list_, window)
        self.said.days.append(days)
        self.said.days_before += self._days_before(days)

    # -- what was known on an earlier day -------------------------------------------------------

    def _quarters_before(self, values: Values) -> list[Values]:
        """The same windows as each earlier day of receipt left them."""
        found = []
        until = values.known_day() - 1
        while len(some := np.flatnonzero(values.first_day() <= until)):
            later = values.take(some)
            values = quarters_of(self.ring, later.list_, later.window, self.worth, self.scale, until[some])
            found.append(_superseded(values, later))
            until = values.known_day() - 1
        return found

    def _days_before(self, days: Values) -> list[Values]:
        """Versions of the same days that earlier days of receipt left, of those that differ by now."""
        if not self.earlier:
            return []
        earlier = _last_of_each_day(joined(self.earlier))
        self.earlier = [earlier]
        here = np.isin(earlier.list_ << _BY_LIST | earlier.window, days.list_ << _BY_LIST | days.window)
        some = earlier.take(np.flatnonzero(here))
        now = days.take(_place_of(some, days))
        return [_superseded(some, now)]

    def _turn(self, lists: Ints) -> None:
        """Before rows of a later day of receipt come: keep the days they may change as they are known now."""
        self._flush(lists)
        self.keep_days(lists)
        oldest = self.ring.newest.max() * self.shape.interval_ms // DAY_MS - KEPT_DAYS
        kept = joined(self.earlier)
        self.earlier = [kept.take(np.flatnonzero(kept.window >= oldest))]

    def keep_days(self, lists: Ints) -> None:
        """Keep the days that rows to come may change, as they are known now."""
        reach = self.shape.back * self.shape.interval_ms
        newest = self.ring.newest[lists] * self.shape.interval_ms + CHINA_OFFSET_MS
        list_, window = _pairs(lists, (newest - reach) // DAY_MS, (newest + self.shape.hold_ms) // DAY_MS + 1)
        below = self.hours.get(*_below(list_, window * PER_DAY - EAST, PER_DAY))
        days = fold(self.shape, below, PER_DAY, list_, window)
        heard = (days.meta[:, :, Meta.REVISION] > 0).any(1) & (
            window * PER_DAY - EAST >= self.since[list_] // PER_HOUR
        )
        self.earlier.append(days.take(np.flatnonzero(heard)))


def _last_of_each_day(values: Values) -> Values:
    """Of versions of one window that one day of receipt left, the last."""
    order = np.arange(len(values.list_))
    key = np.stack([values.list_, values.window, values.known_day()])[:, ::-1]
    _, last = np.unique(key, axis=1, return_index=True)
    return values.take(np.sort(order[::-1][last]))


def _superseded(earlier: Values, later: Values) -> Values:
    """Earlier versions, of those kinds of columns that a later day of receipt changed."""
    newer = day_of_receipt(later.meta[:, :, Meta.KNOWN_AT_S]) > day_of_receipt(
        earlier.meta[:, :, Meta.KNOWN_AT_S]
    )
    meta = earlier.meta.copy()
    meta[:, :, Meta.REVISION] = np.where(newer, meta[:, :, Meta.REVISION], 0)
    return replace(earlier, meta=meta)


def _place_of(some: Values, among: Values) -> Ints:
    """Place of each pair in values that have it."""
    key = among.list_ << _BY_LIST | among.window
    order = np.argsort(key)
    return np.asarray(order[np.searchsorted(key[order], some.list_ << _BY_LIST | some.window)])


def _pairs(lists: Ints, first: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Each list with each window of ``[first, end)``."""
    window, owner = ranges(first, np.maximum(first, end))
    return lists[owner], window


def _below(list_: Ints, first: Ints, n: int) -> tuple[Ints, Ints]:
    """The `n` windows of the level below that begin at `first`, for each list."""
    return np.repeat(list_, n), (first[:, None] + np.arange(n)).ravel()


def _passed(waits_from: Ints, end: Ints) -> Ints:
    """From where on windows still wait, once those before `end` were said."""
    return np.where((waits_from < end), end, waits_from)
