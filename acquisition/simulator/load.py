"""Load of a fictitious plant: how much each channel uses in every quarter-hour.

A load is a pure function of the seed and of absolute China time, drawn day by day, so that
a history, its continuation tomorrow and a test all see the same plant.  Figures are *ours*.
"""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from nengliu.domain.calendars import days_of, shipped_rows
from nengliu.domain.times import CHINA_OFFSET_MS, QUARTER_MS

QUARTERS = 96
"""Quarter-hours of a China-civil day (there is no daylight saving)."""
EPOCH = date(1970, 1, 1)
GROWS_FROM = 20_089
"""Day at which a growing load is as its file says: 2025-01-01."""
YEARS = range(2020, 2041)
"""Years whose fixed holidays are laid out; outside them the plant works through."""

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stop:
    """A yearly stop: from a day of the year (``MM-DD``), for some days, with a share of the working load left."""

    begins: str
    days: int
    share: float


@dataclass(frozen=True, slots=True)
class Load:
    """Shape of one channel's use, in its unit per hour.

    Parameters
    ----------
    base, peak
        Use when the plant stands and when it runs at full order.
    shifts
        Working hours of a day as ``[from, to)`` [h].
    sunday
        Share of the working load on Sundays.
    noise
        Relative spread from quarter to quarter.
    summer, winter
        Extra use at the height of either season.
    holiday
        Share of the working load on days off.
    stops
        Yearly stops: month and day of the first day as ``MM-DD``, days, share of the working load.
    growth
        How much more (or less) is used a year later, as a share; the load is as given at `GROWS_FROM`.
    """

    base: float
    peak: float
    shifts: tuple[tuple[float, float], ...] = ((0.0, 24.0),)
    sunday: float = 0.0
    noise: float = 0.05
    summer: float = 0.0
    winter: float = 0.0
    holiday: float = 0.05
    stops: tuple[Stop, ...] = ()
    growth: float = 0.0


def quarter_of(at_ms: int) -> int:
    """Number of the China-civil quarter-hour that holds an instant [ms, UTC].

    >>> quarter_of(-8 * 3_600_000)  # 1970-01-01 00:00 in China
    0
    """
    return (at_ms + CHINA_OFFSET_MS) // QUARTER_MS


def amounts(load: Load, name: str, seed: int, first_day: int, days: int) -> Floats:
    """Use per quarter-hour of `days` China days from day number `first_day` on.

    Parameters
    ----------
    name
        Name of the channel: gives it a noise of its own.
    first_day
        Days since 1970-01-01, China civil.

    Returns
    -------
    float64 (days * 96,)
        In the unit of the channel, never negative.
    """
    day = np.arange(first_day, first_day + days)
    is_open = _open(day, load)
    work = _working(load)[None, :] * (_weekday(day, load.sunday) * is_open)[:, None]
    order, wobble = _noise(name, seed, day)
    running = (load.peak - load.base) * work * order[:, None] * (1 + load.noise * wobble)
    season = np.cos(2 * np.pi * (day - 18) / 365.2425)  # coldest about 19 January, hottest in July
    weather = load.winter * np.clip(season, 0, None) + load.summer * np.clip(-season, 0, None)
    idle = load.base * (1 + 0.3 * load.noise * wobble[:, ::-1])
    grown = (1 + load.growth) ** ((day - GROWS_FROM) / 365.2425)
    per_hour = (idle + running + (weather * (0.6 + 0.4 * is_open))[:, None]) * grown[:, None]
    return np.asarray(np.clip(per_hour, 0, None).ravel() / 4)


def whole_steps(used: Floats, step: float) -> Int64s:
    """Whole register steps per quarter, day by day, so that each day is known without those before it.

    They are the differences of the day's rounded running sum: within a day rounding loses nothing, and a day
    is at most half a step away from its use.

    Parameters
    ----------
    used : float64 (days * 96,)
    step
        Worth of a step, in the unit of the use.

    >>> whole_steps(np.full(96, 0.25), 0.5)[:4].tolist(), int(whole_steps(np.full(96, 0.25), 0.5).sum())
    ([0, 1, 1, 0], 48)
    """
    edges = np.rint(np.cumsum(used.reshape(-1, QUARTERS) / step, axis=1))
    return np.diff(edges, prepend=0.0, axis=1).astype(np.int64).ravel()


def _working(load: Load) -> Floats:
    hour = np.arange(QUARTERS) / 4
    starts, ends = np.array(load.shifts).T
    working: Floats = ((hour >= starts[:, None]) & (hour < ends[:, None])).any(axis=0).astype(np.float64)
    return working


def _weekday(day: Int64s, sunday: float) -> Floats:
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    return np.where(weekday == 6, sunday, 1.0)


def _open(day: Int64s, load: Load) -> Floats:
    share = np.where(np.isin(day, days_off()), load.holiday, 1.0)
    for stop in load.stops:
        for first in _begins(stop.begins):
            share[(day >= first) & (day < first + stop.days)] = stop.share
    return share


@functools.cache
def _begins(month_day: str) -> tuple[int, ...]:
    """Day numbers (since 1970-01-01) of a day of the year, ``MM-DD``."""
    return tuple((date.fromisoformat(f"{year}-{month_day}") - EPOCH).days for year in YEARS)


def _noise(name: str, seed: int, days: Int64s) -> tuple[Floats, Floats]:
    """Order level per day (common to all channels) and wobble per quarter (the channel's own)."""
    order = 0.92 + 0.05 * normal(seed, days)
    own = zlib.crc32(name.encode())
    wobble = normal(seed ^ own << 32, days[:, None] * QUARTERS + np.arange(QUARTERS))
    return np.clip(order, 0.7, 1.05), np.clip(wobble, -3, 3)


def uniform(seed: int, number: Int64s) -> npt.NDArray[np.uint64]:
    """64 bits that look random and are a function of seed and number alone (SplitMix64's mixing), any shape.

    >>> int(uniform(1, np.array([2]))[0]) == int(uniform(1, np.array([1, 2, 3]))[1])
    True
    """
    start = np.uint64((seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % 2**64)
    mixed = (number.astype(np.uint64) ^ start) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ mixed >> np.uint64(31))


def normal(seed: int, number: Int64s) -> Floats:
    """Nearly normal deviates (the sum of four uniform ones, so within 3.5), a function of seed and number alone."""
    bits, low = uniform(seed, number), np.uint64(0xFFFF)
    sums = (bits & low) + (bits >> np.uint64(16) & low) + (bits >> np.uint64(32) & low)
    sums += bits >> np.uint64(48)
    return np.asarray((sums / 65_536 - 2) * np.sqrt(3))


@functools.cache
def days_off() -> Int64s:
    """Day numbers (since 1970-01-01) on which the plant stands: the calendar ``simulated_plant``."""
    return days_of(shipped_rows("days")[1], "simulated_plant").holidays
