"""Units as exact ratios: a conversion is a Fraction, never a float.

The list is `schemas/codes/units.csv`: unit, dimension, factor to the dimension's base,
aliases.  Two of them make a quotient (``kWh/t``), of which the dimension is one, too.  Temperatures are not converted
(an offset is no ratio).
"""

from __future__ import annotations

import csv
import difflib
import functools
from fractions import Fraction
from importlib import resources

from nengliu.errors import ContractError


@functools.cache
def _table() -> dict[str, tuple[str, Fraction]]:
    found: dict[str, tuple[str, Fraction]] = {}
    text = resources.files("schemas").joinpath("codes/units.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        top, _, bottom = row["factor"].partition("/")
        value = row["dimension"], Fraction(int(top), int(bottom or 1))
        for name in (row["unit"], *filter(None, row["aliases"].split(";"))):
            found[name] = value
    return found


def dimension(unit: str) -> str:
    """Name the dimension of `unit`; ContractError (WRONG_UNIT) for an unknown one."""
    return _lookup(unit)[0]


def factor(source: str, target: str) -> Fraction:
    """How many `target` one `source` is, exactly.

    Raises
    ------
    ContractError
        Reason WRONG_UNIT: unknown unit (nearest ones named), or another dimension.

    >>> factor("MWh", "kWh")
    Fraction(1000, 1)
    >>> factor("GJ", "kWh")
    Fraction(2500, 9)
    >>> factor("MWh/t", "kWh/kg")
    Fraction(1, 1)
    """
    from_dimension, from_base = _lookup(source)
    to_dimension, to_base = _lookup(target)
    if from_dimension != to_dimension:
        msg = f"expected a unit of {to_dimension} ({target}), got {source} ({from_dimension})"
        raise ContractError("WRONG_UNIT", msg, expected=target, got=source)
    return from_base / to_base


def _lookup(unit: str) -> tuple[str, Fraction]:
    table = _table()
    found = table.get(unit) or _quotient(unit)
    if found is None:
        near = (
            ", ".join(difflib.get_close_matches(unit, table, n=3, cutoff=0.3))
            or "see schemas/codes/units.csv"
        )
        raise ContractError("WRONG_UNIT", f"unknown unit {unit!r}; nearest: {near}", expected=near, got=unit)
    return found


def _quotient(unit: str) -> tuple[str, Fraction] | None:
    """Dimension and factor of one unit of the list over another; a number where the dimensions are the same."""
    table = _table()
    for place in (i for i, letter in enumerate(unit) if letter == "/"):
        top, bottom = table.get(unit[:place]), table.get(unit[place + 1 :])
        if top and bottom:
            name = "number" if top[0] == bottom[0] else f"{top[0]}/{bottom[0]}"
            return name, top[1] / bottom[1]
    return None
