"""Sampling faster or slower than the windows: energy is spread by time, exact, and what is spread is marked."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore, block_of

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.rollups.shard import WindowShard
from nengliu.domain.points import Kind, Meter, Point
from nengliu.domain.quality import Reason
from nengliu.domain.times import (
    CHINA,
    DAY_MS,
    HOUR_MS,
    QUARTER_MS,
    STORED,
    Level,
    next_period_ms,
    period_start_ms,
    to_ms,
)
from schemas.block import Sheaf
from schemas.messages import PointNotice

E, X = "91320000MA1EXAMPL3", "x"
STARTS = {
    "plain": datetime(2026, 3, 3, 9, tzinfo=CHINA),
    "year's end": datetime(2025, 12, 30, 21, tzinfo=CHINA),
    "leap day": datetime(2024, 2, 28, 7, tzinfo=CHINA),
    "no leap day": datetime(2023, 2, 27, 23, tzinfo=CHINA),
    "clocks went forward in 1988": datetime(1988, 4, 9, 12, tzinfo=CHINA),
    "clocks went back in 1988": datetime(1988, 9, 10, 12, tzinfo=CHINA),
}
Readings = list[tuple[int, int]]


def windows(point: Point, readings: Readings, way: str) -> dict[Level, dict[int, dict[str, Any]]]:
    """Rows of every level by their start, of readings (time, value) that arrive in one of three ways."""
    catalogue, store = Catalogue(), MemoryStore()
    catalogue.take(PointNotice(point), 1)
    shard = WindowShard(catalogue)
    size = {"whole": len(readings), "pieces": 7, "sheaf": 50}[way]
    for first in range(0, len(readings), size):
        part = readings[first : first + size]
        message = sheaf_of(part, 100 + first) if way == "sheaf" else block_of(rows_of(part, 100 + first))
        for rows in shard.add(message):
            store.write(rows)
    found = {level: store.tables[f"window_{level}"].values() for level in STORED}
    return {level: {row["period_start"] * 1000: row for row in rows} for level, rows in found.items()}


def rows_of(readings: Readings, position: int) -> list[dict[str, Any]]:
    """Readings as rows of the table, each received a second after its stamp."""
    fixed = {"enterprise": E, "point": X, "quality": 0, "reason": 0, "origin": 0, "sent": 0}
    return [
        fixed | {"read_at": at, "ticks": value, "received_at": at // 1000 + 1, "sequence": n, "position": n}
        for n, (at, value) in enumerate(readings, position)
    ]


def sheaf_of(readings: Readings, position: int) -> Sheaf:
    """The same readings as joined frames of one column."""
    at, value = (np.array(column, np.int64) for column in zip(*readings, strict=True))
    number = np.arange(position, position + len(at), dtype=np.uint64)
    ticks = value.reshape(-1, 1)
    units = ((("kWh", 2),),)
    return Sheaf(
        (((E, X),),), np.zeros(len(at), np.int32), at, at // 1000 + 1, number, number, ticks, ticks, units
    )


def counter(interval_s: int) -> Point:
    """A register of kWh that is due so often."""
    meters = (Meter(0, "kWh", 2),)
    return Point(E, X, X, Kind.COUNTER, "electricity", "kWh", 2, interval_s=interval_s, meters=meters)


def register(start: datetime, step_s: int, count: int, off_s: int = 0, seed: int = 1) -> Readings:
    """Readings of a register that rises by whole, unequal steps."""
    rise = np.random.default_rng(seed).integers(0, 10_000, count)
    first = to_ms(start) + off_s * 1000
    return [(first + n * step_s * 1000, int(value)) for n, value in enumerate(np.cumsum(rise))]


def spread(intervals: list[tuple[int, int, int]]) -> dict[int, list[int]]:
    """Used and estimated of each quarter-hour, by exact fractions: whole ticks of the share run by each edge."""
    found: dict[int, list[int]] = {}
    for start, end, amount in intervals:
        before, window = 0, start // QUARTER_MS * QUARTER_MS
        inside = end <= window + QUARTER_MS
        while window < end:
            run = min(window + QUARTER_MS, end) - start
            until = (Fraction(amount) * run / (end - start)).__floor__()
            row = found.setdefault(window, [0, 0])
            row[0] += until - before
            row[1] += 0 if inside else until - before
            before, window = until, window + QUARTER_MS
    return found


def between(readings: Readings) -> list[tuple[int, int, int]]:
    """Intervals of a register."""
    return [(a, b, after - before) for (a, before), (b, after) in pairwise(readings)]


def folded(quarters: dict[int, list[int]], level: Level) -> dict[int, list[int]]:
    """Sums over the periods of a level."""
    found: dict[int, list[int]] = {}
    for window, row in quarters.items():
        start = int(period_start_ms(level, np.array([window]))[0])
        found[start] = [a + b for a, b in zip(found.get(start, [0, 0]), row, strict=True)]
    return found


def amounts(rows: dict[int, dict[str, Any]]) -> dict[int, list[int]]:
    """Used and estimated of each row."""
    return {
        start: [row["used"], row["estimated"]]
        for start, row in rows.items()
        if row["used"] or row["covered_s"]
    }


WAYS = ("whole", "pieces", "sheaf")
PACES = {
    "20 s": (20, 3 * 180 * 24, 0),
    "20 s off the edge": (20, 180 * 24, 7),
    "a minute": (60, 3 * 60 * 24, 0),
    "a quarter off the edge": (900, 200, 412),
    "seven minutes": (420, 400, 0),
    "an hour": (3600, 60, 0),
    "an hour off the edge": (3600, 60, 1801),
    "a day": (86_400, 6, 0),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pace", PACES)
def test_register_read_at_any_pace_fills_the_windows_exactly(pace: str, way: str) -> None:
    """Every quarter-hour has its share by time, and all levels add up to the register's difference (law 1)."""
    step_s, count, off_s = PACES[pace]
    readings = register(STARTS["plain"], step_s, count, off_s)
    found = windows(counter(step_s), readings, way)
    quarters = spread(between(readings))

    for level in STORED:
        assert amounts(found[level]) == folded(quarters, level), level
        assert sum(row["used"] for row in found[level].values()) == readings[-1][1] - readings[0][1]
        seconds = (readings[-1][0] - readings[0][0]) // 1000
        assert abs(sum(row["covered_s"] for row in found[level].values()) - seconds) <= 2
    reasons = {row["reason"] for row in found[Level.QUARTER].values() if row["estimated"]}
    assert reasons <= {Reason.INTERPOLATED}
    assert bool(reasons) == (off_s > 0 or 900 % step_s > 0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_register_over_the_edges_of_the_calendar_loses_nothing(start: datetime, way: str) -> None:
    """Year's end, leap day, and the nights when clocks in China were moved (1986 to 1991): UTC+8 knows no gap."""
    readings = register(start, 1200, 3 * 72 + 5)
    found = windows(counter(1200), readings, way)
    quarters = spread(between(readings))

    for level in STORED:
        assert amounts(found[level]) == folded(quarters, level), level
        for at in found[level]:
            moment = datetime.fromtimestamp(at / 1000, CHINA)
            assert (moment.minute % 15, moment.second) == (0, 0)
            assert level in (Level.QUARTER, Level.HOUR) or moment.hour == 0
    whole = [at for at in found[Level.DAY] if readings[0][0] <= at and at + DAY_MS <= readings[-1][0]]
    assert [found[Level.DAY][at]["due"] for at in whole] == [72] * len(whole)
    assert all(b - a == DAY_MS for a, b in pairwise(sorted(found[Level.DAY])))


@pytest.mark.parametrize("way", WAYS)
def test_register_read_more_often_than_due_is_received_once_a_window(way: str) -> None:
    """Forty-five readings a quarter-hour where one is due are one received, not forty-five."""
    readings = register(STARTS["plain"], 20, 45 * 8 + 1)
    (often,) = {
        row["received"] for row in list(windows(counter(20), readings, way)[Level.QUARTER].values())[:8]
    }
    (once,) = {row["received"] for row in windows(counter(900), readings, way)[Level.QUARTER].values()}

    assert (often, once) == (45, 1)


@settings(max_examples=25, deadline=None)
@given(
    gaps=st.lists(st.integers(1, 40_000), min_size=1, max_size=12),
    rises=st.lists(st.integers(0, 10**9), min_size=12, max_size=12),
    way=st.sampled_from(WAYS),
)
def test_catch_up_over_any_gaps_is_spread_and_adds_up(gaps: list[int], rises: list[int], way: str) -> None:
    """Whatever the gaps, to the second, what was used over them is in the windows, and none of it twice."""
    at, value = to_ms(STARTS["leap day"]), 0
    readings = [(at, value)]
    for gap, rise in zip(gaps, rises, strict=False):
        at, value = at + gap * 1000, value + rise
        readings.append((at, value))
    found = windows(counter(900), readings, way)

    assert amounts(found[Level.QUARTER]) == {
        k: v for k, v in spread(between(readings)).items() if v[0] or k in found[Level.QUARTER]
    }
    assert sum(row["used"] for row in found[Level.MONTH].values()) == value


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("hours", [1, 24], ids=["hour", "day"])
def test_amounts_of_long_intervals_are_spread_over_their_quarters(hours: int, way: str) -> None:
    """An amount of an hour or a day is known as a whole; its quarter-hours are estimates that add up to it."""
    step = hours * HOUR_MS
    start = to_ms(datetime(2024, 2, 28, tzinfo=CHINA))
    readings = [(start + n * step, 1_000_003 + n) for n in range(72 // hours)]
    point = Point(E, X, X, Kind.PERIOD, "heat", "GJ", 2, interval_s=step // 1000)
    found = windows(point, readings, way)
    quarters = spread([(at, at + step, amount) for at, amount in readings])

    for level in STORED:
        assert amounts(found[level]) == folded(quarters, level), level
    assert all(row["used"] == row["estimated"] for row in found[Level.QUARTER].values())
    assert {row["reason"] for row in found[Level.QUARTER].values()} == {Reason.INTERPOLATED}
    coarse = found[Level.DAY if hours == 24 else Level.HOUR]
    assert {at: row["used"] for at, row in coarse.items()} == dict(readings)
    assert {row["received"] for row in coarse.values()} == {row["due"] for row in coarse.values()} == {1}


@settings(max_examples=25, deadline=None)
@given(
    gaps=st.lists(st.integers(1, 9000), min_size=1, max_size=15),
    values=st.lists(st.integers(-(10**6), 10**6), min_size=16, max_size=16),
    way=st.sampled_from(("whole", "pieces")),
)
def test_gauge_that_speaks_when_it_changes_is_weighted_by_time(
    gaps: list[int], values: list[int], way: str
) -> None:
    """The value holds until the next one, at most its hold; nothing is due, and every change is received."""
    hold = 3600 * 1000
    at = [to_ms(STARTS["year's end"])]
    for gap in gaps:
        at.append(at[-1] + gap * 1000)
    readings = list(zip(at, values, strict=False))
    point = Point(E, X, X, Kind.GAUGE, "active_power", "kW", 2, interval_s=0, hold_s=3600)
    found = windows(point, readings, way)[Level.QUARTER]

    held: dict[int, list[tuple[int, float]]] = {}
    for (start, value), until in zip(readings, [*at[1:], at[-1] + hold], strict=True):
        end = min(until, start + hold)
        for window in range(start // QUARTER_MS * QUARTER_MS, end, QUARTER_MS):
            span = min(end, window + QUARTER_MS) - max(start, window)
            held.setdefault(window, []).append((span, value / 100))
    assert {w for w, row in found.items() if row["covered_s"]} == held.keys()
    for window, parts in held.items():
        row, seconds = found[window], sum(span for span, _ in parts) / 1000
        assert row["covered_s"] == seconds
        assert row["mean"] == pytest.approx(sum(span * value for span, value in parts) / seconds / 1000)
        assert (row["low"], row["high"]) == (min(v for _, v in parts), max(v for _, v in parts))
        assert row["last"] == parts[-1][1]
        assert row["due"] == 0
    assert sum(row["received"] for row in found.values()) == len(readings)


def test_month_of_a_leap_year_owes_one_day_more() -> None:
    """Due of a month is due in the whole of it: February has 28 or 29 days of readings."""
    for year, days in ((2023, 28), (2024, 29)):
        start = datetime(year, 2, 1, tzinfo=CHINA)
        found = windows(counter(900), register(start, 900, 9), "whole")[Level.MONTH]
        at = to_ms(start)

        assert found[at]["due"] == days * 96
        assert next_period_ms(Level.MONTH, np.array([at]))[0] == to_ms(start + timedelta(days=days))
