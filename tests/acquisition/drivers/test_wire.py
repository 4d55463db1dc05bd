"""A whole line over real sockets: whoever misbehaves gets a reason, and the rest of the line is read."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import pytest
from meters import MINUTE, START_MS, Desk, make_line, make_meter
from peers import Answer, Peer, Request, cut, frame, hangs_up, number_of, peer, refusal, refuses, says, silent
from proxy import Proxy
from virtual import VirtualClock

from acquisition.drivers.config import Line
from acquisition.drivers.lines.line import LineTask
from acquisition.drivers.lines.modbus import ModbusTcp

TIMEOUT_S = 0.25


async def read_line(line: Line, desk: Desk, minutes: float, clock: VirtualClock | None = None) -> None:
    clock = clock or VirtualClock(START_MS)
    with clock.ruling():
        way = ModbusTcp(line.host, line.port, line.timeout_s)
        task = asyncio.create_task(LineTask(line, clock.watch(way), clock, desk, 1000).run())
        await clock.sleep_until(START_MS + round(minutes * MINUTE))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await way.close()


def three(port: int, **given: object) -> Line:
    line = make_line(*(make_meter(unit) for unit in (1, 2, 3)), port=port, timeout_s=TIMEOUT_S)
    return replace(line, **given)


async def with_bad_second(answer: Answer, minutes: float = 3.5) -> tuple[Desk, Peer]:
    desk = Desk()
    async with peer({2: answer}) as other:
        await read_line(three(other.port), desk, minutes)
    return desk, other


@pytest.mark.parametrize(
    ("answer", "reason", "kind"),
    [
        (silent, "TIMEOUT", "METER_DOWN"),
        (hangs_up, "LINE_DOWN", "METER_DOWN"),
        (says(unit=9), "MISMATCH", "METER_FOREIGN"),
        (number_of(1), "MISMATCH", "METER_FOREIGN"),
        (refuses(2), "CONFIG", "METER_REFUSES"),
        (refuses(6), "REFUSED", "METER_REFUSES"),
        (refuses(11), "GATEWAY", "METER_DOWN"),
        (says(bytes=2), "DAMAGED", "ANSWER_DAMAGED"),
        (cut(8), "DAMAGED", "ANSWER_DAMAGED"),
    ],
)
def test_bad_meter_has_its_reason_and_its_neighbours_their_readings(
    answer: Answer, reason: str, kind: str
) -> None:
    """Its neighbours are read in every slot, it is missing in every slot, and it is told once."""
    desk, _ = asyncio.run(with_bad_second(answer))

    assert [name for name, _, _ in desk.rows] == ["m1", "m3"] * 4
    assert desk.lost() == {("m2-r0", reason): 4, ("m2-r1", reason): 4}
    assert [said for said in desk.said() if said[1] == "m2"] == [(kind, "m2", reason)]


def test_dead_meter_is_never_asked_twice_in_a_row_on_the_wire() -> None:
    """The peer itself sees somebody else between two requests to the dead one."""
    _, other = asyncio.run(with_bad_second(silent, 10))

    units = [request.unit for request in other.seen]
    assert 2 in units
    assert all((a, b) != (2, 2) for a, b in pairwise(units))


def test_single_meter_of_a_line_that_is_silent_loses_no_more_than_its_slots() -> None:
    """Alone on its line a dead meter is asked again at its back-off only."""
    desk = Desk()

    async def work() -> Peer:
        async with peer(silent) as other:
            line = make_line(make_meter(1, interval_s=10), port=other.port, timeout_s=0.05)
            await read_line(line, desk, 1.9)
        return other

    other = asyncio.run(work())

    assert desk.lost() == {("m1-r0", "TIMEOUT"): 12, ("m1-r1", "TIMEOUT"): 12}
    assert len(other.seen) == 7


def test_every_third_packet_lost_is_made_good_by_second_tries() -> None:
    """With every third request lost on the way, every slot is read all the same."""
    desk = Desk()
    count = iter(range(1, 10**6))

    async def forgetful(request: Request, writer: asyncio.StreamWriter) -> bytes | None:
        return None if next(count) % 3 == 0 else frame(request)

    async def work() -> None:
        async with peer(forgetful) as other:
            line = make_line(make_meter(1), make_meter(2), port=other.port, timeout_s=TIMEOUT_S)
            await read_line(line, desk, 5.5)

    asyncio.run(work())

    assert [name for name, _, _ in desk.rows].count("m1") == 6
    assert [name for name, _, _ in desk.rows].count("m2") == 6
    assert desk.missed == []


def test_every_third_packet_lost_on_the_way_is_made_good_by_second_tries() -> None:
    """The same behind a converter that drops packets without a word, over a real connection."""
    desk = Desk()

    async def work() -> None:
        async with peer({}) as other:
            with Proxy("127.0.0.1", other.port) as way:
                way.drop_every = 3
                line = make_line(make_meter(1), make_meter(2), port=way.port, timeout_s=TIMEOUT_S)
                await read_line(line, desk, 5.5)

    asyncio.run(work())

    assert sorted(name for name, _, _ in desk.rows) == ["m1"] * 6 + ["m2"] * 6
    assert desk.missed == []


@pytest.mark.parametrize(
    ("function", "lost", "parameters"),
    [
        (4, {"m2-r0", "m2-r1"}, {"code": "1", "function": "4", "address": "0"}),
        (3, {"m2-r1"}, {"code": "2", "function": "3", "address": "1"}),
    ],
    ids=["wrong function", "beyond the device"],
)
def test_map_that_does_not_fit_says_what_it_asked_for(
    function: int, lost: set[str], parameters: dict[str, str]
) -> None:
    """Told once with function and address; the registers that are there and the neighbours are read."""
    desk = Desk()

    async def strict(request: Request, writer: asyncio.StreamWriter) -> bytes | None:
        if request.function != 3:
            return refusal(request, 1)
        return refusal(request, 2) if request.address + request.count > 1 else frame(request)

    async def work() -> None:
        async with peer({2: strict}) as other:
            line = three(other.port)
            first, second, third = line.meters
            registers = tuple((replace(one, function=function), point) for one, point in second.items)
            await read_line(replace(line, meters=(first, replace(second, items=registers), third)), desk, 3.5)

    asyncio.run(work())

    assert {name for name, _ in desk.lost()} == lost
    assert set(desk.lost().values()) == {4}
    (told,) = [event for event in desk.events if event.meter == "m2"]
    assert told.parameters == parameters
    assert [one.parameters for one in desk.missed] == [parameters] * 4
    assert [name for name, _, _ in desk.rows].count("m3") == 4


def test_half_open_connection_ends_in_a_new_one() -> None:
    """When the way swallows everything without a word, the next round is read over a new connection."""
    desk, clock = Desk(), VirtualClock(START_MS)

    async def work() -> Peer:
        async with peer({}) as other:
            with Proxy("127.0.0.1", other.port) as way:

                async def breaks() -> None:
                    await clock.sleep_until(START_MS + 90_000)
                    way.swallow()
                    await clock.sleep_until(START_MS + 150_000)
                    way.heal()

                task = asyncio.create_task(breaks())
                await read_line(three(way.port), desk, 8.5, clock)
                await task
        return other

    asyncio.run(work())

    assert {reason for _, reason in desk.lost()} == {"TIMEOUT"}
    assert {one.first_ms for one in desk.missed} == {START_MS + 2 * MINUTE}
    assert len(desk.rows) == 3 * 8
    assert [said[0] for said in desk.said()[4:]] == ["METER_DOWN"] * 3 + ["METER_UP"] * 3


def test_line_that_is_refused_comes_back() -> None:
    """While the port is closed all meters are missing as LINE_DOWN; afterwards they are read again."""
    desk, clock = Desk(), VirtualClock(START_MS)

    async def work() -> None:
        async with peer({}) as other:
            with Proxy("127.0.0.1", other.port) as way:

                async def breaks() -> None:
                    await clock.sleep_until(START_MS + 90_000)
                    way.refuse()
                    way.cut()
                    await clock.sleep_until(START_MS + 210_000)
                    way.accept()

                task = asyncio.create_task(breaks())
                await read_line(three(way.port), desk, 6.5, clock)
                await task

    asyncio.run(work())

    assert [said for said in desk.said() if not said[1]] == [
        ("LINE_UP", "", "NONE"),
        ("LINE_DOWN", "", "LINE_DOWN"),
        ("LINE_UP", "", "NONE"),
    ]
    assert set(desk.lost()) == {(f"m{unit}-r{n}", "LINE_DOWN") for unit in (1, 2, 3) for n in (0, 1)}
    assert {(at - START_MS) // MINUTE for _, at, _ in desk.rows} == {0, 1, 4, 5, 6}
