"""Overview and ranking of a province, run without a browser on a real store."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from dashboards import cache, data
from dashboards.data import Asker, Questions, Value
from dashboards.government import cities, figures
from dashboards.government.context import Context
from dashboards.government.filters import Filters
from dashboards.government.places import places
from dashboards.i18n import Text
from dashboards.identity import Reader
from dashboards.store import StoreQuestions
from dashboards.ui.frame import Frame
from dashboards.ui.theme import LIGHT
from nengliu.domain.scope import Scope
from nengliu.settings import Settings
from nengliu.storage import connect
from tests.dashboards.province import EAST, GLASS, NEW, NORTH, POWER, SOUTH, STEEL, TARGET_TCE, daily, settle
from tests.dashboards.test_page import html, run, words

PAGES = Path(data.__file__).parent / "pages"
CHINESE = re.compile(r"[\u4e00-\u9fff]")
SetReader = Callable[[Reader | None], None]


def page(name: str) -> AppTest:
    return AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=60)


@pytest.fixture
def overview(province: Questions) -> AppTest:
    """The overview on the province's store, not yet run."""
    return page("gov_overview")


@pytest.fixture
def ranking(province: Questions) -> AppTest:
    """The ranking on the province's store, not yet run."""
    return page("gov_ranking")


@pytest.fixture
def context(province: Questions) -> Context:
    """The view a reader of the province opens with."""
    asker = Asker(Scope("analyst", region="99"))
    frame = Frame(Text("en"), LIGHT, Reader("a", "A", "analyst", asker.scope), asker)
    return Context(frame, places(asker), Filters("", "", date(2026, 3, 1), date(2026, 3, 18)))


class Gone:
    """A store where nothing of a kind has come yet: some answers have no rows."""

    def __init__(self, inner: Questions, *empty: str) -> None:
        self.inner, self.empty = inner, empty

    def ask(self, name: str, scope: Scope, as_of: date | None, parameters: Mapping[str, Value]) -> pa.Table:
        """Answer as the class says."""
        table = self.inner.ask(name, scope, as_of, parameters)
        return table.slice(0, 0) if name in self.empty else table


def of_region(frame: object, region: str, column: str) -> float:
    return float(frame.set_index("node").loc[region, column])  # type: ignore[attr-defined]


def coal_tce(region: str, first: str, after: str) -> float:
    """Sum by hand: standard coal at the boundary of a region, without water and what has no factor."""
    day = daily()
    kept = day[(day["level"] == 1) & (day["item"] != "water") & day["region"].str.startswith(region[:4])]
    inside = (kept["period_start"] >= first) & (kept["period_start"] < after)
    return float(kept[inside]["coal"].sum()) / 1000


# -- figures ---------------------------------------------------------------------------------------------------


def test_energy_of_a_city_is_that_of_its_boundary_points(context: Context) -> None:
    """Whole months and the days of the running one, boundary energy only, equal the sum of the days by hand."""
    frame = figures.energy(context, "region")
    for region in (NORTH, SOUTH, EAST):
        expected = coal_tce(region, "2026-01-01", "2026-03-18") * 1000
        assert of_region(frame, region, "coal_kgce") == pytest.approx(expected)
        past = coal_tce(region, "2025-01-01", "2025-03-18") * 1000
        assert of_region(frame, region, "before_kgce") == pytest.approx(past)
        assert of_region(frame, region, "change") == pytest.approx(expected / past - 1)


def test_energy_without_a_factor_is_named_and_left_out(context: Context) -> None:
    """A part without a factor does not make the sum vanish; it is named beside it."""
    frame = figures.energy(context, "region").set_index("node")
    assert frame.loc[NORTH, "unknown_items"] == "coke_oven_gas"
    assert frame.loc[SOUTH, "unknown_items"] == ""


def test_budget_of_a_city_follows_last_year_to_the_day(context: Context) -> None:
    """After February the path is the target times what last year had used by the same day of all it used."""
    rows = figures.to_date(figures.budget(context, "region"))
    for region in (NORTH, SOUTH, EAST):
        part = coal_tce(region, "2025-01-01", "2025-03-18") / coal_tce(region, "2025-01-01", "2026-01-01")
        path = TARGET_TCE[region] * part
        assert rows.loc[region, "budget_kgce"] == pytest.approx(path * 1000)
        used = coal_tce(region, "2026-01-01", "2026-03-18")
        assert rows.loc[region, "deviation"] == pytest.approx(used / path - 1)


def test_budget_of_january_is_a_share_of_days_of_two_months(context: Context) -> None:
    """January and February are judged together: January's path is 31 of their 59 days."""
    frame = figures.budget(context, "region")
    north = frame[frame["node"] == NORTH].set_index("month")["budget_kgce"]
    assert north[1] == pytest.approx(north[2] * 31 / 59)
    assert north[12] == pytest.approx(TARGET_TCE[NORTH] * 1000)


def test_budget_of_a_silent_enterprise_is_no_zero(context: Context) -> None:
    """An enterprise that never spoke has used nothing known, and no deviation."""
    rows = figures.budget(context, "enterprise")
    new = rows[rows["node"] == NEW]
    assert len(new) == 12
    assert new["used_kgce"].isna().all()
    assert new["deviation"].isna().all()


