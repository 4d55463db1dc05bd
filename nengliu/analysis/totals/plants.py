"""Plants: of each enterprise its points, its cells over time and the pages it has, ready for sums over many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import ALL_ITEMS, Catalogue, Shaped
from nengliu.analysis.sorted import compact
from nengliu.domain.points import Enterprise, Kind
from nengliu.domain.space import Cell, Role, depth_of, eras
from nengliu.domain.times import STORED, due_in

Ints = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
UNKNOWN = -1
NONE = -1
_ROLES = (Role.METERED, Role.PARTS, Role.FEEDSTOCK, Role.RENEWABLE)
VALUE, METERED, PARTS, FEEDSTOCK, RENEWABLE = range(5)
"""Lines of `Layout.sums`."""


class Texts:
    """Numbers for the names of nodes, items and units."""

    def __init__(self) -> None:
        """Start without a name."""
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """Number of a name, given at first sight."""
        found = self._numbers.setdefault(name, len(self.names))
        if found == len(self.names):
            self.names.append(name)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Cells of one era as arrays: `t` terms in `s` sums of `c` cells, cell by cell.

    Attributes
    ----------
    from_ms
        Start of the era [ms, UTC].
    place : int32 (t,)
        Entry of the term's point in a page.
    weight : int64 (t,)
        Ticks of the cell in one tick of the point; negative: handed on.
    sum_first, cell_first : int32 (s,), (c,)
        First term of each sum and of each cell.
    sums : int32 (5, c)
        Sum that is the value, metered, the parts, feedstock and renewable of each cell; -1: none.
    names : int32 (3, c)
        Numbers of node, item and unit.
    decimals, depth : uint8 (c,)
    told : uint64 (c,)
        Newest position that changed the cell's item at any time (`Shaped`).
    """

    from_ms: int
    place: Int32s
    weight: Ints
    sum_first: Int32s
    cell_first: Int32s
    sums: Int32s
    names: Int32s
    decimals: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.uint8]
    told: npt.NDArray[np.uint64]


