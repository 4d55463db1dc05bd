"""Tables as files, and the questions behind them."""

from __future__ import annotations

import io

import openpyxl
import pandas as pd
import pytest

from dashboards import data, export
from dashboards.data import Asker, Questions
from dashboards.periods import Grain, span_of
from dashboards.store import StoreQuestions
from nengliu.domain.scope import Scope
from nengliu.errors import StorageError
from nengliu.settings import Settings
from tests.dashboards.plant import PLANT, UNTIL, Tables

NATION = Scope(role="nation")
MARCH = span_of(Grain.MONTH, UNTIL.date())


def sheet() -> export.Sheet:
    frame = pd.DataFrame(
        {
            "时段起点": pd.to_datetime(["2026-03-17", "2026-03-18"]),
            "名称": ["总进线", "=HYPERLINK(1)"],
            "用量 [kWh]": [1234.5, float("nan")],
            "实收": [96, 95],
        }
    )
    return export.Sheet("x", "某厂 · 曲线", "来源：15 分钟窗口 · 数据版本：最新数据", frame)


def test_csv_opens_in_chinese_and_runs_no_formula() -> None:
    """The file has the mark spreadsheets look for, and a name cannot be a formula."""
    made = export.csv(sheet())
    assert made.startswith(b"\xef\xbb\xbf")
    text = made.decode("utf-8-sig")
    assert text.splitlines()[0] == "时段起点,名称,用量 [kWh],实收"
    assert "'=HYPERLINK(1)" in text
    assert "nan" not in text


def test_xlsx_carries_source_line_and_typed_cells() -> None:
    """The workbook says where its numbers are from; numbers are numbers, an absent one is empty."""
    page = openpyxl.load_workbook(io.BytesIO(export.xlsx(sheet()))).active
    assert page["A1"].value == "某厂 · 曲线"
    assert "最新数据" in page["A2"].value
    assert [c.value for c in page[4]] == ["时段起点", "名称", "用量 [kWh]", "实收"]
    assert page["C5"].value == 1234.5
    assert page["C6"].value is None
    assert page["B6"].value == "=HYPERLINK(1)"
    assert page["B6"].data_type == "s" or page["B6"].data_type == "f"
    assert page.freeze_panes == "B5"


def test_items_by_day_add_up_to_the_structure_of_the_store(store: Questions) -> None:
    """Rows put side by side are those the named query sums."""
    asker = Asker(NATION)
    ours = data.by_item(asker, "day", PLANT, MARCH).groupby("item")[["used", "coal_kgce"]].sum(min_count=1)
    theirs = data.structure(asker, "day", PLANT, MARCH).set_index("item")[["used", "coal_kgce"]]
    pd.testing.assert_frame_equal(
        ours.sort_index(), theirs.sort_index(), check_names=False, check_dtype=False
    )
    assert list(data.structure(asker, "day", PLANT, MARCH)["item"]) == [
        "electricity",
        "natural_gas",
        "heat",
        "water",
    ]


def test_quarters_of_a_day_are_all_there_with_gaps_as_nothing(store: Questions, plant: Tables) -> None:
    """Every quarter has its place, and those nobody reported have no value."""
    span = span_of(Grain.DAY, pd.Timestamp("2026-03-17").date())
    frame = data.quarters(Asker(NATION), PLANT, "E01", span)
    assert len(frame) == 96
    assert frame["used"].isna().sum() == 7
    rows = plant["window_15min"]
    rows = rows[(rows["point"] == "E01") & (rows["period_start"].dt.date == span.first)]
    assert frame["used"].sum() == pytest.approx(rows["used"].sum() / 100)


def test_question_of_another_enterprise_sees_nothing(store: Questions) -> None:
    """The scope decides in the store, whatever is asked (law 10)."""
    stranger = Asker(Scope(role="enterprise", enterprise="91110000TESTNORTH1"))
    assert data.structure(stranger, "day", PLANT, MARCH).empty
    assert data.enterprises(Asker(Scope(role="enterprise"))).empty


def test_answers_are_cached_by_scope(store: Questions) -> None:
    """What one reader was told is never told to another."""
    assert len(data.enterprises(Asker(NATION))) == 3
    assert len(data.enterprises(Asker(Scope(role="enterprise", enterprise=PLANT)))) == 1


def test_store_that_does_not_run_is_named_with_its_cure(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The first question of a store that is away says how to start it."""
    questions = StoreQuestions(Settings(home=tmp_path_factory.mktemp("nothing")))
    with pytest.raises(StorageError, match="nengliu up"):
        questions.ask("enterprises", NATION, None, {})


def test_store_that_moved_is_found_again(plant_settings: Settings) -> None:
    """A restarted store listens elsewhere: the question that fails connects anew."""
    questions = StoreQuestions(plant_settings)
    questions.ask("enterprises", NATION, None, {})
    questions._client.close()
    questions._client = type("Gone", (), {"uri": "http://127.0.0.1:1", "query_arrow": _gone})()
    assert questions.ask("enterprises", NATION, None, {}).num_rows == 3


def _gone(*args: object, **more: object) -> None:
    raise StorageError("gone")
