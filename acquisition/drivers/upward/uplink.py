"""The uplink: takes what the buffer holds to one centre's log, live readings first.

Delivery: at least once, in rising sequence within live and within backfill.  A message is
durable in the buffer before it is sent and acknowledged after the log has it; whatever lies
between is sent again, byte for byte the same.

A batch the log refused is sent again, and nothing else, until the log takes it: so a break
leaves one batch of which nobody knows whether it arrived, not everything that was tried
meanwhile.  Then what has grown old waits as backfill, at a limited rate, behind what is new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np

from acquisition.drivers.clock import Clock
from acquisition.drivers.errand import Errand
from acquisition.drivers.keeping.buffer import Buffer, Pending
from acquisition.drivers.keeping.centre import BATCH_ROWS
from nengliu.bus import Log
from nengliu.domain.links import LinkKind
from nengliu.errors import LogError
from schemas.messages import LinkEvent
from schemas.topics import RAW

BATCH_BYTES = 512 * 1024
"""A batch stays below what brokers take in one request by default (1 MB)."""
LONGEST_PAUSE_S = 60
HIGH = 0.8
"""Share of the buffer's room from which on it is told."""
CALM = 0.7
"""Below this share it may be told anew: trims and polls must not make it flap."""


@dataclass(frozen=True, slots=True)
class _Batch:
    rows: list[Pending]
    live: bool


Messages = list[tuple[str, bytes]]


def everything(row: Pending) -> bytes:
    """Give a message as it is, to a centre without a point list."""
    return row.value


