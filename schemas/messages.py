"""Messages of the log, as bytes; `schemas/messages.md` is the same for people.

An envelope (`schemas.envelope`) and a body that its kind names: frames and rows here, blocks and sheaves in
`schemas.passed_bodies`, notices as JSON.  A value that begins with ``{`` or ``[`` is the JSON form for foreign senders
and is read by `schemas.foreign`.  Bounds stand on every length; whatever breaks them raises `ContractError` with a
closed reason.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from nengliu.domain.quality import Origin, Quality, Reason
from nengliu.errors import ContractError
from schemas.arrays import I8, U1, Reader, check_codes, matrix_bytes, take_matrix
from schemas.block import Block, Sheaf
from schemas.envelope import (
    ENVELOPE,
    MAGIC,
    MAX_BODY,
    VERSION,
    Codec,
    is_backfilled,
    mark_backfilled,
    seal,
    unseal,
)
from schemas.notices import (
    ActionNotice,
    Activity,
    ActivityNotice,
    BookNotice,
    Entered,
    EnterpriseNotice,
    EntryNotice,
    ImportNotice,
    LinkEvent,
    LinkNotice,
    Missed,
    Notice,
    PointNotice,
    RegionNotice,
    RejectedNotice,
    RejectedRow,
    RetentionNotice,
    SchemaNotice,
    Target,
    TargetNotice,
    TariffNotice,
    TickNotice,
    WiredLine,
    WiredMeter,
    WiringNotice,
)
from schemas.passed_bodies import block_bytes, read_passed, read_sheaf, read_valid, sheaf_bytes

__all__ = [
    "ENVELOPE",
    "MAGIC",
    "MAX_BODY",
    "MISSING",
    "VERSION",
    "ActionNotice",
    "Activity",
    "ActivityNotice",
    "BookNotice",
    "Entered",
    "EnterpriseNotice",
    "EntryNotice",
    "Frame",
    "ImportNotice",
    "LinkEvent",
    "LinkNotice",
    "Message",
    "MessageKind",
    "Missed",
    "Notice",
    "PointNotice",
    "RegionNotice",
    "RejectedNotice",
    "RejectedRow",
    "RetentionNotice",
    "RowsFrame",
    "SchemaNotice",
    "Target",
    "TargetNotice",
    "TariffNotice",
    "TickNotice",
    "WiredLine",
    "WiredMeter",
    "WiringNotice",
    "decode",
    "encode",
    "mark_backfilled",
]

MISSING = -(2**63)
"""Value of a cell of a matrix frame that holds no reading."""
DIFFERENCES_FROM = 4, 512
"""From so many times, and readings, on differences along time pay: below, undoing them costs more than it saves."""
ZSTD_FROM = 8192
"""Differences shorter than this are packed with lz4: opening zstd costs 20 us however short it is (measured)."""


class MessageKind(IntEnum):
    """What a message of ours carries."""

    FRAME = 1
    ROWS = 2
    NOTICE = 3
    VALID = 4  # read for the sake of an older log; written no more
    PASSED = 5
    SHEAF = 6


class Frame(msgspec.Struct, frozen=True):
    """A matrix of values: every column of a schema at `n` times.

    Parameters
    ----------
    enterprise, schema
        Which column list it speaks of.
    source
        Name of the collector.
    sequence
        Boot second << 32 | frame number.
    received_at_s
        When the edge received it [s, UTC].
    read_at_ms : int64 (n,)
    values : int64 (n, columns)
        In the unit and decimals of the column; `MISSING` where there is none.
    quality : uint8 (n, columns) or None
        None: all good.
    backfilled
        Sent after a break of the uplink; read from the envelope, written by `mark_backfilled`.
    """

    enterprise: str
    schema: int
    source: str
    sequence: int
    received_at_s: int
    read_at_ms: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]
    quality: npt.NDArray[np.uint8] | None = None
    origin: Origin = Origin.TIMED
    backfilled: bool = False


@dataclass(frozen=True, slots=True)
class RowsFrame:
    """Loose readings: each row names its column, time and value; imports and change-of-value use it.

    Parameters
    ----------
    column : uint32 (n,)
        Index into the schema's columns.
    received_at_s : int64 (n,)
    quality : uint8 (n,);  reason : uint16 (n,)
    """

    enterprise: str
    schema: int
    source: str
    sequence: int
    column: npt.NDArray[np.uint32]
    read_at_ms: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]
    received_at_s: npt.NDArray[np.int64]
    quality: npt.NDArray[np.uint8]
    reason: npt.NDArray[np.uint16]
    origin: Origin = Origin.FILE


Message = Frame | RowsFrame | Notice | Block | Sheaf
_Ints: TypeAlias = npt.NDArray[np.int64]
_Reads: TypeAlias = Callable[[bytes], Message]

_HEAD = struct.Struct("<IQqBBHHII")
"""Schema, sequence, receipt, origin, flags, bytes of enterprise and of source, times, columns."""
_HAS_QUALITY, _DIFFERENCES = 1, 2
"""Flags: a quality matrix follows; values are differences along time (from version 2 on)."""
_ORIGINS = {int(origin): origin for origin in Origin}
_QUALITIES = np.array([quality for quality in Quality if quality is not Quality.MISSING])
_REASONS = np.array(list(Reason))
_ROW_CODES = np.dtype("<u4"), np.dtype("<u2"), np.dtype("u1")
"""Column, reason and quality of loose readings."""
_notice_decoder = msgspec.json.Decoder(Notice)


def encode(message: Message, *, compress: bool = True) -> bytes:
    """Turn a message into bytes for the log, packed as its kind and size want it (ADR 0024).

    Raises
    ------
    ContractError
        TOO_LARGE: its body is beyond 64 MiB.
    """
    if isinstance(message, Frame):
        differences = compress and _rises(message.values, 1)
        return _seal(MessageKind.FRAME, _frame_bytes(message, differences), compress, differences)
    if isinstance(message, Sheaf):
        differences = compress and _rises(message.ticks, len(message.lists))
        body = sheaf_bytes(message, differences)
        return seal(MessageKind.SHEAF, body, VERSION, _codec(body, compress, differences))
    if isinstance(message, RowsFrame):
        return _seal(MessageKind.ROWS, _rows_bytes(message), compress)
    if isinstance(message, Block):
        return _seal(MessageKind.PASSED, block_bytes(message), compress)
    return _seal(MessageKind.NOTICE, msgspec.json.encode(message), compress)


def decode(value: bytes) -> Message:
    """Turn bytes of the log into a message.

    Raises
    ------
    ContractError
        With reason TRUNCATED, NOT_A_MESSAGE, WRONG_VERSION, TOO_LARGE, CORRUPT or BAD_FIELD.

    >>> decode(encode(TickNotice(1771050600))) == TickNotice(1771050600)
    True
    """
    version, kind, body = unseal(value, _READERS)
    try:
        message = _READERS[version][kind](body)
    except (struct.error, ValueError, KeyError, RecursionError, msgspec.MsgspecError) as error:
        name = MessageKind(kind).name
        raise ContractError(
            "BAD_FIELD", f"body of a {name} message: {error}", field=name, got=error
        ) from error
    if is_backfilled(value) and isinstance(message, Frame):
        return msgspec.structs.replace(message, backfilled=True)
    return message


def _rises(values: _Ints, lists: int) -> bool:
    """Whether there are enough rows, of so many lists in turn, for differences to be worth their while."""
    return len(values) >= DIFFERENCES_FROM[0] * lists and values.size >= DIFFERENCES_FROM[1]


def _seal(kind: MessageKind, body: bytes, compress: bool, differences: bool = False) -> bytes:
    return seal(kind, body, 2 if differences else 1, _codec(body, compress, differences))


def _codec(body: bytes, compress: bool, differences: bool) -> Codec:
    """Codec of a body: what it saves must be worth the opening."""
    if not compress:
        return Codec.RAW
    return Codec.ZSTD if differences and len(body) >= ZSTD_FROM else Codec.LZ4


def _write_head(message: Frame | RowsFrame, received: int, flags: int, n: int, columns: int) -> bytes:
    enterprise, source = message.enterprise.encode(), message.source.encode()
    lengths = len(enterprise), len(source)
    head = _HEAD.pack(message.schema, message.sequence, received, message.origin, flags, *lengths, n, columns)
    return head + enterprise + source


def _frame_bytes(frame: Frame, differences: bool) -> bytes:
    n, columns = frame.values.shape
    flags = (0 if frame.quality is None else _HAS_QUALITY) | (_DIFFERENCES if differences else 0)
    parts = [_write_head(frame, frame.received_at_s, flags, n, columns)]
    parts += [
        matrix_bytes(frame.read_at_ms.reshape(n, 1), differences),
        matrix_bytes(frame.values, differences),
    ]
    if frame.quality is not None:
        parts.append(frame.quality.astype("u1").tobytes())
    return b"".join(parts)


def _rows_bytes(rows: RowsFrame) -> bytes:
    n = len(rows.column)
    columns = (
        rows.read_at_ms.astype("<i8"),
        rows.values.astype("<i8"),
        rows.received_at_s.astype("<i8"),
        rows.column.astype("<u4"),
        rows.reason.astype("<u2"),
        rows.quality.astype("u1"),
    )
    return _write_head(rows, 0, 0, n, 0) + b"".join(column.tobytes() for column in columns)


def _read_frame(body: bytes) -> Frame:
    """Read a frame of version 1: times and values as they are, in one piece."""
    head, reader = _HEAD.unpack_from(body), Reader(body, _HEAD.size)
    names = _read_names(reader, head)
    n, columns = head[7:]
    numbers = reader.array(I8, n * (1 + columns))
    return _frame(head, names, reader, numbers[:n], numbers[n:].reshape(n, columns))


def _read_frame_2(body: bytes) -> Frame:
    """Read a frame of version 2: as they are, or as differences along time."""
    head, reader = _HEAD.unpack_from(body), Reader(body, _HEAD.size)
    names = _read_names(reader, head)
    n, columns = head[7:]
    differences = bool(head[4] & _DIFFERENCES)
    times = take_matrix(reader, n, 1, differences).ravel()
    return _frame(head, names, reader, times, take_matrix(reader, n, columns, differences))


def _read_names(reader: Reader, head: tuple[int, ...]) -> tuple[str, str]:
    return _names(reader.bytes(head[5] + head[6]), head[5])


@lru_cache(maxsize=65_536)
def _names(both: bytes, n: int) -> tuple[str, str]:
    """Enterprise, of `n` bytes, and source: the same few again and again."""
    return both[:n].decode(), both[n:].decode()


def _frame(
    head: tuple[int, ...], names: tuple[str, str], reader: Reader, times: _Ints, values: _Ints
) -> Frame:
    quality = None
    if head[4] & _HAS_QUALITY:
        quality = reader.array(U1, values.size).reshape(values.shape)
        check_codes(quality, _QUALITIES, "quality")
    reader.end()
    schema, sequence, received, origin = head[:4]
    return Frame(names[0], schema, names[1], sequence, received, times, values, quality, _ORIGINS[origin])


def _read_rows(body: bytes) -> RowsFrame:
    head, reader = _HEAD.unpack_from(body), Reader(body, _HEAD.size)
    enterprise, source = _read_names(reader, head)
    schema, sequence, _, origin, *_, n, _ = head
    times, values, received = (reader.array(I8, n) for _ in range(3))
    column, reason, quality = (reader.array(dtype, n) for dtype in _ROW_CODES)
    reader.end()
    check_codes(quality, _QUALITIES, "quality")
    check_codes(reason, _REASONS, "reason")
    codes = received, quality, reason
    return RowsFrame(enterprise, schema, source, sequence, column, times, values, *codes, _ORIGINS[origin])


_READERS: dict[int, Mapping[int, _Reads]] = {
    1: {
        MessageKind.FRAME: _read_frame,
        MessageKind.ROWS: _read_rows,
        MessageKind.NOTICE: _notice_decoder.decode,
        MessageKind.VALID: read_valid,
        MessageKind.PASSED: read_passed,
    },
    2: {
        MessageKind.FRAME: _read_frame_2,
        MessageKind.SHEAF: read_sheaf,
    },
}
"""What each version says; of version 2 is only what version 1 cannot say."""
