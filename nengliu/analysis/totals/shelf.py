"""Shelf: the pages of all plants of a shard, filled by window rows as they are made, or asked of the store.

Of a period later than the newest one known of a plant nothing can be stored, so nothing is asked; of the first
period of a plant, and of older ones that are no longer held, the store is asked unless the rows at hand fill the page.
What is surely stored and is not a plant's newest period is given up, an epoch after it was last needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.rollups.windows import RANK
from nengliu.analysis.sorted import compact, ranges
from nengliu.analysis.totals.directory import Directory
from nengliu.analysis.totals.pages import HEARD, Pages, Register
from nengliu.analysis.totals.plants import UNKNOWN, Periods, Plant, Texts, describe, periods_of
from nengliu.domain.points import FOREVER_MS
from nengliu.domain.times import STORED, Level, due_in, next_period_ms
from schemas.block import Labels, Rows

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Span = tuple[str, int, int]
_DENSE = 8
"""Groups are numbered without sorting while there are at most so many times as many as rows."""


class WindowLoader(Protocol):
    """What the store tells of windows below a position of the log."""

    def windows(self, level: Level, spans: Sequence[Span], before: int) -> Rows | None:
        """Window rows of enterprises, each from an instant to another [ms, UTC], the newest version of each."""

    def days(self, before: int) -> dict[str, tuple[int, int]]:
        """Span of days [ms, UTC] of which each enterprise has totals; it may say too much."""


class Shelf:
    """Plants and their pages."""

    def __init__(self, catalogue: Catalogue, loader: WindowLoader | None = None) -> None:
        """Start empty; without a loader everything is kept."""
        self.catalogue, self.loader = catalogue, loader
        self.pages, self.texts = Pages(), Texts()
        self.stored = UNKNOWN
        """Positions below are surely stored."""
        self._plants: dict[str, Plant] = {}
        self._by_number: list[Plant] = []
        self._directory = Directory(self.plant)
        self._registers = [Register() for _ in STORED]
        self._epoch = 0

    def __len__(self) -> int:
        """Count the pages."""
        return sum(map(len, self._registers))

    def plant(self, code: str) -> Plant:
        """A plant as the catalogue describes it now."""
        plant = self._plants.get(code)
        if plant is None:
            plant = self._plants[code] = Plant(code, len(self._by_number))
            self._by_number.append(plant)
        if plant.is_stale:
            self._describe(plant)
        return plant

    def forget(self, code: str) -> None:
        """Note that the catalogue describes a plant anew."""
        plant = self._plants.get(code)
        if plant is not None:
            plant.is_stale = True
            self._directory.forget(plant.number)

    def put(self, level: int, rows: Rows) -> Periods | None:
        """Write window rows over what stands; say which periods they touched, None if no total counts their points."""
        spots = self._spots(level, rows)
        if spots is None:
            return None
        periods = spots.periods
        self._open(level, periods, spots.full())
        self._write(rows, spots, self.base(level, periods))
        return periods

    def base(self, level: int, periods: Periods) -> Ints:
        """First entry of the page of each period (n,), -1 where there is none."""
        return self._registers[level].find(periods.number, periods.start_s)

    def ensure(self, level: int, periods: Periods) -> None:
        """Have pages of these periods, empty where nothing is stored."""
        self._open(level, periods, np.zeros(len(periods), bool))

    def load(self, level: int, plant: Plant, from_ms: int, to_ms: int) -> Periods:
        """Have pages of all periods of a plant in a span of which there are rows; say which, in order."""
        if self.loader is not None:
            self._load(level, self.loader.windows(STORED[level], [(plant.code, from_ms, to_ms)], self.stored))
        start_s, base = self._registers[level].of(plant.number)
        revision = self.pages.columns["revision"]
        inside = (from_ms <= start_s * 1000) & (start_s * 1000 < to_ms)
        heard = [revision[at : at + plant.size].any() for at in base[inside].tolist()]
        return periods_of(plant, start_s[inside][np.array(heard, bool)].tolist())

    def close(self, level: int, periods: Periods) -> None:
        """Give up pages that are surely stored, and no plant's newest."""
        self._give_up(level, periods.number, periods.start_s, self.base(level, periods))

    def seal(self, stored: int) -> None:
        """End an epoch: what was not needed in it, and is stored, may go."""
        self.stored = max(self.stored, stored)
        for level, register in enumerate(self._registers):
            self._give_up(level, *register.unused(self._epoch))
        self._epoch += 1

    def _give_up(self, level: int, number: Ints, start_s: Ints, base: Ints) -> None:
        if self.loader is None or not len(number):
            return
        newest = np.array([plant.newest[level] for plant in self._by_number], np.int64)[number]
        some = np.flatnonzero((start_s != newest) & (base >= 0))
        if not len(some):
            return
        size = np.array([self._by_number[n].size for n in number[some].tolist()], np.int64)
        entry, owner = ranges(base[some], base[some] + size)
        kept = self.pages.columns["revision"][entry] >= max(self.stored, 0)
        stays = np.bincount(owner, weights=kept, minlength=len(some)) > 0
        gone = some[~stays]
        self._registers[level].remove(number[gone], start_s[gone])
        for at, entries in zip(base[gone].tolist(), size[~stays].tolist(), strict=True):
            self.pages.close(at, entries)

    def _describe(self, plant: Plant) -> None:
        """Lay a plant out as the catalogue has it, and its pages with it."""
        old = describe(plant, self.catalogue, self.texts)
        stays = [name for name in plant.place if name in old]
        from_place, to_place = (np.array([of[n] for n in stays], np.int64) for of in (old, plant.place))
        for level, register in enumerate(self._registers):
            start_s, base = register.of(plant.number)
            periods = periods_of(plant, start_s)
            if old != plant.place and len(periods):
                moved = [
                    self.pages.move(at, len(old), from_place, to_place, plant.size) for at in base.tolist()
                ]
                base = np.array(moved, np.int64)
                register.move(periods.number, start_s, base)
            self._fill_due(level, periods, base)

    def _open(self, level: int, periods: Periods, full: Bools) -> None:
        """Have a page for each period, asking the store where it may know one.

        `full` (n,) says of each that the rows at hand fill it.
        """
        self._registers[level].touch(periods.number, periods.start_s, self._epoch)
        missing = np.flatnonzero(self.base(level, periods) < 0)
        if not len(missing):
            return
        lacking = periods.take(missing)
        newest = np.array([plant.newest[level] for plant in lacking.plants], np.int64)[lacking.which]
        asked = ((newest == UNKNOWN) | (lacking.start_s <= newest)) & ~full[missing]
        known = [lacking]
        if self.loader is not None and asked.any():
            spans = _spans(level, lacking.take(asked))
            loaded = self._load(level, self.loader.windows(STORED[level], spans, self.stored))
            known += [loaded] if loaded is not None else []
        self._add_pages(level, lacking)
        was_asked = {lacking.plants[i] for i in np.unique(lacking.which[asked]).tolist()}
        for some in known:
            self._reach(level, some, was_asked)

    def _load(self, level: int, rows: Rows | None) -> Periods | None:
        """Make pages of stored rows and say which; what is held already is newer."""
        spots = self._spots(level, rows) if rows is not None and len(rows) else None
        if spots is None or rows is None:
            return None
        self._registers[level].touch(spots.periods.number, spots.periods.start_s, self._epoch)
        fresh = self.base(level, spots.periods) < 0
        self._add_pages(level, spots.periods)
        base = np.where(fresh, self.base(level, spots.periods), -1)
        some = fresh[spots.task]
        self._write(rows, spots.take(some), base)
        return spots.periods

    def _reach(self, level: int, periods: Periods, asked: set[Plant]) -> None:
        """Know of periods, of plants that were asked about once."""
        last = np.full(len(periods.plants), UNKNOWN, np.int64)
        np.maximum.at(last, periods.which, periods.start_s)
        for plant, start_s in zip(periods.plants, last.tolist(), strict=True):
            if plant.newest[level] != UNKNOWN:
                plant.newest[level] = max(plant.newest[level], start_s)
            elif (
                plant in asked or self.loader is None
            ):  # rows may have filled later pages before anybody asked
                plant.newest[level] = int(self._registers[level].of(plant.number)[0][-1])

    def _add_pages(self, level: int, periods: Periods) -> None:
        """Have a page for each period, as yet without rows where there was none."""
        fresh = periods.take(self.base(level, periods) < 0)
        if len(fresh):
            base = self.pages.open(fresh.size)
            self._registers[level].add(fresh.number, fresh.start_s, base, self._epoch)
            self._fill_due(level, fresh, base)

    def _fill_due(self, level: int, periods: Periods, base: Ints) -> None:
        """Say on each page what is due of whom, and who lives then.

        Of a point without an interval what its rows say is due: a computed point owes what its operands owe.
        """
        if not len(periods):
            return
        start_ms = periods.start_s * 1000
        end_ms = next_period_ms(STORED[level], start_ms)
        entry, owner = ranges(base, base + periods.size)
        facts = [_fact(periods, name) for name in ("interval_ms", "from_ms", "to_ms")]
        columns = self.pages.columns
        if all(fact.is_alike for fact in facts):
            interval, begin, end = (fact.at(np.arange(len(periods)), 0) for fact in facts)
            due, lives = (each[owner] for each in due_in(interval, begin, end, start_ms, end_ms))
            owes = (interval == 0)[owner]
        else:
            interval, begin, end = (fact.at(owner, entry - base[owner]) for fact in facts)
            due, lives = due_in(interval, begin, end, start_ms[owner], end_ms[owner])
            owes = interval == 0
        columns["owes"][entry] = owes
        columns["due"][entry] = np.where(owes, columns["due"][entry], due) if owes.any() else due
        columns["exists"][entry] = lives

    def _write(self, rows: Rows, spots: _Spots, base: Ints) -> None:
        """Write rows on the pages that begin at `base`, one of each period."""
        columns, entry = self.pages.columns, base[spots.task] + spots.place
        owes = columns["owes"][entry] > 0
        if owes.any():
            columns["due"][entry[owes]] = numbers(rows, "due")[spots.row][owes]
        columns["gravity"][entry] = RANK[numbers(rows, "reason")[spots.row]]
        for name in HEARD:
            if name != "gravity":
                columns[name][entry] = numbers(rows, name)[spots.row]

    def _spots(self, level: int, rows: Rows) -> _Spots | None:
        """Where in the plants' pages the rows belong; rows of points that no total counts are left out."""
        enterprise, point = rows.columns["enterprise"], rows.columns["point"]
        assert isinstance(enterprise, Labels)
        assert isinstance(point, Labels)
        number, place = self._directory.find(enterprise, point)
        start_s = numbers(rows, "period_start").astype(np.int64)
        counts = place >= 0
        row: slice | Ints = slice(None)
        if not counts.all():
            row = np.flatnonzero(counts)
            number, place, start_s = number[row], place[row], start_s[row]
        if not len(place):
            return None
        plants, which, starts, task = _tasks(number, start_s, level)
        return _Spots(row, place, task, Periods([self._by_number[n] for n in plants.tolist()], which, starts))


