"""CJ/T 188 frames (water, heat, gas): laid for reading, found in a dirty stream.

What leaves here reads: control codes 01 (data) and 03 (address).  Nothing that writes, or moves a
valve, can be laid: there is no function that takes a control code.
Source: CJ/T 188-2004 chapter 6; `protocols.md` 2.1.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from acquisition.codecs.stream import END, START, WAKE, FrameScanner
from nengliu.errors import InputError

WAKE_UP = bytes([WAKE]) * 4
"""Sent before every request, so that a sleeping meter is awake when the frame comes."""
FRAME = 13
"""Bytes of a frame around its data."""
WILDCARD = "A" * 14
REPLY, REFUSED, FUNCTION = 0x80, 0x40, 0x3F
"""Bits of the control byte."""
ALLOWED = frozenset((0x01, 0x03))
"""Control codes that can be laid: read data, read address."""
_HEADER = 11
_TYPES = range(0x10, 0x50)
"""Meter types: 10 to 19 water, 20 to 29 heat, 30 to 39 gas, 40 to 49 electricity and others."""
_ADDRESS = re.compile(r"(?:[0-9]{2}|AA){7}")


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame.

    Parameters
    ----------
    meter_type
        First byte of its head: 10H cold water, 20H heat, 30H gas.
    address
        Fourteen digits, highest first; the first four name the vendor.
    raw
        As it came, without wake-up.
    """

    meter_type: int
    address: str
    control: int
    data: bytes
    raw: bytes

    @property
    def is_reply(self) -> bool:
        """Whether a meter sent it; else it is a request, or the echo of one."""
        return bool(self.control & REPLY)

    @property
    def is_refusal(self) -> bool:
        """Whether the meter says that it cannot."""
        return bool(self.control & REFUSED)

    @property
    def function(self) -> int:
        """What was asked."""
        return self.control & FUNCTION


class Decoder:
    """Frames out of a stream of bytes; memory bounded by the longest frame."""

    __slots__ = ("_scanner",)

    def __init__(self) -> None:
        self._scanner = FrameScanner(_bounds)

    @property
    def noise(self) -> int:
        """Bytes so far that belong to no frame, wake-up aside, those that may still become one included."""
        return self._scanner.noise + self._scanner.pending

    def feed(self, data: bytes) -> list[Frame]:
        """Take what came; give the frames that ended in it."""
        return [frame_of(raw) for raw in self._scanner.feed(data)]


def frame_of(raw: bytes) -> Frame:
    """Take a whole frame apart."""
    return Frame(raw[1], address_of(raw), raw[9], raw[_HEADER:-2], raw)


def address_of(raw: bytes) -> str:
    """Name the meter that sent an answer, by its raw bytes: fourteen digits; needed after a wildcard."""
    return raw[8:1:-1].hex().upper()


def read_data(meter_type: int, address: str, identifier: bytes, serial: int) -> bytes:
    """Lay the request for an identifier, its bytes in the order in which they are sent.

    >>> read_data(0x10, "78330011223344", bytes.fromhex("1f90"), 0).hex(" ")[12:]
    '68 10 44 33 22 11 00 33 78 01 03 1f 90 00 80 16'
    """
    return _frame(meter_type, address, 0x01, identifier + bytes([serial & 0xFF]))


def read_address(meter_type: int, address: str, identifier: bytes, serial: int) -> bytes:
    """Lay the request for the address of the one meter that answers."""
    return _frame(meter_type, address, 0x03, identifier + bytes([serial & 0xFF]))


def matches(asked: str, told: str) -> bool:
    """Whether the address of a reply fits the one that was asked, AA in it standing for anything."""
    return asked == told or all(
        asked[at : at + 2] in ("AA", told[at : at + 2]) for at in range(0, len(asked), 2)
    )


@functools.lru_cache(maxsize=4096)
def whole_address(address: str) -> str:
    """Fill an address to fourteen digits.

    Raises
    ------
    InputError
        It is none: digits, with AA for a pair that may be anything.
    """
    whole = address.upper().zfill(14)
    if not address or not _ADDRESS.fullmatch(whole):
        raise InputError(f"address: expected up to 14 digits, AA for any pair, got {address!r}")
    return whole


def _frame(meter_type: int, address: str, control: int, data: bytes) -> bytes:
    if control not in ALLOWED:
        raise ValueError(f"control code {control:02X}H: a collector lays none but those that read")
    body = bytes([START, meter_type]) + bytes.fromhex(whole_address(address))[::-1]
    body += bytes([control, len(data)]) + data
    return WAKE_UP + body + bytes([sum(body) & 0xFF, END])


def _bounds(held: bytearray, at: int) -> int:
    """Where a frame that begins at `at` ends; 0: none does."""
    left = len(held) - at
    if left > 1 and held[at + 1] not in _TYPES:
        return 0
    return at + FRAME + held[at + 10] if left >= _HEADER else len(held) + 1
