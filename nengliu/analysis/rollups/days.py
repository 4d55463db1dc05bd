"""Days kept for the months they make: a month's row is recomputed from its days, never incremented.

Where days become many, those at the beginning of a month that are surely stored are folded into one row, the *carry*,
at the place of the last of them.  A month is the same with and without it, because sums run from the oldest day to the
newest.  When one of its days changes, the days are read from the store again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.ledger import Ledger
from nengliu.analysis.named_rows import table_of
from nengliu.analysis.rollups.level_rows import FACTORS, SUMS, Bare, Maker
from nengliu.analysis.rollups.traits import Traits
from nengliu.analysis.rollups.windows import BY_GRAVITY, RANK
from nengliu.analysis.sorted import Columns, Sorted, ranges, starts_of
from nengliu.domain.times import Level, day_of, day_start, next_period_ms, period_start_ms
from schemas.block import Rows

Ints = npt.NDArray[np.int64]
DayLoader = Callable[[list[tuple[str, str]], Ints, int], tuple[list[tuple[str, str]], Columns] | None]
"""``loader(points, month_ms, before_position)``: the stored days of each point's month, as points and columns.

The columns are those kept here, `index` into the points said back, and `period_start_s`.
"""

MAXIMA = ("reason", "known_at_s", "revision")
"""Of the reason, its rank: `nengliu.analysis.rollups.windows.RANK`."""
_IN_TURN = ("weighted", *FACTORS)
_DAY_BITS = 32
_DTYPES = (
    dict.fromkeys(SUMS, "i8")
    | {
        "weighted": "f8",
        "low": "f8",
        "high": "f8",
        "last": "f8",
        "reason": "u2",
        "known_at_s": "i8",
        "revision": "u8",
    }
    | dict.fromkeys(FACTORS, "f8")
    | {"carry": "?"}
)
_TOLD = {"told": "u8", "told_at_s": "i8"}
"""Position and time of the book that restated a day since it was read; 0: none did."""


class Days:
    """Day rows of a shard, sorted by (slot, day), for the months touched lately.

    A month of which there is any row is known: all its days are here, one by one or in the carry.
    """

    def __init__(self, loader: DayLoader | None = None, max_rows: int = 200_000, keep_days: int = 2) -> None:
        """Start empty; `loader` reads what this run has not made itself; the newest `keep_days` are not folded."""
        self.loader, self.max_rows, self.keep_days = loader, max_rows, keep_days
        self.rows = Sorted(_DTYPES | _TOLD)
        self._kept = 0

    def months(self, maker: Maker, days: Bare, stored: int) -> Rows:
        """Take fresh days in and say the month rows they change."""
        owner, start_ms, columns = days
        columns = columns | as_stored(columns) | {"carry": np.zeros(len(owner), bool)}
        slots = maker.dirty.slots[owner].astype(np.int64)
        month = period_start_ms(Level.MONTH, start_ms)
        first = starts_of(_key(slots, day_of(month)))  # days lie slot by slot, in order of time
        touched = np.stack([owner[first], month[first]])
        self._know(maker.traits, slots[first], start_ms[first], stored)
        keys = _key(slots, day_of(start_ms))
        self._keep_restated(keys, columns)
        order = np.argsort(keys)
        self.rows.upsert(keys[order], {name: columns[name][order] for name in self.rows.columns})
        return self._fold(maker, touched[0], touched[1])

    def restated(self, rows: Rows, told: tuple[int, int], traits: Traits, ledger: Ledger) -> None:
        """Take over what a restatement said of days that are held; `told` is its position and time [s, UTC]."""
        table = table_of([rows])
        if table is None:
            return
        slots = ledger.slots(tuple(table.pairs)).astype(np.int64)[table.owner]
        start_ms = table.columns["period_start"].astype(np.int64) * 1000
        self._unfold(traits, slots, start_ms, ledger.stored)
        keys = _key(slots, day_of(start_ms))
        place, held = self._held(keys)
        for name in (*FACTORS, "revision"):
            self.rows.columns[name][place] = table.columns[name][held]
        self.rows.columns["known_at_s"][place] = table.columns["known_at"][held]
        for name, value in zip(_TOLD, told, strict=True):
            self.rows.columns[name][place] = value

    def _keep_restated(self, keys: npt.NDArray[np.uint64], columns: Columns) -> None:
        """A day that is said again of older readings stays as new as a restatement made it."""
        place, held = self._held(keys)
        for name, dtype in _TOLD.items():
            columns[name] = np.zeros(len(keys), dtype)
            columns[name][held] = self.rows.columns[name][place]
        columns["revision"] = np.maximum(columns["revision"], columns["told"])
        columns["known_at_s"] = np.maximum(columns["known_at_s"], columns["told_at_s"])

    def _held(self, keys: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Places of the days that are held, and which of `keys` they are."""
        place = np.searchsorted(self.rows.keys, keys)
        inside = np.minimum(place, max(len(self.rows.keys) - 1, 0))
        found = self.rows.keys[inside] == keys if len(self.rows.keys) else np.zeros(len(keys), bool)
        held = np.flatnonzero(found)
        return place[held], held

    def seal(self, stored: int) -> None:
        """End an epoch: forget months before the newest two and fold old days, once they are surely stored."""
        if self.loader is None or len(self.rows.keys) <= max(self.max_rows, self._kept * 3 // 2):
            return
        day = _day_of(self.rows.keys)
        month = period_start_ms(Level.MONTH, day_start(day))
        held = np.unique(month[self._unsure(stored)])
        recent = np.unique(month)[-2:]
        self.rows.keep(np.isin(month, np.concatenate([held, recent])))
        self._carry(stored)
        self._kept = len(self.rows.keys)

    def _carry(self, stored: int) -> None:
        """Fold the oldest days of each month that are surely stored, but for the newest of all days."""
        keys = self.rows.keys
        day = _day_of(keys)
        month = period_start_ms(Level.MONTH, day_start(day))
        first = starts_of(_key(keys >> np.uint64(_DAY_BITS), day_of(month)))
        stays = self._unsure(stored) | (day > day.max(initial=0) - self.keep_days)
        size = np.diff(np.append(first, len(keys)))
        ahead = np.where(stays, np.arange(len(keys)), len(keys))
        folded = np.minimum(np.minimum.reduceat(ahead, first), first + size) - first if len(first) else first
        some = np.flatnonzero(folded > 1)
        begin, end = first[some], first[some] + folded[some]
        carried = _folded(self.rows.columns, begin, end)
        for name, column in carried.items():
            self.rows.columns[name][end - 1] = column
        self.rows.columns["carry"][end - 1] = True
        self._drop(begin, end - 1)

    def _know(self, traits: Traits, slots: Ints, start_ms: Ints, stored: int) -> None:
        """Have every day of the months of some days, and these days one by one."""
        begin, end = self._months_of(slots, start_ms)
        folded = self._carried(begin, end, slots, start_ms)
        if folded.any():
            self._drop(begin[folded], begin[folded] + 1)
        lacks = folded | (begin == end)
        self._load(traits, slots[lacks], period_start_ms(Level.MONTH, start_ms[lacks]), stored)

    def _unfold(self, traits: Traits, slots: Ints, start_ms: Ints, stored: int) -> None:
        """Have no carry over some days: forget what is surely stored of their months, read the others again."""
        order = np.lexsort((start_ms, slots))
        slots, start_ms = slots[order], start_ms[order]
        first = starts_of(_key(slots, day_of(period_start_ms(Level.MONTH, start_ms))))
        slots, start_ms = slots[first], start_ms[first]
        begin, end = self._months_of(slots, start_ms)
        folded = self._carried(begin, end, slots, start_ms)
        if not folded.any():
            return
        unsure = np.append(0, np.cumsum(self._unsure(stored)))
        sure = unsure[begin] == unsure[end]
        again = folded & ~sure
        self._know(traits, slots[again], start_ms[again], stored)
        begin, end = self._months_of(slots[folded & sure], start_ms[folded & sure])
        self._drop(begin, end)

    def _months_of(self, slots: Ints, start_ms: Ints) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Where the rows of the month of each day of a slot begin and end."""
        month = period_start_ms(Level.MONTH, start_ms)
        bounds = (day_of(month), day_of(next_period_ms(Level.MONTH, month)))
        begin, end = (np.searchsorted(self.rows.keys, _key(slots, day)) for day in bounds)
        return begin, end

    def _carried(self, begin: Ints, end: Ints, slots: Ints, start_ms: Ints) -> npt.NDArray[np.bool_]:
        """Which days of slots lie in the carry of their month; it is the first row of it."""
        carried = begin < end
        first = begin[carried]
        carried[carried] = self.rows.columns["carry"][first] & (
            self.rows.keys[first] >= _key(slots[carried], day_of(start_ms[carried]))
        )
        return carried

    def _unsure(self, stored: int) -> npt.NDArray[np.bool_]:
        """Which rows may not be stored yet."""
        return np.asarray(self.rows.columns["revision"] >= np.uint64(max(stored, 0)))

    def _drop(self, begin: Ints, end: Ints) -> None:
        """Forget ranges of rows."""
        keep = np.ones(len(self.rows.keys), bool)
        keep[ranges(begin, end)[0]] = False
        self.rows.keep(keep)

    def _load(self, traits: Traits, slots: Ints, month_ms: Ints, stored: int) -> None:
        """Read months from the store; a day that is here stays as it is."""
        if self.loader is None or not len(slots):
            return
        points = traits.pairs(slots.tolist())
        found = self.loader(points, month_ms, stored)
        if found is None:
            return
        said, columns = found
        slot_of = dict(zip(points, slots.tolist(), strict=True))
        slot = np.array([slot_of[point] for point in said], np.int64)[columns["index"]]
        keys = _key(slot, day_of(columns["period_start_s"] * 1000))
        columns |= {name: np.zeros(len(keys), dtype) for name, dtype in {**_TOLD, "carry": "?"}.items()}
        fresh = np.ones(len(keys), bool)
        fresh[self._held(keys)[1]] = False
        order = np.flatnonzero(fresh)[np.argsort(keys[fresh])]
        self.rows.upsert(keys[order], {name: columns[name][order] for name in self.rows.columns})

    def _fold(self, maker: Maker, owner: Ints, month: Ints) -> Rows:
        slots = maker.dirty.slots[owner].astype(np.int64)
        folded = _folded(self.rows.columns, *self._months_of(slots, month))
        folded["due"] = maker.due(owner, month, next_period_ms(Level.MONTH, month))
        return maker.pack("window_month", Bare(owner, month, folded))


def _folded(rows: Columns, first: npt.NDArray[np.intp], end: npt.NDArray[np.intp]) -> Columns:
    """Fold ranges of day rows, from the oldest to the newest: a carry in the place of the oldest changes nothing."""
    index, starts = _rows_of(first, end)
    kept = {name: column for name, column in rows.items() if name not in (*_TOLD, "carry")}
    kept |= {"reason": RANK[rows["reason"]]}
    folded: Columns = {}
    for name, column in kept.items():
        if starts is None:
            folded[name] = column[index]
        elif name in _IN_TURN:
            folded[name] = _sum_in_turn(column, first, end)
        else:
            folded[name] = _reducer(name).reduceat(column[index], starts)
    folded["reason"] = BY_GRAVITY[folded["reason"]]
    folded["last"] = _last(rows["last"], first, end)
    return folded


def _sum_in_turn(column: npt.NDArray[np.float64], first: Ints, end: Ints) -> npt.NDArray[np.float64]:
    """Sum of each range, value by value: numpy adds long ranges in pairs, whose last bits depend on the length."""
    total = column[first].copy()
    for step in range(1, int((end - first).max(initial=0))):
        some = np.flatnonzero(first + step < end)
        total[some] += column[first[some] + step]
    return total


def _last(last: npt.NDArray[np.float64], first: Ints, end: Ints) -> npt.NDArray[np.float64]:
    """Last known gauge value of each range of days."""
    place = np.where(np.isnan(last), -1, np.arange(len(last)))
    newest = np.maximum.accumulate(place)[end - 1] if len(end) else place[:0]
    return np.where(newest >= first, last[newest], np.nan)


def _rows_of(first: Ints, end: Ints) -> tuple[slice | Ints, Ints | None]:
    """Places of the rows of some ranges, and where each range begins among them; None: each is one row."""
    if (end - first == 1).all():
        return first, None
    if (first[1:] == end[:-1]).all():
        return slice(first[0], end[-1]), first - first[0]
    return ranges(first, end)[0], np.cumsum(end - first) - (end - first)


def as_stored(columns: Columns) -> Columns:
    """Cover and weight as a stored day gives them back, so that a month is the same from memory and from the store."""
    covered = columns["covered_ms"]
    mean = np.where(covered > 0, columns["weighted"] / np.maximum(covered, 1), 0.0)
    whole = covered // 1000 * 1000
    return {"covered_ms": whole, "weighted": mean * whole}


def _day_of(key: npt.NDArray[np.uint64]) -> Ints:
    return (key & np.uint64(2**_DAY_BITS - 1)).astype(np.int64)


def _key(slot: npt.NDArray[np.integer[Any]], day: Ints) -> npt.NDArray[np.uint64]:
    return slot.astype(np.uint64) << np.uint64(_DAY_BITS) | day.astype(np.uint64)


def _reducer(name: str) -> np.ufunc:
    if name in MAXIMA:
        return np.maximum
    return {"low": np.fmin, "high": np.fmax, "last": np.fmax}.get(name, np.add)
