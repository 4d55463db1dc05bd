"""Charts of an incident's evidence: the readings around it, and which data arrived and which did not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from dashboards.charts.base import (
    Ink,
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
from dashboards.ui.theme import quality_colour

_STAMP = "%Y-%m-%d %H:%M:%S"
_ARRIVED = (("good", "good"), ("late", "late"), ("part", "suspect"), ("missing", "missing"))


@dataclass(frozen=True, slots=True)
class Trace:
    """A line of values: name, unit, colour, and the rows (`at`, `value`; NaN where a due value is missing)."""

    name: str
    unit: str
    colour: str
    frame: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Around:
    """The span of the incident (`end` None: it lasts) within what is drawn."""

    begin: datetime
    end: datetime | None
    first: datetime
    after: datetime


def readings(trace: Trace, witness: Trace | None, around: Around, ink: Ink, *, step: bool = False) -> Spec:
    """Draw a point's values with the incident shaded, missing ones hollow, and a witness beside it.

    Parameters
    ----------
    trace, witness
        The point itself, and the line beside it that shows whether the plant ran; each has its own axis.
    step
        Whether a value stands until the next one (a register), or is joined to it (amounts, gauges).
    """
    theme = ink.theme
    series = [_line(trace, 0, step, ink), *_missing(trace, ink)]
    if witness is not None and witness.frame["value"].notna().any():
        series.insert(0, _witness(witness, ink))
    series[-1]["markArea"] = _shade(around, ink)
    names: list[Spec | str] = [{"name": s["name"]} for s in series]
    right = value_axis(theme, from_zero=False) | {"splitLine": {"show": False}}
    return option(
        theme,
        grid=grid(right=26),
        legend=legend(theme, names),
        media=narrow(names),
        tooltip=tooltip(theme),
        xAxis=_time_axis(around, ink),
        yAxis=[value_axis(theme, from_zero=False), right],
        series=series,
    )


def _time_axis(around: Around, ink: Ink) -> Spec:
    theme = ink.theme
    return {
        "type": "time",
        "min": around.first.strftime(_STAMP),
        "max": around.after.strftime(_STAMP),
        "axisLabel": {
            "color": theme.muted,
            "fontSize": 11,
            "hideOverlap": True,
            "formatter": {
                "day": "{MM}-{dd}",
                "hour": "{HH}:{mm}",
                "minute": "{HH}:{mm}",
                "month": "{MM}-{dd}",
            },
        },
        "axisLine": {"lineStyle": {"color": theme.line}},
        "axisTick": {"show": False},
        "splitLine": {"show": False},
    }


def _label(trace: Trace) -> str:
    return f"{trace.name} [{trace.unit}]" if trace.unit else trace.name


def _pairs(frame: pd.DataFrame) -> list[list[object]]:
    stamps = frame["at"].dt.strftime(_STAMP)
    return [
        [at, None if pd.isna(value) else cell(float(value))]
        for at, value in zip(stamps, frame["value"].tolist(), strict=True)
    ]


def _line(trace: Trace, axis: int, step: bool, ink: Ink) -> Spec:
    few = len(trace.frame) <= 150
    return {
        "type": "line",
        "name": _label(trace),
        "data": _pairs(trace.frame),
        "yAxisIndex": axis,
        "step": "end" if step else False,
        "showSymbol": few,
        "symbol": "circle",
        "symbolSize": 4,
        "connectNulls": False,
        "lineStyle": {"width": 1.8, "color": trace.colour},
        "itemStyle": {"color": trace.colour, "borderColor": ink.theme.card},
        "z": 3,
    }


def _witness(witness: Trace, ink: Ink) -> Spec:
    colour = ink.theme.reference
    return {
        "type": "line",
        "name": _label(witness),
        "data": _pairs(witness.frame),
        "yAxisIndex": 1,
        "showSymbol": False,
        "symbol": "none",
        "lineStyle": {"width": 1.3, "type": "dashed", "color": colour},
        "itemStyle": {"color": colour},
        "z": 1,
    }


def _missing(trace: Trace, ink: Ink) -> list[Spec]:
    """Mark due values that never came: hollow, at the height where the point was last seen."""
    frame = trace.frame
    gone = frame["value"].isna()
    if not gone.any():
        return []
    held = frame["value"].ffill().bfill().fillna(0.0)
    data = _pairs(frame.assign(value=held)[gone])
    thinned = data[:: max(1, len(data) // 200)]
    style = {
        "color": ink.theme.card,
        "borderColor": ink.theme.gap,
        "borderWidth": 1.3,
        "borderType": "dotted",
    }
    return [
        {
            "type": "scatter",
            "name": ink.text("quality.missing"),
            "data": thinned,
            "symbol": "circle",
            "symbolSize": 6,
            "itemStyle": style,
            "tooltip": {"show": False},
            "z": 2,
        }
    ]


def _shade(around: Around, ink: Ink) -> Spec:
    """Shade the span of the incident, with its name in words."""
    begin = max(around.begin, around.first).strftime(_STAMP)
    end = min(around.end or around.after, around.after).strftime(_STAMP)
    colour = ink.theme.bad[0]
    edge = 1.5 if begin == end else 0  # what happened in one moment is a line
    return {
        "silent": True,
        "itemStyle": {"color": f"{colour}1A", "borderColor": colour, "borderWidth": edge},
        "label": {"show": True, "position": "insideTopLeft", "color": colour, "fontSize": 11},
        "data": [[{"xAxis": begin, "name": ink.text("incident.span")}, {"xAxis": end}]],
    }


def presence(frame: pd.DataFrame, names: dict[str, str], around: Around, ink: Ink) -> Spec:
    """Draw what arrived of what was due, by point (rows) and quarter-hour (columns), the incident framed.

    Parameters
    ----------
    frame
        Rows of the question `presence`; a quarter without a row that has passed counts as missing.
    names
        Point -> name of the rows, in order.
    """
    theme = ink.theme
    first = pd.Timestamp(around.first).floor("15min")
    slots = pd.date_range(first, around.after, freq="15min", inclusive="left")
    labels = [f"{at:%m-%d %H:%M}" for at in slots]
    state = _arrived(frame, list(names), slots)
    rows, columns = np.nonzero(state >= 0)
    data = [[int(c), int(r), int(state[r, c])] for r, c in zip(rows, columns, strict=True)]
    names_axis = category_axis(theme, list(names.values()), gap=True) | {
        "inverse": True,
        "axisLine": {"show": False},
        "axisLabel": {
            "color": theme.body,
            "fontSize": 11,
            "interval": 0,
            "width": 110,
            "overflow": "truncate",
        },
    }
    return option(
        theme,
        grid=grid(top=20, bottom=30),
        tooltip=tooltip(theme, trigger="item", digits=0) | {"show": False},
        xAxis=category_axis(theme, labels, gap=True),
        yAxis=names_axis,
        visualMap=_kinds(ink),
        series=[{"type": "heatmap", "data": data, "progressive": 0, "markLine": _edges(slots, around, ink)}],
    )


def _edges(slots: pd.DatetimeIndex, around: Around, ink: Ink) -> Spec:
    """Draw a line where the incident began, and one where it ended."""
    told = [(around.begin, "begin")] + ([] if around.end is None else [(around.end, "end")])
    lines = [
        {
            "xAxis": int(np.clip(np.searchsorted(slots, np.datetime64(at), "right") - 1, 0, len(slots) - 1)),
            "label": {
                "formatter": ink.text(f"incident.{name}"),
                "color": ink.theme.bad[0],
                "fontSize": 11,
                "position": "start",
            },
        }
        for at, name in told
    ]
    style = {"color": ink.theme.bad[0], "width": 1.5, "type": "solid"}
    return {"silent": True, "symbol": "none", "lineStyle": style, "data": lines}


def _arrived(frame: pd.DataFrame, points: list[str], slots: pd.DatetimeIndex) -> npt.NDArray[np.int8]:
    """Give per point and slot: 0 all came, 1 late, 2 a part, 3 nothing."""
    state = np.full((len(points), len(slots)), 3, dtype=np.int8)
    place = {point: row for row, point in enumerate(points)}
    known = frame[frame["point"].isin(points) & frame["period_start"].isin(slots)]
    row = known["point"].map(place).to_numpy(dtype=int)
    column = slots.get_indexer(pd.DatetimeIndex(known["period_start"]))
    received, due = known["received"].to_numpy(dtype=float), known["due"].to_numpy(dtype=float)
    late = known["late"].to_numpy(dtype=float) > 0
    state[row, column] = np.where(received <= 0, 3, np.where(received < due, 2, np.where(late, 1, 0)))
    return state


def _kinds(ink: Ink) -> Spec:
    dark = ink.theme.dark
    pieces = [
        {"value": n, "label": ink.text(f"incident.arrived_{name}"), "color": quality_colour(colour, dark)}
        for n, (name, colour) in enumerate(_ARRIVED)
    ]
    return {
        "type": "piecewise",
        "pieces": pieces,
        "orient": "horizontal",
        "left": "center",
        "bottom": 0,
        "itemWidth": 12,
        "itemHeight": 10,
        "itemGap": 10,
        "textStyle": {"color": ink.theme.muted, "fontSize": 11},
        "hoverLink": False,
    }
