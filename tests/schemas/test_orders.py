"""Orders: what was written is read, and nothing else raises anything but its own error."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nengliu.errors import ContractError
from schemas.envelope import Codec, seal
from schemas.messages import TickNotice, decode, encode
from schemas.orders import KIND, CommandNotice, ConfigNotice, decode_order, encode_order

ORDERS = st.one_of(
    st.builds(
        CommandNotice,
        enterprise=st.text(max_size=18),
        source=st.text(max_size=9),
        request=st.text(max_size=9),
        deadline_s=st.integers(0, 2**40),
        points=st.lists(st.text(max_size=9), max_size=5).map(tuple),
    ),
    st.builds(ConfigNotice, *(st.text(max_size=99) for _ in range(4))),
)


@given(ORDERS)
def test_order_written_is_read(order: CommandNotice | ConfigNotice) -> None:
    """Every order comes back as it was, and is no message of the raw topic."""
    value = encode_order(order)

    assert decode_order(value) == order
    with pytest.raises(ContractError):
        decode(value)


@given(
    st.one_of(st.binary(max_size=99), st.binary(max_size=99).map(lambda body: seal(KIND, body, 1, Codec.LZ4)))
)
def test_order_of_any_bytes_is_read_or_refused(value: bytes) -> None:
    """Whatever lies in the topic becomes an order or a ContractError."""
    try:
        assert isinstance(decode_order(value), CommandNotice | ConfigNotice)
    except ContractError as error:
        assert error.reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (encode(TickNotice(1)), "NOT_A_MESSAGE"),
        (seal(KIND, msgspec.json.encode({"notice": "tick", "at_s": 1}), 1, Codec.LZ4), "BAD_FIELD"),
        (seal(KIND, msgspec.json.encode({"notice": "command"}), 1, Codec.RAW), "BAD_FIELD"),
        (b"NL", "TRUNCATED"),
    ],
)
def test_order_that_is_none_says_why(value: bytes, reason: str) -> None:
    """A notice of the raw topic, a lack of fields and half a message are told apart."""
    with pytest.raises(ContractError) as found:
        decode_order(value)
    assert found.value.reason == reason
