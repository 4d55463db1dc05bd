"""The fictitious province of the demonstration: regions, plants, targets, and its past in order of time.

Figures are *ours*: a target is what was used two years before the year it is for, changed twice by the
allowance of its region, so that some regions keep theirs and some do not.
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from acquisition.simulator.load import EPOCH, QUARTERS, normal
from acquisition.simulator.plant import Plant, notices, usage
from acquisition.simulator.site import rows_of, sites
from acquisition.simulator.story import days_of
from nengliu.domain.books import COAL, Book, book_of, shipped_factors
from nengliu.domain.times import CHINA_OFFSET_MS, DAY_MS, QUARTER_MS
from schemas.messages import (
    Activity,
    ActivityNotice,
    Frame,
    LinkNotice,
    Notice,
    RegionNotice,
    RowsFrame,
    Target,
    TargetNotice,
)

PROVINCE = "990000"
"""Code of the province; no real one begins with 99."""
PLANTS = 40
SAVING = 0.025
"""Less energy for the same value in each year: the intensity that is asked for (ours)."""
SOURCE = "ours: demonstration"
TCE, INTENSITY = "tce", "tce/10k CNY"
MONEY = "10k CNY"
Message = Notice | RowsFrame | LinkNotice | Frame
"""What the province says."""


@dataclass(frozen=True, slots=True)
class Province:
    """Some plants of the province with a common history.

    Parameters
    ----------
    start_ms
        A whole quarter-hour [ms, UTC].
    days
        Length of the history.
    count
        How many of the plants, at most `PLANTS`.
    """

    seed: int
    start_ms: int
    days: int
    count: int = PLANTS

    @property
    def end_ms(self) -> int:
        """Instant of the last reading of the history."""
        return self.start_ms + self.days * DAY_MS

    @property
    def plants(self) -> tuple[Plant, ...]:
        """The plants, the first of them that of `nengliu simulate`."""
        return tuple(Plant(self.seed, self.start_ms, self.days, site) for site in sites()[: self.count])


def province_until(seed: int, end_ms: int, days: int, count: int = PLANTS) -> Province:
    """Lay the history so that it ends with the last whole quarter-hour before `end_ms` [ms, UTC]."""
    return Province(seed, end_ms // QUARTER_MS * QUARTER_MS - days * DAY_MS, days, count)


def told(province: Province) -> Iterator[Message]:
    """Tell everything: what there is, what is asked and done, and then the past, day by day over all plants."""
    yield from introduction(province)
    for day in zip(*(days_of(plant) for plant in province.plants), strict=True):
        yield from itertools.chain.from_iterable(day)


def introduction(province: Province) -> Iterator[Notice]:
    """Describe the regions, the plants with their points, their targets and what they produced."""
    yield from regions()
    for plant in province.plants:
        yield from notices(plant)
    yield from targets(province)
    for plant in province.plants:
        yield activities(plant)


def key_of(message: Message) -> str:
    """Key of a message in the log: the enterprise it speaks of, or else its region."""
    if isinstance(message, RegionNotice):
        return f"region-{message.region}"
    if isinstance(message, TargetNotice) and not message.enterprise:
        return f"region-{message.region}"
    return str(getattr(getattr(message, "value", message), "enterprise"))  # noqa: B009 - each has one


def regions() -> Iterator[RegionNotice]:
    """Describe the province and its cities."""
    for row in rows_of("regions.csv"):
        place = int(row["row"]), int(row["column"])
        yield RegionNotice(row["region"], row["name"], row["name_en"], row["parent"], *place)


def activities(plant: Plant) -> ActivityNotice:
    """What a plant produced in each whole month of its history."""
    end = _month_of(plant.end_ms)
    figures: list[Activity] = []
    month = _month_of(plant.start_ms)
    while month < end:
        figures += [
            Activity(measure, _named(month), round(value, 3), unit, SOURCE)
            for measure, value, unit in _produced(plant, month)
        ]
        month = _after(month)
    return ActivityNotice(plant.enterprise.enterprise, tuple(figures), "simulated")


def targets(province: Province) -> Iterator[TargetNotice]:
    """What each plant, each city and the province may use in the year of the history's end and the year before."""
    allowances = {
        row["region"]: float(row["allowance"]) for row in rows_of("regions.csv") if row["allowance"]
    }
    last = _month_of(province.end_ms).year
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    values: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for plant in province.plants:
        region = plant.enterprise.region
        energy, value = _allowed(plant, (last - 1, last), allowances[region])
        yield _target_notice(plant.enterprise.enterprise, region, energy, value)
        for place in (region, PROVINCE):
            for period in energy:
                sums[place][period] += energy[period]
                values[place][period] += value[period]
    for place, energy in sums.items():
        yield _target_notice("", place, energy, values[place])


