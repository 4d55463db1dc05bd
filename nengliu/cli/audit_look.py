"""What the audit asks the store: month by month, some enterprises at a time, so that its memory is bounded."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from flows.computed import StoredWindows
from nengliu.analysis import audit as found_by
from nengliu.analysis.audit import Finding
from nengliu.analysis.audit_recompute import (
    LEVELS,
    Described,
    columns_of,
    compare,
    recompute,
    recompute_formulas,
    rests_on,
)
from nengliu.analysis.catalogue import Catalogue
from nengliu.bus import partition_of
from nengliu.domain.points import Enterprise, Point, Seat
from nengliu.domain.scope import SYSTEM
from nengliu.domain.times import DAY_MS, STORED, Level, next_period_ms, period_start_ms
from schemas.block import Block, Rows
from schemas.messages import BookNotice, EnterpriseNotice, PointNotice

if TYPE_CHECKING:
    import pyarrow as pa

    from nengliu.settings import Settings
    from nengliu.storage import Asker

POINTS_AT_ONCE = 2000
"""A month of so many points is some 6 million quarter-hours."""
LOOKED_BACK_MS = 35 * DAY_MS
"""The readings of a message are looked for so far before its receipt, then everywhere."""
NOW = 2**63
"""Above every position."""
Look = Callable[["Part"], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Part:
    """A month of some enterprises of one partition, and what the catalogue knows of them.

    Attributes
    ----------
    start_ms, end_ms
        The China month ``[start, end)`` [ms, UTC].
    """

    asker: Asker
    enterprises: tuple[str, ...]
    start_ms: int
    end_ms: int
    catalogue: Catalogue
    described: Described

    def ask(self, name: str, **more: Any) -> pa.Table:
        """Ask one of the audit's questions for this part."""
        return self.asker.ask(name, SYSTEM, start=self.start_ms, end=self.end_ms, **more)

    def rows(self, name: str, **more: Any) -> list[dict[str, Any]]:
        """Ask a question about these enterprises; only what differs is said."""
        found: list[dict[str, Any]] = self.ask(name, **{"enterprises": self.enterprises} | more).to_pylist()
        return found


def registers(part: Part) -> Iterator[Finding]:
    """Compare the registers' differences with the windows of each day."""
    services = found_by.services_of(part.catalogue, part.described.points)
    if services:
        rows = part.ask("audit_registers", services=services).to_pylist()
        yield from map(found_by.register_finding, rows)


def levels(part: Part) -> Iterator[Finding]:
    """Compare hours, days and months with the rows below them."""
    yield from map(found_by.level_finding, part.rows("audit_levels"))


def decimals(part: Part) -> Iterator[Finding]:
    """Compare the decimals of windows with those of their points."""
    yield from map(found_by.decimals_finding, part.rows("audit_decimals"))


def intake(part: Part) -> Iterator[Finding]:
    """Compare what was received with what became of it, and with what was held back."""
    yield from map(found_by.intake_finding, part.rows("audit_intake"))


def messages(part: Part) -> Iterator[Finding]:
    """Compare the accepted readings of each message with those stored: near its receipt, and if need be everywhere."""
    doubted = part.rows("audit_messages", read_from=max(part.start_ms - LOOKED_BACK_MS, 0))
    names = sorted({row["enterprise"] for row in doubted})
    if names:
        rows = part.rows("audit_messages", enterprises=names, read_from=0)
        yield from map(found_by.message_finding, rows)


def revisions(part: Part) -> Iterator[Finding]:
    """Look for windows whose newest message left no reading."""
    yield from map(found_by.revision_finding, part.rows("audit_revisions"))


def totals(part: Part) -> Iterator[Finding]:
    """Compare the totals of enterprises with the points at their boundary."""
    yield from map(found_by.total_finding, part.rows("audit_totals"))


CHECKS: dict[str, Look] = {
    "registers": registers,
    "levels": levels,
    "decimals": decimals,
    "intake": intake,
    "messages": messages,
    "revisions": revisions,
    "totals": totals,
}
"""Looks that the store does itself, over whole columns."""


