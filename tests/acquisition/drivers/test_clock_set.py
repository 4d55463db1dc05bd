"""A clock that is set: what was skipped is told with its reason, and no slot is waited for in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from meters import MINUTE, START_MS, Desk, Meters, make_line, make_meter, raises
from virtual import VirtualClock

from acquisition.drivers.clock import EARLIEST_MS
from acquisition.drivers.config import Line
from acquisition.drivers.lines.line import LineTask
from acquisition.drivers.lines.slots import LONGEST_SKIP_MS
from nengliu.domain.quality import Reason

DAY = 1440
Script = Callable[[Meters, VirtualClock], Coroutine[Any, Any, None]]


def play(
    script: Script, line: Line | None = None, desk: Desk | None = None, start_ms: int = START_MS
) -> tuple[Desk, Meters]:
    """Run a line in virtual time for as long as the script lasts."""
    desk, clock = desk or Desk(), VirtualClock(start_ms)
    meters = Meters(clock)

    async def work() -> None:
        with clock.ruling():
            task = asyncio.create_task(LineTask(line or make_line(), meters, clock, desk, 1000).run())
            await script(meters, clock)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    asyncio.run(work())
    return desk, meters


def minutes(desk: Desk) -> list[int]:
    return [(at - START_MS) // MINUTE for _, at, _ in desk.rows]


def missed(desk: Desk) -> list[tuple[int, int, str]]:
    """First and last minute of each range, and its reason."""
    return [
        ((one.first_ms - START_MS) // MINUTE, (one.last_ms - START_MS) // MINUTE, Reason(one.reason).name)
        for one in desk.missed
    ]


async def until(clock: VirtualClock, minute: float) -> None:
    await clock.sleep_until(START_MS + round(minute * MINUTE))


def test_line_clock_set_back_goes_on_at_the_next_slot() -> None:
    """When the clock was a day ahead from the start and is put right, reading goes on, probes too."""

    async def script(meters: Meters, clock: VirtualClock) -> None:
        meters.manners[2] = raises("TIMEOUT")
        await until(clock, 2.1)
        clock.set_by(-DAY * MINUTE)
        meters.manners.clear()
        await until(clock, -DAY + 3.9)

    desk, _ = play(script, make_line(make_meter(1), make_meter(2)))

    assert [(at - START_MS) // MINUTE for name, at, _ in desk.rows if name == "m1"] == [0, 1, 2, 3 - DAY]
    assert [(at - START_MS) // MINUTE for name, at, _ in desk.rows if name == "m2"] == [3 - DAY]


def test_line_clock_set_forward_skipped_slots_are_not_called_an_overrun() -> None:
    """The round before had ended in time: the record says what really happened."""

    async def script(meters: Meters, clock: VirtualClock) -> None:
        await until(clock, 1.5)
        clock.set_by(10 * MINUTE)
        await until(clock, 13.5)

    desk, _ = play(script)

    assert minutes(desk) == [0, 1, 11, 12, 13]
    assert missed(desk) == [(2, 10, "CLOCK_SET")]


def test_line_clock_leaps_half_a_century_tells_a_year_at_most() -> None:
    """A range of fifty years would say something of a time in which nothing was due."""

    async def script(meters: Meters, clock: VirtualClock) -> None:
        await until(clock, 1.5)
        clock.set_by(50 * 365 * DAY * MINUTE)
        await until(clock, 50 * 365 * DAY + 2.5)

    desk, _ = play(script)

    (one,) = desk.missed
    assert one.count == LONGEST_SKIP_MS // MINUTE
    assert one.last_ms - one.first_ms == (one.count - 1) * MINUTE
    assert one.last_ms == START_MS + (50 * 365 * DAY) * MINUTE


def test_line_clock_three_days_ahead_by_mistake_and_back_leaves_no_silent_hole() -> None:
    """The log refuses what comes from the future; the true slots of that time are told when it is put right."""

    async def script(meters: Meters, clock: VirtualClock) -> None:
        await until(clock, 1.5)
        clock.set_by(3 * DAY * MINUTE)
        await until(clock, 3 * DAY + 21.5)
        clock.set_by(-3 * DAY * MINUTE)
        await until(clock, 24.5)

    desk, _ = play(script)

    assert [at for at in minutes(desk) if at < DAY] == [0, 1, 22, 23, 24]
    assert missed(desk) == [(2, 3 * DAY, "CLOCK_SET"), (2, 21, "CLOCK_SET")]


def test_line_clock_put_right_by_a_restart_leaves_no_silent_hole() -> None:
    """What the clock had leapt over is kept over the restart that puts it right."""
    desk = Desk()

    async def ahead(meters: Meters, clock: VirtualClock) -> None:
        await until(clock, 1.5)
        clock.set_by(3 * DAY * MINUTE)
        await until(clock, 3 * DAY + 21.5)

    async def right(meters: Meters, clock: VirtualClock) -> None:
        await until(clock, 25.5)

    play(ahead, desk=desk)
    play(right, desk=desk, start_ms=START_MS + 22 * MINUTE + 1)

    assert missed(desk)[-1] == (2, 22, "CLOCK_SET")
    assert [at for at in minutes(desk) if at < DAY] == [0, 1, 23, 24, 25]


def test_line_clock_that_was_never_set_stamps_no_reading() -> None:
    """In January 1970 nothing is read; when the clock is right again the gap has its reason."""

    async def script(meters: Meters, clock: VirtualClock) -> None:
        await until(clock, 1.5)
        clock.set_by(-clock.now_ms())
        await clock.sleep_until(20 * MINUTE)
        clock.set_by(START_MS + 21 * MINUTE)
        await until(clock, 43.5)

    desk, _ = play(script)

    assert all(at >= EARLIEST_MS for _, at, _ in desk.rows)
    assert missed(desk) == [(2, 40, "CLOCK_SET")]
    assert minutes(desk) == [0, 1, 41, 42, 43]


def test_line_clock_set_back_during_an_exchange_does_not_silence_the_line() -> None:
    """Nobody sleeps then, so nobody is woken: the line must look for itself."""

    async def script(meters: Meters, clock: VirtualClock) -> None:
        meters.takes_ms = 5000
        await clock.sleep_until(START_MS + 2000)
        clock.set_by(-DAY * MINUTE)
        meters.takes_ms = 0
        await until(clock, -DAY + 3.5)

    desk, _ = play(script)

    assert minutes(desk)[1:] == [1 - DAY, 2 - DAY, 3 - DAY]


def test_line_clock_set_back_pause_between_requests_stays_short() -> None:
    """The quiet between two requests is not prolonged by the hour the clock went back."""

    async def script(meters: Meters, clock: VirtualClock) -> None:
        await until(clock, 0.5)
        clock.set_by(-60 * MINUTE)
        await until(clock, -57.5)

    desk, _ = play(script, make_line(pause_ms=300))

    assert minutes(desk) == [0, -59, -58]
