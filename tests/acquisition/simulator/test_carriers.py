"""Carriers: the same bus on a TCP port and on a pseudo-terminal, in real time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path

from buses import E1, NOW_MS, dlt, heard, make_bus, on_pty, on_tcp, stations

from acquisition.simulator.bus import Bus
from acquisition.simulator.carriers import PtyCarrier, TcpCarrier
from acquisition.simulator.faults import Fault, FaultKind

ANSWER = 24


def bus(baud: int = 0) -> Bus:
    return make_bus(stations(("dlt645-2007", "e1", E1)), baud=baud)


async def read(device: Path, request: bytes) -> bytes:
    """Ask over a terminal, as a program that knows nothing of the simulator."""
    end = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        os.write(end, request)
        got = b""
        async with asyncio.timeout(5):
            while len(got) < ANSWER:
                await asyncio.sleep(0.005)
                try:
                    got += os.read(end, 100)
                except BlockingIOError:
                    continue
        return got
    finally:
        os.close(end)


def test_tcp_port_and_terminal_say_what_the_bus_says(tmp_path: Path) -> None:
    """Both carry the same bytes; a second master on the TCP port hears them too."""
    expected = heard(bus(), dlt(E1))

    async def run() -> None:
        async with on_tcp(bus()) as port:
            listener, silent = await asyncio.open_connection("127.0.0.1", port)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(dlt(E1))
            async with asyncio.timeout(5):
                assert await reader.readexactly(ANSWER) == await listener.readexactly(ANSWER) == expected
            writer.close()
            silent.close()
        async with on_pty(bus(), tmp_path) as device:
            assert await read(device, dlt(E1)) == expected

    asyncio.run(run())


def test_terminal_paces_its_bytes(tmp_path: Path) -> None:
    """At 1200 baud request and answer take their 400 ms, whatever the terminal could do."""

    async def run() -> float:
        async with on_pty(bus(1200), tmp_path) as device:
            began = time.monotonic()
            await read(device, dlt(E1))
            return time.monotonic() - began

    bits = (20 + ANSWER) * 11
    assert bits / 1200 < asyncio.run(run()) < bits / 1200 + 2


def test_dead_port_vanishes_and_comes_back_under_its_name(tmp_path: Path) -> None:
    """A stopped carrier has no port; started again it has the one of before."""

    async def run() -> None:
        tcp, pty = TcpCarrier(bus()), PtyCarrier(bus(), tmp_path / "tty")
        for carrier in (tcp, pty):
            await carrier.start()
        port = tcp.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for carrier in (tcp, pty):
            await carrier.stop()
            assert not carrier.is_open
        with contextlib.suppress(ConnectionResetError):  # a port may be closed as hard as that
            assert await reader.read() == b""
        writer.close()
        assert not pty.path.exists()
        for carrier in (tcp, pty):
            await carrier.start()
        try:
            assert tcp.port == port
            assert await read(pty.path, dlt(E1)) == heard(bus(), dlt(E1))
        finally:
            for carrier in (tcp, pty):
                await carrier.stop()

    asyncio.run(run())


def test_bus_knows_when_it_is_dead() -> None:
    """The fault of the whole line says so, that of a meter does not."""
    line = make_bus(
        stations(("dlt645-2007", "e1", E1)), faults=[Fault(FaultKind.DEAD, "bus", from_ms=NOW_MS)]
    )
    assert line.is_dead
    line.obey([Fault(FaultKind.SILENT, "bus", "e1")])
    assert not line.is_dead
