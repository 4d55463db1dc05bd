"""Days kept for the months they make: a month's row is recomputed from its days, never incremented."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nengliu.analysis.ledger import Ledger
from nengliu.analysis.named_rows import table_of
from nengliu.analysis.rollups.level_rows import FACTORS, SUMS, Bare, Maker
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
)
_TOLD = {"told": "u8", "told_at_s": "i8"}
"""Position and time of the book that restated a day since it was read; 0: none did."""


class Days:
    """Day rows of a shard, sorted by (slot, day), for the months touched lately."""

    def __init__(self, loader: DayLoader | None = None, max_rows: int = 200_000) -> None:
        """Start empty; `loader` reads the days that this run has not made itself."""
        self.loader, self.max_rows = loader, max_rows
        self.rows = Sorted(_DTYPES | _TOLD)
        self._known: set[tuple[int, int]] = set()
        self._sealed = 0

    def months(self, maker: Maker, days: Bare, stored: int) -> Rows:
        """Take fresh days in and say the month rows they change."""
        owner, start_ms, columns = days
        columns = columns | as_stored(columns)
        slots = maker.dirty.slots[owner].astype(np.int64)
        month = period_start_ms(Level.MONTH, start_ms)
        first = starts_of(slots << _DAY_BITS | day_of(month))  # days lie slot by slot, in order of time
        touched = np.stack([owner[first], month[first]])
        self._know(maker, touched, stored)
        keys = _key(slots, day_of(start_ms))
        self._keep_restated(keys, columns)
        order = np.argsort(keys)
        self.rows.upsert(keys[order], {name: columns[name][order] for name in self.rows.columns})
        return self._fold(maker, touched[0], touched[1])

    def restated(self, rows: Rows, told: tuple[int, int], ledger: Ledger) -> None:
        """Take over what a restatement said of days that are held; `told` is its position and time [s, UTC]."""
        table = table_of([rows])
        if table is None:
            return
        slots = ledger.slots(tuple(table.pairs)).astype(np.int64)[table.owner]
        keys = _key(slots, day_of(table.columns["period_start"].astype(np.int64) * 1000))
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
        """End an epoch: forget months before the newest two, once their days are surely stored."""
        if self.loader is None or len(self.rows.keys) <= self.max_rows:
            return
        day = (self.rows.keys & np.uint64(2**_DAY_BITS - 1)).astype(np.int64)
        month = period_start_ms(Level.MONTH, day_start(day))
        held = np.unique(month[self.rows.columns["revision"] >= np.uint64(max(stored, 0))])
        recent = np.unique(month)[-2:]
        keep = np.isin(month, np.concatenate([held, recent]))
        kept = set(np.unique(month[keep]).tolist())
        self._known = {(slot, start) for slot, start in self._known if start in kept}
        self.rows.keep(keep)

    def _know(self, maker: Maker, touched: Ints, stored: int) -> None:
        if self.loader is None:
            return
        slots = maker.dirty.slots[touched[0]].tolist()
        pairs = [pair for pair in zip(slots, touched[1].tolist(), strict=True) if pair not in self._known]
        if not pairs:
            return
        self._known.update(pairs)
        start = np.array([month for _, month in pairs], np.int64)
        points = maker.traits.pairs(slot for slot, _ in pairs)
        found = self.loader(points, start, stored)
        if found is None:
            return
        said, columns = found
        slot_of = dict(zip(points, (slot for slot, _ in pairs), strict=True))
        slot = np.array([slot_of[point] for point in said], np.int64)[columns["index"]]
        keys = _key(slot, day_of(columns["period_start_s"] * 1000))
        columns |= {name: np.zeros(len(keys), dtype) for name, dtype in _TOLD.items()}
        order = np.argsort(keys)
        self.rows.upsert(keys[order], {name: columns[name][order] for name in self.rows.columns})

    def _fold(self, maker: Maker, owner: Ints, month: Ints) -> Rows:
        slots = maker.dirty.slots[owner].astype(np.int64)
        end = next_period_ms(Level.MONTH, month)
        first = np.searchsorted(self.rows.keys, _key(slots, day_of(month)))
        last = np.searchsorted(self.rows.keys, _key(slots, day_of(end)))
        index, starts = _rows_of(first, last)
        folded: Columns = {}
        kept = {name: column for name, column in self.rows.columns.items() if name not in _TOLD}
        kept |= {"reason": RANK[self.rows.columns["reason"]]}
        for name, column in kept.items():
            folded[name] = column[index] if starts is None else _reducer(name).reduceat(column[index], starts)
        folded["reason"] = BY_GRAVITY[folded["reason"]]
        folded["last"] = self._last(first, last)
        folded["due"] = maker.due(owner, month, end)
        return maker.pack("window_month", Bare(owner, month, folded))

    def _last(self, first: npt.NDArray[np.intp], end: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        """Last known gauge value of each range of days."""
        last = self.rows.columns["last"]
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


def _key(slot: Ints, day: Ints) -> npt.NDArray[np.uint64]:
    return slot.astype(np.uint64) << np.uint64(_DAY_BITS) | day.astype(np.uint64)


def _reducer(name: str) -> np.ufunc:
    if name in MAXIMA:
        return np.maximum
    return {"low": np.fmin, "high": np.fmax, "last": np.fmax}.get(name, np.add)
