"""Meters of the simulated fleet: registers that are pure functions of the seed and the instant.

A meter's counter goes on whether anybody reads it or not, and every start of the simulator
shows the same registers.  All meters have the register map that `generic` describes for the
driver (functions 3 and 4, big-endian), and after it their own clock and the counter's low
32 bits.  The words are packed here and not by the driver's codec, which is tested by them.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acquisition.simulator.load import QUARTERS, Load, amounts, whole_steps
from acquisition.simulator.plant import GAUGE_SWING, Plant, change_of, steps, steps_before, usage
from acquisition.simulator.site import Channel
from nengliu.domain.points import Kind
from nengliu.domain.times import CHINA_OFFSET_MS, DAY_MS, QUARTER_MS

Int64s = npt.NDArray[np.int64]

WORDS = 46
"""Registers of a meter; a request that touches an address from here on is refused."""
CLOCK_ADDRESS = 42
"""Address of the meter's own clock: u32, seconds since 1970-01-01 UTC."""
ENERGY32_ADDRESS = 44
"""Address of the counter's low 32 bits: u32."""
_BLOCK = struct.Struct(">4q8i3HhHhf3I")
_WORDS = struct.Struct(f">{WORDS}H")
POWER_STEP = 0.01
"""Worth of one step of the power register, in the meter's unit per hour (kW for electricity)."""
TOTALIZER = {"first": 0, "modulus": 1_000_000_000}
"""Register of a channel whose amounts the plant's story tells without a meter."""
BENCH_STEP = 0.01
"""Worth of one step of a bench meter [kWh]."""
BENCH_DAY = 20_096
"""Day whose load the meters of a bench fleet repeat: 2025-01-08, a Wednesday (ours)."""


class Curve:
    """Use of one channel in whole register steps per quarter-hour, drawn as far as it is asked for.

    Parameters
    ----------
    draw
        Gives the steps of each quarter and the mean power in it, for a number of days; a
        longer answer begins with the shorter one.
    start_ms
        Instant of the first quarter [ms, UTC]; before it nothing was used.
    """

    def __init__(self, draw: Callable[[int], tuple[Int64s, Int64s]], start_ms: int) -> None:
        self.start_ms = start_ms
        self._draw = draw
        self._days = 0
        self._steps: list[int] = []
        self._edges: list[int] = []
        self._means: list[int] = []

    def counted(self, at_ms: int) -> int:
        """Steps from the start to an instant, within a quarter in proportion to time."""
        quarter, into_ms = self._place(at_ms)
        return self._edges[quarter] + self._steps[quarter] * into_ms // QUARTER_MS

    def mean(self, at_ms: int) -> int:
        """Mean power of the quarter that holds an instant [POWER_STEP]."""
        return self._means[self._place(at_ms)[0]]

    def used(self, from_ms: int, to_ms: int) -> int:
        """Steps used in ``[from_ms, to_ms)``: a sum over the load's quarters, not a difference of registers."""
        if from_ms > to_ms:
            return -self.used(to_ms, from_ms)
        last, into_ms = self._place(to_ms)
        first, missed_ms = self._place(from_ms)
        whole = sum(self._steps[first:last])
        tail = self._steps[last] * into_ms // QUARTER_MS
        return whole + tail - self._steps[first] * missed_ms // QUARTER_MS

    def _place(self, at_ms: int) -> tuple[int, int]:
        """Quarter of an instant and how far it is into it [ms]; draws more days when they are needed."""
        quarter, into_ms = divmod(max(at_ms - self.start_ms, 0), QUARTER_MS)
        if quarter >= len(self._steps):
            self._days = quarter // QUARTERS + max(2, self._days // 8)
            steps, means = self._draw(self._days)
            self._steps, self._means = steps.tolist(), means.tolist()
            self._edges = np.concatenate(([0], np.cumsum(steps))).tolist()
        return quarter, into_ms


