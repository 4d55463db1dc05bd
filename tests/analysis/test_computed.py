"""Computed points: exact sums, ratios of sums, and a part that is missing is said, never hidden."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from factories import ENTERPRISE, make_catalogue, make_point
from hypothesis import given
from hypothesis import strategies as st

from nengliu.analysis.intake.candidates import path_of
from nengliu.analysis.rollups.computed import COUNTS, evaluate
from nengliu.domain.formulas import Computed, compute
from nengliu.domain.points import Formula, Kind
from nengliu.domain.quality import GRAVITY, Reason
from nengliu.errors import ContractError
from schemas.messages import PointNotice

CATALOGUE = {
    "a": make_point("a"),
    "b": make_point("b"),
    "big": make_point("big", Kind.PERIOD, unit="MWh", decimals=3),
    "iron": make_point("iron", Kind.PERIOD, item="product", unit="t", decimals=3),
    "p": make_point("p", Kind.GAUGE, item="active_power", unit="kW", decimals=1),
    "q": make_point("q", Kind.GAUGE, item="active_power", unit="MW", decimals=3),
}
SUMMED = {"a + b": (1, 1, 0), "a - b": (1, -1, 0), "3*a - 2*b + big": (3, -2, 100), "big - a": (-1, 0, 100)}


def computed(text: str, kind: Kind = Kind.PERIOD, **given: Any) -> Computed:
    """A formula, told at position 5."""
    point = make_point("x", kind, interval_s=0, formulas=(Formula(0, text),), **given)
    return compute(point, CATALOGUE.get, lambda i: 5)[0]


def window(known: bool = True, **given: Any) -> dict[str, Any]:
    """One window row of an operand."""
    row = dict.fromkeys((*COUNTS, "used", "estimated", "reason", "known_at", "revision"), 0)
    return row | {"mean": np.nan, "covered_s": 900, "due": 1, "known": known} | given


def result(formula: Computed, periods: list[dict[str, dict[str, Any]]]) -> dict[str, np.ndarray]:
    """The columns of some periods, each given as a row by operand."""
    lines = [[period[name] for period in periods] for name in formula.operands]
    return evaluate(
        formula, {name: np.array([[row[name] for row in line] for line in lines]) for name in lines[0][0]}
    )


def one(formula: Computed, **rows: dict[str, Any]) -> dict[str, Any]:
    """The result of one period."""
    return {name: column[0].item() for name, column in result(formula, [rows]).items()}


rows = st.builds(
    window,
    known=st.booleans(),
    used=st.integers(-(2**40), 2**40),
    estimated=st.integers(0, 2**40),
    covered_s=st.integers(0, 900),
    received=st.integers(0, 9),
    good=st.integers(0, 9),
    late=st.integers(0, 9),
    due=st.integers(0, 9),
    reason=st.sampled_from([int(reason) for reason in Reason]),
    known_at=st.integers(0, 2**31),
    revision=st.integers(0, 2**63 - 1),
)


@given(
    text=st.sampled_from(sorted(SUMMED)),
    periods=st.lists(st.tuples(rows, rows, rows), min_size=1, max_size=6),
)
def test_amount_is_the_weighted_sum_of_what_is_known(
    text: str, periods: list[tuple[dict[str, Any], ...]]
) -> None:
    """A loop over plain numbers finds the same in every column (law 1; law 5 where somebody is silent)."""
    names = ("a", "b", "big")
    used_by = [(name, place) for place, name in enumerate(names) if SUMMED[text][place]]
    found = result(computed(text), [{name: row[i] for name, i in used_by} for row in periods])
    for n, row in enumerate(periods):
        parts = [(row[i], SUMMED[text][i]) for _, i in used_by]
        known = [part for part, _ in parts if part["known"]]
        assert found["used"][n] == sum(p["used"] * weight for p, weight in parts if p["known"])
        assert found["estimated"][n] == sum(p["estimated"] * abs(weight) for p, weight in parts if p["known"])
        assert found["due"][n] == sum(p["due"] for p, _ in parts)
        for name in ("received", "good", "late"):
            assert found[name][n] == sum(p[name] for p in known)
        assert found["covered_s"][n] == min(p["covered_s"] if p["known"] else 0 for p, _ in parts)
        reasons = [Reason(p["reason"]) for p in known] + [Reason.PARTIAL] * (len(known) < len(parts))
        assert found["reason"][n] == max(reasons, key=GRAVITY.index)
        assert found["known_at"][n] == max((p["known_at"] for p in known), default=0)
        assert found["revision"][n] == max([5, *(p["revision"] for p in known)])
        assert found["known"][n] == bool(known)


@given(a=st.integers(0, 2**40), b=st.integers(0, 2**40), parts=st.integers(1, 9), iron=st.integers(1, 2**40))
def test_ratio_of_a_long_period_is_that_of_its_sums(a: int, b: int, parts: int, iron: int) -> None:
    """A day's ratio comes from the day's sums: cut as you like, the mean of ratios plays no part."""
    formula = computed("(a + b) / iron", Kind.GAUGE, unit="kWh/t")
    found = one(formula, a=window(used=a * parts), b=window(used=b * parts), iron=window(used=iron * parts))

    assert found["mean"] == pytest.approx(float(Fraction(a + b, 100) / Fraction(iron, 1000)), rel=1e-12)
    assert (found["used"], found["covered_s"]) == (0, 0)


def test_ratio_of_nothing_produced_is_undefined() -> None:
    """Energy over no output is neither nought nor infinite; no energy over no output is no better."""
    formula = computed("a / iron", Kind.GAUGE, unit="kWh/t")

    assert np.isnan(one(formula, a=window(used=5), iron=window())["mean"])
    assert np.isnan(one(formula, a=window(), iron=window())["mean"])
    assert one(formula, a=window(), iron=window(used=5))["mean"] == 0.0


def test_ratio_with_a_silent_part_is_undefined_and_marked() -> None:
    """The output's meter says nothing: there is no consumption per ton, and the row says why."""
    found = one(
        computed("a / iron", Kind.GAUGE, unit="kWh/t"), a=window(used=5, received=1), iron=window(known=False)
    )

    assert np.isnan(found["mean"])
    assert (found["reason"], found["received"], found["due"], found["known"]) == (Reason.PARTIAL, 1, 2, True)


