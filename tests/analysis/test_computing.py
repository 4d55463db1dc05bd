"""Computed points in the stream: their windows rest on the newest windows alone, whatever the way there."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore, block_of

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.rollups.computing import ComputedShard
from nengliu.analysis.rollups.level_rows import FACTORS
from nengliu.analysis.rollups.shard import WindowShard
from nengliu.domain.points import Formula, Kind, Meter, Point
from nengliu.domain.quality import Reason
from nengliu.domain.times import (
    HOUR_MS,
    QUARTER_MS,
    STORED,
    Level,
    day_of,
    next_period_ms,
    period_start_ms,
)
from schemas.block import Labels, Rows
from schemas.messages import BookNotice, PointNotice

E = "91320000MA1EXAMPL3"
START = 1_709_136_000_000 - 3 * HOUR_MS  # 2024-02-28 21:00 in China: a month's end and a leap day are near
CHANGE = START + 26 * HOUR_MS + 5 * 60_000  # within a quarter-hour, an hour, a day and a month
LAWS = settings(
    deadline=None,
    max_examples=int(os.environ.get("LAW_CASES", "6")),
    suppress_health_check=list(HealthCheck),
)
FACTOR = {
    "item": "electricity",
    "factor": "coal",
    "basis": "calorific",
    "valid_from": "2000-01-01",
    "valid_to": "",
    "value": "0.125",
}
CLASSES = ("received", "good", "late", "substituted", "manual", "suspect", "bad")


def measured(name: str, item: str = "electricity", unit: str = "kWh") -> Point:
    """A register that is due every quarter-hour."""
    return Point(E, name, name, Kind.COUNTER, item, unit, 2, meters=(Meter(0, unit, 2),))


def made(name: str, *formulas: Formula, kind: Kind = Kind.PERIOD, unit: str = "kWh") -> Point:
    """A computed point."""
    return Point(E, name, name, kind, "electricity", unit, 2, interval_s=0, formulas=formulas)


MEASURED = (measured("a"), measured("b"), measured("iron", "product", "t"))
NET = made("net", Formula(0, "a - b"), Formula(CHANGE, "a + 2 * b"))
MORE = made("more", Formula(0, "net + b"))
RATE = made("rate", Formula(0, "(a + b) / iron"), Formula(CHANGE, "a / iron"), kind=Kind.GAUGE, unit="kWh/t")
COMPUTED = (NET, MORE, RATE)


class Store(MemoryStore):
    """A store that serves the loader of computed points, too."""

    def windows(
        self, level: Level, points: Sequence[Any], from_ms: int, to_ms: int, before: int
    ) -> Rows | None:
        """Rows of points in a span, of those below a position."""
        table = f"window_{level}"
        found = [
            row
            for row in self.tables[table].values()
            if (row["enterprise"], row["point"]) in points
            and from_ms <= row["period_start"] * 1000 < to_ms
            and row["revision"] < before
        ]
        return rows_of(table, found) if found else None

    def months(self, points: Sequence[Any], from_ms: int) -> list[int]:
        """Months with rows."""
        first = int(period_start_ms(Level.MONTH, np.array([from_ms]))[0])
        rows = self.tables["window_month"].values()
        starts = {row["period_start"] * 1000 for row in rows if (row["enterprise"], row["point"]) in points}
        return sorted(start for start in starts if start >= first)


def rows_of(table: str, rows: list[dict[str, Any]]) -> Rows:
    """Rows of dictionaries, texts by codes."""
    columns: dict[str, Any] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if isinstance(values[0], str):
            words = sorted(set(values))
            columns[name] = Labels(np.array([words.index(value) for value in values], np.int32), tuple(words))
        else:
            columns[name] = np.array(values)
    return Rows(table, columns)


def story(seed: int, n: int = 40) -> list[Any]:
    """A log: points, a book, then readings of three registers, late and with gaps, and formulas told at some time."""
    rng = random.Random(seed)
    readings = []
    for point in MEASURED:
        at, register = START, 0
        for _ in range(n):
            at += rng.choice(
                [QUARTER_MS, QUARTER_MS, QUARTER_MS, 300_000, 437_000, 2 * HOUR_MS, 11 * HOUR_MS]
            )
            register += rng.randrange(900)
            delay = rng.choice([30, 30, 30, 3000, 50_000, 200_000])
            readings.append(
                {"point": point.point, "at": at, "steps": register, "received": at // 1000 + delay}
            )
    readings.sort(key=lambda reading: reading["received"])
    told: list[Any] = [PointNotice(point) for point in MEASURED] + [BookNotice("d", (FACTOR,))]
    log = told + readings
    place = sorted(rng.choice([4, rng.randrange(4, len(log))]) for _ in COMPUTED)
    for late, point in reversed(list(zip(place, COMPUTED, strict=True))):
        log.insert(late, PointNotice(point))
    return log


@dataclass
class Run:
    """The chained shards over a log; a restart forgets all but the store and begins two epochs earlier.

    What an epoch says is stored when the next one ends; of what was on its way at a crash some is stored.
    """

    log: list[Any]
    cuts: random.Random
    store: Store = field(default_factory=Store)
    begun: list[int] = field(default_factory=lambda: [0, 0])
    ended: list[Rows] = field(default_factory=list)
    pending: list[Rows] = field(default_factory=list)

    def start(self) -> None:
        """Make shards that know the notices told so far."""
        catalogue = Catalogue(self.notices)
        self.windows = WindowShard(catalogue, self.store.readings, self.store.days)
        self.computed = ComputedShard(catalogue, self.store, max_rows=self.cuts.choice([3, 200]))

    def notices(self, enterprise: str, before: int) -> list[tuple[int, Any]]:
        """Notices below a position."""
        return [
            (i + 100, one) for i, one in enumerate(self.log) if i + 100 < before and not isinstance(one, dict)
        ]

    def go(self, crashes: int = 0) -> Store:
        """Run to the end of the log, with some crashes on the way."""
        self.start()
        at = 0
        while at < len(self.log):
            size = self.cuts.choice([1, 3, 10, 40])
            self.epoch(at, self.log[at : at + size])
            at, self.begun = min(at + size, len(self.log)), [self.begun[1], at]
            if crashes and self.cuts.random() < 0.2:
                crashes -= 1
                at, self.begun = self.begun[0], [self.begun[0]] * 2
                lost = [*self.ended, *self.pending]
                self.write(lost[: self.cuts.randrange(len(lost) + 1)])
                self.ended, self.pending = [], []
                self.start()
        self.write([*self.ended, *self.pending])
        return self.store

    def epoch(self, first: int, items: list[Any]) -> None:
        """Take some of the log in, and end the epoch."""
        waiting: list[dict[str, Any]] = []
        for position, item in enumerate(items, first + 100):
            if isinstance(item, dict):
                waiting.append(row_of(item, position))
                continue
            self.readings(waiting)
            waiting = []
            self.said(self.windows.take(item, position))
            self.keep(self.computed.take(item, position, self.windows.ledger.stored))
        self.readings(waiting)
        self.write(self.ended)
        self.ended, self.pending = self.pending, []
        self.windows.seal()
        self.computed.seal(self.windows.ledger.stored)

    def readings(self, rows: list[dict[str, Any]]) -> None:
        """Hand readings on."""
        if rows:
            for row in rows:
                self.store.tables["reading"][(E, row["point"], row["read_at"], 0)] = row
            self.said(self.windows.add(block_of(rows)))

    def said(self, rows: list[Rows]) -> None:
        """Store window rows and what is computed of them."""
        self.keep(rows)
        self.keep(self.computed.add(rows, self.windows.ledger.stored))

    def keep(self, rows: list[Rows]) -> None:
        """Send rows on their way."""
        self.pending += rows

    def write(self, rows: list[Rows]) -> None:
        """Store rows."""
        for some in rows:
            self.store.write(some)


def row_of(reading: dict[str, Any], position: int) -> dict[str, Any]:
    """A reading as a row of its table."""
    named = {"point": reading["point"], "read_at": reading["at"], "ticks": reading["steps"]}
    rest = {"received_at": reading["received"], "sequence": reading["at"], "position": position}
    return {"enterprise": E, "quality": 0, "reason": 0, "origin": 0, "sent": 0} | named | rest


def found(store: Store, name: str, level: Level) -> dict[int, dict[str, Any]]:
    """Rows of a point by their start [ms]."""
    rows = store.tables[f"window_{level}"].values()
    return {row["period_start"] * 1000: row for row in rows if row["point"] == name}


def bare(store: Store) -> dict[str, dict[Any, str]]:
    """Current rows of computed points, NaN made comparable."""
    names = {point.point for point in COMPUTED}
    return {
        f"window_{level}": {
            key: str(sorted(row.items()))
            for key, row in store.tables[f"window_{level}"].items()
            if row["point"] in names
        }
        for level in STORED
    }


@LAWS
@given(seed=st.integers(0, 10**6), cuts=st.integers(0, 10**6))
def test_computed_windows_are_the_sum_of_their_operands_on_every_level(seed: int, cuts: int) -> None:
    """Laws 1 and 5: net is what its parts say, to the tick, partial where one is silent, and its levels add up."""
    store = Run(story(seed), random.Random(cuts)).go()
    for level in STORED:
        a, b, net = (found(store, name, level) for name in ("a", "b", "net"))
        assert net.keys() == a.keys() | b.keys()
        for start, row in net.items():
            end = int(next_period_ms(level, np.array([start]))[0])
            weights = (1, -1) if end <= CHANGE else (1, 2)
            if start < CHANGE < end:
                continue
            parts = [(of[start], weight) for of, weight in zip((a, b), weights, strict=True) if start in of]
            assert row["used"] == sum(part["used"] * weight for part, weight in parts)
            assert row["estimated"] == sum(part["estimated"] * abs(weight) for part, weight in parts)
            assert [row[name] for name in CLASSES] == [
                sum(part[name] for part, _ in parts) for name in CLASSES
            ]
            assert row["known_at"] == max(part["known_at"] for part, _ in parts)
            assert (row["reason"] == Reason.PARTIAL) == (len(parts) < 2)
            assert row["due"] == sum(
                int(next_period_ms(level, np.array([start]))[0] - start) // QUARTER_MS for _ in "ab"
            )
    quarters = found(store, "net", Level.QUARTER)
    for level in STORED[1:]:
        sums: dict[int, int] = {}
        for start, row in quarters.items():
            period = int(period_start_ms(level, np.array([start]))[0])
            sums[period] = sums.get(period, 0) + row["used"]
        assert {start: row["used"] for start, row in found(store, "net", level).items()} == sums


@LAWS
@given(seed=st.integers(0, 10**6), cuts=st.integers(0, 10**6))
def test_computed_point_of_computed_points_follows_them(seed: int, cuts: int) -> None:
    """What rests on `net` is `net` and `b`, after every change of either."""
    store = Run(story(seed), random.Random(cuts)).go()
    for level in STORED:
        net, b, more = (found(store, name, level) for name in ("net", "b", "more"))
        assert more.keys() == net.keys() | b.keys()
        for start, row in more.items():
            assert row["used"] == sum(of[start]["used"] for of in (net, b) if start in of)
            assert row["revision"] >= max(of[start]["revision"] for of in (net, b) if start in of)


@LAWS
@given(seed=st.integers(0, 10**6), cuts=st.integers(0, 10**6))
def test_computed_ratio_is_that_of_the_sums_of_each_period(seed: int, cuts: int) -> None:
    """A month's consumption per ton comes from the month's energy and output, not from its days' ratios."""
    store = Run(story(seed), random.Random(cuts)).go()
    for level in STORED:
        a, b, iron, rate = (found(store, name, level) for name in ("a", "b", "iron", "rate"))
        for start, row in rate.items():
            parts = (a, b) if start < CHANGE else (a,)
            known = all(start in of for of in (*parts, iron)) and iron[start]["used"] != 0
            expected = sum(of[start]["used"] for of in parts) / iron[start]["used"] if known else np.nan
            assert row["mean"] == pytest.approx(expected, nan_ok=True)
            assert (row["used"], row["covered_s"]) == (0, 0)


