"""The shipped maps: each says where it comes from, is read whole, and is found again by its signature."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from importlib import resources

import pytest

from acquisition.codecs.exchange import Answer, Block
from acquisition.codecs.modbus import RegisterBlock
from acquisition.codecs.registers import words
from acquisition.drivers.meters.catalogue import about, meter_items
from acquisition.drivers.meters.meter_maps import load_map, shipped_maps
from acquisition.drivers.meters.register_maps import RegisterMap
from acquisition.drivers.scanning.fitting import fits
from nengliu.domain.points import Kind
from nengliu.domain.units import dimension
from nengliu.errors import LinkError

MODBUS = [name for name in shipped_maps() if about(name).protocol == "modbus"]
HEALTHY = {
    "frequency": "50.02",
    "voltage": "230.4",
    "voltage_ab": "399.1",
    "voltage_bc": "398.2",
    "voltage_ca": "400.4",
    "current": "5.2",
    "power": "3.1",
    "power_factor": "0.95",
    "temperature": "31.5",
}
COUNTED = "123456"


@pytest.mark.parametrize("name", shipped_maps())
def test_map_says_its_source_and_whether_it_was_verified(name: str) -> None:
    """No address without a source; only what our own simulator answers counts as verified."""
    told = about(name)

    assert told.title
    assert len(told.source) > 3
    assert told.verified == (name == "generic")


@pytest.mark.parametrize("name", shipped_maps())
def test_items_of_a_map_have_names_for_people(name: str) -> None:
    """Each item is in the list that names it in both languages, in a unit the catalogue knows."""
    for item in load_map(name).items:
        assert dimension(item.unit)
        assert meter_items()[item.name].zh
        assert meter_items()[item.name].en


def test_common_meters_are_there() -> None:
    """At least eight models of the common vendors, and maps for DL/T 645 of both editions and CJ/T 188."""
    vendors = {name.partition("_")[0] for name in MODBUS}

    assert {"acrel", "chint", "schneider", "siemens", "eastron", "abb"} <= vendors
    assert len(MODBUS) - 1 >= 8
    assert {"dlt645-2007", "dlt645-1997", "cjt188"} <= {about(name).protocol for name in shipped_maps()}


def test_every_listed_item_is_of_the_catalogue() -> None:
    """A proposal can make a point of each: its item exists, and its range is one."""
    known = resources.files("schemas").joinpath("codes/items.csv").read_text("utf-8")
    slugs = {line.partition(",")[0] for line in known.splitlines()}

    for one in meter_items().values():
        assert one.item in slugs
        assert (one.low is None) == (one.high is None) == (not one.unit)
        assert one.low is None or one.high is None or one.low < one.high


class Meter:
    """A Modbus meter that has the registers of one map and refuses all others."""

    def __init__(self, plan: RegisterMap, healthy: Mapping[str, str]) -> None:
        self.words: dict[tuple[int, int], int] = {}
        for one in plan.registers:
            stem = one.name if one.name in healthy else one.name.rpartition("_")[0]
            spare = COUNTED if meter_items()[one.name].kind is Kind.COUNTER else "1.5"
            value = Decimal(healthy.get(stem, spare)).scaleb(one.decimals)
            step = Decimal(str(one.step)) if one.step == int(one.step) else Decimal(1)
            ticks = int((value / step).to_integral_value() * step)
            for place, word in enumerate(words(one, ticks)):
                self.words[one.function, one.address + place] = word

    async def connect(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def ask(self, address: str, block: Block) -> Answer:
        del address
        assert isinstance(block, RegisterBlock)
        span = range(block.address, block.address + block.count)
        if any((block.function, at) not in self.words for at in span):
            raise LinkError("CONFIG", "no such register")
        return block.decode([self.words[block.function, at] for at in span])


@pytest.mark.parametrize("name", MODBUS)
def test_meter_is_found_by_its_own_map(name: str) -> None:
    """A healthy meter with the registers of a map is read whole by it, and no other map reads it better."""
    plan = load_map(name)
    assert isinstance(plan, RegisterMap)
    maps = [load_map(one) for one in MODBUS]

    found = asyncio.run(fits(Meter(plan, HEALTHY), "1", maps, lambda asked: None))

    own = next(fit for fit in found if fit.map.name == name)
    assert own.is_as_good(found[0])
    assert not own.lost
    assert own.plausible == own.judged


def test_meter_of_an_unknown_make_fits_no_map() -> None:
    """Registers that are there but hold something else are not taken for a meter's."""
    plan = load_map("eastron_sdm630")
    assert isinstance(plan, RegisterMap)
    strange = Meter(plan, dict.fromkeys(HEALTHY, "7000000"))

    assert asyncio.run(fits(strange, "1", [load_map(one) for one in MODBUS], lambda asked: None)) == []


def test_one_dead_phase_does_not_hide_the_map() -> None:
    """A meter with two dead phases of three is still known by the rest."""
    plan = load_map("schneider_pm5100")
    assert isinstance(plan, RegisterMap)
    meter = Meter(plan, HEALTHY)
    for one in plan.registers:
        if one.name in ("voltage_b", "voltage_ab"):
            for place in range(one.length):
                meter.words[one.function, one.address + place] = 0

    found = asyncio.run(fits(meter, "1", [load_map(one) for one in MODBUS], lambda asked: None))

    assert found[0].map.name == "schneider_pm5100"
    assert found[0].plausible == found[0].judged - 2


def test_silent_meter_is_not_asked_on() -> None:
    """A meter that says nothing to the first question of a map is not asked the others."""

    class Silent(Meter):
        asked = 0

        async def ask(self, address: str, block: Block) -> Answer:
            self.asked += 1
            raise LinkError("TIMEOUT", "expected an answer, got none")

    plan = load_map("carlo_gavazzi_em24")
    assert isinstance(plan, RegisterMap)
    silent = Silent(plan, HEALTHY)

    assert asyncio.run(fits(silent, "1", [plan], lambda asked: None)) == []
    assert silent.asked == 1


def test_line_that_goes_ends_the_search_for_a_map() -> None:
    """A line that is gone is no verdict on a map."""

    class Gone(Meter):
        async def ask(self, address: str, block: Block) -> Answer:
            raise LinkError("LINE_DOWN", "the port is gone")

    plan = load_map("generic")
    assert isinstance(plan, RegisterMap)

    with pytest.raises(LinkError, match="port is gone"):
        asyncio.run(fits(Gone(plan, HEALTHY), "1", [plan], lambda asked: None))
