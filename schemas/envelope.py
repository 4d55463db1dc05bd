"""Envelope of a message: what is checked before a byte of the body is believed (schemas/messages.md 1).

16 bytes, little-endian::

    0      2    3     4      5      6        8           12          16
    | NL   | v  | kind| codec| marks| zero   | crc32     | body size | body ...
    magic   u8   u8    u8     u8     u16      u32 packed   u32, unpacked

A writer states the lowest version that can say what it says, so an older reader loses nothing it could understand.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Container, Mapping
from enum import IntEnum

import lz4.frame
from backports import zstd

from nengliu.errors import ContractError

MAGIC = b"NL"
VERSION = 2
"""The newest; 1 knows no differences, no zstd and no sheaf, and is written where it suffices."""
ENVELOPE = struct.Struct("<2sBBBBHII")
MAX_BODY = 64 * 2**20
"""A body beyond 64 MiB is refused: a damaged size field must not take the memory."""
_MARKS, _BACKFILLED = 5, 1
"""Offset of the marks in the envelope, and the one: sent after a break.  Outside of the checksum: senders set it."""
_WINDOW = {int(zstd.DecompressionParameter.window_log_max): 26}
"""A zstd stream that wants more than 64 MiB to look back in is refused."""


class Codec(IntEnum):
    """How a body is packed; the numbers are those of the envelope."""

    RAW = 0
    LZ4 = 1  # one lz4 frame
    ZSTD = 2  # one zstd frame; from version 2 on


_CODECS = {1: (Codec.RAW, Codec.LZ4), 2: (Codec.RAW, Codec.LZ4, Codec.ZSTD)}
"""What each version may be packed with."""


def seal(kind: int, body: bytes, version: int, codec: Codec) -> bytes:
    """Put a body into an envelope, packed with `codec` if that makes it smaller.

    Raises
    ------
    ContractError
        TOO_LARGE: nobody could open it.
    """
    if len(body) > MAX_BODY:
        raise _too_large(len(body))
    packed = _pack(body, codec)
    if len(packed) >= len(body):
        packed, codec = body, Codec.RAW
    return ENVELOPE.pack(MAGIC, version, kind, codec, 0, 0, zlib.crc32(packed), len(body)) + packed


def unseal(value: bytes, known: Mapping[int, Container[int]]) -> tuple[int, int, bytes]:
    """Version, kind and body of a message of one of the kinds `known` of its version.

    Raises
    ------
    ContractError
        TRUNCATED, NOT_A_MESSAGE, WRONG_VERSION, TOO_LARGE or CORRUPT.
    """
    if len(value) < ENVELOPE.size:
        raise _wrong("TRUNCATED", ENVELOPE.size, len(value))
    magic, version, kind, codec, _, _, crc, size = ENVELOPE.unpack_from(value)
    if magic != MAGIC:
        raise _wrong("NOT_A_MESSAGE", MAGIC, magic)
    if version not in _CODECS:
        raise _wrong("WRONG_VERSION", VERSION, version)
    if size > MAX_BODY:
        raise _too_large(size)
    packed = value[ENVELOPE.size :]
    if zlib.crc32(packed) != crc:
        raise ContractError("CORRUPT", "checksum differs: the message was cut or damaged")
    if kind not in known[version] or codec not in _CODECS[version]:
        raise _wrong("NOT_A_MESSAGE", "a known kind and codec", f"kind {kind}, codec {codec}")
    body = _unpack(packed, codec, size) if codec else packed
    if len(body) != size:
        raise _wrong("TRUNCATED", size, len(body))
    return version, kind, body


def mark_backfilled(value: bytes) -> bytes:
    """Mark an encoded message as sent after a break of the uplink, without opening it."""
    return value[:_MARKS] + bytes([value[_MARKS] | _BACKFILLED]) + value[_MARKS + 1 :]


def is_backfilled(value: bytes) -> bool:
    """Whether an encoded message was sent after a break of the uplink."""
    return bool(value[_MARKS] & _BACKFILLED)


def _wrong(reason: str, expected: object, got: object) -> ContractError:
    """Say what was expected and what came instead."""
    return ContractError(reason, f"{reason}: expected {expected!r}, got {got!r}", expected=expected, got=got)


def _too_large(size: int) -> ContractError:
    return ContractError(
        "TOO_LARGE", f"expected at most {MAX_BODY} bytes, got {size}", limit=MAX_BODY, got=size
    )


def _pack(body: bytes, codec: Codec) -> bytes:
    if codec is Codec.LZ4:
        return bytes(lz4.frame.compress(body))
    return zstd.compress(body, level=1) if codec is Codec.ZSTD else body


def _unpack(packed: bytes, codec: int, size: int) -> bytes:
    """Unpack no more than a byte beyond the size stated."""
    try:
        if codec == Codec.LZ4:
            return lz4.frame.decompress_chunk(  # type: ignore[no-any-return]
                lz4.frame.create_decompression_context(), packed, max_length=size + 1
            )[0]
        return zstd.ZstdDecompressor(options=_WINDOW).decompress(packed, max_length=size + 1)
    except (RuntimeError, zstd.ZstdError) as error:
        raise ContractError("CORRUPT", f"{Codec(codec).name.lower()}: {error}") from error
