"""The control: the same flow with a sink that lets an epoch commit before its rows are written."""

from __future__ import annotations

import time
from functools import partial

from flows import embedded
from flows.connectors import LogSource, StoreSink, StoreSinkPart
from flows.runner import run_flow
from nengliu import settings
from nengliu.bus.open import open_log
from nengliu.storage import Writer
from schemas.topics import RAW

LIE_S = 1.5


class LyingPart(StoreSinkPart):
    """Says yes at the end of an epoch and writes when it feels like it."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer)
        self._last = time.monotonic()

    def snapshot(self) -> None:
        if time.monotonic() - self._last > LIE_S:
            self._writer.flush()
            self._last = time.monotonic()

    def close(self) -> None:
        self._writer.flush()


class LyingSink(StoreSink):
    """Makes lying parts."""

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> LyingPart:
        return LyingPart(self.writer_factory())


if __name__ == "__main__":
    now = settings.load()
    source = LogSource(partial(open_log, now), RAW, stop_at_end=False)
    run_flow(
        embedded.build(now, source, LyingSink(partial(Writer, now))),
        now.recovery_path / "embedded",
        now.epoch_s,
    )
