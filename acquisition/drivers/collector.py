"""The collector: joins lines, buffer and uplink, and tells what it is and how it goes.

What one turn of the loop brings becomes durable in one transaction, then goes to the
uplink.  All that is no value travels as link notices in the same rising sequence as the
frames.  HOME/collector/<name>.json shows people and programs the state now.
Source: TC 4.3.3-4.3.8; the messages are described in schemas/messages.md.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from acquisition.drivers.buffer import Buffer
from acquisition.drivers.clock import EARLIEST_MS, Clock, SystemClock
from acquisition.drivers.config import CollectorConfig, Line, Meter
from acquisition.drivers.line import LineTask
from acquisition.drivers.modbus import ModbusTcp
from acquisition.drivers.status import count_meters, line_status, write_whole
from acquisition.drivers.transport import Transport
from acquisition.drivers.uplink import Uplink
from nengliu import telemetry
from nengliu.bus.open import open_log
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Reason
from nengliu.errors import InputError, LogError
from nengliu.settings import Settings
from schemas.messages import (
    MISSING,
    EnterpriseNotice,
    Frame,
    LinkEvent,
    LinkNotice,
    Missed,
    Notice,
    PointNotice,
    SchemaNotice,
    encode,
)

TRIM_MS = 600_000
"""How often the buffer is asked to forget what everybody has had for long."""
DRAIN_S = 5.0
"""How long a clean stop waits for the log."""


class Collector:
    """One collector: reads its lines until it is stopped.

    Parameters
    ----------
    uplink
        None: only the buffer is filled.
    transport_of
        Makes the connection of a line.
    status
        File that shows the state now; None: no file.
    """

    def __init__(
        self,
        config: CollectorConfig,
        buffer: Buffer,
        uplink: Uplink | None,
        clock: Clock,
        transport_of: Callable[[Line], Transport],
        *,
        status: Path | None = None,
    ) -> None:
        self.config, self.buffer, self.uplink, self.clock = config, buffer, uplink, clock
        self.transport_of, self._status = transport_of, status
        self.lines: list[LineTask] = []
        self._events: list[LinkEvent] = []
        self._missed: list[Missed] = []
        self._flush_is_due = self._changed = False
        self._asked_to_stop, self._ended = asyncio.Event(), asyncio.Event()
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._trimmed_ms = 0

    async def run(self) -> None:
        """Read until `stop`; raises what broke a part, after the rest was put away."""
        stop = asyncio.create_task(self._asked_to_stop.wait())
        tasks: list[asyncio.Task[Any]] = [stop]
        up: list[asyncio.Task[None]] = []
        try:
            if not await self._clock_is_set(stop):
                return
            self._start()
            tasks += [asyncio.create_task(line.run(), name=line.line.name) for line in self.lines]
            tasks.append(asyncio.create_task(self._beat(), name="heartbeat"))
            if self.uplink is not None:
                up.append(asyncio.create_task(self.uplink.run(), name="uplink"))
            watched: list[asyncio.Future[Any]] = [*tasks, *up, self._broken]
            done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            await _cancel(tasks)
            await self._put_away(up)
            for ended in done - {stop}:
                ended.result()
        finally:
            await _cancel([*tasks, *up])
            self._ended.set()

    async def stop(self) -> None:
        """End cleanly: finish nothing, lose nothing; returns when all is put away."""
        self._asked_to_stop.set()
        await self._ended.wait()

    # -- what the lines hand in (`line.Desk`) -----------------------------------------------

    def row(self, meter: Meter, read_at_ms: int, values: Mapping[str, int]) -> None:
        """Take the values of a meter by point [ticks]."""
        cells = [values.get(point, MISSING) for point in meter.points]
        frame = Frame(
            enterprise=self.config.code,
            schema=meter.schema,
            source=self.config.name,
            sequence=self.buffer.next_sequence(),
            received_at_s=self._received_at_s(),
            read_at_ms=np.array([read_at_ms], np.int64),
            values=np.array([cells], np.int64),
        )
        self._put(frame.sequence, encode(frame))

    def miss(self, missed: Missed) -> None:
        """Take due readings that are missing."""
        self._missed.append(missed)
        lost = missed.count * len(missed.points)
        telemetry.emit(telemetry.ReadingsMissed(lost, reason=Reason(missed.reason).name))
        self._plan_flush()

    def tell(self, event: LinkEvent) -> None:
        """Take a change of a link."""
        if event.since_ms > event.at_ms:  # the clock was set back; what lies ahead would be refused
            event = msgspec.structs.replace(event, since_ms=event.at_ms)
        self._events.append(event)
        self._changed = True
        if event.kind != LinkKind.HEARTBEAT:
            kind, reason = LinkKind(event.kind).name, Reason(event.reason).name
            telemetry.emit(telemetry.LinkChanged(1, kind, reason, event.line, event.meter))
        self._plan_flush()

    def tell_now(self, event: LinkEvent) -> None:
        """Take a change of the uplink, which flushes the buffer itself to keep state and event together."""
        self.tell(event)
        self._put_notice()

    def polled(self) -> None:
        """Count an exchange."""
        telemetry.emit(telemetry.MetersPolled(1))

    def put_state(self, name: str, value: str, since_ms: int) -> None:
        """Keep a state over restarts."""
        self.buffer.put_state(name, value, since_ms)
        self._changed |= not name.startswith("slot/")
        self._plan_flush()

    def state(self, name: str) -> tuple[str, int] | None:
        """Give a kept state."""
        return self.buffer.state(name)

    # -- a turn of the loop -----------------------------------------------------------------

    def _plan_flush(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Make durable what this turn of the loop brought, and let the uplink know."""
        self._flush_is_due = False
        try:
            self._put_notice()
        except LogError as error:  # the memory set aside is full too: only a restart tells it truly
            if not self._broken.done():
                self._broken.set_exception(error)
            return
        try:
            self.buffer.flush()
        except LogError:  # the rows wait in memory; the next flush takes them along
            telemetry.emit(telemetry.BufferRefused(1))
        if self.uplink is not None:
            self.uplink.wake()
        if self._changed:
            self._write_status()

    def _put_notice(self) -> None:
        if not self._events and not self._missed:
            return
        notice = LinkNotice(
            enterprise=self.config.code,
            source=self.config.name,
            sequence=self.buffer.next_sequence(),
            received_at_s=self._received_at_s(),
            events=tuple(self._events),
            missed=tuple(self._missed),
        )
        self._events, self._missed = [], []
        self._put(notice.sequence, encode(notice))

    def _put(self, sequence: int, value: bytes) -> None:
        self.buffer.put(self.config.code, self.clock.now_ms(), sequence, value)
        self._plan_flush()

    def _received_at_s(self) -> int:
        return -(-self.clock.now_ms() // 1000)

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
        self.buffer.boot(now_ms)
        self._declare(now_ms)
        slots = (
            self.buffer.state(f"slot/{line.name}/{meter.name}")
            for line in self.config.lines
            for meter in line.meters
        )
        last_ms = max((found[1] for found in slots if found), default=0)
        self.tell(LinkEvent(now_ms, LinkKind.COLLECTOR_STARTED, since_ms=last_ms))
        for line in self.config.lines:
            task = LineTask(line, self.transport_of(line), self.clock, self, self.config.align_ms)
            self.lines.append(task)

    def _declare(self, now_ms: int) -> None:
        """Introduce enterprise, points, column lists and wiring, if they are not as they were told last."""
        config = self.config
        notices: list[Notice] = [EnterpriseNotice(config.enterprise)] if config.enterprise else []
        notices += [PointNotice(point) for point in config.points]
        notices += [SchemaNotice(schema) for schema in config.schemas()]
        notices.append(config.wiring())
        values = [encode(notice) for notice in notices]
        digest = hashlib.sha256(b"".join(values)).hexdigest()
        if (self.buffer.state("declared") or ("",))[0] == digest:
            return
        for value in values:
            self._put(self.buffer.next_sequence(), value)
        self.put_state("declared", digest, now_ms)

    async def _beat(self) -> None:
        """Say every `heartbeat_s` that the collector lives."""
        period_ms = self.config.heartbeat_s * 1000
        while True:
            now_ms = self.clock.now_ms()
            await self.clock.sleep_until(now_ms // period_ms * period_ms + period_ms)
            now_ms = self.clock.now_ms()
            counts = {name: str(self._counts()[name]) for name in ("queued", "meters", "down")}
            self.tell(LinkEvent(now_ms, LinkKind.HEARTBEAT, parameters=counts))
            if abs(now_ms - self._trimmed_ms) >= TRIM_MS:
                self._trimmed_ms = now_ms
                with suppress(LogError):
                    self.buffer.trim(now_ms)

    async def _put_away(self, up: list[asyncio.Task[None]]) -> None:
        await asyncio.gather(*(line.connection.close() for line in self.lines))
        self.tell(LinkEvent(self.clock.now_ms(), LinkKind.COLLECTOR_STOPPED))
        self._flush()
        await _cancel(up)
        if self.uplink is not None:
            await self.uplink.drain(DRAIN_S)
        self._write_status(stopped=True)

    # -- what is shown ----------------------------------------------------------------------

    def _counts(self) -> dict[str, int]:
        live, backfill = (0, 0) if self.uplink is None else self.buffer.queued(self.uplink.centre)
        return count_meters(self.lines) | {"queued": live, "backfill": backfill}

    def _write_status(self, *, stopped: bool = False) -> None:
        self._changed = False
        if self._status is None:
            return
        try:
            write_whole(self._status, self._shown(0 if stopped else os.getpid()))
        except (OSError, LogError):  # a full disk: the buffer tells of it
            telemetry.emit(telemetry.BufferRefused(1))

    def _shown(self, process: int) -> dict[str, Any]:
        oldest = [] if self.uplink is None else self.buffer.live(self.uplink.centre, 1)
        return {
            "name": self.config.name,
            "process": process,
            "at_ms": self.clock.now_ms(),
            "heartbeat_s": self.config.heartbeat_s,
            **self._counts(),
            "oldest_ms": oldest[0].at_ms if oldest else 0,
            "fill": self.buffer.fill(),
            "lines": [line_status(line) for line in self.lines],
        }


def buffer_path(settings: Settings, name: str) -> Path:
    """File of a collector's buffer; its lock and its status lie beside it."""
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
) -> None:
    """Run a collector of this installation until it is stopped.

    Parameters
    ----------
    on_ready
        Gets the collector before it runs, so that somebody can stop it.

    Raises
    ------
    InputError
        Another collector of this name runs.
    LogError
        The buffer cannot be used.
    """
    clock = clock or SystemClock()
    path = buffer_path(settings, config.name)
    with owned(path):
        plan = config.buffer
        buffer = Buffer(path, keep_days=plan.keep_days, room_bytes=plan.room_mb * 2**20)
        try:
            collector = Collector(
                config, buffer, None, clock, transport_of or modbus_of, status=path.with_suffix(".json")
            )
            collector.uplink = Uplink(
                buffer,
                lambda: open_log(settings),
                clock,
                on_event=collector.tell_now,
                late_s=plan.late_s,
                backfill_per_s=plan.backfill_per_s,
                seed=int.from_bytes(config.name.encode()),
            )
            if on_ready is not None:
                on_ready(collector)
            await collector.run()
        finally:
            buffer.close()


def modbus_of(line: Line) -> Transport:
    """Make the Modbus TCP connection of a line."""
    return ModbusTcp(line.host, line.port, line.timeout_s)


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
