"""A half-duplex line: one question at a time over a wire, for every protocol whose blocks know their exchange.

Between two frames the line is left in peace.  After a question that was not answered cleanly
it is kept silent, and what still comes is thrown away, until nothing has come for a while: a
late answer neither runs into the next question nor is taken for its answer.
Source: protocols 0.2, 1.1 (pauses and delays of DL/T 645), 5.2.
"""

from __future__ import annotations

from typing import Protocol, cast

from acquisition.codecs.exchange import Answer, Block, Exchange
from acquisition.codecs.modbus import RegisterBlock
from acquisition.drivers.clock import Clock
from acquisition.drivers.lines.ledger import Ledger
from acquisition.drivers.lines.wires import Wire
from nengliu.errors import LinkError

CHARACTER_BITS = 11
"""Start, eight data bits, parity or a second stop bit, stop."""
GAP_MS = 20
"""Peace between two frames; more than the 3.5 characters of Modbus at 2400 baud (16 ms)."""
QUIET_MS = 500
"""Silence after a question that was not answered cleanly: the slowest answer that DL/T 645 allows."""
NOISE_MS = 3000
"""A line that is not silent for so long is noisy, and is asked all the same."""
MOST_PARTS = 256
"""So many parts may an answer have: the number of a part is one byte."""
_OPEN = ("TIMEOUT", "DAMAGED", "MISMATCH", "LINE_DOWN")
"""Reasons after which the answer may still come; any other is the meter's own word."""


class FramedBlock(Block, Protocol):
    """A block of a protocol that is spoken on lines."""

    def exchange(self, address: str) -> Exchange:
        """Ask the meter at `address`."""


class HalfDuplex:
    """A transport over a wire.

    Parameters
    ----------
    timeout_s
        How long a meter may take to begin its answer [s]; the frames' own time comes on top.
    baud
        Speed of the line, for that time [bit/s]; 0: no time at all.
    """

    def __init__(self, wire: Wire, clock: Clock, timeout_s: float, baud: int = 0) -> None:
        self._wire, self._clock = wire, clock
        self._timeout_ms, self._baud = round(timeout_s * 1000), baud
        self._ledger = Ledger()
        self._last_ms = clock.steady_ms()
        self._is_clean = True

    async def connect(self) -> None:
        """Open the wire anew; what is owed is still owed, since a converter may hand it over later."""
        await self._wire.open()

    async def close(self) -> None:
        """Let go of the wire."""
        await self._wire.close()

    async def ask(self, address: str, block: Block) -> Answer:
        """Ask a meter for a block; LinkError as `Transport.ask` says."""
        if isinstance(block, RegisterBlock):
            await self._settle(address, block)
        return await self._ask(address, cast("FramedBlock", block))

    async def announce(self, frame: bytes) -> None:
        """Send what nobody answers."""
        await self._rest()
        await self._send(frame)
        self._last_ms += self._frame_ms(len(frame))

    async def _settle(self, address: str, block: RegisterBlock) -> None:
        """Have no answer owed that could be taken for the one to `block`."""
        leader = self._ledger.leader(address, block, self._clock.steady_ms())
        if leader is None:
            return
        try:
            await self._ask(address, leader)
        except LinkError as error:
            if error.reason in _OPEN:
                raise
        self._ledger.settle(address)

    async def _ask(self, address: str, block: FramedBlock) -> Answer:
        await self._rest()
        exchange, is_decided = block.exchange(address), False
        try:
            answer = await self._converse(exchange, block)
            is_decided = True
        except LinkError as error:
            is_decided = error.reason not in _OPEN
            if is_decided and isinstance(block, RegisterBlock):
                is_decided = self._ledger.refused(address, block)
            if is_decided or error.reason in _OPEN:
                raise
            raise LinkError("TIMEOUT", f"{error}; but it may be the answer to an earlier question") from error
        finally:
            self._is_clean = is_decided
            if not is_decided and isinstance(block, RegisterBlock):
                self._ledger.owe(address, block, exchange, self._clock.steady_ms())
        if isinstance(block, RegisterBlock):
            self._ledger.answered(address, block)
        return answer

    async def _converse(self, exchange: Exchange, block: Block) -> Answer:
        """Send, and hear until it is decided; an answer in parts is asked for part by part."""
        said = exchange.request
        for _ in range(MOST_PARTS):
            await self._send(said)
            found = await self._hear(exchange, self._frame_ms(len(said) + block.answer_bytes))
            if isinstance(found, Answer):
                return found
            said = found
            await self._rest()
        raise LinkError("DAMAGED", f"expected an end after {MOST_PARTS} parts", got=f"{MOST_PARTS} parts")

    async def _hear(self, exchange: Exchange, frames_ms: int) -> Answer | bytes:
        until_ms, is_late = self._clock.steady_ms() + self._timeout_ms + frames_ms, False
        while data := await self._wire.receive(until_ms):
            self._last_ms = self._clock.steady_ms()
            is_late |= self._ledger.heard(data)
            found = exchange.feed(data)
            if found is not None:
                return found
        self._last_ms = self._clock.steady_ms()
        error = exchange.silence()
        if is_late and error.reason in _OPEN:  # what came was owed: neither damage nor another meter
            raise LinkError("TIMEOUT", f"{error}; it was owed", **error.parameters)
        raise error

    async def _send(self, data: bytes) -> None:
        await self._wire.send(data)
        self._last_ms = self._clock.steady_ms()

    async def _rest(self) -> None:
        """Leave the line in peace, and throw away what nobody waits for."""
        quiet_ms = GAP_MS if self._is_clean else max(GAP_MS, min(self._timeout_ms, QUIET_MS))
        last_ms = self._clock.steady_ms() + NOISE_MS
        until_ms = self._last_ms + quiet_ms
        while data := await self._wire.receive(min(until_ms, last_ms)):
            self._ledger.heard(data)
            until_ms = self._clock.steady_ms() + quiet_ms
        self._is_clean = True

    def _frame_ms(self, characters: int) -> int:
        return characters * CHARACTER_BITS * 1000 // self._baud if self._baud else 0
