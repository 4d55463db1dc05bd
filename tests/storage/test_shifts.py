"""Use by shift: quarter-hours belong to the shift, the crew and the day on which it began."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from nengliu.domain.scope import SYSTEM
from nengliu.domain.times import CHINA, QUARTER_MS, to_ms
from nengliu.errors import InputError
from nengliu.storage import Writer, ask
from schemas.block import Rows

Write = Callable[..., Rows]
START = to_ms(datetime(2026, 3, 2, 6, tzinfo=CHINA))
DAY = 96 * QUARTER_MS


def asked(client: Client, calendar: str, start: int = START, end: int = START + DAY) -> list[dict[str, Any]]:
    """Rows of an answer."""
    span = {"enterprise": "", "start": start, "end": end}
    return ask(client, "shifts", SYSTEM, calendar=calendar, **span).to_pylist()


@pytest.fixture
def stored(client: Client, writer: Writer, rows: Write) -> Client:
    """A day of quarter-hours from six in the morning on, each 1.00 kWh more than the one before."""
    writer.write(rows("point"))
    starts = [START // 1000 + 900 * n for n in range(96)]
    writer.write(rows("window_15min", period_start=starts, used=[100 * n for n in range(96)], mean=2.0))
    writer.flush()
    return client


def test_shifts_share_the_day_by_their_hours(stored: Client) -> None:
    """Two shifts of twelve hours: the night before ends at eight, the night after began on the same day."""
    found = asked(stored, "four_crews_12h")
    sums = [sum(range(8)), sum(range(8, 56)), sum(range(56, 96))]

    assert [(row["day"], row["shift"], row["used"]) for row in found] == [
        (date(2026, 3, 1), "night", sums[0]),
        (date(2026, 3, 2), "day", sums[1]),
        (date(2026, 3, 2), "night", sums[2]),
    ]
    assert len({row["crew"] for row in found}) == 3
    assert [(row["covered_s"], row["mean"], row["received"], row["due"]) for row in found] == [
        (900 * n, 2.0, n, n) for n in (8, 48, 40)
    ]


def test_shifts_of_day_work_leave_the_rest_to_nobody(stored: Client) -> None:
    """What runs at night has no shift, and nothing is lost or counted twice."""
    found = asked(stored, "day_work")

    assert {(row["shift"], row["crew"]) for row in found} == {("day", ""), ("", "")}
    assert sum(row["used"] for row in found) == sum(range(96))
    (worked,) = [row for row in found if row["shift"] == "day"]
    assert worked["used"] == sum(range(8, 24)) + sum(range(28, 44))
    assert [row["day"] for row in found if not row["shift"]] == [date(2026, 3, 2), date(2026, 3, 3)]


def test_shifts_cut_by_the_span_count_with_the_part_inside(stored: Client) -> None:
    """An hour of a shift is an hour of it."""
    (row,) = asked(stored, "four_crews_8h", START + 4 * 3_600_000, START + 5 * 3_600_000)

    assert (row["shift"], row["used"]) == ("early", 16 + 17 + 18 + 19)


def test_shifts_of_an_unknown_calendar_are_refused(client: Client) -> None:
    """The nearest name is told."""
    with pytest.raises(InputError, match=r"no calendar 'four_crew_8h'.*four_crews_8h"):
        asked(client, "four_crew_8h")


def test_shifts_of_a_gauge_at_zero_have_a_mean_and_of_a_silent_one_none(
    client: Client, writer: Writer, rows: Write
) -> None:
    """Zero is a value; silence is none."""
    starts = [START // 1000, START // 1000 + 28_800]
    writer.write(rows("point"))
    writer.write(rows("window_15min", period_start=starts, mean=[0.0, float("nan")]))
    writer.flush()
    assert [row["mean"] for row in asked(client, "four_crews_8h")] == [0.0, None]
