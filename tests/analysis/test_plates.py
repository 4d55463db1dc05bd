"""Plates give the rows of the general way: random frames, kinds, gaps, late and repeated rows, cuts and restarts."""

from __future__ import annotations

import os
import random
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.rollups.recompute import Recompute
from nengliu.analysis.rollups.shard import WindowShard
from nengliu.domain.points import Kind, Meter, Point
from schemas.block import Sheaf
from schemas.messages import PointNotice

START = 1_700_000_000_000 // 86_400_000 * 86_400_000 + 12 * 3_600_000  # 20:00 in China: midnight is near
CASES = settings(
    deadline=None,
    max_examples=int(os.environ.get("LAW_CASES", "40")),
    suppress_health_check=list(HealthCheck),
)


def _plant(rng):
    """Point lists of one shard: alike or not, of all kinds, at one minute to a quarter of an hour."""
    lists = []
    for number in range(rng.choice([1, 2, 3])):
        interval = rng.choice([60, 300, 300, 900])
        kinds = [
            rng.choice([Kind.COUNTER, Kind.COUNTER, Kind.GAUGE, Kind.PERIOD])
            for _ in range(rng.choice([1, 3, 4]))
        ]
        enterprise = f"91320000MA1EXAMP0{number}"
        modulus = rng.choice([0, 3000])
        points = [
            Point(
                enterprise,
                f"p{i}",
                f"p{i}",
                kind,
                "electricity",
                "kWh",
                2,
                interval,
                meters=(Meter(0, "kWh", 2, 3, modulus),) if kind is Kind.COUNTER else (),
            )
            for i, kind in enumerate(kinds)
        ]
        lists.append(points)
    return lists


