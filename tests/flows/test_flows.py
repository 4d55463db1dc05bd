"""The flows end to end: a real log, the real store, one process or two with a topic between them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from broker.server import Broker
from bytewax.dataflow import Dataflow
from clickhouse_connect.driver.client import Client
from factories import (
    ENTERPRISE,
    OTHER,
    make_frame,
    make_json,
    make_links,
    make_meter,
    make_point,
    make_schema,
)

from flows import anomaly, embedded, ingest, rollups
from flows.connectors import LogSource, StoreSink, StoreThenLogSink
from nengliu.bus import partition_of
from nengliu.bus.open import open_log
from nengliu.cli.health import flow_lives
from nengliu.domain.books import shipped_factors
from nengliu.domain.points import Enterprise
from nengliu.domain.quality import Reason
from nengliu.settings import Settings
from nengliu.storage import Writer, connect, disconnect
from nengliu.storage.client import dsn
from schemas.messages import EnterpriseNotice, Missed, PointNotice, SchemaNotice, encode
from schemas.topics import RAW, VALID

TABLES = (
    "reading",
    "reading_chunk",
    "reading_superseded",
    "window_15min",
    "window_hour",
    "window_day",
    "window_month",
    "point",
    "link_event",
    "missed",
    "wiring",
    "point_newest",
    "incident",
    "incident_event",
)
LEFT_OUT = {"point": " EXCEPT known_at"}
"""When the log took a notice: another installation's log took it at another time."""
STEPS = Path(__file__).parent / "step_ids.json"
POINTS = ("a", "b")
Installation = Callable[..., Settings]
Processes = list[subprocess.Popen[bytes]]


@pytest.fixture
def installation(lend_database: Callable[[], Settings], tmp_path: Path) -> Installation:
    """Make installations with logs and recovery stores of their own, over one store."""

    def make(name: str, bus: str = "") -> Settings:
        lent, home = lend_database(), tmp_path / name
        return Settings(home=home, store=dsn(lent), database=lent.database, partitions=2, epoch_s=1, bus=bus)

    return make


def messages(seed: int = 1, frames: int = 40, enterprise: str = ENTERPRISE) -> list[tuple[str, bytes]]:
    """Notices, then frames of two registers that grow, and link notices; some come twice, one later than the next."""
    rng = np.random.default_rng(seed)
    meter = make_meter(modulus=100_000, multiplier=3)
    points = [PointNotice(make_point(name, meters=(meter,), enterprise=enterprise)) for name in POINTS]
    columns = make_schema(tuple((name, "kWh", 2) for name in POINTS), enterprise=enterprise)
    told = [EnterpriseNotice(Enterprise(enterprise, "厂")), *points, SchemaNotice(columns)]
    registers = np.cumsum(rng.integers(0, 500, (frames, 2)), axis=0) % 100_000
    first = make_frame(((0, 0),)).read_at_ms[0]
    found = []
    for i, row in enumerate(registers):
        at = np.array([first + i * 900_000], np.int64)
        received = int(at[0]) // 1000 + 30
        given = {"sequence": i + 1, "read_at_ms": at, "received_at_s": received, "enterprise": enterprise}
        found.append(make_frame((tuple(row.tolist()),), **given))
        if i % 4 == 3:
            lost = Missed(int(at[0]), int(at[0]), 1, Reason.TIMEOUT, POINTS)
            found.append(make_links(missed=[lost], number=i + 1, enterprise=enterprise))
    found[5], found[6] = found[6], found[5]
    found.insert(9, found[8])
    return [(enterprise, encode(message)) for message in [*told, *found]]


def append(settings: Settings, found: list[tuple[str, bytes]]) -> None:
    """Append messages to the log of an installation."""
    with open_log(settings) as log:
        log.append(RAW, found)


def contents(settings: Settings) -> dict[str, tuple[int, int]]:
    """Count and hash of the FINAL rows of each table."""
    client = connect(settings)
    found = {
        table: client.query(
            f"SELECT count(), sum(cityHash64(*{LEFT_OUT.get(table, '')})) FROM {table} FINAL"
        ).result_rows[0]
        for table in TABLES
    }
    disconnect(client)
    return found


