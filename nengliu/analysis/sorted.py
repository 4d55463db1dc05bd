"""Sorted columns: a small table in memory, ordered by one unsigned key per row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Columns = dict[str, npt.NDArray[Any]]
Keys = npt.NDArray[np.uint64]
Index = npt.NDArray[np.intp]


class Sorted:
    """Equally long columns, one row per key, keys ascending."""

    def __init__(self, dtypes: dict[str, str]) -> None:
        """Start empty with columns of the given dtypes."""
        self.keys: Keys = np.empty(0, np.uint64)
        self.columns: Columns = {name: np.empty(0, dtype) for name, dtype in dtypes.items()}

    def insert(self, place: Index, keys: Keys, columns: Columns) -> None:
        """Insert rows whose keys are new, ascending, before the places `searchsorted` gave."""
        if not len(keys):
            return
        if len(place) and place[0] == len(self.keys):  # all go to the end: the common case of a live stream
            self.keys = np.concatenate([self.keys, keys])
            self.columns = {
                n: np.concatenate([c, columns[n].astype(c.dtype)]) for n, c in self.columns.items()
            }
            return
        fresh = place + np.arange(len(keys))
        stays = np.ones(len(self.keys) + len(keys), bool)
        stays[fresh] = False
        self.keys = _woven(self.keys, keys, stays, fresh)
        self.columns = {n: _woven(column, columns[n], stays, fresh) for n, column in self.columns.items()}

    def upsert(self, keys: Keys, columns: Columns) -> None:
        """Write rows with ascending, distinct keys over what stands there."""
        place = np.searchsorted(self.keys, keys)
        stands = np.zeros(len(keys), bool)
        stands[place < len(self.keys)] = (
            self.keys[place[place < len(self.keys)]] == keys[place < len(self.keys)]
        )
        for name, column in self.columns.items():
            column[place[stands]] = columns[name][stands]
        self.insert(
            place[~stands], keys[~stands], {name: column[~stands] for name, column in columns.items()}
        )

    def keep(self, mask: npt.NDArray[np.bool_]) -> None:
        """Forget the rows outside `mask`."""
        self.keys = self.keys[mask]
        self.columns = {name: column[mask] for name, column in self.columns.items()}


def _woven(
    old: npt.NDArray[Any], new: npt.NDArray[Any], stays: npt.NDArray[Any], fresh: Index
) -> npt.NDArray[Any]:
    """One column after an insert (the mask is shared: `numpy.insert` would make it anew for each)."""
    woven = np.empty(len(stays), old.dtype)
    woven[stays] = old
    woven[fresh] = new
    return woven


def starts_of(sorted_: npt.NDArray[Any]) -> Index:
    """Place of the first of each run of equal values.

    >>> starts_of(np.array([4, 4, 7])).tolist()
    [0, 2]
    """
    return (
        np.flatnonzero(np.append(True, sorted_[1:] != sorted_[:-1])) if len(sorted_) else np.empty(0, np.intp)
    )


def compact(codes: npt.NDArray[Any]) -> tuple[Index, Index]:
    """Distinct small numbers in order, and the place of each code among them.

    >>> compact(np.array([7, 2, 7]))
    (array([2, 7]), array([1, 0, 1]))
    """
    present = np.zeros(int(codes.max(initial=-1)) + 1, bool)
    present[codes] = True
    return np.flatnonzero(present), (np.cumsum(present) - 1)[codes]


def ranges(first: Index, end: Index) -> tuple[Index, Index]:
    """Spell out the half-open ranges ``[first, end)``: every index, and the number of its range.

    >>> ranges(np.array([2, 7]), np.array([4, 8]))
    (array([2, 3, 7]), array([0, 0, 1]))
    """
    count = end - first
    owner = np.repeat(np.arange(len(count)), count)
    return np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count) + first[owner], owner
