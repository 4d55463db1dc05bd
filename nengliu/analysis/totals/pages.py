"""Pages: the newest window rows of whole enterprises, in a few long arrays.

A page holds one enterprise over one period, an entry for each of its points; pages lie one behind the other in the
arrays, and what is given back is used again for a page of the same size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Columns = dict[str, npt.NDArray[Any]]
DTYPES = {
    "used": "i8",
    "estimated": "i8",
    "received": "u4",
    "due": "u4",
    "owes": "u1",  # what is due is said by its rows: a computed point
    "exists": "u1",  # the point lives in some part of the period
    "gravity": "u1",  # rank of the gravest reason
    "known_at": "u4",
    "revision": "u8",  # 0: nothing was heard of the point
}
SUMS = ("used", "estimated", "received")
MAXIMA = ("gravity", "known_at", "revision")
HEARD = (*SUMS, *MAXIMA)
"""What a window row says; the rest follows from the catalogue."""
_FIRST_SIZE = 4096


class Pages:
    """Columns of all pages of a shard; a page is named by the place of its first entry."""

    def __init__(self) -> None:
        """Start without a page."""
        self.columns: Columns = {name: np.zeros(_FIRST_SIZE, dtype) for name, dtype in DTYPES.items()}
        self._end = 0
        self._free: dict[int, list[int]] = {}

    def open(self, size: int) -> int:
        """Give an empty page of `size` entries."""
        spare = self._free.get(size)
        if spare:
            base = spare.pop()
            for column in self.columns.values():
                column[base : base + size] = 0
            return base
        base, self._end = self._end, self._end + size
        if self._end > len(self.columns["used"]):
            self._grow()
        return base

    def close(self, base: int, size: int) -> None:
        """Take a page back."""
        self._free.setdefault(size, []).append(base)

    def move(self, base: int, size: int, from_place: Ints, to_place: Ints, new_size: int) -> int:
        """Lay a page out anew: entry `from_place[i]` becomes `to_place[i]` of a page of another size."""
        fresh = self.open(new_size)
        for column in self.columns.values():
            column[fresh + to_place] = column[base + from_place]
        self.close(base, size)
        return fresh

    def _grow(self) -> None:
        room = max(self._end, len(self.columns["used"]) * 5 // 4)
        for name, column in self.columns.items():
            grown = np.zeros(room, column.dtype)
            grown[: len(column)] = column
            self.columns[name] = grown
