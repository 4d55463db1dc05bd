"""Wires: raw bytes to and from a line, over a serial port or a converter that gives one over TCP.

A wire knows no protocol and no pause; it tells when its port is gone.
Source: TC 4.3.3 (RS-485 ports; TCP); pyserial 3.5 as installed.
"""

from __future__ import annotations

import asyncio
import os
import termios
from typing import Protocol

import serial

from acquisition.drivers.clock import Clock
from nengliu.errors import LinkError

CHUNK = 4096
CONNECT_S = 5.0
"""So long a converter may take to accept a connection; ours."""


class Wire(Protocol):
    """Bytes to and from one half-duplex line."""

    async def open(self) -> None:
        """Open it anew; LinkError LINE_DOWN if it cannot be had."""

    async def send(self, data: bytes) -> None:
        """Send bytes; LinkError LINE_DOWN if the port is gone."""

    async def receive(self, until_ms: int) -> bytes:
        """Give what came, at least one byte, or b"" when the steady clock shows `until_ms`.

        An instant that is past gives what is there already.  LinkError LINE_DOWN if the port is gone.
        """

    async def close(self) -> None:
        """Let go of it; harmless if it is not open."""


class TcpWire:
    """A converter that hands a serial line out over TCP, byte for byte."""

    def __init__(self, host: str, port: int, clock: Clock) -> None:
        self.where = f"{host}:{port}"
        self._host, self._port, self._clock = host, port, clock
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        """Connect anew; LinkError LINE_DOWN if there is no connection in time."""
        await self.close()
        try:
            async with asyncio.timeout(CONNECT_S):
                self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        except OSError as error:  # a TimeoutError is one
            raise lost(self.where, f"no connection within {CONNECT_S} s: {error}") from error

    async def send(self, data: bytes) -> None:
        """Send bytes; LinkError LINE_DOWN if the connection is gone."""
        if self._writer is None:
            raise lost(self.where, "no connection")
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise lost(self.where, str(error)) from error

    async def receive(self, until_ms: int) -> bytes:
        """Give what came; b"" when the time is over."""
        if self._reader is None:
            raise lost(self.where, "no connection")
        try:
            async with asyncio.timeout(_left_s(self._clock, until_ms)):
                data = await self._reader.read(CHUNK)
        except TimeoutError:
            return b""
        except OSError as error:
            raise lost(self.where, str(error)) from error
        if not data:
            raise lost(self.where, "the other end hung up")
        return data

    async def close(self) -> None:
        """Hang up."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.close()


class SerialWire:
    """A serial port of this machine, owned alone.

    Parameters
    ----------
    parity
        N, E or O.
    """

    def __init__(
        self, device: str, clock: Clock, baud: int = 2400, parity: str = "E", stop_bits: int = 1
    ) -> None:
        self.where, self._clock = device, clock
        self._baud, self._parity, self._stop_bits = baud, parity, stop_bits
        self._port: serial.Serial | None = None

    async def open(self) -> None:
        """Open the port; LinkError LINE_DOWN if it is not there, is owned by another or refuses its setting."""
        await self.close()
        try:
            self._port = serial.Serial(
                self.where,
                self._baud,
                parity=self._parity,
                stopbits=self._stop_bits,
                timeout=0,
                exclusive=True,
            )
        except (OSError, ValueError, termios.error) as error:  # a pseudo-terminal knows no parity
            setting = f"{self._baud} bit/s, parity {self._parity}, {self._stop_bits} stop bits"
            raise lost(self.where, f"{setting}: {error}") from error

    async def send(self, data: bytes) -> None:
        """Send bytes; LinkError LINE_DOWN if the port is gone."""
        port = self._opened()
        while data:
            try:
                data = data[os.write(port.fileno(), data) :]
            except BlockingIOError:
                await self._ready(port, writing=True)
            except OSError as error:
                raise lost(self.where, str(error)) from error

    async def receive(self, until_ms: int) -> bytes:
        """Give what came; b"" when the time is over."""
        port = self._opened()
        if data := self._read(port):
            return data
        try:
            async with asyncio.timeout(_left_s(self._clock, until_ms)):
                await self._ready(port)
        except TimeoutError:
            return b""
        if data := self._read(port):
            return data
        raise lost(self.where, "the port is ready and has nothing: it hung up")

    async def close(self) -> None:
        """Close the port."""
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def _read(self, port: serial.Serial) -> bytes:
        """Give what is there; b"" if there is nothing."""
        try:
            return os.read(port.fileno(), CHUNK)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise lost(self.where, str(error)) from error

    def _opened(self) -> serial.Serial:
        if self._port is None:
            raise lost(self.where, "the port is not open")
        return self._port

    @staticmethod
    async def _ready(port: serial.Serial, *, writing: bool = False) -> None:
        """Wait until the port can be read, or written."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        watch, forget = (
            (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
        )
        number = port.fileno()
        watch(number, _settle, ready)
        try:
            await ready
        finally:
            forget(number)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def lost(where: str, told: str) -> LinkError:
    """Say that a port is gone."""
    return LinkError(
        "LINE_DOWN", f"{where}: expected a line, got: {told}; see that the port or converter runs"
    )


def _left_s(clock: Clock, until_ms: int) -> float:
    return max(0.0, (until_ms - clock.steady_ms()) / 1000)
