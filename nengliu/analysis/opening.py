"""Opening of records: bytes become candidate readings or a notice (network and communication layer).

What cannot be opened raises `ContractError` with a closed reason; parts of a JSON message
that cannot be read are refusals beside the readings that can.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nengliu.analysis.candidates import Candidates, Path, path_of
from nengliu.analysis.catalogue import Catalogue
from nengliu.bus import Record
from nengliu.domain.quality import Quality, Reason
from nengliu.errors import ContractError
from schemas import foreign
from schemas.block import Block
from schemas.messages import MISSING, Frame, Notice, RowsFrame, decode

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Opened:
    """What a record held: candidates or a notice, and the parts of it that were refused."""

    source: str = ""
    received_at_s: int = 0
    candidates: Candidates | None = None
    notice: Notice | None = None
    refusals: list[foreign.Refusal] = field(default_factory=list)


class Opener:
    """Opens the records of one shard with what its catalogue has declared so far."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Share the shard's catalogue."""
        self.catalogue = catalogue
        self.paths: list[Path] = []
        self._numbers: dict[tuple[str, str, str, int], int] = {}
        self._columns: dict[tuple[str, int], Ints] = {}

    def forget(self) -> None:
        """Work every path out anew: the catalogue has changed; candidates opened before are void."""
        self.paths.clear()
        self._numbers.clear()
        self._columns.clear()

    def open(self, record: Record, before: int) -> Opened:
        """Open one record; catalogue entries before position `before` may be loaded.

        Raises
        ------
        ContractError
            The record as a whole is refused.
        """
        if record.value[:1] in (b"{", b"["):
            self.catalogue.know(record.key, before)
            return self._json(record)
        message = decode(record.value)
        if isinstance(message, Block):
            raise ContractError("NOT_A_MESSAGE", "a block of valid readings in the raw topic", got="VALID")
        if not isinstance(message, Frame | RowsFrame):
            return Opened(notice=message, received_at_s=record.appended_at_s)
        if message.enterprise != record.key:
            raise wrong_enterprise(record, message.enterprise)
        self.catalogue.know(record.key, before)
        columns = self._schema(message.enterprise, message.schema)
        if isinstance(message, Frame):
            return Opened(message.source, message.received_at_s, _from_frame(message, columns))
        received = int(message.received_at_s.max(initial=0))
        return Opened(message.source, received, _from_rows(message, columns))

    def _schema(self, enterprise: str, schema: int) -> Ints:
        """Path of each column of a declared schema."""
        found = self._columns.get((enterprise, schema))
        if found is None:
            declared = self.catalogue.schemas.get((enterprise, schema))
            if declared is None:
                raise ContractError(
                    "UNKNOWN_SCHEMA", f"no schema {schema} declared by {enterprise}", got=schema
                )
            paths = [self._path(enterprise, c.point, c.unit, c.decimals) for c in declared.columns]
            found = self._columns[(enterprise, schema)] = np.array(paths, np.int64)
        return found

    def _path(self, enterprise: str, point: str, unit: str, decimals: int) -> int:
        key = enterprise, point, unit, decimals
        if key not in self._numbers:
            self._numbers[key] = len(self.paths)
            self.paths.append(path_of(self.catalogue, *key))
        return self._numbers[key]

    def _json(self, record: Record) -> Opened:
        readings, refusals, source = foreign.read_json(record.value)
        rows = []
        for item, reading in enumerate(readings):
            try:
                rows.append((*self._foreign(reading, record), item))
            except ContractError as error:
                evidence = error.parameters or {"error": str(error)}
                refusals.append(foreign.Refusal(error.reason, repr(reading), evidence))
        received = max((row[5] for row in rows), default=record.appended_at_s)
        return Opened(source, received, _from_foreign(rows), None, refusals)

    def _foreign(self, reading: foreign.ForeignReading, record: Record) -> tuple[int, ...]:
        """Path, time, value, quality, origin, receipt and sequence of a foreign reading."""
        if reading.enterprise != record.key:
            raise wrong_enterprise(record, reading.enterprise)
        value, received, sequence = reading.value, reading.received_at_s, reading.sequence
        if reading.column >= 0:
            path, value = self._declared(reading)
        else:
            path = self._path(reading.enterprise, reading.point, reading.unit, reading.decimals)
        if sequence is None:
            sequence = record.appended_at_s << 32 | record.offset & 0xFFFFFFFF
        received = record.appended_at_s if received is None else received
        return path, reading.read_at_ms, value, reading.quality, reading.origin, received, sequence

    def _declared(self, reading: foreign.ForeignReading) -> tuple[int, int]:
        """Path of a column of the schema form, and the value in that column's decimals."""
        columns = self._schema(reading.enterprise, reading.schema)
        if reading.column >= len(columns):
            raise ContractError("RAGGED_ROW", "schema form", expected=len(columns), got=reading.column + 1)
        path = int(columns[reading.column])
        more = self.paths[path].decimals - reading.decimals
        if more < 0:
            raise ContractError(
                "NOT_EXACT", f"{reading.decimals} decimals", got=f"{reading.value}e-{reading.decimals}"
            )
        if abs(reading.value) * 10**more >= 2**62:
            raise ContractError("OUT_OF_INT64", f"{reading.value}e{more}", got=reading.value)
        return path, reading.value * 10**more


