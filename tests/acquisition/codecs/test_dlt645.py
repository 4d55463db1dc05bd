"""DL/T 645: replies are matched to requests by address and identifier; refusals and silences have a meaning."""

from __future__ import annotations

import pytest
from frames import bcd, low_first, reply645
from hypothesis import given
from hypothesis import strategies as st

from acquisition.codecs import dlt645
from acquisition.codecs.dlt645_blocks import MOST_OPENINGS, MOST_PARTS, address_of, read_block
from acquisition.codecs.dlt645_steps import block
from acquisition.codecs.exchange import Answer, Exchange
from nengliu.errors import InputError, LinkError

METER, OTHER = "000000000161", "000000000162"
ENERGY = low_first("00010000")
GOOD = reply645(METER, 0x91, ENERGY + bcd("00000026"))


def ask(identifier: str = "00010000", protocol: str = "dlt645-2007", address: str = METER) -> Exchange:
    return block(protocol, identifier).exchange(address)


def answer(exchange: Exchange, data: bytes) -> Answer:
    found = exchange.feed(data)
    assert isinstance(found, Answer)
    return found


@pytest.mark.parametrize("address", ["", "1234567890123", "12A", "x", "-1", "A", "1.5"])
def test_address_that_is_none_is_refused(address: str) -> None:
    """An address is up to twelve digits, with AA for any pair."""
    with pytest.raises(InputError, match="address"):
        ask(address=address)


@pytest.mark.parametrize("address", ["AAAAAAAAAAAA", "AAAAAAAA0161", METER])
def test_wildcard_takes_the_meter_that_answers(address: str) -> None:
    """AA stands for any pair; who answered is told by the raw frame."""
    found = answer(ask(address=address), GOOD)

    assert found.values == {"energy": 26}
    assert address_of(found.raw) == METER


def test_broadcast_of_1997_is_a_wildcard() -> None:
    """In 1997 a meter answers a reading asked of 99..99; in 2007 it does not."""
    reply = reply645(METER, 0x81, low_first("9010") + bcd("00000036"))

    assert answer(ask("9010", "dlt645-1997", dlt645.BROADCAST), reply).values == {"energy": 36}
    exchange = ask(address=dlt645.BROADCAST)
    assert exchange.feed(GOOD) is None
    assert exchange.silence().reason == "MISMATCH"


@pytest.mark.parametrize(
    "foreign",
    [
        reply645(OTHER, 0x91, ENERGY + bcd("00000099")),
        reply645(METER, 0x91, low_first("00020000") + bcd("00000099")),
        reply645(METER, 0x92, ENERGY + bcd("00000099") + b"\x01"),
        reply645(METER, 0x94, b""),
        reply645(OTHER, 0xD1, b"\x02"),
        reply645(METER, 0x91, b"\x00"),
    ],
    ids=["meter", "identifier", "follow-on", "write", "refusal of another", "cut identifier"],
)
def test_foreign_frame_is_passed_over_and_told_by_silence(foreign: bytes) -> None:
    """What answers something else decides nothing: the right answer may still come."""
    exchange = ask()
    assert exchange.feed(foreign) is None
    assert exchange.silence().reason == "MISMATCH"

    assert answer(exchange, GOOD).values == {"energy": 26}


def test_own_echo_is_silence() -> None:
    """On two wires the request comes back; it is no answer and no damage."""
    exchange = ask()

    assert exchange.feed(exchange.request) is None
    assert exchange.silence().reason == "TIMEOUT"
    assert exchange.silence().parameters == {"meter": METER}


@pytest.mark.parametrize("noise", [b"\x00", b"\x68", GOOD[:-1], GOOD[:-2] + b"\x00\x16", GOOD[1:]])
def test_what_is_no_frame_is_damage(noise: bytes) -> None:
    """Bytes that make no frame say that the line is bad, not that the meter is silent."""
    exchange = ask()
    exchange.feed(noise)

    assert exchange.silence().reason == "DAMAGED"


def test_wake_up_alone_is_silence() -> None:
    """FE without a frame is a meter that went to sleep again."""
    exchange = ask()
    exchange.feed(b"\xfe\xfe\xfe")

    assert exchange.silence().reason == "TIMEOUT"


