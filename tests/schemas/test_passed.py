"""Passed messages: the position travels with the message, raw frames do not pass."""

from __future__ import annotations

import pytest
from factories import make_block, make_frame, make_point, make_rows

from nengliu.errors import ContractError
from schemas.messages import LinkEvent, LinkNotice, PointNotice
from schemas.passed import pack, unpack


@pytest.mark.parametrize("position", [0, 1 << 48, 2**64 - 1])
def test_passed_notice_keeps_the_position_it_had_in_the_raw_topic(position: int) -> None:
    """What follows from a notice has the same revision on either side of the hop (law 7)."""
    for notice in (PointNotice(make_point()), LinkNotice("e", "collector-1", 7, 8, (LinkEvent(9, 3),))):
        assert unpack(pack(position, notice)) == (position, notice)


def test_passed_block_comes_back_with_its_readings() -> None:
    """A block of accepted readings survives the hop."""
    position, block = unpack(pack(9, make_block([{"ticks": 5}, {"ticks": 6}])))

    assert (position, block.ticks.tolist()) == (9, [5, 6])


def test_passed_message_cut_at_every_byte_is_refused() -> None:
    """A cut value is a contract error, whether the cut goes through the position or the message."""
    value = pack(9, PointNotice(make_point()))

    for end in range(len(value)):
        with pytest.raises(ContractError) as caught:
            unpack(value[:end])
        assert caught.value.reason == ("TRUNCATED" if end < 24 else "CORRUPT")


@pytest.mark.parametrize("raw", [make_frame(), make_rows()])
def test_passed_frame_that_was_never_judged_is_refused(raw: object) -> None:
    """A raw frame in the topic of valid readings is no message there."""
    with pytest.raises(ContractError) as caught:
        unpack(pack(9, raw))

    assert caught.value.reason == "NOT_A_MESSAGE"