def test_year_that_was_not_heard_from_its_start_is_not_judged(
    province_settings: Settings, answering: pytest.MonkeyPatch, context: Context, overview: AppTest
) -> None:
    """Where the data of most begin after New Year, what nobody measured would pass for saved: no deviation."""
    late = replace(province_settings, database="late")
    settle(late)
    client = connect(late)
    begun = {NORTH: (STEEL, GLASS), SOUTH: (), EAST: (POWER,)}  # two of two, none, one of two
    for enterprise in (one for some in begun.values() for one in some):
        client.command(
            f"DELETE FROM window_month WHERE enterprise = '{enterprise}' AND period_start = '2026-01-01'"
        )
    client.close()
    questions = StoreQuestions(late)
    answering.setattr(data, "open_store", lambda settings: questions)
    cache.forget()
    data.source.cache_clear()
    rows = figures.budget(context, "region")
    assert {node: bool(rows[rows["node"] == node]["deviation"].notna().any()) for node in begun} == {
        NORTH: False,
        SOUTH: True,
        EAST: False,
    }
    shown = words(run(overview))
    assert shown.count("缺少年初以来的数据") == 2  # the indicator and the card of the path
    assert "没有本年度目标" not in shown


def test_intensity_compares_the_same_enterprises_and_months(context: Context) -> None:
    """Energy grew by 6 % and -2 %, value added by 5 %: the change of intensity follows from the two."""
    frame = figures.intensity(context, "enterprise").set_index("node")
    assert frame.loc[STEEL, "change"] == pytest.approx(1.06 / 1.05 - 1, abs=1e-4)
    assert frame.loc[GLASS, "change"] == pytest.approx(0.98 / 1.05 - 1, abs=1e-4)
    assert frame.loc[STEEL, "last_period"] == "2026-02"


def test_grades_of_the_cities_follow_the_rule(context: Context) -> None:
    """The worst stands first: the north is over the tolerance, the south over the path, the east under it."""
    frame = figures.standing(context, "region")
    assert dict(zip(frame["node"], frame["grade"], strict=True)) == {NORTH: 1, SOUTH: 2, EAST: 3}
    assert list(frame["node"]) == [NORTH, SOUTH, EAST]


def test_completeness_counts_what_silent_points_owe(context: Context) -> None:
    """Due is what was owed since the enterprise was first heard, whether or not a window exists."""
    days = (date(2026, 3, 18) - date(2026, 1, 1)).days
    frame = figures.energy(context, "enterprise").set_index("node")
    assert frame.loc[GLASS, "due"] == 3 * 96 * days
    assert frame.loc[GLASS, "received"] == 3 * 91 * days
    assert NEW not in frame.index  # it has no point: the count of connected ones tells of it


# -- overview --------------------------------------------------------------------------------------------------


def test_overview_in_chinese_draws_all_cards(overview: AppTest) -> None:
    """Headline, six indicators, map, table, incidents, path and flow stand there; names are escaped."""
    shown = words(run(overview))
    for expected in (
        "云川省（模拟）用能总览",
        "模拟数据",
        "接入",
        "综合能源消费量",
        "单位增加值能耗",
        "年预算使用",
    ):
        assert expected in shown
    for expected in (
        "用电量",
        "数据完整率",
        "待处置事件",
        "北河市",
        "一级 +6.7%",
        "二级 +0.8%",
        "三级 -4.0%",
    ):
        assert expected in shown
    body = html(overview)
    assert "&lt;东&gt;港市" in body
    assert "<东>" not in body
    assert "coke" not in body


def test_overview_in_english_holds_no_chinese_but_the_switch(overview: AppTest) -> None:
    """With lang=en nothing is Chinese except the name of the other language."""
    shown = words(run(overview, lang="en"))
    assert "Yunchuan (simulated) · overview" in shown
    assert not CHINESE.search(shown.replace("中文", ""))


def test_overview_of_a_city_lists_its_enterprises(overview: AppTest) -> None:
    """Inside a city the table names its enterprises, and each leads to its page."""
    body = html(run(overview, region=NORTH))
    assert "北河钢铁（模拟）" in body
    assert f"enterprise?enterprise={STEEL}" in body
    assert "南屏化工" not in body
    assert "aria-current=true" in body


@pytest.mark.parametrize("reach", ["month", "year", "rolling"])
@pytest.mark.parametrize("compare", ["last_year", "previous", "off"])
def test_overview_of_each_time_and_comparison_stands(overview: AppTest, reach: str, compare: str) -> None:
    """Every choice of time and comparison shows the page."""
    body = html(run(overview, period=reach, compare=compare))
    assert "nl-figs" in body
    assert ("同比" in body) or compare != "last_year"


def test_overview_with_senseless_parameters_says_what_is_shown(overview: AppTest) -> None:
    """An address made up by hand shows the page with a plain sentence, never an error."""
    query = {"region": "<b>", "industry": "Z99", "month": "1066-10", "period": "age", "compare": "?"}
    shown = html(run(overview, **query))
    assert "“&lt;b&gt;”不存在" in shown
    assert "“Z99”" in shown
    assert "“1066-10”没有数据" in shown
    assert shown.count("无法识别") == 2


