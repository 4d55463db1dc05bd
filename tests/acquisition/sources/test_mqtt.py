"""Messages as a feed: exact values, acknowledged when durable, repetitions known, brokers that go and come."""

from __future__ import annotations

import asyncio
import builtins
import datetime as dt
import json
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from brokers import SmallBroker, free_port, real_broker, small_broker
from feed_desk import MemoryDesk, settled, told
from feed_plans import HEAD, make_plan

from acquisition.drivers.clock import SystemClock
from acquisition.drivers.sources.mqtt import MqttFeed
from acquisition.drivers.sources.payload import Shape, cells_of
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Origin, Reason
from nengliu.errors import ContractError, InputError

STAMPED = '[time]\ncolumn = "ts"\nformat = "epoch_ms"\n'
RECEIVED = '[time]\ncolumn = "received"\n'
LONG = '[points]\ncolumn = "key"\nvalue = "value"\n'
ENERGY = (
    '[[point]]\nmatch = "plant/m1#energy.total"\nid = "e-main"\nkind = "counter"\nitem = "electricity"\n'
    'unit = "kWh"\ndecimals = 2\n'
)
POWER = (
    '[[point]]\nmatch = "plant/m1#power"\nid = "p-main"\nkind = "gauge"\nitem = "measurement"\n'
    'unit = "kW"\ndecimals = 1\n'
)
MAP = HEAD + STAMPED + LONG + ENERGY + POWER
AT_MS = 1_772_409_600_000


def payload(minute: int = 0, energy: object = 1, **more: object) -> bytes:
    """What the gateway says at a minute."""
    return json.dumps({"ts": AT_MS + minute * 60_000, "energy": {"total": energy}} | more).encode()


def make_feed(folder: Path, port: int, map_text: str = MAP, **given: Any) -> MqttFeed:
    told_as = {"host": "127.0.0.1", "port": port, "topics": ["plant/#"], "timeout_s": 2.0} | given
    return MqttFeed(make_plan(folder, "mqtt", map_text, **told_as), SystemClock())


@asynccontextmanager
async def running(feed: MqttFeed, desk: MemoryDesk) -> AsyncIterator[asyncio.Task[None]]:
    """Let a feed run; it must end when it is cancelled."""
    task = asyncio.create_task(feed.run(desk))
    try:
        yield task
    finally:
        task.cancel()
        async with asyncio.timeout(10):
            await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()


async def until(true: Callable[[], object], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.01)


