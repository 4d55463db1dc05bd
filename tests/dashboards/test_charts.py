"""Chart specifications: frames in, plain dictionaries out."""

# ruff: noqa: DTZ001 - frames carry naive China civil time
from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboards.charts import bars, curve, quality, spark, structure
from dashboards.charts.base import Ink, Measure, Reference
from dashboards.data import QUALITIES
from dashboards.i18n import Text
from dashboards.ui.theme import DARK, LIGHT, QUALITY_COLOURS, Theme, item_colour, items, quality_colour

INK = Ink(Text("en"), LIGHT)
THEME_INKS = [Ink(Text(lang), theme) for lang in ("en", "zh_CN") for theme in (LIGHT, DARK)]
LOOK = curve.Look("Supply", "kWh/15 min", "#E69F00")
THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])


def quarters(n: int = 8, **marks: dict[int, float]) -> pd.DataFrame:
    """Give `n` quarters of 10 kWh, some cells changed: ``used={2: nan}``."""
    frame = pd.DataFrame({"period_start": pd.date_range("2026-03-17", periods=n, freq="15min"), "used": 10.0})
    for name in ("estimated", *QUALITIES):
        frame[name] = 0.0
    for name in ("mean", "low", "high"):
        frame[name] = np.nan
    frame["covered_s"], frame["received"], frame["due"] = 900, 1, 1
    for name, cells in marks.items():
        for row, value in cells.items():
            frame.loc[row, name] = value
    return frame


def named(spec: dict[str, Any], name: str) -> dict[str, Any]:
    found = [s for s in spec["series"] if s["name"] == name]
    assert len(found) == 1, [s["name"] for s in spec["series"]]
    return found[0]


def test_states_of_quarters_name_the_gravest_mark() -> None:
    """A quarter with several marks shows the gravest; one nobody speaks for is a gap."""
    frame = quarters(used={1: np.nan}, late={2: 1, 3: 1}, suspect={3: 1}, estimated={4: 10.0}, bad={5: 1})
    frame.loc[[4, 6], ["covered_s", "received"]] = 0
    assert list(curve.states(frame)) == ["good", "gap", "late", "suspect", "estimated", "bad", "gap", "good"]


def test_curve_with_a_gap_breaks_the_line_and_never_draws_zero() -> None:
    """Silence is never zero: the line has a hole, and the hole is shaded."""
    spec = curve.curve(quarters(used={3: np.nan, 4: np.nan}), None, LOOK, INK)
    line = named(spec, "Measured")["data"]
    assert ["00:45", None] in line or ["01:00", None] in line
    assert 0 not in [value for _, value in line]
    assert named(spec, "No data")["markArea"]["data"] == [[{"xAxis": "00:30"}, {"xAxis": "01:15"}]]


def test_curve_after_the_newest_reading_is_future_not_gap() -> None:
    """What has not happened yet is not shaded as missing."""
    frame = quarters(used={6: np.nan, 7: np.nan})
    spec = curve.curve(frame, None, LOOK, INK, until=datetime(2026, 3, 17, 1, 30))
    assert "No data" not in [s["name"] for s in spec["series"]]


def test_curve_leaves_the_running_quarter_out_and_keeps_a_complete_one() -> None:
    """Half a quarter would look like a fall; one that is spoken for to its end is drawn, though its stamp is newest."""
    until = datetime(2026, 3, 17, 1, 50)
    whole = named(curve.curve(quarters(), None, LOOK, INK, until), "Measured")["data"]
    part = named(curve.curve(quarters(covered_s={7: 300}), None, LOOK, INK, until), "Measured")["data"]

    assert whole[-1] == ["01:45", 10.0]
    assert part[-1] == ["01:30", 10.0]


