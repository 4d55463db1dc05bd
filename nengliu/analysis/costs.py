"""Cost of days: quarter-hours of a point by the bands of its tariff, as one row a day, replaced whole.

A row is a function of the quarter-hours, the point and the book of tariffs, all of which have positions in the log:
its revision is the newest of them, so computing it again at any time gives the same row (law 7), and a late reading,
a new price or another tariff gives one that replaces it (law 4).  Ticks of a band are added as whole numbers and
multiplied by the price once.  Source: TC 4.5.4-1; docs/decisions/0027.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nengliu.domain.points import FOREVER_MS, Point, Tariffed
from nengliu.domain.tariffs import Band, Tariff, bands, prices
from nengliu.domain.times import DAY_MS, day_of, day_start
from nengliu.domain.units import factor
from nengliu.errors import ContractError
from schemas.block import Arrays, Labels, Rows

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
WIDTH = len(Band) + 1
"""Bands of a day, 0 included: the quarter-hours in which no tariff was in force."""


@dataclass(frozen=True, slots=True)
class Tariffs:
    """The book of tariffs in force: by name, with its digest, its place in the log and when it was told [s, UTC]."""

    digest: str
    by_name: Mapping[str, Tariff]
    position: int = 0
    at_s: int = 0


@dataclass(frozen=True, slots=True)
class Payer:
    """A point whose energy is paid by tariffs, and the position of the notice that told of it."""

    point: Point
    position: int


@dataclass(frozen=True, slots=True)
class Quarters:
    """Quarter-hours of some days of payers, in order of `day` and start.

    Attributes
    ----------
    payer, day_ms, day_revision
        Of each day: index of its payer, its start [ms, UTC], and the revision of its window.
    day : int64 (n,)
        Of each quarter-hour, the index of its day.
    start_ms, used, estimated, known_at_s : int64 (n,)
    revision : uint64 (n,)
    """

    payer: Ints
    day_ms: Ints
    day_revision: npt.NDArray[np.uint64]
    day: Ints
    start_ms: Ints
    used: Ints
    estimated: Ints
    known_at_s: Ints
    revision: npt.NDArray[np.uint64]


def cost_rows(payers: Sequence[Payer], book: Tariffs, quarters: Quarters) -> Rows:
    """Rows of `cost_day`, one for each day."""
    days = len(quarters.day_ms)
    names, tariff = _tariffs_of_days(payers, quarters)
    band, price = _priced(names, tariff, book, quarters)
    cell = quarters.day * WIDTH + band
    used, estimated = (_sums(cell, values, days * WIDTH) for values in (quarters.used, quarters.estimated))
    worth = np.array([_kwh_of_tick(payer.point) for payer in payers])[quarters.payer]
    amount = np.where(used == 0, 0.0, used * np.repeat(worth, WIDTH) * price)
    known_at = np.full(days, book.at_s, np.int64)
    np.maximum.at(known_at, quarters.day, quarters.known_at_s)
    told = np.array([max(payer.position, book.position) for payer in payers], np.uint64)
    revision = told[quarters.payer]
    np.maximum.at(revision, quarters.day, quarters.revision)
    codes = quarters.payer.astype(np.int32)
    ends = np.arange(1, days + 1, dtype=np.int64) * WIDTH
    return Rows(
        "cost_day",
        {
            "enterprise": Labels(codes, tuple(payer.point.enterprise for payer in payers)),
            "point": Labels(codes, tuple(payer.point.point for payer in payers)),
            "period_start": quarters.day_ms // 1000,
            "tariff": Labels(tariff, names),
            "book": Labels(np.zeros(days, np.int32), (book.digest,)),
            "decimals": np.array([payer.point.decimals for payer in payers], np.uint8)[quarters.payer],
            "used": Arrays(ends, used),
            "estimated": Arrays(ends, estimated),
            "amount": Arrays(ends, amount),
            "windows": np.bincount(quarters.day, minlength=days),
            "day_revision": quarters.day_revision,
            "point_position": np.array([payer.position for payer in payers], np.uint64)[quarters.payer],
            "known_at": known_at,
            "revision": revision,
        },
    )


def _tariffs_of_days(
    payers: Sequence[Payer], quarters: Quarters
) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    """Names of tariffs, the first of them empty, and which one holds on each day."""
    names = {"": 0}
    found = np.zeros(len(quarters.day_ms), np.int32)
    alike: dict[tuple[Tariffed, ...], list[int]] = {}
    for number, payer in enumerate(payers):
        alike.setdefault(payer.point.tariffs, []).append(number)
    for tariffs, numbers in alike.items():
        mine = np.isin(quarters.payer, numbers)
        for start_ms, end_ms, name in _spans(tariffs):
            held = mine & (quarters.day_ms >= start_ms) & (quarters.day_ms < end_ms)
            found[held] = names.setdefault(name, len(names))
    return tuple(names), found


def _priced(
    names: tuple[str, ...], tariff: npt.NDArray[np.int32], book: Tariffs, quarters: Quarters
) -> tuple[Ints, Floats]:
    """Band of each quarter-hour, and price of each band of each day (days * WIDTH,); NaN where none is known."""
    band = np.zeros(len(quarters.day), np.int64)
    price = np.full(len(quarters.day_ms) * WIDTH, np.nan)
    of_quarter = tariff[quarters.day]
    for number, name in enumerate(names):
        known = book.by_name.get(name)
        mine = np.flatnonzero(of_quarter == number)
        if known is not None and len(mine):
            band[mine] = bands(known, quarters.start_ms[mine])
            price[quarters.day[mine] * WIDTH + band[mine]] = prices(known, quarters.start_ms[mine])
    return band, price


def _spans(tariffs: Sequence[Tariffed]) -> list[tuple[int, int, str]]:
    """When each tariff of a point holds: from the first whole day on, so that a band has one price a day."""
    starts = [int(day_start(day_of(np.array([each.from_ms + DAY_MS - 1])))[0]) for each in tariffs]
    return [
        (start, end, each.tariff)
        for start, end, each in zip(starts, [*starts[1:], FOREVER_MS], tariffs, strict=True)
    ]


def _kwh_of_tick(point: Point) -> float:
    """Energy [kWh] of one tick; NaN for a point that measures no energy."""
    try:
        return float(factor(point.unit, "kWh")) / 10.0**point.decimals
    except ContractError:
        return float("nan")


def _sums(cell: Ints, values: Ints, size: int) -> Ints:
    """Whole sums per cell."""
    total = np.zeros(size, np.int64)
    np.add.at(total, cell, values)
    return total
