"""What arrived, held against the truth log of a scene: mechanically, reading by reading and fault by fault.

The judge knows nothing of the collector: it takes readings and signs as plain rows, from
wherever they were stored.
"""

from __future__ import annotations

import bisect
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

NEAR_MS = 30_000
"""A row bears one instant, its slot or its last answer; a second try comes late in a round: at most so far apart."""
PROBE_MS = 300_000
"""So long a meter that was down may wait for its next probe.  Source: protocols 5.4 (back-off up to 300 s)."""
SLACK_MS = 120_000
"""Evidence of a fault may come so long after its end: the probe, the restart, the next round (ours)."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A reading as it was stored [ticks of 10 ** -decimals]."""

    point: str
    at_ms: int
    ticks: int
    decimals: int
    origin: str = "timed"


@dataclass(frozen=True, slots=True)
class Sign:
    """What was stored that is no value: a link event, or a missed range or bad reading with its reason.

    Parameters
    ----------
    name
        Name of the kind of event, or of the reason.
    line, meter
        Of whom it speaks; empty: of more.
    from_ms, to_ms
        First and last instant of which it speaks [ms, UTC].
    """

    name: str
    line: str
    meter: str
    from_ms: int
    to_ms: int


@dataclass(slots=True)
class Judgement:
    """What the judge found.

    Parameters
    ----------
    never_shown
        Readings with a value that no meter showed then.
    twice
        Readings that arrived twice.
    sums
        Points whose sum of differences is not what was used: point, arrived, used [ticks of the truth log].
    unseen
        Ids of faults without any of their evidence.
    unexplained
        Signs that belong to no fault.
    checked
        Counters whose sum was held against the truth, and readings that were.
    """

    never_shown: list[Arrived] = field(default_factory=list)
    twice: list[Arrived] = field(default_factory=list)
    sums: list[tuple[str, int, int]] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    unexplained: list[Sign] = field(default_factory=list)
    checked: tuple[int, int] = (0, 0)

    @property
    def is_clean(self) -> bool:
        """Whether every reading is true, every sum exact, every fault seen and nothing there twice."""
        return not (self.never_shown or self.twice or self.sums or self.unseen)


@dataclass(frozen=True, slots=True)
class _Shown:
    at_ms: int
    shown: int
    true: int
    decimals: int


class Judge:
    """Holds what arrived against a truth log.

    Parameters
    ----------
    rows
        The objects of the log, in its order.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self.meters: dict[str, Mapping[str, Any]] = {}
        self.points: dict[str, Mapping[str, Any]] = {}
        self.faults: list[dict[str, Any]] = []
        shown: dict[tuple[str, str], list[_Shown]] = defaultdict(list)
        for row in rows:
            if row["is"] == "meter":
                self.meters[row["meter"]] = row
            elif row["is"] == "point":
                self.points[row["point"]] = row
            elif row["is"] == "fault":
                self.faults.append(dict(row))
            elif row["is"] == "answer":
                for item, ticks, true, decimals in row["values"]:
                    if ticks is not None:
                        shown[row["meter"], item].append(_Shown(row["at_ms"], ticks, true, decimals))
        self._shown = {key: sorted(found, key=lambda one: one.at_ms) for key, found in shown.items()}

    def judge(self, readings: Iterable[Arrived], signs: Iterable[Sign]) -> Judgement:
        """Judge all that arrived."""
        found, matched, seen = Judgement(), defaultdict(list), set()
        for reading in sorted(readings, key=lambda one: (one.point, one.at_ms)):
            key = reading.point, reading.at_ms, reading.origin
            if key in seen:
                found.twice.append(reading)
            seen.add(key)
            shown = self._match(reading)
            if shown is None:
                found.never_shown.append(reading)
            else:
                matched[reading.point].append(shown)
        for point, one in matched.items():
            found.sums += self._sum(point, one)
        counted = [point for point in matched if self._is_reckoned(point)]
        found.checked = len(counted), sum(len(one) for one in matched.values())
        told = list(signs)
        found.unseen = [
            fault["id"] for fault in self.faults if fault["evidence"] and not self._seen(fault, told)
        ]
        found.unexplained = [sign for sign in told if not self._explained(sign)]
        return found

    def _match(self, reading: Arrived) -> _Shown | None:
        """Find the answer that showed a reading, the nearest in time."""
        point = self.points[reading.point]
        shown = self._shown.get((point["meter"], point["item"]), [])
        low = bisect.bisect_left(shown, reading.at_ms - NEAR_MS, key=lambda one: one.at_ms)
        high = bisect.bisect_right(shown, reading.at_ms + NEAR_MS, key=lambda one: one.at_ms)
        same = [
            one
            for one in shown[low:high]
            if one.shown * 10**reading.decimals == reading.ticks * 10**one.decimals
        ]
        return min(same, key=lambda one: abs(one.at_ms - reading.at_ms), default=None)

    def _is_reckoned(self, point: str) -> bool:
        """Whether what was used follows from the register."""
        told = self.points[point]
        return bool(told["counter"] and self.meters[told["meter"]]["knowable"])

    def _sum(self, point: str, shown: list[_Shown]) -> Iterator[tuple[str, int, int]]:
        """Add up the differences of a register, over rollovers and booked changes of the meter."""
        if not self._is_reckoned(point):
            return
        meter = self.meters[self.points[point]["meter"]]
        arrived = sum(_step(a, b, meter) for a, b in itertools.pairwise(shown))
        used = shown[-1].true - shown[0].true
        if arrived != used:
            yield point, arrived, used

    @staticmethod
    def _seen(fault: Mapping[str, Any], signs: list[Sign]) -> bool:
        """Whether a fault left one of its signs."""
        return any(
            sign.name in fault["evidence"]
            and _about(fault, sign)
            and sign.from_ms <= fault["to_ms"] + SLACK_MS
            and sign.to_ms >= fault["from_ms"]
            for sign in signs
        )

    def _explained(self, sign: Sign) -> bool:
        """Whether a fault was in force, or had ended lately, that may have caused a sign.

        What goes wrong with a link (a late answer, noise) may hit the neighbours on the line.
        """
        return any(
            _about(fault | {"meter": ""} if fault["class"] == "link" else fault, sign)
            and sign.from_ms <= fault["to_ms"] + PROBE_MS
            and sign.to_ms >= fault["from_ms"]
            for fault in self.faults
        )


def _about(fault: Mapping[str, Any], sign: Sign) -> bool:
    """Whether fault and sign may speak of the same."""
    line = not fault["line"] or sign.line in ("", fault["line"])
    return line and (not fault["meter"] or sign.meter in ("", fault["meter"]))


def _step(before: _Shown, after: _Shown, meter: Mapping[str, Any]) -> int:
    """What a register counted between two readings [its steps]."""
    for at_ms, last, first in meter["changes"]:
        if before.at_ms < at_ms <= after.at_ms:
            return int(last - before.shown + after.shown - first)
    step = after.shown - before.shown
    modulus = int(meter["modulus"])
    return step + modulus if step < -modulus // 2 else step
