"""Virtual time: a clock that moves on only when the loop has nothing left to do.

    clock = VirtualClock(start_ms)
    with clock.ruling():            # in a running loop; counts thread jobs as work
        await clock.sleep_until(...)

A waiter is woken when no callback is ready, no exchange with a meter is under way
(wrap the transport: `clock.watch(transport)`) and no job runs in a thread.  So two weeks of
quarter-hours run in seconds, and in the same order every time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from acquisition.codecs.exchange import Answer, Block
from acquisition.drivers.clock import Clock
from acquisition.drivers.lines.transport import Transport
from acquisition.simulator.bus import Bus
from nengliu.errors import LinkError

T = TypeVar("T")
HANG_S = 0.25
"""A job in a thread holds the time for so long at most: a log that hangs must not stop it."""
FOR_EVER_MS = 2**63
QUIET_TURNS = 3
"""Turns of the loop without another callback before time moves: an answer may be in the selector."""


class VirtualClock:
    """A clock (`acquisition.drivers.clock.Clock`) that shows the time it was last moved to."""

    def __init__(self, start_ms: int, hang_s: float = HANG_S) -> None:
        self._now_ms, self._hang_s = start_ms, hang_s
        self._set_ms = 0
        self._jobs: set[asyncio.Future[Any]] = set()
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._busy = self._quiet = 0
        self._looking = False

    def now_ms(self) -> int:
        """Give the time now [ms, UTC]."""
        return self._now_ms

    def steady_ms(self) -> int:
        """Give the time as it would be if nobody had ever set the clock [ms]."""
        return self._now_ms - self._set_ms

    async def sleep_until(self, at_ms: int) -> None:
        """Return when the clock shows `at_ms` or later."""
        if at_ms <= self._now_ms:
            await asyncio.sleep(0)
        else:
            await self._wait(at_ms)

    async def _wait(self, at_ms: int) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (at_ms, next(self._order), waiter))
        self._look_soon()
        await waiter

    def set_by(self, by_ms: int) -> None:
        """Set the clock, as a person or a time server would; who sleeps looks anew if it is set back."""
        self._now_ms += by_ms
        self._set_ms += by_ms
        self._wake(FOR_EVER_MS if by_ms < 0 else self._now_ms)

    async def quiet(self) -> None:
        """Return when nobody has anything left to do at this instant."""
        await self._wait(self._now_ms)

    async def working(self, what: Awaitable[T]) -> T:
        """Wait for real work (a socket, a thread); time stands still until it is done."""
        self._busy += 1
        try:
            return await what
        finally:
            self._busy -= 1
            self._look_soon()

    def watch(self, transport: Transport) -> Transport:
        """Let the exchanges of a transport count as work."""
        return _Watched(transport, self)

    @contextmanager
    def ruling(self) -> Iterator[VirtualClock]:
        """Count jobs in threads as work, as long as the block lasts."""
        loop: Any = asyncio.get_running_loop()
        before = loop.run_in_executor

        def run_in_executor(executor: Any, call: Any, *arguments: Any) -> Any:
            job = before(executor, call, *arguments)
            self._busy += 1
            self._jobs.add(job)
            loop.call_later(self._hang_s, self._done, job)
            job.add_done_callback(self._done)
            return job

        loop.run_in_executor = run_in_executor
        try:
            yield self
        finally:
            loop.run_in_executor = before

    def _done(self, job: asyncio.Future[Any]) -> None:
        if job in self._jobs:
            self._jobs.remove(job)
            self._busy -= 1
            self._look_soon()

    def _look_soon(self) -> None:
        self._quiet = 0
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        """Move on if the loop is quiet; else look again."""
        loop: Any = asyncio.get_running_loop()
        while self._waiters and self._waiters[0][2].done():  # cancelled
            heapq.heappop(self._waiters)
        if self._busy or not self._waiters:
            self._looking = False
            return
        self._quiet = 0 if loop._ready else self._quiet + 1
        if self._quiet >= QUIET_TURNS:
            self._quiet = 0
            self._now_ms = max(self._now_ms, self._waiters[0][0])
            self._wake(self._now_ms)
        loop.call_soon(self._look)

    def _wake(self, until_ms: int) -> None:
        while self._waiters and self._waiters[0][0] <= until_ms:
            waiter = heapq.heappop(self._waiters)[2]
            if not waiter.done():
                waiter.set_result(None)


class _Watched:
    """A transport whose exchanges hold the time."""

    def __init__(self, transport: Transport, clock: VirtualClock) -> None:
        self._transport, self._clock = transport, clock

    async def connect(self) -> None:
        await self._clock.working(self._transport.connect())

    async def ask(self, address: str, block: Block) -> Answer:
        return await self._clock.working(self._transport.ask(address, block))

    async def close(self) -> None:
        await self._transport.close()


class MemoryWire:
    """A wire (`acquisition.drivers.lines.wires.Wire`) to a simulated bus in the same process, in the clock's time."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self.bus, self._clock = bus, clock
        self._is_open = False

    async def open(self) -> None:
        """Open it anew; LinkError LINE_DOWN while the line is dead."""
        self._is_open = True
        self._look()
        self.bus.hush()

    async def send(self, data: bytes) -> None:
        """Say bytes on the bus."""
        self._look()
        self.bus.hear(data, self._clock.steady_ms(), self)

    async def receive(self, until_ms: int) -> bytes:
        """Give what the bus says; b"" when the steady clock shows `until_ms`."""
        while True:
            self._look()
            now_ms = self._clock.steady_ms()
            if said := b"".join(data for data, _ in self.bus.speak(now_ms)):
                return said
            if now_ms >= until_ms:
                return b""
            next_ms = self.bus.next_ms
            wake_ms = until_ms if next_ms is None else min(until_ms, next_ms)
            await self._clock.sleep_until(self._clock.now_ms() + wake_ms - now_ms)

    async def close(self) -> None:
        """Let go of it."""
        self._is_open = False

    def _look(self) -> None:
        if self.bus.is_dead or not self._is_open:
            self._is_open = False
            raise LinkError("LINE_DOWN", f"{self.bus.name}: expected a line, got none")
