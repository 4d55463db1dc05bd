"""Half-duplex lines: an answer is believed only if it can be nobody else's, and the line is left in peace."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from buses import NOW_MS, make_bus, stations
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual import MemoryWire, VirtualClock

from acquisition.codecs.dlt645 import set_time
from acquisition.codecs.dlt645_steps import block
from acquisition.codecs.exchange import Answer
from acquisition.codecs.modbus import RegisterBlock, crc
from acquisition.codecs.registers import Register, RegisterType
from acquisition.drivers.lines.half_duplex import GAP_MS, NOISE_MS, QUIET_MS, HalfDuplex
from acquisition.drivers.lines.ledger import FORGET_MS
from acquisition.simulator.bus import Told
from acquisition.simulator.faults import Fault, FaultKind
from acquisition.simulator.stations import make_station
from nengliu.errors import LinkError

T = TypeVar("T")
LOST = None
ENERGY = block("dlt645-2007", "00010000")


@dataclass
class Asked:
    """A question that reached a scripted meter."""

    at_ms: int
    address: int
    count: int


@dataclass
class RtuWire:
    """Modbus meters on a wire whose answers come in the order of the questions, as late as `delays` say.

    A register holds its address and the number of the question, so that every answer shows which one it is to.
    """

    clock: VirtualClock
    delays: list[int | None]
    end: int = 65536
    asked: list[Asked] = field(default_factory=list)
    coming: list[tuple[int, bytes]] = field(default_factory=list)

    async def open(self) -> None:
        """Have it open."""

    async def close(self) -> None:
        """Let it be."""

    async def send(self, data: bytes) -> None:
        address, count = int.from_bytes(data[2:4]), int.from_bytes(data[4:6])
        delay = self.delays[len(self.asked) % len(self.delays)]
        self.asked.append(Asked(self.clock.steady_ms(), address, count))
        if delay is None:
            return
        number = len(self.asked)
        words = b"".join((address * 100 + number).to_bytes(2) for _ in range(count))
        body = data[:2] + bytes([2 * count]) + words
        if address + count > self.end:
            body = bytes([data[0], data[1] | 0x80, 2])
        after_ms = self.coming[-1][0] if self.coming else 0
        self.coming.append((max(after_ms, self.clock.steady_ms() + delay), body + crc(body)))

    async def receive(self, until_ms: int) -> bytes:
        while True:
            now_ms = self.clock.steady_ms()
            if self.coming and self.coming[0][0] <= now_ms:
                return self.coming.pop(0)[1]
            if now_ms >= until_ms:
                return b""
            next_ms = min(until_ms, self.coming[0][0] if self.coming else until_ms)
            await self.clock.sleep_until(self.clock.now_ms() + next_ms - now_ms)


def words(address: int, count: int) -> RegisterBlock:
    """Ask for words one by one."""
    registers = tuple(Register(f"w{n}", 3, address + n, RegisterType.U16) for n in range(count))
    return RegisterBlock(3, address, count, registers)


def run(clock: VirtualClock, work: Coroutine[Any, Any, T]) -> T:
    async def ruled() -> T:
        with clock.ruling():
            return await work

    return asyncio.run(ruled())


def line_of(delays: list[int | None], timeout_s: float = 0.3) -> tuple[VirtualClock, RtuWire, HalfDuplex]:
    clock = VirtualClock(NOW_MS)
    wire = RtuWire(clock, delays)
    return clock, wire, HalfDuplex(wire, clock, timeout_s)


async def try_ask(way: HalfDuplex, unit: str, asked: RegisterBlock) -> dict[str, int] | str:
    try:
        return dict((await way.ask(unit, asked)).values)
    except LinkError as error:
        return error.reason


@pytest.mark.parametrize("late_ms", [310, 450, 799, 801, 1200, 5000])
def test_late_answer_is_never_the_next_registers_value(late_ms: int) -> None:
    """The race: an answer after its timeout, then a question of the same form for another register."""
    clock, wire, way = line_of([late_ms, 10, 10, 10])

    async def work() -> list[object]:
        return [await try_ask(way, "1", words(1, 2)), await try_ask(way, "1", words(7, 2))]

    first, second = run(clock, work())

    assert first == "TIMEOUT"
    number = len(wire.asked)
    own = {"w0": 700 + number, "w1": 700 + number}
    assert second == (own if late_ms < 900 else "TIMEOUT")


def test_late_answer_to_the_same_question_is_not_taken_for_now() -> None:
    """A value of the right register, but of an earlier time, is no reading of now either."""
    clock, wire, way = line_of([900, 10, 10])

    async def work() -> object:
        await try_ask(way, "1", words(1, 2))
        return await try_ask(way, "1", words(1, 2))

    assert run(clock, work()) == {"w0": 100 + len(wire.asked), "w1": 100 + len(wire.asked)}


def test_lost_answer_costs_one_small_question() -> None:
    """What never came is cleared up by a question that no late answer can fit; then all is as before."""
    clock, wire, way = line_of([LOST, 10, 10, 10])

    async def work() -> list[object]:
        return [await try_ask(way, "1", words(1, 2)) for _ in range(3)]

    found = run(clock, work())

    assert found == ["TIMEOUT", {"w0": 103, "w1": 103}, {"w0": 104, "w1": 104}]
    assert [one.count for one in wire.asked] == [2, 1, 2, 2]


def test_other_meters_need_no_such_question() -> None:
    """A debt is one meter's: another one, or a question of another form, is asked at once."""
    clock, wire, way = line_of([LOST, 10, 10])

    async def work() -> list[object]:
        found = [await try_ask(way, "1", words(1, 2))]
        return [*found, await try_ask(way, "2", words(1, 2)), await try_ask(way, "1", words(1, 3))]

    found = run(clock, work())

    assert [one.count for one in wire.asked] == [2, 2, 3]
    assert found[1:] == [{"w0": 102, "w1": 102}, {"w0": 103, "w1": 103, "w2": 103}]


