"""Load of the fictitious plant: how much each channel uses in every quarter-hour.

A load is a pure function of the seed and of absolute China time, drawn day by day, so that
a history, its continuation tomorrow and a test all see the same plant.  Figures are *ours*.
"""

from __future__ import annotations

import csv
import functools
import zlib
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import resources

import numpy as np
import numpy.typing as npt

from nengliu.domain.times import CHINA_OFFSET_MS, QUARTER_MS

QUARTERS = 96
"""Quarter-hours of a China-civil day (there is no daylight saving)."""
EPOCH = date(1970, 1, 1)
YEARS = range(2020, 2041)
"""Years whose fixed holidays are laid out; outside them the plant works through."""

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


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
    """

    base: float
    peak: float
    shifts: tuple[tuple[float, float], ...]
    sunday: float = 0.0
    noise: float = 0.05
    summer: float = 0.0
    winter: float = 0.0


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
    work = _working(load)[None, :] * _weekday(day, load.sunday)[:, None] * _open(day)[:, None]
    order, wobble = _noise(name, seed, day)
    running = (load.peak - load.base) * work * order[:, None] * (1 + load.noise * wobble)
    season = np.cos(2 * np.pi * (day - 18) / 365.2425)  # coldest about 19 January, hottest in July
    weather = load.winter * np.clip(season, 0, None) + load.summer * np.clip(-season, 0, None)
    idle = load.base * (1 + 0.3 * load.noise * wobble[:, ::-1])
    per_hour = idle + running + weather[:, None] * (0.6 + 0.4 * _open(day))[:, None]
    return np.asarray(np.clip(per_hour, 0, None).ravel() / 4)


def whole_steps(used: Floats, step: float) -> Int64s:
    """Whole register steps per quarter: differences of the floored running sum, so that rounding loses nothing.

    >>> whole_steps(np.array([0.25, 0.5, 0.5]), 0.5).tolist()
    [0, 1, 1]
    """
    return np.diff(np.floor(np.cumsum(used / step)), prepend=0).astype(np.int64)


def _working(load: Load) -> Floats:
    hour = np.arange(QUARTERS) / 4
    starts, ends = np.array(load.shifts).T
    working: Floats = ((hour >= starts[:, None]) & (hour < ends[:, None])).any(axis=0).astype(np.float64)
    return working


def _weekday(day: Int64s, sunday: float) -> Floats:
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    return np.where(weekday == 6, sunday, 1.0)


def _open(day: Int64s) -> Floats:
    return np.where(np.isin(day, days_off()), 0.05, 1.0)


def _noise(name: str, seed: int, days: Int64s) -> tuple[Floats, Floats]:
    """Order level per day (common to all channels) and wobble per quarter (the channel's own)."""
    order = np.array([np.random.default_rng([seed, int(day)]).normal(0.92, 0.05) for day in days])
    own = zlib.crc32(name.encode())
    wobble = np.array([np.random.default_rng([seed, int(day), own]).normal(size=QUARTERS) for day in days])
    return np.clip(order, 0.7, 1.05), np.clip(wobble, -3, 3)


@functools.cache
def days_off() -> Int64s:
    """Day numbers (since 1970-01-01) on which the plant stands: `days_off.csv`, one row per stop."""
    text = resources.files(__package__).joinpath("days_off.csv").read_text(encoding="utf-8")
    found: set[int] = set()
    for row in csv.DictReader(text.splitlines()):
        starts = [row["on"].replace("*", str(year)) for year in YEARS] if "*" in row["on"] else [row["on"]]
        for start in starts:
            first = date.fromisoformat(start)
            found.update((first + timedelta(days=n) - EPOCH).days for n in range(int(row["days"])))
    return np.array(sorted(found), dtype=np.int64)
