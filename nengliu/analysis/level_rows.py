"""Rows for the window tables, from grids: names, times, due counts, standard coal and CO2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.reduce import QUARTERS, Dirty
from nengliu.analysis.slot_names import Names
from nengliu.analysis.windows import BY_GRAVITY, Grid
from nengliu.domain.books import CO2, COAL, COAL_EQUAL, Whose
from nengliu.domain.points import FOREVER_MS, Kind
from nengliu.domain.quality import Quality
from nengliu.domain.times import CHINA_OFFSET_MS, QUARTER_MS, day_start
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


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes rows for the dirty slots of one shard."""

    names: Names
    dirty: Dirty
    catalogue: Catalogue

    def rows(self, table: str, grid: Grid, quarters: int, mask: npt.NDArray[np.bool_]) -> Rows:
        """Rows of one level (`quarters` per row) where `mask` says so."""
        owner, start_ms, columns = self.columns(grid, quarters, mask)
        columns["due"] = self.due(owner, start_ms, start_ms + quarters * QUARTER_MS)
        if quarters == QUARTERS:
            columns |= self.accounts(owner, start_ms, columns["used"])
        return self.pack(table, owner, start_ms, columns)

    def columns(self, grid: Grid, quarters: int, mask: npt.NDArray[np.bool_]) -> tuple[Ints, Ints, Columns]:
        """Owner, period start [ms] and bare columns of the rows under `mask`."""
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
        return owner, start_ms, columns

    def due(self, owner: Ints, start_ms: Ints, end_ms: Ints) -> Ints:
        """Readings due in ``[start_ms, end_ms)`` while the point existed; 0 for a change-of-value source."""
        facts = [facts.point for facts in self.dirty.facts]
        interval = np.array([point.interval_s for point in facts], np.int64)[owner] * 1000
        start = np.maximum(start_ms, np.array([point.valid_from_ms for point in facts], np.int64)[owner])
        end = np.minimum(end_ms, np.array([point.valid_to_ms for point in facts], np.int64)[owner])
        step = np.maximum(interval, 1)
        count = -(-(end + CHINA_OFFSET_MS) // step) + (-(start + CHINA_OFFSET_MS) // step)
        return np.where((interval > 0) & (end > start), count, 0)

    def accounts(self, owner: Ints, start_ms: Ints, used: npt.NDArray[Any]) -> Columns:
        """Standard coal (both values) and CO2 of daily amounts; NaN where the book has no factor."""
        amount = used / self._scale(owner)
        found: Columns = {name: np.full(len(owner), np.nan) for name in FACTORS}
        items = np.array([facts.point.item for facts in self.dirty.facts], object)[owner]
        energy = np.array([facts.point.kind is not Kind.GAUGE for facts in self.dirty.facts])[owner]
        for item in sorted(set(items[energy].tolist())):
            mask = energy & (items == item)
            for name, use in FACTORS.items():
                found[name][mask] = amount[mask] * self._factors(item, use, owner[mask], start_ms[mask])
        return found

    def _factors(
        self, item: str, use: tuple[str, str], owner: Ints, start_ms: Ints
    ) -> npt.NDArray[np.float64]:
        """Factors on these days; where they differ from place to place, those of the enterprise's place on the day."""
        book = self.catalogue.book
        if not book.is_local(item, use):
            return book.values(item, use, start_ms)
        found = np.full(len(owner), np.nan)
        for one in np.unique(owner).tolist():
            for from_ms, whose in self._whose(one):
                mine = (owner == one) & (start_ms >= from_ms)
                found[mine] = book.values(item, use, start_ms[mine], whose)
        return found

    def _whose(self, owner: int) -> Iterator[tuple[int, Whose]]:
        """Since when a point's enterprise is where; the first place holds before it, too."""
        code = self.dirty.facts[owner].point.enterprise
        enterprise = self.catalogue.enterprises.get(code)
        stays = enterprise.stays if enterprise is not None else ()
        region = enterprise.region if enterprise is not None else ""
        yield -FOREVER_MS, Whose(code, stays[0].region if stays else region)
        for seat in stays[1:]:
            yield seat.from_ms, Whose(code, seat.region)

    def pack(self, table: str, owner: Ints, start_ms: Ints, columns: Columns) -> Rows:
        """Put names and times to bare columns, as the table wants them."""
        slots = self.dirty.slots[owner]
        covered = columns["covered_ms"]
        gauge = np.array([facts.point.kind is Kind.GAUGE for facts in self.dirty.facts])[owner]
        measured = gauge & (covered > 0)
        mean = np.where(measured, columns["weighted"] / np.maximum(covered, 1), np.nan)
        decimals = np.array([facts.point.decimals for facts in self.dirty.facts], np.uint8)[owner]
        plain = {
            name: columns[name] for name in columns if name not in ("covered_ms", "weighted", "known_at_s")
        }
        full: dict[str, npt.NDArray[Any] | Labels] = {
            **self.names.labels(slots),
            "period_start": start_ms // 1000,
            "decimals": decimals,
            "mean": mean,
            "covered_s": covered // 1000,
            "known_at": columns["known_at_s"],
            **plain,
        }
        if "coal_kgce" in columns:
            full["book"] = Labels(np.zeros(len(owner), np.int32), (self.catalogue.book.digest,))
        return Rows(table, full)

    def _scale(self, owner: Ints) -> npt.NDArray[np.float64]:
        return 10.0 ** np.array([facts.point.decimals for facts in self.dirty.facts])[owner]
