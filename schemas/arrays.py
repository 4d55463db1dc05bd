"""Arrays in a body: how they lie there, and how they are taken off without reading past its end."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from schemas.envelope import MAX_BODY

Matrix: TypeAlias = npt.NDArray[np.int64]
I8, U1 = np.dtype("<i8"), np.dtype("u1")
_SIGNED: dict[int, np.dtype[Any]] = {1: np.dtype("i1"), 2: np.dtype("<i2"), 4: np.dtype("<i4"), 8: I8}
"""Widths a difference may have, and how it is written."""


class Reader:
    """Takes arrays off a body, refusing to read past its end."""

    __slots__ = ("at", "body", "size")

    def __init__(self, body: bytes, at: int) -> None:
        """Begin `at` some byte."""
        self.body, self.at, self.size = body, at, len(body)

    def array(self, dtype: np.dtype[Any], n: int) -> npt.NDArray[Any]:
        """Next `n` numbers, (n,); they stay in the body."""
        end = self.at + dtype.itemsize * n
        if n < 0 or end > self.size:
            raise ValueError(f"expected {n} numbers up to byte {end}, got {self.size} bytes")
        found = np.frombuffer(self.body, dtype, n, self.at)
        self.at = end
        return found

    def bytes(self, n: int) -> bytes:
        """Next `n` bytes."""
        begin, self.at = self.at, self.at + n
        if self.at > self.size:
            raise ValueError(f"expected {self.at} bytes, got {self.size}")
        return self.body[begin : self.at]

    def end(self) -> None:
        """Refuse bytes that are left over."""
        if self.at != self.size:
            raise ValueError(f"expected {self.at} bytes, got {self.size}")


def matrix_bytes(matrix: npt.NDArray[Any], differences: bool) -> bytes:
    """Bytes of 64-bit numbers (n, c): as they are, or as differences from row to row.

    Differences: one byte with their width w, the first row in 8 bytes a number, the others in w.  They wrap around
    like the numbers themselves, so any number comes back.
    """
    numbers = matrix.astype(I8, copy=False)
    if not differences:
        return numbers.tobytes()
    steps = numbers[1:] - numbers[:-1]
    low, high = (int(steps.min()), int(steps.max())) if steps.size else (0, 0)
    width = next(w for w in _SIGNED if -(1 << 8 * w - 1) <= low and high < 1 << 8 * w - 1)
    return bytes([width]) + numbers[:1].tobytes() + steps.astype(_SIGNED[width]).tobytes()


def take_matrix(reader: Reader, n: int, c: int, differences: bool) -> Matrix:
    """Numbers (n, c) of `matrix_bytes`."""
    if not differences:
        return reader.array(I8, n * c).reshape(n, c)
    width = int(reader.array(U1, 1)[0])
    if width not in _SIGNED or n < 1 or 8 * n * c > MAX_BODY:
        raise ValueError(
            f"expected a width of 1, 2, 4 or 8 and up to {MAX_BODY} bytes, got {width}, {n} x {c}"
        )
    first, steps = reader.array(I8, c), reader.array(_SIGNED[width], (n - 1) * c)
    numbers = np.empty((n, c), np.int64)
    numbers[0], numbers[1:] = first, steps.reshape(n - 1, c)
    return np.cumsum(numbers, axis=0, out=numbers)


def check_codes(found: npt.NDArray[Any], known: npt.NDArray[Any], what: str) -> None:
    """Refuse codes outside of their closed list."""
    strange = found[~np.isin(found, known)]
    if len(strange):
        raise ValueError(f"{what}: unknown code {strange[0]}")
