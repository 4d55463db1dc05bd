"""Computing: rows of computed points of one shard, from the window rows of the points they speak of.

`ComputedShard.add(rows)` takes the window rows as they were made, and says the rows of every computed point and period
they touch, each worked out whole at its own level (`nengliu.analysis.rollups.computed`).  `take(notice)`, behind the
catalogue, works out anew what a changed formula concerns, month by month.  What is said depends on the newest rows
alone, so neither batch cuts nor replays change it (laws 2 and 7; docs/decisions/0025).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Catalogue, Facts
from nengliu.analysis.named_rows import Pair, table_of
from nengliu.analysis.rollups.computed import COUNTS, evaluate
from nengliu.analysis.rollups.level_rows import FACTORS
from nengliu.analysis.rollups.operands import Columns, Operands, WindowLoader
from nengliu.analysis.rollups.windows import BY_GRAVITY, RANK
from nengliu.domain.books import Whose
from nengliu.domain.formulas import in_force, operands_of, order
from nengliu.domain.points import FOREVER_MS, Kind
from nengliu.domain.times import DAY_MS, STORED, Level, day_of, due_in, next_period_ms
from schemas.block import Labels, Rows
from schemas.messages import Notice, PointNotice

Ints = npt.NDArray[np.int64]
Touched = list[dict[int, list[Ints]]]
"""Of each level, starts [s] of the periods of each slot that rows came for."""
LEVEL_OF = {f"window_{level}": number for number, level in enumerate(STORED)}
_DAY, _MONTH = STORED.index(Level.DAY), STORED.index(Level.MONTH)
RECENT = 200_000
"""Rows kept for formulas that are told while they are not surely stored; beyond that the oldest go (0025, Price)."""
_HISTORY = {STORED.index(Level.QUARTER): "window_15min_history", _DAY: "window_day_history"}
_SUMS = ("used", "estimated", "covered_s", *COUNTS)
_UNDEFINED = ("low", "high", "last")


class ComputedShard:
    """Computed points of one shard; plain Python, no stream (see the head of this file)."""

    def __init__(
        self, catalogue: Catalogue, loader: WindowLoader | None = None, max_rows: int = 200_000
    ) -> None:
        """Start empty; the catalogue is that of the window shard, the loader tells what is stored."""
        self.catalogue, self._loader = catalogue, loader
        self._levels = [Operands(level, loader, max_rows) for level in STORED]
        self._orders: dict[str, list[str]] = {}
        self._slots: dict[Pair, int] = {}
        self._pairs: list[Pair] = []
        self._recent: list[Rows] = []

    def take(self, notice: Notice, position: int, stored: int) -> list[Rows]:
        """Take a notice in that the catalogue has taken; say what a changed formula makes of stored windows."""
        if not isinstance(notice, PointNotice) or not notice.value.formulas:
            return []
        pair = notice.value.enterprise, notice.value.point
        facts = self.catalogue.points[pair]
        ends = [*(one.from_ms for one in facts.computed[1:]), FOREVER_MS]
        fresh = [
            (one.from_ms, end)
            for one, end in zip(facts.computed, ends, strict=True)
            if one.position == position
        ]
        if not fresh:
            return []
        known = set(self._slots)
        self._orders.pop(pair[0], None)
        self._order(pair[0])
        self._put(self._recent, set(self._slots) - known)
        return self._restate(pair, fresh, stored)

    def add(self, rows: Sequence[Rows], stored: int) -> list[Rows]:
        """Take window rows in, in the order they were made; say the rows of computed points they change."""
        self._recent += [some for some in rows if some.table in LEVEL_OF and len(some)]
        while self._loader is not None and sum(map(len, self._recent)) > RECENT:
            self._recent.pop(0)
        if not self._knows(rows):
            return []
        return self._said(self._put(rows, set(self._slots)), stored)

    def seal(self, stored: int) -> None:
        """End an epoch: what came before the last one is stored and may be forgotten."""
        if self._loader is not None:
            self._recent = [rows for rows in self._recent if _newest(rows) >= stored]
        for level in self._levels:
            level.seal(stored)

    # -- what belongs together ------------------------------------------------------------------

    def _knows(self, rows: Iterable[Rows]) -> bool:
        """Whether there are computed points in any enterprise the rows speak of."""
        codes = {code for some in rows if some.table in LEVEL_OF for code in _codes(some)}
        orders = [self._order(code) for code in codes]
        return any(orders)

    def _order(self, code: str) -> list[str]:
        """Computed points of an enterprise, each behind what it speaks of; all of them get slots."""
        if code not in self._orders:
            names = self.catalogue.names.get(code, ())
            points = {name: self.catalogue.points[code, name].point for name in names}
            self._orders[code] = order(points)
            for name in self._orders[code]:
                for each in (*operands_of(points[name]), name):
                    self._slot((code, each))
        return self._orders[code]

    def _slot(self, pair: Pair) -> int:
        found = self._slots.setdefault(pair, len(self._pairs))
        if found == len(self._pairs):
            self._pairs.append(pair)
        return found

    def _put(self, rows: Iterable[Rows], only: set[Pair]) -> Touched:
        """Keep the rows of some points; say which periods they are of."""
        touched: Touched = [defaultdict(list) for _ in STORED]
        for some in rows:
            table = table_of([some], only) if some.table in LEVEL_OF and only else None
            if table is not None:
                level = LEVEL_OF[some.table]
                slot, start_s = self._levels[level].put_table(table, self._slots)
                for one in np.unique(slot).tolist():
                    touched[level][one].append(start_s[slot == one])
        return touched

    # -- rows -----------------------------------------------------------------------------------

    def _restate(self, pair: Pair, spans: list[tuple[int, int]], stored: int) -> list[Rows]:
        """Say anew the windows of a point in some spans of time [ms, UTC]."""
        operands = [self._slots[pair[0], name] for name in operands_of(self.catalogue.points[pair].point)]
        first, last = max(min(start for start, _ in spans), 0), max(end for _, end in spans)
        named = [self._pairs[slot] for slot in operands]
        months = set(self._loader.months(named, first)) if self._loader else set()
        held = [self._levels[_MONTH].starts(slot, 0, 2**40) for slot in operands]
        months |= {int(start) * 1000 for start in np.concatenate(held)}
        out: list[Rows] = []
        for month in sorted(months):
            end = int(next_period_ms(Level.MONTH, np.array([month]))[0])
            if end > first and month < last:
                touched = [
                    self._within(level, operands, month, end, spans, stored) for level in range(len(STORED))
                ]
                out += self._said(touched, stored)
        return out

    def _within(
        self,
        level: int,
        slots: list[int],
        from_ms: int,
        to_ms: int,
        spans: list[tuple[int, int]],
        stored: int,
    ) -> dict[int, list[Ints]]:
        """Periods of a month, of slots that have rows there, that lie in some of the spans at least in part."""
        operands = self._levels[level]
        days = np.arange(from_ms, to_ms, DAY_MS) // 1000
        operands.need(slots, days, self._pairs, stored)
        found: dict[int, list[Ints]] = defaultdict(list)
        for slot in slots:
            start_s = operands.starts(slot, from_ms // 1000, to_ms // 1000)
            end_ms = next_period_ms(STORED[level], start_s * 1000)
            for start, end in spans:
                found[slot].append(start_s[(end_ms > start) & (start_s * 1000 < end)])
        return found

    def _said(self, touched: Touched, stored: int) -> list[Rows]:
        """Rows of the computed points that touched periods concern, the history they supersede first."""
        codes = {self._pairs[slot][0] for level in touched for slot in level}
        out: list[Rows] = []
        for level in range(len(STORED)):
            now: list[tuple[Pair, Ints, Columns]] = []
            before: list[tuple[Pair, Ints, Columns]] = []
            for code in sorted(codes):
                for name in self._order(code):
                    made = self._point(level, (code, name), touched[level], stored)
                    if made is not None:
                        now.append(made[0])
                        before.append(made[1])
            out += [self._packed(_HISTORY[level], before)] if level in _HISTORY else []
            out.append(self._packed(f"window_{STORED[level]}", now))
        return [rows for rows in out if rows.columns and len(rows)]

    def _point(
        self, level: int, pair: Pair, touched: dict[int, list[Ints]], stored: int
    ) -> tuple[tuple[Pair, Ints, Columns], tuple[Pair, Ints, Columns]] | None:
        """Rows of one computed point in the periods its operands were touched in, and what they supersede."""
        facts = self.catalogue.points[pair]
        slots = [self._slots[pair[0], name] for name in operands_of(facts.point)]
        parts = [start_s for slot in slots for start_s in touched.get(slot, ())]
        start_s = np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)
        if not len(start_s):
            return None
        own, operands = self._slots[pair], self._levels[level]
        operands.need([*slots, own], start_s, self._pairs, stored)
        columns = self._columns(level, facts, start_s, stored)
        known = columns.pop("known")
        start_s, columns = start_s[known], {name: column[known] for name, column in columns.items()}
        stood = _line(operands.take([own], start_s))
        operands.put(np.full(len(start_s), own), start_s, columns)
        touched.setdefault(own, []).append(start_s)
        days = (day_of(of["known_at"] * 1000) for of in (stood, columns))
        past = stood.pop("known") & np.less(*days) & (stood["revision"] < columns["revision"])
        return (pair, start_s, columns), (pair, start_s[past], {name: c[past] for name, c in stood.items()})

    def _columns(self, level: int, facts: Facts, start_s: Ints, stored: int) -> Columns:
        """Columns of a computed point in some periods (n,), each by the formula at its start, or by its parts."""
        start_ms = start_s * 1000
        end_ms = next_period_ms(STORED[level], start_ms)
        begins = np.array([one.from_ms for one in facts.computed], np.int64)
        which = in_force(begins.tolist(), start_ms)
        found: Columns = {}
        for i in np.unique(which).tolist():
            mask = which == i
            computed = facts.computed[max(i, 0)]
            pairs = [(facts.point.enterprise, name) for name in computed.operands]
            rows = self._operands(level, pairs, start_s[mask], end_ms[mask])
            made = evaluate(computed, rows)
            made["known"] = made["known"] & (i >= 0)
            made["book"] = _books(rows)
            for name, column in made.items():
                found.setdefault(name, np.zeros(len(start_s), column.dtype))[mask] = column
        if level and facts.point.kind is Kind.PERIOD:
            inside = np.searchsorted(begins, end_ms) > np.searchsorted(begins, start_ms, side="right")
            for place in np.flatnonzero(inside).tolist():
                period = int(start_ms[place]), int(end_ms[place])
                for name, value in self._by_parts(level, facts, period, stored).items():
                    found[name][place] = value
        return found

    def _operands(self, level: int, pairs: list[Pair], start_s: Ints, end_ms: Ints) -> Columns:
        """Rows of operands (o, n); what they owe in periods without a row, too."""
        rows = self._levels[level].take([self._slots[pair] for pair in pairs], start_s)
        points = [self.catalogue.points[pair].point for pair in pairs]
        facts = [(point.interval_s * 1000, point.valid_from_ms, point.valid_to_ms) for point in points]
        interval_ms, from_ms, to_ms = np.array(facts, np.int64).T[:, :, None]
        owed, _ = due_in(interval_ms, from_ms, to_ms, start_s * 1000, end_ms)
        rows["due"] = np.where(rows["known"], rows["due"], owed)
        return (
            rows if level >= _DAY else {name: column for name, column in rows.items() if name not in FACTORS}
        )

    def _by_parts(self, level: int, facts: Facts, period: tuple[int, int], stored: int) -> dict[str, Any]:
        """A period that holds a change of the formula: the sum of the point's own rows one level below."""
        point, operands = facts.point, self._levels[level - 1]
        start_s = _starts(STORED[level - 1], period) // 1000
        own = self._slots[point.enterprise, point.point]
        operands.need([own], start_s, self._pairs, stored)
        rows = _line(operands.take([own], start_s))
        known = rows.pop("known")
        if not known.any():
            return {"known": False}
        parts = {name: column[known] for name, column in rows.items()}
        found: dict[str, Any] = {"known": True} | {name: parts[name].sum() for name in _SUMS}
        found |= {name: parts[name].max() for name in ("known_at", "revision")}
        found["reason"] = BY_GRAVITY[RANK[parts["reason"]].max()]
        if level == _DAY:
            found |= self._burnt(facts, period[0], int(found["used"]))
        elif level > _DAY:
            found |= {name: parts[name].sum() for name in FACTORS}
        return found

    def _burnt(self, facts: Facts, day_ms: int, used: int) -> dict[str, Any]:
        """Standard coal and CO2 of an amount of one day, by the book in force."""
        point = facts.point
        enterprise = self.catalogue.enterprises.get(point.enterprise)
        whose = Whose(point.enterprise, enterprise.region if enterprise else "")
        amount, day, book = used / 10.0**point.decimals, np.array([day_ms]), self.catalogue.book
        found = {name: amount * book.values(point.item, use, day, whose)[0] for name, use in FACTORS.items()}
        return found | {"book": book.digest}

    def _packed(self, table: str, made: list[tuple[Pair, Ints, Columns]]) -> Rows:
        """Name the rows of some points, as a window table wants them."""
        made = [one for one in made if len(one[1])]
        if not made:
            return Rows(table, {})
        count = [len(start_s) for _, start_s, _ in made]
        codes = np.repeat(np.arange(len(made), dtype=np.int32), count)
        decimals = [self.catalogue.points[pair].point.decimals for pair, _, _ in made]
        columns: dict[str, Any] = {
            "enterprise": Labels(codes, tuple(pair[0] for pair, _, _ in made)),
            "point": Labels(codes, tuple(pair[1] for pair, _, _ in made)),
            "period_start": np.concatenate([start_s for _, start_s, _ in made]),
            "decimals": np.array(decimals, np.uint8)[codes],
        }
        names = [name for name in made[0][2] if name not in _UNDEFINED]
        columns |= {name: np.concatenate([one[2][name] for one in made]) for name in names}
        columns |= dict.fromkeys(_UNDEFINED, np.full(len(codes), np.nan))
        book = columns.pop("book")
        if "day" in table or "month" in table:
            books = sorted(set(book.tolist()))
            columns["book"] = Labels(np.array([books.index(one) for one in book], np.int32), tuple(books))
        else:
            columns = {name: column for name, column in columns.items() if name not in FACTORS}
        return Rows(table, columns)


def _starts(level: Level, period: tuple[int, int]) -> Ints:
    """Starts [ms, UTC] of the periods of a level in a longer one."""
    found = [np.array([period[0]])]
    while (following := next_period_ms(level, found[-1]))[0] < period[1]:
        found.append(following)
    return np.concatenate(found)


def _line(columns: Columns) -> Columns:
    """The one line of columns."""
    return {name: column[0] for name, column in columns.items()}


def _books(columns: Columns) -> npt.NDArray[Any]:
    """Digest of the book behind each row: that of its newest operand."""
    revision = np.where(columns["known"], columns["revision"], np.uint64(0))
    found: npt.NDArray[Any] = columns["book"][revision.argmax(0), np.arange(revision.shape[1])]
    return found


def _codes(rows: Rows) -> set[str]:
    column = rows.columns["enterprise"]
    assert isinstance(column, Labels)
    return set(column.dictionary)


def _newest(rows: Rows) -> int:
    column = rows.columns["revision"]
    assert isinstance(column, np.ndarray)
    return int(column.max())
