"""One line: a task that asks its meters when they are due, one request at a time.

A meter is due at the UTC multiples of its interval (its *slots*).  Each slot ends as a row
of values, as missed readings with their reason, or both; none is passed over in silence.
In a round the meters that answer come first, probes of dead ones after them and second
tries last, so that no meter without an answer is asked twice in a row and none holds up the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from acquisition.codecs.registers import ticks
from acquisition.drivers.clock import Clock
from acquisition.drivers.config import Block, Line, Meter
from acquisition.drivers.states import (
    LONGEST_CONNECT_S,
    LineLink,
    MeterLink,
    State,
    line_connected,
    line_refused,
    meter_answered,
    meter_silent,
)
from acquisition.drivers.transport import Transport
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Reason
from nengliu.errors import LinkError
from schemas.messages import LinkEvent, Missed

SILENT = ("TIMEOUT", "LINE_DOWN")
"""Reasons of an exchange in which the meter said nothing at all."""
SPLITTING = ("2", "3", "4")
"""Exception codes that reading over a hole may bring: the block is read register by register from then on."""
_meter_link, _line_link = msgspec.json.Decoder(MeterLink), msgspec.json.Decoder(LineLink)


class Desk(Protocol):
    """What a line hands in; all of one turn of the loop becomes durable together."""

    def row(self, meter: Meter, read_at_ms: int, values: Mapping[str, int]) -> None:
        """Take the values of a meter by point [ticks]."""

    def miss(self, missed: Missed) -> None:
        """Take due readings that are missing."""

    def tell(self, event: LinkEvent) -> None:
        """Take a change of a link."""

    def polled(self) -> None:
        """Count an exchange."""

    def put_state(self, name: str, value: str, since_ms: int) -> None:
        """Keep a state over restarts."""

    def state(self, name: str) -> tuple[str, int] | None:
        """Give a kept state."""


@dataclass(eq=False)
class Device:
    """A meter with what the line knows of it; `slot_ms` is its next slot, `last_ms` its last reading [ms, UTC]."""

    meter: Meter
    link: MeterLink
    slot_ms: int
    blocks: list[Block]
    last_ms: int = 0

    @property
    def interval_ms(self) -> int:
        """Time between two slots [ms]."""
        return self.meter.interval_s * 1000


@dataclass(eq=False)
class Poll:
    """One slot of one meter on its way: what is still to be asked, what came, what is missing and why."""

    device: Device
    slot_ms: int
    blocks: list[Block]
    values: dict[str, int] = field(default_factory=dict)
    lost: dict[str, LinkError] = field(default_factory=dict)
    trouble: LinkError | None = None
    answered_ms: int = 0
    tries: int = 0

    def fail_rest(self, error: LinkError) -> None:
        """Give up what was not asked yet."""
        for block in self.blocks:
            self.fail(block, error)
        self.blocks = []

    def fail(self, block: Block, error: LinkError) -> None:
        """Note that the registers of a block are missing."""
        self.lost |= {register.name: error for register in block.registers}


class LineTask:
    """The scheduler of one connection.

    Parameters
    ----------
    desk
        Where rows, missed readings and changes go.
    """

    def __init__(self, line: Line, transport: Transport, clock: Clock, desk: Desk, align_ms: int) -> None:
        self.line, self.transport, self.clock, self.desk = line, transport, clock, desk
        self.align_ms = align_ms
        kept = desk.state(f"line/{line.name}")
        self.link = _line_link.decode(kept[0]) if kept else LineLink()
        self.devices = [self._device(meter) for meter in line.meters]
        self._connected = self._fresh = self._answered = False
        self._asked_ms = self._tried_ms = 0

    async def run(self) -> None:
        """Ask the meters for ever: until cancelled."""
        await self._connect()
        while True:
            await self.clock.sleep_until(self._next_ms())
            now_ms = self.clock.now_ms()
            self._follow_clock(now_ms)
            due = [self._poll(device, now_ms) for device in self.devices if device.slot_ms <= now_ms]
            seldom = any(poll.device.meter.interval_s >= LONGEST_CONNECT_S for poll in due)
            rare = seldom and now_ms > self._tried_ms
            if self.link.state is State.DOWN and (rare or self.link.may_connect(now_ms)):
                await self._connect()  # no slot that comes seldom is lost to a pause that is nearly over
            if due:
                await self._round(due)

    async def once(self) -> None:
        """Ask every meter once, now."""
        await self._connect()
        now_ms = self.clock.now_ms()
        await self._round([self._poll(device, now_ms) for device in self.devices])
        await self._hang_up()

    # -- slots ------------------------------------------------------------------------------

    def _device(self, meter: Meter) -> Device:
        now_ms, interval_ms = self.clock.now_ms(), meter.interval_s * 1000
        kept = self.desk.state(f"meter/{self.line.name}/{meter.name}")
        link = _meter_link.decode(kept[0]) if kept else MeterLink()
        device = Device(meter, link, -(-now_ms // interval_ms) * interval_ms, list(meter.blocks()))
        done = self.desk.state(f"slot/{self.line.name}/{meter.name}")
        if done is not None:
            first_ms = done[1] // interval_ms * interval_ms + interval_ms
            device.slot_ms = (
                max(device.slot_ms, first_ms) if first_ms - now_ms <= interval_ms else device.slot_ms
            )
            self._skip(device, first_ms, device.slot_ms, "COLLECTOR_DOWN")
        return device

    def _next_ms(self) -> int:
        """When something is to be done next [ms, UTC]."""
        slot_ms = min(device.slot_ms for device in self.devices)
        return min(slot_ms, self.link.retry_ms) if self.link.state is State.DOWN else slot_ms

    def _follow_clock(self, now_ms: int) -> None:
        """Let nobody wait for the time from which somebody set the clock back."""
        for device in self.devices:
            if device.slot_ms - now_ms > device.interval_ms:
                device.slot_ms = -(-now_ms // device.interval_ms) * device.interval_ms
        if self.link.retry_ms - now_ms > 1000 * LONGEST_CONNECT_S:
            self.link = msgspec.structs.replace(self.link, retry_ms=now_ms)

    def _poll(self, device: Device, now_ms: int) -> Poll:
        """Take the slot that is due; what fell due before it while the line was busy is an overrun."""
        slot_ms = now_ms // device.interval_ms * device.interval_ms
        self._skip(device, device.slot_ms, slot_ms, "OVERRUN")
        device.slot_ms = slot_ms + device.interval_ms
        return Poll(device, slot_ms, list(device.blocks))

    def _skip(self, device: Device, first_ms: int, before_ms: int, reason: str) -> None:
        """Tell that the slots in [first, before) are missing."""
        count = (before_ms - first_ms) // device.interval_ms
        if count <= 0:
            return
        last_ms = before_ms - device.interval_ms
        self.desk.miss(Missed(first_ms, last_ms, count, Reason[reason], device.meter.points))
        self._keep_slot(device, last_ms)

    def _keep_slot(self, device: Device, slot_ms: int) -> None:
        self.desk.put_state(f"slot/{self.line.name}/{device.meter.name}", "", slot_ms)

    # -- a round ----------------------------------------------------------------------------

    async def _round(self, due: list[Poll]) -> None:
        self._fresh = self._answered = False
        again: list[Poll] = []
        for poll in sorted(due, key=lambda poll: poll.device.link.state is State.DOWN):
            if not await self._try(poll):
                again.append(poll)
        for poll in again:
            await self._try(poll)

    async def _try(self, poll: Poll) -> bool:
        """Ask a meter what it has not answered yet; False if it wants a second try later in the round."""
        device = poll.device
        if not device.link.may_ask(self.clock.now_ms()):
            poll.fail_rest(LinkError(device.link.reason, "it is down", **device.link.parameters))
        elif (silence := await self._ask_all(poll)) is not None:
            poll.tries += 1
            if not poll.answered_ms:
                now_ms = self.clock.now_ms()
                self._turn(device, *meter_silent(device.link, now_ms, silence.reason, silence.parameters))
            if poll.tries == 1 and device.link.state is not State.DOWN:
                return False
            poll.fail_rest(silence)
        self._finish(poll)
        return True

    async def _ask_all(self, poll: Poll) -> LinkError | None:
        """Ask block after block; the error if the meter says nothing."""
        meter = poll.device.meter
        while poll.blocks:
            if not await self._ready():
                poll.fail_rest(_named(LinkError("LINE_DOWN", "no connection"), self.line, meter))
                break
            block = poll.blocks[0]
            try:
                words = await self._exchange(meter.unit, block)
            except LinkError as error:
                named = _named(error, self.line, meter)
                if error.reason in SILENT:
                    return named
                self._refused(poll, block, named)
            else:
                self._take(poll, block, words)
        return None

    def _take(self, poll: Poll, block: Block, words: list[int]) -> None:
        poll.answered_ms = self.clock.now_ms()
        poll.blocks.pop(0)
        for register in block.registers:
            start = register.address - block.address
            try:
                poll.values[register.name] = ticks(register, words[start : start + register.length])
            except LinkError as error:
                poll.lost[register.name] = error

    def _refused(self, poll: Poll, block: Block, error: LinkError) -> None:
        """Take an answer that holds no value."""
        poll.answered_ms = self.clock.now_ms()
        if error.parameters.get("code") in SPLITTING and len(block.registers) > 1:
            singles = [Block(one.function, one.address, one.length, (one,)) for one in block.registers]
            at = poll.device.blocks.index(block)
            poll.device.blocks[at : at + 1] = singles
            poll.blocks[:1] = singles
            return
        poll.trouble = poll.trouble or error
        if error.reason == "GATEWAY":
            poll.fail_rest(error)
        else:
            poll.fail(poll.blocks.pop(0), error)

    def _finish(self, poll: Poll) -> None:
        """Hand in what the slot gave."""
        device, meter = poll.device, poll.device.meter
        if poll.answered_ms:
            trouble = (poll.trouble.reason, poll.trouble.parameters) if poll.trouble else ()
            self._turn(device, *meter_answered(device.link, poll.answered_ms, *trouble))
        elif device.link.state is State.SUSPECT:  # the line went away before its second try
            before = State.UP if device.link.since_ms else State.NEW
            device.link = msgspec.structs.replace(device.link, state=before)
        points = {register.name: point for register, point in meter.registers}
        if poll.values:
            aligned = poll.answered_ms - poll.slot_ms <= self.align_ms
            device.last_ms = poll.slot_ms if aligned else poll.answered_ms
            self.desk.row(meter, device.last_ms, {points[name]: value for name, value in poll.values.items()})
        for error, names in _by_reason(poll.lost):
            lost = tuple(points[name] for name in names)
            slot_ms = poll.slot_ms
            self.desk.miss(Missed(slot_ms, slot_ms, 1, Reason[error.reason], lost, error.parameters))
        self._keep_slot(device, poll.slot_ms)

    def _turn(self, device: Device, link: MeterLink, kind: LinkKind | None) -> None:
        """Set a meter's state, and tell and keep it if it changed."""
        before, device.link = device.link, link
        if link.state is not State.SUSPECT and link != before:
            name = f"meter/{self.line.name}/{device.meter.name}"
            self.desk.put_state(name, msgspec.json.encode(link).decode(), link.since_ms)
        if kind is not None:
            reason, since_ms = Reason[link.reason or "NONE"], before.since_ms
            place = self.line.name, device.meter.name
            self.desk.tell(LinkEvent(link.since_ms, kind, *place, reason, since_ms, link.parameters))

    # -- the connection ---------------------------------------------------------------------

    async def _exchange(self, unit: int, block: Block) -> list[int]:
        """Read one block; a connection that the other end closed since the last round is opened anew."""
        if self.line.pause_ms:
            await self.clock.sleep_until(self._asked_ms + self.line.pause_ms)
        try:
            return await self._read(unit, block)
        except LinkError as error:
            if error.reason != "LINE_DOWN" or self._fresh or self._answered or not await self._ready():
                raise
            return await self._read(unit, block)

    async def _read(self, unit: int, block: Block) -> list[int]:
        try:
            words = await self.transport.read(unit, block.function, block.address, block.count)
        except LinkError as error:
            silent = error.reason in SILENT
            if error.reason in ("LINE_DOWN", "DAMAGED") or (silent and not self._answered):
                await self._hang_up()  # lost, out of step, or perhaps dead without a word
            self._answered |= not silent
            raise
        finally:
            self._asked_ms = self.clock.now_ms()
            self.desk.polled()
        self._answered = True
        return words

    async def _ready(self) -> bool:
        """Have a connection, if it is time to try; say whether there is one."""
        if not self._connected and self.link.may_connect(self.clock.now_ms()):
            await self._connect()
        return self._connected

    async def _connect(self) -> None:
        now_ms = self._tried_ms = self.clock.now_ms()
        try:
            await self.transport.connect()
        except LinkError:
            self._connected, step = False, line_refused(self.link, now_ms)
        else:
            self._connected, step = True, line_connected(self.link, now_ms)
        self._fresh, self._answered = self._connected, False
        before, (self.link, kind) = self.link, step
        if self.link != before:
            value = msgspec.json.encode(self.link).decode()
            self.desk.put_state(f"line/{self.line.name}", value, self.link.since_ms)
        if kind is not None:
            down = kind is LinkKind.LINE_DOWN
            reason = Reason.LINE_DOWN if down else Reason.NONE
            parameters = {"line": self.line.name} if down else {}
            self.desk.tell(LinkEvent(now_ms, kind, self.line.name, "", reason, before.since_ms, parameters))

    async def _hang_up(self) -> None:
        self._connected = False
        await self.transport.close()


def _named(error: LinkError, line: Line, meter: Meter) -> LinkError:
    """Add what the text of its reason speaks of."""
    names = {"TIMEOUT": {"meter": meter.name}, "LINE_DOWN": {"line": line.name}}
    return LinkError(error.reason, str(error), **(error.parameters | names.get(error.reason, {})))


def _by_reason(lost: dict[str, LinkError]) -> list[tuple[LinkError, list[str]]]:
    """Gather registers that are missing for the same reason."""
    found: dict[tuple[str, ...], tuple[LinkError, list[str]]] = {}
    for name, error in lost.items():
        key = error.reason, *sorted(error.parameters.values())
        found.setdefault(key, (error, []))[1].append(name)
    return list(found.values())
