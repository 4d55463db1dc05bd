"""Rows of the tables of totals: names, seats, standard coal and CO2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nengliu.analysis.rollups.level_rows import FACTORS
from nengliu.analysis.rollups.windows import BY_GRAVITY
from nengliu.analysis.sorted import compact
from nengliu.analysis.totals.pages import Columns
from nengliu.analysis.totals.plants import Periods, Texts
from nengliu.analysis.totals.sums import AMOUNTS, COUNTS, HEADS
from nengliu.domain.books import Book, Whose
from nengliu.domain.space import seat_at
from nengliu.domain.times import STORED, Level
from schemas.block import Labels, Rows

Ints = npt.NDArray[np.int64]
TABLES = {level: f"total_{level}" for level in STORED}


class Seats(NamedTuple):
    """Where the plants of some periods are in them: of each period (n,) which of the seats."""

    of: Ints
    whose: list[Whose]
    industries: list[str]


def seats_of(periods: Periods) -> Seats:
    """Seats of periods: one for a plant that never moved, else one for each period."""
    of, seats = (
        periods.which.copy(),
        [(plant.code, *seat_at(plant.enterprise, 0)) for plant in periods.plants],
    )
    moved = np.array([len(plant.enterprise.stays) > 1 for plant in periods.plants], bool)
    for i in np.flatnonzero(moved[of]).tolist():
        plant = periods.plants[periods.which[i]]
        of[i] = len(seats)
        seats.append((plant.code, *seat_at(plant.enterprise, int(periods.start_s[i]) * 1000)))
    return Seats(of, [Whose(code, region) for code, region, _ in seats], [industry for *_, industry in seats])


def accounts(
    cells: Columns, periods: Periods, texts: Texts, book: Book
) -> dict[str, npt.NDArray[np.float64]]:
    """Standard coal (both values) and CO2 of what each cell used; NaN where the book has no factor.

    Parameters
    ----------
    periods
        Of each owner: whose factors are asked for, and of which day.
    """
    owner, item = cells["owner"], cells["item"]
    amount = cells["used"] / 10.0 ** cells["decimals"]
    seats, start_ms = seats_of(periods), periods.start_s * 1000
    found = {name: np.full(len(owner), np.nan) for name in FACTORS}
    for code in np.unique(item).tolist():
        mask = item == code
        for name, use in FACTORS.items():
            factor = book.values_by(
                texts.names[code], use, start_ms[owner[mask]], seats.of[owner[mask]], seats.whose
            )
            found[name][mask] = amount[mask] * factor
    return found


def rows_of(level: Level, cells: Columns, periods: Periods, texts: Texts, book: Book) -> Rows:
    """Rows of one level; `owner` of the cells indexes `periods`."""
    owner, seats = cells["owner"], seats_of(periods)
    seat = seats.of[owner]
    full: dict[str, Any] = {
        "enterprise": _labels(seat, [one.enterprise for one in seats.whose]),
        "node": _labels(cells["node"], texts.names),
        "depth": cells["depth"],
        "item": _labels(cells["item"], texts.names),
        "unit": _labels(cells["unit"], texts.names),
        "period_start": periods.start_s[owner],
        "region": _labels(seat, [one.region for one in seats.whose]),
        "industry": _labels(seat, seats.industries),
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


def _labels(codes: npt.NDArray[Any], names: Sequence[str]) -> Labels:
    """A text column whose dictionary holds each text once, and only those in use."""
    used, place = compact(codes)
    distinct: dict[str, int] = {}
    number = [distinct.setdefault(names[code], len(distinct)) for code in used.tolist()]
    return Labels(np.array(number, np.int32)[place], tuple(distinct))
