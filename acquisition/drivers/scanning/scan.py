"""Scan of a line: at each setting of its port who is there, and by which map each meter is read.

It reads and does nothing else.  The first setting at which somebody answers is the line's: all
meters of a line share it.
Source: TC 4.3.5-1, 4.5.8-4; the order of steps is ours.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from acquisition.drivers.clock import Clock
from acquisition.drivers.lines.half_duplex import HalfDuplex
from acquisition.drivers.lines.modbus import ModbusTcp
from acquisition.drivers.lines.transport import Transport
from acquisition.drivers.lines.wires import SerialWire, TcpWire, Wire
from acquisition.drivers.meters.meter_maps import load_map, shipped_maps
from acquisition.drivers.scanning.fitting import Fit, fits
from acquisition.drivers.scanning.habits import PROTOCOL, by_habits
from acquisition.drivers.scanning.search import (
    ALIVE,
    PROBE,
    Met,
    Pace,
    Searcher,
    Step,
    Tongue,
    tongue_188,
    tongue_1997,
    tongue_2007,
)
from nengliu.errors import LinkError

PROTOCOLS = ("dlt645-2007", "dlt645-1997", "cjt188", "modbus")
"""In the order in which they are asked: the quick ones first."""
UNITS = range(1, 248)
METER_TYPES = (0x10, 0x20, 0x25, 0x30)
"""Cold water, heat, heat and cold, gas.  Source: protocols 2.1."""
BAUDS, PARITIES = (2400, 9600), ("E", "N")


@dataclass(frozen=True, slots=True)
class Setting:
    """How a port is set; baud 0: not known, somebody else's port."""

    baud: int = 0
    parity: str = "E"


@dataclass(frozen=True, slots=True)
class Way:
    """The way to a line, as `[[lines]]` says it: `kind` serial, serial-tcp or modbus-tcp."""

    kind: str
    host: str = ""
    port: int = 0
    device: str = ""

    def wire(self, setting: Setting, clock: Clock) -> Wire:
        """Make the wire at a setting."""
        if self.kind == "serial":
            return SerialWire(self.device, clock, setting.baud, setting.parity)
        return TcpWire(self.host, self.port, clock)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to look for, and how patiently.

    Parameters
    ----------
    maps
        Maps that are tried on what is found.
    timeout_s
        How long a meter may take to begin its answer [s].
    pause_ms
        Peace before each question [ms].
    """

    protocols: Sequence[str] = PROTOCOLS
    units: Sequence[int] = UNITS
    meter_types: Sequence[int] = METER_TYPES
    bauds: Sequence[int] = BAUDS
    parities: Sequence[str] = PARITIES
    maps: Sequence[str] = field(default_factory=shipped_maps)
    timeout_s: float = 0.5
    pause_ms: int = 50

    def settings(self, way: Way) -> list[Setting]:
        """Give the settings to try; a converter has its own, which only the length of frames asks for."""
        if way.kind == "serial":
            return [Setting(*one) for one in itertools.product(self.bauds, self.parities)]
        return [Setting(self.bauds[0])] if way.kind == "serial-tcp" else [Setting()]

    def tongues(self) -> list[Tongue]:
        """Give the protocols whose meters name themselves."""
        found = [tongue_2007()] if "dlt645-2007" in self.protocols else []
        found += [tongue_1997()] if "dlt645-1997" in self.protocols else []
        return found + ([tongue_188(one) for one in self.meter_types] if "cjt188" in self.protocols else [])

    def questions(self, way: Way) -> int:
        """Count the questions to a line on which nobody answers."""
        units = len(self.units) if "modbus" in self.protocols else 0
        openings = sum(len(tongue.openings) for tongue in self.tongues()) if way.kind != "modbus-tcp" else 0
        return len(self.settings(way)) * (units + openings)


@dataclass(frozen=True)
class Found:
    """A meter of the line, and the maps that fit it, the best first; none fits: an empty list."""

    met: Met
    fits: tuple[Fit, ...]


@dataclass(frozen=True)
class Report:
    """What a scan found.

    Parameters
    ----------
    setting
        At which somebody answered; None: nobody did.
    unclear
        Patterns of addresses under which answers could not be told apart.
    """

    way: Way
    setting: Setting | None
    meters: tuple[Found, ...] = ()
    unclear: tuple[str, ...] = ()


async def scan(
    way: Way,
    plan: Plan,
    clock: Clock,
    step: Step,
    wire_of: Callable[[Setting, Clock], Wire] | None = None,
) -> Report:
    """Find the meters of a line and read each once.

    Parameters
    ----------
    step
        Told after each question and each map that was tried.
    wire_of
        Makes the wire at a setting, where the way does not lead to it.

    Raises
    ------
    LinkError
        LINE_DOWN: the line cannot be had, or went.
    """
    if way.kind == "modbus-tcp":
        return await _scan_tcp(way, plan, step)
    make = wire_of or way.wire
    for setting in plan.settings(way):
        wire = make(setting, clock)
        await wire.open()
        try:
            pace = Pace(plan.timeout_s, setting.baud, plan.pause_ms)
            searcher = Searcher(wire, clock, pace, step)
            met = await _meet(searcher, plan)
            if met or searcher.unclear:
                transport = HalfDuplex(wire, clock, plan.timeout_s, setting.baud)
                meters = await _fit_all(transport, met, plan, step)
                return Report(way, setting, meters, tuple(searcher.unclear))
        finally:
            await wire.close()
    return Report(way, None)


async def _meet(searcher: Searcher, plan: Plan) -> list[Met]:
    """Find who is on a line; a meter that answers as two types of CJ/T 188 is met once."""
    met: dict[tuple[str, str], Met] = {}
    for tongue in plan.tongues():
        for one in await searcher.meters(tongue):
            met.setdefault((one.protocol, one.address), one)
    if "modbus" in plan.protocols:
        met |= {(one.protocol, one.address): one for one in await searcher.units(plan.units)}
    return list(met.values())


async def _scan_tcp(way: Way, plan: Plan, step: Step) -> Report:
    """Ask the units behind one connection of Modbus TCP, which numbers its questions itself."""
    transport = ModbusTcp(way.host, way.port, plan.timeout_s)
    await transport.connect()
    try:
        met: list[Met] = []
        for unit in plan.units:
            if await _answers(transport, unit):
                met.append(Met("modbus", str(unit)))
            step(str(unit))
        meters = await _fit_all(transport, met, plan, step)
    finally:
        await transport.close()
    return Report(way, Setting() if meters else None, meters)


async def _answers(transport: Transport, unit: int) -> bool:
    try:
        await transport.ask(str(unit), PROBE)
    except LinkError as error:
        if error.reason == "LINE_DOWN":
            raise
        return error.reason in ALIVE
    return True


async def _fit_all(transport: Transport, met: Sequence[Met], plan: Plan, step: Step) -> tuple[Found, ...]:
    maps = [load_map(name) for name in plan.maps]
    found: list[Found] = []
    for one in met:
        fitting = [each for each in maps if each.protocol == one.protocol]
        fitted = await fits(transport, one.address, fitting, step)
        if one.protocol == PROTOCOL:
            fitted = await by_habits(transport, one, fitted)
        found.append(Found(one, tuple(fitted)))
    return tuple(found)
