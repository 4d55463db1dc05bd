"""The page of entry by hand, run without a browser: what it sends goes through the real log and flows."""

from __future__ import annotations

import html as markup
import io
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from streamlit.testing.v1 import AppTest

from dashboards import cache, data, export, identity
from dashboards.entry import figures, send, values
from dashboards.entry.context import Context
from dashboards.i18n import Text
from dashboards.identity import LoggedOut, Reader
from dashboards.store import StoreQuestions
from dashboards.ui import parts
from dashboards.ui.frame import Frame
from dashboards.ui.theme import LIGHT
from nengliu.analysis.forms.production import HEADS, NEEDED, activities_of
from nengliu.analysis.forms.sheets import read_form, template_csv, template_xlsx
from nengliu.domain.scope import Scope
from nengliu.domain.times import to_ms
from nengliu.errors import InputError, LogError
from nengliu.settings import Settings
from schemas.messages import ActivityNotice, Entered, EntryNotice
from tests.dashboards import entering
from tests.dashboards.conftest import OPERATOR
from tests.dashboards.entering import HOUR, OTHER, WORKS, sent, take_in

PAGE = Path(data.__file__).parent / "pages" / "entry.py"
WORKER = Reader("works", "3", "enterprise", Scope("enterprise", enterprise=WORKS))
Says = Callable[[Reader | None], None]


@pytest.fixture
def works(
    works_settings: Settings, answering: pytest.MonkeyPatch, reading_as: Says
) -> tuple[Settings, list[tuple[str, str, str]]]:
    """The works reads its own page; what is written into the audit log is handed out."""
    questions = StoreQuestions(works_settings)
    answering.setattr(data, "open_store", lambda settings: questions)
    answering.setattr(send, "load", lambda: works_settings)
    noted: list[tuple[str, str, str]] = []
    answering.setattr(
        identity, "note", lambda reader, action, detail: noted.append((reader.login, action, detail))
    )
    reading_as(WORKER)
    return works_settings, noted


def opened(**query: str) -> AppTest:
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception, page.exception
    return page


def again(page: AppTest) -> AppTest:
    page.run()
    assert not page.exception, page.exception
    return page


def words(page: AppTest) -> str:
    html = "\n".join(str(e.proto.body) for e in page.get("html") if "<style>" not in str(e.proto.body))
    return re.sub(r"\s+", " ", markup.unescape(re.sub(r"<[^>]+>", " ", html)))


def field(page: AppTest, start: str) -> Any:
    """A field of the form, by the beginning of its key."""
    return next(one for one in page.text_input if str(one.key).startswith(start))


def filled(page: AppTest, point: str, at: Any, value: str, why: str) -> AppTest:
    """Fill in the form of one value."""
    box = page.selectbox(key="entry_point")
    box.set_value(next(option for option in entering.points(WORKS) if option.point == point))
    page.date_input(key="entry_day").set_value(at.date())
    page.time_input(key="entry_time").set_value(at.time())
    field(page, "entry_value").set_value(value)
    field(page, "entry_why").set_value(why)
    return again(page)


def press(page: AppTest, key: str = "entry_send") -> AppTest:
    page.button(key=key).click()
    return again(page)


def context(reader: Reader = WORKER, language: str = "zh_CN", part: str = "values") -> Context:
    asker = data.Asker(Scope("enterprise", enterprise=WORKS))
    return Context(Frame(Text(language), LIGHT, reader, asker), asker, WORKS, "厂", part)


def test_page_lists_what_was_entered_and_what_became_of_it(works: Any) -> None:
    """Each entry with who and why; a refused one says its reason, one beside an automatic value says that value."""
    said = words(opened())
    for expected in (
        "总进线",
        "16,049.00 kWh",
        "采用",
        "自动值优先",
        "自动值 15,678.70 kWh",
        "已更正",
        "抄错，更正",
        "works",
    ):
        assert expected in said, expected
    assert "未采用 测点 e-sum 由公式计算，不接收读数" in said
    english = words(opened(lang="en"))
    assert "Automatic counts" in english
    assert "The point e-sum is computed by a formula" in english