def test_overview_of_a_month_without_target_shows_no_path(overview: AppTest) -> None:
    """Of a year without targets the indicators stand, and a sentence in place of the path."""
    shown = words(run(overview, month="2025-06"))
    assert "没有本年度目标" in shown
    assert "无法判定" in shown


def test_overview_of_an_industry_without_value_says_so(overview: AppTest) -> None:
    """An industry that reported no value added has no intensity, not zero."""
    shown = words(run(overview, industry="D44"))
    assert "这段时间还没有增加值" in shown


@pytest.mark.parametrize(
    ("empty", "said"), [("coverage", "这里还没有用能单位"), ("incident_queue", "当前没有待处置事件")]
)
def test_overview_of_an_empty_platform_says_so(
    province: Questions, answering: pytest.MonkeyPatch, empty: str, said: str
) -> None:
    """Without enterprises or incidents a sentence stands in their place."""
    answering.setattr(data, "open_store", lambda settings: Gone(province, empty))
    said = Text("zh_CN")("state.empty") if empty == "coverage" else said
    assert said in words(run(page("gov_overview")))


def test_overview_of_one_city_s_reader_knows_no_other(overview: AppTest, reading_as: SetReader) -> None:
    """A city's reader sees the enterprises of the city and names no other place."""
    reading_as(Reader("o", "O", "enforcement", Scope("enforcement", region="9902")))
    body = html(run(overview, region=NORTH))
    assert "南屏化工" in body
    assert "北河" not in body
    assert "港市" not in body


@pytest.mark.parametrize("name", ["gov_overview", "gov_ranking"])
def test_pages_of_government_are_closed_to_an_enterprise(
    province: Questions, reading_as: SetReader, name: str
) -> None:
    """The role of an enterprise gets a sentence and no number."""
    reading_as(Reader("p", "P", "enterprise", Scope("enterprise", enterprise=STEEL)))
    body = html(run(page(name)))
    assert "nl-figs" not in body
    assert "北河" not in body


# -- ranking ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["region", "industry", "enterprise"])
@pytest.mark.parametrize("measure", ["energy", "electricity", "intensity", "change", "deviation"])
def test_ranking_of_each_kind_and_measure_draws_pictures_and_table(
    ranking: AppTest, by: str, measure: str
) -> None:
    """Bars, structure, shares and the table stand there for every choice, largest first."""
    body = html(run(ranking, by=by, measure=measure))
    assert body.count("<tr>") >= 4
    assert "nl-cities" in body
    assert "谁用了多少" in words(ranking)


def test_ranking_leads_down_step_by_step(ranking: AppTest) -> None:
    """A region leads to its industries, an industry to its enterprises, an enterprise to its page."""
    body = html(run(ranking))
    assert re.search(rf"region={NORTH}[^\"]*by=industry", body)
    body = html(run(ranking, region=NORTH, by="industry"))
    assert re.search(r"industry=C31[^\"]*by=enterprise", body)
    body = html(run(ranking, industry="C31", by="enterprise"))
    assert f"enterprise?enterprise={STEEL}" in body
    assert "黑色金属" in body


def test_ranking_with_senseless_choices_falls_back(ranking: AppTest) -> None:
    """Nodes and measure that do not exist are replaced by the usual ones."""
    assert "nl-cities" in html(run(ranking, by="planet", measure="luck"))


def test_ranking_in_english_holds_no_chinese_but_the_switch(ranking: AppTest) -> None:
    """With lang=en nothing is Chinese except the name of the other language."""
    shown = words(run(ranking, lang="en", by="industry"))
    assert "Ferrous metals" in shown
    assert not CHINESE.search(shown.replace("中文", ""))


def test_ranking_taken_away_holds_every_row_and_its_source(context: Context) -> None:
    """Both files hold all nodes, with codes, units in the headings, and the mark of simulated data."""
    from dashboards import export
    from dashboards.government.measures import RANKINGS
    from dashboards.government.ranking import View, sheet

    made = sheet(context, View("enterprise", RANKINGS["energy"]), "Source: test")
    assert STEEL in set(made.frame["Code"])
    assert "Simulated" in made.source
    assert export.csv(made).startswith(b"\xef\xbb\xbf")
    assert zipfile.ZipFile(io.BytesIO(export.xlsx(made))).testzip() is None


# -- map -------------------------------------------------------------------------------------------------------


def test_map_places_every_part_once(context: Context) -> None:
    """Each city stands on its own tile with shape, deviation and a way in; the chosen one is set off."""
    drawn = cities.tiles(context)
    assert drawn.count("nl-tile g") == 3
    assert "grid-area:1/1" in drawn
    assert "grid-area:2/2" in drawn
    for mark, grade in (("■", 1), ("▲", 2), ("●", 3)):
        assert mark in drawn
        assert f"nl-tile g{grade}" in drawn
    assert len(re.findall(r'aria-label="[^"]*Level', drawn)) == 3
