"""The clients of the Kafka library: where the brokers are, how to log in, how records are written and read ahead."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition

from nengliu.bus import Record
from nengliu.bus.kafka_errors import OUT_OF_RANGE
from schemas.messages import MAX_BODY, VERSION

MAX_MESSAGE = MAX_BODY + 2**24
"""A packed body may come out larger than it went in; brokers take requests of up to 100 MiB by default."""
READ_AHEAD_KB = 16 * 1024
"""Records held ready per partition [KiB]: some poll's worth, and 64 partitions stay within a gigabyte."""
FETCH_WAIT_MS = 100
"""How long a fetch at the end of the log waits; a reader that is moved to another offset waits for it."""
HEADERS: list[tuple[str, str | bytes | None]] = [("nengliu-schema", str(VERSION).encode())]
"""Version of the messages, for those who route without unpacking."""

_PROTOCOLS = {"plaintext": "PLAINTEXT", "tls": "SSL", "sasl": "SASL_PLAINTEXT", "sasl_tls": "SASL_SSL"}
COMMON: dict[str, Any] = {
    "client.id": "nengliu",
    "allow.auto.create.topics": False,
    "message.max.bytes": MAX_MESSAGE,
    "receive.message.max.bytes": 2 * MAX_MESSAGE,
    "reconnect.backoff.max.ms": 500,
    "socket.keepalive.enable": True,
    "log_level": 2,  # an outage is told once, by the LogError, not by each client each second
    "topic.metadata.propagation.max.ms": 2000,
}
WRITING: dict[str, Any] = {"enable.idempotence": True, "acks": "all", "compression.type": "none"}
ASKING: dict[str, Any] = {"group.id": "nengliu", "enable.auto.commit": False}
READING: dict[str, Any] = ASKING | {
    "auto.offset.reset": "error",
    "check.crcs": True,
    "fetch.wait.max.ms": FETCH_WAIT_MS,
    "fetch.message.max.bytes": 4 * 2**20,
    "queued.min.messages": 100_000,
    "queued.max.messages.kbytes": READ_AHEAD_KB,
    "fetch.queue.backoff.ms": 5,
}
"""Read ahead up to `READ_AHEAD_KB`; with the library's pause of 1 s once that is full, a reader would starve."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where the brokers are and how to log in; as the settings of the same names (``bus_...``)."""

    servers: str
    security: str = "plaintext"
    mechanism: str = "SCRAM-SHA-512"
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""

    def options(self) -> dict[str, Any]:
        """Give the library's options."""
        found = {"bootstrap.servers": self.servers, "security.protocol": _PROTOCOLS[self.security]}
        if self.security.startswith("sasl"):
            found |= {"sasl.mechanism": self.mechanism}
            found |= {"sasl.username": self.user, "sasl.password": self.password}
        if self.ca and self.security.endswith("tls"):
            found["ssl.ca.location"] = self.ca
        return found


class Reader:
    """Reads one partition ahead, from where it was placed."""

    def __init__(self, name: str, number: int, consumer: Consumer) -> None:
        self._name = name
        self._number = number
        self._consumer = consumer
        self.next = -1

    def place(self, offset: int) -> None:
        """Go to `offset`, which must be one that the partition holds; nothing happens if we are there."""
        if self.next != offset:
            self._consumer.assign([TopicPartition(self._name, self._number, offset)])
            self.next = offset

    def take(self, limit: int, wait_s: float) -> list[Message]:
        """Take what is there, at most `limit`; wait for the first one [s]."""
        found = self._consumer.consume(min(limit, 10_000), 0)
        if not found and wait_s:
            found = self._consumer.consume(1, wait_s)
            found += self._consumer.consume(min(limit, 10_000) - len(found), 0)
        good = []
        for message in found:
            error = message.error()
            if error is None and (offset := _number(message.offset())) >= self.next:
                good.append(message)
                self.next = offset + 1
            elif error is not None and error.code() == OUT_OF_RANGE:
                self.next = -1  # trimmed under us: to be placed anew
        return good

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()


def record_of(topic: str, generation: int, message: Message) -> Record:
    """Make our record of a message; key and value that somebody else left out are empty."""
    key, value = message.key(), message.value()
    return Record(
        topic,
        _number(message.partition()),
        generation,
        _number(message.offset()),
        "" if key is None else key.decode(errors="replace"),
        b"" if value is None else value,
        message.timestamp()[1] // 1000,
    )


def _number(said: int | None) -> int:
    """A place of a message that was read; the library types it as if it could be missing."""
    return -1 if said is None else said
