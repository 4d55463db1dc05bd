"""The clock of a collector, injectable so that tests and simulations run in virtual time."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

LONGEST_SLEEP_S = 1.0
"""A long sleep looks at the wall clock again this often: NTP may have moved it."""


class Clock(Protocol):
    """Time as a collector sees it; everything that waits, waits through it."""

    def now_ms(self) -> int:
        """Give the time now [ms, UTC]."""

    async def sleep_until(self, at_ms: int) -> None:
        """Return when the clock shows `at_ms` or later."""


class SystemClock:
    """The machine's wall clock."""

    def now_ms(self) -> int:
        """Give the time now [ms, UTC]."""
        return time.time_ns() // 1_000_000

    async def sleep_until(self, at_ms: int) -> None:
        """Return when the clock shows `at_ms` or later."""
        while (left_ms := at_ms - self.now_ms()) > 0:
            await asyncio.sleep(min(left_ms / 1000, LONGEST_SLEEP_S))
