"""Every page in Debian's Chromium: both languages, both themes, both widths; then the ways through them by clicks."""

from __future__ import annotations

import re
from itertools import product

import pytest
from selenium.webdriver.common.by import By

from dashboards.i18n import flat
from dashboards.navigation import PLACES
from nengliu.bus.open import open_log
from nengliu.settings import Settings
from schemas.messages import ActionNotice, decode
from schemas.topics import RAW
from tests.dashboards import watched
from tests.dashboards.browser import Browser, calm, missing, until
from tests.dashboards.plant import PLANT
from tests.dashboards.province import GLASS, MILL
from tests.dashboards.watched import DONE, LINE_LOST, STOOD_STILL

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "runs")
QUERIES = {
    "gov_overview": ("",),
    "gov_ranking": ("", "by=enterprise&measure=deviation"),
    "incidents": ("state=all",),
    "incident": (f"id={STOOD_STILL}", f"id={LINE_LOST}"),
    "gov_quality": ("",),
    "enterprise": (f"enterprise={PLANT}&date=2026-03-17",),
    "entry": (f"enterprise={GLASS}", f"enterprise={GLASS}&part=figures"),
}
"""What is opened of each page of the navigation."""
PAGES = [f"{place.path}?{query}" for place in PLACES for query in QUERIES[place.key]]
LOOKS = list(product((False, True), ("zh_CN", "en")))
CHINESE = re.compile(r"[\u4e00-\u9fff]")
ENGLISH = re.compile(r"\b[A-Za-z]{3,} [a-z]{2,} [a-z]{2,}\b")
FAMILIES = "|".join(sorted({key.partition(".")[0] for key in flat("en")}))
KEY = re.compile(rf"\b(?:{FAMILIES})\.[a-z_]+\b")
SKIP = (
    "Skip to main content"  # the one sentence of Streamlit that has no other language; seen by keyboard only
)
HOLE = re.compile(r"\{\w*\}|\bundefined\b|\bNaN\b|\bnan\b|\bNone\b|\bNaT\b|\[object")


@pytest.fixture(autouse=True)
def quiet(browser: Browser) -> None:
    """What an earlier test left on the console is its own."""
    browser.complaints()
    browser.strangers()


@pytest.fixture(scope="module")
def chief(browser: Browser, address: str) -> Browser:
    """The browser of an operator who sees all."""
    browser.log_in(address, "chief")
    return browser


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(("dark", "language"), LOOKS)
def test_page_of_each_width_theme_and_language_is_whole_and_calm(
    chief: Browser, address: str, page: str, dark: bool, language: str
) -> None:
    """Loaded at one width and turned to the other: no complaint, no request that leaves the machine, nothing cut."""
    first, second = (1440, 390) if dark else (390, 1440)
    chief.look(first, 900, dark)
    chief.open(f"{address}/{page}&lang={language}", ".nl-foot")
    _whole(chief, dark, language)
    chief.look(second, 900, dark)
    chief.rest(".nl-foot")
    _whole(chief, dark, language)


def _whole(browser: Browser, dark: bool, language: str) -> None:
    """Assert that a page is calm, in the colours of its theme, in words of its language, without a key or a hole."""
    calm(browser)
    script = (
        "const c=s=>getComputedStyle(document.querySelector(s)).backgroundColor;"
        "return [document.documentElement.lang, c('.stApp'), c('[class*=st-key-card]'),"
        "document.querySelectorAll('[data-testid=stMain] img:not([alt])').length]"
    )
    lang, ground, card, bare = browser.driver.execute_script(script)
    assert lang == {"zh_CN": "zh-CN", "en": "en"}[language]
    assert ground == ("rgb(13, 20, 32)" if dark else "rgb(241, 244, 248)")
    assert card == ("rgb(21, 31, 46)" if dark else "rgb(255, 255, 255)")
    assert bare == 0
    shown = browser.words()
    for known in (SKIP, "中文", watched.PEOPLE[0].name):
        shown = shown.replace(known, "")
    wrong = CHINESE if language == "en" else ENGLISH
    assert not [line for line in shown.splitlines() if any(m.search(line) for m in (KEY, HOLE, wrong))]


@pytest.mark.parametrize(
    "page",
    [
        f"incident?id={DONE}",
        "incident?id=nobody",
        "incidents?class=%3Cscript%3E",
        f"enterprise?enterprise={MILL}",
    ],
)
def test_page_that_holds_script_or_nonsense_stays_calm(chief: Browser, address: str, page: str) -> None:
    """Script in names and words of an address is text."""
    chief.look(390, 900, dark=False)
    chief.open(f"{address}/{page}")
    calm(chief)
    assert chief.driver.execute_script("return document.querySelectorAll('.stApp script').length") == 0


