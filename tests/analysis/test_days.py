"""Days of a month folded into a carry: months are the same, bit by bit, whatever comes late (laws 1 and 2)."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore, block_of

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.rollups.shard import WindowShard
from nengliu.domain.points import Kind, Meter, Point
from nengliu.domain.times import DAY_MS
from schemas.block import Labels, Rows
from schemas.messages import BookNotice, PointNotice

E = "91320000MA1EXAMPL3"
START = 1_701_345_600_000 - 20 * DAY_MS  # 10 November in China
POINTS = (
    Point(E, "a", "a", Kind.COUNTER, "electricity", "kWh", 2, meters=(Meter(0, "kWh", 2),)),
    Point(E, "g", "g", Kind.GAUGE, "temperature", "degC", 2, hold_s=90_000),
    Point(E, "p", "p", Kind.PERIOD, "heat", "GJ", 2, interval_s=900),
)
FACTORS = tuple(
    {
        "item": item,
        "factor": factor,
        "basis": basis,
        "region": "",
        "preference": "3",
        "valid_from": "2000-01-01",
        "valid_to": "",
        "value": value,
    }
    for item, factor, basis, value in (("electricity", "co2", "", "0.5703"), ("heat", "co2", "", "110.1"))
)
CASES = settings(
    deadline=None,
    max_examples=int(os.environ.get("LAW_CASES", "25")),
    suppress_health_check=list(HealthCheck),
)


def _shard(store: MemoryStore) -> WindowShard:
    catalogue = Catalogue()
    catalogue.take(BookNotice("book", FACTORS), 1)
    for point in POINTS:
        catalogue.take(PointNotice(point), 1)
    return WindowShard(catalogue, store.readings, store.days)


def _readings(rng: random.Random) -> list[dict[str, Any]]:
    """A reading or two a day for forty days; one in ten comes up to thirty days late."""
    found = []
    for point in POINTS:
        at, ticks = START, 0
        while at < START + 40 * DAY_MS:
            at += rng.choice([DAY_MS, DAY_MS, DAY_MS // 2, 3 * DAY_MS]) + rng.randrange(4) * 900_000
            ticks = rng.randrange(1000) + (ticks if point.kind is Kind.COUNTER else 0)
            late = rng.randrange(30) * DAY_MS if rng.random() < 0.1 else 60_000
            found.append(
                {"point": point.point, "read_at": at, "ticks": ticks, "received_at": (at + late) // 1000}
            )
    found.sort(key=lambda one: one["received_at"])
    fixed = {"enterprise": E, "quality": 0, "reason": 0, "origin": 0, "sent": 0}
    return [fixed | one | {"sequence": i, "position": i} for i, one in enumerate(found, 100)]


def _run(seed: int, *, folds: bool) -> tuple[MemoryStore, WindowShard, int]:
    """Run a story; how many months had a carry after an epoch."""
    rng = random.Random(seed)
    store = MemoryStore()
    shard, carries = _shard(store), 0
    if folds:
        shard.days.max_rows, shard.days.keep_days = 0, rng.randrange(3)
    readings = _readings(random.Random(seed))
    while readings:
        size = rng.choice([1, 3, 9])
        batch, readings = readings[:size], readings[size:]
        for one in batch:
            store.tables["reading"][E, one["point"], one["read_at"], 0] = one
        for rows in shard.add(block_of(batch)):
            store.write(rows)
        shard.seal()
        carries += int(shard.days.rows.columns["carry"].sum())
    return store, shard, carries


def _bare(store: MemoryStore) -> dict[str, dict[Any, str]]:
    tables = ("window_day", "window_month")
    return {
        name: {key: str(sorted(row.items())) for key, row in store.tables[name].items()} for name in tables
    }


@CASES
@given(seed=st.integers(0, 10**6))
def test_months_are_the_same_with_and_without_a_carry(seed: int) -> None:
    """Days of forty days, some of them late, folded or not: the same rows, the last bit of sums included."""
    folded, _, carries = _run(seed, folds=True)
    plain, _, none = _run(seed, folds=False)
    assert (carries > 0, none) == (True, 0)
    assert _bare(folded) == _bare(plain)


def test_restated_days_are_not_hidden_by_a_carry() -> None:
    """A day in a carry is restated: the month that is said next has what the store has of it now."""
    store, shard, _ = _run(7, folds=True)
    days = shard.days
    place = int(np.flatnonzero(days.rows.columns["carry"])[0])
    pair = shard.ledger.points[int(days.rows.keys[place]) >> 32]
    own = sorted(
        (row for (*who, _), row in store.tables["window_day"].items() if tuple(who) == pair), key=_start
    )
    newest = own[-1]
    month = max(
        row["period_start"] for (*who, _), row in store.tables["window_month"].items() if tuple(who) == pair
    )
    first = next(row for row in own if row["period_start"] >= month)
    first |= {"co2_kg": 1000.25, "revision": first["revision"] + 1}
    columns: dict[str, Any] = {name: np.array([value]) for name, value in first.items()}
    for name in ("enterprise", "point", "book"):
        columns[name] = Labels(np.zeros(1, np.int32), (first[name],))
    told = first["revision"], first["known_at"]
    days.restated(Rows("window_day", columns), told, shard._general.traits(), shard.ledger)
    read_at = newest["period_start"] * 1000 + DAY_MS // 2
    late = {
        "read_at": read_at,
        "ticks": 5,
        "received_at": read_at // 1000 + 60,
        "sequence": 900,
        "position": 900,
    }
    fixed = {"enterprise": E, "quality": 0, "reason": 0, "origin": 0, "sent": 0, "point": pair[1]}
    store.tables["reading"][E, pair[1], read_at, 0] = fixed | late
    for rows in shard.add(block_of([fixed | late])):
        store.write(rows)

    said = store.tables["window_month"][(*pair, month)]
    days_now = [row for (*who, _), row in store.tables["window_day"].items() if tuple(who) == pair]
    assert said["co2_kg"] == sum(
        row["co2_kg"] for row in sorted(days_now, key=_start) if row["period_start"] >= month
    )
    assert said["used"] == sum(row["used"] for row in days_now if row["period_start"] >= month)


def _start(row: dict[str, Any]) -> int:
    return int(row["period_start"])