def test_flow_in_one_process_and_two_flows_with_a_topic_between_store_the_same(
    installation: Installation,
) -> None:
    """Which processes run changes no row, revision included (law 7)."""
    chained, apart = installation("chained"), installation("apart")
    for settings in (chained, apart):
        append(settings, messages())
    embedded.run(chained, stop_at_end=True)
    ingest.run(apart, stop_at_end=True)
    rollups.run(apart, stop_at_end=True)
    anomaly.run(apart, stop_at_end=True)

    assert contents(apart) == contents(chained)
    assert contents(chained)["missed"][0] == 2 * 10
    assert contents(chained)["window_15min"][0] == 2 * 40  # 39 intervals, and the last reading itself


def test_flow_resumed_again_and_again_stores_what_one_run_stores(installation: Installation) -> None:
    """A log that grows between runs gives the rows of one run over the whole of it."""
    whole, grown = installation("whole"), installation("grown")
    found = messages()
    append(whole, found)
    embedded.run(whole, stop_at_end=True)
    for start in range(0, len(found), 11):
        append(grown, found[start : start + 11])
        embedded.run(grown, stop_at_end=True)

    assert contents(grown) == contents(whole)


def test_flow_without_its_recovery_store_replays_the_log_without_a_trace(installation: Installation) -> None:
    """Reading everything again from the first record changes nothing (law 7)."""
    settings = installation("replayed")
    append(settings, messages())
    embedded.run(settings, stop_at_end=True)
    before = contents(settings)
    replayed = replace(settings, home=settings.home)
    for file in (settings.recovery_path / "embedded").iterdir():
        file.unlink()
    embedded.run(replayed, stop_at_end=True)

    assert contents(settings) == before


def test_flow_adds_standard_coal_from_the_book_and_names_it(installation: Installation) -> None:
    """A day's coal is its use times the factor of the shipped book."""
    settings = installation("coal")
    append(settings, messages())
    embedded.run(settings, stop_at_end=True)
    client = connect(settings)
    rows = client.query("SELECT used / 100 * 0.1229, coal_kgce, book FROM window_day FINAL").result_rows
    disconnect(client)

    assert rows
    assert all(abs(expected - found) < 1e-9 and book for expected, found, book in rows)


