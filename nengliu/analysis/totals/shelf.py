"""Shelf: the pages of all plants of a shard, filled by window rows as they are made, or asked of the store.

Of a period later than the newest one known of a plant nothing can be stored, so nothing is asked; of the first
period of a plant, and of older ones that are no longer held, the store is asked unless the rows at hand fill the page.
What is surely stored and is not a plant's newest period is given up, an epoch after it was last needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.sorted import compact, ranges
from nengliu.analysis.totals.pages import HEARD, Pages
from nengliu.analysis.totals.plants import UNKNOWN, Plant, Texts, describe, due_in, key_of
from nengliu.analysis.windows import RANK
from nengliu.domain.points import FOREVER_MS
from nengliu.domain.times import STORED, Level, next_period_ms
from schemas.block import Labels, Rows

Ints = npt.NDArray[np.int64]
Span = tuple[str, int, int]
_Names = tuple[tuple[str, ...], tuple[str, ...]]
_DENSE = 8
"""Groups are numbered without sorting while there are at most so many times as many as rows."""


class WindowLoader(Protocol):
    """What the store tells of windows below a position of the log."""

    def windows(self, level: Level, spans: Sequence[Span], before: int) -> Rows | None:
        """Window rows of enterprises, each from an instant to another [ms, UTC], the newest version of each."""

    def days(self, before: int) -> dict[str, tuple[int, int]]:
        """Span of days [ms, UTC] of which each enterprise has totals; it may say too much."""


class Touch(NamedTuple):
    """A period of a plant that window rows came for."""

    plant: Plant
    start_s: int


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
        self._last: tuple[_Names, tuple[Ints, Ints]] | None = None
        self._used: list[tuple[Plant, int]] = []
        self._used_before: list[tuple[Plant, int]] = []

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
        self._last = None
        if code in self._plants:
            self._plants[code].is_stale = True

    def put(self, level: int, rows: Rows) -> list[Touch]:
        """Write window rows over what stands; say which pages they touched."""
        spots = self._spots(rows)
        if not len(spots.row):
            return []
        number, start_s, task = _tasks(spots.number, spots.start_s, level)
        touches = [Touch(self._by_number[n], s) for n, s in zip(number, start_s, strict=True)]
        count = np.bincount(task, minlength=len(touches)).tolist()
        self._open(level, touches, [n == touch.plant.size for n, touch in zip(count, touches, strict=True)])
        base = [touch.plant.pages[key_of(level, touch.start_s)] for touch in touches]
        self._write(rows, spots.row, np.array(base)[task] + spots.place)
        return touches

    def ensure(self, level: int, plant: Plant, starts_s: Iterable[int]) -> None:
        """Have pages of these periods, empty where nothing is stored."""
        self._open(level, [Touch(plant, start_s) for start_s in starts_s], None)

    def load(self, level: int, plant: Plant, from_ms: int, to_ms: int) -> list[int]:
        """Have pages of all periods in a span of which there are rows; say their starts [s]."""
        if self.loader is not None:
            self._load(level, self.loader.windows(STORED[level], [(plant.code, from_ms, to_ms)], self.stored))
        revision = self.pages.columns["revision"]
        pages = ((*divmod(key, len(STORED)), base) for key, base in plant.pages.items())
        return sorted(
            start_s
            for start_s, of, base in pages
            if of == level and from_ms <= start_s * 1000 < to_ms and revision[base : base + plant.size].any()
        )

    def close(self, level: int, plant: Plant, starts_s: Iterable[int]) -> None:
        """Give up pages that are surely stored."""
        for start_s in starts_s:
            self._give_up(plant, key_of(level, start_s))

    def seal(self, stored: int) -> None:
        """End an epoch: what was used in the one before, and is stored, may go."""
        self.stored = max(self.stored, stored)
        before, self._used_before, self._used = self._used_before, self._used, []
        for plant, key in before:
            self._give_up(plant, key)

    def _give_up(self, plant: Plant, key: int) -> None:
        base = plant.pages.get(key)
        start_s, level = divmod(key, len(STORED))
        if base is None or self.loader is None or start_s == plant.newest[level]:
            return
        if int(self.pages.columns["revision"][base : base + plant.size].max()) >= self.stored:
            self._used.append((plant, key))
            return
        self.pages.close(plant.pages.pop(key), plant.size)

    def _describe(self, plant: Plant) -> None:
        """Lay a plant out as the catalogue has it, and its pages with it."""
        old = describe(plant, self.catalogue, self.texts)
        if old != plant.place:
            stays = [name for name in plant.place if name in old]
            from_place, to_place = (np.array([of[n] for n in stays], np.int64) for of in (old, plant.place))
            for key, base in plant.pages.items():
                plant.pages[key] = self.pages.move(base, len(old), from_place, to_place, plant.size)
        for level in range(len(STORED)):
            self._fill_due(
                level, [(plant, k // len(STORED)) for k in plant.pages if k % len(STORED) == level]
            )

    def _open(self, level: int, touches: Sequence[Touch], full: Sequence[bool] | None) -> None:
        """Have a page for each period, asking the store where it may know one.

        `full` says of each that the rows at hand fill it.
        """
        missing: list[Touch] = []
        asked: dict[Plant, list[int]] = {}
        for i, touch in enumerate(touches):
            plant, start_s = touch
            key = key_of(level, start_s)
            self._used.append((plant, key))
            if key in plant.pages:
                continue
            missing.append(touch)
            newest = plant.newest[level]
            if (newest == UNKNOWN or start_s <= newest) and not (full and full[i]):
                asked.setdefault(plant, []).append(start_s)
        if asked and self.loader is not None:
            spans = [span for plant, starts in asked.items() for span in _spans(plant, level, starts)]
            missing += self._load(level, self.loader.windows(STORED[level], spans, self.stored))
        self._add_pages(level, missing)
        for plant, start_s in missing:
            if plant.newest[level] != UNKNOWN or plant in asked or self.loader is None:
                self._reach(level, plant, start_s)

    def _load(self, level: int, rows: Rows | None) -> list[Touch]:
        """Make pages of stored rows and say which; what is held already is newer."""
        if rows is None or not len(rows):
            return []
        spots = self._spots(rows)
        if not len(spots.row):
            return []
        number, start_s, task = _tasks(spots.number, spots.start_s, level)
        touches = [Touch(self._by_number[n], s) for n, s in zip(number, start_s, strict=True)]
        fresh = np.array([key_of(level, t.start_s) not in t.plant.pages for t in touches])
        self._add_pages(level, touches)
        for touch in touches:
            self._used.append((touch.plant, key_of(level, touch.start_s)))
        base = np.array([t.plant.pages[key_of(level, t.start_s)] for t in touches])
        some = fresh[task]
        self._write(rows, spots.row[some], (base[task] + spots.place)[some])
        return touches

    def _reach(self, level: int, plant: Plant, start_s: int) -> None:
        """Know of a period; the newest one before it may go in time."""
        newest = plant.newest[level]
        if start_s > newest:
            plant.newest[level] = start_s
            if newest != UNKNOWN:
                self._used.append((plant, key_of(level, newest)))

    def _add_pages(self, level: int, touches: Iterable[Touch]) -> None:
        fresh = []
        for plant, start_s in touches:
            key = key_of(level, start_s)
            if key not in plant.pages:
                plant.pages[key] = self.pages.open(plant.size)
                fresh.append((plant, start_s))
        self._fill_due(level, fresh)

    def _fill_due(self, level: int, periods: Sequence[tuple[Plant, int]]) -> None:
        """Say on each page what is due of whom, and who lives then.

        Of a point without an interval what its rows say is due: a computed point owes what its operands owe.
        """
        if not periods:
            return
        start_ms = np.array([start_s for _, start_s in periods], np.int64) * 1000
        end_ms = next_period_ms(STORED[level], start_ms)
        size = np.array([plant.size for plant, _ in periods], np.int64)
        base = np.array([plant.pages[key_of(level, s)] for plant, s in periods], np.int64)
        entry, owner = ranges(base, base + size)
        plants = [plant for plant, _ in periods]
        facts = [
            _spread(plants, name, entry - base[owner], owner) for name in ("interval_ms", "from_ms", "to_ms")
        ]
        due, lives = due_in(facts[0], facts[1], facts[2], start_ms[owner], end_ms[owner])
        owes = facts[0] == 0
        self.pages.columns["owes"][entry] = owes
        self.pages.columns["due"][entry] = np.where(owes, self.pages.columns["due"][entry], due)
        self.pages.columns["exists"][entry] = lives

    def _write(self, rows: Rows, row: Ints, entry: Ints) -> None:
        columns = self.pages.columns
        owes = columns["owes"][entry] > 0
        if owes.any():
            columns["due"][entry[owes]] = numbers(rows, "due")[row[owes]]
        columns["gravity"][entry] = RANK[numbers(rows, "reason")[row]]
        for name in HEARD:
            if name != "gravity":
                columns[name][entry] = numbers(rows, name)[row]

    def _spots(self, rows: Rows) -> _Spots:
        """Where in the plants' pages the rows belong; rows of points that no total counts are left out."""
        enterprise, point = rows.columns["enterprise"], rows.columns["point"]
        assert isinstance(enterprise, Labels)
        assert isinstance(point, Labels)
        codes, names = _pairs(enterprise, point)
        numbered, places = self._found(names)
        at = places[codes]
        row = np.flatnonzero(at >= 0)
        start_s = numbers(rows, "period_start")[row].astype(np.int64)
        return _Spots(row, numbered[codes[row]], at[row], start_s)

    def _found(self, names: _Names) -> tuple[Ints, Ints]:
        """Number of the plant and place on its pages of each point, -1 for one that no total counts.

        The tables of one stretch share their names, so the last answer is kept until the catalogue changes.
        """
        if self._last is not None and all(a is b for a, b in zip(self._last[0], names, strict=True)):
            return self._last[1]
        number, place = [], []
        last, plant = None, None
        for code, name in zip(*names, strict=True):
            if plant is None or code is not last:
                last, plant = code, self.plant(code)
            number.append(plant.number)
            place.append(plant.place.get(name, -1))
        found = np.array(number, np.int64), np.array(place, np.int64)
        self._last = names, found
        return found