@dataclass(slots=True)
class Recomputed:
    """Looks again at some points, or at all, by computing their windows anew.

    Parameters
    ----------
    count
        Points of each month, drawn by `seed`; None: all.
    """

    count: int | None
    seed: int
    looked_at: set[tuple[str, str, int]] = field(default_factory=set)

    def __call__(self, part: Part) -> Iterator[Finding]:
        """Compare every level of the drawn points with what their readings give."""
        chosen = self._choose(part)
        self.looked_at |= {(*point, part.start_ms) for point in chosen.points}
        if not chosen.points:
            return
        asked = {"points": chosen.points, "from_ms": part.start_ms}
        found = recompute(part.catalogue, block_of(part.ask("audit_readings", **asked)))
        by_formulas = recompute_formulas(part.catalogue, operands(part, chosen.points))
        for level, table in LEVELS.items():
            stored = stored_columns(part.ask("audit_windows", level=level, **asked), chosen.points)
            made = [*found.get(table, []), *by_formulas.get(table, [])]
            expected = within(made, chosen.points, part)
            yield from compare(level, expected, stored, part.catalogue, chosen)

    def _choose(self, part: Part) -> Described:
        if self.count is None:
            return part.described
        rng = random.Random(f"{self.seed} {part.start_ms} {part.enterprises[0]}")  # noqa: S311 - a sample
        places = sorted(
            rng.sample(range(len(part.described.points)), min(self.count, len(part.described.points)))
        )
        return Described([part.described.points[i] for i in places], part.described.position[places])


def operands(part: Part, points: Sequence[tuple[str, str]]) -> list[Rows]:
    """Stored windows of every level and of the points that the computed ones of `points` rest on."""
    known = {pair: facts.point for pair, facts in part.catalogue.points.items()}
    below = rests_on(known, points)
    store = StoredWindows(part.asker)
    found = [store.windows(level, below, part.start_ms, part.end_ms, NOW) for level in STORED if below]
    return [rows for rows in found if rows is not None]


def block_of(table: pa.Table) -> Block:
    """Readings as the rollups take them."""
    pairs = _pairs(table)
    number = {pair: i for i, pair in enumerate(dict.fromkeys(pairs))}
    n = len(pairs)
    kinds = {
        "origin": np.uint8,
        "quality": np.uint8,
        "reason": np.uint16,
        "sequence": np.uint64,
        "position": np.uint64,
    }
    names = ("read_at_ms", "ticks", "quality", "reason", "origin", "received_at_s", "sequence", "position")
    arrays = {name: table[name].to_numpy().astype(kinds.get(name, np.int64)) for name in names}
    return Block(
        points=tuple(number),
        slot=np.array([number[pair] for pair in pairs], np.int32),
        sent=arrays["ticks"],
        units=(("", 0),),
        sent_unit=np.zeros(n, np.uint16),
        verdict=np.zeros(n, np.uint8),
        **arrays,
    )


def _pairs(table: pa.Table) -> list[tuple[str, str]]:
    columns = [table[name].to_pylist() for name in ("enterprise", "point")]
    return [(str(enterprise), str(point)) for enterprise, point in zip(*columns, strict=True)]


def stored_columns(table: pa.Table, points: list[tuple[str, str]]) -> dict[str, Any]:
    """Stored windows as bare columns; `slot` numbers the point."""
    number = {pair: i for i, pair in enumerate(points)}
    names = [name for name in table.column_names if name not in ("enterprise", "point")]
    columns: dict[str, Any] = {name: table[name].to_numpy(zero_copy_only=False) for name in names}
    return columns | {"slot": np.array([number[pair] for pair in _pairs(table)], np.int64)}


def within(parts: Sequence[Rows], points: list[tuple[str, str]], part: Part) -> dict[str, Any]:
    """Recomputed rows of the month; a window of a neighbouring month is only there in part."""
    if not parts:
        return {name: np.empty(0, np.int64) for name in ("slot", "period_start_s")}
    columns = columns_of(parts, points)
    at_ms = columns["period_start_s"] * 1000
    inside = (at_ms >= part.start_ms) & (at_ms < part.end_ms)
    return {name: column[inside] for name, column in columns.items()}


