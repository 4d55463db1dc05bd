"""Formulas: what is read is what was written, what is meant is exact, and what cannot be meant is refused."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from factories import make_point
from hypothesis import given
from hypothesis import strategies as st

from nengliu.domain.formulas import Computed, Expression, compute, in_force, operands_of, order, parse
from nengliu.domain.points import Formula, Kind, Point
from nengliu.errors import ContractError

NAMES = ("a", "b_1", "3号炉/主表", "x y")
CATALOGUE = {
    point.point: point
    for point in (
        make_point("a"),
        make_point("b"),
        make_point("fine", decimals=4),
        make_point("big", Kind.PERIOD, unit="MWh", decimals=3),
        make_point("steam", Kind.PERIOD, item="heat", unit="GJ"),
        make_point("iron", Kind.PERIOD, item="product", unit="t", decimals=3),
        make_point("p", Kind.GAUGE, item="active_power", unit="kW", decimals=1),
        make_point("q", Kind.GAUGE, item="active_power", unit="MW", decimals=3),
    )
}


def made(text: str, kind: Kind = Kind.PERIOD, **given: Any) -> Point:
    """A computed point."""
    return make_point("sum", kind, interval_s=0, formulas=(Formula(0, text),), **given)


def fitted(text: str, kind: Kind = Kind.PERIOD, **given: Any) -> Computed:
    """Its formula, fitted to the small catalogue."""
    (found,) = compute(made(text, kind, **given), CATALOGUE.get, lambda i: 7)
    return found


def refusal(text: str, kind: Kind = Kind.PERIOD, **given: Any) -> tuple[str, str]:
    """Reason and sentence of a formula that must be refused."""
    with pytest.raises(ContractError) as caught:
        fitted(text, kind, **given)
    return caught.value.reason, str(caught.value)


# -- the language --------------------------------------------------------------------------------------


def written(tree: Any) -> str:
    """Text of a tree, with more parentheses and spaces than needed."""
    if isinstance(tree, str):
        return f'"{tree}"' if tree not in ("a", "b_1") else tree
    if isinstance(tree, int):
        return str(tree)
    if len(tree) == 2:
        return f"-({written(tree[1])})"
    return f"({written(tree[1])} {tree[0]} {written(tree[2])})"


def valued(tree: Any, values: dict[str, Fraction]) -> Fraction:
    """Value of a tree by the arithmetic of the language this is written in."""
    if isinstance(tree, str):
        return values[tree]
    if isinstance(tree, int):
        return Fraction(tree)
    if len(tree) == 2:
        return -valued(tree[1], values)
    one, other = (valued(part, values) for part in tree[1:])
    return {"+": one + other, "-": one - other, "*": one * other}[tree[0]] if tree[0] != "/" else one / other


def meant(expression: Expression, values: dict[str, Fraction]) -> Fraction:
    """Value of a normal form."""

    def side(weights: Any) -> Fraction:
        return sum((weight * values[name] for name, weight in weights.items()), Fraction(0))

    quotients = sum((side(top) / side(bottom) for top, bottom in expression.quotients), Fraction(0))
    return expression.constant + side(expression.points) + quotients


def scaled(tree: Any) -> Any:
    """Trees of the same kind times or over a number."""
    factors = st.integers(1, 9)
    return st.tuples(st.sampled_from("*/"), tree, factors) | st.tuples(st.just("*"), factors, tree)


def grown(tree: Any) -> Any:
    """Sums, differences and multiples of trees."""
    return st.tuples(st.sampled_from("+-"), tree, tree) | st.tuples(st.just("-"), tree) | scaled(tree)


sums = st.recursive(st.sampled_from(NAMES), grown, max_leaves=8)
ratios = st.tuples(st.just("/"), sums, st.sampled_from(NAMES))
trees = st.recursive(sums | ratios | st.integers(0, 99), grown, max_leaves=4)


@given(tree=trees, values=st.lists(st.integers(1, 10**6), min_size=4, max_size=4))
def test_formula_read_has_the_value_of_what_was_written(tree: Any, values: list[int]) -> None:
    """Operators bind as people expect, and the normal form loses nothing, to the last fraction."""
    known = dict(zip(NAMES, map(Fraction, values), strict=True))

    assert meant(parse(written(tree)), known) == valued(tree, known)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a-b_1-a/2", -1),
        ("a - -b_1", 16),
        ("-a*2 + 3*a", 10),
        ("a*2/4-b_1*0.5", 2),
        ("12/4/3*a", 10),
        ("2*(a+b_1)/4", 8),
    ],
)
def test_formula_without_parentheses_binds_from_left_to_right(text: str, value: int) -> None:
    """By hand, with a = 10 and b_1 = 6."""
    values = {"a": Fraction(10), "b_1": Fraction(6)}

    assert meant(parse(text), values) == value


@given(text=st.text(alphabet='ab1._+-*/()" ', max_size=30) | st.text(max_size=30))
def test_formula_of_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else can happen to the flow: no other error, whatever somebody writes."""
    try:
        found = parse(text)
    except ContractError as error:
        assert error.reason == "BAD_FIELD"
    else:
        assert isinstance(found, Expression)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a number, a point or a parenthesis"),
        ("a +", "at character 4, got 'the end'"),
        ("a b", "expected an operator or the end at character 3, got 'b'"),
        ("a + b  name", "expected an operator or the end at character 8, got 'name'"),
        ("a + ; b", "at character 5, got ';'"),
        ("(a", "expected a closing parenthesis"),
        ("a)", "expected an operator or the end"),
        ("2a", "expected an operator"),
        ("a ** 2", "got '*'"),
        ("a; b", "got ';'"),
        ("__import__('os')", "got"),
        ('"a', "expected a number, a point"),
        ("a.b", "got '.b'"),
        ("1e9 * a", "got 'e9'"),
        ("a * b", "multiplied by numbers only"),
        ("a / 0", "division by zero"),
        ("a / (b - b)", "division by zero"),
        ("1 / a", "only a sum of points may be divided"),
        ("a / b / a", "only a sum of points may be divided"),
        ("(" * 60 + "a" + ")" * 60, "at most 50 levels"),
        ("-" * 60 + "a", "at most 50 levels"),
        ("a + " * 1001 + "a", "at most 4000 characters"),
    ],
)
def test_formula_that_cannot_be_read_says_where(text: str, said: str) -> None:
    """One sentence: what was expected and what stands there."""
    with pytest.raises(ContractError) as caught:
        parse(text)
    assert said in str(caught.value)


