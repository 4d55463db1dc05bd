"""What a meter shows at an instant: faults of the meter, and the truth beside them."""

from __future__ import annotations

from datetime import datetime

import pytest
from buses import NOW_MS
from hypothesis import given
from hypothesis import strategies as st

from acquisition.simulator.faults import Fault, FaultKind
from acquisition.simulator.meters import BENCH_DAY, bench_meter, daily_meter
from acquisition.simulator.moment import PHASES, Moment, in_decimals, panel
from nengliu.domain.times import CHINA, DAY_MS, HOUR_MS

METER = daily_meter(7, 1, "m0002", 2, 1.0)
INSTANTS = st.integers(NOW_MS - 30 * DAY_MS, NOW_MS + 30 * DAY_MS)


def moment(*faults: Fault, at_ms: int = NOW_MS) -> Moment:
    return Moment(METER, at_ms, faults)


def fault(kind: FaultKind, value: int = 0, hours: int = 2) -> Fault:
    return Fault(kind, "", "", NOW_MS - HOUR_MS, NOW_MS + (hours - 1) * HOUR_MS, value)


@given(INSTANTS, INSTANTS)
def test_meter_of_a_scene_is_a_bench_meter_that_is_known_at_once(one: int, other: int) -> None:
    """Its register, power and use are those of the meter whose days are drawn."""
    bench = bench_meter(7, 1, 2, BENCH_DAY)

    assert METER.counted(one) == bench.counted(one)
    assert METER.power(one) == bench.power(one)
    assert (
        METER.curve.used(one, other)
        == bench.curve.used(one, other)
        == METER.counted(other) - METER.counted(one)
    )


@given(INSTANTS)
def test_panel_without_faults_is_the_truth(at_ms: int) -> None:
    """Every item shows what a healthy meter shows; a counter up to its digits."""
    healthy = moment(at_ms=at_ms)
    for item, one in panel().items():
        shown, true = healthy.ticks(item), healthy.true(item)
        assert shown == (
            true % METER.modulus if one.counter and item != "volume" else shown if one.counter else true
        )
    assert sum(healthy.ticks(f"energy_t{n}") or 0 for n in range(1, 5)) == healthy.ticks("energy")


def test_lost_phase_shows_no_voltage_no_current_and_says_so() -> None:
    """Voltage, current and power of the phase are 0; the status words of phase and whole report it."""
    told = moment(fault(FaultKind.PHASE, 2))

    assert (told.ticks("voltage_b"), told.ticks("current_b"), told.ticks("power_b")) == (0, 0, 0)
    assert told.ticks("voltage_a") != 0
    assert told.ticks("power") == sum(told.ticks(f"power_{phase}") or 0 for phase in PHASES)
    assert [told.ticks(f"status_{word}") for word in (4, 5, 6, 7)] == [0, 0x81, 0, 4]


def test_reversed_meter_shows_negative_power_and_counts_backward() -> None:
    """Power and status words say what the register does."""
    told = moment(fault(FaultKind.REVERSED))
    before = moment(at_ms=NOW_MS - HOUR_MS)

    assert (told.ticks("power") or 0) < 0
    assert told.ticks("status_1") == 1 << 4
    assert told.true("energy") - before.true("energy") == (before.ticks("energy") or 0) - (
        told.ticks("energy") or 0
    )


@pytest.mark.parametrize(
    ("kind", "value", "expected_ms"), [(FaultKind.CLOCK, 420, 420_000), (FaultKind.DRIFT, 9000, 9000)]
)
def test_clock_of_the_meter_goes_its_own_way(kind: FaultKind, value: int, expected_ms: int) -> None:
    """A set-off clock is ahead by its seconds, a drifting one by its milliseconds an hour."""
    assert moment(fault(kind, value)).clock_ms - NOW_MS == expected_ms


def test_wrong_ratio_counts_a_part_and_never_makes_up_for_it() -> None:
    """Behind a wrong transformer a third is counted and shown; what was lost stays lost."""
    told, after = fault(FaultKind.RATIO, 3), NOW_MS + 5 * HOUR_MS
    used = METER.counted(NOW_MS) - METER.counted(NOW_MS - HOUR_MS)
    seen = (moment(told).register - METER.counted(NOW_MS - HOUR_MS)) % METER.modulus

    assert seen == used // 3
    assert (moment(told).ticks("power") or 0) * 3 == pytest.approx(moment().ticks("power"), abs=9)
    all_used = METER.counted(NOW_MS + HOUR_MS) - METER.counted(NOW_MS - HOUR_MS)
    lost = (METER.counted(after) - moment(told, at_ms=after).register) % METER.modulus
    assert lost == all_used - all_used // 3


def test_changed_meter_begins_at_its_own_register() -> None:
    """At the instant of the change it shows the new meter's first register, and counts on from there."""
    change = Fault(FaultKind.CHANGE, "", "", NOW_MS, value=120)

    assert moment(change).ticks("energy") == 120
    later = moment(change, at_ms=NOW_MS + HOUR_MS)
    assert (later.ticks("energy") or 0) - 120 == later.true("energy") - moment().true("energy")


def test_blank_meter_has_registers_and_nothing_else() -> None:
    """Counters and clock are told, gauges are not available."""
    told = moment(fault(FaultKind.BLANK))

    assert told.ticks("energy") is not None
    assert told.ticks("clock") == NOW_MS // 1000
    assert told.ticks("voltage_a") is told.ticks("power") is None


def test_status_bits_are_those_that_were_ordered() -> None:
    """The word stands above the bits."""
    told = moment(fault(FaultKind.STATUS, 0x10004), fault(FaultKind.STATUS, 0x10008))

    assert [told.ticks(f"status_{word}") for word in (1, 2)] == [0xC, 0]


def test_ticks_are_cut_toward_zero() -> None:
    """A display shows the digits it has."""
    assert [in_decimals(value, 4, 2) for value in (19999, -19999, 0)] == [199, -199, 0]


def test_working_hours_count_from_the_meters_beginning() -> None:
    """A heat meter has run since 2020."""
    since = datetime(2020, 1, 1, 8, tzinfo=CHINA).timestamp() * 1000

    assert moment().ticks("working_hours") == (NOW_MS - since) // HOUR_MS
