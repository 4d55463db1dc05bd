"""Opening of records: bytes become candidate readings or a notice (network and communication layer).

What cannot be opened raises `ContractError` with a closed reason; parts of a JSON message
that cannot be read are refusals beside the readings that can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.intake.candidates import Candidates, Path, path_of
from nengliu.bus import Record
from nengliu.domain.quality import Origin, Quality, Reason
from nengliu.errors import ContractError
from schemas import foreign
from schemas.block import Block, Sheaf
from schemas.foreign import exact
from schemas.foreign_columns import ForeignRows, read_columns
from schemas.messages import MISSING, EntryNotice, Frame, Notice, RowsFrame, decode

Ints = npt.NDArray[np.int64]
BY_HAND = "manual"
"""Source of what people enter, in the tally of messages."""
MOST_PATHS = 100_000
"""Plain frames need the paths of their columns once; with half a kilobyte for each there is no keeping a million."""


@dataclass(slots=True)
class Opened:
    """What a record held: a whole frame, candidates or a notice, and the parts of it that were refused.

    `unknown` is the column list that all of it speaks by and nobody has declared yet.
    """

    source: str = ""
    received_at_s: int = 0
    candidates: Candidates | None = None
    notice: Notice | None = None
    refusals: Sequence[foreign.Refusal] = ()
    frame: Frame | None = None
    unknown: int | None = None


class Opener:
    """Opens the records of one shard with what its catalogue has declared so far."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Share the shard's catalogue."""
        self.catalogue = catalogue
        self.paths: list[Path] = []
        self._numbers: dict[str, dict[tuple[str, str, int], int]] = {}
        self._columns: dict[str, dict[int, Ints]] = {}
        self._stale = 0

    def forget(self, enterprise: str) -> None:
        """Work the paths of an enterprise out anew: the catalogue has changed; candidates opened before are void."""
        self._stale += len(self._numbers.pop(enterprise, ()))
        self._columns.pop(enterprise, None)
        if 2 * self._stale > len(self.paths):
            self._clear()

    def tidy(self) -> None:
        """Work all paths out anew if there are very many; candidates opened before are void."""
        if len(self.paths) > MOST_PATHS:
            self._clear()

    def _clear(self) -> None:
        self.paths.clear()
        self._numbers.clear()
        self._columns.clear()
        self._stale = 0

    def open(self, record: Record, before: int) -> Opened:
        """Open one record; catalogue entries before position `before` may be loaded.

        Raises
        ------
        ContractError
            The record as a whole is refused.
        """
        if record.value.startswith((b"{", b"[")):
            self.catalogue.know(record.key, before)
            return self._json(record)
        message = decode(record.value)
        if isinstance(message, Frame) and self._fits(message, record.key, before):
            return Opened(message.source, message.received_at_s, frame=message)
        if isinstance(message, (Block, Sheaf)):
            raise ContractError("NOT_A_MESSAGE", "a block of valid readings in the raw topic", got="VALID")
        if not isinstance(message, (Frame, RowsFrame)):
            return Opened(notice=message, received_at_s=record.appended_at_s)
        if message.enterprise != record.key:
            raise wrong_enterprise(record, message.enterprise)
        self.catalogue.know(record.key, before)
        if (message.enterprise, message.schema) not in self.catalogue.schemas:
            return Opened(message.source, _receipt(message), unknown=message.schema)
        columns = self._schema(message.enterprise, message.schema)
        if isinstance(message, Frame):
            _check_width(message, columns)
            return Opened(message.source, message.received_at_s, frame=message)
        return Opened(message.source, _receipt(message), _from_rows(message, columns))

    def _fits(self, frame: Frame, key: str, before: int) -> bool:
        """Whether a frame has the width of a list that is declared: nothing else is to be asked then."""
        if frame.enterprise != key:
            return False
        self.catalogue.know(key, before)
        declared = self.catalogue.schemas.get((key, frame.schema))
        return declared is not None and len(declared.columns) == frame.values.shape[1]

    def entered(self, notice: EntryNotice, record: Record) -> Opened:
        """Take values entered by hand as readings; their order is that of the log, as of a sender without one."""
        order = record.appended_at_s << 32 | record.offset & 0xFFFFFFFF
        rows: list[tuple[int, ...]] = []
        for item, row in enumerate(notice.rows):
            sent, decimals = exact(row.value)
            path = self._path(notice.enterprise, row.point, row.unit, decimals)
            quality, origin = Quality.MANUAL, Origin.MANUAL
            rows.append((path, row.read_at_ms, sent, quality, origin, notice.at_s, order, item))
        return Opened(BY_HAND, notice.at_s, _from_foreign(rows))

    def spread(self, frames: list[Frame], messages: list[int]) -> Candidates:
        """Spell opened frames out reading by reading, row by row, without their empty cells."""
        return _from_frames(frames, messages, [self.list_of(frame) for frame in frames])

    def list_of(self, frame: Frame) -> Ints:
        """Number of the path of each column of an opened frame."""
        return self._schema(frame.enterprise, frame.schema)

    def columns(self, frame: Frame) -> list[Path]:
        """Paths of the columns of an opened frame."""
        return [self.paths[path] for path in self.list_of(frame).tolist()]

    def _schema(self, enterprise: str, schema: int) -> Ints:
        """Path of each column of a declared schema."""
        known = self._columns.get(enterprise)
        found = known.get(schema) if known else None
        if found is None:
            declared = self.catalogue.schemas.get((enterprise, schema))
            if declared is None:
                raise ContractError(
                    "UNKNOWN_SCHEMA", f"no schema {schema} declared by {enterprise}", got=schema
                )
            paths = [self._path(enterprise, c.point, c.unit, c.decimals) for c in declared.columns]
            found = np.array(paths, np.int64)
            self._columns.setdefault(enterprise, {})[schema] = found
        return found

    def _path(self, enterprise: str, point: str, unit: str, decimals: int) -> int:
        numbers, key = self._numbers.setdefault(enterprise, {}), (point, unit, decimals)
        if key not in numbers:
            numbers[key] = len(self.paths)
            self.paths.append(path_of(self.catalogue, enterprise, *key))
        return numbers[key]

    def _json(self, record: Record) -> Opened:
        order = record.appended_at_s << 32 | record.offset & 0xFFFFFFFF
        found = read_columns(record.value, partial(self._decimals, record.key), record.appended_at_s, order)
        if isinstance(found, Frame):
            return self._json_frame(found)
        if found is not None and found.enterprise == record.key:
            paths = [self._path(found.enterprise, *column) for column in found.columns]
            received = int(found.received_at_s.max(initial=0))
            return Opened(found.source, received, _from_columns(found, np.array(paths, np.int64)))
        return self._json_parts(record)

    def _decimals(self, key: str, enterprise: str, schema: int) -> Ints | None:
        """Decimals of the columns of a list that the holder of `key` declared."""
        if enterprise != key or (key, schema) not in self.catalogue.schemas:
            return None
        return np.array([self.paths[path].decimals for path in self._schema(key, schema).tolist()], np.int64)

    def _json_frame(self, frame: Frame) -> Opened:
        """Open a matrix: readings of JSON are numbered without the empty cells."""
        if (frame.values != MISSING).all():
            return Opened(frame.source, frame.received_at_s, frame=frame)
        candidates = self.spread([frame], [0])
        candidates.item[:] = np.arange(len(candidates.item))
        return Opened(frame.source, frame.received_at_s, candidates)

    def _json_parts(self, record: Record) -> Opened:
        """Open JSON part by part: what is refused has its reason, its neighbours are kept."""
        readings, refusals, source = foreign.read_json(record.value)
        rows = []
        for item, reading in enumerate(readings):
            try:
                rows.append((*self._foreign(reading, record), item))
            except ContractError as error:
                evidence = error.parameters or {"error": str(error)}
                refusals.append(foreign.Refusal(error.reason, repr(reading), evidence))
        received = max((row[5] for row in rows), default=record.appended_at_s)
        lists = {refusal.evidence["got"] for refusal in refusals if refusal.reason == "UNKNOWN_SCHEMA"}
        if len(lists) == 1 and not rows and all(one.reason == "UNKNOWN_SCHEMA" for one in refusals):
            times = [one.received_at_s for one in readings if one.received_at_s is not None]
            return Opened(source, max(times, default=received), unknown=int(lists.pop()))
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


