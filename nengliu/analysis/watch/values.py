"""Values: what a single reading says against itself: below zero, out of its official range, marked bad by its sender.

Source: domain.md 6.2, M5 and M13; TC 4.3.7-6 (state of the device is reported).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nengliu.analysis.watch.detector import Findings, Repeats
from nengliu.analysis.watch.settings import WatchSettings
from nengliu.analysis.watch.slots import COUNTER, PERIOD
from nengliu.analysis.watch.sweep import Bools, Sweep
from nengliu.domain.causes import Evidence
from nengliu.domain.quality import Quality, Reason
from schemas.block import Verdict

_OWN = np.array(
    [Reason.NONE, Reason.OVER_RANGE, Reason.ARRIVED_LATE, Reason.BACKFILLED, Reason.CLOCK_REPAIRED]
)
"""Reasons that ingest or the way gave; with another one (or a doubt without any) the sender speaks."""
_DOUBTS = np.array([Quality.SUSPECT, Quality.BAD, Quality.ESTIMATED, Quality.SUBSTITUTED])


@dataclass(frozen=True, slots=True)
class Values:
    """Values that cannot be, and values their sender doubts."""

    settings: WatchSettings = field(default_factory=WatchSettings)

    def build(self, resume: object | None = None) -> ValuesLogic:
        """Make the logic."""
        return ValuesLogic(self.settings, resume)


class ValuesLogic:
    """State: when such values came before; one alone is no evidence."""

    def __init__(self, settings: WatchSettings, resume: Any = None) -> None:
        """Start empty or from a snapshot."""
        times, within_s = settings.value_repeats, settings.repeats_within_s
        self.repeats = {
            Evidence.OUT_OF_RANGE: Repeats(times, within_s),
            Evidence.BELOW_ZERO: Repeats(times, within_s),
            Evidence.MARKED_BAD: Repeats(2, within_s),
        }
        for repeats, state in zip(self.repeats.values(), resume or (), strict=False):
            repeats.state.resume(state)

    def snapshot(self) -> object:
        """Copy of the state."""
        return [repeats.state.snapshot() for repeats in self.repeats.values()]

    def judge(self, sweep: Sweep) -> list[Findings]:
        """Say what came often enough."""
        found = [self._often(sweep, evidence, mask) for evidence, mask in _masks(sweep).items()]
        return [findings for findings in found if len(findings.slot)]

    def learn(self, sweep: Sweep) -> None:  # noqa: ARG002 - `judge` laid the rows aside
        """Remember when such values came."""
        for repeats in self.repeats.values():
            repeats.learn()

    def _often(self, sweep: Sweep, evidence: Evidence, mask: Bools) -> Findings:
        repeats = self.repeats[evidence]
        repeats.state.fit(len(sweep.slots))
        rows = np.flatnonzero(mask)
        enough, since = repeats.often(sweep.slot[rows], sweep.clock_s[rows], sweep.at_ms[rows])
        rows = rows[enough]
        values = {"value": sweep.ticks[rows], "quality": sweep.quality[rows].astype(np.int64)}
        return Findings(
            evidence,
            sweep.slot[rows],
            sweep.index[rows],
            sweep.clock_s[rows],
            sweep.at_ms[rows],
            since,
            values,
        )


def _masks(sweep: Sweep) -> dict[Evidence, Bools]:
    accepted = sweep.timed & (sweep.verdict <= Verdict.REPLACED)
    if not (sweep.reason.any() or sweep.quality.any() or (sweep.ticks < 0).any()):
        nothing = np.zeros(len(accepted), bool)
        return dict.fromkeys((Evidence.OUT_OF_RANGE, Evidence.BELOW_ZERO, Evidence.MARKED_BAD), nothing)
    over = accepted & (sweep.reason == Reason.OVER_RANGE)
    kind = sweep.fact("kind")
    negative = (
        accepted & (sweep.ticks < 0) & (kind != COUNTER) & ((kind == PERIOD) | (sweep.fact("minimum") >= 0))
    )
    said = (
        accepted
        & np.isin(sweep.quality, _DOUBTS)
        & (~np.isin(sweep.reason, _OWN) | (sweep.reason == Reason.NONE))
    )
    return {Evidence.OUT_OF_RANGE: over & ~negative, Evidence.BELOW_ZERO: negative, Evidence.MARKED_BAD: said}
