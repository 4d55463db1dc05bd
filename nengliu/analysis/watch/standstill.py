"""Standstill: a register or value that stays while its neighbours move, and the jump by which a cached one catches up.

How long is too long is counted in the time in which registers of the enterprise moved, so a plant that
stops as a whole shows nothing; a point that rests by nature must rest longer than it used to.
Source: domain.md 6.2, M3, M4 and the second half of C7; data.md 5d (last-value repeat).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.sorted import starts_of
from nengliu.analysis.watch.detector import Findings
from nengliu.analysis.watch.rates import Rates
from nengliu.analysis.watch.registers import allowance, amounts
from nengliu.analysis.watch.settings import WatchSettings
from nengliu.analysis.watch.slots import COUNTER, GAUGE, NEVER, Columns, Ints
from nengliu.analysis.watch.sweep import Bools, Sweep, Walk, running_max, shown
from nengliu.domain.causes import Evidence

FINE = 2**16
"""Parts of a halving in which rests are kept: whole numbers, so that the cuts of batches cannot round."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Standstill:
    """Registers that stand, values that stay, and old values from a cache."""

    settings: WatchSettings = field(default_factory=WatchSettings)

    def build(self, resume: object | None = None) -> StandstillLogic:
        """Make the logic."""
        return StandstillLogic(self.settings, resume)


@dataclass(frozen=True, slots=True)
class _Stand:
    """What a sweep's walk says of standing, per row of the walk.

    Attributes
    ----------
    active, shown : int64 (m,)
        How long registers of the enterprise had moved [ms]: at this row, and when its value was first shown.
    anchor : int64 (m,)
        The row that showed the value first; -1: it was before the sweep.
    ended, rest : int64 (m,)
        The rest that ended here, and the longest before, as `_fixed` keeps them.
    told : int64 (m,)
        When a standstill that was evidence ended last [ms].
    plants
        `active` and the newest movement of each enterprise after the sweep.
    caught : bool (m,)
        The step catches up what a cached value withheld.
    """

    active: Ints
    shown: Ints
    anchor: Ints
    ended: Ints
    rest: Ints
    told: Ints
    caught: Bools
    plants: tuple[Ints, Ints]


