"""CJ/T 188: a meter is read as its profile says, and nothing is guessed."""

from __future__ import annotations

from typing import Any

import pytest
from frames import bcd, reply188
from hypothesis import given
from hypothesis import strategies as st
from vectors import Vector, vectors

from acquisition.codecs.cjt188 import WAKE_UP, address_of, whole_address
from acquisition.codecs.cjt188_blocks import AddressBlock, block
from acquisition.codecs.cjt188_profiles import Profile, profile
from acquisition.codecs.exchange import Answer
from nengliu.errors import InputError, LinkError

METER, OTHER = "78330011223344", "78330011223345"
HEAD = b"\x1f\x90\x00"
CLOCK = bcd("20150511220131")


def water(
    volume: bytes = bcd("00001234") + b"\x2c", settled: bytes = bytes(4) + b"\x2c", clock: bytes = CLOCK
) -> bytes:
    return HEAD + volume + settled + clock + b"\x04\x00"


def read(data: bytes, **table: Any) -> Answer:
    found = block(profile(table)).exchange(METER).feed(reply188(METER, 0x81, data))
    assert isinstance(found, Answer)
    return found


def reasons(found: Answer) -> dict[str, str]:
    return {name: error.reason for name, error in found.lost.items()}


def real(name: str) -> Vector:
    return next(one for one in vectors("cjt188") if one.id == name)


@pytest.mark.parametrize(
    ("code", "unit", "decimals", "expected"),
    [
        ("05", "kWh", 2, 1234),
        ("02", "kWh", 5, 1234),
        ("08", "kWh", 2, 1234_000),
        ("0A", "kWh", 2, 123_400_000),
        ("11", "GJ", 2, 1234),
        ("13", "GJ", 2, 123_400),
        ("0E", "GJ", 5, 1234),
        ("0B", "GJ", 8, 1234),
        ("01", "GJ", 11, 1234),
    ],
)
def test_every_code_of_energy_is_told_exactly(code: str, unit: str, decimals: int, expected: int) -> None:
    """12.34 of each unit is told in the item's unit to its last digit."""
    table = {"layout": "heat", "units": {"heat": unit}, "decimals": {"heat": decimals}}
    energy = bytes(4) + b"\x05" + bcd("00001234") + bytes.fromhex(code)
    rest = bytes(4) + b"\x17" + bytes(4) + b"\x35" + bytes(4) + b"\x2c" + bytes(9) + CLOCK + b"\x00\x00"

    assert read(HEAD + energy + rest, **table).values["heat"] == expected


@pytest.mark.parametrize(("code", "decimals", "expected"), [("29", 5, 1234), ("2C", 2, 1234)])
def test_every_code_of_volume_is_told_exactly(code: str, decimals: int, expected: int) -> None:
    """Litres and cubic metres."""
    found = read(water(bcd("00001234") + bytes.fromhex(code)), decimals={"volume": decimals})

    assert found.values["volume"] == expected


def test_unknown_unit_makes_no_value() -> None:
    """A unit that nobody knows makes all values with a unit unusable; clock and status stand."""
    found = read(water(bcd("00001234") + b"\x77"))

    assert reasons(found) == {"volume": "UNKNOWN_UNIT", "volume_settled": "UNKNOWN_UNIT"}
    assert found.lost["volume"].parameters == {"got": "77H"}
    assert found.values["status_1"] == 4


def test_unit_of_another_kind_makes_no_value() -> None:
    """A volume in kWh is no volume."""
    assert reasons(read(water(bcd("00001234") + b"\x05")))["volume"] == "UNKNOWN_UNIT"


def test_value_between_two_ticks_is_not_rounded() -> None:
    """12.34 litres are no whole number of 0.01 m3: the profile needs more decimals, and says so."""
    found = read(water(bcd("00001234") + b"\x29"))

    assert reasons(found) == {"volume": "UNKNOWN_UNIT"}
    assert "decimals" in str(found.lost["volume"])


def test_no_data_comes_before_the_unit() -> None:
    """All FF says that there is no value, whatever stands as its unit, and casts no doubt on the others."""
    found = read(water(b"\xff" * 5))

    assert reasons(found) == {"volume": "NO_DATA"}
    assert found.values["volume_settled"] == 0


def test_bad_digits_are_bad_bcd() -> None:
    """A nibble above nine is no digit."""
    assert reasons(read(water(bcd("0000123a") + b"\x2c"))) == {"volume": "BAD_BCD"}


