"""The page of one energy-using unit, run without a browser on a real store."""

# ruff: noqa: DTZ001 - frames carry naive China civil time
from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import date, datetime

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from dashboards import data
from dashboards.data import Questions, Value
from dashboards.periods import Span
from nengliu.domain.scope import Scope
from nengliu.errors import StorageError
from tests.dashboards.conftest import PAGE
from tests.dashboards.plant import EMPTY, OLD, PLANT, UNTIL, Tables

CHINESE = re.compile(r"[\u4e00-\u9fff]")
CHARTS = ["curve", "structure", "bars", "heat", "mix"]


class NoStore:
    """A store that is away."""

    def ask(self, name: str, scope: Scope, as_of: date | None, parameters: Mapping[str, Value]) -> pa.Table:
        """Answer as the class says."""
        raise StorageError("the store does not run; start it with `nengliu up`")


class NoEnterprise:
    """A store with tables and nothing in them."""

    def ask(self, name: str, scope: Scope, as_of: date | None, parameters: Mapping[str, Value]) -> pa.Table:
        """Answer as the class says."""
        assert name == "enterprises"
        return pa.table({"enterprise": pa.array([], pa.string())})


class Spy:
    """Passes questions on and remembers them."""

    def __init__(self, inner: Questions) -> None:
        self.inner = inner
        self.asked: list[tuple[str, Scope, date | None]] = []

    def ask(self, name: str, scope: Scope, as_of: date | None, parameters: Mapping[str, Value]) -> pa.Table:
        """Answer as the class says."""
        self.asked.append((name, scope, as_of))
        return self.inner.ask(name, scope, as_of, parameters)


def run(page: AppTest, **query: str) -> AppTest:
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception, page.exception
    return page


def html(page: AppTest) -> str:
    return "\n".join(str(e.proto.body) for e in page.get("html") if "<style>" not in str(e.proto.body))


def words(page: AppTest) -> str:
    bare = re.sub(r"<[^>]+>", " ", re.sub(r'(src|href)="[^"]*"', "", html(page)))
    options = " ".join(o for box in page.selectbox for o in box.options)
    labels = " ".join(b.label for b in page.button)
    return re.sub(r"&\w+;|:material/\w+:", " ", f"{bare} {options} {labels}")


@pytest.mark.parametrize("grain", ["day", "month", "year"])
def test_page_of_each_period_in_chinese_draws_all_cards(page: AppTest, grain: str) -> None:
    """Every card stands on the page, the simulation is marked, and no text is English."""
    shown = words(run(page, enterprise=PLANT, date="2026-03-17", period=grain))
    for expected in (
        "江南精密铸造有限公司",
        "模拟数据",
        "综合能耗",
        "15 分钟曲线",
        "能源结构",
        "测点状态",
        "采集状态",
        "缺采读数",
        "看数据",
    ):
        assert expected in shown
    english = set(re.findall(r"[A-Za-z]{4,}", shown)) - {"kgce"}
    assert not english


def test_page_in_english_holds_no_chinese_but_the_switch(page: AppTest) -> None:
    """With lang=en nothing is Chinese except the name of the other language."""
    shown = words(run(page, enterprise=PLANT, date="2026-03-17", lang="en"))
    assert "Jiangnan Precision Casting" in shown
    assert "Simulated data" in shown
    assert not CHINESE.search(shown.replace("中文", ""))


def test_page_without_parameters_opens_at_the_newest_reading(page: AppTest) -> None:
    """The default day is that of the newest reading, so that history opens where its data are."""
    shown = words(run(page, enterprise=OLD))
    assert "2018-12-31 23:45" in shown
    assert page.date_input(key="w_date").value == date(2018, 12, 31)
    assert "模拟数据" not in shown


def test_page_with_senseless_parameters_falls_back_to_defaults(page: AppTest) -> None:
    """An address made up by hand shows the page, never an error."""
    shown = words(
        run(
            page,
            enterprise="x",
            period="age",
            date="soon",
            compare="1",
            basis="?",
            point="Z",
            days="9",
            as_of="-",
        )
    )
    assert "江南精密铸造有限公司" in shown


