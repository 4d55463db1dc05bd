"""The fleet: registers that repeat, a truth log that agrees with them, the plant as it always was."""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.client import AsyncModbusTcpClient

from acquisition.codecs.registers import ticks
from acquisition.drivers.meters.meter_maps import load_map
from acquisition.simulator import plant as plants
from acquisition.simulator.faults import Fault, FaultKind
from acquisition.simulator.fleet import Fleet, bench_lines, plant_lines, province_lines
from acquisition.simulator.meters import ENERGY32_ADDRESS, WORDS
from acquisition.simulator.plant import Plant, readings, steps, usage
from acquisition.simulator.province import Province
from acquisition.simulator.site import Channel, first_site
from acquisition.simulator.truth import Span, span, truth, write_csv, write_lines
from nengliu.domain.points import Kind
from nengliu.domain.times import DAY_MS, HOUR_MS, QUARTER_MS
from nengliu.errors import InputError

START_MS = 1_735_660_800_000
NOW_MS = START_MS + 400 * DAY_MS + 12_345_678
PLANT = Plant(7, START_MS, 365)
SITE = first_site()
LIVE = Fleet(plant_lines(PLANT), lambda: NOW_MS)
BENCH = Fleet(bench_lines(5, 2, 7, NOW_MS), lambda: NOW_MS)
METERS = [
    (fleet, line.name, meter.name) for fleet in (LIVE, BENCH) for line in fleet.lines for meter in line.meters
]
INSTANTS = st.integers(PLANT.end_ms, PLANT.end_ms + 60 * DAY_MS)


@settings(deadline=None)
@given(st.sampled_from(METERS), INSTANTS, INSTANTS)
def test_truth_is_the_difference_of_the_registers(of: tuple[Fleet, str, str], one: int, other: int) -> None:
    """Over any span without faults the use of the load is the register's way, to the last step, rollover included."""
    told = span(*of, min(one, other), max(one, other))

    assert (told.register_to - told.register_from) % told.modulus == told.used_steps
    assert told.used_steps >= 0


@settings(deadline=None)
@given(st.sampled_from(METERS), st.lists(INSTANTS, min_size=2, max_size=6))
def test_truth_of_parts_is_the_truth_of_the_whole(of: tuple[Fleet, str, str], instants: list[int]) -> None:
    """However a span is cut, its parts use as much as it does."""
    edges = sorted(instants)
    parts = [span(*of, start, end).used_steps for start, end in itertools.pairwise(edges)]

    assert sum(parts) == span(*of, edges[0], edges[-1]).used_steps


@pytest.mark.parametrize("channel", [c for c in SITE.channels if c.meter], ids=lambda c: c.point)
def test_truth_of_a_year_is_the_load_to_half_a_step_a_day(channel: Channel) -> None:
    """The steps of a year are the real-valued use of the load, less than half a step a day apart."""
    line = "electricity" if channel.unit == "kWh" else "media"
    curve = LIVE.meter(line, channel.point).curve
    used = usage(PLANT, 0, 365 * 96)[channel.point].sum() / channel.step

    assert abs(curve.used(START_MS, PLANT.end_ms) - used) < 365 / 2
    assert (
        curve.used(START_MS, PLANT.end_ms) == steps(PLANT, 0, 365 * 96)[:, SITE.column(channel.point)].sum()
    )


def test_truth_agrees_with_the_truth_of_the_plant() -> None:
    """The sums that the facts of the demonstration rest on are the same ones."""
    gas = LIVE.meter("media", "gas").curve
    edges = [START_MS, START_MS + 9 * DAY_MS + QUARTER_MS, PLANT.end_ms]

    assert [gas.used(start, end) for start, end in itertools.pairwise(edges)] == [
        plants.truth(PLANT, start, end)["gas"] for start, end in itertools.pairwise(edges)
    ]


@settings(deadline=None, max_examples=20)
@given(st.integers(PLANT.end_ms + 1, PLANT.end_ms + 3 * DAY_MS))
def test_plant_on_the_wire_shows_what_its_story_tells(at_ms: int) -> None:
    """Each register, the changed meter's and the power's too, is what the story would go on with."""
    values = readings(PLANT, np.array([at_ms]))
    told = dict(zip((c.point for c in SITE.channels), values[-1].tolist(), strict=True))
    power = load_map("generic").registers[4]
    words = LIVE.words("electricity", "heat-treatment", at_ms)[power.address :][: power.length]

    for line in LIVE.lines:
        for meter in line.meters:
            if meter.name != "output":
                assert LIVE.register(line.name, meter.name, at_ms) == told[meter.name]
    assert (power.name, ticks(power, words)) == ("power", 10 * told["power"])


