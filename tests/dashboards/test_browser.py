"""The page in Debian's Chromium: nothing leaves the machine, nothing is cut, nothing complains."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from nengliu.settings import Settings
from tests.dashboards.browser import Browser, calm, missing, until
from tests.dashboards.plant import PLANT
from tests.dashboards.serving import enrol, fetch, logged_in, served

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "runs")
DAY = f"enterprise?enterprise={PLANT}&date=2026-03-17"


@pytest.fixture(scope="module", autouse=True)
def operator(browser: Browser, address: str) -> None:
    """The operator is logged in."""
    browser.log_in(address, "ops")


def test_shell_of_each_language_says_its_language(address: str) -> None:
    """The HTML shell is Chinese by default and English where the address asks for it, at deep links too."""
    cookie = logged_in(address, "ops")
    status, shell = fetch(f"{address}/{DAY}", cookie)
    assert status == 200
    assert '<html lang="zh-CN">' in shell
    assert "BACKEND_BASE_URL:location.origin" in shell
    assert '<html lang="en">' in fetch(f"{address}/?lang=en", cookie)[1]
    assert "html" not in fetch(f"{address}/_stcore/health")[1]


def test_charts_and_pictures_all_say_what_they_show(browser: Browser, address: str) -> None:
    """Every chart has a description for those who cannot see it, every picture an alt."""
    browser.look(1440, 900, dark=False)
    browser.open(f"{address}/{DAY}&lang=en")
    script = (
        "return [...document.querySelectorAll('[data-testid=stEChartsChart]')].map(c=>"
        "(c.closest('[aria-label]')||c.querySelector('[aria-label]')||c).getAttribute('aria-label'))"
    )
    labels = browser.driver.execute_script(script)
    assert len(labels) == 5
    assert all(label and len(label) > 10 for label in labels), labels
    bare = "return document.querySelectorAll('[data-testid=stMain] img:not([alt]), [data-testid=stSidebar]').length"
    assert browser.driver.execute_script(bare) == 0
    assert "Simulated data" in browser.words()


def test_root_leads_to_the_page_and_keeps_the_language(browser: Browser, address: str) -> None:
    """The default page only routes; the language asked for survives."""
    browser.look(1440, 900, dark=False)
    browser.open(f"{address}/?lang=en")
    assert "/gov-overview" in browser.driver.current_url
    assert "lang=en" in browser.driver.current_url
    calm(browser)


def test_choice_on_the_page_is_in_the_address(browser: Browser, address: str) -> None:
    """A view can be linked to: the period chosen by a click stands in the address."""
    browser.look(1440, 900, dark=False)
    browser.open(f"{address}/{DAY}&lang=en")
    browser.driver.find_element(By.XPATH, "//button[.//text()='Month']").click()
    until(lambda: "period=month" in browser.driver.current_url)
    browser.rest(".nl-foot")
    assert "2026-03" in browser.driver.find_element(By.CSS_SELECTOR, ".nl-kpi.main").text
    calm(browser)


@pytest.mark.parametrize(("width", "dark"), [(1440, True), (390, False)])
def test_collection_card_of_each_width_and_theme_says_what_is_down(
    browser: Browser, address: str, width: int, dark: bool
) -> None:
    """The panel stands whole on the screen, with a block per collector and pills in the colours of its theme."""
    browser.look(width, 900, dark)
    browser.open(f"{address}/{DAY}&lang=en")
    card = browser.driver.find_element(By.CSS_SELECTOR, ".st-key-card_collection")
    assert "rs485-1 / 103" in card.text
    assert len(card.find_elements(By.CSS_SELECTOR, ".nl-link")) == 3
    script = "return getComputedStyle(document.querySelector('.nl-link .nl-bad')).backgroundColor"
    shade = [int(part) for part in browser.driver.execute_script(script)[4:-1].split(",")]
    assert (sum(shade) < 3 * 128) is dark
    calm(browser)


def test_numbers_of_the_missed_readings_stay_open_over_a_live_refresh(browser: Browser, address: str) -> None:
    """The cards refresh every ten seconds; whoever reads the numbers is not disturbed."""
    browser.look(1440, 900, dark=False)
    browser.open(f"{address}/{DAY}&lang=en", ".st-key-numbers_missed button")
    button = browser.driver.find_element(By.CSS_SELECTOR, ".st-key-numbers_missed button")
    browser.driver.execute_script("arguments[0].click()", button)
    frame = "[role=dialog] [data-testid=stDataFrame]"
    until(lambda: bool(browser.driver.find_elements(By.CSS_SELECTOR, frame)))
    time.sleep(11)
    assert browser.driver.find_elements(By.CSS_SELECTOR, frame)
    calm(browser)


@pytest.mark.parametrize("width", [1440, 390])
def test_numbers_of_a_card_open_and_can_be_taken_away(browser: Browser, address: str, width: int) -> None:
    """The numbers behind the curve open in place, with both files, without leaving the screen."""
    browser.look(width, 900, dark=False)
    browser.open(f"{address}/{DAY}&lang=en", ".st-key-numbers_curve button")
    button = browser.driver.find_element(By.CSS_SELECTOR, ".st-key-numbers_curve button")
    browser.driver.execute_script("arguments[0].click()", button)
    until(
        lambda: bool(browser.driver.find_elements(By.CSS_SELECTOR, "[role=dialog] [data-testid=stDataFrame]"))
    )
    browser.rest("[role=dialog]")
    assert (
        len(browser.driver.find_elements(By.CSS_SELECTOR, "[role=dialog] [data-testid=stDownloadButton]"))
        == 2
    )
    calm(browser)


def test_page_without_store_says_what_to_start_and_recovers_by_itself(
    browser: Browser, tmp_path: Path, plant_settings: Settings
) -> None:
    """Without a store the page says what to start, calmly; when the store is there it draws itself."""
    browser.look(390, 900, dark=False)
    settings = replace(plant_settings, home=tmp_path)
    enrol(settings)
    with served(settings) as address:
        browser.log_in(address, "ops")
        browser.open(f"{address}/enterprise?lang=en")
        assert "nengliu up" in browser.words()
        calm(browser)
        (tmp_path / "store").symlink_to(plant_settings.store_home)
        until(lambda: "Jiangnan" in browser.words())
        browser.rest(".nl-foot")
        calm(browser)
