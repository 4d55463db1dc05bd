"""The quality page, run without a browser on a real store."""

from __future__ import annotations

import html as markup
import io
import re
import zipfile
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from dashboards import data, export
from dashboards.charts.base import Ink
from dashboards.charts.late import late_heat
from dashboards.data import Questions
from dashboards.government import quality_sheets, quality_tables, trust
from dashboards.government.context import Context
from dashboards.government.filters import Filters
from dashboards.government.places import places
from dashboards.i18n import Text
from dashboards.identity import Reader
from dashboards.ui.frame import Frame
from dashboards.ui.theme import LIGHT
from nengliu.domain.scope import Scope
from tests.dashboards.province import GLASS, MILL, SILENT, STEEL
from tests.dashboards.watched import SCRIPT

PAGE = Path(data.__file__).parent / "pages" / "gov_quality.py"
CHINESE = re.compile(r"[\u4e00-\u9fff]")
ZONE = ZoneInfo("Asia/Shanghai")
Says = Callable[[Reader | None], None]


def opened(**query: str) -> AppTest:
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception, page.exception
    return page


def html(page: AppTest) -> str:
    return "\n".join(str(e.proto.body) for e in page.get("html") if "<style>" not in str(e.proto.body))


def words(page: AppTest) -> str:
    return re.sub(r"\s+", " ", markup.unescape(re.sub(r"<[^>]+>", " ", html(page))))


@pytest.fixture
def context(watch: Questions) -> Context:
    """The province of a reader in English."""
    asker = data.Asker(Scope("analyst", region="99"))
    frame = Frame(Text("en"), LIGHT, Reader("a", "A", "analyst", asker.scope), asker)
    return Context(frame, places(asker), Filters("", "", date(2026, 3, 1), date(2026, 3, 18)))


def test_page_draws_every_card_in_its_language(watch: Questions) -> None:
    """Figures, heat map, who is heard, meter or link, the silent, the held back: all stand there, in words."""
    shown = words(opened(lang="en"))
    for expected in (
        *("data quality", "Enterprises online", "By enterprise and day", "Who is heard", "Meter or link?"),
        *("Silent longest", "Held back", "Point not declared", "Stamp in the future", "Nanping Copper"),
    ):
        assert expected in shown
    assert not CHINESE.search(shown.replace("中文", ""))
    chinese = words(opened())
    assert "表计还是通信？" in chinese
    assert set(re.findall(r"[A-Za-z]{4,}", chinese)) == {"strange"}  # a class nobody knows


def test_online_rate_counts_points_heard_in_their_due_time(context: Context) -> None:
    """Of the province's seven enterprises five are heard: one is silent for two days, one never spoke."""
    frame = trust.online(context)
    assert (frame["enterprises"].sum(), frame["heard"].sum()) == (7, 5)
    cities = trust.grouped(context, frame, "city").set_index("name")
    assert (cities.loc["Beihe", "heard"], cities.loc["Nanping", "heard"]) == (2, 1)
    industries = trust.grouped(context, frame, "industry")
    assert industries["enterprises"].sum() == 7
    assert industries["share"].is_monotonic_increasing


def test_completeness_of_a_day_is_received_over_what_the_catalogue_owes(context: Context) -> None:
    """The glass works sent 91 of 96 of each point; a silent point owes all the same."""
    frame = trust.days(context).set_index(["enterprise", "day"])
    day = pd.Timestamp("2026-02-10")
    assert tuple(frame.loc[(GLASS, day), ["due", "received"]]) == (5 * 96, 5 * 91)
    assert frame.loc[(STEEL, day), "due"] == 6 * 96
    worst = trust.by_unit(trust.days(context))
    assert worst["enterprise"].iloc[0] == GLASS
    assert worst["complete"].iloc[0] == pytest.approx(91 / 96)
    assert worst["estimated_share"].iloc[0] == 1.0


def test_day_of_a_silent_enterprise_is_owed_whole(watch: Questions) -> None:
    """Silence is never nothing: as long as an enterprise is not history, its days are due and not received."""
    at = datetime(2026, 3, 20, 12, tzinfo=ZONE)
    asked = {
        "start": datetime(2026, 3, 10, tzinfo=ZONE),
        "end": datetime(2026, 3, 22, tzinfo=ZONE),
        "now": at,
    }
    rows = pa.Table.to_pylist(
        watch.ask("quality_days", Scope("nation"), None, {**asked, "enterprise": SILENT})
    )
    by_day = {row["day"].day: (row["received"], row["due"]) for row in rows}
    assert by_day[19] == (0, 5 * 96)
    assert by_day[20] == (0, 5 * 48)
    assert 21 not in by_day
    later = {**asked, "now": at + timedelta(days=90)}
    ended = pa.Table.to_pylist(
        watch.ask("quality_days", Scope("nation"), None, {**later, "enterprise": SILENT})
    )
    assert max(row["day"].day for row in ended) == 16


