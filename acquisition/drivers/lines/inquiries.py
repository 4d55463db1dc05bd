"""Inquiries: readings that somebody asks for now; they come before all else, and always get an answer.

Source: TC 4.3.3-3 (polling on command beside timed polling).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from acquisition.codecs.exchange import Answer, Block
from acquisition.drivers.lines.asking import SILENT, Asking
from acquisition.drivers.lines.devices import Device
from nengliu.errors import LinkError


@dataclass(eq=False)
class _Inquiry:
    device: Device
    blocks: tuple[Block, ...]
    deadline_ms: int
    answer: asyncio.Future[Answer | LinkError]


class Inquiries:
    """The inquiries that wait at a line."""

    def __init__(self, asking: Asking) -> None:
        self._asking, self._clock = asking, asking.clock
        self._waiting: deque[_Inquiry] = deque()

    def __bool__(self) -> bool:
        """Say whether one waits."""
        return bool(self._waiting)

    def put(
        self, device: Device, items: Collection[str], deadline_ms: int
    ) -> asyncio.Future[Answer | LinkError]:
        """Let items of a meter be read soon, all if none is named."""
        wanted = [item for item, _ in device.meter.items if not items or item.name in items]
        blocks = device.meter.map.blocks(wanted) if items else tuple(device.blocks)
        answer: asyncio.Future[Answer | LinkError] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Inquiry(device, blocks, deadline_ms, answer))
        return answer

    async def serve(self, *, has_line: bool) -> None:
        """Answer all that wait."""
        while self._waiting:
            one = self._waiting.popleft()
            found: Answer | LinkError = LinkError("COLLECTOR_DOWN", "the collector stopped meanwhile")
            try:
                found = await self._found(one, has_line=has_line)
            finally:
                if not one.answer.done():
                    one.answer.set_result(found)

    def end(self) -> None:
        """Refuse all that wait: the line ends."""
        while self._waiting:
            one = self._waiting.popleft()
            if not one.answer.done():
                one.answer.set_result(LinkError("COLLECTOR_DOWN", "the collector stops"))

    async def _found(self, inquiry: _Inquiry, *, has_line: bool) -> Answer | LinkError:
        if self._clock.now_ms() >= inquiry.deadline_ms:
            told = "expected its turn before the deadline, got none"
            return LinkError("TIMEOUT", told, meter=inquiry.device.meter.name)
        return await self._ask(inquiry) if has_line else self._asking.lost(inquiry.device)

    async def _ask(self, inquiry: _Inquiry) -> Answer | LinkError:
        """Ask block after block; what fails is missing, and only silence ends it."""
        device, whole = inquiry.device, Answer({})
        for block in inquiry.blocks:
            try:
                answer = await self._asking.ask(device, block)
            except LinkError as error:
                if error.reason in SILENT:
                    self._asking.silent(device, error)
                    return error
                answer = Answer({}, {item.name: error for item in block.items})
            whole = Answer(
                {**whole.values, **answer.values},
                {**whole.lost, **answer.lost},
                whole.raw + answer.raw,
                quality={**whole.quality, **answer.quality},
            )
        if whole.values:
            self._asking.heard(device, self._clock.now_ms())
        return whole
