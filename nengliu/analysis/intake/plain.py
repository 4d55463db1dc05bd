"""What makes a row of a frame plain: one vector of limits per column, worked out once per column list.

A plain row needs no second look: every value is converted without a rest, lies within what its meter and its
official limits allow, and was served by the meter that serves now.  A row that is not *surely* plain is judged
reading by reading (`nengliu.analysis.intake.validate`), which has the last word; so the limits here may be too tight,
never too wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nengliu.analysis.intake.candidates import Path
from nengliu.analysis.ledger import TIME_BITS
from nengliu.domain.points import Kind, Point

Ints = npt.NDArray[np.int64]
_SURE = 2**61
"""Half of what int64 arithmetic is allowed to reach: no rounding of a float comparison gets past it."""


class Limits(NamedTuple):
    """Limits of one column, or of many as arrays.

    Attributes
    ----------
    top, bottom
        Steps per sent digit.
    sent
        Largest size of a value as sent.
    low, high
        Smallest and largest register steps (ticks of a point that is no counter).
    gauge
        Rounded half to even, where others must have no rest.
    """

    top: int
    bottom: int
    sent: int
    low: int
    high: int
    gauge: int


class Spread(NamedTuple):
    """Times of a column list [ms]: rows in ``[from_ms, to_ms)`` are plain; shortest, longest interval of amounts."""

    from_ms: int
    to_ms: int
    span_s: int
    longest_s: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A column list whose every column can be taken: its points, their units as sent, and the limits (6, c)."""

    points: tuple[tuple[str, str], ...]
    units: tuple[tuple[str, int], ...]
    limits: Ints
    spread: Spread

    @property
    def converted(self) -> bool:
        """Whether some column is sent in another quantum than it is counted in."""
        return bool((self.limits[:2] != 1).any())


def listing_of(paths: list[Path]) -> Listing | None:
    """Work out a column list; None if one of its columns is refused, can hold no plain value, or stands there twice."""
    points = tuple(path.pair for path in paths)
    found = [column for column in map(_column, paths) if column is not None]
    if not found or len(found) < len(paths) or len(set(points)) < len(points):
        return None
    spreads = [spread for _, spread in found]
    return Listing(
        points,
        tuple((path.unit, path.decimals) for path in paths),
        np.array([limits for limits, _ in found], np.int64).T.copy(),
        Spread(
            max(one.from_ms for one in spreads),
            min(one.to_ms for one in spreads),
            min(one.span_s for one in spreads),
            max(one.longest_s for one in spreads),
        ),
    )


def _column(path: Path) -> tuple[Limits, Spread] | None:
    """Limits and times of the meter that serves last; None if nothing can pass."""
    if path.facts is None or not path.spans:
        return None
    point = path.facts.point
    start, top, bottom, modulus, worth = path.spans[-1]
    low, high = _official(point, _SURE // worth, worth)
    sent = _SURE // top
    if point.kind is Kind.COUNTER:
        low, high = max(low, 0), min(high, modulus - 1 if modulus else high)
    if top == bottom == 1:
        low, high = max(low, -sent), min(high, sent)
    served = start if len(path.spans) > 1 else 0
    interval_s = point.interval_s if point.kind is Kind.PERIOD else 0
    spread = Spread(
        max(point.valid_from_ms, served, 0), min(point.valid_to_ms, 2**TIME_BITS), interval_s, interval_s
    )
    return (Limits(top, bottom, sent, low, high, point.kind is Kind.GAUGE), spread) if low <= high else None


def _official(point: Point, reach: int, worth: int) -> tuple[int, int]:
    """Official limits [steps], within the reach of int64; `worth` is ticks of the point per step."""
    low = -reach if point.minimum is None else max(-reach, -(-point.minimum // worth))
    high = reach if point.maximum is None else min(reach, point.maximum // worth)
    return low, high
