"""Spare time of a line, between its slots: what meters say of themselves, hours that were missed, dead meters.

One question at a time, and only if it is likely to be over before the next slot: nothing due
ever waits for it.  Clocks and status words come first, then gaps (class backfill), then
meters that are dead and seldom due (class discovery): whether they are back is told within
minutes, not hours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from acquisition.codecs.exchange import Block
from acquisition.drivers.desk import Desk
from acquisition.drivers.lines.asking import SILENT, Asking
from acquisition.drivers.lines.devices import Device
from acquisition.drivers.lines.prediction import exchange_ms
from acquisition.drivers.lines.slots import Slots
from acquisition.drivers.lines.states import LONGEST_PROBE_S, State
from acquisition.drivers.meters.frame_maps import FROZEN
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Origin, Quality
from nengliu.domain.times import HOUR_MS
from nengliu.errors import LinkError

Job = Callable[[Device], Awaitable[None]]


class SpareTime:
    """What is done for the meters of a line when none is due."""

    def __init__(self, asking: Asking, slots: Slots, desk: Desk) -> None:
        self._asking, self._slots, self._desk = asking, slots, desk
        self._line, self._clock = asking.line, asking.clock

    def pick(self, devices: Sequence[Device], until_ms: int) -> tuple[Job, Device] | None:
        """Find what can be done before `until_ms`; None: nothing."""
        now_ms = self._clock.now_ms()
        for wants, job in (
            (self._check, self._do_check),
            (self._gap, self._do_fill),
            (self._dead, self._do_probe),
        ):
            for device in devices:
                block = wants(device, now_ms) if now_ms >= device.idle_from_ms else None
                if block is not None and now_ms + exchange_ms(self._line, block) <= until_ms:
                    return job, device
        return None

    def next_ms(self, devices: Sequence[Device]) -> int | None:
        """When something may be wanted that is not yet [ms, UTC]; None: never."""
        now_ms = self._clock.now_ms()
        ahead = [device.check_ms for device in devices if device.checks and device.link.state is State.UP]
        ahead += [device.link.probe_ms for device in devices if _is_seldom(device)]
        ahead += [device.idle_from_ms for device in devices]
        return min((at_ms for at_ms in ahead if at_ms > now_ms), default=None)

    # -- what is wanted ---------------------------------------------------------------------

    @staticmethod
    def _check(device: Device, now_ms: int) -> Block | None:
        wanted = device.link.state is State.UP and now_ms >= device.check_ms
        return device.checks[device.checked] if wanted and device.checks else None

    @staticmethod
    def _gap(device: Device, now_ms: int) -> Block | None:
        gaps, frozen = device.gaps, device.meter.map.frozen
        if gaps is None or frozen is None or not gaps or device.link.state is not State.UP:
            return None
        back = gaps.next_back(now_ms)
        return None if back is None else frozen.blocks(device.frozen_items, back)[0]

    @staticmethod
    def _dead(device: Device, now_ms: int) -> Block | None:
        return device.blocks[0] if _is_seldom(device) and device.link.may_ask(now_ms) else None

    # -- what is done -----------------------------------------------------------------------

    async def _do_check(self, device: Device) -> None:
        """Ask one of the questions of the hour."""
        block, asked_ms = device.checks[device.checked], self._clock.now_ms()
        try:
            answer = await self._asking.ask(device, block)
        except LinkError as error:
            self._failed(device, error)
            if error.reason == "CONFIG":  # it does not have that
                device.checks.remove(block)
                device.checked = 0
            return
        self._asking.hear(device, answer, (asked_ms + self._clock.now_ms()) // 2)
        device.checked += 1
        if device.checked == len(device.checks):
            device.checked, device.check_ms = 0, self._clock.now_ms() // HOUR_MS * HOUR_MS + HOUR_MS

    async def _do_fill(self, device: Device) -> None:
        """Ask for what was frozen in an hour that was missed."""
        gaps, frozen = device.gaps, device.meter.map.frozen
        back = gaps.next_back(self._clock.now_ms()) if gaps else None
        if gaps is None or frozen is None or back is None:
            return
        values: dict[str, int] = {}
        raw, hour_ms = b"", 0
        for block in frozen.blocks(device.frozen_items, back):
            try:
                answer = await self._asking.ask(device, block)
            except LinkError as error:
                if error.reason in ("CONFIG", "NO_DATA"):  # it keeps nothing so old
                    gaps.give_up_from(back)
                    self._filled(device)
                else:
                    self._failed(device, error)
                return
            if hour_ms in (0, answer.at_ms):
                hour_ms = answer.at_ms
                values |= {name.removesuffix(FROZEN): ticks for name, ticks in answer.values.items()}
                raw += answer.raw
        if gaps.found(back, hour_ms):
            quality = {} if device.health.is_trusted else dict.fromkeys(values, Quality.ESTIMATED)
            device.hand_in(self._desk, hour_ms, values, origin=Origin.BACKFILL, quality=quality, raw=raw)
        self._filled(device)

    def _filled(self, device: Device) -> None:
        """Keep what is still missed, and tell when nothing is."""
        gaps = device.gaps
        self._slots.keep_gaps(device)
        if gaps is not None and not gaps and gaps.filled:
            self._asking.tell(device, LinkKind.GAP_FILLED, {"count": str(gaps.filled)})
            gaps.filled = 0

    async def _do_probe(self, device: Device) -> None:
        """See whether a dead meter is back."""
        try:
            await self._asking.ask(device, device.blocks[0])
        except LinkError as error:
            if error.reason in SILENT:
                self._asking.silent(device, error)
                return
        self._asking.heard(device, self._clock.now_ms())

    def _failed(self, device: Device, error: LinkError) -> None:
        """Leave a meter in peace until its next slot, whatever it did."""
        device.idle_from_ms = device.slot_ms + 1
        if error.reason in SILENT:
            self._asking.silent(device, error)


def _is_seldom(device: Device) -> bool:
    """Say whether it is dead, and due so seldom that its back-off is over long before."""
    return device.link.state is State.DOWN and device.meter.interval_s >= LONGEST_PROBE_S