def test_names_and_reasons_with_script_are_text(works: Any) -> None:
    """What a person writes is never code on the page."""
    page = opened()
    html = "\n".join(str(e.proto.body) for e in page.get("html"))
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_value_is_sent_through_the_log_and_taken_in(works: Any) -> None:
    """Who, when and why travel with it; the audit log has it first; the list shows that it counts."""
    settings, noted = works
    before = len(sent(settings, EntryNotice))
    page = filled(opened(), "coal", HOUR - timedelta(hours=2), "600.5", "每日盘库")
    assert "此前 512.125 t （人工）" in words(page)
    page = press(page)
    assert not page.error
    (notice,) = sent(settings, EntryNotice)[before:]
    assert notice.rows == (Entered("coal", to_ms(HOUR - timedelta(hours=2)), "600.5", "t", "每日盘库"),)
    assert (notice.enterprise, notice.by) == (WORKS, "works")
    assert noted == [("works", "entry", f"{WORKS} 1")]
    assert "已提交 1 项，正在入库" in words(page)
    assert field(page, "entry_value").value == ""
    take_in(settings)
    cache.forget()
    page = again(page)
    assert "已入库 1 项" in words(page)
    assert "600.5 t ● 采用" in words(page)


@pytest.mark.parametrize(
    ("point", "hours", "value", "why", "expected"),
    [
        ("coal", 2, "12,5", "盘库", "不是数值"),
        ("coal", 2, "", "盘库", "数值为空"),
        ("t-oven", 2, "1", " ", "缺少字段 填报原因"),
        ("coal", 2, "1.0001", "盘库", "不是最小刻度的整数倍"),
        ("e-main", 2, "1000000.00", "盘库", "超过满码值"),
        ("e-main", 2, "-1", "盘库", "底数为负"),
    ],
)
def test_value_that_cannot_be_taken_is_told_and_not_sent(
    works: Any, point: str, hours: int, value: str, why: str, expected: str
) -> None:
    """The form says the sentence of the reason, keeps what was written, and sends nothing."""
    settings, noted = works
    before = len(sent(settings, EntryNotice))
    at = HOUR - timedelta(hours=hours)
    page = filled(opened(), point, at, value, why)
    page = press(page)
    assert expected in page.error[0].value
    assert len(sent(settings, EntryNotice)) == before
    assert noted == []
    assert field(page, "entry_value").value == value


def test_register_that_steps_back_is_sent_only_when_somebody_insists(works: Any) -> None:
    """Below the value before it: a warning, and no sending until the box is ticked."""
    settings, _ = works
    before = len(sent(settings, EntryNotice))
    page = filled(opened(), "e-main", HOUR - timedelta(hours=1), "15000", "抄表")
    assert any("倒走" in one.value for one in page.warning)
    page = press(page)
    assert "请先核对" in page.error[0].value
    assert len(sent(settings, EntryNotice)) == before
    page.checkbox[0].check()
    page = press(again(page))
    assert len(sent(settings, EntryNotice)) == before + 1


def test_automatic_value_of_the_instant_is_told_before_sending(works: Any) -> None:
    """Whoever enters beside a reading learns that the reading counts; and that an entry there is corrected."""
    page = filled(opened(), "e-main", HOUR - timedelta(hours=6), "15555.25", "核对")
    assert any("自动采集的数值，以它为准" in one.value for one in page.info)
    page = filled(opened(), "e-main", HOUR - timedelta(hours=2), "16049.25", "核对")
    assert any("旧值保留" in one.value for one in page.info)


def test_amount_off_its_interval_is_a_doubt(works: Any) -> None:
    """The time of an amount is the start of an interval."""
    page = filled(opened(), "p-cast", HOUR - timedelta(minutes=30), "2", "补报")
    assert any("采集间隔的起点" in one.value for one in page.warning)


def test_computed_point_cannot_be_chosen(works: Any) -> None:
    """Points that take no readings are not offered."""
    assert [point.point for point in context().points] == ["coal", "e-main", "p-cast", "t-oven"]


def test_form_is_taken_whole_or_not_at_all(works: Any) -> None:
    """A template filled in is sent as one notice; with one mistake nothing is sent, and its row is told."""
    settings, _ = works
    before = len(sent(settings, EntryNotice))
    form = values._template(context())()
    hour = (HOUR - timedelta(hours=3)).strftime("%Y-%m-%d %H:%M")
    rows = [[row[0], hour, {"t-oven": "812.5"}.get(row[0], "700"), row[3], "抄表"] for row in form.rows]
    bad = type(form)(
        form.heads, [*rows, ["nobody", hour, "1", "t", "抄表"], ["coal", "昨天", "1", "t", "抄表"]], {}
    )
    page = opened()
    page.file_uploader[0].set_value(("读数.csv", template_csv(bad), "text/csv"))
    page = again(page)
    said = words(page)
    assert "共有 2 处错误，未提交任何内容" in said
    assert "测点 nobody 未登记" in said
    assert "不是有效时间：昨天" in said
    assert len(sent(settings, EntryNotice)) == before
    good = type(form)(form.heads, [row for row in rows if row[0] in ("coal", "t-oven")], {})
    page = opened()
    page.file_uploader[0].set_value(("读数.xlsx", template_xlsx(good), "application/octet-stream"))
    page = again(page)
    (notice,) = sent(settings, EntryNotice)[before:]
    assert [(row.point, row.value, row.unit) for row in notice.rows] == [
        ("coal", "700", "t"),
        ("t-oven", "812.5", "degC"),
    ]
    assert "已提交 2 项" in words(again(page))
    assert len(sent(settings, EntryNotice)) == before + 1  # the form is not handed in again by the next run


