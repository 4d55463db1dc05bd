"""Digits on the wire: BCD, lowest pair first, and the calendar fields made of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from nengliu.domain.times import CHINA_OFFSET_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def bcd(value: int, size: int) -> bytes:
    """Write a whole number, lowest pair of digits first; digits beyond `size` bytes are cut off.

    >>> bcd(123456, 4).hex(" ")
    '56 34 12 00'
    """
    return bytes.fromhex(f"{value % 100**size:0{2 * size}}")[::-1]


def signed(value: int, size: int) -> bytes:
    """Write a number whose sign is the top bit of the last byte.

    >>> signed(-12345, 3).hex(" ")
    '45 23 81'
    """
    told = bytearray(bcd(abs(value), size))
    told[-1] = told[-1] & 0x7F | (0x80 if value < 0 else 0)
    return bytes(told)


def number(data: bytes) -> int:
    """Read what `bcd` wrote; ValueError for a nibble that is no digit."""
    return int(data[::-1].hex())


def civil(at_ms: int) -> datetime:
    """China civil time of an instant [ms, UTC], as a meter's clock shows it; in the form of UTC."""
    return _EPOCH + timedelta(milliseconds=at_ms + CHINA_OFFSET_MS)


def instant_ms(civil_time: datetime) -> int:
    """Instant of a China civil time in the form of UTC [ms, UTC]."""
    return (civil_time - _EPOCH) // timedelta(milliseconds=1) - CHINA_OFFSET_MS


def pairs(*fields: int) -> bytes:
    """Write fields of two digits each, the last one first: ``YY, MM, DD`` goes out as DD MM YY."""
    return b"".join(bcd(value % 100, 1) for value in reversed(fields))
