"""What people enter through log, flow and store: a value stands beside the automatic one, and that one counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from factories import make_frame, make_meter, make_point, make_schema

from flows import embedded
from nengliu.bus.open import open_log, publish_entered
from nengliu.cli.main import group
from nengliu.domain.points import Enterprise, Formula, Kind, Point
from nengliu.domain.quality import Origin, Quality
from nengliu.domain.scope import SYSTEM, Scope
from nengliu.domain.times import DAY_MS, QUARTER_MS
from nengliu.settings import Settings
from nengliu.storage import ask, connect, disconnect, migrate
from nengliu.storage.client import dsn
from schemas.messages import (
    Activity,
    ActivityNotice,
    Entered,
    EnterpriseNotice,
    EntryNotice,
    PointNotice,
    SchemaNotice,
    encode,
)
from schemas.topics import RAW

START_MS = 1_764_518_400_000
"""2025-12-01 00:00 in China."""
PLANT, TWIN = "91370000MA1ENTRY01", "91370000MA1TWIN002"
"""The twin is read alike, and nobody enters anything for it."""
GAP = range(41, 53)
METER = make_meter(decimals=0, modulus=1_000_000)
NOON_S = START_MS // 1000 + 12 * 3600
LATER_S = START_MS // 1000 + 86_400


def at(quarter: float) -> int:
    """Instant of a quarter-hour of the day [ms]."""
    return START_MS + int(quarter * QUARTER_MS)


def points(code: str) -> list[Point]:
    """A main meter, four more that are read otherwise, and a computed one."""
    fixed = {"enterprise": code, "interval_s": 900, "meters": (METER,)}
    below = {"metering_level": 3}
    others = [make_point(name, **fixed, **below) for name in ("p-opc", "p-sql", "p-file", "p-hand")]
    amounts = make_point("p-amount", Kind.PERIOD, enterprise=code, interval_s=900, **below)
    computed = make_point(
        "p-sum", Kind.PERIOD, enterprise=code, interval_s=0, formulas=(Formula(0, '"e-main" * 2'),), **below
    )
    return [make_point(**fixed), *others, amounts, computed]


def frames(code: str) -> list[bytes]:
    """The main meter every quarter-hour but during the gap: 25 kWh each."""
    found = []
    for i in [i for i in range(97) if i not in GAP]:
        stamp = np.array([at(i)], np.int64)
        found.append(
            make_frame(
                ((5_000 + 25 * i,),),
                enterprise=code,
                sequence=i + 1,
                read_at_ms=stamp,
                received_at_s=at(i) // 1000 + 2,
            )
        )
    return [encode(frame) for frame in found]


def foreign(code: str, point: str, quarter: int, value: int, origin: str) -> bytes:
    """A reading as another system sends it."""
    said = {
        "v": 1,
        "enterprise": code,
        "point": point,
        "read_at": f"2025-12-01T{quarter // 4:02d}:{quarter % 4 * 15:02d}:00+08:00",
        "value": str(value),
        "unit": "kWh",
        "source": "dcs",
        "received_at": "2025-12-02T00:00:00+08:00",
        "origin": origin,
    }
    return json.dumps(said).encode()


def entered(
    quarter: float, value: str, point: str = "e-main", why: str = "表计显示屏损坏", unit: str = "kWh"
) -> Entered:
    """One value of the day."""
    return Entered(point, at(quarter), value, unit, why)


ACTS = (
    EntryNotice(
        PLANT, "li.wei", LATER_S, (entered(20, "5123"), entered(46, "6170"), entered(10, "7", "p-hand"))
    ),
    EntryNotice(
        PLANT, "wang", LATER_S + 60, (entered(46, "6150", why="抄错，更正"), entered(10, "7", "p-hand"))
    ),
    EntryNotice(
        PLANT,
        "li.wei",
        LATER_S + 120,
        (
            entered(12, "1", "p-sum"),
            entered(12, "1", "nobody"),
            entered(12, "1000000"),
            entered(9000, "1"),
            entered(12, "1.5", "p-hand"),
            entered(13, "12", "p-hand", unit="m3"),
            entered(20, "0.009", "p-hand", unit="MWh"),
        ),
    ),
    EntryNotice(
        PLANT,
        "li.wei",
        LATER_S + 180,
        tuple(entered(8, "900", name) for name in ("p-opc", "p-sql", "p-file")),
    ),
)


@pytest.fixture(scope="module")
def told(store_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An installation whose flows have taken in two plants, and what people entered for the first."""
    home = tmp_path_factory.mktemp("entries")
    settings = Settings(
        home=home, store=dsn(Settings(home=store_home)), database="entries", partitions=2, epoch_s=1
    )
    client = connect(settings)
    migrate(client, settings.database)
    messages: list[tuple[str, bytes]] = []
    for code in (PLANT, TWIN):
        schema = make_schema((("e-main", "kWh", 0),), enterprise=code)
        notices = [EnterpriseNotice(Enterprise(code, code, region="370100")), SchemaNotice(schema)]
        messages += [(code, encode(notice)) for notice in [*notices, *map(PointNotice, points(code))]]
        messages += [(code, value) for value in frames(code)]
    for name in ("opc", "sql", "file"):
        messages += [(PLANT, foreign(PLANT, f"p-{name}", q, 100 + q, name)) for q in (4, 8, 12)]
    with open_log(settings) as log:
        log.append(RAW, messages)
        for act in ACTS:
            publish_entered(log, act)
    embedded.run(settings, stop_at_end=True)
    yield settings
    client.command("DROP DATABASE entries", use_database=False)
    disconnect(client)


