"""Sums over pages: the cells of many enterprises and periods at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nengliu.analysis.rollups.windows import RANK
from nengliu.analysis.sorted import ranges
from nengliu.analysis.totals.pages import Columns
from nengliu.analysis.totals.plants import FEEDSTOCK, METERED, NONE, PARTS, RENEWABLE, VALUE, Layout
from nengliu.domain.quality import Reason

Ints = npt.NDArray[np.int64]
LARGEST = 2**63 - 1
SAFE = 2**62
AMOUNTS = ("used", "metered", "parts", "feedstock", "renewable", "estimated")
COUNTS = ("received", "due")
HEADS = ("points", "points_due", "meters", "meters_due", "members", "members_due")
MAXIMA = ("gravity", "known_at_s", "revision")


@dataclass(frozen=True, slots=True)
class Joined:
    """Several layouts one after the other, as one.

    Attributes
    ----------
    terms, sums, cells : int64 (n,)
        How many each layout has.
    place, weight : int64 (t,)
    first, cell_first : int64 (s,), (c,)
        First term of each sum and of each cell.
    which : int64 (5, c)
        Sums of each cell; -1, the last place, holds nothing.
    facts
        Further columns of the cells.
    """

    terms: Ints
    sums: Ints
    cells: Ints
    place: Ints
    weight: Ints
    first: Ints
    cell_first: Ints
    which: Ints
    facts: Columns

    def of(self, number: Ints) -> Joined:
        """Lay the layouts of these numbers one after the other, each as often as it is named."""
        if np.array_equal(number, np.arange(len(self.terms))):
            return self
        terms, sums, cells = (_Runs(count, number) for count in (self.terms, self.sums, self.cells))
        which = self.which[:, cells.index]
        return Joined(
            self.terms[number],
            self.sums[number],
            self.cells[number],
            self.place[terms.index],
            self.weight[terms.index],
            self.first[sums.index] + terms.shift[sums.owner],
            self.cell_first[cells.index] + terms.shift[cells.owner],
            np.where(which == NONE, NONE, which + sums.shift[cells.owner]),
            {name: column[cells.index] for name, column in self.facts.items()},
        )


class _Runs:
    """Runs of lines taken out in any order: the old place of each line, its run, and how far each run moved."""

    def __init__(self, count: Ints, number: Ints) -> None:
        """Take the runs of these numbers; `count` says the lines of each."""
        first = (np.cumsum(count) - count)[number]
        self.index, self.owner = ranges(first, first + count[number])
        self.shift = np.cumsum(count[number]) - count[number] - first


def join(layouts: Sequence[Layout]) -> Joined:
    """Lay layouts one after the other."""
    terms, sums, cells = (
        np.array([getattr(layout, name).shape[-1] for layout in layouts], np.int64)
        for name in ("place", "sum_first", "cell_first")
    )
    before = np.cumsum(terms) - terms
    which = np.concatenate([layout.sums for layout in layouts], axis=1)
    names = np.concatenate([layout.names for layout in layouts], axis=1)
    facts = {name: _joined(layouts, name) for name in ("told", "decimals", "depth")}
    return Joined(
        terms,
        sums,
        cells,
        _joined(layouts, "place").astype(np.int64),
        _joined(layouts, "weight"),
        _joined(layouts, "sum_first") + np.repeat(before, sums),
        _joined(layouts, "cell_first") + np.repeat(before, cells),
        np.where(which == NONE, NONE, which + np.repeat(np.cumsum(sums) - sums, cells)),
        facts | {"node": names[0], "item": names[1], "unit": names[2]},
    )


def reduce(pages: Columns, joined: Joined, base: Ints) -> Columns:
    """Columns of every cell, one layout over one page after the other.

    Parameters
    ----------
    pages
        Columns of `Pages`.
    base : int64 (n,)
        First entry of the page under each layout.
    """
    entry = joined.place + np.repeat(base, joined.terms)
    first, cell_first, which, weight = joined.first, joined.cell_first, joined.which, joined.weight

    def added(values: npt.NDArray[np.generic]) -> Ints:
        return np.append(np.add.reduceat(values, first, dtype=np.int64), 0)

    used, estimated = pages["used"][entry], pages["estimated"][entry]
    amount = _weighed(used, weight, first)
    spread = _weighed(estimated, np.abs(weight), first)
    gravity = np.append(np.maximum.reduceat(pages["gravity"][entry], first), np.uint8(0))
    gravity[:-1][amount.clamped] = RANK[Reason.OUT_OF_INT64]
    heard, exists = added(pages["revision"][entry] > 0), added(pages["exists"][entry])
    return joined.facts | {
        "used": amount.sums[which[VALUE]],
        "metered": amount.sums[which[METERED]],
        "parts": amount.sums[which[PARTS]],
        "feedstock": amount.sums[which[FEEDSTOCK]],
        "renewable": amount.sums[which[RENEWABLE]],
        "estimated": spread.sums[which[VALUE]],
        "received": added(pages["received"][entry])[which[VALUE]],
        "due": added(pages["due"][entry])[which[VALUE]],
        "points": heard[which[VALUE]],
        "points_due": exists[which[VALUE]],
        "meters": heard[which[METERED]],
        "meters_due": exists[which[METERED]],
        "members": heard[which[PARTS]],
        "members_due": exists[which[PARTS]],
        "gravity": gravity[which[VALUE]],
        "known_at_s": np.maximum.reduceat(pages["known_at"][entry], cell_first),
        "revision": np.maximum.reduceat(pages["revision"][entry], cell_first),
        "owner": np.repeat(np.arange(len(base)), joined.cells),
    }


def combine(parts: Columns, sums: Sequence[str]) -> Columns:
    """Join cells of the parts of a period: one for each owner, node, item and unit, in this order.

    Amounts and counts add up, in the order given; of points that count the most at one time stands.
    """
    key = np.stack([parts[name] for name in ("owner", "node", "item", "unit")])
    _, first, group = np.unique(key, axis=1, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    joined = {name: column[first] for name, column in parts.items()}
    for name in sums:
        joined[name] = np.zeros(len(first), parts[name].dtype)
        np.add.at(joined[name], group, parts[name])
    for name in (*HEADS, *MAXIMA, "told"):
        np.maximum.at(joined[name], group, parts[name])
    return joined


class _Weighed(NamedTuple):
    sums: Ints  # with a nothing at the end, for what has no sum
    clamped: npt.NDArray[np.bool_]


def _weighed(values: Ints, weight: Ints, first: Ints) -> _Weighed:
    """Sums of ``values * weight`` from each `first` on; what int64 cannot hold ends at its limit and is marked."""
    if not values.any():
        return _Weighed(np.zeros(len(first) + 1, np.int64), np.zeros(len(first), bool))
    count = np.diff(np.append(first, len(values)))
    largest = max(int(values.max(initial=0)), -int(values.min(initial=0)))
    if largest * int(np.abs(weight).max(initial=1)) * int(count.max(initial=1)) <= SAFE:
        return _Weighed(np.append(np.add.reduceat(values * weight, first), 0), np.zeros(len(first), bool))
    exact = np.add.reduceat(values.astype(object) * weight.astype(object), first)
    clamped = np.array([abs(value) > LARGEST for value in exact], bool)
    kept = [max(-LARGEST, min(LARGEST, value)) for value in exact]
    return _Weighed(np.array([*kept, 0], np.int64), clamped)


def _joined(layouts: Sequence[Layout], name: str) -> npt.NDArray[Any]:
    return np.concatenate([getattr(layout, name) for layout in layouts])
