"""Deviation from the budget path: the gap itself, month by month, since a cumulative line beside a plan hides it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dashboards.charts.base import (
    Ink,
    Measure,
    Spec,
    category_axis,
    cell,
    grid,
    legend,
    narrow,
    option,
    tooltip,
    value_axis,
)
from dashboards.ui.theme import Theme

SPRING = 2  # January and February are judged together, so January alone is drawn light


def deviation(frame: pd.DataFrame, tolerance: float, measure: Measure, months: list[str], ink: Ink) -> Spec:
    """Draw used minus budget since New Year at the end of each month, coloured by grade.

    Parameters
    ----------
    frame
        The twelve rows of `budget` of one node, with a column ``grade``.
    tolerance
        Deviation above which the worst grade begins [share of the budget]; drawn as a line.
    measure
        Scale and unit of the amounts; its column is not used.
    months
        Names of the months, from January.
    """
    theme, text = ink.theme, ink.text
    rows = frame.sort_values("month")
    columns = (rows[name].tolist() for name in ("month", "used_kgce", "budget_kgce", "deviation", "grade"))
    bars = [
        _bar(months[int(month) - 1], (used - due, share), int(grade), measure, theme, int(month) < SPRING)
        for month, used, due, share, grade in zip(*columns, strict=True)
        if not (pd.isna(used) or pd.isna(due))
    ]
    limit = [
        [months[int(month) - 1], cell(due * tolerance, measure.divisor)]
        for month, due in zip(rows["month"].tolist(), rows["budget_kgce"].tolist(), strict=True)
        if not pd.isna(due)
    ]
    names = (
        text("overview.gap"),
        text("overview.tolerance", limit=f"{tolerance:.0%}"),
        text("overview.path_line"),
    )
    entries: list[Spec | str] = [
        {"name": names[0], "icon": "roundRect"},
        {"name": names[1], "icon": "path://M0,4H5V6H0ZM7,4H12V6H7ZM14,4H19V6H14Z"},
    ]
    return option(
        theme,
        grid=grid(top=34, right=72),
        legend=legend(theme, entries),
        media=_narrow(entries),
        tooltip=tooltip(theme, unit=measure.unit),
        xAxis={**category_axis(theme, months, gap=True), "axisLine": {"show": False}},
        yAxis={**value_axis(theme), "boundaryGap": ["9%", "9%"]},
        series=[_bars(names[0], bars, names[2], theme), _limit(names[1], limit, theme)],
    )


def _narrow(entries: list[Spec | str]) -> list[Spec]:
    """On a phone the shares would touch, so they are left to the table."""
    small, wide = narrow(entries)
    small["option"]["series"] = [{"label": {"show": False}}]
    wide["option"]["series"] = [{"label": {"show": True}}]
    return [small, wide]


def _bar(
    month: str, gap: tuple[float, float], grade: int, measure: Measure, theme: Theme, light: bool
) -> Spec:
    amount, share = gap
    return {
        "value": [month, cell(amount, measure.divisor)],
        "itemStyle": {
            "color": theme.grade(grade),
            "opacity": 0.45 if light else 1,
            "borderRadius": [4, 4, 0, 0] if amount >= 0 else [0, 0, 4, 4],
        },
        "label": {"formatter": f"{share:+.1%}", "position": "top" if amount >= 0 else "bottom"},
    }


def _bars(name: str, bars: list[Spec], path: str, theme: Theme) -> Spec:
    return {
        "type": "bar",
        "name": name,
        "data": bars,
        "barMaxWidth": 34,
        "itemStyle": {"color": theme.reference},
        "label": {"show": True, "color": theme.body, "fontSize": 11},
        "markLine": {
            "silent": True,
            "symbol": "none",
            "lineStyle": {"color": theme.ink, "width": 1.4, "type": "solid"},
            "label": {"formatter": path, "position": "end", "color": theme.muted, "fontSize": 11},
            "data": [{"yAxis": 0}],
        },
    }


def _limit(name: str, data: Sequence[object], theme: Theme) -> Spec:
    return {
        "type": "line",
        "name": name,
        "data": data,
        "showSymbol": False,
        "symbol": "none",
        "lineStyle": {"type": "dashed", "width": 1.4, "color": theme.bad[0]},
        "itemStyle": {"color": theme.bad[0]},
        "z": 1,
    }
