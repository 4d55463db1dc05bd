"""The clock of a collector, injectable so that tests and simulations run in virtual time."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

LONGEST_SLEEP_S = 1.0
"""A long sleep looks at the wall clock again this often: NTP may have moved it."""

SET_BACK_MS = 2000
"""A clock that moves so much beside the steady time was set: who waits must look anew at what is due."""

EARLIEST_MS = 1_577_836_800_000
"""1 January 2020: a clock that shows less was never set, as on a board without a battery after a power cut."""


class Clock(Protocol):
    """Time as a collector sees it; everything that waits, waits through it."""

    def now_ms(self) -> int:
        """Give the time now [ms, UTC]."""

    def steady_ms(self) -> int:
        """Give the time since some instant in the past, which nobody can set [ms]."""

    async def sleep_until(self, at_ms: int) -> None:
        """Return when the clock shows `at_ms` or later, or when somebody sets it back meanwhile."""


class ClockWatch:
    """Notices that somebody, or NTP, set the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lead_ms = clock.now_ms() - clock.steady_ms()

    def moved_ms(self) -> int:
        """Give by how much the clock was set since this was asked last [ms]; 0: it was not."""
        before_ms, self._lead_ms = self._lead_ms, self._clock.now_ms() - self._clock.steady_ms()
        moved_ms = self._lead_ms - before_ms
        return moved_ms if abs(moved_ms) > SET_BACK_MS else 0


class SystemClock:
    """The machine's wall clock."""

    def now_ms(self) -> int:
        """Give the time now [ms, UTC]."""
        return time.time_ns() // 1_000_000

    def steady_ms(self) -> int:
        """Give the time since some instant in the past, which nobody can set [ms]."""
        return time.monotonic_ns() // 1_000_000

    async def sleep_until(self, at_ms: int) -> None:
        """Return when the clock shows `at_ms` or later, or when somebody sets it back meanwhile."""
        before_ms = now_ms = self.now_ms()
        while before_ms - SET_BACK_MS < now_ms < at_ms:
            await asyncio.sleep(min((at_ms - now_ms) / 1000, LONGEST_SLEEP_S))
            before_ms, now_ms = now_ms, self.now_ms()
