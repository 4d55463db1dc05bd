"""Totals of one shard: window rows of points in, rows of nodes and enterprises out.

`TotalShard.add(rows)` takes the window rows in the order they were made and says the totals they change, each one
computed whole from the newest rows of its points; `take(notice)` comes before the catalogue takes the notice, and
what it changes is said with the next rows.  A total's revision is the newest among its points' rows and the notices
that shaped it in that period, so that neither batch cuts nor replays change it (docs/decisions/0026).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import is_

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import ALL_ITEMS, Catalogue
from nengliu.analysis.rollups.level_rows import FACTORS
from nengliu.analysis.totals.pages import MAXIMA, SUMS, Columns
from nengliu.analysis.totals.plants import (
    Layout,
    Periods,
    Plant,
    layouts_of,
    periods_of,
    shapes,
    unite,
)
from nengliu.analysis.totals.rows import accounts, rows_of
from nengliu.analysis.totals.shelf import Shelf, WindowLoader, numbers
from nengliu.analysis.totals.sums import AMOUNTS, COUNTS, Joined, combine, join, reduce
from nengliu.domain.books import USES, Book
from nengliu.domain.space import affected, depth_of, moved
from nengliu.domain.times import DAY_MS, STORED, Level, next_period_ms, period_start_ms
from schemas.block import Rows
from schemas.messages import EnterpriseNotice, Notice, PointNotice

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.uint64]
Span = tuple[int, int]
CellKey = tuple[int, int, int, int]
"""Owner, and numbers of node, item and unit."""
LEVEL_OF = {f"window_{level}": number for number, level in enumerate(STORED)}
_DAY = STORED.index(Level.DAY)
_MONTH = STORED.index(Level.MONTH)


@dataclass(frozen=True, slots=True)
class _Change:
    """A notice changed totals of some items of a plant (None: all) in a span [ms, UTC]; `layouts` stood before it."""

    from_ms: int
    to_ms: int
    items: frozenset[str] | None
    layouts: list[Layout]

    def speaks_of(self, item: str) -> bool:
        """Whether an item is concerned."""
        return self.items is None or item in self.items


class TotalShard:
    """Totals of one shard; plain Python, no stream (see the head of this file)."""

    def __init__(self, catalogue: Catalogue, loader: WindowLoader | None = None) -> None:
        """Start empty; the catalogue is that of the window shard, the loader tells what is stored."""
        self.catalogue, self._loader = catalogue, loader
        self._shelf = Shelf(catalogue, loader)
        self._changes: dict[str, _Change] = {}
        self._stored_days: dict[str, Span] | None = None if loader else {}
        self._said_days: dict[str, Span] = {}
        self._edges: tuple[str, list[int]] = "", []
        self._joined: tuple[list[Layout], Joined] | None = None
        """Layouts of the sums before: those of the next level are the same as a rule."""

    def take(self, notice: Notice, stored: int) -> list[Rows]:
        """Take a notice in before the catalogue does; say what the one before it, of the same plant, changed.

        Positions below `stored` are surely stored.
        """
        if not isinstance(notice, PointNotice | EnterpriseNotice):
            return []
        code = notice.value.enterprise
        self._shelf.stored = max(self._shelf.stored, stored)
        self.catalogue.know(code, stored)
        out = self._restate(code)
        change = self._change(code, notice)
        if change is not None:
            self._changes[code] = change
        self._shelf.forget(code)
        return out

    def add(self, rows: Sequence[Rows], stored: int) -> list[Rows]:
        """Take window rows in, in the order they were made; say the totals they change."""
        self._shelf.stored = max(self._shelf.stored, stored)
        out = [some for code in list(self._changes) for some in self._restate(code)]
        touched: list[list[Periods]] = [[] for _ in STORED]
        floor = 2**64 - 1
        for some in rows:
            if some.table in LEVEL_OF and len(some):
                level = LEVEL_OF[some.table]
                periods = self._shelf.put(level, some)
                touched[level] += [periods] if periods is not None else []
                floor = min(floor, int(numbers(some, "revision").min()))
        out += [self._said(level, unite(each), floor) for level, each in enumerate(touched) if each]
        return [some for some in out if len(some)]

    def seal(self, stored: int) -> None:
        """End an epoch: what came before the last one is stored and may be forgotten."""
        self._shelf.seal(stored)

    def _said(self, level: int, periods: Periods, floor: int) -> Rows:
        """Totals of touched periods that rest on a row of at least revision `floor`."""
        if level == _DAY:
            for plant, start_ms in zip(periods.owners(), (periods.start_s * 1000).tolist(), strict=True):
                day = start_ms, start_ms + DAY_MS
                self._said_days[plant.code] = _hull(self._said_days.get(plant.code, day), day)
        cells = self._cells(level, periods)
        return self._rows(
            level, periods, _take(cells, cells["stands"] & (cells["newest"] >= np.uint64(floor)))
        )

    def _rows(self, level: int, periods: Periods, cells: Columns) -> Rows:
        return rows_of(STORED[level], cells, periods, self._shelf.texts, self.catalogue.book)

    def _cells(self, level: int, periods: Periods) -> Columns:
        """All cells of some periods; `owner` says of which.

        `newest` is the newest revision among their points' rows; one that `stands` is more than a single point.
        """
        cut = self._is_cut(level, periods)
        whole = np.flatnonzero(~cut)
        found = []
        if len(whole):
            stretches = periods.take(whole)
            cells = self._sums(level, stretches, self._shelf.base(level, stretches))
            found.append(cells | {"owner": whole[cells["owner"]]})
        for i in np.flatnonzero(cut).tolist():
            cells = self._split(level, periods.take(np.array([i])))
            found.append(cells | {"owner": np.full(len(cells["owner"]), i)})
        cells = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
        cells["newest"] = cells["revision"]
        cells["stands"] = (cells["depth"] == 0) | (cells["meters_due"] + cells["members_due"] > 1)
        cells["revision"] = self._shaped(level, cells, periods)
        return cells

    def _sums(self, level: int, stretches: Periods, base: Ints) -> Columns:
        """Cells over the pages at `base`, one for each stretch, in the era that holds its start."""
        layouts, number = layouts_of(stretches)
        if self._joined is None or not _same(self._joined[0], layouts):
            self._joined = layouts, join(layouts)
        cells = reduce(self._shelf.pages.columns, self._joined[1].of(number), base)
        if level >= _DAY:
            cells |= accounts(cells, stretches, self._shelf.texts, self.catalogue.book)
        return cells

    def _split(self, level: int, period: Periods) -> Columns:
        """Cells of a period that holds a change: each stretch by its own era or factors, from the levels below."""
        (plant,), pages = period.plants, self._shelf.pages
        (start_ms,), (end_ms,) = (each.tolist() for each in _bounds(level, period))
        edges = [start_ms, *self._cuts(level, plant, start_ms, end_ms), end_ms]
        stretches = periods_of(plant, [at // 1000 for at in edges[:-1]])
        base = pages.open(stretches.size)
        for page, start, end in zip(base.tolist(), edges[:-1], edges[1:], strict=True):
            self._gather(plant, level - 1, start, end, page)
            due, lives = plant.due(start, end)
            own = pages.columns["due"][page : page + plant.size]
            own[:] = np.where(plant.interval_ms == 0, own, due)
            pages.columns["exists"][page : page + plant.size] = lives
        cells = self._sums(level, stretches, base)
        for page in base.tolist():
            pages.close(page, plant.size)
        cells["owner"] = np.zeros(len(cells["owner"]), np.int64)
        return combine(cells, (*AMOUNTS, *COUNTS, *(FACTORS if level >= _DAY else ())))

    def _gather(self, plant: Plant, level: int, start_ms: int, end_ms: int, base: int) -> None:
        """Add the rows of a stretch to a page: whole periods of this level, what is left from the level below."""
        starts = _starts(level, start_ms, end_ms)
        periods = periods_of(plant, [at // 1000 for at in starts])
        self._shelf.ensure(level, periods)
        for at, page in zip(starts, self._shelf.base(level, periods).tolist(), strict=True):
            end = _end(level, at)
            if at < start_ms or end > end_ms:
                self._gather(plant, level - 1, max(at, start_ms), min(end, end_ms), base)
                continue
            columns = self._shelf.pages.columns
            for name in (*SUMS, "due", *MAXIMA):
                total = columns[name][base : base + plant.size]
                merge = np.maximum if name in MAXIMA else np.add
                merge(total, columns[name][page : page + plant.size], out=total)

    def _is_cut(self, level: int, periods: Periods) -> Bools:
        """Whether each period (n,) holds a change."""
        start_ms, end_ms = _bounds(level, periods)
        cut = np.zeros(len(periods), bool)
        if level >= _MONTH:
            edges = np.array(self._factor_edges(), np.int64)
            cut = np.searchsorted(edges, start_ms, "right") < np.searchsorted(edges, end_ms)
        changed = np.array([len(plant.layouts) > 1 for plant in periods.plants], bool)[periods.which]
        for i in np.flatnonzero(changed).tolist():
            cut[i] |= bool(periods.plants[periods.which[i]].cuts(int(start_ms[i]), int(end_ms[i])))
        return cut

    def _cuts(self, level: int, plant: Plant, start_ms: int, end_ms: int) -> list[int]:
        """Where a period is cut: changes of the plant, and of factors inside a month."""
        edges = self._factor_edges() if level >= _MONTH else []
        return sorted({*plant.cuts(start_ms, end_ms), *(at for at in edges if start_ms < at < end_ms)})

    def _factor_edges(self) -> list[int]:
        book = self.catalogue.book
        if self._edges[0] != book.digest:
            self._edges = book.digest, _edges_of(book)
        return self._edges[1]

    def _shaped(self, level: int, cells: Columns, periods: Periods) -> Keys:
        """Revision of each cell: the newest among its points' rows and the notices that shaped it in its period."""
        revision = cells["revision"].copy()
        low = np.flatnonzero(revision < cells["told"])
        if not len(low):
            return revision
        owner, item = cells["owner"][low], cells["item"][low]
        start_ms, end_ms = _bounds(level, periods)
        joint = periods.which[owner] << 32 | item
        for one in np.unique(joint).tolist():
            some = low[joint == one]
            at = cells["owner"][some]
            plant, name = periods.plants[one >> 32], self._shelf.texts.names[one & 0xFFFFFFFF]
            for (from_ms, to_ms), position in _spans_of(self.catalogue, plant.code, name).items():
                inside = some[(start_ms[at] < to_ms) & (end_ms[at] > from_ms)]
                revision[inside] = np.maximum(revision[inside], np.uint64(position))
        return revision

    def _change(self, code: str, notice: PointNotice | EnterpriseNotice) -> _Change | None:
        """What a notice changes of totals that are said already; None if of none."""
        if self._days(code) is None:
            return None
        if isinstance(notice, EnterpriseNotice):
            span = moved(self.catalogue.enterprises.get(code), notice.value)
            items = None
        else:
            facts = self.catalogue.points.get((code, notice.value.point))
            old = facts.point if facts else None
            span = affected(old, notice.value)
            items = frozenset(point.item for point in (old, notice.value) if point)
        return None if span is None else _Change(*span, items, self._shelf.plant(code).layouts)

    def _restate(self, code: str) -> list[Rows]:
        """Say anew what a notice changed, month by month."""
        change = self._changes.pop(code, None)
        span = self._days(code) if change else None
        if change is None or span is None:
            return []
        plant = self._shelf.plant(code)
        months = _starts(_MONTH, *span)
        start_ms, end_ms = max(change.from_ms, months[0]), min(change.to_ms, _end(_MONTH, months[-1]))
        if start_ms >= end_ms:
            return []
        out: list[Rows] = []
        for month in _starts(_MONTH, start_ms, end_ms):
            stretch = max(month, start_ms), min(_end(_MONTH, month), end_ms)
            for level in range(len(STORED)):
                out += self._restate_level(level, plant, change, stretch)
        return [rows for rows in out if len(rows)]

    def _restate_level(self, level: int, plant: Plant, change: _Change, stretch: Span) -> Iterator[Rows]:
        """Totals of one level whose periods touch a stretch of time."""
        starts = _starts(level, *stretch)
        asked = periods_of(plant, [at // 1000 for at in starts])
        held = asked.start_s[self._shelf.base(level, asked) >= 0]
        periods = self._shelf.load(level, plant, starts[0], _end(level, starts[-1]))
        if not len(periods):
            return
        cells = self._cells(level, periods)
        yield self._rows(level, periods, self._concerned(level, periods, cells, change))
        self._shelf.close(level, periods.take(~np.isin(periods.start_s, held)))

    def _concerned(self, level: int, periods: Periods, cells: Columns, change: _Change) -> Columns:
        """Cells that a change concerns, and an empty one for each that stood before it and does not any more."""
        names = self._shelf.texts.names
        stood = {key for key in self._stood(level, periods, change) if change.speaks_of(names[key[2]])}
        stands = _standing(cells)
        keep = [key in stood or (key in stands and change.speaks_of(names[key[2]])) for key in _keys(cells)]
        kept = _take(cells, np.array(keep, bool) & cells["stands"])
        gone = stood - set(_keys(kept))
        return self._with_empty(level, periods, kept, sorted(gone)) if gone else kept

    def _stood(self, level: int, periods: Periods, change: _Change) -> set[CellKey]:
        """Cells of the periods of one plant that were heard as it was before a change; some may have had no row."""
        (plant,) = periods.plants
        now, plant.layouts = plant.layouts, change.layouts
        try:
            cells = self._cells(level, periods)
            return set(_keys(_take(cells, cells["newest"] > 0)))
        finally:
            plant.layouts = now

    def _with_empty(self, level: int, periods: Periods, cells: Columns, gone: list[CellKey]) -> Columns:
        """Add cells without a point, so that what stood under their names does not stand on."""
        empty = {name: np.zeros(len(gone), column.dtype) for name, column in cells.items()}
        for name in FACTORS:
            if name in empty:
                empty[name][:] = np.nan
        columns = zip(*gone, strict=True)
        empty |= {
            name: np.array(c) for name, c in zip(("owner", "node", "item", "unit"), columns, strict=True)
        }
        texts = self._shelf.texts
        empty["depth"] = np.array([depth_of(texts.names[node]) for node in empty["node"]], np.uint8)
        empty["told"] = np.full(len(gone), 2**64 - 1, np.uint64)
        empty["revision"] = self._shaped(level, empty, periods)
        return {name: np.concatenate([column, empty[name]]) for name, column in cells.items()}

    def _days(self, code: str) -> Span | None:
        """Span of the days of which an enterprise has totals, at least; None if it has none."""
        if self._stored_days is None:
            assert self._loader is not None
            self._stored_days = self._loader.days(self._shelf.stored)
        spans = [days[code] for days in (self._stored_days, self._said_days) if code in days]
        return (min(a for a, _ in spans), max(b for _, b in spans)) if spans else None


def _same(some: Sequence[Layout], others: Sequence[Layout]) -> bool:
    return len(some) == len(others) and all(map(is_, some, others))


def _take(cells: Columns, some: Bools) -> Columns:
    return {name: column[some] for name, column in cells.items()}


def _hull(first: Span, second: Span) -> Span:
    return min(first[0], second[0]), max(first[1], second[1])


def _bounds(level: int, periods: Periods) -> tuple[Ints, Ints]:
    """Start and end [ms, UTC] of each period."""
    start_ms = periods.start_s * 1000
    return start_ms, next_period_ms(STORED[level], start_ms)


def _end(level: int, start_ms: int) -> int:
    return int(next_period_ms(STORED[level], np.array([start_ms]))[0])


def _starts(level: int, start_ms: int, end_ms: int) -> list[int]:
    """Starts [ms, UTC] of the periods that touch a span."""
    found = []
    at = int(period_start_ms(STORED[level], np.array([start_ms]))[0])
    while at < end_ms:
        found.append(at)
        at = _end(level, at)
    return found


def _edges_of(book: Book) -> list[int]:
    """Days [ms, UTC] on which some factor of the accounts begins or ends."""
    spans = (span for (_, *use), spans in book.spans.items() if tuple(use) in USES for span in spans)
    return sorted({at for span in spans for at in (span.from_ms, span.to_ms)})


def _spans_of(catalogue: Catalogue, code: str, item: str) -> dict[Span, int]:
    """Newest position that shaped an item in each span that some notice changed."""
    found: dict[Span, int] = {}
    for shaped in shapes(catalogue, code):
        if shaped.item in (item, ALL_ITEMS):
            span = shaped.from_ms, shaped.to_ms
            found[span] = max(found.get(span, 0), shaped.position)
    return found


def _keys(cells: Columns) -> list[CellKey]:
    return list(zip(*(cells[name].tolist() for name in ("owner", "node", "item", "unit")), strict=True))


def _standing(cells: Columns) -> set[CellKey]:
    """Cells that were heard, and are more than a single point."""
    return set(_keys(_take(cells, cells["stands"] & (cells["newest"] > 0))))
