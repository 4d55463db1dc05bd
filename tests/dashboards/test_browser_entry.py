"""The page of entry by hand in Debian's Chromium: whole in every look, and used as people use it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from nengliu.accounts import Account, Accounts, Role
from nengliu.settings import Settings
from schemas.messages import ActivityNotice, EntryNotice
from tests.dashboards.browser import Browser, calm, missing, until
from tests.dashboards.entering import OTHER, WORKS, sent, take_in
from tests.dashboards.serving import enrol, served
from tests.dashboards.test_browser_pages import CHINESE, ENGLISH, HOLE, KEY, SKIP

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "runs")
WORKER = Account("works", "1042", Role.ENTERPRISE, enterprise=WORKS)
GIVEN = (
    "中文",
    "抄错，更正",
    "表计显示屏损坏，现场抄表",
    "每日盘库",
    "统计月报",
    "年度计划",
    "更正",
    "铸件",
    "球铁管",
)
"""What people wrote: it is shown as it is in either language."""


@pytest.fixture(scope="module")
def works(works_settings: Settings, browser: Browser) -> Iterator[str]:
    """Address of the page of the works, its energy manager logged in."""
    enrol(works_settings, WORKER)
    with served(works_settings) as address:
        browser.look(1440, 900, dark=False)
        browser.log_in(address, "works")
        browser.complaints()
        browser.strangers()
        yield address


@pytest.mark.parametrize(
    ("part", "dark", "language"), list(product(("values", "figures"), (False, True), ("zh_CN", "en")))
)
def test_page_of_each_width_theme_and_language_is_whole_and_calm(
    browser: Browser, works: str, part: str, dark: bool, language: str
) -> None:
    """Nothing is cut, nothing complains, no word of the other language, no key and no hole."""
    for width in (1440, 390):
        browser.look(width, 900, dark)
        browser.open(f"{works}/entry?part={part}&lang={language}", ".nl-foot")
        calm(browser)
        ground = "return getComputedStyle(document.querySelector('.stApp')).backgroundColor"
        assert browser.driver.execute_script(ground) == ("rgb(13, 20, 32)" if dark else "rgb(241, 244, 248)")
        shown = browser.words()
        for known in (SKIP, *GIVEN):
            shown = shown.replace(known, "")
        wrong = CHINESE if language == "en" else ENGLISH
        assert not [line for line in shown.splitlines() if any(m.search(line) for m in (KEY, HOLE, wrong))]
        assert browser.driver.execute_script("return document.querySelectorAll('.stApp script').length") == 0


def test_value_typed_and_sent_by_one_click_is_in_the_log_and_then_in_the_list(
    browser: Browser, works: str, works_settings: Settings
) -> None:
    """Type, click once: who, when and why are in the log and the audit log, and the list shows that it counts."""
    browser.look(1440, 900, dark=False)
    browser.open(f"{works}/entry?lang=en", ".nl-foot")
    before = len(sent(works_settings, EntryNotice))
    _type(browser, "[class*=st-key-entry_value] input", "99999.875")
    _type(browser, "[class*=st-key-entry_why] input", "stock taken", leave=False)
    browser.driver.find_element(By.CSS_SELECTOR, ".st-key-entry_send button").click()
    until(lambda: len(sent(works_settings, EntryNotice)) == before + 1)
    notice = sent(works_settings, EntryNotice)[-1]
    assert isinstance(notice, EntryNotice)
    assert [(row.point, row.value, row.why) for row in notice.rows] == [("coal", "99999.875", "stock taken")]
    until(lambda: "Sent: 1, on its way" in browser.words())
    take_in(works_settings)
    until(lambda: "Taken in: 1" in browser.words())
    line = "//tr[contains(., '99,999.875 t')]"
    until(lambda: "Counts" in browser.driver.find_element(By.XPATH, line).text)
    accounts = Accounts(works_settings)
    assert (accounts.deeds()[-1].login, accounts.deeds()[-1].action) == ("works", "entry")
    accounts.close()
    calm(browser)


def test_form_of_figures_is_handed_in_and_mistakes_are_told(
    browser: Browser, works: str, works_settings: Settings, tmp_path: Path
) -> None:
    """A file chosen as a person does: first with a mistake, which is told by its row, then right, which is sent."""
    browser.look(390, 900, dark=True)
    browser.open(f"{works}/entry?part=figures", ".nl-foot")
    before = len(sent(works_settings, ActivityNotice))
    head = "期间,指标,产品,数值,单位\n"
    wrong, right = tmp_path / "错.csv", tmp_path / "对.csv"
    wrong.write_text(f"{head}2026-03,产量,球铁管,12.5,吨\n2026-13,产值,,1,万元\n", encoding="utf-8")
    right.write_text(f'{head}2026-03,产量,球铁管,12.5,吨\n2026年3月,产值,,"1,300",万元\n', encoding="utf-8")
    choose = "[data-testid=stFileUploaderDropzoneInput]"
    browser.driver.find_element(By.CSS_SELECTOR, choose).send_keys(str(wrong))
    until(lambda: "共有 1 处错误，未提交任何内容" in browser.words())
    assert "不是有效时间：2026-13" in browser.words()
    calm(browser)
    assert len(sent(works_settings, ActivityNotice)) == before
    browser.open(f"{works}/entry?part=figures", ".nl-foot")
    browser.driver.find_element(By.CSS_SELECTOR, choose).send_keys(str(right))
    until(lambda: len(sent(works_settings, ActivityNotice)) == before + 1)
    notice = sent(works_settings, ActivityNotice)[-1]
    assert isinstance(notice, ActivityNotice)
    assert (notice.origin, notice.by) == ("imported", "works")
    assert [(a.measure, a.period, a.value) for a in notice.activities] == [
        ("output:球铁管", "2026-03", 12.5),
        ("output_value", "2026-03", 1300.0),
    ]
    until(lambda: "已提交 2 项" in browser.words())
    calm(browser)


def test_templates_and_lists_can_be_taken_away(browser: Browser, works: str) -> None:
    """Both kinds of template and of list are offered on the page."""
    browser.look(1440, 900, dark=False)
    for part, name in (("values", "entries"), ("figures", "activities")):
        browser.open(f"{works}/entry?part={part}", ".nl-foot")
        for key in ("template_csv", "template_xlsx", f"get_csv_{name}", f"get_xlsx_{name}"):
            assert browser.driver.find_element(By.CSS_SELECTOR, f".st-key-{key} button").is_enabled()


def test_address_of_another_enterprise_shows_nothing_of_it(browser: Browser, works: str) -> None:
    """The own page is shown, with a plain sentence."""
    browser.open(f"{works}/entry?enterprise={OTHER}&part=figures", ".nl-foot")
    assert "不属于您的范围，或不存在" in browser.words()
    assert "北河陶瓷" not in browser.words()
    assert browser.strangers() == []


def _type(browser: Browser, field: str, words: str, *, leave: bool = True) -> None:
    """Type into a field as a person does; leaving it lets the page run."""
    found = browser.driver.find_element(By.CSS_SELECTOR, field)
    found.click()
    found.send_keys(words, *([Keys.TAB] if leave else []))
    if leave:
        browser.rest(".nl-foot")