def test_row_refused_by_its_value_is_told_by_the_number_of_its_row(works: Any) -> None:
    """What ingest would refuse is told before anything is sent, with the row of the file."""
    lines = [
        ["测点", "时间", "数值", "原因"],
        ["e-main", "2026-01-01", "1.00", "a"],
        ["e-main", "2026-01-02", "1.001", "a"],
        ["e-main", "2099-01-01", "1", "a"],
    ]
    page = opened()
    page.file_uploader[0].set_value(("x.csv", "\n".join(map(",".join, lines)).encode(), "text/csv"))
    said = words(again(page))
    assert re.search(r"3 换算后不是最小刻度的整数倍：1\.001 kWh", said)
    assert "4 时标超前：2099-01-01 00:00 晚于接收时间" in said


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"a,b\n1,2", b"PK\x03\x04 no workbook"])
def test_file_that_is_no_form_is_told(works: Any, content: bytes) -> None:
    """Whatever is handed in, the page says what it expected."""
    _, noted = works
    for name in ("x.csv", "x.xlsx"):
        page = opened()
        page.file_uploader[0].set_value((name, content, "application/octet-stream"))
        assert "expected" in again(page).error[0].value
    assert noted == []


def test_figures_show_what_stands_and_send_what_changed(works: Any) -> None:
    """The form of the last month holds its figures; only the changed ones are sent, an emptied one is taken back."""
    settings, noted = works
    before = len(sent(settings, ActivityNotice))
    page = opened(part="figures")
    assert field(page, "figure_output_value").value == "1260"
    assert field(page, "figure_output_铸件").value == "830.25"
    field(page, "figure_output_铸件").set_value("")
    field(page, "figure_staff").set_value("1,204")
    page = again(page)
    assert any("将撤回：产量（铸件）" in one.value for one in page.warning)
    page = press(page, "figures_send")
    (notice,) = sent(settings, ActivityNotice)[before:]
    month = f"{(HOUR.replace(day=1) - timedelta(days=1)):%Y-%m}"
    assert {(a.measure, a.period, a.value, a.unit, a.source) for a in notice.activities} == {
        ("staff", month, 1204.0, "persons", "works"),
        ("output:铸件", month, None, "t", "works"),
    }
    assert (notice.origin, notice.by) == ("entered", "works")
    assert noted[-1] == ("works", "activity", f"{WORKS} 2")
    take_in(settings)
    cache.forget()
    said = words(again(page))
    assert "已入库 2 项" in said
    assert "撤回" in said
    assert "1,204 人" in said


def test_product_named_as_markup_is_text_in_every_widget(works: Any) -> None:
    """A name may not be a picture of another server, a link or a formula in the label of a field."""
    settings, _ = works
    name = "![x](http://example.invalid/p.png) **b** $x$"
    page = opened(part="figures")
    next(one for one in page.text_input if str(one.key).startswith("product_")).set_value(name)
    next(
        one for one in page.text_input if str(one.key).endswith("True") and "output" in str(one.key)
    ).set_value("1")
    press(again(page), "figures_send")
    take_in(settings)
    cache.forget()
    page = opened(part="figures")
    label = next(one.label for one in page.text_input if "example" in one.label)
    assert label == parts.plain(f"产量（{name}） [t]")
    assert "![" not in label.replace("\\!\\[", "")


def test_new_product_has_its_output_and_plan(works: Any) -> None:
    """A product that was never told is named once; its figures carry the name."""
    settings, _ = works
    before = len(sent(settings, ActivityNotice))
    page = opened(part="figures")
    next(one for one in page.text_input if str(one.key).startswith("product_")).set_value("蠕铁管")
    next(
        one for one in page.text_input if str(one.key).endswith("True") and "output" in str(one.key)
    ).set_value("12.5")
    page = press(again(page), "figures_send")
    (notice,) = sent(settings, ActivityNotice)[before:]
    assert [(a.measure, a.value) for a in notice.activities] == [("output:蠕铁管", 12.5)]


