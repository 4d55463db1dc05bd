"""Passed messages: what ingest hands to the other flows through the topic `readings.valid`.

A notice keeps the position it had in the raw topic, so that what follows from it has the
same revision on either side of the hop (law 7)::

    0            8
    | position   | message as in schemas.messages ...
    u64
"""

from __future__ import annotations

import struct

from nengliu.errors import ContractError
from schemas.block import Block, Sheaf
from schemas.messages import Frame, Notice, RowsFrame, decode, encode

_POSITION = struct.Struct("<Q")


def pack(position: int, message: Block | Sheaf | Notice) -> bytes:
    """Bytes of judged readings or a notice with their position."""
    return _POSITION.pack(position) + encode(message)


def unpack(value: bytes) -> tuple[int, Block | Sheaf | Notice]:
    """Position and message of a value of `readings.valid`.

    Raises
    ------
    ContractError
        As `schemas.messages.decode`, and NOT_A_MESSAGE for a frame that has not been through ingest.
    """
    if len(value) < _POSITION.size:
        raise ContractError("TRUNCATED", "no position", expected=_POSITION.size, got=len(value))
    (position,) = _POSITION.unpack_from(value)
    message = decode(value[_POSITION.size :])
    if isinstance(message, Frame | RowsFrame):
        raise ContractError("NOT_A_MESSAGE", "a raw frame in the topic of valid readings")
    return position, message
