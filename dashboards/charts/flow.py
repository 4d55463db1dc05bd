"""Where energy goes: a Sankey diagram from items over industries to places, in standard coal."""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.charts.base import Ink, Measure, Spec, cell, option, tooltip


@dataclass(frozen=True, slots=True)
class Stage:
    """One column of the diagram: names in their order, each with its colour."""

    colours: dict[str, str]


Link = tuple[str, str, float]
_ROOM = (
    120,
    104,
    150,
)  # room of the names of each column [px]; longer ones are cut, the tooltip has them whole


def flow(stages: list[Stage], links: list[Link], measure: Measure, ink: Ink) -> Spec:
    """Draw the amounts that flow between the columns.

    Parameters
    ----------
    stages
        The columns from the left; a name that stands in two columns is one node, so names must differ.
    links
        (from, to, amount); what is not above zero is left out.
    measure
        Scale and unit of the amounts; its column is not used.
    """
    theme = ink.theme
    drawn = [
        {"source": source, "target": target, "value": cell(amount, measure.divisor)}
        for source, target, amount in links
        if amount > 0
    ]
    used = {str(link[end]) for link in drawn for end in ("source", "target")}
    nodes = [
        _node(name, colour, depth, depth == len(stages) - 1)
        for depth, stage in enumerate(stages)
        for name, colour in stage.colours.items()
        if name in used
    ]
    return option(
        theme,
        tooltip=tooltip(theme, trigger="item", unit=measure.unit),
        series=[
            {
                "type": "sankey",
                "left": 2,
                "right": 2,
                "top": 6,
                "bottom": 6,
                "nodeWidth": 11,
                "nodeGap": 7,
                "draggable": False,
                "data": nodes,
                "links": drawn,
                "label": {
                    "color": theme.ink,
                    "fontSize": 12,
                    "textBorderColor": theme.card,
                    "textBorderWidth": 2,
                },
                "lineStyle": {"color": "gradient", "opacity": 0.34, "curveness": 0.5},
                "emphasis": {"focus": "adjacency"},
            }
        ],
    )


def _node(name: str, colour: str, depth: int, is_last: bool) -> Spec:
    return {
        "name": name,
        "depth": depth,
        "itemStyle": {"color": colour, "borderWidth": 0},
        "label": {
            "position": "left" if is_last and depth else "right",
            "width": _ROOM[min(depth, 2)],
            "overflow": "truncate",
        },
    }