def test_flow_does_not_tell_a_new_edition_of_the_book_by_itself(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The past is restated by a command with a preview, never by the start of a newer program."""
    settings = installation("book")
    append(settings, messages())
    embedded.run(settings, stop_at_end=True)
    digest, factors = shipped_factors()
    monkeypatch.setattr("nengliu.bus.open.shipped_factors", lambda: ("new", factors))
    embedded.run(settings, stop_at_end=True)
    client = connect(settings)
    books = client.query(
        "SELECT partition, groupArray(digest) FROM book FINAL GROUP BY 1 ORDER BY 1"
    ).result_rows
    disconnect(client)

    assert books == [(0, [digest]), (1, [digest])]


def test_flow_takes_json_and_holds_back_what_it_does_not_know(installation: Installation) -> None:
    """Foreign JSON takes the same way; an unknown point is quarantined and counted."""
    settings = installation("json")
    append(settings, messages(frames=12))
    entries = [make_json(point="a", value="900.00", sequence=9), make_json(point="nobody")]
    append(settings, [(ENTERPRISE, json.dumps(entry).encode()) for entry in entries])
    embedded.run(settings, stop_at_end=True)
    client = connect(settings)
    held = client.query("SELECT point, reason FROM quarantine FINAL").result_rows
    tally = client.query("SELECT sum(received), sum(valid + duplicate + quarantined) FROM intake FINAL")
    disconnect(client)

    assert held == [("nobody", 301)]
    assert tally.result_rows[0][0] == tally.result_rows[0][1]


def step_ids(flow: Dataflow) -> list[str]:
    """Ids of the steps of a flow, nested ones included."""
    found, steps = [], list(flow.substeps)
    while steps:
        step = steps.pop()
        found.append(step.step_id)
        steps.extend(step.substeps)
    return sorted(found)


def test_steps_keep_their_ids(tmp_path: Path, client: Client) -> None:
    """Step ids are stored with the recovery state: a renamed one would start from nothing."""
    del client
    settings = Settings(home=tmp_path)
    raw, valid = (LogSource(partial(open_log, settings), topic) for topic in (RAW, VALID))
    store, both = StoreSink(partial(Writer, settings)), partial(StoreThenLogSink, partial(Writer, settings))
    found = {
        "embedded": step_ids(embedded.build(settings, raw, store)),
        "ingest": step_ids(ingest.build(settings, raw, both(partial(open_log, settings), VALID))),
        "rollups": step_ids(rollups.build(settings, valid, store)),
        "anomaly": step_ids(anomaly.build(settings, valid, store)),
    }

    assert found == json.loads(STEPS.read_text())


@pytest.fixture
def start_flows() -> Iterator[Callable[..., Processes]]:
    """Start flows as a supervisor does and wait until each has said where it resumed; none outlives the test."""
    every: Processes = []

    def start(settings: Settings, *flows: str, partitions: str = "") -> Processes:
        own = {
            name: str(getattr(settings, name)) for name in ("home", "store", "database", "partitions", "bus")
        }
        environment = os.environ | {f"NENGLIU_{name.upper()}": value for name, value in own.items()}
        environment["NENGLIU_EPOCH_S"] = "1"
        command = [sys.executable, "-P", "-m", "nengliu.cli", "flow"]
        share = ["--partitions", partitions] if partitions else []
        began_s, until = time.time(), time.monotonic() + 60
        started = [subprocess.Popen([*command, flow, *share], env=environment) for flow in flows]
        every.extend(started)
        parts = ["-".join([{"all": "flow"}.get(flow, flow), *share[1:]]) for flow in flows]
        while not all(flow_lives(settings, part, began_s) for part in parts):
            assert time.monotonic() < until
            time.sleep(0.05)
        return started

    yield start
    kill(every)


def kill(processes: Processes) -> None:
    """End processes as a power cut does."""
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize("apart", [False, True], ids=["one flow", "two flows"])
def test_flow_shared_out_among_processes_stores_what_one_stores(
    installation: Installation, start_flows: Callable[..., Processes], apart: bool
) -> None:
    """A process per partition, one of them killed again and again, changes no row, revision included (law 7)."""
    whole, shared = installation("whole"), installation("shared")
    found = [*messages(), *messages(2, 80, OTHER)]
    append(whole, found)
    embedded.run(whole, stop_at_end=True)
    chance = random.Random(1)
    flows = ("ingest", "rollups", "anomaly") if apart else ("all",)
    steady = start_flows(shared, *flows, partitions="1")
    for start in range(0, len(found), 60):
        append(shared, found[start : start + 60])
        killed = start_flows(shared, *flows, partitions="0")
        time.sleep(chance.uniform(0, 1.5))
        kill(killed)
    for process in steady:
        process.terminate()
        assert process.wait(20) == 0
    for flow in (ingest, rollups, anomaly) if apart else (embedded,):
        for partition in range(2):
            flow.run(shared, stop_at_end=True, partitions=(partition,))

    assert contents(shared) == contents(whole)
    assert {partition_of(enterprise, 2) for enterprise, _ in found} == {0, 1}


@pytest.mark.broker
@pytest.mark.parametrize("apart", [False, True], ids=["one process", "two flows"])
def test_flow_over_kafka_stores_what_it_stores_over_the_file(
    installation: Installation, empty_kafka: Broker, apart: bool
) -> None:
    """The bus changes no row, revision included (laws 2 and 7)."""
    file, bus = installation("file"), installation("bus", empty_kafka.bootstrap)
    for settings in (file, bus):
        append(settings, messages())
    embedded.run(file, stop_at_end=True)
    for flow in (ingest, rollups, anomaly) if apart else (embedded,):
        flow.run(bus, stop_at_end=True)

    assert contents(bus) == contents(file)


@pytest.mark.broker
def test_flows_over_kafka_killed_with_the_broker_store_the_same(
    installation: Installation, start_flows: Callable[..., Processes], empty_kafka: Broker
) -> None:
    """Flows of their own and the broker are killed at random while the log grows; no row differs in the end."""
    file, bus = installation("file"), installation("bus", empty_kafka.bootstrap)
    found, chance = messages(frames=120), random.Random(1)
    append(file, found)
    embedded.run(file, stop_at_end=True)
    for start in range(0, len(found), 50):
        append(bus, found[start : start + 50])
        running = start_flows(bus, "ingest", "rollups", "anomaly")
        time.sleep(chance.uniform(0, 2))
        if start == 50:
            empty_kafka.restart()  # under the flows' feet; they wait for it
        kill(running)
    for flow in (ingest, rollups, anomaly):
        flow.run(bus, stop_at_end=True)

    assert contents(bus) == contents(file)