def test_incident_is_acknowledged_by_a_click_end_to_end(
    browser: Browser, address: str, screen_settings: Settings
) -> None:
    """Enforcement starts at the queue; the click is in the log, and the page shows when it has taken effect."""
    browser.look(1440, 900, dark=False)
    browser.log_in(address, "north")
    browser.open(f"{address}/?lang=en", ".nl-foot")
    assert "/incidents" in browser.driver.current_url
    browser.driver.find_element(By.CSS_SELECTOR, f".st-key-do_{LINE_LOST} button").click()
    line = f".st-key-inc_{LINE_LOST}"
    until(lambda: "sent, taking effect" in browser.driver.find_element(By.CSS_SELECTOR, line).text)
    (notice,) = _actions(screen_settings)
    assert (notice.enterprise, notice.incident, notice.by) == (GLASS, LINE_LOST, "north")
    at = watched.now()
    rows = watched.incidents(at)
    rows = rows[rows["incident"] == LINE_LOST]
    told = rows.assign(state="active_ack", acknowledged_by="north", acknowledged_at=str(at), revision=99)
    watched.write(screen_settings, {"incident": told})
    until(
        lambda: "✓Acknowledged" in browser.driver.find_element(By.CSS_SELECTOR, line).text.replace("\n", ""),
        30,
    )
    calm(browser)


def test_shelving_asks_for_a_reason_that_stays_over_a_refresh(
    browser: Browser, address: str, screen_settings: Settings
) -> None:
    """The dialog refuses an empty reason, is not closed by the live refresh, and sends what was said."""
    browser.look(1440, 900, dark=False)
    browser.log_in(address, "chief")
    browser.open(f"{address}/incident?id={STOOD_STILL}&lang=en")
    before = len(_actions(screen_settings))
    _choose(browser, STOOD_STILL, "Shelve")
    dialog = "[role=dialog]"
    until(lambda: bool(browser.driver.find_elements(By.CSS_SELECTOR, f"{dialog} textarea")))
    browser.driver.find_element(By.CSS_SELECTOR, ".st-key-incident_send button").click()
    until(lambda: "Please say why" in browser.words())
    area = browser.driver.find_element(By.CSS_SELECTOR, f"{dialog} textarea")
    area.send_keys("planned repair")
    browser.driver.execute_script("arguments[0].blur()", area)
    browser.rest(dialog)
    browser.driver.find_element(By.CSS_SELECTOR, ".st-key-incident_send button").click()
    until(lambda: len(_actions(screen_settings)) == before + 1)
    sent = next(n for n in _actions(screen_settings) if n.action == "shelve")
    assert (sent.reason, sent.until_s - sent.at_s) == ("planned repair", 8 * 3600)
    until(lambda: "Shelve: sent" in browser.words())
    calm(browser)


def test_reader_drills_from_the_queue_to_incident_and_enterprise(chief: Browser, address: str) -> None:
    """Each name is a way on: from the queue to the incident, from there to the enterprise."""
    chief.log_in(address, "chief")
    chief.look(1440, 900, dark=True)
    chief.open(f"{address}/incidents?lang=en&enterprise={GLASS}")
    chief.driver.find_element(By.CSS_SELECTOR, f'a[href*="{LINE_LOST}"]').click()
    until(lambda: "/incident?" in chief.driver.current_url)
    chief.rest(".nl-foot")
    assert "The line is down" in chief.words()
    chief.driver.find_element(By.CSS_SELECTOR, f'.nl-facts a[href*="{GLASS}"]').click()
    until(lambda: "/enterprise?" in chief.driver.current_url)
    chief.rest(".nl-foot, .nl-state")
    assert "Beihe Glass" in chief.words()
    calm(chief)


def test_enterprise_sees_its_own_pages_and_nothing_else(browser: Browser, address: str) -> None:
    """An enterprise has its page and its incidents; the government's pages are not for it."""
    browser.look(390, 900, dark=True)
    browser.log_in(address, "glass")
    browser.open(f"{address}/incidents", ".nl-foot")
    assert "北河钢铁" not in browser.words()
    browser.open(f"{address}/gov-quality")
    assert "北河钢铁" not in browser.words()
    browser.open(f"{address}/incident?id={STOOD_STILL}&lang=en")
    assert "There is no such incident here" in browser.words()
    assert browser.strangers() == []


def test_reader_who_logs_out_is_out(browser: Browser, address: str) -> None:
    """Log out leads to the form, and no page opens without logging in again."""
    browser.look(1440, 900, dark=False)
    browser.log_in(address, "chief")
    browser.open(f"{address}/incidents?lang=en", ".nl-foot")
    browser.driver.find_element(By.CSS_SELECTOR, '.nl-me a[href*="logout"]').click()
    until(lambda: "/auth/" in browser.driver.current_url)
    browser.driver.get(f"{address}/gov-quality")
    until(lambda: "/auth/login" in browser.driver.current_url)


def _actions(settings: Settings) -> list[ActionNotice]:
    """Give the actions in the log of an installation."""
    with open_log(settings) as log:
        records = [r for p in range(settings.partitions) for r in log.read(RAW, p, 0, 1000)]
    return [notice for record in records if isinstance(notice := decode(record.value), ActionNotice)]


def _choose(browser: Browser, incident: str, words: str) -> None:
    """Open the menu of an incident and choose from it."""
    browser.driver.find_element(By.CSS_SELECTOR, f".st-key-more_{incident} button").click()
    found = f"//*[@role='menuitem' or @role='option'][contains(., '{words}')]"
    until(lambda: bool(browser.driver.find_elements(By.XPATH, found)))
    browser.driver.find_element(By.XPATH, found).click()