def test_debt_is_forgotten_after_a_minute() -> None:
    """Nobody answers later than that."""
    clock, wire, way = line_of([LOST, 10])

    async def work() -> object:
        await try_ask(way, "1", words(1, 2))
        await clock.sleep_until(clock.now_ms() + FORGET_MS)
        return await try_ask(way, "1", words(1, 2))

    assert run(clock, work()) == {"w0": 102, "w1": 102}
    assert [one.count for one in wire.asked] == [2, 2]


def test_dead_meter_is_asked_in_ever_other_forms() -> None:
    """Many debts never make two open questions of one form, nor more questions than asked for."""
    clock, wire, way = line_of([LOST])

    async def work() -> None:
        for _ in range(12):
            assert await try_ask(way, "1", words(1, 1)) == "TIMEOUT"

    run(clock, work())

    assert [one.count for one in wire.asked] == list(range(1, 13))


def test_meter_that_refuses_to_lead_is_asked_otherwise() -> None:
    """A register at the end of all: reading over it is refused, so a question it has answered before leads."""
    clock, wire, way = line_of([10, 10, LOST, 10])
    wire.end = 10

    async def work() -> list[object]:
        found: list[object] = [await try_ask(way, "1", words(0, 3)), await try_ask(way, "1", words(9, 1))]
        found.append(await try_ask(way, "1", words(9, 1)))
        return [*found, await try_ask(way, "1", words(9, 1))]

    found = run(clock, work())

    assert found[2:] == ["TIMEOUT", {"w0": 905}]
    assert [(one.address, one.count) for one in wire.asked] == [(0, 3), (9, 1), (9, 1), (0, 3), (9, 1)]


def test_refusal_leads_nobody() -> None:
    """Whose refusal it is nobody can say: no value, another question next time, and after a minute all is forgotten."""
    clock, wire, way = line_of([LOST, 10, 10, 10])
    wire.end = 10

    async def work() -> list[object]:
        found = [await try_ask(way, "1", words(9, 1)) for _ in range(3)]
        await clock.sleep_until(clock.now_ms() + FORGET_MS)
        return [*found, await try_ask(way, "1", words(9, 1))]

    found = run(clock, work())

    assert found == ["TIMEOUT", "TIMEOUT", "TIMEOUT", {"w0": 904}]
    assert [one.count for one in wire.asked] == [1, 2, 3, 1]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.integers(0, 2500)), min_size=1, max_size=25),
    st.lists(st.tuples(st.sampled_from("12"), st.integers(0, 5), st.integers(1, 4)), min_size=1, max_size=20),
    st.integers(4, 12),
)
def test_no_lateness_makes_a_wrong_value(
    delays: list[int | None], asked: list[tuple[str, int, int]], end: int
) -> None:
    """Whatever is late, lost or refused, a value is that of the register asked for, answered to that very question."""
    clock, wire, way = line_of(delays)
    wire.end = end

    async def work() -> None:
        for unit, address, count in asked:
            found = await try_ask(way, unit, words(address, count))
            if isinstance(found, dict):
                number = len(wire.asked)
                assert found == {f"w{n}": address * 100 + number for n in range(count)}
            else:
                assert found in ("TIMEOUT", "CONFIG")

    run(clock, work())


def test_line_is_silent_after_a_timeout() -> None:
    """After silence the line is kept silent, and longer if something still comes; after an answer only a little."""
    clock, wire, way = line_of([LOST, 10, 10], timeout_s=1.0)

    async def work() -> None:
        await try_ask(way, "1", words(1, 2))
        await try_ask(way, "2", words(1, 2))
        await try_ask(way, "3", words(1, 2))

    run(clock, work())

    first, second, third = (one.at_ms for one in wire.asked)
    assert second - first == 1000 + QUIET_MS
    assert third - second == 10 + GAP_MS


