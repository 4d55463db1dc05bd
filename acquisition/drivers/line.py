"""One line: a task that asks its meters when they are due, one request at a time.

A meter is due at the UTC multiples of its interval (its *slots*).  Each slot ends as a row
of values, as missed readings with their reason, or both; none is passed over in silence.
In a round the meters that answer come first, probes of dead ones after them and second
tries last, so that no meter without an answer is asked twice in a row and none holds up the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from acquisition.codecs.exchange import Answer, Block
from acquisition.drivers.clock import EARLIEST_MS, SET_BACK_MS, Clock
from acquisition.drivers.config import Line, Meter
from acquisition.drivers.connection import MUTE, Connection
from acquisition.drivers.desk import Desk
from acquisition.drivers.states import (
    LONGEST_CONNECT_S,
    MeterLink,
    State,
    meter_answered,
    meter_silent,
)
from acquisition.drivers.transport import Transport
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Reason
from nengliu.errors import LinkError
from schemas.messages import LinkEvent, Missed

SILENT = (*MUTE, "GATEWAY")
"""Reasons of an exchange in which the meter said nothing at all, though a gateway may have said so."""
LONGEST_SKIP_MS = 366 * 86_400_000
"""More is never told as missing at a time: a clock that leapt further did not show the time before."""
SPLITTING = ("2", "3", "4")
"""Exception codes that reading over a hole may bring: the block is read register by register from then on."""
_meter_link = msgspec.json.Decoder(MeterLink)


@dataclass(eq=False)
class Device:
    """A meter with what the line knows of it.

    Parameters
    ----------
    slot_ms, last_ms
        Its next slot and its last reading [ms, UTC].
    skipped
        First slot and end of the newest range the clock or a break leapt over [ms, UTC].
    """

    meter: Meter
    link: MeterLink
    slot_ms: int
    blocks: list[Block]
    last_ms: int = 0
    skipped: tuple[int, int] = (0, 0)

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
        """Note that the items of a block are missing."""
        self.lost |= {item.name: error for item in block.items}


class LineTask:
    """The scheduler of one connection.

    Parameters
    ----------
    desk
        Where rows, missed readings and changes go.
    """

    def __init__(self, line: Line, transport: Transport, clock: Clock, desk: Desk, align_ms: int) -> None:
        self.line, self.clock, self.desk = line, clock, desk
        self.align_ms = align_ms
        self.connection = Connection(line, transport, clock, desk)
        self.devices = [self._device(meter) for meter in line.meters]
        self._lead_ms = clock.now_ms() - clock.steady_ms()

    async def run(self) -> None:
        """Ask the meters for ever: until cancelled."""
        await self.connection.open()
        while True:
            leapt = await self._something_due()
            now_ms = self.clock.now_ms()
            reason = "CLOCK_SET" if leapt else "OVERRUN"
            due = [self._poll(device, now_ms, reason) for device in self.devices if device.slot_ms <= now_ms]
            seldom = any(poll.device.meter.interval_s >= LONGEST_CONNECT_S for poll in due)
            await self.connection.retry(seldom=seldom)
            if due:
                await self._round(due)

    async def once(self) -> None:
        """Ask every meter once, now."""
        await self.connection.open()
        now_ms = self.clock.now_ms()
        await self._round([self._poll(device, now_ms, "OVERRUN") for device in self.devices])
        await self.connection.close()

    # -- slots ------------------------------------------------------------------------------

    def _device(self, meter: Meter) -> Device:
        now_ms, interval_ms = self.clock.now_ms(), meter.interval_s * 1000
        kept = self.desk.state(f"meter/{self.line.name}/{meter.name}")
        link = _meter_link.decode(kept[0]) if kept else MeterLink()
        device = Device(meter, link, -(-now_ms // interval_ms) * interval_ms, list(meter.blocks()))
        done = self.desk.state(f"slot/{self.line.name}/{meter.name}")
        if done is not None:
            self._resume(device, now_ms, *done)
        return device

    def _resume(self, device: Device, now_ms: int, skipped: str, done_ms: int) -> None:
        """Go on after the slot that was done last, and tell what was slept through."""
        if skipped:
            first_ms, before_ms = map(int, skipped.split())
            device.skipped = first_ms, before_ms
        next_ms = done_ms // device.interval_ms * device.interval_ms + device.interval_ms
        if next_ms - now_ms > device.interval_ms:
            self._begin_anew(device, now_ms)
        else:
            device.slot_ms = max(device.slot_ms, next_ms)
            self._skip(device, next_ms, device.slot_ms, "COLLECTOR_DOWN")

    async def _something_due(self) -> bool:
        """Wait until something is due by a clock that is set; say whether it was set forward meanwhile."""
        leapt = False
        while True:
            now_ms = self.clock.now_ms()
            lead_ms = now_ms - self.clock.steady_ms()
            leapt |= lead_ms - self._lead_ms > SET_BACK_MS
            self._lead_ms = lead_ms
            if now_ms >= EARLIEST_MS:
                self._follow_clock(now_ms)
                if self._next_ms() <= now_ms:
                    return leapt
            await self.clock.sleep_until(max(self._next_ms(), EARLIEST_MS))

    def _next_ms(self) -> int:
        """When something is to be done next [ms, UTC]."""
        slot_ms = min(device.slot_ms for device in self.devices)
        return min(slot_ms, self.connection.retry_ms or slot_ms)

    def _follow_clock(self, now_ms: int) -> None:
        """Let nobody wait for the time from which somebody set the clock back."""
        for device in self.devices:
            if device.slot_ms - now_ms > device.interval_ms:
                self._begin_anew(device, now_ms)
        self.connection.follow_clock(now_ms)

    def _begin_anew(self, device: Device, now_ms: int) -> None:
        """Take up the next slot after the clock was set back.

        A clock that was ahead leapt over slots that have fallen due since; the log refused to hear of them then.
        """
        device.slot_ms = -(-now_ms // device.interval_ms) * device.interval_ms
        first_ms, before_ms = device.skipped
        if device.slot_ms < before_ms:
            self._skip(device, first_ms, device.slot_ms, "CLOCK_SET")

    def _poll(self, device: Device, now_ms: int, reason: str) -> Poll:
        """Take the slot that is due; what fell due before it is missing for `reason`."""
        slot_ms = now_ms // device.interval_ms * device.interval_ms
        self._skip(device, device.slot_ms, slot_ms, reason)
        device.slot_ms = slot_ms + device.interval_ms
        return Poll(device, slot_ms, list(device.blocks))

    def _skip(self, device: Device, first_ms: int, before_ms: int, reason: str) -> None:
        """Tell that the slots in [first, before) are missing, a year of them at most."""
        count = min(before_ms - first_ms, LONGEST_SKIP_MS) // device.interval_ms
        if count <= 0:
            return
        last_ms = before_ms - device.interval_ms
        first_ms = before_ms - count * device.interval_ms
        if reason != "OVERRUN":
            device.skipped = first_ms, before_ms
        self.desk.miss(Missed(first_ms, last_ms, count, Reason[reason], device.meter.points))
        self._keep_slot(device, last_ms)

    def _keep_slot(self, device: Device, slot_ms: int) -> None:
        skipped = "{} {}".format(*device.skipped) if any(device.skipped) else ""
        self.desk.put_state(f"slot/{self.line.name}/{device.meter.name}", skipped, slot_ms)

    # -- a round ----------------------------------------------------------------------------

    async def _round(self, due: list[Poll]) -> None:
        self.connection.begin_round()
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
            if not await self.connection.ready():
                poll.fail_rest(_named(LinkError("LINE_DOWN", "no connection"), self.line, meter))
                break
            block = poll.blocks[0]
            try:
                answer = await self.connection.ask(meter.address, block)
            except LinkError as error:
                named = _named(error, self.line, meter)
                if error.reason in SILENT:
                    return named
                self._refused(poll, block, named)
            else:
                self._take(poll, answer)
        return None

    def _take(self, poll: Poll, answer: Answer) -> None:
        poll.answered_ms = self.clock.now_ms()
        poll.blocks.pop(0)
        poll.values |= answer.values
        poll.lost |= answer.lost

    def _refused(self, poll: Poll, block: Block, error: LinkError) -> None:
        """Take an answer that holds no value."""
        poll.answered_ms = self.clock.now_ms()
        if error.parameters.get("code") in SPLITTING and len(singles := block.split()) > 1:
            at = poll.device.blocks.index(block)
            poll.device.blocks[at : at + 1] = singles
            poll.blocks[:1] = singles
            return
        poll.trouble = poll.trouble or error
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
        points = {item.name: point for item, point in meter.items}
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