def test_new_product_that_was_told_before_is_pointed_at(works: Any) -> None:
    """A name that has its fields above gets no second ones, and the form says so."""
    page = opened(part="figures")
    field(page, "product_").set_value("铸件")
    assert [one.value for one in again(page).info] == ["“铸件”已在上方，请填入上方的栏目。"]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [("figure_staff", "-3", "职工人数"), ("figure_staff", "many", "不是数值：many")],
)
def test_figure_that_cannot_be_taken_is_told(works: Any, key: str, value: str, expected: str) -> None:
    """The figure is named with its reason, and nothing is sent."""
    _, noted = works
    page = opened(part="figures")
    field(page, key).set_value(value)
    page = press(again(page), "figures_send")
    assert expected in page.error[0].value
    assert noted == []
    untouched = press(opened(part="figures"), "figures_send")
    assert "没有改动" in untouched.error[0].value


def test_list_of_figures_can_be_edited_and_handed_back(works: Any) -> None:
    """The exported table is a form: read again, it says the figures that stand."""
    told = data.Asker(Scope("enterprise", enterprise=WORKS)).ask(
        "activity_versions", enterprise=WORKS, **figures._span()
    )
    standing = told[told["stands"] & told["value"].notna()]
    for language in ("zh_CN", "en"):
        sheet = figures._sheet(context(language=language, part="figures"), standing)
        for kind, (build, _) in export.FILES.items():
            found, rejected = activities_of(read_form(build(sheet), f"x.{kind}", HEADS, NEEDED))
            assert rejected == []
            assert {(a.measure.partition(":")[0], a.period, a.value) for a in found} == {
                (row["measure"], row["period"], row["value"]) for row in data.records(standing)
            }


def test_exported_entries_hold_who_and_why(works: Any) -> None:
    """The workbook has every column in words, and no formula of a stranger."""
    sheet = values._sheet(context(), values._answer(context()))
    book = openpyxl.load_workbook(io.BytesIO(export.xlsx(sheet)))
    rows = [[cell.value for cell in row] for row in book.active.iter_rows(min_row=4)]
    assert rows[0][:4] == ["填报时间", "填报人", "测点", "测点名称"]
    assert {row[1] for row in rows[1:]} == {"works"}


@pytest.mark.parametrize("role", ["analyst", "enforcement"])
def test_government_does_not_enter(works: Any, reading_as: Says, role: str) -> None:
    """The page is not theirs, and what is sent by other ways is refused."""
    _, noted = works
    reading_as(Reader("gov", "9", role, Scope(role, region="99")))
    assert "您的角色没有这个页面" in words(opened())
    with pytest.raises(InputError, match="may not enter"):
        send.send_values(context(), [])
    assert noted == []


def test_enterprise_cannot_enter_for_another(works: Any, reading_as: Says) -> None:
    """The address of another enterprise shows the own one; a context of another is refused when it is sent."""
    _, noted = works
    page = opened(enterprise=OTHER, part="figures")
    assert "不属于您的范围，或不存在" in words(page)
    assert "北河陶瓷" not in words(page)
    assert "secret of others" not in words(page)
    other = Context(context().frame, context().asker, OTHER, "", "values")
    with pytest.raises(InputError, match="may not enter"):
        send.send_values(other, [])
    with pytest.raises(InputError, match="may not enter"):
        send.send_figures(other, [], "entered")
    reading_as(None)
    with pytest.raises(LoggedOut):
        send.send_values(context(), [])
    assert noted == []


def test_operator_enters_for_whom_he_chooses(works: Any, reading_as: Says) -> None:
    """The operator sees all enterprises and may enter for each."""
    reading_as(OPERATOR)
    page = opened(enterprise=OTHER, part="figures")
    assert "secret of others" in words(page)
    assert len(page.selectbox[0].options) == 2


def test_log_that_is_away_is_told_and_nothing_is_sent(works: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be sent stays in the form, with the reason."""

    def away(_: Settings) -> None:
        raise LogError("no broker")

    page = filled(opened(), "coal", HOUR - timedelta(hours=1), "600.75", "盘库")
    monkeypatch.setattr(send, "open_log", away)
    page = press(page)
    assert "未提交：no broker" in page.error[0].value
    assert field(page, "entry_value").value == "600.75"
