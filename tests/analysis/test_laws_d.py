"""Laws 1 to 5, 7 and 9 end to end, records to tables: random plants, cuts, crashes and workers."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from plant_laws import broken

LAWS = settings(
    deadline=None,
    max_examples=int(os.environ.get("LAW_CASES", "25")),
    suppress_health_check=list(HealthCheck),
)


@LAWS
@given(seed=st.integers(0, 10**9))
@example(
    20261338
)  # a timed reading comes a day after the file's for the same instant: what the file said was known
def test_laws_hold_for_a_random_plant(seed):
    """Whatever was late, doubled, lost or cut, and whoever died on the way: the tables are what a loop finds."""
    assert broken(seed) == []
