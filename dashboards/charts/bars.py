"""Bars by day or month: all energy in standard coal, stacked, or one item; the estimated part hatched."""

from __future__ import annotations

import math

import pandas as pd

from dashboards.charts.base import (
    Ink,
    Labels,
    Measure,
    Reference,
    Spec,
    category_axis,
    cell,
    grid,
    hatch,
    legend,
    narrow,
    option,
    tooltip,
    value_axis,
)
from dashboards.ui.theme import Theme, item_colour, item_order

_WIDTH = {"barMaxWidth": 26, "barCategoryGap": "28%"}


def bars(
    frame: pd.DataFrame,
    reference: Reference | None,
    measure: Measure,
    labels: Labels,
    ink: Ink,
    marked: str = "",
) -> Spec:
    """Draw one bar per period, stacked by item.

    Parameters
    ----------
    frame
        Rows of `dashboards.data.by_item`, with the items' names in a column ``name``.
    reference
        The span compared with, or None.
    measure
        Column that gives the height (`used`, `coal_kgce`, `coal_equal_kgce`) and its scale.
    labels
        Period start -> label on the axis; periods without a row stay empty.
    marked
        Label of the period to set off, or empty.
    """
    theme = ink.theme
    axis = list(dict.fromkeys(labels.values()))
    series = [s for rows in _by_item(frame, measure.column) for s in _item(rows, measure, labels, ink)]
    entries: list[Spec | str] = [
        {"name": s["name"], "icon": "roundRect"} for s in series if "decal" not in s["itemStyle"]
    ]
    if len(entries) < len(series):
        hatched = ink.text("quality.hatched")
        series.append(_stack(hatched, [], {"color": theme.reference, "decal": hatch(theme)}))
        entries.append({"name": hatched, "icon": "roundRect"})
    if reference is not None and reference.frame[measure.column].notna().any():
        series.append(_reference(reference, measure, theme))
        entries.append({"name": reference.name, "icon": "path://M0,4H16V6H0Z"})
    if marked in axis and series:
        series[0]["markArea"] = _mark(marked, theme)
    return option(
        theme,
        grid=grid(),
        legend=legend(theme, entries),
        media=narrow(entries),
        tooltip=tooltip(theme, unit=measure.unit),
        xAxis=category_axis(theme, axis, gap=True),
        yAxis=value_axis(theme),
        series=series,
    )


def _by_item(frame: pd.DataFrame, column: str) -> list[pd.DataFrame]:
    """Give the rows of each item that has a value, in the order of the code list."""
    known = frame[frame[column].notna()]
    return [known[known["item"] == item] for item in sorted(known["item"].unique(), key=item_order)]


def _item(rows: pd.DataFrame, measure: Measure, labels: Labels, ink: Ink) -> list[Spec]:
    """Give the stack of one item: what was measured, and hatched what was estimated."""
    colour, name = item_colour(str(rows["item"].iloc[0]), ink.theme.dark), str(rows["name"].iloc[0])
    measured, estimated = _split(rows, measure, labels)
    series = [_stack(name, measured, {"color": colour})]
    if estimated:
        style: Spec = {"color": colour, "opacity": 0.75, "decal": hatch(ink.theme)}
        series.append(_stack(f"{name} · {ink.text('quality.estimated')}", estimated, style))
    return series


def _split(rows: pd.DataFrame, measure: Measure, labels: Labels) -> tuple[list[object], list[object]]:
    """Part each bar into what was measured and what was spread over gaps, by its share of the amount."""
    measured: list[object] = []
    estimated: list[object] = []
    columns = (rows[c].tolist() for c in ("period_start", measure.column, "used", "estimated"))
    for start, height, used, spread in zip(*columns, strict=True):
        if start not in labels:
            continue
        part = min(max(spread / used, 0.0), 1.0) if used and not math.isnan(spread) else 0.0
        measured.append([labels[start], cell(height * (1 - part), measure.divisor)])
        if part > 0:
            estimated.append([labels[start], cell(height * part, measure.divisor)])
    return measured, estimated


def _stack(name: str, data: list[object], style: Spec) -> Spec:
    return {"type": "bar", "stack": "used", "name": name, "data": data, "itemStyle": style, **_WIDTH}


def _reference(reference: Reference, measure: Measure, theme: Theme) -> Spec:
    """Draw the period compared with as one grey tick on each bar."""
    sums = reference.frame.groupby("period_start")[measure.column].sum(min_count=1)
    at = reference.labels
    data = [
        [at[start], cell(float(total), measure.divisor)]
        for start, total in zip(sums.index, sums.tolist(), strict=True)
        if start in at
    ]
    return {
        "type": "scatter",
        "name": reference.name,
        "data": data,
        "symbol": "rect",
        "symbolSize": [22 if len(at) <= 12 else 9, 2.5],
        "itemStyle": {"color": theme.ink, "opacity": 0.7},
        "z": 5,
    }


def _mark(label: str, theme: Theme) -> Spec:
    return {
        "silent": True,
        "itemStyle": {"color": theme.primary, "opacity": 0.1},
        "data": [[{"xAxis": label}, {"xAxis": label}]],
    }
