"""What a timeout means, by what else came meanwhile; one answer for every protocol of a serial line."""

from __future__ import annotations

from typing import Protocol

from nengliu.errors import LinkError


class Foreign(Protocol):
    """A whole frame that was not the awaited one."""

    @property
    def address(self) -> str:
        """Who sent it."""

    @property
    def control(self) -> int:
        """Its control code."""

    @property
    def raw(self) -> bytes:
        """The frame."""


def silence(address: str, foreign: Foreign | None, noise: int) -> LinkError:
    """Say what the end of a wait means.

    Parameters
    ----------
    foreign
        The last whole frame that was not the awaited one.
    noise
        Bytes that belong to no frame.

    >>> silence("000000000161", None, 0).reason, silence("000000000161", None, 7).reason
    ('TIMEOUT', 'DAMAGED')
    """
    if foreign is not None:
        got = f"{foreign.address} {foreign.control:02X}H"
        told = f"{address}: expected its answer, got that of {got}; see that no two meters share an address"
        return LinkError("MISMATCH", told, got=got)
    if noise:
        told = f"{address}: expected a whole answer, got {noise} bytes that are none; see to the line and its baud rate"
        return LinkError("DAMAGED", told, got=f"{noise} bytes")
    told = f"{address}: expected an answer, got none; see that the meter has power and its address is right"
    return LinkError("TIMEOUT", told, meter=address)
