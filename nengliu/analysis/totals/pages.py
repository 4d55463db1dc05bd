"""Pages: the newest window rows of whole enterprises, in a few long arrays.

A page holds one enterprise over one period, an entry for each of its points; pages lie one behind the other in the
arrays, and what is given back is used again for a page of the same size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.sorted import Sorted, ranges

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
_NUMBER_BITS, _START_FROM_S = 34, 1 << 33


class Pages:
    """Columns of all pages of a shard; a page is named by the place of its first entry."""

    def __init__(self) -> None:
        """Start without a page."""
        self.columns: Columns = {name: np.zeros(_FIRST_SIZE, dtype) for name, dtype in DTYPES.items()}
        self._end = 0
        self._free: dict[int, list[int]] = {}

    def open(self, sizes: Ints) -> Ints:
        """Give empty pages of so many entries each."""
        spare = [self._free[size].pop() if self._free.get(size) else -1 for size in sizes.tolist()]
        base = np.array(spare, np.int64)
        used, fresh = base >= 0, base < 0
        entry, _ = ranges(base[used], base[used] + sizes[used])
        end = self._end + np.cumsum(sizes[fresh])
        base[fresh] = end - sizes[fresh]
        for column in self.columns.values():
            column[entry] = 0
        self._end = int(end[-1]) if len(end) else self._end
        if self._end > len(self.columns["used"]):
            self._grow()
        return base

    def close(self, base: int, size: int) -> None:
        """Take a page back."""
        self._free.setdefault(size, []).append(base)

    def move(self, base: int, size: int, from_place: Ints, to_place: Ints, new_size: int) -> int:
        """Lay a page out anew: entry `from_place[i]` becomes `to_place[i]` of a page of another size."""
        (fresh,) = self.open(np.array([new_size], np.int64)).tolist()
        for column in self.columns.values():
            column[fresh + to_place] = column[base + from_place]
        self.close(base, size)
        return int(fresh)

    def _grow(self) -> None:
        room = max(self._end, len(self.columns["used"]) * 5 // 4)
        for name, column in self.columns.items():
            grown = np.zeros(room, column.dtype)
            grown[: len(column)] = column
            self.columns[name] = grown


class Register:
    """Where the pages of one level lie, by plant and period, and in which epoch each was last needed."""

    def __init__(self) -> None:
        """Start without a page."""
        self._rows = Sorted({"base": "i8", "epoch": "i8"})

    def __len__(self) -> int:
        """Count the pages."""
        return len(self._rows.keys)

    def find(self, number: Ints, start_s: Ints) -> Ints:
        """First entry of the page of each plant, by its number, and period; -1: there is none."""
        place, held = self._places(number, start_s)
        return np.where(held, self._rows.columns["base"][place], -1) if len(self) else np.full(len(place), -1)

    def touch(self, number: Ints, start_s: Ints, epoch: int) -> None:
        """Note that pages were needed, where there are any."""
        place, held = self._places(number, start_s)
        self._rows.columns["epoch"][place[held]] = epoch

    def add(self, number: Ints, start_s: Ints, base: Ints, epoch: int) -> None:
        """Note new pages."""
        keys = _key(number, start_s)
        order = np.argsort(keys)
        self._rows.upsert(keys[order], {"base": base[order], "epoch": np.full(len(keys), epoch)})

    def move(self, number: Ints, start_s: Ints, base: Ints) -> None:
        """Note where pages lie now."""
        place, held = self._places(number, start_s)
        self._rows.columns["base"][place[held]] = base[held]

    def of(self, number: int) -> tuple[Ints, Ints]:
        """Starts [s] and first entries of the pages of a plant."""
        first, end = np.searchsorted(self._rows.keys, _key(np.array([number, number + 1]), -_START_FROM_S))
        return _start_of(self._rows.keys[first:end]), self._rows.columns["base"][first:end]

    def unused(self, epoch: int) -> tuple[Ints, Ints, Ints]:
        """Plants, starts [s] and first entries of the pages that were not needed in an epoch."""
        some = self._rows.columns["epoch"] < epoch
        keys = self._rows.keys[some]
        number = (keys >> np.uint64(_NUMBER_BITS)).astype(np.int64)
        return number, _start_of(keys), self._rows.columns["base"][some]

    def remove(self, number: Ints, start_s: Ints) -> None:
        """Forget pages."""
        self._rows.keep(~np.isin(self._rows.keys, _key(number, start_s)))

    def _places(self, number: Ints, start_s: Ints) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Place of each page among the rows, and whether there is one."""
        keys = _key(number, start_s)
        place = np.minimum(np.searchsorted(self._rows.keys, keys), max(len(self) - 1, 0))
        return place, self._rows.keys[place] == keys if len(self) else np.zeros(len(keys), bool)


def _key(number: Ints, start_s: Ints | int) -> npt.NDArray[np.uint64]:
    return (number << _NUMBER_BITS | (start_s + _START_FROM_S)).astype(np.uint64)


def _start_of(keys: npt.NDArray[np.uint64]) -> Ints:
    return (keys & np.uint64((1 << _NUMBER_BITS) - 1)).astype(np.int64) - _START_FROM_S
