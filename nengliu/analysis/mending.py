"""Mending: which stored windows give way to those that the stored readings give (docs/decisions/0009, 0022).

What the audit by recomputation finds (`nengliu.analysis.audit_recompute.compare`) is mended here: a window is written
again with the revision its readings have, so mending twice writes the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.audit import Finding
from nengliu.analysis.audit_recompute import Columns
from schemas.block import Labels, Rows

Point = tuple[str, str]
Ints = npt.NDArray[np.int64]
_NAMES = {"period_start_s": "period_start", "known_at_s": "known_at"}
_KEPT = ("revision", "known_at_s")
"""What a restated factor raised in a day or month without a reading: the greater value stays."""


@dataclass(frozen=True, slots=True)
class Mending:
    """Rows to write, and windows to take away first: what no reading gives, or no lower revision can replace.

    `gone` names these by point and start of the period [s, UTC], `keys` all windows that change.
    """

    table: str
    rows: Rows | None
    gone: list[tuple[str, str, int]]
    keys: list[tuple[str, str, int]]

    def __len__(self) -> int:
        """Count the windows that change."""
        return len(self.keys)

    def points(self) -> list[Point]:
        """The point of each window that changes."""
        return [(enterprise, point) for enterprise, point, _ in self.keys]


def mend(
    table: str, expected: Columns, stored: Columns, findings: Iterable[Finding], points: list[Point]
) -> Mending:
    """Make of the windows that were found to differ the rows that stand in their place.

    Parameters
    ----------
    expected, stored
        Windows of one level, as recomputed and as they are, in order of slot and time (see `audit_recompute`).
    points
        What `slot` numbers.
    """
    number = {point: i for i, point in enumerate(points)}
    wrong = np.unique([number[f.enterprise, f.subject] << 40 | f.at_ms // 1000 for f in findings]).astype(
        np.int64
    )
    chosen = _some(expected, np.isin(_key(expected), wrong))
    place, both = _places(_key(stored), _key(chosen))
    standing = {name: stored[name][place] for name in _KEPT} if len(stored["slot"]) else {}
    ahead = np.zeros(len(both), bool)
    if standing:
        ahead = both & (standing["revision"] > chosen["revision"])
    if "book" in chosen and standing:
        for name in _KEPT:
            kept = np.maximum(chosen[name], standing[name].astype(chosen[name].dtype))
            chosen[name] = np.where(both, kept, chosen[name])
        ahead[:] = False
    alone = np.setdiff1d(wrong, _key(chosen))
    gone = np.union1d(alone, _key(chosen)[ahead])
    rows = _rows(table, chosen, points) if len(chosen["slot"]) else None
    return Mending(table, rows, _named(gone, points), _named(wrong, points))


def _named(keys: Ints, points: list[Point]) -> list[tuple[str, str, int]]:
    return [(*points[key >> 40], key & (1 << 40) - 1) for key in keys.tolist()]


def _key(columns: Columns) -> Ints:
    return (columns["slot"] << 40 | columns["period_start_s"]).astype(np.int64)


def _some(columns: Columns, mask: npt.NDArray[np.bool_]) -> Columns:
    return {name: column[mask] for name, column in columns.items()}


def _places(among: Ints, keys: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Where each key stands among sorted ones, and whether it does."""
    place = np.minimum(np.searchsorted(among, keys), max(len(among) - 1, 0))
    return place, (among[place] == keys) if len(among) else np.zeros(len(keys), bool)


def _rows(table: str, columns: Columns, points: list[Point]) -> Rows:
    slot = columns["slot"].astype(np.int32)
    said: dict[str, Any] = {
        "enterprise": Labels(slot, tuple(point[0] for point in points)),
        "point": Labels(slot, tuple(point[1] for point in points)),
    }
    for name, column in columns.items():
        if name != "slot":
            said[_NAMES.get(name, name)] = column
    return Rows(table, said)
