"""Rows of the window tables as bare columns and back, for those who change a part of a stored row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.domain.times import Level, period_start_ms
from schemas.block import Labels, Rows

Ints = npt.NDArray[np.int64]
Columns = dict[str, npt.NDArray[Any]]
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one table as bare columns, texts spelled out; `owner` (n,) indexes `pairs` of enterprise and point."""

    pairs: list[Pair]
    owner: Ints
    columns: Columns

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.owner)

    def take(self, some: npt.NDArray[Any]) -> Table:
        """Keep some of the rows: a mask, or places in any order."""
        return Table(self.pairs, self.owner[some], {name: c[some] for name, c in self.columns.items()})

    def rows(self, table: str) -> Rows:
        """Give them names again, as the store wants them."""
        enterprises, points = ([pair[i] for pair in self.pairs] for i in (0, 1))
        codes = self.owner.astype(np.int32)
        columns: dict[str, Any] = {
            "enterprise": Labels(codes, tuple(enterprises)),
            "point": Labels(codes, tuple(points)),
        }
        columns |= self.columns
        books = sorted(set(self.columns["book"].tolist()))
        place = np.searchsorted(np.array(books, object), self.columns["book"])
        columns["book"] = Labels(place.astype(np.int32), tuple(books))
        return Rows(table, columns)


def table_of(parts: list[Rows], only: Iterable[Pair] | None = None) -> Table | None:
    """Bare columns of some rows of one table, one after the other; None if there are none."""
    parts = [rows for rows in parts if rows.columns and len(rows)]
    if not parts:
        return None
    pairs: dict[Pair, int] = {}
    owners: list[Ints] = []
    columns: list[Columns] = []
    for rows in parts:
        of_row, names = owners_of(rows)
        owners.append(np.array([pairs.setdefault(pair, len(pairs)) for pair in names], np.int64)[of_row])
        bare = {n: _plain(c) for n, c in rows.columns.items() if n not in ("enterprise", "point")}
        columns.append(bare)
    joined = {name: np.concatenate([each[name] for each in columns]) for name in columns[0]}
    table = Table([*pairs], np.concatenate(owners), joined)
    if only is None:
        return table
    kept = set(only)
    found = table.take(np.array([pair in kept for pair in table.pairs])[table.owner])
    return found if len(found.owner) else None


def owners_of(rows: Rows) -> tuple[Ints, list[Pair]]:
    """Of each row a number, and the point of each number."""
    enterprise, point = rows.columns["enterprise"], rows.columns["point"]
    assert isinstance(enterprise, Labels)
    assert isinstance(point, Labels)
    width = len(point.dictionary) + 1
    joint = enterprise.codes.astype(np.int64) * width + point.codes
    used, owner = np.unique(joint, return_inverse=True)
    at = [divmod(code, width) for code in used.tolist()]
    return owner, [(enterprise.dictionary[a], point.dictionary[b]) for a, b in at]


def month_of(start_s: object) -> Ints:
    """Start [ms, UTC] of the month that holds each period, named by its start [s, UTC]."""
    return period_start_ms(Level.MONTH, np.asarray(start_s).astype(np.int64) * 1000)


def _plain(column: Any) -> npt.NDArray[Any]:
    plain: npt.NDArray[Any] = np.asarray(column.codes if isinstance(column, Labels) else column)
    return np.array(column.dictionary, object)[plain] if isinstance(column, Labels) else plain