# -- what it means -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("a - b", (("a", 1), ("b", -1))),
        ("a + big", (("a", 1), ("big", 100))),
        ("3*a + a - 0.5*2*b", (("a", 4), ("b", -1))),
        ("a + b - b", (("a", 1),)),
    ],
)
def test_sum_of_amounts_has_whole_weights_in_ticks(text: str, weights: tuple[tuple[str, int], ...]) -> None:
    """A tick of MWh with three decimals is a hundred of kWh with two; what cancels is not asked for."""
    found = fitted(text)

    assert found.total is not None
    assert (found.total.weights, found.total.divisor, found.total.gauge) == (weights, 1, False)
    assert found.operands == tuple(name for name, _ in weights)
    assert (found.position, found.from_ms) == (7, 0)


def test_finer_decimals_make_a_weight_whole() -> None:
    """Half a tick cannot be counted, in one more decimal it can."""
    assert refusal("0.5 * a")[0] == refusal("fine")[0] == "NOT_EXACT"
    total = fitted("0.5 * a", decimals=3).total
    assert total is not None
    assert total.weights == (("a", 5),)


def test_ratio_keeps_both_sums_and_the_scale_to_its_unit() -> None:
    """Both in the units of the points: kWh over t; in MWh over t it is a thousandth."""
    found = fitted("(a + b) / iron", Kind.GAUGE, unit="MWh/t")
    ((top, bottom, scale),) = found.quotients

    assert (top.weights, top.divisor) == ((("a", 1), ("b", 1)), 100)
    assert (bottom.weights, bottom.divisor, scale) == ((("iron", 1),), 1000, 0.001)
    mixed, _, _ = fitted("(a + big) / iron", Kind.GAUGE, unit="kWh/t").quotients[0]
    assert mixed.weights == (("a", 1), ("big", 100))


@pytest.mark.parametrize(("unit", "constant"), [("1", 1.0), ("%", 100.0)])
def test_ratio_of_like_amounts_may_have_a_constant(unit: str, constant: float) -> None:
    """A share of loss, as a number or in per cent."""
    found = fitted("1 - (a + b) / big", Kind.GAUGE, unit=unit)

    assert found.constant == constant
    assert found.quotients[0][2] == pytest.approx(constant / 1000)


