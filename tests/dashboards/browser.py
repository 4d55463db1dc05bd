"""Debian's Chromium without a screen: opens pages, keeps its console and every request it makes."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from urllib.parse import urlparse

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.dashboards.serving import PASSWORD

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars"
)
_LOCAL = {"localhost", "127.0.0.1", ""}
WAIT_S = 60.0
"""What must come has this long on a busy machine [s]; on an idle one it comes within a second."""


def missing() -> str:
    """Give the reason why no browser test can run, or an empty text."""
    return (
        "" if shutil.which(CHROMIUM) and shutil.which(DRIVER) else f"{CHROMIUM} or {DRIVER} is not installed"
    )


def until(holds: Callable[[], bool], wait_s: float = WAIT_S) -> None:
    """Wait until something holds; what asks for an element that is not there, or no more, does not hold."""
    end = time.monotonic() + wait_s
    while not _holds(holds):
        assert time.monotonic() < end
        time.sleep(0.05)


def _holds(holds: Callable[[], bool]) -> bool:
    try:
        return holds()
    except (NoSuchElementException, StaleElementReferenceException):
        return False


def calm(browser: Browser) -> None:
    """Assert that nothing complained, nothing left the machine, and nothing reaches beyond the screen."""
    for found in (browser.complaints(), browser.strangers(), browser.sideways()):
        assert not found, found


class Browser:
    """One browser with an own profile; a context manager."""

    def __init__(self, profile: Path) -> None:
        options = Options()
        options.binary_location = CHROMIUM
        for flag in [*_FLAGS.split(), f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.driver.quit()

    def look(self, width: int, height: int, dark: bool, ratio: float = 1.0) -> None:
        """Set the size of the screen and the wished theme of the system."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": ratio, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def open(self, address: str, wanted: str = ".nl-foot, .nl-state", wait_s: float = WAIT_S) -> None:
        """Open an address and wait until the page has come to rest."""
        self.driver.get(address)
        self.rest(wanted, wait_s)

    def log_in(self, address: str, login: str, password: str = PASSWORD) -> None:
        """Fill in the form as a person does; the cookie stays with the browser."""
        self.driver.get(f"{address}/auth/logout")
        for name, value in (("login", login), ("password", password)):
            self.driver.find_element(By.NAME, name).send_keys(value)
        self.driver.find_element(By.CSS_SELECTOR, "button").click()
        until(lambda: "/auth/" not in self.driver.current_url)

    def rest(self, wanted: str, wait_s: float = WAIT_S) -> None:
        """Wait until what is wanted stands on the page, no script runs, and every chart is drawn."""
        end = time.monotonic() + wait_s
        ready = (
            "const done=document.querySelectorAll(arguments[0]).length>0;"
            "const app=document.querySelector('[data-testid=stApp]');"
            "const idle=app&&app.getAttribute('data-test-script-state')==='notRunning';"
            "const charts=[...document.querySelectorAll('[data-testid=stEChartsChart]')]"
            ".every(c=>c.querySelector('svg,canvas'));"
            "const whole=!document.querySelector('[data-testid=stSkeleton]');return done&&idle&&charts&&whole"
        )
        while time.monotonic() < end:
            if self.driver.execute_script(ready, wanted):
                time.sleep(0.2)
                return
            time.sleep(0.1)
        raise AssertionError(f"the page did not come to rest within {wait_s} s: {self.words()[:400]}")

    def words(self) -> str:
        """Give all words on the page."""
        return str(self.driver.execute_script("return document.body.innerText"))

    def picture(self, file: Path) -> None:
        """Take a picture of the whole page."""
        height = self.driver.execute_script(
            "const m=document.querySelector('[data-testid=stMain]');"
            "return m?m.scrollHeight:document.body.scrollHeight"
        )
        size = self.driver.execute_script("return [innerWidth,devicePixelRatio]")
        metrics = {
            "width": size[0],
            "height": int(height),
            "deviceScaleFactor": size[1],
            "mobile": size[0] < 600,
        }
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        time.sleep(0.5)
        self.driver.save_screenshot(str(file))

    def sideways(self) -> list[str]:
        """Give the elements that reach beyond the right edge of the screen."""
        script = (
            "const w=document.documentElement.clientWidth,out=[];"
            "const m=document.querySelector('[data-testid=stMain]')||document.body;"
            "if(m.scrollWidth>m.clientWidth+1)out.push('main '+m.scrollWidth+'>'+m.clientWidth);"
            "document.querySelectorAll('[data-testid=stMain] *').forEach(e=>{"
            "const r=e.getBoundingClientRect();"
            "if(r.width>1&&r.right>w+1&&!e.closest('svg,canvas,.nl-scroll'))"
            "out.push(e.tagName+'.'+e.className+' '+Math.round(r.right))});"
            "document.querySelectorAll('.nl-scroll').forEach(e=>{if(e.scrollWidth>e.clientWidth+1)"
            "out.push('table '+e.scrollWidth+'>'+e.clientWidth)});"
            "return out"
        )
        return list(self.driver.execute_script(script))

    def complaints(self) -> list[str]:
        """Give errors of the console since the last call."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]

    def strangers(self) -> list[str]:
        """Give the addresses asked outside this machine since the last call."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
                params = message["params"]
                address = params["url"] if "url" in params else params["request"]["url"]
                part = urlparse(address)
                if part.scheme in ("http", "https", "ws", "wss") and part.hostname not in _LOCAL:
                    found.append(address)
        return found
