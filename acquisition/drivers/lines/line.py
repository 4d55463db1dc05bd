"""One line: a task that asks its meters, one question at a time, whatever is most urgent first.

What somebody asks for now (class command) comes before what is due (timed), that before what
was missed (backfill) and before meters that are dead (discovery).  A command waits for one
exchange at most.  In a round of due meters those that answer come first, probes of dead ones
after them and second tries last, so that no meter without an answer is asked twice in a row
and none holds up the others.
Source: TC 4.3.3 (polling, on command and timed); protocols 5.4; docs/decisions/0031.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from acquisition.codecs.exchange import Answer
from acquisition.drivers.clock import EARLIEST_MS, Clock, ClockWatch
from acquisition.drivers.config import Line
from acquisition.drivers.desk import Desk
from acquisition.drivers.lines.asking import Asking
from acquisition.drivers.lines.broadcast import ClockSetter
from acquisition.drivers.lines.connection import Connection
from acquisition.drivers.lines.devices import Device, Poll
from acquisition.drivers.lines.inquiries import Inquiries
from acquisition.drivers.lines.noise import Noise
from acquisition.drivers.lines.slots import Slots
from acquisition.drivers.lines.spare import SpareTime
from acquisition.drivers.lines.states import LONGEST_CONNECT_S, State
from acquisition.drivers.lines.transport import Transport
from acquisition.drivers.lines.turns import Turns
from nengliu.errors import InputError, LinkError, nearest


class LineTask:
    """The scheduler of one connection.

    Parameters
    ----------
    desk
        Where rows, missed readings and changes go.
    align_ms
        A reading taken so soon after its due instant bears that.
    set_clocks
        Whether the clocks of meters may be set by broadcast.
    """

    def __init__(
        self,
        line: Line,
        transport: Transport,
        clock: Clock,
        desk: Desk,
        align_ms: int,
        *,
        set_clocks: bool = False,
    ) -> None:
        self.line, self.clock = line, clock
        self.connection = Connection(line, transport, clock, desk)
        self._slots = Slots(line.name, clock, desk)
        self.devices = [self._slots.device(meter) for meter in line.meters]
        self._asking = Asking(line, self.connection, clock, desk)
        self._inquiries = Inquiries(self._asking)
        self._spare = SpareTime(self._asking, self._slots, desk)
        self._noise = Noise(line.name, clock, desk)
        self._turns = Turns(self._asking, self._slots, desk, align_ms, self._serve)
        self._setter = ClockSetter(self._asking, transport, desk) if set_clocks else None
        self._nap: asyncio.Future[None] | None = None
        self._watch = ClockWatch(clock)
        self._leapt = False

    async def run(self) -> None:
        """Ask the meters for ever: until cancelled."""
        try:
            await self.connection.open()
            while True:
                await self._something_due()
                await self._serve()
                now_ms = self.clock.now_ms()
                if min(self._next_slot_ms(), self.connection.retry_ms or now_ms + 1) <= now_ms:
                    await self._timed(now_ms)
                else:
                    await self._use_spare_time()
        finally:
            self._inquiries.end()

    async def once(self) -> None:
        """Ask every meter once, now."""
        await self.connection.open()
        now_ms = self.clock.now_ms()
        due = [self._poll(device, now_ms, "OVERRUN") for device in self.devices]
        await self._round(due, may_grow=False)
        await self.connection.close()

    def command(
        self, meter: str, items: Collection[str], deadline_ms: int
    ) -> asyncio.Future[Answer | LinkError]:
        """Let items of a meter be read as soon as the exchange that is under way is over.

        Parameters
        ----------
        items
            Names; none: all that it is read for.
        deadline_ms
            If its turn has not come by then it is a TIMEOUT [ms, UTC].

        Returns
        -------
        asyncio.Future
            The answer, values by item [ticks] (`Meter.by_point`), or why there is none; never an exception.

        Raises
        ------
        InputError
            The line has no such meter.
        """
        known = {device.meter.name: device for device in self.devices}
        if meter not in known:
            raise InputError(f"line {self.line.name}: no meter {meter!r}; {nearest(meter, known)}")
        answer = self._inquiries.put(known[meter], items, deadline_ms)
        if self._nap is not None:
            self._nap.cancel()
        return answer

    # -- what is due ------------------------------------------------------------------------

    async def _something_due(self) -> None:
        """Wait until there is something to do by a clock that is set; notice if it was set forward meanwhile."""
        while True:
            now_ms = self._look_at_clock()
            if self._inquiries:
                return
            wake_ms = EARLIEST_MS
            if now_ms >= EARLIEST_MS:
                wake_ms = min(self._next_slot_ms(), self.connection.retry_ms or self._next_slot_ms())
                if wake_ms <= now_ms or self._spare_job() is not None:
                    return
                wake_ms = min(wake_ms, self._spare.next_ms(self.devices) or wake_ms)
            await self._sleep_until(wake_ms)

    async def _sleep_until(self, at_ms: int) -> None:
        """Sleep until then, or until a command comes."""
        self._nap = asyncio.ensure_future(self.clock.sleep_until(at_ms))
        try:
            await asyncio.wait([self._nap])
        finally:
            self._nap.cancel()
            self._nap = None

    def _next_slot_ms(self) -> int:
        return min(device.slot_ms for device in self.devices)

    def _look_at_clock(self) -> int:
        """Give the time now, and notice if somebody set the clock since."""
        now_ms = self.clock.now_ms()
        self._leapt |= self._watch.moved_ms() > 0
        if now_ms >= EARLIEST_MS:
            for device in self.devices:
                self._slots.follow_clock(device, now_ms)
            self.connection.follow_clock(now_ms)
        return now_ms

    async def _serve(self) -> None:
        """Let commands have their turn."""
        if self._inquiries:
            await self._inquiries.serve(has_line=await self.connection.ready())

    # -- spare time -------------------------------------------------------------------------

    def _spare_job(self) -> object:
        """Find something to do until the next slot, if there is a line to do it on."""
        is_up = self.connection.link.state is State.UP
        return self._spare.pick(self.devices, self._next_slot_ms()) if is_up else None

    async def _use_spare_time(self) -> None:
        job = self._spare.pick(self.devices, self._next_slot_ms())
        if job is None:
            return
        self.connection.begin_round()
        if await self.connection.ready():
            do, device = job
            await do(device)
            if self._setter is not None:
                await self._setter.consider(self.devices)

    # -- a round ----------------------------------------------------------------------------

    async def _timed(self, now_ms: int) -> None:
        """Take up the slots that are due."""
        due = self._due(now_ms)
        seldom = any(poll.device.meter.interval_s >= LONGEST_CONNECT_S for poll in due)
        await self.connection.retry(seldom=seldom)
        await self._round(due)

    def _due(self, now_ms: int, pending: Collection[Device] = ()) -> list[Poll]:
        """Take up the slots that are due, but of meters that are still waited for."""
        due = [one for one in self.devices if one.slot_ms <= now_ms and one not in pending]
        reason = "CLOCK_SET" if self._leapt else "OVERRUN"
        self._leapt &= not due
        return [self._poll(device, now_ms, reason) for device in due]

    def _poll(self, device: Device, now_ms: int, reason: str) -> Poll:
        return Poll(device, self._slots.take(device, now_ms, reason), list(device.blocks))

    async def _round(self, due: list[Poll], *, may_grow: bool = True) -> None:
        """Ask those that are due, the most urgent first; what falls due meanwhile joins them, if it may."""
        self.connection.begin_round()
        waiting, done = due, list[Poll]()
        while waiting:
            poll = min(waiting, key=_urgency)
            waiting.remove(poll)
            (done if await self._turns.take(poll) else waiting).append(poll)
            if may_grow and (joining := self._due(self._look_at_clock(), [one.device for one in waiting])):
                self.connection.begin_round()
                waiting += joining
            if not waiting or len(done) >= len(self.devices):
                damaged = sum(one.is_damaged for one in done)
                self._noise.judge(damaged, sum(one.answered_ms > 0 for one in done))
                done = []


def _urgency(poll: Poll) -> tuple[int, bool, int]:
    """Order polls: second tries last, dead meters behind those that live, then whose next slot is nearest."""
    device = poll.device
    return poll.tries, device.link.state is State.DOWN, poll.slot_ms + device.interval_ms
