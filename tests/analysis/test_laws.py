"""Laws 1, 2, 4 and 7 for the windows of registers: random plants, orders, batch cuts and crashes."""

from __future__ import annotations

import os
import random
from dataclasses import replace

import numpy as np
import plant_model as model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore, block_of

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.rollups.shard import WindowShard
from nengliu.domain.points import Kind, Meter, Point
from nengliu.domain.times import STORED, Level, period_start_ms
from schemas.messages import PointNotice

E = "91320000MA1EXAMPL3"
START = 1_700_000_000_000 // 900_000 * 900_000
MODULUS = 100_000
WORTH = 3
LAWS = settings(
    deadline=None,
    max_examples=int(os.environ.get("LAW_CASES", "25")),
    suppress_health_check=list(HealthCheck),
)


def _readings(seed, n, *, late):
    """Readings of two registers in log order: duplicates, conflicts, disorder, late ones, off-edge stamps."""
    rng = random.Random(seed)
    found = []
    for point in ("a", "b"):
        register, at = rng.randrange(MODULUS), START
        for _ in range(n):
            at += rng.choice([900_000, 900_000, 900_000, 300_000, 437_123, 5_400_000, 90_000_000])
            register = (register + rng.randrange(0, 800)) % MODULUS
            delay = rng.choice([30, 30, 30, 600, 4 * 3600, 80_000, 260_000]) if late else 30
            found.append({"point": point, "at": at, "steps": register, "received": at // 1000 + delay})
            if rng.random() < 0.1:
                found.append(dict(found[-1]))
            if rng.random() < 0.1:
                found.append(found[-1] | {"steps": (register + 7) % MODULUS})
    order = list(range(len(found)))
    rng.shuffle(order)
    for number, i in enumerate(order):
        found[i]["sequence"] = number + 1  # the source's order is no secret of the delivery
    found.sort(key=lambda r: (r["received"], r["sequence"]))
    for position, reading in enumerate(found, 100):
        reading["position"] = position
    return found


def _row(reading):
    fixed = {"enterprise": E, "quality": 0, "reason": 0, "origin": 0, "sent": 0}
    named = {"point": reading["point"], "read_at": reading["at"], "ticks": reading["steps"]}
    rest = {
        "received_at": reading["received"],
        "sequence": reading["sequence"],
        "position": reading["position"],
    }
    return fixed | named | rest


def _shard(store=None):
    catalogue = Catalogue()
    shard = WindowShard(catalogue, store.readings if store else None, store.days if store else None)
    for name in ("a", "b"):
        meter = Meter(0, "kWh", 2, multiplier=WORTH, modulus=MODULUS)
        catalogue.take(
            PointNotice(Point(E, name, name, Kind.COUNTER, "electricity", "kWh", 2, meters=(meter,))), 1
        )
    return shard


def _run(readings, cuts, store=None, *, seal=False):
    """Feed readings in batches; keep every row as the store would."""
    store = store or MemoryStore()
    shard = _shard(store)
    if seal:
        shard.ledger.max_rows = shard.ledger._trim_beyond = 4
        shard.days.max_rows = shard.days.keep_days = 2
    for batch in _batches(readings, cuts):
        block = block_of([_row(r) for r in batch])
        for reading in batch:
            _keep_reading(store, reading)
        for rows in shard.add(block):
            store.write(rows)
        shard.seal()
    return store


def _batches(readings, cuts):
    rng = random.Random(cuts)
    at = 0
    while at < len(readings):
        size = rng.choice([1, 2, 5, 17, 60])
        yield readings[at : at + size]
        at += size


def _keep_reading(store, reading):
    """What ingest would have stored by now."""
    row = _row(reading)
    table = store.tables["reading"]
    key = (E, reading["point"], reading["at"], 0)
    old = table.get(key)
    if old is None:
        table[key] = row
    elif old["ticks"] == row["ticks"]:
        old["sequence"] = max(old["sequence"], row["sequence"])
    else:
        later = (row["sequence"], row["ticks"]) > (old["sequence"], old["ticks"])
        loser = old if later else row
        lost = store.tables["reading_superseded"]
        lost[
            (E, reading["point"], reading["at"], 0, loser["sequence"], loser["ticks"], loser["position"])
        ] = dict(loser)
        if later:
            table[key] = row


def _expected(readings, point, level):
    standing = model.settle([r for r in readings if r["point"] == point])
    rows = model.quarters(model.register_ticks(standing, WORTH, MODULUS), standing)

    def start(window):
        return int(period_start_ms(level, np.array([window]))[0])

    return model.fold(rows, start)


def _found(store, point, level):
    table = store.tables[f"window_{level}"].values()
    return {
        r["period_start"] * 1000: {
            "used": r["used"],
            "estimated": r["estimated"],
            "received": r["received"],
            "revision": r["revision"],
            "known": r["known_at"],
        }
        for r in table
        if r["point"] == point
    }


def _bare(store):
    """Current rows of all levels, NaN made comparable."""
    return {
        name: {key: str(sorted(row.items())) for key, row in store.tables[name].items()}
        for name in ("window_15min", "window_hour", "window_day", "window_month")
    }


@LAWS
@given(seed=st.integers(0, 10**6), cuts=st.integers(0, 10**6), late=st.booleans())
def test_windows_equal_the_naive_model_on_every_level(seed, cuts, late):
    """Law 1: any span adds up to the register's difference, tick by tick, as an independent loop finds it."""
    readings = _readings(seed, 20, late=late)
    store = _run(readings, cuts)
    for point in ("a", "b"):
        for level in STORED:
            assert _found(store, point, level) == _expected(readings, point, level)


@LAWS
@given(seed=st.integers(0, 10**6), cuts=st.integers(0, 10**6))
def test_windows_do_not_depend_on_batch_cuts_or_eviction(seed, cuts):
    """Law 2: other batches, and forgetting what the store holds, change no row, revision included."""
    readings = _readings(seed, 20, late=True)
    assert _bare(_run(readings, cuts)) == _bare(_run(readings, cuts + 1, seal=True))


@LAWS
@given(seed=st.integers(0, 10**6), shuffle=st.integers(0, 10**6))
def test_windows_do_not_depend_on_the_order_of_delivery(seed, shuffle):
    """Law 2: whatever the order of arrival, the values are the same (the revision tells of the order)."""
    readings = _readings(seed, 15, late=True)
    other = [dict(r) for r in readings]
    random.Random(shuffle).shuffle(other)
    for position, reading in enumerate(other, 100):
        reading["position"] = position
    for level in STORED:
        for point in ("a", "b"):
            first, second = (_found(_run(rows, 1), point, level) for rows in (readings, other))
            strip = [
                {k: {n: v for n, v in r.items() if n != "revision"} for k, r in f.items()}
                for f in (first, second)
            ]
            for rows in strip:
                for row in rows.values():
                    row.pop("known")
            assert strip[0] == strip[1]


@LAWS
@given(seed=st.integers(0, 10**6), cuts=st.integers(0, 10**6), crash=st.floats(0, 1), back=st.integers(0, 40))
def test_windows_after_a_crash_equal_an_uninterrupted_run(seed, cuts, crash, back):
    """Law 7: a crash after any write, a resume from an earlier commit, another cut: the same rows and history days."""
    readings = _readings(seed, 20, late=True)
    whole = _run(readings, cuts)
    died = int(len(readings) * crash)
    store = _run(readings[:died], cuts)
    resumed = max(0, died - back)
    _run(readings[resumed:], cuts + 7, store)
    assert _bare(store) == _bare(whole)


@LAWS
@given(seed=st.integers(0, 10**6), cuts=st.integers(0, 10**6), share=st.floats(0.1, 0.9))
def test_windows_as_of_a_day_equal_what_was_known_then(seed, cuts, share):
    """Law 4: current rows and history together still say what an earlier day knew."""
    readings = _readings(seed, 20, late=True)
    store = _run(readings, cuts)
    day = int(np.quantile([r["received"] for r in readings], share))
    end_s = (day * 1000 + 8 * 3_600_000) // 86_400_000 * 86_400 - 8 * 3600
    then = [r for r in readings if r["received"] < end_s]
    for level, name in ((Level.QUARTER, "15min"), (Level.DAY, "day")):
        rows = [*store.tables[f"window_{name}"].values(), *store.tables[f"window_{name}_history"].values()]
        for point in ("a", "b"):
            newest = {}
            for row in (r for r in rows if r["point"] == point and r["known_at"] < end_s):
                if row["revision"] >= newest.get(row["period_start"], row)["revision"]:
                    newest[row["period_start"]] = row
            assert {k * 1000: r["used"] for k, r in newest.items()} == {
                k: r["used"] for k, r in _expected(then, point, level).items()
            }


def test_meter_change_with_dated_registers_keeps_every_tick():
    """A register that stops at 900 and a new one that starts at 40 lose nothing between them."""
    change = START + 5 * 900_000 + 60_000
    meters = (Meter(0, "kWh", 2, multiplier=1, last=900), Meter(change, "kWh", 1, multiplier=2, first=40))
    shard, store = WindowShard(Catalogue()), MemoryStore()
    shard.take(PointNotice(Point(E, "a", "a", Kind.COUNTER, "electricity", "kWh", 2, meters=meters)), 1)
    times = [START + i * 900_000 for i in range(10)]
    steps = [800, 820, 840, 860, 880, 890, 43, 45, 50, 60]
    readings = [
        {"point": "a", "at": t, "steps": s, "received": t // 1000, "sequence": i + 1, "position": i + 10}
        for i, (t, s) in enumerate(zip(times, steps, strict=True))
    ]
    for rows in shard.add(block_of([_row(r) for r in readings])):
        store.write(rows)
    used = {k: r["used"] for k, r in _found(store, "a", Level.QUARTER).items()}
    assert sum(used.values()) == (900 - 800) * 1 + (60 - 40) * 20
    assert used[times[5]] == (900 - 890) * 1 + (43 - 40) * 20


def test_meter_change_told_late_restates_the_windows_after_it():
    """The same readings, and the change told after them: the same windows."""
    change = START + 3 * 900_000
    old, new = Meter(0, "kWh", 2, last=500), Meter(change, "kWh", 2, first=0)
    first = Point(E, "a", "a", Kind.COUNTER, "electricity", "kWh", 2, meters=(replace(old, last=None),))
    shard, store = WindowShard(Catalogue()), MemoryStore()
    shard.take(PointNotice(first), 1)
    times = [START + i * 900_000 for i in range(6)]
    readings = [
        {"point": "a", "at": t, "steps": s, "received": t // 1000, "sequence": i + 1, "position": i + 10}
        for i, (t, s) in enumerate(zip(times, [100, 200, 300, 10, 30, 60], strict=True))
    ]
    for rows in shard.add(block_of([_row(r) for r in readings])):
        store.write(rows)
    assert sum(r["used"] for r in _found(store, "a", Level.QUARTER).values()) == 60 - 100
    for rows in shard.take(PointNotice(replace(first, meters=(old, new))), 50):
        store.write(rows)
    assert sum(r["used"] for r in _found(store, "a", Level.MONTH).values()) == (500 - 100) + 60