def test_units_on_the_other_side_are_not_guessed() -> None:
    """A meter that sends units first, read in the standard's way, gives no value with a unit."""
    vector = real("H4")
    found = (
        block(profile({"layout": "heat", "meter_type": "20"}))
        .exchange(vector.told["address"])
        .feed(vector.frame)
    )

    assert isinstance(found, Answer)
    assert set(reasons(found).values()) == {"UNKNOWN_UNIT"}
    assert set(found.lost) == {"heat_settled", "heat", "power", "volume_flow", "volume"}


def test_first_value_may_count_cold() -> None:
    """Of some heat meters the first value is the cold."""
    table = {"layout": "heat", "meter_type": "20", "first": "cold"}
    vector = real("H2")
    found = block(profile(table)).exchange(vector.told["address"], 0x12).feed(vector.frame)

    assert isinstance(found, Answer)
    assert found.values["cold"] == 0
    assert "heat_settled" not in found.values


def test_decimals_of_the_digits_are_those_of_the_profile() -> None:
    """A vendor whose flow has two decimals is read a hundred times higher."""
    frame = bytearray(real("H1").frame)
    frame[29:33] = bcd("00012345")  # the flow: 1.2345 m3/h by the standard
    frame[-2] = sum(frame[:-2]) % 256
    for digits, expected in (({}, 12345), ({"volume_flow": 2}, 1_234_500)):
        asked = block(profile({"layout": "heat", "meter_type": "20", "digits": digits}))
        found = asked.exchange("00740012064713").feed(bytes(frame))

        assert isinstance(found, Answer)
        assert found.values["volume_flow"] == expected


def test_clock_with_the_high_byte_first_is_read_by_its_profile() -> None:
    """The same instant, sent the other way round."""
    standard, other = read(water()), read(water(clock=CLOCK[::-1]), clock_order="high-first")

    assert standard.values["clock"] == other.values["clock"] == 1431352891000
    assert reasons(read(water(clock=CLOCK[::-1]))) == {"clock": "BAD_BCD"}


def test_identifier_is_asked_in_one_order_and_taken_in_both() -> None:
    """1F 90 by the standard, 90 1F by other meters; the answer may bear either."""
    for order, sent in (("low-first", b"\x1f\x90"), ("high-first", b"\x90\x1f")):
        exchange = block(profile({"identifier_order": order})).exchange(METER)

        assert exchange.request == WAKE_UP + reply188(METER, 0x01, sent + b"\x00")
        for told in (b"\x1f\x90", b"\x90\x1f"):
            found = (
                block(profile({"identifier_order": order}))
                .exchange(METER)
                .feed(reply188(METER, 0x81, told + water()[2:]))
            )
            assert isinstance(found, Answer)


def test_serial_number_is_echoed_unless_the_profile_says_otherwise() -> None:
    """Strict by default: the answer to another question is not taken."""
    reply = reply188(METER, 0x81, b"\x1f\x90\x07" + water()[3:])
    strict = block(Profile()).exchange(METER, 6)

    assert strict.feed(reply) is None
    assert strict.silence().reason == "MISMATCH"
    assert isinstance(block(Profile()).exchange(METER, 7).feed(reply), Answer)
    assert isinstance(block(profile({"serial": "any"})).exchange(METER).feed(reply), Answer)


@pytest.mark.parametrize(
    "foreign",
    [reply188(OTHER, 0x81, water()), reply188(METER, 0x83, water()), reply188(METER, 0x81, b"\x1f")],
)
def test_foreign_frame_is_passed_over(foreign: bytes) -> None:
    """What another meter says decides nothing."""
    exchange = block(Profile()).exchange(METER)

    assert exchange.feed(exchange.request + foreign) is None
    assert exchange.silence().reason == "MISMATCH"
    assert isinstance(exchange.feed(reply188(METER, 0x81, water())), Answer)


def test_type_in_the_answer_may_differ() -> None:
    """Asked as 20, answered as 25: the address decides."""
    found = block(Profile()).exchange(METER).feed(reply188(METER, 0x81, water(), meter_type=0x19))

    assert isinstance(found, Answer)


def test_refusal_is_told() -> None:
    """C1 is a meter that answers, but cannot."""
    with pytest.raises(LinkError) as told:
        block(Profile()).exchange(METER).feed(reply188(METER, 0xC1, HEAD + b"\x02"))
    assert (told.value.reason, told.value.parameters["code"]) == ("REFUSED", "02H")


def test_answer_of_another_layout_is_the_maps_fault() -> None:
    """A heat meter read as a water meter answers more than its profile says."""
    with pytest.raises(LinkError) as told:
        block(Profile()).exchange(METER).feed(reply188(METER, 0x81, water() + b"\x00"))
    assert told.value.reason == "CONFIG"


