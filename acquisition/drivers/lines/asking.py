"""One question to one meter of a line, and what its answer or its silence makes of the meter's state."""

from __future__ import annotations

import msgspec

from acquisition.codecs.exchange import Answer, Block
from acquisition.drivers.clock import Clock
from acquisition.drivers.config import Line
from acquisition.drivers.desk import Desk
from acquisition.drivers.lines.connection import MUTE, Connection
from acquisition.drivers.lines.devices import Device
from acquisition.drivers.lines.states import MeterLink, State, meter_answered, meter_silent
from acquisition.drivers.lines.upkeep import CLOCK, Health, hear_clock, hear_status
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Reason
from nengliu.errors import LinkError
from schemas.messages import LinkEvent

SILENT = (*MUTE, "GATEWAY")
"""Reasons of an exchange in which the meter said nothing at all, though a gateway may have said so."""


class Asking:
    """The meters of a line, asked through its connection."""

    def __init__(self, line: Line, connection: Connection, clock: Clock, desk: Desk) -> None:
        self.line, self.connection, self.clock, self._desk = line, connection, clock, desk

    async def ask(self, device: Device, block: Block) -> Answer:
        """Ask a meter for a block; LinkError with what the text of its reason speaks of."""
        try:
            return await self.connection.ask(device.meter.address, block)
        except LinkError as error:
            raise self._named(error, device) from error

    async def clock_is_right(self, device: Device) -> bool:
        """Read a meter's clock now, and say whether what it froze at the hour may stand for the hour.

        Raises
        ------
        LinkError
            There is no clock to be had.
        """
        block = next((one for one in device.checks if any(item.name == CLOCK for item in one.items)), None)
        if block is None:
            return False
        asked_ms = self.clock.now_ms()
        answer = await self.ask(device, block)
        self.hear(device, answer, (asked_ms + self.clock.now_ms()) // 2)
        return device.health.is_trusted

    def lost(self, device: Device) -> LinkError:
        """Say that there is no line."""
        return self._named(LinkError("LINE_DOWN", "no connection"), device)

    def heard(self, device: Device, at_ms: int, trouble: LinkError | None = None) -> None:
        """Take note that a meter answered, `trouble` if it refused or could not be understood."""
        told = (trouble.reason, trouble.parameters) if trouble else ()
        was_away = device.link.state is State.DOWN or device.link.reason != ""
        self._turn(device, *meter_answered(device.link, at_ms, *told))
        if was_away and not trouble:
            device.check_ms = at_ms  # what it says of itself now is evidence of what was

    def silent(self, device: Device, error: LinkError) -> None:
        """Take note that a meter did not answer."""
        now_ms = self.clock.now_ms()
        self._turn(device, *meter_silent(device.link, now_ms, error.reason, error.parameters))

    def hear(self, device: Device, answer: Answer, at_ms: int) -> None:
        """Take note of what a meter says of its clock and itself, and tell what is new."""
        health, said = device.health, []
        if CLOCK in answer.values:
            health, one = hear_clock(health, answer.values[CLOCK], at_ms)
            said.append(one)
        health, one = hear_status(health, device.meter.map.protocol, answer.values, at_ms)
        said.append(one)
        self.keep_health(device, health)
        for kind, parameters in filter(None, said):
            self.tell(device, kind, parameters)

    def keep_health(self, device: Device, health: Health) -> None:
        """Keep what a meter says of itself over restarts."""
        if health != device.health:
            device.health = health
            name = f"health/{self.line.name}/{device.meter.name}"
            self._desk.put_state(name, msgspec.json.encode(health).decode(), health.since_ms)

    def tell(self, device: Device, kind: LinkKind, parameters: dict[str, str], since_ms: int = 0) -> None:
        """Tell a change of a meter."""
        place = self.line.name, device.meter.name
        now_ms = self.clock.now_ms()
        self._desk.tell(LinkEvent(now_ms, kind, *place, Reason.NONE, since_ms, parameters))

    def _turn(self, device: Device, link: MeterLink, kind: LinkKind | None) -> None:
        """Set a meter's state, and tell and keep it if it changed."""
        before, device.link = device.link, link
        if link.state is not State.SUSPECT and link != before:
            name = f"meter/{self.line.name}/{device.meter.name}"
            self._desk.put_state(name, msgspec.json.encode(link).decode(), link.since_ms)
        if kind is not None:
            reason, since_ms = Reason[link.reason or "NONE"], before.since_ms
            place = self.line.name, device.meter.name
            self._desk.tell(LinkEvent(link.since_ms, kind, *place, reason, since_ms, link.parameters))

    def _named(self, error: LinkError, device: Device) -> LinkError:
        """Add what the text of its reason speaks of."""
        names = {"TIMEOUT": {"meter": device.meter.name}, "LINE_DOWN": {"line": self.line.name}}
        return LinkError(error.reason, str(error), **(error.parameters | names.get(error.reason, {})))
