"""A naive model of totals: every quarter-hour by recursion over nodes, every longer period by adding quarters up."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from nengliu.domain.points import Flow
from nengliu.domain.times import STORED, next_period_ms, period_start_ms

QUARTER_MS = 900_000
AMOUNTS = ("used", "metered", "parts", "feedstock", "renewable", "estimated")


def place_of(point, at):
    """Path of a point in the quarter-hour that begins at an instant."""
    stays = [s for s in point.places if -(-s.from_ms // QUARTER_MS) * QUARTER_MS <= at]
    return stays[-1].place if stays else point.places[0].place if point.places else point.place


def lives(point, start, end):
    """Whether some of a period lies in the point's life."""
    return point.valid_from_ms < end and point.valid_to_ms > start


def who(points, at, node):
    """Points of one item whose amounts make up the value, the metered and the parts of a node."""
    here = [p for p in points if place_of(p, at) == node]
    below = [p for p in points if place_of(p, at) != node and _is_under(place_of(p, at), node)]
    delivered = [p for p in here if p.flow is not Flow.OWN]
    level = 1 if node == "" else min((p.metering_level for p in delivered), default=1)
    own = [p for p in delivered if p.metering_level == level]
    children = sorted({_child(place_of(p, at), node) for p in below})
    parts = [p for child in children for p in who(points, at, child)["value"]]
    parts += [p for p in delivered if p.metering_level != level]
    own += [p for p in below if p.metering_level == 1 and p.flow is not Flow.OWN] if own or node == "" else []
    made = [p for p in (*here, *below) if p.flow is Flow.OWN]
    if node == "":
        return {"value": own, "metered": own + made, "parts": parts}
    metered = own + made if own else []
    return {"value": metered or parts, "metered": metered, "parts": parts}


def _is_under(place, node):
    return not node or place == node or place.startswith(node + "/")


def _child(place, node):
    """The node right below `node` on the way to a place."""
    steps = place.split("/")
    return "/".join(steps[: len(node.split("/")) + 1 if node else 1])


def nodes(place):
    """Nodes of a path, the enterprise first."""
    steps = place.split("/") if place else []
    return ["/".join(steps[:i]) for i in range(len(steps) + 1)]


def expected(points, rows, shaped):
    """Rows of totals of one enterprise: {(level, node, item, unit, start): {...}}.

    `rows` is ``{(point, quarter start): {used, estimated, received, ...}}``; `shaped` says the newest position that
    shaped an item in a span.
    """
    found = {}
    for level in STORED:
        periods = {}
        for _, quarter in rows:
            periods.setdefault(int(period_start_ms(level, np.array([quarter]))[0]), set()).add(quarter)
        for start, heard in periods.items():
            end = int(next_period_ms(level, np.array([start]))[0])
            for item, unit in {(p.item, p.unit) for p in points if p.metering_level >= 1}:
                mine = [p for p in points if (p.item, p.unit) == (item, unit) and p.metering_level >= 1]
                for node in {n for p in mine for q in heard for n in nodes(place_of(p, q))}:
                    row = _period(mine, node, sorted(heard), rows)
                    row["revision"] = max(row["revision"], shaped(item, start, end)) if row["revision"] else 0
                    found[level, node, item, unit, start] = row
    return found


def _period(points, node, quarters, rows):
    """One node over some quarters."""
    total = dict.fromkeys(AMOUNTS, Fraction(0))
    total |= {"received": 0, "revision": 0, "known_at": 0, "heard": set(), "terms": 0}
    for at in quarters:
        alive = [p for p in points if lives(p, at, at + QUARTER_MS)]
        terms = who(alive, at, node)
        total["terms"] = max(total["terms"], len({p.point for p in terms["metered"] + terms["parts"]}))
        for name, some in (("used", "value"), ("metered", "metered"), ("parts", "parts")):
            for point, row in _heard(terms[some], at, rows):
                total[name] += (-1 if point.flow is Flow.OUT else 1) * Fraction(
                    row["used"], 10**point.decimals
                )
        for point, row in _heard(terms["value"], at, rows):
            if point.flow in (Flow.FEEDSTOCK, Flow.RENEWABLE):
                total[point.flow.value] += Fraction(row["used"], 10**point.decimals)
            total["estimated"] += Fraction(row["estimated"], 10**point.decimals)
            total["received"] += row["received"]
            total["heard"].add(point.point)
        for _, row in _heard(terms["value"] + terms["metered"] + terms["parts"], at, rows):
            for name in ("revision", "known_at"):
                total[name] = max(total[name], row[name])
    return total


def _heard(points, at, rows):
    return [(point, rows[point.point, at]) for point in points if (point.point, at) in rows]