def test_curve_with_estimates_marks_them_hollow_and_dashed() -> None:
    """Estimated quarters leave the solid line: hollow circles, joined by dashes."""
    spec = curve.curve(quarters(estimated={2: 10.0, 3: 10.0}), None, LOOK, INK)
    marks = named(spec, "Estimated")
    assert [label for label, _ in marks["data"]] == ["00:30", "00:45"]
    assert marks["itemStyle"]["color"] == LIGHT.card
    assert named(spec, "")["lineStyle"]["type"] == "dashed"
    assert ["00:30", 10.0] not in named(spec, "Measured")["data"]


def test_curve_with_comparison_draws_it_grey_and_dashed_behind() -> None:
    """The span compared with comes first, in the reference colour."""
    spec = curve.curve(quarters(), Reference(quarters(), "vs 03-16", {}), LOOK, INK)
    assert spec["series"][0]["name"] == "vs 03-16"
    assert spec["series"][0]["lineStyle"] == {"width": 1.3, "type": "dashed", "color": LIGHT.reference}


def test_curve_of_a_gauge_draws_mean_and_band() -> None:
    """A gauge shows its mean within lowest and highest, on an axis that need not start at zero."""
    frame = quarters()
    frame["mean"], frame["low"], frame["high"] = 5.0, 4.0, 7.0
    spec = curve.curve(frame, None, curve.Look("T", "kW", "#000000", gauge=True), INK)
    assert named(spec, Text("en")("quality.band"))["data"][0] == ["00:00", 3.0]
    assert spec["yAxis"]["scale"] is True


def day_rows(estimated: float = 0.0) -> pd.DataFrame:
    rows = [
        (i, d, 100.0, 0.0, 12.29)
        for i in ("natural_gas", "electricity")
        for d in ("2026-03-01", "2026-03-02")
    ]
    frame = pd.DataFrame(rows, columns=["item", "period_start", "used", "estimated", "coal_kgce"])
    frame["period_start"] = pd.to_datetime(frame["period_start"])
    frame.loc[0, "estimated"] = estimated
    frame["name"] = frame["item"].map({"electricity": "Electricity", "natural_gas": "Natural gas"})
    return frame


LABELS = {pd.Timestamp("2026-03-01"): "03-01", pd.Timestamp("2026-03-02"): "03-02"}


def bar_spec(frame: pd.DataFrame, other: pd.DataFrame | None = None, marked: str = "") -> dict[str, Any]:
    reference = None if other is None else Reference(other, "vs 2026-02", LABELS)
    return bars.bars(frame, reference, Measure("coal_kgce", 1.0, "kgce"), LABELS, INK, marked)


def test_bars_of_all_energy_stack_items_in_their_fixed_colours() -> None:
    """Items come in the order of the code list, each in its colour, on one stack."""
    spec = bar_spec(day_rows())
    assert [(s["name"], s["itemStyle"]["color"]) for s in spec["series"]] == [
        ("Electricity", item_colour("electricity")),
        ("Natural gas", item_colour("natural_gas")),
    ]
    assert {s["stack"] for s in spec["series"]} == {"used"}


def test_bars_with_estimates_hatch_that_part_and_keep_the_height() -> None:
    """A quarter estimated is a quarter hatched, and both parts add up to the bar."""
    spec = bar_spec(day_rows(estimated=25.0))
    part = named(spec, "Natural gas · Estimated")
    assert part["data"] == [["03-01", pytest.approx(12.29 / 4, rel=1e-5)]]
    assert "decal" in part["itemStyle"]
    assert named(spec, "Natural gas")["data"][0][1] + part["data"][0][1] == pytest.approx(12.29, rel=1e-5)


def test_bars_with_comparison_tick_each_period() -> None:
    """The period compared with is one tick per bar: the sum over the items."""
    spec = bar_spec(day_rows(), day_rows())
    assert named(spec, "vs 2026-02")["data"] == [["03-01", 24.58], ["03-02", 24.58]]


def test_bars_without_factor_leave_the_item_out() -> None:
    """An item without standard coal has no bar, not one of zero."""
    frame = day_rows()
    frame.loc[frame["item"] == "natural_gas", "coal_kgce"] = np.nan
    assert [s["name"] for s in bar_spec(frame)["series"]] == ["Electricity"]


