"""A map says all there is to say about a point, and a mistake in it is told with its place and cure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from acquisition.files.keys import Keys
from acquisition.files.mapping import Map, check_character, load_map, parse_map
from nengliu.domain.points import FOREVER_MS, Kind, Meter
from nengliu.errors import InputError

MAPS = sorted((Path(__file__).parents[3] / "examples" / "maps").glob("*.toml"))
COUNTER = """
[[point]]
column = "kwh"
id = "e-main"
name = "总表"
name_en = "Main meter"
kind = "counter"
item = "electricity"
unit = "kWh"
decimals = 2
metering_level = 2
place = "总厂/炼钢"
valid_from = 2018-01-01
valid_to = "2030-01-01T00:00:00+08:00"
minimum = 0
maximum = 1000.5
hold = "1h"
[[point.meter]]
from = 2018-01-01
multiplier = 8000
modulus = 1000000
last = 123.45
[[point.meter]]
from = 2018-07-01T08:00:00
decimals = 3
first = 0.125
"""


def test_map_counter_with_a_change_of_meter_is_understood_whole(make_map: Callable[..., Map]) -> None:
    """Registers, dates and limits become steps, instants and ticks."""
    point = make_map(point=COUNTER).series[0].point
    assert (point.kind, point.unit, point.decimals, point.metering_level) == (Kind.COUNTER, "kWh", 3, 2)
    assert (point.minimum, point.maximum, point.hold_s, point.interval_s) == (0, 1_000_500, 3600, 900)
    assert (point.valid_from_ms, point.valid_to_ms) == (1_514_736_000_000, 1_893_427_200_000)
    assert point.meters == (
        Meter(1_514_736_000_000, "kWh", 2, 8000, 100_000_000, None, 12345),
        Meter(1_530_403_200_000, "kWh", 3, 1, 0, 125, None),
    )


def test_map_defaults_come_from_the_item(make_map: Callable[..., Map]) -> None:
    """A short map is enough: unit, decimals, level and limits have sensible defaults."""
    plan = make_map(
        point='[[point]]\ncolumn = "热量"\nkind = "counter"\nitem = "heat"\nunit = "MWh"\nmodulus = 9999\n'
    )
    point, column = plan.series[0].point, plan.series[0].column
    assert (point.point, point.name, point.unit, point.decimals, point.metering_level) == (
        "热量",
        "热量",
        "GJ",
        4,
        1,
    )
    assert (column.unit, column.decimals, point.valid_to_ms) == ("MWh", 3, FOREVER_MS)
    assert point.meters == (Meter(0, "MWh", 3, 1, 9_999_000),)


def test_map_long_form_with_defaults_needs_one_line_per_point() -> None:
    """[defaults] holds for all points; a point overrides it."""
    plan = parse_map(
        '[enterprise]\ncode="91320000MA1EXAMPL3"\n[time]\ncolumn="t"\n[points]\ncolumn="p"\nvalue="v"\nunit="u"\n'
        '[defaults]\nkind="gauge"\nitem="measurement"\nunit="kPa"\n'
        '[[point]]\nmatch="a"\n[[point]]\nmatch="b"\nid="bb"\nunit="degC"\nunit_labels="C"\n'
    )
    assert plan.columns() == ("t", "p", "v", "u")
    assert [one.point.unit for one in plan.series] == ["kPa", "degC"]
    assert [one.point.metering_level for one in plan.series] == [0, 0]
    assert plan.time.clock == "free"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("kind =", "knd ="), "perhaps 'knd' is meant"),
        (('"period"', '"perod"'), "nearest: period"),
        (('"electricity"', '"electrcity"'), "nearest: electricity"),
        (("[time]", "[tme]"), "column"),
        (("clock", "clok"), "unknown key 'clok'; nearest: clock"),
        (('"15min"', '"15 moons"'), "expected seconds"),
        (('"end"', '"instant"'), "expected start or end"),
        (("PL3", "PL4"), "check character 3"),
        (("EXAMPL", "EXIMPL"), "18 characters"),
        (('"15min"', "0"), "clock = repair"),
        (('column = "kwh"', 'column = "kwh"\nunit = "kW"'), "expected a unit of energy"),
        (('column = "kwh"', 'column = "kwh"\nunit = "kwhh"'), "unknown unit"),
        (('column = "kwh"', 'column = "kwh"\ndecimals = -1'), "whole number from 0"),
        (('column = "kwh"', 'column = "kwh"\nsuffix = "yes"'), "true or false"),
        (('column = "kwh"', 'column = "kwh"\nmaximum = 1.2345'), "at most 2 decimals"),
        (('column = "kwh"', 'column = "kwh"\nvalid_from = "soon"'), "ISO 8601"),
        (('column = "kwh"', 'column = "kwh"\nvalid_from = true'), "a day or a time"),
        (('column = "date"', 'column = ["date", 1]'), "list of texts"),
        (('"%d/%m/%Y %H:%M"', '["epoch_s", "iso"]'), "epoch format alone"),
        (('"%d/%m/%Y %H:%M"', '"isso"'), "nearest: iso"),
        (('column = "date"', 'column = "date"\nzone = "Asia/Shangai"'), "nearest: Asia/Shanghai"),
        (("[time]", 'region = "37"\n[time]'), "6 digits"),
        (("[time]", 'industry = "31"\n[time]'), "GB/T 4754"),
        (("[time]", '[file]\ndelimiter = "ab"\n[time]'), "one character"),
        (("[time]", "file = 3\n[time]"), "unknown key 'file'"),
        (("[[point]]", "[point]"), "tables [[point]]"),
        (
            ("[[point]]", '[[point]]\ncolumn="x"\nid="e-main"\nkind="period"\nitem="water"\n[[point]]'),
            "every id once",
        ),
        (("[[point]]", "[[point"), "expected TOML"),
        (("[[point]]", "[[points]]"), "a table [points]"),
    ],
)
def test_map_with_a_mistake_names_it(change: tuple[str, str], told: str) -> None:
    """Every mistake is told with its place, what was expected and what is nearest."""
    good = (
        '[enterprise]\ncode = "91320000MA1EXAMPL3"\n[time]\ncolumn = "date"\nformat = "%d/%m/%Y %H:%M"\n'
        'stamp = "end"\n'
        'interval = "15min"\nclock = "repair"\n[[point]]\ncolumn = "kwh"\nid = "e-main"\n'
        'kind = "period"\nitem = "electricity"\n'
    )
    parse_map(good)
    assert change[0] in good
    with pytest.raises(InputError) as caught:
        parse_map(good.replace(change[0], change[1], 1), "m.toml")
    assert told in str(caught.value)
    assert str(caught.value).startswith("m.toml")


def test_map_of_a_counter_whose_unit_is_no_decimal_multiple_is_refused(make_map: Callable[..., Map]) -> None:
    """GJ steps are no whole number of kWh ticks: the register's own unit is to be kept."""
    with pytest.raises(InputError, match="set point_unit"):
        make_map(point='[[point]]\ncolumn="x"\nkind="counter"\nitem="electricity"\nunit="GJ"\n')


