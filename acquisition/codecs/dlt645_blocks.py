"""Blocks of DL/T 645: what one exchange asks of a meter, and how its answer becomes ticks.

`block(edition, identifier, items)` is the way in.  An identifier whose row names a `stamp` is asked
together with the time of its values; one whose row names `then` is asked together with what
completes it (`dlt645_steps`).
Source: DL/T 645-2007 chapter 7, DL/T 645-1997; `protocols.md` 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from acquisition.codecs.dlt645 import (
    E1997,
    EDITIONS,
    FRAME,
    REPLY,
    WAKE_UP,
    WILDCARD,
    Decoder,
    Edition,
    Frame,
    matches,
    read_address,
    read_data,
    read_following,
    whole_address,
)
from acquisition.codecs.exchange import Answer
from acquisition.codecs.fields import Field, Kind, field
from acquisition.codecs.identifiers import Identifier, find, identifier
from acquisition.codecs.silences import silence
from acquisition.codecs.stream import END, START
from acquisition.codecs.words import refusal
from nengliu.errors import InputError, LinkError, nearest

MOST_OPENINGS = 4096
"""Addresses for which a block keeps what it worked out: a scan asks many, a line few."""
MOST_PARTS = 64
"""Frames that one answer may be spread over: more is a meter that never ends."""
_READ_OFF = bytes((value - 0x33) & 0xFF for value in range(256))
_SEPARATOR = b"\xaa"
_ADDRESS = field("address", "XXXXXXXXXXXX", "1")


@dataclass(frozen=True)
class ReadBlock:
    """One data identifier.

    Parameters
    ----------
    found
        What it holds.
    fields
        All that is sent, in its order.
    items
        Those that are wanted.
    """

    edition: Edition
    found: Identifier
    fields: tuple[Field, ...]
    items: tuple[Field, ...]

    @property
    def request_bytes(self) -> int:
        """Length of the request on the line."""
        return len(WAKE_UP) + FRAME + self.edition.identifier_size

    @property
    def answer_bytes(self) -> int:
        """Length of the answer on the line."""
        return self.request_bytes + sum(one.size for one in self.fields)

    def split(self) -> tuple[ReadBlock, ...]:
        """One block for each item of a block of FF, as far as identifiers are known for them; else itself alone."""
        singles = tuple(_single(self, item.name) for item in self.items)
        found = tuple(single for single in singles if single is not None)
        return found if len(found) == len(singles) > 1 else (self,)

    def exchange(self, address: str) -> ReadExchange:
        """Ask the meter of this address; AA for a pair of digits that may be anything."""
        opening = self._openings.get(address)
        if opening is None:
            if len(self._openings) >= MOST_OPENINGS:
                self._openings.clear()
            opening = self._openings[address] = Opening(self, whole_address(address))
        return ReadExchange(self, opening)

    def decode(self, data: bytes, raw: bytes) -> Answer:
        """Read the data that follow the identifier."""
        values: dict[str, int] = {}
        lost: dict[str, LinkError] = {}
        at, data = 0, self._without_separators(data)
        misfit = None if self._fits(len(data)) else self._misfit(len(data))
        for one in self.fields:
            size = one.size or len(data) - at
            piece = data[at : at + size]
            at += size
            if one not in self.items:
                continue
            try:
                values[one.name] = _ticks(one, piece, misfit)
            except LinkError as error:
                lost[one.name] = error
        return Answer(values, lost, raw)

    def _fits(self, size: int) -> bool:
        """Whether so many bytes can be these values: a block of like values may be shorter or longer by whole ones."""
        sizes = {one.size for one in self.fields}
        if len(sizes) > 1:
            return size <= self.data_size
        return 0 in sizes or size % self.fields[0].size == 0

    def _misfit(self, size: int) -> LinkError:
        told = f"identifier {self.found.identifier}: expected {self.data_size} bytes, got {size}"
        return LinkError("DAMAGED", f"{told}; compare the meter's manual", got=f"{size} bytes")

    @cached_property
    def _openings(self) -> dict[str, Opening]:
        """What was worked out for the addresses asked so far."""
        return {}

    @cached_property
    def data_size(self) -> int:
        """Bytes of data of a whole answer."""
        return sum(one.size for one in self.fields)

    @cached_property
    def wire_identifier(self) -> bytes:
        """The identifier as it is meant on the wire, lowest byte first."""
        return bytes.fromhex(self.found.identifier)[::-1]

    def _without_separators(self, data: bytes) -> bytes:
        """Take out the AA that some meters of 1997 put after each item of a block, or at its end."""
        if self.edition is not E1997 or len(self.fields) == 1:
            return data
        size = self.fields[0].size + 1
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        if all(piece[-1:] == _SEPARATOR and len(piece) == size for piece in pieces):
            return b"".join(piece[:-1] for piece in pieces)
        return data.removesuffix(_SEPARATOR)


class Opening:
    """What is sent to one meter, and how the answer begins that nearly always comes; laid once.

    Parameters
    ----------
    head
        The awaited frame up to its data; empty if a frame could begin inside of it.
    """

    __slots__ = (
        "_base",
        "_field",
        "_head",
        "_names",
        "_signed",
        "_size",
        "_sum",
        "_width",
        "address",
        "request",
    )

    def __init__(self, block: ReadBlock, address: str) -> None:
        self.address = address
        self.request = read_data(block.edition, address, block.wire_identifier)
        head = bytearray(self.request[len(WAKE_UP) : -2])
        head[8] |= REPLY
        head[9] += block.data_size
        self._head, self._sum, self._width = bytes(head), sum(head), len(head)
        self._size = self._width + block.data_size + 2
        self._field = block.fields[0].size
        self._signed = any(one.signed for one in block.fields)
        alike = all(one.kind is Kind.BCD and one.size == self._field for one in block.fields)
        plain = alike and block.items == block.fields and head.find(START, 8) < 0
        self._names = [one.name for one in block.fields] if plain else []
        self._base = 100**self._field

    def quick(self, data: bytes) -> Answer | None:
        """Decide at once if exactly the awaited frame came, whole and alone; None if one must look closer.

        Only frames of numbers of one width and without a minus sign are read here: those are nearly all.
        """
        body = data.lstrip(b"\xfe")
        width = self._width
        if (
            not self._names
            or len(body) != self._size
            or not body.startswith(self._head)
            or body[-1] != END
            or (body.find(START, width) >= 0 and _may_nest(body))
        ):
            return None
        told = body[width:-2]
        if (self._sum + sum(told)) & 0xFF != body[-2]:
            return None
        digits = told.translate(_READ_OFF)[::-1]
        if self._signed and max(digits[:: self._field]) > 0x7F:
            return None
        try:
            number = int(digits.hex())
        except ValueError:  # a letter: FF, or no digits at all
            return None
        values = {}
        for name in self._names:  # the first value was sent first: it is the lowest
            number, values[name] = divmod(number, self._base)
        return Answer(values, {}, body)


class ReadExchange:
    """One identifier on its way from one meter."""

    __slots__ = (
        "_address",
        "_decoder",
        "_foreign",
        "_opening",
        "_part",
        "_parts",
        "_raw",
        "block",
        "request",
    )

    def __init__(self, block: ReadBlock, opening: Opening) -> None:
        self.block, self._opening = block, opening
        self._address, self.request = opening.address, opening.request
        self._decoder: Decoder | None = None
        self._foreign: Frame | None = None
        self._part = 0
        self._parts = self._raw = b""

    def feed(self, data: bytes) -> Answer | bytes | None:
        """Take what came; see `Exchange.feed`."""
        if self._decoder is None:
            answer = self._opening.quick(data)
            if answer is not None:
                return answer
            self._decoder = Decoder()
        for frame in self._decoder.feed(data):
            found = self._take(frame)
            if found is not None:
                return found
        return None

    def silence(self) -> LinkError:
        """Say what a timeout means."""
        return silence(self._address, self._foreign, self._decoder.noise if self._decoder else 0)

    def _take(self, frame: Frame) -> Answer | bytes | None:
        block, edition = self.block, self.block.edition
        if not frame.is_reply:
            return None
        wanted = edition.follow if self._part else edition.read
        if not self._is_ours(frame.address) or frame.function != wanted:
            self._foreign = frame
            return None
        if frame.is_refusal:
            word = frame.data[0] if frame.data else 0
            raise refusal(edition.name, word, frame.address, block.found.identifier, wanted)
        width = edition.identifier_size
        if frame.data[:width] != block.wire_identifier:
            self._foreign = frame
            return None
        return self._gather(frame, frame.data[width:])

    def _is_ours(self, address: str) -> bool:
        """Whether the awaited meter sent it; behind a wildcard, a meter whose address can be asked again."""
        if address == self._address:
            return True
        fits = matches(self._address, address) or self._address in self.block.edition.wildcards
        return fits and address.isdecimal()

    def _gather(self, frame: Frame, data: bytes) -> Answer | bytes | None:
        """Join the frames of one answer; ask for the next, or decode."""
        block, edition = self.block, self.block.edition
        if self._part and edition.numbered:
            if data[-1:] != bytes([self._part]):
                self._foreign = frame
                return None
            data = data[:-1]
        self._parts += data
        self._raw += frame.raw
        if not frame.has_more:
            return block.decode(self._parts, self._raw)
        if self._part == MOST_PARTS:
            told = f"{frame.address}: expected at most {MOST_PARTS} frames, got more"
            raise LinkError("DAMAGED", told, got=f"{MOST_PARTS} frames")
        self._part += 1
        return read_following(edition, frame.address, block.wire_identifier, self._part)


@dataclass(frozen=True, slots=True)
class AddressBlock:
    """The address of the one meter that answers; 2007 only.  Its item is the number of twelve digits."""

    items: tuple[Field, ...] = (_ADDRESS,)
    request_bytes: int = len(WAKE_UP) + FRAME
    answer_bytes: int = len(WAKE_UP) + FRAME + 6

    def split(self) -> tuple[AddressBlock, ...]:
        """Itself: it asks for one thing."""
        return (self,)

    def exchange(self, address: str = WILDCARD) -> AddressExchange:
        """Ask any meter, or the one that `address` with its AA fits."""
        return AddressExchange(whole_address(address))


class AddressExchange:
    """The question for an address on its way."""

    __slots__ = ("_address", "_decoder", "_foreign", "request")

    def __init__(self, address: str) -> None:
        self._address = address
        self.request = read_address(address)
        self._decoder = Decoder()
        self._foreign: Frame | None = None

    def feed(self, data: bytes) -> Answer | bytes | None:
        """Take what came; see `Exchange.feed`."""
        for frame in self._decoder.feed(data):
            if frame.control == 0x93 and matches(self._address, frame.address):
                return self._told(frame)
            if frame.is_reply:
                self._foreign = frame
        return None

    def silence(self) -> LinkError:
        """Say what a timeout means."""
        return silence(self._address, self._foreign, self._decoder.noise)

    def _told(self, frame: Frame) -> Answer:
        """Read the address, from the frame's head where the data are cut or are the wildcard itself."""
        told = frame.data if len(frame.data) == 6 else bytes.fromhex(frame.address)[::-1]
        try:
            return Answer({_ADDRESS.name: _ADDRESS.ticks(told)}, {}, frame.raw)
        except LinkError as error:
            return Answer({}, {_ADDRESS.name: error}, frame.raw)


