"""Fields: all FF first, then the sign of signed items, then the nibbles."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.codecs.fields import TEXT_UNIT, field, text_of
from nengliu.errors import LinkError

DIGITS = st.text("0123456789", min_size=6, max_size=6)


def reason(notation: str, data: str) -> str:
    with pytest.raises(LinkError) as told:
        field("f", notation, "1").ticks(bytes.fromhex(data))
    return told.value.reason


def read(notation: str, data: str) -> int:
    return field("f", notation, "1").ticks(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("notation", "size", "decimals", "signed"),
    [
        ("XXXXXX.XX", 4, 2, False),
        ("±XX.XXXX", 3, 4, True),
        ("XXX", 2, 0, False),
        ("XXXXXXXXXXXX", 6, 0, False),
    ],
)
def test_notation_tells_size_decimals_and_sign(notation: str, size: int, decimals: int, signed: bool) -> None:
    """The notation of the standard is all that a number needs."""
    one = field("f", notation, "kWh")

    assert (one.size, one.decimals, one.signed, one.unit) == (size, decimals, signed, "kWh")


@pytest.mark.parametrize("notation", ["", "X.", "±", "YYMX", "c2", "b", "XX,X", "a-1"])
def test_notation_that_is_none_is_refused(notation: str) -> None:
    """A wrong data file is a broken program, not a meter's fault."""
    with pytest.raises(ValueError, match="expected"):
        field("f", notation, "1")


@given(DIGITS, st.booleans())
def test_digits_come_back_with_their_sign(digits: str, negative: bool) -> None:
    """Any number is read exactly; its sign is the top bit of a signed item."""
    number = int(digits) % 800000
    data = bytearray(bytes.fromhex(f"{number:06d}")[::-1])
    data[-1] |= 0x80 * negative

    assert field("f", "±XX.XXXX", "kW").ticks(bytes(data)) == (-number if negative else number)


@given(DIGITS)
def test_top_bit_of_an_unsigned_number_is_a_digit(digits: str) -> None:
    """876543.21 kWh is no negative energy."""
    digits = f"9{digits}0"

    assert field("f", "XXXXXX.XX", "kWh").ticks(bytes.fromhex(digits)[::-1]) == int(digits)


@pytest.mark.parametrize("notation", ["XXXXXX.XX", "±XX.XXXX", "YYMMDDhhmm", "hhmmss", "b2", "a*"])
def test_all_ff_is_no_data_of_any_field(notation: str) -> None:
    """FF in every byte says that there is no value, before anything else is looked at."""
    size = field("f", notation, "1").size or 3

    assert reason(notation, "ff" * size) == "NO_DATA"


def test_sign_with_digits_of_34_kilowatts_is_a_number() -> None:
    """-34 kW has the high byte B4: it is a sign, not a bad nibble."""
    assert read("±XX.XXXX", "0000b4") == -340000


@pytest.mark.parametrize("data", ["0a0000", "a00000", "00000f", "ffff7f", "ffffef"])
def test_nibble_above_nine_is_bad_bcd(data: str) -> None:
    """A nibble that is no digit makes no number, signed or not."""
    assert reason("±XX.XXXX", data) == "BAD_BCD"
    assert reason("XX.XXXX", data) == "BAD_BCD"


def test_times_are_those_of_china() -> None:
    """15 November 2024, 12:30 on the meter is 04:30 UTC."""
    wanted = int(datetime(2024, 11, 15, 4, 30, tzinfo=UTC).timestamp()) * 1000

    assert read("YYMMDDhhmm", "3012151124") == wanted
    assert read("YYMMDDWWhhmmss", "003012" + "05151124") == wanted
    assert read("YYYYMMDDhhmmss", "003012" + "15112420") == wanted


def test_time_of_day_at_midnight_is_a_time() -> None:
    """Zeros are no date, but they are midnight."""
    assert read("hhmmss", "000000") == 0
    assert reason("YYMMDDhhmm", "0000000000") == "NO_DATA"


@pytest.mark.parametrize(
    "data", ["6000010124", "0025010124", "0000000124", "0000310224", "0000011324", "000a010124"]
)
def test_time_that_does_not_exist_is_bad(data: str) -> None:
    """Minute 60, hour 25, day 0, 31 February, month 13 and a nibble A are no times."""
    assert reason("YYMMDDhhmm", data) == "BAD_BCD"


@pytest.mark.parametrize(
    ("notation", "data"), [("XXXXXX.XX", "000000"), ("b2", "000000"), ("XXX.X", ""), ("a*", "")]
)
def test_field_of_another_length_is_damage(notation: str, data: str) -> None:
    """Half of a value is no value."""
    assert reason(notation, data) == "DAMAGED"


def test_binary_is_low_first() -> None:
    """A status word is a number, its low byte sent first."""
    assert read("b2", "8200") == 0x82
    assert read("b2", "0008") == 0x800


def test_text_is_spelled_from_its_ticks() -> None:
    """A text comes byte-reversed; what is no letter is marked."""
    one = field("f", "a*", "V")

    assert one.unit == TEXT_UNIT
    assert text_of(one.ticks(b"V0.022")) == "220.0V"
    assert text_of(one.ticks(b"\x00B\x01A")) == "A?B"
    assert text_of(0) == ""