@dataclass(eq=False)
class Uplink:
    """One collector's way to one centre.

    Parameters
    ----------
    open_log
        Opens the centre's log; called again after each failure, in a thread, as all calls of the log are.
    late_s
        Live rows that have waited longer become backfill; a log silent for longer counts as down [s].
    backfill_per_s
        How many rows of backfill go out per second, so that a province's collectors together do not
        flood a log that has just come back (15 days of 64 meters take 8 minutes).
    seed
        Of the jitter in the pauses; differs from collector to collector.
    project
        What the centre gets of a message, always the same bytes; None: it is not for this centre.
    on_event
        Told of LOG_UP, LOG_DOWN, BAD_ACKNOWLEDGEMENT, QUEUE_HIGH and BACKFILL_DONE, when they change; it puts
        them into the buffer.
    """

    buffer: Buffer
    open_log: Callable[[], Log]
    clock: Clock
    _: KW_ONLY
    on_event: Callable[[LinkEvent], None]
    centre: str = "centre"
    topic: str = RAW
    late_s: int = 60
    backfill_per_s: int = 200
    seed: int = 0
    project: Callable[[Pending], bytes | None] = everything
    last_error: LogError | None = field(default=None, init=False)
    _errand: Errand = field(default_factory=Errand, init=False)
    _log: Log | None = field(default=None, init=False)
    _woken: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _backfill_at_ms: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Draw the jitter from the seed, and make the centre known to the buffer from the start."""
        self._jitter = np.random.default_rng(self.seed)
        self.buffer.queued(self.centre)

    @property
    def in_flight(self) -> int:
        """Count the calls of the log that have not returned: 0 or 1."""
        return self._errand.in_flight

    def wake(self) -> None:
        """Say that the buffer was flushed; cheap, and never blocks."""
        self._woken.set()

    async def run(self) -> None:
        """Send for ever: until cancelled."""
        while True:
            self._woken.clear()
            try:
                self._watch_room()
                batch = self._next()
                if batch is None:
                    await self._idle()
                else:
                    await self._deliver(batch)
            except LogError as error:  # the buffer itself: no place to note anything but here
                self.last_error = error
                await self._sleep(LONGEST_PAUSE_S)

    async def drain(self, patience_s: float) -> None:
        """At a clean stop, after `run` was cancelled: send what is pending as long as the log answers."""
        sending = asyncio.create_task(self._drain())
        if await self._within(sending, int(1000 * patience_s)):
            sending.result()
        else:
            sending.cancel()
            await asyncio.wait([sending])

    async def _drain(self) -> None:
        await self._errand.done()
        with suppress(LogError):
            while sum(self.buffer.queued(self.centre)):
                self._woken.clear()
                if (batch := self._next()) is None:
                    await self._idle()
                    continue
                if messages := self._messages(batch.rows):
                    answer = self._send(messages)
                    await asyncio.wait([answer])
                    if answer.result() is not None:
                        break
                self._acknowledge(batch)
        if self._log is not None:
            await asyncio.wait([self._errand.run(self._close)])

    # -- what is next -----------------------------------------------------------------------

    def _next(self) -> _Batch | None:
        """Choose what goes out now: live rows, else backfill if its time has come."""
        self._set_late_aside()
        now_ms = self.clock.now_ms()
        if rows := _cut(self.buffer.live(self.centre, BATCH_ROWS)):
            self.buffer.try_live(self.centre, rows[-1].sequence)
            return _Batch(rows, live=True)
        if 0 < self._backfill_at_ms - now_ms <= 1000:  # more: the clock was set back
            return None
        rows = _cut(self.buffer.backfill(self.centre, min(BATCH_ROWS, self.backfill_per_s)))
        self._backfill_at_ms = now_ms + 1000 * len(rows) // self.backfill_per_s
        return _Batch(rows, live=False) if rows else None

    def _set_late_aside(self) -> None:
        """Let live rows that have waited too long become backfill."""
        now_ms = self.clock.now_ms()
        late_ms = now_ms - self.late_s * 1000
        oldest = self.buffer.live(self.centre, 1)
        if not oldest or oldest[0].at_ms >= late_ms:
            return
        rows = self.buffer.make_gap(self.centre, late_ms)
        before, since_ms = self.buffer.state(f"backfill/{self.centre}") or ("", 0)
        total = rows + int(before or 0)
        self.buffer.put_state(f"backfill/{self.centre}", str(total), since_ms if before else now_ms)
        self.buffer.flush()

    async def _idle(self) -> None:
        """Wait for new rows, or until more backfill may go."""
        if self.buffer.queued(self.centre)[1]:
            await self._within(self._woken.wait(), self._backfill_at_ms - self.clock.now_ms())
        else:
            await self._woken.wait()

    # -- one batch --------------------------------------------------------------------------

    async def _deliver(self, batch: _Batch) -> None:
        """Send one batch until the log has it."""
        pause_s = 1
        messages = self._messages(batch.rows)
        while messages and (error := await self._attempt(messages)) is not None:
            self.last_error = error
            self._tell_bad(error)
            self._turn("DOWN")
            await self._sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            self._watch_room()
        self._acknowledge(batch)
        if messages:
            self.last_error = None
            self._tell_bad(None)
            self._turn("UP")
        else:  # nothing of it is for this centre; a backlog of such rows must not hold up the others
            await asyncio.sleep(0)
        self._tell_backfill_done()

    def _messages(self, rows: list[Pending]) -> Messages:
        """Lay down to the centre's point list what goes out."""
        laid = ((row.key, self.project(row)) for row in rows)
        return [(key, value) for key, value in laid if value is not None]

    async def _attempt(self, messages: Messages) -> LogError | None:
        """Send once; however long the log takes, the room is watched and a silent log is told."""
        if self._errand.in_flight:  # of a run that was cancelled
            await self._errand.done()
        answer = self._send(messages)
        if not await self._within(answer, 1000 * self.late_s):
            self._turn("DOWN")
        while not answer.done():
            self._woken.clear()
            await _either(answer, self._woken.wait())
            self._watch_room()
        return answer.result()

    def _send(self, messages: Messages) -> asyncio.Future[LogError | None]:
        return self._errand.run(lambda: self._append(messages))

    def _append(self, messages: Messages) -> LogError | None:
        """Append in the errand's thread; a log that failed is opened anew the next time."""
        try:
            if self._log is None:
                self._log = self.open_log()
            _check(self._log.append(self.topic, messages), len(messages))
        except LogError as error:
            self._close()
            return error
        return None

    def _close(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            with suppress(LogError):
                log.close()

    def _acknowledge(self, batch: _Batch) -> None:
        done = self.buffer.ack_live if batch.live else self.buffer.ack_backfill
        done(self.centre, batch.rows[-1].sequence)

    # -- what is told -----------------------------------------------------------------------

    def _turn(self, to: str) -> None:
        """Tell whether the log is up or down, if that is news; it holds over restarts."""
        name = f"log/{self.centre}"
        before, since_ms = self.buffer.state(name) or ("", 0)
        if before != to:
            self.buffer.put_state(name, to, self.clock.now_ms())
            kind = LinkKind.LOG_UP if to == "UP" else LinkKind.LOG_DOWN
            self._tell(kind, since_ms, queued=str(sum(self.buffer.queued(self.centre))))

    def _tell_bad(self, error: LogError | None) -> None:
        """Tell once that the centre acknowledges what it was not sent, until it acknowledges well again."""
        bad = error.got if isinstance(error, BadAcknowledgement) else ""
        told, since_ms = self.buffer.state(f"ack/{self.centre}") or ("", 0)
        if (error is None or bad) and bool(bad) != bool(told):
            self.buffer.put_state(f"ack/{self.centre}", bad, self.clock.now_ms())
            if bad:
                self._tell(LinkKind.BAD_ACKNOWLEDGEMENT, since_ms, got=bad)

    def _tell_backfill_done(self) -> None:
        """Tell when the last row of a backlog has arrived."""
        rows, since_ms = self.buffer.state(f"backfill/{self.centre}") or ("", 0)
        if rows and not self.buffer.queued(self.centre)[1]:
            self.buffer.put_state(f"backfill/{self.centre}", "", self.clock.now_ms())
            self._tell(LinkKind.BACKFILL_DONE, since_ms, rows=rows)

    def _watch_room(self) -> None:
        """Tell once when the buffer fills up."""
        fill = self.buffer.fill()
        told, since_ms = self.buffer.state("room") or ("", 0)
        if fill >= HIGH and told != "HIGH":
            self.buffer.put_state("room", "HIGH", self.clock.now_ms())
            self._tell(LinkKind.QUEUE_HIGH, since_ms, percent=str(int(100 * fill)))
        elif fill < CALM and told == "HIGH":
            self.buffer.put_state("room", "", self.clock.now_ms())

    def _tell(self, kind: LinkKind, since_ms: int, **parameters: str) -> None:
        now_ms = self.clock.now_ms()
        parameters["centre"] = self.centre
        self.on_event(LinkEvent(now_ms, kind, since_ms=since_ms, parameters=parameters))
        self.buffer.flush()  # state and event together, whoever calls

    # -- waiting ----------------------------------------------------------------------------

    async def _sleep(self, seconds: float) -> None:
        """Pause up to a quarter less than asked for, so that many collectors do not come at once."""
        await self.clock.sleep_until(
            self.clock.now_ms() + int(1000 * seconds * self._jitter.uniform(0.75, 1))
        )

    async def _within(self, what: asyncio.Future[Any] | Coroutine[Any, Any, Any], patience_ms: int) -> bool:
        """Wait for `what` for so long, whatever the clock is set to meanwhile; say whether it came."""
        task = asyncio.ensure_future(what)
        until_ms = self.clock.steady_ms() + patience_ms
        try:
            while not task.done() and (left_ms := until_ms - self.clock.steady_ms()) > 0:
                await _either(task, self.clock.sleep_until(self.clock.now_ms() + left_ms))
            return task.done()
        finally:
            if task is not what:
                task.cancel()


class BadAcknowledgement(LogError):
    """The log says that it has something else than what it was sent; `got` says what."""

    def __init__(self, sent: int, got: str) -> None:
        super().__init__(
            f"expected {sent} positions, one for each message sent, got {got}; nothing is taken for arrived, and "
            "all is sent again: look at the log of the centre"
        )
        self.got = got


def _check(positions: Sequence[int], sent: int) -> None:
    """Refuse an acknowledgement that does not name a place of its own for each message."""
    sound = len(positions) == sent and len(set(positions)) == sent and min(positions) >= 0
    if not sound:
        raise BadAcknowledgement(sent, " ".join(map(str, positions[:5])) or "none")


async def _either(
    what: asyncio.Future[Any] | Coroutine[Any, Any, Any], other: Coroutine[Any, Any, Any]
) -> bool:
    """Wait for the first of two; say whether it was `what`.  A future lives on, a coroutine is cancelled."""
    tasks = [asyncio.ensure_future(what), asyncio.ensure_future(other)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0].done()
    finally:
        for task in tasks:
            if task is not what:
                task.cancel()


def _cut(rows: list[Pending]) -> list[Pending]:
    """Take as many rows as fit into a batch of `BATCH_BYTES`, and one at least."""
    size = 0
    for at, row in enumerate(rows):
        size += len(row.value)
        if at and size > BATCH_BYTES:
            return rows[:at]
    return rows