def _allowed(
    plant: Plant, years: tuple[int, ...], allowance: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Energy [tce] a plant may use in each month and year, and the value [10k CNY] it is expected to add meanwhile."""
    energy: dict[str, float] = defaultdict(float)
    value: dict[str, float] = defaultdict(float)
    for year in years:
        for number in range(1, 13):
            before, month = date(year - 2, number, 1), date(year, number, 1)
            may = _coal(plant, before) * (1 + allowance) ** 2
            adds = {m: v for m, v, _ in _produced(plant, before)}["value_added"] * (1 + allowance) ** 2
            for period in (_named(month), str(year)):
                energy[period] += may
                value[period] += adds
    return dict(energy), dict(value)


def _target_notice(
    enterprise: str, region: str, energy: Mapping[str, float], value: Mapping[str, float]
) -> TargetNotice:
    total = (Target("energy_total", period, round(may, 1), TCE, SOURCE) for period, may in energy.items())
    intensity = (
        Target(
            "energy_intensity", period, round(may / value[period] * (1 - SAVING) ** 2, 4), INTENSITY, SOURCE
        )
        for period, may in energy.items()
        if value[period] > 0
    )
    return TargetNotice(enterprise, region, (*total, *intensity))


def _produced(plant: Plant, month: date) -> Iterator[tuple[str, float, str]]:
    """Product [t] of a month, what it was worth and the value added [10k CNY]; the worth moves a little."""
    product = _month_use(plant, month)["output"]
    number = np.array([month.year * 12 + month.month])
    worth = 1 + 0.015 * float(normal(plant.noise, number)[0])
    grown = (1 + SAVING) ** ((month - date(2025, 1, 1)).days / 365.2425)
    yield "output", product, "t"
    yield "output_value", product * plant.site.output_value * worth, MONEY
    yield "value_added", product * plant.site.value_added * worth * grown, MONEY


def _coal(plant: Plant, month: date) -> float:
    """Standard coal of what crossed the plant's boundary in a month [tce], at the calorific values of the book."""
    use, at_ms = _month_use(plant, month), np.array([_start_ms(month)])
    factors = {c.point: float(_book().values(c.item, COAL, at_ms)[0]) for c in plant.channels if c.level == 1}
    return sum(use[point] * factor for point, factor in factors.items()) / 1000


@functools.lru_cache(maxsize=4096)
def _month_use(plant: Plant, month: date) -> dict[str, float]:
    """Use of every channel in a month, in its unit; a month before the history is what it would have been."""
    first = (_start_ms(month) - plant.start_ms) // QUARTER_MS
    count = (_after(month) - month).days * QUARTERS
    return {point: float(used.sum()) for point, used in usage(plant, first, count).items()}


@functools.cache
def _book() -> Book:
    return book_of(*shipped_factors())


def _month_of(at_ms: int) -> date:
    return (EPOCH + timedelta(days=(at_ms + CHINA_OFFSET_MS) // DAY_MS)).replace(day=1)


def _after(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _start_ms(month: date) -> int:
    return (month - EPOCH).days * DAY_MS - CHINA_OFFSET_MS


def _named(month: date) -> str:
    return f"{month:%Y-%m}"
