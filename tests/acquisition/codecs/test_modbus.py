"""Modbus RTU: an answer is found by unit, function, length and check sum; its words are read like those of TCP."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from frames import rtu
from hypothesis import given
from hypothesis import strategies as st

from acquisition.codecs.exchange import Answer
from acquisition.codecs.modbus import LONGEST, RegisterBlock, RtuExchange, crc, read_registers, unit_of
from acquisition.codecs.registers import Register, RegisterType
from nengliu.errors import InputError, LinkError

ENERGY = Register("energy", 3, 10, RegisterType.U32, scale=Decimal("0.01"), unit="kWh", decimals=2)
POWER = Register("power", 3, 12, RegisterType.I16, unit="W")
BLOCK = RegisterBlock(3, 10, 3, (ENERGY, POWER))
WORDS = bytes.fromhex("00010002 fffb")
GOOD = rtu(bytes([17, 3, 6]) + WORDS)


def said(exchange: RtuExchange, *pieces: bytes) -> Answer:
    for piece in pieces:
        found = exchange.feed(piece)
        if isinstance(found, Answer):
            return found
    raise AssertionError("the exchange was not decided")


def test_request_is_that_of_the_specification() -> None:
    """Unit 17 is asked for three registers from 10 on; lengths on the line are as told."""
    exchange = BLOCK.exchange("17")

    assert exchange.request == rtu(bytes.fromhex("11 03 000a 0003")) == read_registers(17, 3, 10, 3)
    assert (len(exchange.request), len(GOOD)) == (BLOCK.request_bytes, BLOCK.answer_bytes)


def test_answer_whole_and_byte_by_byte_says_the_same() -> None:
    """Neither pieces nor the echo change what it says."""
    whole = said(BLOCK.exchange("17"), GOOD)
    exchange = BLOCK.exchange("17")
    pieces = said(exchange, *(bytes([one]) for one in exchange.request + GOOD))

    assert whole == pieces
    assert whole.values == {"energy": 65538, "power": -5}
    assert whole.raw == GOOD


@given(st.randoms(use_true_random=False))
def test_answer_amid_garbage_is_found(rng: random.Random) -> None:
    """Noise with heads of answers in it takes nothing from a whole one."""
    noise = b"".join(
        rng.choice([rng.randbytes(5), GOOD[:3], GOOD[:7], b"\x11\x83", b"\x11"]) for _ in range(9)
    )
    stream = noise + GOOD + rng.randbytes(3)
    cut = rng.randrange(len(stream))

    assert said(BLOCK.exchange("17"), stream[:cut], stream[cut:]).values == {"energy": 65538, "power": -5}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1, "CONFIG"),
        (2, "CONFIG"),
        (3, "CONFIG"),
        (4, "REFUSED"),
        (6, "REFUSED"),
        (10, "GATEWAY"),
        (11, "GATEWAY"),
    ],
)
def test_refusal_is_told_by_its_code(code: int, reason: str) -> None:
    """What is wrong with the map, the meter or the gateway is told apart."""
    with pytest.raises(LinkError) as told:
        BLOCK.exchange("17").feed(b"\x00" + rtu(bytes([17, 0x83, code])))
    assert told.value.reason == reason
    assert told.value.parameters["code"] == str(code)


def test_what_came_first_decides() -> None:
    """A refusal before the answer is the answer."""
    with pytest.raises(LinkError):
        BLOCK.exchange("17").feed(rtu(bytes([17, 0x83, 2])) + GOOD)
    assert said(BLOCK.exchange("17"), GOOD + rtu(bytes([17, 0x83, 2]))).values


@pytest.mark.parametrize(
    "foreign",
    [rtu(bytes([18, 3, 6]) + WORDS), rtu(bytes([17, 3, 4]) + WORDS[:4]), rtu(bytes([17, 4, 6]) + WORDS)],
)
def test_frame_of_another_request_is_passed_over(foreign: bytes) -> None:
    """Another unit, another length, another function: silence tells of it."""
    exchange = BLOCK.exchange("17")

    assert exchange.feed(foreign) is None
    assert exchange.silence().reason == "MISMATCH"
    assert said(exchange, GOOD).values["power"] == -5


def test_silences_have_a_meaning() -> None:
    """Nothing, the own echo, and what is no frame."""
    exchange = BLOCK.exchange("17")
    assert exchange.silence().reason == "TIMEOUT"
    exchange.feed(exchange.request)
    assert exchange.silence().reason == "TIMEOUT"
    exchange.feed(GOOD[:-1] + b"\x00")
    assert exchange.silence().reason == "DAMAGED"


def test_memory_is_bounded_and_no_candidate_is_judged_twice() -> None:
    """A megabyte of heads of answers is passed over; an answer after it is found."""
    exchange = BLOCK.exchange("17")
    for _ in range(1000):
        exchange.feed(GOOD[:3] * 300)

    assert len(exchange._held) <= LONGEST
    assert said(exchange, GOOD).values["energy"] == 65538


def test_words_of_tcp_are_read_like_those_of_rtu() -> None:
    """One block, two ways."""
    found = BLOCK.decode([1, 2, 0xFFFB], b"raw")

    assert found.values == said(BLOCK.exchange("17"), GOOD).values
    assert found.raw == b"raw"


def test_register_that_is_lost_takes_no_other_along() -> None:
    """A pattern that means nothing, and words that were not sent."""
    bad = Register("bad", 3, 10, RegisterType.U16, invalid=(0xFFFF,))
    found = RegisterBlock(3, 10, 2, (bad, POWER)).decode([0xFFFF, 1])

    assert {name: error.reason for name, error in found.lost.items()} == {
        "bad": "NO_DATA",
        "power": "DAMAGED",
    }


def test_value_times_the_power_of_ten_of_another_register() -> None:
    """Some meters say in a second register where the point stands."""
    exponent = Register("place", 3, 14, RegisterType.I16)
    scaled = Register("power", 3, 10, RegisterType.U16, unit="W", decimals=2, exponent=exponent)
    block = RegisterBlock(3, scaled.start, scaled.stop - scaled.start, (scaled,))

    assert (scaled.start, scaled.stop, block.count) == (10, 15, 5)
    for place, expected in ((0, 123400), (2, 12_340_000), (0xFFFE, 1234)):
        assert block.decode([1234, 0, 0, 0, place]).values == {"power": expected}
    assert block.decode([1234, 0, 0, 0, 19]).lost["power"].reason == "DAMAGED"
    assert block.decode([1234, 0, 0, 0, 18]).lost["power"].reason == "DAMAGED"


def test_block_is_split_into_its_registers() -> None:
    """A meter that refuses the whole is asked one by one, exponents along."""
    exponent = Register("place", 3, 9, RegisterType.I16)
    scaled = Register("power", 3, 12, RegisterType.I16, exponent=exponent)
    parts = RegisterBlock(3, 9, 4, (ENERGY, scaled)).split()

    assert [(part.address, part.count) for part in parts] == [(10, 2), (9, 4)]
    assert parts[0].split() == (parts[0],)
    assert parts[0].items == (ENERGY,)


@pytest.mark.parametrize("function", [1, 2, 5, 6, 15, 16, 22, 0])
def test_functions_that_do_not_read_registers_cannot_be_laid(function: int) -> None:
    """A collector never writes."""
    with pytest.raises(InputError, match="only reads"):
        read_registers(1, function, 0, 1)


@pytest.mark.parametrize("address", ["0", "248", "", "a", "1.0", "-1"])
def test_unit_that_is_none_is_refused(address: str) -> None:
    """Units are 1 to 247."""
    with pytest.raises(InputError, match="unit"):
        unit_of(address)


@given(st.binary(max_size=300))
def test_check_sum_is_that_of_the_specification(data: bytes) -> None:
    """The table says what the polynomial says bit by bit."""
    assert data + crc(data) == rtu(data)
