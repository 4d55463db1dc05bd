"""Small Modbus TCP peers that do one thing wrong, and remember what they were asked."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple


class Request(NamedTuple):
    number: int
    unit: int
    function: int
    address: int
    count: int


Answer = Callable[[Request, asyncio.StreamWriter], Awaitable[bytes | None]]


def frame(request: Request, values: Sequence[int] | None = None, **given: int) -> bytes:
    """Build an answer; `number`, `unit`, `function`, `bytes` lay over what would be right."""
    words = list(values) if values is not None else [request.address + n for n in range(request.count)]
    body = struct.pack(">BB", given.get("function", request.function), given.get("bytes", 2 * len(words)))
    body += struct.pack(f">{len(words)}H", *words)
    return header(request, len(body), **given) + body


def refusal(request: Request, code: int) -> bytes:
    return header(request, 2) + bytes([request.function | 0x80, code])


def header(request: Request, size: int, **given: int) -> bytes:
    number, unit = given.get("number", request.number), given.get("unit", request.unit)
    return struct.pack(">HHHB", number, given.get("protocol", 0), size + 1, unit)


@dataclass
class Peer:
    """A server on a free port of loopback; `answer` decides, `seen` remembers."""

    answer: Answer
    port: int = 0
    connections: int = 0
    seen: list[Request] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                number, _, _, unit, function, address, count = struct.unpack(
                    ">HHHBBHH", await reader.readexactly(12)
                )
                request = Request(number, unit, function, address, count)
                self.seen.append(request)
                answer = await self.answer(request, writer)
                if answer is not None and not writer.is_closing():
                    writer.write(answer)
        writer.close()


@asynccontextmanager
async def peer(answer: Answer | dict[int, Answer]) -> AsyncIterator[Peer]:
    """Run a peer; a table gives each unit its own manners, the others answer well."""

    async def chosen(request: Request, writer: asyncio.StreamWriter) -> bytes | None:
        found = answer.get(request.unit, well) if isinstance(answer, dict) else answer
        return await found(request, writer)

    made = Peer(chosen)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await asyncio.sleep(0.01)  # let connections that were closed from the other side end


async def well(request: Request, writer: asyncio.StreamWriter) -> bytes | None:
    return frame(request)


async def silent(request: Request, writer: asyncio.StreamWriter) -> bytes | None:
    return None


async def hangs_up(request: Request, writer: asyncio.StreamWriter) -> bytes | None:
    writer.write(frame(request)[:5])
    writer.close()
    return None


def says(**given: int) -> Answer:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> bytes | None:
        return frame(request, **given)

    return answer


def refuses(code: int) -> Answer:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> bytes | None:
        return refusal(request, code)

    return answer


def cut(after: int) -> Answer:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> bytes | None:
        return frame(request)[:after]

    return answer


def number_of(request_change: int) -> Answer:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> bytes | None:
        return frame(request, number=request.number + request_change)

    return answer
