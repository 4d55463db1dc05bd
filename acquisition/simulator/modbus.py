"""Modbus stations on a bus: RTU frames with a checksum, or TCP frames with a transaction id.

They answer functions 3 and 4 over the register map that the driver knows as `generic`.
Source: MODBUS over Serial Line V1.02; Application Protocol V1.1b3.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from typing import ClassVar

from acquisition.simulator.moment import Moment, in_decimals, panel, table
from acquisition.simulator.station import GOOD, Ear, Heard, Known, Manner, Reply, Value
from acquisition.simulator.wire import MOST_WORDS, Refusal

_PACK = {"i64": ">q", "i32": ">i", "u32": ">I", "i16": ">h", "u16": ">H", "f32": ">f"}
RTU_BYTES = 8
"""A request to read over RTU: unit, function, address, count, checksum."""
HEADER = struct.Struct(">HHHB")


@dataclass(frozen=True, slots=True)
class Cell:
    """One register of the map: its item, first address, type and decimals."""

    item: str
    address: int
    type: str
    decimals: int

    @property
    def words(self) -> int:
        """Words it takes."""
        return int(self.type[1:]) // 16


@dataclass(frozen=True, slots=True)
class Read:
    """A request to read; `transaction` only over TCP."""

    unit: int
    function: int
    address: int
    count: int
    transaction: int = 0


@functools.cache
def cells() -> tuple[Cell, ...]:
    """The register map of all Modbus stations, in order of address, without holes."""
    rows = table("modbus_generic")
    return tuple(Cell(r["item"], int(r["address"]), r["type"], int(r["decimals"])) for r in rows)


def checksum(data: bytes) -> bytes:
    """CRC-16/MODBUS, low byte first.

    >>> checksum(bytes.fromhex("01 04 02 FF FF")).hex(" ")
    'b8 80'
    """
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _crc_table()[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


@functools.cache
def _crc_table() -> tuple[int, ...]:
    def of(byte: int) -> int:
        for _ in range(8):
            byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
        return byte

    return tuple(map(of, range(256)))


class RtuEar:
    """Finds RTU requests by their checksum."""

    def hear(self, line: bytearray) -> list[Heard]:
        """Take whole requests; what can no more be the beginning of one is dropped."""
        found: list[Heard] = []
        at = 0
        while at + RTU_BYTES <= len(line):
            raw = bytes(line[at : at + RTU_BYTES])
            if checksum(raw[:-2]) == raw[-2:]:
                found.append(Heard(raw, Read(*struct.unpack(">BBHH", raw[:-2]))))
                at += RTU_BYTES
            else:
                at += 1
        del line[:at]
        return found


class TcpEar:
    """Finds requests by the length in their header."""

    def hear(self, line: bytearray) -> list[Heard]:
        """Take whole requests; what is no request to read is passed over."""
        found: list[Heard] = []
        while len(line) >= HEADER.size:
            transaction, _, length, unit = HEADER.unpack(line[: HEADER.size])
            if len(line) < 6 + length:
                break
            raw = bytes(line[: 6 + length])
            del line[: max(6 + length, HEADER.size)]
            if length == 6:
                function, address, count = struct.unpack(">BHH", raw[HEADER.size :])
                found.append(Heard(raw, Read(unit, function, address, count, transaction)))
        return found


@dataclass(eq=False)
class ModbusStation(Known):
    """A meter that speaks Modbus; over TCP or RTU as its ear does."""

    is_tcp: bool = False
    _ears: ClassVar[dict[bool, Ear]] = {True: TcpEar(), False: RtuEar()}

    @property
    def ear(self) -> Ear:
        """The requests it understands."""
        return self._ears[self.is_tcp]

    def is_meant(self, heard: Heard) -> bool:
        """Whether the unit is its own; nobody answers a broadcast."""
        return isinstance(heard.body, Read) and heard.body.unit == int(self.address)

    def answer(self, heard: Heard, now: Moment, manner: Manner = GOOD) -> Reply | None:
        """Answer a request to read."""
        read = heard.body
        assert isinstance(read, Read)
        refusal = _refusal(read) if manner.refuse is None else manner.refuse
        if refusal is not None:
            return Reply(self._framed(read, bytes((read.function | 0x80, refusal)), manner), at_ms=now.at_ms)
        words, values = _laid(now)
        body = words[2 * read.address : 2 * (read.address + read.count)]
        if manner.item_by:
            body += b"\0\0"
        told = tuple(value for cell, value in values if _covers(read, cell))
        pdu = bytes((read.function, len(body))) + body
        return Reply(self._framed(read, pdu, manner), told, now.at_ms)

    def _framed(self, read: Read, pdu: bytes, manner: Manner) -> bytes:
        unit = (read.unit + manner.address_by) & 0xFF
        if self.is_tcp:
            return HEADER.pack(read.transaction, 0, len(pdu) + 1, unit) + pdu
        frame = bytes((unit,)) + pdu
        return frame + checksum(frame)


def _refusal(read: Read) -> Refusal | None:
    if read.function not in (3, 4):
        return Refusal.FUNCTION
    if not 1 <= read.count <= MOST_WORDS:
        return Refusal.VALUE
    last = cells()[-1]
    return Refusal.ADDRESS if read.address + read.count > last.address + last.words else None


def _covers(read: Read, cell: Cell) -> bool:
    return read.address <= cell.address and cell.address + cell.words <= read.address + read.count


def _laid(now: Moment) -> tuple[bytes, list[tuple[Cell, Value]]]:
    """Lay out all registers of a meter, and say what they say."""
    body, values = bytearray(), []
    for cell in cells():
        have = panel()[cell.item].decimals
        ticks = now.ticks(cell.item)
        told = None if ticks is None else in_decimals(ticks, have, cell.decimals)
        body += _packed(cell, told)
        values.append(
            (
                cell,
                Value(cell.item, told, in_decimals(now.true(cell.item), have, cell.decimals), cell.decimals),
            )
        )
    return bytes(body), values


def _packed(cell: Cell, ticks: int | None) -> bytes:
    if ticks is None:
        return b"\xff" * 2 * cell.words
    return struct.pack(_PACK[cell.type], ticks / 10**cell.decimals if cell.type == "f32" else ticks)
