"""Simulated lines for tests: a bus with meters of any protocols, in memory, on TCP or on a pseudo-terminal."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from acquisition.simulator.bus import Bus, Speed, Terms, Told
from acquisition.simulator.carriers import PtyCarrier, TcpCarrier
from acquisition.simulator.dlt645 import framed
from acquisition.simulator.faults import Fault
from acquisition.simulator.modbus import checksum
from acquisition.simulator.station import Station
from acquisition.simulator.stations import make_station

NOW_MS = 1_780_000_000_000 // 3_600_000 * 3_600_000 + 754_000
E1, E2, E3 = "000000000161", "201000000012", "000000052086"
W1, H1 = "78330011223344", "00740012064713"

ENERGY = bytes.fromhex("00000100")
READ = 0x11


def dlt(address: str, control: int = READ, data: bytes = ENERGY) -> bytes:
    """Lay out a request of DL/T 645."""
    return b"\xfe" * 4 + framed(bytes.fromhex(address)[::-1], control, data)


def rtu(unit: int, address: int = 0, count: int = 4, function: int = 3) -> bytes:
    """Lay out a request of Modbus RTU."""
    told = struct.pack(">BBHH", unit, function, address, count)
    return told + checksum(told)


def cjt(address: str, kind: int = 0x10, identifier: bytes = b"\x1f\x90") -> bytes:
    """Lay out a request of CJ/T 188."""
    told = bytes((0x68, kind)) + bytes.fromhex(address)[::-1] + bytes((1, 3)) + identifier + b"\x07"
    return told + bytes((sum(told) & 0xFF, 0x16))


def heard(bus: Bus, request: bytes, at_ms: int = 0, until_ms: int = 10**9) -> bytes:
    """Ask a bus and give all it says until then."""
    bus.hear(request, at_ms)
    return b"".join(data for data, _ in bus.speak(until_ms))


def stations(*wanted: tuple[str, str, str], seed: int = 7) -> list[Station]:
    """Make meters from (protocol, name, address); a CJ/T 188 address that begins with 00 is a heat meter's."""
    found = []
    for number, (protocol, name, address) in enumerate(wanted):
        carrier = "heat" if protocol == "cjt188" and address.startswith("00") else ""
        found.append(make_station(protocol, name, address, seed=seed, number=number, carrier=carrier))
    return found


def make_bus(
    meters: Sequence[Station],
    clock: Callable[[], int] = lambda: NOW_MS,
    *,
    baud: int = 0,
    reply_ms: tuple[int, int] = (20, 20),
    faults: Sequence[Fault] = (),
    told: list[Told] | None = None,
    is_private: bool = False,
) -> Bus:
    """Make a line `bus`; what becomes of each request goes to `told`."""
    tell = None if told is None else told.append
    terms = Terms(Speed(baud, reply_ms), faults=faults, tell=tell, is_private=is_private)
    return Bus("bus", meters, clock, terms)


@asynccontextmanager
async def on_tcp(bus: Bus) -> AsyncIterator[int]:
    """Serve a bus on loopback; gives the port."""
    carrier = TcpCarrier(bus)
    await carrier.start()
    try:
        yield carrier.port
    finally:
        await carrier.stop()


@asynccontextmanager
async def on_pty(bus: Bus, folder: Path) -> AsyncIterator[Path]:
    """Serve a bus on a pseudo-terminal; gives the device.  Open it without parity: a pty has none."""
    carrier = PtyCarrier(bus, folder / "tty-bus")
    await carrier.start()
    try:
        yield carrier.path
    finally:
        await carrier.stop()