class StandstillLogic:
    """State: per point its rests and when its value was first shown; per enterprise how long anything moved."""

    def __init__(self, settings: WatchSettings, resume: Any = None) -> None:
        """Start empty or from a snapshot."""
        self.settings = settings
        self.points = Columns(active=("i8", 0), rest=("i8", NEVER), told=("i8", NEVER))
        self.plants = Columns(active=("i8", 0), newest=("i8", NEVER))
        self.rates = Rates()
        self._last: tuple[Sweep, _Stand] | None = None
        if resume is not None:
            self.points.resume(resume[0])
            self.plants.resume(resume[1])
            self.rates.state.resume(resume[2])

    def snapshot(self) -> object:
        """Copy of the state."""
        return self.points.snapshot(), self.plants.snapshot(), self.rates.state.snapshot()

    def judge(self, sweep: Sweep) -> list[Findings]:
        """Say what stood still too long, and what caught up."""
        if not len(sweep.walk.slot):
            return []
        stand = self._stand(sweep)
        found = self._still(sweep, stand)
        if stand.caught.any():
            found.append(_caught_up(sweep.walk, amounts(sweep, sweep.walk), stand.caught))
        return [findings for findings in found if len(findings.slot)]

    def learn(self, sweep: Sweep) -> None:
        """Remember rests, rates and how long anything moved."""
        walk = sweep.walk
        if not len(walk.slot):
            return
        stand, last = self._stand(sweep), walk.last()
        slots = walk.slot[last]
        self.points["active"][slots] = stand.shown[last]
        self.points["rest"][slots] = np.maximum(stand.rest[last], stand.ended[last])
        self.points["told"][slots] = stand.told[last]
        self.rates.learn(stand.anchor[last])
        for name, column in zip(("active", "newest"), stand.plants, strict=True):
            self.plants[name][sweep.lane_enterprise] = column
        self._last = None

    def _stand(self, sweep: Sweep) -> _Stand:
        if self._last is None or self._last[0] is not sweep:
            self._last = sweep, self._work_out(sweep)
        return self._last[1]

    def _work_out(self, sweep: Sweep) -> _Stand:
        walk = sweep.walk
        self.points.fit(len(sweep.slots))
        self.plants.fit(len(sweep.slots.enterprises))
        start = starts_of(walk.slot)
        slots = walk.slot[start]
        active, plants = self._active(sweep)
        since = shown(active, walk.stays, start, self.points["active"][slots])
        anchor = shown(np.arange(len(walk.slot)), walk.stays, start, np.full(len(start), -1))
        ends = walk.came & ~walk.stays & (walk.since_ms < walk.before_ms)
        rested = active - _before(since, start, self.points["active"][slots])
        ended = np.where(ends & (rested > 0), self._fixed(np.maximum(rested, 1), walk.at_ms), NEVER)
        rank = np.repeat(np.arange(len(start)), np.diff(np.append(start, len(walk.slot))))
        amount = amounts(sweep, walk)
        bound = allowance(sweep, walk, self.settings.over_rated)
        self.rates.fit(sweep, np.where(walk.came & (amount > 0) & (amount <= bound), amount, 0))
        candidates = self._candidates(
            sweep, ends, _before(anchor, start, np.full(len(start), -1)), amount, bound
        )
        flags = np.flatnonzero((ended >= 0) & (rested >= self._limit(sweep)))
        told, kept = np.full(len(walk.slot), NEVER), ended
        while (
            True
        ):  # what was no rest makes the next one unusual, and what comes regularly is one: from front to back
            rest = running_max(rank, _before(kept, start, self.points["rest"][slots]))
            caught = self._unusual(walk, candidates, rest)
            flagged = flags[
                rested[flags] > self.settings.rest_factor * self._left(rest[flags], walk.at_ms[flags])
            ]
            told = np.full(len(walk.slot), NEVER)
            told[flagged] = walk.at_ms[flagged]
            before = running_max(rank, _before(told, start, self.points["told"][slots]))
            once = (told >= 0) & ((before < 0) | (told - before > self.settings.rest_again_s * 1000))
            again = np.where(caught | once, NEVER, ended)
            if np.array_equal(again, kept):
                break
            kept = again
        return _Stand(active, since, anchor, kept, rest, np.maximum(told, before), caught, plants)

    def _active(self, sweep: Sweep) -> tuple[Ints, tuple[Ints, Ints]]:
        """How long registers of the enterprise had moved [ms] at each row, and at the end for each enterprise."""
        walk, n = sweep.walk, len(sweep.lane)
        moved = np.flatnonzero(
            walk.came & (walk.delta != 0) & (sweep.slots.facts["kind"][walk.slot] != GAUGE)
        )
        lane = sweep.lane[walk.index[moved]]
        at = np.full(n, NEVER)
        at[lane] = walk.at_ms[moved]
        start = starts_of(sweep.lane_rank)
        newest = running_max(
            sweep.lane_rank, _before(at, start, self.plants["newest"][sweep.lane_enterprise])
        )
        more = np.zeros(n, np.int64)
        covered = walk.at_ms[moved] - np.maximum(newest[lane], walk.before_ms[moved])
        more[lane] = np.clip(covered, 0, self.settings.active_most_s * 1000)
        total = np.cumsum(more)
        base = self.plants["active"][sweep.lane_enterprise] - (total[start] - more[start])
        total += np.repeat(base, np.diff(np.append(start, n)))
        end = np.append(start[1:], n) - 1
        return total[sweep.lane[walk.index]], (total[end], np.maximum(newest[end], at[end]))

    def _fixed(self, rested_ms: Ints, at_ms: Ints) -> Ints:
        """A rest as a number that need not be touched again while it is forgotten by half and half."""
        halvings = at_ms * FINE // (self.settings.rest_half_life_s * 1000)
        return np.asarray(np.rint(np.log2(rested_ms) * FINE).astype(np.int64) + halvings)

    def _left(self, rest: Ints, at_ms: Ints) -> Floats:
        """What is left of a rest [ms]."""
        halvings = at_ms * FINE // (self.settings.rest_half_life_s * 1000)
        return np.asarray(np.where(rest < 0, 0.0, np.exp2((rest - halvings) / FINE)))

    def _limit(self, sweep: Sweep) -> Ints:
        """How long each row's point may stand [ms] while others move."""
        facts, slot = sweep.slots.facts, sweep.walk.slot
        counter = facts["kind"][slot] == COUNTER
        intervals = np.where(counter, self.settings.still_intervals, self.settings.constant_intervals)
        return np.asarray(facts["interval_s"][slot] * 1000 * intervals)

    def _still(self, sweep: Sweep, stand: _Stand) -> list[Findings]:
        walk, facts = sweep.walk, sweep.slots.facts
        kind, interval_ms = facts["kind"][walk.slot], facts["interval_s"][walk.slot] * 1000
        counter = kind == COUNTER
        limit = self._limit(sweep)
        counts = walk.stays & (interval_ms > 0) & (counter | (walk.ticks != 0))
        stood, witnessed = walk.at_ms - walk.since_ms, stand.active - stand.shown
        rows = np.flatnonzero(counts & (stood >= limit) & (witnessed >= limit))
        if not len(rows):
            return []
        rest = self._left(stand.rest[rows], walk.at_ms[rows])
        rows = rows[witnessed[rows] > self.settings.rest_factor * rest]
        found = []
        for evidence, mask in (
            (Evidence.STOOD_STILL, counter[rows]),
            (Evidence.VALUE_CONSTANT, ~counter[rows]),
        ):
            some = rows[mask]
            values = {"seconds": stood[some] // 1000, "value": walk.ticks[some]}
            found.append(_findings(evidence, walk, some, walk.since_ms[some], values))
        return found

    def _candidates(self, sweep: Sweep, ends: Bools, anchor: Ints, amount: Ints, bound: Floats) -> Ints:
        """Steps after a standstill that bring about what was used meanwhile, rather than one interval's use.

        The limit lies between the two, as a geometric mean, and at a share of all that is due.
        """
        walk, facts = sweep.walk, sweep.slots.facts
        interval_ms = facts["interval_s"][walk.slot] * 1000
        stood = walk.before_ms - walk.since_ms
        long = ends & (facts["kind"][walk.slot] == COUNTER) & (interval_ms > 0)
        rows = np.flatnonzero(long & (stood >= self.settings.cached_intervals * interval_ms))
        rate = self.rates.at(rows, anchor[rows])
        whole, single = walk.at_ms[rows] - walk.since_ms[rows], walk.at_ms[rows] - walk.before_ms[rows]
        due = np.maximum(np.sqrt(whole.astype(float) * single), whole * self.settings.cached_share)
        enough = amount[rows] >= rate * due
        return rows[enough & (rate > 0) & (amount[rows] <= bound[rows])]

    def _unusual(self, walk: Walk, rows: Ints, rest: Ints) -> Bools:
        """Those of the rows whose point does not rest so long by nature."""
        stood = (walk.before_ms - walk.since_ms)[rows]
        found = np.zeros(len(walk.slot), bool)
        found[rows] = stood > self.settings.rest_factor * self._left(rest[rows], walk.at_ms[rows])
        return found


def _before(values: Ints, start: npt.NDArray[np.intp], seeds: Ints) -> Ints:
    """Value of the row before, within runs that begin at `start` with `seeds`."""
    found = np.empty(len(values), np.int64)
    found[1:] = values[:-1]
    found[start] = seeds
    return found


def _caught_up(walk: Walk, amount: Ints, caught: Bools) -> Findings:
    rows = np.flatnonzero(caught)
    stood = (walk.before_ms - walk.since_ms)[rows]
    return _findings(
        Evidence.CAUGHT_UP,
        walk,
        rows,
        walk.since_ms[rows],
        {"seconds": stood // 1000, "amount": amount[rows]},
    )


def _findings(
    evidence: Evidence, walk: Walk, rows: Ints, since_ms: Ints, values: dict[str, Ints]
) -> Findings:
    return Findings(
        evidence, walk.slot[rows], walk.index[rows], walk.clock_s[rows], walk.at_ms[rows], since_ms, values
    )
