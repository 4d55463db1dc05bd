"""Meters in process, and a desk that remembers: what the tests of scheduler and collector share."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from factories import ENTERPRISE
from virtual import VirtualClock

from acquisition.codecs.exchange import Answer, Block
from acquisition.codecs.modbus import RegisterBlock
from acquisition.codecs.registers import Register, RegisterType
from acquisition.drivers.config import BufferPlan, CollectorConfig, Line, Meter
from acquisition.drivers.lines.line import LineTask
from acquisition.drivers.meters.register_maps import RegisterMap
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Origin, Quality, Reason
from nengliu.errors import LinkError
from schemas.messages import LinkEvent, Missed

START_MS = 1_700_000_000_000 // 900_000 * 900_000
MINUTE = 60_000
Manners = Callable[[int, int], list[int]]
FILE = """
name = "c1"
[enterprise]
enterprise = "{enterprise}"
[[lines]]
name = "north"
host = "127.0.0.1"
port = {port}
timeout_s = {timeout_s}
"""
METER = """
[[lines.meters]]
name = "m{unit}"
unit = {unit}
map = "generic"
interval_s = 1
schema = {unit}
[lines.meters.points]
voltage_a = "u{unit}"
frequency = "f{unit}"
"""


def make_meter(unit: int = 1, interval_s: int = 60, registers: int = 2, gap: int = 0, **given: Any) -> Meter:
    """Make a meter `m<unit>` with u16 registers r0, r1 ... at the points m<unit>-r0 ..."""
    made = tuple(
        Register(f"r{n}", 3, n * (1 + gap), RegisterType.U16, scale=Decimal("0.1"), unit="kW", decimals=1)
        for n in range(registers)
    )
    plan = RegisterMap("test", "", "", 125, given.pop("max_gap", gap), made)
    points = tuple((one, f"m{unit}-{one.name}") for one in made)
    fixed: dict[str, Any] = {
        "name": f"m{unit}",
        "address": str(unit),
        "map": plan,
        "interval_s": interval_s,
        "schema": unit,
        "items": points,
    }
    return Meter(**(fixed | given))


def make_line(*meters: Meter, **given: Any) -> Line:
    fixed: dict[str, Any] = {
        "name": "line",
        "host": "127.0.0.1",
        "port": 502,
        "timeout_s": 0.1,
        "pause_ms": 0,
    }
    return Line(**(fixed | {"meters": meters or (make_meter(),)} | given))


def make_config(*lines: Line, **given: Any) -> CollectorConfig:
    fixed: dict[str, Any] = {
        "name": "c1",
        "code": ENTERPRISE,
        "align_ms": 1000,
        "heartbeat_s": 60,
        "enterprise": None,
        "points": (),
        "buffer": BufferPlan(),
    }
    return CollectorConfig(**(fixed | {"lines": lines or (make_line(),)} | given))


def make_toml(port: int, units: Sequence[int], timeout_s: float = 0.4) -> str:
    """Write a collector.toml of one line whose meters are due every second."""
    head = FILE.format(enterprise=ENTERPRISE, port=port, timeout_s=timeout_s)
    return head + "".join(METER.format(unit=unit) for unit in units)


def raises(reason: str, **parameters: object) -> Manners:
    def manners(address: int, count: int) -> list[int]:
        raise LinkError(reason, reason, **parameters)

    return manners


def answers(address: int, count: int) -> list[int]:
    return list(range(100 + address, 100 + address + count))


@dataclass
class Meters:
    """A transport without a wire; `manners` by unit may change while it runs."""

    clock: VirtualClock
    manners: dict[int, Manners] = field(default_factory=dict)
    refuses_connections: bool = False
    takes_ms: int = 0
    asked: list[tuple[int, int, int, int]] = field(default_factory=list)
    connects: list[int] = field(default_factory=list)
    connected: bool = False

    async def connect(self) -> None:
        self.connects.append(self.clock.now_ms())
        self.connected = False
        if self.refuses_connections:
            raise LinkError("LINE_DOWN", "refused")
        self.connected = True

    async def ask(self, address: str, block: Block) -> Answer:
        assert self.connected, "asked without a connection"
        assert isinstance(block, RegisterBlock)
        self.asked.append((self.clock.now_ms(), int(address), block.address, block.count))
        if self.takes_ms:
            await self.clock.sleep_until(self.clock.now_ms() + self.takes_ms)
        try:
            return block.decode(self.manners.get(int(address), answers)(block.address, block.count))
        except LinkError as error:
            self.connected = error.reason != "LINE_DOWN"
            raise

    async def close(self) -> None:
        self.connected = False

    def units(self) -> list[int]:
        """Units in the order in which they were asked."""
        return [unit for _, unit, _, _ in self.asked]


@dataclass
class Desk:
    """Remembers what a line hands in; a state survives the line."""

    rows: list[tuple[str, int, dict[str, int]]] = field(default_factory=list)
    marks: list[tuple[Origin, dict[str, Quality], bytes]] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    events: list[LinkEvent] = field(default_factory=list)
    states: dict[str, tuple[str, int]] = field(default_factory=dict)
    polls: int = 0

    def row(
        self,
        meter: Meter,
        read_at_ms: int,
        values: Mapping[str, int],
        *,
        origin: Origin = Origin.TIMED,
        quality: Mapping[str, Quality] | None = None,
        raw: bytes = b"",
    ) -> None:
        self.rows.append((meter.name, read_at_ms, dict(values)))
        self.marks.append((origin, dict(quality or {}), raw))

    def miss(self, missed: Missed) -> None:
        self.missed.append(missed)

    def tell(self, event: LinkEvent) -> None:
        self.events.append(event)

    def polled(self) -> None:
        self.polls += 1

    def put_state(self, name: str, value: str, since_ms: int) -> None:
        self.states[name] = value, since_ms

    def state(self, name: str) -> tuple[str, int] | None:
        return self.states.get(name)

    def said(self) -> list[tuple[str, str, str]]:
        """Events as (kind, meter, reason)."""
        return [(LinkKind(e.kind).name, e.meter, Reason(e.reason).name) for e in self.events]

    def lost(self) -> dict[tuple[str, str], int]:
        """Missing readings by point and reason."""
        found: dict[tuple[str, str], int] = defaultdict(int)
        for one in self.missed:
            for point in one.points:
                found[point, Reason(one.reason).name] += one.count
        return dict(found)


def run_line(
    line: Line,
    until_ms: int,
    desk: Desk,
    prepare: Callable[[Meters], object] = lambda meters: None,
    *,
    start_ms: int = START_MS,
    script: Callable[[Meters, VirtualClock], Coroutine[Any, Any, None]] | None = None,
) -> Meters:
    """Run a line in virtual time from `start_ms` for `until_ms`, with meters as `prepare` makes them."""
    clock = VirtualClock(start_ms)
    meters = Meters(clock)
    prepare(meters)

    async def work() -> None:
        with clock.ruling():
            task = asyncio.create_task(LineTask(line, meters, clock, desk, 1000).run())
            other = asyncio.create_task(script(meters, clock)) if script else None
            await clock.sleep_until(start_ms + until_ms)
            for one in filter(None, (task, other)):
                one.cancel()
            results = await asyncio.gather(*filter(None, (task, other)), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                    raise result

    asyncio.run(work())
    return meters
