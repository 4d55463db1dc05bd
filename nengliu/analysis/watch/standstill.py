"""Standstill: a register or value that stays while its neighbours move, and the jump by which a cached one catches up.

How long is too long is counted in hours in which most registers of the enterprise ran (`witness`) and in which
the point itself is due to move (`habit`), so a plant that stops shows nothing, nor does a night shift
nobody works; a point that rests at any hour must rest longer than it used to.
Source: domain.md 6.2, M3, M4 and the second half of C7; data.md 5d (last-value repeat).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nengliu.analysis.sorted import starts_of
from nengliu.analysis.watch.detector import Findings, Word
from nengliu.analysis.watch.habit import HOURS, Habit
from nengliu.analysis.watch.rates import Rates
from nengliu.analysis.watch.registers import allowance, amounts
from nengliu.analysis.watch.settings import WatchSettings
from nengliu.analysis.watch.slots import COUNTER, NEVER, Columns, Ints
from nengliu.analysis.watch.sweep import Bools, Sweep, Walk, running_max, shown
from nengliu.analysis.watch.witness import Witness
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
    due, before : int64 (m,)
        How long it should have moved and did not [ms], up to this row and up to the one before.
    usual : int64 (m,)
        The same wherever the neighbours stood too.
    limit : int64 (m,)
        How long it may stand while it is due to move [ms].
    active : int64 (m,)
        How long most registers of the enterprise had run [ms].
    now : bool (m,)
        They ran just now, and it is due to move.
    anchor : int64 (m,)
        The row that showed the value first; -1: it was before the sweep.
    ended, rest : int64 (m,)
        The rest that ended here, and the longest before, as `_fixed` keeps them.
    told : int64 (m,)
        When a standstill that was evidence ended last [ms].
    caught : bool (m,)
        The step catches up what a cached value withheld.
    """

    due: Ints
    before: Ints
    usual: Ints
    limit: Ints
    active: Ints
    now: Bools
    anchor: Ints
    ended: Ints
    rest: Ints
    told: Ints
    caught: Bools


class _Rests(NamedTuple):
    """Standstills that ended, per row of a walk, as `_fixed` keeps them; rows that may be faults, and catch-ups."""

    ended: Ints
    due: Ints
    usual: Ints
    flags: Ints
    candidates: Ints