def _frames(rng, lists, n):
    """Rows as they come: `(list, at, values, received, sequence, position)`, mostly in order."""
    rows = []
    for number, points in enumerate(lists):
        interval = points[0].interval_s * 1000
        at = START + rng.randrange(4) * interval
        register = [rng.randrange(3000) for _ in points]
        for _ in range(n):
            at += interval * rng.choice([1] * 30 + [2, 3, 20, 40])
            for i, point in enumerate(points):
                if point.kind is Kind.COUNTER:
                    modulus = point.meters[0].modulus
                    register[i] += rng.randrange(40)
                    register[i] = register[i] % modulus if modulus else register[i]
                else:
                    register[i] = rng.randrange(-500, 500)
            delay = rng.choice([2] * 20 + [130, 1900, 3500, 40_000])
            rows.append((number, at, list(register), at // 1000 + delay))
            if rng.random() < 0.05:
                rows.append(rows[-1])
    rows.sort(key=lambda row: row[3])
    return [(*row, 1000 + i, 500 + i) for i, row in enumerate(rows)]


def _sheaf(lists, rows):
    """Rows of lists of one width as a sheaf."""
    numbers = sorted({row[0] for row in rows})
    ticks = np.array([row[2] for row in rows], np.int64)
    return Sheaf(
        lists=tuple(tuple((p.enterprise, p.point) for p in lists[number]) for number in numbers),
        row_list=np.array([numbers.index(row[0]) for row in rows], np.int32),
        read_at_ms=np.array([row[1] for row in rows], np.int64),
        received_at_s=np.array([row[3] for row in rows], np.int64),
        sequence=np.array([row[4] for row in rows], np.uint64),
        position=np.array([row[5] for row in rows], np.uint64),
        ticks=ticks,
        sent=ticks,
        units=tuple((("kWh", 2),) * ticks.shape[1] for _ in numbers),
        quality=np.array([_late(row) for row in rows], np.uint8),
        reason=np.array([402 * _late(row) for row in rows], np.uint16),
    )


def _late(row):
    """What came an hour or more after its time is marked so (class 1, reason 402)."""
    return int(row[3] > row[1] // 1000 + 3600)


def _sheaves(lists, rows):
    """A batch as sheaves, one per width."""
    for width in sorted({len(row[2]) for row in rows}):
        yield _sheaf(lists, [row for row in rows if len(row[2]) == width])


def _catalogue(lists):
    catalogue = Catalogue()
    for points in lists:
        for point in points:
            catalogue.take(PointNotice(point), 1)
    return catalogue


def _keep(store, sheaf):
    """What ingest would have stored."""
    block = sheaf.block()
    table = store.tables["reading"]
    for i in range(len(block)):
        enterprise, point = block.points[block.slot[i]]
        key = enterprise, point, int(block.read_at_ms[i]), 0
        row = {
            "enterprise": enterprise,
            "point": point,
            "read_at": int(block.read_at_ms[i]),
            "ticks": int(block.ticks[i]),
            "origin": 0,
            "quality": int(block.quality[i]),
            "reason": int(block.reason[i]),
            "sent": 0,
            "received_at": int(block.received_at_s[i]),
            "sequence": int(block.sequence[i]),
            "position": int(block.position[i]),
        }
        table.setdefault(key, row)


def _generally(lists, rows):
    """The judge: everything the general way, in one batch per row's day of receipt."""
    store = MemoryStore()
    judge = Recompute(_catalogue(lists), None, None)
    for sheaf in _sheaves(lists, rows):
        for out in judge.add(sheaf.block()):
            store.write(out)
    return store


def _in_plates(lists, rows, rng, *, restarts, eager):
    """The way under test, in random batches; a restart forgets the shard and takes some rows again."""
    store, used, at = MemoryStore(), False, 0
    shard = WindowShard(_catalogue(lists), store.readings, store.days)
    while at < len(rows):
        batch = rows[at : at + rng.choice([1, 3, 10, 60, 200])]
        for sheaf in _sheaves(lists, batch):
            _write(store, shard.pour(sheaf.block() if rng.random() < 0.2 else sheaf))
            _keep(store, sheaf)
        used |= bool(shard._homes.plates)
        at += len(batch)
        ends = restarts and rng.random() < 0.1
        if eager or ends or rng.random() < 0.3:
            _write(store, shard.flush())
        shard.seal()
        if ends:
            shard = WindowShard(_catalogue(lists), store.readings, store.days)
            at = max(0, at - rng.choice([0, 1, 7]))
    _write(store, shard.flush())
    return store, used


def _write(store, said):
    for rows in said:
        store.write(rows)


def _bare(store):
    """Rows of all levels and histories; a history row that says what the current row says is no news."""
    found = {}
    for name in ("15min", "hour", "day", "month"):
        for key, row in store.tables[f"window_{name}"].items():
            found[name, key] = str(sorted(row.items()))
    return found


def _as_of(store, level, day):
    """Newest rows known at the end of a China day."""
    end_s = (day + 1) * 86_400 - 8 * 3600
    newest = {}
    for row in [*store.tables[f"window_{level}"].values(), *store.tables[f"window_{level}_history"].values()]:
        key = row["enterprise"], row["point"], row["period_start"]
        if row["known_at"] < end_s and row["revision"] >= newest.get(key, row)["revision"]:
            newest[key] = row
    return {key: str(sorted(row.items())) for key, row in newest.items()}


@CASES
@given(seed=st.integers(0, 10**6), cuts=st.integers(0, 10**6), restarts=st.booleans(), eager=st.booleans())
def test_plates_give_the_rows_of_the_general_way(seed, cuts, restarts, eager):
    """Laws 1, 2, 4 and 7: values, marks, coverage, revision; and what each earlier day knew."""
    rng = random.Random(seed)
    lists = _plant(rng)
    rows = _frames(rng, lists, rng.choice([30, 120, 400]))
    judged = _generally(lists, rows)
    found, _ = _in_plates(lists, rows, random.Random(cuts), restarts=restarts, eager=eager)
    assert _bare(found) == _bare(judged)
    for day in {(row[3] + 8 * 3600) // 86_400 for row in rows}:
        for level in ("15min", "day"):
            assert _as_of(found, level, day) == _as_of(judged, level, day)


def test_plain_frames_do_lie_in_plates():
    """The comparison above compares two ways, and not one with itself."""
    rng = random.Random(1)
    lists = [[replace(point, meters=(Meter(0, "kWh", 2),)) for point in points] for points in _counters()]
    rows = _frames(rng, lists, 300)
    _, used = _in_plates(lists, rows, rng, restarts=False, eager=False)
    assert used


def _counters():
    meters = (Meter(0, "kWh", 2),)
    name = "91320000MA1EXAMP00"
    return [
        [
            Point(name, f"p{i}", "p", Kind.COUNTER, "electricity", "kWh", 2, 60, meters=meters)
            for i in range(4)
        ]
    ]
