"""A TCP proxy that spoils the line on order, for tests and proofs, synchronous or not.

It runs an event loop in a thread of its own; every order is in force when the call returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

CHUNK = 65_536
PATIENCE_S = 10.0


class Proxy:
    """Passes bytes from `port` to a server, and cuts, swallows, drops or delays them on order.

    Parameters
    ----------
    host, target
        The server behind the proxy.
    port
        Port to listen on; 0 lets the system choose.

    Attributes
    ----------
    drop_every
        Every n-th packet from a client vanishes (0: none); counted over all connections.
    delay_s
        Each packet waits this long, either way [s].
    connections
        Connections accepted so far.
    """

    def __init__(self, host: str, target: int, port: int = 0) -> None:
        self.target = (host, target)
        self.port = port
        self.drop_every = 0
        self.delay_s = 0.0
        self.connections = 0
        self._packets = 0
        self._swallowing = False
        self._links: dict[asyncio.Task[None], _Link] = {}
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.accept()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def accept(self) -> None:
        """Listen (again), on the same port as before."""
        self._do(self._listen())

    def refuse(self) -> None:
        """Refuse new connections: nobody listens.  Those that are open stay."""
        self._do(self._deafen())

    def cut(self) -> None:
        """Reset every open connection, on both sides (RST)."""
        self._do(self._cut())

    def swallow(self) -> None:
        """Half-open from now on: connections stay, whatever is sent on them vanishes, and so do new ones."""
        self._do(self._swallow(on=True))

    def heal(self) -> None:
        """Pass bytes again on new connections; those that were swallowed stay dead, as behind a lost NAT."""
        self._do(self._swallow(on=False))

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._links)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _deafen(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _swallow(self, *, on: bool) -> None:
        self._swallowing = on
        for link in self._links.values():
            link.dead = True

    async def _cut(self) -> None:
        tasks = list(self._links)
        for link in self._links.values():
            link.reset = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _close(self) -> None:
        await self._deafen()
        await self._cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        link = _Link(writer, dead=self._swallowing)
        task = asyncio.current_task()
        assert task is not None
        self._links[task] = link
        try:
            await self._join(link, reader)
        except (OSError, asyncio.CancelledError):
            link.reset = True
        finally:
            del self._links[task]
            link.close()

    async def _join(self, link: _Link, reader: asyncio.StreamReader) -> None:
        """Pass bytes both ways until either side closes."""
        if link.dead:
            await self._pump(link, reader, None, count=True)
            return
        back, link.far = await asyncio.open_connection(*self.target)
        ways = [
            asyncio.create_task(self._pump(link, reader, link.far, count=True)),
            asyncio.create_task(self._pump(link, back, link.near, count=False)),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if link.dead:
                await asyncio.wait(ways)  # one side gave up; the other is not told
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None, *, count: bool
    ) -> None:
        while chunk := await reader.read(CHUNK):
            if count:
                self._packets += 1
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if link.dead or writer is None:
                continue
            if count and self.drop_every and self._packets % self.drop_every == 0:
                continue
            writer.write(chunk)
            await writer.drain()


class _Link:
    """The two sockets of one connection, and what was ordered for it."""

    def __init__(self, near: asyncio.StreamWriter, *, dead: bool) -> None:
        self.near = near
        self.far: asyncio.StreamWriter | None = None
        self.dead = dead
        self.reset = False

    def close(self) -> None:
        """Close both sides: with RST when it was ordered, else in peace."""
        for writer in (self.near, self.far):
            if writer is None:
                continue
            if self.reset:
                handle = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()