class _Spots(NamedTuple):
    row: Ints
    number: Ints  # of the plant
    place: Ints  # in its pages
    start_s: Ints


def _spread(plants: Sequence[Plant], name: str, place: Ints, owner: Ints) -> Ints:
    """A fact of the point at each place of a page, where plants say it once for all their points or one by one."""
    facts = [getattr(plant, name) for plant in plants]
    count = np.array([len(fact) for fact in facts], np.int64)
    first = np.cumsum(count) - count
    found: Ints = np.concatenate(facts)[first[owner] + np.where(count[owner] > 1, place, 0)]
    return found


def numbers(rows: Rows, name: str) -> npt.NDArray[np.integer]:
    """A column of numbers."""
    column = rows.columns[name]
    assert isinstance(column, np.ndarray)
    return column


def _pairs(enterprise: Labels, point: Labels) -> tuple[npt.NDArray[np.integer], _Names]:
    """Which enterprise and point each row has, of lists of enterprises and points, pair by pair."""
    if enterprise.codes is point.codes and len(enterprise.dictionary) == len(point.dictionary):
        return enterprise.codes, (enterprise.dictionary, point.dictionary)
    width = max(len(point.dictionary), 1)
    used, codes = np.unique(enterprise.codes.astype(np.int64) * width + point.codes, return_inverse=True)
    who, what = (each.tolist() for each in np.divmod(used, width))
    return codes, (tuple(enterprise.dictionary[i] for i in who), tuple(point.dictionary[i] for i in what))


def _tasks(number: Ints, start_s: Ints, level: int) -> tuple[list[int], list[int], Ints]:
    """Distinct plants and periods, and which of them each row belongs to."""
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
    who, when = np.divmod(used, width)
    starts = first + when * step if periods is None else periods[when]
    return plants[who].tolist(), starts.tolist(), task


def _spans(plant: Plant, level: int, starts_s: list[int]) -> list[Span]:
    """What to ask of a plant: everything from the first on if nothing is known yet, else neighbours together."""
    if plant.newest[level] == UNKNOWN:
        return [(plant.code, min(starts_s) * 1000, FOREVER_MS)]
    start_ms = np.array(sorted(starts_s), np.int64) * 1000
    end_ms = next_period_ms(STORED[level], start_ms)
    breaks = np.flatnonzero(start_ms[1:] != end_ms[:-1]) + 1
    first, last = np.append(0, breaks), np.append(breaks, len(start_ms)) - 1
    return [(plant.code, a, b) for a, b in zip(start_ms[first].tolist(), end_ms[last].tolist(), strict=True)]
