"""Modbus: blocks of registers, asked and answered as RTU frames, or decoded from the words of Modbus TCP.

Only functions 3 and 4 can be laid.  An RTU answer names its unit, its function and its length, but
not its registers: a late answer of the same length is a matter of the line's bookkeeping, not of its
frame.  It is found in a dirty stream by those three and its check sum.
Source: Modbus application protocol V1.1b3, Modbus over serial line V1.02; `protocols.md` 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from acquisition.codecs.exchange import Answer
from acquisition.codecs.registers import Register, ticks
from nengliu.errors import InputError, LinkError

FUNCTIONS = (3, 4)
"""Read holding registers, read input registers."""
FRAME = 5
"""Bytes of an answer around its registers: unit, function, length, check sum (2)."""
LONGEST = 256
"""Bytes of the longest frame."""
_REFUSED = 0x80
_CONFIG, _GATEWAY = (1, 2, 3), (10, 11)


@dataclass(frozen=True, slots=True)
class RegisterBlock:
    """Registers that one request reads.

    Parameters
    ----------
    address
        Of the first word, on the wire, from 0.
    count
        Number of words.
    registers
        Those that are wanted, exponents included.
    """

    function: int
    address: int
    count: int
    registers: tuple[Register, ...]

    @property
    def items(self) -> tuple[Register, ...]:
        """What it answers."""
        return self.registers

    @property
    def request_bytes(self) -> int:
        """Length of the request as an RTU frame."""
        return 8

    @property
    def answer_bytes(self) -> int:
        """Length of the answer as an RTU frame."""
        return FRAME + 2 * self.count

    def split(self) -> tuple[RegisterBlock, ...]:
        """One block for each register."""
        if len(self.registers) == 1:
            return (self,)
        return tuple(
            RegisterBlock(one.function, one.start, one.stop - one.start, (one,)) for one in self.registers
        )

    def exchange(self, address: str) -> RtuExchange:
        """Ask the unit of this address, 1 to 247."""
        return RtuExchange(self, unit_of(address))

    def decode(self, words: Sequence[int], raw: bytes = b"") -> Answer:
        """Read the registers from the words of an answer."""
        values: dict[str, int] = {}
        lost: dict[str, LinkError] = {}
        for one in self.registers:
            try:
                values[one.name] = ticks(one, self._words(one, words), self._exponent(one, words))
            except LinkError as error:
                lost[one.name] = error
        return Answer(values, lost, raw)

    def _words(self, one: Register, words: Sequence[int]) -> Sequence[int]:
        place = one.address - self.address
        return words[place : place + one.length]

    def _exponent(self, one: Register, words: Sequence[int]) -> int:
        return ticks(one.exponent, self._words(one.exponent, words)) if one.exponent else 0


class RtuExchange:
    """A block of registers on its way from one unit."""

    __slots__ = ("_answer", "_block", "_held", "_refusal", "_unit", "request")

    def __init__(self, block: RegisterBlock, unit: int) -> None:
        self._block, self._unit = block, unit
        function, size = block.function, block.answer_bytes
        self.request = read_registers(unit, function, block.address, block.count)
        self._held = bytearray()
        self._answer = _Search(bytes([unit, function, size - FRAME]), size)
        self._refusal = _Search(bytes([unit, function | _REFUSED]), FRAME)

    def feed(self, data: bytes) -> Answer | bytes | None:
        """Take what came; see `Exchange.feed`."""
        held = self._held
        held += data
        found = [one for one in (self._answer.find(held), self._refusal.find(held)) if one is not None]
        if not found:
            self._forget(len(held) - LONGEST)
            return None
        raw = min(found)[1]
        if raw[1] & _REFUSED:
            raise _refusal(raw[2], f"unit {self._unit}", self._block.function, self._block.address)
        words = [int.from_bytes(raw[at : at + 2]) for at in range(3, len(raw) - 2, 2)]
        return self._block.decode(words, raw)

    def silence(self) -> LinkError:
        """Say what a timeout means: a whole frame of another unit or length is a MISMATCH."""
        heard = bytes(self._held).removeprefix(self.request)
        where = f"unit {self._unit}"
        if not heard:
            told = f"{where}: expected an answer, got none; see that the meter has power and its address is right"
            return LinkError("TIMEOUT", told, meter=self._unit)
        got = f"{len(heard)} bytes: {heard[:8].hex(' ')}"
        if len(heard) >= FRAME and crc(heard[:-2]) == heard[-2:]:
            told = f"{where}: expected its answer, got {got}; see that no two meters share an address"
            return LinkError("MISMATCH", told, got=got)
        told = f"{where}: expected a whole answer, got {got}; see to the line, its ends and its baud rate"
        return LinkError("DAMAGED", told, got=got)

    def _forget(self, surplus: int) -> None:
        """Drop the oldest bytes, of which no frame can be made any more."""
        if surplus > 0:
            del self._held[:surplus]
            self._answer.move(surplus)
            self._refusal.move(surplus)


class _Search:
    """The search for a frame of one head and size; no place is looked at twice."""

    __slots__ = ("_at", "_head", "_size")

    def __init__(self, head: bytes, size: int) -> None:
        self._head, self._size, self._at = head, size, 0

    def find(self, held: bytearray) -> tuple[int, bytes] | None:
        """Where the first whole frame ends, and the frame."""
        at = held.find(self._head, self._at)
        while 0 <= at <= len(held) - self._size:
            raw = bytes(held[at : at + self._size])
            if crc(raw[:-2]) == raw[-2:]:
                return at + self._size, raw
            at = held.find(self._head, at + 1)
        self._at = at if at >= 0 else max(self._at, len(held) - len(self._head) + 1)
        return None

    def move(self, surplus: int) -> None:
        """Note that the first bytes of what is held are gone."""
        self._at = max(0, self._at - surplus)


def read_registers(unit: int, function: int, address: int, count: int) -> bytes:
    """Lay a request; InputError for a function that does not read.

    >>> read_registers(1, 3, 0, 2).hex(" ")
    '01 03 00 00 00 02 c4 0b'
    """
    if function not in FUNCTIONS:
        raise InputError(f"function: expected 3 or 4 (a collector only reads), got {function}")
    body = bytes([unit, function]) + address.to_bytes(2) + count.to_bytes(2)
    return body + crc(body)


def unit_of(address: str) -> int:
    """Read the address of a unit: 1 to 247; InputError."""
    if not address.isdecimal() or not 1 <= int(address) <= 247:
        raise InputError(f"unit: expected 1 to 247, got {address!r}")
    return int(address)


def crc(data: bytes) -> bytes:
    """Check sum of an RTU frame as it is sent, low byte first.

    >>> crc(bytes.fromhex("01 03 00 00 00 02")).hex(" ")
    'c4 0b'
    """
    value = 0xFFFF
    for one in data:
        value = value >> 8 ^ _CRC[(value ^ one) & 0xFF]
    return value.to_bytes(2, "little")


def _crc_row(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


_CRC = tuple(_crc_row(value) for value in range(256))


def _refusal(code: int, where: str, function: int, address: int) -> LinkError:
    """Say what an exception code means, and of a wrong map what it asked for."""
    told = f"{where}: expected a value, got exception code {code}"
    if code in _CONFIG:
        asked = f"function {function}, address {address} (counted from 0)"
        parameters = {"code": code, "function": function, "address": address}
        return LinkError("CONFIG", f"{told} for {asked}; correct the register map", **parameters)
    if code in _GATEWAY:
        return LinkError("GATEWAY", f"{told}; see that the meter behind it has power", code=code)
    return LinkError("REFUSED", f"{told}; see the meter's manual", code=code)
