"""Trust at a glance: completeness by point and day, and the mix of quality by point."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dashboards.charts.base import (
    Ink,
    Labels,
    Spec,
    category_axis,
    cell,
    grid,
    hatch,
    legend,
    narrow,
    option,
    share_axis,
    tooltip,
)
from dashboards.data import QUALITIES
from dashboards.ui.theme import Theme, quality_colour

# Steps of completeness [%] from the top: (from, light colour, dark colour).
# 90 % is the platform's floor for a unit's data, 98 % the usual wish; below half it is more gap than data.
STEPS = (
    (99.95, "#7CC5B5", "#2F8F80"),
    (98.0, "#B4DDD4", "#28655E"),
    (90.0, "#F6E2B3", "#6E5A26"),
    (50.0, "#EDAE49", "#C98A25"),
    (0.01, "#D9713F", "#D0683A"),
    (0.0, "#B3261E", "#B23A30"),
)


def heat(frame: pd.DataFrame, names: dict[str, str], labels: Labels, ink: Ink) -> Spec:
    """Draw received / due [%] of each point (rows) and day (columns).

    A day on which nothing was due stays empty: it is neither good nor bad.
    """
    theme = ink.theme
    axis, order = list(labels.values()), list(names.values())
    due = frame[
        (frame["due"] > 0) & frame["point"].isin(list(names)) & frame["period_start"].isin(list(labels))
    ]
    filled = (due["received"] / due["due"] * 100).clip(upper=100).round(2)
    data = [
        [labels[start], names[point], value]
        for start, point, value in zip(due["period_start"], due["point"], filled.tolist(), strict=True)
    ]
    many = len(axis) > 60
    series: Spec = {
        "type": "heatmap",
        "data": data,
        "itemStyle": {
            "borderColor": theme.card,
            "borderWidth": 0 if many else 1.5,
            "borderRadius": 0 if many else 2,
        },
        "emphasis": {"itemStyle": {"borderColor": theme.ink}},
        "progressive": 0,
    }
    return option(
        theme,
        grid=grid(top=4, bottom=34, right=8),
        tooltip=tooltip(theme, trigger="item", digits=1, unit="%"),
        xAxis=category_axis(theme, axis, gap=True),
        yAxis=_names_axis(theme, order),
        visualMap=steps(STEPS, "heat.step", ink),
        series=[series],
    )


def _names_axis(theme: Theme, names: list[str]) -> Spec:
    axis = category_axis(theme, names, gap=True)
    axis["inverse"] = True
    axis["axisLine"] = {"show": False}
    axis["axisLabel"] = {
        "color": theme.body,
        "fontSize": 11,
        "interval": 0,
        "width": 104,
        "overflow": "truncate",
    }
    return axis


def steps(scale: Sequence[tuple[float, str, str]], key: str, ink: Ink) -> Spec:
    """Give the colours of a scale of steps [%] and their legend; names are the texts `key` with the step's number.

    Parameters
    ----------
    scale
        Steps from the top: from [%], light colour, dark colour.
    """
    text, theme = ink.text, ink.theme
    pieces: list[Spec] = []
    upper = 100.01
    for index, (floor, light, dark) in enumerate(scale):
        colour = dark if theme.dark else light
        pieces.append({"gte": floor, "lt": upper, "label": text(f"{key}{index}"), "color": colour})
        upper = floor
    return {
        "type": "piecewise",
        "pieces": pieces,
        "orient": "horizontal",
        "left": "center",
        "bottom": 0,
        "itemWidth": 12,
        "itemHeight": 10,
        "itemGap": 8,
        "textGap": 4,
        "textStyle": {"color": theme.muted, "fontSize": 10},
    }


def mix(frame: pd.DataFrame, names: dict[str, str], ink: Ink) -> Spec:
    """Draw of each point how its due readings divide into quality classes and missing ones [%].

    Parameters
    ----------
    frame
        One row per point: received, due and the counts by class (`dashboards.enterprise.views.mixture`).
    """
    shares, text, theme = _shares(frame), ink.text, ink.theme
    at = [p for p in names if p in shares.index]
    series = []
    for kind in (*QUALITIES, "missing"):
        parts = shares.loc[at, kind].tolist()
        data = [[cell(part), names[p]] for p, part in zip(at, parts, strict=True) if part > 0]
        if data:
            style: Spec = {"color": quality_colour(kind, theme.dark)}
            if kind == "missing":
                style["decal"] = hatch(theme)
            series.append(
                {
                    "type": "bar",
                    "stack": "mix",
                    "name": text(f"quality.{kind}"),
                    "data": data,
                    "itemStyle": style,
                    "barMaxWidth": 14,
                }
            )
    entries: list[Spec | str] = [{"name": s["name"], "icon": "roundRect"} for s in series]
    return option(
        theme,
        grid=grid(top=30, right=18),
        legend=legend(theme, entries),
        media=narrow(entries),
        tooltip=tooltip(theme, digits=1, unit="%"),
        xAxis=share_axis(theme),
        yAxis=_names_axis(theme, list(names.values())),
        series=series,
    )


def _shares(frame: pd.DataFrame) -> pd.DataFrame:
    counts = frame.set_index("point")[["due", "received", *QUALITIES]].astype(float)
    counts["missing"] = (counts["due"] - counts["received"]).clip(lower=0)
    whole = counts[["due", "received"]].max(axis=1).replace(0, float("nan"))
    return counts[[*QUALITIES, "missing"]].div(whole, axis=0).fillna(0.0) * 100