def test_registers_go_on_while_nobody_reads_and_repeat_with_the_seed() -> None:
    """Another fleet, started later and asked in another order, shows the same; another seed does not."""
    later = Fleet(bench_lines(5, 1, 7, NOW_MS + 3 * DAY_MS), lambda: 0)
    other = Fleet(bench_lines(5, 1, 8, NOW_MS), lambda: 0)
    instants = [NOW_MS + 3 * DAY_MS + n * HOUR_MS for n in (30, 2, 11)]
    same = [BENCH.register("line-1", "m0002", at_ms) for at_ms in instants]

    assert [later.register("line-1", "m0002", at_ms) for at_ms in instants] == same
    assert [other.register("line-1", "m0002", at_ms) for at_ms in instants] != same


def test_load_follows_shift_and_weekday() -> None:
    """The press shop works in shifts and rests on Sunday."""
    press = LIVE.meter("electricity", "press").curve
    sunday = START_MS + 4 * DAY_MS  # 2025-01-05
    monday = sunday + DAY_MS

    assert press.used(sunday, monday) * 3 < press.used(monday, monday + DAY_MS)
    assert press.used(monday, monday + 8 * HOUR_MS) < press.used(monday + 8 * HOUR_MS, monday + 12 * HOUR_MS)


def test_peer_reads_every_register_of_the_map_bit_exactly() -> None:
    """Through a client of another making, every word is the fleet's, and the driver's map reads the counter."""

    async def run() -> list[list[int]]:
        await LIVE.start()
        found = []
        for line in LIVE.lines:
            client = AsyncModbusTcpClient("127.0.0.1", port=LIVE.ports[line.name], retries=0)
            await client.connect()
            for meter in line.meters:
                answer = await client.read_holding_registers(0, count=WORDS, device_id=meter.unit)
                assert answer.registers == list(LIVE.words(line.name, meter.name, NOW_MS))
                found.append(answer.registers)
            beyond = await client.read_holding_registers(1, count=WORDS, device_id=line.meters[0].unit)
            assert beyond.exception_code == 2
            client.close()
        await LIVE.stop()
        return found

    words = asyncio.run(run())
    energy, amount = load_map("generic").registers[0], load_map("generic").registers[3]
    shown = [LIVE.register(line.name, meter.name, NOW_MS) for line in LIVE.lines for meter in line.meters]
    assert [ticks(energy, one[energy.address :][:4]) for one in words] == shown
    assert [ticks(amount, one[amount.address :][:4]) for one in words] == shown
    assert [one[ENERGY32_ADDRESS] << 16 | one[ENERGY32_ADDRESS + 1] for one in words] == shown


def test_every_channel_that_counts_is_a_meter() -> None:
    """The plant on the wire is complete."""
    wired = {meter.name for line in LIVE.lines for meter in line.meters}

    assert wired == {channel.point for channel in SITE.channels if channel.kind is not Kind.GAUGE}


def test_long_history_is_not_held_and_shows_the_same() -> None:
    """A fleet that starts long after the history began holds a few days of it, and its registers are those."""
    since_ms = PLANT.end_ms + 7 * DAY_MS
    late = Fleet(plant_lines(PLANT, since_ms), lambda: since_ms)
    for line in late.lines:
        for meter in line.meters:
            for at_ms in (since_ms - DAY_MS, since_ms + 12_345, since_ms + 9 * DAY_MS):
                assert late.register(line.name, meter.name, at_ms) == LIVE.register(
                    line.name, meter.name, at_ms
                )
                assert meter.power(at_ms) == LIVE.meter(line.name, meter.name).power(at_ms)


def test_lines_of_a_province_bear_the_plants_names() -> None:
    """Two lines of each plant, told apart by the plant's short name; a plant that is alone needs none."""
    two = Province(7, START_MS, 3, 2)

    assert [line.name for line in province_lines(two, two.end_ms)] == [
        f"{plant.site.slug}/{line}" for plant in two.plants for line in ("electricity", "media")
    ]
    assert [line.name for line in province_lines(replace(two, count=1), two.end_ms)] == [
        "electricity",
        "media",
    ]


