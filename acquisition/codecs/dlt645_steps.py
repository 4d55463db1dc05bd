"""Blocks of DL/T 645 that take more than one question: frozen values with their time, a clock in two halves.

Between two questions the meter lives on.  So the time of a frozen value is asked before and after
it, until both agree; and where the time of day has just begun, the date is asked again.
Source: DL/T 645-2007 annex A (frozen data: the time is an identifier of its own); the order is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from acquisition.codecs.dlt645 import E1997
from acquisition.codecs.dlt645_blocks import AddressBlock, ReadBlock, edition_of, read_block
from acquisition.codecs.exchange import Answer, Block
from acquisition.codecs.fields import Field
from nengliu.domain.times import DAY_MS
from nengliu.errors import InputError, LinkError

MOST_TRIES = 3
"""Times a frozen value is read anew because the meter froze again meanwhile."""
MIDNIGHT_MS = 60_000
"""How long after midnight a date read before the time of day may be that of the day before."""


@dataclass(frozen=True, slots=True)
class FrozenBlock:
    """Frozen values and the time at which the meter froze them."""

    stamp: ReadBlock
    values: ReadBlock

    @property
    def items(self) -> tuple[Field, ...]:
        """The frozen values."""
        return self.values.items

    @property
    def request_bytes(self) -> int:
        """Length of all requests on the line."""
        return 2 * self.stamp.request_bytes + self.values.request_bytes

    @property
    def answer_bytes(self) -> int:
        """Length of all answers on the line."""
        return 2 * self.stamp.answer_bytes + self.values.answer_bytes

    def split(self) -> tuple[FrozenBlock, ...]:
        """Itself: no smaller identifier holds the same."""
        return (self,)

    def exchange(self, address: str) -> FrozenExchange:
        """Ask the meter of this address."""
        return FrozenExchange(self, address)


class FrozenExchange:
    """Time, values, time again; from the beginning if the meter froze between."""

    __slots__ = ("_address", "_block", "_step", "_tries", "_values", "_when", "request")

    def __init__(self, block: FrozenBlock, address: str) -> None:
        self._block, self._address = block, address
        self._step = block.stamp.exchange(address)
        self.request = self._step.request
        self._when: int | None = None
        self._values: Answer | None = None
        self._tries = 0

    def feed(self, data: bytes) -> Answer | bytes | None:
        """Take what came; see `Exchange.feed`.  `Answer.at_ms` is the time of freezing."""
        found = self._step.feed(data)
        if not isinstance(found, Answer):
            return found
        if self._step.block is self._block.values:
            self._values = found
            return self._ask(self._block.stamp)
        when = _only(found)
        if self._values is not None and when == self._when:
            return replace(self._values, at_ms=when)
        self._when, self._values = when, None
        self._tries += 1
        if self._tries > MOST_TRIES:
            told = (
                f"{self._address}: expected one time of freezing, got another at each of {MOST_TRIES} tries"
            )
            raise LinkError("DAMAGED", told, got=f"{MOST_TRIES} times of freezing")
        return self._ask(self._block.values)

    def silence(self) -> LinkError:
        """Say what a timeout means."""
        return self._step.silence()

    def _ask(self, block: ReadBlock) -> bytes:
        self._step = block.exchange(self._address)
        return self._step.request


@dataclass(frozen=True, slots=True)
class ClockBlock:
    """The clock of a meter that tells date and time of day apart."""

    date: ReadBlock
    time: ReadBlock

    @property
    def items(self) -> tuple[Field, ...]:
        """The clock: ticks are milliseconds UTC."""
        return self.date.items

    @property
    def request_bytes(self) -> int:
        """Length of both requests on the line."""
        return self.date.request_bytes + self.time.request_bytes

    @property
    def answer_bytes(self) -> int:
        """Length of both answers on the line."""
        return self.date.answer_bytes + self.time.answer_bytes

    def split(self) -> tuple[ClockBlock, ...]:
        """Itself: one half says nothing."""
        return (self,)

    def exchange(self, address: str) -> ClockExchange:
        """Ask the meter of this address."""
        return ClockExchange(self, address)


class ClockExchange:
    """Date, then time of day; the date again if the day has just begun."""

    __slots__ = ("_address", "_block", "_date", "_step", "_time", "request")

    def __init__(self, block: ClockBlock, address: str) -> None:
        self._block, self._address = block, address
        self._step = block.date.exchange(address)
        self.request = self._step.request
        self._date: int | None = None
        self._time: Answer | None = None

    def feed(self, data: bytes) -> Answer | bytes | None:
        """Take what came; see `Exchange.feed`."""
        found = self._step.feed(data)
        if not isinstance(found, Answer):
            return found
        if self._step.block is self._block.time:
            self._time = found
            if _only(found) >= MIDNIGHT_MS and self._date is not None:
                return self._told(self._date, found)
            return self._ask(self._block.date)
        self._date = _only(found)
        return self._ask(self._block.time) if self._time is None else self._told(self._date, self._time)

    def silence(self) -> LinkError:
        """Say what a timeout means."""
        return self._step.silence()

    def _ask(self, block: ReadBlock) -> bytes:
        self._step = block.exchange(self._address)
        return self._step.request

    def _told(self, date: int, time: Answer) -> Answer:
        (clock,) = self._block.items
        return replace(time, values={clock.name: date + _only(time) % DAY_MS}, lost={})


def block(protocol: str, identifier: str, items: tuple[str, ...] = ()) -> Block:
    """Make the block that asks for an identifier, together with its time or its other half where it has one.

    Parameters
    ----------
    protocol
        ``dlt645-2007`` or ``dlt645-1997``.
    identifier
        Hex, highest byte first; ``address`` asks for the address (2007).
    items
        Names of those that are wanted; none: all.

    Raises
    ------
    InputError
        The edition, the identifier or an item is unknown.

    >>> [one.name for one in block("dlt645-2007", "05040101").items]
    ['energy_frozen']
    """
    edition = edition_of(protocol)
    if identifier == "address":
        if edition is E1997:
            raise InputError("identifier: 1997 has no question for an address; read 9010 of 999999999999")
        return AddressBlock()
    values = read_block(edition, identifier, items)
    if values.found.stamp:
        return FrozenBlock(read_block(edition, values.found.stamp), values)
    if values.found.then:
        return ClockBlock(values, read_block(edition, values.found.then))
    return values


def _only(answer: Answer) -> int:
    """The one value of an answer; its LinkError if it has none."""
    for error in answer.lost.values():
        raise error
    return next(iter(answer.values.values()))
