"""Virtual time: it moves only when nothing else is left to do, and a hanging job does not stop it."""

from __future__ import annotations

import asyncio
import threading
import time

from virtual import VirtualClock

from acquisition.drivers.clock import SystemClock


def test_waiters_wake_in_the_order_of_their_time() -> None:
    """Days pass in no time, and everybody wakes at his instant."""
    clock, woken = VirtualClock(0), []

    async def sleeper(at_ms: int) -> None:
        await clock.sleep_until(at_ms)
        woken.append((at_ms, clock.now_ms()))

    async def work() -> None:
        with clock.ruling():
            await asyncio.gather(*(sleeper(at_ms) for at_ms in (3_000_000_000, 5, 86_400_000)))

    asyncio.run(work())

    assert woken == [(5, 5), (86_400_000, 86_400_000), (3_000_000_000, 3_000_000_000)]


def test_time_stands_still_while_real_work_is_done() -> None:
    """Neither a job in a thread nor a watched exchange lets time pass."""
    clock, seen = VirtualClock(0), []

    async def work() -> None:
        with clock.ruling():
            ticking = asyncio.create_task(clock.sleep_until(1000))
            await asyncio.to_thread(time.sleep, 0.05)
            seen.append(clock.now_ms())
            await clock.working(asyncio.sleep(0.05))
            seen.append(clock.now_ms())
            await ticking

    asyncio.run(work())

    assert seen == [0, 0]
    assert clock.now_ms() == 1000


def test_job_that_hangs_does_not_stop_the_time() -> None:
    """After a while time goes on without a job that never ends."""
    clock, release = VirtualClock(0, hang_s=0.05), threading.Event()

    async def work() -> None:
        with clock.ruling():
            job = asyncio.create_task(asyncio.to_thread(release.wait, 5))
            await asyncio.sleep(0)
            await clock.sleep_until(60_000)
            release.set()
            await job

    asyncio.run(work())

    assert clock.now_ms() == 60_000


def test_system_clock_that_is_set_back_wakes_who_waits() -> None:
    """Nobody waits for an hour that lies behind a correction; without one the instant is waited for."""

    class Set(SystemClock):
        by_ms = 0

        def now_ms(self) -> int:
            return super().now_ms() + self.by_ms

    async def work() -> float:
        clock = Set()
        began = time.monotonic()
        await clock.sleep_until(clock.now_ms() + 100)
        assert time.monotonic() - began >= 0.09
        waiting = asyncio.create_task(clock.sleep_until(clock.now_ms() + 3_600_000))
        await asyncio.sleep(0)
        clock.by_ms = -7_200_000
        await waiting
        return time.monotonic() - began

    assert asyncio.run(work()) < 3
