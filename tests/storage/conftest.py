"""Rows for the tables, with defaults for everything, and a small world of two enterprises in two regions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nengliu.domain.times import CHINA, to_ms
from nengliu.settings import Settings
from nengliu.storage import Writer, connect, migrate
from schemas.block import Arrays, Lists, Rows
from tests.chunks import chunk_rows

NORTH, SOUTH = "91110000TESTNORTH1", "91440000TESTSOUTH2"

RECEIVED = int(time.time()) // 86_400 * 86_400 - 86_400
"""Rows are received yesterday: long ago for what is due in minutes, and readings expire three years later."""

_TOTAL: dict[str, Any] = {
    "enterprise": NORTH,
    "node": "",
    "depth": 0,
    "item": "electricity",
    "unit": "kWh",
    "period_start": 1_514_736_000,
    "region": "110105",
    "industry": "C3011",
    "decimals": 2,
    "used": 1000,
    "metered": 1000,
    "parts": 900,
    "feedstock": 0,
    "renewable": 0,
    "estimated": 10,
    "received": 1,
    "due": 1,
    "points": 1,
    "points_due": 1,
    "meters": 1,
    "meters_due": 1,
    "members": 2,
    "members_due": 2,
    "reason": 0,
    "known_at": RECEIVED,
    "revision": 10,
}
_ACCOUNTS = {"coal_kgce": 1.229, "coal_equal_kgce": 3.05, "co2_kg": 5.7, "book": "d"}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "enterprise": {
        "enterprise": NORTH,
        "position": 1,
        "name": "示例厂",
        "name_en": "Example works",
        "region": "110105",
        "industry": "C3011",
        "simulated": True,
        "stays": "[]",
    },
    "point": {
        "enterprise": NORTH,
        "point": "main",
        "position": 2,
        "name": "总表",
        "name_en": "Main meter",
        "kind": "counter",
        "item": "electricity",
        "unit": "kWh",
        "decimals": 2,
        "interval_s": 900,
        "metering_level": 1,
        "place": "plant",
        "valid_from": 0,
        "definition": '{"tariffs": [{"from_ms": 0, "tariff": "t"}]}',
    },
    "frame_schema": {"enterprise": NORTH, "schema": 1, "position": 3, "definition": "[]"},
    "book": {"partition": 0, "position": 4, "digest": "d", "definition": "[]"},
    "tariff": {"partition": 0, "position": 4, "digest": "d", "definition": "[]"},
    "import_run": {
        "enterprise": NORTH,
        "digest": "d",
        "position": 5,
        "sequence_base": 1,
        "file": "a.csv",
        "started_at": 1_514_736_000,
        "rows": 10,
        "readings": 9,
        "repaired": 0,
        "rejected": 1,
    },
    "reading": {
        "enterprise": NORTH,
        "point": "main",
        "read_at": 1_514_736_000_000,
        "origin": 0,
        "ticks": 100,
        "quality": 0,
        "reason": 0,
        "received_at": RECEIVED,
        "sequence": 1,
        "position": 10,
        "sent": 100,
        "sent_unit": "kWh",
        "sent_decimals": 2,
    },
    "reading_chunk": {
        "enterprise": NORTH,
        "point": "main",
        "period_start": 1_514_736_000,
        "origin": 0,
        "at": (0, 900_000),
        "ticks": (100, 200),
        "received_at": (RECEIVED, RECEIVED),
        "sequence": (1, 2),
        "position": (10, 11),
        "quality": (0, 1),
        "reason": (),
        "sent": (1, 2),
        "sent_unit": "",
        "sent_decimals": 0,
        "sent_unit_each": ("kWh", "MWh"),
        "sent_decimals_each": (2, 0),
        "revision": 11,
    },
    "quarantine": {
        "position": 6,
        "item": 0,
        "partition": 0,
        "enterprise": NORTH,
        "point": "main",
        "source": "collector",
        "reason": 303,
        "parameters": "{}",
        "payload": "abc",
        "received_at": RECEIVED,
    },
    "intake": {
        "enterprise": NORTH,
        "source": "collector",
        "partition": 0,
        "position": 7,
        "received_at": RECEIVED,
        "received": 10,
        "valid": 7,
        "duplicate": 2,
        "quarantined": 1,
        "conflicts": 0,
    },
    "link_event": {
        "enterprise": NORTH,
        "source": "collector",
        "kind": 1,
        "sequence": 1,
        "item": 0,
        "at": 1_514_736_000_000,
        "line": "",
        "meter": "",
        "reason": 0,
        "since": 0,
        "parameters": "{}",
        "received_at": RECEIVED,
        "position": 8,
    },
    "missed": {
        "enterprise": NORTH,
        "point": "main",
        "first_at": 1_514_736_000_000,
        "last_at": 1_514_736_000_000,
        "source": "collector",
        "count": 1,
        "reason": 501,
        "parameters": "{}",
        "sequence": 1,
        "received_at": RECEIVED,
        "position": 9,
    },
    "incident": {
        "enterprise": NORTH,
        "incident": "0123456789abcdef",
        "class": "link",
        "cause": 101,
        "severity": 2,
        "state": "active_unack",
        "shelved_until": 0,
        "shelve_reason": "",
        "root": "collector",
        "source": "collector",
        "line": "",
        "meter": "",
        "point": "",
        "members": ("main",),
        "opened_at": 1_514_736_000_000,
        "raised_at": 1_514_736_300,
        "cleared_at": 0,
        "updated_at": 1_514_736_300,
        "acknowledged_at": 0,
        "acknowledged_by": "",
        "closed_at": 0,
        "closed_by": "",
        "comment": "",
        "evidence": "[]",
        "count": 1,
        "revision": 11,
    },
    "incident_event": {
        "enterprise": NORTH,
        "incident": "0123456789abcdef",
        "position": 11,
        "item": 0,
        "at": 1_514_736_000_000,
        "what": "opened",
        "by": "",
        "cause": 101,
        "parameters": "{}",
    },
    "wiring": {"enterprise": NORTH, "source": "collector", "position": 12, "definition": "{}"},
    "point_newest": {
        "enterprise": NORTH,
        "point": "main",
        "first_read_at": 1_514_736_000_000,
        "last_read_at": 1_514_736_000_000,
        "last_received_at": RECEIVED,
    },
    "region": {
        "region": "110100",
        "position": 13,
        "name": "示例市",
        "name_en": "Example city",
        "parent": "110000",
        "row": 1,
        "column": 2,
    },
    "target": {
        "region": "110100",
        "enterprise": NORTH,
        "metric": "energy_total",
        "period": "2018",
        "value": 1000.0,
        "unit": "tce",
        "source": "plan",
        "position": 14,
    },
    "activity": {
        "enterprise": NORTH,
        "measure": "output",
        "period": "2018-01",
        "value": 5.0,
        "unit": "t",
        "source": "report",
        "position": 15,
        "origin": "entered",
        "by": "li.wei",
        "at": 1_514_736_000,
    },
    "manual_entry": {
        "enterprise": NORTH,
        "point": "main",
        "read_at": 1_514_736_000_000,
        "position": 16,
        "item": 0,
        "sent": 100,
        "sent_unit": "kWh",
        "sent_decimals": 2,
        "by": "li.wei",
        "at": 1_514_736_000,
        "why": "display broken",
    },
    "total_15min": _TOTAL,
    "total_hour": _TOTAL,
    "total_day": _TOTAL | _ACCOUNTS,
    "total_month": _TOTAL | _ACCOUNTS,
    "cost_day": {
        "enterprise": NORTH,
        "point": "main",
        "period_start": 1_514_736_000,
        "tariff": "t",
        "book": "d",
        "decimals": 2,
        "used": (0, 0, 100, 50, 0, 0),
        "estimated": (0, 0, 0, 50, 0, 0),
        "amount": (0.0, 0.0, 1.2, 0.5, 0.0, 0.0),
        "windows": 96,
        "day_revision": 10,
        "point_position": 2,
        "known_at": 1_514_736_903,
        "revision": 10,
    },
    "window": {
        "enterprise": NORTH,
        "point": "main",
        "period_start": 1_514_736_000,
        "used": 150,
        "estimated": 0,
        "decimals": 2,
        "mean": float("nan"),
        "low": float("nan"),
        "high": float("nan"),
        "last": 250.0,
        "covered_s": 900,
        "received": 1,
        "due": 1,
        "good": 1,
        "late": 0,
        "substituted": 0,
        "manual": 0,
        "suspect": 0,
        "bad": 0,
        "reason": 0,
        "known_at": 1_514_736_903,
        "revision": 10,
    },
}
_WITH_POSITION = (
    "point",
    "frame_schema",
    "import_run",
    "reading",
    "reading_superseded",
    "quarantine",
    "intake",
    "link_event",
    "missed",
    "incident_event",
    "wiring",
    "activity",
    "manual_entry",
)
_TOLD = (
    "enterprise",
    "point",
    "frame_schema",
    "book",
    "tariff",
    "import_run",
    "wiring",
    "region",
    "target",
    "activity",
    "manual_entry",
)
"""Tables that keep what the log told, and when it took it."""
_LEVELS = ("15min", "hour", "day", "month", "15min_history", "day_history")
_COAL = {"coal_kgce": 0.184, "coal_equal_kgce": 0.45, "co2_kg": 0.9, "book": "d"}


def make_rows(table: str, **columns: Any) -> Rows:
    """Rows of `table`; a value that is a list makes as many rows, everything else is repeated.

    Of `reading`, which is a view, the chunks that say these readings.
    """
    told = {"known_at": 1_514_736_000} if table in _TOLD else {}
    values = told | dict(
        _DEFAULTS["window" if table.startswith("window") else table.removesuffix("_superseded")]
    )
    if table.startswith(("window_day", "window_month")):
        values |= _COAL
    unknown = columns.keys() - values.keys()
    assert not unknown, f"{table} has no {unknown}"
    values |= columns
    n = max((len(value) for value in values.values() if isinstance(value, list)), default=1)
    filled = {name: value if isinstance(value, list) else [value] * n for name, value in values.items()}
    found = Rows(table, {name: _array(value) for name, value in filled.items()})
    return chunk_rows(found) if table == "reading" else found


def _array(values: list[Any]) -> np.ndarray[Any, Any] | Lists | Arrays:
    if isinstance(values[0], tuple):
        flat = [value for each in values for value in each]
        if any(isinstance(value, str) for value in flat):
            return Lists(tuple(values))
        return Arrays(np.cumsum([len(each) for each in values]), np.array(flat))
    if isinstance(values[0], str):
        return np.array(values, dtype=object)
    if isinstance(values[0], int) and max(values) > 2**63:
        return np.array(values, dtype=np.uint64)
    return np.array(values)


@pytest.fixture
def rows() -> Callable[..., Rows]:
    """Factory `rows(table, column=value or list)`."""
    return make_rows


@pytest.fixture
def writer(store_settings: Settings) -> Iterator[Writer]:
    """Writer into the database of the test."""
    with Writer(store_settings, patience_s=5) as found:
        yield found


@pytest.fixture(scope="session")
def world(store_home: Path) -> Iterator[SimpleNamespace]:
    """Everything of two enterprises in two regions, a row in every table for each; only to be read."""
    settings = Settings(home=store_home, database="world")
    client = connect(settings)
    migrate(client, settings.database)
    with Writer(settings) as writer:
        for rows in _two_enterprises():
            writer.write(rows)
    yield SimpleNamespace(north=NORTH, south=SOUTH, client=client, settings=settings)
    client.command("DROP DATABASE world")
    client.close()


def _two_enterprises() -> Iterator[Rows]:
    yield make_rows("book")
    for n, (enterprise, region) in enumerate(((NORTH, "110105"), (SOUTH, "440304"))):
        own = {"enterprise": enterprise, "position": 100 * (n + 1)}
        yield make_rows("enterprise", **own, region=region, name=f"企业{n}")
        for table in _WITH_POSITION:
            yield make_rows(table, **own)
        yield make_rows("quarantine", **own, item=2**32 - 1)  # a message that waits
        city = f"{region[:4]}00"
        yield make_rows("incident", enterprise=enterprise, revision=own["position"])
        yield make_rows("point_newest", enterprise=enterprise)
        yield make_rows("cost_day", enterprise=enterprise)
        for table in ("total_15min", "total_hour", "total_day", "total_month"):
            yield make_rows(table, enterprise=enterprise, region=region)
        yield make_rows("region", region=city, parent=f"{region[:2]}0000", position=own["position"])
        yield make_rows("target", region=city, enterprise=["", enterprise], position=own["position"])
        for level in _LEVELS:
            earlier = {"revision": 5, "used": 100} if level.endswith("history") else {}
            yield make_rows(f"window_{level}", enterprise=enterprise, **earlier)


@pytest.fixture
def china() -> Callable[..., int]:
    """Milliseconds of a China civil date and time: ``china(2018, 1, 1)``."""
    return lambda *fields: to_ms(datetime(*fields, tzinfo=CHINA))


@pytest.fixture
def golden() -> Path:
    """Folder of recorded answers."""
    return Path(__file__).parent / "golden"