@LAWS
@given(seed=st.integers(0, 10**6), cuts=st.integers(0, 10**6))
def test_computed_windows_do_not_depend_on_cuts_crashes_or_forgetting(seed: int, cuts: int) -> None:
    """Laws 2 and 7: other batches, restarts and eviction change no row, revision included."""
    log = story(seed)
    whole = bare(Run(log, random.Random(cuts)).go())

    assert bare(Run(log, random.Random(cuts + 1)).go()) == whole
    assert bare(Run(log, random.Random(cuts + 2)).go(crashes=3)) == whole


@LAWS
@given(seed=st.integers(0, 10**6), cuts=st.integers(0, 10**6))
def test_computed_point_told_late_has_the_windows_of_one_told_early(seed: int, cuts: int) -> None:
    """A formula reaches back to its first instant; only the revision tells when it came."""
    log = story(seed)
    notices = [item for item in log if not isinstance(item, dict)]
    readings = [item for item in log if isinstance(item, dict)]
    early = Run(notices + readings, random.Random(cuts)).go()
    late = Run(notices[:4] + readings + notices[4:], random.Random(cuts)).go()
    for level in STORED:
        for point in COMPUTED:
            rows = [found(store, point.point, level) for store in (early, late)]
            plain = [
                {k: str({n: v for n, v in row.items() if n != "revision"}) for k, row in of.items()}
                for of in rows
            ]
            assert plain[0] == plain[1]
            assert all(row["revision"] >= len(log) + 97 for row in rows[1].values())


