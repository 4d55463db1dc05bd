"""Bad input on every page: names that are code, addresses that are nonsense, places with nothing in them."""

from __future__ import annotations

import html as markup
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import openpyxl
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from streamlit.testing.v1 import AppTest

from dashboards import data, export
from dashboards.data import Asker, Questions
from dashboards.i18n import Text
from dashboards.identity import Reader
from dashboards.incidents import sheets
from dashboards.incidents.filters import Wanted
from dashboards.navigation import PAGES, PLACES
from dashboards.store import StoreQuestions
from dashboards.ui.frame import Frame
from dashboards.ui.theme import LIGHT
from nengliu.domain.scope import Scope
from nengliu.settings import Settings
from nengliu.storage import connect, migrate
from tests.dashboards import hostile, watched
from tests.dashboards.browser import Browser, calm, missing
from tests.dashboards.conftest import OPERATOR
from tests.dashboards.hostile import LONELY, NASTY
from tests.dashboards.province import GLASS, NEW, STEEL
from tests.dashboards.serving import enrol, logged_in, request, served
from tests.dashboards.watched import DONE, LINE_LOST, SHELVED, STOOD_STILL, UNNAMED

KEYS = [place.key for place in PLACES]
GLASSMAKER = Reader("glass", "9", "enterprise", Scope("enterprise", enterprise=GLASS))
FILTERS = (
    *("region", "industry", "month", "period", "compare", "by", "measure"),
    *("state", "class", "cause", "order", "page", "text"),
    *("point", "view", "days", "basis", "energy", "date", "as_of", "lang"),
)
NONSENSE = [
    "<script>alert(1)</script>",
    "' OR 1=1 --",
    "x" * 3000,
    "-1",
    "99999999999999999999999",
    "1e309",
    "2026-13-45",
    "0000-00",
    "9999-12-31",
    "٣",
    "\x00\u202e%00",
    "%s{}",
]
WAYS = ["incident?id=" + n for n in (STOOD_STILL, LINE_LOST, SHELVED, DONE, UNNAMED)]
Says = Callable[[Reader | None], None]


@pytest.fixture
def spoilt(hostile_settings: Settings, answering: pytest.MonkeyPatch) -> Questions:
    """Let the province with spoilt names answer."""
    questions = StoreQuestions(hostile_settings)
    answering.setattr(data, "open_store", lambda settings: questions)
    return questions


@pytest.fixture
def empty(plant_settings: Settings, answering: pytest.MonkeyPatch) -> Questions:
    """Let a platform answer that nothing was ever sent to."""
    settings = replace(plant_settings, database="empty")
    client = connect(settings)
    migrate(client, settings.database)
    client.close()
    questions = StoreQuestions(settings)
    answering.setattr(data, "open_store", lambda settings: questions)
    return questions


def run(key: str, **query: str | list[str]) -> AppTest:
    """Run a page at an address; it never ends in an error."""
    page = AppTest.from_file(str(PAGES / f"{key}.py"), default_timeout=60)
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception, (query, page.exception)
    return page


def bodies(page: AppTest) -> str:
    return "\n".join(str(e.proto.body) for e in page.get("html") if "<style>" not in str(e.proto.body))


def words(page: AppTest) -> str:
    return re.sub(r"\s+", " ", markup.unescape(re.sub(r"<[^>]+>", " ", bodies(page))))


# -- names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh_CN", "en"])
@pytest.mark.parametrize("way", [*KEYS, *WAYS])
def test_names_that_are_code_are_text_on_every_page(spoilt: Questions, way: str, language: str) -> None:
    """Script, pictures, markdown, templates and formulas in names and in people's words are shown as written."""
    key, _, incident = way.partition("?id=")
    given = {"id": incident} if incident else {"state": "all"}
    page = run(key, lang=language, **given)
    body = bodies(page)
    assert "<script>" not in body
    assert "<img src=x" not in body
    assert not re.search(r"<[^>]*\son\w+\s*=", re.sub(r'"[^"]*"', '""', body))
    told = [str(e.value) for e in (*page.markdown, *page.caption)]
    assert not [words for words in told if any(word in words for word in NASTY)]
    if key != "incident":
        assert any(word in words(page) for word in NASTY)


@pytest.fixture(scope="module")
def hostile_address(hostile_settings: Settings) -> Iterator[str]:
    """Address of the real server on that province."""
    enrol(hostile_settings, *watched.PEOPLE)
    with served(hostile_settings) as found:
        yield found


@pytest.mark.skipif(bool(missing()), reason=missing() or "runs")
@pytest.mark.parametrize("way", [*(f"{place.path}?" for place in PLACES if not place.above), *WAYS[:2]])
def test_names_that_are_code_run_nowhere_and_in_no_tooltip(
    browser: Browser, hostile_address: str, way: str
) -> None:
    """In a real browser nothing of it runs or becomes an element, while the pointer goes over each chart."""
    if "/auth/" in browser.driver.current_url or hostile_address not in browser.driver.current_url:
        browser.log_in(hostile_address, "chief")
    browser.look(1440, 900, dark=False)
    browser.open(f"{hostile_address}/{way}", ".nl-foot")
    for chart in browser.driver.find_elements(By.CSS_SELECTOR, "[data-testid=stEChartsChart]"):
        browser.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
        for x, y in ((-0.3, 0.0), (0.1, -0.2), (0.35, 0.1)):
            size = chart.size
            where = ActionChains(browser.driver, duration=20)
            where.move_to_element_with_offset(
                chart, int(x * size["width"]), int(y * size["height"])
            ).perform()
    script = "return [window.fallen, document.querySelectorAll('.stApp script, img[onerror]').length]"
    assert browser.driver.execute_script(script) == [None, 0]
    calm(browser)


