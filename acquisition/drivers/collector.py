"""The collector: joins lines, feeds, buffer and centres, and tells what it is and how it goes.

HOME/collector/<name>.json shows people and programs the state now.  A configuration from afar
is a new collector on the same buffer: the process and the sequence go on.
Source: TC 4.3.3-4.3.8; the messages are described in schemas/messages.md.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from acquisition.drivers.clock import EARLIEST_MS, Clock, ClockWatch, SystemClock
from acquisition.drivers.config import CollectorConfig, Line
from acquisition.drivers.desk import Columns
from acquisition.drivers.intake import Intake
from acquisition.drivers.keeping.buffer import Buffer
from acquisition.drivers.keeping.frames import FrameFile
from acquisition.drivers.lines import transports
from acquisition.drivers.lines.line import LineTask
from acquisition.drivers.lines.transport import Transport
from acquisition.drivers.plans import CentrePlan
from acquisition.drivers.sources.start import feeds_of
from acquisition.drivers.status import count_meters, feed_status, line_status, write_whole
from acquisition.drivers.upward.centres import (
    centre_status,
    check_schemas,
    keep_schemas,
    open_centre,
    projection,
)
from acquisition.drivers.upward.clock_source import Ask, ClockSource, ask_ntp, kept_clock
from acquisition.drivers.upward.commands import Commands
from acquisition.drivers.upward.orders import Asked, OrderBook
from acquisition.drivers.upward.remote import Remote, Versions
from acquisition.drivers.upward.uplink import Uplink
from nengliu import telemetry
from nengliu.bus import Log
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Origin, Quality
from nengliu.errors import InputError, LogError
from nengliu.settings import Settings
from schemas.messages import EnterpriseNotice, LinkEvent, Notice, PointNotice, SchemaNotice, encode
from schemas.orders import CommandNotice

TRIM_MS = 600_000
"""How often the buffer is asked to forget what everybody has had for long."""
DRAIN_S = 5.0
"""How long a clean stop waits for the log."""


@dataclass(frozen=True)
class Site:
    """What a collector stands on, whichever configuration holds.

    Parameters
    ----------
    transport_of, log_of
        Make the connection of a line, and open the log of a centre (in a thread of its own).
    status
        File that shows the state now.
    versions
        Its configurations; None: none is taken from afar.
    ask
        Asks a time server.
    """

    buffer: Buffer
    clock: Clock
    transport_of: Callable[[Line], Transport]
    log_of: Callable[[CentrePlan], Log]
    status: Path
    versions: Versions | None
    ask: Ask


class Collector(Intake):
    """One collector: reads its lines until it is stopped.

    Parameters
    ----------
    news
        What is to be told at its start; None: it goes on for one of another configuration.
    """

    def __init__(
        self,
        config: CollectorConfig,
        site: Site,
        news: Sequence[LinkEvent] | None = (),
        frames: FrameFile | None = None,
    ) -> None:
        super().__init__(config, site.buffer, site.clock, frames)
        self.site, self._news = site, news
        check_schemas(self.buffer, config.schemas())
        self.uplinks = [self._uplink(plan) for plan in config.centres]
        self.lines: list[LineTask] = []
        self.feeds = feeds_of(config.feeds, site.clock)
        self._remote: Remote | None = None
        self._next: CollectorConfig | None = None
        self._stopping = False
        self._asked_to_stop, self._ended = asyncio.Event(), asyncio.Event()
        self._trimmed_ms = 0

    async def run(self) -> CollectorConfig | None:
        """Read until `stop`, or until another configuration is to hold, and give that one.

        Raises what broke a part, after the rest was put away.
        """
        stop = asyncio.create_task(self._asked_to_stop.wait())
        tasks: list[asyncio.Task[Any]] = [stop]
        up: list[asyncio.Task[None]] = []
        try:
            if not await self._clock_is_set(stop):
                return None
            self._start()
            tasks += [asyncio.create_task(part, name=name) for name, part in self._parts()]
            up += [asyncio.create_task(uplink.run(), name=uplink.centre) for uplink in self.uplinks]
            watched: list[asyncio.Future[Any]] = [*tasks, *up, self._broken]
            done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            await _cancel(tasks)
            await self._put_away(up)
            for ended in done - {stop}:
                ended.result()
        finally:
            await _cancel([*tasks, *up])
            self._ended.set()
        return self._next

    async def stop(self) -> None:
        """End cleanly: finish nothing, lose nothing; returns when all is put away."""
        self._stopping, self._next = True, None
        self._asked_to_stop.set()
        await self._ended.wait()

    def go_on_with(self, config: CollectorConfig) -> None:
        """Make way for another configuration."""
        if not self._stopping:
            self._next = config
            self._asked_to_stop.set()

    def row(
        self,
        meter: Columns,
        read_at_ms: int,
        values: Mapping[str, int],
        *,
        origin: Origin = Origin.TIMED,
        quality: Mapping[str, Quality] | None = None,
        raw: bytes = b"",
    ) -> None:
        """Take the values of a meter by point [ticks]."""
        super().row(meter, read_at_ms, values, origin=origin, quality=quality, raw=raw)
        if self._remote is not None:
            self._remote.read(values.keys())

    def flushed(self) -> None:
        """Have what was made durable sent, and show what changed."""
        for uplink in self.uplinks:
            uplink.wake()
        if self._changed:
            self._write_status()

    # -- from the start to the end ----------------------------------------------------------

    async def _clock_is_set(self, stop: asyncio.Task[Any]) -> bool:
        """Wait until the clock shows a time that can be; False if the collector is to stop before."""
        if self.clock.now_ms() < EARLIEST_MS:
            telemetry.emit(telemetry.ClockNotSet(1))
        while self.clock.now_ms() < EARLIEST_MS and not stop.done():
            sleep = asyncio.create_task(self.clock.sleep_until(EARLIEST_MS))
            await asyncio.wait([sleep, stop], return_when=asyncio.FIRST_COMPLETED)
            await _cancel([sleep])
        return not stop.done()

    def _start(self) -> None:
        now_ms = self.clock.now_ms()
        if self._news is not None:
            self.buffer.boot(now_ms)
        self._declare(now_ms)
        if self._news is not None:
            self.tell(LinkEvent(now_ms, LinkKind.COLLECTOR_STARTED, since_ms=self._last_slot_ms()))
            for event in self._news:
                self.tell(event)
            self.tell_dropped()
        for line in self.config.lines:
            transport, align_ms = self.site.transport_of(line), self.config.align_ms
            set_clocks = self.config.clock.set_meters
            task = LineTask(line, transport, self.clock, self, align_ms, set_clocks=set_clocks)
            self.lines.append(task)
        if self.site.versions is not None:
            self._remote = Remote(self, self.lines, self.site.versions, self.go_on_with)

    def _last_slot_ms(self) -> int:
        slots = (
            self.buffer.state(f"slot/{line.name}/{meter.name}")
            for line in self.config.lines
            for meter in line.meters
        )
        return max((found[1] for found in slots if found), default=0)

    def _parts(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Name what runs beside the uplinks."""
        for line in self.lines:
            yield line.line.name, line.run()
        for feed in self.feeds:
            yield feed.name, feed.run(self)
        yield "heartbeat", self._beat()
        if self.config.clock.servers:
            yield "clock", ClockSource(self.config.clock, self.clock, self, self.site.ask).run()
        if self._remote is not None:
            yield "trial", self._trial(self._remote)
        for plan in self.config.centres:
            if plan.commands or plan.configure:
                yield f"orders of {plan.name}", self._orders(plan).run()

    def _declare(self, now_ms: int) -> None:
        """Introduce enterprise, points, column lists and wiring, if they are not as they were told last."""
        config = self.config
        notices: list[Notice] = [EnterpriseNotice(config.enterprise)] if config.enterprise else []
        notices += [PointNotice(point) for point in config.catalogue()]
        notices += [SchemaNotice(schema) for schema in config.schemas()]
        notices.append(config.wiring())
        values = [encode(notice) for notice in notices]
        lists = [f"{plan.name} {plan.points}".encode() for plan in config.centres]
        digest = hashlib.sha256(b"".join([*values, *lists])).hexdigest()
        if (self.buffer.state("declared") or ("",))[0] == digest:
            return
        for value in values:
            self._put(self.buffer.next_sequence(), value)
        keep_schemas(self.buffer, config.schemas(), now_ms)
        self.put_state("declared", digest, now_ms)

    async def _put_away(self, up: list[asyncio.Task[None]]) -> None:
        await asyncio.gather(*(line.connection.close() for line in self.lines))
        if self._next is None:
            self.tell(LinkEvent(self.clock.now_ms(), LinkKind.COLLECTOR_STOPPED))
        self._flush()
        await _cancel(up)
        await asyncio.gather(*(uplink.drain(DRAIN_S) for uplink in self.uplinks))
        self._write_status(stopped=self._next is None)

    # -- what goes on beside the lines ------------------------------------------------------

    def _uplink(self, plan: CentrePlan) -> Uplink:
        project = projection(self.buffer, self.config, plan, self.clock.now_ms())
        return Uplink(
            self.buffer,
            partial(self.site.log_of, plan),
            self.clock,
            on_event=self.tell_now,
            centre=plan.name,
            topic=plan.topic,
            late_s=self.config.buffer.late_s,
            backfill_per_s=self.config.buffer.backfill_per_s,
            seed=int.from_bytes(f"{self.config.name}{plan.name}".encode()),
            project=project,
        )

    def _orders(self, plan: CentrePlan) -> OrderBook:
        commands = Commands(plan, self.lines, self)

        async def answer(asked: Asked) -> None:
            if isinstance(asked.order, CommandNotice):
                await commands.answer(asked.order, first=asked.first)
            elif self._remote is not None:
                await self._remote.answer(asked.order, plan)

        log_of = partial(self.site.log_of, plan)
        return OrderBook(plan.name, log_of, self, self.clock, self.config.remote.every_s, answer)

    async def _trial(self, remote: Remote) -> None:
        """Watch over a new configuration; it says itself when it is over, and the collector goes on."""
        await remote.watch()
        await self._asked_to_stop.wait()

    async def _beat(self) -> None:
        """Say every `heartbeat_s` that the collector lives, and whether its clock was set since."""
        period_ms = self.config.heartbeat_s * 1000
        watch = ClockWatch(self.clock)
        while True:
            now_ms = self.clock.now_ms()
            await self.clock.sleep_until(now_ms // period_ms * period_ms + period_ms)
            now_ms = self.clock.now_ms()
            if moved_ms := watch.moved_ms():
                moved = {"seconds": str(round(moved_ms / 1000))}
                self.tell(LinkEvent(now_ms, LinkKind.CLOCK_SET, parameters=moved))
            counts = {name: str(self._counts()[name]) for name in ("queued", "meters", "down")}
            if (known := kept_clock(self)) is not None and known.server:
                counts["offset_ms"] = str(known.offset_ms)
            self.tell(LinkEvent(now_ms, LinkKind.HEARTBEAT, parameters=counts))
            self.make_room()
            if abs(now_ms - self._trimmed_ms) >= TRIM_MS:
                self._trimmed_ms = now_ms
                self._trim(now_ms)

    def _trim(self, now_ms: int) -> None:
        with suppress(LogError):
            self.buffer.trim(now_ms)
            self.buffer.forget_states("request/", now_ms - self.config.buffer.keep_days * 86_400_000)
        if self.frames is not None:
            self.frames.trim(now_ms)

    # -- what is shown ----------------------------------------------------------------------

    def _counts(self) -> dict[str, int]:
        """Count meters, and the rows that the centre misses that is farthest behind."""
        queued = [self.buffer.queued(uplink.centre) for uplink in self.uplinks] or [(0, 0)]
        live, backfill = (max(counts) for counts in zip(*queued, strict=True))
        return count_meters(self.lines) | {"queued": live, "backfill": backfill}

    def _write_status(self, *, stopped: bool = False) -> None:
        self._changed = False
        try:
            write_whole(self.site.status, self._shown(0 if stopped else os.getpid()))
        except (OSError, LogError):  # a full disk: the buffer tells of it
            telemetry.emit(telemetry.BufferRefused(1))

    def _shown(self, process: int) -> dict[str, Any]:
        configured = {uplink.centre for uplink in self.uplinks}
        centres = [centre_status(self.buffer, name, configured) for name in self.buffer.centres()]
        oldest = [centre["oldest_ms"] for centre in centres if centre["configured"] and centre["oldest_ms"]]
        known = kept_clock(self)
        return {
            "name": self.config.name,
            "process": process,
            "at_ms": self.clock.now_ms(),
            "heartbeat_s": self.config.heartbeat_s,
            **self._counts(),
            "oldest_ms": min(oldest, default=0),
            "fill": self.buffer.fill(),
            "offset_ms": known.offset_ms if known is not None and known.server else None,
            "centres": centres,
            "lines": [line_status(line) for line in self.lines],
            "feeds": [feed_status(plan, self) for plan in self.config.feeds],
        }


def buffer_path(settings: Settings, name: str) -> Path:
    """File of a collector's buffer; its lock, its status, its frames and its versions lie beside it."""
    return settings.collector_path / f"{name}.sqlite"


@contextmanager
def owned(path: Path) -> Iterator[IO[str]]:
    """Own a buffer for as long as this process runs; InputError if another collector does."""
    lock = path.with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise InputError(
                f"{path}: expected to be the only collector of this name, got another one "
                f"(process {file.read() or '?'}); stop it, or give this one another name"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file


async def run_collector(
    settings: Settings,
    config: CollectorConfig,
    clock: Clock | None = None,
    transport_of: Callable[[Line], Transport] | None = None,
    on_ready: Callable[[Collector], None] | None = None,
    log_of: Callable[[CentrePlan], Log] | None = None,
) -> None:
    """Run a collector of this installation until it is stopped.

    Parameters
    ----------
    on_ready
        Gets the collector before it runs, so that somebody can stop it; and again each one that goes on
        for it with another configuration.

    Raises
    ------
    InputError
        Another collector of this name runs, or a column list is not what it was.
    LogError
        The buffer cannot be used.
    """
    clock = clock or SystemClock()
    path = buffer_path(settings, config.name)
    folder = config.file.parent if config.file is not None else None
    with owned(path):
        plan = config.buffer
        buffer = Buffer(path, keep_days=plan.keep_days, room_bytes=plan.room_mb * 2**20)
        try:
            versions = None
            if config.file is not None:
                versions = Versions(path.with_suffix(".configs"), config, config.file)
            site = Site(
                buffer,
                clock,
                transport_of or (lambda line: transports.transport_of(line, clock)),
                log_of or (lambda centre: open_centre(settings, centre, folder)),
                path.with_suffix(".json"),
                versions,
                ask_ntp,
            )
            await _run(site, config, on_ready)
        finally:
            buffer.close()


async def _run(site: Site, config: CollectorConfig, on_ready: Callable[[Collector], None] | None) -> None:
    """Run one collector after the other, as configurations come to hold."""
    news: list[LinkEvent] | None = []
    following: CollectorConfig | None = config
    if site.versions is not None:
        following, news = site.versions.configuration(site.buffer, site.clock.now_ms())
    while following is not None:
        plan = following.buffer
        site.buffer.give_room(plan.keep_days, plan.room_mb * 2**20)
        with ExitStack() as closing:
            frames = None
            if plan.keep_frames:
                path = site.buffer.path.with_suffix(".frames")
                frames = FrameFile(path, plan.keep_days, plan.room_mb * 2**20)
                closing.callback(frames.close)
            collector = Collector(following, site, news, frames)
            if on_ready is not None:
                on_ready(collector)
            following, news = await collector.run(), None


async def _cancel(tasks: Collection[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
