"""A collector of the product in virtual time, as a process of its own: it can be killed like the real one.

All but the clock is what `nengliu collect` runs.  The clock goes on as soon as the collector has nothing left to
do, as far as it is let, and shows its time in a file, so that the simulated meters count in the same time.
"""

from __future__ import annotations

import asyncio
import mmap
import signal
import struct
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "acquisition"))

from virtual import QUIET_TURNS, VirtualClock

from acquisition.drivers.collector import Collector, run_collector
from acquisition.drivers.config import Line, load_config
from acquisition.drivers.lines.modbus import ModbusTcp
from acquisition.drivers.lines.transport import Transport
from nengliu import settings, telemetry

HANG_S = 2.0
"""Real time for which an append to the log holds the virtual one; a log that hangs longer is left behind [s]."""
_TIME = struct.Struct("<q")


class SharedTime:
    """Two numbers in a file that several processes see: the time, and how far it may go on [ms, UTC]."""

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(bytes(2 * _TIME.size))
        with file.open("r+b") as opened:
            self._bytes = mmap.mmap(opened.fileno(), 2 * _TIME.size)

    def __call__(self) -> int:
        """Give the time."""
        return int(_TIME.unpack_from(self._bytes)[0])

    def set(self, at_ms: int) -> None:
        """Set the time."""
        _TIME.pack_into(self._bytes, 0, at_ms)

    @property
    def limit_ms(self) -> int:
        """How far the time may go on."""
        return int(_TIME.unpack_from(self._bytes, _TIME.size)[0])

    @limit_ms.setter
    def limit_ms(self, at_ms: int) -> None:
        _TIME.pack_into(self._bytes, _TIME.size, at_ms)


class SharedClock(VirtualClock):
    """Virtual time that is shown in a file; an append to the log holds it for a moment."""

    def __init__(self, shared: SharedTime) -> None:
        self._shared = shared
        super().__init__(shared(), HANG_S)

    @property
    def _now_ms(self) -> int:
        return self._shared()

    @_now_ms.setter
    def _now_ms(self, at_ms: int) -> None:
        self._shared.set(at_ms)

    def _look(self) -> None:
        """Move on; at the limit wait there."""
        waiters = [at_ms for at_ms, _, waiter in self._waiters if not waiter.done()]
        at_limit = min(waiters, default=self._shared()) > self._shared.limit_ms
        if not at_limit:
            super()._look()
            return
        if self._busy:
            self._looking = False
            return
        loop: Any = asyncio.get_running_loop()
        self._quiet = 0 if loop._ready else self._quiet + 1
        if self._quiet < QUIET_TURNS:
            loop.call_soon(self._look)
            return
        self._looking, self._quiet = False, 0
        self._shared.set(max(self._shared(), self._shared.limit_ms))

    async def patrol(self) -> None:
        """Look again every now and then: a limit that was moved wakes nobody."""
        while True:
            await asyncio.sleep(0.002)
            self._look_soon()


async def main(config_file: Path, clock_file: Path) -> None:
    """Collect until a signal comes."""
    clock = SharedClock(SharedTime(clock_file))
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def ready(collector: Collector) -> None:
        loop.add_signal_handler(signal.SIGTERM, lambda: tasks.add(loop.create_task(collector.stop())))

    def transport(line: Line) -> Transport:
        return clock.watch(ModbusTcp(line.host, line.port, line.timeout_s))

    tasks.add(loop.create_task(clock.patrol()))
    with clock.ruling():
        await run_collector(settings.load(), load_config(config_file), clock, transport, ready)


if __name__ == "__main__":
    telemetry.configure()
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
