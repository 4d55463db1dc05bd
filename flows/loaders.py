"""What a shard asks of the store when it resumes: its catalogue, readings and days, as of a position."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.intake.waiting import Loader as WaitingLoader
from nengliu.analysis.intake.waiting import Waiting
from nengliu.analysis.ledger import Loader
from nengliu.analysis.rollups.days import DayLoader
from nengliu.analysis.sorted import Columns
from nengliu.bus import OFFSET_BITS, Record, partition_of
from nengliu.domain.points import Enterprise, Point, Schema, Seat
from nengliu.domain.scope import SYSTEM
from nengliu.settings import Settings
from nengliu.storage import Asker
from nengliu.storage.since import readings_since
from schemas.block import Block
from schemas.messages import (
    BookNotice,
    EnterpriseNotice,
    Notice,
    PointNotice,
    RetentionNotice,
    SchemaNotice,
    WiringNotice,
)
from schemas.topics import RAW

Ints = npt.NDArray[np.int64]
NoticeOf: TypeAlias = Callable[[dict[str, Any]], Notice]
Told: TypeAlias = tuple[pa.Table, NoticeOf]
"""Rows of one enterprise, and how each becomes the notice it was."""


def meet_store(settings: Settings) -> None:
    """Ask the store once before the flow begins: one that cannot write must not look alive.

    Raises
    ------
    StorageError
        It stayed away for as long as a flow is patient.
    """
    asker = Asker(settings)
    asker.ask("state_units", SYSTEM, None, position=0)
    asker.close()


def catalogue_of(asker: Asker, partition: int, partitions: int) -> Catalogue:
    """Catalogue of a shard that knows what the store kept before the shard's first position."""
    return Catalogue(CatalogueOfStore(asker, partition, partitions))


class CatalogueOfStore:
    """Loader of an enterprise's notices, oldest first, and with the first of them those told to the whole partition.

    The first question is for all enterprises of the partition at once: a shard that resumes soon needs every one.
    """

    def __init__(self, asker: Asker, partition: int, partitions: int) -> None:
        """Ask nothing yet."""
        self._asker, self._partition, self._partitions = asker, partition, partitions
        self._told: dict[str, list[Told]] = {}
        self._asked = False

    def __call__(self, enterprise: str, before: int) -> Iterable[tuple[int, Notice]]:
        """Notices of an enterprise before a position of the log."""
        to_all: list[tuple[int, Notice]] = []
        if not self._asked:
            self._asked = True
            to_all = _told_to_all(self._asker, self._partition, before)
            known = self._asker.ask("state_units", SYSTEM, None, position=before)["enterprise"].to_pylist()
            own = [
                name for name in map(str, known) if partition_of(name, self._partitions) == self._partition
            ]
            self._told = self._ask(own, before) if own else {}
        if enterprise in self._told:
            found = self._told.pop(enterprise)
        elif partition_of(enterprise, self._partitions) == self._partition:
            found = []  # whatever was told of it since, this shard has taken itself
        else:
            found = self._ask([enterprise], before).get(enterprise, [])
        said = [(row["position"], notice_of(row)) for rows, notice_of in found for row in rows.to_pylist()]
        return sorted([*to_all, *said], key=lambda entry: entry[0])

    def _ask(self, enterprises: list[str], before: int) -> dict[str, list[Told]]:
        """Rows by enterprise, as they came: they become notices when their enterprise is needed."""
        wanted: dict[str, Any] = {"enterprises": enterprises, "position": before}
        found: dict[str, list[Told]] = {}
        for question, notice_of in _DESCRIBED.items():
            for enterprise, rows in _by_enterprise(self._asker.ask(question, SYSTEM, None, **wanted)):
                found.setdefault(enterprise, []).append((rows, notice_of))
        return found


