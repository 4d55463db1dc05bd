"""What carries a bus to its masters: a TCP port, or a pseudo-terminal that looks like a serial port.

A carrier plays what the bus says at the times the bus says; neither paces nor buffers by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from acquisition.simulator.bus import Bus

READ = 4096


class Carrier(Protocol):
    """A port of a bus."""

    @property
    def bus(self) -> Bus:
        """What it carries."""

    @property
    def is_open(self) -> bool:
        """Whether masters find the port."""

    async def start(self) -> None:
        """Open the port; OSError if it cannot be had."""

    async def stop(self) -> None:
        """Close the port and hang up."""


class Player:
    """Says what a bus says, at its times [ms of the line, from the steady clock].

    Parameters
    ----------
    say
        Hands bytes to whoever listens, given who asked.
    """

    def __init__(self, bus: Bus, say: Callable[[bytes, object], None]) -> None:
        self.bus, self._say = bus, say
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether masters find the port."""
        return self._task is not None

    def heard(self, data: bytes, asker: object = None) -> None:
        """Take what a master sent."""
        self.bus.hear(data, steady_ms(), asker)
        self._news.set()

    def play(self) -> None:
        """Begin to say what the bus says."""
        self._task = asyncio.create_task(self._play())

    async def hush(self) -> None:
        """Stop saying anything."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.bus.hush()

    async def _play(self) -> None:
        while True:
            self._news.clear()
            for data, asker in self.bus.speak(steady_ms()):
                self._say(data, asker)
            next_ms = self.bus.next_ms
            with contextlib.suppress(TimeoutError):
                wait_s = None if next_ms is None else max(next_ms - steady_ms(), 0) / 1000
                await asyncio.wait_for(self._news.wait(), wait_s)


class TcpCarrier(Player):
    """A bus on a TCP port; what is said is said to all who are connected, unless the bus is private.

    Attributes
    ----------
    port
        The real one once it is started.
    """

    def __init__(self, bus: Bus, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(bus, self._hand)
        self.host, self.port = host, port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Open the port; OSError if it cannot be had."""
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self.play()

    async def stop(self) -> None:
        """Close the port and hang up."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        await self.hush()

    def _hand(self, data: bytes, asker: object) -> None:
        """Hand bytes to the one who asked, or to all."""
        for writer in self._writers:
            if not self.bus.terms.is_private or writer is asker:
                writer.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while data := await reader.read(READ):
                self.heard(data, writer)
        except OSError:
            pass  # the master left
        finally:
            self._writers.discard(writer)
            self.bus.leave(writer)
            writer.close()


class PtyCarrier(Player):
    """A bus on a pseudo-terminal, by a link whose name stays when the port comes back.

    Parameters
    ----------
    path
        The link that masters open; it stands as long as the port is open.
    """

    def __init__(self, bus: Bus, path: Path) -> None:
        super().__init__(bus, lambda data, _: self._hand(data))
        self.path = path
        self._ends: tuple[int, int] | None = None

    async def start(self) -> None:
        """Open the pseudo-terminal and lay the link; OSError if there is none to be had."""
        ours, theirs = os.openpty()
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        self._ends = ours, theirs  # theirs stays open, so that ours does not end when a master leaves
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(theirs))
        asyncio.get_running_loop().add_reader(ours, self._read)
        self.play()

    async def stop(self) -> None:
        """Take the link away and close the pseudo-terminal."""
        if self._ends is not None:
            asyncio.get_running_loop().remove_reader(self._ends[0])
            self.path.unlink(missing_ok=True)
            for end in self._ends:
                os.close(end)
            self._ends = None
        await self.hush()

    def _hand(self, data: bytes) -> None:
        """Hand bytes to the terminal; what nobody reads is lost as on a wire."""
        if self._ends is not None:
            with contextlib.suppress(BlockingIOError):
                os.write(self._ends[0], data)

    def _read(self) -> None:
        if self._ends is not None:
            with contextlib.suppress(OSError):
                self.heard(os.read(self._ends[0], READ))


def steady_ms() -> int:
    """Time of real lines [ms]."""
    return time.monotonic_ns() // 1_000_000
