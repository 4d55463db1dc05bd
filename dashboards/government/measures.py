"""What nodes are ranked by: column, unit, and how a value is written and coloured."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from dashboards.formats import DASH, amount, number, scale_for
from dashboards.government.grades import signed
from dashboards.i18n import Text
from dashboards.ui.theme import Theme, item_colour


@dataclass(frozen=True, slots=True)
class Ranking:
    """One measure: its column in the rows of `ranking.ranked`, its canonical unit, `%` for a share."""

    key: str
    column: str
    unit: str

    @property
    def adds_up(self) -> bool:
        """Say whether the values of the parts make the value of the whole."""
        return self.unit in ("kgce", "kWh")

    def scale(self, values: pd.Series, text: Text) -> tuple[float, str]:
        """Give one divisor and unit for a chart of these values."""
        if self.adds_up:
            largest = values.abs().max()
            return scale_for(text, 0.0 if pd.isna(largest) else float(largest), self.unit)
        return (0.01, "%") if self.unit == "%" else (1.0, text("overview.intensity_unit"))

    def write(self, value: float | None, text: Text) -> str:
        """Write a value with its unit."""
        if value is None or pd.isna(value):
            return DASH
        if self.unit == "%":
            return signed(value)
        if self.adds_up:
            return " ".join(amount(text, value, self.unit))
        return number(value)

    def colour(self, value: float | None, grade: int, theme: Theme) -> str:
        """Give the colour of a bar: the grade's for a deviation, worse or better for a change."""
        if self.key == "deviation":
            return theme.grade(grade)
        if self.key == "change":
            return theme.grade(0 if value is None or pd.isna(value) else 1 if value > 0 else 3)
        return item_colour("electricity", theme.dark) if self.key == "electricity" else theme.primary


RANKINGS = {
    found.key: found
    for found in (
        Ranking("energy", "coal_kgce", "kgce"),
        Ranking("electricity", "electricity_used", "kWh"),
        Ranking("intensity", "intensity", "tce/10k CNY"),
        Ranking("change", "change", "%"),
        Ranking("deviation", "deviation", "%"),
    )
}
BY = ("region", "industry", "enterprise")