def test_files_of_spoilt_names_run_no_formula(spoilt: Questions) -> None:
    """A reason that begins as a formula is text in both kinds of file, in every cell."""
    frame = Frame(Text("en"), LIGHT, OPERATOR, Asker(OPERATOR.scope))
    made = sheets.sheet(frame, Wanted(state="all"))
    assert any(str(cell).startswith("=cmd") for cell in made.frame.to_numpy().ravel())
    lines = export.csv(made).decode("utf-8-sig")
    assert not re.search(r'(^|,)"?[=+@-][A-Za-z]', lines, re.MULTILINE)
    book = openpyxl.load_workbook(io.BytesIO(export.xlsx(made))).active
    cells = [cell for row in book.iter_rows() for cell in row if str(cell.value).startswith("=cmd")]
    assert cells
    assert {cell.data_type for cell in cells} == {"s"}


def test_file_of_an_enterprise_holds_its_own_rows_only(spoilt: Questions) -> None:
    """What is taken away is within the scope, whatever the address asked for."""
    frame = Frame(Text("en"), LIGHT, GLASSMAKER, Asker(GLASSMAKER.scope))
    made = sheets.sheet(frame, Wanted(state="all")).frame
    assert set(made["Enterprise code"]) == {GLASS}
    assert sheets.sheet(frame, Wanted(state="all", enterprise=STEEL)).frame.empty


@pytest.mark.parametrize(
    "spoil", [lambda v: v[:-3] + "AAA", lambda v: v[: len(v) // 2], lambda v: "x" * 3000]
)
@pytest.mark.parametrize("path", [place.path for place in PLACES])
def test_forged_session_leads_to_the_login(
    hostile_address: str, path: str, spoil: Callable[[str], str]
) -> None:
    """A cookie that was changed, cut or made up opens no page; the way leads to the form and back."""
    name, _, value = logged_in(hostile_address, "chief").partition("=")
    answer = request(f"{hostile_address}/{path}", f"{name}={spoil(value)}")
    assert answer.status == 303
    assert answer.headers["location"].startswith("/auth/login?next=")


# -- addresses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nonsense", NONSENSE)
@pytest.mark.parametrize("key", KEYS)
def test_address_of_nonsense_is_a_page_all_the_same(watch: Questions, key: str, nonsense: str) -> None:
    """Each filter of each page set to nonsense: the page stands, and shows none of it as markup."""
    known = {"id": STOOD_STILL} if key == "incident" else {}
    for query in (dict.fromkeys(FILTERS, nonsense) | known, {"enterprise": nonsense, "id": nonsense}):
        body = bodies(run(key, **query))
        assert body
        assert "<script>" not in body


@pytest.mark.parametrize("key", KEYS)
def test_address_that_says_a_thing_twice_is_a_page_all_the_same(watch: Questions, key: str) -> None:
    """Of two values of one parameter one is taken; both wrong, none."""
    twice: dict[str, str | list[str]] = {name: ["x", "y"] for name in (*FILTERS, "enterprise", "id")}
    assert bodies(run(key, **twice))


# -- nothing there ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh_CN", "en"])
@pytest.mark.parametrize("key", KEYS)
def test_page_of_an_empty_platform_is_a_plain_sentence(empty: Questions, key: str, language: str) -> None:
    """Where nothing was ever sent, each page says so in the reader's language, without a chart."""
    page = run(key, lang=language)
    text = Text(language)
    said = text("incident.unknown") if key == "incident" else text("state.empty")
    assert said in words(page)
    assert "nl-kpi" not in bodies(page)


@pytest.mark.parametrize("key", [key for key in KEYS if key != "incident"])
def test_enterprise_that_never_sent_anything_is_a_page_without_zeros(watch: Questions, key: str) -> None:
    """Nothing came is said as such: no amount of zero stands in its place."""
    shown = words(run(key, enterprise=NEW, lang="en"))
    assert "This unit has no points yet" in shown or key != "enterprise"
    assert not re.search(r"\b0(\.0+)? (tce|ktce|kWh|MWh|GWh)\b", shown)


@pytest.mark.parametrize("key", ["gov_overview", "gov_ranking", "gov_quality", "incidents"])
def test_region_without_enterprises_is_a_page_all_the_same(spoilt: Questions, key: str) -> None:
    """A region nobody reports from is said to be empty or not to choose from; no number is made up."""
    shown = words(run(key, region=LONELY, lang="en"))
    assert shown
    assert "NaN" not in shown
    assert "nan" not in shown.split()


def test_names_of_this_test_are_really_in_the_store(spoilt: Questions) -> None:
    """The words stand in the store as they are, so that pages had to deal with them."""
    names = spoilt.ask("enterprises", Scope("nation"), None, {}).to_pandas()["name"]
    assert {word for word in NASTY if any(word in name for name in names)} == set(NASTY)
    assert hostile.SCRIPT in NASTY
