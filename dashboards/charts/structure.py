"""The structure of energy: a ring with its total in the middle."""

from __future__ import annotations

import pandas as pd

from dashboards.charts.base import Measure, Spec, cell, option, tooltip
from dashboards.ui.theme import Theme, item_colour


def ring(frame: pd.DataFrame, measure: Measure, total: str, theme: Theme) -> Spec:
    """Draw the items that have a value as one ring.

    Parameters
    ----------
    frame
        Rows of `dashboards.data.structure`, with the items' names in a column ``name``.
    measure
        `coal_kgce` or `coal_equal_kgce` and its scale.
    total
        The number in the middle, already written; its unit stands below it.
    """
    rows = frame[frame[measure.column].fillna(0) > 0]
    columns = (rows[c].tolist() for c in ("item", "name", measure.column))
    data = [
        {
            "name": name,
            "value": cell(value, measure.divisor),
            "itemStyle": {"color": item_colour(item, theme.dark)},
        }
        for item, name, value in zip(*columns, strict=True)
    ]
    return option(
        theme,
        title={
            "text": total,
            "subtext": measure.unit,
            "left": "center",
            "top": "36%",
            "itemGap": 2,
            "textStyle": {"fontSize": 19, "fontWeight": 600, "color": theme.ink},
            "subtextStyle": {"fontSize": 12, "color": theme.muted},
        },
        tooltip=tooltip(theme, trigger="item", unit=measure.unit),
        series=[
            {
                "type": "pie",
                "radius": ["62%", "90%"],
                "center": ["50%", "50%"],
                "data": data,
                "label": {"show": False},
                "labelLine": {"show": False},
                "itemStyle": {"borderColor": theme.card, "borderWidth": 2, "borderRadius": 3},
                "emphasis": {"scale": False},
            }
        ],
    )
