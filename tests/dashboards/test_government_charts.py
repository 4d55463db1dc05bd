"""Charts of the government pages, their filters and places, as plain values."""

from __future__ import annotations

import base64
import math
from datetime import date, datetime

import pandas as pd
import pytest

from dashboards.charts import ranking, spark
from dashboards.charts.base import Ink, Measure
from dashboards.charts.deviation import deviation
from dashboards.charts.flow import Stage, flow
from dashboards.charts.ranking import Ranked
from dashboards.government.filters import Against, Filters, Reach, read
from dashboards.government.measures import RANKINGS
from dashboards.government.places import Places
from dashboards.i18n import Text
from dashboards.periods import Span
from dashboards.ui.theme import DARK, LIGHT
from nengliu.domain.grades import Limit, grade, tolerance

INK = Ink(Text("en"), LIGHT)
TCE = Measure("", 1000.0, "tce")
MONTHS = Text("en")("overview.months").split(",")


def year(used: list[float]) -> pd.DataFrame:
    """Twelve rows of a path of 100 a month, the first months used."""
    rows = [
        {
            "month": month,
            "used_kgce": used[month - 1] if month <= len(used) else math.nan,
            "budget_kgce": 100_000.0 * month,
            "deviation": used[month - 1] / (100_000.0 * month) - 1 if month <= len(used) else math.nan,
            "grade": 1,
        }
        for month in range(1, 13)
    ]
    return pd.DataFrame(rows)


def known(
    *regions: str, first: str = "2025-01-10", last: str = "2026-03-18 09:15", names: tuple[str, ...] = ()
) -> Places:
    """Places with one enterprise in each region."""
    table = [{"region": r, "name": r, "name_en": r, "parent": "", "row": 0, "column": 0} for r in names]
    rows = [
        {"region": r, "industry": "C3110", "first_at": pd.Timestamp(first), "last_at": pd.Timestamp(last)}
        for r in regions
    ]
    columns = ["region", "name", "name_en", "parent", "row", "column"]
    return Places(pd.DataFrame(table, columns=columns), pd.DataFrame(rows))


# -- charts ----------------------------------------------------------------------------------------------------


def test_deviation_draws_the_gap_and_its_share() -> None:
    """Each bar is used minus budget, written with its share; months to come stay empty."""
    spec = deviation(year([103_000.0, 190_000.0]), 0.02, TCE, MONTHS, INK)
    first, second = spec["series"][0]["data"]
    assert first["value"] == ["Jan", 3.0]
    assert first["label"]["formatter"] == "+3.0%"
    assert second["value"] == ["Feb", -10.0]
    assert second["label"] == {"formatter": "-5.0%", "position": "bottom"}
    assert len(spec["xAxis"]["data"]) == 12


def test_deviation_draws_january_light_and_the_limit_to_the_end() -> None:
    """January is judged with February; the line of the tolerance runs through the year."""
    spec = deviation(year([103_000.0, 210_000.0]), 0.02, TCE, MONTHS, INK)
    january, february = (bar["itemStyle"] for bar in spec["series"][0]["data"])
    assert january["opacity"] < february["opacity"] == 1
    assert january["color"] == LIGHT.grade1
    assert spec["series"][1]["data"][-1] == ["Dec", 24.0]


def test_flow_joins_columns_and_leaves_out_nothing_but_zero() -> None:
    """Nodes without a flow are not drawn; amounts are in the unit of the chart."""
    stages = [Stage({"Coal": "#000", "Gas": "#111"}), Stage({"Steel": "#222"}), Stage({"North": "#333"})]
    links = [("Coal", "Steel", 5000.0), ("Gas", "Steel", 0.0), ("Steel", "North", 5000.0)]
    series = flow(stages, links, TCE, INK)["series"][0]
    assert [node["name"] for node in series["data"]] == ["Coal", "Steel", "North"]
    assert [node["depth"] for node in series["data"]] == [0, 1, 2]
    assert [link["value"] for link in series["links"]] == [5.0, 5.0]


def test_ranking_bars_keep_their_order_and_unknown_values_empty() -> None:
    """The first is on top; what is not known has no bar and a dash."""
    rows = [Ranked("A", 2.0, "2", "#111"), Ranked("B", None, "-", "#222")]
    spec = ranking.bars(rows, "tce", INK)
    assert spec["yAxis"]["data"] == ["A", "B"]
    assert spec["yAxis"]["inverse"]
    assert [bar["value"] for bar in spec["series"][0]["data"]] == [2.0, None]


def test_ranking_structure_stacks_items_in_their_colours() -> None:
    """Every item is one series of the stack."""
    spec = ranking.structure(["A"], {"Coal": [60.0], "Gas": [40.0]}, {"Coal": "#1", "Gas": "#2"}, INK)
    assert [s["itemStyle"]["color"] for s in spec["series"]] == ["#1", "#2"]
    assert spec["xAxis"]["max"] == 100


def test_ranking_pareto_sums_up_from_the_largest() -> None:
    """The second series is the running sum of the first."""
    spec = ranking.pareto(["A", "B"], [70.0, 30.0], ("Share", "Sum"), INK)
    assert spec["series"][0]["data"] == [70.0, 30.0]
    assert spec["series"][1]["data"] == [70.0, 100.0]


def test_spark_line_ends_with_a_dot_at_the_last_known_value() -> None:
    """A gap breaks the line; fewer than two values draw nothing."""
    svg = base64.b64decode(spark.line([1.0, None, 2.0, 3.0, None], "#123").split(",")[1]).decode()
    assert svg.count("<polyline") == 2
    assert svg.count("<circle") == 1
    assert "<circle" not in base64.b64decode(spark.line([1.0], "#123").split(",")[1]).decode()


