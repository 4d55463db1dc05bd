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
@example(20261338)  # a timed reading comes a day after that of a file for the same instant
@example(20261646)  # a gauge that holds: more quarter-hours are said at once than its ring has rows
@example(700240)  # an hour that was full at first, and stored; a late row asks for it after earlier ones
@example(31000004)  # the same value from two origins, the first of them in a plate
@example(105437)  # weeks after a person's reading a timed one comes for its instant: what follows changes
def test_laws_hold_for_a_random_plant(seed):
    """Whatever was late, doubled, lost or cut, and whoever died on the way: the tables are what a loop finds."""
    assert broken(seed) == []
