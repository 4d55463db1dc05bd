"""A meter as the line sees it: an address, a protocol, requests it understands and answers it lays out.

Each protocol of a line is an `Ear` (which bytes are a request) and stations (what is
answered).  Frames are laid here by the simulator's own code, never by the codecs of the
collector, so that each proves the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from acquisition.simulator.meters import Meter
from acquisition.simulator.moment import Moment


@dataclass(frozen=True, slots=True)
class Heard:
    """A whole request on the line, and its bytes as they came."""

    raw: bytes
    body: object


@dataclass(frozen=True, slots=True)
class Value:
    """One value in an answer.

    Parameters
    ----------
    shown
        What the answer says [ticks of 10 ** -decimals]; None: not available.
    true
        What a healthy meter would show; a counter without the cut to its digits, so it only rises.
    """

    item: str
    shown: int | None
    true: int
    decimals: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What a station answers.

    Parameters
    ----------
    frame
        Bytes of the answer without what faults of the line do to them.
    values
        What it says.
    at_ms
        Instant for which the values hold [ms, UTC]: now, or that of a frozen one.
    """

    frame: bytes
    values: tuple[Value, ...] = ()
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Manner:
    """What is wrong with an answer whose checksum is right.

    Parameters
    ----------
    refuse
        Code of the refusal instead of a value.
    address_by, item_by
        Added to the address, and to the identifier.
    digits
        Every value holds a digit that is none.
    """

    refuse: int | None = None
    address_by: int = 0
    item_by: int = 0
    digits: bool = False


GOOD = Manner()


class Ear(Protocol):
    """The requests of one protocol."""

    def hear(self, line: bytearray) -> list[Heard]:
        """Take the whole requests out of what came over the line; the rest stays until more comes."""


class Station(Protocol):
    """A meter on a line."""

    @property
    def name(self) -> str:
        """What the scenario calls it."""

    @property
    def address(self) -> str:
        """As the collector's configuration writes it."""

    @property
    def meter(self) -> Meter:
        """What it measures."""

    @property
    def ear(self) -> Ear:
        """The requests it understands."""

    @property
    def set_by_ms(self) -> int:
        """How far somebody set its clock [ms]."""

    def is_meant(self, heard: Heard) -> bool:
        """Whether a request goes to it."""

    def answer(self, heard: Heard, now: Moment, manner: Manner = GOOD) -> Reply | None:
        """Answer a request that goes to it; None where nothing is answered."""


@dataclass(eq=False)
class Known:
    """What stations of all protocols hold.

    Parameters
    ----------
    address
        As text, as the configuration writes it.
    set_by_ms
        How far somebody set its clock [ms].
    """

    name: str
    address: str
    meter: Meter
    set_by_ms: int = 0
    frozen: list[int] = field(default_factory=list)
