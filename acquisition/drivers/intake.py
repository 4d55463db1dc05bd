"""What lines and feeds hand in becomes messages of one rising sequence, durable turn by turn.

All that one turn of the loop brings is put away in one transaction; what is no value travels
as one link notice of that turn.
Source: docs/decisions/0015, 0016; the messages are described in schemas/messages.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from acquisition.drivers.clock import Clock
from acquisition.drivers.config import CollectorConfig
from acquisition.drivers.desk import Columns
from acquisition.drivers.keeping.buffer import Buffer
from acquisition.drivers.keeping.frames import FrameFile
from acquisition.drivers.keeping.thinning import Loss, missed_of, thin
from acquisition.drivers.upward.centres import columns_of
from nengliu import telemetry
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Origin, Quality, Reason
from nengliu.errors import LogError
from schemas.messages import (
    MISSING,
    Frame,
    LinkEvent,
    LinkNotice,
    Missed,
    RejectedNotice,
    RejectedRow,
    encode,
)

FULL = 0.95
"""Share of the room from which on secondary values give way."""
THIN_ROWS = 2000
"""Messages that are thinned at a time, so that it holds up the polls for a moment only."""


class _Dropped(msgspec.Struct):
    """How far the buffer was thinned, and what of it is still to be told."""

    after: int = 0
    rows: int = 0
    losses: dict[str, Loss] = {}


_dropped = msgspec.json.Decoder(_Dropped)


class Intake:
    """The desk (`acquisition.drivers.desk.Desk`) of a collector.

    Parameters
    ----------
    frames
        Keeps the answers as they came; None: they are not kept.
    """

    def __init__(
        self, config: CollectorConfig, buffer: Buffer, clock: Clock, frames: FrameFile | None
    ) -> None:
        self.config, self.buffer, self.clock, self.frames = config, buffer, clock, frames
        self._lines = {id(meter): line.name for line in config.lines for meter in line.meters}
        self._events: list[LinkEvent] = []
        self._missed: list[Missed] = []
        self._flush_is_due = self._changed = False
        self._durable: list[asyncio.Future[None]] = []
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # -- what is handed in ------------------------------------------------------------------

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
        cells = [values.get(point, MISSING) for point in meter.points]
        marks = [int(quality.get(point, Quality.GOOD)) for point in meter.points] if quality else []
        frame = Frame(
            enterprise=self.config.code,
            schema=meter.schema,
            source=self.config.name,
            sequence=self.buffer.next_sequence(),
            received_at_s=self._received_at_s(),
            read_at_ms=np.array([read_at_ms], np.int64),
            values=np.array([cells], np.int64),
            quality=np.array([marks], np.uint8) if any(marks) else None,
            origin=origin,
        )
        self._put(frame.sequence, encode(frame))
        if raw and self.frames is not None:
            self.frames.put(self._lines.get(id(meter), ""), meter.name, read_at_ms, raw)

    def miss(self, missed: Missed) -> None:
        """Take due readings that are missing."""
        self._missed.append(missed)
        lost = missed.count * len(missed.points)
        telemetry.emit(telemetry.ReadingsMissed(lost, reason=Reason(missed.reason).name))
        self._plan_flush()

    def reject(self, source: str, rows: Sequence[RejectedRow]) -> None:
        """Take rows of a feed that could not become readings; they enter the quarantine."""
        notice = RejectedNotice(
            self.config.code, f"{self.config.name}/{source}", self._received_at_s(), tuple(rows)
        )
        self._put(self.buffer.next_sequence(), encode(notice))

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
        """Take a change of an uplink, which flushes the buffer itself to keep state and event together."""
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

    async def durable(self) -> None:
        """Return when all that was handed in so far is on the disk."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._durable.append(waiter)
        self._plan_flush()
        await waiter

    # -- a turn of the loop -----------------------------------------------------------------

    def flushed(self) -> None:
        """Act on what was made durable."""

    def _plan_flush(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Make durable what this turn of the loop brought."""
        self._flush_is_due = False
        try:
            self._put_notice()
            if not self._write():
                self.make_room()
                self._write()
        except LogError as error:  # the memory set aside is full too: only a restart tells it truly
            if not self._broken.done():
                self._broken.set_exception(error)
            return
        if self.frames is not None:
            self.frames.flush()
        self.flushed()

    def _write(self) -> bool:
        """Flush the buffer; if it refuses, the rows wait in memory and the next flush takes them along."""
        try:
            self.buffer.flush()
        except LogError:
            telemetry.emit(telemetry.BufferRefused(1))
            return False
        waiters, self._durable = self._durable, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        return True

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

    # -- when the room is taken -------------------------------------------------------------

    def make_room(self) -> None:
        """Let the oldest secondary values give way if the buffer is full of what some centre misses.

        Raises
        ------
        LogError
            What gave way can be told neither to the file nor to the memory set aside.
        """
        try:
            self._thin()
        except LogError:
            telemetry.emit(telemetry.BufferRefused(1))
        self.tell_dropped()

    def tell_dropped(self) -> None:
        """Tell what gave way and was not told yet, perhaps by a process that died meanwhile."""
        kept = self._kept()
        if not kept.rows:
            return
        now_ms = self.clock.now_ms()
        first_ms = min((loss.first_ms for loss in kept.losses.values()), default=0)
        for missed in missed_of(kept.losses):
            self.miss(missed)
        rows = {"rows": str(kept.rows)}
        self.tell(LinkEvent(now_ms, LinkKind.DATA_DROPPED, since_ms=first_ms, parameters=rows))
        self._put_notice()
        self.put_state("dropped", msgspec.json.encode(_Dropped(kept.after)).decode(), now_ms)

    def _thin(self) -> None:
        kept = self._kept()
        if self.buffer.fill() < FULL:
            return
        rows = self.buffer.untried(kept.after, THIN_ROWS)
        if rows:
            thinned = thin(rows, lambda schema: columns_of(self.buffer, schema), self.config.catalogue())
            after = _Dropped(rows[-1].sequence, len(thinned.changed), thinned.losses)
            text = msgspec.json.encode(after).decode()
            self.buffer.thin(thinned.changed, "dropped", text, self.clock.now_ms())

    def _kept(self) -> _Dropped:
        found = self.buffer.state("dropped")
        return _Dropped() if found is None else _dropped.decode(found[0])
