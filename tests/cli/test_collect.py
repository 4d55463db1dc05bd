"""Several collectors in one process: each has its own fate, and one signal ends them all."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from buses import make_bus, on_tcp, stations
from factories import ENTERPRISE, collector_toml

from acquisition.drivers.clock import SystemClock
from acquisition.drivers.config import load_config
from nengliu import telemetry
from nengliu.cli import collect
from nengliu.errors import LogError
from nengliu.settings import Settings


class Standing:
    """A collector that does nothing until it is stopped."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def stop(self) -> None:
        self.asked.set()


def files(folder: Path, *names: str) -> list[Path]:
    found = [folder / f"collector-{name}.toml" for name in names]
    for name, file in zip(names, found, strict=True):
        file.write_text(collector_toml().replace('name = "workshop"', f'name = "{name}"'))
    return found


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the collectors in the order they ran; the one called `broken` fails."""
    names: list[str] = []

    async def run(settings: Settings, config: object, on_ready: Callable[[Standing], None]) -> None:
        name = str(config.name)  # type: ignore[attr-defined]
        names.append(name)
        if name == "broken":
            raise LogError("its disk is full")
        standing = Standing()
        on_ready(standing)
        await standing.asked.wait()
        names.append(f"{name} ended")

    monkeypatch.setattr(collect, "run_collector", run)
    monkeypatch.setattr(collect, "FIRST_PAUSE_S", 0.01)
    telemetry.reset()
    return names


async def run_until(condition: Callable[[], bool], settings: Settings, paths: list[Path]) -> None:
    task = asyncio.create_task(collect.collect_all(settings, paths))
    async with asyncio.timeout(5):
        while not condition() and not task.done():
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        await task


def test_collector_that_fails_is_tried_again_and_the_others_go_on(tmp_path: Path, ran: list[str]) -> None:
    """A full disk or a broken file of one is no fault of the others; a signal ends those that run."""
    paths = files(tmp_path, "north", "broken", "south")
    (tmp_path / "collector-nonsense.toml").write_text("name = ")
    asyncio.run(
        run_until(
            lambda: ran.count("broken") >= 3,
            Settings(home=tmp_path),
            [*paths, tmp_path / "collector-nonsense.toml"],
        )
    )

    assert {"north", "north ended", "south", "south ended"} <= set(ran)
    assert ran.count("north") == 1
    assert sum(n for name, n in telemetry.snapshot().items() if "failed_collectors" in name) >= 5


def test_single_collector_that_fails_ends_the_process(tmp_path: Path, ran: list[str]) -> None:
    """Its error is the command's, with its exit code, and a supervisor or a person decides."""
    with pytest.raises(LogError, match="disk is full"):
        asyncio.run(run_until(lambda: False, Settings(home=tmp_path), files(tmp_path, "broken")))
    assert ran == ["broken"]


def test_log_lines_name_the_collector_that_speaks(
    tmp_path: Path, ran: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """In one log file of many collectors each line says whose it is."""
    before = telemetry.logger.handlers
    try:
        telemetry.configure()
        paths = files(tmp_path, "north", "broken")
        asyncio.run(run_until(lambda: "north" in ran, Settings(home=tmp_path), paths))
    finally:
        telemetry.logger.handlers = before

    assert "ERROR [broken] CollectorFailed count=1 error=its\\sdisk\\sis\\sfull" in capsys.readouterr().err


SERIAL = f"""
name = "c1"
[enterprise]
enterprise = "{ENTERPRISE}"
[[lines]]
name = "bus"
kind = "serial-tcp"
host = "127.0.0.1"
port = PORT
baud = 9600
timeout_s = 0.3
[[lines.meters]]
name = "main"
address = "161"
map = "dlt645_2007"
schema = 1
[lines.meters.points]
energy = "e"
[[lines.meters]]
name = "absent"
address = "999"
map = "dlt645_2007"
schema = 2
[lines.meters.points]
energy = "gone"
"""


def test_meters_of_a_serial_line_are_read_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Over a converter, with what it shows and why one says nothing; nothing is written."""
    (meter,) = stations(("dlt645-2007", "main", "161"))
    bus = make_bus([meter], SystemClock().now_ms)

    async def work() -> None:
        async with on_tcp(bus) as port:
            file = tmp_path / "collector.toml"
            file.write_text(SERIAL.replace("PORT", str(port)), encoding="utf-8")
            await collect._show_once(load_config(file))

    asyncio.run(work())

    _, main, absent, total = capsys.readouterr().out.splitlines()
    ticks = bus.moment(meter, SystemClock().now_ms()).ticks("energy")
    assert main.split()[:4] == ["bus", "main", "energy", "e"]
    assert float(main.split()[4]) == pytest.approx(ticks / 100, abs=1)
    assert "gone" in absent
    assert total.startswith("1 ")


def test_plan_of_a_check_names_what_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Registers by function and address, identifiers by their items."""
    file = tmp_path / "collector.toml"
    file.write_text(
        SERIAL.replace("PORT", "4001")
        + """
[[lines]]
name = "tcp"
host = "h"
[[lines.meters]]
name = "m"
unit = 1
map = "generic"
schema = 3
[lines.meters.points]
power = "p"
""",
        encoding="utf-8",
    )

    collect._show_plan(load_config(file))

    shown = capsys.readouterr().out
    assert "3:16+2" in shown
    assert "energy" in shown
