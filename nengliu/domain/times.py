"""Time: instants are UTC, periods are China civil time (UTC+8, no daylight saving).

Instants travel as whole milliseconds since 1970-01-01T00:00Z (`*_at_ms`), receive
times as whole seconds (`*_at_s`).  A period is half-open `[start, next start)` and
named by its start.  Source: NHJC-04 (statDate is the start of the period); TC 4.5.4-3.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import numpy as np
import numpy.typing as npt

CHINA = timezone(timedelta(hours=8), "UTC+8")
CHINA_OFFSET_MS = 8 * 3_600_000
QUARTER_MS = 900_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

Int64s = npt.NDArray[np.int64]


class Level(StrEnum):
    """Lengths of period; those of `STORED` are tables, the others are folded from stored rows when asked for."""

    QUARTER = "15min"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"  # ISO 8601: Monday to Sunday
    MONTH = "month"
    REPORT_MONTH = "report_month"  # official statistics: January and February are one period
    THREE_MONTHS = "quarter"
    YEAR = "year"


STORED = (Level.QUARTER, Level.HOUR, Level.DAY, Level.MONTH)
"""Levels that have tables; each is recomputed from the one before."""
_FIXED_MS = {Level.QUARTER: QUARTER_MS, Level.HOUR: HOUR_MS, Level.DAY: DAY_MS}
_MONDAY = 3
"""Days to add to a day number so that weeks begin on Monday: 1970-01-01 was a Thursday."""
_MONTHS = {Level.MONTH: 1, Level.THREE_MONTHS: 3, Level.YEAR: 12}


def period_start_ms(level: Level, at_ms: Int64s) -> Int64s:
    """Start [ms, UTC] of the China-civil period of `level` that holds each instant.

    >>> int(period_start_ms(Level.DAY, np.array([1_514_736_000_000]))[0])  # 2018-01-01 00:00 +08
    1514736000000
    >>> int(period_start_ms(Level.MONTH, np.array([1_517_414_399_999]))[0])  # 31 January, last ms
    1514736000000
    """
    local = np.asarray(at_ms, dtype=np.int64) + CHINA_OFFSET_MS
    if level in _FIXED_MS:
        width = _FIXED_MS[level]
        return local // width * width - CHINA_OFFSET_MS
    if level is Level.WEEK:
        day = local // DAY_MS
        return day_start(day - (day + _MONDAY) % 7)
    month = local.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    if level is Level.REPORT_MONTH:
        return _month_start(month - (month % 12 == 1))
    return _month_start(month // _MONTHS[level] * _MONTHS[level])


def next_period_ms(level: Level, start_ms: Int64s) -> Int64s:
    """Start [ms, UTC] of the period after the one that starts at `start_ms`: where this one ends.

    >>> january = np.array([1_514_736_000_000])
    >>> [int((next_period_ms(level, january) - january)[0]) // DAY_MS for level in (Level.MONTH, Level.REPORT_MONTH)]
    [31, 59]
    """
    start = np.asarray(start_ms, dtype=np.int64)
    if level in _FIXED_MS:
        return start + _FIXED_MS[level]
    if level is Level.WEEK:
        return start + 7 * DAY_MS
    month = (start + CHINA_OFFSET_MS).astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    if level is Level.REPORT_MONTH:
        return _month_start(month + 1 + (month % 12 == 0))
    return _month_start(month + _MONTHS[level])


def due_in(
    interval_ms: Int64s, born_ms: Int64s, gone_ms: Int64s, start_ms: Int64s | int, end_ms: Int64s | int
) -> tuple[Int64s, npt.NDArray[np.bool_]]:
    """Readings due in ``[start_ms, end_ms)`` in the life ``[born_ms, gone_ms)`` of a point, and whether it lives then.

    Due are the multiples of `interval_ms` in China civil time; with an interval of 0 none is.

    >>> due, lives = due_in(np.array([900_000]), np.array([0]), np.array([DAY_MS]), 0, HOUR_MS)
    >>> int(due[0]), bool(lives[0])
    (4, True)
    """
    start, end = np.maximum(start_ms, born_ms), np.minimum(end_ms, gone_ms)
    step = np.maximum(interval_ms, 1)
    count = -(-(end + CHINA_OFFSET_MS) // step) + (-(start + CHINA_OFFSET_MS) // step)
    lives = end > start
    return np.where((interval_ms > 0) & lives, count, 0), lives


def _month_start(month: Int64s) -> Int64s:
    """Start [ms, UTC] of a China civil month number (months since 1970-01)."""
    return month.astype("datetime64[M]").astype("datetime64[ms]").astype(np.int64) - CHINA_OFFSET_MS


def day_of(at_ms: Int64s) -> Int64s:
    """China civil day number of each instant (days since 1970-01-01 there)."""
    return (at_ms + CHINA_OFFSET_MS) // DAY_MS


def day_of_receipt(received_at_s: Int64s) -> Int64s:
    """China civil day number of receipts [s, UTC]: the day on which something was known."""
    return day_of(received_at_s * 1000)


def day_start(day: Int64s) -> Int64s:
    """Start [ms, UTC] of a China civil day number."""
    return day * DAY_MS - CHINA_OFFSET_MS


def to_ms(moment: datetime) -> int:
    """Milliseconds since the epoch of an aware datetime; a naive one is refused."""
    if moment.tzinfo is None:
        msg = f"expected a datetime with a zone, got the naive {moment.isoformat()}"
        raise ValueError(msg)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def from_ms(at_ms: int) -> datetime:
    """China civil datetime of an instant in milliseconds."""
    return datetime(1970, 1, 1, 8, tzinfo=CHINA) + timedelta(milliseconds=at_ms)
