"""Laws 1, 2, 4, 5 and 7 for totals: random trees, moves, silent points, late rows, cuts and crashes."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from fractions import Fraction

import numpy as np
import totals_model as model
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from memory_store import plain

from nengliu.analysis.catalogue import ALL_ITEMS, Catalogue
from nengliu.analysis.totals.shard import TotalShard
from nengliu.domain.points import Enterprise, Flow, Kind, Meter, Point, Stay
from nengliu.domain.times import STORED, next_period_ms, period_start_ms
from schemas.block import Labels, Rows
from schemas.messages import EnterpriseNotice, PointNotice

E = "91320000MA1EXAMPL3"
QUARTER = 900_000
END = 1_772_294_400_000  # 2026-03-01 00:00 in China: the story ends in March and begins in February
START = END - 2 * 86_400_000
LAWS = settings(
    deadline=None,
    max_examples=int(os.environ.get("LAW_CASES", "25")),
    suppress_health_check=list(HealthCheck),
)
PLACES = ("", "a", "a/x", "a/x/1", "a/y", "b")
CHANGES = (
    {"metering_level": 1},
    {"metering_level": 2},
    {"metering_level": 3},
    {"flow": Flow.OUT},
    {"flow": Flow.OWN},
    {"flow": Flow.FEEDSTOCK},
    {"flow": Flow.IN},
    {"interval_s": 3600},
    {"item": "water"},
    {"valid_from_ms": START + 86_400_000},
    {"valid_to_ms": START + 30 * QUARTER},
    {"name": "renamed"},
)


class Story:
    """Notices and window rows in log order: [(position, notice or (point, quarter, row))]."""

    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        self.points = {}
        self.events = [(1, EnterpriseNotice(Enterprise(E, "e", region="320100", industry="C31")))]
        for number in range(rng.randint(2, 7)):
            self._say(self._point(f"p{number}"))
        for _ in range(rng.randint(10, 40)):
            if rng.random() < 0.2:
                self._say(self._changed())
            else:
                self._row()

    def _point(self, name):
        rng = self.rng
        item = rng.choice(["heat", "heat", "water"])
        decimals = rng.choice([2, 2, 3])
        meter = Meter(0, "GJ", decimals)
        return Point(
            E, name, name, Kind.COUNTER, item, "GJ", decimals, metering_level=rng.choice([0, 1, 1, 2, 2, 3]),
            place=rng.choice(PLACES), meters=(meter,), flow=rng.choice([Flow.IN] * 5 + list(Flow)),
        )  # fmt: skip

    def _changed(self):
        rng = self.rng
        if rng.random() < 0.15:
            return self._point(f"p{len(self.points)}")
        old = rng.choice([*self.points.values()])
        if rng.random() < 0.5:
            at = START + rng.randrange(0, 3 * 86_400_000, 450_000)
            stays = (
                *(s for s in old.places or (Stay(0, old.place),) if s.from_ms < at),
                Stay(at, rng.choice(PLACES)),
            )
            return replace(old, places=stays, place=stays[-1].place)
        new = replace(old, **rng.choice(CHANGES))
        quarters = [e[1] for _, e in self.events if isinstance(e, tuple) and e[0] == new.point]
        return new if all(model.lives(new, at, at + QUARTER) for at in quarters) else old

    def _say(self, point):
        self.points[point.point] = point
        self.events.append((self.events[-1][0] + self.rng.randint(1, 3), PointNotice(point)))

    def _row(self):
        rng = self.rng
        point = rng.choice([*self.points.values()])
        quarter = (
            START + rng.choice([rng.randrange(0, 8), rng.randrange(0, 40), rng.randrange(90, 200)]) * QUARTER
        )
        if model.lives(point, quarter, quarter + QUARTER):
            position = self.events[-1][0] + rng.randint(0, 3)
            row = {
                "used": rng.randint(-50, 1000),
                "estimated": rng.randint(0, 50),
                "received": rng.randint(0, 1),
            }
            row |= {
                "known_at": quarter // 1000 + rng.randint(900, 10**6),
                "reason": rng.choice([0, 0, 402, 406]),
            }
            self.events.append((position, (point.point, quarter, row | {"revision": position})))


class Windows:
    """What the window shard would say: rows of four levels for each changed quarter-hour."""

    def __init__(self):
        self.quarters = {}

    def say(self, changed):
        """Rows of all levels for some changed quarters of points."""
        for point, quarter, row in changed:
            self.quarters[point, quarter] = row
        out = []
        for level in STORED:
            keys = {(p, int(period_start_ms(level, np.array([q]))[0])) for p, q, _ in changed}
            out.append(_rows(f"window_{level}", [self._fold(level, *key) for key in sorted(keys)]))
        return out

    def _fold(self, level, point, start):
        end = int(next_period_ms(level, np.array([start]))[0])
        rows = [r for (p, q), r in self.quarters.items() if p == point and start <= q < end]
        folded = {name: sum(r[name] for r in rows) for name in ("used", "estimated", "received")}
        folded |= {name: max(r[name] for r in rows) for name in ("known_at", "reason", "revision")}
        folded["due"] = sum(r.get("due", 0) for r in rows)
        return folded | {"point": point, "period_start": start // 1000, "enterprise": E}


def _rows(table, rows):
    names = sorted({(r["enterprise"], r["point"]) for r in rows})
    codes = np.array([names.index((r["enterprise"], r["point"])) for r in rows], np.int32)
    columns = {
        name: Labels(codes, tuple(n[i] for n in names)) for i, name in enumerate(("enterprise", "point"))
    }
    for name, dtype in (
        ("period_start", "i8"), ("used", "i8"), ("estimated", "i8"), ("received", "i8"), ("due", "i8"),
        ("reason", "u2"), ("known_at", "i8"), ("revision", "u8"),
    ):  # fmt: skip
        columns[name] = np.array([r[name] for r in rows], dtype)
    return Rows(table, columns)


class Store:
    """Tables as dictionaries, the row with the higher revision stays; serves the loader of totals."""

    def __init__(self):
        self.windows_of = {f"window_{level}": {} for level in STORED}
        self.totals = {f"total_{level}": {} for level in STORED}

    def write(self, rows):
        """Insert rows."""
        names = list(rows.columns)
        table, key = self.windows_of.get(rows.table), ("enterprise", "point", "period_start")
        if table is None:
            table, key = self.totals[rows.table], ("enterprise", "node", "item", "unit", "period_start")
        for values in zip(*(plain(rows.columns[name]) for name in names), strict=True):
            row = dict(zip(names, values, strict=True))
            at = tuple(row[name] for name in key)
            if at not in table or row["revision"] >= table[at]["revision"]:
                table[at] = row

    def windows(self, level, spans, before):
        """Window rows of enterprises in spans, below a position."""
        rows = [
            row
            for (code, _, start), row in self.windows_of[f"window_{level}"].items()
            for who, from_ms, to_ms in spans
            if who == code and from_ms <= start * 1000 < to_ms and row["revision"] < before
        ]
        return _rows(f"window_{level}", rows) if rows else None

    def days(self, before):
        """Span of the days that have totals."""
        found = {}
        for code, _, _, _, start in self.totals["total_day"]:
            first, end = found.get(code, (start * 1000, 0))
            found[code] = min(first, start * 1000), max(end, start * 1000 + 86_400_000)
        return found


def _run(story, cuts, store=None, first=0, stop=None):
    """Feed a story from one event to another in random batches; a shard resumes from what its store has."""
    store = store or Store()
    told = [(p, e) for p, e in story.events[:first] if not isinstance(e, tuple)]
    windows = Windows()
    for _, event in story.events[:first]:
        if isinstance(event, tuple):
            windows.say([event])
    catalogue = Catalogue(lambda enterprise, before: [n for n in told if n[0] < before])
    shard = TotalShard(catalogue, store)
    rng = random.Random(cuts)
    events = story.events[first:stop]
    stored, sealed = (events[0][0] if events else 0), 0
    while events:
        size = rng.choice([1, 2, 3, 8, 50])
        batch, events = events[:size], events[size:]
        for rows in _feed(batch, catalogue, shard, windows, stored):
            store.write(rows)
        if rng.random() < 0.5:
            stored, sealed = max(stored, sealed), batch[-1][0]
            shard.seal(stored)
    return store


def _feed(batch, catalogue, shard, windows, stored):
    changed = []
    for position, event in batch:
        if isinstance(event, tuple):
            catalogue.know(E, stored)
            changed.append(event)
            continue
        yield from _add(shard, windows, changed, stored)
        changed = []
        yield from shard.take(event, stored)
        catalogue.take(event, position)
    yield from _add(shard, windows, changed, stored)


def _add(shard, windows, changed, stored):
    """Totals go out before the windows they rest on, as the writer keeps them."""
    said = windows.say(changed) if changed else []
    yield from shard.add(said, stored)
    yield from said


def _final(story):
    """Points, quarter rows and shapes at the end of a story."""
    catalogue, quarters = Catalogue(), {}
    for position, event in story.events:
        if isinstance(event, tuple):
            quarters[event[0], event[1]] = event[2]
        else:
            catalogue.take(event, position)
    facts = [catalogue.points[key] for key in sorted(catalogue.points)]
    shapes = [s for f in facts for s in f.shaped] + [*catalogue.seated.get(E, ())]

    def shaped(item, start, end):
        mine = [s for s in shapes if s.item in (item, ALL_ITEMS) and s.from_ms < end and s.to_ms > start]
        return max((s.position for s in mine), default=0)

    return [f.point for f in facts], quarters, shaped


def _bare(store):
    return {name: {key: str(row) for key, row in rows.items()} for name, rows in store.totals.items()}


@LAWS
@example(seed=1120, cuts=0)  # a node at which heat is made gets its first meter in the middle of the story
@given(seed=st.integers(0, 10**6), cuts=st.integers(0, 10**6))
def test_totals_equal_the_naive_model_on_every_level(seed, cuts):
    """Laws 1 and 5: amounts, coverage and revision of every node as loops over its points find them."""
    story = Story(seed)
    store = _run(story, cuts)
    points, quarters, shaped = _final(story)
    wanted = model.expected(points, quarters, shaped)
    found = {}
    for level in STORED:
        for (_, node, item, unit, start), row in store.totals[f"total_{level}"].items():
            found[level, node, item, unit, start * 1000] = row
    for key, row in found.items():
        want = wanted.get(key)
        if want is None or not want["revision"] or (want["terms"] < 2 and _is_empty(row)):
            assert _is_empty(row), key
            continue
        for name in model.AMOUNTS:
            assert Fraction(row[name], 10 ** row["decimals"]) == want[name], (key, name)
        for name in ("received", "revision", "known_at"):
            assert row[name] == want[name], (key, name)
    sums = {key for key, want in wanted.items() if want["revision"] and (key[1] == "" or want["terms"] > 1)}
    assert sums <= found.keys()


def _is_empty(row):
    return not any(row[name] for name in (*model.AMOUNTS, "points", "meters", "members"))


@LAWS
@given(seed=st.integers(0, 10**6), cuts=st.integers(0, 10**6))
def test_totals_do_not_depend_on_batch_cuts(seed, cuts):
    """Law 2: other batches and epochs change no row, revision included."""
    story = Story(seed)
    assert _bare(_run(story, cuts)) == _bare(_run(story, cuts + 1))


@LAWS
@given(seed=st.integers(0, 10**6), cuts=st.integers(0, 10**6), crash=st.floats(0, 1), back=st.integers(0, 15))
def test_totals_after_a_crash_equal_an_uninterrupted_run(seed, cuts, crash, back):
    """Law 7: a crash after any write and a resume from an earlier commit give the same rows."""
    story = Story(seed)
    died = int(len(story.events) * crash)
    store = _run(story, cuts, stop=died)
    resumed = max(0, died - back)
    while resumed and story.events[resumed][0] == story.events[resumed - 1][0]:
        resumed -= 1
    _run(story, cuts + 7, store, first=resumed)
    assert _bare(store) == _bare(_run(story, cuts))
