"""Cycle times: what is predicted is what was computed by hand, and what a simulated line then takes."""

from __future__ import annotations

from typing import Any

import pytest
from buses import stations
from lines import MINUTE, line_of, meter_of, read_line
from meters import Desk, make_line, make_meter

from acquisition.drivers.config import Line, Meter
from acquisition.drivers.lines.prediction import TIGHT, plan_line
from acquisition.drivers.meters.frame_maps import read_map
from acquisition.simulator.bus import Told

BLOCKS = ("0001FF00", "0002FF00", "0203FF00", "0204FF00", "0201FF00", "0202FF00", "0206FF00", "02800002")
SINGLES = (
    *("00010000", "00020000", "02030000", "02040000", "02800002"),
    *(f"02{group}0{phase}00" for group in ("01", "02", "03") for phase in (1, 2, 3)),
    *(f"02060{phase}00" for phase in (0, 1, 2, 3)),
)


def bus_of(identifiers: tuple[str, ...], baud: int, meters: int = 32, **given: Any) -> Line:
    """Make a line of 32 meters of which these identifiers are read whole."""
    table = {"title": "t", "source": "s", "protocol": "dlt645-2007"}
    plan = read_map("m", table | {"blocks": [{"identifier": one} for one in identifiers]}, "m")
    made = tuple(
        Meter(
            f"e{n}", str(n + 1), plan, 900, n + 1, tuple((item, f"e{n}.{item.name}") for item in plan.items)
        )
        for n in range(meters)
    )
    return line_of(*made, baud=baud, **given)


@pytest.mark.parametrize(
    ("identifiers", "reply_ms", "seconds"),
    [
        (("00010000",), 50, (15, 8.7, 5.5, 3.9)),
        (("00010000",), 200, (20, 13.5, 10, 8.7)),
        (("00010000",), 500, (30, 23, 20, 18)),
        (BLOCKS, 200, (176, 116, 86, 71)),
    ],
    ids=["energy, fast meter", "energy, typical", "energy, slowest allowed", "blocks"],
)
def test_cycle_is_that_of_the_table(
    identifiers: tuple[str, ...], reply_ms: int, seconds: tuple[float, ...]
) -> None:
    """32 meters on one line, at 1200 to 9600 baud.  Source: protocols 5.2."""
    for baud, wanted_s in zip((1200, 2400, 4800, 9600), seconds, strict=True):
        found_s = plan_line(bus_of(identifiers, baud), reply_ms).cycle_ms / 1000
        assert found_s == pytest.approx(wanted_s, abs=0.51 if wanted_s >= 10 else 0.051)


def test_single_items_take_twice_as_long_as_blocks() -> None:
    """18 questions for one item each: about 240 s at 2400 baud, as the table has it, against 116 s."""
    singles = plan_line(bus_of(SINGLES, 2400))

    assert singles.requests == 18 * 32
    assert singles.cycle_ms / 1000 == pytest.approx(240, rel=0.01)


def test_prediction_agrees_with_a_simulated_line() -> None:
    """A round of a paced line takes what was predicted, but for the meters' own time to think."""
    told, desk = list[Told](), Desk()
    simulated = stations(*(("dlt645-2007", f"e{n}", str(100 + n)) for n in range(8)))
    line = line_of(
        *(meter_of(one, ["energy", "voltage_a", "voltage_b"], 900) for one in simulated), baud=2400
    )

    read_line(line, simulated, MINUTE, desk, told=told)

    first = [one for one in told if one.request[9] == 4][: 2 * 8]
    took_ms = first[-1].sent_ms - first[0].asked_ms
    assert took_ms == pytest.approx(plan_line(line, 60).cycle_ms, rel=0.05)


def test_load_counts_every_meter_by_its_interval() -> None:
    """Twice as often is twice the load; one that does not fit says so, and which interval would."""
    seldom, often = (
        plan_line(
            line_of(
                *(meter_of(one, ["energy"], interval_s) for one in stations(("dlt645-2007", "e", "1"))),
                baud=2400,
            )
        )
        for interval_s in (60, 30)
    )

    assert often.load == pytest.approx(2 * seldom.load)
    full = plan_line(bus_of(BLOCKS, 2400))
    assert full.fits
    assert not full.is_tight
    meters = tuple(
        Meter(m.name, m.address, m.map, 60, m.schema, m.items) for m in bus_of(BLOCKS, 2400).meters
    )
    over = plan_line(line_of(*meters, baud=2400))
    assert over.load == pytest.approx(116.3 / 60, rel=0.01)
    assert not over.fits
    assert over.is_tight
    assert over.longer_s(meters[0]) == 300
    assert over.load * 60 / 300 < TIGHT


def test_modbus_tcp_does_not_depend_on_a_baud_rate() -> None:
    """A network exchange takes its own time, and the pause the line asks for."""
    line = make_line(make_meter(1), make_meter(2), pause_ms=30)

    assert plan_line(line).cycle_ms == 2 * 50


def test_dead_meter_costs_its_timeouts() -> None:
    """Two tries in a round, each with its silence."""
    assert plan_line(bus_of(("00010000",), 2400, timeout_s=1.0)).dead_ms == 3000
