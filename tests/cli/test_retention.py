"""`nengliu retention`: months go when nothing needs them any more, and nothing is computed again from what has gone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from clickhouse_connect.driver.client import Client
from factories import ENTERPRISE, make_frame, make_notices, make_point, make_schema

from flows import embedded
from nengliu.bus.open import open_log
from nengliu.cli import retention
from nengliu.cli.doctor import examine
from nengliu.cli.main import group
from nengliu.domain.points import Enterprise
from nengliu.domain.quality import Reason
from nengliu.domain.retention import gone_before_ms, horizon_ms
from nengliu.domain.times import DAY_MS, HOUR_MS, from_ms
from nengliu.settings import Settings
from nengliu.storage.client import dsn
from schemas.messages import EnterpriseNotice, SchemaNotice, encode
from schemas.topics import RAW

BEGINS_MS = horizon_ms(int(time.time() * 1000), 1096)
OLD_MS = gone_before_ms(gone_before_ms(BEGINS_MS))
"""Start of the youngest month that may go; `old` is read an hour before and after it."""


@pytest.fixture
def settings(store_settings: Settings, tmp_path: Path) -> Settings:
    """An installation with a log of one partition over a store that holds two old months and two young ones."""
    found = Settings(
        home=tmp_path, store=dsn(store_settings), database=store_settings.database, partitions=1, epoch_s=0
    )
    points = [make_point(name) for name in ("old", "new")]
    told: list[Any] = [EnterpriseNotice(Enterprise(ENTERPRISE, "厂")), *make_notices(*points)[:-1]]
    told += [
        SchemaNotice(make_schema(((name, "kWh", 2),), schema=i + 1)) for i, name in enumerate(("old", "new"))
    ]
    _flow(found, [*told, *_frames(1, OLD_MS), *_frames(2, BEGINS_MS)])
    return found


def _frames(schema: int, at_ms: int, values: tuple[int, ...] = (10, 20, 30, 50, 60, 61, 70, 90)) -> list[Any]:
    """Registers from an hour before an instant on, one each quarter-hour."""
    first = at_ms - HOUR_MS
    return [
        make_frame(
            ((value,),),
            schema=schema,
            sequence=first + i,
            read_at_ms=np.array([first + i * HOUR_MS // 4], np.int64),
            received_at_s=first // 1000 + i * 900 + 5,
        )
        for i, value in enumerate(values)
    ]


def _flow(settings: Settings, told: list[Any]) -> None:
    with open_log(settings) as log:
        log.append(RAW, [(ENTERPRISE, encode(message)) for message in told])
    embedded.run(settings, stop_at_end=True)


def _run(settings: Settings, *words: str) -> Result:
    environment = {
        "NENGLIU_HOME": str(settings.home),
        "NENGLIU_STORE": settings.store,
        "NENGLIU_DATABASE": settings.database,
        "NENGLIU_PARTITIONS": "1",
        "NENGLIU_EPOCH_S": "0",
        "NENGLIU_LANG": "en",
    }
    return CliRunner().invoke(group(), ["retention", *words], env=environment)


def _months(client: Client) -> list[str]:
    query = "SELECT DISTINCT toString(toYYYYMM(period_start)) FROM reading_chunk ORDER BY ALL"
    return [row[0] for row in client.query(query).result_rows]


def _windows(client: Client) -> Any:
    return client.query(
        "SELECT count(), sum(cityHash64(toString(tuple(*)))) FROM window_15min FINAL"
    ).result_rows


def test_retention_lets_old_months_go_once_every_flow_has_passed_the_horizon(
    settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Preview, a flow that stands still, then the end of two months; what comes for them later is held for a person."""
    monkeypatch.setattr(retention, "PATIENCE_S", 0.3)
    before, windows = _months(client), _windows(client)
    assert len(before) == 4

    preview = _run(settings)
    assert (preview.exit_code, preview.stdout.count("reading_chunk")) == (0, 2)
    assert f"kept from {from_ms(BEGINS_MS):%Y-%m-%d} on" in preview.stdout

    waiting = _run(settings, "--apply")
    assert waiting.exit_code == 3
    assert "not every flow has passed it yet" in waiting.stderr
    assert _months(client) == before

    _flow(settings, [])
    assert "2 months went" in _run(settings, "--apply").stdout
    assert _months(client) == before[2:]
    assert "Nothing is older." in _run(settings, "--apply").stdout

    late = _frames(2, BEGINS_MS - 10 * DAY_MS, (5,))
    _flow(settings, [*late, *_frames(2, BEGINS_MS + DAY_MS, (300,))])
    (held,) = client.query("SELECT point, reason, parameters, payload FROM quarantine FINAL").result_rows
    assert held[:2] == ("new", Reason.BEYOND_RETENTION)
    assert str(BEGINS_MS) in held[2]
    assert '"sent": 5' in held[3]
    assert client.command("SELECT count() FROM reading WHERE point = 'old'") == 0
    assert _windows(client) != windows  # the young reading has changed its own
    kept = f"period_start < fromUnixTimestamp64Milli({BEGINS_MS})"
    assert client.command(f"SELECT count() FROM window_15min FINAL WHERE {kept} AND point = 'old'") == 8


def test_retention_audit_that_finds_something_keeps_the_months(settings: Settings, client: Client) -> None:
    """A month whose windows disagree with its readings is kept, and the cure is named."""
    where = "point = 'old' AND used > 0"
    client.command(
        f"ALTER TABLE window_15min UPDATE used = used + 1 WHERE {where} SETTINGS mutations_sync = 2"
    )
    before = _months(client)

    result = _run(settings, "--apply")
    assert result.exit_code == 3
    assert "nengliu repair" in result.stderr
    assert _months(client) == before


def test_doctor_says_since_when_readings_are_kept(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    """Before the first end, and when one flow has passed the horizon and the other has not."""
    monkeypatch.setenv("NENGLIU_HOME", str(settings.home))
    monkeypatch.setenv("NENGLIU_STORE", settings.store)
    monkeypatch.setenv("NENGLIU_DATABASE", settings.database)
    monkeypatch.setenv("NENGLIU_PARTITIONS", "1")
    monkeypatch.setenv("NENGLIU_LANG", "en")

    def kept() -> Any:
        return next(check for check in examine() if check.name == "kept")

    assert (kept().ok, kept().found) == (True, "none has expired; 2 months need not be kept any longer")
    client.command(
        f"INSERT INTO horizon VALUES ('ingest', 0, 1, fromUnixTimestamp64Milli({BEGINS_MS}), now())"
    )
    assert not kept().ok
    assert "rollups" in kept().found
    client.command(
        f"INSERT INTO horizon VALUES ('rollups', 0, 1, fromUnixTimestamp64Milli({BEGINS_MS}), now())"
    )
    assert kept().found.startswith(f"kept from {from_ms(BEGINS_MS):%Y-%m-%d} on; 2 months")
