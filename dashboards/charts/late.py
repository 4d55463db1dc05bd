"""Lateness at a glance: which share of what came, came late, by unit and day."""

from __future__ import annotations

import pandas as pd

from dashboards.charts.base import Ink, Labels, Spec
from dashboards.charts.quality import heat

# Steps of lateness [%] from the top: (from, light colour, dark colour); a backfill after an outage is not a fault,
# so the scale runs from grey to blue and never to red.
STEPS = (
    (50.0, "#0B3C73", "#9CCBF5"),
    (20.0, "#2F6FB0", "#5AA9F0"),
    (5.0, "#6DA3D4", "#2F6FB0"),
    (1.0, "#BBD5EC", "#23517F"),
    (0.0, "#E3EAF1", "#22344A"),
)


def late_heat(frame: pd.DataFrame, names: dict[str, str], labels: Labels, ink: Ink) -> Spec:
    """Draw late / received [%] of each unit (rows) and day (columns); a day without any reading stays empty.

    Parameters
    ----------
    frame
        Columns `point` (the unit), `period_start`, `received`, `late`.
    """
    shares = frame.assign(due=frame["received"], received=frame["late"])
    return heat(shares, names, labels, ink) | {"visualMap": _steps(ink)}


def _steps(ink: Ink) -> Spec:
    pieces: list[Spec] = []
    upper = 100.01
    for index, (floor, light, dark) in enumerate(STEPS):
        colour = dark if ink.theme.dark else light
        label = ink.text(f"trust.late_step{index}")
        pieces.append({"gte": floor, "lt": upper, "label": label, "color": colour})
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
        "textStyle": {"color": ink.theme.muted, "fontSize": 10},
    }