def asked(settings: Settings, name: str, scope: Scope = SYSTEM, **parameters: Any) -> list[dict[str, Any]]:
    """Rows of an answer."""
    client = connect(settings)
    found: list[dict[str, Any]] = ask(client, name, scope, **parameters).to_pylist()
    disconnect(client)
    return found


def query(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    """Rows of the tables themselves."""
    client = connect(settings)
    found = [tuple(row) for row in client.query(sql).result_rows]
    disconnect(client)
    return found


def windows(settings: Settings, code: str, level: str, point: str = "e-main") -> list[dict[str, Any]]:
    """The windows of the day."""
    span = {"start": START_MS, "end": START_MS + DAY_MS}
    return asked(settings, "windows", level=level, enterprise=code, point=point, **span)


def entries(
    settings: Settings, scope: Scope = SYSTEM, **given: Any
) -> dict[tuple[str, float, str], dict[str, Any]]:
    """What was entered, by point, quarter-hour and value as written."""
    span = {"start": LATER_S * 1000, "end": (LATER_S + 3600) * 1000}
    rows = asked(settings, "entries", scope, **(span | given))
    return {
        (
            r["point"],
            (int(r["read_at"].timestamp() * 1000) - START_MS) / QUARTER_MS,
            f"{r['value']:.{r['decimals']}f}",
        ): r
        for r in rows
    }


def test_value_by_hand_stands_beside_the_automatic_one_which_counts(told: Settings) -> None:
    """At one instant both readings are stored, and no window differs from that of a plant without entries."""
    both = query(
        told,
        f"SELECT origin, ticks, quality FROM reading WHERE enterprise = '{PLANT}' AND point = 'e-main' "
        f"AND read_at = fromUnixTimestamp64Milli({at(20)}) ORDER BY origin",
    )
    assert both == [(Origin.TIMED, 5_500, Quality.GOOD), (Origin.MANUAL, 5_123, Quality.MANUAL)]
    hour = {"used", "estimated", "good", "manual", "received", "due"}
    mine, twins = (
        [{name: row[name] for name in hour} for row in windows(told, code, "hour")[:10]]
        for code in (PLANT, TWIN)
    )
    assert mine == twins
    entry = entries(told)["e-main", 20, "5123"]
    assert (entry["state"], entry["automatic"], entry["automatic_unit"]) == ("beside", 5500.0, "kWh")


def test_value_by_hand_in_a_gap_splits_it_and_the_day_keeps_its_sum(told: Settings) -> None:
    """The energy of the gap is unchanged, the hours before and after the value have what it says, marked as manual."""
    mine, twins = (windows(told, code, "15min") for code in (PLANT, TWIN))
    assert sum(row["used"] for row in mine) == sum(row["used"] for row in twins) == 2_400
    before = sum(row["used"] for row in mine[40:46])
    assert before == 6_150 - (5_000 + 25 * 40)
    assert sum(row["used"] for row in mine[46:53]) == 5_000 + 25 * 53 - 6_150
    assert [row["manual"] for row in mine[40:53]] == [0] * 6 + [1] + [0] * 6
    assert sum(row["used"] for row in twins[40:53]) == 25 * 13


@pytest.mark.parametrize("name", ["opc", "sql", "file"])
def test_every_other_origin_speaks_before_a_person(told: Settings, name: str) -> None:
    """OPC, SQL and imported files are no timed readings, yet what a person says at their instant changes nothing."""
    rows = query(
        told,
        f"SELECT origin, ticks FROM reading WHERE enterprise = '{PLANT}' AND point = 'p-{name}' "
        f"AND read_at = fromUnixTimestamp64Milli({at(8)}) ORDER BY origin",
    )
    assert sorted(rows) == sorted([(Origin[name.upper()], 108), (Origin.MANUAL, 900)])
    assert sum(row["used"] for row in windows(told, PLANT, "15min", f"p-{name}")) == 8
    assert entries(told)[f"p-{name}", 8, "900"]["state"] == "beside"


def test_correction_counts_and_what_it_replaced_is_kept(told: Settings) -> None:
    """The later entry stands; the earlier one is among the superseded and in the list, with its person and reason."""
    lost = query(
        told,
        f"SELECT ticks, quality FROM reading_superseded FINAL WHERE enterprise = '{PLANT}' AND origin = 3",
    )
    assert lost == [(6_170, Quality.MANUAL)]
    found = entries(told)
    old, new = found["e-main", 46, "6170"], found["e-main", 46, "6150"]
    assert (old["state"], old["by"], old["why"]) == ("corrected", "li.wei", "表计显示屏损坏")
    assert (new["state"], new["by"], new["why"]) == ("counts", "wang", "抄错，更正")
    assert int(new["at"].timestamp()) == LATER_S + 60


def test_value_that_cannot_be_taken_is_told_with_its_reason(told: Settings) -> None:
    """Every refused value is in the quarantine, its neighbours of the same act are taken; the tally adds up."""
    found = {key: (row["state"], row["reason"]) for key, row in entries(told).items()}
    assert found["p-sum", 12, "1"] == ("refused", "COMPUTED_POINT")
    assert found["nobody", 12, "1"] == ("refused", "UNKNOWN_POINT")
    assert found["e-main", 12, "1000000"] == ("refused", "OVER_MODULUS")
    assert found["e-main", 9000, "1"] == ("refused", "STAMP_IN_FUTURE")
    assert found["p-hand", 12, "1.5"] == ("refused", "NOT_EXACT")
    assert found["p-hand", 13, "12"] == ("refused", "WRONG_UNIT")
    assert found["p-hand", 20, "0.009"] == ("counts", "")
    tallies = query(
        told,
        "SELECT sum(received), sum(valid), sum(duplicate), sum(quarantined), sum(conflicts) FROM intake FINAL "
        f"WHERE enterprise = '{PLANT}' AND source = 'manual'",
    )
    rows = sum(len(act.rows) for act in ACTS)
    assert tallies == [(rows, rows - 6 - 1, 1, 6, 1)]  # six refused, one said twice, one corrected


def test_entries_are_seen_within_the_scope_only(told: Settings) -> None:
    """Another enterprise, another region and a forgotten limit see none of them."""
    assert entries(told, Scope("enterprise", enterprise=PLANT))
    assert entries(told, Scope("analyst", region="37"))
    for scope in (Scope("enterprise", enterprise=TWIN), Scope("analyst", region="32"), Scope("enterprise")):
        assert not entries(told, scope)
        assert not asked(told, "neighbours", scope, enterprise=PLANT, point="e-main", at=at(46))
        assert not asked(told, "definitions", scope, enterprise=PLANT)


def test_neighbours_are_the_last_before_the_first_after_and_all_at_the_instant(told: Settings) -> None:
    """Who enters a value sees what stands around it."""
    found = asked(told, "neighbours", enterprise=PLANT, point="e-main", at=at(46))
    assert [(row["side"], row["value"], row["origin"]) for row in found] == [
        ("after", 6_325.0, Origin.TIMED),
        ("at", 6_150.0, Origin.MANUAL),
        ("before", 6_000.0, Origin.TIMED),
    ]
    found = asked(told, "neighbours", enterprise=PLANT, point="e-main", at=at(20))
    assert [(row["side"], row["value"]) for row in found][1:3] == [("at", 5_500.0), ("at", 5_123.0)]


def test_flow_run_again_from_the_start_changes_nothing(told: Settings) -> None:
    """A replay of the log gives the same rows of entries, readings and windows."""

    def contents() -> list[list[tuple[Any, ...]]]:
        tables = (
            "manual_entry",
            "reading_chunk",
            "window_15min",
            "window_day",
            "reading_superseded",
            "quarantine",
        )
        return [query(told, f"SELECT count(), sum(cityHash64(*)) FROM {table} FINAL") for table in tables]

    before = contents()
    for file in (told.recovery_path / "embedded").iterdir():
        file.unlink()
    embedded.run(told, stop_at_end=True)
    assert contents() == before


def test_audit_finds_registers_and_windows_in_agreement(
    told: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The audit chooses among origins as the flows do: every day, recomputed too, is as its readings say."""
    given = {"HOME": told.home, "STORE": told.store, "DATABASE": told.database, "PARTITIONS": 2, "LANG": "en"}
    for name, value in given.items():
        monkeypatch.setenv(f"NENGLIU_{name}", str(value))
    span = ("--from", "2025-12-01", "--to", "2025-12-02")
    done = CliRunner().invoke(group(), ["audit", *span, "--recompute", "all", "--format", "json"])
    said = json.loads(done.stdout)
    assert said["recomputed_points"] > 10
    assert said["findings"] == []


def days(code: str) -> tuple[Activity, ...]:
    """Output and staff of every day of November, 10 t and 5 persons; of December of two days only."""
    found = [(f"2025-11-{d:02d}", 10.0, 5.0) for d in range(1, 31)] + [
        ("2025-12-01", 10.0, 5.0),
        ("2025-12-02", 10.0, 5.0),
    ]
    return tuple(
        Activity(measure, period, value, unit, code)
        for period, output, staff in found
        for measure, value, unit in (("output:cement", output, "t"), ("staff", staff, "persons"))
    )


def tell(settings: Settings, *notices: ActivityNotice) -> None:
    """Append and let the flow take it in."""
    with open_log(settings) as log:
        for notice in notices:
            publish_entered(log, notice)
    embedded.run(settings, stop_at_end=True)


SPAN = {"start": START_MS - 40 * DAY_MS, "end": START_MS + 40 * DAY_MS}


def test_figures_of_production_say_who_told_them_and_keep_what_they_replaced(told: Settings) -> None:
    """The newest holds with its origin; every version is kept, and one that was taken back counts no more."""
    first = ActivityNotice(
        PLANT, (Activity("value_added", "2025-12", 800.0, "10k CNY", "月报"),), "imported", "li.wei", NOON_S
    )
    second = ActivityNotice(
        PLANT,
        (
            Activity("value_added", "2025-12", 820.5, "10k CNY", "更正"),
            Activity("plan:cement", "2025-12", 300.0, "t", ""),
            Activity("plan:clinker", "2025-12", 1.0, "t", ""),
        ),
        "entered",
        "wang",
        NOON_S + 60,
    )
    third = ActivityNotice(
        PLANT, (Activity("plan:clinker", "2025-12", None, "t", ""),), "entered", "wang", NOON_S + 120
    )
    tell(told, first, second, third)

    found = {(r["measure"], r["product"]): r for r in asked(told, "activities", enterprise=PLANT, **SPAN)}
    assert {key: row["value"] for key, row in found.items()} == {
        ("value_added", ""): 820.5,
        ("plan", "cement"): 300.0,
    }
    standing = found["value_added", ""]
    assert (standing["origin"], standing["by"], int(standing["at"].timestamp())) == (
        "entered",
        "wang",
        NOON_S + 60,
    )
    versions = [
        (r["product"] or r["measure"], r["value"], r["stands"])
        for r in asked(told, "activity_versions", enterprise=PLANT, **SPAN)
    ]
    assert sorted(versions, key=str) == sorted(
        [
            ("value_added", 800.0, False),
            ("value_added", 820.5, True),
            ("cement", 300.0, True),
            ("clinker", 1.0, False),
            ("clinker", None, True),
        ],
        key=str,
    )
    assert asked(told, "activities", Scope("enterprise", enterprise=TWIN), **SPAN) == []
    assert asked(told, "activity_versions", Scope("analyst", region="32"), **SPAN) == []


def test_figures_known_on_an_earlier_day_can_be_asked_for(told: Settings) -> None:
    """Before anything was told nothing was known; today everything is."""
    assert asked(told, "activities", enterprise=PLANT, as_of=date(2020, 1, 1), **SPAN) == []
    now = asked(told, "activities", enterprise=PLANT, **SPAN)
    assert now
    assert asked(told, "activities", enterprise=PLANT, as_of=date(2100, 1, 1), **SPAN) == now


def test_days_make_a_month_only_where_all_of_them_are_told(told: Settings) -> None:
    """Thirty days of November are its output, of staff the mean; two days of December are no month."""
    tell(told, ActivityNotice(TWIN, days(TWIN), "imported", "li.wei", NOON_S))
    client = connect(told)
    part = (
        Path(__import__("nengliu.storage").storage.__path__[0]) / "queries" / "parts" / "activity_months.sql"
    ).read_text(encoding="utf-8")
    sql = part.replace(
        "{newest(activity: {scope})}", f"(SELECT * FROM activity FINAL WHERE enterprise = '{TWIN}')"
    )
    rows = client.query(f"SELECT measure, toString(month), value FROM ({sql}) ORDER BY measure").result_rows
    disconnect(client)
    assert [tuple(row) for row in rows] == [
        ("output:cement", "2025-11-01", 300.0),
        ("staff", "2025-11-01", 5.0),
    ]

    tell(
        told,
        ActivityNotice(
            TWIN, (Activity("output:cement", "2025-12", 48.0, "t", ""),), "entered", "wang", NOON_S
        ),
    )
    found = asked(told, "unit_consumption", enterprise=TWIN, start=START_MS, end=START_MS + 31 * DAY_MS)
    assert [(row["product"], row["output_t"], row["kwh_per_t"]) for row in found] == [("cement", 48.0, 50.0)]