@pytest.mark.parametrize(
    ("text", "kind", "given", "said"),
    [
        ("5", Kind.PERIOD, {}, ("BAD_FIELD", "speaks of no point")),
        ("a - a", Kind.PERIOD, {}, ("BAD_FIELD", "speaks of no point")),
        ("a + 5", Kind.PERIOD, {}, ("BAD_FIELD", "a number cannot be added to an amount")),
        ("a + nobody", Kind.PERIOD, {}, ("UNKNOWN_POINT", "no point 'nobody'")),
        ("a + iron", Kind.PERIOD, {}, ("WRONG_UNIT", "energy")),
        ("a + steam", Kind.PERIOD, {}, ("BAD_FIELD", "expected amounts of electricity only, got heat")),
        ("a + p", Kind.PERIOD, {}, ("BAD_FIELD", "cannot be added to each other")),
        ("a", Kind.GAUGE, {}, ("BAD_FIELD", "expected kind period")),
        ("p", Kind.PERIOD, {"unit": "kW"}, ("BAD_FIELD", "expected kind gauge")),
        ("a / iron", Kind.PERIOD, {"unit": "kWh/t"}, ("BAD_FIELD", "expected kind gauge of a ratio")),
        ("a / iron", Kind.GAUGE, {"unit": "kWh/m3"}, ("WRONG_UNIT", "kWh/m3")),
        ("a / iron", Kind.GAUGE, {"unit": "kWh"}, ("WRONG_UNIT", "kWh")),
        ("a / b", Kind.GAUGE, {"unit": "kWh"}, ("WRONG_UNIT", "kWh")),
        ("a / iron + 1", Kind.GAUGE, {"unit": "kWh/t"}, ("BAD_FIELD", "a number cannot be added to kWh/t")),
        ("a / b + a", Kind.GAUGE, {"unit": "1"}, ("BAD_FIELD", "an amount cannot be added to a ratio")),
        ("(a - a) / b", Kind.GAUGE, {"unit": "1"}, ("BAD_FIELD", "divides nothing")),
        ("a", Kind.PERIOD, {"interval_s": 900}, ("BAD_FIELD", "interval_s 0 and no meters")),
        ("sum + a", Kind.PERIOD, {}, ("UNKNOWN_POINT", "sum")),
    ],
)
def test_formula_that_cannot_be_meant_so_is_refused(
    text: str, kind: Kind, given: dict[str, Any], said: tuple[str, str]
) -> None:
    """Units, items, kinds: each mistake has its sentence."""
    if "interval_s" in given:
        with pytest.raises(ContractError) as caught:
            compute(make_point("sum", kind, formulas=(Formula(0, text),)), CATALOGUE.get, lambda i: 1)
        reason, sentence = caught.value.reason, str(caught.value)
    else:
        reason, sentence = refusal(text, kind, **given)

    assert reason == said[0]
    assert said[1] in sentence


def test_counter_cannot_be_computed() -> None:
    """A computed point has no register."""
    with pytest.raises(ContractError, match="kind period or gauge"):
        compute(make_point("sum", interval_s=0, formulas=(Formula(0, "a"),)), CATALOGUE.get, lambda i: 1)


def test_cycle_is_refused_with_its_way_round() -> None:
    """A point cannot be computed from itself, however long the way."""
    points = dict(CATALOGUE)
    points |= {
        name: make_point(name, Kind.PERIOD, interval_s=0, formulas=(Formula(0, text),))
        for name, text in (("r", "a + s"), ("s", "t - b"), ("t", "a"))
    }
    closing = make_point("t", Kind.PERIOD, interval_s=0, formulas=(Formula(0, "a"), Formula(9, "r")))
    with pytest.raises(ContractError) as caught:
        compute(closing, points.get, lambda i: 1)
    assert set(caught.value.parameters["got"].split(" -> ")) == {"r", "s", "t"}
    assert compute(points["r"], points.get, lambda i: 1)[0].operands == ("a", "s")


def test_chain_of_a_thousand_points_is_ordered() -> None:
    """However deep points rest on each other, each stands behind what it speaks of."""
    deep = {
        f"d{i}": make_point(
            f"d{i}", Kind.PERIOD, interval_s=0, formulas=(Formula(0, f"d{i + 1}" if i < 2000 else "a"),)
        )
        for i in range(2001)
    }
    found = order({**deep, **CATALOGUE})

    assert found == [f"d{i}" for i in range(2000, -1, -1)]
    assert compute(deep["d0"], {**deep, **CATALOGUE}.get, lambda i: 1)[0].operands == ("d1",)


def test_formula_in_force_is_the_one_at_the_start_of_the_period() -> None:
    """A formula that begins within a quarter-hour holds from the next one on."""
    starts = np.array([0, 900, 1800])

    assert in_force([10, 900, 1000], starts).tolist() == [-1, 1, 2]
    dated = make_point("x", Kind.PERIOD, formulas=(Formula(0, "a + b"), Formula(5, '"b" - c')))
    assert operands_of(dated) == ("a", "b", "c")
