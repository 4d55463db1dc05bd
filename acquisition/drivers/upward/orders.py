"""What one centre orders: read from its topic in order, each answered before it counts as done.

The place up to which all is answered is kept with the answers, in one transaction: a collector
that dies takes up again what it had not answered, and what it had is known by its name.
Source: TC 4.3.3-5, 4.3.7-2 (reads by command of a centre); docs/decisions/0033.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from acquisition.drivers.clock import Clock
from acquisition.drivers.errand import Errand
from acquisition.drivers.intake import Intake
from nengliu.bus import Log, Record, partition_of
from nengliu.errors import ContractError, LogError, NoTopic
from schemas.orders import Order, decode_order
from schemas.topics import COMMANDS

READ_ROWS = 50
MOST_WAITING = 100
"""Orders that may wait for their answer; no more are read until some are done."""
LONGEST_PAUSE_S = 60


@dataclass(frozen=True, slots=True)
class Asked:
    """An order and where it stands in the topic; `first` if nothing of this centre was ever taken before."""

    order: Order
    generation: int
    offset: int
    first: bool


@dataclass(frozen=True, slots=True)
class _Found:
    generation: int
    next: int
    records: Sequence[Record]


class OrderBook:
    """Takes the orders of one centre for one collector.

    Parameters
    ----------
    answer
        Answers one order; when it returns the answer was handed in, in the same turn of the loop.
    """

    def __init__(
        self,
        centre: str,
        open_log: Callable[[], Log],
        desk: Intake,
        clock: Clock,
        every_s: int,
        answer: Callable[[Asked], Awaitable[None]],
    ) -> None:
        self._centre, self._open_log, self._desk, self._clock = centre, open_log, desk, clock
        self._every_s, self._answer = every_s, answer
        self._errand = Errand()
        self._log: Log | None = None
        kept = desk.state(f"orders/{centre}")
        self._first = kept is None
        self._generation, self._next = map(int, kept[0].split()) if kept else (0, 0)
        self._waiting: set[int] = set()
        self._ended = False

    async def run(self) -> None:
        """Take orders for ever: until cancelled."""
        pause_s = self._every_s
        try:
            async with asyncio.TaskGroup() as answers:
                while True:
                    found = await self._errand.fetch(self._read)
                    if isinstance(found, LogError):  # the uplink tells of it
                        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                    else:
                        pause_s = self._every_s
                        self._take(found, answers)
                    await self._clock.sleep_until(self._clock.now_ms() + 1000 * pause_s)
        finally:
            self._ended = True
            if not self._errand.in_flight:
                self._close()

    def _take(self, found: _Found | None, answers: asyncio.TaskGroup) -> None:
        """Begin to answer what was found, as far as it is for this collector."""
        if found is not None:
            self._generation, self._next = found.generation, found.next
        for record in found.records if found is not None else ():
            self._next = record.offset + 1
            order = self._for_us(record)
            if order is not None:
                self._waiting.add(record.offset)
                asked = Asked(order, record.generation, record.offset, self._first)
                answers.create_task(self._settle(asked))
        if self._first or (found is not None and found.records):
            self._first = False
            self._keep()

    def _for_us(self, record: Record) -> Order | None:
        """Give the order if it can be read and speaks to this collector."""
        config = self._desk.config
        if record.key != config.code:
            return None
        try:
            order = decode_order(record.value)
        except ContractError:  # nobody to answer to: its name cannot be read
            return None
        return order if (order.enterprise, order.source) == (config.code, config.name) else None

    async def _settle(self, asked: Asked) -> None:
        await self._answer(asked)
        self._waiting.discard(asked.offset)
        if asked.generation == self._generation:
            self._keep()

    def _keep(self) -> None:
        """Note, with the answers of this turn, up to where all is answered."""
        done = min(self._waiting, default=self._next)
        self._desk.put_state(f"orders/{self._centre}", f"{self._generation} {done}", self._clock.now_ms())

    def _read(self) -> _Found | LogError | None:
        """Look for orders, in the errand's thread; None: there is no such topic yet, or enough is waiting."""
        if len(self._waiting) >= MOST_WAITING:
            return None
        try:
            self._log = self._log or self._open_log()
            code = self._desk.config.code
            partition = partition_of(code, self._log.partitions(COMMANDS))
            bounds = self._log.bounds(COMMANDS, partition)
            start = self._next if bounds.generation == self._generation else bounds.first
            records = self._log.read(COMMANDS, partition, start, READ_ROWS) if start < bounds.end else []
        except NoTopic:
            return None
        except LogError as error:
            self._close()
            return error
        finally:
            if self._ended:  # nobody waits for it any more
                self._close()
        return _Found(bounds.generation, max(start, bounds.first), records)

    def _close(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            with suppress(LogError):
                log.close()
