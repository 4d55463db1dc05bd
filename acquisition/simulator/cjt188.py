"""CJ/T 188 stations: water, heat and gas meters, with the habits of their vendors.

They answer the current reading and their address; valves and bases are not there.
Source: CJ/T 188-2004, as told in protocols 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from acquisition.simulator.bcd import bcd, civil, pairs
from acquisition.simulator.moment import Moment, in_decimals, panel
from acquisition.simulator.station import GOOD, Ear, Heard, Known, Manner, Reply, Value

READ, ADDRESS = 0x01, 0x03
CURRENT, OWN_ADDRESS = 0x901F, 0x810A
REQUEST_DATA = 3
"""Bytes of data of a request to read: identifier and serial number."""
WILD = 0xAA
UNITS = {"kWh": 0x05, "MWh": 0x08, "GJ": 0x11, "kW": 0x17, "m3": 0x2C, "m3/h": 0x35}
"""Unit codes.  Source: protocols 2.1."""
TYPES = {"water": 0x10, "heat": 0x20, "gas": 0x30}
_OK, _REFUSED = 0x80, 0xC0
_VOLUME = (("volume", 2), ("volume_settled", 2))
_HEAT = (("heat_settled", 2), ("heat", 2), ("power_thermal", 2), ("volume_flow", 4), ("volume", 2))
_NAMES = {"power_thermal": "power", "status": "status_1"}
"""Items whose name in an answer is not that of the panel."""
_DEGREES = ("temperature_supply", "temperature_return")


@dataclass(frozen=True, slots=True)
class Habit:
    """How a vendor lays its frames out.

    Parameters
    ----------
    high_first
        The identifier goes out as 90 1F.
    unit_first
        The unit stands before its value.
    clock_high_first
        The clock begins with the century.
    serial
        Of the reply: "echo", "zero" or "free" (it counts by itself).
    flow_decimals
        Of the flow rate.
    answers_as
        Meter type in the reply; 0: that of the request.
    """

    high_first: bool = False
    unit_first: bool = False
    clock_high_first: bool = False
    serial: str = "echo"
    flow_decimals: int = 4
    answers_as: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: meter type, address, control code, identifier and serial number."""

    type: int
    address: bytes
    control: int
    identifier: int
    serial: int
    is_high_first: bool


class Cjt188Ear:
    """Finds frames by their start, length, sum and end."""

    def hear(self, line: bytearray) -> list[Heard]:
        """Take whole requests; answers of others and noise are passed over."""
        found: list[Heard] = []
        at = 0
        while (at := line.find(0x68, at)) >= 0:
            if at + 13 > len(line):
                break
            end = at + 13 + line[at + 10]
            if line[at + 9] >= _OK or line[at + 10] != REQUEST_DATA:
                at += 1
                continue
            if end > len(line):
                break
            raw = bytes(line[at:end])
            if raw[-1] != 0x16 or sum(raw[:-2]) & 0xFF != raw[-2]:
                at += 1
                continue
            found.append(Heard(raw, _asked(raw)))
            at = end
        del line[: at if at >= 0 else len(line)]
        return found


def _asked(raw: bytes) -> Asked:
    identifier = int.from_bytes(raw[11:13], "little")
    is_high_first = identifier not in (CURRENT, OWN_ADDRESS)
    if is_high_first:
        identifier = int.from_bytes(raw[11:13], "big")
    return Asked(raw[1], raw[2:9], raw[9], identifier, raw[13], is_high_first)


