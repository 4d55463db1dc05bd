"""OPC UA as a transport: exact values, statuses as reasons and qualities, sessions that are lost."""

from __future__ import annotations

import asyncio
import builtins
import datetime as dt
import math
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from brokers import free_port
from opcua_server import OpcServer
from proxy import Proxy

from acquisition.codecs.exchange import Answer
from acquisition.drivers.clock import SystemClock
from acquisition.drivers.line_config import Line
from acquisition.drivers.sources.opcua import OpcUa, meaning_of, ticks_of
from acquisition.drivers.sources.opcua_map import Node, NodeMap, read_map
from nengliu.domain.quality import Quality
from nengliu.errors import InputError, LinkError

TABLE: dict[str, Any] = {
    "title": "Test",
    "source": "ours",
    "protocol": "opcua",
    "nodes": [
        {"name": "energy", "node": "Energy", "unit": "kWh", "decimals": 2},
        {"name": "power", "node": "Power", "unit": "kW", "decimals": 3},
        {"name": "voltage_a", "node": "Voltage", "unit": "V", "decimals": 1},
    ],
}
AT = "ns=2;s=Plant.M1."


def make_map(**given: Any) -> NodeMap:
    return read_map("test", TABLE | given, "test.toml")


def make_line(port: int, **given: Any) -> Line:
    told = {"kind": "opcua", "url": f"opc.tcp://127.0.0.1:{port}", "timeout_s": 2.0} | given
    return Line(name="opc", pause_ms=0, meters=(), **told)


@asynccontextmanager
async def session(port: int, **given: Any) -> AsyncIterator[OpcUa]:
    made = OpcUa(make_line(port, **given), SystemClock())
    try:
        yield made
    finally:
        await made.close()


async def ask(transport: OpcUa, address: str = AT) -> Answer:
    plan = make_map()
    (block,) = plan.blocks(plan.items)
    return await transport.ask(address, block)


@pytest.fixture(scope="module")
def server() -> Iterator[OpcServer]:
    """A server with three meters; it takes two seconds to start."""
    with OpcServer(free_port(), meters=3) as made:
        yield made


def with_session(
    server: OpcServer, script: Callable[[OpcUa], Coroutine[Any, Any, None]], **given: Any
) -> None:
    """Run a script with a session of the server, whose first meter shows zeros."""
    for item in ("Energy", "Power", "Voltage"):
        server.show(f"M1.{item}", 0 if item == "Energy" else 0.0)

    async def run() -> None:
        async with session(server.port, **given) as transport:
            await transport.connect()
            await script(transport)

    asyncio.run(run())


def test_values_of_a_block_are_exact(server: OpcServer) -> None:
    """A 64-bit counter keeps its last digit; floats are rounded to the item's decimals."""

    async def script(transport: OpcUa) -> None:
        server.show("M1.Energy", 9_007_199_254_740_993)
        server.show("M1.Power", -12.3456)
        server.show("M1.Voltage", 230.25)
        assert await ask(transport) == Answer(
            {"energy": 900_719_925_474_099_300, "power": -12_346, "voltage_a": 2302}
        )
        assert (await ask(transport, "ns=2;s=Plant.M2.")).values == {"energy": 0, "power": 0, "voltage_a": 0}

    with_session(server, script)


