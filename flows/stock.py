"""The peer of the benchmark: Bytewax's own windows over the same readings, in memory, nothing stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import bytewax.operators as op
import bytewax.operators.windowing as win
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource, run_main

Reading: TypeAlias = tuple[str, tuple[datetime, int]]
"""Point, and its time and value."""
Folded: TypeAlias = tuple[int, int, int, int, int]
"""Count, sum, least, greatest and last value of a window."""
WAIT = timedelta(minutes=3)


def fold(
    readings: list[Reading], width: timedelta, *, batch: int, ordered: bool
) -> dict[tuple[str, int], Folded]:
    """Windows by `fold_window`, its clock told not to wake for every old window: ``{(point, window): Folded}``.

    Parameters
    ----------
    readings
        In order of arrival; none more than `WAIT` behind the newest of its point.
    width
        Length of a window; the windows are counted since 1970.
    batch
        Readings per poll of the source.
    ordered
        Whether Bytewax sorts the readings of a window before it folds them (its default).
    """
    found: list[tuple[str, tuple[int, list[int]]]] = []
    flow = Dataflow("stock")
    keyed = op.input("read", flow, TestingSource(readings, batch))
    clock: win.EventClock[tuple[datetime, int]] = win.EventClock(
        ts_getter=lambda reading: reading[0], wait_for_system_duration=WAIT, to_system_utc=lambda _: None
    )
    windower = win.TumblingWindower(length=width, align_to=datetime(1970, 1, 1, tzinfo=UTC))
    folded = win.fold_window("fold", keyed, clock, windower, list, _fold, _merge, ordered)
    op.output("keep", folded.down, TestingSink(found))
    run_main(flow)
    return {
        (point, window): (n, total, low, high, last)
        for point, (window, (n, total, low, high, last, _)) in found
    }


def _fold(so_far: list[int], reading: tuple[datetime, int]) -> list[int]:
    """Count, sum, least, greatest, last value and its time [s]; begins empty."""
    at, value = int(reading[0].timestamp()), reading[1]
    if not so_far:
        return [1, value, value, value, value, at]
    so_far[0] += 1
    so_far[1] += value
    if value < so_far[2]:  # noqa: PLR1730 - the peer shall not pay for a call
        so_far[2] = value
    if value > so_far[3]:  # noqa: PLR1730
        so_far[3] = value
    if at >= so_far[5]:
        so_far[4], so_far[5] = value, at
    return so_far


def _merge(one: list[int], _other: list[int]) -> list[int]:
    """Tumbling windows never merge."""
    return one
