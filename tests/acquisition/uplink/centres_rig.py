"""A whole collector in virtual time with centres that fail on order, each a real log of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from meters import START_MS, Meters
from uplink.rig import RoughLog, Weather
from virtual import VirtualClock

from acquisition.drivers.collector import Collector, run_collector
from acquisition.drivers.config import CollectorConfig, Line
from acquisition.drivers.plans import CentrePlan
from nengliu.bus import Record, partition_of
from nengliu.bus.sqlite import SqliteLog
from nengliu.settings import Settings
from schemas.messages import Frame, LinkEvent, LinkNotice, Message, decode
from schemas.orders import Order, encode_order
from schemas.topics import COMMANDS, RAW

MINUTE = 60_000


class Centres:
    """One collector after the other on one folder, and what each centre got."""

    def __init__(self, home: Path, config: CollectorConfig, clock: VirtualClock) -> None:
        self.home, self.config, self.clock = home, config, clock
        self.weather: dict[str, Weather] = {}
        self.meters: dict[str, Meters] = {}
        self.collector: Collector | None = None
        self.collectors = 0
        self.task: asyncio.Task[None] | None = None

    def start(self, config: CollectorConfig | None = None) -> None:
        """Begin a process, perhaps with another configuration."""
        self.config, self.collector = config or self.config, None
        settings = Settings(home=self.home)
        run = run_collector(settings, self.config, self.clock, self.transport, self.ready, self.log_of)
        self.task = asyncio.ensure_future(run)

    def ready(self, collector: Collector) -> None:
        self.collector = collector
        self.collectors += 1

    def transport(self, line: Line) -> Meters:
        return self.meters.setdefault(line.name, Meters(self.clock))

    def log_of(self, plan: CentrePlan) -> SqliteLog:
        weather = self.weather.setdefault(plan.name, Weather())
        return RoughLog(self.path(plan.name), weather, self.clock)

    def path(self, centre: str) -> Path:
        return self.home / f"log-{centre}.sqlite"

    async def stop(self) -> None:
        """End the process cleanly."""
        assert self.task is not None
        while self.collector is None and not self.task.done():
            await asyncio.sleep(0)
        assert self.collector is not None
        await self.collector.stop()
        await self.task

    async def die(self) -> None:
        """End the process without a word."""
        assert self.task is not None
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def go(self, minutes: float) -> None:
        """Let time pass, and everybody do what it brings."""
        await self.clock.sleep_until(self.clock.now_ms() + round(minutes * MINUTE))
        await self.clock.quiet()
        assert self.task is not None
        if self.task.done():
            self.task.result()

    def order(self, centre: str, order: Order) -> None:
        """Have a centre order something."""
        with SqliteLog(self.path(centre), synchronous="OFF") as log:
            log.create(COMMANDS, 1)
            log.append(COMMANDS, [(order.enterprise, encode_order(order))])

    def records(self, centre: str) -> list[Record]:
        """All that a centre got, in its order, repetitions too."""
        if not self.path(centre).exists():
            return []
        with SqliteLog(self.path(centre), synchronous="OFF") as log:
            return log.read(RAW, partition_of("", 1), 0, 10**6)

    def messages(self, centre: str) -> list[Message]:
        return [decode(record.value) for record in self.records(centre)]

    def frames(self, centre: str) -> list[Frame]:
        return [message for message in self.messages(centre) if isinstance(message, Frame)]

    def events(self, centre: str, *kinds: int) -> list[LinkEvent]:
        """Events of some kinds, each once however often it came."""
        notices = {one.sequence: one for one in self.messages(centre) if isinstance(one, LinkNotice)}
        return [event for one in notices.values() for event in one.events if event.kind in kinds]


def play(
    home: Path,
    config: CollectorConfig,
    story: Callable[[Centres], Awaitable[None]],
    prepare: Callable[[Centres], Any] = lambda rig: None,
) -> Centres:
    """Run a story in virtual time and give the rig for the verdict; a collector that still runs is stopped."""

    async def main() -> Centres:
        clock = VirtualClock(START_MS)
        rig = Centres(home, config, clock)
        prepare(rig)
        with clock.ruling():
            rig.start()
            try:
                await story(rig)
            finally:
                if rig.task is not None and not rig.task.done():
                    await rig.stop()
        return rig

    return asyncio.run(main())
