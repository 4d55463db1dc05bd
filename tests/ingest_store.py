"""A store in memory for ingest: keeps rows by key as the tables do, and serves the loaders of a shard.

Rows become visible as late as the contract of `Ledger.seal` allows: what an epoch wrote is
surely stored when the next one ends.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from nengliu.analysis.intake.waiting import WAIT_ITEM, Waiting
from nengliu.bus import OFFSET_BITS, Record
from nengliu.domain.points import Enterprise, Point, Schema, Seat
from schemas.block import Arrays, Block, Labels, Lists, Rows
from schemas.messages import (
    BookNotice,
    EnterpriseNotice,
    Notice,
    PointNotice,
    SchemaNotice,
    WiringNotice,
)

KEYS = {
    "reading_chunk": ("enterprise", "point", "period_start", "origin"),
    "reading_superseded": ("enterprise", "point", "read_at", "origin", "sequence", "ticks", "position"),
    "quarantine": ("enterprise", "partition", "position", "item"),
    "intake": ("enterprise", "source", "partition", "position"),
    "enterprise": ("enterprise", "position"),
    "point": ("enterprise", "point", "position"),
    "frame_schema": ("enterprise", "schema", "position"),
    "book": ("partition", "position"),
    "import_run": ("enterprise", "digest", "position"),
    "link_event": ("enterprise", "source", "kind", "sequence", "item"),
    "missed": ("enterprise", "point", "first_at", "last_at", "source"),
    "wiring": ("enterprise", "source", "position"),
    "point_newest": ("enterprise", "point"),
    "region": ("region",),
    "target": ("region", "enterprise", "metric", "period"),
    "activity": ("enterprise", "measure", "period"),
    "manual_entry": ("enterprise", "point", "read_at", "position", "item"),
}
ARRAYS = ("read_at", "ticks", "quality", "reason", "origin", "received_at", "sequence", "position", "sent")
VERSIONS = {"reading_chunk": "revision", "missed": "sequence"} | dict.fromkeys(
    ("link_event", "wiring", "region", "target", "activity"), "position"
)
"""Column of a table whose larger value stays; elsewhere the later row does."""
AGGREGATES = {"first_read_at": min, "last_read_at": max, "last_received_at": max}
"""Columns of which two rows with one key make one value."""
NAMES = {"read_at": "read_at_ms", "received_at": "received_at_s"}
WIDTHS = {"quality": "u1", "reason": "u2", "origin": "u1", "sequence": "u8", "position": "u8"}

Row = dict[str, Any]


def rows_of(rows: Rows) -> list[Row]:
    """Rows as dictionaries of Python values."""
    columns = {name: _plain(column) for name, column in rows.columns.items()}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _plain(column: Any) -> list[Any]:
    if isinstance(column, Labels):
        return [column.dictionary[code] for code in column.codes.tolist()]
    if isinstance(column, Lists):
        return [list(texts) for texts in column.values]
    if isinstance(column, Arrays):
        return [part.tolist() for part in np.split(column.values, column.ends[:-1])]
    return list(np.asarray(column).tolist())


def spelled(chunk: Row) -> list[Row]:
    """Readings of a row of `reading_chunk`, as the view `reading` shows them."""
    n = len(chunk["at"])
    same = {name: chunk[name] for name in ("enterprise", "point", "origin", "period_start")}
    lists = {name: chunk[name] for name in ("ticks", "received_at", "sequence", "position")}
    lists["read_at"] = [chunk["period_start"] * 1000 + at for at in chunk["at"]]
    lists |= {name: chunk[name] or [0] * n for name in ("quality", "reason")}
    lists["sent"] = chunk["sent"] or chunk["ticks"]
    lists["sent_unit"] = chunk["sent_unit_each"] or [chunk["sent_unit"]] * n
    lists["sent_decimals"] = chunk["sent_decimals_each"] or [chunk["sent_decimals"]] * n
    return [same | dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


class IngestStore:
    """Tables as dictionaries by key; of two rows with one key the later stays, or the higher version."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[tuple[Any, ...], Row]] = {name: {} for name in KEYS}
        self.pending: list[Rows] = []
        self._ended: list[Rows] = []

    def write(self, rows: Iterable[Rows]) -> None:
        """Take rows in; they are not seen yet."""
        self.pending.extend(rows)

    def end_epoch(self) -> None:
        """Make visible what was written before this epoch; what it wrote itself waits for the next."""
        self._store(self._ended)
        self._ended, self.pending = self.pending, []

    def flush(self) -> None:
        """Make everything visible."""
        self._store([*self._ended, *self.pending])
        self._ended, self.pending = [], []

    def _store(self, batch: list[Rows]) -> None:
        for rows in batch:
            for row in rows_of(rows):
                table, key = self.tables[rows.table], tuple(row[name] for name in KEYS[rows.table])
                version, old = VERSIONS.get(rows.table), self.tables[rows.table].get(key, row)
                row |= {name: fold(old[name], row[name]) for name, fold in AGGREGATES.items() if name in row}
                if key not in table or version is None or row[version] >= table[key][version]:
                    table[key] = row

    def standing(self) -> list[Row]:
        """Readings that stand."""
        return [row for chunk in self.tables["reading_chunk"].values() for row in spelled(chunk)]

    def readings(self, points: list[tuple[str, str]], from_ms: Any, before: int) -> Block | None:
        """Serve `Ledger`: readings and losers of each point from its time on, and the last before it."""
        every = [*self.standing(), *self.tables["reading_superseded"].values()]
        found: list[Row] = []
        for point, start in zip(points, np.asarray(from_ms).tolist(), strict=True):
            own = [r for r in every if (r["enterprise"], r["point"]) == point and r["position"] < before]
            earlier = [r["read_at"] for r in own if r["read_at"] < start]
            since = max(earlier) if earlier else start
            found += [r for r in own if r["read_at"] >= since]
        return _block(found) if found else None

    def waiting(self, before: int) -> list[Waiting]:
        """Serve `WaitingRoom`: messages that waited as of a position."""
        found = []
        for row in sorted(self.tables["quarantine"].values(), key=lambda row: row["position"]):
            said = json.loads(row["parameters"])
            if row["item"] == WAIT_ITEM and row["position"] < before <= int(said.get("released", before)):
                given = (
                    row["position"] >> OFFSET_BITS,
                    row["position"] & (2**OFFSET_BITS - 1),
                    row["enterprise"],
                )
                value = base64.b64decode(row["payload"])
                record = Record("readings.raw", row["partition"], *given, value, int(said["appended_at_s"]))
                found.append(Waiting(record, int(said["got"])))
        return found

    def notices(self, enterprise: str, before: int) -> list[tuple[int, Notice]]:
        """Serve `Catalogue`: what was told before a position, oldest first."""
        found: list[tuple[int, Notice]] = []
        for row in self._before("book", before):
            found.append((row["position"], msgspec.json.decode(row["definition"], type=BookNotice)))
        for row in self._before("enterprise", before, enterprise):
            values = {name: value for name, value in row.items() if name not in ("position", "known_at")}
            values["stays"] = msgspec.json.decode(values["stays"], type=tuple[Seat, ...])
            found.append((row["position"], EnterpriseNotice(Enterprise(**values))))
        for row in self._before("point", before, enterprise):
            found.append((row["position"], PointNotice(msgspec.json.decode(row["definition"], type=Point))))
        for row in self._before("frame_schema", before, enterprise):
            found.append((row["position"], SchemaNotice(msgspec.json.decode(row["definition"], type=Schema))))
        for row in self._before("wiring", before, enterprise):
            found.append((row["position"], msgspec.json.decode(row["definition"], type=WiringNotice)))
        return sorted(found, key=lambda entry: entry[0])

    def _before(self, table: str, before: int, enterprise: str = "") -> list[Row]:
        rows = [row for row in self.tables[table].values() if row["position"] < before]
        return [row for row in rows if row.get("enterprise", "") == enterprise]


def _block(rows: list[Row]) -> Block:
    points = list(dict.fromkeys((r["enterprise"], r["point"]) for r in rows))
    units = list(dict.fromkeys((r["sent_unit"], r["sent_decimals"]) for r in rows))
    arrays = {NAMES.get(n, n): np.array([r[n] for r in rows], WIDTHS.get(n, "i8")) for n in ARRAYS}
    return Block(
        points=tuple(points),
        slot=np.array([points.index((r["enterprise"], r["point"])) for r in rows], np.int32),
        units=tuple(units),
        verdict=np.zeros(len(rows), np.uint8),
        sent_unit=np.array([units.index((r["sent_unit"], r["sent_decimals"])) for r in rows], np.uint16),
        **arrays,
    )