class StandstillLogic:
    """State: per point its rests, its habits and how long it stands; per enterprise how long most of it ran."""

    def __init__(self, settings: WatchSettings, resume: Any = None) -> None:
        """Start empty or from a snapshot."""
        self.settings = settings
        self.points = Columns(
            active=("i8", 0), due=("i8", 0), usual=("i8", 0), rest=("i8", NEVER), told=("i8", NEVER)
        )
        self.witness, self.habit, self.rates = Witness(settings), Habit(), Rates()
        self._last: tuple[Sweep, _Stand] | None = None
        self._stores: tuple[Any, ...] = self.points, self.witness, self.habit, self.rates.state
        for i, state in enumerate(resume or ()):
            self._stores[i].resume(state)

    def snapshot(self) -> object:
        """Copy of the state."""
        return [store.snapshot() for store in self._stores]

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
        self.points["rest"][slots] = np.maximum(stand.rest[last], stand.ended[last])
        stays = walk.stays[last]
        for name, column in (("due", stand.due), ("usual", stand.usual)):
            self.points[name][slots] = np.where(stays, column[last], 0)
        self.points["active"][slots] = stand.active[last]
        self.points["told"][slots] = stand.told[last]
        self.rates.learn(stand.anchor[last])
        self.witness.learn()
        self.habit.learn()
        self._last = None

    def _stand(self, sweep: Sweep) -> _Stand:
        if self._last is None or self._last[0] is not sweep:
            self._last = sweep, self._work_out(sweep)
        return self._last[1]

    def _work_out(self, sweep: Sweep) -> _Stand:
        walk, start = sweep.walk, starts_of(sweep.walk.slot)
        self.points.fit(len(sweep.slots))
        active, running = self.witness.look(sweep)
        due_now, idle = self.habit.look(walk, len(sweep.slots))
        expected = due_now & walk.came
        passed = active - _before(active, start, self.points["active"][walk.slot[start]])
        due, before = self._stood("due", walk, np.where(expected, passed, 0))
        usual, _ = self._stood("usual", walk, np.where(expected, walk.at_ms - walk.before_ms, 0))
        anchor = shown(np.arange(len(walk.slot)), walk.stays, start, np.full(len(start), -1))
        ends = walk.came & ~walk.stays & (walk.since_ms < walk.before_ms)
        candidates = self._candidates(sweep, ends, _before(anchor, start, np.full(len(start), -1)))
        ended = np.where(ends & (due > 0), self._fixed(np.maximum(due, 1), walk.at_ms), NEVER)
        limit = self._limit(sweep, idle)
        rests = _Rests(ended, due, usual, np.flatnonzero((ended >= 0) & (due >= limit)), candidates)
        kept, rest, told, caught = self._sort_out(walk, rests)
        now = running & expected
        return _Stand(due, before, usual, limit, active, now, anchor, kept, rest, told, caught)

    def _sort_out(self, walk: Walk, rests: _Rests) -> tuple[Ints, Ints, Ints, Bools]:
        """Tell rests from faults: what was no rest makes the next one unusual, and what comes regularly is one."""
        start, far = starts_of(walk.slot), self.settings.rest_again_s * 1000
        slots = walk.slot[start]
        rank = np.repeat(np.arange(len(start)), np.diff(np.append(start, len(walk.slot))))
        flags, kept = rests.flags, rests.ended
        while True:  # from front to back: each round settles at least one more of each point
            rest = running_max(rank, _before(kept, start, self.points["rest"][slots]))
            caught = self._unusual(walk, rests.usual, rests.candidates, rest)
            left = self._left(rest[flags], walk.at_ms[flags])
            flagged = flags[rests.due[flags] > self.settings.rest_factor * left]
            told = np.full(len(walk.slot), NEVER)
            told[flagged] = walk.at_ms[flagged]
            before = running_max(rank, _before(told, start, self.points["told"][slots]))
            once = (told >= 0) & ((before < 0) | (told - before > far))
            again = np.where(caught | once, NEVER, rests.ended)
            if np.array_equal(again, kept):
                return kept, rest, np.maximum(told, before), caught
            kept = again

    def _stood(self, name: str, walk: Walk, more: Ints) -> tuple[Ints, Ints]:
        """Sum of `more` since each row's value was shown first, at the row (before it moves on) and before it."""
        start = starts_of(walk.slot)
        total = np.cumsum(more)
        seeds = self.points[name][walk.slot[start]]
        total += np.repeat(seeds - (total[start] - more[start]), np.diff(np.append(start, len(total))))
        since = _before(shown(total, walk.stays, start, np.zeros(len(start), np.int64)), start, 0 * seeds)
        return total - since, total - since - more

    def _fixed(self, rested_ms: Ints, at_ms: Ints) -> Ints:
        """A rest as a number that need not be touched again while it is forgotten by half and half."""
        halvings = at_ms * FINE // (self.settings.rest_half_life_s * 1000)
        return np.asarray(np.rint(np.log2(rested_ms) * FINE).astype(np.int64) + halvings)

    def _left(self, rest: Ints, at_ms: Ints) -> Floats:
        """What is left of a rest [ms]."""
        halvings = at_ms * FINE // (self.settings.rest_half_life_s * 1000)
        return np.asarray(np.where(rest < 0, 0.0, np.exp2((rest - halvings) / FINE)))

    def _limit(self, sweep: Sweep, idle: Ints) -> Ints:
        """How long each row's point may stand while it is due to move [ms]: longer for one with many `idle` hours."""
        facts, slot = sweep.slots.facts, sweep.walk.slot
        counter = facts["kind"][slot] == COUNTER
        intervals = np.where(counter, self.settings.still_intervals, self.settings.constant_intervals)
        limit = facts["interval_s"][slot] * 1000 * intervals
        return np.asarray(limit + limit * self.settings.idle_factor * idle // HOURS)

    def _still(self, sweep: Sweep, stand: _Stand) -> list[Findings]:
        """A hint at half time, then evidence as long as it stands; while its neighbours stand too it only goes on."""
        walk = sweep.walk
        counter = sweep.slots.facts["kind"][walk.slot] == COUNTER
        counts = walk.stays & (stand.limit > 0) & (counter | (walk.ticks != 0))
        stood = walk.at_ms - walk.since_ms
        due = np.minimum(
            stand.due, stood
        )  # what comes out of order may count as due for longer than it stood
        rows = np.flatnonzero(counts & (due >= stand.limit // 2))
        rest = self.settings.rest_factor * self._left(stand.rest[rows], walk.at_ms[rows])
        unusual = np.maximum(stand.limit[rows] // 2, rest)
        long = (due[rows] >= stand.limit[rows]) & (stand.due[rows] > rest)
        hints = ~long & (stand.due[rows] >= unusual) & (stand.before[rows] < unusual) & stand.now[rows]
        opens = long & stand.now[rows]
        found = []
        for word, said in ((Word.HINTS, hints), (Word.OPENS, opens), (Word.GOES_ON, long & ~opens)):
            for evidence, kind in ((Evidence.STOOD_STILL, counter), (Evidence.VALUE_CONSTANT, ~counter)):
                some = rows[said & kind[rows]]
                values = {"seconds": stood[some] // 1000, "value": walk.ticks[some]}
                found.append(_findings(evidence, walk, some, walk.since_ms[some], values, word))
        return found

    def _candidates(self, sweep: Sweep, ends: Bools, anchor: Ints) -> Ints:
        """Steps after a standstill that bring about what was used meanwhile, rather than one interval's use.

        The limit lies between the two, as a geometric mean, and at a share of all that is due.
        """
        walk, facts = sweep.walk, sweep.slots.facts
        amount, bound = amounts(sweep, walk), allowance(sweep, walk, self.settings.over_rated)
        self.rates.fit(sweep, np.where(walk.came & (amount > 0) & (amount <= bound), amount, 0))
        interval_ms = facts["interval_s"][walk.slot] * 1000
        stood = walk.before_ms - walk.since_ms
        most_ms = self.settings.cached_intervals * interval_ms
        heard = walk.at_ms - walk.before_ms <= most_ms  # over a gap nobody knows when it was used
        long = ends & (facts["kind"][walk.slot] == COUNTER) & (interval_ms > 0) & heard
        rows = np.flatnonzero(long & (stood >= most_ms))
        rate = self.rates.at(rows, anchor[rows])
        whole, single = walk.at_ms[rows] - walk.since_ms[rows], walk.at_ms[rows] - walk.before_ms[rows]
        due = np.maximum(np.sqrt(whole.astype(float) * single), whole * self.settings.cached_share)
        enough = (amount[rows] >= rate * due) & (amount[rows] > facts["worth"][walk.slot[rows]])
        return np.asarray(rows[enough & (rate > 0) & (amount[rows] <= bound[rows])])

    def _unusual(self, walk: Walk, usual: Ints, rows: Ints, rest: Ints) -> Bools:
        """Those of the rows whose point does not rest so long by nature."""
        found = np.zeros(len(walk.slot), bool)
        found[rows] = usual[rows] > self.settings.rest_factor * self._left(rest[rows], walk.at_ms[rows])
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
    evidence: Evidence,
    walk: Walk,
    rows: Ints,
    since_ms: Ints,
    values: dict[str, Ints],
    word: Word = Word.OPENS,
) -> Findings:
    index, clock_s, at_ms = walk.index[rows], walk.clock_s[rows], walk.at_ms[rows]
    return Findings(evidence, walk.slot[rows], index, clock_s, at_ms, since_ms, values, word)
