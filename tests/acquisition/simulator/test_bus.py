"""The bus: bytes at their times, collisions, and everything that can go wrong with an answer."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

import pytest
from buses import E1, E2, NOW_MS, W1, cjt, dlt, heard, make_bus, rtu, stations
from hypothesis import given
from hypothesis import strategies as st

from acquisition.simulator.bus import Bus, Told, damaged
from acquisition.simulator.faults import Fault, FaultKind


def one(kind: FaultKind, value: int = 0, meter: str = "e1") -> list[Fault]:
    return [Fault(kind, "bus", meter, 0, value=value)]


def sound(data: bytes) -> bool:
    frame = data.lstrip(b"\xfe")
    return frame[-1] == 0x16 and sum(frame[:-2]) & 0xFF == frame[-2]


def e1(faults: Sequence[Fault] = (), told: list[Told] | None = None, baud: int = 0) -> Bus:
    return make_bus(stations(("dlt645-2007", "e1", E1)), faults=faults, told=told, baud=baud)


def test_answer_takes_the_time_of_its_bytes() -> None:
    """Request, reply time and answer follow one another at 11 bits a character."""
    bus = e1(baud=2400)
    request = dlt(E1)
    bus.hear(request, 1000)
    begins = 1000 + len(request) * 11 / 2.4 + 20
    ends = begins + 24 * 11 / 2.4

    assert bus.next_ms is not None
    assert begins < bus.next_ms <= begins + 41
    assert b"".join(data for data, _ in bus.speak(int(ends) - 1)) != b""
    assert bus.speak(int(ends) - 1) == []
    assert bus.speak(int(ends) + 1)[-1][0][-1] == 0x16
    assert bus.next_ms is None


def test_request_that_comes_in_pieces_is_answered() -> None:
    """A converter may hand a request over byte by byte; half of one is forgotten after a silence."""
    bus = e1()
    for place, byte in enumerate(dlt(E1)):
        bus.hear(bytes((byte,)), place * 10)
    assert bus.asked["e1"] == 1

    bus.hear(dlt(E1)[:10], 2000)
    bus.hear(dlt(E1)[10:], 3000)
    assert bus.asked["e1"] == 1


def test_two_that_speak_at_once_spoil_each_other() -> None:
    """A wildcard that fits two meters brings no whole frame; one that fits a single meter does."""
    meters = stations(("dlt645-2007", "e1", E1), ("dlt645-2007", "e2", E2))
    both = heard(make_bus(meters, baud=2400), dlt("AA" * 6, 0x13, b""))
    alone = heard(make_bus(meters, baud=2400), dlt("AA" * 4 + "0161", 0x13, b""))

    assert bytes.fromhex(E1)[::-1].hex() not in both.hex()
    assert sound(alone)
    assert bytes((b - 0x33) & 0xFF for b in alone[-8:-2]) == bytes.fromhex(E1)[::-1]


def test_request_into_an_answer_spoils_both() -> None:
    """Who speaks while a meter speaks is not understood, and the answer is lost."""
    bus = e1(baud=2400)
    bus.hear(dlt(E1), 0)
    bus.hear(dlt(E1), 160)

    assert bus.asked["e1"] == 1
    assert not sound(b"".join(data for data, _ in bus.speak(10**6)))


def test_protocols_share_a_line_without_hearing_one_another() -> None:
    """Each meter answers the requests of its protocol, however quickly they follow."""
    told: list[Told] = []
    meters = stations(("dlt645-2007", "e1", E1), ("cjt188", "w1", W1), ("modbus-rtu", "r1", "3"))
    bus = make_bus(meters, told=told)
    for place, request in enumerate([dlt(E1), cjt(W1), rtu(3), cjt(W1), dlt(E1), rtu(3)]):
        heard(bus, request, place * 60)

    assert [one.meter for one in told] == ["e1", "w1", "r1", "w1", "e1", "r1"]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (FaultKind.SILENT, 0, ""),
        (FaultKind.REFUSE, 2, "d1013539"),
        (FaultKind.OTHER, 3, "64010000000068910833333433"),
        (FaultKind.ITEM, 1, "61010000000068910834333433"),
    ],
)
def test_spoilt_answer_is_what_its_fault_says(kind: FaultKind, value: int, expected: str) -> None:
    """The checksum is right, the rest is not."""
    got = heard(e1(one(kind, value)), dlt(E1))

    assert expected in got.hex()
    assert (got == b"") == (not expected)
    assert not got or sound(got)


def test_damaged_cut_and_noisy_answers_hold_what_they_should() -> None:
    """Bits are turned, the second half is missing, noise stands around the frame."""
    good = heard(e1(), dlt(E1))
    damaged = heard(e1(one(FaultKind.DAMAGED)), dlt(E1))
    noisy = heard(e1(one(FaultKind.NOISE, 7)), dlt(E1))

    assert not sound(damaged)
    assert len(damaged) == len(good)
    assert sum(a != b for a, b in zip(good, damaged, strict=True)) == 3
    assert heard(e1(one(FaultKind.CUT)), dlt(E1)) == good[: len(good) // 2]
    assert noisy[7:-7] == good
    assert len(noisy) == len(good) + 14


def test_late_and_split_answers_come_at_their_times() -> None:
    """A late answer comes when it comes; a split one in three pieces with pauses."""
    late, split = e1(one(FaultKind.LATE, 700)), e1(one(FaultKind.SPLIT, 60))
    late.hear(dlt(E1), 0)
    split.hear(dlt(E1), 0)

    assert late.speak(719) == []
    assert late.next_ms == 720
    assert [len(split.speak(at_ms)) for at_ms in (20, 79, 80, 139, 140)] == [1, 0, 1, 0, 1]


def test_echo_comes_before_the_answer_and_stale_repeats_the_last() -> None:
    """An echoing line says the request first; a stale meter says again what it said before."""
    request = dlt(E1)
    assert heard(e1([Fault(FaultKind.ECHO, "bus")]), request) == request + heard(e1(), request)

    bus = make_bus(stations(("modbus-rtu", "e1", "3")), faults=one(FaultKind.STALE))
    first = heard(bus, rtu(3, 0, 4))
    assert heard(bus, rtu(3, 16, 2), 1000) == first


def test_every_second_request_is_dropped() -> None:
    """A fault that strikes at times, strikes at the same times in every run."""
    bus = e1(one(FaultKind.DROP))
    assert [bool(heard(bus, dlt(E1), n * 1000)) for n in range(4)] == [True, False, True, False]


def test_same_seed_gives_the_same_bytes_at_the_same_times() -> None:
    """Damage and reply times are drawn, and drawn alike."""

    def run() -> list[tuple[int | None, bytes]]:
        bus = e1(one(FaultKind.DAMAGED), baud=9600)
        return [(bus.next_ms, heard(bus, dlt(E1), n * 1000)) for n in range(5)]

    assert run() == run()


def test_truth_tells_what_was_asked_shown_and_sent() -> None:
    """A damaged answer is told with the bytes that were sent and the value they should have said."""
    told: list[Told] = []
    got = heard(e1(one(FaultKind.DAMAGED), told), dlt(E1))
    (row,) = told

    assert (row.line, row.meter, row.faults) == ("bus", "e1", "damaged")
    assert row.sent == got != row.reply.frame
    assert row.reply.values[0].shown == row.reply.values[0].true % 100_000_000
    assert row.asked_ms == row.reply.at_ms == NOW_MS


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (rtu(3, 40, 50), "0383 02"),
        (rtu(3, 0, 126), "0383 03"),
        (rtu(3, 0, 2, function=6), "0386 01"),
        (rtu(3, 0, 4, function=4), "0304 08"),
    ],
)
def test_modbus_station_refuses_by_exception(request_: bytes, expected: str) -> None:
    """Wrong address, wrong count and a function that writes have their codes; function 4 reads too."""
    bus = make_bus(stations(("modbus-rtu", "r1", "3")))
    assert heard(bus, request_).hex().startswith(expected.replace(" ", ""))


def test_nobody_answers_for_a_unit_that_is_not_there() -> None:
    """On a line nobody speaks for others."""
    bus = make_bus(stations(("modbus-rtu", "r1", "3")))
    assert heard(bus, rtu(4)) == b""


def test_private_line_keeps_masters_apart() -> None:
    """Two masters of a Modbus TCP line may interleave their bytes, and each hears its own answer."""
    bus = make_bus(stations(("modbus-tcp", "t1", "3")), is_private=True)
    ask = [struct.pack(">HHHBBHH", number, 0, 6, 3, 3, 0, 4) for number in (1, 2)]
    bus.hear(ask[0][:5], 0, "a")
    bus.hear(ask[1], 0, "b")
    bus.hear(ask[0][5:], 0, "a")

    assert {asker: data[:2] for data, asker in bus.speak(1000)} == {"a": b"\0\1", "b": b"\0\2"}


def test_meter_says_one_answer_after_the_other() -> None:
    """What is late is said before the answer to a later question, as by anybody with one line to speak on."""
    bus = make_bus(stations(("modbus-rtu", "r1", "3")))
    bus.obey([Fault(FaultKind.LATE, "bus", "r1", value=2000)])
    bus.hear(rtu(3, 0, 4), 0)
    bus.obey([])
    bus.hear(rtu(3, 0, 2), 500)

    assert bus.speak(1900) == []
    assert b"".join(data for data, _ in bus.speak(5000))[:3] == b"\x03\x03\x08"


@given(st.binary(min_size=12, max_size=60), st.integers(1, 6), st.integers())
def test_damage_never_passes_a_sum(body: bytes, count: int, seed: int) -> None:
    """However many bits are turned, the sum of eight bits tells: else nobody could say what is true."""
    frame = b"\x68" + body + bytes(((0x68 + sum(body)) & 0xFF, 0x16))
    told = damaged(frame, count, random.Random(seed))

    assert sum(told[:-2]) & 0xFF != told[-2]
    assert len(told) == len(frame)