@pytest.mark.parametrize("key", list(RANKINGS))
def test_measure_without_value_is_written_as_a_dash(key: str) -> None:
    """What is not known is never a zero."""
    found = RANKINGS[key]
    assert found.write(None, Text("en")) == found.write(math.nan, Text("en")) == "\u2013"
    assert found.colour(None, 0, DARK)
    assert found.scale(pd.Series([1.0, 2.0]), Text("en"))[0] > 0


# -- filters ---------------------------------------------------------------------------------------------------


def filters(reach: Reach, against: Against, month: date, edge: date) -> Filters:
    return Filters("", "", month, edge, reach, against)


@pytest.mark.parametrize(
    ("reach", "against", "span", "before"),
    [
        (Reach.MONTH, Against.LAST_YEAR, ("2026-03-01", "2026-03-18"), ("2025-03-01", "2025-03-18")),
        (Reach.MONTH, Against.PREVIOUS, ("2026-03-01", "2026-03-18"), ("2026-02-01", "2026-02-18")),
        (Reach.YEAR, Against.LAST_YEAR, ("2026-01-01", "2026-03-18"), ("2025-01-01", "2025-03-18")),
        (Reach.YEAR, Against.PREVIOUS, ("2026-01-01", "2026-03-18"), ("2025-01-01", "2025-03-18")),
        (Reach.ROLLING, Against.LAST_YEAR, ("2025-04-01", "2026-03-18"), ("2024-04-01", "2025-03-18")),
        (Reach.YEAR, Against.OFF, ("2026-01-01", "2026-03-18"), ("2026-01-01", "2026-01-01")),
    ],
)
def test_time_of_each_choice_is_as_long_as_what_it_is_compared_with(
    reach: Reach, against: Against, span: tuple[str, str], before: tuple[str, str]
) -> None:
    """Only whole days count, and as many of the compared time."""
    found = filters(reach, against, date(2026, 3, 1), date(2026, 3, 18))
    assert found.span == Span(*map(date.fromisoformat, span))
    assert found.before == Span(*map(date.fromisoformat, before))
    assert found.is_running


def test_time_of_a_month_gone_by_is_whole() -> None:
    """A closed month ends with itself; of a longer month no more days are compared than the shorter has."""
    found = filters(Reach.MONTH, Against.PREVIOUS, date(2026, 2, 1), date(2026, 3, 18))
    assert found.span == Span(date(2026, 2, 1), date(2026, 3, 1))
    assert found.before == Span(date(2026, 1, 1), date(2026, 2, 1))
    running = filters(Reach.MONTH, Against.PREVIOUS, date(2026, 3, 1), date(2026, 3, 31))
    assert running.before == Span(date(2026, 2, 1), date(2026, 3, 1))
    assert not found.is_running


def test_filters_take_the_nearest_thing_that_exists() -> None:
    """A county leads to its city, short codes are filled, a month without data to the nearest one with data."""
    places = known("990100", "990200")
    assert read({"region": "990123"}, places).region == "990100"
    assert read({"region": "9902"}, places).region == "990200"
    assert read({"month": "2031-05"}, places).month == date(2026, 3, 1)
    assert read({"month": "2024-12"}, places).month == date(2025, 1, 1)
    assert [key for key, _ in read({"region": "xx", "month": "soon"}, places).notes] == [
        "choice.no_region",
        "choice.no_month",
    ]


# -- places ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("regions", "root", "children"),
    [
        (("990100", "990200"), "99", ["990100", "990200"]),
        (("110105", "440304"), "", ["110000", "440000"]),
        (("990101", "990102"), "9901", ["990101", "990102"]),
        (("990100",), "9901", ["990100"]),
    ],
)
def test_root_is_what_all_enterprises_share(regions: tuple[str, ...], root: str, children: list[str]) -> None:
    """Provinces of the nation, cities of a province, counties of a city."""
    places = known(*regions)
    assert places.root == root
    assert places.children == children


def test_region_with_a_name_and_no_enterprise_is_a_place_too() -> None:
    """A named city without enterprises stands on the map."""
    places = known("990100", "990200", names=("990000", "990300"))
    assert places.children == ["990100", "990200", "990300"]
    assert places.name("990300", Text("en")) == "990300"


def test_edge_is_the_running_day_of_the_newest_reading() -> None:
    """Days before it are whole; on the first of a month the month before is the newest with a whole day."""
    assert known("990100").edge == date(2026, 3, 18)
    early = known("990100", last="2026-03-01 00:15")
    assert early.months[0] == date(2026, 2, 1)
    assert early.last_at == datetime.fromisoformat("2026-03-01T00:15")
    assert known("990100", first="NaT", last="NaT").months == []


# -- grades ----------------------------------------------------------------------------------------------------


def test_grades_change_with_the_day_of_the_rule() -> None:
    """A rule holds from its first day up to, not on, its last; without a rule there is no grade."""
    old = Limit(date(2020, 1, 1), date(2026, 1, 1), 1, 0.1)
    new = Limit(date(2026, 1, 1), date.max, 1, 0.05)
    rest = Limit(date(2020, 1, 1), date.max, 3, -math.inf)
    limits = (old, new, rest)
    assert grade(0.07, date(2025, 12, 31), limits) == 3
    assert grade(0.07, date(2026, 1, 1), limits) == 1
    assert tolerance(date(2026, 1, 1), limits) == 0.05
    assert grade(0.07, date(2019, 1, 1), limits) is None
    assert tolerance(date(2019, 1, 1), limits) == math.inf
