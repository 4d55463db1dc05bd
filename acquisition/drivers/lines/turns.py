"""What happens to one due meter in a round: asked block after block, and its slot handed in.

A slot ends as a row of values, as missed readings with their reason, or both.  What a meter
froze at the slot is asked for first; an answer that cannot be used gets a second try, behind
the other meters.
Source: TC 4.3.3; protocols 5.2, 5.4; docs/decisions/0031.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from acquisition.codecs.exchange import Block
from acquisition.drivers.desk import Desk
from acquisition.drivers.lines.asking import SILENT, Asking
from acquisition.drivers.lines.devices import Device, Poll
from acquisition.drivers.lines.slots import Slots
from acquisition.drivers.lines.states import LONGEST_PROBE_S, State
from acquisition.drivers.meters.frame_maps import FROZEN
from nengliu.domain.quality import Reason
from nengliu.errors import LinkError
from schemas.messages import Missed

SPLITTING = ("2", "3", "4", "01H", "02H", "03H")
"""Codes of refusals that reading over a hole, or asking for a whole block, may bring: it is split from then on."""
UNUSABLE = ("DAMAGED", "MISMATCH")
"""Reasons of an answer that says nothing, and may be better at a second try."""


class Turns:
    """The turns of the due meters of one line.

    Parameters
    ----------
    align_ms
        A reading taken so soon after its due instant bears that.
    serve
        Lets commands have their turn; called before every exchange.
    """

    def __init__(
        self, asking: Asking, slots: Slots, desk: Desk, align_ms: int, serve: Callable[[], Awaitable[None]]
    ) -> None:
        self._asking, self._slots, self._desk = asking, slots, desk
        self._connection, self._clock = asking.connection, asking.clock
        self._align_ms, self._serve = align_ms, serve

    async def take(self, poll: Poll) -> bool:
        """Ask a meter what it has not answered yet; False if it wants a second try later in the round."""
        device = poll.device
        poll.thin(self._clock.now_ms())
        if not self._may_ask(device):
            poll.fail_rest(LinkError(device.link.reason, "it is down", **device.link.parameters))
        else:
            silence = await self._ask_all(poll)
            poll.tries += 1
            if silence is not None and not poll.answered_ms:
                self._asking.silent(device, silence)
            poll.blocks, poll.doubtful = poll.doubtful + poll.blocks, []
            lives = device.link.state is not State.DOWN or poll.answered_ms
            if poll.blocks and poll.tries == 1 and lives:
                poll.end_try()
                return False
            if silence is not None:
                poll.fail_rest(silence)
        self._finish(poll)
        return True

    def _may_ask(self, device: Device) -> bool:
        """Say whether a meter may be asked; one that is due seldom always, since no slot of it is to be lost."""
        return device.link.may_ask(self._clock.now_ms()) or device.meter.interval_s >= LONGEST_PROBE_S

    async def _ask_all(self, poll: Poll) -> LinkError | None:
        """Ask block after block; the error if the meter says nothing."""
        if poll.wants_frozen and (silence := await self._ask_frozen(poll)) is not None:
            return silence
        while poll.blocks:
            await self._serve()
            if not await self._connection.ready():
                poll.fail_rest(self._asking.lost(poll.device))
                break
            block = poll.blocks[0]
            try:
                answer = await self._asking.ask(poll.device, block)
            except LinkError as error:
                if error.reason in SILENT:
                    return error
                self._refused(poll, block, error)
            else:
                poll.answered_ms = self._clock.now_ms()
                poll.take(answer)
        return None

    async def _ask_frozen(self, poll: Poll) -> LinkError | None:
        """Ask for what the meter froze at this slot, if its clock is right now; the error if it says nothing."""
        device, frozen = poll.device, poll.device.meter.map.frozen
        for block in frozen.blocks(device.frozen_items, 1) if frozen is not None else ():
            await self._serve()
            if not await self._connection.ready():
                return None
            try:
                if not poll.asked_clock and not await self._asking.clock_is_right(device):
                    break
                poll.asked_clock = True
                answer = await self._asking.ask(device, block)
            except LinkError as error:
                if error.reason in SILENT:
                    return error
                poll.asked_frozen, poll.answered_ms = True, self._clock.now_ms()
                if error.reason == "CONFIG":  # it freezes nothing at the hours
                    device.gaps, poll.trouble = None, error
                return None
            poll.answered_ms = self._clock.now_ms()
            if answer.at_ms == poll.slot_ms:
                values = {name.removesuffix(FROZEN): ticks for name, ticks in answer.values.items()}
                poll.take_exact(values, answer.raw)
        poll.asked_frozen = True
        return None

    def _refused(self, poll: Poll, block: Block, error: LinkError) -> None:
        """Take an answer that holds no value."""
        poll.answered_ms = self._clock.now_ms()
        if error.parameters.get("code") in SPLITTING and len(singles := block.split()) > 1:
            at = poll.device.blocks.index(block)
            poll.device.blocks[at : at + 1] = singles
            poll.blocks[:1] = singles
            return
        poll.trouble = poll.trouble or error
        poll.is_damaged |= error.reason == "DAMAGED"
        poll.blocks.pop(0)
        if error.reason in UNUSABLE and not poll.tries:
            poll.doubtful.append(block)
        else:
            poll.fail(block, error)

    # -- what a slot gave -------------------------------------------------------------------

    def _finish(self, poll: Poll) -> None:
        """Hand in what the slot gave."""
        device = poll.device
        if poll.answered_ms:
            self._asking.heard(device, poll.answered_ms, poll.trouble)
        elif device.link.state is State.SUSPECT:  # the line went away before its second try
            before = State.UP if device.link.since_ms else State.NEW
            device.link = msgspec.structs.replace(device.link, state=before)
        self._hand_in(poll)
        lost = poll.still_lost()
        blank = (
            frozenset(name for name, error in lost.items() if error.reason == "NO_DATA") | poll.dead_phases()
        )
        if blank != device.blank:  # what it says of itself now is evidence of why
            device.blank, device.check_ms = blank, self._clock.now_ms()
        points = {item.name: point for item, point in device.meter.items}
        for error, names in _by_reason(lost):
            which = tuple(points[name] for name in names)
            slot_ms = poll.slot_ms
            self._desk.miss(Missed(slot_ms, slot_ms, 1, Reason[error.reason], which, error.parameters))
        has_frozen = not any(name in lost for name in device.frozen_items)
        self._slots.done(device, poll.slot_ms, has_frozen=has_frozen)

    def _hand_in(self, poll: Poll) -> None:
        """Hand in what each try told: at the slot, or at the instant at which it was told if that was later."""
        poll.end_try()
        device, on_time = poll.device, poll.exact
        late: list[tuple[int, dict[str, int], bytes]] = []
        for at_ms, names, raw in poll.heard:
            values = {name: poll.values[name] for name in names if name not in poll.exact}
            if at_ms - poll.slot_ms <= self._align_ms:
                on_time = on_time | values
            elif values:
                late.append((at_ms, values, raw))
        rows = [(poll.slot_ms, on_time, poll.raw), *late] if on_time else late
        for at_ms, values, raw in rows:
            device.last_ms = at_ms
            device.hand_in(self._desk, at_ms, values, quality=poll.quality, raw=raw)


def _by_reason(lost: dict[str, LinkError]) -> list[tuple[LinkError, list[str]]]:
    """Gather items that are missing for the same reason."""
    found: dict[tuple[str, ...], tuple[LinkError, list[str]]] = {}
    for name, error in lost.items():
        key = error.reason, *sorted(error.parameters.values())
        found.setdefault(key, (error, []))[1].append(name)
    return list(found.values())
