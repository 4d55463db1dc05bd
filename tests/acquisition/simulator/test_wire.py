"""Our Modbus TCP server, asked by a peer of another making and by raw bytes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from acquisition.simulator.wire import Answer, Refusal, Request, Server

READ = bytes.fromhex("0007 0000 0006 01 03 0010 0002")


def echo(request: Request) -> Answer:
    """Every register holds its address, mixed with the unit id and the function."""
    first = request.address
    words = [
        (at * 257 + request.unit + request.function) & 0xFFFF for at in range(first, first + request.count)
    ]
    return Answer(words)


@asynccontextmanager
async def serving(respond: Callable[[Request], Answer] = echo) -> AsyncIterator[Server]:
    server = Server(respond)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def peer(server: Server, timeout_s: float = 2.0) -> AsyncIterator[AsyncModbusTcpClient]:
    client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=timeout_s, retries=0)
    assert await client.connect()
    try:
        yield client
    finally:
        client.close()


async def exchange(port: int, told: bytes, wait_s: float = 0.3) -> bytes:
    """Send raw bytes; give what came back within a while, b"closed" at the end if the server hung up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(told)
    found = b""
    try:
        while chunk := await asyncio.wait_for(reader.read(4096), wait_s):
            found += chunk
        found += b"closed"
    except TimeoutError:
        pass
    writer.close()
    await writer.wait_closed()
    return found


def raw(told: bytes, respond: Callable[[Request], Answer] = echo) -> bytes:
    async def run() -> bytes:
        async with serving(respond) as server:
            return await exchange(server.port, told)

    return asyncio.run(run())


@pytest.mark.parametrize("count", [1, 2, 60, 125])
def test_peer_reads_registers_bit_exactly(count: int) -> None:
    """A client of another making gets every bit of both areas, from several units behind one port."""

    async def run() -> None:
        async with serving() as server, peer(server) as client:
            for unit in (1, 2, 247):
                held = await client.read_holding_registers(1000, count=count, device_id=unit)
                put_in = await client.read_input_registers(1000, count=count, device_id=unit)
                assert held.registers == list(echo(Request(0, unit, 3, 1000, count)).words)
                assert put_in.registers == list(echo(Request(0, unit, 4, 1000, count)).words)

    asyncio.run(run())


def test_peer_sees_an_exception_with_its_code() -> None:
    """A refusal is the function with its high bit and the code."""

    async def run() -> None:
        async with serving(lambda request: Answer(Refusal.NO_ANSWER)) as server, peer(server) as client:
            answer = await client.read_holding_registers(0, count=2, device_id=9)
            assert answer.isError()
            assert (answer.function_code, answer.exception_code) == (0x83, 0x0B)

    asyncio.run(run())


def test_peer_that_writes_is_refused() -> None:
    """Functions other than 3 and 4 do not exist: exception 1."""

    async def run() -> None:
        async with serving() as server, peer(server) as client:
            answer = await client.write_register(0, 1, device_id=1)
            assert (answer.function_code, answer.exception_code) == (0x86, 1)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("pdu", "expected"),
    [
        ("03 0000 0000", "83 03"),
        ("03 0000 007e", "83 03"),
        ("04 ffff 0002", "84 02"),
        ("03 0000 0001 00", "83 03"),
        ("04 00", "84 03"),
        ("10 0000 0001 02 0001", "90 01"),
    ],
    ids=["none", "126", "beyond", "long", "short", "write"],
)
def test_request_that_breaks_the_protocol_gets_its_exception(pdu: str, expected: str) -> None:
    """Count 0 or above 125, a PDU of another length, an address beyond the last: each is refused by its code."""
    body = bytes.fromhex(pdu)
    told = struct.pack(">HHHB", 5, 0, len(body) + 1, 3) + body

    assert raw(told) == bytes.fromhex("0005 0000 0003 03" + expected)


@pytest.mark.parametrize(
    "header",
    ["0001 0001 0006 01", "0001 0000 0001 01", "0001 0000 00ff 01"],
    ids=["protocol", "short", "long"],
)
def test_header_that_is_none_closes_the_connection(header: str) -> None:
    """After bytes that are no header nobody knows where the next request begins."""
    assert raw(bytes.fromhex(header + "03 0000 0001")) == b"closed"


def test_requests_in_one_packet_or_in_crumbs_are_all_answered() -> None:
    """TCP is a stream: two requests in one packet get two answers, a request byte by byte gets one."""

    async def run() -> None:
        async with serving() as server:
            whole = await exchange(server.port, READ)
            assert await exchange(server.port, READ * 2) == whole * 2
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            for byte in READ:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.001)
            assert await reader.readexactly(len(whole)) == whole
            writer.close()
            await writer.wait_closed()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"unit_by": 1}, "0007 0000 0007 02 03 04 0001 0002"),
        ({"transaction_by": -1}, "0006 0000 0007 01 03 04 0001 0002"),
        ({"transaction_by": -8}, "ffff 0000 0007 01 03 04 0001 0002"),
        ({"length_by": 3}, "0007 0000 000a 01 03 04 0001 0002"),
        ({"silent": True}, ""),
        ({"cut": True}, "0007 0000 0007"),
    ],
)
def test_answer_misbehaves_at_the_wire_as_ordered(wrong: dict[str, int], expected: str) -> None:
    """Unit, transaction, length, silence and a cut are visible in the bytes."""
    found = raw(READ, lambda request: Answer([1, 2], **wrong))  # type: ignore[arg-type]

    assert found == bytes.fromhex(expected) + (b"closed" if "cut" in wrong else b"")


def test_silent_meter_leaves_the_peer_waiting_and_the_next_is_answered() -> None:
    """Silence is a timeout for who asked, and no hindrance for the other meters of the line."""

    async def run() -> None:
        def respond(request: Request) -> Answer:
            return Answer([request.unit], silent=request.unit == 2)

        async with serving(respond) as server, peer(server, 0.2) as client:
            with pytest.raises(ModbusException):
                await client.read_holding_registers(0, count=1, device_id=2)
            answer = await client.read_holding_registers(0, count=1, device_id=1)
            assert answer.registers == [1]

    asyncio.run(run())


def test_late_answer_comes_late_and_before_the_next() -> None:
    """Requests of a connection are answered one after the other, so a late answer meets the next request."""

    async def run() -> None:
        def respond(request: Request) -> Answer:
            return Answer([request.transaction], delay_ms=250 if request.transaction == 7 else 0)

        async with serving(respond) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            began = asyncio.get_running_loop().time()
            writer.write(READ)
            await asyncio.sleep(0.1)
            writer.write(b"\0\x08" + READ[2:])
            first, second = await reader.readexactly(11), await reader.readexactly(11)
            assert asyncio.get_running_loop().time() - began >= 0.25
            assert (first[1], second[1]) == (7, 8)
            writer.close()
            await writer.wait_closed()

    asyncio.run(run())


def test_stopped_server_ends_its_connections_and_frees_its_port() -> None:
    """A line that is switched off is gone for its client, and can be switched on again."""

    async def run() -> None:
        server = Server(echo)
        await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(READ)
        await reader.readexactly(13)
        await server.stop()
        with suppress(ConnectionResetError):
            assert await reader.read(1) == b""
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)
        await server.start()
        assert len(await exchange(server.port, READ)) == 13
        await server.stop()

    asyncio.run(run())
