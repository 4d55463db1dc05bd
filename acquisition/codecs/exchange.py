"""One request to a meter and the reading of its answer, as pure steps: bytes out, bytes in, no socket and no clock.

A driver sends `Exchange.request`, feeds what comes until the exchange is decided, and at its
deadline asks what the silence means.  So one driver serves every protocol of a serial line,
and each protocol is tested byte by byte without a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, Self

import msgspec

from nengliu.domain.quality import Quality
from nengliu.errors import LinkError


class Item(Protocol):
    """One value that a meter can tell: a register, a field of an identifier, a node."""

    @property
    def name(self) -> str:
        """What its map calls it."""

    @property
    def unit(self) -> str:
        """Unit of its value."""

    @property
    def decimals(self) -> int:
        """Decimals of one tick."""


class Answer(msgspec.Struct, frozen=True):
    """What a meter answered to one request.

    Parameters
    ----------
    values
        By item [ticks].
    lost
        Items that were answered without a value, and why (NO_DATA, BAD_BCD, UNKNOWN_UNIT ...).
    raw
        The answer as it came over the line; empty where there is no frame to show.
    at_ms
        Instant for which the meter itself says the values hold, as its clock shows it [ms, UTC]; 0: now.
    quality
        Items whose value is not simply good.
    """

    values: Mapping[str, int]
    lost: Mapping[str, LinkError] = msgspec.field(default_factory=dict)
    raw: bytes = b""
    at_ms: int = 0
    quality: Mapping[str, Quality] = msgspec.field(default_factory=dict)


class Exchange(Protocol):
    """One request on its way; made anew for every try."""

    @property
    def request(self) -> bytes:
        """What is to be sent first."""

    def feed(self, data: bytes) -> Answer | bytes | None:
        """Take what came, in pieces of any size.

        Returns
        -------
        Answer
            It is decided.
        bytes
            The meter has more to say: send this, and go on.
        None
            Not yet; foreign frames, echoes and noise are passed over.

        Raises
        ------
        LinkError
            It is decided, and there is no value: CONFIG, REFUSED, GATEWAY, MISMATCH, DAMAGED.
        """

    def silence(self) -> LinkError:
        """Say what a timeout means: TIMEOUT, or DAMAGED or MISMATCH if something else came."""


class Block(Protocol):
    """What one exchange asks of a meter; a constant of the meter's map."""

    @property
    def items(self) -> tuple[Item, ...]:
        """What it answers."""

    @property
    def request_bytes(self) -> int:
        """Length of the request on the line, wake-up included, for the prediction of cycle times."""

    @property
    def answer_bytes(self) -> int:
        """Length of the answer on the line."""

    def split(self) -> tuple[Self, ...]:
        """Smaller blocks that ask for the same, if a meter refuses the whole; itself alone if it cannot be split."""
