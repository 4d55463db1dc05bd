"""Restatement: a changed factor rewrites exactly the day and month rows it touches, as new revisions.

A book told at position P changes what days of some items are worth in coal and CO2, and nothing else of them:
the amounts stay.  So the stored rows are enough; no reading is looked at.  The row that stood goes to the
history whatever its day of knowledge: a flow that resumes below P finds it there and restates it again, with the
same result (law 7).  As of a time before P the old numbers are found (law 4).
Source: docs/decisions/0005, 0027; design section 5 (a changed factor rewrites days, not quarter-hours).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from nengliu.analysis.named_rows import Columns, Ints, Pair, Table, month_of, owners_of, table_of
from nengliu.analysis.rollups.days import DayLoader
from nengliu.analysis.sorted import starts_of
from nengliu.domain.books import CO2, COAL, COAL_EQUAL, USES, Book, Span, Whose
from nengliu.domain.points import FOREVER_MS, Seat
from schemas.block import Rows

Bools = npt.NDArray[np.bool_]
AMOUNTS = {"coal_kgce": COAL, "coal_equal_kgce": COAL_EQUAL, "co2_kg": CO2}
_START_BITS = 33
"""Seconds since 1970 that a store's time can hold, and one bit more."""
DAY, MONTH, HISTORY = "window_day", "window_month", "window_day_history"


class Told(NamedTuple):
    """Where in the log a book was told, and when [s, UTC]."""

    position: int
    at_s: int


class Change(NamedTuple):
    """A factor of `item` differs, for somebody, on the days of ``[from_ms, to_ms)``."""

    item: str
    from_ms: int
    to_ms: int


class About(NamedTuple):
    """What a restatement must know of a point: its item, and where its enterprise is and was."""

    item: str
    region: str = ""
    stays: tuple[Seat, ...] = ()

    def regions(self) -> list[tuple[int, str]]:
        """Since when [ms, UTC] it is in which region; the first holds before it, too."""
        later = [(seat.from_ms, seat.region) for seat in self.stays[1:]]
        return [(-FOREVER_MS, self.stays[0].region if self.stays else self.region), *later]


@dataclass(frozen=True, slots=True)
class Stored:
    """Rows of one month as they are stored: all days, and the month, of points of some items.

    Rows have the columns of their table; `about` says what each of their points is.
    """

    days: Rows
    months: Rows
    about: dict[Pair, About]


class Loader(Protocol):
    """Where stored rows come from; both calls see only what was written below a position of the log."""

    def months(self, changed: Sequence[Change], before: int) -> Iterable[int]:
        """Starts [ms, UTC] of the months in which points of the changed items have days."""

    def load(self, items: Sequence[str], month_ms: int, before: int) -> Iterator[Stored]:
        """Rows of one month of all points of these items, some enterprises at a time."""


def changes(old: Book, new: Book) -> tuple[Change, ...]:
    """Say for which items and days two books differ.

    >>> from nengliu.domain.books import book_of
    >>> row = {"item": "heat", "factor": "co2", "basis": "", "valid_from": "2020-01-01", "valid_to": "", "value": "1"}
    >>> later = {**row, "value": "2", "valid_from": "2024-01-01"}
    >>> first = {**row, "valid_to": "2024-01-01"}
    >>> [(c.item, c.to_ms > 2**61) for c in changes(book_of("a", [row]), book_of("b", [first, later]))]
    [('heat', True)]
    """
    found: dict[str, list[tuple[int, int]]] = {}
    for key in sorted({*old.spans, *new.spans}):
        item, use = key[0], key[1:]
        before, after = old.spans.get(key, ()), new.spans.get(key, ())
        if use in USES and before != after:
            found.setdefault(item, []).extend(_differing(before, after))
    return tuple(Change(item, *span) for item, spans in found.items() for span in _joined(spans))