def test_late_answer_is_waited_out() -> None:
    """Bytes that still come begin the silence anew: the next question does not run into them."""
    clock, wire, way = line_of([1300, 10], timeout_s=1.0)

    async def work() -> object:
        await try_ask(way, "1", words(1, 2))
        return await try_ask(way, "2", words(9, 2))

    assert run(clock, work()) == {"w0": 902, "w1": 902}
    assert wire.asked[1].at_ms - wire.asked[0].at_ms == 1300 + QUIET_MS


def test_line_that_never_falls_silent_is_asked_all_the_same() -> None:
    """Noise without end delays a question, and does not stop it."""
    clock, wire, way = line_of([10])
    start_ms = clock.steady_ms()
    wire.coming = [(start_ms + n, b"\x55") for n in range(0, 60_000, 7)]

    async def work() -> object:
        return await try_ask(way, "1", words(1, 2))

    run(clock, work())

    assert wire.asked[0].at_ms - start_ms <= NOISE_MS + GAP_MS


@pytest.mark.parametrize("baud", [1200, 2400, 9600])
def test_deadline_grows_with_the_frames(baud: int) -> None:
    """A slow line has its frames' own time on top of the timeout, so a long answer is no timeout."""
    clock = VirtualClock(NOW_MS)
    (meter,) = stations(("modbus-rtu", "r1", "3"))
    bus = make_bus([meter], clock.now_ms, baud=baud, reply_ms=(250, 250))
    way = HalfDuplex(MemoryWire(bus, clock), clock, 0.3, baud)

    async def work() -> Answer:
        await way.connect()
        return await way.ask("3", words(0, 40))

    assert len(run(clock, work()).values) == 40


def test_every_protocol_of_a_line_is_asked_through_it() -> None:
    """Meters of three protocols share a line; each shows what it showed then."""
    clock, told = VirtualClock(NOW_MS), list[Told]()
    meters = stations(("dlt645-2007", "e1", "000000000161"), ("modbus-rtu", "r1", "3"))
    bus = make_bus(meters, clock.now_ms, baud=2400, reply_ms=(20, 120), told=told)
    way = HalfDuplex(MemoryWire(bus, clock), clock, 1.0, 2400)
    power = RegisterBlock(3, 16, 2, (Register("power", 3, 16, RegisterType.I32),))

    async def work() -> list[Answer]:
        await way.connect()
        return [await way.ask("000000000161", ENERGY), await way.ask("3", power)]

    energy, load = run(clock, work())

    assert [told[0].reply.values[0].shown, told[1].sent] == [energy.values["energy"], load.raw]
    assert energy.raw
    assert energy.raw in told[0].sent


def test_answer_in_parts_is_asked_for_part_by_part() -> None:
    """A block that does not fit one frame comes in several, each asked for after a pause."""
    clock, told = VirtualClock(NOW_MS), list[Told]()
    meter = make_station("dlt645-2007", "e1", "161", longest=8)
    way = HalfDuplex(
        MemoryWire(make_bus([meter], clock.now_ms, baud=9600, told=told), clock), clock, 1.0, 9600
    )

    async def work() -> Answer:
        await way.connect()
        return await way.ask("161", block("dlt645-2007", "0001FF00"))

    found = run(clock, work())

    assert len(found.values) == 5
    assert len(told) > 1


def test_port_that_vanishes_is_the_lines_fault() -> None:
    """A dead port is LINE_DOWN at once, not a timeout."""
    clock = VirtualClock(NOW_MS)
    meters = stations(("dlt645-2007", "e1", "161"))
    bus = make_bus(meters, clock.now_ms, baud=2400)
    way = HalfDuplex(MemoryWire(bus, clock), clock, 1.0, 2400)

    async def work() -> str:
        await way.connect()
        bus.obey([Fault(FaultKind.DEAD, "bus")])
        with pytest.raises(LinkError) as told:
            await way.ask("161", ENERGY)
        return told.value.reason

    assert run(clock, work()) == "LINE_DOWN"


def test_broadcast_reaches_the_meters_and_waits_for_nobody() -> None:
    """What nobody answers is sent, and the line is left for as long as it takes."""
    clock = VirtualClock(NOW_MS)
    (meter,) = stations(("dlt645-2007", "e1", "161"))
    bus = make_bus([meter], clock.now_ms, baud=2400)
    way = HalfDuplex(MemoryWire(bus, clock), clock, 1.0, 2400)

    async def work() -> None:
        await way.connect()
        await way.announce(set_time(clock.now_ms() + 60_000))
        assert await way.ask("161", ENERGY)

    run(clock, work())

    assert meter.set_by_ms == pytest.approx(60_000, abs=1000)
