"""What a meter shows at an instant: every item of its panel, faults of the meter included, in whole ticks.

Protocols differ in how they lay a value out; what the value is, is decided here once, so
that the truth log says one thing of a meter whichever line it hangs on.
Source: figures and phases are ours; bits of the status words: protocols 1.2.
"""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

from acquisition.simulator.faults import Fault, FaultKind, shown
from acquisition.simulator.meters import Meter
from nengliu.domain.times import HOUR_MS

PHASES = ("a", "b", "c")
_HOURS_FROM_MS = 1_577_836_800_000
"""The working hours of a heat meter count from 2020-01-01."""


@dataclass(frozen=True, slots=True)
class PanelItem:
    """One value of a panel: its unit, the decimals of its ticks, and whether it is a register that counts."""

    item: str
    unit: str
    decimals: int
    counter: bool


def table(name: str) -> Iterator[dict[str, str]]:
    """Read the rows of one of the simulator's own tables."""
    text = resources.files(__package__).joinpath("tables", f"{name}.csv").read_text(encoding="utf-8")
    return iter(csv.DictReader(text.splitlines()))


@functools.cache
def panel() -> dict[str, PanelItem]:
    """All items a simulated meter can show, by name."""
    rows = (PanelItem(r["item"], r["unit"], int(r["decimals"]), r["counter"] == "1") for r in table("panel"))
    return {row.item: row for row in rows}


