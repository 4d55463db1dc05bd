"""Rows of the tables of totals: names, seats, standard coal and CO2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.level_rows import FACTORS
from nengliu.analysis.sorted import compact
from nengliu.analysis.totals.pages import Columns
from nengliu.analysis.totals.plants import Plant, Texts
from nengliu.analysis.totals.sums import AMOUNTS, COUNTS, HEADS
from nengliu.analysis.windows import BY_GRAVITY
from nengliu.domain.books import Book, Whose
from nengliu.domain.space import seat_at
from nengliu.domain.times import STORED, Level
from schemas.block import Labels, Rows

Ints = npt.NDArray[np.int64]
TABLES = {level: f"total_{level}" for level in STORED}


def accounts(
    cells: Columns, plants: Sequence[Plant], start_ms: Ints, texts: Texts, book: Book
) -> dict[str, npt.NDArray[np.float64]]:
    """Standard coal (both values) and CO2 of what each cell used; NaN where the book has no factor.

    Parameters
    ----------
    plants, start_ms
        Of each owner: whose factors are asked for, and of which day.
    """
    owner, item = cells["owner"], cells["item"]
    amount = cells["used"] / 10.0 ** cells["decimals"]
    seats = _seats(plants, start_ms)
    whose = [Whose(plant.code, region) for plant, (region, _) in zip(plants, seats, strict=True)]
    found = {name: np.full(len(owner), np.nan) for name in FACTORS}
    for code in np.unique(item).tolist():
        mask = item == code
        for name, use in FACTORS.items():
            factor = book.values_by(texts.names[code], use, start_ms[owner[mask]], owner[mask], whose)
            found[name][mask] = amount[mask] * factor
    return found


def rows_of(
    level: Level, cells: Columns, plants: Sequence[Plant], start_ms: Ints, texts: Texts, book: Book
) -> Rows:
    """Rows of one level; `owner` of the cells indexes `plants` and `start_ms`."""
    owner = cells["owner"]
    seats = _seats(plants, start_ms)
    full: dict[str, Any] = {
        "enterprise": _labels(owner, [plant.code for plant in plants]),
        "node": _labels(cells["node"], texts.names),
        "depth": cells["depth"],
        "item": _labels(cells["item"], texts.names),
        "unit": _labels(cells["unit"], texts.names),
        "period_start": start_ms[owner] // 1000,
        "region": _labels(owner, [region for region, _ in seats]),
        "industry": _labels(owner, [industry for _, industry in seats]),
        "decimals": cells["decimals"],
        **{name: cells[name] for name in (*AMOUNTS, *COUNTS, *HEADS)},
        "reason": BY_GRAVITY[cells["gravity"]],
        "known_at": cells["known_at_s"],
        "revision": cells["revision"],
    }
    if level in (Level.DAY, Level.MONTH):
        full |= {name: cells[name] for name in FACTORS}
        full["book"] = Labels(np.zeros(len(owner), np.int32), (book.digest,))
    return Rows(TABLES[level], full)


def _seats(plants: Sequence[Plant], start_ms: Ints) -> list[tuple[str, str]]:
    return [seat_at(plant.enterprise, at) for plant, at in zip(plants, start_ms.tolist(), strict=True)]


def _labels(codes: npt.NDArray[Any], names: Sequence[str]) -> Labels:
    """A text column whose dictionary holds each text once, and only those in use."""
    used, place = compact(codes)
    distinct: dict[str, int] = {}
    number = [distinct.setdefault(names[code], len(distinct)) for code in used.tolist()]
    return Labels(np.array(number, np.int32)[place], tuple(distinct))
