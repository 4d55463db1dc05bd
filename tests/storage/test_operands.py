"""Stored windows for computed points: what was known below a position, named as the window tables name it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from clickhouse_connect.driver.client import Client

from flows.computed import StoredWindows
from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.named_rows import table_of
from nengliu.analysis.rollups.computing import ComputedShard
from nengliu.domain.points import Formula, Kind, Meter, Point
from nengliu.domain.scope import SYSTEM
from nengliu.domain.times import CHINA, DAY_MS, STORED, Level, to_ms
from nengliu.settings import Settings
from nengliu.storage import Asker, Writer, ask
from schemas.block import Rows
from schemas.messages import PointNotice

Write = Callable[..., Rows]
NORTH = "91110000TESTNORTH1"
FEBRUARY = to_ms(datetime(2024, 2, 1, tzinfo=CHINA))


@pytest.mark.parametrize("level", STORED)
def test_windows_of_operands_are_those_below_the_position(
    store_settings: Settings, writer: Writer, rows: Write, level: Level
) -> None:
    """Points asked for, the span asked for, and nothing that the replay will make again."""
    start = FEBRUARY // 1000
    writer.write(
        rows(
            f"window_{level}",
            point=["a", "a", "a", "b", "c"],
            period_start=[start, start - 2_678_400, start, start, start],
            used=[7, 8, 9, 10, 11],
            revision=[20, 5, 30, 6, 7],
        )
    )
    writer.flush()
    loader = StoredWindows(Asker(store_settings, patience_s=1))
    points = [(NORTH, "a"), (NORTH, "b")]

    def used(before: int) -> list[tuple[str, int]]:
        found = loader.windows(level, points, FEBRUARY, FEBRUARY + DAY_MS, before)
        table = table_of([found]) if found is not None else None
        if table is None:
            return []
        names = [table.pairs[owner][1] for owner in table.owner.tolist()]
        return list(zip(names, table.columns["used"].tolist(), strict=True))

    assert used(31) == [("a", 9), ("b", 10)]
    assert used(30) == [("b", 10)]
    assert used(6) == []
    assert loader.months(points, FEBRUARY) == ([FEBRUARY] if level is Level.MONTH else [])


def test_formula_told_today_computes_what_is_stored(
    store_settings: Settings, client: Client, writer: Writer, rows: Write
) -> None:
    """Windows of years ago get their sum as soon as somebody says how it is made, and the tables take it."""
    start = FEBRUARY // 1000
    for level in STORED:
        columns = {"point": ["a", "b"], "period_start": start, "used": [700, 300], "received": 1, "due": 1}
        writer.write(rows(f"window_{level}", **columns, revision=[5, 6], known_at=start + 1000))
    writer.flush()
    catalogue = Catalogue()
    meters = (Meter(0, "kWh", 2),)
    measured = [
        Point(NORTH, name, name, Kind.COUNTER, "electricity", "kWh", 2, meters=meters) for name in "ab"
    ]
    rest = Point(
        NORTH,
        "rest",
        "其余",
        Kind.PERIOD,
        "electricity",
        "kWh",
        2,
        interval_s=0,
        formulas=(Formula(0, "a - b"),),
    )
    notices = [PointNotice(point) for point in (*measured, rest)]
    for position, notice in enumerate(notices, 1000):
        catalogue.take(notice, position)
    shard = ComputedShard(catalogue, StoredWindows(Asker(store_settings, patience_s=1)))
    for some in shard.take(notices[2], 1002, 500):
        writer.write(some)
    writer.flush()
    for level in STORED:
        span = {"level": level, "enterprise": NORTH, "point": "rest", "start": 0, "end": 2**42}
        (row,) = ask(client, "windows", SYSTEM, **span).to_pylist()
        assert (row["used"], row["received"], row["due"], row["revision"]) == (4.0, 2, 2, 1002)
        coal = None if level in (Level.QUARTER, Level.HOUR) else 0.0
        assert row["coal_kgce"] == coal
        assert row["mean"] is None