def test_status_of_each_value_is_judged_alone(server: OpcServer) -> None:
    """Uncertain values come as such, bad ones are lost with their reason, their neighbours are good."""

    async def script(transport: OpcUa) -> None:
        server.show("M1.Energy", 5, ua.StatusCodes.UncertainLastUsableValue)
        server.show("M1.Power", 1.0, ua.StatusCodes.BadSensorFailure)
        server.show("M1.Voltage", 230.0, ua.StatusCodes.GoodLocalOverride)
        answer = await ask(transport)
        assert answer.values == {"energy": 500, "voltage_a": 2300}
        assert answer.quality == {"energy": Quality.SUSPECT, "voltage_a": Quality.SUBSTITUTED}
        assert answer.lost["power"].reason == "NO_DATA"

    with_session(server, script)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("BadNoCommunication", "GATEWAY"),
        ("BadDeviceFailure", "GATEWAY"),
        ("BadUserAccessDenied", "REFUSED"),
        ("BadConfigurationError", "CONFIG"),
    ],
)
def test_meter_of_which_nothing_is_known_fails_with_the_reason(
    server: OpcServer, status: str, reason: str
) -> None:
    """If no node has a value, the exchange itself failed: the scheduler tells meter, gateway and map apart."""

    async def script(transport: OpcUa) -> None:
        for item in ("Energy", "Power", "Voltage"):
            server.show(f"M1.{item}", 0, getattr(ua.StatusCodes, status))
        with pytest.raises(LinkError) as error:
            await ask(transport)
        assert error.value.reason == reason
        assert status in error.value.parameters.values()
        assert (await ask(transport, "ns=2;s=Plant.M2.")).values

    with_session(server, script)


def test_node_that_does_not_exist_is_a_wrong_map(server: OpcServer) -> None:
    """The node is named with the service that refused it."""

    async def script(transport: OpcUa) -> None:
        with pytest.raises(LinkError) as error:
            await ask(transport, "ns=2;s=Plant.M9.")
        assert error.value.reason == "CONFIG"
        assert error.value.parameters == {
            "code": "BadNodeIdUnknown",
            "function": "Read",
            "address": "ns=2;s=Plant.M9.Energy",
        }

    with_session(server, script)


def test_value_that_has_grown_old_is_suspect(server: OpcServer) -> None:
    """A server that shows yesterday's value as good is not believed, where the line sets a limit."""

    async def script(transport: OpcUa) -> None:
        now = dt.datetime.now(dt.UTC)
        server.show("M1.Energy", 5, at=now - dt.timedelta(seconds=90))
        server.show("M1.Power", 1.0, at=now)
        assert (await ask(transport)).quality == {"energy": Quality.SUSPECT}

    with_session(server, script, max_age_s=60)


def test_limit_of_the_server_is_kept(server: OpcServer) -> None:
    """A server that allows two nodes a request gets two nodes a request."""
    server.limit(2)

    async def script(transport: OpcUa) -> None:
        asked: list[int] = []
        server.show("M1.Voltage", 1.5)
        read = transport._read

        async def counted(ids: list[Any]) -> list[Any]:
            asked.append(len(ids))
            return await read(ids)

        transport._read = counted  # type: ignore[method-assign]
        assert (await ask(transport)).values["voltage_a"] == 15
        assert asked == [2, 1]

    with_session(server, script)
    server.limit(0)


def test_server_that_is_not_there_is_a_line_that_is_down() -> None:
    """Nobody listens, or somebody who speaks another protocol, or who says nothing."""

    async def junk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" * 4)
        writer.close()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def run() -> None:
        for manners in (None, junk, mute):
            port = free_port()
            other = await asyncio.start_server(manners, "127.0.0.1", port) if manners else None
            async with session(port, timeout_s=0.5) as transport:
                with pytest.raises(LinkError) as error:
                    await transport.connect()
                assert error.value.reason == "LINE_DOWN"
            if other is not None:
                other.close()
                await asyncio.sleep(0.05)  # let the other side end its connections

    asyncio.run(run())


def test_server_that_falls_silent_or_goes_is_told_and_found_again(server: OpcServer) -> None:
    """A silent server is a timeout, a cut connection a line that is down; a new session goes on."""

    async def run() -> None:
        with Proxy("127.0.0.1", server.port) as proxy:
            async with session(proxy.port, timeout_s=1.0) as transport:
                await transport.connect()
                assert (await ask(transport)).values
                await asyncio.to_thread(proxy.swallow)
                with pytest.raises(LinkError) as error:
                    await ask(transport)
                assert error.value.reason == "TIMEOUT"
                await asyncio.to_thread(proxy.heal)
                await transport.connect()
                assert (await ask(transport)).values
                await asyncio.to_thread(proxy.cut)
                await asyncio.sleep(0.1)
                with pytest.raises(LinkError) as error:
                    await ask(transport)
                assert error.value.reason == "LINE_DOWN"
                await transport.connect()
                assert (await ask(transport)).values

    asyncio.run(run())


