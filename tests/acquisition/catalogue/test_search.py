"""Search for meters on one line: everyone is found, nobody twice, and nothing but reading is asked."""

from __future__ import annotations

import asyncio
import random

import pytest
from buses import E1, E2, H1, NOW_MS, W1, stations
from scanned import Scanned

from acquisition.drivers.scanning.search import Met, Tongue, narrowed, tongue_188, tongue_1997, tongue_2007
from acquisition.simulator.faults import Fault, FaultKind
from acquisition.simulator.station import Station
from acquisition.simulator.stations import make_station
from nengliu.errors import LinkError

FAR_MS = 2**60


def all_day(kind: FaultKind, meter: str = "", value: int = 0) -> Fault:
    """Give a fault that never ends."""
    return Fault(kind, "bus", meter, from_ms=0, to_ms=FAR_MS, value=value)


def found(meters: list[Station], tongue: Tongue, *faults: Fault) -> tuple[list[str], list[str], Scanned]:
    """Search, and give addresses, what stayed unclear, and the line."""
    line = Scanned(meters, faults=faults)
    met, unclear = asyncio.run(line.meters(tongue))
    assert all(one.protocol == tongue.protocol for one in met)
    return [one.address for one in met], unclear, line


def test_a_single_meter_is_found_with_one_question() -> None:
    """The common case, a new meter alone on its line, costs one question."""
    addresses, unclear, line = found(stations(("dlt645-2007", "e1", E1)), tongue_2007())

    assert (addresses, unclear) == ([E1], [])
    assert line.asked == ["AAAAAAAAAAAA"]


def test_meters_that_spoil_each_others_answers_are_told_apart() -> None:
    """Meters that share their last digits, too, are each found; the rest of the line is asked no deeper."""
    numbers = [E1, E2, "000000000261", "000000990261", "510000990261"]
    meters = stations(*(("dlt645-2007", f"e{n}", one) for n, one in enumerate(numbers)))

    addresses, unclear, line = found(meters, tongue_2007())

    assert addresses == sorted(numbers)
    assert unclear == []
    assert len(line.asked) <= 1 + 7 * 100


@pytest.mark.parametrize("seed", range(4))
def test_thirty_two_meters_of_any_number_are_all_found(seed: int) -> None:
    """Whatever numbers a full line has, each is found once."""
    chance = random.Random(seed)
    near = chance.randrange(10**12 - 40)
    numbers = {f"{near + n:012}" for n in range(10)}
    while len(numbers) < 32:
        numbers.add(f"{chance.randrange(10**12):012}")
    meters = stations(*(("dlt645-2007", f"e{n}", one) for n, one in enumerate(sorted(numbers))), seed=seed)

    addresses, unclear, _ = found(meters, tongue_2007())

    assert addresses == sorted(numbers)
    assert unclear == []


def test_meters_of_1997_are_found_by_their_energy() -> None:
    """The older edition has no question for the address, and needs none."""
    meters = stations(("dlt645-1997", "o1", "3430163"), ("dlt645-1997", "o2", "3430164"))

    addresses, unclear, _ = found(meters, tongue_1997())

    assert (addresses, unclear) == (["000003430163", "000003430164"], [])


def test_meter_that_does_not_know_the_question_for_its_address_is_found_by_its_energy() -> None:
    """Who stays silent when asked for the address is asked for the energy."""
    line = Scanned(stations(("dlt645-2007", "e1", E1)))
    hear = line.bus.hear

    def deaf(data: bytes, now_ms: int, who: object) -> None:
        if b"\x68\x13\x00" not in data:
            hear(data, now_ms, who)

    line.bus.hear = deaf  # type: ignore[method-assign]

    met, _ = asyncio.run(line.meters(tongue_2007()))

    assert met == [Met("dlt645-2007", E1)]
    assert len(line.asked) == 2


@pytest.mark.parametrize("habit", [{}, {"high_first": True}, {"unit_first": True, "serial": "free"}])
def test_water_and_heat_meters_are_found_by_type(habit: dict[str, object]) -> None:
    """A meter of CJ/T 188 answers whatever order its vendor likes, and says what it is."""
    meters = [make_station("cjt188", "h1", H1, carrier="heat", **habit), *stations(("cjt188", "w1", W1))]

    heat, _, line = found(meters, tongue_188(0x20))
    water, _, _ = found(meters, tongue_188(0x10))
    gas, _, _ = found(meters, tongue_188(0x30))

    assert (heat, water, gas) == ([H1], [W1], [])
    assert len(line.asked) == 1


def test_two_water_meters_are_told_apart() -> None:
    """The search by wildcards works for CJ/T 188 as well."""
    other = f"{int(W1) + 1:014}"
    meters = stations(("cjt188", "w1", W1), ("cjt188", "w2", other))

    addresses, unclear, _ = found(meters, tongue_188(0x10))

    assert (addresses, unclear) == ([W1, other], [])


def test_modbus_units_are_found_even_if_they_refuse() -> None:
    """A unit that answers with an exception is there; one behind a gateway that says it is not, is not."""
    meters = stations(*(("modbus-rtu", f"r{unit}", str(unit)) for unit in (3, 17, 18, 19)))
    faults = [all_day(FaultKind.REFUSE, "r17", 2), all_day(FaultKind.REFUSE, "r18", 11)]
    line = Scanned(meters, faults=faults)

    assert [one.address for one in asyncio.run(line.units(range(1, 33)))] == ["3", "17", "19"]
    assert line.asked == [str(unit) for unit in range(1, 33)]


def test_an_empty_line_costs_the_openings_only() -> None:
    """Silence is not searched any deeper."""
    addresses, unclear, line = found([], tongue_2007())

    assert (addresses, unclear) == ([], [])
    assert len(line.asked) == 2


def test_a_line_of_noise_is_given_up_after_one_level() -> None:
    """Where every answer is damaged, a hundred questions show it, and the person is told so."""
    line = Scanned([])
    said: list[bytes] = []
    line.bus.hear = lambda data, now_ms, who: said.append(b"\x00\x55\xaa")  # type: ignore[method-assign]
    line.bus.speak = lambda now_ms: [(said.pop(), now_ms)] if said else []  # type: ignore[method-assign,assignment,misc,return-value]

    met, unclear = asyncio.run(line.meters(tongue_2007()))

    assert met == []
    assert unclear == ["AA" * 6]
    assert len(line.asked) == 101


def test_a_line_that_goes_ends_the_search() -> None:
    """A dead port is told as such, not as a line without meters."""
    dead = Fault(FaultKind.DEAD, "bus", from_ms=NOW_MS + 2000, to_ms=FAR_MS)

    with pytest.raises(LinkError) as gone:
        asyncio.run(Scanned([], faults=[dead]).units(range(1, 100)))
    assert gone.value.reason == "LINE_DOWN"


def test_echo_of_the_line_is_nobody() -> None:
    """On a two-wire line that repeats every request, a meter is found once, and its echo is none."""
    addresses, unclear, _ = found(stations(("dlt645-2007", "e1", E1)), tongue_2007(), all_day(FaultKind.ECHO))

    assert (addresses, unclear) == ([E1], [])


@pytest.mark.parametrize(
    ("pattern", "narrower"), [("AA" * 6, "AAAAAAAAAA07"), ("AAAA00000161", "AA0700000161"), ("AA07", "0707")]
)
def test_pattern_is_narrowed_from_its_lowest_pair_on(pattern: str, narrower: str) -> None:
    """The pair that differs most from meter to meter is fixed first."""
    assert narrowed(pattern, 7) == narrower
