"""Time: China-civil periods are half-open, cover everything, and fold into one another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nengliu.domain.times import CHINA, DAY_MS, Level, from_ms, next_period_ms, period_start_ms, to_ms

instants = st.integers(0, 2**42 - 1)


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
    """Month, day, hour and quarter nest."""
    for coarse, fine in ((Level.MONTH, Level.DAY), (Level.DAY, Level.HOUR), (Level.HOUR, Level.QUARTER)):
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
    """February of a leap year has 29 days."""
    february = to_ms(datetime(2024, 2, 1, tzinfo=CHINA))

    assert after(Level.MONTH, february) - february == 29 * DAY_MS
