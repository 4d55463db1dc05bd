"""How a grade of deviation is shown: shape, word and colour say the same."""

from __future__ import annotations

from datetime import date

from dashboards.formats import DASH
from dashboards.i18n import Text
from dashboards.ui.parts import pill
from nengliu.domain.grades import tolerance

MARKS = {1: ("bad", "■"), 2: ("warn", "▲"), 3: ("good", "●"), 0: ("flat", "◌")}


def grade_pill(text: Text, grade: int, words: str = "") -> str:
    """Give the label of a grade, with its name or the given words."""
    kind, mark = MARKS[grade]
    return pill(kind, mark, words or text(f"grade.{grade}"))


def rule(text: Text, grade: int, on: date) -> str:
    """Say in a few words when a grade holds."""
    return text(f"grade.rule{grade}", limit=f"{tolerance(on):.0%}")


def signed(deviation: float | None) -> str:
    """Write a deviation with its sign; a dash where there is none.

    >>> signed(0.0312), signed(-0.04), signed(None) == DASH
    ('+3.1%', '-4.0%', True)
    """
    return DASH if deviation is None or deviation != deviation else f"{deviation:+.1%}"  # noqa: PLR0124 - NaN
