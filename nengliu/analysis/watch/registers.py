"""Registers: what the steps of a register show: backward, begun anew, a jump, more than the rated power allows.

Only readings beyond the newest event time of their point count (`Walk`), a legal rollover and a
declared change of the meter are silent, and a step may have taken as long as its stamps or its
receipts allow: so neither disorder nor a wrong clock makes a meter fault.
Source: domain.md 6.2, M1 and M2.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nengliu.analysis.watch.detector import Findings
from nengliu.analysis.watch.settings import WatchSettings
from nengliu.analysis.watch.slots import COUNTER, GAUGE, Ints
from nengliu.analysis.watch.sweep import Bools, Sweep, Walk
from nengliu.domain.causes import Evidence

HOUR_MS = 3_600_000
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Registers:
    """Steps that no meter in order makes."""

    settings: WatchSettings = field(default_factory=WatchSettings)

    def build(self, resume: object | None = None) -> RegistersLogic:  # noqa: ARG002 - nothing is remembered
        """Make the logic."""
        return RegistersLogic(self.settings)


class RegistersLogic:
    """No state: a step knows the reading before it."""

    def __init__(self, settings: WatchSettings) -> None:
        """Keep the limits."""
        self.settings = settings

    def snapshot(self) -> object:
        """Nothing."""
        return None

    def learn(self, sweep: Sweep) -> None:
        """Nothing."""

    def judge(self, sweep: Sweep) -> list[Findings]:
        """Say which steps cannot be."""
        walk = sweep.walk
        found = [*self._backward(sweep, walk), *self._too_much(sweep, walk)]
        return [findings for findings in found if len(findings.slot)]

    def _backward(self, sweep: Sweep, walk: Walk) -> list[Findings]:
        counter = sweep.slots.facts["kind"][walk.slot] == COUNTER
        rows = np.flatnonzero(walk.came & counter & (walk.delta < -self.settings.backward_steps))
        if not len(rows):
            return []
        before, after = walk.before_ticks[rows], walk.ticks[rows]
        bound = allowance(sweep, walk, self.settings.over_rated)[rows]
        low = np.where(
            np.isfinite(bound),
            bound / sweep.slots.facts["worth"][walk.slot[rows]],
            before * self.settings.reset_share,
        )
        anew = after <= np.minimum(low, before / 2)
        return [
            _found(evidence, walk, rows[mask], before=before[mask], after=after[mask])
            for evidence, mask in ((Evidence.BEGAN_ANEW, anew), (Evidence.WENT_BACKWARD, ~anew))
        ]

    def _too_much(self, sweep: Sweep, walk: Walk) -> list[Findings]:
        amount = amounts(sweep, walk)
        bound = allowance(sweep, walk, self.settings.over_rated)
        over: Bools = walk.came & (amount > bound)
        rows = np.flatnonzero(over)
        if not len(rows):
            return []
        jump = amount[rows] > bound[rows] * self.settings.jump / self.settings.over_rated
        found = []
        for evidence, mask in ((Evidence.JUMPED, jump), (Evidence.OVER_RATED, ~jump)):
            some = rows[mask]
            seconds = walk.span_ms()[some] // 1000
            limit = bound[some].astype(np.int64)
            found.append(_found(evidence, walk, some, seconds=seconds, amount=amount[some], limit=limit))
        return found


def amounts(sweep: Sweep, walk: Walk) -> Ints:
    """Amount of each step [ticks]; of a gauge 0."""
    kind = sweep.slots.facts["kind"][walk.slot]
    return np.asarray(np.where(kind == GAUGE, 0, walk.delta * sweep.slots.facts["worth"][walk.slot]))


def allowance(sweep: Sweep, walk: Walk, factor: float) -> Floats:
    """Most that can have been used in each step [ticks]: rated power, or half the register where none is known."""
    facts, slot = sweep.slots.facts, walk.slot
    rated, worth, modulus = facts["rated"][slot], facts["worth"][slot], facts["modulus"][slot]
    interval_ms = facts["interval_s"][slot] * 1000
    span = np.where(facts["kind"][slot] == COUNTER, walk.span_ms(), interval_ms)
    of_rated = factor * rated * span / HOUR_MS + worth
    of_register = np.where(modulus > 0, modulus / 2.0 * worth, np.inf)
    return np.asarray(np.where(rated > 0, of_rated, of_register))


def _found(evidence: Evidence, walk: Walk, rows: Ints, **values: Ints) -> Findings:
    return Findings(
        evidence,
        walk.slot[rows],
        walk.index[rows],
        walk.clock_s[rows],
        walk.at_ms[rows],
        walk.at_ms[rows],
        values,
    )