class DailyCurve(Curve):
    """Use of one channel whose days are all alike: any instant is known at once, and no day is drawn.

    Parameters
    ----------
    steps, means : int64 (96,)
        Register steps and mean power of each quarter-hour of the day.
    start_ms
        Instant of a day's first quarter [ms, UTC]; before it the register counts as well.
    """

    def __init__(self, steps: Int64s, means: Int64s, start_ms: int) -> None:
        super().__init__(lambda _: (steps, means), start_ms)
        self._steps, self._means = steps.tolist(), means.tolist()
        self._edges = np.concatenate(([0], np.cumsum(steps))).tolist()

    def counted(self, at_ms: int) -> int:
        """Steps from the start to an instant, within a quarter in proportion to time."""
        day, quarter, into_ms = self._at(at_ms)
        return (
            day * self._edges[QUARTERS] + self._edges[quarter] + self._steps[quarter] * into_ms // QUARTER_MS
        )

    def mean(self, at_ms: int) -> int:
        """Mean power of the quarter that holds an instant [POWER_STEP]."""
        return self._means[self._at(at_ms)[1]]

    def used(self, from_ms: int, to_ms: int) -> int:
        """Steps used in ``[from_ms, to_ms)``: a sum over the load's quarters, not a difference of registers."""
        if from_ms > to_ms:
            return -self.used(to_ms, from_ms)
        first_day, first, missed_ms = self._at(from_ms)
        last_day, last, into_ms = self._at(to_ms)
        whole = sum(self._steps) * (last_day - first_day) + sum(self._steps[:last]) - sum(self._steps[:first])
        tail = self._steps[last] * into_ms // QUARTER_MS
        return whole + tail - self._steps[first] * missed_ms // QUARTER_MS

    def _at(self, at_ms: int) -> tuple[int, int, int]:
        """Day and quarter of an instant, and how far it is into the quarter [ms]."""
        day, into_ms = divmod(at_ms - self.start_ms, DAY_MS)
        quarter, into_ms = divmod(into_ms, QUARTER_MS)
        return day, quarter, into_ms