@LAWS
@given(seed=st.integers(0, 10**6), cuts=st.integers(0, 10**6))
def test_computed_amounts_have_the_coal_of_their_parts(seed: int, cuts: int) -> None:
    """Standard coal of a day and a month is the amount's, by the same factor; what has no factor has none."""
    store = Run(story(seed), random.Random(cuts)).go()
    for level in (Level.DAY, Level.MONTH):
        for start, row in found(store, "net", level).items():
            assert row["coal_kgce"] == pytest.approx(row["used"] / 100 * 0.125), start
            assert np.isnan(row["co2_kg"])
            assert row["book"] == "d"
        assert all(np.isnan(row[name]) for row in found(store, "rate", level).values() for name in FACTORS)


def test_computed_row_of_an_earlier_day_of_knowledge_goes_to_the_history() -> None:
    """What was known on the first day can still be asked for when the second has corrected it."""
    log: list[Any] = [PointNotice(point) for point in (*MEASURED, made("net", Formula(0, "a - b")))]
    at = START + 6 * HOUR_MS
    for n, (point, steps, received) in enumerate(
        [("a", 0, 0), ("b", 0, 0), ("a", 500, 1), ("b", 200, 1), ("b", 260, 90_000)]
    ):
        when = at + QUARTER_MS * (n > 1)
        log.append({"point": point, "at": when, "steps": steps, "received": at // 1000 + received + 900})
    run = Run(log, random.Random(1))
    run.start()
    for place, item in enumerate(log):
        run.epoch(place, [item])
    run.write([*run.ended, *run.pending])
    now = found(run.store, "net", Level.QUARTER)[at]
    past = [row for row in run.store.tables["window_15min_history"].values() if row["point"] == "net"]

    assert now["used"] == 240
    assert [row["used"] for row in past if row["period_start"] == now["period_start"]] == [300]
    assert {int(day_of(np.array([row["known_at"] * 1000]))[0]) for row in past} == {
        int(day_of(np.array([at]))[0])
    }


def test_enterprise_without_formulas_costs_and_says_nothing() -> None:
    """Rows of measured points alone are passed over."""
    log = [
        item
        for item in story(1)
        if isinstance(item, dict) or not getattr(item, "value", None) or not item.value.formulas
    ]
    store = Run(log, random.Random(1)).go()

    assert bare(store) == {f"window_{level}": {} for level in STORED}
