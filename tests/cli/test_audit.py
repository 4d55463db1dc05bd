"""`nengliu audit`: a store in order is found in order, and each planted inconsistency is found where it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from clickhouse_connect.driver.client import Client
from factories import ENTERPRISE, make_frame, make_log, make_meter, make_notices, make_point

from nengliu.analysis.audit_recompute import Described
from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.intake.shard import IngestShard
from nengliu.analysis.rollups.computing import ComputedShard
from nengliu.analysis.rollups.shard import WindowShard
from nengliu.analysis.rollups.steps import RollupShard
from nengliu.analysis.totals.shard import TotalShard
from nengliu.cli.audit_look import Audit, Part, Recomputed
from nengliu.cli.main import group
from nengliu.domain.points import Enterprise, Formula, Kind, Point
from nengliu.domain.times import DAY_MS, HOUR_MS, QUARTER_MS
from nengliu.settings import Settings
from nengliu.storage import Asker, Writer, connect, migrate
from nengliu.storage.client import dsn
from schemas.messages import BookNotice, EnterpriseNotice, Frame, PointNotice

START_MS = 1_764_432_000_000
"""2025-11-30 00:00 in China: two days over a month's end."""
DAYS = 2
CHANGE_MS = START_MS + 30 * HOUR_MS
AMID_MS = CHANGE_MS + 3 * QUARTER_MS
"""2025-12-01 06:45 in China: amid an hour, a day and a month."""
DAY = "period_start = toDateTime('2025-11-30 00:00:00', 'Asia/Shanghai')"
MONTH = "period_start = toDateTime('2025-11-01 00:00:00', 'Asia/Shanghai')"
MIDNIGHT, FIRST = "2025-11-30T00:00:00+08:00", "2025-11-01T00:00:00+08:00"


def plant() -> list[Any]:
    """Notices and frames: a register that rolls over and is exchanged, one far apart, a power, an amount."""
    old = make_meter(multiplier=80, modulus=100_000, last=2_310)
    new = make_meter(from_ms=CHANGE_MS, multiplier=40, modulus=100_000, first=7)
    points = (
        make_point("grid", meters=(old, new)),
        make_point("line", interval_s=3600),
        make_point("power", Kind.GAUGE, unit="kW", item="active_power", decimals=1, metering_level=0),
        make_point("gas", Kind.PERIOD, unit="m3", item="natural_gas"),
    )
    columns = [*make_notices(*points)]
    columns += [PointNotice(point) for point in computed(Formula(0, "grid - line"))]
    told: list[Any] = [
        BookNotice("book", ()),
        EnterpriseNotice(Enterprise(ENTERPRISE, "厂", region="320500")),
    ]
    changed = [
        PointNotice(point)
        for point in computed(Formula(0, "grid - line"), Formula(AMID_MS, "grid - line * 2"))
    ]
    return [*told, *columns, *frames(), *changed, b"nobody can read this"]


def computed(*nets: Formula) -> tuple[Point, ...]:
    """What is left beside the line, and what stands upon it: formulas of a formula, and a sum of gauges."""
    fixed: dict[str, Any] = {"interval_s": 0, "metering_level": 0}
    gauge = {"kind": Kind.GAUGE, "item": "efficiency", **fixed}
    shares = tuple(Formula(net.from_ms, f"rest / grid + {i}") for i, net in enumerate(nets))
    return (
        make_point("rest", Kind.PERIOD, formulas=nets, **fixed),
        make_point("share", unit="1", decimals=4, formulas=shares, **gauge),
        make_point(
            "twice",
            unit="kW",
            decimals=1,
            formulas=(Formula(0, "power * 2"),),
            **gauge | {"item": "active_power"},
        ),
    )


