"""Modbus TCP as a server of our own: strict with requests, and able to misbehave in its answers.

A library's server cannot keep silent, answer late or answer for another unit, which is what
a collector has to survive; so the few bytes of the protocol are written here.  One port
serves any number of unit ids, like a gateway before an RS-485 line; the requests of a
connection are answered one after the other, as the line behind a gateway would.
Source: MODBUS Messaging on TCP/IP Implementation Guide V1.0b; Application Protocol V1.1b3.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

MOST_WORDS = 125
"""Registers of one request: the PDU of an answer holds 253 bytes."""
LONGEST = 254
"""Largest value of the header's length field: unit id and PDU."""
_HEADER = struct.Struct(">HHHB")


class Refusal(IntEnum):
    """Exception codes of an answer that refuses."""

    FUNCTION = 0x01
    ADDRESS = 0x02
    VALUE = 0x03
    DEVICE = 0x04
    NO_PATH = 0x0A
    NO_ANSWER = 0x0B


@dataclass(frozen=True, slots=True)
class Request:
    """One well-formed request to read `count` registers from `address` on, by function 3 or 4."""

    transaction: int
    unit: int
    function: int
    address: int
    count: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent for a request, and what is wrong with it.

    Parameters
    ----------
    words
        The registers, or the code of the exception.
    delay_ms
        Wait before it is sent [ms, real time].
    silent
        Nothing is sent at all.
    cut
        Half of the bytes are sent, then the connection is closed.
    unit_by, transaction_by, length_by
        Added to the unit id, the transaction id and the length field of the header.
    """

    words: Sequence[int] | Refusal
    delay_ms: int = 0
    silent: bool = False
    cut: bool = False
    unit_by: int = 0
    transaction_by: int = 0
    length_by: int = 0


def answer_bytes(request: Request, answer: Answer) -> bytes:
    """Lay out an answer, faults included.

    >>> answer_bytes(Request(1, 9, 3, 0, 2), Answer([0, 258])).hex(" ")
    '00 01 00 00 00 07 09 03 04 00 00 01 02'
    >>> answer_bytes(Request(1, 9, 3, 0, 2), Answer(Refusal.ADDRESS)).hex(" ")
    '00 01 00 00 00 03 09 83 02'
    """
    if isinstance(answer.words, Refusal):
        pdu = bytes((request.function | 0x80, answer.words))
    else:
        pdu = struct.pack(f">BB{len(answer.words)}H", request.function, 2 * len(answer.words), *answer.words)
    transaction = (request.transaction + answer.transaction_by) & 0xFFFF
    unit = (request.unit + answer.unit_by) & 0xFF
    return _HEADER.pack(transaction, 0, (len(pdu) + 1 + answer.length_by) & 0xFFFF, unit) + pdu


def understand(header: bytes, pdu: bytes) -> tuple[Request, Refusal | None]:
    """Read a request strictly; what breaks the protocol comes with the exception it deserves.

    Parameters
    ----------
    header
        The seven bytes before the PDU.
    pdu
        As many bytes as the header announced, without the unit id; at least one.
    """
    transaction, _, _, unit = _HEADER.unpack(header)
    function = pdu[0]
    if function not in (3, 4):
        return Request(transaction, unit, function & 0x7F, 0, 0), Refusal.FUNCTION
    if len(pdu) != 5:
        return Request(transaction, unit, function, 0, 0), Refusal.VALUE
    address, count = struct.unpack(">HH", pdu[1:])
    request = Request(transaction, unit, function, address, count)
    if not 1 <= count <= MOST_WORDS:
        return request, Refusal.VALUE
    return request, Refusal.ADDRESS if address + count > 0x10000 else None


class Server:
    """A port on which `respond` answers every well-formed request.

    Parameters
    ----------
    respond
        Gives the answer to a request, whatever its unit id.
    host, port
        Where to listen; port 0 lets the system choose.

    Attributes
    ----------
    requests
        Well-formed requests so far.
    """

    def __init__(self, respond: Callable[[Request], Answer], host: str = "127.0.0.1", port: int = 0) -> None:
        self.respond = respond
        self.host = host
        self.port = port
        self.requests = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def listens(self) -> bool:
        """Whether its port is open."""
        return self._server is not None

    async def start(self) -> None:
        """Listen; `port` is the real one afterwards.

        Raises
        ------
        OSError
            The port is taken or may not be used.
        """
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and abort every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client left
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when the connection is to be closed."""
        header = await reader.readexactly(_HEADER.size)
        _, protocol, length, _ = _HEADER.unpack(header)
        if protocol != 0 or not 2 <= length <= LONGEST:
            return False  # no request, and nobody knows where the next one would begin
        request, refusal = understand(header, await reader.readexactly(length - 1))
        if refusal is not None:
            writer.write(answer_bytes(request, Answer(refusal)))
        else:
            self.requests += 1
            if not await _send(writer, request, self.respond(request)):
                return False
        await writer.drain()
        return True


async def _send(writer: asyncio.StreamWriter, request: Request, answer: Answer) -> bool:
    """Send an answer as it wants to be sent; False when the connection is to be closed."""
    if answer.silent:
        return True
    if answer.delay_ms:
        await asyncio.sleep(answer.delay_ms / 1000)
    told = answer_bytes(request, answer)
    if answer.cut:
        writer.write(told[: len(told) // 2])
        with contextlib.suppress(OSError):
            await writer.drain()
        return False
    writer.write(told)
    return True
