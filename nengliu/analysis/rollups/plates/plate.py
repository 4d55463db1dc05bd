"""Plate: the windows of many point lists of one shape, closed as their rows arrive.

`pour` takes rows in and says windows only where further rows need their room in the ring: what waits is said once,
for many lists together.  `flush` says all that has changed.  What a plate cannot do it gives back: rows that are odd,
lists whose past it does not know, columns whose register fell.  Those go the general way
(`nengliu.analysis.rollups.shard`), which gives the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Facts
from nengliu.analysis.growing import make_room
from nengliu.analysis.rollups.plates.past import Past
from nengliu.analysis.rollups.plates.quarters import quarters_of
from nengliu.analysis.rollups.plates.ring import Lines, Ring
from nengliu.analysis.rollups.plates.shape import Shape
from nengliu.analysis.rollups.plates.values import Meta, Values, joined
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
AT_ONCE = 1 << 14
"""Points whose windows are said at once: they and their rows stay in the cache."""
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
        self.quarters, self.hours = Past(shape, shape.quarters), Past(shape, shape.hours)
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
        self.origin = np.empty(0, np.uint8)
        self.open_from, self.hours_from, self.days_from = (np.empty(0, np.int64) for _ in range(3))
        self.late: list[tuple[Ints, Ints]] = []  # lists and cells of rows before what was said
        self.said = Said()
        self.gone: dict[int, Bools] = {}
        self.earlier: list[Values] = []
        self.fresh: list[int] = []  # lists that came in and have got no row since

    def add_list(self, facts: Sequence[Facts], slots: npt.NDArray[np.int32], number: int = -1) -> int:
        """Take a list in, again if `number` says so; its rows and past windows are put by `seed`."""
        if number < 0:
            number = self.ring.add_list()
            for grown in (self, self.quarters, self.hours):
                make_room(grown, number + 1)
            self.facts.append(facts)
        self.facts[number] = facts
        self.slots[number] = slots
        self.worth[number] = [_worth(f) for f in facts]
        self.decimals[number] = [f.point.decimals for f in facts]
        self.scale[number] = np.where(self.shape.is_gauge, 10.0 ** self.decimals[number], np.nan)
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
        if self.fresh:
            self.keep_days(np.unique(self.fresh))
            self.fresh = []
        odd, again = self.ring.judge(lines)
        refused = np.zeros(self.ring.size, bool)
        refused[lines.list_[odd]] = True
        kept = ~refused[lines.list_]
        lines = lines.where(kept & ~again)
        while len(lines.cell):
            now = self.ring.stride(lines)
            self._take_in(lines.where(now))
            lines = lines.where(~now)
            if len(lines.cell):
                self._close()
        return ~kept

    def flush(self) -> None:
        """Say every window that is still open and has changed."""
        lists = self._waiting()
        if len(lists):
            self._flush(lists)

    def _waiting(self) -> Ints:
        """Lists of which something waits to be said."""
        waits = np.minimum(np.minimum(self.open_from, self.hours_from), self.days_from)[: self.ring.size]
        waits = waits < NOTHING
        for list_, _ in self.late:
            waits[list_] = True
        return np.flatnonzero(waits)

    def _flush(self, lists: Ints) -> None:
        held_ms = self.shape.hold_ms - 1 if self.shape.has(Kind.GAUGE) else 0
        end = (self.ring.newest[lists] * self.shape.interval_ms + held_ms) // QUARTER_MS + 1
        hours_end = -(-end // PER_HOUR)
        self._say(lists, end, hours_end, -(-(hours_end + EAST) // PER_DAY))
        self.open_from[lists] = self.hours_from[lists] = self.days_from[lists] = NOTHING

    def _close(self) -> None:
        """Say what is ripe, so that further rows find room."""
        lists = self._waiting()
        ripe = self._ripe(lists)
        self._say(lists, ripe, ripe // PER_HOUR, (ripe // PER_HOUR + EAST) // PER_DAY)

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
        if self.late:
            list_, first, _, _ = self._late_spans()
            starts += (first[list_ == number] * QUARTER_MS).tolist()
        for width, east, said in levels:
            for values in said:
                own = values.window[values.list_ == number]
                starts += [int(own.min()) * width - east] if len(own) else []
        self.out[number] |= True if columns is None else columns
        self.partly[number] = True
        if self.out[number].all():
            self._rest(number)
            self.late = [(list_[list_ != number], cell[list_ != number]) for list_, cell in self.late]
        return min(starts, default=-1)

    # -- rows in, windows out ---------------------------------------------------------------------

    def _take_in(self, lines: Lines) -> None:
        """Put rows into the ring, and note what they open or change."""
        turning = lines.day > self.ring.day[lines.list_]
        if turning.any():
            self._turn(np.unique(lines.list_[turning]))
        told = self.ring.told[lines.list_]
        late = lines.cell < told
        self.ring.put(lines)
        fresh = lines.list_[~late]
        self.open_from[fresh] = np.minimum(self.open_from[fresh], told[~late] // self.shape.cells)
        if late.any():
            self.late.append((lines.list_[late], lines.cell[late]))

    def _say(self, lists: Ints, end: Ints, hours_end: Ints, days_end: Ints) -> None:
        """Say the windows of some lists that wait, those of each level before its end."""
        list_, window = self._with_late(lists, *_pairs(lists, self.open_from[lists], end), end)
        self.open_from[lists] = _passed(self.open_from[lists], end)
        step = max(1, AT_ONCE // len(self.shape.kinds))
        for start in range(0, len(lists), step):
            part = slice(start, start + step)
            own = slice(*np.searchsorted(list_, (lists[part][0], lists[part][-1] + 1)))
            self._say_quarters(list_[own], window[own])
            self._say_hours(lists[part], hours_end[part])
            self._say_days(lists[part], days_end[part])
        self.ring.told[lists] = self.ring.newest[lists]

    def _ripe(self, lists: Ints) -> Ints:
        """First quarter-hour of each list that is still open."""
        wait = min(WAIT_MS // self.shape.interval_ms, self.shape.cells - 1)
        return np.asarray((self.ring.newest[lists] - wait) // self.shape.cells)

    def _with_late(self, lists: Ints, list_: Ints, window: Ints, end: Ints) -> tuple[Ints, Ints]:
        """Add the quarter-hours that late rows change; those not before `end` wait with the others."""
        if not self.late:
            return list_, window
        owner, first, last, lost = self._late_spans()
        self.late = []
        for number in np.unique(owner[lost]).tolist():
            self.gone[number] = ~self.out[number]
        before = end[np.searchsorted(lists, owner)]
        more = _pairs(owner, first, np.minimum(last, before))
        open_ = last > before
        np.minimum.at(self.open_from, owner[open_], np.maximum(first, before)[open_])
        key = np.unique(np.concatenate([list_ << _BY_LIST | window, more[0] << _BY_LIST | more[1]]))
        return key >> _BY_LIST, key & (2**_BY_LIST - 1)

    def _late_spans(self) -> tuple[Ints, Ints, Ints, Bools]:
        """List, first quarter-hour and end of what each late row changes, and whether more lies before the ring.

        It changes all between its neighbours.
        """
        list_, cell = (np.concatenate(part) for part in zip(*self.late, strict=True))
        before, after = self.ring.neighbours(list_, cell)
        first = np.where(before < 0, cell, before) // self.shape.cells
        end = np.where(after < 0, cell, np.maximum(cell, after - 1)) // self.shape.cells + 1
        return list_, first, end, (before < 0) & ~self.ring.rooted(list_)

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
        if not (lost.any() or values.bad.any()):
            return
        gone = (values.bad | lost[:, None]) & ~self.out[values.list_]
        for pair in np.flatnonzero(gone.any(1)).tolist():
            number = int(values.list_[pair])
            self.gone[number] = self.gone.get(number, False) | gone[pair]

    def _say_hours(self, lists: Ints, end: Ints) -> None:
        list_, window = _pairs(lists, self.hours_from[lists], end)
        self.hours_from[lists] = _passed(self.hours_from[lists], end)
        if not len(list_):
            return
        hours = self.quarters.fold(list_, window * PER_HOUR, PER_HOUR, window)
        self.hours.put(hours)
        self.said.hours.append(hours)
        np.minimum.at(self.days_from, list_, (window + EAST) // PER_DAY)

    def _say_days(self, lists: Ints, end: Ints) -> None:
        list_, window = _pairs(lists, self.days_from[lists], end)
        self.days_from[lists] = _passed(self.days_from[lists], end)
        if not len(list_):
            return
        days = self.hours.fold(list_, window * PER_DAY - EAST, PER_DAY, window)
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
        if len(self.earlier) > 1:
            self.earlier = [_last_of_each_day(joined(self.earlier))]
        found = []
        for earlier in self.earlier:
            here = np.isin(earlier.list_ << _BY_LIST | earlier.window, days.list_ << _BY_LIST | days.window)
            some = np.flatnonzero(here)
            now = _place_of(earlier, some, days)
            newer = days.known_day()[now] > earlier.first_known_day()[some]
            if newer.any():
                found.append(_superseded(earlier.take(some[newer]), days.take(now[newer])))
        return found

    def _turn(self, lists: Ints) -> None:
        """Before rows of a later day of receipt come: keep the days they may change as they are known now."""
        self._close()
        self._flush(lists)
        self.keep_days(lists)
        oldest = self.ring.newest.max() * self.shape.interval_ms // DAY_MS - KEPT_DAYS
        kept = _last_of_each_day(joined(self.earlier))
        self.earlier = [kept.take(np.flatnonzero(kept.window >= oldest))]

    def keep_days(self, lists: Ints) -> None:
        """Keep the days that rows to come may change, as they are known now."""
        reach = self.shape.back * self.shape.interval_ms
        newest = self.ring.newest[lists] * self.shape.interval_ms + CHINA_OFFSET_MS
        list_, window = _pairs(lists, (newest - reach) // DAY_MS, (newest + self.shape.hold_ms) // DAY_MS + 1)
        days = self.hours.fold(list_, window * PER_DAY - EAST, PER_DAY, window)
        heard = (days.meta[:, :, Meta.REVISION] > 0).any(1) & (
            window * PER_DAY - EAST >= self.since[list_] // PER_HOUR
        )
        self.earlier.append(days.take(np.flatnonzero(heard)))


def _worth(facts: Facts) -> int:
    """Ticks of a step of a register; 0 of what is none."""
    if facts.point.kind is not Kind.COUNTER:
        return 0
    return facts.services[-1].ticks_per_step if facts.services else 1


def _last_of_each_day(values: Values) -> Values:
    """Of versions of one window that one day of receipt left, the last."""
    key = np.stack([values.known_day(), values.window, values.list_])
    order = np.lexsort(key)
    last = np.append((np.diff(key[:, order]) != 0).any(0), True)
    return values.take(np.sort(order[last]))


def _superseded(earlier: Values, later: Values) -> Values:
    """Earlier versions, of those kinds of columns that a later day of receipt changed."""
    newer = day_of_receipt(later.meta[:, :, Meta.KNOWN_AT_S]) > day_of_receipt(
        earlier.meta[:, :, Meta.KNOWN_AT_S]
    )
    meta = earlier.meta.copy()
    meta[:, :, Meta.REVISION] = np.where(newer, meta[:, :, Meta.REVISION], 0)
    return replace(earlier, meta=meta)


def _place_of(values: Values, some: Ints, among: Values) -> Ints:
    """Place of some pairs of values in others that have them."""
    key = among.list_ << _BY_LIST | among.window
    order = np.argsort(key)
    return np.asarray(order[np.searchsorted(key[order], (values.list_ << _BY_LIST | values.window)[some])])


def _pairs(lists: Ints, first: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Each list with each window of ``[first, end)``."""
    window, owner = ranges(first, np.maximum(first, end))
    return lists[owner], window


def _passed(waits_from: Ints, end: Ints) -> Ints:
    """From where on windows still wait, once those before `end` were said."""
    return np.where((waits_from < end), end, waits_from)
