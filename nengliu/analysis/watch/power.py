"""Power: a point answers but shows no voltage or power, and the supply above it is dead too: no fault of metering.

A supply hangs under the nearest one above it in the place path; a voltage with none above it speaks for itself.
Source: domain.md 6.2 (停电: live communication, zero power and a dead parent).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nengliu.analysis.watch.detector import Findings
from nengliu.analysis.watch.slots import Ints
from nengliu.analysis.watch.sweep import Sweep
from nengliu.domain.causes import Evidence

INDEX_BITS = 32


@dataclass(frozen=True, slots=True)
class Power:
    """Supplies that are dead together with the one above them, for two readings at least."""

    def build(self, resume: object | None = None) -> PowerLogic:  # noqa: ARG002 - nothing is remembered
        """Make the logic."""
        return PowerLogic()


class PowerLogic:
    """No state: the trail knows every point's newest value."""

    def snapshot(self) -> object:
        """Nothing."""
        return None

    def learn(self, sweep: Sweep) -> None:
        """Nothing."""

    def judge(self, sweep: Sweep) -> list[Findings]:
        """Say which supplies are dead together with what feeds them."""
        walk, facts = sweep.walk, sweep.slots.facts
        rows = np.flatnonzero(walk.stays & (walk.ticks == 0) & facts["supply"][walk.slot])
        if not len(rows):
            return []
        parent = facts["parent"][walk.slot[rows]]
        alone = (parent < 0) & facts["voltage"][walk.slot[rows]]
        value = _values_at(sweep, np.maximum(parent, 0), walk.index[rows])
        keep = alone | ((parent >= 0) & (value == 0))
        rows, parent = rows[keep], np.where(parent[keep] < 0, walk.slot[rows[keep]], parent[keep])
        if not len(rows):
            return []
        return [
            Findings(
                Evidence.POWER_GONE,
                walk.slot[rows],
                walk.index[rows],
                walk.clock_s[rows],
                walk.at_ms[rows],
                walk.since_ms[rows],
                {"parent": parent.astype(np.int64)},
            )
        ]


def _values_at(sweep: Sweep, slot: np.ndarray[tuple[int], np.dtype[np.int32]], index: Ints) -> Ints:
    """Newest value of other slots when the readings `index` came; 1 for one that never spoke."""
    walk, trail = sweep.walk, sweep.slots.trail
    keys = (walk.slot.astype(np.int64) << INDEX_BITS) + walk.index
    place = np.searchsorted(keys, (slot.astype(np.int64) << INDEX_BITS) + index, side="right") - 1
    inside = np.maximum(place, 0)
    here = (place >= 0) & (walk.slot[inside] == slot)
    stored = np.where(trail["at_ms"][slot] >= 0, trail["ticks"][slot], 1)
    return np.where(here, walk.ticks[inside], stored)
