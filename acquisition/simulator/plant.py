"""A fictitious plant in time: what its registers show at any instant, and the truth log beside them.

Registers are whole steps: the exact use of a quarter-hour is the difference of two
registers, so `truth` is exact to the last digit.  Every day's steps follow from the day
alone; sums over many days are kept by blocks, so that an instant years after the start is cheap.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from acquisition.simulator.load import QUARTERS, amounts, quarter_of, whole_steps
from acquisition.simulator.site import Channel, Site, first_site, rated
from nengliu.domain.points import Column, Enterprise, Kind, Meter, Point, Schema
from nengliu.domain.times import DAY_MS, HOUR_MS, QUARTER_MS
from schemas.messages import (
    MISSING,
    EnterpriseNotice,
    Notice,
    PointNotice,
    SchemaNotice,
    WiredLine,
    WiredMeter,
    WiringNotice,
)

SCHEMA = 1
BLOCK_DAYS = 42
BLOCK = BLOCK_DAYS * QUARTERS
"""Quarter-hours whose steps are drawn at once and whose sum is kept: six weeks."""
GAUGE_SWING = 0.015
"""Relative ripple of the power reading around the quarter's mean (ours)."""
ELECTRICITY, MEDIA = "electricity", "media"
"""Lines of every plant's collector."""

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Plant:
    """A plant with a history of `days` that starts at `start_ms`, a whole quarter-hour [ms, UTC]."""

    seed: int
    start_ms: int
    days: int = 365
    site: Site = field(default_factory=first_site)

    @property
    def end_ms(self) -> int:
        """Instant of the last reading of the history; what is read on the wire comes after it."""
        return self.start_ms + self.days * DAY_MS

    @property
    def noise(self) -> int:
        """Seed of all that varies by chance in this plant."""
        return self.seed ^ self.site.number

    @property
    def enterprise(self) -> Enterprise:
        """The enterprise: its name says that it is simulated, and so does its flag."""
        return self.site.enterprise

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Its points in the order of the frame's columns."""
        return self.site.channels

    @property
    def change_ms(self) -> int:
        """Instant of the meter change, or the end if there is none or the history is too short for it."""
        if self.site.change is None:
            return self.end_ms
        at = self.end_ms - round(self.site.change.before_end_h * HOUR_MS)
        return at if at > self.start_ms + DAY_MS else self.end_ms

    @property
    def changed(self) -> bool:
        """Whether the history is long enough to hold the meter change."""
        return self.change_ms < self.end_ms


