"""A scan of a simulated line in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from buses import NOW_MS, make_bus
from virtual import MemoryWire, VirtualClock

from acquisition.drivers.scanning.scan import Plan, Report, Setting, Way, scan
from acquisition.drivers.scanning.search import Met, Pace, Searcher, Tongue
from acquisition.simulator.bus import Bus, Told
from acquisition.simulator.station import Station

SERIAL = Way("serial", device="/dev/ttyS9")


class Scanned:
    """A line with some meters; `told` holds every request that reached one, `asked` what was asked."""

    def __init__(self, meters: Sequence[Station], **options: Any) -> None:
        self.clock = VirtualClock(NOW_MS)
        self.told: list[Told] = []
        self.asked: list[str] = []
        self.opened: list[Setting] = []
        given = {"baud": 2400, "reply_ms": (20, 120)} | options
        self.bus: Bus = make_bus(meters, self.clock.now_ms, told=self.told, **given)

    async def meters(self, tongue: Tongue) -> tuple[list[Met], list[str]]:
        """Search the meters of a protocol."""
        with self.clock.ruling():
            searcher = await self._searcher()
            return await searcher.meters(tongue), searcher.unclear

    async def units(self, units: Sequence[int]) -> list[Met]:
        """Search Modbus units."""
        with self.clock.ruling():
            return await (await self._searcher()).units(units)

    async def scan(self, plan: Plan, *, baud: int = 2400, parity: str = "E") -> Report:
        """Scan the line, which listens at one setting only."""

        def wire_of(setting: Setting, clock: object) -> MemoryWire:
            del clock
            self.opened.append(setting)
            right = (setting.baud, setting.parity) == (baud, parity)
            return MemoryWire(self.bus if right else make_bus([], self.clock.now_ms), self.clock)

        with self.clock.ruling():
            return await scan(SERIAL, plan, self.clock, self.asked.append, wire_of)

    async def _searcher(self) -> Searcher:
        wire = MemoryWire(self.bus, self.clock)
        await wire.open()
        return Searcher(wire, self.clock, Pace(0.5, 2400, 50), self.asked.append)