def wrong_enterprise(record: Record, got: str) -> ContractError:
    """Say that a message speaks for another enterprise than its key."""
    return ContractError("WRONG_ENTERPRISE", f"key {record.key}, got {got}", expected=record.key, got=got)


def _from_frame(frame: Frame, columns: Ints) -> Candidates:
    n, width = frame.values.shape
    if width != len(columns):
        raise ContractError("RAGGED_ROW", f"schema {frame.schema}", expected=len(columns), got=width)
    sent = frame.values.ravel()
    quality = (
        np.zeros(n * width, np.int64) if frame.quality is None else frame.quality.ravel().astype(np.int64)
    )
    ones = np.ones(n * width, np.int64)
    after_break = (quality == Quality.GOOD) & frame.backfilled
    candidates = Candidates(
        path=np.tile(columns, n),
        read_at_ms=np.repeat(frame.read_at_ms, width),
        sent=sent,
        quality=np.where(after_break, Quality.LATE, quality),
        reason=np.where(after_break, Reason.BACKFILLED, Reason.NONE),
        origin=ones * frame.origin,
        received_at_s=ones * frame.received_at_s,
        sequence=np.full(n * width, frame.sequence, np.uint64),
        message=0 * ones,
        item=np.arange(n * width),
    )
    there = sent != MISSING
    return candidates if there.all() else candidates.take(there)


def _from_rows(rows: RowsFrame, columns: Ints) -> Candidates:
    n = len(rows.column)
    if n and int(rows.column.max()) >= len(columns):
        got = int(rows.column.max()) + 1
        raise ContractError("RAGGED_ROW", f"schema {rows.schema}", expected=len(columns), got=got)
    return Candidates(
        path=columns[rows.column],
        read_at_ms=rows.read_at_ms,
        sent=rows.values,
        quality=rows.quality.astype(np.int64),
        reason=rows.reason.astype(np.int64),
        origin=np.full(n, rows.origin, np.int64),
        received_at_s=rows.received_at_s,
        sequence=np.full(n, rows.sequence, np.uint64),
        message=np.zeros(n, np.int64),
        item=np.arange(n),
    )


def _from_foreign(rows: list[tuple[int, ...]]) -> Candidates | None:
    if not rows:
        return None
    path, at, sent, quality, origin, received, sequence, item = zip(*rows, strict=True)
    zero = np.zeros(len(rows), np.int64)
    return Candidates(
        path=np.array(path, np.int64),
        read_at_ms=np.array(at, np.int64),
        sent=np.array(sent, np.int64),
        quality=np.array(quality, np.int64),
        reason=zero,
        origin=np.array(origin, np.int64),
        received_at_s=np.array(received, np.int64),
        sequence=np.array(sequence, np.uint64),
        message=zero.copy(),
        item=np.array(item, np.int64),
    )
