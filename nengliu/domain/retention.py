"""Retention of raw readings: at least three years, in whole China months (TC 4.1.4, 4.4.3-3; law 4)."""

from __future__ import annotations

import numpy as np

from nengliu.domain.times import DAY_MS, Level, period_start_ms

DAYS_MIN = 1096
"""Three years, one of them a leap year [d]."""


def horizon_ms(now_ms: int, days: int) -> int:
    """Start [ms, UTC] of the first month whose readings are kept, so that at least `days` are.

    >>> from nengliu.domain.times import from_ms
    >>> from_ms(horizon_ms(1_792_281_600_000, 1096)).isoformat()  # asked on 2026-10-18
    '2023-10-01T00:00:00+08:00'
    """
    return _month(now_ms - days * DAY_MS)


def gone_before_ms(begins_ms: int) -> int:
    """Start [ms, UTC] of the oldest month that still lies in the store, where readings are kept from `begins_ms` on.

    A month more than what is kept: the first window that may be computed again rests on the reading before it.
    Source: ours.

    >>> from nengliu.domain.times import from_ms
    >>> from_ms(gone_before_ms(1_696_089_600_000)).isoformat()
    '2023-09-01T00:00:00+08:00'
    """
    return _month(begins_ms - 1)


def _month(at_ms: int) -> int:
    return int(period_start_ms(Level.MONTH, np.array([at_ms]))[0])
