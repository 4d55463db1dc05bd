"""The connection of one line: opened when it may be, asked one request at a time, closed when it seems dead."""

from __future__ import annotations

import msgspec

from acquisition.codecs.exchange import Answer, Block
from acquisition.drivers.clock import Clock
from acquisition.drivers.config import Line
from acquisition.drivers.desk import Desk
from acquisition.drivers.lines.states import LONGEST_CONNECT_S, LineLink, State, line_connected, line_refused
from acquisition.drivers.lines.transport import Transport
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Reason
from nengliu.errors import LinkError
from schemas.messages import LinkEvent

MUTE = ("TIMEOUT", "LINE_DOWN")
"""Reasons of an exchange in which nothing came over the connection."""
_line_link = msgspec.json.Decoder(LineLink)


class Connection:
    """A transport with its state, its back-off and its pauses."""

    def __init__(self, line: Line, transport: Transport, clock: Clock, desk: Desk) -> None:
        self.line, self._transport, self._clock, self._desk = line, transport, clock, desk
        kept = desk.state(f"line/{line.name}")
        self.link = _line_link.decode(kept[0]) if kept else LineLink()
        self._connected = self._fresh = self._answered = False
        self._asked_ms = self._tried_ms = 0

    @property
    def retry_ms(self) -> int:
        """When a line that is down is tried next [ms, UTC]; 0 if it is not down."""
        return self.link.retry_ms if self.link.state is State.DOWN else 0

    def follow_clock(self, now_ms: int) -> None:
        """Let the back-off not wait for the time from which somebody set the clock back."""
        if self.link.retry_ms - now_ms > 1000 * LONGEST_CONNECT_S:
            self.link = msgspec.structs.replace(self.link, retry_ms=now_ms)

    def begin_round(self) -> None:
        """Forget what the round before learned of the connection."""
        self._fresh = self._answered = False

    async def retry(self, *, seldom: bool) -> None:
        """Try a line that is down again if it is time, or if slots that come `seldom` are due.

        Such a slot is not lost to a pause that is nearly over.
        """
        now_ms = self._clock.now_ms()
        rare = seldom and now_ms > self._tried_ms
        if self.link.state is State.DOWN and (rare or self.link.may_connect(now_ms)):
            await self.open()

    async def ask(self, address: str, block: Block) -> Answer:
        """Ask for one block; a connection that the other end closed since the last round is opened anew."""
        if self.line.pause_ms:
            asked_ms = min(self._asked_ms, self._clock.now_ms())  # the clock may have been set back since
            await self._clock.sleep_until(asked_ms + self.line.pause_ms)
        try:
            return await self._ask(address, block)
        except LinkError as error:
            if error.reason != "LINE_DOWN" or self._fresh or self._answered or not await self.ready():
                raise
            return await self._ask(address, block)

    async def _ask(self, address: str, block: Block) -> Answer:
        try:
            answer = await self._transport.ask(address, block)
        except LinkError as error:
            mute = error.reason in MUTE
            if self._is_spent(error.reason):
                await self.close()
            self._answered |= not mute
            raise
        finally:
            self._asked_ms = self._clock.now_ms()
            self._desk.polled()
        self._answered = True
        return answer

    def _is_spent(self, reason: str) -> bool:
        """Say whether a connection is lost, out of step, or perhaps dead without a word.

        A line finds its frames in whatever comes, and a serial port is never half open.
        """
        if reason == "DAMAGED":
            return self.line.kind == "modbus-tcp"
        half_open = reason == "TIMEOUT" and not self._answered and self.line.kind != "serial"
        return reason == "LINE_DOWN" or half_open

    async def ready(self) -> bool:
        """Have a connection, if it is time to try; say whether there is one."""
        if not self._connected and self.link.may_connect(self._clock.now_ms()):
            await self.open()
        return self._connected

    async def open(self) -> None:
        """Try to connect, and tell it if that changed anything."""
        now_ms = self._tried_ms = self._clock.now_ms()
        try:
            await self._transport.connect()
        except LinkError:
            self._connected, step = False, line_refused(self.link, now_ms)
        else:
            self._connected, step = True, line_connected(self.link, now_ms)
        self._fresh, self._answered = self._connected, False
        before, (self.link, kind) = self.link, step
        if self.link != before:
            value = msgspec.json.encode(self.link).decode()
            self._desk.put_state(f"line/{self.line.name}", value, self.link.since_ms)
        if kind is not None:
            down = kind is LinkKind.LINE_DOWN
            reason = Reason.LINE_DOWN if down else Reason.NONE
            parameters = {"line": self.line.name} if down else {}
            self._desk.tell(LinkEvent(now_ms, kind, self.line.name, "", reason, before.since_ms, parameters))

    async def close(self) -> None:
        """Hang up."""
        self._connected = False
        await self._transport.close()
