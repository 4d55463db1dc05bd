"""DL/T 645 frames, editions 2007 and 1997: laid for reading, found in a dirty stream.

What leaves here reads, sets the clock by broadcast, or freezes: control codes 08, 11, 12, 13 and 16
(08, 01 and 02 in 1997).  Nothing that writes, clears, or moves a relay can be laid: there is no
function that takes a control code.
Source: DL/T 645-2007 chapters 5 to 7, DL/T 645-1997; `protocols.md` 1.1.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from acquisition.codecs.stream import END, START, WAKE, FrameScanner
from nengliu.domain.times import CHINA
from nengliu.errors import InputError

WAKE_UP = bytes([WAKE]) * 4
"""Sent before every request, so that a sleeping meter is awake when the frame comes."""
FRAME = 12
"""Bytes of a frame around its data."""
WILDCARD, BROADCAST = "A" * 12, "9" * 12
REPLY, REFUSED, MORE, FUNCTION = 0x80, 0x40, 0x20, 0x1F
"""Bits of the control byte."""
ALLOWED = frozenset((0x01, 0x02, 0x08, 0x11, 0x12, 0x13, 0x16))
"""Control codes that can be laid: read (1997), set clocks by broadcast, read, read on, read address, freeze."""
_HEADER = 10
_LAID = bytes((value + 0x33) & 0xFF for value in range(256))
_READ = bytes((value - 0x33) & 0xFF for value in range(256))
_ADDRESS = re.compile(r"(?:[0-9]{2}|AA){6}")


@dataclass(frozen=True, slots=True)
class Edition:
    """What the editions do differently.

    Parameters
    ----------
    identifier_size
        Bytes of a data identifier.
    read, follow
        Control codes: read data; read the frame that follows.
    numbered
        Whether frames that follow carry a number.
    wildcards
        Addresses that any meter answers.
    """

    name: str
    identifier_size: int
    read: int
    follow: int
    numbered: bool
    wildcards: tuple[str, ...]


E2007 = Edition("dlt645-2007", 4, 0x11, 0x12, numbered=True, wildcards=(WILDCARD,))
E1997 = Edition("dlt645-1997", 2, 0x01, 0x02, numbered=False, wildcards=(WILDCARD, BROADCAST))
EDITIONS = {edition.name: edition for edition in (E2007, E1997)}


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame.

    Parameters
    ----------
    address
        Twelve digits, highest first.
    data
        As meant: 33H taken off every byte.
    raw
        As it came, without wake-up.
    """

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
    def has_more(self) -> bool:
        """Whether another frame follows."""
        return bool(self.control & MORE)

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
    return Frame(raw[6:0:-1].hex().upper(), raw[8], raw[_HEADER:-2].translate(_READ), raw)


def read_data(edition: Edition, address: str, identifier: bytes) -> bytes:
    """Lay the request for an identifier (lowest byte first).

    >>> read_data(E2007, "161", bytes.fromhex("00000100")).hex(" ")
    'fe fe fe fe 68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16'
    """
    return _frame(address, edition.read, identifier)


def read_following(edition: Edition, address: str, identifier: bytes, number: int) -> bytes:
    """Lay the request for the frame that follows; `number` counts from 1 and is sent where the edition numbers them."""
    return _frame(
        address, edition.follow, identifier + bytes([number & 0xFF]) if edition.numbered else identifier
    )


def read_address(address: str = WILDCARD) -> bytes:
    """Lay the request for the address of the one meter that `address` fits; 2007 only."""
    return _frame(address, 0x13, b"")


def set_time(at_ms: int) -> bytes:
    """Lay the broadcast that sets the clocks of all meters to `at_ms` [ms, UTC] in China civil time; no meter answers.

    A meter follows by at most five minutes, and once a day.  Source: DL/T 645-2007 7.6.

    >>> set_time(1496629371000).hex(" ")[12:]
    '68 99 99 99 99 99 99 68 08 06 84 55 43 38 39 4a 4b 16'
    """
    civil = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(CHINA)
    return _frame(BROADCAST, 0x08, bytes.fromhex(civil.strftime("%S%M%H%d%m%y")))


def freeze(address: str = BROADCAST) -> bytes:
    """Lay the command to freeze all registers now; a broadcast is not answered.  Source: DL/T 645-2007 7.9."""
    return _frame(address, 0x16, b"\x99" * 4)


def matches(asked: str, told: str) -> bool:
    """Whether the address of a reply fits the one that was asked, AA in it standing for anything.

    >>> matches("AAAAAAAA0161", "000000000161"), matches("000000000162", "000000000161")
    (True, False)
    """
    return asked == told or all(
        asked[at : at + 2] in ("AA", told[at : at + 2]) for at in range(0, len(asked), 2)
    )


@functools.lru_cache(maxsize=4096)
def whole_address(address: str) -> str:
    """Fill an address to twelve digits.

    Raises
    ------
    InputError
        It is none: digits, with AA for a pair that may be anything.

    >>> whole_address("161")
    '000000000161'
    """
    whole = address.upper().zfill(12)
    if not address or not _ADDRESS.fullmatch(whole):
        raise InputError(f"address: expected up to 12 digits, AA for any pair, got {address!r}")
    return whole


def _frame(address: str, control: int, data: bytes) -> bytes:
    if control not in ALLOWED:
        raise ValueError(f"control code {control:02X}H: a collector lays none but those that read")
    body = bytes([START]) + bytes.fromhex(whole_address(address))[::-1]
    body += bytes([START, control, len(data)]) + data.translate(_LAID)
    return WAKE_UP + body + bytes([sum(body) & 0xFF, END])


def _bounds(held: bytearray, at: int) -> int:
    """Where a frame that begins at `at` ends; 0: none does."""
    left = len(held) - at
    if left > 7 and held[at + 7] != START:
        return 0
    return at + FRAME + held[at + 9] if left >= _HEADER else len(held) + 1
