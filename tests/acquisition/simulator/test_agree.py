"""Simulator and codecs, each by its own code, say the same: every identifier, every field, every habit."""

from __future__ import annotations

import pytest
from buses import NOW_MS, make_bus

from acquisition.codecs import cjt188_blocks, dlt645_steps
from acquisition.codecs.cjt188_profiles import profile
from acquisition.codecs.exchange import Answer, Block
from acquisition.codecs.modbus import RegisterBlock
from acquisition.drivers.meters.meter_maps import load_map
from acquisition.drivers.meters.register_maps import merge
from acquisition.simulator.bus import Bus
from acquisition.simulator.dlt645 import rows
from acquisition.simulator.station import Station, Value
from acquisition.simulator.stations import make_station

SINGLE = {
    edition: [
        name
        for name, row in rows(f"dlt645_{edition}").items()
        if row.format not in ("address", "time") and "nn" not in name
    ]
    for edition in ("2007", "1997")
}
FROZEN = [name for name in rows("dlt645_2007") if name.endswith("01nn")]
ADDRESS = "000000000161"


def told_by(bus: Bus, block: Block, address: str) -> Answer:
    """Ask a bus in its own time, piece by piece, until the exchange is decided."""
    exchange = block.exchange(address)  # type: ignore[attr-defined]
    said, at_ms = exchange.request, 0
    for _ in range(20):
        bus.hear(said, at_ms)
        while bus.next_ms is not None:
            at_ms = bus.next_ms
            for data, _asker in bus.speak(at_ms):
                found = exchange.feed(data)
            if isinstance(found, Answer):
                return found
        at_ms += 100
        if not found:
            break
        said = found
    raise exchange.silence()


def agree(answer: Answer, values: list[Value], decimals: dict[str, int]) -> None:
    """Hold what was decoded against what was shown, in the finer of both decimals."""
    shown = {value.item: value for value in values}
    assert answer.values or answer.lost
    for item, ticks in answer.values.items():
        value = shown[item.removesuffix("_frozen")]
        assert value.shown is not None
        assert ticks * 10**value.decimals == value.shown * 10 ** decimals[item]


def asked(station: Station, block: Block, baud: int = 2400) -> Answer:
    """Ask a meter alone on its line, and hold the answer against what it says it showed."""
    told: list[object] = []
    bus = make_bus([station], baud=baud, told=told)  # type: ignore[arg-type]
    answer = told_by(bus, block, station.address)
    values = [value for one in told for value in one.reply.values]  # type: ignore[attr-defined]
    agree(answer, values, {item.name: item.decimals for item in block.items})
    return answer


@pytest.mark.parametrize(
    ("edition", "identifier"), [(e, name) for e, names in SINGLE.items() for name in names]
)
def test_every_identifier_of_dlt645_is_decoded_to_what_the_meter_shows(edition: str, identifier: str) -> None:
    """The codec's table and the simulator's, written apart, give each identifier the same layout."""
    station = make_station(f"dlt645-{edition}", "e1", ADDRESS, seed=3)
    block = dlt645_steps.block(f"dlt645-{edition}", identifier)

    answer = asked(station, block)

    assert set(answer.values) | set(answer.lost) == {item.name for item in block.items}


@pytest.mark.parametrize("identifier", FROZEN)
@pytest.mark.parametrize("back", [1, 2])
def test_frozen_values_come_with_the_instant_they_hold_for(identifier: str, back: int) -> None:
    """A frozen register is that of its hour or day, and the answer bears it."""
    station = make_station("dlt645-2007", "e1", ADDRESS, seed=3)
    station.frozen[:] = [NOW_MS // 60_000 * 60_000 - 60_000 * n for n in range(3)]
    block = dlt645_steps.block("dlt645-2007", identifier[:-2] + f"{back:02X}")

    answer = asked(station, block)
    then = station.meter.counted(answer.at_ms) % station.meter.modulus

    assert answer.at_ms < NOW_MS + 2000
    assert answer.values["energy_frozen"] == then


def test_what_does_not_fit_a_frame_comes_in_following_ones() -> None:
    """B1 and 92 frames of a meter with small frames add up to the block."""
    small = make_station("dlt645-2007", "e1", ADDRESS, seed=3, longest=12)
    whole = make_station("dlt645-2007", "e1", ADDRESS, seed=3)
    block = dlt645_steps.block("dlt645-2007", "0001FF00")

    assert asked(small, block, 0).values == asked(whole, block, 0).values


@pytest.mark.parametrize("carrier", ["water", "gas", "heat"])
@pytest.mark.parametrize("unit_first", [False, True])
@pytest.mark.parametrize("order", ["low-first", "high-first"])
def test_every_habit_of_cjt188_is_decoded_to_what_the_meter_shows(
    carrier: str, unit_first: bool, order: str
) -> None:
    """Order of identifier and clock, place of the unit: the profile undoes what the vendor did."""
    high = order == "high-first"
    options = {"high_first": high, "unit_first": unit_first, "clock_high_first": high}
    station = make_station("cjt188", "w1", "78330011223344", seed=3, carrier=carrier, **options)
    kind = {"water": "10", "gas": "30", "heat": "20"}[carrier]
    told = {"layout": carrier, "meter_type": kind, "unit_first": unit_first}
    block = cjt188_blocks.block(profile(told | {"identifier_order": order, "clock_order": order}))

    answer = asked(station, block)

    assert set(answer.values) == {item.name for item in block.items}


def test_the_map_generic_is_decoded_to_what_the_meter_shows() -> None:
    """Every register of the map, over RTU."""
    plan = load_map("generic")
    station = make_station("modbus-rtu", "r1", "3", seed=3)
    blocks = merge(plan.items, 60, 16)

    seen = [name for block in blocks for name in asked(station, block).values]

    assert all(isinstance(block, RegisterBlock) for block in blocks)
    assert set(seen) == {item.name for item in plan.items}
