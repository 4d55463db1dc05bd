"""The judge: what is true passes, and every way of being wrong is found."""

from __future__ import annotations

from typing import Any

import pytest

from acquisition.simulator.judge import Arrived, Judge, Sign

MINUTE = 60_000


def log(
    shown: list[tuple[int, int, int]], changes: list[tuple[int, int, int]] | None = None, **meter: Any
) -> Judge:
    """Lay out a truth log of one meter: (minute, shown, true)."""
    rows: list[dict[str, Any]] = [
        {"is": "scene"},
        {
            "is": "meter",
            "line": "a",
            "meter": "e",
            "modulus": 1000,
            "knowable": True,
            "changes": changes or [],
        }
        | meter,
        {"is": "point", "meter": "e", "point": "e-energy", "item": "energy", "counter": True},
        {"is": "fault", "id": "f", "line": "a", "meter": "e", "from_ms": MINUTE, "to_ms": 2 * MINUTE}
        | {"class": "power", "evidence": ["METER_DOWN", "TIMEOUT"]},
        {"is": "fault", "id": "g", "line": "c", "meter": "e", "from_ms": 0, "to_ms": MINUTE}
        | {"class": "link", "evidence": []},
    ]
    for minute, ticks, true in shown:
        values = [("energy", ticks, true, 2), ("power", None, 5, 2)]
        rows.append({"is": "answer", "meter": "e", "at_ms": minute * MINUTE + 200, "values": values})
    return Judge(rows)


def arrived(*told: tuple[int, int]) -> list[Arrived]:
    return [Arrived("e-energy", minute * MINUTE, ticks, 2) for minute, ticks in told]


SEEN = [Sign("TIMEOUT", "a", "e", MINUTE, MINUTE)]
PLAIN = [(0, 10, 10), (1, 15, 15), (2, 30, 30)]


def test_truth_is_clean() -> None:
    """Readings that were shown, a sum that was used, a fault that was seen."""
    found = log(PLAIN).judge(arrived((0, 10), (1, 15), (2, 30)), SEEN)

    assert found.is_clean
    assert found.checked == (1, 3)


def test_missing_readings_change_no_sum() -> None:
    """The differences telescope over what is there."""
    assert log(PLAIN).judge(arrived((0, 10), (2, 30)), SEEN).is_clean


def test_value_that_was_not_shown_is_found() -> None:
    """Neither a wrong digit nor a true value at the wrong time passes."""
    found = log(PLAIN).judge(arrived((0, 11), (1, 30), (2, 30)), SEEN)

    assert [one.ticks for one in found.never_shown] == [11, 30]
    assert not found.is_clean


def test_decimals_of_the_reading_may_be_others() -> None:
    """Ticks are compared by what they are worth."""
    assert (
        log(PLAIN)
        .judge([Arrived("e-energy", 0, 10_000, 5), Arrived("e-energy", 2 * MINUTE, 300, 3)], SEEN)
        .is_clean
    )


def test_reading_that_comes_twice_is_found() -> None:
    """The same point, instant and origin again; another origin is another reading."""
    twice = [*arrived((0, 10), (0, 10)), Arrived("e-energy", 0, 10, 2, "backfill")]

    assert len(log(PLAIN).judge(twice, SEEN).twice) == 1


@pytest.mark.parametrize(
    ("shown", "changes", "clean"),
    [
        ([(0, 990, 990), (1, 5, 1005)], [], True),  # rolled over
        ([(0, 990, 990), (1, 120, 1005)], [(30_000, 995, 110)], True),  # changed, and booked: 5 + 10
        (
            [(0, 990, 990), (1, 120, 1006)],
            [(30_000, 995, 110)],
            False,
        ),  # booked with a register that is not true
        ([(0, 10, 10), (1, 12, 15)], [], False),  # a step was lost
        ([(0, 10, 10), (1, 10, 15), (2, 30, 30)], [], True),  # stuck, and right again
    ],
)
def test_sum_is_that_of_the_registers(
    shown: list[tuple[int, int, int]], changes: list[tuple[int, int, int]], clean: bool
) -> None:
    """Over rollovers and booked changes; what was used and not counted is found."""
    found = log(shown, changes).judge(arrived(*((minute, ticks) for minute, ticks, _ in shown)), SEEN)

    assert found.is_clean is clean
    assert bool(found.sums) is not clean


def test_register_that_cannot_tell_is_not_reckoned() -> None:
    """Readings of such a meter must still have been shown."""
    found = log([(0, 10, 10), (1, 12, 15)], knowable=False).judge(arrived((0, 10), (1, 12)), SEEN)

    assert found.is_clean
    assert found.checked == (0, 2)


@pytest.mark.parametrize(
    ("sign", "seen"),
    [
        (Sign("METER_DOWN", "a", "e", 90_000, 90_000), True),
        (Sign("TIMEOUT", "a", "e", 0, 10 * MINUTE), True),
        (Sign("TIMEOUT", "a", "other", MINUTE, MINUTE), False),
        (Sign("TIMEOUT", "b", "e", MINUTE, MINUTE), False),
        (Sign("DAMAGED", "a", "e", MINUTE, MINUTE), False),
        (Sign("TIMEOUT", "a", "e", 0, MINUTE - 1), False),
        (Sign("TIMEOUT", "a", "e", 10 * MINUTE, 10 * MINUTE), False),
    ],
)
def test_fault_is_seen_by_its_own_evidence_in_its_time(sign: Sign, seen: bool) -> None:
    """Of the right kind, of the right meter, then or shortly after."""
    assert (log(PLAIN).judge([], [sign]).unseen == []) is seen


def test_sign_without_a_fault_is_told() -> None:
    """It fails nothing, but somebody should look."""
    strange = [Sign("TIMEOUT", "b", "x", MINUTE, MINUTE), Sign("TIMEOUT", "a", "e", 9 * MINUTE, 9 * MINUTE)]
    neighbour, probe = (
        Sign("DAMAGED", "c", "x", MINUTE, MINUTE),
        Sign("TIMEOUT", "a", "e", 6 * MINUTE, 6 * MINUTE),
    )

    found = log(PLAIN).judge([], [*SEEN, *strange, neighbour, probe])

    assert found.unexplained == strange
    assert found.is_clean
