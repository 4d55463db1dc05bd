"""Missed hours: each is found by what a meter froze, whatever it skipped, or given up; none is invented."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.drivers.lines.gaps import Gaps
from nengliu.domain.times import HOUR_MS

NOW_MS = 495_000 * HOUR_MS + 12 * 60_000
NEWEST_MS = NOW_MS // HOUR_MS * HOUR_MS


def fill(gaps: Gaps, frozen: list[int], most: int = 1000) -> tuple[dict[int, int], int]:
    """Ask a meter that froze at these hours, newest first; gives the hours filled, and the number of questions."""
    filled: dict[int, int] = {}
    asked = 0
    while (back := gaps.next_back(NOW_MS)) is not None:
        asked += 1
        assert asked <= most, "it never ends"
        if back > len(frozen):
            gaps.give_up_from(back)
        elif gaps.found(back, frozen[back - 1]):
            filled[frozen[back - 1]] = back
    return filled, asked


def hours(*back: int) -> list[int]:
    return [NEWEST_MS - (n - 1) * HOUR_MS for n in back]


def test_hours_are_asked_by_their_number_newest_first() -> None:
    """The newest that is frozen is number 1; nothing is asked twice."""
    gaps = Gaps(254)
    gaps.miss(hours(2, 5, 6))

    filled, asked = fill(gaps, hours(*range(1, 100)))

    assert filled == dict(zip(hours(2, 5, 6), (2, 5, 6), strict=True))
    assert (asked, gaps.filled, len(gaps)) == (3, 3, 0)


def test_only_full_hours_are_gaps() -> None:
    """A meter freezes at the hours; a quarter past cannot be asked for."""
    gaps = Gaps(254)
    gaps.miss(range(NEWEST_MS - HOUR_MS, NEWEST_MS + 1, HOUR_MS // 4))

    assert len(gaps) == 2
    assert NEWEST_MS in gaps


def test_hours_without_power_shift_the_numbers() -> None:
    """A meter that froze nothing for three hours has them not; the older ones are found all the same."""
    gaps = Gaps(254)
    gaps.miss(hours(*range(2, 12)))

    filled, asked = fill(gaps, [one for one in hours(*range(1, 50)) if one not in hours(4, 5, 6)])

    assert sorted(filled) == sorted(hours(2, 3, 7, 8, 9, 10, 11))
    assert len(gaps) == 0
    assert asked <= 10


def test_clock_that_is_slow_has_not_frozen_the_newest_yet() -> None:
    """Where number 1 is still the hour before, the numbers are one less."""
    gaps = Gaps(254)
    gaps.miss(hours(3, 4))

    filled, _ = fill(gaps, hours(*range(2, 50)))

    assert filled == {hours(3)[0]: 2, hours(4)[0]: 3}


def test_hours_beyond_the_meters_memory_are_given_up() -> None:
    """What it no longer keeps is not asked for, and not kept by us either."""
    gaps = Gaps(24)
    gaps.miss(range(NEWEST_MS - 1000 * HOUR_MS, NEWEST_MS, HOUR_MS))

    filled, asked = fill(gaps, hours(*range(1, 25)))

    assert len(filled) == 23
    assert asked == 23


def test_hours_survive_a_restart() -> None:
    """What is written down is read back, as ranges."""
    gaps = Gaps(254)
    gaps.miss(hours(2, 3, 4, 9))

    text = gaps.text()
    again = Gaps(254, text)

    assert text.count("[") == 3
    assert again.text() == text
    assert len(again) == 4
    assert Gaps(254).text() == "[]"


@settings(max_examples=150, deadline=None)
@given(
    st.sets(st.integers(1, 60), max_size=30),
    st.sets(st.integers(1, 70), max_size=40),
    st.integers(1, 70),
)
def test_whatever_the_meter_skipped_all_it_has_is_found(
    missed: set[int], skipped: set[int], depth: int
) -> None:
    """Every missed hour that it froze and still keeps is filled, no other is, and the search ends soon."""
    gaps = Gaps(depth)
    gaps.miss(hours(*missed))
    reach = {one for one in hours(*missed) if one > NEWEST_MS - depth * HOUR_MS}
    frozen = [one for one in hours(*range(1, 75)) if one not in hours(*skipped)][:depth]

    filled, asked = fill(gaps, frozen)

    assert set(filled) == reach & set(frozen)
    assert all(frozen[back - 1] == hour_ms for hour_ms, back in filled.items())
    assert len(gaps) == 0
    assert asked <= 8 * (len(missed) + 1)