def plant_until(seed: int, end_ms: int, days: int = 365) -> Plant:
    """Lay the first plant's history so that it ends with the last whole quarter-hour before `end_ms` [ms, UTC]."""
    return Plant(seed, end_ms // QUARTER_MS * QUARTER_MS - days * DAY_MS, days)


def notices(plant: Plant) -> Iterator[Notice]:
    """Describe the enterprise, its points, the one column list of its history, and where each point hangs."""
    yield EnterpriseNotice(plant.enterprise)
    for channel in plant.channels:
        yield PointNotice(_point(plant, channel))
    columns = (
        Column(c.point, c.unit, c.meter["decimals"] if c.meter else c.decimals) for c in plant.channels
    )
    yield SchemaNotice(Schema(plant.enterprise.enterprise, SCHEMA, tuple(columns)))
    yield WiringNotice(plant.enterprise.enterprise, plant.site.slug, wiring(plant.site))


def wiring(site: Site) -> tuple[WiredLine, ...]:
    """Say which points hang on which meter and line; amounts that no meter shows hang nowhere."""
    lines: dict[str, list[WiredMeter]] = {ELECTRICITY: [], MEDIA: []}
    for channel in site.channels:
        if channel.meter is not None:
            lines[line_of(channel)].append(WiredMeter(channel.point, meter_points(site, channel.point)))
    return tuple(WiredLine(name, tuple(meters)) for name, meters in lines.items())


def line_of(channel: Channel) -> str:
    """Line on which a channel's meter hangs."""
    return ELECTRICITY if channel.unit == "kWh" else MEDIA


def meter_points(site: Site, meter: str) -> tuple[str, ...]:
    """Points that a meter feeds: its counter, and the power that it shows as well."""
    return (meter, *(channel.point for channel in site.channels if channel.follows == meter))


def truth(plant: Plant, from_ms: int, to_ms: int) -> dict[str, int]:
    """Exact use of every counter and amount between two edges of quarter-hours [ms, UTC], in ticks.

    Gauges have no use and are left out.
    """
    start, end = ((at_ms - plant.start_ms) // QUARTER_MS for at_ms in (from_ms, to_ms))
    used = (steps_before(plant, end) - steps_before(plant, start)).tolist()
    return {
        channel.point: used[column] * channel.ticks_per_step
        for column, channel in enumerate(plant.channels)
        if channel.kind is not Kind.GAUGE
    }


def usage(plant: Plant, first: int, count: int) -> dict[str, Floats]:
    """Use of every channel that has one in `count` quarters from number `first` of the history on, in its unit."""
    first_day, offset = divmod(quarter_of(plant.start_ms) + first, QUARTERS)
    days = -(-(offset + count) // QUARTERS)
    used = _usage(plant, first_day, days)
    return {point: whole[offset : offset + count] for point, whole in used.items()}


def steps(plant: Plant, first: int, count: int) -> Int64s:
    """Steps, ticks or gauge values of `count` quarters from number `first` on: int64 (count, channels)."""
    blocks = range(first // BLOCK, (first + count - 1) // BLOCK + 1)
    offset = first - blocks.start * BLOCK
    drawn = [_block(plant, number) for number in blocks]
    return (drawn[0] if len(drawn) == 1 else np.concatenate(drawn))[offset : offset + count]


def steps_before(plant: Plant, quarter: int) -> Int64s:
    """Steps of every channel from the start of the history to the beginning of a quarter: int64 (channels,)."""
    number, rest = divmod(quarter, BLOCK)
    return np.asarray(_before(plant, number) + _block(plant, number)[:rest].sum(axis=0))


def readings(plant: Plant, stamps: Int64s) -> Int64s:
    """What is read at ascending instants: int64 (stamps, channels); an amount is that of the quarter before."""
    quarter, into_ms = np.divmod(stamps - plant.start_ms, QUARTER_MS)
    first = max(int(quarter[0]) - 1, 0)
    drawn = steps(plant, first, int(quarter[-1]) + 1 - first)
    edges = steps_before(plant, first) + np.concatenate([drawn[:1] * 0, drawn.cumsum(axis=0)])
    at = quarter - first
    found = np.full((len(stamps), len(plant.channels)), MISSING, dtype=np.int64)
    for column, channel in enumerate(plant.channels):
        if channel.meter is not None:
            counted = edges[at, column] + drawn[at, column] * into_ms // QUARTER_MS
            found[:, column] = _shown(plant, channel, stamps, counted + channel.meter["first"])
        elif channel.kind is Kind.GAUGE:
            ripple = 1 + GAUGE_SWING * np.sin(stamps / 60_000 * 1.7 + plant.noise % 1000)
            found[:, column] = np.rint(drawn[at, column] * ripple)
        else:
            known = (into_ms == 0) & (quarter > 0)
            found[known, column] = drawn[at[known] - 1, column]
    return found


def change_of(plant: Plant, channel: Channel) -> tuple[tuple[int, int], ...]:
    """When the channel's meter was changed [ms, UTC] and how far its register jumped [steps]; empty if never."""
    if not _is_changed(plant, channel):
        return ()
    last, first = _change(plant, channel)
    return ((plant.change_ms, first - last),)


def _usage(plant: Plant, first_day: int, days: int) -> dict[str, Floats]:
    """Use of every channel that has one over whole China days, in its unit: (days * 96,) each."""
    used: dict[str, Floats] = {}
    for channel in plant.channels:
        if channel.load is not None:
            used[channel.point] = amounts(channel.load, channel.point, plant.noise, first_day, days)
    for channel in plant.channels:
        if channel.sum_of:
            used[channel.point] = np.sum([used[name] for name in channel.sum_of], axis=0) / channel.share
    return used


@functools.lru_cache(maxsize=128)
def _block(plant: Plant, number: int) -> Int64s:
    """Steps, ticks or gauge values of one block of quarters: int64 (BLOCK, channels)."""
    first_day, offset = divmod(quarter_of(plant.start_ms) + number * BLOCK, QUARTERS)
    used = _usage(plant, first_day, BLOCK_DAYS + (offset > 0))
    columns = [_whole(channel, used)[offset : offset + BLOCK] for channel in plant.channels]
    return np.column_stack(columns)


@functools.lru_cache(maxsize=4096)
def _before(plant: Plant, number: int) -> Int64s:
    """Steps of every channel in all blocks before one: int64 (channels,)."""
    if number == 0:
        return np.zeros(len(plant.channels), np.int64)
    return np.asarray(_before(plant, number - 1) + _block(plant, number - 1).sum(axis=0))


def _whole(channel: Channel, used: dict[str, Floats]) -> Int64s:
    """Whole steps, ticks or gauge values per quarter of whole days."""
    if channel.follows:
        return np.rint(used[channel.follows] * 4 / channel.step).astype(np.int64)
    return whole_steps(used[channel.point], channel.step)


def _point(plant: Plant, channel: Channel) -> Point:
    is_gauge = channel.kind is Kind.GAUGE
    return Point(
        enterprise=plant.enterprise.enterprise,
        point=channel.point,
        name=channel.name,
        name_en=channel.name_en,
        kind=channel.kind,
        item=channel.item,
        unit=channel.unit,
        decimals=channel.decimals,
        interval_s=0 if is_gauge else QUARTER_MS // 1000,
        metering_level=channel.level,
        valid_from_ms=plant.start_ms,
        maximum=rated(plant.site, channel) if is_gauge else None,
        rated=rated(plant.site, channel) if channel.meter else None,
        place=channel.place,
        meters=_meters(plant, channel),
    )


def _meters(plant: Plant, channel: Channel) -> tuple[Meter, ...]:
    if channel.meter is None:
        return ()
    meter = Meter(from_ms=plant.start_ms, unit=channel.unit, **channel.meter)
    if not _is_changed(plant, channel):
        return (meter,)
    last, first = _change(plant, channel)
    return replace(meter, last=last % meter.modulus), replace(meter, from_ms=plant.change_ms, first=first)


def _is_changed(plant: Plant, channel: Channel) -> bool:
    return plant.changed and plant.site.change is not None and channel.point == plant.site.change.point


def _change(plant: Plant, channel: Channel) -> tuple[int, int]:
    """Last register of the old meter, before it is cut to its digits, and first of the new one [steps]."""
    change = plant.site.change
    assert change is not None
    assert channel.meter is not None
    quarter = (plant.change_ms - plant.start_ms) // QUARTER_MS
    column = plant.site.column(channel.point)
    spent = int(int(steps(plant, quarter, 1)[0, column]) * change.spent)
    return channel.meter["first"] + int(steps_before(plant, quarter)[column]) + spent, change.first


def _shown(plant: Plant, channel: Channel, stamps: Int64s, counted: Int64s) -> Int64s:
    assert channel.meter is not None
    for change_ms, jump in change_of(plant, channel):
        counted = np.where(stamps >= change_ms, counted + jump, counted)
    return counted % channel.meter["modulus"]
