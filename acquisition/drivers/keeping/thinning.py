"""What gives way when the buffer is full: the oldest secondary values, energies never.

A reading of a counter can stand for those before it; a power or a voltage of last week is worth
less than a register of today.  So gauges go first, and pulses of the collector with them; what
went is told, point by point.  When only counters are left, new readings are refused, loudly.
Source: protocols.md 5.4 (on a full disk drop electrical values before energies); docs/decisions/0033.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np

from acquisition.drivers.keeping.buffer_file import Pending
from nengliu.domain.links import LinkKind
from nengliu.domain.points import Column, Kind, Point
from nengliu.domain.quality import Reason
from nengliu.domain.units import dimension
from nengliu.errors import ContractError
from schemas.messages import MISSING, Frame, LinkNotice, Missed, decode, encode

ACCUMULATE = ("energy", "reactive_energy", "volume", "mass")
"""Dimensions of which an unknown point may be a counter; one of any other is a gauge."""


class Loss(msgspec.Struct):
    """Readings of a point that gave way: how many, first and last [ms, UTC]."""

    count: int
    first_ms: int
    last_ms: int


@dataclass
class Thinned:
    """What is to become of some rows: each that changes, its bytes smaller or empty, and what is lost by it."""

    changed: list[Pending] = field(default_factory=list)
    losses: dict[str, Loss] = field(default_factory=dict)


def thin(
    rows: Sequence[Pending], columns_of: Callable[[int], Sequence[Column] | None], points: Iterable[Point]
) -> Thinned:
    """Take the secondary values out of messages."""
    kinds = {point.point: point.kind for point in points}
    found = Thinned()
    for row in rows:
        message = decode(row.value)
        if isinstance(message, Frame):
            columns = columns_of(message.schema) or ()
            _thin_frame(row, message, columns, kinds, found)
        elif isinstance(message, LinkNotice) and not message.missed and _only_pulses(message):
            found.changed.append(replace(row, value=b""))
    return found


def missed_of(losses: dict[str, Loss]) -> tuple[Missed, ...]:
    """Say what was lost as readings that are missing, points with the same range together."""
    together: dict[tuple[int, int, int], list[str]] = {}
    for point, loss in sorted(losses.items()):
        together.setdefault((loss.first_ms, loss.last_ms, loss.count), []).append(point)
    return tuple(
        Missed(first_ms, last_ms, count, Reason.DROPPED, tuple(points))
        for (first_ms, last_ms, count), points in together.items()
    )


def is_secondary(column: Column, kinds: dict[str, Kind]) -> bool:
    """Say whether a column may give way: it is known to be a gauge, or unknown and cannot add up."""
    if column.point in kinds:
        return kinds[column.point] is Kind.GAUGE
    try:
        return dimension(column.unit) not in ACCUMULATE
    except ContractError:
        return False


def _only_pulses(notice: LinkNotice) -> bool:
    return all(event.kind == LinkKind.HEARTBEAT for event in notice.events)


def _thin_frame(
    row: Pending, frame: Frame, columns: Sequence[Column], kinds: dict[str, Kind], found: Thinned
) -> None:
    going = [at for at, column in enumerate(columns) if is_secondary(column, kinds)]
    lost = frame.values[:, going] != MISSING
    if not lost.any():
        return
    for n, at in enumerate(going):
        _note(found.losses, columns[at].point, frame.read_at_ms[lost[:, n]])
    values = frame.values.copy()
    values[:, going] = MISSING
    quality = None if frame.quality is None else np.where(values == MISSING, np.uint8(0), frame.quality)
    quality = quality if quality is not None and quality.any() else None
    smaller = msgspec.structs.replace(frame, values=values, quality=quality)
    found.changed.append(replace(row, value=b"" if (values == MISSING).all() else encode(smaller)))


def _note(losses: dict[str, Loss], point: str, times: np.ndarray) -> None:
    if not len(times):
        return
    first_ms, last_ms = int(times.min()), int(times.max())
    loss = losses.setdefault(point, Loss(0, first_ms, last_ms))
    loss.count += len(times)
    loss.first_ms, loss.last_ms = min(loss.first_ms, first_ms), max(loss.last_ms, last_ms)