class _Spots(NamedTuple):
    """Some rows of a table: which they are, where in the plant's pages each belongs, and of which of the periods."""

    row: slice | Ints
    place: Ints
    task: Ints
    periods: Periods

    def take(self, some: Bools) -> _Spots:
        """Keep some of the rows."""
        row = np.arange(len(some))[some] if isinstance(self.row, slice) else self.row[some]
        return self._replace(row=row, place=self.place[some], task=self.task[some])

    def full(self) -> Bools:
        """Whether the rows fill the page of each period; a point may be said several times."""
        size = self.periods.size
        first = np.cumsum(size) - size
        there = np.zeros(int(size.sum()), bool)
        there[first[self.task] + self.place] = True
        return np.asarray(np.add.reduceat(there, first, dtype=np.int64) == size)


class _Fact(NamedTuple):
    """A fact of the points of some periods, which plants say once for all their points or one by one."""

    values: Ints
    first: Ints  # of each period
    said: Ints  # how often its plant says it

    @property
    def is_alike(self) -> bool:
        """Whether all plants say it once."""
        return bool((self.said == 1).all())

    def at(self, owner: Ints, place: Ints | int) -> Ints:
        """The fact of the point at each place of the page of each owner."""
        return self.values[self.first[owner] + np.where(self.said[owner] > 1, place, 0)]


