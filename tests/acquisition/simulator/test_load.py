"""The load: a pure function of seed and absolute time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from acquisition.simulator.load import QUARTERS, Load, amounts, days_off, quarter_of

LOAD = Load(base=10, peak=100, shifts=((8, 12), (13, 24)), sunday=0.2, summer=5, winter=3)


@given(first=st.integers(18_300, 22_000), skip=st.integers(0, 20), days=st.integers(1, 15))
def test_load_of_a_day_does_not_depend_on_where_the_story_starts(first: int, skip: int, days: int) -> None:
    """A later start sees the same days, so that a restarted demonstration goes on with the same plant."""
    whole = amounts(LOAD, "x", 3, first, skip + days)

    assert np.array_equal(whole[skip * QUARTERS :], amounts(LOAD, "x", 3, first + skip, days))


@given(seed=st.integers(0, 2**32), first=st.integers(18_300, 22_000))
def test_load_is_never_negative(seed: int, first: int) -> None:
    """No meter of the plant runs backwards."""
    assert (amounts(LOAD, "x", seed, first, 3) >= 0).all()


def test_days_off_hold_the_spring_festival_and_national_day() -> None:
    """The calendar file gives lunar dates as they are and repeats the fixed ones every year."""
    off = days_off().astype("datetime64[D]").astype(str).tolist()

    assert "2026-02-17" in off
    assert {"2025-10-01", "2026-10-03"} <= set(off)
    assert "2026-10-10" not in off


def test_quarter_of_counts_in_china_time() -> None:
    """The first quarter-hour of a day is at 16:00 UTC of the day before."""
    assert quarter_of(1_514_736_000_000) % QUARTERS == 0
