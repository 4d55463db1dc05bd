"""Arrivals: what the way of the readings shows: late, again, contradicted, with holes, by a wrong clock.

Silence itself is judged in `silence`: nothing arrives then.
Source: domain.md 6.2, C3 and C5 to C7.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nengliu.analysis.sorted import starts_of
from nengliu.analysis.watch.detector import Findings, Repeats
from nengliu.analysis.watch.settings import WatchSettings
from nengliu.analysis.watch.slots import NEVER, PERIOD, Columns, Ints, Slots
from nengliu.analysis.watch.sweep import Bools, Sweep
from nengliu.domain.causes import Evidence
from nengliu.domain.quality import Reason
from schemas.block import Verdict

FAR = 2**40
"""An offset [s] nobody has."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Late, repeated and contradicted readings, holes, and clocks that are off."""

    settings: WatchSettings = field(default_factory=WatchSettings)

    def build(self, resume: object | None = None) -> ArrivalsLogic:
        """Make the logic."""
        return ArrivalsLogic(self.settings, resume)


@dataclass(slots=True)
class _Offsets:
    """Offset of receipt and stamp [s] of the timed readings, and the smallest each point had before."""

    rows: Ints
    slot: Slots
    offset: Ints
    usual: Ints


class ArrivalsLogic:
    """State: two offsets before, the usual offset, and when repeated evidence came before."""

    def __init__(self, settings: WatchSettings, resume: Any = None) -> None:
        """Start empty or from a snapshot."""
        self.settings = settings
        self.state = Columns(
            usual=("i8", FAR),
            offset0=("i8", FAR),
            offset1=("i8", FAR),
            at0=("i8", NEVER),
            at1=("i8", NEVER),
            since0=("i8", NEVER),
            since1=("i8", NEVER),
        )
        self.late = Repeats(2, settings.repeats_within_s)
        self.again = Repeats(2, settings.repeats_within_s)
        self.holes = Repeats(settings.holes, settings.holes_within_s)
        self._last = _Offsets(*(np.empty(0, np.int64) for _ in range(4)))  # type: ignore[arg-type]
        self._stores = self.state, self.late.state, self.again.state, self.holes.state
        for store, state in zip(self._stores, resume or (), strict=False):
            store.resume(state)

    def snapshot(self) -> object:
        """Copy of the state."""
        return [store.snapshot() for store in self._stores]

    def judge(self, sweep: Sweep) -> list[Findings]:
        """Say what the arrivals show."""
        for store in self._stores:
            store.fit(len(sweep.slots))
        offsets = self._last = self._offsets(sweep)
        found = [self._late(sweep, offsets), self._clock(sweep, offsets), self._again(sweep)]
        found += [self._backfilled(sweep), self._contradicted(sweep), self._holes(sweep)]
        return [findings for findings in found if len(findings.slot)]

    def learn(self, sweep: Sweep) -> None:
        """Remember offsets and repeated evidence."""
        for repeats in (self.late, self.again, self.holes):
            repeats.learn()
        offsets = self._last
        if not len(offsets.rows):
            return
        first = starts_of(offsets.slot)
        slots = offsets.slot[first]
        last = np.append(first[1:], len(offsets.slot)) - 1
        state, at, received = self.state, sweep.at_ms[offsets.rows], sweep.received_s[offsets.rows]
        lone = last == first
        for name, values in (("offset", offsets.offset), ("at", at), ("since", received)):
            state[f"{name}1"][slots] = np.where(lone, state[f"{name}0"][slots], values[last - ~lone])
            state[f"{name}0"][slots] = values[last]
        newest = np.minimum(offsets.usual[last], np.maximum(offsets.offset[last], 0))
        state["usual"][slots] = newest

    def _offsets(self, sweep: Sweep) -> _Offsets:
        rows = np.flatnonzero(sweep.timed & (sweep.reason != Reason.BACKFILLED))
        slot = sweep.slot[rows]
        span = np.where(sweep.slots.facts["kind"] == PERIOD, sweep.slots.facts["interval_s"], 0)[slot]
        offset = sweep.received_s[rows] - sweep.at_ms[rows] // 1000 - span
        first = starts_of(slot)
        rank = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(slot))))
        least = np.empty(len(slot), np.int64)
        least[1:] = np.maximum(offset[:-1], 0)
        least[first] = self.state["usual"][slot[first]]
        width = np.int64(1) << 41  # running minimum per slot: ranks descend
        usual = np.minimum.accumulate(least - rank * width) + rank * width
        return _Offsets(rows, slot, offset, usual)

    def _late(self, sweep: Sweep, offsets: _Offsets) -> Findings:
        limit = np.maximum(2 * sweep.slots.facts["interval_s"], self.settings.late_least_s)[offsets.slot]
        accepted = sweep.verdict[offsets.rows] <= Verdict.REPLACED
        usual = np.where(offsets.usual == FAR, 0, offsets.usual)
        late = np.flatnonzero(accepted & (offsets.offset > limit + usual))
        rows = offsets.rows[late]
        enough, since = self.late.often(sweep.slot[rows], sweep.clock_s[rows], sweep.at_ms[rows])
        rows = rows[enough]
        return _findings(Evidence.CAME_LATE, sweep, rows, since, seconds=offsets.offset[late[enough]])

    def _clock(self, sweep: Sweep, offsets: _Offsets) -> Findings:
        """Three readings in a row, a stamp apart, with one offset that is not the usual one."""
        slot, offset = offsets.slot, offsets.offset
        usual = np.where(offsets.usual == FAR, offset, offsets.usual)
        off = (offset > usual + self.settings.clock_off_s) | (offset < -self.settings.clock_off_s)
        if not off.any():
            return _findings(
                Evidence.CLOCK_OFF, sweep, offsets.rows[:0], offsets.rows[:0], seconds=offset[:0]
            )
        at, received = sweep.at_ms[offsets.rows], sweep.received_s[offsets.rows]
        first = starts_of(slot)
        shifted = {}
        for back, name in ((1, "0"), (2, "1")):
            for what, values in (("offset", offset), ("at", at), ("since", received)):
                column = np.empty(len(slot), np.int64)
                column[back:] = values[:-back] if len(values) > back else values[:0]
                column[first] = self.state[f"{what}{name}"][slot[first]]
                if back == 2:
                    second = first[np.append(first[1:], len(slot)) - first > 1] + 1
                    column[second] = self.state[f"{what}0"][slot[second]]
                shifted[what, back] = column
        steady = np.abs(offset - shifted["offset", 1]) <= self.settings.clock_steady_s
        drift = np.abs(offset - shifted["offset", 2])
        steady &= (drift <= self.settings.clock_steady_s) & (4000 * drift <= at - shifted["at", 2])
        apart = (at > shifted["at", 1]) & (shifted["at", 1] > shifted["at", 2])
        found = np.flatnonzero(off & steady & apart)
        rows = offsets.rows[found]
        since = shifted["since", 2][found] * 1000
        received_ms = sweep.received_s[rows] * 1000
        return _findings(Evidence.CLOCK_OFF, sweep, rows, since, received_ms, seconds=offset[found])

    def _again(self, sweep: Sweep) -> Findings:
        rows = np.flatnonzero(sweep.timed & (sweep.verdict == Verdict.DUPLICATE))
        enough, since = self.again.often(sweep.slot[rows], sweep.clock_s[rows], sweep.at_ms[rows])
        return _findings(Evidence.CAME_AGAIN, sweep, rows[enough], since)

    def _backfilled(self, sweep: Sweep) -> Findings:
        late = (sweep.reason == Reason.BACKFILLED) & (sweep.verdict <= Verdict.REPLACED)
        rows = np.flatnonzero(late & sweep.timed)
        seconds = sweep.clock_s[rows] - sweep.at_ms[rows] // 1000
        return _findings(Evidence.BACKFILLED, sweep, rows, sweep.at_ms[rows], seconds=seconds)

    def _contradicted(self, sweep: Sweep) -> Findings:
        argued: Bools = (sweep.verdict == Verdict.REPLACED) | (sweep.verdict == Verdict.LOST)
        rows = np.flatnonzero(argued & sweep.timed)
        return _findings(
            Evidence.CONTRADICTED, sweep, rows, sweep.received_s[rows] * 1000, sweep.received_s[rows] * 1000
        )

    def _holes(self, sweep: Sweep) -> Findings:
        """Due readings that were passed over, few enough that nobody called it silence."""
        walk = sweep.walk
        interval_ms = sweep.slots.facts["interval_s"][walk.slot] * 1000
        span = walk.at_ms - walk.before_ms
        rows = np.flatnonzero(walk.came & (interval_ms > 0) & (2 * span > 3 * interval_ms))
        slot = walk.slot[rows]
        enough, since = self.holes.often(slot, walk.clock_s[rows], walk.before_ms[rows])
        rows = rows[enough]
        missing = np.rint(span[rows] / interval_ms[rows]).astype(np.int64) - 1
        return Findings(
            Evidence.HOLES,
            walk.slot[rows],
            walk.index[rows],
            walk.clock_s[rows],
            walk.at_ms[rows],
            since,
            {"missing": missing},
        )


def _findings(
    evidence: Evidence, sweep: Sweep, rows: Ints, since_ms: Ints, at_ms: Ints | None = None, **values: Ints
) -> Findings:
    at = sweep.at_ms[rows] if at_ms is None else at_ms
    return Findings(evidence, sweep.slot[rows], sweep.index[rows], sweep.clock_s[rows], at, since_ms, values)
