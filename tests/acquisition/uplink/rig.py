"""A collector's uplink in virtual time over a real log that fails on order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import numpy as np
from virtual import VirtualClock

from acquisition.drivers.keeping.buffer import Buffer
from acquisition.drivers.upward.uplink import Uplink
from nengliu.bus import Record
from nengliu.bus.sqlite import SqliteLog
from nengliu.errors import LogError
from schemas.messages import Frame, LinkEvent, LinkNotice, decode, encode
from schemas.topics import RAW

START_MS = 1_700_000_000_000
HOUR_S = 3600
EVERY_S = 10


class Weather:
    """What the way to the log is like just now, and every append that got through or not."""

    def __init__(self) -> None:
        self.down = False
        self.ack_lost = False
        self.slow: threading.Event | None = None
        self.opened = 0
        self.tries: list[tuple[int, list[tuple[str, bytes]]]] = []


class RoughLog(SqliteLog):
    """The real log, at the end of a line that fails on order."""

    def __init__(self, path: Path, weather: Weather, clock: VirtualClock) -> None:
        weather.opened += 1
        if weather.down:
            raise LogError("log: cannot open: the line is cut")
        super().__init__(path, synchronous="OFF")
        self.weather, self.clock = weather, clock
        self.create(RAW, 1)

    def append(self, topic: str, messages: Sequence[tuple[str, bytes]]) -> list[int]:
        """Append, if the weather lets it through; hang, or lose the answer, if it is so."""
        self.weather.tries.append((self.clock.now_ms(), list(messages)))
        if self.weather.slow is not None:
            self.weather.slow.wait()
        if self.weather.down:
            raise LogError("log: cannot append: the line is cut")
        positions = super().append(topic, messages)
        if self.weather.ack_lost:
            raise LogError("log: no answer")
        return positions


class Rig:
    """A collector that polls every ten seconds, its buffer, its uplink and the log."""

    def __init__(self, folder: Path, **uplink: int) -> None:
        self.folder, self.settings = folder, uplink
        self.clock, self.weather = VirtualClock(START_MS), Weather()
        self.log = SqliteLog(folder / "log.sqlite", synchronous="OFF")
        self.log.create(RAW, 1)
        self.events: list[LinkEvent] = []
        self.put_at: dict[int, int] = {}
        self.room_bytes = 2**30
        self.start()

    def start(self) -> None:
        """Begin a process: open the buffer and run the uplink."""
        self.buffer = Buffer(self.folder / "buffer.sqlite", synchronous="OFF", room_bytes=self.room_bytes)
        self.boot_s = self.buffer.boot(self.clock.now_ms())
        self.uplink = Uplink(
            self.buffer,
            lambda: RoughLog(self.folder / "log.sqlite", self.weather, self.clock),
            self.clock,
            on_event=self.on_event,
            **self.settings,
        )
        self.task = asyncio.ensure_future(self.uplink.run())

    async def stop(self) -> None:
        """Cancel the uplink's task, as at a clean stop."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def die(self) -> None:
        """End the process without a word; a thread that is away is no longer heard."""
        await self.stop()
        self.buffer._file.close()

    def on_event(self, event: LinkEvent) -> None:
        """Do as the collector does: the event travels with the readings."""
        self.events.append(event)
        sequence = self.buffer.next_sequence()
        notice = LinkNotice("e", "c", sequence, self.clock.now_ms() // 1000, events=(event,))
        self.buffer.put("e", self.clock.now_ms(), sequence, encode(notice))

    def poll(self) -> int:
        """Put one reading and give its sequence."""
        sequence = self.buffer.next_sequence()
        at_ms = self.clock.now_ms()
        times = np.array([at_ms], np.int64)
        frame = Frame("e", 1, "c", sequence, at_ms // 1000, times, np.array([[sequence & 0xFFFF]], np.int64))
        self.buffer.put("e", at_ms, sequence, encode(frame))
        self.buffer.flush()
        self.put_at[sequence] = at_ms
        self.uplink.wake()
        return sequence

    async def go(self, seconds: int, every_s: int = EVERY_S) -> None:
        """Poll for so long."""
        for _ in range(seconds // every_s):
            self.poll()
            await self.advance(every_s)

    async def advance(self, seconds: float) -> None:
        """Let time pass, and everybody do what it brings."""
        await self.clock.sleep_until(self.clock.now_ms() + int(1000 * seconds))
        await self.clock.quiet()

    def records(self) -> list[Record]:
        """Read the whole log."""
        return self.log.read(RAW, 0, 0, 10**6)

    def frames(self) -> list[Frame]:
        """Read the frames of the log, in its order, repetitions too."""
        return [frame for frame in map(decode, (r.value for r in self.records())) if isinstance(frame, Frame)]

    def kinds(self) -> list[int]:
        """Name the events so far."""
        return [event.kind for event in self.events]


def play(folder: Path, story: Callable[[Rig], Awaitable[None]], **uplink: int) -> Rig:
    """Run a story in virtual time and give the rig for the verdict."""

    async def main() -> Rig:
        rig = Rig(folder, **uplink)
        with rig.clock.ruling():
            try:
                await story(rig)
            finally:
                if rig.weather.slow is not None:
                    rig.weather.slow.set()
                    rig.weather.slow = None
                await rig.clock.quiet()
                await rig.die()
        return rig

    return asyncio.run(main())
