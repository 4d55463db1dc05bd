"""Slots: what the watch keeps per point, as columns; `Columns` is the store every detector keeps its own in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Facts
from nengliu.domain.points import Kind
from nengliu.domain.units import dimension

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Slots = npt.NDArray[np.int32]
COUNTER, GAUGE, PERIOD = range(3)
_KINDS = {Kind.COUNTER: COUNTER, Kind.GAUGE: GAUGE, Kind.PERIOD: PERIOD}
NEVER = -1
"""A time that has not been."""


class Columns:
    """Equally long columns that grow with the number of slots; missing rows have the column's default."""

    def __init__(self, **columns: tuple[str, object]) -> None:
        """Columns as name -> (dtype, default)."""
        self.columns = columns
        self.size = 0
        self.arrays: dict[str, Array] = {
            name: np.full(64, default, dtype) for name, (dtype, default) in columns.items()
        }

    def fit(self, size: int) -> None:
        """Make room for slots below `size`."""
        room = len(next(iter(self.arrays.values())))
        if size > room:
            more = max(size, 2 * room) - room
            for name, (dtype, default) in self.columns.items():
                self.arrays[name] = np.concatenate([self.arrays[name], np.full(more, default, dtype)])
        self.size = max(self.size, size)

    def __getitem__(self, name: str) -> Array:
        """Give a column (a view of its used rows)."""
        return self.arrays[name][: self.size]

    def snapshot(self) -> dict[str, Array]:
        """Copy of all columns."""
        return {name: self[name].copy() for name in self.columns}

    def resume(self, state: dict[str, Array]) -> None:
        """Go on with what `snapshot` gave."""
        size = len(next(iter(state.values())))
        self.fit(size)
        for name, column in state.items():
            self.arrays[name][:size] = column


FACTS: dict[str, tuple[str, object]] = {
    "enterprise": ("i4", 0),
    "known": ("?", False),
    "kind": ("i1", COUNTER),
    "interval_s": ("i8", 0),
    "rated": ("i8", 0),
    "minimum": ("i8", -(2**62)),
    "maximum": ("i8", 2**62),
    "valid_to_s": ("i8", 2**62),
    "modulus": ("i8", 0),
    "worth": ("i8", 1),
    "meters": ("i4", 0),
    "supply": ("?", False),
    "voltage": ("?", False),
    "parent": ("i4", NEVER),
}
"""Of the catalogue: rated [ticks/h], 0: none; worth [ticks/step]; supply: it shows voltage or electric power;
parent: slot of the supply above it."""

TRAIL: dict[str, tuple[str, object]] = {
    "seen_s": ("i8", NEVER),
    "quiet": ("?", False),
    "born": ("u8", 2**64 - 1),
    "at_ms": ("i8", NEVER),
    "ticks": ("i8", 0),
    "clock_s": ("i8", NEVER),
    "since_ms": ("i8", NEVER),
}
"""Of the stream: clock at the last sign of life, whether its silence is told, position of the first reading;
the newest reading by event time, and since when it shows that value."""


class SlotTable:
    """Points of a shard: numbers, facts and trail."""

    def __init__(self) -> None:
        """Start empty; `changes` [ms]: when the meters of a point with several began to serve."""
        self.points: list[tuple[str, str]] = []
        self.enterprises: list[str] = []
        self.facts, self.trail = Columns(**FACTS), Columns(**TRAIL)
        self.changes: dict[int, Ints] = {}
        self.places: dict[int, str] = {}
        self._slots: dict[tuple[str, str], int] = {}
        self._enterprises: dict[str, int] = {}

    def __len__(self) -> int:
        """Count the slots."""
        return len(self.points)

    def enterprise(self, code: str) -> int:
        """Number of an enterprise."""
        found = self._enterprises.get(code)
        if found is None:
            found = self._enterprises[code] = len(self.enterprises)
            self.enterprises.append(code)
        return found

    def find(self, point: tuple[str, str]) -> int | None:
        """Number of a point, if it has one."""
        return self._slots.get(point)

    def slot(self, point: tuple[str, str]) -> int:
        """Number of a point, given at first sight."""
        found = self._slots.get(point)
        if found is None:
            found = self._slots[point] = len(self.points)
            self.points.append(point)
            self.facts.fit(found + 1)
            self.trail.fit(found + 1)
            self.facts["enterprise"][found] = self.enterprise(point[0])
        return found

    def learn(self, slot: int, facts: Facts) -> None:
        """Take over what the catalogue says of a point."""
        point, column = facts.point, self.facts
        values: dict[str, object] = {
            "known": True,
            "kind": _KINDS[point.kind],
            "interval_s": point.interval_s,
            "rated": point.rated or 0,
            "minimum": -(2**62) if point.minimum is None else point.minimum,
            "maximum": 2**62 if point.maximum is None else point.maximum,
            "valid_to_s": min(point.valid_to_ms // 1000, 2**62),
            "meters": len(facts.services),
            "supply": point.kind is Kind.GAUGE and dimension(point.unit) in ("power", "voltage"),
            "voltage": dimension(point.unit) == "voltage",
        }
        if facts.services:
            last = facts.services[-1]
            values |= {"modulus": last.meter.modulus, "worth": last.ticks_per_step}
        if len(facts.services) > 1:
            self.changes[slot] = np.array([service.meter.from_ms for service in facts.services], np.int64)
        for name, value in values.items():
            column[name][slot] = value
        self.places[slot] = point.place
        if column["supply"][slot]:
            self._hang(point.enterprise)

    def _hang(self, enterprise: str) -> None:
        """Find each supply's parent anew: the nearest one of the enterprise whose place lies above."""
        number = self.enterprise(enterprise)
        mine = np.flatnonzero(self.facts["supply"] & (self.facts["enterprise"] == number)).tolist()
        at = {self.places[slot]: slot for slot in reversed(mine)}
        for slot in mine:
            steps = self.places[slot].split("/")
            above = ("/".join(steps[:n]) for n in range(len(steps) - 1, 0, -1))
            self.facts["parent"][slot] = next((at[place] for place in above if place in at), NEVER)

    def snapshot(self) -> object:
        """Copy of everything."""
        names = list(self.points), list(self.enterprises), dict(self.changes), dict(self.places)
        return *names, self.facts.snapshot(), self.trail.snapshot()

    def resume(self, state: Any) -> None:
        """Go on with what `snapshot` gave."""
        points, enterprises, changes, places, facts, trail = state
        self.changes, self.places = dict(changes), dict(places)
        for code in enterprises:
            self.enterprise(code)
        for point in points:
            self.slot(point)
        self.facts.resume(facts)
        self.trail.resume(trail)