def in_decimals(ticks: int, have: int, want: int) -> int:
    """Give ticks in other decimals; what does not fit is cut off, as a meter's display does.

    >>> in_decimals(-12345, 4, 2), in_decimals(12, 1, 3)
    (-123, 1200)
    """
    if want >= have:
        return int(ticks * 10 ** (want - have))
    return int(math.copysign(abs(ticks) // 10 ** (have - want), ticks))


class Moment:
    """One meter at one instant.

    Parameters
    ----------
    faults
        Those ordered for the meter, in force or not; without them the moment is the truth.
    set_by_ms
        How far somebody set the meter's own clock [ms].
    """

    def __init__(self, meter: Meter, at_ms: int, faults: Sequence[Fault] = (), set_by_ms: int = 0) -> None:
        self.meter, self.at_ms = meter, at_ms
        self._ordered, self._set_by_ms = faults, set_by_ms
        self.faults = [fault for fault in faults if fault.holds(at_ms)]

    def at(self, at_ms: int) -> Moment:
        """Give the same meter at another instant."""
        return Moment(self.meter, at_ms, self._ordered, self._set_by_ms)

    def ticks(self, item: str) -> int | None:
        """Give what it shows of an item, in the panel's decimals; None if it shows that there is nothing."""
        if self.has(FaultKind.BLANK) and not panel()[item].counter and item not in ("clock", "ct_ratio"):
            return None
        return _SHOWN[item](self)

    def true(self, item: str) -> int:
        """Give what a healthy meter would show; a counter without the cut to its digits, since its start."""
        healthy = Moment(self.meter, self.at_ms)
        if panel()[item].counter:
            return _scaled(item, healthy.counted)
        return _SHOWN[item](healthy)

    def has(self, kind: FaultKind) -> bool:
        """Whether a fault of a kind is in force."""
        return any(fault.kind is kind for fault in self.faults)

    def sum_of(self, kind: FaultKind) -> int:
        """Sum of the values of the faults of a kind in force."""
        return sum(fault.value for fault in self.faults if fault.kind is kind)

    @property
    def counted(self) -> int:
        """The register as it would be without faults and without end [steps]."""
        return self.meter.counted(self.at_ms)

    @property
    def register(self) -> int:
        """What the counter shows [steps]."""
        return shown(self.meter.counted, self._ordered, self.meter.modulus, self.at_ms)

    @property
    def clock_ms(self) -> int:
        """What the meter's own clock shows [ms, UTC]."""
        drift = sum(
            fault.value * (self.at_ms - fault.from_ms) // HOUR_MS
            for fault in self.faults
            if fault.kind is FaultKind.DRIFT
        )
        return self.at_ms + self.sum_of(FaultKind.CLOCK) * 1000 + drift + self._set_by_ms

    @property
    def lost(self) -> frozenset[str]:
        """Phases without voltage."""
        told = (fault.value or 1 for fault in self.faults if fault.kind is FaultKind.PHASE)
        return frozenset(PHASES[value - 1] for value in told)

    @property
    def factor(self) -> int:
        """How often the power it shows is the true one; negative when it is reversed."""
        times = math.prod(fault.value for fault in self.faults if fault.kind is FaultKind.OVER)
        return -times if self.has(FaultKind.REVERSED) else times

    def phase_power(self, phase: str) -> int:
        """Power of one phase [0.0001 kW]."""
        if phase in self.lost:
            return 0
        total = self.meter.power(self.at_ms) * 100 * self.factor
        ratio = math.prod(fault.value for fault in self.faults if fault.kind is FaultKind.RATIO)
        third = total // ratio // 3
        return third if phase != "c" else total // ratio - 2 * third

    def voltage(self, phase: str) -> int:
        """Voltage of one phase [0.1 V]."""
        if phase in self.lost:
            return 0
        wave = math.sin(self.at_ms / 17_000 + self.meter.seed)
        middle, swing = {"a": (2300, 15), "b": (2302, 12), "c": (2297, 18)}[phase]
        return middle + round(swing * wave)

    def status(self, word: int) -> int:
        """One of the seven status words: what the faults mean, and what was ordered bit by bit."""
        told = (
            fault.value & 0xFFFF
            for fault in self.faults
            if fault.kind is FaultKind.STATUS and fault.value >> 16 == word
        )
        found = functools.reduce(int.__or__, told, 0)
        if self.has(FaultKind.REVERSED):
            found |= {1: 1 << 4, 2: 0b111, 4: 1 << 6, 5: 1 << 6, 6: 1 << 6}.get(word, 0)
        if self.lost:
            broken = 4 <= word <= 6 and PHASES[word - 4] in self.lost
            found |= 1 << 0 | 1 << 7 if broken else 1 << 2 if word == 7 else 0
        return found


def _scaled(item: str, steps: int) -> int:
    """A counter's register in the item's own size: a heat meter's water goes with its heat."""
    return steps // 7 if item == "volume" else steps


def _tariff(moment: Moment, number: int) -> int:
    """Register of a tariff: fixed shares of the total, so that the four sum up to it."""
    parts = [moment.register // 5, moment.register * 3 // 10, moment.register * 3 // 10]
    return parts[number] if number < 3 else moment.register - sum(parts)


def _total(moment: Moment) -> int:
    return sum(moment.phase_power(phase) for phase in PHASES)


def _wave(moment: Moment, period_ms: int) -> float:
    return math.sin(moment.at_ms / period_ms + moment.meter.seed)


_SHOWN: dict[str, Callable[[Moment], int]] = {
    "energy": lambda m: m.register,
    "energy_combined": lambda m: m.register // 2,
    "energy_export": lambda _: 0,
    "energy_reactive": lambda m: m.register // 2,
    "energy_reactive_export": lambda _: 0,
    "amount": lambda m: m.register,
    "power": _total,
    "reactive_power": lambda m: _total(m) * 33 // 100,
    "apparent_power": lambda m: abs(_total(m)) * 20 // 19,
    "power_factor": lambda m: -950 if m.has(FaultKind.REVERSED) else 950,
    "frequency": lambda m: 5000 + round(2 * _wave(m, 17_000)),
    "temperature": lambda m: 250 + round(20 * _wave(m, 17_000)),
    "demand_max": lambda m: m.meter.curve.mean(m.at_ms) * 100,
    "demand": lambda m: m.meter.curve.mean(m.at_ms) * 100,
    "value": _total,
    "ct_ratio": lambda _: 1,
    "clock": lambda m: m.clock_ms // 1000,
    "volume": lambda m: _scaled("volume", m.register),
    "volume_settled": lambda _: 0,
    "heat": lambda m: m.register,
    "heat_settled": lambda _: 0,
    "power_thermal": lambda m: _total(m) // 100,
    "volume_flow": lambda m: _total(m) // 40,
    "temperature_supply": lambda m: 5500 + round(150 * _wave(m, 600_000)),
    "temperature_return": lambda m: 4000 + round(90 * _wave(m, 600_000)),
    "working_hours": lambda m: (m.at_ms - _HOURS_FROM_MS) // HOUR_MS,
    "status": lambda m: m.status(0),
}
for _number in range(4):
    _SHOWN[f"energy_t{_number + 1}"] = functools.partial(_tariff, number=_number)
    _SHOWN[f"energy_export_t{_number + 1}"] = _SHOWN["energy_export"]
for _word in range(1, 8):
    _SHOWN[f"status_{_word}"] = functools.partial(Moment.status, word=_word)
for _phase in PHASES:
    _SHOWN[f"power_{_phase}"] = functools.partial(Moment.phase_power, phase=_phase)
    _SHOWN[f"power_factor_{_phase}"] = _SHOWN["power_factor"]
    _SHOWN[f"reactive_power_{_phase}"] = functools.partial(
        lambda m, phase: m.phase_power(phase) * 33 // 100, phase=_phase
    )
    _SHOWN[f"voltage_{_phase}"] = functools.partial(Moment.voltage, phase=_phase)
    _SHOWN[f"current_{_phase}"] = functools.partial(
        lambda m, phase: abs(m.phase_power(phase)) * 9 // 20, phase=_phase
    )
