"""The general way of the rollups: the days that readings touch, made again from the readings.

`Recompute.add(block)` says every row whose revision the block raised.  Windows are a view kept in step with the
readings: late, early or corrected readings take the same way (docs/decisions/0011).
Rows that a later day of knowledge supersedes are said for the history (0005).  Frames that come as they should take the
shorter way of `nengliu.analysis.rollups.plates`, and this one is its judge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Catalogue, Facts
from nengliu.analysis.ledger import (
    ORIGIN_BITS,
    Ledger,
    Loader,
    Merge,
    at_of,
    key_of,
    origin_of,
    rank_of,
    slot_of,
)
from nengliu.analysis.rollups import windows
from nengliu.analysis.rollups.days import DayLoader, Days
from nengliu.analysis.rollups.level_rows import Maker
from nengliu.analysis.rollups.reduce import QUARTERS, Dirty, Series, reduce_days
from nengliu.analysis.rollups.traits import Traits
from nengliu.analysis.rollups.windows import Grid
from nengliu.analysis.sorted import ranges, starts_of
from nengliu.domain.points import Kind
from nengliu.domain.times import day_of, day_of_receipt, day_start
from schemas.block import Block, Rows, Verdict

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
PER_HOUR, HOURS = 4, 24


class Recompute:
    """Windows of one shard from its ledger (see the head of this file)."""

    def __init__(self, catalogue: Catalogue, loader: Loader | None, day_loader: DayLoader | None) -> None:
        """Start empty; the loaders tell what is stored from before this run."""
        self.catalogue = catalogue
        self.ledger = Ledger(loader, as_sent=False)
        self.days = Days(day_loader)
        self._traits = Traits(catalogue)
        self.newest: tuple[Dirty, Grid, Grid] | None = None
        """What was made last: slots and days, their quarter-hours and hours."""

    def traits(self) -> Traits:
        """Traits of all slots so far."""
        return self._traits.of(self.ledger.points)

    def described(self, slot: int) -> None:
        """Learn that the point of a slot was described again."""
        self._traits.forget(slot)

    def add(self, block: Block) -> list[Rows]:
        """Take readings in, of which only the accepted count; say the rows they change, newest version last."""
        return [rows for part in by_day_of_receipt(block.accepted()) for rows in self._add(part)]

    def seal(self) -> None:
        """End an epoch: what came before the last one is stored and may be forgotten."""
        self.ledger.seal()
        self.days.seal(self.ledger.stored)

    def _add(self, part: Block) -> list[Rows]:
        self.ledger.reach(int(part.position.min()))
        for enterprise in {point[0] for point in part.points}:
            self.catalogue.know(enterprise, self.ledger.stored)
        merged = self.ledger.merge(part)
        changed = merged.verdict <= Verdict.REPLACED
        if not changed.any():
            return []
        keys = merged.accepted_keys
        floor = int(part.position[changed].min())
        today = int(day_of_receipt(part.received_at_s[:1])[0])
        dirty = self._dirty(keys)
        series = self._series(dirty, keys)
        return self._rows(dirty, series, _prior(series, dirty, merged, floor, today), floor, today)

    def restate(self, slot: int, old: Facts, new: Facts, position: int) -> list[Rows]:
        """Recompute from the first meter whose service changed, as far back as readings are kept."""
        pairs = zip(old.services, new.services, strict=False)
        shorter = min(len(old.services), len(new.services))
        first = next((i for i, (a, b) in enumerate(pairs) if a != b), shorter)
        changed_ms = new.services[min(first, len(new.services) - 1)].meter.from_ms
        start = max(changed_ms, self.catalogue.begins_ms, 0)
        self.ledger.know(np.array([slot], np.int32), np.array([start]))
        bounds = key_of(np.array([slot, slot + 1]), np.array([start, 0]))
        low, high = np.searchsorted(self.ledger.rows.keys, bounds)
        keys = self.ledger.rows.keys[low:high]
        if not len(keys):
            return []
        dirty = self._dirty(keys)
        series = self._series(dirty, keys[:0])
        before = replace(dirty, facts=[old])
        history = self._history(before, series, np.ones(int(dirty.width.sum()), bool), 2**31)
        return history + self._rows(dirty, series, None, position, 0)

    def restore(self, slots: npt.NDArray[np.int32], from_ms: int) -> list[Rows]:
        """Say the windows of some slots again, from the day of an instant on."""
        start = day_start(day_of(np.full(len(slots), from_ms)))
        self.ledger.know(slots, start)
        low, high = np.searchsorted(
            self.ledger.rows.keys, key_of(np.array([slots, slots + 1]), np.array([start, 0 * start]))
        )
        index, _ = ranges(low, high)
        keys = self.ledger.rows.keys[index]
        if not len(keys):
            return []
        dirty = self._dirty(keys)
        series = self._series(dirty, keys[:0])
        received_on = day_of_receipt(series.columns["received_at_s"].astype(np.int64))
        every = np.ones(int(dirty.width.sum()), bool)
        history = [
            rows
            for day in np.unique(received_on)[:-1].tolist()
            for rows in self._history(dirty, series.take(received_on <= day), every, day + 1)
        ]
        return [rows for rows in history if len(rows)] + self._rows(dirty, series, None, 1, 0)

    def _dirty(self, keys: Keys) -> Dirty:
        """Days touched by readings with the given keys (sorted): from the neighbour before to the one after."""
        slot = slot_of(keys)
        first = starts_of(slot)
        slots = slot[first]
        last = np.append(first[1:], len(keys)) - 1
        low, high = at_of(keys[first]), at_of(keys[last])
        facts = [self.catalogue.points[self.ledger.points[slot]] for slot in slots.tolist()]
        period = np.array([f.point.kind is Kind.PERIOD for f in facts])
        gauge = np.array([f.point.kind is Kind.GAUGE for f in facts])
        lasts = [f.point.interval_s if f.point.kind is Kind.PERIOD else f.point.hold_s for f in facts]
        until = high + np.array(lasts, np.int64) * 1000
        before, after = self._neighbours(slots, keys[first], keys[last])
        start = np.where(period | (before < 0), low, before)
        register_end = np.where(after < 0, high, after)
        held_end = np.where(after < 0, until, np.minimum(after, until))
        end = np.where(period, until, np.where(gauge, held_end, register_end))
        days = day_of(start), day_of(np.maximum(end - 1, high)) + 1
        dirty = Dirty(slots, *days, facts)
        self.ledger.know(slots, day_start(days[0]) - dirty.reach_ms)
        return dirty

    def _neighbours(self, slots: npt.NDArray[np.int32], low: Keys, high: Keys) -> tuple[Ints, Ints]:
        """Times [ms] of the readings before `low` and after `high` of each slot, whatever their origins; -1: none."""
        keys, origins = self.ledger.rows.keys, np.uint64(2**ORIGIN_BITS - 1)
        left = np.searchsorted(keys, low & ~origins) - 1
        right = np.searchsorted(keys, high | origins, side="right")
        inside = np.minimum(right, len(keys) - 1)
        has_left = (left >= 0) & (slot_of(keys[left]) == slots)
        has_right = (right < len(keys)) & (slot_of(keys[inside]) == slots)
        return np.where(has_left, at_of(keys[left]), -1), np.where(has_right, at_of(keys[inside]), -1)

    def _series(self, dirty: Dirty, changed: Keys) -> Series:
        keys = self.ledger.rows.keys
        start = np.searchsorted(keys, key_of(dirty.slots, day_start(dirty.first) - dirty.reach_ms))
        end = np.searchsorted(keys, key_of(dirty.slots, day_start(dirty.end)))
        start = start - ((start > 0) & (slot_of(keys[start - 1]) == dirty.slots))
        first = np.minimum(
            start, max(len(keys) - 1, 0)
        )  # all origins of its instant: the first of them speaks
        start = np.minimum(start, np.searchsorted(keys, keys[first] & ~np.uint64(2**ORIGIN_BITS - 1)))
        inside = np.minimum(end, len(keys) - 1)
        end = end + ((end < len(keys)) & (slot_of(keys[inside]) == dirty.slots))
        index, owner = ranges(start, end)
        at = at_of(keys[index])
        columns = {name: column[index] for name, column in self.ledger.rows.columns.items()}
        columns["origin"] = origin_of(keys[index])
        touched = np.zeros(len(index), bool)
        if len(changed):
            place = np.minimum(np.searchsorted(changed, keys[index]), len(changed) - 1)
            touched = changed[place] == keys[index]
        return Series(owner, at, columns, touched)

    def _rows(self, dirty: Dirty, series: Series, prior: Series | None, floor: int, today: int) -> list[Rows]:
        """Rows of every level whose revision is at least `floor`, and the history they supersede."""
        grid = reduce_days(_speaking(series), dirty)
        maker = Maker(self.traits(), dirty)
        fresh = grid.revision >= np.uint64(floor)
        out = self._history(dirty, prior, fresh, today) if prior is not None else []
        hours = windows.fold(grid, PER_HOUR)
        days = windows.fold(hours, HOURS)
        self.newest = dirty, grid, hours
        fresh_days = days.revision >= np.uint64(floor)
        out.append(maker.rows("window_15min", grid, 1, fresh))
        out.append(maker.rows("window_hour", hours, PER_HOUR, hours.revision >= np.uint64(floor)))
        said = maker.bare(days, QUARTERS, fresh_days)
        out.append(maker.pack("window_day", said))
        out.append(self.days.months(maker, said, self.ledger.stored))
        return [rows for rows in out if len(rows)]

    def _history(self, dirty: Dirty, prior: Series, fresh: npt.NDArray[np.bool_], today: int) -> list[Rows]:
        """Fresh windows as they stood before, where that was known on an earlier day than `today`."""
        before = reduce_days(_speaking(prior), dirty)
        maker = Maker(self.traits(), dirty)
        stood = (before.revision > 0) & (day_of_receipt(before.known_at_s) < today)
        days = windows.fold(windows.fold(before, PER_HOUR), HOURS)
        stood_days = (days.revision > 0) & (day_of_receipt(days.known_at_s) < today)
        fresh_days = fresh.reshape(-1, QUARTERS).any(1)
        quarters = maker.rows("window_15min_history", before, 1, stood & fresh)
        return [quarters, maker.rows("window_day_history", days, QUARTERS, stood_days & fresh_days)]


def by_day_of_receipt(block: Block) -> Iterator[Block]:
    """Cut a block wherever the day of receipt changes, so that history does not depend on batch cuts."""
    if not len(block):
        return
    day = day_of_receipt(block.received_at_s)
    edges = starts_of(day).tolist()
    for start, end in zip(edges, [*edges[1:], len(block)], strict=True):
        yield block.take(slice(start, end))


def _prior(series: Series, dirty: Dirty, merged: Merge, floor: int, today: int) -> Series | None:
    """The series as it was before the block: without what came, with what it displaced.

    None if no earlier day knew any of it.
    """
    stood = merged.displaced & (merged.superseded["position"] < np.uint64(floor))
    earlier = int(day_start(np.array([today]))[0]) // 1000
    known = series.columns["received_at_s"][~series.touched], merged.superseded["received_at_s"][stood]
    if not any((received < earlier).any() for received in known):
        return None
    keys = merged.superseded_keys[stood]
    keep = ~series.touched
    owner = np.concatenate([series.owner[keep], np.searchsorted(dirty.slots, slot_of(keys))])
    at = np.concatenate([series.at_ms[keep], at_of(keys)])
    displaced = {name: column[stood] for name, column in merged.superseded.items()} | {
        "origin": origin_of(keys)
    }
    columns = {
        name: np.concatenate([column[keep], displaced[name]]) for name, column in series.columns.items()
    }
    order = np.lexsort((rank_of(columns["origin"]), at, owner))
    return Series(owner, at, columns, np.zeros(len(at), bool)).take(order)


def _speaking(series: Series) -> Series:
    """Of several origins at one instant the first speaks (`SPEAKS_FIRST`); the others may have, before it came."""
    first = np.append(True, (series.owner[1:] != series.owner[:-1]) | (series.at_ms[1:] != series.at_ms[:-1]))
    return series.take(first[: len(series.at_ms)])
