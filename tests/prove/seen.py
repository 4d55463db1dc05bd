"""Point 5: what a newcomer is told of a meter, a line and a collector that are down, by query and by page."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import edge
import rig

sys.path.insert(0, str(Path(__file__).parents[1] / "dashboards"))

from browser import Browser, missing

INTERVAL_S = 5
SILENT_AFTER_S = 15
PATIENCE_S = 60
Row = dict[str, object]


def prove(report: rig.Report) -> None:
    """Run plant, collector, flows and page in real time, and take things away one after the other."""
    with rig.Installation() as installation:
        home, port = installation.home, free_port()
        faults = home / "faults.toml"
        faults.write_text(
            f'[[faults]]\nkind = "silent"\nline = "electricity"\nmeter = "press"\nafter_s = {SILENT_AFTER_S}\n'
        )
        config = home / "collector.toml"
        words = (
            "--port",
            str(port),
            "--interval",
            str(INTERVAL_S),
            "--faults",
            str(faults),
            "--write-config",
            str(config),
        )
        installation.start("simulate", installation.command("simulate", *words))
        silent_from_ms = time.time() * 1000 + SILENT_AFTER_S * 1000
        until(config.exists)
        installation.start("collector", installation.command("collect"))
        installation.start("flow", installation.command("flow", "all"))
        page = free_port()
        installation.start("page", installation.command("dashboard", "--port", str(page)))
        meter(installation, report, silent_from_ms)
        on_page(installation, report, page, "press")
        line(installation, report)
        collector(installation, report)


def meter(installation: rig.Installation, report: rig.Report, silent_from_ms: float) -> None:
    """One meter falls silent."""
    row = wait_for(installation, lambda row: row["meter"] == "press" and row["state"] == "down")
    late_s = (edge.instant_ms(str(row["since"])) - silent_from_ms) / 1000 if row else -1.0
    others = [one for one in links(installation) if one["meter"] not in ("", "press")]
    well = sum(one["state"] == "up" for one in others)
    report.point(
        "5 a silent meter: `nengliu query links`",
        f"{told(row)}; {late_s:.0f} s after it fell silent; {well} of {len(others)} others up",
        holds=bool(row) and row["reason"] == "TIMEOUT" and -1 <= late_s <= 2 * INTERVAL_S
        and well == len(others),
    )  # fmt: skip


def line(installation: rig.Installation, report: rig.Report) -> None:
    """The converter dies: both lines are down, and their meters unknown rather than down."""
    installation.kill("simulate")
    row = wait_for(
        installation, lambda row: row["line"] == "media" and not row["meter"] and row["state"] == "down"
    )
    wait_for(installation, lambda row: row["meter"] == "grid" and row["state"] == "unknown")
    rows = links(installation)
    lines = [one for one in rows if one["line"] and not one["meter"]]
    meters = [one for one in rows if one["meter"]]
    report.point(
        "5 a dead converter: the lines are down, their meters unknown",
        f"{told(row)}; lines {states(lines)}, meters {states(meters)}",
        holds=states(lines) == {"down"} and states(meters) == {"unknown"},
    )


def collector(installation: rig.Installation, report: rig.Report) -> None:
    """The collector is stopped; another time it just falls silent."""
    installation.children["collector"].send_signal(signal.SIGTERM)
    row = wait_for(installation, lambda row: not row["line"] and row["state"] == "down")
    report.point("5 a stopped collector", told(row), holds=bool(row) and row["reason"] == "COLLECTOR_DOWN")
    later = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 3600))
    installation.start("collector", installation.command("collect"))
    wait_for(installation, lambda row: not row["line"] and row["state"] == "up")
    installation.kill("collector")
    row = next((one for one in installation.ask("links", now=later) if not one["line"]), None)
    report.point(
        "5 a collector that is not heard of", told(row), holds=bool(row) and row["state"] == "silent"
    )


def on_page(installation: rig.Installation, report: rig.Report, port: int, name: str) -> None:
    """The page says the same in words."""
    if missing():
        report.note(f"5 the page was not looked at: {missing()}")
        return
    address = f"http://127.0.0.1:{port}/enterprise?lang=en"
    until(lambda: answers(port))
    with Browser(installation.home / "profile") as browser:
        browser.look(1440, 900, dark=False)
        browser.open(address, ".st-key-card_collection", 60)
        said = browser.driver.find_element("css selector", ".st-key-card_collection").text
    shown = " · ".join(part.strip() for part in said.splitlines() if part.strip())
    report.point(
        "5 the page tells it",
        shown[:240],
        holds="since" in said and "7 of 8" not in said and "of 7 meters" in said,
    )


def wait_for(installation: rig.Installation, wanted: Callable[[Row], bool]) -> Row | None:
    """Ask for the links until one of them is as wanted."""
    found: list[Row] = []

    def there() -> bool:
        found[:] = [row for row in links(installation) if wanted(row)]
        return bool(found)

    until(there)
    return found[0] if found else None


def links(installation: rig.Installation) -> list[Row]:
    """Ask how everything stands."""
    return installation.ask("links", enterprise=edge.enterprise().enterprise)


def told(row: Row | None) -> str:
    """One row in words."""
    if row is None:
        return "not told"
    place = "/".join(str(row[name]) for name in ("source", "line", "meter") if row[name])
    return f"{place} {row['state']} since {row['since']} ({row['reason']})"


def states(rows: list[Row]) -> set[str]:
    """States that occur."""
    return {str(row["state"]) for row in rows}


def until(holds: Callable[[], bool]) -> None:
    """Wait, but not for ever."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and not holds():
        time.sleep(0.3)


def answers(port: int) -> bool:
    """Whether something listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Find two ports in a row that nobody uses."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            if second.connect_ex(("127.0.0.1", port + 1)):
                return port
