"""Ranked nodes side by side: bars of one measure, structure by item, and how few make how much (Pareto)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from dashboards.charts.base import (
    Ink,
    Spec,
    category_axis,
    cell,
    grid,
    legend,
    narrow,
    option,
    share_axis,
    tooltip,
    value_axis,
)
from dashboards.ui.theme import Theme

ROW = 25  # height of one bar with its gap [px]
LEVEL = 10  # names that stand side by side; more are slanted


@dataclass(frozen=True, slots=True)
class Ranked:
    """One node in its place: name, value in the unit of the chart (None: not known), how it is written, its colour."""

    name: str
    value: float | None
    written: str
    colour: str


def height(rows: int) -> int:
    """Give the height of a chart of so many bars [px]."""
    return 56 + ROW * max(rows, 4)


def bars(rows: list[Ranked], unit: str, ink: Ink) -> Spec:
    """Draw one bar per node, the first on top, its value written at its end."""
    theme = ink.theme
    data = [
        {
            "value": cell(row.value),
            "itemStyle": {"color": row.colour, "borderRadius": 3},
            "label": {"formatter": row.written, "position": "right"},
        }
        for row in rows
    ]
    value = {**value_axis(theme), "axisLabel": {"show": False}, "splitLine": {"show": False}}
    return option(
        theme,
        grid=grid(top=6, bottom=6, right=74),
        tooltip=tooltip(theme, unit=unit),
        xAxis=value,
        yAxis=_names(theme, [row.name for row in rows]),
        series=[
            {
                "type": "bar",
                "data": data,
                "barMaxWidth": 15,
                "label": {"show": True, "color": theme.body, "fontSize": 11},
            }
        ],
    )


def structure(
    names: list[str], shares: dict[str, list[float | None]], colours: dict[str, str], ink: Ink
) -> Spec:
    """Draw of each node how its energy divides into items [% of its standard coal]; items are the keys, by name."""
    theme = ink.theme
    series = [
        {
            "type": "bar",
            "stack": "all",
            "name": item,
            "data": [cell(value) for value in values],
            "itemStyle": {"color": colours[item], "borderColor": theme.card, "borderWidth": 1},
            "barMaxWidth": 15,
        }
        for item, values in shares.items()
    ]
    entries: list[Spec | str] = [{"name": item, "icon": "roundRect"} for item in shares]
    return option(
        theme,
        grid=grid(top=30, right=18),
        legend=legend(theme, entries),
        media=narrow(entries),
        tooltip=tooltip(theme, digits=1, unit="%"),
        xAxis=share_axis(theme),
        yAxis=_names(theme, names),
        series=series,
    )


def pareto(names: list[str], shares: list[float], words: tuple[str, str], ink: Ink) -> Spec:
    """Draw each node's share of the total and their running sum [%], the largest first.

    Parameters
    ----------
    words
        Names of the two series: share, running sum.
    """
    theme, sums = ink.theme, list(accumulate(shares))
    axis = category_axis(theme, names, gap=True)
    slant = 32 if len(names) > LEVEL else 0
    axis["axisLabel"] |= {"interval": 0, "rotate": slant, "width": 84, "overflow": "truncate", "fontSize": 10}
    value = value_axis(theme)
    value["axisLabel"]["formatter"] = "{value}%"
    whole = {**value, "max": 100, "interval": 25, "splitLine": {"show": False}}
    entries: list[Spec | str] = [{"name": words[0], "icon": "roundRect"}, words[1]]
    return option(
        theme,
        grid=grid(top=30, right=18),
        legend=legend(theme, entries),
        tooltip=tooltip(theme, digits=1, unit="%"),
        xAxis=axis,
        yAxis=[value, whole],
        series=[
            {
                "type": "bar",
                "name": words[0],
                "data": [cell(share) for share in shares],
                "itemStyle": {"color": theme.primary, "borderRadius": [3, 3, 0, 0]},
                "barMaxWidth": 26,
            },
            _running(words[1], sums, theme),
        ],
    )


def _running(name: str, sums: list[float], theme: Theme) -> Spec:
    """Draw the running sum, with a dashed line where the few that make the most end."""
    return {
        "type": "line",
        "name": name,
        "yAxisIndex": 1,
        "data": [cell(total) for total in sums],
        "symbolSize": 5,
        "lineStyle": {"color": theme.warn[0], "width": 1.8},
        "itemStyle": {"color": theme.warn[0]},
        "markLine": {
            "silent": True,
            "symbol": "none",
            "label": {"show": False},
            "lineStyle": {"color": theme.muted, "type": "dashed"},
            "data": [{"yAxis": 80}],
        },
    }


def _names(theme: Theme, names: list[str]) -> Spec:
    axis = category_axis(theme, names, gap=True)
    axis["inverse"] = True
    axis["axisLine"] = {"show": False}
    axis["axisLabel"] = {
        "color": theme.body,
        "fontSize": 11,
        "interval": 0,
        "width": 128,
        "overflow": "truncate",
    }
    return axis