def energies(desk: MemoryDesk) -> list[tuple[int, int]]:
    return [((one.at_ms - AT_MS) // 60_000, one.ticks) for one in desk.taken if one.point == "e-main"]


def test_messages_of_a_real_broker_become_exact_readings(tmp_path: Path) -> None:
    """What another client publishes arrives to the last digit, with the stamp of the message."""

    async def script() -> MemoryDesk:
        desk, port = MemoryDesk(), free_port()
        async with real_broker(port), running(make_feed(tmp_path, port), desk):
            await told(desk, LinkKind.LINE_UP)
            async with aiomqtt.Client("127.0.0.1", port) as gateway:
                text = b'{"ts": 1772409600000, "energy": {"total": 90071992547409.93}, "power": 1.55}'
                await gateway.publish("plant/m1", text, qos=1)
                await gateway.publish("plant/m1", payload(1, 2), qos=0)
            await settled(desk, 3)
        return desk

    desk = asyncio.run(script())
    assert energies(desk) == [(0, 9_007_199_254_740_993), (1, 200)]
    assert [(one.ticks, one.origin) for one in desk.taken if one.point == "p-main"] == [(16, Origin.TIMED)]


def test_real_broker_that_restarts_is_told_and_found_again(tmp_path: Path) -> None:
    """A broker that stops is a line that is down; the feed comes back by itself."""

    async def script() -> MemoryDesk:
        desk, port = MemoryDesk(), free_port()
        async with running(make_feed(tmp_path, port), desk):
            await told(desk, LinkKind.LINE_DOWN)  # nobody listens yet
            async with real_broker(port):
                await told(desk, LinkKind.LINE_UP)
            await told(desk, LinkKind.LINE_DOWN, 2)
            async with real_broker(port):
                await told(desk, LinkKind.LINE_UP, 2)
                async with aiomqtt.Client("127.0.0.1", port) as gateway:
                    await gateway.publish("plant/m1", payload(), qos=1)
                await settled(desk, 1)
        return desk

    assert energies(asyncio.run(script())) == [(0, 100)]


def test_message_is_acknowledged_when_it_is_durable_and_not_before(tmp_path: Path) -> None:
    """While the disk is full the broker keeps the message."""

    async def script() -> None:
        desk = MemoryDesk()
        async with small_broker() as broker, running(make_feed(tmp_path, broker.port), desk):
            await until(lambda: broker.subscribed)
            desk.full.clear()
            number = broker.publish("plant/m1", payload())
            await asyncio.sleep(0.2)
            assert (broker.acknowledged, desk.taken) == ([], [])
            desk.full.set()
            await until(lambda: broker.acknowledged == [number])
            assert energies(desk) == [(0, 100)]
            assert broker.clients == ["nengliu-c1-mes"]

    asyncio.run(script())


def test_message_that_was_not_acknowledged_comes_again_after_a_crash(tmp_path: Path) -> None:
    """What a dead collector had not stored arrives at the next; what it had stored does not arrive twice."""

    async def script() -> MemoryDesk:
        desk = MemoryDesk()
        async with small_broker() as broker:
            async with running(make_feed(tmp_path, broker.port), desk):
                await until(lambda: broker.subscribed)
                broker.publish("plant/m1", payload(0))
                await until(lambda: broker.acknowledged)
                kept = broker.publish("plant/m1", payload(1, 2))
                await settled(desk, 2)
                await until(lambda: len(broker.acknowledged) == 2)
                broker.waiting[kept] = "plant/m1", payload(1, 2), True  # the acknowledgement got lost
                desk.full.clear()
                broker.publish("plant/m1", payload(2, 3))
                await asyncio.sleep(0.1)
            later = MemoryDesk(desk)  # what was not on the disk is gone
            assert len(later.taken) == 2
            async with running(make_feed(tmp_path, broker.port), later):
                await until(lambda: not broker.waiting)
        return later

    assert energies(asyncio.run(script())) == [(0, 100), (1, 200), (2, 300)]


def test_same_words_without_a_stamp_are_two_readings(tmp_path: Path) -> None:
    """Where a message bears no time, only the broker's own word makes it a repetition."""

    async def script() -> MemoryDesk:
        desk = MemoryDesk()
        async with small_broker() as broker:
            feed = make_feed(tmp_path, broker.port, HEAD + RECEIVED + LONG + ENERGY)
            async with running(feed, desk):
                await until(lambda: broker.subscribed)
                broker.publish("plant/m1", payload(), retained=True)  # old news
                for n in (1, 2):
                    broker.publish("plant/m1", payload())
                    await settled(desk, n)
                broker._send(77, "plant/m1", payload(), again=True)
                await until(lambda: 77 in broker.acknowledged)
        return desk

    desk = asyncio.run(script())
    assert [one.ticks for one in desk.taken] == [100, 100]
    now_ms = dt.datetime.now(dt.UTC).timestamp() * 1000
    assert all(0 <= now_ms - one.at_ms < 60_000 for one in desk.taken)


def test_retained_message_with_a_stamp_is_taken_once(tmp_path: Path) -> None:
    """It is a reading of its time, however often the broker shows it."""

    async def script() -> MemoryDesk:
        desk = MemoryDesk()
        async with small_broker() as broker, running(make_feed(tmp_path, broker.port), desk):
            await until(lambda: broker.subscribed)
            for _ in range(3):
                broker.publish("plant/m1", payload(), retained=True)
            await until(lambda: len(broker.acknowledged) == 3)
        return desk

    assert energies(asyncio.run(script())) == [(0, 100)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"\xff\x00garbage", Reason.NOT_A_MESSAGE),
        (b'{"ts": NaN}', Reason.NOT_A_MESSAGE),
        (b"[" * 100_000, Reason.NOT_A_MESSAGE),
        (b'"' + b"x" * 2**20 + b'"', Reason.TOO_LARGE),
        (b'{"temperature": 20}', Reason.UNKNOWN_POINT),
        (payload(0, None), Reason.EMPTY_VALUE),
        (payload(0, True), Reason.NOT_A_NUMBER),
        (payload(0, "12,5"), Reason.NOT_A_NUMBER),
        (payload(0, 0.001), Reason.NOT_EXACT),
        (b'{"energy": {"total": 1}}', Reason.NOT_A_TIME),
        (b'{"ts": 99999999999999, "energy": {"total": 1}}', Reason.NOT_A_TIME),
    ],
)
def test_message_that_is_no_reading_is_held_back_with_its_reason(
    tmp_path: Path, text: bytes, reason: Reason
) -> None:
    """Whatever comes is acknowledged and told; the next message is read."""

    async def script() -> MemoryDesk:
        desk = MemoryDesk()
        async with small_broker() as broker, running(make_feed(tmp_path, broker.port), desk):
            await until(lambda: broker.subscribed)
            broker.publish("plant/m1", text)
            broker.publish("plant/m1", payload(1, 2))
            await until(lambda: len(broker.acknowledged) == 2)
        return desk

    desk = asyncio.run(script())
    assert desk.reasons() == [reason]
    assert energies(desk) == [(1, 200)]
    assert all(len(row.text) <= 200 for row in desk.rejected)


def test_topic_without_a_wanted_value_is_told_once(tmp_path: Path) -> None:
    """A gateway that was renamed is noticed, and does not fill the quarantine."""

    async def script() -> MemoryDesk:
        desk = MemoryDesk()
        async with small_broker() as broker, running(make_feed(tmp_path, broker.port), desk):
            await until(lambda: broker.subscribed)
            for n in range(5):
                broker.publish("plant/m2", payload(n))
            await until(lambda: len(broker.acknowledged) == 5)
        return desk

    desk = asyncio.run(script())
    assert [(row.parameters["topic"], Reason(row.reason)) for row in desk.rejected] == [
        ("plant/m2", Reason.UNKNOWN_POINT)
    ]


