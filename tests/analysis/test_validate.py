"""Business layer: every limit at its edge, on either side."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from factories import AT_MS, AT_S, ENTERPRISE, make_catalogue, make_meter, make_point
from hypothesis import given, settings
from hypothesis import strategies as st

from nengliu.analysis.intake.candidates import Candidates, Path, path_of
from nengliu.analysis.intake.validate import Limits, judge
from nengliu.domain.points import Kind, Point
from nengliu.domain.quality import Origin, Quality, Reason
from nengliu.domain.units import factor

GAUGE = make_point("t", Kind.GAUGE, unit="kW", decimals=2, item="active_power")
AMOUNT = make_point("q", Kind.PERIOD, interval_s=900)


def path(point: Point | None = None, unit: str = "kWh", decimals: int = 2) -> Path:
    """Path of one column of a point."""
    point = point or make_point()
    return path_of(make_catalogue(point), ENTERPRISE, point.point, unit, decimals)


def candidates(n: int = 1, **given: Any) -> Candidates:
    """Candidates at `AT_MS`, received at once; each field a number or a list."""
    fixed = {
        "path": 0,
        "read_at_ms": AT_MS,
        "sent": 100,
        "quality": 0,
        "reason": 0,
        "origin": 0,
        "received_at_s": AT_S,
        "sequence": 1,
        "message": 0,
        "item": 0,
    }
    dtypes = {"sequence": np.uint64}
    return Candidates(**{k: np.full(n, given.get(k, v), dtypes.get(k, np.int64)) for k, v in fixed.items()})


def verdict(of: Path, appended_at_s: int = AT_S, **given: Any) -> str | tuple[int, Quality, Reason]:
    """Reason of refusal, or ticks, quality and reason."""
    judged = judge(candidates(**given), [of], Limits(300, 3600), np.array([appended_at_s]))
    reasons = [reason for reason, mask in judged.refused.items() if mask[0]]
    assert len(reasons) <= 1
    return (
        reasons[0]
        if reasons
        else (int(judged.ticks[0]), Quality(judged.quality[0]), Reason(judged.reason[0]))
    )


GOOD = (100, Quality.GOOD, Reason.NONE)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"read_at_ms": (AT_S + 300) * 1000}, GOOD),
        ({"read_at_ms": (AT_S + 300) * 1000 + 1}, "STAMP_IN_FUTURE"),
        ({"received_at_s": AT_S + 300}, GOOD),
        ({"received_at_s": AT_S + 301}, "STAMP_IN_FUTURE"),
        ({"read_at_ms": 0, "received_at_s": 0}, GOOD),
        ({"read_at_ms": -1, "received_at_s": 0}, "NOT_A_TIME"),
        ({"read_at_ms": 0, "received_at_s": -1}, "NOT_A_TIME"),
        ({"read_at_ms": 2**42 - 1, "received_at_s": 2**42 // 1000, "appended_at_s": 2**42}, GOOD),
        ({"read_at_ms": 2**42, "received_at_s": 2**42, "appended_at_s": 2**42}, "NOT_A_TIME"),
        ({"received_at_s": 2**63 - 1}, "STAMP_IN_FUTURE"),
    ],
)
def test_stamp_is_taken_to_the_last_millisecond_of_its_tolerance(given: dict[str, int], found: Any) -> None:
    """Ahead of its receipt by the tolerance is good, by one more is refused; so is a receipt ahead of the log."""
    assert verdict(path(), **given) == found


@pytest.mark.parametrize("received", [-(2**63), -1, 2**55, 2**62, 2**63 - 1])
def test_receipt_that_is_wild_is_refused_whatever_its_stamp(received: int) -> None:
    """No overflow makes a wild receipt pass."""
    for at in (0, AT_MS, 2**42 - 1):
        assert verdict(path(), received_at_s=received, read_at_ms=at) in ("STAMP_IN_FUTURE", "NOT_A_TIME")


@pytest.mark.parametrize(
    ("at", "found"),
    [
        (AT_MS - 1001, "BEFORE_POINT"),
        (AT_MS - 1000, GOOD),
        (AT_MS - 1, GOOD),
        (AT_MS, "AFTER_POINT"),
    ],
)
def test_point_exists_in_a_half_open_span(at: int, found: Any) -> None:
    """From its first millisecond on, and no more at its end."""
    assert verdict(path(make_point(valid_from_ms=AT_MS - 1000, valid_to_ms=AT_MS)), read_at_ms=at) == found


@pytest.mark.parametrize(
    ("point", "unit", "sent", "found"),
    [
        (make_point(), "kWh", 0, (0, Quality.GOOD, Reason.NONE)),
        (make_point(), "kWh", -1, "NEGATIVE_REGISTER"),
        (GAUGE, "kW", -1, (-1, Quality.GOOD, Reason.NONE)),
        (AMOUNT, "kWh", -1, (-1, Quality.GOOD, Reason.NONE)),
        (make_point(meters=(make_meter(modulus=1000),)), "kWh", 999, (999, Quality.GOOD, Reason.NONE)),
        (make_point(meters=(make_meter(modulus=1000),)), "kWh", 1000, "OVER_MODULUS"),
        (make_point(meters=(make_meter(modulus=1000),)), "MWh", 1, "OVER_MODULUS"),
        (
            make_point(meters=(make_meter(decimals=0, modulus=1000),)),
            "kWh",
            99900,
            (999, Quality.GOOD, Reason.NONE),
        ),
        (make_point(meters=(make_meter(decimals=0),)), "kWh", 150, "NOT_EXACT"),
        (AMOUNT, "Wh", 1001, "NOT_EXACT"),
        (AMOUNT, "Wh", 1000, (1, Quality.GOOD, Reason.NONE)),
        (AMOUNT, "GJ", 9, (2500, Quality.GOOD, Reason.NONE)),
        (AMOUNT, "GJ", 1, "NOT_EXACT"),
    ],
)
def test_register_and_amount_are_exact_and_within_their_limits(
    point: Point, unit: str, sent: int, found: Any
) -> None:
    """A register is never negative, below its modulus, and never rounded; an amount is never rounded."""
    assert verdict(path(point, unit), sent=sent) == found


@pytest.mark.parametrize(
    ("sent", "ticks"),
    [
        (5, 0),
        (6, 1),
        (14, 1),
        (15, 2),
        (16, 2),
        (25, 2),
        (35, 4),
        (-5, 0),
        (-6, -1),
        (-15, -2),
        (-25, -2),
        (-26, -3),
    ],
)
def test_gauge_is_rounded_half_to_even(sent: int, ticks: int) -> None:
    """Ties go to the even neighbour, on both sides of zero."""
    assert verdict(path(GAUGE, "kW", 3), sent=sent) == (ticks, Quality.GOOD, Reason.NONE)


@settings(max_examples=300, deadline=None)
@given(
    sent=st.integers(-(2**62), 2**62), unit=st.sampled_from(["kW", "W", "MW"]), decimals=st.integers(0, 18)
)
def test_gauge_is_the_nearest_tick_or_too_large(sent: int, unit: str, decimals: int) -> None:
    """Against exact fractions: the even nearest tick, or refused near the end of int64."""
    found = verdict(path(GAUGE, unit, decimals), sent=sent)
    exact = Fraction(sent) * factor(unit, "kW") * Fraction(10) ** (2 - decimals)

    if found == "OUT_OF_INT64":
        assert (
            max(
                abs(exact),
                abs(sent),
                abs(sent) * factor(unit, "kW") * 100,
                Fraction(10) ** (decimals - 2) * 1000,
            )
            >= 2**62 * 0.99
        )
    else:
        assert found == (round(exact), Quality.GOOD, Reason.NONE)


@pytest.mark.parametrize(
    ("unit", "sent", "refused"),
    [
        ("kWh", 2**62, False),
        ("kWh", 2**62 + 2**10, True),
        ("kWh", 2**63 - 1, True),
        ("kWh", -(2**63) + 1, True),
        ("MWh", 2**62 // 1000, False),
        ("MWh", 2**62 // 1000 + 2**10, True),
        ("GWh", 2**63 - 1, True),
    ],
)
def test_number_near_the_end_of_int64_is_refused_before_it_wraps(unit: str, sent: int, refused: bool) -> None:
    """Beyond 2^62 ticks nothing is counted."""
    found = verdict(path(AMOUNT, unit), sent=sent)

    assert found == "OUT_OF_INT64" if refused else found[0] == sent * factor(unit, "kWh")


def test_register_whose_steps_are_worth_too_much_is_refused() -> None:
    """The amount behind a register must fit too, multiplier included."""
    meter = make_point(meters=(make_meter(multiplier=2**40),))

    assert verdict(path(meter), sent=2**22)[0] == 2**22
    assert verdict(path(meter), sent=2**23) == "OUT_OF_INT64"


@pytest.mark.parametrize(("sent", "found"), [(9, True), (10, False), (20, False), (21, True)])
def test_value_outside_official_limits_is_suspect_not_refused(sent: int, found: bool) -> None:
    """Limits belong to the good side, and what lies outside is kept and marked."""
    point = make_point("t", Kind.GAUGE, unit="kW", minimum=10, maximum=20)
    marked = (sent, Quality.SUSPECT, Reason.OVER_RANGE) if found else (sent, Quality.GOOD, Reason.NONE)

    assert verdict(path(point, "kW"), sent=sent) == marked


@pytest.mark.parametrize(
    ("point", "delay", "given", "late"),
    [
        (make_point(), 3600, {}, False),
        (make_point(), 3601, {}, True),
        (AMOUNT, 3600 + 900, {}, False),
        (AMOUNT, 3600 + 901, {}, True),
        (make_point(), 3601, {"origin": Origin.COMMAND}, True),
        (make_point(), 9999, {"origin": Origin.BACKFILL}, False),
        (make_point(), 9999, {"origin": Origin.FILE}, False),
        (make_point(), 9999, {"quality": Quality.ESTIMATED}, False),
    ],
)
def test_timed_reading_is_late_after_the_tolerance(
    point: Point, delay: int, given: dict[str, int], late: bool
) -> None:
    """An amount is due at the end of its interval; what is imported or already marked is not late."""
    of = path(point, point.unit)
    found = verdict(of, appended_at_s=AT_S + delay, received_at_s=AT_S + delay, **given)

    assert (found[1:] == (Quality.LATE, Reason.ARRIVED_LATE)) is late


def test_meter_that_served_at_the_time_converts_the_value() -> None:
    """The same digits are other steps before and after a meter change; before the first meter its own apply."""
    meters = (make_meter(from_ms=AT_MS - 5000), make_meter(from_ms=AT_MS, decimals=0, modulus=50))
    of = path(make_point(meters=meters))

    assert [verdict(of, read_at_ms=AT_MS + shift, sent=4900) for shift in (-9000, -1, 0)] == [
        (4900, Quality.GOOD, Reason.NONE),
        (4900, Quality.GOOD, Reason.NONE),
        (49, Quality.GOOD, Reason.NONE),
    ]
    assert verdict(of, sent=5000) == "OVER_MODULUS"


def test_first_refusal_is_the_reason_and_each_reading_has_one() -> None:
    """Of several faults the first check names the reason; neighbours are not touched."""
    unknown = Path(ENTERPRISE, "x", "kWh", 2, "UNKNOWN_POINT")
    some = candidates(
        5, path=[1, 0, 0, 0, 0], sent=[-1, -1, -1, -1, 7], read_at_ms=[-1, -1, 2**42 - 1, AT_MS, AT_MS]
    )
    judged = judge(some, [path(), unknown], Limits(), np.array([AT_S]))

    assert {reason: np.flatnonzero(mask).tolist() for reason, mask in judged.refused.items()} == {
        "UNKNOWN_POINT": [0],
        "NOT_A_TIME": [1],
        "STAMP_IN_FUTURE": [2],
        "NEGATIVE_REGISTER": [3],
    }
    assert judged.ticks[4] == 7
    assert judged.quality.tolist() == [0] * 5
