"""Levels without a table: weeks, quarters and years folded when asked for, now and as of a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client

from nengliu.domain.quality import Reason
from nengliu.domain.scope import SYSTEM
from nengliu.domain.times import CHINA, DAY_MS, Level, next_period_ms, period_start_ms
from nengliu.errors import InputError
from nengliu.storage import Writer, ask
from schemas.block import Rows

Write = Callable[..., Rows]
FOREVER = '{"valid_to_ms": 4611686018427387904}'
ABOVE_DAY = (Level.WEEK, Level.MONTH, Level.REPORT_MONTH, Level.THREE_MONTHS, Level.YEAR)
FIRST = np.array([datetime(2019, 11, 4, tzinfo=CHINA).timestamp() * 1000]).astype(np.int64)
DAYS = FIRST + np.sort(np.random.default_rng(5).choice(900, 300, replace=False)) * DAY_MS
"""Three hundred days of two and a half years, a leap day's year among them."""


def day_rows() -> dict[str, Any]:
    """Columns of the days: amounts, and the values of a gauge that is silent on every fifth day."""
    n = np.arange(len(DAYS))
    silent = n % 5 == 0
    value = np.where(silent, np.nan, n % 37 / 4)
    return {
        "period_start": DAYS // 1000,
        "used": n * 7 - 3,
        "estimated": n % 3,
        "mean": value,
        "low": value - 1,
        "high": value + n % 11,
        "last": value,
        "covered_s": np.where(silent, 0, 86_400),
        "received": n % 90,
        "good": n % 90,
        "due": 96,
        "reason": np.where(n % 50 == 0, Reason.REGISTER_BACKWARD, Reason.ARRIVED_LATE),
        "coal_kgce": n / 8,
        "known_at": DAYS // 1000 + 90_000 + n,
        "revision": n + 1,
    }


def listed(columns: dict[str, Any]) -> dict[str, Any]:
    """The same, as lists of plain numbers; what is one number stays one."""
    return {
        name: column if isinstance(column, int) else np.asarray(column).tolist()
        for name, column in columns.items()
    }


def folded(columns: dict[str, Any], level: Level) -> dict[str, list[Any]]:
    """What the rows of a level must be, by plain loops over the days."""
    start = period_start_ms(level, columns["period_start"] * 1000)
    found: dict[str, list[Any]] = {name: [] for name in columns}
    for one in np.unique(start):
        of = {name: np.broadcast_to(column, start.shape)[start == one] for name, column in columns.items()}
        heard = np.isfinite(of["mean"])
        weight = of["covered_s"][heard].sum()
        row = {
            name: of[name].sum()
            for name in ("used", "estimated", "covered_s", "received", "good", "coal_kgce")
        }
        row |= {name: of[name].max() for name in ("known_at", "revision")}
        row["reason"] = 403 if (of["reason"] == 403).any() else 402
        row["mean"] = (of["mean"] * of["covered_s"])[heard].sum() / weight if weight else np.nan
        for name, reduce in (("low", np.min), ("high", np.max), ("last", lambda values: values[-1])):
            row[name] = reduce(of[name][heard]) if weight else np.nan
        row["due"] = int(next_period_ms(level, np.array([one]))[0] - one) // 900_000
        row["period_start"] = one // 1000
        for name, value in row.items():
            found[name].append(value)
    return found


def spoken(table: list[dict[str, Any]], name: str) -> list[Any]:
    """One column as the store's own numbers."""
    if name in ("period_start", "known_at"):
        return [int(row[name].timestamp()) for row in table]
    return [
        np.nan if row[name] is None else row[name] * (100 if name in ("used", "estimated") else 1)
        for row in table
    ]


@pytest.mark.parametrize("level", ABOVE_DAY)
def test_levels_are_folded_from_days_and_months_alike(
    client: Client, writer: Writer, rows: Write, level: Level
) -> None:
    """A week or a year is what a loop over its days finds, now and as of a day; due is due in the whole of it."""
    days = day_rows()
    writer.write(rows("point", definition=FOREVER))
    writer.write(rows("window_day", **listed(days)))
    writer.write(rows("window_month", **listed(folded(days, Level.MONTH))))
    writer.flush()
    span = {"level": level, "enterprise": "", "start": 0, "end": 2**42}
    for as_of in (None, date(2030, 1, 1)):
        table = ask(client, "windows", SYSTEM, as_of=as_of, **span).to_pylist()
        for name, expected in folded(days, level).items():
            assert spoken(table, name) == pytest.approx(expected, nan_ok=True), (name, as_of)


