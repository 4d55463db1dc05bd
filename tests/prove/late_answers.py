"""Point 4: answers on a Modbus RTU line that come after their timeout, ours beside a stock master on the same line."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import rig
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

sys.path.insert(0, str(Path(__file__).parents[1] / "acquisition"))

from buses import NOW_MS, make_bus, on_tcp, stations
from virtual import MemoryWire, VirtualClock

from acquisition.codecs.modbus import RegisterBlock
from acquisition.codecs.registers import Register
from acquisition.drivers.clock import Clock, SystemClock
from acquisition.drivers.lines.half_duplex import HalfDuplex
from acquisition.drivers.lines.wires import TcpWire
from acquisition.drivers.meters.meter_maps import load_map
from acquisition.simulator.bus import Bus
from acquisition.simulator.faults import Fault, FaultKind
from acquisition.simulator.station import Station
from nengliu.errors import LinkError

NAMES = ("energy", "energy_export", "energy_reactive", "amount")
"""Registers of four words each, so that the answers to all of them look alike."""
EXCHANGES, REAL = 20_000, 40
TIMEOUT_S, BAUD = 0.3, 9600
LATE_MS, A_LITTLE_MS = (50, 4000), (50, 500)


@dataclass(frozen=True)
class Lateness:
    """How many questions are asked, and by how much the answers to some of them are late [ms]."""

    rng: random.Random
    by_ms: tuple[int, int]
    count: int


class Tally:
    """What came of questions: right values, wrong ones taken for good, and refusals to believe."""

    def __init__(self) -> None:
        self.right, self.wrong, self.none = 0, 0, 0

    def count(self, *, right: bool) -> None:
        """Count a value that was taken for good."""
        self.right, self.wrong = self.right + right, self.wrong + (not right)

    def text(self) -> str:
        """Say it in a few words."""
        return f"{self.right} right, {self.wrong} wrong, {self.none} without a value"


def prove(report: rig.Report, seed: int) -> None:
    """Ask at random while the meters answer late at random."""
    ours = asyncio.run(_virtually(seed))
    report.point(
        f"4 {EXCHANGES} questions to a line whose meters answer up to {LATE_MS[1] / 1000:.0f} s late",
        ours.text(),
        holds=ours.wrong == 0 and ours.right > EXCHANGES // 10 and ours.none > EXCHANGES // 10,
    )
    stock, beside = asyncio.run(_really(seed))
    report.point("4 on a real port: ours", beside.text(), holds=beside.wrong == 0 and beside.right > 0)
    report.point(
        "4 on the same port a stock master takes late answers for others (so the race is there)",
        stock.text(),
        holds=stock.wrong > 0,
    )


async def _virtually(seed: int) -> Tally:
    rng, clock = random.Random(seed), VirtualClock(NOW_MS)
    meters = stations(("modbus-rtu", "r1", "3"), ("modbus-rtu", "r2", "4"))
    bus = make_bus(meters, clock.now_ms, baud=BAUD, reply_ms=(20, 120))
    line, late = HalfDuplex(MemoryWire(bus, clock), clock, TIMEOUT_S, BAUD), Lateness(rng, LATE_MS, EXCHANGES)
    with clock.ruling():
        return await _ask_all(bus, meters, line, clock, late)


async def _really(seed: int) -> tuple[Tally, Tally]:
    """A stock master, then ours, on one port; each other question is answered late."""
    meters = stations(("modbus-rtu", "r1", "3"))
    bus = make_bus(meters, lambda: time.time_ns() // 1_000_000, reply_ms=(5, 5))
    async with on_tcp(bus) as port:
        stock = await _by_stock(bus, meters[0], port)
        clock, late = SystemClock(), Lateness(random.Random(seed), A_LITTLE_MS, REAL)
        line = HalfDuplex(TcpWire("127.0.0.1", port, clock), clock, TIMEOUT_S)
        ours = await _ask_all(bus, meters, line, clock, late)
    return stock, ours


async def _ask_all(
    bus: Bus, meters: list[Station], line: HalfDuplex, clock: Clock, lateness: Lateness
) -> Tally:
    tally, rng = Tally(), lateness.rng
    await line.connect()
    for _ in range(lateness.count):
        now_ms, late = clock.now_ms(), rng.random() < 0.4
        bus.obey([_late(now_ms, rng.randint(*lateness.by_ms))] if late else [])
        meter, register = rng.choice(meters), rng.choice(_registers())
        try:
            answer = await line.ask(meter.address, _block(register))
        except LinkError:
            tally.none += 1
        else:
            shown = _shown(bus, meter, register.name, now_ms, clock.now_ms())
            tally.count(right=answer.values[register.name] in shown)
    await line.close()
    return tally


async def _by_stock(bus: Bus, meter: Station, port: int) -> Tally:
    tally = Tally()
    client = AsyncModbusTcpClient("127.0.0.1", port=port, framer=FramerType.RTU, timeout=TIMEOUT_S, retries=0)
    await client.connect()
    for number in range(REAL):
        now_ms = time.time_ns() // 1_000_000
        bus.obey([_late(now_ms, 450)] if number % 2 == 0 else [])
        register = _registers()[number % len(NAMES)]
        try:
            found = await client.read_holding_registers(
                register.address, count=register.length, device_id=int(meter.address)
            )
        except ModbusException:
            tally.none += 1
            await client.connect()
        else:
            raw = int.from_bytes(b"".join(word.to_bytes(2) for word in found.registers), signed=True)
            shown = _shown(bus, meter, register.name, now_ms, time.time_ns() // 1_000_000)
            tally.count(right=raw in shown)
    client.close()
    return tally


def _shown(bus: Bus, meter: Station, name: str, from_ms: int, to_ms: int) -> range:
    """What the counter showed between the question and its answer: it only rises."""
    low, high = (bus.moment(meter, at_ms).ticks(name) for at_ms in (from_ms, to_ms))
    return range(low, high + 1)


def _late(now_ms: int, value: int) -> Fault:
    return Fault(FaultKind.LATE, from_ms=now_ms, to_ms=now_ms + 600_000, value=value)


def _registers() -> list[Register]:
    return [one for one in load_map("generic").registers if one.name in NAMES]


def _block(register: Register) -> RegisterBlock:
    return RegisterBlock(register.function, register.address, register.length, (register,))
