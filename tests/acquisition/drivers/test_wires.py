"""Wires over real sockets and pseudo-terminals: every byte comes through, and a port that is gone is told."""

from __future__ import annotations

import asyncio
import os
import termios
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import serial
from buses import make_bus, on_pty, on_tcp, stations

from acquisition.codecs.dlt645_steps import block
from acquisition.codecs.modbus import RegisterBlock
from acquisition.codecs.registers import Register, RegisterType
from acquisition.drivers.clock import SystemClock
from acquisition.drivers.lines.half_duplex import HalfDuplex
from acquisition.drivers.lines.wires import SerialWire, TcpWire, Wire
from nengliu.errors import LinkError

CLOCK = SystemClock()
ENERGY = block("dlt645-2007", "00010000")
POWER = RegisterBlock(3, 16, 2, (Register("power", 3, 16, RegisterType.I32),))


def soon_ms(wait_ms: int = 100) -> int:
    return CLOCK.steady_ms() + wait_ms


@asynccontextmanager
async def tcp_pair() -> AsyncIterator[tuple[Wire, asyncio.StreamReader, asyncio.StreamWriter]]:
    """Give a wire and the other end of its connection."""
    met: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
        asyncio.get_running_loop().create_future()
    )

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.set_result((reader, writer))

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    wire = TcpWire("127.0.0.1", server.sockets[0].getsockname()[1], CLOCK)
    await wire.open()
    reader, writer = await met
    try:
        yield wire, reader, writer
    finally:
        await wire.close()
        writer.close()
        server.close()


@asynccontextmanager
async def pty_pair() -> AsyncIterator[tuple[Wire, int]]:
    """Give a wire on a pseudo-terminal, and its other end."""
    master, slave = os.openpty()
    os.set_blocking(master, False)
    wire = SerialWire(os.ttyname(slave), CLOCK, 9600, "N")
    await wire.open()
    os.close(slave)
    try:
        yield wire, master
    finally:
        await wire.close()
        os.close(master)


def test_bytes_go_and_come_over_tcp() -> None:
    """What is sent arrives, what comes is given once, and a wait that is over gives nothing."""

    async def work() -> None:
        async with tcp_pair() as (wire, reader, writer):
            await wire.send(b"\x68\x01")
            assert await reader.readexactly(2) == b"\x68\x01"
            writer.write(b"\x00\xff" * 3)
            assert await wire.receive(soon_ms()) == b"\x00\xff" * 3
            assert await wire.receive(soon_ms(30)) == b""

    asyncio.run(work())


def test_bytes_go_and_come_over_a_serial_port() -> None:
    """Every byte value comes through as it is: no echo, no translation of line ends."""
    every = bytes(range(256))

    async def work() -> None:
        async with pty_pair() as (wire, master):
            await wire.send(every)
            await asyncio.sleep(0.05)
            assert os.read(master, 4096) == every
            os.write(master, every)
            got = b""
            while len(got) < len(every):
                piece = await wire.receive(soon_ms(1000))
                assert piece
                got += piece
            assert got == every
            assert await wire.receive(soon_ms(30)) == b""

    asyncio.run(work())


def test_past_instant_gives_what_is_there() -> None:
    """Draining a line takes no time: what waits is given, nothing is waited for."""

    async def work() -> None:
        async with tcp_pair() as (wire, _, writer), pty_pair() as (port, master):
            writer.write(b"late")
            os.write(master, b"late")
            await asyncio.sleep(0.05)
            began = time.monotonic()
            for one in (wire, port):
                assert await one.receive(0) == b"late"
                assert await one.receive(0) == b""
            assert time.monotonic() - began < 0.05

    asyncio.run(work())


def test_cancelled_wait_loses_no_byte() -> None:
    """Whoever stops waiting leaves what comes for the next."""

    async def work() -> None:
        async with tcp_pair() as (wire, _, writer), pty_pair() as (port, master):
            for one in (wire, port):
                waiting = asyncio.create_task(one.receive(soon_ms(5000)))
                await asyncio.sleep(0.02)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
            writer.write(b"kept")
            os.write(master, b"kept")
            assert await wire.receive(soon_ms(1000)) == b"kept"
            assert await port.receive(soon_ms(1000)) == b"kept"

    asyncio.run(work())