def test_dead_line_cannot_be_reached_until_it_lives_again() -> None:
    """Its port is closed while the fault is in force, and open with the same number afterwards."""

    async def run() -> None:
        now = [NOW_MS]
        dead = Fault(FaultKind.DEAD, line="line-1", from_ms=NOW_MS + 1000, to_ms=NOW_MS + 2000)
        fleet = Fleet(bench_lines(2, 2, 7, NOW_MS), lambda: now[0], faults=[dead])
        await fleet.start()
        one, other = fleet.ports["line-1"], fleet.ports["line-2"]
        for at_ms, is_open in ((NOW_MS, True), (NOW_MS + 1500, False), (NOW_MS + 2000, True)):
            now[0] = at_ms
            await fleet.mind_ports()
            for port, answers in ((one, is_open), (other, True)):
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    assert answers
                except ConnectionRefusedError:
                    assert not answers
        await fleet.stop()

    asyncio.run(run())


def test_fleet_on_a_taken_port_leaves_none_open() -> None:
    """It serves all its lines or none."""

    async def run() -> None:
        first = Fleet(bench_lines(1, 1, 7, NOW_MS), lambda: NOW_MS)
        await first.start()
        port = first.ports["line-1"]
        second = Fleet(bench_lines(2, 2, 7, NOW_MS), lambda: NOW_MS, port=port - 1)
        with pytest.raises(OSError, match="address already in use"):
            await second.start()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port - 1)
        await first.stop()

    asyncio.run(run())


def test_fleet_spreads_its_meters_over_lines() -> None:
    """Unit ids count from 1 on each line; a line that would be too long is refused."""
    lines = bench_lines(5, 2, 7, NOW_MS)

    assert [[meter.unit for meter in line.meters] for line in lines] == [[1, 2, 3], [1, 2]]
    with pytest.raises(InputError, match="take 2 lines"):
        bench_lines(248, 1, 7, NOW_MS)


def test_truth_log_is_cut_at_quarters_and_names_the_faults() -> None:
    """A span that a fault touches says so; its use is still the load's, and the registers show the fault."""
    end_ms = NOW_MS // QUARTER_MS * QUARTER_MS
    fleet = Fleet(bench_lines(1, 1, 7, NOW_MS), lambda: NOW_MS)
    healthy = list(truth(fleet, end_ms - 1000, end_ms + QUARTER_MS + 1000))
    fleet.add(
        Fault(FaultKind.REVERSED, from_ms=end_ms, to_ms=end_ms + QUARTER_MS),
        Fault(FaultKind.SILENT, from_ms=end_ms + 5),
    )
    spoilt = list(truth(fleet, end_ms - 1000, end_ms + QUARTER_MS + 1000))

    assert [one.from_ms for one in healthy] == [end_ms - 1000, end_ms, end_ms + QUARTER_MS]
    assert [one.faults for one in spoilt] == ["", "reversed;silent", "silent"]
    assert [one.used_steps for one in spoilt] == [one.used_steps for one in healthy]
    assert spoilt[1].used_steps > 0
    assert spoilt[1].register_to - spoilt[1].register_from == -spoilt[1].used_steps


def test_truth_log_is_written_and_read_back() -> None:
    """As CSV and as JSON lines it holds the same spans."""
    spans = list(truth(BENCH, NOW_MS, NOW_MS + QUARTER_MS))
    table, lines = io.StringIO(), io.StringIO()
    write_csv(spans[:1], table)
    write_csv(spans[1:], table, header=False)
    write_lines(spans, lines)
    rows = csv.DictReader(io.StringIO(table.getvalue()))

    assert [Span(**json.loads(line)) for line in lines.getvalue().splitlines()] == spans
    assert [replace(one, faults="") for one in spans] == [
        Span(row["line"], row["meter"], *(int(row[key]) for key in list(row)[2:8])) for row in rows
    ]


def test_curve_asked_backward_and_forward_is_the_same() -> None:
    """Days are drawn when they are needed; what was told before does not change."""
    curve = plant_lines(Plant(9, START_MS, 1))[0].meters[1].curve
    early = [curve.counted(START_MS + n * QUARTER_MS) for n in range(96)]
    curve.counted(START_MS + 90 * DAY_MS)

    assert [curve.counted(START_MS + n * QUARTER_MS) for n in range(96)] == early
    assert curve.counted(START_MS - DAY_MS) == 0
    assert np.all(np.diff(early) >= 0)
