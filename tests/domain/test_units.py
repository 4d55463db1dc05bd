"""Units: exact there and back, nearest names for an unknown one, no crossing of dimensions."""

from __future__ import annotations

import csv
from fractions import Fraction
from importlib import resources
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nengliu.domain.units import dimension, factor
from nengliu.errors import ContractError

ROWS = list(
    csv.DictReader(resources.files("schemas").joinpath("codes/units.csv").read_text("utf-8").splitlines())
)
UNITS = [row["unit"] for row in ROWS]
ITEMS = list(
    csv.DictReader(resources.files("schemas").joinpath("codes/items.csv").read_text("utf-8").splitlines())
)


@pytest.mark.parametrize(
    ("source", "target", "ratio"),
    [
        ("kWh", "kWh", Fraction(1)),
        ("万kWh", "kWh", Fraction(10_000)),
        ("度", "MWh", Fraction(1, 1000)),
        ("GJ", "kWh", Fraction(2500, 9)),
        ("MJ", "GJ", Fraction(1, 1000)),
        ("Nm³", "m3", Fraction(1)),
        ("万m³", "L", Fraction(10_000_000)),
        ("公斤", "t", Fraction(1, 1000)),
        ("m3/h", "L/s", Fraction(5, 18)),
        ("kcal", "kJ", Fraction(41868, 10_000)),
        ("psi", "kPa", Fraction(6894757, 1_000_000)),
    ],
)
def test_unit_factor_is_exact(source: str, target: str, ratio: Fraction) -> None:
    """A factor is the ratio of the standards, not a float near it."""
    assert factor(source, target) == ratio


@given(a=st.sampled_from(UNITS), b=st.sampled_from(UNITS), c=st.sampled_from(UNITS))
def test_unit_goes_there_and_back_and_around(a: str, b: str, c: str) -> None:
    """Within a dimension factors multiply to one around any ring; across dimensions there is none."""
    if dimension(a) == dimension(b) == dimension(c):
        assert factor(a, b) * factor(b, c) * factor(c, a) == 1
    if dimension(a) != dimension(b):
        with pytest.raises(ContractError) as caught:
            factor(a, b)
        assert (caught.value.reason, caught.value.parameters) == ("WRONG_UNIT", {"expected": b, "got": a})


def test_unit_alias_means_its_unit_and_nothing_twice() -> None:
    """Every alias equals its unit, and no name stands for two."""
    names: list[str] = []
    for row in ROWS:
        own = [row["unit"], *filter(None, row["aliases"].split(";"))]
        names += own
        assert all(factor(name, row["unit"]) == 1 for name in own)
    assert len(names) == len(set(names))


def test_unit_unknown_names_the_nearest() -> None:
    """A typing error is answered with what was probably meant."""
    with pytest.raises(ContractError) as caught:
        dimension("kWhh")

    assert caught.value.reason == "WRONG_UNIT"
    assert caught.value.parameters["got"] == "kWhh"
    assert "kWh" in caught.value.parameters["expected"]


@pytest.mark.parametrize("unit", ["", "\x00", "绝无此单位", "kWh "])
def test_unit_unlike_any_is_still_a_wrong_unit(unit: str) -> None:
    """Nothing near is no reason to break."""
    with pytest.raises(ContractError) as caught:
        factor(unit, "kWh")

    assert caught.value.reason == "WRONG_UNIT"


def test_items_have_units_that_are_known() -> None:
    """Every item of the list is counted in a unit of the list, and no slug stands twice."""
    assert all(dimension(item["unit"]) for item in ITEMS)
    assert all(one["slug"] != two["slug"] for one, two in pairwise(sorted(ITEMS, key=lambda i: i["slug"])))
