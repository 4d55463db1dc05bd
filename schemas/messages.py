"""Messages of the log, as bytes; `schemas/messages.md` is the same for people.

Every message starts with an envelope of 16 bytes, little-endian::

    0      2    3     4      5      6        8           12          16
    | NL   | v  | kind| codec| marks| zero   | crc32     | body size | body ...
    magic   u8   u8    u8     u8     u16      u32 packed   u32, unpacked

`codec` is 0 (raw) or 1 (lz4 frame).  A value that begins with ``{`` or ``[`` is the
JSON form for foreign senders and is read by `schemas.foreign`.  Bounds stand on every
length; whatever breaks them raises `ContractError` with a closed reason.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import lz4.frame
import msgspec
import numpy as np
import numpy.typing as npt

from nengliu.domain.quality import Origin, Quality, Reason
from nengliu.errors import ContractError
from schemas.block import Block, Verdict
from schemas.notices import (
    ActionNotice,
    Activity,
    ActivityNotice,
    BookNotice,
    EnterpriseNotice,
    ImportNotice,
    LinkEvent,
    LinkNotice,
    Missed,
    Notice,
    PointNotice,
    RegionNotice,
    RejectedNotice,
    RejectedRow,
    SchemaNotice,
    Target,
    TargetNotice,
    TickNotice,
    WiredLine,
    WiredMeter,
    WiringNotice,
)

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
    "EnterpriseNotice",
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
    "RowsFrame",
    "SchemaNotice",
    "Target",
    "TargetNotice",
    "TickNotice",
    "WiredLine",
    "WiredMeter",
    "WiringNotice",
    "decode",
    "encode",
    "mark_backfilled",
]

MAGIC = b"NL"
VERSION = 1
ENVELOPE = struct.Struct("<2sBBBBHII")
_MARKS, _BACKFILLED = 5, 1
"""Offset of the marks in the envelope, and the one: sent after a break.  Outside of the checksum: senders set it."""
MAX_BODY = 64 * 2**20
"""A body beyond 64 MiB is refused: a damaged size field must not take the memory."""
MISSING = -(2**63)
"""Value of a cell of a matrix frame that holds no reading."""


class MessageKind(IntEnum):
    """What a message of ours carries."""

    FRAME = 1
    ROWS = 2
    NOTICE = 3
    VALID = 4  # read for the sake of an older log; written no more
    PASSED = 5


@dataclass(frozen=True, slots=True)
class Frame:
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


Message = Frame | RowsFrame | Notice | Block

_HEAD = struct.Struct("<IQqBBHHII")
"""Schema, sequence, receipt, origin, flags, bytes of enterprise and of source, times, columns."""
_HAS_QUALITY = 1
_notice_decoder = msgspec.json.Decoder(Notice)


def encode(message: Message, *, compress: bool = True) -> bytes:
    """Turn a message into bytes for the log."""
    kind, body = _body(message)
    packed = lz4.frame.compress(body) if compress else body
    return ENVELOPE.pack(MAGIC, VERSION, kind, int(compress), 0, 0, zlib.crc32(packed), len(body)) + packed


def decode(value: bytes) -> Message:
    """Turn bytes of the log into a message.

    Raises
    ------
    ContractError
        With reason TRUNCATED, NOT_A_MESSAGE, WRONG_VERSION, TOO_LARGE, CORRUPT or BAD_FIELD.

    >>> decode(encode(TickNotice(1771050600))) == TickNotice(1771050600)
    True
    """
    kind, body = _open(value)
    try:
        message = _READERS[kind](body)
        if isinstance(message, Frame) and value[_MARKS] & _BACKFILLED:
            return replace(message, backfilled=True)
        return message
    except (struct.error, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise ContractError(
            "BAD_FIELD", f"body of a {kind.name} message: {error}", field=kind.name, got=error
        ) from error


def mark_backfilled(value: bytes) -> bytes:
    """Mark an encoded message as sent after a break of the uplink, without opening it.

    >>> tick = TickNotice(1771050600)
    >>> decode(mark_backfilled(encode(tick))) == tick  # only readings show the mark
    True
    """
    return value[:_MARKS] + bytes([value[_MARKS] | _BACKFILLED]) + value[_MARKS + 1 :]


def _wrong(reason: str, expected: object, got: object) -> ContractError:
    return ContractError(reason, f"{reason}: expected {expected!r}, got {got!r}", expected=expected, got=got)


def _open(value: bytes) -> tuple[MessageKind, bytes]:
    if len(value) < ENVELOPE.size:
        raise _wrong("TRUNCATED", ENVELOPE.size, len(value))
    magic, version, kind, codec, _, _, crc, size = ENVELOPE.unpack_from(value)
    if magic != MAGIC:
        raise _wrong("NOT_A_MESSAGE", MAGIC, magic)
    if version != VERSION:
        raise _wrong("WRONG_VERSION", VERSION, version)
    if size > MAX_BODY:
        raise ContractError(
            "TOO_LARGE", f"expected at most {MAX_BODY} bytes, got {size}", limit=MAX_BODY, got=size
        )
    packed = value[ENVELOPE.size :]
    if zlib.crc32(packed) != crc:
        raise ContractError("CORRUPT", "checksum differs: the message was cut or damaged")
    if kind not in _READERS or codec not in (0, 1):
        raise _wrong("NOT_A_MESSAGE", "a known kind and codec", f"kind {kind}, codec {codec}")
    body = _unpack(packed, size) if codec else packed
    if len(body) != size:
        raise _wrong("TRUNCATED", size, len(body))
    return MessageKind(kind), body


def _unpack(packed: bytes, size: int) -> bytes:
    unpacker = lz4.frame.LZ4FrameDecompressor()
    try:
        return bytes(unpacker.decompress(packed, max_length=size + 1))
    except RuntimeError as error:
        raise ContractError("CORRUPT", f"lz4: {error}") from error


def _body(message: Message) -> tuple[MessageKind, bytes]:
    if isinstance(message, Frame):
        return MessageKind.FRAME, _write_frame(message)
    if isinstance(message, RowsFrame):
        return MessageKind.ROWS, _write_rows(message)
    if isinstance(message, Block):
        return MessageKind.PASSED, _write_block(message)
    return MessageKind.NOTICE, msgspec.json.encode(message)


def _write_head(message: Frame | RowsFrame, received: int, flags: int, n: int, columns: int) -> bytes:
    enterprise, source = message.enterprise.encode(), message.source.encode()
    lengths = len(enterprise), len(source)
    head = _HEAD.pack(message.schema, message.sequence, received, message.origin, flags, *lengths, n, columns)
    return head + enterprise + source


def _write_frame(frame: Frame) -> bytes:
    n, columns = frame.values.shape
    flags = 0 if frame.quality is None else _HAS_QUALITY
    parts = [_write_head(frame, frame.received_at_s, flags, n, columns)]
    parts += [frame.read_at_ms.astype("<i8").tobytes(), frame.values.astype("<i8").tobytes()]
    if frame.quality is not None:
        parts.append(frame.quality.astype("u1").tobytes())
    return b"".join(parts)


def _write_rows(rows: RowsFrame) -> bytes:
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


class _Reader:
    """Takes arrays off a body, refusing to read past its end."""

    def __init__(self, body: bytes) -> None:
        self.body, self.at = body, 0

    def array(self, dtype: str, n: int) -> npt.NDArray[Any]:
        if n < 0:
            raise ValueError(f"expected a count, got {n}")
        end = self.at + np.dtype(dtype).itemsize * n
        if end > len(self.body):
            raise ValueError(f"expected {end} bytes, got {len(self.body)}")
        found = np.frombuffer(self.body, dtype, n, self.at)
        self.at = end
        return found

    def text(self, n: int) -> str:
        return self.array("u1", n).tobytes().decode()

    def end(self) -> None:
        if self.at != len(self.body):
            raise ValueError(f"expected {self.at} bytes, got {len(self.body)}")


def _read_frame(body: bytes) -> Frame:
    schema, sequence, received, origin, flags, n_e, n_s, n, columns = _HEAD.unpack_from(body)
    reader = _Reader(body)
    reader.at = _HEAD.size
    enterprise, source = reader.text(n_e), reader.text(n_s)
    times = reader.array("<i8", n)
    values = reader.array("<i8", n * columns).reshape(n, columns)
    quality = reader.array("u1", n * columns).reshape(n, columns) if flags & _HAS_QUALITY else None
    reader.end()
    if quality is not None:
        _check_codes(quality, _QUALITIES, "quality")
    return Frame(enterprise, schema, source, sequence, received, times, values, quality, Origin(origin))


def _read_rows(body: bytes) -> RowsFrame:
    schema, sequence, _, origin, _, n_e, n_s, n, _ = _HEAD.unpack_from(body)
    reader = _Reader(body)
    reader.at = _HEAD.size
    enterprise, source = reader.text(n_e), reader.text(n_s)
    times, values, received = (reader.array("<i8", n) for _ in range(3))
    column, reason, quality = reader.array("<u4", n), reader.array("<u2", n), reader.array("u1", n)
    reader.end()
    _check_codes(quality, _QUALITIES, "quality")
    _check_codes(reason, _REASONS, "reason")
    return RowsFrame(
        enterprise, schema, source, sequence, column, times, values, received, quality, reason, Origin(origin)
    )


_QUALITIES = np.array([quality for quality in Quality if quality is not Quality.MISSING])
_REASONS = np.array(list(Reason))


def _check_codes(found: npt.NDArray[Any], known: npt.NDArray[Any], what: str) -> None:
    strange = found[~np.isin(found, known)]
    if len(strange):
        raise ValueError(f"{what}: unknown code {strange[0]}")


_VALID_ARRAYS = {
    "slot": "<i4",
    "read_at_ms": "<i8",
    "ticks": "<i8",
    "quality": "u1",
    "reason": "<u2",
    "origin": "u1",
    "received_at_s": "<i8",
    "sequence": "<u8",
    "position": "<u8",
    "sent": "<i8",
    "sent_unit": "<u2",
}
_PASSED_ARRAYS = _VALID_ARRAYS | {"verdict": "u1"}
_VERDICTS = np.array(list(Verdict))


class _BlockHead(msgspec.Struct):
    n: int
    points: tuple[tuple[str, str], ...]
    units: tuple[tuple[str, int], ...]


def _write_block(block: Block) -> bytes:
    head = msgspec.json.encode(_BlockHead(len(block), block.points, block.units))
    arrays = (getattr(block, name).astype(dtype, copy=False) for name, dtype in _PASSED_ARRAYS.items())
    return struct.pack("<I", len(head)) + head + b"".join(array.tobytes() for array in arrays)


def _read_valid(body: bytes) -> Block:
    """Read a block of before verdicts travelled: all of it was accepted."""
    head, arrays = _read_arrays(body, _VALID_ARRAYS)
    return Block(points=head.points, units=head.units, verdict=np.zeros(head.n, np.uint8), **arrays)


def _read_passed(body: bytes) -> Block:
    head, arrays = _read_arrays(body, _PASSED_ARRAYS)
    _check_codes(arrays["verdict"], _VERDICTS, "verdict")
    return Block(points=head.points, units=head.units, **arrays)


def _read_arrays(body: bytes, layout: dict[str, str]) -> tuple[_BlockHead, dict[str, npt.NDArray[Any]]]:
    (size,) = struct.unpack_from("<I", body)
    reader = _Reader(body)
    reader.at = 4
    head = msgspec.json.decode(reader.array("u1", size).tobytes(), type=_BlockHead)
    arrays = {name: reader.array(dtype, head.n) for name, dtype in layout.items()}
    reader.end()
    return head, arrays


_READERS: dict[MessageKind, Callable[[bytes], Message]] = {
    MessageKind.FRAME: _read_frame,
    MessageKind.ROWS: _read_rows,
    MessageKind.NOTICE: _notice_decoder.decode,
    MessageKind.VALID: _read_valid,
    MessageKind.PASSED: _read_passed,
}