def test_denominator_that_cancels_exactly_is_zero() -> None:
    """Sums of ticks are whole: 0.3 MWh less 300.00 kWh is nothing, not a rounding error."""
    formula = computed("a / (big - b)", Kind.GAUGE, unit="1")

    assert np.isnan(one(formula, a=window(used=1), b=window(used=30_000), big=window(used=300))["mean"])


def test_loss_in_per_cent_by_hand() -> None:
    """In 1000 kWh, out 950 kWh: five per cent are lost."""
    formula = computed("1 - b / a", Kind.GAUGE, unit="%")

    assert one(formula, a=window(used=100_000), b=window(used=95_000))["mean"] == pytest.approx(5.0)


def test_sum_of_gauges_is_the_sum_of_their_means() -> None:
    """Powers of unlike units; a gauge without a value makes the sum unknown."""
    formula = computed("q - 2 * p", Kind.GAUGE, item="active_power", unit="kW")
    found = one(formula, p=window(mean=100.0, covered_s=600), q=window(mean=1.5))

    assert (found["mean"], found["covered_s"], found["used"]) == (1300.0, 600, 0)
    assert np.isnan(one(formula, p=window(mean=np.nan), q=window(mean=1.5))["mean"])
    assert np.isnan(one(formula, p=window(known=False), q=window(mean=1.5))["mean"])


def test_amount_beyond_int64_is_said_and_not_wrapped() -> None:
    """Two amounts at the end of the range make no small or negative one."""
    found = one(computed("a + b"), a=window(used=2**62), b=window(used=2**62))

    assert (found["used"], found["reason"]) == (0, Reason.OUT_OF_INT64)
    edge = one(computed("a - b"), a=window(used=2**62), b=window(used=-(2**62) + 1))
    assert (edge["used"], edge["reason"]) == (2**63 - 1, 0)


# -- in the catalogue ----------------------------------------------------------------------------------


def told(*formulas: Formula, **given: Any) -> PointNotice:
    """Notice of a computed point."""
    return PointNotice(make_point("x", Kind.PERIOD, interval_s=0, formulas=formulas, **given))


def positions(*notices: tuple[int, tuple[Formula, ...]]) -> list[tuple[int, int]]:
    """From when each formula holds, and the position it is told at, after some notices."""
    catalogue = make_catalogue(make_point("a"), make_point("b"))
    for position, formulas in notices:
        catalogue.take(told(*formulas), position)
    found = catalogue.points[ENTERPRISE, "x"].computed
    return [(formula.from_ms, formula.position) for formula in found]


def test_formula_appended_leaves_the_one_before_as_it_was() -> None:
    """Only periods from the new formula on are computed anew."""
    first, second = Formula(0, "a"), Formula(900_000, "a + b")

    assert positions((5, (first,)), (9, (first, second))) == [(0, 5), (900_000, 9)]
    assert positions((5, (first,)), (9, (first,))) == [(0, 5)]


def test_formula_that_holds_for_longer_is_told_anew() -> None:
    """The last formula is taken back: its periods belong to the one before, which needs the newer revision."""
    first, second = Formula(0, "a"), Formula(900_000, "a + b")

    assert positions((5, (first, second)), (9, (first,))) == [(0, 9)]
    assert positions((5, (first,)), (9, (Formula(0, "b"),))) == [(0, 9)]


@pytest.mark.parametrize(
    ("notice", "reason"),
    [
        (told(Formula(0, "a + nobody")), "UNKNOWN_POINT"),
        (told(Formula(0, "a"), Formula(0, "b")), "BAD_FIELD"),
        (told(Formula(2**63, "a")), "BAD_FIELD"),
        (told(Formula(0, "x")), "BAD_FIELD"),
        (told(Formula(1, "a")), "BAD_FIELD"),
        (PointNotice(make_point("x", Kind.PERIOD)), "BAD_FIELD"),
        (PointNotice(make_point("m", Kind.PERIOD, interval_s=0, formulas=(Formula(0, "a"),))), "BAD_FIELD"),
    ],
)
def test_catalogue_refuses_what_would_break_a_computed_point(notice: PointNotice, reason: str) -> None:
    """Unknown parts, a cycle, a span given up, a measured point that would be computed: the old definition stands."""
    catalogue = make_catalogue(make_point("a"), make_point("b"), make_point("m", Kind.PERIOD, interval_s=0))
    catalogue.take(told(Formula(0, "a")), 3)
    before = dict(catalogue.points)

    with pytest.raises(ContractError) as caught:
        catalogue.take(notice, 9)
    assert caught.value.reason == reason
    assert catalogue.points == before


def test_reading_of_a_computed_point_is_refused() -> None:
    """What is computed is not measured: a value sent for it is held back with its reason."""
    catalogue = make_catalogue(make_point("a"))
    catalogue.take(told(Formula(0, "a")), 3)

    assert path_of(catalogue, ENTERPRISE, "x", "kWh", 2).refusal == "COMPUTED_POINT"
    assert path_of(catalogue, ENTERPRISE, "a", "kWh", 2).refusal == ""
