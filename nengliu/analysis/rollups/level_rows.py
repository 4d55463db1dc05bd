"""Rows for the window tables, from grids: names, times, due counts, standard coal and CO2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nengliu.analysis.rollups.reduce import QUARTERS, Dirty
from nengliu.analysis.rollups.traits import Traits
from nengliu.analysis.rollups.windows import BY_GRAVITY, Grid
from nengliu.domain.books import CO2, COAL, COAL_EQUAL
from nengliu.domain.quality import Quality
from nengliu.domain.times import QUARTER_MS, day_start, due_in
from schemas.block import Labels, Rows

Ints = npt.NDArray[np.int64]
Columns = dict[str, npt.NDArray[Any]]
CLASSES = {
    "good": Quality.GOOD,
    "late": Quality.LATE,
    "substituted": Quality.SUBSTITUTED,
    "manual": Quality.MANUAL,
    "suspect": Quality.SUSPECT,
    "bad": Quality.BAD,
}
SUMS = ("used", "estimated", "covered_ms", "weighted", "received", *CLASSES)
FACTORS = {"coal_kgce": COAL, "coal_equal_kgce": COAL_EQUAL, "co2_kg": CO2}


class Bare(NamedTuple):
    """Rows before they have names: the owner among the dirty slots, start of the period [ms], columns (n,)."""

    owner: Ints
    start_ms: Ints
    columns: Columns


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes rows for the dirty slots of one shard."""

    traits: Traits
    dirty: Dirty

    def rows(self, table: str, grid: Grid, quarters: int, mask: npt.NDArray[np.bool_]) -> Rows:
        """Rows of one level (`quarters` per row) where `mask` says so."""
        return self.pack(table, self.bare(grid, quarters, mask))

    def bare(self, grid: Grid, quarters: int, mask: npt.NDArray[np.bool_]) -> Bare:
        """The same as bare columns."""
        owner, start_ms, columns = self._columns(grid, quarters, mask)
        columns["due"] = self.due(owner, start_ms, start_ms + quarters * QUARTER_MS)
        if quarters == QUARTERS:
            columns |= self.accounts(owner, start_ms, columns["used"])
        return Bare(owner, start_ms, columns)

    def _columns(self, grid: Grid, quarters: int, mask: npt.NDArray[np.bool_]) -> Bare:
        index = np.flatnonzero(mask)
        base = self.dirty.base // quarters
        owner = np.searchsorted(base, index, side="right") - 1
        start_ms = day_start(self.dirty.first)[owner] + (index - base[owner]) * quarters * QUARTER_MS
        counts = grid.counts[index]
        columns: Columns = {
            name: getattr(grid, name)[index]
            for name in (
                "used",
                "estimated",
                "covered_ms",
                "weighted",
                "low",
                "high",
                "last",
                "known_at_s",
                "revision",
            )
        }
        columns["reason"] = BY_GRAVITY[grid.gravity[index]]
        columns |= {name: counts[:, quality] for name, quality in CLASSES.items()}
        columns["substituted"] = columns["substituted"] + counts[:, Quality.ESTIMATED]  # neither is measured
        columns["received"] = counts.sum(1)
        return Bare(owner, start_ms, columns)

    def due(self, owner: Ints, start_ms: Ints, end_ms: Ints) -> Ints:
        """Readings due in ``[start_ms, end_ms)`` while the point existed; 0 for a change-of-value source."""
        slots = self.dirty.slots[owner]
        interval_ms = self.traits.take("interval_ms", slots)
        born_ms, gone_ms = self.traits.take("valid_from_ms", slots), self.traits.take("valid_to_ms", slots)
        return due_in(interval_ms, born_ms, gone_ms, start_ms, end_ms)[0]

    def accounts(self, owner: Ints, start_ms: Ints, used: npt.NDArray[Any]) -> Columns:
        """Standard coal (both values) and CO2 of daily amounts; NaN where the book has no factor."""
        slots = self.dirty.slots[owner]
        amount = used / 10.0 ** self.traits.take("decimals", slots)
        found: Columns = {name: np.full(len(owner), np.nan) for name in FACTORS}
        items, energy = self.traits.take("item", slots), ~self.traits.take("gauge", slots)
        for item in np.flatnonzero(np.bincount(items[energy])).tolist():
            mask = energy & (items == item)
            for name, use in FACTORS.items():
                factors = self._factors(self.traits.items[item], use, slots[mask], start_ms[mask])
                found[name][mask] = amount[mask] * factors
        return found

    def _factors(
        self, item: str, use: tuple[str, str], slots: npt.NDArray[np.int32], start_ms: Ints
    ) -> npt.NDArray[np.float64]:
        """Factors on these days; where they differ from place to place, those of the enterprise's place on the day."""
        book = self.traits.catalogue.book
        if not book.is_local(item, use):
            return book.values(item, use, start_ms)
        found = np.full(len(slots), np.nan)
        for slot in np.unique(slots).tolist():
            for from_ms, whose in self.traits.seats(slot):
                mine = (slots == slot) & (start_ms >= from_ms)
                found[mine] = book.values(item, use, start_ms[mine], whose)
        return found

    def pack(self, table: str, bare: Bare) -> Rows:
        """Put names and times to bare columns, as the table wants them."""
        owner, start_ms, columns = bare
        slots = self.dirty.slots[owner]
        covered = columns["covered_ms"]
        measured = self.traits.take("gauge", slots) & (covered > 0)
        mean = np.where(measured, columns["weighted"] / np.maximum(covered, 1), np.nan)
        plain = {
            name: columns[name] for name in columns if name not in ("covered_ms", "weighted", "known_at_s")
        }
        full: dict[str, npt.NDArray[Any] | Labels] = {
            **self.traits.labels(slots),
            "period_start": start_ms // 1000,
            "decimals": self.traits.take("decimals", slots),
            "mean": mean,
            "covered_s": covered // 1000,
            "known_at": columns["known_at_s"],
            **plain,
        }
        if "coal_kgce" in columns:
            full["book"] = Labels(np.zeros(len(owner), np.int32), (self.traits.catalogue.book.digest,))
        return Rows(table, full)
