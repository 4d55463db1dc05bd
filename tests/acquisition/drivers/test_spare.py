"""What a line does beside its slots: the meter's own memory, its clock and its status words, and dead meters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from buses import stations
from lines import MINUTE, SECOND, START_MS, line_of, meter_of, read_line, shown, told_of, values_of
from meters import Desk

from acquisition.simulator.bus import Bus, Told
from acquisition.simulator.faults import Fault, FaultKind
from acquisition.simulator.stations import make_station
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Origin, Quality
from nengliu.domain.times import HOUR_MS

E1, E2 = ("dlt645-2007", "e1", "161"), ("dlt645-2007", "e2", "162")
ON_HOUR = START_MS + 30 * MINUTE


# -- frozen values --------------------------------------------------------------------------


def test_hour_is_read_from_what_the_meter_froze() -> None:
    """Read seconds later, the value is the one of the hour itself; the other slots are read live."""
    desk = Desk()
    simulated = stations(E1, E2)
    line = line_of(*(meter_of(one, ["energy", "power"], frozen=True) for one in simulated), pause_ms=2000)

    bus = read_line(line, simulated, 3 * 3600 * SECOND, desk)

    for one in simulated:
        found = values_of(desk, f"{one.name}.energy")
        for hour_ms in (ON_HOUR, ON_HOUR + HOUR_MS, ON_HOUR + 2 * HOUR_MS):
            assert found[hour_ms] == shown(bus, one, "energy", hour_ms)
    late = [at_ms for at_ms in values_of(desk, "e2.power") if ON_HOUR <= at_ms < ON_HOUR + MINUTE]
    assert late
    assert late[0] > ON_HOUR + 2000  # the power is of the instant at which it was told
    assert desk.missed == []


def test_meter_with_a_wrong_clock_is_not_believed_about_the_hour() -> None:
    """What it froze at its own hour is no value of ours: it is read live."""
    desk = Desk()
    simulated = stations(E1)
    line = line_of(meter_of(simulated[0], ["energy"], frozen=True))

    bus = read_line(line, simulated, HOUR_MS, desk, faults=[Fault(FaultKind.CLOCK, "bus", "e1", value=120)])

    found = values_of(desk, "e1.energy")
    at_ms = min(at_ms for at_ms in found if at_ms >= ON_HOUR)
    assert found[at_ms] >= shown(bus, simulated[0], "energy", ON_HOUR)


def test_missed_hours_are_filled_from_the_meter() -> None:
    """Hours in which it was silent come later, exact, marked as backfill, told once; the rest stays missing."""
    desk = Desk()
    simulated = stations(E1, E2)
    line = line_of(*(meter_of(one, ["energy", "power"], frozen=True) for one in simulated))
    away = Fault(FaultKind.SILENT, "bus", "e1", START_MS + 20 * MINUTE, START_MS + 200 * MINUTE)

    bus = read_line(line, simulated, 5 * HOUR_MS, desk, faults=[away])

    hours = [ON_HOUR, ON_HOUR + HOUR_MS, ON_HOUR + 2 * HOUR_MS]
    filled = values_of(desk, "e1.energy", Origin.BACKFILL)
    assert filled == {hour_ms: shown(bus, simulated[0], "energy", hour_ms) for hour_ms in hours}
    assert not set(filled) & set(values_of(desk, "e1.energy"))
    assert told_of(desk, LinkKind.GAP_FILLED) == [("GAP_FILLED", {"count": "3"})]
    assert desk.states["gaps/line/e1"][0] == "[]"
    assert desk.lost()["e1.power", "TIMEOUT"] == desk.lost()["e1.energy", "TIMEOUT"]


def test_hours_the_collector_slept_through_are_filled() -> None:
    """A restart finds what its meters froze meanwhile."""
    desk = Desk()
    simulated = stations(E1)
    line = line_of(meter_of(simulated[0], ["energy"], frozen=True))
    read_line(line, simulated, 2 * HOUR_MS, desk)
    slept_until_ms = START_MS + 7 * HOUR_MS + 10 * MINUTE

    bus = read_line(line, simulated, HOUR_MS, desk, start_ms=slept_until_ms)

    hours = [ON_HOUR + n * HOUR_MS for n in range(2, 7)]
    assert values_of(desk, "e1.energy", Origin.BACKFILL) == {
        hour_ms: shown(bus, simulated[0], "energy", hour_ms) for hour_ms in hours
    }
    assert told_of(desk, LinkKind.GAP_FILLED) == [("GAP_FILLED", {"count": "5"})]


def test_filled_hours_of_a_wrong_clock_are_estimates() -> None:
    """A clock that is off by a minute froze a minute off: better than nothing, and marked."""
    desk = Desk()
    simulated = stations(E1)
    line = line_of(meter_of(simulated[0], ["energy"], frozen=True))
    faults = [
        Fault(FaultKind.CLOCK, "bus", "e1", value=60),
        Fault(FaultKind.SILENT, "bus", "e1", START_MS + 20 * MINUTE, START_MS + 40 * MINUTE),
    ]

    read_line(line, simulated, 2 * HOUR_MS, desk, faults=faults)

    marks = [quality for origin, quality, _ in desk.marks if origin is Origin.BACKFILL]
    assert marks == [{"e1.energy": Quality.ESTIMATED}]


def test_filling_delays_no_slot() -> None:
    """With a hundred hours to fill, the slots of every half minute are asked when they are due."""
    desk, told = Desk(), list[Told]()
    simulated = stations(E1, E2)
    line = line_of(
        meter_of(simulated[0], ["energy"], 30, frozen=True), meter_of(simulated[1], ["energy"], 30)
    )
    read_line(line, simulated, MINUTE, desk)

    read_line(line, simulated, HOUR_MS, desk, start_ms=START_MS + 100 * HOUR_MS, told=told)

    assert len(values_of(desk, "e1.energy", Origin.BACKFILL)) == 100
    live = [one for one in told if one.meter == "e2"]
    due = [one for one in live if one.asked_ms % (30 * SECOND) < 2 * SECOND]
    assert len(due) >= 119
    late = [at_ms % (30 * SECOND) for at_ms in values_of(desk, "e2.energy") if at_ms > START_MS + HOUR_MS]
    assert max(late) < 1500


def test_meter_without_frozen_values_is_asked_for_them_once() -> None:
    """It says that it has none; from then on it is read live, and nothing of it is a gap."""
    desk, told = Desk(), list[Told]()
    station = make_station("dlt645-2007", "e1", "161", lacks=("05040001",))
    line = line_of(meter_of(station, ["energy"], frozen=True))

    read_line(line, [station], 3 * HOUR_MS, desk, told=told)

    frozen = [one for one in told if one.request[10:14] == bytes([0x34, 0x33, 0x37, 0x38])]
    assert len(frozen) == 1
    assert len(values_of(desk, "e1.energy")) == 12
    assert desk.missed == []


# -- what meters say of themselves ----------------------------------------------------------


def test_clock_that_is_off_is_told_and_told_again_when_it_is_right() -> None:
    """With how many seconds; small differences are no fault."""
    desk = Desk()
    simulated = stations(E1, E2)
    line = line_of(*(meter_of(one, ["energy"]) for one in simulated))
    faults = [
        Fault(FaultKind.CLOCK, "bus", "e1", START_MS + 10 * MINUTE, START_MS + 100 * MINUTE, value=-400),
        Fault(FaultKind.CLOCK, "bus", "e2", value=200),
    ]

    read_line(line, simulated, 4 * HOUR_MS, desk, faults=faults)

    off, set_right = told_of(desk, LinkKind.METER_CLOCK_OFF, LinkKind.METER_CLOCK_SET)
    assert off[0] == "METER_CLOCK_OFF"
    assert set_right[0] == "METER_CLOCK_SET"
    assert int(off[1]["seconds"]) == pytest.approx(-400, abs=1)
    assert int(set_right[1]["seconds"]) == pytest.approx(-400, abs=1)


def test_status_words_are_told_when_they_change() -> None:
    """A phase that is lost is told with its names, once, and its end; all hourly, or when a meter comes back."""
    desk = Desk()
    simulated = stations(E1)
    line = line_of(meter_of(simulated[0], ["energy"]))
    phase = Fault(FaultKind.PHASE, "bus", "e1", START_MS + 10 * MINUTE, START_MS + 100 * MINUTE, value=1)

    read_line(line, simulated, 4 * HOUR_MS, desk, faults=[phase])

    lost, clear = told_of(desk, LinkKind.METER_STATUS, LinkKind.METER_STATUS_CLEAR)
    assert "voltage_lost_a" in lost[1]["bits"]
    assert clear == ("METER_STATUS_CLEAR", {})


def test_meter_that_comes_back_is_asked_what_was_wrong() -> None:
    """Its status words are read at once, not at the next hour."""
    desk, told = Desk(), list[Told]()
    simulated = stations(E1, E2)
    line = line_of(*(meter_of(one, ["energy"], 60) for one in simulated))
    away = Fault(FaultKind.SILENT, "bus", "e1", START_MS + 50 * SECOND, START_MS + 5 * MINUTE)

    read_line(line, simulated, 15 * MINUTE, desk, faults=[away], told=told)

    up = next(one for one in desk.events[::-1] if one.kind == LinkKind.METER_UP and one.meter == "e1")
    status = [
        one for one in told if one.meter == "e1" and one.request[10:14] == bytes([0x32, 0x38, 0x33, 0x37])
    ]
    assert [one for one in status if 0 <= one.asked_ms - up.at_ms < 5 * SECOND]


def test_phase_without_voltage_is_asked_about_at_once() -> None:
    """It is told with its names right after the slot that showed zero volts, and its end likewise."""
    desk = Desk()
    simulated = stations(E1)
    line = line_of(meter_of(simulated[0], ["energy", "voltage_a"], 60))
    phase = Fault(FaultKind.PHASE, "bus", "e1", START_MS + 90 * SECOND, START_MS + 10 * MINUTE, value=1)

    read_line(line, simulated, 15 * MINUTE, desk, faults=[phase])

    lost, clear = (
        one for one in desk.events if one.kind in (LinkKind.METER_STATUS, LinkKind.METER_STATUS_CLEAR)
    )
    assert START_MS + 2 * MINUTE <= lost.at_ms < START_MS + 2 * MINUTE + 5 * SECOND
    assert START_MS + 10 * MINUTE <= clear.at_ms < START_MS + 10 * MINUTE + 5 * SECOND


def test_value_that_is_gone_is_asked_about_once() -> None:
    """Where the meter has no value any more its status words are read right after the slot, and not after every one."""
    desk, told = Desk(), list[Told]()
    simulated = stations(E1)
    line = line_of(meter_of(simulated[0], ["energy", "voltage_a"], 60))
    gone = Fault(FaultKind.BLANK, "bus", "e1", START_MS + 90 * SECOND, START_MS + 10 * MINUTE)

    read_line(line, simulated, 8 * MINUTE, desk, faults=[gone], told=told)

    asked = [one.asked_ms for one in told if one.request[10:14] == bytes([0x32, 0x38, 0x33, 0x37])]
    assert desk.lost() == {("e1.voltage_a", "NO_DATA"): 6}
    assert [at_ms for at_ms in asked if at_ms > START_MS + MINUTE] == [
        pytest.approx(START_MS + 2 * MINUTE, abs=5000)
    ]


def test_dead_meter_that_is_due_seldom_is_found_within_minutes() -> None:
    """One that is read hourly is probed between its slots, with growing pauses; slots are not lost to them."""
    desk, told = Desk(), list[Told]()
    simulated = stations(E1, E2)
    line = line_of(*(meter_of(one, ["energy"], 3600) for one in simulated))
    away = Fault(FaultKind.SILENT, "bus", "e1", START_MS + 20 * MINUTE, START_MS + 65 * MINUTE)

    bus = read_line(line, simulated, 2 * HOUR_MS, desk, faults=[away], told=told)

    up = [one for one in desk.events if one.kind == LinkKind.METER_UP and one.meter == "e1"]
    assert START_MS + 65 * MINUTE <= up[-1].at_ms <= START_MS + 71 * MINUTE
    tries = [one.asked_ms for one in told if one.meter == "e1" and not one.sent]
    assert all(later - earlier >= 2 * SECOND for earlier, later in pairwise(tries[2:]))
    assert 8 <= len(tries) <= 16
    assert bus.asked["e2"] < 20


# -- setting clocks -------------------------------------------------------------------------


def set_by(
    by_s: int,
    *,
    start_ms: int = START_MS,
    hours: int = 4,
    allowed: bool = True,
    ours: LinkKind = LinkKind.CLOCK_TRUE,
    faults: Sequence[Fault] = (),
) -> tuple[Desk, Bus]:
    """Read a meter whose clock is off by so much, with a clock of our own that is `ours`."""
    desk = Desk(states={"clock": (f'{{"kind": {ours.value}}}', 0)})
    simulated = stations(E1, E2)
    line = line_of(*(meter_of(one, ["energy"]) for one in simulated))
    off = Fault(FaultKind.CLOCK, "bus", "e1", value=by_s)
    bus = read_line(
        line, simulated, hours * HOUR_MS, desk, start_ms=start_ms, faults=[off, *faults], set_clocks=allowed
    )
    return desk, bus


def test_small_drift_is_set_right_by_broadcast() -> None:
    """Once, told with the old drift when the meter shows that it followed."""
    desk, bus = set_by(90)

    ((kind, parameters),) = told_of(desk, LinkKind.METER_CLOCK_SET)
    assert kind == "METER_CLOCK_SET"
    assert int(parameters["seconds"]) == pytest.approx(90, abs=1)
    assert bus.stations[0].set_by_ms == pytest.approx(-90_000, abs=1000)
    assert "clocks/line" in desk.states


@pytest.mark.parametrize(
    ("by_s", "allowed", "ours"),
    [
        (90, False, LinkKind.CLOCK_TRUE),
        (320, True, LinkKind.CLOCK_TRUE),
        (3, True, LinkKind.CLOCK_TRUE),
        (90, True, LinkKind.CLOCK_UNSURE),
        (90, True, LinkKind.CLOCK_OFFSET),
    ],
    ids=["not allowed", "too far off", "right enough", "ours is unsure", "ours is off"],
)
def test_clock_is_left_alone(by_s: int, allowed: bool, ours: LinkKind) -> None:
    """Without permission, beyond five minutes, for a few seconds, or by a clock that may be wrong nothing is sent."""
    desk, bus = set_by(by_s, allowed=allowed, ours=ours)

    assert bus.stations[0].set_by_ms == 0
    assert "clocks/line" not in desk.states


def test_clock_is_not_set_near_midnight() -> None:
    """Within a quarter of an hour of midnight in China it waits until it is over."""
    midnight_ms = (START_MS // 86_400_000 + 1) * 86_400_000 - 8 * HOUR_MS
    midnight_ms += 86_400_000 if midnight_ms < START_MS else 0

    desk, _ = set_by(90, start_ms=midnight_ms - 10 * MINUTE, hours=2)

    assert desk.states["clocks/line"][1] >= midnight_ms + 15 * MINUTE


def test_clock_is_set_once_a_day() -> None:
    """One that is off again on the same day waits for the next."""
    again = Fault(FaultKind.CLOCK, "bus", "e1", START_MS + 2 * HOUR_MS, value=150)

    desk, bus = set_by(90, hours=6, faults=[again])
    assert bus.stations[0].set_by_ms == pytest.approx(-90_000, abs=1000)

    desk, bus = set_by(90, hours=28, faults=[again])
    assert bus.stations[0].set_by_ms == pytest.approx(-240_000, abs=1500)
    assert len(told_of(desk, LinkKind.METER_CLOCK_SET)) == 2
