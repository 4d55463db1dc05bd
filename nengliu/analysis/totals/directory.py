"""Directory: plant and place of every point that window rows name, remembered from one table to the next."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nengliu.analysis.sorted import Sorted
from nengliu.analysis.totals.plants import Plant
from schemas.block import Labels

Ints = npt.NDArray[np.int64]
Names = tuple[tuple[str, ...], tuple[str, ...]]
_BITS = np.uint64(32)
_CODE = np.uint64(2**32 - 1)


class Directory:
    """Where points are, by the codes of their names.

    The dictionaries of a shard's rows only grow, so what a code means is learned once; rows with others are looked up
    on their own, unless those are longer.
    """

    def __init__(self, plant: Callable[[str], Plant]) -> None:
        """Start without a name; `plant` gives an enterprise as the catalogue describes it now."""
        self._plant = plant
        self._names: Names = (), ()
        self._known = _empty()
        self._stale: set[int] = set()

    def forget(self, number: int) -> None:
        """Note that the points of a plant may lie elsewhere."""
        self._stale.add(number)

    def find(self, enterprise: Labels, point: Labels) -> tuple[Ints, Ints]:
        """Number of the plant and place on its pages of the point each row names; -1 if no total counts it."""
        self._refresh()
        names = enterprise.dictionary, point.dictionary
        goes_on = all(map(_goes_on, self._names, names))
        known = self._known if goes_on else _empty()
        keys = enterprise.codes.astype(np.uint64) << _BITS | point.codes.astype(np.uint64)
        at = _find(known, keys)
        unknown = at < 0
        if unknown.any():
            self._learn(known, np.unique(keys[unknown]), names)
            at = _find(known, keys)
        if goes_on or len(names[1]) > len(self._names[1]):
            self._names, self._known = names, known
        return known.columns["number"][at], known.columns["place"][at]

    def _refresh(self) -> None:
        if self._stale:
            self._known.keep(~np.isin(self._known.columns["number"], [*self._stale]))
            self._stale.clear()

    def _learn(self, known: Sorted, keys: npt.NDArray[np.uint64], names: Names) -> None:
        found: list[tuple[int, int]] = []
        for code, name in zip((keys >> _BITS).tolist(), (keys & _CODE).tolist(), strict=True):
            plant = self._plant(names[0][code])
            found.append((plant.number, plant.place.get(names[1][name], -1)))
        number, place = np.array(found, np.int64).T
        known.insert(np.searchsorted(known.keys, keys), keys, {"number": number, "place": place})


def _empty() -> Sorted:
    return Sorted({"number": "i4", "place": "i4"})


def _find(known: Sorted, keys: npt.NDArray[np.uint64]) -> Ints:
    """Place of each key, -1 where it is not known."""
    if not len(known.keys):
        return np.full(len(keys), -1)
    at = np.minimum(np.searchsorted(known.keys, keys), len(known.keys) - 1)
    return np.where(known.keys[at] == keys, at, -1)


def _goes_on(before: tuple[str, ...], now: tuple[str, ...]) -> bool:
    """Whether a dictionary is another one that has grown."""
    return before is now or (len(before) <= len(now) and before == now[: len(before)])