def _fact(periods: Periods, name: str) -> _Fact:
    facts = [getattr(plant, name) for plant in periods.plants]
    count = np.array([len(fact) for fact in facts], np.int64)
    first = np.cumsum(count) - count
    return _Fact(np.concatenate(facts), first[periods.which], count[periods.which])


def numbers(rows: Rows, name: str) -> npt.NDArray[np.integer]:
    """A column of numbers."""
    column = rows.columns[name]
    assert isinstance(column, np.ndarray)
    return column


def _tasks(number: Ints, start_s: Ints, level: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Distinct plants; of the distinct plants and periods which plant and start [s]; which of them each row is of."""
    if level < len(STORED) - 1:
        step = int(next_period_ms(STORED[level], np.zeros(1, np.int64))[0]) // 1000
        first, periods = int(start_s.min()), None
        period = (start_s - first) // step
    else:
        periods, period = np.unique(start_s, return_inverse=True)
        first, step = 0, 0
    plants, plant = compact(number)
    width = int(period.max()) + 1
    joint = plant * width + period
    if len(plants) * width <= _DENSE * len(joint) + 1000:
        used, task = compact(joint)
    else:
        used, task = np.unique(joint, return_inverse=True)
    which, when = np.divmod(used, width)
    return plants, which, first + when * step if periods is None else periods[when], task


def _spans(level: int, periods: Periods) -> list[Span]:
    """What to ask of each plant: everything from the first on if nothing is known yet, else neighbours together."""
    found: list[Span] = []
    order = np.lexsort((periods.start_s, periods.which))
    ends = np.searchsorted(periods.which[order], np.arange(1, len(periods.plants)))
    for plant, start_s in zip(periods.plants, np.split(periods.start_s[order], ends), strict=True):
        start_ms = start_s * 1000
        if plant.newest[level] == UNKNOWN:
            found.append((plant.code, int(start_ms[0]), FOREVER_MS))
            continue
        end_ms = next_period_ms(STORED[level], start_ms)
        breaks = np.flatnonzero(start_ms[1:] != end_ms[:-1]) + 1
        first, last = np.append(0, breaks), np.append(breaks, len(start_ms)) - 1
        edges = zip(start_ms[first].tolist(), end_ms[last].tolist(), strict=True)
        found += [(plant.code, start, end) for start, end in edges]
    return found