async def _refused(broker: SmallBroker) -> None:
    broker.refuse_connect = True


async def _unsubscribed(broker: SmallBroker) -> None:
    broker.refuse_topics = True


async def _mute(broker: SmallBroker) -> None:
    broker.mute = True


@pytest.mark.parametrize("fault", [_refused, _unsubscribed, _mute])
def test_broker_that_says_no_or_nothing_is_told_and_asked_again(
    tmp_path: Path, fault: Callable[[SmallBroker], Awaitable[None]]
) -> None:
    """It is a line that is down; when it changes its mind, messages come."""

    async def script() -> None:
        desk = MemoryDesk()
        async with small_broker() as broker:
            await fault(broker)
            async with running(make_feed(tmp_path, broker.port, timeout_s=0.5), desk):
                await told(desk, LinkKind.LINE_DOWN)
                broker.refuse_connect = broker.refuse_topics = broker.mute = False
                broker.publish("plant/m1", payload())
                await settled(desk, 1)
                assert desk.kinds() == [LinkKind.LINE_DOWN, LinkKind.LINE_UP]

    asyncio.run(script())


def test_broker_that_talks_nonsense_is_left_and_asked_again(tmp_path: Path) -> None:
    """Bytes that are no MQTT end the connection, not the feed."""

    async def script() -> None:
        desk = MemoryDesk()
        async with small_broker() as broker, running(make_feed(tmp_path, broker.port), desk):
            for junk in (b"\x00\xff\xff\xff\xff\xff", b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(range(256))):
                before = len(broker.clients)
                await until(lambda: broker.subscribed)
                broker.say(junk)
                await asyncio.sleep(0.05)
                broker.hang_up()
                await until(lambda b=before: len(broker.clients) > b)  # type: ignore[misc]
            broker.publish("plant/m1", payload())
            await settled(desk, 1)

    asyncio.run(script())


def test_cancel_while_connecting_ends_at_once_and_leaves_no_socket(tmp_path: Path) -> None:
    """A broker that accepts and says nothing does not hold the stop of a collector."""

    async def script() -> None:
        async with small_broker() as broker:
            broker.mute = True
            task = asyncio.create_task(make_feed(tmp_path, broker.port, timeout_s=2.0).run(MemoryDesk()))
            await asyncio.sleep(0.2)
            task.cancel()
            async with asyncio.timeout(8):
                await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()

    asyncio.run(script())


def test_extra_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without aiomqtt the configuration is refused with the name of the extra."""
    monkeypatch.delitem(sys.modules, "acquisition.drivers.sources.broker", raising=False)
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "aiomqtt":
            raise ImportError("No module named 'aiomqtt'")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"nengliu\[mqtt\]"):
        make_feed(tmp_path, 1883)


# -- payloads ---------------------------------------------------------------------------------

KEYS = {"t", "t#a", "t#a.b", "t/d1#v", "t/d2#v", "t#0"}


@pytest.mark.parametrize(
    ("text", "records", "device", "expected"),
    [
        (b"12.50", "", "", [("t", Decimal("12.50"), None)]),
        (b'{"ts": 5, "a": 1}', "", "", [("t#a", 1, 5)]),
        (b'{"ts": 5, "a": {"b": "1"}}', "", "", [("t#a.b", "1", 5)]),
        (b'[{"ts": 5, "a": 1}, {"ts": 6, "a": 2}]', "", "", [("t#a", 1, 5), ("t#a", 2, 6)]),
        (
            b'{"ts": 5, "data": [{"id": "d1", "v": 1}, {"id": "d2", "v": 2, "ts": 7}]}',
            "data",
            "id",
            [("t/d1#v", 1, 5), ("t/d2#v", 2, 7)],
        ),
        (b'{"head": {"id": "d1"}, "data": {"v": 3}}', "data", "head.id", [("t/d1#v", 3, None)]),
    ],
)
def test_payload_of_each_shape_is_flattened(
    text: bytes, records: str, device: str, expected: list[tuple[str, object, object]]
) -> None:
    """A bare number, a record, a list of records, or records under a path become the same cells."""
    found = cells_of("t", text, Shape(records, device, ("ts",), KEYS), 0)
    assert [(one.key, one.value, one.stamps[0]) for one in found] == expected


def test_payload_beyond_every_bound_costs_a_bounded_effort() -> None:
    """A deep message, a wide one, and one whose names are as long as itself are read in no time."""
    deep: object = 1
    for _ in range(60):
        deep = {"a": deep}
    wide = list(range(100_000))
    long = {"n" * 400_000: {str(n): 0 for n in range(50_000)}}
    tracemalloc.start()
    begun = time.thread_time()
    for message in (deep, wide, long):
        with pytest.raises(ContractError) as error:
            cells_of("t", json.dumps({"w": message}).encode(), Shape("", "", ("ts",), KEYS), 0)
        assert error.value.reason == "UNKNOWN_POINT"
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 50 * 2**20
    assert time.thread_time() - begun < 3
