"""Registers: sixteen-bit words of a meter ⇄ whole ticks, exactly.

A register holds a raw number over one to four words; its value is
``raw * scale + offset`` in `unit`, told in ticks of ``10 ** -decimals``.  Whole numbers
never pass through a float, so a 64-bit energy keeps its last digit; a float is rounded
half-even to the register's decimals.  A pattern that means "nothing here" is no number.
Source: reference register maps (docs of the meters named in `acquisition/drivers/meters/maps`).
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from nengliu.errors import LinkError

ORDERS = ("ABCD", "DCBA", "BADC", "CDAB")
"""Orders of bytes: as sent, all reversed, bytes swapped in each word, words reversed."""
MOST = 2**63 - 1
"""A value beyond this is no number of ours; -2**63 itself means that there is none."""
MOST_EXPONENT = 18
"""An exponent beyond this is damage: it would leave nothing of 63 bits."""


class RegisterType(StrEnum):
    """How the raw number is written."""

    I16 = "i16"
    U16 = "u16"
    I32 = "i32"
    U32 = "u32"
    I64 = "i64"
    U64 = "u64"
    F32 = "f32"
    F64 = "f64"
    BCD16 = "bcd16"
    BCD32 = "bcd32"
    BCD64 = "bcd64"
    BITS16 = "bits16"
    BITS32 = "bits32"
    STRING = "string"

    @property
    def bits(self) -> int:
        """Width of the raw number; 0 of a text, whose register says how long it is."""
        return int(self.value.lstrip("iufbcdstrng") or 0)

    @property
    def length(self) -> int:
        """Number of words; 0 of a text, whose register says how long it is."""
        return self.bits // 16

    @property
    def is_float(self) -> bool:
        """Whether it is an IEEE 754 number."""
        return self.value.startswith("f")

    @property
    def is_bcd(self) -> bool:
        """Whether each nibble is a decimal digit."""
        return self.value.startswith("bcd")

    @property
    def is_bits(self) -> bool:
        """Whether it is a word of bits, or a part of one."""
        return self.value.startswith("bits")

    @property
    def is_signed(self) -> bool:
        """Whether the raw number is in two's complement."""
        return self.value.startswith("i")


@dataclass(frozen=True)
class Register:
    """One value of a meter and how to read it.

    Parameters
    ----------
    name
        What the map calls it.
    function
        3 (holding) or 4 (input); nothing that writes exists.
    address
        On the wire, counted from 0.
    order
        Order of the bytes: ABCD, DCBA, BADC or CDAB, meant likewise for one and for four words.
    scale, offset
        Value = raw * scale + offset, in `unit`.
    decimals
        Decimals of one tick.
    invalid
        Raw bit patterns (unsigned, in order ABCD) that say there is no value.
    first_bit, bit_count
        Of a register of bits: the part that is meant, from its lowest bit on; count 0: all above.
    size
        Words of a text.
    exponent
        Register whose value is the power of ten by which this one is multiplied too; it must be
        read by the same request (`start`, `stop`).
    """

    name: str
    function: int
    address: int
    type: RegisterType
    order: str = "ABCD"
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    unit: str = "1"
    decimals: int = 0
    invalid: tuple[int, ...] = ()
    first_bit: int = 0
    bit_count: int = 0
    size: int = 0
    exponent: Register | None = None

    @property
    def length(self) -> int:
        """Number of words."""
        return self.type.length or self.size

    @property
    def start(self) -> int:
        """Address of the first word that a request for it must read."""
        return min(self.address, self.exponent.address) if self.exponent else self.address

    @property
    def stop(self) -> int:
        """Address after the last word that a request for it must read."""
        end = self.address + self.length
        return max(end, self.exponent.address + self.exponent.length) if self.exponent else end

    @functools.cached_property
    def step(self) -> Fraction | int:
        """Worth of one raw unit [ticks]."""
        return _in_ticks(self.scale, self.decimals)

    @functools.cached_property
    def shift(self) -> Fraction | int:
        """The offset [ticks]."""
        return _in_ticks(self.offset, self.decimals)


def _in_ticks(value: Decimal, decimals: int) -> Fraction | int:
    """Count the ticks of a value; a whole number as such, since it is ten times faster."""
    found = Fraction(value) * int(10**decimals)
    return int(found) if found.denominator == 1 else found


def exact(register: Register) -> bool:
    """Say whether every raw whole number is a whole number of ticks; a float is rounded anyway."""
    return register.type.is_float or (register.step.denominator == 1 == register.shift.denominator)


