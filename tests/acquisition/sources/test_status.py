"""Feeds are seen where meters are: in the file that shows the state now, and in what a person checks before."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from feed_desk import HandClock, MemoryDesk
from feed_plans import CODE, ENERGY, HEAD, sql_plan

from acquisition.drivers.collector import Collector, run_collector
from acquisition.drivers.config import load_config
from acquisition.drivers.sources.feed import FeedLink
from acquisition.drivers.status import feed_status
from nengliu.cli.main import group
from nengliu.errors import LinkError
from nengliu.settings import Settings

NOW_MS = 1_772_409_600_000
STAMP = '[time]\ncolumn = "at"\nformat = "epoch_ms"\n'
FEEDS = (
    '[[feeds]]\nname = "lab"\nkind = "folder"\nmap = "map.toml"\nfolder = "drop"\nevery_s = 1\nsettle_s = 1\n'
    '[[feeds]]\nname = "gone"\nkind = "folder"\nmap = "other.toml"\nfolder = "nowhere"\nevery_s = 1\n'
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A collector with two folders, one of which is not there."""
    (tmp_path / "map.toml").write_text(HEAD + STAMP + ENERGY, encoding="utf-8")
    other = ENERGY.replace("e-main", "e-other")
    (tmp_path / "other.toml").write_text(HEAD + STAMP + other, encoding="utf-8")
    file = tmp_path / "collector.toml"
    file.write_text(f'name = "c1"\n[enterprise]\nenterprise = "{CODE}"\n{FEEDS}', encoding="utf-8")
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "a.csv").write_text(f"at,kwh\n{NOW_MS - 60_000},12.5\n{NOW_MS},13\n", encoding="utf-8")
    return file


async def lives(home: Path, config: Path, wanted: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Run the collector until its feeds are in the states that are wanted; what its file says once it has stopped."""
    made: list[Collector] = []
    task = asyncio.create_task(run_collector(Settings(home=home), load_config(config), on_ready=made.append))
    async with asyncio.timeout(20):
        while True:
            found = shown(home) if made else {}
            if {name: feed["state"] for name, feed in found.items()} == wanted and found["lab"]["last_ms"]:
                break
            await asyncio.sleep(0.05)
    await made[0].stop()
    await task
    return shown(home)


def shown(home: Path) -> dict[str, dict[str, Any]]:
    """Feeds of the status file, by name."""
    file = home / "collector" / "c1.json"
    found = json.loads(file.read_text(encoding="utf-8"))["feeds"] if file.exists() else []
    return {feed["name"]: feed for feed in found}


def test_status_file_shows_each_feed_and_its_last_reading(tmp_path: Path, config: Path) -> None:
    """Kind, state, reason and the newest stamp; after a restart without anything new it is still known."""
    wanted = {"lab": "up", "gone": "down"}
    found = asyncio.run(lives(tmp_path, config, wanted))
    about = {name: (feed["kind"], feed["reason"], feed["last_ms"]) for name, feed in found.items()}
    assert about == {"lab": ("folder", "", NOW_MS), "gone": ("folder", "LINE_DOWN", 0)}
    assert found["gone"]["since_ms"] >= found["lab"]["since_ms"] - 5000 > NOW_MS
    assert (tmp_path / "drop" / "done" / "a.csv").exists()

    again = asyncio.run(lives(tmp_path, config, wanted))
    assert again["lab"]["last_ms"] == NOW_MS
    assert again["gone"]["since_ms"] == found["gone"]["since_ms"]


def test_feed_that_is_silent_is_down_though_it_can_be_reached(tmp_path: Path) -> None:
    """New, up, silent, heard again, out of reach: the way to it speaks before its source."""
    desk, clock = MemoryDesk(lasts=False), HandClock(NOW_MS)
    plan = sql_plan(tmp_path, silent_s=60)
    link = FeedLink("mes", clock, desk, 60)

    def state() -> tuple[str, str, int]:
        feed = feed_status(plan, desk)
        assert (feed["name"], feed["kind"]) == ("mes", "sql")
        return feed["state"], feed["reason"], feed["since_ms"] - NOW_MS

    assert state() == ("new", "", -NOW_MS)
    link.up()
    assert state() == ("up", "", 0)
    clock.at_ms += 60_000
    link.watch()
    assert state() == ("down", "TIMEOUT", 60_000)
    clock.at_ms += 1000
    link.heard()
    assert state() == ("up", "", 0)
    link.down(LinkError("LINE_DOWN", "gone"))
    assert state() == ("down", "LINE_DOWN", 61_000)


@pytest.mark.parametrize(
    ("language", "summary", "once"),
    [
        ("en", "0 lines, 0 meters, 0 requests for 0 readings a round; 2 feeds", "The feed lab was not read"),
        ("zh", "每轮 0 个请求、0 个读数；2 个数据源", "数据源 lab 未读取"),
    ],
)
def test_collect_names_feeds_before_it_runs(
    config: Path, monkeypatch: pytest.MonkeyPatch, language: str, summary: str, once: str
) -> None:
    """`--check` lists them, `--once` says how one is tried; neither touches the folder."""
    monkeypatch.setenv("NENGLIU_LANG", language)
    checked = CliRunner().invoke(group(), ["collect", "--check", "--config", str(config)])
    assert checked.exit_code == 0, checked.output
    assert [line.split()[:2] for line in checked.output.splitlines()[1:3]] == [
        ["lab", "folder"],
        ["gone", "folder"],
    ]
    assert summary in checked.output

    tried = CliRunner().invoke(group(), ["collect", "--once", "--config", str(config)])
    assert tried.exit_code == 0, tried.output
    assert once in tried.output
    assert "nengliu acquire feeds --try gone" in tried.output
    assert [file.name for file in (config.parent / "drop").iterdir()] == ["a.csv"]
