"""Lines of simulated meters, read by a scheduler in virtual time: what its tests share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from buses import make_bus
from meters import Desk
from virtual import MemoryWire, VirtualClock

from acquisition.drivers.config import Line, Meter
from acquisition.drivers.lines.half_duplex import HalfDuplex
from acquisition.drivers.lines.line import LineTask
from acquisition.drivers.meters.frame_maps import read_map
from acquisition.drivers.meters.meter_maps import MeterMap, load_map
from acquisition.simulator.bus import Bus, Told
from acquisition.simulator.faults import Fault
from acquisition.simulator.station import Station
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Origin
from nengliu.domain.times import HOUR_MS

START_MS = 1_780_000_000_000 // HOUR_MS * HOUR_MS + 30 * 60_000
"""Half past an hour, in the middle of a day in China."""
SECOND, MINUTE = 1000, 60_000
DLT645 = read_map(
    "test645",
    {
        "title": "t",
        "source": "s",
        "protocol": "dlt645-2007",
        "blocks": [
            {"identifier": "0001FF00"},
            {"identifier": "0201FF00"},
            {"identifier": "02030000"},
        ],
        "frozen": ["050401"],
        "clock": "04000101",
        "status": ["040005FF"],
    },
    "test645",
)
Script = Callable[[LineTask, VirtualClock], Coroutine[Any, Any, None]]


def meter_of(station: Station, items: Sequence[str], interval_s: int = 900, **given: Any) -> Meter:
    """Make the collector's meter of a simulated one; its points are ``<name>.<item>``."""
    plan: MeterMap = DLT645 if "dlt645" in type(station).__module__ else load_map("generic")
    known = {item.name: item for item in plan.items}
    wanted = tuple((known[name], f"{station.name}.{name}") for name in items)
    fixed: dict[str, Any] = {
        "name": station.name,
        "address": station.address,
        "map": plan,
        "interval_s": interval_s,
        "schema": 1,
        "items": wanted,
    }
    return Meter(**(fixed | given))


def line_of(*meters: Meter, **given: Any) -> Line:
    """Make a serial line of 9600 baud."""
    fixed: dict[str, Any] = {
        "name": "line",
        "kind": "serial",
        "device": "/dev/ttyS9",
        "baud": 9600,
        "timeout_s": 1.0,
        "pause_ms": 0,
    }
    return Line(**(fixed | {"meters": meters} | given))


def read_line(
    line: Line,
    simulated: Sequence[Station],
    for_ms: int,
    desk: Desk,
    *,
    start_ms: int = START_MS,
    faults: Sequence[Fault] = (),
    script: Script | None = None,
    told: list[Told] | None = None,
    set_clocks: bool = False,
) -> Bus:
    """Read a line of simulated meters for a while in virtual time."""
    clock = VirtualClock(start_ms)
    bus = make_bus(simulated, clock.now_ms, baud=line.baud, reply_ms=(30, 90), faults=faults, told=told)
    way = HalfDuplex(MemoryWire(bus, clock), clock, line.timeout_s, line.baud)

    async def work() -> None:
        with clock.ruling():
            task = LineTask(line, way, clock, desk, 1000, set_clocks=set_clocks)
            running = [asyncio.create_task(task.run())]
            if script is not None:
                running.append(asyncio.create_task(script(task, clock)))
            await clock.sleep_until(start_ms + for_ms)
            for one in running:
                one.cancel()
            for found in await asyncio.gather(*running, return_exceptions=True):
                if isinstance(found, BaseException) and not isinstance(found, asyncio.CancelledError):
                    raise found

    asyncio.run(work())
    return bus


def shown(bus: Bus, station: Station, item: str, at_ms: int) -> int:
    """What a meter showed at an instant, in hundredths."""
    return bus.moment(station, at_ms).ticks(item)


def values_of(desk: Desk, point: str, origin: Origin = Origin.TIMED) -> dict[int, int]:
    """Values of a point by the instant they hold for."""
    return {
        at_ms: values[point]
        for (_, at_ms, values), (came, _, _) in zip(desk.rows, desk.marks, strict=True)
        if point in values and came is origin
    }


def told_of(desk: Desk, *kinds: LinkKind) -> list[tuple[str, dict[str, str]]]:
    """Events of these kinds, with their parameters."""
    return [(LinkKind(one.kind).name, one.parameters) for one in desk.events if one.kind in kinds]