def test_indicators_of_a_closed_day_show_sums_of_the_store(page: AppTest, plant: Tables) -> None:
    """The cards show what the rows of the day say: the use, both kinds of coal, the change."""
    day = plant["window_day"]
    row = day[(day["point"] == "E01") & (day["enterprise"] == PLANT) & (day["period_start"] == "2026-03-17")]
    expected = f"{row['used'].iloc[0] / 100 / 1000:,.2f}"
    body = html(run(page, enterprise=PLANT, date="2026-03-17", lang="en"))
    assert f'<div class="v">{expected}<small>MWh</small></div>' in body
    assert "tce Calorific" in body
    assert "tce Equivalent" in body
    assert re.search(r"[↑↓]</span>[+-]\d+\.\d%", body)


def test_indicators_of_a_running_day_make_no_comparison(page: AppTest) -> None:
    """Half a day is not compared with a whole one."""
    body = html(run(page, enterprise=PLANT, date="2026-03-18", lang="en"))
    assert "running" in body
    assert "↑" not in body


def test_silent_point_of_a_day_counts_as_missing(store: Questions) -> None:
    """A point without any row on a day is not left out: nothing received, everything due."""
    seen = (datetime(2025, 1, 1), UNTIL)
    frame = data.completeness(
        data.Asker(Scope(role="nation")), PLANT, Span(date(2026, 3, 18), date(2026, 3, 19)), seen
    )
    row = frame[frame["point"] == "E13"].iloc[0]
    assert (row["received"], row["due"]) == (0, 96)


def test_toolbar_choice_writes_the_address(page: AppTest) -> None:
    """A choice lands in the address, and the address decides what is shown."""
    run(page, enterprise=PLANT, date="2026-03-17")
    page.selectbox(key="w_compare").select("cycle").run()
    assert page.query_params["compare"] == "cycle"
    page.button(key="step_chevron_left").click().run()
    assert page.query_params["date"] == "2026-03-16"
    assert page.date_input(key="w_date").value == date(2026, 3, 16)


def test_point_choice_draws_that_point(page: AppTest) -> None:
    """The gauge of the address is drawn as a mean with its band, in its own unit."""
    body = html(run(page, enterprise=PLANT, date="2026-03-17", point="A01", days="3", lang="en"))
    assert "kW · 03-15 \u2013 03-17" in body


def test_numbers_of_each_card_open_with_files(page: AppTest) -> None:
    """Behind every card lie its numbers, with both kinds of file."""
    run(page, enterprise=PLANT, date="2026-03-17")
    for card in [*CHARTS, "points", "collection", "missed"]:
        page.button(key=f"numbers_{card}").click().run()
        assert not page.exception, (card, page.exception)
        assert len(page.dataframe) == 1, card
        assert len(page.get("download_button")) == 2, card


def test_collection_card_names_causes_and_folds_what_they_explain(page: AppTest) -> None:
    """Each collector says how it runs; what is down stands with since and reason, its children only named."""
    shown = words(run(page, enterprise=PLANT, date="2026-03-17", lang="en"))
    assert "Collection: 4 down" in shown
    running = shown.split("gw-1")[1].split("gw-2")[0]
    assert re.search(r"5 of 12 meters answer\s+128 rows queued\s+last heard \d\d-\d\d", running)
    assert re.search(r"Down\s+rs485-1 / 103\s+since \d\d-\d\d \d\d:\d\d \(3 h\)\s+No answer", running)
    assert re.search(r"Refuses\s+rs485-1 / 105\s+since [^)]*\)\s+Register map does not fit \(2\)", running)
    assert re.search(r"Down\s+rs485-2\s+since [^)]*\)\s+Line down", running)
    assert "6 meters below are unknown: 201, 202, 203, 204, 205, 206" in running
    assert "rs485-2 /" not in running
    silent = shown.split("gw-3")[1].split("gw-1")[0]
    assert "(26 h)" in silent
    assert "6 meters below are unknown" in silent
    assert "6 of 6 meters answer" in shown.split("gw-2")[1]