def _differing(before: Sequence[Span], after: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """Stretches of time in which other spans are in force."""
    edges = sorted({edge for span in (*before, *after) for edge in (span.from_ms, span.to_ms)})
    for start, end in pairwise(edges):
        if _in_force(before, start) != _in_force(after, start):
            yield start, end


def _in_force(spans: Sequence[Span], at_ms: int) -> list[tuple[Any, ...]]:
    return [span[2:] for span in spans if span.from_ms <= at_ms < span.to_ms]


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted stretches; those that touch become one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


class Restater:
    """Restates the rows of one shard; what may not be stored yet it remembers itself."""

    def __init__(self, loader: Loader | None = None) -> None:
        """Start with nothing seen; without a loader there is nothing but what is seen."""
        self.loader = loader
        self._seen: list[Rows] = []
        self._restated: list[Rows] = []

    def see(self, rows: Iterable[Rows]) -> None:
        """Remember day and month rows that were said and may not be stored yet (nothing is copied)."""
        self._seen += [each for each in rows if each.table in (DAY, MONTH) and len(each)]

    def seal(self, stored: int) -> None:
        """Forget what is surely stored: rows below a position."""
        self._seen = [rows for rows in self._seen if _newest(rows) >= stored]
        self._restated = [rows for rows in self._restated if _newest(rows) >= stored]

    def over(self, loader: DayLoader) -> DayLoader:
        """Lay restated days that may not be stored yet over what a loader of days finds.

        The loader sees what was written below a position and so finds the row that stood before.
        """

        def load(points: list[Pair], month_ms: Ints, before: int) -> tuple[list[Pair], Columns] | None:
            found = loader(points, month_ms, before)
            if found is not None:
                for rows in self._restated:
                    _lay_over(*found, rows)
            return found

        return load

    def restate(
        self, old: Book, new: Book, told: Told, before: int, describe: Callable[[Pair], About]
    ) -> Iterator[Rows]:
        """Say the rows that another book changes, month by month: history, then days, then the month.

        Parameters
        ----------
        before
            Position below which rows are loaded; those from it on are remembered from `see`.
        describe
            What a remembered point is.
        """
        changed = changes(old, new)
        items = sorted({change.item for change in changed})
        seen = [(rows, month_of(rows.columns["period_start"])) for rows in self._seen]
        found = set(self.loader.months(changed, before)) if self.loader and items else set()
        found |= {month for _, months in seen for month in np.unique(months).tolist()} if items else set()
        for month in sorted(found):
            mine = {t: _remembered([r for r, _ in seen if r.table == t], month) for t in (DAY, MONTH)}
            for part in self._parts(items, month, before, mine, describe):
                out = restated(part, old, new, told, changed)
                self.see(out)
                self._restated += [rows for rows in out if rows.table == DAY]
                yield from out

    def _parts(
        self,
        items: list[str],
        month: int,
        before: int,
        mine: dict[str, Rows | None],
        describe: Callable[[Pair], About],
    ) -> Iterator[Stored]:
        """Stored rows with the remembered ones laid over them; last the points of which nothing is stored."""
        left = {pair for rows in mine.values() if rows is not None for pair in owners_of(rows)[1]}
        for part in self.loader.load(items, month, before) if self.loader else ():
            left -= set(part.about)
            yield _overlaid(part, mine)
        about = {pair: describe(pair) for pair in sorted(left)}
        about = {pair: what for pair, what in about.items() if what.item in items}
        if about:
            nothing = Rows(DAY, {}), Rows(MONTH, {})
            yield _overlaid(Stored(*nothing, about), mine)


def restated(part: Stored, old: Book, new: Book, told: Told, changed: Sequence[Change]) -> list[Rows]:
    """Rows of one part that another book changes; see `Restater.restate`."""
    days = table_of([part.days])
    if days is None:
        return []
    days = days.take(np.lexsort((days.columns["period_start"], days.owner)))
    touched = _touched(days, part.about, old, new, changed)
    if not touched.any():
        return []
    fresh = days.take(touched)
    columns = fresh.columns | _worth(fresh, part.about, new)
    columns["book"] = np.full(len(fresh.owner), new.digest, object)
    columns["known_at"] = np.maximum(columns["known_at"], told.at_s)
    columns["revision"] = np.maximum(columns["revision"], np.uint64(told.position))
    after = Table(days.pairs, fresh.owner, columns)
    whole = {name: days.columns[name].copy() for name in (*AMOUNTS, "known_at", "revision")}
    for name, column in whole.items():
        column[touched] = columns[name]
    months = _months(part, days, whole, np.unique(fresh.owner), new)
    out = [fresh.rows(HISTORY), after.rows(DAY)]
    return out if months is None else [*out, months]


def _touched(days: Table, about: dict[Pair, About], old: Book, new: Book, changed: Sequence[Change]) -> Bools:
    """Days whose factor is another one in the new book."""
    touched = np.zeros(len(days.owner), bool)
    start_ms = days.columns["period_start"].astype(np.int64) * 1000
    for item, mask in _by_item(days, about):
        inside = np.zeros(len(mask), bool)
        for change in changed:
            if change.item == item:
                inside |= (start_ms >= change.from_ms) & (start_ms < change.to_ms)
        asked = mask & inside
        for use in USES:
            was, is_now = (_factors(book, item, use, days, about, asked) for book in (old, new))
            touched[asked] |= (was != is_now) & ~(np.isnan(was) & np.isnan(is_now))
    return touched


def _worth(days: Table, about: dict[Pair, About], book: Book) -> Columns:
    """Coal and CO2 of days by a book, from whole ticks as the rollups compute them."""
    amount = days.columns["used"] / 10.0 ** days.columns["decimals"].astype(np.int64)
    found = {name: np.full(len(amount), np.nan) for name in AMOUNTS}
    for item, mask in _by_item(days, about):
        for name, use in AMOUNTS.items():
            found[name][mask] = amount[mask] * _factors(book, item, use, days, about, mask)
    return found


def _by_item(days: Table, about: dict[Pair, About]) -> Iterator[tuple[str, Bools]]:
    """Each item with a mask of its days; points nobody described are left out."""
    of_pair = np.array([about[pair].item if pair in about else "" for pair in days.pairs], object)
    item_of = of_pair[days.owner]
    for item in sorted({*of_pair.tolist()} - {""}):
        yield item, item_of == item


def _factors(
    book: Book, item: str, use: tuple[str, str], days: Table, about: dict[Pair, About], mask: Bools
) -> npt.NDArray[np.float64]:
    start_ms, owner = days.columns["period_start"][mask].astype(np.int64) * 1000, days.owner[mask]
    if not book.is_local(item, use):
        return book.values(item, use, start_ms)
    seats = [about[pair].regions() if pair in about else [] for pair in days.pairs]
    whose = [
        Whose(pair[0], region) for pair, each in zip(days.pairs, seats, strict=True) for _, region in each
    ]
    count = np.array([len(each) for each in seats])
    seat = (np.cumsum(count) - count)[owner]
    for moved in np.flatnonzero(count > 1).tolist():
        mine = owner == moved
        starts = np.array([from_ms for from_ms, _ in seats[moved]])
        seat[mine] += np.searchsorted(starts, start_ms[mine], side="right") - 1
    return book.values_by(item, use, start_ms, seat, whose)


def _months(part: Stored, days: Table, whole: Columns, owners: Ints, book: Book) -> Rows | None:
    """Month rows of some owners with the sums of their days; one that is newer already is left alone."""
    months = table_of([part.months])
    if months is None:
        return None
    wanted = {days.pairs[owner]: owner for owner in owners.tolist()}
    owner = np.array([wanted.get(pair, -1) for pair in months.pairs], np.int64)[months.owner]
    months, owner = months.take(owner >= 0), owner[owner >= 0]
    if not len(owner):
        return None
    first = starts_of(days.owner)
    at = np.searchsorted(days.owner[first], owner)
    sums = {name: np.add.reduceat(whole[name], first)[at] for name in AMOUNTS}
    tops = {name: np.maximum.reduceat(whole[name], first)[at] for name in ("known_at", "revision")}
    columns = months.columns | sums | tops | {"book": np.full(len(owner), book.digest, object)}
    newer = months.columns["revision"] > tops["revision"]
    found = Table(months.pairs, months.owner, columns).take(~newer)
    return found.rows(MONTH) if len(found.owner) else None


def _overlaid(part: Stored, mine: dict[str, Rows | None]) -> Stored:
    """A part with remembered rows of its points; of two versions the higher revision stays."""
    laid: dict[str, Rows] = {}
    for table, rows in ((DAY, part.days), (MONTH, part.months)):
        joined = table_of([each for each in (rows, mine[table]) if each is not None], only=part.about)
        if joined is None:
            laid[table] = rows
            continue
        keys = (joined.columns["revision"], joined.columns["period_start"], joined.owner)
        joined = joined.take(np.lexsort(keys))
        start = joined.columns["period_start"]
        last = np.append((joined.owner[1:] != joined.owner[:-1]) | (start[1:] != start[:-1]), True)
        laid[table] = joined.take(last).rows(table)
    return replace(part, days=laid[DAY], months=laid[MONTH])


def _lay_over(said: list[Pair], columns: Columns, rows: Rows) -> None:
    """Put the worth and the version of restated days into loaded columns."""
    table = table_of([rows], only=said)
    if table is None:
        return
    number = {pair: i for i, pair in enumerate(said)}
    owner = np.array([number.get(pair, 0) for pair in table.pairs], np.int64)[table.owner]
    keys = _key(owner, table.columns["period_start"])
    order = np.argsort(keys)
    loaded = _key(columns["index"], columns["period_start_s"])
    place = np.minimum(np.searchsorted(keys[order], loaded), len(keys) - 1)
    here = np.flatnonzero(keys[order][place] == loaded)
    source = order[place[here]]
    newer = table.columns["revision"][source] >= columns["revision"][here]
    here, source = here[newer], source[newer]
    for name in (*AMOUNTS, "revision", "known_at_s"):
        columns[name] = columns[name].copy()  # what a store answers cannot be written
        columns[name][here] = table.columns[name.removesuffix("_s")][source]


def _key(owner: Ints, start_s: npt.NDArray[Any]) -> Ints:
    return owner.astype(np.int64) << _START_BITS | start_s.astype(np.int64)


def _newest(rows: Rows) -> int:
    return int(np.asarray(rows.columns["revision"]).max())


def _remembered(rows: list[Rows], month: int) -> Rows | None:
    """The remembered rows of one table that lie in a month."""
    joined = table_of(rows)
    if joined is None:
        return None
    return joined.take(month_of(joined.columns["period_start"]) == month).rows(rows[0].table)