def test_port_that_vanishes_is_line_down() -> None:
    """A connection that ends, a port that is unplugged, and one that was never there: LINE_DOWN, at once."""

    async def reason_of(wire: Wire, what: str) -> str:
        with pytest.raises(LinkError) as told:
            await (wire.open() if what == "open" else wire.receive(soon_ms(3000)))
        return told.value.reason

    async def work() -> None:
        began = time.monotonic()
        async with tcp_pair() as (wire, _, writer):
            writer.close()
            assert await reason_of(wire, "receive") == "LINE_DOWN"
        master, slave = os.openpty()
        wire = SerialWire(os.ttyname(slave), CLOCK, 9600, "N")
        await wire.open()
        os.close(slave)
        os.close(master)
        assert await reason_of(wire, "receive") == "LINE_DOWN"
        with pytest.raises(LinkError):
            await wire.send(b"x" * 10)
        await wire.close()
        assert await reason_of(SerialWire("/dev/no-such-port", CLOCK), "open") == "LINE_DOWN"
        assert await reason_of(wire, "receive") == "LINE_DOWN"
        assert time.monotonic() - began < 2

    asyncio.run(work())


def test_port_that_refuses_its_setting_is_line_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some pseudo-terminals know no parity: the reason names what was asked for."""

    def refuse(*_: object, **__: object) -> None:
        raise termios.error(22, "Invalid argument")

    monkeypatch.setattr(serial, "Serial", refuse)

    with pytest.raises(LinkError, match=r"2400 bit/s, parity E, 1 stop bits: .*Invalid argument"):
        asyncio.run(SerialWire("/dev/ttyS9", CLOCK, 2400, "E").open())


def test_port_that_is_taken_is_line_down() -> None:
    """A port belongs to one alone: the second is told, and has it when the first lets go."""

    async def work() -> None:
        master, slave = os.openpty()
        name = os.ttyname(slave)
        first, second = SerialWire(name, CLOCK, 2400, "N"), SerialWire(name, CLOCK, 2400, "N")
        await first.open()
        with pytest.raises(LinkError, match="expected a line"):
            await second.open()
        await first.close()
        await second.open()
        await second.close()
        os.close(master)
        os.close(slave)

    asyncio.run(work())


def test_closed_port_of_a_converter_is_line_down() -> None:
    """Nobody listening there: LINE_DOWN; sending without a connection, too; closing is harmless."""

    async def work() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        wire = TcpWire("127.0.0.1", port, CLOCK)
        for step in (wire.open(), wire.send(b"x"), wire.receive(soon_ms())):
            with pytest.raises(LinkError) as told:
                await step
            assert told.value.reason == "LINE_DOWN"
        await wire.close()

    asyncio.run(work())


@pytest.mark.parametrize("carrier", ["tcp", "pty"])
def test_meters_are_read_over_real_lines(carrier: str, tmp_path: Path) -> None:
    """Meters of two protocols on one line, paced as at 9600 baud, over a socket and over a pseudo-terminal."""
    meters = stations(("dlt645-2007", "e1", "161"), ("modbus-rtu", "r1", "3"))
    told: list[object] = []

    async def read(wire: Wire) -> None:
        way = HalfDuplex(wire, CLOCK, 1.0, 9600)
        await way.connect()
        for _ in range(3):
            assert (await way.ask("161", ENERGY)).values
            assert (await way.ask("3", POWER)).values
        await way.close()

    async def work() -> None:
        bus = make_bus(meters, CLOCK.now_ms, baud=9600, told=told)  # type: ignore[arg-type]
        if carrier == "tcp":
            async with on_tcp(bus) as port:
                await read(TcpWire("127.0.0.1", port, CLOCK))
        else:
            async with on_pty(bus, tmp_path) as device:
                await read(SerialWire(str(device), CLOCK, 9600, "N"))

    asyncio.run(work())

    assert len(told) == 6
