"""Fields: the pieces of a meter's answer, written in the notation of the standards ⇄ whole ticks.

``XXXXXX.XX`` is packed decimal, four bytes, two decimals; ``±XX.XXXX`` carries a sign in its top
bit; ``YYMMDDhhmm`` is China civil time, told as milliseconds UTC; ``b2`` is a binary number of two
bytes; ``a*`` is text.  Every field travels lowest byte first.  Checks come in one order: all FF
says that there is no value; then the sign, on signed fields only; then every nibble must be a digit.
Source: DL/T 645-2007 annex A (data formats), CJ/T 188-2004 chapter 6; `protocols.md` 1.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from nengliu.domain.times import CHINA
from nengliu.errors import LinkError

TEXT_UNIT = "text"
"""Unit of an item whose ticks are the bytes of a text: no point can be made of it."""
_NUMBER = re.compile(r"(±?)(X+)(?:\.(X+))?")
_SIZED = re.compile(r"([ab])(\d+|\*)")
_TIME = re.compile(r"(?:YYYY|YY|MM|DD|WW|hh|mm|ss)+")
_PLACES = re.compile(r"YYYY|YY|MM|DD|WW|hh|mm|ss")


class Kind(StrEnum):
    """How a field is written."""

    BCD = "bcd"
    TIME = "time"
    BINARY = "binary"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Field:
    """One value inside an answer; an `Item`.

    Parameters
    ----------
    decimals
        Decimals of one tick.
    notation
        As the standard writes it.
    size
        Bytes it takes; 0: all that is left.
    """

    name: str
    unit: str
    decimals: int
    kind: Kind
    notation: str
    size: int
    signed: bool = False

    def ticks(self, data: bytes) -> int:
        """Read the field from its bytes, lowest first.

        Returns
        -------
        int
            Ticks; of a time the milliseconds UTC, of ``hhmmss`` those of the day; of a text its bytes
            as one number (`text_of`).

        Raises
        ------
        LinkError
            NO_DATA (all FF; a time of zeros), BAD_BCD (a nibble above 9, no date), DAMAGED (cut).

        >>> field("power", "±XX.XXXX", "kW").ticks(bytes.fromhex("4523b1"))
        -312345
        """
        if (self.size and len(data) != self.size) or not data:
            told = f"{self.name}: expected {self.size} bytes, got {len(data)}"
            raise LinkError("DAMAGED", told, got=f"{len(data)} bytes")
        if data.count(0xFF) == len(data):
            raise LinkError(
                "NO_DATA", f"{self.name}: the meter says that it has no value", register=self.name
            )
        if self.kind is Kind.BCD:
            return self._number(data)
        if self.kind is Kind.TIME:
            return _instant_ms(self.name, self.notation, data)
        return int.from_bytes(data, "little")

    def _number(self, data: bytes) -> int:
        negative = self.signed and data[-1] & 0x80
        if negative:
            data = data[:-1] + bytes([data[-1] & 0x7F])
        value = int(_digits(self.name, data))
        return -value if negative else value


def field(name: str, notation: str, unit: str) -> Field:
    """Make a field of its notation.

    Raises
    ------
    ValueError
        The notation is none of those at the top of this module.
    """
    if number := _NUMBER.fullmatch(notation):
        digits, decimals = len(number[2]) + len(number[3] or ""), len(number[3] or "")
        if digits % 2:
            digits += 1
        return Field(name, unit, decimals, Kind.BCD, notation, digits // 2, bool(number[1]))
    if _TIME.fullmatch(notation):
        return Field(name, unit, 3, Kind.TIME, notation, len(notation) // 2)
    if sized := _SIZED.fullmatch(notation):
        kind = Kind.TEXT if sized[1] == "a" else Kind.BINARY
        size = 0 if sized[2] == "*" else int(sized[2])
        return Field(name, TEXT_UNIT if kind is Kind.TEXT else unit, 0, kind, notation, size)
    raise ValueError(f"{name}: expected XX.XX, ±XX.XX, YYMMDDhhmm, b2 or a*, got {notation!r}")


def text_of(ticks: int) -> str:
    """Spell the text that an item of unit `TEXT_UNIT` holds; what is no letter becomes a question mark.

    >>> text_of(0x3232302E3056)
    '220.0V'
    """
    data = ticks.to_bytes((ticks.bit_length() + 7) // 8)
    return "".join(chr(one) if 32 <= one < 127 else "?" for one in data.strip(b"\0 "))


def _digits(name: str, data: bytes) -> str:
    """Spell packed decimal, highest digit first."""
    digits = data[::-1].hex()
    if not digits.isdecimal():
        raise LinkError("BAD_BCD", f"{name}: expected decimal digits, got {digits}", got=digits)
    return digits


def _instant_ms(name: str, notation: str, data: bytes) -> int:
    digits = _digits(name, data)
    if not int(digits):
        if notation.startswith("hh"):
            return 0
        raise LinkError("NO_DATA", f"{name}: the meter says that it has no time", register=name)
    places: dict[str, int] = {}
    at = 0
    for place in _PLACES.findall(notation):
        places[place] = int(digits[at : at + len(place)])
        at += len(place)
    return civil_ms(name, places, digits)


def civil_ms(name: str, places: dict[str, int], told: str) -> int:
    """Turn places of China civil time into an instant [ms, UTC], or of a time alone into that of the day [ms].

    Raises
    ------
    LinkError
        BAD_BCD: there is no such day or time.
    """
    hour, minute, second = (places.get(place, 0) for place in ("hh", "mm", "ss"))
    year = places.get("YYYY", 2000 + places.get("YY", 0))
    try:
        day = datetime(year, places["MM"], places["DD"], tzinfo=CHINA) if "DD" in places else _EPOCH
        at = day.replace(hour=hour, minute=minute, second=second)
    except ValueError as error:
        raise LinkError("BAD_BCD", f"{name}: expected a time, got {told}: {error}", got=told) from error
    return (at - _EPOCH) // _MILLISECOND


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
