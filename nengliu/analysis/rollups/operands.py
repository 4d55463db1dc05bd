"""Operands: the newest window rows of points that formulas speak of, and of computed points, at one level.

Rows come as they are made; older ones are asked of the store, a span of periods at once, and never twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nengliu.analysis.named_rows import Pair, Table, table_of
from nengliu.analysis.rollups.computed import COUNTS
from nengliu.analysis.rollups.level_rows import FACTORS
from nengliu.analysis.sorted import Sorted
from nengliu.domain.times import Level, next_period_ms, period_start_ms
from schemas.block import Rows

Ints = npt.NDArray[np.int64]
Columns = dict[str, npt.NDArray[Any]]
_DTYPES = (
    dict.fromkeys(("used", "estimated", "covered_s", "known_at", "due", *COUNTS), "i8")
    | {"mean": "f8", "reason": "u2", "revision": "u8", "book": "O"}
    | dict.fromkeys(FACTORS, "f8")
)
_EMPTY: dict[str, Any] = {"f8": np.nan, "O": ""}
_BITS = np.uint64(32)
_QUARTER_S = 900


class WindowLoader(Protocol):
    """What the store tells of windows below a position of the log."""

    def windows(
        self, level: Level, points: Sequence[Pair], from_ms: int, to_ms: int, before: int
    ) -> Rows | None:
        """Window rows of points from an instant to another [ms, UTC], as named rows of the window table."""

    def months(self, points: Sequence[Pair], from_ms: int) -> list[int]:
        """Starts [ms, UTC] of the months, from the one that holds an instant on, in which points have windows."""


class Operands:
    """Rows of one level by slot and period; a slot is a point's number, given by the owner."""

    def __init__(self, level: Level, loader: WindowLoader | None = None, max_rows: int = 200_000) -> None:
        """Start empty; without a loader everything is kept."""
        self.level, self.loader, self.max_rows = level, loader, max_rows
        self._span = Level.DAY if level in (Level.QUARTER, Level.HOUR) else Level.MONTH
        self._rows = Sorted(_DTYPES)
        self._asked: set[tuple[int, int]] = set()

    def put(self, slot: Ints, start_s: Ints, columns: Columns, *, over: bool = True) -> None:
        """Write rows, of one period the last; over what stands there, or only where nothing does."""
        keys = _key(slot, start_s)
        order = np.argsort(keys, kind="stable")
        last = np.append(keys[order][1:] != keys[order][:-1], True)[: len(order)]
        order = order[last]
        if not over:
            order = order[~np.isin(keys[order], self._rows.keys)]
        whole = {name: _or_empty(columns, name, dtype, len(keys))[order] for name, dtype in _DTYPES.items()}
        self._rows.upsert(keys[order], whole)

    def take(self, slots: Sequence[int], start_s: Ints) -> Columns:
        """Columns (o, n) of slots in some periods, and `known`: whether there is a row; without one they are empty."""
        keys = _key(np.array(slots, np.int64)[:, None], start_s)
        place = np.searchsorted(self._rows.keys, keys)
        known = place < len(self._rows.keys)
        known[known] = self._rows.keys[place[known]] == keys[known]
        found: Columns = {"known": known}
        for name, column in self._rows.columns.items():
            found[name] = np.full(keys.shape, _EMPTY.get(_DTYPES[name], 0), _DTYPES[name])
            found[name][known] = column[place[known]]
        return found

    def starts(self, slot: int, from_s: int, to_s: int) -> Ints:
        """Starts [s] of the periods of a slot that there are rows of, from one instant to another."""
        first, end = np.searchsorted(self._rows.keys, _key(np.array([slot, slot]), np.array([from_s, to_s])))
        found = (self._rows.keys[first:end] & np.uint64(2**32 - 1)).astype(np.int64)
        return found * _QUARTER_S

    def need(self, slots: Sequence[int], start_s: Ints, points: Sequence[Pair], before: int) -> None:
        """Have what is stored of slots in some periods; `points` name the slots."""
        if self.loader is None or not len(start_s):
            return
        spans = np.unique(period_start_ms(self._span, np.unique(start_s) * 1000))
        lacking = [slot for slot in slots if any((slot, span) not in self._asked for span in spans.tolist())]
        if not lacking:
            return
        ends = next_period_ms(self._span, spans)
        breaks = np.flatnonzero(spans[1:] != ends[:-1]) + 1
        edges = zip(np.append(0, breaks), np.append(breaks, len(spans)) - 1, strict=True)
        number = {points[slot]: slot for slot in lacking}
        for first, last in edges:
            rows = self.loader.windows(self.level, [*number], int(spans[first]), int(ends[last]), before)
            table = table_of([rows]) if rows is not None else None
            if table is not None:
                self.put_table(table, number, over=False)
        self._asked.update((slot, span) for slot in lacking for span in spans.tolist())

    def put_table(self, table: Table, number: dict[Pair, int], *, over: bool = True) -> tuple[Ints, Ints]:
        """Write named rows; say slot and start [s] of each."""
        slot = np.array([number.get(pair, -1) for pair in table.pairs], np.int64)[table.owner]
        start_s = table.columns["period_start"].astype(np.int64)
        self.put(slot, start_s, table.columns, over=over)
        return slot, start_s

    def seal(self, stored: int) -> None:
        """Forget spans that are surely stored, but for the newest two."""
        if self.loader is None or len(self._rows.keys) <= self.max_rows:
            return
        start_ms = (self._rows.keys & np.uint64(2**32 - 1)).astype(np.int64) * _QUARTER_S * 1000
        span = period_start_ms(self._span, start_ms)
        held = np.unique(span[self._rows.columns["revision"] >= np.uint64(max(stored, 0))])
        keep = np.isin(span, np.concatenate([held, np.unique(span)[-2:]]))
        kept = set(np.unique(span[keep]).tolist())
        self._asked = {(slot, start) for slot, start in self._asked if start in kept}
        self._rows.keep(keep)


def _key(slot: Ints, start_s: Ints) -> npt.NDArray[np.uint64]:
    return slot.astype(np.uint64) << _BITS | (start_s // _QUARTER_S).astype(np.uint64)


def _or_empty(columns: Columns, name: str, dtype: str, n: int) -> npt.NDArray[Any]:
    """A column as it is kept; what a level has not is NaN, or an empty text."""
    return columns[name].astype(dtype) if name in columns else np.full(n, _EMPTY.get(dtype, 0), dtype)
