"""Slots: the due instants of the meters of a line, over breaks and over clocks that somebody sets.

A meter is due at the UTC multiples of its interval.  Each slot ends as a row, as missed
readings with their reason, or both; none is passed over in silence.
"""

from __future__ import annotations

import msgspec

from acquisition.drivers.clock import Clock
from acquisition.drivers.config import Meter
from acquisition.drivers.desk import Desk
from acquisition.drivers.lines.devices import Device
from acquisition.drivers.lines.gaps import Gaps
from acquisition.drivers.lines.states import MeterLink
from acquisition.drivers.lines.upkeep import Health
from nengliu.domain.quality import Reason
from schemas.messages import Missed

LONGEST_SKIP_MS = 366 * 86_400_000
"""More is never told as missing at a time: a clock that leapt further did not show the time before."""
_meter_link = msgspec.json.Decoder(MeterLink)
_health = msgspec.json.Decoder(Health)


class Slots:
    """The slots of one line's meters."""

    def __init__(self, line: str, clock: Clock, desk: Desk) -> None:
        self._line, self._clock, self._desk = line, clock, desk

    def device(self, meter: Meter) -> Device:
        """Take up a meter where its line left it."""
        now_ms, interval_ms = self._clock.now_ms(), meter.interval_s * 1000
        kept = {name: self._desk.state(self._name(name, meter)) for name in ("meter", "health", "gaps")}
        gaps = None
        if meter.frozen and meter.map.frozen is not None:
            gaps = Gaps(meter.map.frozen.depth, kept["gaps"][0] if kept["gaps"] else "")
        device = Device(
            meter,
            _meter_link.decode(kept["meter"][0]) if kept["meter"] else MeterLink(),
            -(-now_ms // interval_ms) * interval_ms,
            list(meter.blocks()),
            gaps,
            _health.decode(kept["health"][0]) if kept["health"] else Health(),
            list(meter.map.upkeep),
        )
        done = self._desk.state(self._name("slot", meter))
        if done is not None:
            self._resume(device, now_ms, *done)
        return device

    def take(self, device: Device, now_ms: int, reason: str) -> int:
        """Take the slot that is due; what fell due before it is missing for `reason`."""
        slot_ms = now_ms // device.interval_ms * device.interval_ms
        self._skip(device, device.slot_ms, slot_ms, reason)
        device.slot_ms = slot_ms + device.interval_ms
        return slot_ms

    def done(self, device: Device, slot_ms: int, *, has_frozen: bool) -> None:
        """Keep that a slot is done; `has_frozen`: what the meter freezes came, or is not read."""
        self._keep_slot(device, slot_ms)
        if not has_frozen:
            self._miss_hours(device, range(slot_ms, slot_ms + 1))

    def follow_clock(self, device: Device, now_ms: int) -> None:
        """Let a meter not wait for the time from which somebody set the clock back."""
        if device.slot_ms - now_ms > device.interval_ms:
            self._begin_anew(device, now_ms)

    def keep_gaps(self, device: Device) -> None:
        """Keep the missed hours over restarts."""
        if device.gaps is not None:
            self._desk.put_state(self._name("gaps", device.meter), device.gaps.text(), self._clock.now_ms())

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

    def _begin_anew(self, device: Device, now_ms: int) -> None:
        """Take up the next slot after the clock was set back.

        A clock that was ahead leapt over slots that have fallen due since; the log refused to hear of them then.
        """
        device.slot_ms = -(-now_ms // device.interval_ms) * device.interval_ms
        first_ms, before_ms = device.skipped
        if device.slot_ms < before_ms:
            self._skip(device, first_ms, device.slot_ms, "CLOCK_SET")

    def _skip(self, device: Device, first_ms: int, before_ms: int, reason: str) -> None:
        """Tell that the slots in [first, before) are missing, a year of them at most."""
        count = min(before_ms - first_ms, LONGEST_SKIP_MS) // device.interval_ms
        if count <= 0:
            return
        last_ms = before_ms - device.interval_ms
        first_ms = before_ms - count * device.interval_ms
        if reason != "OVERRUN":
            device.skipped = first_ms, before_ms
        self._desk.miss(Missed(first_ms, last_ms, count, Reason[reason], device.meter.points))
        self._keep_slot(device, last_ms)
        self._miss_hours(device, range(first_ms, before_ms, device.interval_ms))

    def _miss_hours(self, device: Device, slots: range) -> None:
        if device.gaps is not None:
            device.gaps.miss(slots)
            self.keep_gaps(device)

    def _keep_slot(self, device: Device, slot_ms: int) -> None:
        skipped = "{} {}".format(*device.skipped) if any(device.skipped) else ""
        self._desk.put_state(self._name("slot", device.meter), skipped, slot_ms)

    def _name(self, what: str, meter: Meter) -> str:
        return f"{what}/{self._line}/{meter.name}"
