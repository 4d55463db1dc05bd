"""The structure of energy: a ring with its total in the middle."""

from __future__ import annotations

import pandas as pd

from dashboards.charts.base import Spec, cell, option, tooltip
from dashboards.ui.theme import Theme, item_colour


def ring(
    frame: pd.DataFrame,
    theme: Theme,
    *,
    value: str,
    divisor: float,
    unit: str,
    total: str,
    names: dict[str, str],
) -> Spec:
    """Draw the items that have a value as one ring.

    Parameters
    ----------
    frame
        Rows of `dashboards.data.structure`.
    value
        `coal_kgce` or `coal_equal_kgce`.
    total
        The number in the middle, already written; its unit stands below it.
    """
    rows = frame[frame[value].fillna(0) > 0]
    data = [
        {
            "name": names.get(row["item"], row["item"]),
            "value": cell(float(row[value]), divisor),
            "itemStyle": {"color": item_colour(row["item"], theme.dark)},
        }
        for _, row in rows.iterrows()
    ]
    return option(
        theme,
        title={
            "text": total,
            "subtext": unit,
            "left": "center",
            "top": "36%",
            "itemGap": 2,
            "textStyle": {"fontSize": 19, "fontWeight": 600, "color": theme.ink},
            "subtextStyle": {"fontSize": 12, "color": theme.muted},
        },
        tooltip=tooltip(theme, trigger="item", unit=unit),
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