@dataclass(slots=True, eq=False)
class Plant:
    """One enterprise of the shard.

    Attributes
    ----------
    place
        Entry of each point that has amounts in the enterprise's pages, whether it counts now or not.
    interval_ms, from_ms, to_ms : int64 (size,) or (1,) where all are alike
        What is due of each point, and its life.
    newest
        Of each level the start [s] of the newest period that is known of; what is stored lies up to it.
    is_stale
        The catalogue changed since the layouts were made.
    """

    code: str
    number: int
    place: dict[str, int] = field(default_factory=dict)
    layouts: list[Layout] = field(default_factory=list)
    enterprise: Enterprise = field(default_factory=lambda: Enterprise("", ""))
    interval_ms: Ints = field(default_factory=lambda: np.zeros(1, np.int64))
    from_ms: Ints = field(default_factory=lambda: np.zeros(1, np.int64))
    to_ms: Ints = field(default_factory=lambda: np.zeros(1, np.int64))
    newest: list[int] = field(default_factory=lambda: [UNKNOWN] * len(STORED))
    is_stale: bool = True

    @property
    def size(self) -> int:
        """Entries of a page."""
        return len(self.place)

    def layout_at(self, at_ms: int) -> Layout:
        """Layout of the era that holds an instant."""
        found = self.layouts[0]
        for layout in self.layouts[1:]:
            if layout.from_ms > at_ms:
                break
            found = layout
        return found

    def cuts(self, start_ms: int, end_ms: int) -> list[int]:
        """Starts of eras strictly inside a period."""
        return [layout.from_ms for layout in self.layouts[1:] if start_ms < layout.from_ms < end_ms]

    def due(self, start_ms: int, end_ms: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """Readings due of each point in a period, and whether it lives in some part of it: (size,) or (1,)."""
        return due_in(self.interval_ms, self.from_ms, self.to_ms, start_ms, end_ms)


@dataclass(frozen=True, slots=True, eq=False)
class Periods:
    """Some periods of one level, each of one plant.

    Attributes
    ----------
    plants
        Each once.
    which : int64 (n,)
        Plant of each period.
    start_s : int64 (n,)
        Start of each period [s, UTC].
    """

    plants: Sequence[Plant]
    which: Ints
    start_s: Ints

    def __len__(self) -> int:
        """Count the periods."""
        return len(self.which)

    @property
    def number(self) -> Ints:
        """Number of the plant of each period (n,)."""
        return np.array([plant.number for plant in self.plants], np.int64)[self.which]

    @property
    def size(self) -> Ints:
        """Entries of the page of each period (n,)."""
        return np.array([plant.size for plant in self.plants], np.int64)[self.which]

    def owners(self) -> Iterator[Plant]:
        """Plant of each period."""
        return (self.plants[i] for i in self.which.tolist())

    def take(self, some: npt.NDArray[Any]) -> Periods:
        """Keep some of the periods: a mask, or places in any order."""
        used, which = compact(self.which[some])
        return Periods([self.plants[i] for i in used.tolist()], which, self.start_s[some])


def periods_of(plant: Plant, starts_s: Iterable[int]) -> Periods:
    """Periods of one plant."""
    start_s = np.array([*starts_s], np.int64)
    return Periods([plant], np.zeros(len(start_s), np.int64), start_s)


def unite(some: Sequence[Periods]) -> Periods:
    """Periods of several lists, each once; not empty."""
    if len(some) == 1:
        return some[0]
    plants = {plant.number: plant for each in some for plant in each.plants}
    joint = np.concatenate([np.stack([each.number, each.start_s]) for each in some], axis=1)
    number, start_s = np.unique(joint, axis=1)
    used, which = compact(number)
    return Periods([plants[n] for n in used.tolist()], which, start_s)


def layouts_of(periods: Periods) -> tuple[list[Layout], Ints]:
    """Layouts in force at the starts of periods, and which of them each period (n,) has."""
    layouts, which = [plant.layouts[0] for plant in periods.plants], periods.which.copy()
    changed = np.array([len(plant.layouts) > 1 for plant in periods.plants], bool)
    for i in np.flatnonzero(changed[which]).tolist():
        which[i] = len(layouts)
        layouts.append(periods.plants[periods.which[i]].layout_at(int(periods.start_s[i]) * 1000))
    return layouts, which


def describe(plant: Plant, catalogue: Catalogue, texts: Texts) -> dict[str, int]:
    """Make the layouts of a plant anew from the catalogue; say the old places of its points."""
    facts = [catalogue.points[plant.code, name] for name in catalogue.names.get(plant.code, ())]
    facts = [fact for fact in facts if fact.point.kind is not Kind.GAUGE]
    old, plant.place = plant.place, {fact.point.point: i for i, fact in enumerate(facts)}
    points = [fact.point for fact in facts]
    plant.interval_ms = _alike([point.interval_s * 1000 for point in points])
    plant.from_ms = _alike([point.valid_from_ms for point in points])
    plant.to_ms = _alike([point.valid_to_ms for point in points])
    plant.enterprise = catalogue.enterprises.get(plant.code) or Enterprise(plant.code, plant.code)
    told = _told(catalogue, plant.code)
    plant.layouts = [_layout(era.from_ms, era.cells, told, texts) for era in eras(points)]
    plant.is_stale = False
    return old


def _alike(values: Sequence[int]) -> Ints:
    same = len(set(values)) == 1
    return np.array(values[:1] if same else values, np.int64)


def _told(catalogue: Catalogue, code: str) -> dict[str, int]:
    """Newest position that changed totals of each item, at whatever time."""
    told: dict[str, int] = defaultdict(int)
    for shaped in shapes(catalogue, code):
        told[shaped.item] = max(told[shaped.item], shaped.position)
    of_all = told[ALL_ITEMS]
    return {item: max(position, of_all) for item, position in told.items()}


def shapes(catalogue: Catalogue, code: str) -> Iterator[Shaped]:
    """Where notices changed totals of an enterprise, in no order."""
    yield from catalogue.seated.get(code, ())
    for name in catalogue.names.get(code, ()):
        yield from catalogue.points[code, name].shaped


def _layout(from_ms: int, cells: Sequence[Cell], told: dict[str, int], texts: Texts) -> Layout:
    place: list[int] = []
    weight: list[int] = []
    sum_first: list[int] = []
    cell_first: list[int] = []
    sums = np.full((1 + len(_ROLES), len(cells)), NONE, np.int32)
    for c, cell in enumerate(cells):
        cell_first.append(len(place))
        for role, terms in cell.terms.items():
            if role is cell.value:
                sums[VALUE, c] = len(sum_first)
            if role in _ROLES:
                sums[1 + _ROLES.index(role), c] = len(sum_first)
            sum_first.append(len(place))
            place += [term.point for term in terms]
            weight += [term.weight for term in terms]
    names = [[texts.number(name) for name in (cell.node, cell.item, cell.unit)] for cell in cells]
    return Layout(
        from_ms,
        np.array(place, np.int32),
        np.array(weight, np.int64),
        np.array(sum_first, np.int32),
        np.array(cell_first, np.int32),
        sums,
        np.array(names, np.int32).reshape(-1, 3).T,
        np.array([cell.decimals for cell in cells], np.uint8),
        np.array([depth_of(cell.node) for cell in cells], np.uint8),
        np.array([told[cell.item] for cell in cells], np.uint64),
    )