def test_cancel_of_a_question_ends_at_once_and_closes(server: OpcServer) -> None:
    """A collector that stops does not wait for a silent server beyond its timeouts."""

    async def run() -> None:
        with Proxy("127.0.0.1", server.port) as proxy:
            transport = OpcUa(make_line(proxy.port, timeout_s=1.0), SystemClock())
            await transport.connect()
            await asyncio.to_thread(proxy.swallow)
            begun = time.monotonic()
            asking = asyncio.create_task(ask(transport))
            await asyncio.sleep(0.1)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            assert asking.cancelled()
            await transport.close()
            await transport.close()
            assert time.monotonic() - begun < 4
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


@pytest.mark.parametrize(
    ("value", "ticks"),
    [(7, 700), (True, 100), (0.125, 12), ("12.34", 1234), (" 5 ", 500), (2**40, 100 * 2**40)],
)
def test_value_of_each_type_becomes_ticks(value: object, ticks: int) -> None:
    """Whole numbers and texts are exact, floats are rounded half-even."""
    assert ticks_of(Node("e", "E", "kWh", 2, Fraction(100), Fraction(0)), value) == ticks


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "NO_DATA"),
        (math.nan, "NO_DATA"),
        (math.inf, "NO_DATA"),
        ("abc", "CONFIG"),
        ("NaN", "CONFIG"),
        ("1" * 65, "CONFIG"),
        ([1, 2], "CONFIG"),
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "CONFIG"),
        (1e300, "DAMAGED"),
        (2**63, "DAMAGED"),
    ],
)
def test_value_that_is_no_number_is_lost_with_its_reason(value: object, reason: str) -> None:
    """Whatever a node holds, nothing but a LinkError leaves the transport."""
    with pytest.raises(LinkError) as error:
        ticks_of(Node("e", "E", "kWh", 2, Fraction(100), Fraction(0)), value)
    assert error.value.reason == reason


def test_every_status_of_the_protocol_has_a_meaning() -> None:
    """Good ones are values, uncertain ones are at most suspect, bad ones are never values."""
    for name, code in vars(ua.StatusCodes).items():
        if name.startswith(("Good", "Uncertain", "Bad")):
            meaning = meaning_of(code, name)
            if name.startswith("Bad"):
                assert meaning.reason in ("CONFIG", "GATEWAY", "NO_DATA", "REFUSED"), name
            elif not meaning.reason:
                assert meaning.quality is not Quality.BAD, name
                assert (meaning.quality is Quality.GOOD) <= name.startswith("Good"), name
    assert meaning_of(0x80FF0000, "unheard of").reason == "REFUSED"


def test_map_and_address_are_checked(tmp_path: Path) -> None:
    """A map that cannot be is refused with its key, an address with the node it would make."""
    plan = make_map(max_nodes=2)
    assert [str(block) for block in plan.blocks(plan.items)] == ["Energy+2", "Voltage+1"]
    assert [len(one.items) for one in plan.blocks(plan.items)[0].split()] == [1, 1]
    plan.check_address("ns=2;s=Plant.M1.")
    for address in ("Plant.M1.", "ns=x;s=", ""):
        with pytest.raises(InputError, match="ns=2;s="):
            plan.check_address(address)
    for wrong in ({"max_nodes": 0}, {"nodes": []}, {"nodes": [TABLE["nodes"][0]] * 2}, {"colour": "red"}):
        with pytest.raises(InputError, match=r"test\.toml"):
            make_map(**wrong)


def test_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without asyncua the line is refused with the name of the extra."""
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "asyncua":
            raise ImportError("No module named 'asyncua'")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"nengliu\[opcua\]"):
        OpcUa(make_line(4840), SystemClock())
