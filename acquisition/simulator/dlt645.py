"""DL/T 645 stations, editions 2007 and 1997: single values, blocks, clock, frozen values, follow-on frames.

What an identifier answers is a row of `tables/dlt645_*.csv`.  Nothing that writes is
answered but the clock that is set by broadcast and the freeze, which change no register.
Source: DL/T 645-2007, DL/T 645-1997, as told in protocols 1.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar

from acquisition.simulator.bcd import bcd, civil, instant_ms, number, pairs, signed
from acquisition.simulator.moment import Moment, in_decimals, panel, table
from acquisition.simulator.station import GOOD, Ear, Heard, Known, Manner, Reply, Value
from nengliu.domain.times import CHINA_OFFSET_MS, DAY_MS, HOUR_MS

SHIFT = 0x33
"""Added to every byte of the data field on the wire."""
WILD = 0xAA
BROADCAST = b"\x99" * 6
LONGEST = 200
"""Bytes of data in one answer; more comes in following frames.  Source: protocols 1.1."""
REQUEST_DATA = 50
"""Most bytes of data in a request.  Source: protocols 1.1."""
NO_SUCH_DATA = 0x02
"""Bit of the error word; both editions."""
SET_LIMIT_MS = 300_000
"""A broadcast that would move the clock further is passed over.  Source: protocols 5.4."""
_OK, _MORE, _REFUSED = 0x80, 0xA0, 0xC0


@dataclass(frozen=True, slots=True)
class Edition:
    """The control codes of an edition, and the length of its identifiers."""

    read: int
    follow: int
    identifier_bytes: int
    table: str


EDITION_2007 = Edition(0x11, 0x12, 4, "dlt645_2007")
EDITION_1997 = Edition(0x01, 0x02, 2, "dlt645_1997")
ADDRESS, CLOCK, FREEZE = 0x13, 0x08, 0x16
FROZEN = {"hour": HOUR_MS, "day": DAY_MS}
DEPTH = {"hour": 254, "day": 62, "instant": 3}
"""How many frozen values are kept (ours)."""


@dataclass(frozen=True, slots=True)
class Said:
    """A request: control code and data, without the 33H."""

    address: bytes
    control: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """What an identifier answers; `frozen` names the raster whose n-th last instant is meant."""

    format: str
    size: int
    decimals: int
    signed: bool
    items: tuple[str, ...]
    frozen: str = ""


@functools.cache
def rows(name: str) -> dict[str, Row]:
    """The identifiers of an edition; those of frozen values end in ``nn``."""
    found: dict[str, Row] = {}
    for told in table(name):
        form, _, frozen = (
            told["format"].rpartition("-") if "frozen" in told["format"] else (told["format"], "", "")
        )
        found[told["identifier"]] = Row(
            form,
            int(told["bytes"]),
            int(told["decimals"]),
            told["signed"] == "1",
            tuple(told["items"].split()),
            frozen,
        )
    return found


def framed(address: bytes, control: int, data: bytes = b"") -> bytes:
    """Lay out a frame without wake-up bytes.

    >>> framed(bytes.fromhex("61 01 00 00 00 00"), 0x91, bytes.fromhex("00 00 01 00 26 00 00 00")).hex(" ")
    '68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8a 16'
    """
    told = b"\x68" + address + bytes((0x68, control, len(data)))
    told += bytes((byte + SHIFT) & 0xFF for byte in data)
    return told + bytes((sum(told) & 0xFF, 0x16))


class Dlt645Ear:
    """Finds frames by their two starts, length, sum and end."""

    def hear(self, line: bytearray) -> list[Heard]:
        """Take whole requests; answers of others and noise are passed over."""
        found: list[Heard] = []
        at = 0
        while (at := line.find(0x68, at)) >= 0:
            if at + 12 > len(line):
                break
            end = at + 12 + line[at + 9]
            begins = line[at + 7] == 0x68 and line[at + 8] < _OK and line[at + 9] <= REQUEST_DATA
            if begins and end > len(line):
                break
            if not begins or not _whole(line[at:end]):
                at += 1
                continue
            raw = bytes(line[at:end])
            data = bytes((byte - SHIFT) & 0xFF for byte in raw[10:-2])
            found.append(Heard(raw, Said(raw[1:7], raw[8], data)))
            at = end
        del line[: at if at >= 0 else len(line)]
        return found


def _whole(frame: bytes | bytearray) -> bool:
    return frame[-1] == 0x16 and sum(frame[:-2]) & 0xFF == frame[-2]


@dataclass(eq=False)
class Dlt645Station(Known):
    """A meter that speaks DL/T 645.

    Parameters
    ----------
    wake
        FE bytes before an answer.
    longest
        Bytes of data in one answer; what is left is asked for frame by frame.
    lacks
        Identifiers it does not know although its edition does.
    """

    edition: Edition = EDITION_2007
    wake: int = 4
    longest: int = LONGEST
    lacks: tuple[str, ...] = ()
    _rest: dict[bytes, tuple[Reply, bytes]] = field(default_factory=dict)
    _ear: ClassVar[Ear] = Dlt645Ear()

    @property
    def ear(self) -> Ear:
        """The requests it understands."""
        return self._ear

    @property
    def wire(self) -> bytes:
        """Its address as it goes over the line."""
        return bytes.fromhex(self.address.zfill(12))[::-1]

    def is_meant(self, heard: Heard) -> bool:
        """Whether the address is its own, pair by pair where the request leaves pairs open, or everybody's."""
        if not isinstance(heard.body, Said):
            return False
        asked = heard.body.address
        return asked == BROADCAST or all(a in (WILD, b) for a, b in zip(asked, self.wire, strict=True))

    def answer(self, heard: Heard, now: Moment, manner: Manner = GOOD) -> Reply | None:
        """Answer a request; broadcasts are obeyed in silence, and a 1997 meter alone on its line answers them."""
        said = heard.body
        assert isinstance(said, Said)
        if said.address == BROADCAST and (self.edition is EDITION_2007 or said.control != self.edition.read):
            self._obey(said, now)
            return None
        if manner.refuse is not None:
            return self._says(said.control | _REFUSED, bytes((manner.refuse,)), manner, now)
        if said.control == self.edition.read:
            return self._read(said, now, manner)
        if said.control == self.edition.follow:
            return self._follow(said, now, manner)
        if self.edition is EDITION_2007 and said.control == ADDRESS:
            return self._says(ADDRESS | _OK, self._address(manner), manner, now)
        if self.edition is EDITION_2007 and said.control == FREEZE:
            self._obey(said, now)
            return self._says(FREEZE | _OK, b"", manner, now)
        return None

    def _address(self, manner: Manner) -> bytes:
        return bcd((int(self.address) + manner.address_by) % 10**12, 6)

    def _says(
        self, control: int, data: bytes, manner: Manner, now: Moment, values: tuple[Value, ...] = ()
    ) -> Reply:
        frame = b"\xfe" * self.wake + framed(self._address(manner), control, data)
        return Reply(frame, values, now.at_ms)

    def _obey(self, said: Said, now: Moment) -> None:
        """Set the clock, or freeze, if the broadcast says so."""
        if said.control == FREEZE:
            self.frozen.insert(0, now.at_ms)
            del self.frozen[DEPTH["instant"] :]
        elif said.control == CLOCK and len(said.data) == 6:
            try:
                second, minute, hour, day, month, year = (number(said.data[n : n + 1]) for n in range(6))
                told = datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
            except ValueError:
                return  # no time at all
            by_ms = instant_ms(told) - now.clock_ms
            if abs(by_ms) <= SET_LIMIT_MS:
                self.set_by_ms += by_ms

    def _read(self, said: Said, now: Moment, manner: Manner) -> Reply:
        identifier = said.data[: self.edition.identifier_bytes]
        found = self._found(identifier, now)
        if found is None:
            return self._says(said.control | _REFUSED, bytes((NO_SUCH_DATA,)), manner, now)
        row, then = found
        body, values = self._laid(row, then)
        if manner.digits:
            body = b"\x1a" * len(body)
        head = bytes(((identifier[0] + manner.item_by) & 0xFF,)) + identifier[1:]
        room = self.longest - len(head)
        if len(body) <= room:
            return self._says(said.control | _OK, head + body, manner, then, values)
        self._rest[identifier] = Reply(b"", values, then.at_ms), body[room:]
        return self._says(said.control | _MORE, head + body[:room], manner, then)

    def _follow(self, said: Said, now: Moment, manner: Manner) -> Reply:
        """Say the next part of what did not fit; the values count as told with the last one."""
        width = self.edition.identifier_bytes
        identifier, order = said.data[:width], said.data[width : width + 1]
        if identifier not in self._rest:
            return self._says(said.control | _REFUSED, bytes((NO_SUCH_DATA,)), manner, now)
        whole, rest = self._rest.pop(identifier)
        room = self.longest - width - 1
        then = now.at(whole.at_ms)
        if len(rest) <= room:
            return self._says(said.control | _OK, identifier + rest + order, manner, then, whole.values)
        self._rest[identifier] = whole, rest[room:]
        return self._says(said.control | _MORE, identifier + rest[:room] + order, manner, then)

    def _found(self, identifier: bytes, now: Moment) -> tuple[Row, Moment] | None:
        """Look an identifier up, and the instant it speaks of."""
        told = identifier[::-1].hex().upper()
        if len(identifier) < self.edition.identifier_bytes or told in self.lacks:
            return None
        known = rows(self.edition.table)
        if told in known:
            return known[told], now
        row = known.get(told[:6] + "nn")
        then_ms = self._frozen_ms(row.frozen, identifier[0], now) if row is not None else None
        return (row, now.at(then_ms)) if row is not None and then_ms is not None else None

    def _frozen_ms(self, raster: str, count: int, now: Moment) -> int | None:
        """When the `count`-th last value was frozen, by the meter's own clock [ms, UTC]; None if none is kept."""
        if not 1 <= count <= DEPTH[raster]:
            return None
        if raster == "instant":
            return self.frozen[count - 1] if count <= len(self.frozen) else None
        every_ms, ahead_ms = FROZEN[raster], now.clock_ms - now.at_ms
        newest_ms = (now.clock_ms + CHINA_OFFSET_MS) // every_ms * every_ms - CHINA_OFFSET_MS
        return newest_ms - (count - 1) * every_ms - ahead_ms

    def _laid(self, row: Row, now: Moment) -> tuple[bytes, tuple[Value, ...]]:
        """Lay out what a row says at an instant."""
        local = civil(now.clock_ms)
        clock = Value("clock", now.clock_ms // 1000 * 1000, now.at_ms // 1000 * 1000, 3)
        weekday = (local.weekday() + 1) % 7
        if row.format == "date":
            return pairs(local.year, local.month, local.day, weekday), (clock,)
        if row.format == "time":
            return pairs(local.hour, local.minute, local.second), (clock,)
        if row.format == "datetime":
            day = (local.year, local.month, local.day, weekday)
            return pairs(*day, local.hour, local.minute, local.second), (clock,)
        if row.format == "address":
            return self.wire, ()
        if row.format == "frozen-stamp":
            return _stamp(now), ()
        values = tuple(_value(item, row, now) for item in row.items)
        body = b"".join(_field(value, row) for value in values)
        if row.format == "bcd+stamp":
            minute_ms = now.clock_ms // 60_000 * 60_000
            return body + _stamp(now), (*values, Value(f"{row.items[0]}_at", minute_ms, minute_ms, 3))
        return body, values


def _stamp(now: Moment) -> bytes:
    local = civil(now.clock_ms)
    return pairs(local.year, local.month, local.day, local.hour, local.minute)


def _value(item: str, row: Row, now: Moment) -> Value:
    have, ticks = panel()[item].decimals, now.ticks(item)
    told = None if ticks is None else in_decimals(ticks, have, row.decimals)
    return Value(item, told, in_decimals(now.true(item), have, row.decimals), row.decimals)


def _field(value: Value, row: Row) -> bytes:
    if value.shown is None:
        return b"\xff" * row.size
    if row.format == "binary":
        return value.shown.to_bytes(row.size, "little")
    return signed(value.shown, row.size) if row.signed else bcd(value.shown, row.size)
