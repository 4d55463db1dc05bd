"""Reduce the readings of some slots to quarter-hours over whole days, kind by kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Facts, Service
from nengliu.analysis.rollups import windows
from nengliu.analysis.rollups.windows import Grid, Intervals
from nengliu.analysis.sorted import Columns
from nengliu.domain.points import Kind
from nengliu.domain.quality import Reason
from nengliu.domain.times import CHINA_OFFSET_MS, DAY_MS, QUARTER_MS, day_start

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
QUARTERS = DAY_MS // QUARTER_MS
_OWNER_SHIFT = 44  # milliseconds until the year 2527 fit below the owner


@dataclass(frozen=True, slots=True)
class Dirty:
    """Slots to recompute, each over whole days ``[first, end)`` (day numbers)."""

    slots: npt.NDArray[np.int32]
    first: Ints
    end: Ints
    facts: list[Facts]

    @property
    def width(self) -> Ints:
        """Quarter-hours of each slot."""
        return (self.end - self.first) * QUARTERS

    @property
    def reach_ms(self) -> Ints:
        """How far back an amount of one interval may begin that still reaches into the first day [ms]."""
        spans = [f.point.interval_s if f.point.kind is Kind.PERIOD else 0 for f in self.facts]
        return np.array(spans, np.int64) * 1000

    @property
    def base(self) -> Ints:
        """First group of each slot in a grid over all of them."""
        return np.cumsum(self.width) - self.width


@dataclass(frozen=True, slots=True)
class Series:
    """Readings of the dirty slots, with one neighbour at either side, in order of (owner, time, origin)."""

    owner: Ints
    at_ms: Ints
    columns: Columns
    touched: Bools  # came or changed with the block

    def take(self, mask: npt.NDArray[Any]) -> Series:
        """Keep some of the readings: a mask, or places in order."""
        columns = {name: column[mask] for name, column in self.columns.items()}
        return Series(self.owner[mask], self.at_ms[mask], columns, self.touched[mask])


def reduce_days(series: Series, dirty: Dirty) -> Grid:
    """Quarter-hours of every dirty day, from the readings alone."""
    grid = windows.empty_grid(int(dirty.width.sum()))
    first_window = day_start(dirty.first) // QUARTER_MS
    first, newest = _due_cells(series, dirty.facts)
    column = series.at_ms // QUARTER_MS - first_window[series.owner]
    inside = (column >= 0) & (column < dirty.width[series.owner])
    group = dirty.base[series.owner] + column
    windows.raise_groups(
        grid, group[inside], *(newest[name][inside] for name in ("received_at_s", "position"))
    )
    counted = inside & first
    marks = ("quality", "reason")
    windows.pour_readings(grid, group[counted], *(series.columns[name][counted] for name in marks))
    kinds = np.array([list(Kind).index(facts.point.kind) for facts in dirty.facts])
    for kind, intervals_of in ((Kind.COUNTER, _registers), (Kind.PERIOD, _amounts), (Kind.GAUGE, _holds)):
        mask = kinds[series.owner] == list(Kind).index(kind)
        if mask.any():
            intervals = intervals_of(series.take(mask), dirty.facts)
            windows.pour_intervals(grid, intervals, first_window, dirty.base, dirty.width)
    return grid


def _due_cells(series: Series, facts: list[Facts]) -> tuple[Bools, Columns]:
    """Which readings are the first of their due interval, and for all the newest receipt and position in it.

    What comes more often than due is not received more often; any reading of it may have been its first before,
    so each raises the window it lies in.
    """
    interval = np.array([f.point.interval_s for f in facts], np.int64)[series.owner] * 1000
    order = np.arange(len(interval))
    cell = np.where(interval > 0, (series.at_ms + CHINA_OFFSET_MS) // np.maximum(interval, 1), order)
    new = np.append(True, (series.owner[1:] != series.owner[:-1]) | (cell[1:] != cell[:-1]))[: len(order)]
    starts = np.flatnonzero(new)
    cell_of = np.cumsum(new) - 1
    newest: Columns = {}
    for name in ("received_at_s", "position"):
        column = series.columns[name]
        newest[name] = column if new.all() else np.maximum.reduceat(column, starts)[cell_of]
    return new, newest


def _amounts(series: Series, facts: list[Facts]) -> Intervals:
    span = np.array([f.point.interval_s for f in facts], np.int64) * 1000
    return _intervals(series, series.at_ms, series.at_ms + span[series.owner], series.columns["ticks"])


def _holds(series: Series, facts: list[Facts]) -> Intervals:
    hold = np.array([f.point.hold_s for f in facts], np.int64) * 1000
    scale = 10.0 ** np.array([f.point.decimals for f in facts])
    until = series.at_ms + hold[series.owner]
    same = series.owner[1:] == series.owner[:-1]
    until[:-1] = np.where(same, np.minimum(until[:-1], series.at_ms[1:]), until[:-1])
    return _intervals(series, series.at_ms, until, series.columns["ticks"], scale[series.owner])


def _intervals(
    series: Series, start: Ints, end: Ints, amount: Ints, scale: npt.NDArray[np.float64] | None = None
) -> Intervals:
    columns = series.columns
    reason = np.zeros(len(start), np.uint16)
    return Intervals(
        series.owner, start, end, amount, columns["received_at_s"], columns["position"], reason, scale
    )


@dataclass(frozen=True, slots=True)
class _Register:
    """Register readings with the service each belongs to, virtual ones at meter changes included."""

    owner: Ints
    at_ms: Ints
    steps: Ints
    service: Ints
    known_at_s: Ints
    position: npt.NDArray[np.uint64]


def _registers(series: Series, facts: list[Facts]) -> Intervals:
    services = [service for f in facts for service in f.services]
    owner_of = np.repeat(np.arange(len(facts)), [len(f.services) for f in facts])
    register = _with_changes(_read(series, services, owner_of), services, owner_of)
    worth = np.array([s.ticks_per_step for s in services], np.int64)
    modulus = np.array([s.meter.modulus for s in services], np.int64)
    told = np.array([s.position for s in services], np.uint64)
    together = register.owner[1:] == register.owner[:-1]
    same = register.service[1:] == register.service[:-1]
    gap = (
        together & ~same & (register.at_ms[1:] > register.at_ms[:-1])
    )  # nobody knows what was used over the exchange
    left = np.flatnonzero((together & same) | gap)
    right, unknown = left + 1, gap[left]
    service = register.service[right]
    amount, reason = windows.register_amounts(
        register.steps[left], register.steps[right], modulus[service], worth[service]
    )
    return Intervals(
        owner=register.owner[left],
        start_ms=register.at_ms[left],
        end_ms=register.at_ms[right],
        amount=np.where(unknown, 0, amount),
        known_at_s=np.maximum(register.known_at_s[left], register.known_at_s[right]),
        revision=np.maximum(np.maximum(register.position[left], register.position[right]), told[service]),
        reason=np.where(unknown, np.uint16(Reason.METER_CHANGED), reason),
        unknown=unknown,
    )


def _read(series: Series, services: list[Service], owner_of: Ints) -> _Register:
    starts = np.array([s.meter.from_ms for s in services], np.int64)
    keys = owner_of << _OWNER_SHIFT | starts
    first = np.searchsorted(owner_of, series.owner)
    service = np.maximum(
        np.searchsorted(keys, series.owner << _OWNER_SHIFT | series.at_ms, side="right") - 1, first
    )
    columns = series.columns
    return _Register(
        series.owner, series.at_ms, columns["ticks"], service, columns["received_at_s"], columns["position"]
    )


def _with_changes(register: _Register, services: list[Service], owner_of: Ints) -> _Register:
    """Put the last register of an outgoing and the first of an incoming meter between the readings around a change."""
    extra = [row for i in range(1, len(services)) for row in _change(register, services, owner_of, i)]
    if not extra:
        return register
    owner, at, steps, service, position, known = (np.array(c, np.int64) for c in zip(*extra, strict=True))
    rank = np.concatenate([np.ones(len(register.owner), np.int64), np.zeros(len(owner), np.int64)])
    joined = _Register(
        np.concatenate([register.owner, owner]),
        np.concatenate([register.at_ms, at]),
        np.concatenate([register.steps, steps]),
        np.concatenate([register.service, service]),
        np.concatenate([register.known_at_s, known]),
        np.concatenate([register.position, position.astype(np.uint64)]),
    )
    order = np.lexsort((rank, joined.service, joined.at_ms, joined.owner))
    return _Register(*(getattr(joined, name)[order] for name in _Register.__dataclass_fields__))


def _change(
    register: _Register, services: list[Service], owner_of: Ints, i: int
) -> list[tuple[int, int, int, int, int, int]]:
    """Two virtual readings at the change from service i-1 to i, if readings stand on both sides of it."""
    owner, old, new = int(owner_of[i]), services[i - 1], services[i]
    if owner_of[i - 1] != owner or old.meter.last is None or new.meter.first is None:
        return []
    first, end = np.searchsorted(register.owner, [owner, owner + 1])
    at = new.meter.from_ms
    if end - first < 2 or not register.at_ms[first] < at <= register.at_ms[end - 1]:
        return []
    after = int(first + np.searchsorted(register.at_ms[first:end], at))
    around = slice(after - 1, after + 1)
    known = int(register.known_at_s[around].max())
    newest = max(int(register.position[around].max()), old.position, old.last_position, new.position)
    return [(owner, at, old.meter.last, i - 1, newest, known), (owner, at, new.meter.first, i, newest, known)]