@THEMES
def test_ring_shows_total_and_only_items_with_a_value(theme: Theme) -> None:
    """Water without a factor is not in the ring; the total stands in the middle."""
    frame = pd.DataFrame(
        {"item": ["electricity", "water"], "name": ["E", "W"], "coal_kgce": [5000.0, np.nan]}
    )
    spec = structure.ring(frame, Measure("coal_kgce", 1000, "tce"), "5.00", theme)
    assert spec["title"]["text"] == "5.00"
    assert [d["name"] for d in spec["series"][0]["data"]] == ["E"]


def trust_rows() -> pd.DataFrame:
    frame = pd.DataFrame(
        {"point": ["a", "b", "c"], "period_start": pd.Timestamp("2026-03-01"), "due": [96, 96, 0]}
    )
    frame["received"] = [96, 48, 0]
    for name in QUALITIES:
        frame[name] = 0
    frame["good"], frame["late"] = [90, 48, 0], [6, 0, 0]
    return frame


def test_heat_of_a_day_on_which_nothing_was_due_stays_empty() -> None:
    """Nothing due is neither good nor bad."""
    spec = quality.heat(trust_rows(), {"a": "A", "b": "B", "c": "C"}, LABELS, INK)
    assert spec["series"][0]["data"] == [["03-01", "A", 100.0], ["03-01", "B", 50.0]]
    assert spec["yAxis"]["data"] == ["A", "B", "C"]


def test_mix_of_a_point_adds_up_to_all_that_was_due() -> None:
    """Classes and missing readings fill the bar to 100 %."""
    spec = quality.mix(trust_rows().drop(columns="period_start"), {"a": "A", "b": "B"}, INK)
    parts = {s["name"]: {n: v for v, n in s["data"]} for s in spec["series"]}
    assert parts["Good"]["B"] == parts["Missing"]["B"] == 50.0
    assert parts["Good"]["A"] + parts["Late"]["A"] == pytest.approx(100, abs=1e-3)


def test_specs_in_both_languages_and_themes_are_plain_json() -> None:
    """Specs hold no NaN and no objects, so that they can be cached and sent."""
    frame = quarters(used={3: np.nan}, late={1: 1}, bad={2: 1}, estimated={5: 10.0})
    for ink in THEME_INKS:
        specs = [
            curve.curve(frame, Reference(quarters(), "x", {}), LOOK, ink),
            quality.heat(trust_rows(), {"a": "A"}, LABELS, ink),
            quality.mix(trust_rows(), {"a": "A"}, ink),
            bar_spec(day_rows(5.0), day_rows(), marked="03-01"),
        ]
        for spec in specs:
            json.dumps(spec, allow_nan=False)


def test_spark_with_a_hole_draws_two_lines() -> None:
    """A period without a value breaks the small trend, too."""
    svg = base64.b64decode(spark.area([1, 2, None, 3, 4], "#000").split(",")[1]).decode()
    assert svg.count("<polyline") == 2
    columns = base64.b64decode(spark.columns([1, None, 3], "#000").split(",")[1]).decode()
    assert columns.count("<rect") == 2


def test_spark_without_values_is_an_empty_picture() -> None:
    """No values give an empty image of the same size."""
    for image in (spark.area([], "#000"), spark.area([None, 1.0], "#000"), spark.columns([0.0], "#000")):
        assert "<poly" not in base64.b64decode(image.split(",")[1]).decode()


def test_colours_of_items_are_fixed_and_every_quality_has_one() -> None:
    """Fuels keep the colour of the code list; an unknown item is grey; qualities differ from one another."""
    assert {slug: item_colour(slug) for slug in items()} == {slug: i.colour for slug, i in items().items()}
    assert item_colour("unobtainium") == "#8C8C8C"
    for dark in (False, True):
        colours = [quality_colour(kind, dark) for kind in QUALITY_COLOURS]
        assert len(set(colours)) == len(colours)
