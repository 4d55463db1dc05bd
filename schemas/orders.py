"""Orders: what a centre asks of a collector, in the topic `edge.commands`; schemas/messages.md section 8.

They travel in the envelope of a notice.  They are no notices of the raw topic: a collector
answers with frames and link events, which are.
"""

from __future__ import annotations

import msgspec

from nengliu.errors import ContractError
from schemas.envelope import Codec, seal, unseal

KIND = 7
"""Kind of message in the envelope."""


class CommandNotice(msgspec.Struct, tag="command", tag_field="notice", frozen=True):
    """A centre wants values now.

    Parameters
    ----------
    enterprise, source
        Which collector is asked.
    request
        Name of the request; a collector answers each name once.
    deadline_s
        Until when an answer is of use [s, UTC].
    meter
        Everything of this meter; empty: `points`.
    by, at_s
        Who asked, and when [s, UTC].
    """

    enterprise: str
    source: str
    request: str
    deadline_s: int
    meter: str = ""
    points: tuple[str, ...] = ()
    by: str = ""
    at_s: int = 0


class ConfigNotice(msgspec.Struct, tag="config", tag_field="notice", frozen=True):
    """A centre gives a collector another configuration: the whole text of its collector.toml, as a version."""

    enterprise: str
    source: str
    version: str
    text: str
    by: str = ""
    at_s: int = 0


Order = CommandNotice | ConfigNotice
_decoder = msgspec.json.Decoder(Order)


def encode_order(order: Order) -> bytes:
    """Turn an order into bytes for the log; ContractError TOO_LARGE beyond 64 MiB."""
    return seal(KIND, msgspec.json.encode(order), 1, Codec.LZ4)


def decode_order(value: bytes) -> Order:
    """Turn bytes of the log into an order.

    Raises
    ------
    ContractError
        With reason TRUNCATED, NOT_A_MESSAGE, WRONG_VERSION, TOO_LARGE, CORRUPT or BAD_FIELD.

    >>> order = CommandNotice("91320000MA1EXAMPL3", "collector-1", "r1", 1771050660, points=("e-main",))
    >>> decode_order(encode_order(order)) == order
    True
    """
    _, _, body = unseal(value, {1: (KIND,)})
    try:
        order: Order = _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ContractError("BAD_FIELD", f"body of an order: {error}", field="order", got=error) from error
    return order
