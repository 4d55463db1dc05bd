"""Bars by day or month: of all energy in standard coal, stacked, or of one item; the estimated part hatched."""

from __future__ import annotations

import pandas as pd

from dashboards.charts.base import (
    Spec,
    category_axis,
    cell,
    grid,
    hatch,
    legend,
    option,
    tooltip,
    value_axis,
)
from dashboards.i18n import Text
from dashboards.ui.theme import Theme, item_colour, item_order

_WIDTH = {"barMaxWidth": 26, "barCategoryGap": "28%"}


def bars(
    frame: pd.DataFrame,
    other: pd.DataFrame | None,
    text: Text,
    theme: Theme,
    *,
    value: str,
    divisor: float,
    unit: str,
    labels: dict[pd.Timestamp, str],
    other_labels: dict[pd.Timestamp, str],
    names: dict[str, str],
    other_name: str = "",
    marked: str = "",
) -> Spec:
    """Draw one bar per period, stacked by item.

    Parameters
    ----------
    frame, other
        Rows of `dashboards.data.by_item` of the span and of the span compared with.
    value
        Column that gives the height (`used`, `coal_kgce`, `coal_equal_kgce`).
    divisor, unit
        Scale and its label, one for the whole chart.
    labels, other_labels
        Period start -> label on the axis, for both spans; periods without a row stay empty.
    names
        Item -> name in the reader's language.
    marked
        Label of the period to set off, or empty.
    """
    axis = list(dict.fromkeys(labels.values()))
    series: list[Spec] = []
    hatched = False
    for item in sorted(frame["item"].unique(), key=item_order):
        rows = frame[(frame["item"] == item) & frame[value].notna()]
        if rows.empty:
            continue
        colour, name = item_colour(item, theme.dark), names.get(item, item)
        measured, estimated = _split(rows, value, divisor, labels)
        series.append(_stack(name, measured, {"color": colour}))
        if estimated:
            hatched = True
            label = f"{name} · {text('quality.estimated')}"
            series.append(_stack(label, estimated, {"color": colour, "opacity": 0.75, "decal": hatch(theme)}))
    entries: list[Spec | str] = [{"name": s["name"], "icon": "roundRect"} for s in series if "decal" not in s["itemStyle"]]
    if hatched:
        series.append(_stack(text("quality.hatched"), [], {"color": theme.reference, "decal": hatch(theme)}))
        entries.append({"name": text("quality.hatched"), "icon": "roundRect"})
    if other is not None and other[value].notna().any():
        series.append(_reference(other, value, divisor, other_labels, other_name, theme))
        entries.append({"name": other_name, "icon": "path://M0,4H16V6H0Z"})
    if marked in axis and series:
        series[0]["markArea"] = _mark(marked, theme)
    return option(
        theme,
        grid=grid(),
        legend=legend(theme, entries),
        tooltip=tooltip(theme, unit=unit),
        xAxis=category_axis(theme, axis, gap=True),
        yAxis=value_axis(theme),
        series=series,
    )


def _split(
    rows: pd.DataFrame, value: str, divisor: float, labels: dict[pd.Timestamp, str]
) -> tuple[list[object], list[object]]:
    """Part each bar into what was measured and what was spread over gaps, in proportion to the amount used."""
    measured: list[object] = []
    estimated: list[object] = []
    for row in rows[["period_start", value, "used", "estimated"]].itertuples(index=False):
        start, height, used, spread = row
        if start not in labels:
            continue
        part = min(max(spread / used, 0.0), 1.0) if used and spread == spread else 0.0
        measured.append([labels[start], cell(height * (1 - part), divisor)])
        if part > 0:
            estimated.append([labels[start], cell(height * part, divisor)])
    return measured, estimated


def _stack(name: str, data: list[object], style: Spec) -> Spec:
    return {"type": "bar", "stack": "used", "name": name, "data": data, "itemStyle": style, **_WIDTH}


def _reference(
    other: pd.DataFrame, value: str, divisor: float, labels: dict[pd.Timestamp, str], name: str, theme: Theme
) -> Spec:
    """Draw the period compared with as one grey tick on each bar."""
    sums = other.groupby("period_start")[value].sum(min_count=1)
    data = [[labels[start], cell(float(total), divisor)] for start, total in sums.items() if start in labels]
    return {
        "type": "scatter",
        "name": name,
        "data": data,
        "symbol": "rect",
        "symbolSize": [22 if len(labels) <= 12 else 9, 2.5],
        "itemStyle": {"color": theme.ink, "opacity": 0.7},
        "z": 5,
    }


def _mark(label: str, theme: Theme) -> Spec:
    return {
        "silent": True,
        "itemStyle": {"color": theme.primary, "opacity": 0.1},
        "data": [[{"xAxis": label}, {"xAxis": label}]],
    }
