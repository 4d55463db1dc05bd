"""The fictitious plant as messages for the log, with a truth log beside them.

Registers are whole steps: the exact use of a quarter-hour is the difference of two
registers, so `truth` is exact to the last digit.  The history holds what a real year
holds: silent lines whose registers catch up, frames that come late or twice or in the
wrong order, one rollover and one change of a meter.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from acquisition.simulator.load import QUARTERS, Load, amounts, quarter_of, whole_steps
from nengliu.domain.points import Column, Enterprise, Kind, Meter, Point, Schema
from nengliu.domain.times import DAY_MS, HOUR_MS, QUARTER_MS, Level, period_start_ms
from schemas.messages import MISSING, EnterpriseNotice, Frame, Notice, PointNotice, SchemaNotice

SCHEMA = 1
SOURCE = "simulator"
TIMES_PER_FRAME = 2
"""Quarter-hours per frame; with more, its first stamp would be near the hour that counts as late."""
GAUGE_SWING = 0.015
"""Relative ripple of the power reading around the quarter's mean (ours)."""

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Channel:
    """One point of the plant: what it is called, how it counts and how much it uses."""

    point: str
    name: str
    name_en: str
    kind: Kind
    item: str
    unit: str
    decimals: int
    level: int
    place: str
    load: Load | None = None
    sum_of: tuple[str, ...] = ()
    share: float = 1.0
    follows: str = ""
    meter: dict[str, int] | None = None

    @property
    def step(self) -> float:
        """Worth of one register step, or of one tick, in the unit of the point."""
        if self.meter is None:
            return float(10.0**-self.decimals)
        return float(self.meter["multiplier"] * 10.0 ** -self.meter["decimals"])

    @property
    def ticks_per_step(self) -> int:
        """Ticks of the point that one register step is worth; 1 without a register."""
        if self.meter is None:
            return 1
        return int(self.meter["multiplier"] * 10 ** (self.decimals - self.meter["decimals"]))


@dataclass(frozen=True, slots=True)
class Plant:
    """The plant with a history of `days` that starts at `start_ms`, a whole quarter-hour [ms, UTC]."""

    seed: int
    start_ms: int
    days: int = 365

    @property
    def end_ms(self) -> int:
        """Instant of the last reading of the history; what is read on the wire comes after it."""
        return self.start_ms + self.days * DAY_MS

    @property
    def change_ms(self) -> int:
        """Instant of the meter change, or the end if the history is too short for it."""
        at = self.end_ms - round(_definition()["meter_change"]["before_end_h"] * HOUR_MS)
        return at if at > self.start_ms + DAY_MS else self.end_ms

    @property
    def changed(self) -> bool:
        """Whether the history is long enough to hold the meter change."""
        return self.change_ms < self.end_ms