def test_matrix_tells_meter_from_link_by_city(context: Context) -> None:
    """Each cause stands below its class, with a way to its incidents."""
    body = quality_tables.matrix(context)
    assert body.index("Link") < body.index("The line is down") < body.index("The register stands still")
    assert re.search(r'href="incidents\?region=990100&amp;cause=102[^"]*"', body)


def test_silent_points_stand_longest_first_with_those_that_never_spoke(context: Context) -> None:
    """Who is silent beyond the due time is named with its length; who speaks is not."""
    frame = trust.silent(context)
    assert set(frame["enterprise"]) == {SILENT}
    assert frame["silent_s"].between(2 * 86_400 - 60, 2 * 86_400 + 3600).all()


def test_quarantine_is_counted_by_reason_with_words(context: Context) -> None:
    """What was held back stands by reason, most of it first; evidence is not drawn as HTML."""
    frame = trust.quarantined(context)
    assert list(zip(frame["reason"], frame["count"], strict=True)) == [
        ("UNKNOWN_POINT", 7),
        ("STAMP_IN_FUTURE", 2),
    ]
    assert "<script" not in quality_tables.held(context)


def test_lateness_is_drawn_from_grey_to_blue() -> None:
    """A share of late readings is no fault: its scale has no red, and a day without readings stays empty."""
    days = pd.date_range("2026-01-01", periods=2)
    frame = pd.DataFrame(
        {"point": "A", "period_start": days, "received": [100, 0], "late": [25, 0], "due": 96}
    )
    spec = late_heat(frame, {"A": "A"}, {d: f"{d:%m-%d}" for d in days}, Ink(Text("en"), LIGHT))
    assert spec["series"][0]["data"] == [["01-01", "A", 25.0]]
    assert [piece["label"] for piece in spec["visualMap"]["pieces"]][:2] == ["≥50%", "≥20%"]


@pytest.mark.parametrize("card", list(quality_sheets.MAKERS))
def test_numbers_of_each_card_can_be_taken_away(context: Context, card: str) -> None:
    """Each table has written column names, says that it is simulated, and becomes both kinds of file."""
    sheet = quality_sheets.sheet(context, card)
    assert not sheet.frame.empty
    assert not sheet.frame.columns.duplicated().any()
    assert "Simulated data" in sheet.source
    assert export.csv(sheet).startswith(b"\xef\xbb\xbf")
    with zipfile.ZipFile(io.BytesIO(export.xlsx(sheet))) as book:
        assert "xl/worksheets/sheet1.xml" in book.namelist()


def test_wrong_address_falls_back_and_says_so(watch: Questions) -> None:
    """Words nobody knows are named, never run."""
    page = opened(region=SCRIPT, industry="zz", month="soon", period="age", measure="x", lang="en")
    assert "does not exist or is not yours" in words(page)
    assert "<script" not in html(page)
    assert "By enterprise and day" in words(page)


def test_names_with_signs_of_html_are_text(watch: Questions) -> None:
    """Names of enterprises and cities are escaped everywhere."""
    body = html(opened())
    assert "东港<水泥>" not in body
    assert "<东>港市" not in body
    assert MILL in body


def test_reader_of_one_region_sees_no_other(watch: Questions, reading_as: Says) -> None:
    """Region of the reader limits every card."""
    reading_as(Reader("south", "x", "analyst", Scope("analyst", region="9902")))
    body = html(opened(region="990100"))
    assert STEEL not in body
    assert GLASS not in body
    assert SILENT in body


@pytest.mark.parametrize("scope", [Scope("enterprise", enterprise=STEEL), Scope("analyst")])
def test_reader_without_the_page_is_told_so(watch: Questions, reading_as: Says, scope: Scope) -> None:
    """An enterprise has no quality page; a reader whose limit was forgotten sees nothing."""
    reading_as(Reader("x", "x", scope.role, scope))
    assert STEEL not in html(opened())


def test_platform_without_data_is_a_sentence(answering: pytest.MonkeyPatch) -> None:
    """Without enterprises the page says how to fill it."""

    class Nobody:
        def ask(self, name: str, *_: object) -> pa.Table:
            columns = {"regions": ["region", "name", "name_en"], "coverage": ["region", "industry"]}
            return pa.table({c: pa.array([], pa.string()) for c in columns.get(name, ["enterprise"])})

    answering.setattr(data, "open_store", lambda settings: Nobody())
    assert "<code>nengliu demo</code>" in html(opened())
