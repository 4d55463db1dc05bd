"""Registers: words and ticks are two spellings of one number."""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.codecs.fields import TEXT_UNIT, text_of
from acquisition.codecs.registers import ORDERS, Register, RegisterType, exact, ticks, words
from nengliu.errors import LinkError

WHOLE = [kind for kind in RegisterType if not kind.is_float and kind is not RegisterType.STRING]
SCALES = [Decimal(text) for text in ("1", "0.1", "0.01", "0.001", "10", "-1", "3")]


def make(kind: RegisterType = RegisterType.U16, **given: Any) -> Register:
    return Register(**({"name": "r", "function": 3, "address": 0, "type": kind} | given))


def raw_range(kind: RegisterType) -> tuple[int, int]:
    if kind.is_bcd:
        return 0, 10 ** (kind.bits // 4) - 1
    return (-(1 << kind.bits - 1), (1 << kind.bits - 1) - 1) if kind.is_signed else (0, (1 << kind.bits) - 1)


@st.composite
def whole(draw: st.DrawFn) -> tuple[Register, int]:
    kind, scale = draw(st.sampled_from(WHOLE)), draw(st.sampled_from(SCALES))
    offset = draw(st.sampled_from([Decimal(0), Decimal(-40), Decimal("0.5")]))
    register = make(kind, order=draw(st.sampled_from(ORDERS)), scale=scale, offset=offset, decimals=3)
    value = draw(st.integers(*raw_range(kind))) * register.step + register.shift
    return register, int(value)


@given(whole())
def test_whole_number_comes_back_to_the_last_digit(given: tuple[Register, int]) -> None:
    """Ticks written as words and read again are the same ticks, for every type, order, scale and offset."""
    register, value = given
    if abs(value) >= 2**63:
        with pytest.raises(LinkError, match="63 bits"):
            ticks(register, words(register, value))
        return
    assert exact(register)
    assert ticks(register, words(register, value)) == value


@given(st.sampled_from(WHOLE), st.sampled_from(ORDERS), st.data())
def test_words_come_back_as_they_were(kind: RegisterType, order: str, data: st.DataObject) -> None:
    """Any words that hold a number are written again exactly as they were read."""
    raw = data.draw(st.integers(*raw_range(kind)).filter(lambda n: abs(n) < 2**63))
    register = make(kind, order=order)

    sent = words(register, raw)

    assert words(register, ticks(register, sent)) == sent


@given(st.sampled_from(ORDERS), st.integers(-(10**6), 10**6), st.booleans())
def test_float_comes_back_within_its_digits(order: str, value: int, double: bool) -> None:
    """Ticks that the mantissa holds survive the way through a float."""
    register = make(RegisterType.F64 if double else RegisterType.F32, order=order, decimals=1)

    assert ticks(register, words(register, value)) == value


@pytest.mark.parametrize(
    ("order", "sent"),
    [
        ("ABCD", [0x0102, 0x0304]),
        ("DCBA", [0x0403, 0x0201]),
        ("BADC", [0x0201, 0x0403]),
        ("CDAB", [0x0304, 0x0102]),
    ],
)
def test_orders_are_those_of_the_manuals(order: str, sent: list[int]) -> None:
    """01 02 03 04 is found in each of the four orders."""
    assert ticks(make(RegisterType.U32, order=order), sent) == 0x01020304


def test_eight_bytes_in_word_order_reversed() -> None:
    """CDAB over four words is the lowest word first."""
    assert ticks(make(RegisterType.U64, order="CDAB"), [4, 3, 2, 1]) == 0x0001_0002_0003_0004


def test_energy_of_63_bits_keeps_its_last_digit() -> None:
    """A 64-bit counter that no float can hold is read exactly."""
    register = make(RegisterType.U64, scale=Decimal("0.001"), decimals=3)
    value = 2**62 + 1

    assert ticks(register, words(register, value)) == value
    assert int(float(value)) != value


@pytest.mark.parametrize(("value", "expected"), [(0.125, 12), (0.375, 38), (-0.125, -12), (2.5, 250)])
def test_float_is_rounded_half_even(value: float, expected: int) -> None:
    """Exactly half a tick goes to the even one."""
    sent = list(struct.unpack(">2H", struct.pack(">f", value)))

    assert ticks(make(RegisterType.F32, decimals=2), sent) == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", [RegisterType.F32, RegisterType.F64])
def test_float_that_is_no_number_is_no_data(kind: RegisterType, value: float) -> None:
    """NaN and the infinities say that there is no value."""
    sent = list(struct.unpack(f">{kind.length}H", struct.pack(">f" if kind.bits == 32 else ">d", value)))

    with pytest.raises(LinkError) as told:
        ticks(make(kind), sent)
    assert told.value.reason == "NO_DATA"


def test_invalid_pattern_is_no_data() -> None:
    """0x8000 is the meter's word for nothing, not -32768."""
    with pytest.raises(LinkError) as told:
        ticks(make(RegisterType.I16, invalid=(0x8000,)), [0x8000])
    assert told.value.reason == "NO_DATA"


def test_bad_nibble_is_named() -> None:
    """A nibble above nine is not read as a digit."""
    with pytest.raises(LinkError) as told:
        ticks(make(RegisterType.BCD32), [0x1234, 0x56AF])
    assert told.value.reason == "BAD_BCD"
    assert told.value.parameters == {"got": "123456af"}


def test_wrong_number_of_words_is_damage() -> None:
    """Half of a value is no value."""
    with pytest.raises(LinkError) as told:
        ticks(make(RegisterType.U32), [1])
    assert told.value.reason == "DAMAGED"


def test_float_beyond_ticks_is_damage() -> None:
    """A number that no tick can hold is refused instead of being cut."""
    sent = list(struct.unpack(">2H", struct.pack(">f", 3e38)))

    with pytest.raises(LinkError) as told:
        ticks(make(RegisterType.F32), sent)
    assert told.value.reason == "DAMAGED"


def test_value_between_two_steps_cannot_be_shown() -> None:
    """The simulator may not show a register what it has no digit for."""
    with pytest.raises(ValueError, match="multiple of 10"):
        words(make(RegisterType.U16, scale=Decimal(10)), 15)


@pytest.mark.parametrize(("kind", "value"), [("u16", -1), ("u16", 65536), ("i16", 32768), ("bcd16", 10000)])
def test_value_too_wide_cannot_be_shown(kind: str, value: int) -> None:
    """A number that does not fit is an error of the simulator, not another number."""
    with pytest.raises(ValueError, match="fits"):
        words(make(RegisterType(kind)), value)


def test_bits_are_cut_out_of_their_word() -> None:
    """A part of a status word is a number of its own; so is a whole one."""
    part = make(RegisterType.BITS16, first_bit=4, bit_count=3)

    assert ticks(part, [0b1101_0000]) == 0b101
    assert words(part, 0b101) == [0b0101_0000]
    assert ticks(make(RegisterType.BITS32, order="CDAB"), [0x0001, 0x8000]) == 0x8000_0001
    assert ticks(make(RegisterType.BITS16, first_bit=15), [0x8000]) == 1


@pytest.mark.parametrize(("count", "value"), [(3, 8), (0, 4096), (3, -1)])
def test_bits_beyond_their_part_cannot_be_shown(count: int, value: int) -> None:
    """What does not fit is an error of the simulator."""
    with pytest.raises(ValueError, match="fits"):
        words(make(RegisterType.BITS16, first_bit=4, bit_count=count), value)


def test_text_is_told_as_the_number_of_its_bytes() -> None:
    """A serial number of letters has no value, but a scan wants to read it."""
    register = make(RegisterType.STRING, size=3, unit=TEXT_UNIT)
    sent = [0x5345, 0x3135, 0x3000]

    assert register.length == 3
    assert text_of(ticks(register, sent)) == "SE150"
    assert words(register, ticks(register, sent)) == sent


def test_text_may_be_longer_than_any_number() -> None:
    """Sixteen letters are no damage."""
    register = make(RegisterType.STRING, size=8)

    assert text_of(ticks(register, [0x4142] * 8)) == "AB" * 8


def test_exponent_of_zero_changes_nothing() -> None:
    """10 ** 0 is one; a negative exponent is rounded to the register's decimals."""
    register = make(RegisterType.U16, decimals=1)

    assert ticks(register, [125], 0) == 1250
    assert ticks(register, [125], -2) == 12  # 1.25 with one decimal: half to even
    assert ticks(make(RegisterType.F32, decimals=0), [0x4120, 0], 3) == 10_000