def _receipt(message: Frame | RowsFrame) -> int:
    return int(np.max(message.received_at_s, initial=0))


def _check_width(frame: Frame, columns: Ints) -> None:
    width = frame.values.shape[1]
    if width != len(columns):
        raise ContractError("RAGGED_ROW", f"schema {frame.schema}", expected=len(columns), got=width)


def _from_frames(frames: list[Frame], messages: list[int], columns: list[Ints]) -> Candidates:
    sizes = np.array([frame.values.size for frame in frames])
    starts, each = np.cumsum(sizes) - sizes, np.repeat(np.arange(len(frames)), sizes)
    rows = [len(frame.read_at_ms) for frame in frames]
    sent = np.concatenate([frame.values.ravel() for frame in frames])
    quality = np.zeros(len(sent), np.int64)
    for start, frame in zip(starts.tolist(), frames, strict=True):
        if frame.quality is not None:
            quality[start : start + frame.quality.size] = frame.quality.ravel()
    after_break = (quality == Quality.GOOD) & np.array([frame.backfilled for frame in frames])[each]
    widths = np.repeat([len(some) for some in columns], rows)
    candidates = Candidates(
        path=np.concatenate(
            [some if n == 1 else np.tile(some, n) for some, n in zip(columns, rows, strict=True)]
        ),
        read_at_ms=np.repeat(np.concatenate([frame.read_at_ms for frame in frames]), widths),
        sent=sent,
        quality=np.where(after_break, Quality.LATE, quality),
        reason=np.where(after_break, Reason.BACKFILLED, Reason.NONE),
        origin=np.array([frame.origin for frame in frames], np.int64)[each],
        received_at_s=np.array([frame.received_at_s for frame in frames], np.int64)[each],
        sequence=np.array([frame.sequence for frame in frames], np.uint64)[each],
        message=np.array(messages)[each],
        item=np.arange(len(sent)) - starts[each],
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


def _from_columns(found: ForeignRows, paths: Ints) -> Candidates:
    n = len(found.column)
    return Candidates(
        path=paths[found.column],
        read_at_ms=found.read_at_ms,
        sent=found.values,
        quality=found.quality.astype(np.int64),
        reason=np.zeros(n, np.int64),
        origin=found.origin.astype(np.int64),
        received_at_s=found.received_at_s,
        sequence=found.sequence,
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
