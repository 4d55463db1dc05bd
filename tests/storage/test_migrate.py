"""Migrations: forward only, each once, never changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from nengliu.errors import InputError, StorageError
from nengliu.settings import Settings
from nengliu.storage import Writer, connect, dump, migrate
from nengliu.storage.migrate import migrations, statements
from schemas.block import Rows


@pytest.fixture
def client(fresh_settings: Settings) -> Iterator[Client]:
    """Client of a database of the test's own: these tests spoil it."""
    found = connect(fresh_settings)
    yield found
    found.close()


def test_migrate_again_applies_nothing(client: Client, fresh_settings: Settings) -> None:
    """A second run finds everything applied and changes nothing."""
    before = dump(client, fresh_settings.database)
    assert migrate(client, fresh_settings.database) == []
    assert dump(client, fresh_settings.database) == before


def test_migrate_fresh_database_applies_all_in_order(client: Client, fresh_settings: Settings) -> None:
    """A new database gets every migration, in the order of their numbers."""
    fresh = f"{fresh_settings.database}_fresh"
    try:
        assert migrate(client, fresh) == list(migrations())
        assert client.database == fresh_settings.database
    finally:
        client.command(f"DROP DATABASE {fresh}")


def test_migrate_cut_short_is_simply_run_again(client: Client, fresh_settings: Settings) -> None:
    """Every statement bears repetition, so a crash between a table and its entry does no harm."""
    before = dump(client, fresh_settings.database)
    client.command("TRUNCATE TABLE migration")
    assert migrate(client, fresh_settings.database) == list(migrations())
    assert dump(client, fresh_settings.database) == before


def test_migrate_store_of_an_older_program_keeps_its_rows_and_learns_from_them(
    client: Client, fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch, rows: Callable[..., Rows]
) -> None:
    """A store of before the watch keeps what it held, and knows from its readings when each point spoke; also if the
    migration was cut short and runs again.
    """
    old = replace(fresh_settings, database=f"{fresh_settings.database}_old")
    known = {name: text for name, text in migrations().items() if name < "0005"}
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["nengliu.storage.migrate"], "migrations", lambda: known)
        migrate(client, old.database)
    try:
        with Writer(old) as writer:
            narrow = rows(
                "reading_superseded", point=["a", "a", "b"], read_at=[5000, 1000, 7000], origin=[0, 0, 3]
            )
            writer.write(Rows("reading", narrow.columns))
            catalogue = rows("enterprise").columns
            writer.write(
                Rows(
                    "enterprise",
                    {name: catalogue[name] for name in catalogue if name not in ("known_at", "stays")},
                )
            )
        assert migrate(client, old.database) == [name for name in migrations() if name not in known]
        client.command(f"DELETE FROM {old.database}.migration WHERE name >= '0005'")
        migrate(client, old.database)
        found = client.query(
            "SELECT point, toUnixTimestamp64Milli(min(first_read_at)), toUnixTimestamp64Milli(max(last_read_at)) "
            f"FROM {old.database}.point_newest GROUP BY point ORDER BY point"
        )
        assert found.result_rows == [("a", 1000, 5000), ("b", 7000, 7000)]
        for table, count in (("reading", 3), ("enterprise", 1), ("incident", 0), ("region", 0)):
            assert client.query(f"SELECT count() FROM {old.database}.{table}").result_rows == [(count,)]
    finally:
        client.command(f"DROP DATABASE {old.database}")


_COLUMNS = (
    "enterprise, point, read_at, origin, ticks, quality, reason, received_at, sequence, position, sent, sent_unit, "
    "sent_decimals"
)


def test_migrate_readings_in_rows_become_chunks_and_say_the_same(
    client: Client, fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every column of every reading that stands, with other units, marks and replaced values; run again too."""
    old = f"{fresh_settings.database}_rows"
    known = {name: text for name, text in migrations().items() if name < "0007"}
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["nengliu.storage.migrate"], "migrations", lambda: known)
        migrate(client, old)
    try:
        client.command(
            f"""INSERT INTO {old}.reading SELECT 'E' || toString(number % 3), 'p' || toString(intDiv(number, 3) % 5),
            fromUnixTimestamp64Milli(1735660800000 + intDiv(number, 15) * 60000 + number % 7), number % 2, number * 10,
            number % 50 = 0, if(number % 50 = 0, 402, 0), 1735660800 + number, number, number + 5,
            if(number % 5 = 1, number, number * 10), if(number % 33 = 0, 'MWh', 'kWh'), if(number % 33 = 0, 5, 2)
            FROM numbers(20000)"""
        )
        later = "ticks + 1 AS ticks, sequence + 1000000 AS sequence, position + 1000000 AS position"
        client.command(
            f"INSERT INTO {old}.reading SELECT * REPLACE ({later}) FROM {old}.reading WHERE sequence % 9 = 0"
        )
        query = f"SELECT count(), sum(cityHash64({_COLUMNS})) FROM {old}.reading"
        before = client.query(f"{query} FINAL").result_rows
        for _ in range(2):
            migrate(client, old)
            assert client.query(query).result_rows == before
            client.command(f"DELETE FROM {old}.migration WHERE name >= '0007'")
        hours = f"SELECT count(), max(revision) FROM {old}.reading_chunk FINAL"
        assert client.query(hours).result_rows == [(23 * 30, 1_000_000 + 19_997 + 5)]
    finally:
        client.command(f"DROP DATABASE {old}")


def test_migrate_changed_file_is_refused(client: Client, fresh_settings: Settings) -> None:
    """An applied migration that reads differently today stops the program before it touches anything."""
    name = next(iter(migrations()))
    client.command(f"INSERT INTO migration VALUES ('{name}', 'other', now())")
    with pytest.raises(StorageError, match=f"{name}.sql was changed after it was applied"):
        migrate(client, fresh_settings.database)


def test_migrate_newer_database_is_refused(client: Client, fresh_settings: Settings) -> None:
    """A database of a newer program is left alone."""
    client.command("INSERT INTO migration VALUES ('9999_future', 'x', now())")
    with pytest.raises(StorageError, match=r"laid by a newer program .*9999_future"):
        migrate(client, fresh_settings.database)


def test_migrate_database_name_with_sql_is_refused(client: Client) -> None:
    """The only name that goes into a statement as text is checked first."""
    with pytest.raises(InputError, match="letters, digits"):
        migrate(client, "x; DROP TABLE y")


def test_dump_equals_the_recorded_tables(
    client: Client, fresh_settings: Settings, golden: Path, request: pytest.FixtureRequest
) -> None:
    """What the migrations lay is what was reviewed; REGEN=1 or --regen records it anew."""
    file = golden / "tables.sql"
    found = dump(client, fresh_settings.database)
    if os.environ.get("REGEN") or request.config.getoption("--regen", default=False):
        file.parent.mkdir(exist_ok=True)
        file.write_text(found)
    assert found == file.read_text()


def test_statements_semicolons_in_texts_and_comments_do_not_cut() -> None:
    """A semicolon ends a statement only where SQL says so."""
    script = (
        "-- one; two\n"
        "CREATE TABLE a (x Int8 COMMENT 'due; 0: none', y Int8 COMMENT 'it''s; so');\n; SELECT 1 - 2"
    )
    assert statements(script) == [
        "CREATE TABLE a (x Int8 COMMENT 'due; 0: none', y Int8 COMMENT 'it''s; so')",
        "SELECT 1 - 2",
    ]
