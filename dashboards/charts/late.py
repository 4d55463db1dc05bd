"""Lateness at a glance: which share of what came, came late, by unit and day."""

from __future__ import annotations

import pandas as pd

from dashboards.charts.base import Ink, Labels, Spec
from dashboards.charts.quality import heat, steps

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
    return heat(shares, names, labels, ink) | {"visualMap": steps(STEPS, "trust.late_step", ink)}
