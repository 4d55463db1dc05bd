"""The way in and the top bar in Debian's Chromium: both themes, both widths, by keyboard alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from nengliu.accounts import Account, Accounts, Role
from nengliu.settings import Settings
from tests.dashboards.browser import Browser, missing, until
from tests.dashboards.serving import PASSWORD, enrol

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "runs")
FOCUS = "const e=document.activeElement; return [e.innerText.trim(), getComputedStyle(e).outlineStyle]"
LEAVER = Account("leaver", "将离", Role.ANALYST, region="3205")


@pytest.mark.parametrize(
    ("width", "dark", "language"),
    [(1440, False, "zh_CN"), (1440, True, "en"), (390, False, "en"), (390, True, "zh_CN")],
)
def test_login_of_each_width_theme_and_language_is_whole_and_calm(
    browser: Browser, address: str, width: int, dark: bool, language: str
) -> None:
    """The form stands whole on the screen in the colours of the theme; nothing is asked of anybody else."""
    browser.look(width, 800, dark)
    browser.driver.get("about:blank")  # a page that is left may complain of its torn connection
    browser.complaints()
    browser.driver.get(f"{address}/auth/logout?lang={language}")
    script = "return [getComputedStyle(document.body).backgroundColor, document.documentElement.lang]"
    ground, lang = browser.driver.execute_script(script)
    assert ground == ("rgb(13, 20, 32)" if dark else "rgb(241, 244, 248)")
    assert lang == {"zh_CN": "zh-CN", "en": "en"}[language]
    assert ("You are logged out." if language == "en" else "您已退出。") in browser.words()
    assert (browser.complaints(), browser.strangers(), browser.sideways()) == ([], [], [])


def test_login_by_keyboard_leads_to_the_first_page_of_the_role(browser: Browser, address: str) -> None:
    """Name, tab, password, enter; an enterprise lands on its own page and sees only its ways in the bar."""
    browser.look(1440, 900, dark=False)
    browser.driver.get(f"{address}/auth/logout?lang=en")
    browser.driver.switch_to.active_element.send_keys("plant", Keys.TAB)
    browser.driver.switch_to.active_element.send_keys(PASSWORD, Keys.ENTER)
    until(lambda: "/enterprise" in browser.driver.current_url)
    browser.rest(".nl-foot, .nl-state")
    bar = browser.driver.find_element(By.CSS_SELECTOR, ".st-key-nav")
    assert bar.text.split() == ["事件", "用能单位", "手工填报"]
    assert bar.find_element(By.CSS_SELECTOR, "[aria-current=page]").text == "用能单位"


@pytest.mark.parametrize("width", [1440, 390])
def test_bar_is_walked_by_keyboard_and_marks_the_page(browser: Browser, address: str, width: int) -> None:
    """Every way of the bar is reached by tab, each shows where the focus is, and enter goes there."""
    browser.look(width, 900, dark=False)
    browser.log_in(address, "ops")
    browser.open(f"{address}/enterprise?lang=en", ".nl-foot")
    reached: list[str] = []
    for _ in range(12):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        text, outline = browser.driver.execute_script(FOCUS)
        reached.append(text)
        assert text != "Incidents" or outline == "solid"
    assert [
        word for word in reached if word in ("Overview", "Ranking", "Incidents", "Data quality", "Log out")
    ] == [*("Overview", "Ranking", "Incidents", "Data quality", "Log out")]
    browser.driver.execute_script("document.querySelector('.st-key-way_incidents a').focus()")
    ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
    until(lambda: "/incidents" in browser.driver.current_url)
    assert "lang=en" in browser.driver.current_url
    until(lambda: browser.driver.find_element(By.CSS_SELECTOR, ".nl-here").text == "Incidents")


def test_page_left_open_says_that_the_session_is_over(
    browser: Browser, address: str, plant_settings: Settings, tmp_path: Path
) -> None:
    """An account closed while its page is open: at the next run a sentence and the way back, no figures."""
    enrol(plant_settings, LEAVER)
    browser.look(1440, 900, dark=False)
    browser.log_in(address, "leaver")
    browser.open(f"{address}/enterprise?lang=en", ".nl-foot")
    accounts = Accounts(plant_settings)
    accounts.set_disabled("leaver", disabled=True)
    accounts.close()
    browser.driver.find_element(By.XPATH, "//button[.//text()='Month']").click()
    until(lambda: "Your session is over" in browser.words())
    until(lambda: not browser.driver.find_elements(By.CSS_SELECTOR, ".nl-kpi, .st-key-nav"))
    browser.driver.find_element(By.CSS_SELECTOR, ".nl-state .go").click()
    until(lambda: "Log in" in browser.words())
    assert "next=" in browser.driver.current_url
