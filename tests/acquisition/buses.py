"""Simulated lines for tests: a bus with meters of any protocols, in memory, on TCP or on a pseudo-terminal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from acquisition.simulator.bus import Bus, Speed, Terms, Told
from acquisition.simulator.carriers import PtyCarrier, TcpCarrier
from acquisition.simulator.faults import Fault
from acquisition.simulator.station import Station
from acquisition.simulator.stations import make_station

NOW_MS = 1_780_000_000_000 // 3_600_000 * 3_600_000 + 754_000
E1, E2, E3 = "000000000161", "201000000012", "000000052086"
W1, H1 = "78330011223344", "00740012064713"


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
