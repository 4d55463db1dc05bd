"""Grades of deviation from the budget path: dated rules that are data, not constants (law 9).

They say how far consumption to date is from the budget path, and nothing of where the year will land: that is the
official light, which rests on a forecast.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Limit:
    """One grade (1 worst) that holds above a deviation [share of the budget] in a span of days."""

    valid_from: date
    valid_to: date
    grade: int
    above: float


@cache
def shipped_limits() -> tuple[Limit, ...]:
    """Give the rule that ships with the product (`schemas/books/deviation.csv`)."""
    text = resources.files("schemas").joinpath("books/deviation.csv").read_text(encoding="utf-8")
    return tuple(
        Limit(
            date.fromisoformat(row["valid_from"]),
            date.fromisoformat(row["valid_to"]) if row["valid_to"] else date.max,
            int(row["grade"]),
            float(row["above"]) if row["above"] else -math.inf,
        )
        for row in csv.DictReader(text.splitlines())
    )


def grade(deviation: float | None, on: date, limits: tuple[Limit, ...] | None = None) -> int | None:
    """Give the grade of a deviation on a day, 1 worst; None where there is no deviation or no rule.

    >>> day = date(2026, 3, 18)
    >>> [grade(share, day) for share in (0.021, 0.02, 0.0, -0.1, None)]
    [1, 2, 3, 3, None]
    """
    if deviation is None or math.isnan(deviation):
        return None
    in_force = [limit for limit in limits or shipped_limits() if limit.valid_from <= on < limit.valid_to]
    return min((limit.grade for limit in in_force if deviation > limit.above), default=None)


def tolerance(on: date, limits: tuple[Limit, ...] | None = None) -> float:
    """Give the deviation [share of the budget] above which the worst grade begins, infinity without a rule.

    >>> tolerance(date(2026, 3, 18))
    0.02
    """
    in_force = [limit for limit in limits or shipped_limits() if limit.valid_from <= on < limit.valid_to]
    return max((limit.above for limit in in_force), default=math.inf)
