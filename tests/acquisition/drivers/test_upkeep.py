"""What a meter says of itself: an event for a change of its clock or its status, never for the same again."""

from __future__ import annotations

from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from acquisition.drivers.lines.upkeep import OFF_S, TRUSTED_S, Health, hear_clock, hear_status
from nengliu.domain.links import LinkKind

AT_MS = 1_700_000_000_000
PROTOCOL = "dlt645-2007"


def drifted(health: Health, seconds: float) -> tuple[Health, LinkKind | None]:
    after, said = hear_clock(health, AT_MS + round(1000 * seconds), AT_MS)
    return after, said[0] if said else None


def test_clock_is_off_beyond_five_minutes_either_way() -> None:
    """The edge itself is no fault yet; either direction counts."""
    for seconds, kind in (
        (OFF_S, None),
        (OFF_S + 1, LinkKind.METER_CLOCK_OFF),
        (-OFF_S - 1, LinkKind.METER_CLOCK_OFF),
    ):
        after, told = drifted(Health(), seconds)
        assert (after.drift_s, told) == (seconds, kind)


def test_clock_that_stays_off_is_told_once_and_its_end_with_what_it_was() -> None:
    """The end bears the drift that was told."""
    off, first = drifted(Health(), 400)
    still, second = drifted(off, 410)
    after, said = hear_clock(still, AT_MS + 1000, AT_MS)

    assert (first, second) == (LinkKind.METER_CLOCK_OFF, None)
    assert said == (LinkKind.METER_CLOCK_SET, {"seconds": "410"})
    assert not after.is_off


def test_clock_that_somebody_set_is_told_if_it_followed() -> None:
    """Only a drift that became smaller is a success."""
    for seconds, kind in ((2, LinkKind.METER_CLOCK_SET), (90, None), (95, None)):
        after, told = drifted(Health(drift_s=90, set_from_s=90), seconds)
        assert told == kind
        assert after.set_from_s is None


def test_frozen_values_are_trusted_by_a_clock_that_is_known_and_right() -> None:
    """An unknown clock is trusted no more than a wrong one."""
    trusted = [
        Health(drift_s=drift_s).is_trusted for drift_s in (None, 0, TRUSTED_S, -TRUSTED_S, TRUSTED_S + 1)
    ]

    assert trusted == [False, True, True, True, False]


def test_status_is_told_by_names_when_it_changes() -> None:
    """Faults of all words together; what is no fault is not told; the same again is no news."""
    words = {"status_4": 0b10000010, "status_1": 0b10, "energy": 5}
    first, said = hear_status(Health(), PROTOCOL, words, AT_MS)
    again, nothing = hear_status(first, PROTOCOL, words, AT_MS + 1)
    clear, end = hear_status(again, PROTOCOL, {"status_4": 0, "status_1": 0b10}, AT_MS + 2)

    assert said == (LinkKind.METER_STATUS, {"bits": "phase_broken_a, undervoltage_a"})
    assert nothing is None
    assert end == (LinkKind.METER_STATUS_CLEAR, {})
    assert (first.since_ms, clear.since_ms) == (AT_MS, AT_MS + 2)


def test_answer_without_status_changes_nothing() -> None:
    """A clock alone says nothing of the status."""
    health = Health(faults=("x",))

    assert hear_status(health, PROTOCOL, {"clock": 5}, AT_MS) == (health, None)


@given(st.lists(st.integers(-1000, 1000), max_size=30))
def test_events_of_a_clock_are_changes(drifts: list[int]) -> None:
    """Off and right alternate, whatever the clock does, and what is kept survives a restart."""
    health, said = Health(), []
    for drift_s in drifts:
        health, kind = drifted(health, drift_s)
        said += [kind] if kind else []

    assert all(a != b for a, b in pairwise(said))
    assert said[:1] in ([], [LinkKind.METER_CLOCK_OFF])
    assert msgspec.json.decode(msgspec.json.encode(health), type=Health) == health