@dataclass(frozen=True, slots=True)
class Meter:
    """One meter on a line.

    Parameters
    ----------
    name
        Unique within its line; the point it measures, too.
    unit
        Modbus unit id.
    curve
        What it measures.
    first, modulus
        Register at the curve's start, and the steps after which it begins again at 0.
    seed
        Phase of the ripple on its gauges.
    changes
        Instants [ms, UTC] at which another meter took its place, and how far the register jumped.
    """

    name: str
    unit: int
    curve: Curve
    first: int = 0
    modulus: int = 100_000_000
    seed: int = 0
    changes: tuple[tuple[int, int], ...] = ()

    def counted(self, at_ms: int) -> int:
        """Register at an instant before it is cut to its digits [steps]."""
        jumps = sum(steps for from_ms, steps in self.changes if at_ms >= from_ms)
        return self.first + self.curve.counted(at_ms) + jumps

    def power(self, at_ms: int) -> int:
        """Power register [POWER_STEP]: the quarter's mean with a ripple, in tenths of the unit per hour."""
        ripple = 1 + GAUGE_SWING * math.sin(at_ms / 60_000 * 1.7 + self.seed)
        return round(self.curve.mean(at_ms) / 10 * ripple) * 10

    def words(self, at_ms: int, shown: int, clock_s: int, times: int = 1) -> tuple[int, ...]:
        """All registers at an instant, as 16-bit words.

        Parameters
        ----------
        shown
            What the counter shows [steps].
        clock_s
            What the meter's own clock shows [s since 1970 UTC].
        times
            How often the power that it shows is the true one.
        """
        power = self.power(at_ms) * times
        third = power // 3
        wave = math.sin(at_ms / 17_000 + self.seed)
        packed = _BLOCK.pack(
            *(shown, 0, shown, shown),  # energy, export, reactive, amount
            *(power, third, third, power - 2 * third, power * 20 // 19),  # power and its phases, apparent
            *(third * 45, third * 46, third * 44),  # currents [mA] at 230 V
            *(2300 + round(15 * wave), 2302 + round(12 * wave), 2297 + round(18 * wave)),
            *(950, 5000 + round(2 * wave), 250 + round(20 * wave)),  # power factor, frequency, temperature
            *(power * POWER_STEP, self.curve.mean(at_ms)),  # value, demand
            *(clock_s, shown & 0xFFFFFFFF),
        )
        return _WORDS.unpack(packed)


def plant_meters(plant: Plant, since_ms: int | None = None) -> dict[str, Meter]:
    """Give every channel of the plant that counts a meter, unit ids 1, 2 ...; the output has a totalizer too.

    Parameters
    ----------
    since_ms
        Nothing is asked of them before the day before this instant [ms, UTC], so that a long history need not
        be held; None: from the history's start on.
    """
    days = 0 if since_ms is None else max((since_ms - plant.start_ms) // DAY_MS - 1, 0)
    before = steps_before(plant, days * QUARTERS)
    found: dict[str, Meter] = {}
    for column, channel in enumerate(plant.channels):
        if channel.kind is not Kind.GAUGE:
            register = channel.meter or TOTALIZER
            found[channel.point] = Meter(
                channel.point,
                len(found) + 1,
                Curve(functools.partial(_drawn, plant, channel, days), plant.start_ms + days * DAY_MS),
                first=register["first"] + int(before[column]),
                modulus=register["modulus"],
                seed=plant.noise % 1000,
                changes=change_of(plant, channel),
            )
    return found


def _drawn(plant: Plant, channel: Channel, first_day: int, days: int) -> tuple[Int64s, Int64s]:
    """Steps and mean power of a channel of the plant, whose powers are whole tenths of the unit per hour."""
    span = first_day * QUARTERS, days * QUARTERS
    tenths = np.rint(usage(plant, *span)[channel.point] * 4 / 0.1).astype(np.int64)
    return steps(plant, *span)[:, plant.site.column(channel.point)], tenths * 10


def bench_meter(seed: int, number: int, unit: int, day: int) -> Meter:
    """Make meter `number` of a fleet without a plant, with a load and a first register of its own.

    All its days are alike, so that its register is known without counting from the beginning.

    Parameters
    ----------
    day
        China day on which it starts to be asked (days since 1970-01-01); the register does not depend on it.
    """
    name = f"m{number + 1:04}"
    steps, means, begins = _bench_day(seed, number, name, 1.0)

    def draw(days: int) -> tuple[Int64s, Int64s]:
        return np.tile(steps, days), np.tile(means, days)

    first = begins + (day - BENCH_DAY) * int(steps.sum())
    start_ms = day * DAY_MS - CHINA_OFFSET_MS
    return Meter(name, unit, Curve(draw, start_ms), first, seed=number)


def daily_meter(seed: int, number: int, name: str, unit: int, share: float) -> Meter:
    """Make meter `number` of a scene: a bench meter that is known at any instant, and of another size.

    Parameters
    ----------
    share
        Its use as a share of a bench meter's: a meter behind a current transformer sees little.
    """
    steps, means, first = _bench_day(seed, number, name, share)
    curve = DailyCurve(steps, means, BENCH_DAY * DAY_MS - CHINA_OFFSET_MS)
    return Meter(name, unit, curve, first, seed=number)


def _bench_day(seed: int, number: int, name: str, share: float) -> tuple[Int64s, Int64s, int]:
    """Steps and mean power of each quarter of a bench meter's day, and its register on BENCH_DAY."""
    rng = np.random.default_rng([seed, number, 31])
    shifts = ((0.0, 24.0),) if number % 3 == 0 else ((8.0, 12.0), (12.5, 20.0))
    load = Load(share * float(rng.uniform(5, 60)), share * float(rng.uniform(80, 400)), shifts, noise=0.06)
    used = amounts(load, name, seed, BENCH_DAY, 1)
    means = np.rint(used * 4 / 0.1).astype(np.int64) * 10
    return whole_steps(used, BENCH_STEP), means, int(rng.integers(0, 90_000_000))
