"""Modbus TCP over pymodbus, with its traps closed.

pymodbus frames, sends and waits.  What it does not do is told here: every answer is judged
before it is decoded, so that another meter's answer is a MISMATCH and a cut one is DAMAGED,
where pymodbus would wait for its timeout or close the connection; it neither repeats a
request nor connects again nor hangs up by itself, since that is the scheduler's business.
An answer that comes after its timeout is known by its transaction number and skipped.
Source: Modbus messaging on TCP/IP (the header of 7 bytes); pymodbus 3.16 as measured.
"""

from __future__ import annotations

import asyncio
import logging

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from acquisition.codecs.exchange import Answer, Block
from acquisition.codecs.modbus import RegisterBlock
from nengliu.errors import LinkError

HEADER = 7
"""Transaction (2), protocol (2), length (2), unit (1)."""
NEVER = 2**31
"""So many unanswered requests until pymodbus hangs up."""
_REQUESTS: dict[int, type[ModbusPDU]] = {3: ReadHoldingRegistersRequest, 4: ReadInputRegistersRequest}
_CONFIG, _GATEWAY = (1, 2, 3), (10, 11)

logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)  # what it would say is in our reasons


class ModbusTcp:
    """One Modbus TCP connection.

    Parameters
    ----------
    timeout_s
        How long a connection and an answer may take [s].
    """

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self.where = f"{host}:{port}"
        self._host, self._port, self._timeout_s = host, port, timeout_s
        self._client: AsyncModbusTcpClient | None = None
        self._asked: tuple[int, int, int] = (0, 0, 0)
        self._got = 0

    async def connect(self) -> None:
        """Open the connection anew; LinkError LINE_DOWN if it cannot be had in time."""
        await self.close()
        client = AsyncModbusTcpClient(
            self._host,
            port=self._port,
            timeout=self._timeout_s,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._judge_packet,
            trace_connect=self._notice_loss,
        )
        client.set_max_no_responses(NEVER)
        connected = False
        try:
            connected = await client.connect()
            _heed_cancel()
        finally:
            if not connected or _is_cancelled():
                client.close()
        if not connected:
            raise self._lost(f"expected a connection within {self._timeout_s} s, got none")
        self._client = client

    async def ask(self, address: str, block: Block) -> Answer:
        """Ask a unit for a block of registers; LinkError as `Transport.ask` says."""
        assert isinstance(block, RegisterBlock), "a line of Modbus TCP has only meters with registers"
        return block.decode(await self.read(int(address), block.function, block.address, block.count))

    async def read(self, unit: int, function: int, address: int, count: int) -> list[int]:
        """Read `count` words from `address` on; LinkError as `Transport.ask` says."""
        client = self._client
        if client is None or not client.connected:
            raise self._lost("expected a connection, got none")
        self._asked, self._got = (unit, function, count), 0
        request = _REQUESTS[function](address=address, count=count, dev_id=unit)
        try:
            answer = await client.ctx.execute(False, request)
        except ModbusException as error:
            raise self._silence(unit) from error
        finally:
            _heed_cancel()
        if answer.isError():
            raise self._refusal(answer.exception_code, address)
        return list(answer.registers)

    async def close(self) -> None:
        """Let go of the connection; harmless if there is none."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _lost(self, told: str) -> LinkError:
        return LinkError("LINE_DOWN", f"{self.where}: {told}; see that the meter or gateway runs")

    def _silence(self, unit: int) -> LinkError:
        """Say what a timeout means: nothing came, or only a part of an answer."""
        told = (
            f"{self.where} unit {unit}: expected an answer within {self._timeout_s} s, got {self._got} bytes"
        )
        if self._got:
            return LinkError("DAMAGED", told, got=f"{self._got} bytes")
        return LinkError("TIMEOUT", f"{told}; see that the meter has power and its address is right")

    def _refusal(self, code: int, address: int) -> LinkError:
        """Say what an exception code means, and of a wrong map what it asked for."""
        unit, function, _ = self._asked
        told = f"{self.where} unit {unit}: expected a value, got exception code {code}"
        if code in _CONFIG:
            asked = f"function {function}, address {address} (counted from 0)"
            return LinkError(
                "CONFIG",
                f"{told} for {asked}; correct the register map",
                code=code,
                function=function,
                address=address,
            )
        if code in _GATEWAY:
            return LinkError("GATEWAY", f"{told}; see that the meter behind it has power", code=code)
        return LinkError("REFUSED", f"{told}; see the meter's manual", code=code)

    def _notice_loss(self, connected: bool) -> None:
        """End a wait at once when the other end hangs up."""
        if not connected:
            self._end_wait(self._lost("the connection was closed while an answer was due"))

    def _judge_packet(self, sending: bool, data: bytes) -> bytes:
        """Judge what came before pymodbus decodes it; `data` is all that is not yet used."""
        client = self._client
        if sending or client is None:
            return data
        self._got, rest = 0, data
        while len(rest) >= HEADER:
            size = 6 + int.from_bytes(rest[4:6])
            frame, number = rest[:size], int.from_bytes(rest[:2])
            late = 0 < number < client.ctx.request_transaction_id and not rest[2] and not rest[3]
            fault = None if late else self._fault(frame, size, client.ctx.request_transaction_id)
            if fault is not None:
                self._end_wait(fault)
                return b""
            if len(frame) < size:
                break
            if not late:
                return data
            rest = rest[size:]
        self._got = len(rest)
        return data

    def _fault(self, frame: bytes, size: int, number: int) -> LinkError | None:
        """Find what is wrong with an answer, as far as it is there."""
        unit, function, count = self._asked
        got = int.from_bytes(frame[:2])
        if frame[2:4] != b"\0\0" or not 9 <= size <= 260:
            return self._damaged(unit, frame[:HEADER].hex(" "))
        if got != number or frame[6] != unit:
            told = f"{self.where}: expected transaction {number} of unit {unit}, got {got} of unit {frame[6]}"
            shown = f"transaction {got} of unit {frame[6]}"
            return LinkError("MISMATCH", f"{told}; see that no two meters share an address", got=shown)
        if len(frame) < size:
            return None
        if frame[7] & 0x7F != function:
            told = f"{self.where} unit {unit}: expected function {function}, got {frame[7] & 0x7F}"
            return LinkError("MISMATCH", told, got=f"function {frame[7] & 0x7F}")
        fits = size == 9 if frame[7] & 0x80 else size == 9 + 2 * count and frame[8] == 2 * count
        return None if fits else self._damaged(unit, f"{size} bytes for {count} registers")

    def _damaged(self, unit: int, got: str) -> LinkError:
        return LinkError("DAMAGED", f"{self.where} unit {unit}: expected a whole answer, got {got}", got=got)

    def _end_wait(self, error: LinkError) -> None:
        """Let the request that waits fail with `error` now."""
        client = self._client
        if client is not None:
            waiting: asyncio.Future[ModbusPDU] = client.ctx.response_future
            if not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # nobody may be waiting any more: then it is no news


def _heed_cancel() -> None:
    """Let a cancellation through that was swallowed on the way: whoever stops us must not wait.

    pymodbus makes an error of its own of it, and `asyncio.wait_for` (3.11) prefers an answer of the same moment.
    """
    if _is_cancelled():
        raise asyncio.CancelledError


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
