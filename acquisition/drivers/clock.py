"""The clock of a collector, injectable so that tests and simulations run in virtual time."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

LONGEST_SLEEP_S = 1.0
"""A long sleep looks at the wall clock again this often: NTP may have moved it."""

SET_BACK_MS = 2000
"""A clock that shows so much less than a moment ago was set: who waits must look anew at what is due."""


class Clock(Protocol):
    """Time as a collector sees it; everything that waits, waits through it."""

    def now_ms(self) -> int:
        """Give the time now [ms, UTC]."""

    async def sleep_until(self, at_ms: int) -> None:
        """Return when the clock shows `at_ms` or later, or when somebody sets it back meanwhile."""


class SystemClock:
    """The machine's wall clock."""

    def now_ms(self) -> int:
        """Give the time now [ms, UTC]."""
        return time.time_ns() // 1_000_000

    async def sleep_until(self, at_ms: int) -> None:
        """Return when the clock shows `at_ms` or later, or when somebody sets it back meanwhile."""
        before_ms = now_ms = self.now_ms()
        while before_ms - SET_BACK_MS < now_ms < at_ms:
            await asyncio.sleep(min((at_ms - now_ms) / 1000, LONGEST_SLEEP_S))
            before_ms, now_ms = now_ms, self.now_ms()
