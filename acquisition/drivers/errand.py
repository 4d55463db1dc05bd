"""One call at a time in a thread of its own, for work that may hang.

The threads are daemons, unlike those of the executors at hand: a log that never answers
must not keep the collector from ending.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")


class _Daemons(Executor):
    """Starts a daemon thread per job."""

    def submit(self, job: Callable[..., T], /, *arguments: Any, **named: Any) -> Future[T]:
        answer: Future[T] = Future()

        def work() -> None:
            try:
                answer.set_result(job(*arguments, **named))
            finally:
                if not answer.done():
                    answer.set_exception(RuntimeError("the job raised; its traceback is above"))

        threading.Thread(target=work, name="errand", daemon=True).start()
        return answer


class Errand:
    """Runs jobs one after another outside the loop."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def done(self) -> None:
        """Wait until the job that runs, if any, is over."""
        await self._idle.wait()

    def run(self, job: Callable[[], T]) -> asyncio.Future[T]:
        """Start `job`; it must give its failures as a value, whatever it raises is a broken program."""
        if self.in_flight:
            raise RuntimeError("expected no job on the way; wait for `done` first")
        self.in_flight += 1
        self._idle.clear()
        answer = asyncio.get_running_loop().run_in_executor(_Daemons(), job)
        answer.add_done_callback(self._settled)
        return answer

    async def fetch(self, job: Callable[[], T]) -> T:
        """Run `job` and give what it gave; who is cancelled meanwhile leaves it to end by itself."""
        answer = self.run(job)
        await asyncio.wait([answer])
        return answer.result()

    def _settled(self, _: asyncio.Future[Any]) -> None:
        self.in_flight -= 1
        self._idle.set()
