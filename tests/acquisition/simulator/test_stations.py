"""Stations: frames as the reference prints them, clocks that are set, values that are frozen, habits of vendors."""

from __future__ import annotations

from typing import Any

import pytest
from buses import E1, NOW_MS, W1, cjt, dlt, heard, make_bus, stations

from acquisition.simulator.bcd import civil, number, signed
from acquisition.simulator.dlt645 import framed
from acquisition.simulator.stations import make_station
from nengliu.errors import InputError

BROADCAST = "99" * 6
VECTORS = [
    ("68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16", "610100000000", 0x11, "00000100"),
    ("68 61 01 00 00 00 00 68 91 08 33 33 35 33 59 34 33 33 8C 16", "610100000000", 0x91, "0000020026010000"),
    ("68 12 00 00 00 10 20 68 D1 01 35 19 16", "120000001020", 0xD1, "02"),
    ("68 99 99 99 99 99 99 68 08 06 84 55 43 38 39 4A 4B 16", "999999999999", 0x08, "512210050617"),
]


@pytest.mark.parametrize(("frame", "address", "control", "data"), VECTORS)
def test_frames_are_those_of_the_reference(frame: str, address: str, control: int, data: str) -> None:
    """The simulator lays frames out as real meters did."""
    assert framed(bytes.fromhex(address), control, bytes.fromhex(data)) == bytes.fromhex(frame)


def test_sign_is_the_top_bit() -> None:
    """-34 kW has the high byte B4."""
    assert signed(-340000, 3).hex() == "0000b4"
    assert number(bytes.fromhex("563412")) == 123456


def test_broadcast_sets_the_clock_and_nobody_answers() -> None:
    """A meter takes a time that is near its own, and no other."""
    (meter,) = stations(("dlt645-2007", "e1", E1))
    bus = make_bus([meter])
    for by_s, expected_ms in ((200, 200_000), (3600, 200_000)):
        at = civil(NOW_MS + by_s * 1000)
        fields = (at.second, at.minute, at.hour, at.day, at.month, at.year % 100)
        told = bytes(int(str(value), 16) for value in fields)
        assert heard(bus, dlt(BROADCAST, 0x08, told)) == b""
        assert meter.set_by_ms == expected_ms
    assert heard(bus, dlt(BROADCAST, 0x08, b"\xee" * 6)) == b""
    assert meter.set_by_ms == 200_000


def test_freeze_keeps_the_instant_and_is_answered_only_when_it_has_an_address() -> None:
    """After two freezes there are two frozen values, and a third is no such data."""
    (meter,) = stations(("dlt645-2007", "e1", E1))
    bus = make_bus([meter])
    everything = b"\x99" * 4
    assert heard(bus, dlt(BROADCAST, 0x16, everything)) == b""
    assert bytes.fromhex("9600") in heard(bus, dlt(E1, 0x16, everything))
    answers = [heard(bus, dlt(E1, data=bytes((back, 1, 1, 5)))).lstrip(b"\xfe")[8] for back in (1, 2, 3)]
    assert answers == [0x91, 0x91, 0xD1]


@pytest.mark.parametrize("control", [0x14, 0x15, 0x17, 0x1A, 0x1C, 0x01])
def test_meter_is_silent_on_what_it_does_not_know(control: int) -> None:
    """Nothing that writes is answered, nor the read of the other edition."""
    assert heard(make_bus(stations(("dlt645-2007", "e1", E1))), dlt(E1, control)) == b""


def test_meter_lacks_what_its_model_lacks() -> None:
    """An identifier that the edition has and the meter has not is refused as no such data."""
    meter = make_station("dlt645-2007", "e1", E1, lacks=("00010000",))
    assert heard(make_bus([meter]), dlt(E1)).hex().endswith("d101353916")


def test_old_meter_answers_the_broadcast_address() -> None:
    """A 1997 meter alone on its line tells its register to 99..99."""
    bus = make_bus(stations(("dlt645-1997", "e1", "3430163")))
    assert heard(bus, dlt(BROADCAST, 0x01, bytes.fromhex("1090"))).lstrip(b"\xfe")[8] == 0x81


@pytest.mark.parametrize(
    ("options", "place", "expected"),
    [
        ({}, slice(11, 14), "1f9007"),
        ({"high_first": True, "serial": "zero"}, slice(11, 14), "901f00"),
        ({"serial": "free"}, slice(13, 14), "01"),
        ({"unit_first": True}, slice(14, 15), "2c"),
        ({}, slice(18, 19), "2c"),
        ({"answers_as": 0x19}, slice(1, 2), "19"),
    ],
)
def test_vendor_has_its_habits(options: dict[str, Any], place: slice, expected: str) -> None:
    """Order of the identifier, serial number, place of the unit, type in the reply."""
    meter = make_station("cjt188", "w1", W1, carrier="water", **options)
    answer = heard(make_bus([meter]), cjt(W1)).lstrip(b"\xfe")

    assert answer[place].hex() == expected
    assert answer[9:11].hex() == "8116"


def test_water_meter_answers_any_type_and_no_other_carrier() -> None:
    """Type AA and its own family are meant for it, a heat meter's is not; other identifiers are refused."""
    bus = make_bus(stations(("cjt188", "w1", W1)))

    assert heard(bus, cjt(W1, 0xAA))
    assert heard(bus, cjt(W1, 0x11))
    assert heard(bus, cjt(W1, 0x20)) == b""
    assert heard(bus, cjt("AA" * 7))
    assert heard(bus, cjt(W1, identifier=b"\x20\xd1")).lstrip(b"\xfe")[9] == 0xC1


@pytest.mark.parametrize(
    ("protocol", "address", "options"),
    [
        ("dlt645", "1", {}),
        ("dlt645-2007", "1234567890123", {}),
        ("modbus-rtu", "248", {}),
        ("modbus-rtu", "A1", {}),
        ("cjt188", "1", {"carrier": "oil"}),
        ("cjt188", "1", {"unit_second": True}),
        ("cjt188", "1", {"unit_first": "yes"}),
        ("dlt645-2007", "1", {"weak": 3}),
    ],
)
def test_wrong_meter_is_refused_by_name(protocol: str, address: str, options: dict[str, Any]) -> None:
    """Protocol, address, carrier and options are checked, and the message names the meter."""
    with pytest.raises(InputError, match="meter x9"):
        make_station(protocol, "x9", address, **options)