def test_levels_as_of_a_day_leave_out_what_came_later(client: Client, writer: Writer, rows: Write) -> None:
    """A year as of its third day is the sum of what was known by then."""
    days = day_rows()
    writer.write(rows("point", definition=FOREVER))
    writer.write(rows("window_day", **listed(days)))
    writer.flush()
    then = date(2021, 3, 1)
    early = days["known_at"] < datetime(2021, 3, 2, tzinfo=CHINA).timestamp()
    known = {name: np.broadcast_to(column, DAYS.shape)[early] for name, column in days.items()}
    span = {"level": Level.YEAR, "enterprise": "", "start": 0, "end": 2**42}
    table = ask(client, "windows", SYSTEM, as_of=then, **span).to_pylist()
    assert spoken(table, "used") == folded(known, Level.YEAR)["used"]


def test_levels_of_a_point_that_ends_owe_nothing_after_it(
    client: Client, writer: Writer, rows: Write
) -> None:
    """Due of a year: from the first day of the point to its last, whether or not there are rows."""
    begins, ends = (int(datetime(2020, month, 10, tzinfo=CHINA).timestamp() * 1000) for month in (3, 5))
    writer.write(rows("point", valid_from=begins, definition=f'{{"valid_to_ms": {ends}}}'))
    writer.write(rows("window_month", period_start=begins // 1000 - 9 * 86_400, due=22 * 96))
    writer.flush()
    (year,) = ask(client, "windows", SYSTEM, level="year", enterprise="", start=0, end=2**42).to_pylist()
    assert year["due"] == (22 + 30 + 9) * 96


def test_levels_keep_what_was_due_when_a_point_was_sampled_otherwise(
    client: Client, writer: Writer, rows: Write
) -> None:
    """January was read every minute, now it is every quarter-hour: its row says what was due then."""
    january = int(datetime(2021, 1, 1, tzinfo=CHINA).timestamp())
    writer.write(rows("point", definition=FOREVER))
    writer.write(rows("window_month", period_start=january, due=31 * 1440))
    writer.flush()
    (quarter,) = ask(
        client, "windows", SYSTEM, level="quarter", enterprise="", start=0, end=2**42
    ).to_pylist()
    assert quarter["due"] == 31 * 1440 + (28 + 31) * 96


def test_levels_begin_where_a_whole_period_begins(client: Client, writer: Writer, rows: Write) -> None:
    """A span that starts within a week gives the weeks after it, whole."""
    days = day_rows()
    writer.write(rows("window_day", **listed(days)))
    writer.flush()
    start = int(FIRST[0]) + DAY_MS
    table = ask(client, "windows", SYSTEM, level="week", enterprise="", start=start, end=start + 30 * DAY_MS)
    first, last = (table["period_start"][i].as_py().astimezone(CHINA) for i in (0, -1))
    assert (first.weekday(), last.weekday()) == (0, 0)
    assert first.timestamp() * 1000 == FIRST[0] + 7 * DAY_MS


@pytest.mark.parametrize("level", Level)
def test_stamp_by_the_end_names_the_start_of_the_next_period(
    client: Client, writer: Writer, rows: Write, level: Level
) -> None:
    """Who stamps periods by their end gets that column in place of the start, and the same rows."""
    writer.write(rows("window_15min"))
    writer.write(rows("window_hour"))
    writer.write(rows("window_day"))
    writer.write(rows("window_month"))
    writer.flush()
    span = {"level": level, "enterprise": "", "start": 0, "end": 2**42}
    (by_start,) = ask(client, "windows", SYSTEM, **span).to_pylist()
    (by_end,) = ask(client, "windows", SYSTEM, stamp="end", **span).to_pylist()
    start, end = by_start.pop("period_start"), by_end.pop("period_end")
    assert by_start == by_end
    assert int(end.timestamp()) * 1000 == next_period_ms(level, np.array([int(start.timestamp()) * 1000]))[0]


def test_stamp_that_is_none_is_refused(client: Client) -> None:
    """There are two ways to stamp a period."""
    with pytest.raises(InputError, match="expected start or end"):
        ask(client, "windows", SYSTEM, level="day", enterprise="", start=0, end=1, stamp="middle")


@pytest.mark.parametrize(
    ("level", "steps"), [("week", 53), ("month", 12), ("report_month", 11), ("quarter", 4), ("year", 1)]
)
def test_series_of_energy_has_every_period_of_its_level(
    client: Client, writer: Writer, rows: Write, level: str, steps: int
) -> None:
    """A series says each period of the span, whether or not something is known of it."""
    writer.write(rows("enterprise"))
    writer.write(rows("point"))
    writer.flush()
    start, end = (int(datetime(year, 1, 1, tzinfo=CHINA).timestamp() * 1000) for year in (2024, 2025))
    table = ask(client, "energy_series", SYSTEM, level=level, start=start, end=end)
    moments = [moment.astimezone(CHINA) for moment in table["period_start"].to_pylist()]
    assert len(moments) == steps
    assert all(b - a <= timedelta(days=92) for a, b in pairwise(moments))