def _by_enterprise(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Cut an answer that is in order of the enterprise into the rows of each."""
    names, codes = _dictionary(table, "enterprise")
    edges = np.flatnonzero(np.diff(codes.astype(np.int64), prepend=-1, append=-1)).tolist()
    for start, end in itertools.pairwise(edges):
        yield str(names[codes[start]]), table.slice(start, end - start)


def _enterprise(row: dict[str, Any]) -> Notice:
    stays = msgspec.json.decode(row["stays"], type=tuple[Seat, ...])
    named = {name: value for name, value in row.items() if name not in ("position", "stays")}
    return EnterpriseNotice(Enterprise(**named, stays=stays))


def _point(row: dict[str, Any]) -> Notice:
    return PointNotice(_POINT.decode(row["definition"]))


def _schema(row: dict[str, Any]) -> Notice:
    return SchemaNotice(_SCHEMA.decode(row["definition"]))


def _wiring(row: dict[str, Any]) -> Notice:
    return msgspec.json.decode(row["definition"], type=WiringNotice)


_POINT, _SCHEMA = msgspec.json.Decoder(Point), msgspec.json.Decoder(Schema)
_DESCRIBED: dict[str, NoticeOf] = {
    "state_enterprises": _enterprise,
    "state_points": _point,
    "state_schemas": _schema,
    "state_wiring": _wiring,
}
"""Questions of the store, and how a row of each becomes the notice it was."""


def _told_to_all(asker: Asker, partition: int, before: int) -> list[tuple[int, Notice]]:
    found: list[tuple[int, Notice]] = []
    for row in asker.ask("state_book", SYSTEM, partition=partition, position=before).to_pylist():
        found.append((row["position"], msgspec.json.decode(row["definition"], type=BookNotice)))
    for row in asker.ask("state_horizon", SYSTEM, partition=partition, position=before).to_pylist():
        found.append((row["position"], RetentionNotice(row["begins_ms"], row["at_s"])))
    return found


def reading_loader(asker: Asker) -> Loader:
    """Loader of stored readings, losers included, as a block."""

    def load(points: list[tuple[str, str]], from_ms: Ints, before: int) -> Block | None:
        table = readings_since(asker, points, from_ms, before)
        return _block(table) if table.num_rows else None

    return load


def waiting_loader(asker: Asker, partition: int) -> WaitingLoader:
    """Loader of the messages of a partition that waited for their column list."""

    def load(before: int) -> list[Waiting]:
        table = asker.ask("state_waiting", SYSTEM, partition=partition, position=before)
        return [_waiting(row) for row in table.to_pylist()]

    return load


def _waiting(row: dict[str, Any]) -> Waiting:
    position, said = row["position"], msgspec.json.decode(row["parameters"], type=dict[str, str])
    record = Record(
        topic=RAW,
        partition=row["partition"],
        generation=position >> OFFSET_BITS,
        offset=position & (1 << OFFSET_BITS) - 1,
        key=row["enterprise"],
        value=base64.b64decode(row["payload"]),
        appended_at_s=int(said["appended_at_s"]),
    )
    return Waiting(record, int(said["got"]))


def day_loader(asker: Asker) -> DayLoader:
    """Loader of the stored days of months."""

    def load(
        points: list[tuple[str, str]], month_ms: Ints, before: int
    ) -> tuple[list[tuple[str, str]], Columns] | None:
        table = asker.ask("state_days", SYSTEM, points=points, from_ms=month_ms, position=before)
        if not table.num_rows:
            return None
        said, index = _pairs(table)
        columns = {
            name: _array(table, name) for name in table.column_names if name not in ("enterprise", "point")
        }
        covered = columns.pop("covered_s").astype(np.int64) * 1000
        mean = columns.pop("mean")
        weighted = np.where(covered > 0, np.nan_to_num(mean), 0.0) * covered
        return said, columns | {"index": index, "covered_ms": covered, "weighted": weighted}

    return load


def _block(table: pa.Table) -> Block:
    points, slot = _pairs(table)
    pairs, unit = _codes(table, "sent_unit", "sent_decimals")
    names = (
        "read_at_ms",
        "ticks",
        "quality",
        "reason",
        "origin",
        "received_at_s",
        "sequence",
        "position",
        "sent",
    )
    return Block(
        points=tuple(points),
        slot=slot.astype(np.int32),
        units=tuple((str(name), int(decimals)) for name, decimals in pairs),
        sent_unit=unit.astype(np.uint16),
        verdict=np.zeros(len(slot), np.uint8),
        **{name: _array(table, name) for name in names},
    )


def _pairs(table: pa.Table) -> tuple[list[tuple[str, str]], npt.NDArray[Any]]:
    pairs, codes = _codes(table, "enterprise", "point")
    return [(str(enterprise), str(point)) for enterprise, point in pairs], codes


def _codes(table: pa.Table, first: str, second: str) -> tuple[list[tuple[Any, Any]], npt.NDArray[Any]]:
    """Distinct pairs of two columns, and which one each row has."""
    columns = [_dictionary(table, name) for name in (first, second)]
    joined = columns[0][1].astype(np.int64) * (len(columns[1][0]) + 1) + columns[1][1]
    used, codes = np.unique(joined, return_inverse=True)
    places = [divmod(int(code), len(columns[1][0]) + 1) for code in used]
    return [(columns[0][0][a], columns[1][0][b]) for a, b in places], codes


def _dictionary(table: pa.Table, name: str) -> tuple[list[Any], npt.NDArray[Any]]:
    column = table.column(name).combine_chunks()
    if not isinstance(column, pa.DictionaryArray):
        column = column.dictionary_encode()
    return column.dictionary.to_pylist(), column.indices.to_numpy(zero_copy_only=False)


def _array(table: pa.Table, name: str) -> npt.NDArray[Any]:
    return table.column(name).combine_chunks().to_numpy(zero_copy_only=False)
