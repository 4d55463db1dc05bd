"""What a frame of CJ/T 188 shows of its meter's habits is reported; what it does not show is left open."""

from __future__ import annotations

from typing import Any

import pytest
from frames import bcd, reply188
from vectors import Vector, vectors

from acquisition.codecs.cjt188_blocks import block
from acquisition.codecs.cjt188_detect import detect
from acquisition.codecs.cjt188_profiles import profile
from acquisition.codecs.exchange import Answer
from nengliu.errors import InputError

READINGS = [one for one in vectors("cjt188") if one.is_reply and "identifier" not in one.told]
METER = "00740012064713"


def heat(
    power: str = "00000000", flow: str = "00000000", supply: str = "000000", back: str = "000000", **more: Any
) -> bytes:
    """A heat meter's frame: power in 0.01 kW, flow in the meter's digits, temperatures in 0.01 degC."""
    energy = (bcd("00053281") + b"\x05") * 2
    rest = (
        bcd(power) + b"\x17" + bcd(flow) + b"\x35" + bytes(4) + b"\x2c" + bcd(supply) + bcd(back) + bytes(3)
    )
    clock = more.get("clock", bcd("20240131120000"))
    return reply188(
        METER, 0x81, b"\x1f\x90\x05" + energy + rest + clock + bytes(2), more.get("meter_type", 0x20)
    )


@pytest.mark.parametrize("vector", READINGS, ids=lambda one: one.id)
def test_profile_that_is_suggested_reads_the_frame(vector: Vector) -> None:
    """The table that a real frame suggests reads that frame to its known meaning."""
    seen = detect(b"\xfe\xfe\x00" + vector.frame)
    found = block(profile(seen.table)).exchange(seen.address, seen.serial).feed(vector.frame)
    known = vector.exchange().feed(vector.frame)

    assert isinstance(found, Answer)
    assert isinstance(known, Answer)
    assert found.values == known.values
    assert seen.identifier_order == ("low-first" if vector.frame[11:13] == b"\x1f\x90" else "high-first")
    assert seen.unit_first is vector.told.get("profile", {}).get("unit_first", False)


def test_units_are_named_as_they_are_sent() -> None:
    """A person sees in what the meter counts."""
    seen = detect(next(one for one in READINGS if one.id == "H5").frame)

    assert seen.units == {
        "heat_settled": "MWh",
        "heat": "MWh",
        "power": "kW",
        "volume_flow": "m3/h",
        "volume": "m3",
    }


@pytest.mark.parametrize(("flow", "decimals"), [("00010000", 4), ("00000100", 2)])
def test_decimals_of_the_flow_are_seen_by_the_heat_it_carries(flow: str, decimals: int) -> None:
    """1 m3/h cooled by 10 K carries 11.63 kW: only one place of the point explains the power."""
    seen = detect(heat("00001163", flow, "006000", "005000"))

    assert seen.flow_decimals == decimals
    read = (
        block(profile(seen.table))
        .exchange(METER, seen.serial)
        .feed(heat("00001163", flow, "006000", "005000"))
    )
    assert isinstance(read, Answer)
    assert read.values["volume_flow"] == 10_000


def test_decimals_of_the_flow_are_left_open_without_heat() -> None:
    """No flow, no difference, or a power that neither explains."""
    assert detect(heat()).flow_decimals is None
    assert detect(heat("00001163", "00010000", "005000", "006000")).flow_decimals is None
    assert detect(heat("00000116", "00010000", "006000", "005000")).flow_decimals is None
    assert detect(heat("ffffffff", "00010000", "006000", "005000")).flow_decimals is None


def test_clock_is_read_in_the_order_that_makes_a_date_of_today() -> None:
    """Low byte first by the standard; the other order by some vendors; neither or both: open."""
    assert detect(heat()).clock_order == "low-first"
    assert detect(heat(clock=bcd("20240131120000")[::-1])).clock_order == "high-first"
    assert detect(heat(clock=bytes(7))).clock_order is None
    assert detect(heat(clock=b"\xff" * 7)).clock_order is None
    assert detect(heat(clock=bytes.fromhex("20101010101020"))).clock_order is None
    assert detect(heat()).clock_ms == 1706673600000


def test_units_that_fit_neither_side_leave_it_open() -> None:
    """One unknown unit, and nothing is said of any."""
    frame = heat()
    spoiled = frame[11:14] + frame[14:18] + b"\x77" + frame[19:-2]
    seen = detect(reply188(METER, 0x81, spoiled, 0x20))

    assert seen.unit_first is None
    assert seen.units == {}
    assert "unit_first" not in seen.table


def test_frame_without_any_value_leaves_the_side_open() -> None:
    """All FF fits both sides."""
    assert detect(reply188(METER, 0x81, b"\x1f\x90\x00" + b"\xff" * 43, 0x20)).unit_first is None


def test_gas_is_told_from_water_by_the_type_of_meter() -> None:
    """Their layouts are alike."""
    data = b"\x1f\x90\x00" + (bytes(4) + b"\x2c") * 2 + bytes(9)

    assert detect(reply188(METER, 0x81, data, 0x30)).layout == "gas"
    assert detect(reply188(METER, 0x81, data, 0x10)).layout == "water"


def test_frame_of_no_known_length_has_no_layout() -> None:
    """A vendor's own layout is not pressed into another."""
    seen = detect(reply188(METER, 0x81, b"\x1f\x90\x00" + bytes(12)))

    assert (seen.layout, seen.unit_first, seen.units) == (None, None, {})
    assert "layout" not in seen.table


@pytest.mark.parametrize(
    "raw", [b"", b"\x68\x10", reply188(METER, 0x83, b"\x81\x0a\x00"), reply188(METER, 0x01, b"\x1f\x90\x00")]
)
def test_what_is_no_reading_is_refused(raw: bytes) -> None:
    """A request, an address or noise shows nothing."""
    with pytest.raises(InputError, match="901F"):
        detect(raw)