def plant_until(seed: int, end_ms: int, days: int = 365) -> Plant:
    """Lay the history so that it ends with the last whole quarter-hour before `end_ms` [ms, UTC]."""
    return Plant(seed, end_ms // QUARTER_MS * QUARTER_MS - days * DAY_MS, days)


@functools.cache
def channels() -> tuple[Channel, ...]:
    """List the points of the plant in the order of the frame's columns (`plant.toml`)."""
    return tuple(msgspec.convert(row, Channel) for row in _definition()["channels"])


@functools.cache
def enterprise() -> Enterprise:
    """Describe the plant: its name says that it is simulated, and so does its flag."""
    return Enterprise(**_definition()["enterprise"], simulated=True)


def year(seed: int, end_ms: int, days: int = 365) -> Iterator[Notice | Frame]:
    """Tell the history of the plant as messages for the log, notices first, in order of receipt."""
    plant = plant_until(seed, end_ms, days)
    yield from notices(plant)
    yield from history(plant)


def notices(plant: Plant) -> Iterator[Notice]:
    """Describe the enterprise, its points and the one column list of its frames."""
    code = enterprise().enterprise
    yield EnterpriseNotice(enterprise())
    for channel in channels():
        yield PointNotice(_point(plant, channel))
    columns = (Column(c.point, c.unit, c.meter["decimals"] if c.meter else c.decimals) for c in channels())
    yield SchemaNotice(Schema(code, SCHEMA, tuple(columns)))


def history(plant: Plant) -> Iterator[Frame]:
    """Frames of the history in order of receipt: late ones late, a few twice, a few changed about."""
    rng = np.random.default_rng([plant.seed, 7])
    stamps = np.arange(plant.days * QUARTERS + 1, dtype=np.int64) * QUARTER_MS + plant.start_ms
    values = _values(plant, stamps)
    _silence(plant, stamps, values)
    told = [_told(plant, n, stamps, values, rng) for n in range(0, len(stamps), TIMES_PER_FRAME)]
    told.sort(key=lambda frame: frame.received_at_s)
    swap = rng.random(len(told)) < 0.002
    for i in range(0, len(told) - 1, 2):
        if swap[i]:
            told[i], told[i + 1] = told[i + 1], told[i]
    for frame, twice in zip(told, rng.random(len(told)) < 0.003, strict=True):
        yield frame
        if twice:
            yield frame


def booked(plant: Plant, after_ms: int, now_ms: int, boot_s: int, number: int) -> Frame | None:
    """One frame of the amounts that no meter shows: of the quarter-hours that ended since `after_ms`, if any did.

    Parameters
    ----------
    after_ms, now_ms
        The quarter-hours ended in ``(after_ms, now_ms]`` and after the history [ms, UTC].
    boot_s, number
        Second the telling began [s, UTC] and the number of the frame since then.
    """
    first = max(after_ms, plant.end_ms) // QUARTER_MS
    starts = np.arange(first, now_ms // QUARTER_MS, dtype=np.int64) * QUARTER_MS
    if not len(starts):
        return None
    values = _values(plant, starts + QUARTER_MS)
    values[:, [channel.kind is not Kind.PERIOD for channel in channels()]] = MISSING
    sequence, received_at_s = boot_s << 32 | number, -(-now_ms // 1000)
    return Frame(enterprise().enterprise, SCHEMA, SOURCE, sequence, received_at_s, starts, values)


def truth(plant: Plant) -> dict[str, dict[int, int]]:
    """Exact use of every counter and amount per China month: point -> month's start [ms] -> ticks.

    A quarter-hour belongs to the month it starts in; gauges have no use and are left out.
    """
    quarters = np.arange(plant.days * QUARTERS, dtype=np.int64) * QUARTER_MS + plant.start_ms
    months = period_start_ms(Level.MONTH, quarters)
    found: dict[str, dict[int, int]] = {}
    for channel, steps in zip(channels(), _steps(plant, plant.days).T, strict=True):
        if channel.kind is Kind.GAUGE:
            continue
        names, index = np.unique(months, return_inverse=True)
        sums = np.zeros(len(names), dtype=np.int64)
        np.add.at(sums, index, steps * channel.ticks_per_step)
        found[channel.point] = dict(zip(names.tolist(), sums.tolist(), strict=True))
    return found


@functools.lru_cache(maxsize=2)
def usage(plant: Plant, days: int) -> dict[str, npt.NDArray[np.float64]]:
    """Use of every channel with a load in each quarter of the first `days` days, in its unit: (days * 96,)."""
    first_day, offset = divmod(quarter_of(plant.start_ms), QUARTERS)
    used: dict[str, npt.NDArray[np.float64]] = {}
    for channel in channels():
        if channel.load is not None:
            whole = amounts(channel.load, channel.point, plant.seed, first_day, days + 1)
            used[channel.point] = whole[offset : offset + days * QUARTERS]
    for channel in channels():
        if channel.sum_of:
            used[channel.point] = np.sum([used[name] for name in channel.sum_of], axis=0) / channel.share
    return used


def steps_of(plant: Plant, channel: Channel, days: int) -> Int64s:
    """Register steps of a channel in each quarter of the first `days` days: int64 (days * 96,)."""
    return _steps(plant, days)[:, channels().index(channel)]


def change_of(plant: Plant, channel: Channel) -> tuple[tuple[int, int], ...]:
    """When the channel's meter was changed [ms, UTC] and how far its register jumped [steps]; empty if never."""
    if not _is_changed(plant, channel):
        return ()
    quarter, spent, first = _change(plant, channel)
    return ((plant.change_ms, first - int(_registers(plant, channel)[quarter] + spent)),)


def readings_of(frame: Frame) -> int:
    """Count the readings in a frame: cells that are not missing."""
    return int((frame.values != MISSING).sum())


@functools.cache
def _definition() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("plant.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _point(plant: Plant, channel: Channel) -> Point:
    interval_s = 0 if channel.kind is Kind.GAUGE else QUARTER_MS // 1000
    return Point(
        enterprise=enterprise().enterprise,
        point=channel.point,
        name=channel.name,
        name_en=channel.name_en,
        kind=channel.kind,
        item=channel.item,
        unit=channel.unit,
        decimals=channel.decimals,
        interval_s=interval_s,
        metering_level=channel.level,
        valid_from_ms=plant.start_ms,
        place=channel.place,
        meters=_meters(plant, channel),
    )


def _meters(plant: Plant, channel: Channel) -> tuple[Meter, ...]:
    if channel.meter is None:
        return ()
    meter = Meter(from_ms=plant.start_ms, unit=channel.unit, **channel.meter)
    if not _is_changed(plant, channel):
        return (meter,)
    quarter, spent, first = _change(plant, channel)
    last = int(_registers(plant, channel)[quarter] + spent) % meter.modulus
    return replace(meter, last=last), replace(meter, from_ms=plant.change_ms, first=first)


def _is_changed(plant: Plant, channel: Channel) -> bool:
    return plant.changed and channel.point == _definition()["meter_change"]["point"]


def _change(plant: Plant, channel: Channel) -> tuple[int, int, int]:
    """Quarter of the meter change, steps the old meter still counted in it, register of the new one."""
    change = _definition()["meter_change"]
    quarter = (plant.change_ms - plant.start_ms) // QUARTER_MS
    column = [c.point for c in channels()].index(channel.point)
    return quarter, int(_steps(plant, plant.days)[quarter, column] * change["spent"]), change["first"]


@functools.lru_cache(maxsize=4)
def _steps(plant: Plant, days: int) -> Int64s:
    """Steps, ticks or gauge values of every quarter of the first `days` days: int64 (days * 96, channels)."""
    used = usage(plant, days)
    return np.column_stack([_whole(channel, used) for channel in channels()])


def _whole(channel: Channel, used: dict[str, npt.NDArray[np.float64]]) -> Int64s:
    """Whole steps per quarter: differences of the floored running sum, so that rounding loses nothing."""
    if channel.follows:
        return np.rint(used[channel.follows] * 4 / channel.step).astype(np.int64)
    return whole_steps(used[channel.point], channel.step)


def _registers(plant: Plant, channel: Channel, days: int | None = None) -> Int64s:
    """Register at every quarter's edge, before rollover and meter change: int64 (days * 96 + 1,)."""
    assert channel.meter is not None
    column = [c.point for c in channels()].index(channel.point)
    steps = _steps(plant, plant.days if days is None else days)[:, column]
    return np.concatenate(([0], np.cumsum(steps))) + channel.meter["first"]


def _values(plant: Plant, stamps: Int64s) -> Int64s:
    """What is read at each instant: int64 (stamps, channels); an amount is that of the quarter before."""
    days = max(plant.days, -(-(int(stamps[-1]) + 1 - plant.start_ms) // DAY_MS))
    steps = _steps(plant, days)
    quarter, into_ms = np.divmod(stamps - plant.start_ms, QUARTER_MS)
    at = np.minimum(quarter, len(steps) - 1)  # the last edge has no quarter of its own
    found = np.full((len(stamps), len(channels())), MISSING, dtype=np.int64)
    for column, channel in enumerate(channels()):
        if channel.kind is Kind.COUNTER:
            shown = _registers(plant, channel, days)[quarter] + steps[at, column] * into_ms // QUARTER_MS
            found[:, column] = _shown(plant, channel, stamps, shown)
        elif channel.kind is Kind.GAUGE:
            ripple = 1 + GAUGE_SWING * np.sin(stamps / 60_000 * 1.7 + plant.seed)
            found[:, column] = np.rint(steps[at, column] * ripple)
        else:
            known = (into_ms == 0) & (quarter > 0)
            found[known, column] = steps[quarter[known] - 1, column]
    return found


def _shown(plant: Plant, channel: Channel, stamps: Int64s, counted: Int64s) -> Int64s:
    assert channel.meter is not None
    if _is_changed(plant, channel):
        quarter, spent, first = _change(plant, channel)
        since = counted - (_registers(plant, channel)[quarter] + spent) + first
        counted = np.where(stamps >= plant.change_ms, since, counted)
    return counted % channel.meter["modulus"]


def _silence(plant: Plant, stamps: Int64s, values: Int64s) -> None:
    """Take out what a silent line never sent; the registers go on meanwhile."""
    names = [channel.point for channel in channels()]
    for fault in _definition()["faults"]:
        if fault["kind"] == "silent":
            start, end = _span(plant, fault)
            rows = (stamps > start) & (stamps < end)
            columns = np.array([names.index(point) for point in fault["points"]])
            values[np.ix_(rows, columns)] = MISSING


def _span(plant: Plant, fault: dict[str, Any]) -> tuple[int, int]:
    """When a fault lasts, as [start, end) ms; within one month, and nowhere if the history is too short."""
    start = plant.end_ms - round(fault["before_end_h"] * HOUR_MS)
    length = round(fault["hours"] * HOUR_MS)
    if start < plant.start_ms + DAY_MS:
        return plant.start_ms, plant.start_ms
    months = period_start_ms(Level.MONTH, np.array([start, start + length], dtype=np.int64))
    start = start if months[0] == months[1] else int(months[1]) + HOUR_MS
    return start, start + length


def _told(plant: Plant, at: int, stamps: Int64s, values: Int64s, rng: np.random.Generator) -> Frame:
    """Frame of the stamps from `at` on; one of a collector that was off line is received when it is back."""
    part = slice(at, at + TIMES_PER_FRAME)
    received_s = int(stamps[part][-1]) // 1000 + int(rng.integers(2, 40))
    for fault in _definition()["faults"]:
        start, end = _span(plant, fault)
        if fault["kind"] == "held" and start <= received_s * 1000 < end:
            received_s = end // 1000 + int(received_s - start // 1000) // 600
    number = at // TIMES_PER_FRAME
    return _frame(stamps[part], values[part], plant.start_ms // 1000 << 32 | number, received_s)


def _frame(stamps: Int64s, values: Int64s, sequence: int, received_at_s: int) -> Frame:
    """Lay amounts, known at the end of their quarter, on its start; everything else stays at its stamp."""
    amount = np.fromiter((c.kind is Kind.PERIOD for c in channels()), np.bool_)
    known = (values[:, amount] != MISSING).any(axis=1)
    times = np.union1d(stamps, stamps[known] - QUARTER_MS)
    laid = np.full((len(times), values.shape[1]), MISSING, dtype=np.int64)
    laid[np.ix_(np.searchsorted(times, stamps), ~amount)] = values[:, ~amount]
    rows = np.searchsorted(times, stamps[known] - QUARTER_MS)
    laid[np.ix_(rows, amount)] = values[np.ix_(known, amount)]
    return Frame(enterprise().enterprise, SCHEMA, SOURCE, sequence, received_at_s, times, laid)
