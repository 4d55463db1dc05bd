"""Brokers for tests: a real one, and a small one that keeps a session and can be told to misbehave.

The small one speaks the part of MQTT 3.1.1 that a subscriber sees: CONNECT, SUBSCRIBE, PUBLISH
with QoS 0 and 1, PUBACK, PINGREQ.  What was not acknowledged goes out again, marked as a
repetition, when the client connects again: brokers do, the real one at hand does not.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from amqtt.broker import Broker

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 8, 12, 14


def free_port() -> int:
    """A port of loopback nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def real_broker(port: int) -> AsyncIterator[Broker]:
    """Run amqtt."""
    told = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    broker = Broker(told)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.shutdown()


@dataclass
class SmallBroker:
    """One session, kept over connections.

    Attributes
    ----------
    waiting
        Messages not acknowledged: number -> topic, payload, whether they went out before.
    acknowledged
        Numbers, in the order they came.
    refuse_connect, refuse_topics
        Answer no to a connection, to a subscription.
    mute
        Say nothing at all from now on.
    clients
        Names that connected.
    """

    port: int = 0
    waiting: dict[int, tuple[str, bytes, bool]] = field(default_factory=dict)
    acknowledged: list[int] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)
    refuse_connect: bool = False
    refuse_topics: bool = False
    mute: bool = False
    subscribed: bool = False
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _server: asyncio.Server | None = None

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def vanish(self) -> None:
        """Stop listening and hang up."""
        if self._server is not None:
            self._server.close()
        self.hang_up()

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers = []

    def publish(self, topic: str, payload: bytes, *, retained: bool = False, qos: int = 1) -> int:
        """Send a message, now or when the client is there; give its number."""
        number = next(self._numbers) if qos else 0
        if qos:
            self.waiting[number] = topic, payload, False
        if self.subscribed:
            self._send(number, topic, payload, again=False, retained=retained, qos=qos)
        return number

    def say(self, data: bytes) -> None:
        """Send bytes that are no message."""
        for writer in self._writers:
            writer.write(data)

    def _send(
        self, number: int, topic: str, payload: bytes, *, again: bool, retained: bool = False, qos: int = 1
    ) -> None:
        name = topic.encode()
        body = len(name).to_bytes(2) + name + (number.to_bytes(2) if qos else b"") + payload
        if qos:
            self.waiting[number] = topic, payload, True
        self.say(packet(PUBLISH << 4 | again << 3 | qos << 1 | retained, body))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                kind, body = await read_packet(reader)
                if self.mute:
                    continue
                if kind == DISCONNECT:
                    break
                self._answer(kind, body, writer)
        self.subscribed = False
        writer.close()

    def _answer(self, kind: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        if kind == CONNECT:
            size = int.from_bytes(body[10:12])
            self.clients.append(body[12 : 12 + size].decode())
            writer.write(packet(2 << 4, bytes([0, 5 if self.refuse_connect else 0])))
        elif kind == SUBSCRIBE:
            writer.write(packet(9 << 4, body[:2] + bytes([0x80 if self.refuse_topics else 1])))
            self.subscribed = True
            for number, (topic, payload, again) in list(self.waiting.items()):
                self._send(number, topic, payload, again=again)
        elif kind == PUBACK:
            number = int.from_bytes(body)
            self.waiting.pop(number, None)
            self.acknowledged.append(number)
        elif kind == PINGREQ:
            writer.write(packet(13 << 4, b""))


@asynccontextmanager
async def small_broker() -> AsyncIterator[SmallBroker]:
    """Run a small broker."""
    broker = SmallBroker()
    await broker.listen()
    try:
        yield broker
    finally:
        broker.vanish()
        await asyncio.sleep(0.01)


def packet(head: int, body: bytes) -> bytes:
    """Lay a packet: its head, the length in groups of seven bits, its body."""
    length, size = b"", len(body)
    while True:
        size, group = divmod(size, 128)
        length += bytes([group | (128 if size else 0)])
        if not size:
            return bytes([head]) + length + body


async def read_packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read a packet: its kind and its body."""
    head, size = (await reader.readexactly(1))[0], 0
    for place in range(4):
        group = (await reader.readexactly(1))[0]
        size |= (group & 127) << 7 * place
        if group < 128:
            break
    return head >> 4, await reader.readexactly(size)
