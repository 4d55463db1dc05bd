"""A connection to a broker whose messages are acknowledged by hand, once they are safe.

aiomqtt connects, subscribes and keeps alive; paho, below it, acknowledges a message as soon as
a callback returns, unless told not to.  A message that is not acknowledged comes again with
the next connection of the session, which the broker keeps by the name of the client.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiomqtt

from acquisition.drivers.sources.plans import FeedPlan, MqttTable
from nengliu.errors import InputError, LinkError

KEEPALIVE_S = 20
"""A broker that says nothing for half as much again counts as lost."""
MOST_WAITING = 10_000
"""Messages that may wait while the disk is full; then the broker has to keep them."""

MOST_AT_ONCE = 1000
"""Messages that are stored in one piece."""
QUIET_TURNS = 3
"""Turns of the loop without a message that end such a piece."""

_log = logging.getLogger("nengliu.mqtt")
_log.setLevel(logging.CRITICAL + 1)  # what it would say is in our reasons


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came.

    Parameters
    ----------
    number, qos
        What it is acknowledged by.
    again
        The broker says that it sent it before.
    retained
        It was kept for whoever subscribes: old news.
    """

    topic: str
    payload: bytes
    number: int
    qos: int
    again: bool
    retained: bool


class Session(aiomqtt.Client):
    """One connection; made anew for the next.

    Parameters
    ----------
    is_trial
        The broker is to keep nothing for it, and the real session goes on beside it.

    Raises
    ------
    InputError
        Password or certificates cannot be read.
    """

    def __init__(self, plan: FeedPlan, *, is_trial: bool = False) -> None:
        assert isinstance(plan.told, MqttTable)
        told = plan.told
        super().__init__(
            told.host,
            told.port,
            username=told.user or None,
            password=plan.password(),
            identifier=(told.client_id or f"nengliu-{plan.collector}-{plan.name}") + "-trial" * is_trial,
            clean_session=is_trial,
            keepalive=KEEPALIVE_S,
            timeout=told.timeout_s,
            tls_context=_tls(plan) if told.tls or told.ca_file else None,
            logger=_log,
        )
        self._client.manual_ack_set(True)
        self._client.connect_timeout = told.timeout_s
        self._client.on_message = self._take
        self._told, self._where = told, f"feed {plan.name}: {told.host}:{told.port}"
        self._waiting: list[Message] = []
        self._came = asyncio.Event()

    async def begin(self) -> None:
        """Connect and subscribe; LinkError LINE_DOWN if that cannot be had in time."""
        opening = asyncio.ensure_future(self.__aenter__())
        try:
            await asyncio.shield(opening)
            granted = await self.subscribe([(topic, 1) for topic in self._told.topics])
        except aiomqtt.MqttError as error:
            await self.end()
            raise self._lost(str(error)) from error
        except asyncio.CancelledError:
            with suppress(aiomqtt.MqttError):
                await opening
            await self.end()
            raise
        refused = [topic for topic, code in zip(self._told.topics, granted, strict=False) if _refuses(code)]
        if refused:
            await self.end()
            raise self._lost(f"may not subscribe to {', '.join(refused)}")

    async def next(self, within_s: float) -> Sequence[Message]:
        """Give what has come, or comes within a time; LinkError LINE_DOWN if the connection is lost."""
        coming = asyncio.ensure_future(self._came.wait())
        try:
            watched: set[asyncio.Future[Any]] = {coming, self._disconnected}
            await asyncio.wait(watched, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            coming.cancel()
        await self._gather()
        if len(self._waiting) > MOST_WAITING:
            raise self._lost(f"{len(self._waiting)} messages wait and cannot be stored")
        if self._disconnected.done() and not self._waiting:
            raise self._lost(str(self._disconnected.exception() or "the connection was closed"))
        found, self._waiting = self._waiting, []
        self._came.clear()
        return found

    async def _gather(self) -> None:
        """Take along what has arrived already: paho reads one message in a turn of the loop."""
        quiet = 0
        while self._waiting and quiet < QUIET_TURNS and len(self._waiting) < MOST_AT_ONCE:
            before = len(self._waiting)
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) == before else 0

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tell the broker that it need not keep them."""
        for one in messages:
            self._client.ack(one.number, one.qos)

    async def end(self) -> None:
        """Hang up; harmless if there is no connection."""
        if self._connected.done():
            with suppress(aiomqtt.MqttError):
                await self.__aexit__(None, None, None)

    def _take(self, _client: object, _userdata: object, message: Any) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "?"
        self._waiting.append(
            Message(topic, message.payload, message.mid, message.qos, message.dup, message.retain)
        )
        self._came.set()

    def _lost(self, got: str) -> LinkError:
        told = f"{self._where}: expected a session of the broker, got: {got}; see host, rights and topics"
        return LinkError("LINE_DOWN", told, got=got)


def _refuses(code: Any) -> bool:
    """Whether a broker's word on a subscription, a number or what holds one, is no."""
    return bool(getattr(code, "value", code) >= 128)


def _tls(plan: FeedPlan) -> ssl.SSLContext:
    assert isinstance(plan.told, MqttTable)
    file = plan.told.ca_file
    try:
        return ssl.create_default_context(cafile=str(plan.path(file)) if file else None)
    except (OSError, ssl.SSLError) as error:
        told = f"feed {plan.name}: ca_file: expected certificates in PEM, got {error}"
        raise InputError(told) from error