@dataclass(eq=False)
class Cjt188Station(Known):
    """A meter that speaks CJ/T 188; `address` is its number with the vendor's code before it, 14 digits.

    Parameters
    ----------
    carrier
        water, gas or heat.
    """

    carrier: str = "water"
    habit: Habit = Habit()
    wake: int = 2
    _count: int = 0
    _ear: ClassVar[Ear] = Cjt188Ear()

    @property
    def ear(self) -> Ear:
        """The requests it understands."""
        return self._ear

    @property
    def wire(self) -> bytes:
        """Its address as it goes over the line."""
        return bytes.fromhex(self.address.zfill(14))[::-1]

    def is_meant(self, heard: Heard) -> bool:
        """Whether address and kind of meter are its own; AA stands for any."""
        asked = heard.body
        if not isinstance(asked, Asked):
            return False
        kind = asked.type == WILD or asked.type >> 4 == TYPES[self.carrier] >> 4
        return kind and all(a in (WILD, b) for a, b in zip(asked.address, self.wire, strict=True))

    def answer(self, heard: Heard, now: Moment, manner: Manner = GOOD) -> Reply | None:
        """Answer a request."""
        asked = heard.body
        assert isinstance(asked, Asked)
        self._count += 1
        if manner.refuse is not None:
            return self._says(asked, _REFUSED, bytes((manner.refuse, 0)), manner, now)
        if asked.control == ADDRESS:
            return self._says(asked, _OK, b"", manner, now)
        if asked.control != READ or asked.identifier != CURRENT:
            return self._says(asked, _REFUSED, bytes((1, 0)), manner, now)
        body, values = self._laid(now, manner)
        return self._says(asked, _OK, body, manner, now, values)

    def _says(
        self,
        asked: Asked,
        kind: int,
        body: bytes,
        manner: Manner,
        now: Moment,
        values: tuple[Value, ...] = (),
    ) -> Reply:
        answered = OWN_ADDRESS if asked.control == ADDRESS else asked.identifier
        high_first = asked.is_high_first if asked.control == ADDRESS else self.habit.high_first
        data = ((answered + manner.item_by) & 0xFFFF).to_bytes(2, "big" if high_first else "little")
        data += bytes(({"echo": asked.serial, "zero": 0}.get(self.habit.serial, self._count & 0xFF),)) + body
        address = bcd((int(self.address) + manner.address_by) % 10**14, 7)
        type_ = self.habit.answers_as or (TYPES[self.carrier] if asked.type == WILD else asked.type)
        frame = bytes((0x68, type_)) + address + bytes((asked.control | kind, len(data))) + data
        frame += bytes((sum(frame) & 0xFF, 0x16))
        return Reply(b"\xfe" * self.wake + frame, values, now.at_ms)

    def _laid(self, now: Moment, manner: Manner) -> tuple[bytes, tuple[Value, ...]]:
        """Lay out the current reading."""
        items = _HEAT if self.carrier == "heat" else _VOLUME
        body, values = b"", []
        for item, decimals in items:
            value = _value(item, self.habit.flow_decimals if item == "volume_flow" else decimals, now)
            told, unit = _digits(value, 4, manner), bytes((UNITS[panel()[item].unit],))
            body += unit + told if self.habit.unit_first else told + unit
            values.append(value)
        if self.carrier == "heat":
            values += [_value(item, 2, now) for item in _DEGREES] + [_value("working_hours", 0, now)]
            body += b"".join(_digits(value, 3, manner) for value in values[-3:])
        status = _value("status", 0, now)
        clock = Value("clock", now.clock_ms // 1000 * 1000, now.at_ms // 1000 * 1000, 3)
        body += self._clock(now) + (status.shown or 0).to_bytes(2, "little")
        return body, (*values, clock, status)

    def _clock(self, now: Moment) -> bytes:
        local = civil(now.clock_ms)
        century, year = divmod(local.year, 100)
        told = pairs(century, year, local.month, local.day, local.hour, local.minute, local.second)
        return told[::-1] if self.habit.clock_high_first else told


def _value(item: str, decimals: int, now: Moment) -> Value:
    have, ticks = panel()[item].decimals, now.ticks(item)
    told = None if ticks is None else in_decimals(ticks, have, decimals)
    return Value(_NAMES.get(item, item), told, in_decimals(now.true(item), have, decimals), decimals)


def _digits(value: Value, size: int, manner: Manner) -> bytes:
    if manner.digits:
        return b"\x1a" * size
    return b"\xff" * size if value.shown is None else bcd(value.shown, size)
