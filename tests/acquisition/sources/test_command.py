"""`nengliu acquire feeds`: a person sees what a source gives before anything is kept of it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import SmallBroker
from click.testing import CliRunner, Result
from feed_plans import CODE, ENERGY, HEAD

from acquisition.drivers.config import load_config
from nengliu.cli.acquire_feeds import feeds

EXAMPLE = Path(__file__).parents[3] / "examples" / "feeds" / "collector.toml"
STAMP = '[time]\ncolumn = "at"\nformat = "epoch_ms"\n'


def run(folder: Path, toml: str, *arguments: str, long: bool = False) -> Result:
    """Call the command with a collector.toml."""
    point = ENERGY.replace('column = "kwh"', 'match = "plant/m1#kwh"') if long else ENERGY
    keys = '[points]\ncolumn = "key"\nvalue = "value"\n' if long else ""
    (folder / "map.toml").write_text(HEAD + STAMP + keys + point, encoding="utf-8")
    head = f'name = "c1"\n[enterprise]\nenterprise = "{CODE}"\n'
    (folder / "collector.toml").write_text(head + toml, encoding="utf-8")
    return CliRunner().invoke(feeds, ["--config", str(folder / "collector.toml"), *arguments])


@pytest.fixture
def broker() -> Iterator[SmallBroker]:
    """A small broker in a thread of its own, that sends a message to whoever subscribes."""
    made, loop = SmallBroker(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(made.listen(), loop).result(10)
    made.publish("plant/m1", b'{"at": 1772409600000, "kwh": 12.5}')
    yield made

    async def end() -> None:
        made.vanish()
        await asyncio.sleep(0.02)

    asyncio.run_coroutine_threadsafe(end(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def test_feeds_of_the_example_are_listed() -> None:
    """The example that comes along is in order, and each kind of feed is in it."""
    result = CliRunner().invoke(feeds, ["--config", str(EXAMPLE)])
    assert result.exit_code == 0, result.output
    assert [line.split()[:2] for line in result.output.splitlines()[1:]] == [
        ["laboratory", "folder"],
        ["mes", "sql"],
        ["gateway", "mqtt"],
    ]
    assert len(load_config(EXAMPLE).catalogue()) == 3


def test_folder_is_tried_and_left_as_it_is(tmp_path: Path) -> None:
    """Values and refusals of the oldest file are shown; it stays where it is, and no folder is made."""
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "a.csv").write_text("at,kwh\n1772409600000,12.5\n1772409660000,x\n")
    toml = '[[feeds]]\nname = "lab"\nkind = "folder"\nmap = "map.toml"\nfolder = "drop"\n'
    result = run(tmp_path, toml, "--try", "lab")
    assert result.exit_code == 0, result.output
    assert "2026-03-02 08:00:00.000+08:00  e-main  12.50  kWh" in result.output
    assert "row 3 e-main x" in result.output
    assert [file.name for file in drop.iterdir()] == ["a.csv"]


def test_database_is_tried(tmp_path: Path) -> None:
    """The first page of the query is shown."""
    with sqlite3.connect(tmp_path / "plant.db") as connection:
        connection.execute("CREATE TABLE reading (at INTEGER, kwh TEXT)")
        connection.execute("INSERT INTO reading VALUES (1772409600000, '90071992547409.93')")
    connection.close()
    toml = (
        '[[feeds]]\nname = "mes"\nkind = "sql"\nmap = "map.toml"\nurl = "sqlite:///plant.db"\n'
        'query = "SELECT * FROM reading"\nwatermark = "at"\n'
    )
    result = run(tmp_path, toml, "--try", "mes")
    assert "e-main  90071992547409.93  kWh" in result.output, result.output


def test_broker_is_tried_without_taking_anything_from_the_collector(
    tmp_path: Path, broker: SmallBroker
) -> None:
    """A trial has a session of its own, and acknowledges nothing."""
    toml = (
        '[[feeds]]\nname = "gw"\nkind = "mqtt"\nmap = "map.toml"\nhost = "127.0.0.1"\n'
        f'port = {broker.port}\ntopics = ["plant/+"]\n'
    )
    result = run(tmp_path, toml, "--try", "gw", "--seconds", "10", long=True)
    assert "e-main  12.50  kWh" in result.output, result.output
    assert broker.clients == ["nengliu-c1-gw-trial"]
    assert broker.acknowledged == []


def test_feed_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A wrong name is told with the nearest one."""
    toml = '[[feeds]]\nname = "lab"\nkind = "folder"\nmap = "map.toml"\nfolder = "drop"\n'
    result = run(tmp_path, toml, "--try", "lap")
    assert "nearest: lab" in str(result.exception)
