"""The curve of one point by quarter-hours, with its quality in shape as well as in colour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboards.charts.base import (
    Ink,
    Reference,
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
from dashboards.i18n import Text
from dashboards.ui.theme import Theme, quality_colour

QUARTER_S = 900

# Marks in the order in which one hides another; a quarter shows the gravest it has.  What is not measured in
# time by the meter itself is hollow.
_HOLLOW = {"late", "substituted", "estimated"}
_MARKS = {
    "late": ("triangle", 8),
    "substituted": ("roundRect", 7),
    "manual": ("rect", 6),
    "estimated": ("circle", 6),
    "suspect": ("diamond", 10),
    "bad": ("path://M0,2L2,0L5,3L8,0L10,2L7,5L10,8L8,10L5,7L2,10L0,8L3,5Z", 9),
}


@dataclass(frozen=True, slots=True)
class Look:
    """What is drawn: name and unit of the point, its colour, and whether it is a gauge."""

    name: str
    unit: str
    colour: str
    gauge: bool = False


def states(frame: pd.DataFrame, gauge: bool = False) -> npt.NDArray[np.str_]:
    """Give the state of each quarter: ``gap``, ``good`` or the gravest mark on it.

    A quarter is a gap where no window row exists, or where none of its seconds is spoken for and nothing
    was spread over it.
    """
    value = frame["mean" if gauge else "used"].to_numpy(dtype=float)
    found = np.full(len(frame), "good", dtype="<U12")
    for mark in _MARKS:
        found[np.nan_to_num(frame[mark].to_numpy(dtype=float)) != 0] = mark
    silent = (frame["covered_s"].fillna(0) == 0) & (frame["received"].fillna(0) == 0)
    spread = frame["estimated"].fillna(0) != 0
    found[np.isnan(value) | (silent & ~spread).to_numpy()] = "gap"
    return found


def curve(
    frame: pd.DataFrame,
    reference: Reference | None,
    look: Look,
    ink: Ink,
    until: datetime | None = None,
) -> Spec:
    """Draw the quarters of one point.

    Parameters
    ----------
    frame
        Every quarter of the span (`dashboards.data.quarters`), absent ones with NaN.
    reference
        The span compared with, quarter by quarter, or None.
    until
        Newest reading of the enterprise: what lies after it is the future, not a gap.
    """
    column, theme = "mean" if look.gauge else "used", ink.theme
    labels = _labels(frame["period_start"])
    state = _without_running(states(frame, look.gauge), frame, until, look.gauge)
    value = np.where(state == "gap", np.nan, frame[column].to_numpy(dtype=float))
    series = [] if reference is None else _reference(labels, reference, column, theme)
    series += _band(labels, frame, state, look, ink.text) if look.gauge else []
    series.append(_line(labels, value, state, look, ink.text))
    series += _dashes(labels, value, state, look)
    series += [_marks(labels, value, state, mark, ink) for mark in _MARKS if (state == mark).any()]
    series += _gaps(labels, _gap_runs(state, frame["period_start"], until), ink)
    names: list[Spec | str] = [_legend_entry(s) for s in series if s["name"]]
    interval = 12 if len(labels) <= 96 else 48 if len(labels) <= 300 else 96
    return option(
        theme,
        grid=grid(),
        legend=legend(theme, names),
        media=narrow(names),
        tooltip=tooltip(theme, unit=look.unit),
        xAxis=category_axis(theme, labels, gap=False, interval=interval - 1),
        yAxis=value_axis(theme, from_zero=not look.gauge),
        series=series,
    )


def _without_running(
    state: npt.NDArray[np.str_], frame: pd.DataFrame, until: datetime | None, gauge: bool
) -> npt.NDArray[np.str_]:
    """Set the running quarter of an amount apart: half a quarter would look like a fall."""
    if until is None or gauge:
        return state
    ends = frame["period_start"] + pd.Timedelta(minutes=15)
    running = (ends > pd.Timestamp(until).tz_localize(None)) & (frame["covered_s"] < QUARTER_S)
    return np.where(running.to_numpy() & (state != "gap"), "running", state)


def _labels(starts: pd.Series) -> list[str]:
    one_day = starts.iloc[0].date() == starts.iloc[-1].date()
    return list(starts.dt.strftime("%H:%M" if one_day else "%m-%d %H:%M"))


def _pairs(labels: list[str], value: npt.NDArray[np.float64], keep: npt.NDArray[np.bool_]) -> list[object]:
    """Give ``[label, value]`` pairs of the kept points, one hole between separate runs."""
    pairs: list[object] = []
    for i in np.flatnonzero(keep):
        if i and not keep[i - 1] and pairs:
            pairs.append([labels[i - 1], None])
        pairs.append([labels[i], cell(float(value[i]))])
    return pairs


def _line(
    labels: list[str],
    value: npt.NDArray[np.float64],
    state: npt.NDArray[np.str_],
    look: Look,
    text: Text,
) -> Spec:
    measured = ~np.isin(state, ["gap", "estimated", "running"])
    return {
        "type": "line",
        "name": text("quality.measured"),
        "data": _pairs(labels, value, measured),
        "showSymbol": False,
        "symbol": "circle",
        "symbolSize": 5,
        "lineStyle": {"width": 1.8 if len(labels) <= 300 else 1.2, "color": look.colour},
        "itemStyle": {"color": look.colour},
        "areaStyle": {"color": look.colour, "opacity": 0 if look.gauge else 0.12},
        "z": 3,
    }


def _dashes(
    labels: list[str], value: npt.NDArray[np.float64], state: npt.NDArray[np.str_], look: Look
) -> list[Spec]:
    """Join estimated quarters to their neighbours by a dashed line without legend or tooltip."""
    estimated = state == "estimated"
    if not estimated.any():
        return []
    near = estimated.copy()
    near[:-1] |= estimated[1:]
    near[1:] |= estimated[:-1]
    near &= ~np.isin(state, ["gap", "running"])
    style = {"width": 1.6, "type": "dashed", "color": look.colour}
    return [
        {
            "type": "line",
            "name": "",
            "data": _pairs(labels, value, near),
            "showSymbol": False,
            "lineStyle": style,
            "areaStyle": {"color": look.colour, "opacity": 0 if look.gauge else 0.05},
            "tooltip": {"show": False},
            "silent": True,
            "z": 2,
        }
    ]


def _marks(
    labels: list[str],
    value: npt.NDArray[np.float64],
    state: npt.NDArray[np.str_],
    mark: str,
    ink: Ink,
) -> Spec:
    symbol, size = _MARKS[mark]
    text, theme = ink.text, ink.theme
    colour = quality_colour(mark, theme.dark)
    if mark == "estimated":
        colour = theme.muted
    picked = [[labels[i], cell(float(value[i]))] for i in np.flatnonzero(state == mark)]
    return {
        "type": "scatter",
        "name": text(f"quality.{mark}"),
        "data": picked,
        "symbol": symbol,
        "symbolSize": size if len(picked) < 200 else max(4, size - 3),
        "itemStyle": {
            "color": theme.card if mark in _HOLLOW else colour,
            "borderColor": colour,
            "borderWidth": 1.5,
        },
        "z": 5,
    }


def _gap_runs(
    state: npt.NDArray[np.str_], starts: pd.Series, until: datetime | None
) -> list[tuple[int, int]]:
    """Give (first, last) of each run of quarters without data, the future left out."""
    gap = state == "gap"
    if until is not None:
        gap &= (starts < pd.Timestamp(until).tz_localize(None)).to_numpy()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], gap, [False]]).astype(int)))
    return list(zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True))


def _gaps(labels: list[str], runs: list[tuple[int, int]], ink: Ink) -> list[Spec]:
    """Shade the runs of quarters nobody spoke for."""
    if not runs:
        return []
    text, theme = ink.text, ink.theme
    last = len(labels) - 1
    areas = [
        [{"xAxis": labels[max(first - 1, 0)]}, {"xAxis": labels[min(after + 1, last)]}]
        for first, after in runs
    ]
    shade: Spec = {
        "type": "line",
        "name": text("quality.gap"),
        "data": [],
        "symbol": "rect",
        "itemStyle": {"color": theme.gap, "opacity": 0.45},
        "lineStyle": {"opacity": 0},
        "markArea": {
            "silent": True,
            "itemStyle": {"color": theme.gap, "opacity": 0.16},
            "label": {"show": False},
            "data": areas,
        },
    }
    return [shade]


def _reference(labels: list[str], reference: Reference, column: str, theme: Theme) -> list[Spec]:
    """Draw the span compared with: grey and dashed, behind everything; nothing where it has no value."""
    values = reference.frame[column].to_numpy(dtype=float)
    if np.isnan(values).all():
        return []
    line: Spec = {
        "type": "line",
        "name": reference.name,
        "data": [[label, cell(float(value))] for label, value in zip(labels, values, strict=False)],
        "showSymbol": False,
        "symbol": "none",
        "lineStyle": {"width": 1.3, "type": "dashed", "color": theme.reference},
        "itemStyle": {"color": theme.reference},
        "z": 1,
    }
    return [line]


def _band(
    labels: list[str], frame: pd.DataFrame, state: npt.NDArray[np.str_], look: Look, text: Text
) -> list[Spec]:
    """Draw lowest to highest of each quarter of a gauge as a light band."""
    keep = state != "gap"
    low = frame["low"].to_numpy(dtype=float)
    height = frame["high"].to_numpy(dtype=float) - low
    common: Spec = {
        "type": "line",
        "stack": "band",
        "showSymbol": False,
        "symbol": "none",
        "lineStyle": {"opacity": 0},
        "tooltip": {"show": False},
        "silent": True,
        "z": 1,
    }
    return [
        {**common, "name": "", "data": _pairs(labels, low, keep)},
        {
            **common,
            "name": text("quality.band"),
            "data": _pairs(labels, height, keep),
            "itemStyle": {"color": look.colour, "opacity": 0.3},
            "areaStyle": {"color": look.colour, "opacity": 0.16},
        },
    ]


def _legend_entry(series: Spec) -> Spec:
    entry: Spec = {"name": series["name"]}
    if series.get("symbol") == "rect" or series.get("stack") == "band":
        entry["icon"] = "rect"
    if series.get("lineStyle", {}).get("type") == "dashed":
        entry["icon"] = "path://M0,4H5V6H0ZM7,4H12V6H7ZM14,4H19V6H14Z"
    return entry
