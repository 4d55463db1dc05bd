"""A desk in memory that keeps what a disk would: a turn of the loop at a time, or nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from acquisition.drivers.desk import Columns
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Origin, Quality, Reason
from schemas.messages import LinkEvent, Missed, RejectedRow


class Taken(NamedTuple):
    at_ms: int
    point: str
    ticks: int
    quality: Quality
    origin: Origin


class HandClock:
    """A clock that somebody moves by hand."""

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> int:
        return self.at_ms

    def steady_ms(self) -> int:
        return self.at_ms

    async def sleep_until(self, at_ms: int) -> None:
        self.at_ms = max(self.at_ms, at_ms)
        await asyncio.sleep(0)


class PowerCut(Exception):
    """The machine stops in the middle of a turn: nothing of it is on the disk."""


class MemoryDesk:
    """What was handed in; `disk` outlives the desk.

    Parameters
    ----------
    cut_after
        The row after so many is the last thing this machine does.
    lasts
        False: nothing gets as far as the disk, and no loop is wanted.
    """

    def __init__(self, disk: MemoryDesk | None = None, cut_after: int = 10**9, *, lasts: bool = True) -> None:
        self.taken: list[Taken] = list(disk.taken) if disk else []
        self.rejected: list[RejectedRow] = list(disk.rejected) if disk else []
        self.events: list[LinkEvent] = list(disk.events) if disk else []
        self.states: dict[str, tuple[str, int]] = dict(disk.states) if disk else {}
        self._turn: list[Taken] = []
        self._turn_rejected: list[RejectedRow] = []
        self._turn_states: dict[str, tuple[str, int]] = {}
        self._planned = not lasts
        self._left = cut_after
        self.full = asyncio.Event()
        self.full.set()

    def row(
        self,
        meter: Columns,
        read_at_ms: int,
        values: Mapping[str, int],
        *,
        origin: Origin = Origin.TIMED,
        quality: Mapping[str, Quality] | None = None,
        raw: bytes = b"",
    ) -> None:
        self._left -= 1
        if self._left < 0:
            self._turn, self._turn_rejected, self._turn_states = [], [], {}
            raise PowerCut
        assert set(values) <= set(meter.points)
        for point, ticks in values.items():
            self._turn.append(
                Taken(read_at_ms, point, ticks, (quality or {}).get(point, Quality.GOOD), origin)
            )
        self._plan()

    def miss(self, missed: Missed) -> None:
        raise AssertionError("a feed has no slots to miss")

    def reject(self, source: str, rows: Sequence[RejectedRow]) -> None:
        self._turn_rejected += rows
        self._plan()

    def tell(self, event: LinkEvent) -> None:
        self.events.append(event)

    def polled(self) -> None:
        pass

    def put_state(self, name: str, value: str, since_ms: int) -> None:
        self._turn_states[name] = value, since_ms
        self._plan()

    def state(self, name: str) -> tuple[str, int] | None:
        return self._turn_states.get(name) or self.states.get(name)

    async def durable(self) -> None:
        await self.full.wait()
        self._commit()
        await asyncio.sleep(0)

    def _plan(self) -> None:
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._commit)

    def _commit(self) -> None:
        self._planned = False
        if not self.full.is_set():
            return
        self.taken += self._turn
        self.rejected += self._turn_rejected
        self.states |= self._turn_states
        self._turn, self._turn_rejected, self._turn_states = [], [], {}

    def kinds(self) -> list[LinkKind]:
        return [LinkKind(event.kind) for event in self.events]

    def reasons(self) -> list[Reason]:
        return [Reason(row.reason) for row in self.rejected]


async def settled(desk: MemoryDesk, count: int, within_s: float = 10.0) -> None:
    """Wait until so many values came."""
    async with asyncio.timeout(within_s):
        while len(desk.taken) < count:
            await asyncio.sleep(0.01)


async def told(desk: MemoryDesk, kind: LinkKind, times: int = 1, within_s: float = 10.0) -> None:
    """Wait until a link event was told."""
    async with asyncio.timeout(within_s):
        while desk.kinds().count(kind) < times:
            await asyncio.sleep(0.01)
