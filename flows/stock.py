"""The peer of the benchmark: Bytewax's own windows over the same readings, in memory, nothing stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import bytewax.operators as op
import bytewax.operators.windowing as win
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource, run_main

Reading = tuple[str, datetime, int]


def last_registers(
    readings: list[Reading], width: timedelta, batch: int = 1000
) -> dict[tuple[str, int], int]:
    """Last register in each window, by `fold_window` with its usual clock: ``{(point, window): register}``.

    Parameters
    ----------
    readings
        ``(point, time, register)`` in order of time.
    width
        Length of a window.
    batch
        Readings per poll of the source.
    """
    found: list[tuple[str, tuple[int, int]]] = []
    flow = Dataflow("stock")
    stream = op.input("read", flow, TestingSource(readings, batch))
    keyed = op.key_on("key", stream, lambda reading: reading[0])
    clock: win.EventClock[Reading] = win.EventClock(
        ts_getter=lambda reading: reading[1],
        wait_for_system_duration=timedelta(minutes=3),
        to_system_utc=lambda _: None,
    )
    windower = win.TumblingWindower(length=width, align_to=datetime(1970, 1, 1, tzinfo=UTC))
    folded = win.fold_window("fold", keyed, clock, windower, lambda: 0, lambda _, reading: reading[2], max)
    op.output("keep", folded.down, TestingSink(found))
    run_main(flow)
    return {(point, window): register for point, (window, register) in found}