def ticks(register: Register, words: Sequence[int], exponent: int = 0) -> int:
    """Read a register's words as ticks; a text as the number that its bytes make (`fields.text_of`).

    Parameters
    ----------
    exponent
        Value of the register's exponent: the power of ten by which the meter multiplies, too.

    Raises
    ------
    LinkError
        NO_DATA (an invalid pattern, not a number, infinite), BAD_BCD, or DAMAGED (wrong number
        of words, or beyond what a tick can hold).

    >>> energy = Register("energy", 3, 0, RegisterType.U32, "CDAB", Decimal("0.01"), unit="kWh", decimals=2)
    >>> ticks(energy, [0x0001, 0x0002]) == 0x00020001
    True
    """
    if len(words) != register.length:
        told = f"{register.name}: expected {register.length} words, got {len(words)}"
        raise LinkError("DAMAGED", told, got=f"{len(words)} words")
    pattern = _pattern(words, register.order)
    if pattern in register.invalid:
        told = f"{register.name}: {pattern:#x} says that there is no value"
        raise LinkError("NO_DATA", told, register=register.name)
    if register.type is RegisterType.STRING:
        return pattern
    value = _value(register, pattern, exponent)
    if abs(value) > MOST:
        told = f"{register.name}: expected at most 63 bits of ticks, got {value}"
        raise LinkError("DAMAGED", told, got=value)
    return value


def words(register: Register, ticks: int) -> list[int]:
    """Write ticks as a register's words: what a meter that shows them answers.

    Raises
    ------
    ValueError
        The register cannot show them (too wide, or between two of its steps).
    """
    kind = register.type
    raw = Fraction(ticks - register.shift) / register.step
    if kind.is_float:
        packed = struct.pack(">f" if kind.bits == 32 else ">d", raw)
        return _words(int.from_bytes(packed), register.length, register.order)
    if raw.denominator != 1:
        raise ValueError(f"{register.name}: expected a multiple of {register.step} ticks, got {ticks}")
    pattern = _raw_pattern(register, int(raw))
    if pattern is None:
        raise ValueError(f"{register.name}: expected what fits {kind.value}, got {int(raw)}")
    return _words(pattern, register.length, register.order)


def _raw_pattern(register: Register, whole: int) -> int | None:
    """Write a raw number as it stands in order ABCD; None if it does not fit."""
    kind, bits = register.type, 16 * register.length
    if kind.is_bcd:
        pattern = int(str(whole), 16) if whole >= 0 else -1
        return pattern if 0 <= pattern < 1 << bits else None
    if kind.is_bits:
        room = register.bit_count or bits - register.first_bit
        return whole << register.first_bit if 0 <= whole < 1 << room else None
    low = -(1 << bits - 1) if kind.is_signed else 0
    return whole % (1 << bits) if low <= whole < low + (1 << bits) else None


def _pattern(words: Sequence[int], order: str) -> int:
    """Join words into one number, in order ABCD."""
    if order in ("DCBA", "CDAB"):
        words = words[::-1]
    if order in ("DCBA", "BADC"):
        words = [_swapped(word) for word in words]
    return functools.reduce(lambda number, word: number << 16 | word, words, 0)


def _words(pattern: int, length: int, order: str) -> list[int]:
    found = [pattern >> 16 * place & 0xFFFF for place in reversed(range(length))]
    if order in ("DCBA", "BADC"):
        found = [_swapped(word) for word in found]
    return found[::-1] if order in ("DCBA", "CDAB") else found


def _swapped(word: int) -> int:
    return word >> 8 | (word & 0xFF) << 8


def _value(register: Register, pattern: int, exponent: int) -> int:
    """Work out the ticks of a raw number."""
    raw = _float(register, pattern) if register.type.is_float else _whole(register, pattern)
    if not exponent:
        return round(raw * register.step + register.shift)  # a Fraction rounds half-even
    if abs(exponent) > MOST_EXPONENT:
        told = f"{register.name}: expected an exponent of at most {MOST_EXPONENT}, got {exponent}"
        raise LinkError("DAMAGED", told, got=exponent)
    return round(raw * register.step * Fraction(10) ** exponent + register.shift)


def _whole(register: Register, pattern: int) -> int:
    kind = register.type
    if kind.is_bcd:
        digits = f"{pattern:x}"
        if not digits.isdecimal():
            told = f"{register.name}: expected decimal digits, got {digits}"
            raise LinkError("BAD_BCD", told, got=digits)
        return int(digits)
    if kind.is_bits:
        found = pattern >> register.first_bit
        return found & (1 << register.bit_count) - 1 if register.bit_count else found
    return pattern - (1 << kind.bits) if kind.is_signed and pattern >> kind.bits - 1 else pattern


def _float(register: Register, pattern: int) -> Fraction:
    single = register.type.bits == 32
    (value,) = struct.unpack(">f" if single else ">d", pattern.to_bytes(4 if single else 8))
    if not math.isfinite(value):
        raise LinkError("NO_DATA", f"{register.name}: {value} is not a number", register=register.name)
    return Fraction(value)