@pytest.mark.parametrize(
    ("protocol", "control", "word", "reason", "meaning"),
    [
        ("dlt645-2007", 0xD1, 0x02, "CONFIG", "no_such_data"),
        ("dlt645-2007", 0xD1, 0x04, "REFUSED", "not_authorised"),
        ("dlt645-2007", 0xD1, 0x06, "CONFIG", "no_such_data not_authorised"),
        ("dlt645-2007", 0xD1, 0x01, "REFUSED", "other"),
        ("dlt645-2007", 0xD1, 0x80, "REFUSED", "unknown"),
        ("dlt645-1997", 0xC1, 0x02, "CONFIG", "no_such_data"),
        ("dlt645-1997", 0xC1, 0x01, "REFUSED", "illegal_data"),
    ],
)
def test_refusal_is_told_with_its_meaning(
    protocol: str, control: int, word: int, reason: str, meaning: str
) -> None:
    """A meter that answers that it cannot is no fault of the line; what it lacks is the map's fault."""
    identifier = "00010000" if protocol.endswith("2007") else "9010"
    with pytest.raises(LinkError) as told:
        ask(identifier, protocol).feed(reply645(METER, control, bytes([word])))

    assert told.value.reason == reason
    assert told.value.parameters["meaning"] == meaning
    assert told.value.parameters["address"] == identifier
    assert told.value.parameters["code"] == f"{word:02X}H"


def test_refusal_without_a_word_is_a_refusal() -> None:
    """An empty error frame is answered for, not stumbled over."""
    with pytest.raises(LinkError) as told:
        ask().feed(reply645(METER, 0xD1, b""))
    assert told.value.reason == "REFUSED"


def test_values_that_are_missing_or_no_numbers_are_lost_alone() -> None:
    """Phase B is not fitted and phase C is damaged in the meter: phase A stands."""
    reply = reply645(METER, 0x91, low_first("0201FF00") + bcd("2201") + b"\xff\xff" + bcd("2a00"))
    found = answer(ask("0201FF00"), reply)

    assert found.values == {"voltage_a": 2201}
    assert {name: error.reason for name, error in found.lost.items()} == {
        "voltage_b": "NO_DATA",
        "voltage_c": "BAD_BCD",
    }


@pytest.mark.parametrize(("fields", "lost"), [(1, 4), (3, 2), (5, 0), (8, 0)])
def test_block_may_be_shorter_or_longer_by_whole_values(fields: int, lost: int) -> None:
    """Meters differ in their number of tariffs; what is not sent is no data."""
    reply = reply645(METER, 0x91, low_first("0001FF00") + bcd("00000007") * fields)
    found = answer(ask("0001FF00"), reply)

    assert list(found.values.values()) == [7] * (5 - lost)
    assert [error.reason for error in found.lost.values()] == ["NO_DATA"] * lost


@pytest.mark.parametrize(
    ("identifier", "size"),
    [("00010000", 3), ("00010000", 5), ("0001FF00", 19), ("0001FF00", 22), ("01010000", 9)],
)
def test_answer_of_an_impossible_length_is_damage(identifier: str, size: int) -> None:
    """Bytes that cannot be these values are not cut to fit."""
    reply = reply645(METER, 0x91, low_first(identifier) + b"\x11" * size)
    found = answer(ask(identifier), reply)

    assert not found.values
    assert {error.reason for error in found.lost.values()} == {"DAMAGED"}


def test_demand_without_its_time_keeps_the_demand() -> None:
    """Values of different kinds are read one by one."""
    found = answer(ask("01010000"), reply645(METER, 0x91, low_first("01010000") + bcd("001234")))

    assert found.values == {"demand_max": 1234}
    assert found.lost["demand_max_at"].reason == "NO_DATA"


@pytest.mark.parametrize("layout", ["plain", "after each", "at the end"])
def test_separators_of_1997_are_taken_out(layout: str) -> None:
    """Some meters of 1997 put AA after every value of a block, some at its end, most nowhere."""
    values = [bcd(f"0000000{n}") for n in range(1, 6)]
    data = {
        "plain": b"".join(values),
        "after each": b"".join(one + b"\xaa" for one in values),
        "at the end": b"".join(values) + b"\xaa",
    }[layout]
    found = answer(ask("901F", "dlt645-1997"), reply645(METER, 0x81, low_first("901F") + data))

    assert list(found.values.values()) == [1, 2, 3, 4, 5]


