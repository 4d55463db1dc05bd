"""Blocks of CJ/T 188: what one exchange asks of a meter, and how its answer becomes ticks, as its profile says.

Checks of a value come in one order: all FF says that there is none; then its unit must be one the
item can be told in; then every nibble must be a digit; then the value must be a whole number of
ticks.  If one unit of a frame fits no pattern, none of its values with a unit is believed: the units
may stand on the other side of their values.
Source: CJ/T 188-2004 chapters 6 and 8; `protocols.md` 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from acquisition.codecs.cjt188 import (
    FRAME,
    WAKE_UP,
    WILDCARD,
    Decoder,
    Frame,
    matches,
    read_address,
    read_data,
    whole_address,
)
from acquisition.codecs.cjt188_profiles import ECHO, LOW_FIRST, Profile, Value
from acquisition.codecs.exchange import Answer
from acquisition.codecs.fields import Field
from acquisition.codecs.fields import field as digits_of
from acquisition.codecs.silences import silence
from nengliu.errors import InputError, LinkError, nearest

HEAD = 3
"""Bytes before the values: identifier (2), serial number."""
ADDRESS = digits_of("address", "XXXXXXXXXXXXXX", "1")
_ADDRESS_IDENTIFIER = "810A"


@dataclass(frozen=True)
class ReadBlock:
    """The present reading of one meter, all of it.

    Parameters
    ----------
    items
        Those that are wanted.
    """

    profile: Profile
    items: tuple[Value, ...]

    @property
    def request_bytes(self) -> int:
        """Length of the request on the line."""
        return len(WAKE_UP) + FRAME + HEAD

    @property
    def answer_bytes(self) -> int:
        """Length of the answer on the line."""
        return len(WAKE_UP) + FRAME + HEAD + self.data_size

    @cached_property
    def data_size(self) -> int:
        """Bytes of all values."""
        return sum(one.size for one in self.profile.values)

    def split(self) -> tuple[ReadBlock, ...]:
        """Itself: a meter sends all or nothing."""
        return (self,)

    def exchange(self, address: str, serial: int = 0) -> ReadExchange:
        """Ask the meter of this address (fourteen digits, highest first) with this serial number."""
        return ReadExchange(self, whole_address(address), serial)

    def decode(self, data: bytes, raw: bytes) -> Answer:
        """Read the values that follow identifier and serial number."""
        values: dict[str, int] = {}
        lost: dict[str, LinkError] = {}
        pieces = self.pieces(data)
        doubt = next((error for one, piece in pieces if (error := self._doubt(one, piece))), None)
        for one, piece in pieces:
            if one not in self.items:
                continue
            try:
                values[one.name] = self._ticks(one, piece, doubt)
            except LinkError as error:
                lost[one.name] = error
        return Answer(values, lost, raw)

    def pieces(self, data: bytes) -> list[tuple[Value, bytes]]:
        """Cut what the meter sent into its values, unit bytes included."""
        found, at = [], 0
        for one in self.profile.values:
            found.append((one, data[at : at + one.size]))
            at += one.size
        return found

    def apart(self, piece: bytes) -> tuple[bytes, int]:
        """Digits and unit code of a value."""
        return (piece[1:], piece[0]) if self.profile.unit_first else (piece[:-1], piece[-1])

    def _doubt(self, one: Value, piece: bytes) -> LinkError | None:
        """Say that a value's unit is none, unless it has no value anyway."""
        if not one.coded:
            return None
        digits, code = self.apart(piece)
        if digits.count(0xFF) == len(digits) or one.worth(code) is not None:
            return None
        told = f"{one.name}: expected a code of a unit that makes {one.unit}, got {code:02X}H"
        return LinkError("UNKNOWN_UNIT", f"{told}; compare the meter's profile", got=f"{code:02X}H")

    def _ticks(self, one: Value, piece: bytes, doubt: LinkError | None) -> int:
        if not one.coded:
            return one.digits.ticks(self._ordered(one, piece))
        digits, code = self.apart(piece)
        if doubt is not None and digits.count(0xFF) != len(digits):
            raise doubt
        steps, worth = one.digits.ticks(digits), one.worth(code)
        found = steps * worth if worth is not None else None
        if found is None or found.denominator != 1:
            told = f"{one.name}: expected whole ticks of 1e-{one.decimals} {one.unit}, got {steps} steps of {code:02X}H"
            raise LinkError(
                "UNKNOWN_UNIT", f"{told}; give it more decimals in the profile", got=f"{code:02X}H"
            )
        return int(found)

    def _ordered(self, one: Value, piece: bytes) -> bytes:
        return piece[::-1] if one.name == "clock" and self.profile.clock_order != LOW_FIRST else piece


