"""Setting the clocks of meters by broadcast: only if it is allowed, small, seldom, and far from midnight.

A meter follows a broadcast by at most five minutes and once a day; what is further off needs a person.
The broadcast carries no values that count, but a clock that jumps over the edge of a day would
move what the meter freezes then.
Source: DL/T 645-2007 7.6 (broadcast time); protocols 1.1, 5.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec

from acquisition.codecs.dlt645 import set_time
from acquisition.drivers.desk import Desk
from acquisition.drivers.lines.asking import Asking
from acquisition.drivers.lines.devices import Device
from acquisition.drivers.lines.transport import Transport
from acquisition.drivers.lines.upkeep import OFF_S, TRUSTED_S
from acquisition.drivers.upward.clock_source import STATE, Kept
from nengliu.domain.links import LinkKind
from nengliu.domain.times import CHINA_OFFSET_MS, DAY_MS

NEAR_MIDNIGHT_MS = 15 * 60_000
"""So near to midnight no clock is set: twice the most a broadcast moves it, and its round."""


@runtime_checkable
class Announcer(Protocol):
    """A transport that can send what nobody answers."""

    async def announce(self, frame: bytes) -> None:
        """Send a frame to all."""


class ClockSetter:
    """Sets the clocks of the meters of one line that speak DL/T 645."""

    def __init__(self, asking: Asking, transport: Transport, desk: Desk) -> None:
        self._asking, self._transport, self._desk = asking, transport, desk
        self._line, self._clock = asking.line, asking.clock

    async def consider(self, devices: Sequence[Device]) -> None:
        """Set the clocks if one is off by little and today nobody has."""
        now_ms = self._clock.now_ms()
        off = [device for device in devices if _is_off(device)]
        if not off or not self._may(now_ms) or not isinstance(self._transport, Announcer):
            return
        self._desk.put_state(f"clocks/{self._line.name}", "", now_ms)
        await self._transport.announce(set_time(self._clock.now_ms()))
        for device in off:
            health = msgspec.structs.replace(device.health, set_from_s=device.health.drift_s)
            self._asking.keep_health(device, health)
            device.check_ms = now_ms

    def _may(self, now_ms: int) -> bool:
        """Say whether today's broadcast may go out now, by a clock of ours that is known to be right."""
        ours = self._desk.state(STATE)
        if ours is None or msgspec.json.decode(ours[0], type=Kept).kind != LinkKind.CLOCK_TRUE:
            return False
        of_day_ms = (now_ms + CHINA_OFFSET_MS) % DAY_MS
        kept = self._desk.state(f"clocks/{self._line.name}")
        day, last = (now_ms + CHINA_OFFSET_MS) // DAY_MS, (kept[1] + CHINA_OFFSET_MS) // DAY_MS if kept else 0
        return NEAR_MIDNIGHT_MS <= of_day_ms < DAY_MS - NEAR_MIDNIGHT_MS and day != last


def _is_off(device: Device) -> bool:
    drift_s = device.health.drift_s
    speaks = device.meter.map.protocol.startswith("dlt645")
    return speaks and drift_s is not None and TRUSTED_S < abs(drift_s) < OFF_S
