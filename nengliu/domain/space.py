"""Space: which points make up the total of a node, and since when.

A node is a prefix of the places of an enterprise's points; '' is the enterprise itself.  For each item a node
has meters of its own, or it is the sum of what lies below it; where both exist their difference is the loss.
What is delivered counts plus, what is handed on minus; secondary energy and media that are made inside are supply
of the nodes they serve, and not of the enterprise, so that nothing is counted twice.

Source: GB/T 2589-2020 (comprehensive energy); NHJC-04 meteringLevel; docs/decisions/0026.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from nengliu.domain.points import FOREVER_MS, Enterprise, Flow, Kind, Point, Seat
from nengliu.domain.times import QUARTER_MS

ENTERPRISE = ""
BOUNDARY = 1
"""Metering level of what crosses the boundary of the enterprise."""


class Role(IntEnum):
    """What a term is summed for."""

    METERED = 0  # the node's own meters
    PARTS = 1  # what lies below it
    USED = 2  # of the enterprise: what crossed its boundary, where that is not all that was metered
    FEEDSTOCK = 3  # the part of the value that was used as material
    RENEWABLE = 4


class Term(NamedTuple):
    """A point in a sum: its number in the list of points, and what one of its ticks is worth in ticks of the cell."""

    point: int
    weight: int


class Cell(NamedTuple):
    """One item of one node: its sums, and which of them is its value."""

    node: str
    item: str
    unit: str
    decimals: int
    value: Role
    terms: dict[Role, tuple[Term, ...]]


class Era(NamedTuple):
    """The cells of an enterprise from an instant on [ms, UTC], a whole quarter-hour."""

    from_ms: int
    cells: tuple[Cell, ...]


def counts(point: Point) -> bool:
    """Say whether a point is energy or a medium, so that it belongs to totals."""
    return point.kind is not Kind.GAUGE and point.metering_level >= BOUNDARY


def place_at(point: Point, at_ms: int) -> str:
    """Path of a point at an instant, without empty steps.

    >>> from nengliu.domain.points import Stay
    >>> point = Point("e", "p", "p", Kind.PERIOD, "heat", "GJ", 3, places=(Stay(0, "a"), Stay(900_000, "a//b")))
    >>> place_at(point, 0), place_at(point, 900_000)
    ('a', 'a/b')
    """
    path = point.places[0].place if point.places else point.place
    for stay in point.places[1:]:
        if edge_after(stay.from_ms) <= at_ms:
            path = stay.place
    return "/".join(filter(None, path.split("/")))


def affected(old: Point | None, new: Point) -> tuple[int, int] | None:
    """Span of time [ms, UTC] in which a new description of a point changes totals; None if it changes none."""
    if old is None or counts(old) != counts(new) or _undated(old) != _undated(new):
        lives = [point for point in (old, new) if point is not None and counts(point)]
        return _hull((point.valid_from_ms, point.valid_to_ms) for point in lives)
    if not counts(new):
        return None
    spans = [
        (min(ends), max(ends))
        for ends in ((old.valid_from_ms, new.valid_from_ms), (old.valid_to_ms, new.valid_to_ms))
        if ends[0] != ends[1]
    ]
    moves = sorted(edge_after(stay.from_ms) for point in (old, new) for stay in point.places[1:])
    moved = [at for at in (-FOREVER_MS, *moves) if place_at(old, at) != place_at(new, at)]
    return _hull([*spans, *((at, FOREVER_MS) for at in moved[:1])])


def moved(old: Enterprise | None, new: Enterprise) -> tuple[int, int] | None:
    """Span of time [ms, UTC] in which a new description of an enterprise puts it elsewhere; None if in none."""
    starts = sorted(seat.from_ms for one in (old, new) if one for seat in one.stays[1:])
    elsewhere = [at for at in (-FOREVER_MS, *starts) if old is None or seat_at(old, at) != seat_at(new, at)]
    return (elsewhere[0], FOREVER_MS) if elsewhere else None


def seat_at(enterprise: Enterprise, at_ms: int) -> tuple[str, str]:
    """Region and industry of an enterprise at an instant.

    >>> from nengliu.domain.points import Seat
    >>> moved_on = Enterprise("e", "e", stays=(Seat(0, "110000", "C31"), Seat(900, "320000", "C31")))
    >>> seat_at(moved_on, -1), seat_at(moved_on, 900)
    (('110000', 'C31'), ('320000', 'C31'))
    """
    found: Enterprise | Seat = enterprise.stays[0] if enterprise.stays else enterprise
    for seat in enterprise.stays[1:]:
        if seat.from_ms <= at_ms:
            found = seat
    return found.region, found.industry


def _undated(point: Point) -> tuple[object, ...]:
    """What of a point holds for its whole life."""
    return point.item, point.metering_level, point.flow, point.interval_s


def _hull(spans: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    spans = [*spans]
    return (min(a for a, _ in spans), max(b for _, b in spans)) if spans else None


def edge_after(at_ms: int) -> int:
    """First edge of a quarter-hour at or after an instant: what changes inside one takes effect there."""
    return -(-at_ms // QUARTER_MS) * QUARTER_MS


def depth_of(node: str) -> int:
    """Steps below the enterprise."""
    return node.count("/") + 1 if node else 0


def above(place: str) -> list[str]:
    """Nodes of a path, the enterprise first.

    >>> above("a/b")
    ['', 'a', 'a/b']
    """
    steps = place.split("/") if place else []
    return ["/".join(steps[:i]) for i in range(len(steps) + 1)]


def eras(points: Sequence[Point]) -> tuple[Era, ...]:
    """Cells of an enterprise over time, oldest first; terms name points by their number in `points`.

    A node that never has two points below it in an item is that point, and has no cell.  The first era holds for
    ever before it, too.  A point is in the cells of every era that holds part of its life.
    """
    indexed = [(i, point) for i, point in enumerate(points) if counts(point)]
    moves = {edge_after(stay.from_ms) for _, point in indexed for stay in point.places[1:]}
    finest: dict[tuple[str, str], int] = defaultdict(int)
    for _, point in indexed:
        finest[point.item, point.unit] = max(finest[point.item, point.unit], point.decimals)
    starts = sorted({-FOREVER_MS} | moves | _handovers(indexed, [-FOREVER_MS, *moves], finest))
    found = []
    for start, end in zip(starts, [*starts[1:], FOREVER_MS], strict=True):
        alive = [(i, p) for i, p in indexed if p.valid_from_ms < end and edge_after(p.valid_to_ms) > start]
        found.append(Era(start, cells(alive, start, finest)))
    summed = {_name(cell) for era in found for cell in era.cells if _is_sum(cell)}
    return tuple(
        Era(era.from_ms, tuple(c for c in era.cells if _name(c) in summed or c.node == ENTERPRISE))
        for era in found
    )


def _name(cell: Cell) -> tuple[str, str, str]:
    return cell.node, cell.item, cell.unit


def _is_sum(cell: Cell) -> bool:
    return len({term.point for role in (Role.METERED, Role.PARTS) for term in cell.terms.get(role, ())}) > 1


def cells(
    indexed: Iterable[tuple[int, Point]], at_ms: int, finest: Mapping[tuple[str, str], int]
) -> tuple[Cell, ...]:
    """Cells of an enterprise as its points stand at an instant.

    `finest` says the decimals of the sums, by item and unit.
    """
    by_item: dict[tuple[str, str], list[tuple[int, Point]]] = defaultdict(list)
    for i, point in indexed:
        by_item[point.item, point.unit].append((i, point))
    found: list[Cell] = []
    for (item, unit), members in sorted(by_item.items()):
        decimals = finest[item, unit]
        for node, value, terms in _sums(members, at_ms, decimals):
            if node == ENTERPRISE or terms:
                found.append(Cell(node, item, unit, decimals, value, terms))
    return tuple(found)


@dataclass(slots=True)
class _Node:
    """What was found at a node and below it."""

    here: list[tuple[Point, Term]] = field(default_factory=list)
    parts: list[Term] = field(default_factory=list)  # values of the nodes below
    crossing: list[Term] = field(default_factory=list)  # came through the enterprise's boundary below it
    made: list[Term] = field(default_factory=list)  # made inside, at it or below


def _sums(
    members: list[tuple[int, Point]], at_ms: int, decimals: int
) -> list[tuple[str, Role, dict[Role, tuple[Term, ...]]]]:
    """Sums of every node of one item, the deepest first: its path, which sum is its value, the terms of each."""
    nodes: dict[str, _Node] = defaultdict(_Node)
    flows: dict[int, Flow] = {}
    for i, point in members:
        sign = -1 if point.flow is Flow.OUT else 1
        term = Term(i, sign * 10 ** (decimals - point.decimals))
        flows[i] = point.flow
        path = above(place_at(point, at_ms))
        for node in path:
            nodes[node]
        nodes[path[-1]].here.append((point, term))
    found = []
    for name in sorted(nodes, key=lambda name: (-depth_of(name), name)):
        value, terms = _sums_of(name, nodes[name])
        for role, flow in ((Role.FEEDSTOCK, Flow.FEEDSTOCK), (Role.RENEWABLE, Flow.RENEWABLE)):
            terms[role] = tuple(term for term in terms.get(value, ()) if flows[term.point] is flow)
        found.append((name, value, {role: some for role, some in terms.items() if some}))
        if name != ENTERPRISE:
            upper = nodes[name.rpartition("/")[0]]
            upper.parts += terms[value]
            upper.crossing += nodes[name].crossing
            upper.made += nodes[name].made
    return found


def _sums_of(name: str, node: _Node) -> tuple[Role, dict[Role, tuple[Term, ...]]]:
    """Value and terms of one node; what stands at it joins what it hands to the node above."""
    delivered = [(point, term) for point, term in node.here if point.flow is not Flow.OWN]
    node.made += [term for point, term in node.here if point.flow is Flow.OWN]
    lowest = min((point.metering_level for point, _ in delivered), default=BOUNDARY)
    level = BOUNDARY if name == ENTERPRISE else lowest
    own = [term for point, term in delivered if point.metering_level == level]
    parts = (*node.parts, *(term for point, term in delivered if point.metering_level != level))
    through = (*own, *node.crossing)
    if level == BOUNDARY:
        node.crossing += own
    if name == ENTERPRISE:
        metered = (*through, *node.made)
        if node.made or not through:
            return Role.USED, {Role.METERED: metered, Role.PARTS: parts, Role.USED: through}
        return Role.METERED, {Role.METERED: metered, Role.PARTS: parts}
    if own:
        return Role.METERED, {Role.METERED: (*through, *node.made), Role.PARTS: parts}
    return Role.PARTS, {Role.PARTS: parts}


def _handovers(
    indexed: list[tuple[int, Point]], starts: Iterable[int], finest: Mapping[tuple[str, str], int]
) -> set[int]:
    """Edges at which a node that has parts, or at which something is made, gets its first meter, or loses its last one.

    Elsewhere a point that does not live adds nothing, and needs no era of its own.
    """
    points = dict(indexed)
    if len({(point.valid_from_ms, point.valid_to_ms) for _, point in indexed}) < 2:
        return set()
    edges: set[int] = set()
    for start in starts:
        for cell in cells(indexed, start, finest):
            metered, parts = (cell.terms.get(role, ()) for role in (Role.METERED, Role.PARTS))
            lives = [(points[t.point].valid_from_ms, points[t.point].valid_to_ms) for t in (*metered, *parts)]
            here = [points[t.point] for t in metered if place_at(points[t.point], start) == cell.node]
            own = [
                point for point in here if point.flow is not Flow.OWN
            ]  # what is made is no meter of the node
            made = any(points[term.point].flow is Flow.OWN for term in metered)
            first, end = min(a for a, _ in lives), max(b for _, b in lives)
            covered = any(p.valid_from_ms <= first and p.valid_to_ms >= end for p in own)
            if cell.node != ENTERPRISE and own and (parts or made) and not covered:
                some = {edge_after(at) for p in own for at in (p.valid_from_ms, p.valid_to_ms)}
                edges |= {at for at in some if first < at < end}
    return edges
