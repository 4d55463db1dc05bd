"""Restatement over a real store: the preview says what is rewritten, and what is rewritten is what the preview said."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from clickhouse_connect.driver.client import Client
from factories import ENTERPRISE, make_frame, make_meter, make_point, make_schema

from flows import embedded
from flows.restating import RestateLoader
from nengliu.analysis.rollups.restate import Restater, Told
from nengliu.bus import partition_of
from nengliu.bus.open import open_log
from nengliu.cli.main import group
from nengliu.cli.restate import preview, stored_book
from nengliu.domain.books import book_of, shipped_factors
from nengliu.domain.points import Enterprise, Tariffed
from nengliu.domain.scope import SYSTEM
from nengliu.settings import Settings
from nengliu.storage import Asker, Writer, ask, connect, disconnect, migrate
from nengliu.storage.client import dsn
from nengliu.storage.migrate import migrations
from schemas.messages import BookNotice, EnterpriseNotice, PointNotice, SchemaNotice, encode
from schemas.topics import RAW

MARCH_MS = 1_772_294_400_000
"""2026-03-01 in China."""
DAY_MS, QUARTER_MS = 86_400_000, 900_000
SPAN: dict[str, Any] = {"start": MARCH_MS, "end": MARCH_MS + 40 * DAY_MS}


@pytest.fixture
def plant(store_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation with five days of an electricity and a gas meter around the turn of a month, rolled up."""
    settings = replace(store_settings, home=tmp_path, store=dsn(store_settings), partitions=2, epoch_s=1)
    meters = (make_meter(),)
    points = [
        make_point("grid", meters=meters, tariffs=(Tariffed(0, "jiangsu_industry_1_10kv"),)),
        make_point("gas", item="natural_gas", unit="m3", meters=(make_meter(unit="m3"),)),
    ]
    told = [EnterpriseNotice(Enterprise(ENTERPRISE, "厂", region="320500")), *map(PointNotice, points)]
    told.append(SchemaNotice(make_schema((("grid", "kWh", 2), ("gas", "m3", 2)))))
    at = MARCH_MS + 29 * DAY_MS + np.arange(5 * 96 + 1) * QUARTER_MS
    values = np.cumsum(np.full((len(at), 2), (125, 50)), axis=0)
    frame = make_frame(values, read_at_ms=at, received_at_s=int(at[-1]) // 1000 + 5)
    with open_log(settings) as log:
        log.append(RAW, [(ENTERPRISE, encode(message)) for message in [*told, frame]])
    embedded.run(settings, stop_at_end=True)
    for name, value in {"home": tmp_path, "store": settings.store, "database": settings.database}.items():
        monkeypatch.setenv(f"NENGLIU_{name.upper()}", str(value))
    monkeypatch.setenv("NENGLIU_PARTITIONS", "2")
    monkeypatch.setenv("NENGLIU_LANG", "en")
    return settings


def dearer() -> tuple[dict[str, str], ...]:
    """The shipped book, but from 31 March on a kilowatt-hour of the enterprise's region is worth more."""
    _, rows = shipped_factors()
    (old,) = [
        row
        for row in rows
        if (row["item"], row["factor"], row["basis"]) == ("electricity", "coal", "calorific")
    ]
    return (*rows, old | {"region": "3205", "valid_from": "2026-03-31", "value": "0.2", "source": "test"})


def test_preview_says_what_a_restatement_writes(plant: Settings, client: Client) -> None:
    """The rows that the flow's own function writes for this book are as many and as heavy as the preview said."""
    asker, partition = Asker(plant), partition_of(ENTERPRISE, 2)
    (said,) = preview(asker, 2, "new", dearer()).to_pylist()
    before = ask(client, "structure", SYSTEM, level="day", enterprise=ENTERPRISE, **SPAN).to_pylist()
    told = Told(2**50, int(time.time()))
    restater = Restater(RestateLoader(asker, partition, 2))
    with Writer(plant) as writer:
        for rows in restater.restate(
            stored_book(asker, partition), book_of("new", dearer()), told, 2**50, lambda _: None
        ):
            writer.write(rows)
    asker.close()
    counted = {
        table: client.query(f"SELECT count() FROM {table} FINAL WHERE book = 'new'").result_rows[0][0]
        for table in ("window_day", "window_month")
    }
    assert (
        counted
        == {"window_day": said["day_rows"], "window_month": said["month_rows"]}
        == {"window_day": 5, "window_month": 2}
    )
    assert (said["item"], said["from"], said["to"], said["days"], said["enterprises"]) == (
        "electricity",
        "2026-03-31",
        "",
        5,
        1,
    )
    after = ask(client, "structure", SYSTEM, level="day", enterprise=ENTERPRISE, **SPAN).to_pylist()
    months = ask(client, "structure", SYSTEM, level="month", enterprise=ENTERPRISE, **SPAN).to_pylist()
    grown = after[0]["coal_kgce"] - before[0]["coal_kgce"]
    assert grown == pytest.approx(1000 * (said["coal_after_tce"] - said["coal_before_tce"]), abs=1e-3)
    assert months[0]["coal_kgce"] == pytest.approx(after[0]["coal_kgce"])
    assert after[1] == before[1]  # gas


def test_restated_numbers_are_known_from_the_day_they_were_told(plant: Settings, client: Client) -> None:
    """As of the day before, the old edition still stands, and the log of changes names the factor."""
    asker, partition = Asker(plant), partition_of(ENTERPRISE, 2)
    then = ask(client, "structure", SYSTEM, level="day", enterprise=ENTERPRISE, **SPAN).to_pylist()
    told = Told(2**50, (MARCH_MS + 60 * DAY_MS) // 1000)
    restater = Restater(RestateLoader(asker, partition, 2))
    with Writer(plant) as writer:
        for rows in restater.restate(
            stored_book(asker, partition), book_of("new", dearer()), told, 2**50, lambda _: None
        ):
            writer.write(rows)
    asker.close()
    at = np.datetime64(MARCH_MS + 50 * DAY_MS, "ms").item().date()
    assert (
        ask(client, "structure", SYSTEM, as_of=at, level="day", enterprise=ENTERPRISE, **SPAN).to_pylist()
        == then
    )
    changes = ask(client, "revisions", SYSTEM, level="day", enterprise=ENTERPRISE, **SPAN).to_pylist()
    assert {(row["point"], row["why"], row["difference"]) for row in changes} == {("grid", "factor", 0.0)}
    assert len(changes) == 4  # the fifth day has begun, and used nothing yet


def test_restate_command_previews_and_then_tells_the_log(plant: Settings, tmp_path: Path) -> None:
    """Without --apply nothing is told; with it the book stands in every partition, and the preview is then empty."""
    file = tmp_path / "book.csv"
    rows = dearer()
    file.write_text(
        "\n".join([",".join(rows[0]), *(",".join(f'"{v}"' for v in row.values()) for row in rows)])
    )
    run = CliRunner().invoke
    assert "nothing changes" in run(group(), ["restate"]).output
    shown = run(group(), ["restate", "--book", str(file), "--format", "json"])
    assert shown.exit_code == 0, shown.output
    row = json.loads(shown.stdout.splitlines()[0])
    assert (row["item"], row["day_rows"], row["month_rows"]) == ("electricity", 5, 2)
    assert row["coal_after_tce"] > row["coal_before_tce"]

    with open_log(plant) as log:
        ends = [log.bounds(RAW, part).end for part in (0, 1)]
        assert run(group(), ["restate", "--book", str(file)]).exit_code == 0
        assert [log.bounds(RAW, part).end for part in (0, 1)] == ends
        assert run(group(), ["restate", "--book", str(file), "--apply"]).exit_code == 0
        assert [log.bounds(RAW, part).end for part in (0, 1)] == [end + 1 for end in ends]


def test_restate_command_refuses_a_book_that_says_two_things(plant: Settings, tmp_path: Path) -> None:
    """A book with two factors for one day, or without a source, is told with its cure and goes nowhere."""
    _, rows = shipped_factors()
    file = tmp_path / "book.csv"
    for wrong in ([rows[0], rows[0]], [rows[0] | {"source": ""}], [rows[0] | {"value": "much"}]):
        file.write_text(
            "\n".join([",".join(wrong[0]), *(",".join(f'"{v}"' for v in row.values()) for row in wrong)])
        )
        done = CliRunner().invoke(group(), ["restate", "--book", str(file), "--apply"])
        assert "not a book of factors" in str(done.exception)


def test_cost_command_computes_what_is_out_of_date_and_no_more(plant: Settings, client: Client) -> None:
    """Told once, each day is priced by its bands; a second run has nothing to do; a month is the sum of its days."""
    run = CliRunner().invoke
    assert "nothing has a price yet" in str(run(group(), ["cost"]).exception)
    assert run(group(), ["cost", "--tell"]).exit_code == 0
    embedded.run(plant, stop_at_end=True)
    first, second = (run(group(), ["cost"]) for _ in range(2))
    assert (first.output.split()[0], second.output.split()[0]) == ("6", "0")

    days = ask(client, "cost", SYSTEM, level="day", **SPAN).to_pylist()
    whole = [row for row in days if row["period_start"].day == 31]
    assert {row["band"]: row["used"] for row in whole} == {"valley": 40.0, "peak": 40.0, "flat": 40.0}
    assert all(row["amount"] == pytest.approx(row["used"] * row["price"]) for row in whole)
    months = ask(client, "cost", SYSTEM, level="month", **SPAN).to_pylist()
    assert sum(row["amount"] for row in months) == pytest.approx(sum(row["amount"] for row in days))


def test_migrations_can_be_laid_over_a_store_that_has_them(plant: Settings, client: Client) -> None:
    """The histories that are filled when they are laid hold no row twice."""
    assert migrate(client, plant.database) == []
    before = client.query("SELECT count() FROM incident_history FINAL").result_rows
    for statement in migrations()["0009_create_accounts"].split(";"):
        if "INSERT INTO incident_history" in statement:
            client.command(statement)
    assert client.query("SELECT count() FROM incident_history FINAL").result_rows == before


TABLES = ("window_15min", "window_hour", "window_day", "window_month", "window_day_history")


def contents(settings: Settings) -> dict[str, tuple[int, int]]:
    """Count and hash of the FINAL rows of each table of windows."""
    client = connect(settings)
    found = {
        table: client.query(f"SELECT count(), sum(cityHash64(*)) FROM {table} FINAL").result_rows[0]
        for table in TABLES
    }
    disconnect(client)
    return found


def story() -> list[tuple[str, bytes]]:
    """Frames of two months, a book in the midst of them that changes both, and old days that come after it."""
    meters = (make_meter(),)
    told = [
        EnterpriseNotice(Enterprise(ENTERPRISE, "厂", region="320500")),
        PointNotice(make_point("grid", meters=meters)),
    ]
    told.append(SchemaNotice(make_schema((("grid", "kWh", 2),))))
    at = MARCH_MS + 28 * DAY_MS + np.arange(0, 8 * 96, 8) * QUARTER_MS
    register = np.cumsum(np.arange(len(at)) % 7 * 31)
    frames = [
        make_frame(
            [[int(register[i])], [int(register[i + 1])]],
            sequence=i + 1,
            read_at_ms=at[i : i + 2],
            received_at_s=int(at[i + 1]) // 1000 + 5,
        )
        for i in range(0, len(at) - 1, 2)
    ]
    late = frames.pop(10)
    book = BookNotice("new", dearer(), int(at[60]) // 1000)
    middle = [*frames[:30], book, *frames[30:36], late, *frames[36:]]
    keys = {id(book): "book-0" if partition_of("book-0", 2) == partition_of(ENTERPRISE, 2) else "book-1"}
    return [(keys.get(id(message), ENTERPRISE), encode(message)) for message in [*told, *middle]]


@pytest.mark.parametrize("step", [1000, 7, 31])
def test_flow_that_restates_and_is_resumed_stores_what_one_run_stores(
    lend_database: Callable[[], Settings], tmp_path: Path, step: int
) -> None:
    """Law 7: however the log is cut into runs, with its recovery or without, the same rows, revision included."""
    found = {}
    for name in ("whole", "cut"):
        lent = lend_database()
        settings = replace(lent, home=tmp_path / name, store=dsn(lent), partitions=2, epoch_s=1)
        messages, size = story(), 1000 if name == "whole" else step
        for first in range(0, len(messages), size):
            with open_log(settings) as log:
                log.append(RAW, messages[first : first + size])
            embedded.run(settings, stop_at_end=True)
        if step == 1000 and name == "cut":
            shutil.rmtree(settings.recovery_path)
            embedded.run(settings, stop_at_end=True)
        found[name] = contents(settings)
    assert found["cut"] == found["whole"]
    client = connect(settings)
    dearer_days = "countIf(coal_kgce > 0.15 * used / 100)"
    told = f"SELECT count(), {dearer_days} FROM window_day FINAL WHERE book = 'new' AND used > 0"
    ((rows, dear),) = client.query(told).result_rows
    assert rows > dear > 2  # days of March after the book was told bear its name, and the old worth
    disconnect(client)
