"""Tariffs: which band of the day (sharp, peak, flat, valley, deep valley) an instant lies in, and its price.

A tariff is dated data: hours by month and kind of day (`schemas/books/tariffs.csv`), prices by band
(`schemas/books/tariff_prices.csv`), each with source, edition and `verified`.  Every edge lies on a quarter-hour, so
that a stored window has one band and one price.
Source: bands 尖峰, 高峰, 平段, 低谷, 深谷 after NDRC 2021 No. 1093 (unverified); the hours are each province's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from nengliu.domain.calendars import (
    DAY_QUARTERS,
    Codes,
    DayCalendar,
    DayKind,
    Ints,
    Row,
    day_kinds,
    months,
    quarters,
    reading,
    valid_ms,
)
from nengliu.domain.times import CHINA_OFFSET_MS, QUARTER_MS, day_of
from nengliu.errors import ContractError


class Band(IntEnum):
    """Bands of the day; numbers are stored and never re-used, 0 means that no tariff is in force."""

    SHARP = 1  # 尖峰
    PEAK = 2  # 高峰
    FLAT = 3  # 平段
    VALLEY = 4  # 低谷
    DEEP_VALLEY = 5  # 深谷


@dataclass(frozen=True, slots=True)
class Hours:
    """Bands in force in ``[from_ms, to_ms)``, by month, kind of day and quarter-hour (12, 3, 96)."""

    from_ms: int
    to_ms: int
    bands: Codes


@dataclass(frozen=True, slots=True)
class Price:
    """Price [CNY/kWh] of a band in ``[from_ms, to_ms)``."""

    band: Band
    from_ms: int
    to_ms: int
    price: float


@dataclass(frozen=True, slots=True)
class Tariff:
    """A tariff by name: dated hours, dated prices, and the calendar that says what kind a day is."""

    name: str
    hours: tuple[Hours, ...]
    prices: tuple[Price, ...]
    days: DayCalendar


def tariffs_of(hours: Iterable[Row], prices: Iterable[Row], days: DayCalendar) -> dict[str, Tariff]:
    """Make tariffs, by name, from the rows of the two books; of one tariff and date a later row overrides.

    Raises
    ------
    ContractError
        BAD_FIELD: a row that cannot be read, hours without a band, a price of a tariff without hours.
    """
    tables: dict[tuple[str, int, int], Codes] = {}
    for row in hours:
        with reading(row):
            key = row["tariff"], *valid_ms(row)
            table = tables.setdefault(key, np.zeros((12, len(DayKind), DAY_QUARTERS), np.uint8))
            part = quarters(row)
            if part.stop > DAY_QUARTERS:
                raise ValueError(f"expected an end after the start, got {row['end']!r}")
            table[np.ix_(months(row), day_kinds(row), range(part.start, part.stop))] = Band[
                row["band"].upper()
            ]
    for (name, *_), table in tables.items():
        if not table.all():
            month, kind, quarter = (int(place[0]) for place in np.nonzero(table == 0))
            when = f"month {month + 1}, {DayKind(kind).name.lower()} day, {quarter // 4:02}:{quarter % 4 * 15:02}"
            raise ContractError("BAD_FIELD", f"tariff {name}: no band in {when}", field="band", got=when)
    named: dict[str, list[Hours]] = {}
    for (name, start, end), table in sorted(tables.items(), key=lambda entry: entry[0]):
        named.setdefault(name, []).append(Hours(start, end, table))
    priced = _prices_of(prices, named.keys())
    return {name: Tariff(name, tuple(found), tuple(priced[name]), days) for name, found in named.items()}


def bands(tariff: Tariff, at_ms: Ints) -> Codes:
    """`Band` of each instant (n,) [ms, UTC]; 0 where the tariff was not in force."""
    day = day_of(at_ms)
    month = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    quarter = (at_ms + CHINA_OFFSET_MS) // QUARTER_MS % DAY_QUARTERS
    kind = tariff.days.kinds(day)
    found = np.zeros(len(at_ms), np.uint8)
    for hours in tariff.hours:
        held = (at_ms >= hours.from_ms) & (at_ms < hours.to_ms)
        found[held] = hours.bands[month[held], kind[held], quarter[held]]
    return found


def prices(tariff: Tariff, at_ms: Ints) -> npt.NDArray[np.float64]:
    """Price [CNY/kWh] at each instant (n,) [ms, UTC]; NaN where none is known."""
    band = bands(tariff, at_ms)
    found = np.full(len(at_ms), np.nan)
    for price in tariff.prices:
        found[(band == price.band) & (at_ms >= price.from_ms) & (at_ms < price.to_ms)] = price.price
    return found


def _prices_of(rows: Iterable[Row], names: Iterable[str]) -> dict[str, list[Price]]:
    found: dict[str, list[Price]] = {name: [] for name in names}
    for row in rows:
        with reading(row):
            price = Price(Band[row["band"].upper()], *valid_ms(row), float(row["price"]))
            if row["tariff"] not in found:
                raise ValueError(f"expected a tariff that has hours, got {row['tariff']!r}")
            found[row["tariff"]].append(price)
    return found
