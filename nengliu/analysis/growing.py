"""Growing columns: rows are added at the end at the cost of their own size, however many there are already."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.sorted import Columns


class Growing:
    """Equally long columns, each with a dtype and, for a matrix, a width."""

    def __init__(self, dtypes: dict[str, str], widths: dict[str, int] | None = None) -> None:
        """Start empty."""
        widths = widths or {}
        self._n = 0
        self._room: Columns = {
            name: np.empty((0, widths[name]) if name in widths else 0, dtype)
            for name, dtype in dtypes.items()
        }

    def __len__(self) -> int:
        """Count the rows."""
        return self._n

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """One column, to be read or written in place; void after the next `append`."""
        return self._room[name][: self._n]

    def append(self, rows: Columns) -> None:
        """Add rows at the end; `rows` names every column."""
        end = self._n + len(next(iter(rows.values())))
        for name, room in self._room.items():
            if end > len(room):
                larger = np.empty((max(end, 2 * len(room)), *room.shape[1:]), room.dtype)
                larger[: self._n] = room[: self._n]
                self._room[name] = larger
            self._room[name][self._n : end] = rows[name]
        self._n = end

    def keep(self, mask: npt.NDArray[np.bool_]) -> None:
        """Forget the rows outside `mask`, and give back their room."""
        self._room = {name: self[name][mask] for name in self._room}
        self._n = int(np.count_nonzero(mask))


def make_room(owner: object, lines: int) -> None:
    """Lengthen every array among an object's attributes to at least so many lines, doubling it; new lines are zero.

    Lines that nobody has written take no memory, nor does an array that holds nothing but zeros.
    """
    for name, column in vars(owner).items():
        if isinstance(column, np.ndarray) and len(column) < lines:
            longer = np.zeros((max(lines, 2 * len(column)), *column.shape[1:]), column.dtype)
            if column.any():
                longer[: len(column)] = column
            setattr(owner, name, longer)
