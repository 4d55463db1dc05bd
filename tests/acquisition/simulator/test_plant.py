"""The fictitious plant: exact registers, a truth log that agrees with them, and what it says of itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.simulator.load import QUARTERS
from acquisition.simulator.plant import (
    BLOCK,
    Plant,
    meter_points,
    notices,
    plant_until,
    readings,
    steps,
    steps_before,
    truth,
    usage,
    wiring,
)
from acquisition.simulator.site import Channel, first_site, rated, sites
from nengliu.domain.points import Kind
from nengliu.domain.times import CHINA_OFFSET_MS, DAY_MS, QUARTER_MS
from schemas.messages import EnterpriseNotice, PointNotice, SchemaNotice, WiringNotice, decode, encode

END_MS = 1_795_233_600_000
YEAR = Plant(7, END_MS - 365 * DAY_MS, 365)
EDGES = np.arange(YEAR.start_ms, YEAR.end_ms + 1, QUARTER_MS)
VALUES = readings(YEAR, EDGES)
TRUTH = truth(YEAR, YEAR.start_ms, YEAR.end_ms)
SITE = first_site()


def column(name: str) -> np.ndarray:
    return VALUES[:, SITE.column(name)]


@pytest.mark.parametrize("channel", [c for c in SITE.channels if c.meter], ids=lambda c: c.point)
def test_registers_differ_by_exactly_the_truth(channel: Channel) -> None:
    """The register's way over the year, rollover and meter change included, is the truth log's sum to the last step."""
    assert channel.meter is not None
    way = np.diff(column(channel.point)) % channel.meter["modulus"]
    if channel.point == "paint":
        old, new = next(
            n.value.meters for n in notices(YEAR) if isinstance(n, PointNotice) and n.value.point == "paint"
        )
        change = np.searchsorted(EDGES, new.from_ms) - 1
        way[change] = old.last - column("paint")[change] + column("paint")[change + 1] - new.first
        assert new.from_ms % QUARTER_MS != 0

    assert int(way.sum()) * channel.ticks_per_step == TRUTH[channel.point]
    assert (way >= 0).all()


def test_amounts_of_a_year_sum_to_the_truth() -> None:
    """Every quarter-hour's output is known once it is over."""
    assert int(column("output")[1:].sum()) == TRUTH["output"]


def test_incoming_meter_rolls_over_once() -> None:
    """The year holds one legal rollover."""
    assert (np.diff(column("grid")) < 0).sum() == 1


def test_workshops_see_97_percent_of_the_incoming_energy() -> None:
    """The sub-meters' sum leaves the loss that every plant has."""
    share = (TRUTH["press"] + TRUTH["heat-treatment"] + TRUTH["paint"]) / TRUTH["grid"]

    assert share == pytest.approx(0.97, abs=0.0001)


def test_plant_rests_on_sundays_and_at_spring_festival() -> None:
    """Load follows the calendar: the press shop stands on Sundays and at the new year."""
    start = 1_770_912_000_000  # 2026-02-13 00:00 +08, a Friday; the festival starts on Monday 16
    used = steps(Plant(7, start, 6), 0, 6 * QUARTERS)[:, SITE.column("press")]
    friday, _, sunday, monday, *_ = used.reshape(6, 96).sum(axis=1)

    assert sunday < 0.3 * friday
    assert monday < 0.3 * friday


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 3 * BLOCK), st.integers(1, 500), st.sampled_from(sites()))
def test_steps_are_the_same_however_they_are_asked_for(first: int, count: int, site: object) -> None:
    """Blocks and sums are a matter of speed: any span gives the same steps, and they add up."""
    plant = Plant(7, END_MS - 40 * DAY_MS, 40, site)  # type: ignore[arg-type]
    whole = steps(plant, first, count)
    cut = count // 2

    assert np.array_equal(whole[cut:], steps(plant, first + cut, count - cut))
    assert np.array_equal(steps_before(plant, first + count) - steps_before(plant, first), whole.sum(axis=0))


def test_steps_of_a_day_are_its_use_to_half_a_step() -> None:
    """Rounding never builds up: each day is right by itself."""
    plant = Plant(7, END_MS // DAY_MS * DAY_MS - CHINA_OFFSET_MS, 3)
    used = usage(plant, 0, 3 * QUARTERS)
    for at, channel in enumerate(SITE.channels):
        if channel.kind is not Kind.GAUGE:
            days = steps(plant, 0, 3 * QUARTERS)[:, at].reshape(3, -1).sum(axis=1)
            exact = used[channel.point].reshape(3, -1).sum(axis=1) / channel.step
            assert np.abs(days - exact).max() <= 0.5


def test_notices_describe_enterprise_points_columns_and_wiring() -> None:
    """A reader of the log knows everything before the first reading comes, and all of it survives encoding."""
    told = [decode(encode(notice)) for notice in notices(YEAR)]

    assert isinstance(told[0], EnterpriseNotice)
    assert [n.value.point for n in told if isinstance(n, PointNotice)] == [c.point for c in SITE.channels]
    assert isinstance(told[-2], SchemaNotice)
    assert isinstance(told[-1], WiringNotice)
    assert told[-1].lines == wiring(SITE)


@pytest.mark.parametrize("site", sites()[:8], ids=lambda site: site.slug)
def test_every_point_but_the_output_hangs_on_one_meter(site: object) -> None:
    """The wiring names each point that a meter shows once, a power beside the counter it follows."""
    hung = [p for line in wiring(site) for meter in line.meters for p in meter.points]  # type: ignore[arg-type]

    assert sorted(hung) == sorted(c.point for c in site.channels if c.kind is not Kind.PERIOD)  # type: ignore[attr-defined]
    assert meter_points(SITE, "grid") == ("grid", "grid-power")


def test_nothing_healthy_comes_near_what_its_plate_says() -> None:
    """A power out of range, or a counter that runs too fast, is a fault and nothing else."""
    for site in sites()[:8]:
        power = readings(Plant(7, END_MS, 2, site), np.arange(END_MS, END_MS + 2 * DAY_MS, QUARTER_MS))
        for at, channel in enumerate(site.channels):
            if channel.kind is Kind.GAUGE:
                assert power[:, at].max() * 1.3 < rated(site, channel)
            elif channel.meter:
                used = np.diff(power[:, at]) % channel.meter["modulus"] * channel.ticks_per_step * 4
                assert used.max() * 1.2 < rated(site, channel)


def test_short_history_has_no_meter_change() -> None:
    """A plant of a few days leaves out what it cannot hold."""
    plant = plant_until(7, END_MS + 5, 2)

    assert plant.end_ms == END_MS
    assert not plant.changed
    assert all(len(n.value.meters) < 2 for n in notices(plant) if isinstance(n, PointNotice))