def test_map_meters_out_of_order_are_refused(make_map: Callable[..., Map]) -> None:
    """Meters are listed by date."""
    with pytest.raises(InputError, match="order of their dates"):
        make_map(point=COUNTER.replace("2018-07-01T08", "2017-07-01T08"))


def test_map_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A missing map is the user's to correct."""
    with pytest.raises(InputError, match="expected a map"):
        load_map(tmp_path / "no.toml")


@pytest.mark.parametrize("path", MAPS, ids=lambda path: path.stem)
def test_map_of_the_examples_is_valid(path: Path) -> None:
    """Every example map is read, and its unit code has a correct check character."""
    plan = load_map(path)
    assert plan.series
    assert check_character(plan.enterprise.enterprise) == plan.enterprise.enterprise[17]


def test_map_examples_are_all_there() -> None:
    """The five example maps are shipped."""
    assert {path.stem for path in MAPS} >= {
        "steel_kr_2018",
        "enernoc_5min",
        "cn_region",
        "ubc_cov",
        "ubc_daily",
    }


@pytest.mark.parametrize(
    ("span", "seconds"), [("15min", 900), ("1h", 3600), ("1d", 86400), ("5分钟", 300), (60, 60)]
)
def test_keys_spans_are_read(span: object, seconds: int) -> None:
    """Spans are written as people write them."""
    assert Keys({"x": span}, "m").seconds("x", 0) == seconds
