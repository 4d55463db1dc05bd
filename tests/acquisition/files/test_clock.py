"""Backward clock steps are repaired where the order of rows proves the time, else rejected."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.files.clock import Memory, Verdict, settle
from acquisition.files.stamps import NAT

Q = 900_000
DAY = 96
KEPT, REPAIRED, REJECTED = Verdict.KEPT, Verdict.REPAIRED, Verdict.REJECTED


def run(
    quarters: list[int | None], *, repair: bool = True, cuts: tuple[int, ...] = (), interval: int = Q
) -> tuple[list[int], list[int]]:
    """Settle stamps given in quarter-hours, cut into chunks at `cuts`, the last row of each held back."""
    stamps = np.array([NAT if q is None else q * Q for q in quarters], np.int64)
    borders = [0, *cuts, len(stamps)]
    memory, held, times, verdicts = Memory(), stamps[:0], [], []
    for n, (start, end) in enumerate(itertools.pairwise(borders)):
        ended = n == len(borders) - 2
        rows = np.concatenate([held, stamps[start:end]])
        settled = settle(rows, interval, memory, repair=repair, ended=ended)
        memory, held = settled.memory, rows[len(settled.at_ms) :]
        times += settled.at_ms.tolist()
        verdicts += settled.verdict.tolist()
    return [t // Q if t != NAT else -1 for t in times], verdicts


def steel(days: int) -> list[int | None]:
    """Stamps of a file whose row for 24:00 carries the old date."""
    return [q - DAY if q % DAY == 0 else q for q in range(DAY + 1, (days + 1) * DAY + 1)]


@pytest.mark.parametrize(
    ("quarters", "expected", "verdicts"),
    [
        ([94, 95, 0, 97], [94, 95, 96, 97], [0, 0, 1, 0]),
        ([95, 0, 97], [95, 96, 97], [0, 1, 0]),
        ([0, 97, 98], [0, 97, 98], [0, 0, 0]),  # the first row has nothing before it: no step back is seen
        ([94, 95, 0, 98], [94, 95, 0, 98], [0, 0, 2, 0]),  # the next row is late: no proof
        ([94, 95, 0, 0, 97], [94, 95, 0, 0, 97], [0, 0, 2, 2, 0]),  # twice: no proof
        ([94, 95, 0, 1, 97], [94, 95, 0, 1, 97], [0, 0, 2, 2, 0]),  # several steps at once
        ([95, None, 0, 97], [95, -1, 0, 97], [0, 2, 2, 0]),  # the row before has no stamp
        ([95, 0, None, 97], [95, 0, -1, 97], [0, 2, 2, 0]),  # the row after has none
        ([94, 94, 95, 95], [94, 94, 95, 95], [0, 0, 0, 0]),  # the same stamp twice is no step back
        ([95, 95, 0, 97], [95, 95, 96, 97], [0, 0, 1, 0]),
        ([10, 11, 5, 13], [10, 11, 12, 13], [0, 0, 1, 0]),  # any step back, if its neighbours prove it
        ([93, 94, 95, 0], [93, 94, 95, 96], [0, 0, 0, 1]),  # last row: the time of day proves it
        ([95, 0], [95, 0], [0, 2]),  # last row, but no regular steps before
        ([93, 94, 95, 1], [93, 94, 95, 1], [0, 0, 0, 2]),  # last row, another time of day
        (
            [10, 11, 500, 13, 14],
            [10, 11, 500, 13, 14],
            [0, 0, 2, 0, 0],
        ),  # one row runs ahead: it is the wrong one
        ([], [], []),
        ([7], [7], [0]),
    ],
)
def test_settle_small_cases_decided_as_written(
    quarters: list[int | None], expected: list[int], verdicts: list[int]
) -> None:
    """Each small case comes out as its line says."""
    assert run(quarters) == (expected, verdicts)


def test_settle_steel_year_repairs_every_midnight() -> None:
    """365 days with a backward midnight become a gapless clock, the last row of the file included."""
    times, verdicts = run(steel(365))
    assert times == list(range(DAY + 1, 366 * DAY + 1))
    assert verdicts.count(REPAIRED) == 365
    assert verdicts.count(REJECTED) == 0


def test_settle_strict_rejects_what_repair_would_mend() -> None:
    """Without leave to repair, the row that steps back is rejected and its neighbours stay."""
    assert run([94, 95, 0, 97], repair=False) == ([94, 95, 0, 97], [0, 0, 2, 0])


def test_settle_clock_set_back_rejects_until_time_catches_up() -> None:
    """Rows of an hour that comes twice are never guessed."""
    times, verdicts = run([8, 9, 10, 11, 8, 9, 10, 11, 12])
    assert verdicts == [0, 0, 0, 0, 2, 2, 2, 0, 0]
    assert times[-1] == 12


def test_settle_without_interval_never_repairs() -> None:
    """A series without an interval has no proof to offer."""
    assert run([94, 95, 0, 97], interval=0)[1] == [0, 0, 2, 0]


@given(st.data())
def test_settle_any_cut_into_chunks_decides_the_same(data: st.DataObject) -> None:
    """Where a file is cut into chunks changes no verdict and no time."""
    quarters: list[int | None] = steel(3)
    for _ in range(data.draw(st.integers(0, 5))):
        quarters[data.draw(st.integers(0, len(quarters) - 1))] = data.draw(st.none() | st.integers(0, 400))
    cuts = tuple(sorted(data.draw(st.sets(st.integers(1, len(quarters) - 1), max_size=6))))
    assert run(quarters, cuts=cuts) == run(quarters)


@given(st.lists(st.integers(0, 300), max_size=40))
def test_settle_accepted_times_never_step_back(quarters: list[int]) -> None:
    """Whatever the stamps, accepted and repaired times are in order."""
    times, verdicts = run(list(quarters))
    kept = [time for time, verdict in zip(times, verdicts, strict=True) if verdict != REJECTED]
    assert kept == sorted(kept)
    assert len(times) == len(quarters)