def test_wanted_items_alone_are_told() -> None:
    """A block read for one of its values tells that one, wherever it stands."""
    wanted = block("dlt645-2007", "0001FF00", ("energy_t3",))
    reply = reply645(METER, 0x91, low_first("0001FF00") + b"".join(bcd(f"0000000{n}") for n in range(5)))

    assert answer(wanted.exchange(METER), reply).values == {"energy_t3": 3}


@given(st.integers(0, 10**8 - 1), st.integers(-799999, 799999), st.booleans())
def test_quick_way_reads_what_the_careful_way_reads(energy: int, power: int, dirty: bool) -> None:
    """A frame alone and a frame after noise are read by two ways to the same ticks."""
    shown = bytearray(bcd(f"{abs(power):06d}"))
    shown[-1] |= 0x80 * (power < 0)
    noise = b"\x00" if dirty else b""
    for identifier, data, value in (
        ("00010000", bcd(f"{energy:08d}"), energy),
        ("02030000", bytes(shown), power),
    ):
        reply = reply645(METER, 0x91, low_first(identifier) + data)

        assert list(answer(ask(identifier), noise + reply).values.values()) == [value]


def test_frame_inside_of_a_frame_is_found_like_byte_by_byte() -> None:
    """Where a whole frame lies inside of another the first that ends is taken, in one piece or in many."""
    inner = reply645(METER, 0x91, ENERGY + bcd("00000001"))
    outer = bytearray(reply645(OTHER, 0x91, bytes(len(inner) + 4)))
    outer[12 : 12 + len(inner)] = inner
    outer[-2] = sum(outer[:-2]) % 256
    outer_frame = bytes(outer)

    whole = dlt645.Decoder().feed(outer_frame)
    decoder = dlt645.Decoder()
    pieces = [frame for one in outer_frame for frame in decoder.feed(bytes([one]))]
    assert [frame.raw for frame in whole] == [frame.raw for frame in pieces] == [inner]


def test_parts_that_never_end_are_damage() -> None:
    """A meter that always says that more follows is stopped."""
    exchange = ask("0001FF00")
    data = low_first("0001FF00")
    assert isinstance(exchange.feed(reply645(METER, 0xB1, data)), bytes)
    for part in range(1, MOST_PARTS):
        assert isinstance(exchange.feed(reply645(METER, 0xB2, data + bytes([part]))), bytes)
    with pytest.raises(LinkError) as told:
        exchange.feed(reply645(METER, 0xB2, data + bytes([MOST_PARTS])))
    assert told.value.reason == "DAMAGED"


def test_part_with_another_number_is_passed_over() -> None:
    """A follow-on frame that comes twice is not joined twice."""
    exchange = ask("0001FF00")
    data = low_first("0001FF00")
    exchange.feed(reply645(METER, 0xB1, data + bcd("00000001")))

    assert exchange.feed(reply645(METER, 0x92, data + bcd("00000009") + b"\x02")) is None
    assert exchange.silence().reason == "MISMATCH"
    found = answer(exchange, reply645(METER, 0x92, data + bcd("00000002") + b"\x01"))
    assert list(found.values.values()) == [1, 2]


def test_parts_of_1997_have_no_numbers() -> None:
    """In 1997 the next frame is asked for by its identifier alone."""
    exchange, data = ask("901F", "dlt645-1997"), low_first("901F")
    following = exchange.feed(reply645(METER, 0xA1, data + bcd("00000001")))

    assert following == dlt645.WAKE_UP + reply645(METER, 0x02, data)
    found = answer(exchange, reply645(METER, 0x82, data + bcd("00000002")))
    assert list(found.values.values()) == [1, 2]


def test_refusal_of_a_part_is_told() -> None:
    """A meter may refuse the second frame too."""
    exchange = ask("0001FF00")
    exchange.feed(reply645(METER, 0xB1, low_first("0001FF00") + bcd("00000001")))
    with pytest.raises(LinkError) as told:
        exchange.feed(reply645(METER, 0xD2, b"\x02"))
    assert told.value.reason == "CONFIG"
    assert told.value.parameters["function"] == "12H"


