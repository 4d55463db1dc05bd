"""Traits of a shard's slots as arrays: what rows must say of every point, worked out once for all rows to come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Catalogue
from nengliu.domain.books import Whose
from nengliu.domain.points import FOREVER_MS, Kind
from schemas.block import Labels

Ints = npt.NDArray[np.int64]
Slots = npt.NDArray[np.int32]
Pair = tuple[str, str]
_TRAITS = {
    "interval_ms": "i8",
    "valid_from_ms": "i8",
    "valid_to_ms": "i8",
    "decimals": "u1",
    "gauge": "?",
    "item": "i4",
}


class Traits:
    """Names of slots, and what their points are, from the catalogue; dictionaries only grow.

    A slot whose point is described again must be forgotten (`forget`): it is looked up anew when it is asked for.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        """Start without a slot."""
        self.catalogue = catalogue
        self.items: list[str] = []
        self._names: tuple[dict[str, int], dict[str, int]] = ({}, {})
        self._codes = np.empty((2, 0), np.int32)
        self._dictionaries: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self._columns = {name: np.empty(0, dtype) for name, dtype in _TRAITS.items()}
        self._known = np.empty(0, bool)

    def of(self, points: list[Pair]) -> Traits:
        """Learn the slots given since the last time; `points` are ``(enterprise, point)`` per slot."""
        fresh = points[len(self._known) :]
        if fresh:
            names = [[pair[i] for pair in fresh] for i in (0, 1)]
            more = [
                [known.setdefault(name, len(known)) for name in column]
                for known, column in zip(self._names, names, strict=True)
            ]
            self._codes = np.concatenate([self._codes, np.array(more, np.int32)], axis=1)
            self._dictionaries = tuple(self._names[0]), tuple(self._names[1])
            self._known = np.append(self._known, np.zeros(len(fresh), bool))
            for name, column in self._columns.items():
                self._columns[name] = np.append(column, np.zeros(len(fresh), column.dtype))
        return self

    def forget(self, slot: int) -> None:
        """Look a slot's point up anew."""
        if slot < len(self._known):
            self._known[slot] = False

    def take(self, name: str, slots: Slots) -> npt.NDArray[Any]:
        """One trait (n,) of slots: interval_ms, valid_from_ms, valid_to_ms, decimals, gauge, or item (in `items`)."""
        known = self._known[slots]
        if not known.all():
            for slot in np.unique(slots[~known]).tolist():
                self._look_up(slot)
        return self._columns[name][slots]

    def labels(self, slots: Slots) -> dict[str, Labels]:
        """Columns `enterprise` and `point` of rows of these slots."""
        columns = ("enterprise", "point")
        return {
            name: Labels(codes[slots], dictionary)
            for name, codes, dictionary in zip(columns, self._codes, self._dictionaries, strict=True)
        }

    def pairs(self, slots: Iterable[int]) -> list[Pair]:
        """Enterprise and point of some slots."""
        enterprises, points = self._dictionaries
        return [(enterprises[self._codes[0, slot]], points[self._codes[1, slot]]) for slot in slots]

    def seats(self, slot: int) -> Iterator[tuple[int, Whose]]:
        """Since when [ms, UTC] a slot's enterprise is where; the first place holds before it, too."""
        ((code, _),) = self.pairs([slot])
        enterprise = self.catalogue.enterprises.get(code)
        stays = enterprise.stays if enterprise is not None else ()
        region = enterprise.region if enterprise is not None else ""
        yield -FOREVER_MS, Whose(code, stays[0].region if stays else region)
        for seat in stays[1:]:
            yield seat.from_ms, Whose(code, seat.region)

    def _look_up(self, slot: int) -> None:
        point = self.catalogue.points[self.pairs([slot])[0]].point
        if point.item not in self.items:
            self.items.append(point.item)
        found = {
            "interval_ms": point.interval_s * 1000,
            "valid_from_ms": point.valid_from_ms,
            "valid_to_ms": point.valid_to_ms,
            "decimals": point.decimals,
            "gauge": point.kind is Kind.GAUGE,
            "item": self.items.index(point.item),
        }
        for name, value in found.items():
            self._columns[name][slot] = value
        self._known[slot] = True