def test_missed_readings_of_the_period_are_counted_by_reason(page: AppTest) -> None:
    """The card counts the due readings of the period that were not taken, the most frequent reason first."""
    body = html(run(page, enterprise=PLANT, date="2026-03-17", lang="en"))
    rows = re.findall(r"<b>(No answer|Line down|Damaged answer)</b></td><td>(\d+)</td><td>(\d+)</td>", body)
    assert rows == [("No answer", "87", "1"), ("Line down", "14", "1"), ("Damaged answer", "3", "1")]
    assert "<td>104</td><td>3</td>" in body
    assert "Nothing was missed" in html(run(page, enterprise=PLANT, date="2026-03-10", lang="en"))


def test_unit_without_a_collector_says_so_quietly(page: AppTest) -> None:
    """Where only files were imported, one sentence stands in place of the cards, and no alarm in the headline."""
    shown = words(run(page, enterprise=OLD, lang="en"))
    assert "No collector yet" in shown
    assert "Missed readings" not in shown
    assert "Collection:" not in shown


def test_as_of_day_reaches_windows_questions_only(
    page: AppTest, store: Questions, answering: pytest.MonkeyPatch
) -> None:
    """Windows are asked as of the day; catalogue and freshness know only the present."""
    spy = Spy(store)
    answering.setattr(data, "open_store", lambda settings: spy)
    shown = words(run(page, enterprise=PLANT, date="2026-03-17", as_of="2026-03-17", lang="en"))
    assert "As known on 2026-03-17" in shown
    when = {name: as_of for name, _, as_of in spy.asked}
    assert when["windows"] == when["structure"] == when["completeness"] == date(2026, 3, 17)
    assert when["points"] is when["freshness"] is when["enterprises"] is when["links"] is None


def test_questions_about_one_unit_are_asked_with_its_scope(
    page: AppTest, store: Questions, answering: pytest.MonkeyPatch
) -> None:
    """Only the list of units is asked with the reader's own scope; all else is narrowed to the unit."""
    spy = Spy(store)
    answering.setattr(data, "open_store", lambda settings: spy)
    run(page, enterprise=PLANT)
    scopes = {scope for name, scope, _ in spy.asked if name != "enterprises"}
    assert scopes == {Scope(role="enterprise", enterprise=PLANT)}


def test_page_without_store_says_what_to_start(answering: pytest.MonkeyPatch) -> None:
    """A store that is away is a calm page with the command to run, not a stack trace."""
    answering.setattr(data, "open_store", lambda settings: NoStore())
    shown = html(run(AppTest.from_file(str(PAGE)), lang="en"))
    assert "The store does not answer" in shown
    assert "<code>nengliu up</code>" in shown


def test_page_of_an_empty_store_says_how_to_fill_it(answering: pytest.MonkeyPatch) -> None:
    """A store without units offers the demonstration and the import."""
    answering.setattr(data, "open_store", lambda settings: NoEnterprise())
    assert "<code>nengliu demo</code>" in html(run(AppTest.from_file(str(PAGE))))


def test_page_of_a_unit_without_points_says_so(page: AppTest) -> None:
    """A unit that was announced and has no points keeps the bar, to choose another one."""
    assert "该单位还没有测点" in html(run(page, enterprise=EMPTY))
    assert page.selectbox(key="w_enterprise").value == EMPTY


def test_period_without_data_shows_empty_states(page: AppTest) -> None:
    """A day long ago has no data: every card says so and names the newest reading."""
    body = html(run(page, enterprise=PLANT, date="2001-01-01", lang="en"))
    assert body.count("No data in this period") == len(CHARTS)
    assert "2026-03-18 09:15" in body


def test_warm_run_stays_within_its_budget(page: AppTest) -> None:
    """A run of the page whose answers are known costs less than 100 ms of processor time."""
    run(page, enterprise=PLANT, date="2026-03-17")
    costs = []
    for _ in range(3):
        before = time.process_time()
        page.run()
        costs.append(time.process_time() - before)
    assert min(costs) < 0.1, costs
