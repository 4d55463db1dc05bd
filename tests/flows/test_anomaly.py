"""The watch end to end: whatever runs, stops, is killed or repeated, the same incidents stand in the end (law 7)."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import make_frame, make_log, make_meter, make_point, make_schema
from ingest_store import rows_of
from msgspec.structs import replace

from flows import anomaly, embedded, ingest, rollups
from flows.anomaly import ShardFactory, WatchLogic
from flows.ingest import Passed
from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.intake.shard import IngestShard
from nengliu.analysis.watch.shard import WatchShard
from nengliu.bus.open import open_log
from nengliu.domain.points import Enterprise
from nengliu.domain.scope import SYSTEM
from nengliu.settings import Settings
from nengliu.storage import ask, connect, disconnect
from nengliu.storage.client import dsn
from schemas.block import Block, Rows, Sheaf
from schemas.messages import (
    ActionNotice,
    EnterpriseNotice,
    Message,
    PointNotice,
    SchemaNotice,
    TickNotice,
    WiredLine,
    WiredMeter,
    WiringNotice,
    encode,
)
from schemas.topics import RAW

TABLES = ("incident", "incident_event")
PLANTS = ("91320000MA1EXAMPL3", "91320000MA1EXAMPL7", "91320100TENANT0001")
LINES, METERS, DAYS = 2, 3, 3
START_S, QUARTER_S = 1_700_006_400, 900
NAMES = [f"l{line}m{meter}" for line in range(LINES) for meter in range(METERS)]
Installation = Callable[[str], Settings]
Story = list[tuple[str, bytes]]


@pytest.fixture
def installation(lend_database: Callable[[], Settings], tmp_path: Path) -> Installation:
    """Make installations with logs and recovery stores of their own, over one store."""

    def make(name: str) -> Settings:
        lent, home = lend_database(), tmp_path / name
        return Settings(home=home, store=dsn(lent), database=lent.database, partitions=2, epoch_s=0.2)

    return make


def catalogue(code: str) -> Iterator[Message]:
    """What a plant tells of itself: six registers on two lines of three meters."""
    yield EnterpriseNotice(Enterprise(code, "厂"))
    for name in NAMES:
        yield PointNotice(make_point(name, enterprise=code, interval_s=QUARTER_S, meters=(make_meter(),)))
    columns = make_schema([(name, "kWh", 2) for name in NAMES], enterprise=code)
    yield SchemaNotice(columns)
    lines = [
        WiredLine(f"l{line}", tuple(WiredMeter(f"m{m}", (f"l{line}m{m}",)) for m in range(METERS)))
        for line in range(LINES)
    ]
    yield WiringNotice(code, "collector-1", tuple(lines))


def readings(code: str, seed: int) -> Iterator[Message]:
    """Three days of a plant: a line falls silent, a register freezes, values are refused, repeated and contradicted."""
    rng = np.random.default_rng(seed)
    register = np.zeros(len(NAMES), np.int64)
    for i in range(DAYS * 96):
        at_s = START_S + i * QUARTER_S
        grown = rng.integers(500, 900, len(NAMES))
        if 150 <= i < 230:
            grown[0] = 0  # it freezes while its neighbours run
        register = register + grown
        values = register.copy()
        if i % 40 == 7:
            values[1] = -5
        if 100 <= i < 140:
            values[METERS:] = -(2**63)  # the second line says nothing
        given: dict[str, Any] = {"enterprise": code, "sequence": i + 1, "received_at_s": at_s + 30}
        frame = make_frame((values.tolist(),), read_at_ms=np.array([at_s * 1000]), **given)
        yield frame
        if i % 25 == 3:
            yield replace(frame, received_at_s=at_s + 95)
        if i % 50 == 9:
            yield replace(frame, values=frame.values + 1, sequence=i + 2)


@cache
def story() -> Story:
    """What all plants say, in turn, and a tick half a day after the last word."""
    said = [
        [encode(message) for message in (*catalogue(code), *readings(code, n))]
        for n, code in enumerate(PLANTS)
    ]
    found = [(code, turn[n]) for turn in zip(*said, strict=True) for n, code in enumerate(PLANTS)]
    tick = encode(TickNotice(START_S + DAYS * 86_400 + 43_200))
    return [*found, *((f"book-{n}", tick) for n in range(8))]


def append(settings: Settings, found: Story) -> None:
    """Append messages to the log of an installation."""
    with open_log(settings) as log:
        log.append(RAW, found)


def contents(settings: Settings) -> dict[str, list[Any]]:
    """FINAL rows of the tables of incidents."""
    client = connect(settings)
    found = {table: client.query(f"SELECT * FROM {table} FINAL ORDER BY ALL").result_rows for table in TABLES}
    disconnect(client)
    return {table: list(rows) for table, rows in found.items()}


def ran(settings: Settings, found: Story, *flows: Any, workers: int = 1) -> dict[str, list[Any]]:
    """What stands after flows have read all messages."""
    append(settings, found)
    for flow in flows:
        flow.run(settings, stop_at_end=True, workers=workers)
    return contents(settings)


def open_incident(settings: Settings) -> dict[str, Any]:
    """The first incident that is not closed."""
    client = connect(settings)
    row: dict[str, Any] = ask(client, "incidents", SYSTEM, state="open").to_pylist()[0]
    disconnect(client)
    return row


def test_watch_finds_incidents_and_keeps_their_journal(installation: Installation) -> None:
    """The story holds what the rules look for; each incident has an opening in its journal."""
    found = ran(installation("calm"), story(), embedded)

    assert len(found["incident"]) >= len(PLANTS)
    assert {row[0] for row in found["incident"]} == set(PLANTS)
    opened = {(row[0], row[1]) for row in found["incident_event"] if row[5] == "opened"}
    assert opened == {(row[0], row[1]) for row in found["incident"]}


def test_same_incidents_whatever_processes_and_workers(installation: Installation) -> None:
    """Chained or apart, with one worker or two, read again from the start: the same rows, revision included."""
    chained = installation("chained")
    calm = ran(chained, story(), embedded)

    assert ran(installation("two"), story(), embedded, workers=2) == calm
    assert ran(installation("apart"), story(), ingest, rollups, anomaly, workers=2) == calm
    for file in (chained.recovery_path / "embedded").iterdir():
        file.unlink()
    embedded.run(chained, stop_at_end=True, workers=2)
    assert contents(chained) == calm


def test_same_incidents_when_the_log_grows_between_runs(installation: Installation) -> None:
    """Stopped and resumed from the snapshot at any place of the story, the watch goes on as if nothing had been."""
    calm = ran(installation("whole"), story(), embedded)
    grown, apart = installation("grown"), installation("grown_apart")
    edges = [0, 20, 333, 334, 500, 700, len(story())]
    for start, end in pairwise(edges):
        ran(grown, story()[start:end], embedded)
        ran(apart, story()[start:end], ingest, anomaly)

    assert contents(grown) == calm
    assert contents(apart) == calm


def test_action_takes_effect_in_its_place_of_the_log(installation: Installation) -> None:
    """What a person did is in the incident and its journal, whichever run met it; a foreign incident is only noted."""
    first, second = installation("acted"), installation("acted_again")
    ran(first, story(), embedded)
    incident = open_incident(first)
    code, now_s = incident["enterprise"], START_S + DAYS * 86_400 + 50_000
    actions = [
        ActionNotice(code, incident["incident"], "acknowledge", "li.wei", now_s),
        ActionNotice(code, "f" * 16, "close", "li.wei", now_s + 1),
    ]
    more = [(code, encode(action)) for action in actions]
    acted = ran(first, more, embedded)

    assert ran(second, [*story(), *more], ingest, anomaly) == acted
    (row,) = [row for row in acted["incident"] if row[1] == incident["incident"]]
    assert "li.wei" in row
    assert {row[5] for row in acted["incident_event"] if row[6] == "li.wei"} == {"acknowledged", "refused"}


def start_flow(settings: Settings, which: str) -> subprocess.Popen[bytes]:
    """Start a flow as a supervisor does, with two workers."""
    own = {name: str(getattr(settings, name)) for name in ("home", "store", "database", "partitions")}
    environment = os.environ | {f"NENGLIU_{name.upper()}": value for name, value in own.items()}
    environment["NENGLIU_EPOCH_S"] = "0.2"
    command = [sys.executable, "-P", "-m", "nengliu.cli", "flow", which, "--workers", "2"]
    return subprocess.Popen(command, env=environment)


@pytest.mark.slow
@pytest.mark.parametrize("flows", [("all",), ("ingest", "anomaly")], ids=["chained", "apart"])
def test_same_incidents_after_kills(installation: Installation, flows: tuple[str, ...]) -> None:
    """Killed at random while the log grows, then let come to the end: the rows of an undisturbed run."""
    modules = {"all": embedded, "ingest": ingest, "anomaly": anomaly}
    calm = ran(installation("calm"), story(), embedded)
    settings, chance, size = installation("killed"), random.Random(len(flows)), 150
    for start in range(0, len(story()), size):
        append(settings, story()[start : start + size])
        running = [start_flow(settings, which) for which in flows]
        time.sleep(chance.uniform(1.0, 2.5))
        for process in running:
            process.kill()
            process.wait()

    assert ran(settings, [], *(modules[which] for which in flows)) == calm


# -- the logic alone -------------------------------------------------------------------------------------------------


def passed(code: str, batch: int) -> list[Passed]:
    """What ingest hands on of a plant, its log cut into batches."""
    values = [encode(message) for message in (*catalogue(code), *readings(code, 1))]
    records, intake = make_log(values, key=code, appended_at_s=START_S + DAYS * 86_400), IngestShard()
    batches = [records[start : start + batch] for start in range(0, len(records), batch)]
    return [Passed(0, at, code, message) for some in batches for at, message in intake.add(some).onward]


def watched(logic: WatchLogic, items: list[Passed]) -> list[Rows]:
    """What the logic says of items, one by one."""
    return [rows for item in items for rows in logic.on_batch([item])[0]]


def final(found: list[Rows]) -> dict[Any, Any]:
    """Rows by key, the newest version of each."""
    tables: dict[Any, Any] = {}
    for rows in found:
        for row in rows_of(rows):
            own = ("position", "item") if rows.table == "incident_event" else ()
            key = rows.table, row["enterprise"], row["incident"], *(row[name] for name in own)
            tables[key] = row
    return tables


def make_over(items: list[Passed]) -> ShardFactory:
    """Make shards whose catalogue finds again what was told before they resumed."""
    told = [(item.position, item.message) for item in items if not isinstance(item.message, Block | Sheaf)]

    def load(_code: str, before: int) -> list[Any]:
        return [one for one in told if one[0] < before]

    return lambda _, state: WatchShard(Catalogue(load), state=state)


@pytest.mark.parametrize("again_from", [0, 20, 39])
def test_logic_passes_over_what_it_has_taken(again_from: int) -> None:
    """Ingest says some of it again after a crash, cut otherwise: each position counts once."""
    items, other = passed(PLANTS[0], 7), passed(PLANTS[0], 11)
    make = make_over(items)
    calm = final(watched(WatchLogic(make, None), items))
    logic = WatchLogic(make, None)
    found = watched(logic, items[:40])
    back = next(i for i, item in enumerate(other) if newest(item) >= items[again_from].position)
    while back and newest(other[back - 1]) > other[back - 1].position:
        back -= 1  # what belongs together is said together

    assert final(found + watched(logic, other[back:])) == calm


def newest(item: Passed) -> int:
    """Position of the newest thing an item says; beyond its own, if others among it are still to come."""
    return int(item.message.position[-1]) if isinstance(item.message, Block | Sheaf) else item.position


def test_logic_resumed_from_its_snapshot_goes_on_exactly_there() -> None:
    """Pickled at any place and rebuilt, it says the rest as if it had never stopped; the copy is not shared."""
    items = passed(PLANTS[0], 7)
    make = make_over(items)
    calm = final(watched(WatchLogic(make, None), items))
    logic, found = WatchLogic(make, None), []
    for start in range(0, len(items), 30):
        found += watched(logic, items[start : start + 30])
        kept = pickle.dumps(logic.snapshot())
        logic.snapshot()
        assert pickle.dumps(logic.snapshot()) == kept
        logic = WatchLogic(make, pickle.loads(kept))
        assert pickle.dumps(logic.snapshot()) == kept  # nothing has come yet: what it resumed from stands

    assert final(found) == calm
