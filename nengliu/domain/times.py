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
    """Lengths of window that are stored; each is recomputed from the one below."""

    QUARTER = "15min"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


_FIXED_MS = {Level.QUARTER: QUARTER_MS, Level.HOUR: HOUR_MS, Level.DAY: DAY_MS}


def period_start_ms(level: Level, at_ms: Int64s) -> Int64s:
    """Start [ms, UTC] of the China-civil period of `level` that holds each instant.

    >>> int(period_start_ms(Level.DAY, np.array([1_514_736_000_000]))[0])  # 2018-01-01 00:00 +08
    1514736000000
    >>> int(period_start_ms(Level.MONTH, np.array([1_517_414_399_999]))[0])  # 31 January, last ms
    1514736000000
    """
    local = np.asarray(at_ms, dtype=np.int64) + CHINA_OFFSET_MS
    if level is Level.MONTH:
        months = local.astype("datetime64[ms]").astype("datetime64[M]")
        return months.astype("datetime64[ms]").astype(np.int64) - CHINA_OFFSET_MS
    width = _FIXED_MS[level]
    return local // width * width - CHINA_OFFSET_MS


def next_period_ms(level: Level, start_ms: Int64s) -> Int64s:
    """Start [ms, UTC] of the period after the one that starts at `start_ms`."""
    if level is Level.MONTH:
        local = np.asarray(start_ms, dtype=np.int64) + CHINA_OFFSET_MS
        months = local.astype("datetime64[ms]").astype("datetime64[M]") + np.timedelta64(1, "M")
        return months.astype("datetime64[ms]").astype(np.int64) - CHINA_OFFSET_MS
    return np.asarray(start_ms, dtype=np.int64) + _FIXED_MS[level]


def day_of(at_ms: Int64s) -> Int64s:
    """China civil day number of each instant (days since 1970-01-01 there)."""
    return (at_ms + CHINA_OFFSET_MS) // DAY_MS


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