class ReadExchange:
    """A reading on its way from one meter."""

    __slots__ = ("_address", "_block", "_decoder", "_foreign", "_serial", "request")

    def __init__(self, block: ReadBlock, address: str, serial: int) -> None:
        self._block, self._address, self._serial = block, address, serial
        profile = block.profile
        identifier = wire_identifier(profile.identifier, profile)
        self.request = read_data(int(profile.meter_type, 16), address, identifier, serial)
        self._decoder = Decoder()
        self._foreign: Frame | None = None

    def feed(self, data: bytes) -> Answer | bytes | None:
        """Take what came; see `Exchange.feed`."""
        for frame in self._decoder.feed(data):
            if not frame.is_reply:
                continue
            if matches(self._address, frame.address) and frame.function == 1:
                if frame.is_refusal:
                    raise refused(frame, self._block.profile.identifier)
                if self._is_ours(frame.data):
                    return self._told(frame)
            self._foreign = frame
        return None

    def silence(self) -> LinkError:
        """Say what a timeout means."""
        return silence(self._address, self._foreign, self._decoder.noise)

    def _is_ours(self, data: bytes) -> bool:
        profile = self._block.profile
        asked = bytes.fromhex(profile.identifier)
        named = data[:2] in (asked, asked[::-1])
        return named and (profile.serial != ECHO or data[2:HEAD] == bytes([self._serial & 0xFF]))

    def _told(self, frame: Frame) -> Answer:
        size, wanted = len(frame.data) - HEAD, self._block.data_size
        if size != wanted:
            told = (
                f"{frame.address}: expected {wanted} bytes of values, got {size}; compare the meter's profile"
            )
            asked = self._block.profile.identifier
            raise LinkError("CONFIG", told, code=f"{size} bytes", function="01H", address=asked)
        return self._block.decode(frame.data[HEAD:], frame.raw)


@dataclass(frozen=True)
class AddressBlock:
    """The address of the one meter that answers; its item is the number of fourteen digits."""

    profile: Profile = field(default_factory=Profile)
    items: tuple[Field, ...] = (ADDRESS,)
    request_bytes: int = len(WAKE_UP) + FRAME + HEAD
    answer_bytes: int = len(WAKE_UP) + FRAME + HEAD

    def split(self) -> tuple[AddressBlock, ...]:
        """Itself: it asks for one thing."""
        return (self,)

    def exchange(self, address: str = WILDCARD) -> AddressExchange:
        """Ask any meter, or the one that `address` with its AA fits."""
        return AddressExchange(self.profile, whole_address(address))


class AddressExchange:
    """The question for an address on its way."""

    __slots__ = ("_address", "_decoder", "_foreign", "request")

    def __init__(self, profile: Profile, address: str) -> None:
        self._address = address
        identifier = wire_identifier(_ADDRESS_IDENTIFIER, profile)
        self.request = read_address(int(profile.meter_type, 16), address, identifier, 0)
        self._decoder = Decoder()
        self._foreign: Frame | None = None

    def feed(self, data: bytes) -> Answer | bytes | None:
        """Take what came; see `Exchange.feed`."""
        for frame in self._decoder.feed(data):
            if not frame.is_reply:
                continue
            if matches(self._address, frame.address) and frame.function == 3:
                if frame.is_refusal:
                    raise refused(frame, _ADDRESS_IDENTIFIER)
                return _address_told(frame)
            self._foreign = frame
        return None

    def silence(self) -> LinkError:
        """Say what a timeout means."""
        return silence(self._address, self._foreign, self._decoder.noise)


def block(profile: Profile, items: tuple[str, ...] = ()) -> ReadBlock:
    """Make the block that reads a meter.

    Parameters
    ----------
    items
        Names of those that are wanted; none: all.

    Raises
    ------
    InputError
        The profile's layout has no such item.

    >>> [one.name for one in block(Profile()).items]
    ['volume', 'volume_settled', 'clock', 'status_1']
    """
    names = [one.name for one in profile.values]
    for name in items:
        if name not in names:
            raise InputError(
                f"layout {profile.layout}: expected an item of it, got {name!r}; {nearest(name, names)}"
            )
    return ReadBlock(profile, tuple(one for one in profile.values if not items or one.name in items))


def wire_identifier(identifier: str, profile: Profile) -> bytes:
    """An identifier in the order in which this meter wants it."""
    found = bytes.fromhex(identifier)
    return found[::-1] if profile.identifier_order == LOW_FIRST else found


def refused(frame: Frame, asked: str) -> LinkError:
    """Say that a meter refused; what its error byte means is not known."""
    code = frame.data[HEAD:].hex().upper() or "00"
    told = f"{frame.address}: expected {asked}, got a refusal (error {code}H); see the meter's manual"
    return LinkError("REFUSED", told, code=f"{code}H", function=f"{frame.function:02X}H", address=asked)


def _address_told(frame: Frame) -> Answer:
    try:
        return Answer({ADDRESS.name: ADDRESS.ticks(bytes.fromhex(frame.address)[::-1])}, {}, frame.raw)
    except LinkError as error:
        return Answer({}, {ADDRESS.name: error}, frame.raw)