def test_address_is_asked_of_the_one_meter_that_fits() -> None:
    """13H is answered by the address, in the data or in the head of the frame."""
    asked = block("dlt645-2007", "address")

    assert asked.split() == (asked,)
    assert answer(asked.exchange("AAAAAAAA0161"), reply645(METER, 0x93, bcd(METER))).values == {
        "address": 161
    }
    assert answer(asked.exchange("AAAAAAAAAAAA"), reply645(METER, 0x93, b"")).values == {"address": 161}
    exchange = asked.exchange("AAAAAAAA0170")
    assert exchange.feed(reply645(METER, 0x93, bcd(METER))) is None
    assert exchange.silence().reason == "MISMATCH"


@pytest.mark.parametrize("told", [b"\xff" * 6, b"\xaa" * 6])
def test_address_that_is_none_is_lost(told: bytes) -> None:
    """An answer of no digits names nobody."""
    found = answer(
        block("dlt645-2007", "address").exchange("AAAAAAAAAAAA"), reply645("AAAAAAAAAAAA", 0x93, told)
    )

    assert not found.values
    assert found.lost["address"].reason in ("NO_DATA", "BAD_BCD")


@pytest.mark.parametrize(
    "identifier", ["00010000", "0001FF00", "0201FF00", "01010000", "040005FF", "address"]
)
def test_lengths_told_are_those_on_the_line(identifier: str) -> None:
    """The prediction of cycle times rests on these."""
    asked = block("dlt645-2007", identifier)
    exchange = asked.exchange(METER)

    assert len(exchange.request) == asked.request_bytes
    size = asked.answer_bytes - 4 - 12 - (0 if identifier == "address" else 4)
    code = b"" if identifier == "address" else low_first(identifier)
    reply = reply645(METER, 0x93 if identifier == "address" else 0x91, code + b"\x11" * size)
    assert set(answer(exchange, reply).values) | {"demand_max_at"} >= {item.name for item in asked.items}


def test_block_of_ff_is_split_into_its_identifiers() -> None:
    """What a meter refuses whole is asked one by one, and tells the same items."""
    for protocol, identifier, singles in (
        ("dlt645-2007", "0203FF00", ["02030000", "02030100", "02030200", "02030300"]),
        ("dlt645-2007", "0001FF03", ["00010003", "00010103", "00010203", "00010303", "00010403"]),
        ("dlt645-2007", "040005FF", [f"0400050{n}" for n in range(1, 8)]),
        ("dlt645-1997", "B61F", ["B611", "B612", "B613"]),
    ):
        whole = read_block(dlt645.EDITIONS[protocol], identifier)
        parts = whole.split()

        assert [part.found.identifier for part in parts] == singles
        assert tuple(item for part in parts for item in part.items) == whole.items
        assert parts[0].split() == (parts[0],)


def test_edition_without_the_number_of_a_follow_on_is_laid_without_it() -> None:
    """The request of 1997 bears no number."""
    laid = dlt645.read_following(dlt645.E1997, METER, low_first("901F"), 7)

    assert laid == dlt645.WAKE_UP + reply645(METER, 0x02, low_first("901F"))


def test_freeze_is_laid_for_now() -> None:
    """99999999 means now; a broadcast is not answered."""
    assert dlt645.freeze() == dlt645.WAKE_UP + reply645("9" * 12, 0x16, b"\x99" * 4)


def test_address_cannot_be_asked_in_1997() -> None:
    """13H came with 2007; a person is told what to do instead."""
    with pytest.raises(InputError, match="9010"):
        block("dlt645-1997", "address")


def test_many_addresses_leave_no_trace() -> None:
    """A scan over many addresses does not fill the memory, and its exchanges stay right."""
    asked = read_block(dlt645.E2007, "00010000")
    for number in range(MOST_OPENINGS + 2):
        asked.exchange(str(number))

    assert answer(asked.exchange(METER), GOOD).values == {"energy": 26}
    assert len(asked._openings) <= 3


@pytest.mark.parametrize(
    ("protocol", "identifier", "items"),
    [
        ("dlt645-2008", "00010000", ()),
        ("dlt645-2007", "99999999", ()),
        ("dlt645-2007", "0001", ()),
        ("dlt645-2007", "hello", ()),
        ("dlt645-2007", "00010000", ("power",)),
        ("dlt645-1997", "00010000", ()),
    ],
)
def test_wrong_map_is_refused_with_what_is_near(
    protocol: str, identifier: str, items: tuple[str, ...]
) -> None:
    """A person who mistypes is told what is known."""
    with pytest.raises(InputError, match=r"nearest|known"):
        block(protocol, identifier, items)
