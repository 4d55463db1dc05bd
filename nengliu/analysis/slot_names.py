"""Names of a shard's slots as dictionary-coded columns, worked out once for all rows to come."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from schemas.block import Labels

Pair = tuple[str, str]


class Names:
    """Enterprise and point of each slot: codes into dictionaries that only grow."""

    def __init__(self) -> None:
        """Start without a slot."""
        self._known: tuple[dict[str, int], dict[str, int]] = ({}, {})
        self._codes = np.empty((2, 0), np.int32)
        self._dictionaries: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    def of(self, points: list[Pair]) -> Names:
        """Learn the slots given since the last time; `points` are ``(enterprise, point)`` per slot."""
        fresh = points[self._codes.shape[1] :]
        if fresh:
            more = [
                [known.setdefault(name, len(known)) for name in column]
                for known, column in zip(self._known, zip(*fresh, strict=True), strict=True)
            ]
            self._codes = np.concatenate([self._codes, np.array(more, np.int32)], axis=1)
            self._dictionaries = tuple(self._known[0]), tuple(self._known[1])
        return self

    def pairs(self, slots: Iterable[int]) -> list[Pair]:
        """Enterprise and point of some slots."""
        enterprises, points = self._dictionaries
        return [(enterprises[self._codes[0, slot]], points[self._codes[1, slot]]) for slot in slots]

    def labels(self, slots: npt.NDArray[np.int32]) -> dict[str, Labels]:
        """Columns `enterprise` and `point` of rows of these slots."""
        columns = ("enterprise", "point")
        return {
            name: Labels(codes[slots], dictionary)
            for name, codes, dictionary in zip(columns, self._codes, self._dictionaries, strict=True)
        }