def read_block(edition: Edition, wanted: str, items: tuple[str, ...] = ()) -> ReadBlock:
    """Make the block of one identifier alone.

    Parameters
    ----------
    items
        Names of those that are wanted, in any order; none: all.

    Raises
    ------
    InputError
        The identifier is unknown, or holds no such item.
    """
    found = identifier(edition.name, wanted)
    names = [one.name for one in found.fields]
    for name in items:
        if name not in names:
            raise InputError(
                f"identifier {wanted}: expected an item of it, got {name!r}; {nearest(name, names)}"
            )
    chosen = tuple(one for one in found.fields if not items or one.name in items)
    return ReadBlock(edition, found, found.fields, chosen)


def _may_nest(body: bytes) -> bool:
    """Whether another frame may begin inside of a frame: two bytes 68H seven apart."""
    return any(one == other == START for one, other in zip(body[1:], body[8:], strict=False))


def address_of(raw: bytes) -> str:
    """Name the meter that sent an answer, by its raw bytes: twelve digits; needed after a wildcard."""
    return raw[6:0:-1].hex().upper()


def edition_of(name: str) -> Edition:
    """Look up an edition by the name of its protocol; InputError."""
    if name not in EDITIONS:
        raise InputError(f"protocol: {name!r} is no edition of DL/T 645; {nearest(name, EDITIONS)}")
    return EDITIONS[name]


def _ticks(one: Field, piece: bytes, misfit: LinkError | None) -> int:
    """Read one value of a block that may be shorter than its items, or no such block at all."""
    if misfit is not None:
        raise misfit
    if not piece:
        raise LinkError("NO_DATA", f"{one.name}: the meter's block ends before it", register=one.name)
    return one.ticks(piece)


def _single(block: ReadBlock, name: str) -> ReadBlock | None:
    """The block that asks for one item of a block of FF (F in 1997) by an identifier of its own."""
    for asked in _siblings(block.found.identifier, block.edition):
        found = find(block.edition.name, asked)
        if found is not None and [one.name for one in found.fields] == [name]:
            return read_block(block.edition, asked)
    return None


def _siblings(pattern: str, edition: Edition) -> list[str]:
    """Identifiers that a block may be made of."""
    if edition is E1997:
        return [f"{pattern[:-1]}{code:X}" for code in range(15)] if pattern.endswith("F") else []
    places = [at for at in (4, 6) if pattern[at : at + 2] == "FF"]
    return [f"{pattern[:at]}{code:02X}{pattern[at + 2 :]}" for at in places for code in range(0x40)]
