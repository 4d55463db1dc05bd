"""Parts every chart shares: grid, axes, legend and tooltip in the tokens of a theme."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dashboards.i18n import Text
from dashboards.ui.theme import Theme

Spec = dict[str, Any]
SMALL = 11
Labels = dict[pd.Timestamp, str]


@dataclass(frozen=True, slots=True)
class Ink:
    """In which words and colours a chart is drawn."""

    text: Text
    theme: Theme


@dataclass(frozen=True, slots=True)
class Measure:
    """Which column gives the height, and one scale with its label for the whole chart."""

    column: str
    divisor: float
    unit: str


@dataclass(frozen=True, slots=True)
class Reference:
    """The span compared with: its rows, its name, and where each of its periods stands on the axis."""

    frame: pd.DataFrame
    name: str
    labels: Labels


def cell(value: float | None, divisor: float = 1.0) -> float | None:
    """Give a number as a chart may carry it: six significant figures, None where there is none."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value / divisor:.6g}")


def grid(top: int = 30, bottom: int = 4, right: int = 12) -> Spec:
    """Give the plot's margins; labels keep their room by themselves."""
    return {"left": 6, "right": right, "top": top, "bottom": bottom, "containLabel": True}


def category_axis(theme: Theme, labels: list[str], gap: bool, interval: int | None = None) -> Spec:
    """Give an axis of named periods; labels that would touch are left out."""
    shown: Spec = {"color": theme.muted, "fontSize": SMALL, "hideOverlap": True, "margin": 8}
    if interval is not None:
        shown["interval"] = interval
    return {
        "type": "category",
        "data": labels,
        "boundaryGap": gap,
        "axisTick": {"show": False},
        "axisLine": {"lineStyle": {"color": theme.line}},
        "axisLabel": shown,
        "axisPointer": {"type": "shadow" if gap else "line"},
    }


def value_axis(theme: Theme, from_zero: bool = True) -> Spec:
    """Give an axis of amounts with hairlines."""
    return {
        "type": "value",
        "scale": not from_zero,
        "splitNumber": 4,
        "axisLabel": {"color": theme.muted, "fontSize": SMALL},
        "axisLine": {"show": False},
        "axisTick": {"show": False},
        "splitLine": {"lineStyle": {"color": theme.grid}},
    }


def share_axis(theme: Theme) -> Spec:
    """Give an axis of shares of a whole, 0 to 100 %."""
    axis = value_axis(theme)
    return axis | {"max": 100, "interval": 25, "axisLabel": {**axis["axisLabel"], "formatter": "{value}%"}}


def tooltip(theme: Theme, trigger: str = "axis", digits: int = 2, unit: str = "") -> Spec:
    """Give a tooltip that writes numbers with thousands separators and their unit."""
    ending = f" {unit.replace('%', '%%')}" if unit else ""
    return {
        "trigger": trigger,
        "confine": True,
        "backgroundColor": theme.card,
        "borderColor": theme.line,
        "padding": [6, 10],
        "textStyle": {"color": theme.ink, "fontSize": 12},
        "valueFormatter": f"%,.{digits}f{ending}",
    }


def legend(theme: Theme, entries: list[Spec | str]) -> Spec:
    """Give a legend that stands in one line where there is room, and wraps on a phone (`narrow`)."""
    return {
        "top": 0,
        "left": 0,
        "itemWidth": 16,
        "itemHeight": 9,
        "itemGap": 12,
        "textStyle": {"color": theme.body, "fontSize": SMALL},
        "inactiveColor": theme.line,
        "data": entries,
    }


def narrow(entries: list[Spec | str]) -> list[Spec]:
    """Make room above the plot for a legend that wraps: media rules for a phone's width and for the rest."""
    names = [str(e["name"]) if isinstance(e, dict) else e for e in entries]
    width = sum(36 + sum(12 if ord(c) > 0x2E80 else 6.5 for c in name) for name in names)
    lines = max(1, math.ceil(width / 300))
    return [
        {"query": {"maxWidth": 480}, "option": {"grid": {"top": 14 + 20 * lines}}},
        {"option": {"grid": {"top": 30}}},
    ]


def hatch(theme: Theme) -> Spec:
    """Give the hatching that marks an estimated part."""
    return {
        "symbol": "rect",
        "color": "rgba(13,20,32,0.62)" if theme.dark else "rgba(255,255,255,0.85)",
        "dashArrayX": [1, 0],
        "dashArrayY": [2, 3],
        "rotation": -math.pi / 4,
    }


def option(theme: Theme, **parts: Any) -> Spec:
    """Join parts to one ECharts option without animation and with its description for screen readers."""
    return {
        "backgroundColor": "transparent",
        "animation": False,
        "aria": {"enabled": False},
        "textStyle": {"color": theme.ink},
        **parts,
    }