def frames() -> Iterator[Frame]:
    """A frame each quarter-hour; the second hour comes last, one frame twice, one again with another value."""
    late = []
    for i in range(DAYS * 96):
        at = START_MS + i * QUARTER_MS
        grid = (90_000 + 103 * i) % 100_000 if at < CHANGE_MS else 7 + 60 * (i - 120)
        frame = make_frame(
            ((grid, 50 * i + i // 7, 800 + i % 13, 25 + i % 4),),
            read_at_ms=np.array([at], np.int64),
            received_at_s=at // 1000 + 5,
            sequence=i + 1,
        )
        late.append(frame) if 4 <= i < 8 else None
        if not 4 <= i < 8:
            yield frame
        if i in (50, 51):
            again = {"read_at_ms": frame.read_at_ms, "received_at_s": at // 1000 + 9, "sequence": 1000 + i}
            yield make_frame(frame.values + (i == 51), **again)
    yield from late


@pytest.fixture(scope="module")
def laid(store_home: Path) -> Iterator[Settings]:
    """A store with the plant in it."""
    settings = Settings(home=store_home, database="audited", epoch_s=0)
    client = connect(settings)
    migrate(client, settings.database)
    catalogue = Catalogue()
    ingest = IngestShard(Catalogue())
    rollups = RollupShard(WindowShard(catalogue), ComputedShard(catalogue), TotalShard(catalogue))
    records = make_log(plant(), appended_at_s=(START_MS + 3 * DAY_MS) // 1000)
    with Writer(settings) as writer:
        outcome = ingest.add(records)
        for rows in [*outcome.rows, *rollups.run(outcome.onward)]:
            writer.write(rows)
    yield settings
    client.command("DROP DATABASE audited", use_database=False)
    client.close()


class Tampering:
    """Changes rows behind everybody's back, and takes that back in the end."""

    def __init__(self, client: Client) -> None:
        self.client, self.kept = client, set[str]()

    def __call__(self, table: str, change: str, where: str) -> None:
        """DELETE rows, UPDATE columns, REPLACE rows by others, or REPEAT them with something else in them."""
        self.keep(table)
        word, _, other = change.partition(" ")
        if word in ("DELETE", "UPDATE"):
            self._mutate(table, change, where)
            return
        if word == "REPLACE":
            self._mutate(table, "DELETE", where)
        self.client.command(
            f"INSERT INTO {table} SELECT * REPLACE {other} FROM kept_{table} FINAL WHERE {where}"
        )

    def keep(self, table: str) -> None:
        """Keep a copy of a table."""
        if table not in self.kept:
            self.kept.add(table)
            self.client.command(f"CREATE TABLE kept_{table} AS {table}")
            self.client.command(f"INSERT INTO kept_{table} SELECT * FROM {table}")

    def undo(self) -> None:
        """Put the tables back."""
        for table in self.kept:
            self.client.command(f"TRUNCATE TABLE {table}")
            self.client.command(f"INSERT INTO {table} SELECT * FROM kept_{table}")
            self.client.command(f"DROP TABLE kept_{table}")

    def _mutate(self, table: str, change: str, where: str) -> None:
        self.client.command(f"ALTER TABLE {table} {change} WHERE {where} SETTINGS mutations_sync = 2")


@pytest.fixture
def tamper(laid: Settings) -> Iterator[Tampering]:
    """What may be planted into the store; it is taken back."""
    client = connect(laid)
    tampering = Tampering(client)
    yield tampering
    tampering.undo()
    client.close()


def run(settings: Settings, command: str, *words: str) -> Result:
    """Run a command over the two months of the plant."""
    environment = {
        "NENGLIU_STORE": dsn(settings),
        "NENGLIU_DATABASE": settings.database,
        "NENGLIU_PARTITIONS": "1",
        "NENGLIU_EPOCH_S": "0",
        "NENGLIU_LANG": "en",
    }
    span = ("--from", "2025-11-30", "--to", "2025-12-02")
    return CliRunner().invoke(group(), [command, *span, *words], env=environment)


def audit(settings: Settings, *words: str) -> Result:
    """Audit all of the plant."""
    return run(settings, "audit", "--recompute", "all", *words)


def findings(settings: Settings) -> set[tuple[str, ...]]:
    """Places and likely causes of what an audit finds."""
    result = audit(settings, "--format", "json")
    found = json.loads(result.stdout)["findings"]
    assert result.exit_code == (3 if found else 0)
    return {(f["check"], f["level"], f["subject"], f["at"], f["why"]) for f in found}


def test_store_in_order_is_found_in_order(laid: Settings) -> None:
    """Nothing differs: exit code 0, and everything was computed anew, what formulas give too."""
    result = audit(laid)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception

    assert result.stdout == "2025-11 to 2025-12: everything agrees; 14 point-months were computed anew.\n"
    assert result.exit_code == 0


def hour(h: int) -> tuple[str, str]:
    """An hour of the first day, for SQL and as the audit says it."""
    return (
        f"period_start = toDateTime('2025-11-30 {h}:00:00', 'Asia/Shanghai')",
        f"2025-11-30T{h}:00:00+08:00",
    )


Place = tuple[str, ...]


def depends(level: str, at: str, *points: str, why: str = "changed") -> set[Place]:
    """Computed points are no longer what their formulas give of what was tampered with."""
    return {("recomputed", level, point, at, why) for point in points}


PLANTED: dict[str, tuple[tuple[str, str, str], set[Place]]] = {
    "a window changed": (
        ("window_15min", "UPDATE used = used + 1", f"point = 'grid' AND {hour(10)[0]}"),
        {
            ("level", "hour", "grid", hour(10)[1], "changed"),
            ("recomputed", "15min", "grid", hour(10)[1], "changed"),
            *depends("15min", hour(10)[1], "rest", "share"),
            ("total", "15min", "electricity", hour(10)[1], "changed"),
        },
    ),
    "an hour missing": (
        ("window_hour", "DELETE", f"point = 'line' AND {hour(10)[0]}"),
        {
            ("level", "hour", "line", hour(10)[1], "lost_window"),
            ("level", "day", "line", MIDNIGHT, "changed"),
            ("recomputed", "hour", "line", hour(10)[1], "lost_window"),
            *depends("hour", hour(10)[1], "rest", "share"),
            ("total", "hour", "electricity", hour(10)[1], "changed"),
        },
    ),
    "a day doubled": (
        ("window_day", "UPDATE used = used * 2", f"point = 'gas' AND {DAY}"),
        {
            ("level", "day", "gas", MIDNIGHT, "doubled"),
            ("level", "month", "gas", FIRST, "changed"),
            ("recomputed", "day", "gas", MIDNIGHT, "doubled"),
            ("total", "day", "natural_gas", MIDNIGHT, "changed"),
        },
    ),
    "a register's day doubled": (
        ("window_day", "UPDATE used = used * 2", f"point = 'grid' AND {DAY}"),
        {
            ("level", "day", "grid", MIDNIGHT, "doubled"),
            ("level", "month", "grid", FIRST, "changed"),
            ("register", "day", "grid", MIDNIGHT, "doubled"),
            ("recomputed", "day", "grid", MIDNIGHT, "doubled"),
            *depends("day", MIDNIGHT, "rest", "share"),
            ("total", "day", "electricity", MIDNIGHT, "changed"),
        },
    ),
    "a month stale": (
        (
            "window_month",
            "REPLACE (used - 100 AS used, received - 1 AS received, revision - 1 AS revision)",
            f"point = 'line' AND {MONTH}",
        ),
        {
            ("level", "month", "line", FIRST, "stale"),
            ("recomputed", "month", "line", FIRST, "stale"),
            *depends("month", FIRST, "rest", "share"),
            ("total", "month", "electricity", FIRST, "changed"),
        },
    ),
    "more estimated than used": (
        ("window_15min", "UPDATE estimated = used + 5", f"point = 'grid' AND {hour(11)[0]}"),
        {
            ("level", "hour", "grid", hour(11)[1], "changed"),
            ("recomputed", "15min", "grid", hour(11)[1], "over_estimated"),
            *depends("15min", hour(11)[1], "rest"),
        },
    ),
    "an hour of nothing": (
        ("window_hour", "REPLACE (revision + 1000 AS revision)", f"point = 'power' AND {hour(12)[0]}"),
        {
            ("level", "hour", "power", hour(12)[1], "ahead"),
            ("level", "day", "power", MIDNIGHT, "stale"),
            ("recomputed", "hour", "power", hour(12)[1], "ahead"),
            *depends("hour", hour(12)[1], "twice", why="stale"),
        },
    ),
    "a revision ahead of its readings": (
        ("window_15min", "REPLACE (revision + 1000 AS revision)", f"point = 'power' AND {hour(14)[0]}"),
        {
            ("revision", "15min", "power", hour(14)[1], "ahead"),
            ("level", "hour", "power", hour(14)[1], "stale"),
            ("recomputed", "15min", "power", hour(14)[1], "ahead"),
            *depends("15min", hour(14)[1], "twice", why="stale"),
        },
    ),
    "other decimals": (
        ("window_15min", "UPDATE decimals = 3", f"point = 'gas' AND {hour(10)[0]}"),
        {
            ("decimals", "15min", "gas", hour(10)[1], "other_decimals"),
            ("level", "hour", "gas", hour(10)[1], "other_decimals"),
            ("recomputed", "15min", "gas", hour(10)[1], "other_decimals"),
            ("total", "15min", "natural_gas", hour(10)[1], "changed"),
        },
    ),
    "an amount of a formula changed": (
        ("window_15min", "UPDATE used = used + 1", f"point = 'rest' AND {hour(15)[0]}"),
        {
            ("level", "hour", "rest", hour(15)[1], "changed"),
            ("recomputed", "15min", "rest", hour(15)[1], "changed"),
        },
    ),
    "a ratio changed": (
        (
            "window_hour",
            "UPDATE mean = mean * 2, received = received + 1",
            f"point = 'share' AND {hour(16)[0]}",
        ),
        {
            ("level", "hour", "share", hour(16)[1], "changed"),
            ("level", "day", "share", MIDNIGHT, "changed"),
            ("recomputed", "hour", "share", hour(16)[1], "changed"),
        },
    ),
    "a row of a formula missing": (
        ("window_15min", "DELETE", f"point = 'twice' AND {hour(17)[0]}"),
        {
            ("level", "hour", "twice", hour(17)[1], "changed"),
            ("recomputed", "15min", "twice", hour(17)[1], "lost_window"),
        },
    ),
    "a revision of a formula that nobody told": (
        ("window_15min", "REPLACE (revision + 1000 AS revision)", f"point = 'twice' AND {hour(18)[0]}"),
        {
            ("revision", "15min", "twice", hour(18)[1], "ahead"),
            ("level", "hour", "twice", hour(18)[1], "stale"),
            ("recomputed", "15min", "twice", hour(18)[1], "ahead"),
        },
    ),
    "a total of more than its points": (
        ("total_hour", "UPDATE used = used + 1", f"node = '' AND item = 'natural_gas' AND {hour(13)[0]}"),
        {("total", "hour", "natural_gas", hour(13)[1], "changed")},
    ),
    "a total missing": (
        ("total_15min", "DELETE", f"node = '' AND item = 'electricity' AND {hour(13)[0]}"),
        {("total", "15min", "electricity", hour(13)[1], "lost_window")},
    ),
    "a lost row of the quarantine": (
        ("quarantine", "DELETE", "true"),
        {("intake", "", "", "2025-12-03T00:00:00+08:00", "lost_quarantine")},
    ),
    "a tally that does not add up": (
        ("intake", "UPDATE duplicate = duplicate + 1", "duplicate = 4"),
        {("intake", "", "collector-1", MIDNIGHT, "unbalanced")},
    ),
    "a message tallied twice": (
        ("intake", "REPEAT (position + 5000 AS position)", "received_at = '2025-11-30 10:00:05'"),
        {("message", "", "collector-1", "2025-11-30T10:00:05+08:00", "strange_tally")},
    ),
}


def test_planted_inconsistencies_are_found_and_nothing_else(laid: Settings, tamper: Tampering) -> None:
    """Whatever was tampered with is found, where it is and with its likely cause, and nothing beside it."""
    for change, _ in PLANTED.values():
        tamper(*change)

    assert findings(laid) == set[Place]().union(*(expected for _, expected in PLANTED.values()))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(PLANTED))
def test_planted_inconsistency_is_found_alone(laid: Settings, tamper: Tampering, name: str) -> None:
    """Each kind by itself: none is found by what another left."""
    change, expected = PLANTED[name]
    tamper(*change)

    assert findings(laid) == expected


@pytest.mark.parametrize(
    "change",
    [
        "DELETE",
        pytest.param("UPDATE at = arrayPopBack(at), ticks = arrayPopBack(ticks)", marks=pytest.mark.slow),
    ],
)
def test_lost_readings_are_found_by_message_window_and_register(
    laid: Settings, tamper: Tampering, change: str
) -> None:
    """A lost hour of readings, or its last reading: the messages miss it, and so do the windows made of it."""
    names = ("received_at", "sequence", "position", "quality", "reason", "sent")
    if change != "DELETE":
        change += "".join(f", {n} = if(empty({n}), {n}, arrayPopBack({n}))" for n in names)
    tamper("reading_chunk", change, f"point = 'line' AND {hour(10)[0]}")

    found = findings(laid)
    assert {place[2] for place in found} == {"line", "collector-1"}
    assert {"message", "revision", "recomputed"} <= {place[0] for place in found}
    assert {place[-1] for place in found if place[0] == "message"} == {"lost_readings"}
    assert all(place[3].startswith(("2025-11-30", FIRST)) for place in found)


def test_sample_of_computed_points_needs_no_reading_of_theirs(laid: Settings) -> None:
    """Points are drawn by chance: formulas are compared with their points whether or not these are drawn."""
    asker = Asker(laid)
    work = Audit(laid, asker, "", START_MS, START_MS + DAY_MS, Recomputed(0, 0), 0.0)
    ((code,),) = work.batches()
    catalogue, described = work.catalogue((code,))
    start_ms, end_ms = work.months()[0]
    places = [i for i, (_, point) in enumerate(described.points) if point in ("rest", "share", "twice")]
    only = Described([described.points[i] for i in places], described.position[places])
    recomputed = Recomputed(None, 0)
    assert list(recomputed(Part(asker, (code,), start_ms, end_ms, catalogue, only))) == []
    assert len(recomputed.looked_at) == 3
    asker.close()


def test_finding_says_where_what_why_and_what_to_do(laid: Settings, tamper: Tampering) -> None:
    """A person reads a sentence per finding."""
    tamper(*PLANTED["a day doubled"][0])

    result = audit(laid)
    assert result.exit_code == 3
    line = next(line for line in result.stdout.splitlines() if line.startswith("Recomputed"))
    assert f"{ENTERPRISE} gas 2025-11-30 00:00+08:00 (day): expected used " in line
    assert line.endswith("Probably it was counted twice; `nengliu repair`.")
    assert "4 differences" in result.stdout


@pytest.mark.parametrize(
    "words", [("--from", "2026-01-01", "--to", "2025-01-01"), ("--recompute", "some"), ("--from", "never")]
)
def test_input_that_makes_no_sense_is_told(words: tuple[str, ...]) -> None:
    """A span that ends before it begins, a sample that is no number, a time that is none."""
    result = CliRunner().invoke(group(), ["audit", *words])

    assert result.exception is not None
    assert getattr(result.exception, "exit_code", None) == 2
