"""Templates of key equipment: complete by the table, and ready for collector.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from acquisition.drivers.config import load_config
from acquisition.drivers.meters.equipment import (
    Tag,
    as_points,
    load_equipment,
    parse_equipment,
    shipped_equipment,
)
from acquisition.drivers.scanning.writing import point_lines, text_of
from nengliu.domain.points import Kind
from nengliu.errors import InputError

SHOWN, SUMMED = "shown", "summed"
BOTH = {SHOWN, SUMMED}
TABLE = {
    "boiler": {
        "供回水温度": {SHOWN},
        "进出口压力": {SHOWN},
        "燃料消耗量": BOTH,
        "热水锅炉循环水流量": BOTH,
        "蒸汽锅炉给水流量": BOTH,
    },
    "fan": {"进出口压力": {SHOWN}, "温度": {SHOWN}, "流量": BOTH, "耗电量": {SUMMED}},
    "pump": {"进出口压力": {SHOWN}, "流量": BOTH},
    "motor": {"电流": {SHOWN}, "电压": {SHOWN}, "有功功率": {SHOWN}, "功率因数": {SHOWN}},
    "compressor": {"压力": {SHOWN}, "流量": BOTH, "比功率": {SHOWN}},
    "chp": {
        "锅炉/主汽流量": BOTH,
        "锅炉/主汽压力": {SHOWN},
        "锅炉/主汽温度": {SHOWN},
        "汽轮机/近汽流量": BOTH,
        "汽轮机/抽汽压力": {SHOWN},
        "汽轮机/抽汽温度": {SHOWN},
        "汽轮机/抽汽流量": BOTH,
        "发电机/有功功率": {SHOWN},
    },
    "pv": {"有功功率": {SHOWN}},
    "wind": {"有功功率": {SHOWN}},
    "transformer": {row: {SHOWN} for row in ("电流", "电压", "有功功率", "无功功率", "功率因数", "频率")},
}
"""TC table 4.5.3 as it is printed: the rows of each equipment, and whether 指示 and 积算 are ticked."""
KIND = {Kind.GAUGE: SHOWN, Kind.COUNTER: SUMMED}
ENTERPRISE = "91320000MA1EXAMPL3"
TAG = Tag("x-1", "1号", "Number 1", "main/x")
LEAST_PER_HOUR = {"electricity": 2, "natural_gas": 2, "raw_coal": 2, "fuel_oil": 2, "steam": 2, "heat": 1}
"""Source: TC 4.3.6."""


def options_of(name: str) -> list[tuple[str, ...]]:
    """Give ways to build an equipment that name each of its options at least once."""
    choices = load_equipment(name).choices
    most = max((len(choice.options) for choice in choices), default=1)
    return [
        tuple(choice.options[min(n, len(choice.options) - 1)].name for choice in choices) for n in range(most)
    ]


def test_every_equipment_of_the_table_has_a_template() -> None:
    """Nothing of the table is missing, and nothing else pretends to be in it."""
    assert set(shipped_equipment()) == set(TABLE)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_template_fulfils_each_row_of_the_table(name: str) -> None:
    """What a row wants shown has a required gauge, what it wants summed up a counter, and no row is invented."""
    required = {one for options in options_of(name) for one in load_equipment(name).chosen(options)}
    rows = {row: {KIND[one.kind] for one in required if one.row == row} for row in TABLE[name]}
    read = {name for one in required for name in re.findall(r"{(\w+)}", one.formula)}
    extra = {one.row for one in required if one.name in read and one.kind is Kind.COUNTER}

    assert {one.row for one in required} == set(TABLE[name])
    assert all(TABLE[name][row] <= kinds for row, kinds in rows.items())
    assert {row for row, kinds in rows.items() if kinds > TABLE[name][row]} <= extra


@pytest.mark.parametrize("name", sorted(TABLE))
def test_interval_keeps_the_floor_of_its_carrier(name: str) -> None:
    """Energy is due at least twice an hour, temperatures twelve times."""
    for one in load_equipment(name).points:
        least = 12 if one.unit == "degC" else LEAST_PER_HOUR.get(one.item, 1)
        assert one.formula or 3600 / one.interval_s >= least, one.name


@pytest.mark.parametrize("name", sorted(TABLE))
def test_points_of_a_template_are_taken_by_a_collector(name: str, tmp_path: Path) -> None:
    """What is written loads as it stands, in every form of the equipment, and says what the template says."""
    for options in options_of(name):
        chosen = load_equipment(name).chosen(options, optional=True)
        points = as_points(chosen, TAG, ENTERPRISE)
        lines = [line for point in points for line in point_lines(point, "a remark")]
        head = ['name = "c"', "[enterprise]", f'enterprise = "{ENTERPRISE}"']
        meter = ["[[lines.meters]]", 'name = "m"', "unit = 1", 'map = "generic"', "schema = 1"]
        way = ["[[lines]]", 'name = "l"', 'host = "h"', *meter, "[lines.meters.points]", 'value = "other"']
        file = tmp_path / f"{'-'.join(options)}.toml"
        file.write_text(text_of([*head, *lines, *way]), encoding="utf-8")

        assert load_config(file).points == points
        assert {point.place for point in points} == {"main/x"}
        assert len({point.point for point in points}) == len(points)


def test_options_choose_the_points() -> None:
    """A steam boiler for coal feeds water and burns tonnes; without options it is the first of each choice."""
    boiler = load_equipment("boiler")
    steam = {one.name: one for one in boiler.chosen(("steam", "coal"))}

    assert {"feed", "feed_flow"} <= steam.keys()
    assert "circulation" not in steam
    assert steam["fuel"].item == "raw_coal"
    assert {one.item for one in boiler.chosen() if one.name == "fuel"} == {"natural_gas"}
    assert not [one for one in boiler.chosen() if not one.required]


def test_specific_power_is_computed_of_the_same_equipment() -> None:
    """The formula names the points as they are called in the plant."""
    points = as_points(load_equipment("compressor").chosen(), Tag("c-7", "7号", "Nr 7"), ENTERPRISE)
    (formula,) = next(point.formulas for point in points if point.formulas)

    assert formula.text == '"c-7-electricity" / "c-7-air"'


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("steem",), "expected one of this template, got 'steem'; nearest: steam"),
        (("gas", "coal"), "expected one fuel"),
    ],
)
def test_wrong_option_is_named(options: tuple[str, ...], told: str) -> None:
    """An option that is unknown, or a second of one choice, is refused."""
    with pytest.raises(InputError, match=told):
        load_equipment("boiler").chosen(options)


def test_unknown_template_names_the_nearest() -> None:
    """A misspelt name is answered with the right one."""
    with pytest.raises(InputError, match="nearest: transformer"):
        load_equipment("transfomer")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('unit = "MPa"', 'unit = "mpa!"', "unknown unit"),
        ("required = true", "requird = true", "nearest: required"),
        ('row = "压力"', "", "row: expected the row of the table"),
        ('name = "air"', 'name = "flow"', "point"),
        ("interval_s = 0", "interval_s = 60", "interval_s: expected 0 where it is computed"),
        ('row = "压力"', 'row = "压力"\nonly = "gas"', "only: expected an option"),
    ],
)
def test_fault_of_a_template_is_named(old: str, new: str, told: str) -> None:
    """A template is checked as strictly as a map."""
    folder = Path(__file__).parents[3] / "acquisition" / "drivers" / "meters" / "templates"
    text = (folder / "compressor.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["title"] == "空气压缩机"

    with pytest.raises(InputError, match=told):
        parse_equipment(text.replace(old, new, 1), "own.toml")
