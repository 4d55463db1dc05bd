"""Modbus TCP: good answers of a real server, and each bad answer with its own reason."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import Answer, Request, cut, frame, hangs_up, number_of, peer, refuses, says, silent, well
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from acquisition.drivers.lines.modbus import ModbusTcp
from nengliu.domain.quality import Reason
from nengliu.errors import LinkError

TIMEOUT_S = 0.25


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def reason_of(answer: Answer, count: int = 3) -> LinkError:
    async with peer(answer) as other:
        way = ModbusTcp("127.0.0.1", other.port, TIMEOUT_S)
        await way.connect()
        with pytest.raises(LinkError) as told:
            await way.read(1, 3, 10, count)
        await way.close()
    return told.value


def test_real_server_answers_both_functions() -> None:
    """Holding and input registers of several units come as they are, up to 125 at once."""

    async def work() -> None:
        def device(unit: int) -> SimDevice:
            return SimDevice(
                unit, simdata=[SimData(0, values=list(range(unit, unit + 200)), datatype=DataType.REGISTERS)]
            )

        server = ModbusTcpServer([device(1), device(2)], address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        port = server.transport.sockets[0].getsockname()[1]
        way = ModbusTcp("127.0.0.1", port, 1.0)
        await way.connect()

        assert await way.read(1, 3, 10, 3) == [11, 12, 13]
        assert await way.read(2, 4, 0, 125) == list(range(2, 127))
        with pytest.raises(LinkError) as told:
            await way.read(1, 3, 199, 5)
        assert (told.value.reason, told.value.parameters) == (
            "CONFIG",
            {"code": "2", "function": "3", "address": "199"},
        )
        assert await way.read(1, 3, 0, 1) == [1]

        await way.close()
        await server.shutdown()

    run(work())


@pytest.mark.parametrize(
    ("answer", "reason", "parameters"),
    [
        (silent, "TIMEOUT", {}),
        (hangs_up, "LINE_DOWN", {}),
        (says(unit=2), "MISMATCH", {"got": "transaction 1 of unit 2"}),
        (says(function=4), "MISMATCH", {"got": "function 4"}),
        (number_of(1), "MISMATCH", {"got": "transaction 2 of unit 1"}),
        (says(number=0), "MISMATCH", {"got": "transaction 0 of unit 1"}),
        (refuses(1), "CONFIG", {"code": "1", "function": "3", "address": "10"}),
        (refuses(2), "CONFIG", {"code": "2", "function": "3", "address": "10"}),
        (refuses(3), "CONFIG", {"code": "3", "function": "3", "address": "10"}),
        (refuses(4), "REFUSED", {"code": "4"}),
        (refuses(6), "REFUSED", {"code": "6"}),
        (refuses(10), "GATEWAY", {"code": "10"}),
        (refuses(11), "GATEWAY", {"code": "11"}),
        (says(protocol=7), "DAMAGED", {"got": "00 01 00 07 00 09 01"}),
        (says(bytes=4), "DAMAGED", {"got": "15 bytes for 3 registers"}),
        (says(bytes=200), "DAMAGED", {"got": "15 bytes for 3 registers"}),
        (cut(9), "DAMAGED", {"got": "9 bytes"}),
        (cut(4), "DAMAGED", {"got": "4 bytes"}),
    ],
)
def test_bad_answer_has_its_reason(answer: Answer, reason: str, parameters: dict[str, str]) -> None:
    """Each kind of bad answer is told apart."""
    error = asyncio.run(reason_of(answer))

    assert (error.reason, error.parameters) == (reason, parameters)


@pytest.mark.parametrize("count", [2, 4])
def test_answer_of_another_length_is_damage(count: int) -> None:
    """More or fewer registers than were asked for are no answer."""

    async def other_count(request: Request, writer: asyncio.StreamWriter) -> bytes | None:
        return frame(request, list(range(count)))

    assert asyncio.run(reason_of(other_count)).reason == "DAMAGED"


def test_bad_answer_does_not_wait_for_the_timeout() -> None:
    """A mismatch, a refusal and a closed connection are known at once."""

    async def work() -> None:
        for answer in (says(unit=2), refuses(2), hangs_up, says(bytes=4)):
            async with peer(answer) as other:
                way = ModbusTcp("127.0.0.1", other.port, 5.0)
                await way.connect()
                began = time.monotonic()
                with pytest.raises(LinkError):
                    await way.read(1, 3, 0, 3)
                assert time.monotonic() - began < 1
                await way.close()

    run(work())


def test_late_answer_is_not_taken_for_the_next() -> None:
    """An answer that comes after its timeout is skipped, and the next request gets its own."""

    async def late_once(request: Request, writer: asyncio.StreamWriter) -> bytes | None:
        if request.address == 1:
            asyncio.get_running_loop().call_later(1.5 * TIMEOUT_S, writer.write, frame(request, [4711]))
            return None
        await asyncio.sleep(0.8 * TIMEOUT_S)
        return frame(request, [42])

    async def work() -> None:
        async with peer(late_once) as other:
            way = ModbusTcp("127.0.0.1", other.port, TIMEOUT_S)
            await way.connect()
            with pytest.raises(LinkError) as told:
                await way.read(1, 3, 1, 1)
            assert told.value.reason == "TIMEOUT"
            assert await way.read(1, 3, 2, 1) == [42]
            await way.close()

    run(work())


def test_many_timeouts_do_not_hang_up() -> None:
    """Silence of one meter never closes the connection of the others by itself."""

    async def work() -> None:
        async with peer({1: silent}) as other:
            way = ModbusTcp("127.0.0.1", other.port, 0.2)
            await way.connect()
            for _ in range(8):
                with pytest.raises(LinkError):
                    await way.read(1, 3, 0, 1)
            assert await way.read(2, 3, 7, 1) == [7]
            assert other.connections == 1
            await way.close()

    run(work())


def test_answer_in_pieces_is_put_together() -> None:
    """A frame may arrive byte by byte."""

    async def slow(request: Request, writer: asyncio.StreamWriter) -> bytes | None:
        for byte in frame(request):
            writer.write(bytes([byte]))
            await asyncio.sleep(0.001)
        return None

    async def work() -> None:
        async with peer(slow) as other:
            way = ModbusTcp("127.0.0.1", other.port, 2.0)
            await way.connect()
            assert await way.read(1, 3, 5, 4) == [5, 6, 7, 8]
            await way.close()

    run(work())


def test_closed_port_is_a_line_that_is_down() -> None:
    """Nobody listening, and reading without a connection, are both LINE_DOWN; closing is harmless."""

    async def work() -> None:
        async with peer(well) as other:
            port = other.port
        way = ModbusTcp("127.0.0.1", port, TIMEOUT_S)
        with pytest.raises(LinkError) as told:
            await way.connect()
        assert told.value.reason == "LINE_DOWN"
        with pytest.raises(LinkError) as told:
            await way.read(1, 3, 0, 1)
        assert told.value.reason == "LINE_DOWN"
        await way.close()
        await way.close()

    run(work())


def test_connection_can_be_had_again() -> None:
    """After a loss, connecting anew gives answers again."""

    async def first_hangs_up(request: Request, writer: asyncio.StreamWriter) -> bytes | None:
        return await (hangs_up if request.address == 0 else well)(request, writer)

    async def work() -> None:
        async with peer(first_hangs_up) as other:
            way = ModbusTcp("127.0.0.1", other.port, 1.0)
            await way.connect()
            with pytest.raises(LinkError):
                await way.read(1, 3, 0, 1)
            await way.connect()
            assert await way.read(1, 3, 3, 1) == [3]
            await way.close()

    run(work())


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(st.sampled_from(["flip", "cut", "add"]), st.integers(0, 20), st.integers(1, 255)),
        max_size=3,
    ),
)
def test_no_bytes_break_the_driver(count: int, changes: list[tuple[str, int, int]]) -> None:
    """Whatever comes back, a read gives as many words as were asked for or a reason of the closed list."""

    async def garbles(request: Request, writer: asyncio.StreamWriter) -> bytes | None:
        answer = bytearray(frame(request))
        for kind, place, value in changes:
            at = min(place, len(answer) - 1)
            if kind == "flip" and answer:
                answer[at] ^= value
            elif kind == "cut":
                del answer[at + 1 :]
            else:
                answer.insert(max(at, 0), value)
        return bytes(answer)

    async def work() -> None:
        async with peer(garbles) as other:
            way = ModbusTcp("127.0.0.1", other.port, 0.05)
            await way.connect()
            try:
                assert len(await way.read(1, 3, 10, count)) == count
            except LinkError as error:
                assert Reason[error.reason] > Reason.BACKFILLED
            await way.close()

    run(work())