# -- parts of the work -----------------------------------------------------------------------------


@dataclass(slots=True)
class Audit:
    """The whole of an audit: its parts one after the other, each looked at twice before anything is said.

    Flows write while the audit looks, so what differs is looked at again after `settle_s`; what then is the same
    difference is one.

    Parameters
    ----------
    enterprise
        Only this one; empty: all.
    start_ms, end_ms
        Whole months that hold something of ``[start, end)`` are audited.
    """

    settings: Settings
    asker: Asker
    enterprise: str
    start_ms: int
    end_ms: int
    recomputed: Recomputed
    settle_s: float
    findings: list[Finding] = field(default_factory=list)
    _known: dict[tuple[str, ...], tuple[Catalogue, Described]] = field(default_factory=dict)

    def months(self) -> list[tuple[int, int]]:
        """The months to look at."""
        start = period_start_ms(Level.MONTH, np.array([self.start_ms]))
        found = []
        while start[0] < self.end_ms:
            end = next_period_ms(Level.MONTH, start)
            found.append((int(start[0]), int(end[0])))
            start = end
        return found

    def batches(self) -> list[tuple[str, ...]]:
        """Enterprises of one partition, as many as make up the points that are looked at together."""
        rows = self.asker.ask("audit_points", SYSTEM, enterprise=self.enterprise).to_pylist()
        found: dict[int, list[list[str]]] = {}
        held: dict[int, int] = {}
        for row in rows:
            part = partition_of(row["enterprise"], self.settings.partitions)
            if part not in found or held[part] + row["points"] > POINTS_AT_ONCE:
                found.setdefault(part, []).append([])
                held[part] = 0
            found[part][-1].append(row["enterprise"])
            held[part] += row["points"]
        return [tuple(names) for batches in found.values() for names in batches]

    def run(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Look at one part after the other; each is said when it is done."""
        for batch in self.batches():
            catalogue, described = self.catalogue(batch)
            for start_ms, end_ms in self.months():
                part = Part(self.asker, batch, start_ms, end_ms, catalogue, described)
                self.findings += self._look(part)
                yield start_ms, batch

    def _look(self, part: Part) -> list[Finding]:
        found: list[Finding] = []
        looks: list[Look] = [*CHECKS.values(), self.recomputed]
        for look in looks:
            first = list(look(part))
            if first:
                time.sleep(self.settle_s)
                lasting = {(one.place, str(one.got)) for one in first}
                found += [one for one in look(part) if (one.place, str(one.got)) in lasting]
        return found

    def catalogue(self, enterprises: tuple[str, ...]) -> tuple[Catalogue, Described]:
        """What the log has told of some enterprises, the last words of it."""
        catalogue = Catalogue()
        wanted: dict[str, Any] = {"enterprises": enterprises, "position": NOW}
        part = partition_of(enterprises[0], self.settings.partitions)
        for row in self.asker.ask("state_book", SYSTEM, partition=part, position=NOW).to_pylist():
            catalogue.take(msgspec.json.decode(row["definition"], type=BookNotice), row["position"])
        for row in self.asker.ask("state_enterprises", SYSTEM, **wanted).to_pylist():
            position, stays = (
                row.pop("position"),
                msgspec.json.decode(row.pop("stays"), type=tuple[Seat, ...]),
            )
            catalogue.take(EnterpriseNotice(Enterprise(**row, stays=stays)), position)
        versions: dict[tuple[str, str], list[tuple[int, Point]]] = {}
        for row in self.asker.ask("state_points", SYSTEM, **wanted).to_pylist():
            point = msgspec.json.decode(row["definition"], type=Point)
            versions.setdefault((point.enterprise, point.point), []).append((row["position"], point))
        told = [entry for entries in versions.values() for entry in entries]
        for position, point in sorted(told, key=lambda entry: entry[0]):
            catalogue.take(PointNotice(point), position)
        return catalogue, Described.of(versions)
