"""A scenario as it is played: its lines as buses, its faults from an instant on, its truth.

The clock is injected: the same scene runs in virtual time in memory, and in real time on TCP
ports and pseudo-terminals.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from acquisition.simulator.bus import Bus, Speed, Terms, Told
from acquisition.simulator.carriers import Carrier, PtyCarrier, TcpCarrier
from acquisition.simulator.faults import LASTING, Fault, FaultKind, shown
from acquisition.simulator.scene_file import (
    LineTable,
    MeterTable,
    Ordered,
    SceneFile,
    meter_names,
)
from acquisition.simulator.scene_file import ordered as laid_out
from acquisition.simulator.station import Station
from acquisition.simulator.stations import make_station
from acquisition.simulator.truth import Span
from nengliu.domain.times import QUARTER_MS


@dataclass(frozen=True, slots=True)
class Placed:
    """A meter of the scene: its line and table, and the station that answers for it."""

    line: LineTable
    table: MeterTable
    station: Station


class Scene:
    """Lines, meters and faults of a scenario.

    Parameters
    ----------
    start_ms
        When it begins [ms, UTC].
    clock
        Gives the time of the meters [ms, UTC].
    rate
        How many ms of the meters pass in one ms of the lines.
    tell
        Takes what becomes of every request.

    Attributes
    ----------
    buses
        By the name of their line.
    carriers
        Ports of the lines, by name, once it is served.
    """

    def __init__(
        self,
        told: SceneFile,
        start_ms: int,
        clock: Callable[[], int],
        *,
        seed: int,
        rate: float = 1.0,
        tell: Callable[[Told], None] | None = None,
    ) -> None:
        self.told, self.start_ms, self.clock, self.seed = told, start_ms, clock, seed
        self.ordered: tuple[Ordered, ...] = laid_out(told, start_ms)
        self.meters = tuple(_placed(told, seed))
        self.carriers: dict[str, Carrier] = {}
        self.buses = {line.name: self._bus(line, rate, tell) for line in told.lines}

    @property
    def end_ms(self) -> int:
        """When it is over [ms, UTC]."""
        return self.start_ms + self.told.duration_s * 1000

    def faults_of(self, placed: Placed) -> list[Fault]:
        """Give the faults ordered for a meter, in force or not."""
        name = placed.station.name
        return [one.fault for one in self.ordered if one.fault.strikes(placed.line.name, name)]

    def register(self, placed: Placed, at_ms: int) -> int:
        """Give what a meter's counter shows at an instant [steps], faults included."""
        meter = placed.station.meter
        return shown(meter.counted, self.faults_of(placed), meter.modulus, at_ms)

    def is_knowable(self, placed: Placed) -> bool:
        """Whether what was used can be told from the register."""
        return not any(fault.kind in LASTING for fault in self.faults_of(placed))

    def holds(self, kind: FaultKind) -> bool:
        """Whether a fault that the player must obey (STOPPED, UPLINK) is in force now."""
        now_ms = self.clock()
        return any(one.fault.kind is kind and one.fault.holds(now_ms) for one in self.ordered)

    def spans(self, from_ms: int, to_ms: int) -> Iterator[Span]:
        """Tell what every meter used in an interval, cut at the quarters of the hour."""
        inner = range(from_ms // QUARTER_MS * QUARTER_MS + QUARTER_MS, to_ms, QUARTER_MS)
        edges = [from_ms, *inner, to_ms]
        for start, end in itertools.pairwise(edges):
            for placed in self.meters:
                yield self._span(placed, start, end)

    def _span(self, placed: Placed, from_ms: int, to_ms: int) -> Span:
        meter = placed.station.meter
        told = {str(f.kind) for f in self.faults_of(placed) if f.from_ms < to_ms and f.to_ms > from_ms}
        return Span(
            placed.line.name,
            meter.name,
            from_ms,
            to_ms,
            meter.curve.used(from_ms, to_ms),
            self.register(placed, from_ms),
            self.register(placed, to_ms),
            meter.modulus,
            ";".join(sorted(told)),
        )

    # -- real ports -----------------------------------------------------------------------------

    async def serve(self, folder: Path, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Open the ports of all lines: pseudo-terminals as links in `folder`, TCP ports from `port` on.

        Raises
        ------
        OSError, OverflowError
            A port cannot be had; none stays open then.
        """
        try:
            for line in self.told.lines:
                await self.open(line.name, folder, host=host, port=port)
                port += 1 if port and line.kind != "serial" else 0
        except (OSError, OverflowError):
            await self.stop()
            raise

    async def open(self, name: str, folder: Path, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Open the port of one line; OSError or OverflowError if it cannot be had."""
        line = next(one for one in self.told.lines if one.name == name)
        bus = self.buses[name]
        is_serial = line.kind == "serial"
        self.carriers[name] = (
            PtyCarrier(bus, folder / f"tty-{name}") if is_serial else TcpCarrier(bus, host, port)
        )
        await self.carriers[name].start()

    async def stop(self) -> None:
        """Close all ports."""
        for carrier in self.carriers.values():
            await carrier.stop()

    async def mind(self) -> None:
        """Close the ports of lines that are dead now, and open those of lines that live again."""
        for carrier in self.carriers.values():
            if carrier.bus.is_dead and carrier.is_open:
                await carrier.stop()
            elif not carrier.bus.is_dead and not carrier.is_open:
                await carrier.start()

    def _bus(self, line: LineTable, rate: float, tell: Callable[[Told], None] | None) -> Bus:
        stations = [placed.station for placed in self.meters if placed.line is line]
        is_private = line.kind == "modbus-tcp"
        speed = Speed(0 if is_private else line.baud, line.reply_ms)
        faults = [one.fault for one in self.ordered]
        terms = Terms(speed, self.seed, rate, faults, tell, is_private)
        return Bus(line.name, stations, self.clock, terms)


def _placed(told: SceneFile, seed: int) -> Iterator[Placed]:
    """Make all meters; each has a load of its own."""
    number = 0
    for line in told.lines:
        for table in line.meters:
            for place, name in enumerate(meter_names(table)):
                number += 1
                address = str(int(table.address) + place).zfill(len(table.address))
                given = {"seed": seed, "number": number, "carrier": table.carrier, **table.options}
                yield Placed(line, table, make_station(table.protocol, name, address, **given))
