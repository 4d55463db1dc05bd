"""The written collector.toml: the driver reads it, and it says of the fleet what is so."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from acquisition.drivers.config import CollectorConfig, load_config
from acquisition.simulator.config import BENCH_REGISTERS, bench_config, plant_config
from acquisition.simulator.fleet import Fleet, bench_lines, plant_lines
from acquisition.simulator.plant import Plant, notices
from nengliu.analysis.catalogue import step_worth
from nengliu.domain.points import Kind
from schemas.messages import PointNotice

START_MS = 1_735_660_800_000
NOW_MS = START_MS + 400 * 86_400_000
PLANT = Plant(7, START_MS, 365)


def started(fleet: Fleet) -> Fleet:
    async def run() -> None:
        await fleet.start()
        await fleet.stop()

    asyncio.run(run())
    return fleet


def read(folder: Path, text: str) -> CollectorConfig:
    file = folder / "collector.toml"
    file.write_text(text, encoding="utf-8")
    return load_config(file)


def test_config_of_the_plant_reads_every_point_but_the_output(tmp_path: Path) -> None:
    """Each counter and the power have a register; an amount per interval has none."""
    fleet = started(Fleet(plant_lines(PLANT), lambda: NOW_MS))
    config = read(tmp_path, plant_config(fleet, PLANT, 20, NOW_MS))
    points = {point for line in config.lines for meter in line.meters for point in meter.points}

    assert config.enterprise == PLANT.enterprise
    assert points == {c.point for c in PLANT.channels if c.kind is not Kind.PERIOD}
    assert points == {point.point for point in config.points}
    assert {line.name: line.port for line in config.lines} == fleet.ports
    assert {meter.interval_s for line in config.lines for meter in line.meters} == {20}


def test_config_of_the_plant_counts_in_the_steps_of_its_meters(tmp_path: Path) -> None:
    """The driver's unit and decimals of each counter are those of the meter's last digit."""
    fleet = started(Fleet(plant_lines(PLANT), lambda: NOW_MS))
    config = read(tmp_path, plant_config(fleet, PLANT, 20, NOW_MS))
    columns = {column.point: column for schema in config.schemas() for column in schema.columns}

    for point in config.points:
        for meter in point.meters:
            assert (columns[point.point].unit, columns[point.point].decimals) == (meter.unit, meter.decimals)
            assert (meter.from_ms, meter.first) == (NOW_MS, None)
            assert step_worth(point, meter) >= 1


def test_config_beside_the_history_has_the_points_of_the_story(tmp_path: Path) -> None:
    """Where the plant's history is told too, its points are not told otherwise."""
    fleet = started(Fleet(plant_lines(PLANT), lambda: NOW_MS))
    config = read(tmp_path, plant_config(fleet, PLANT, 20, None, host="meters.example"))
    told = [notice.value for notice in notices(PLANT) if isinstance(notice, PointNotice)]

    assert [*config.points] == [point for point in told if point.kind is not Kind.PERIOD]
    assert {line.host for line in config.lines} == {"meters.example"}


def test_config_of_a_fleet_reads_as_many_registers_as_wished(tmp_path: Path) -> None:
    """Twenty registers of a meter are one request, and every point has a unit the catalogue knows."""
    fleet = started(Fleet(bench_lines(3, 2, 7, NOW_MS), lambda: NOW_MS))
    for registers in (1, 20):
        config = read(tmp_path, bench_config(fleet, registers, 10, NOW_MS))
        meters = [meter for line in config.lines for meter in line.meters]

        assert [len(meter.points) for meter in meters] == [registers] * 3
        assert [len(meter.blocks()) for meter in meters] == [1] * 3
        assert len({meter.schema for meter in meters}) == 3
        assert len(config.points) == 3 * registers
        columns = {column.point: column for schema in config.schemas() for column in schema.columns}
        for point in config.points:
            assert (point.unit, point.decimals) == (columns[point.point].unit, columns[point.point].decimals)
            assert replace(point, meters=()).valid_from_ms == NOW_MS
    assert len(BENCH_REGISTERS) == 20
