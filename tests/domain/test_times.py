"""Time: China-civil periods are half-open, cover everything, and fold into one another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nengliu.domain.times import CHINA, DAY_MS, Level, from_ms, next_period_ms, period_start_ms, to_ms

instants = st.integers(0, 2**42 - 1)


NESTED = (
    (Level.YEAR, Level.THREE_MONTHS),
    (Level.YEAR, Level.REPORT_MONTH),
    (Level.THREE_MONTHS, Level.REPORT_MONTH),
    (Level.REPORT_MONTH, Level.MONTH),
    (Level.MONTH, Level.DAY),
    (Level.WEEK, Level.DAY),
    (Level.DAY, Level.HOUR),
    (Level.HOUR, Level.QUARTER),
)


def start(level: Level, at_ms: int) -> int:
    """Start of one period."""
    return int(period_start_ms(level, np.array([at_ms]))[0])


def after(level: Level, start_ms: int) -> int:
    """Start of the period that follows."""
    return int(next_period_ms(level, np.array([start_ms]))[0])


@given(at=instants, level=st.sampled_from(Level))
def test_period_holds_its_instant_and_ends_where_the_next_begins(at: int, level: Level) -> None:
    """Start <= instant < next start, and both ends are starts of their own."""
    first = start(level, at)
    end = after(level, first)

    assert first <= at < end
    assert start(level, first) == first
    assert start(level, end - 1) == first
    assert start(level, end) == end


@given(at=instants)
def test_period_of_a_coarser_level_begins_with_a_finer_one(at: int) -> None:
    """Year, quarter, month, day, hour and quarter-hour nest; a week is whole days, joined months are whole ones."""
    for coarse, fine in NESTED:
        assert start(fine, start(coarse, at)) == start(coarse, at)
        assert start(coarse, start(fine, at)) == start(coarse, at)


@given(at=instants)
def test_period_agrees_with_the_calendar_of_the_standard_library(at: int) -> None:
    """An independent judge finds the same day and the same month."""
    local = datetime(1970, 1, 1, tzinfo=UTC).astimezone(CHINA) + timedelta(milliseconds=at)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)

    assert from_ms(start(Level.DAY, at)) == midnight
    assert from_ms(start(Level.MONTH, at)) == midnight.replace(day=1)
    assert from_ms(start(Level.HOUR, at)) == local.replace(minute=0, second=0, microsecond=0)
    assert from_ms(start(Level.WEEK, at)) == midnight - timedelta(days=local.weekday())
    assert from_ms(start(Level.WEEK, at)).isocalendar()[:2] == local.isocalendar()[:2]
    assert from_ms(start(Level.THREE_MONTHS, at)) == midnight.replace(
        day=1, month=(local.month - 1) // 3 * 3 + 1
    )
    assert from_ms(start(Level.YEAR, at)) == midnight.replace(day=1, month=1)
    joined = 1 if local.month == 2 else local.month
    assert from_ms(start(Level.REPORT_MONTH, at)) == midnight.replace(day=1, month=joined)


@given(at=st.integers(-(2**42), 2**42))
def test_instant_goes_to_a_datetime_and_back(at: int) -> None:
    """Milliseconds survive the way through a datetime."""
    assert to_ms(from_ms(at)) == at


def test_instant_of_a_naive_datetime_is_refused() -> None:
    """A time without a zone is no instant."""
    with pytest.raises(ValueError, match="zone"):
        to_ms(datetime(2026, 3, 1))  # noqa: DTZ001 - that is the point


def test_instant_is_the_same_from_every_zone() -> None:
    """Midnight in China is four in the afternoon in Greenwich."""
    there = datetime(2026, 3, 1, tzinfo=CHINA)

    assert to_ms(there) == to_ms(datetime(2026, 2, 28, 16, tzinfo=UTC))
    assert to_ms(there) == to_ms(there.astimezone(timezone(timedelta(hours=-9.5))))


def test_months_have_their_own_lengths() -> None:
    """February of a leap year has 29 days, and so has all that holds it one more."""
    for year, leap in ((2023, 0), (2024, 1), (2100, 0)):
        january, february = (to_ms(datetime(year, month, 1, tzinfo=CHINA)) for month in (1, 2))

        assert after(Level.MONTH, february) - february == (28 + leap) * DAY_MS
        assert after(Level.REPORT_MONTH, january) - january == (59 + leap) * DAY_MS
        assert after(Level.THREE_MONTHS, january) - january == (90 + leap) * DAY_MS
        assert after(Level.YEAR, january) - january == (365 + leap) * DAY_MS


def test_year_has_as_many_periods_as_the_trade_counts() -> None:
    """Twelve months, eleven in official statistics, four quarters; 2020 has 53 ISO weeks."""
    days = to_ms(datetime(2020, 1, 1, tzinfo=CHINA)) + np.arange(366) * DAY_MS

    counted = {level: len(np.unique(period_start_ms(level, days))) for level in Level}

    assert counted[Level.MONTH] == 12
    assert counted[Level.REPORT_MONTH] == 11
    assert counted[Level.THREE_MONTHS] == 4
    assert counted[Level.WEEK] == 53


def test_summer_time_of_1986_to_1991_moves_no_period() -> None:
    """Clocks in China stood an hour ahead in those summers; periods are UTC+8 all the same, each day 24 hours long."""
    there = ZoneInfo("Asia/Shanghai")
    assert datetime(1988, 7, 1, tzinfo=there).utcoffset() == timedelta(hours=9)
    for day in (datetime(1988, 4, 10, tzinfo=CHINA), datetime(1988, 7, 1, tzinfo=CHINA)):
        midnight = to_ms(day)

        assert start(Level.DAY, midnight) == midnight
        assert after(Level.DAY, midnight) - midnight == DAY_MS
        assert start(Level.HOUR, midnight + 1) == midnight