def test_silences_have_a_meaning() -> None:
    """Nothing, or what is no frame."""
    exchange = block(Profile()).exchange(METER)
    assert exchange.silence().reason == "TIMEOUT"
    exchange.feed(reply188(METER, 0x81, water())[:-1])
    assert exchange.silence().reason == "DAMAGED"


def test_wildcard_finds_a_meter_and_its_address() -> None:
    """AA for any pair, for a reading and for the address itself."""
    reply = reply188(METER, 0x81, water())
    found = block(Profile()).exchange("A" * 14).feed(reply)
    assert isinstance(found, Answer)
    assert address_of(found.raw) == METER

    asked = AddressBlock().exchange()
    assert asked.request == WAKE_UP + reply188("A" * 14, 0x03, b"\x0a\x81\x00")
    told = asked.feed(reply188(METER, 0x83, b"\x81\x0a\x00"))
    assert isinstance(told, Answer)
    assert told.values == {"address": int(METER)}


def test_address_question_refused_foreign_or_bad() -> None:
    """Every way in which nobody is named."""
    with pytest.raises(LinkError) as told:
        AddressBlock().exchange().feed(reply188(METER, 0xC3, b"\x0a\x81\x00\x01"))
    assert told.value.reason == "REFUSED"
    exchange = AddressBlock().exchange(OTHER)
    assert exchange.feed(exchange.request + reply188(METER, 0x83, b"\x0a\x81\x00")) is None
    assert exchange.silence().reason == "MISMATCH"
    found = AddressBlock().exchange().feed(reply188("FF" * 7, 0x83, b"\x0a\x81\x00"))
    assert isinstance(found, Answer)
    assert reasons(found) == {"address": "NO_DATA"}


@pytest.mark.parametrize("layout", ["water", "gas", "heat"])
def test_lengths_told_are_those_on_the_line(layout: str) -> None:
    """The prediction of cycle times rests on these."""
    asked = block(profile({"layout": layout}))
    exchange = asked.exchange(METER)
    reply = reply188(METER, 0x81, HEAD + b"\xff" * (asked.answer_bytes - 4 - 13 - 3))

    assert len(exchange.request) == asked.request_bytes
    found = exchange.feed(reply)
    assert isinstance(found, Answer)
    assert set(reasons(found).values()) == {"NO_DATA"}
    assert asked.split() == (asked,)
    assert AddressBlock().split()[0].request_bytes == len(AddressBlock().exchange().request)


def test_wanted_items_alone_are_told() -> None:
    """A point list is shorter than a meter's answer."""
    found = block(Profile(), ("clock",)).exchange(METER).feed(reply188(METER, 0x81, water()))

    assert isinstance(found, Answer)
    assert list(found.values) == ["clock"]
    with pytest.raises(InputError, match="nearest"):
        block(Profile(), ("volum",))


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ({"layout": "wine"}, "layout"),
        ({"laiout": "water"}, "nearest: layout"),
        ({"identifier_order": "middle"}, "identifier_order"),
        ({"clock_order": 1}, "clock_order"),
        ({"serial": "none"}, "serial"),
        ({"first": "warm"}, "first"),
        ({"unit_first": "yes"}, "unit_first"),
        ({"meter_type": "1"}, "meter_type"),
        ({"meter_type": 10}, "meter_type"),
        ({"identifier": "90"}, "identifier"),
        ({"decimals": {"heat": 2}}, "decimals"),
        ({"decimals": {"volume": 13}}, "0 to 12"),
        ({"digits": {"volume": "2"}}, "0 to 12"),
        ({"units": {"clock": "kWh"}}, "without a unit"),
        ({"units": {"volume": "kWh"}}, "expected a unit of energy"),
        ({"units": {"volume": "barrel"}}, "unknown unit"),
    ],
)
def test_wrong_profile_is_refused(table: dict[str, Any], match: str) -> None:
    """A person who mistypes is told where."""
    with pytest.raises(InputError, match=match):
        profile(table)


@pytest.mark.parametrize("address", ["", "1" * 15, "A1", "x"])
def test_address_that_is_none_is_refused(address: str) -> None:
    """An address is up to fourteen digits, with AA for any pair."""
    with pytest.raises(InputError, match="address"):
        whole_address(address)


@given(st.integers(0, 99_999_999), st.booleans())
def test_volume_comes_back_to_the_last_digit(volume: int, unit_first: bool) -> None:
    """Every volume is read exactly, the unit on either side."""
    digits = bcd(f"{volume:08d}")
    sent = b"\x2c" + digits + b"\x2c" + digits if unit_first else digits + b"\x2c" + digits + b"\x2c"
    found = read(HEAD + sent + CLOCK + bytes(2), unit_first=unit_first)

    assert found.values["volume"] == found.values["volume_settled"] == volume
