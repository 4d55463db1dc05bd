"""Silence: when a point was heard last by its enterprise's clock, and when it was heard again.

Source: domain.md 6.2, C1 to C3; silence is judged against the clock of the log, never against now().
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nengliu.analysis.sorted import starts_of
from nengliu.analysis.watch.settings import WatchSettings
from nengliu.analysis.watch.slots import Ints, Slots, SlotTable
from nengliu.analysis.watch.sweep import Sweep


class Quiet(NamedTuple):
    """A point is overdue: since when it has not been heard, and when patience ended [s]."""

    slot: int
    since_s: int
    deadline_s: int


class Back(NamedTuple):
    """A point is heard again."""

    slot: int
    place: int
    clock_s: int
    at_ms: int


def limits(slots: SlotTable, settings: WatchSettings) -> Ints:
    """How long each slot may be silent [s]."""
    interval = slots.facts["interval_s"]
    due = np.maximum((settings.quiet_intervals * interval).astype(np.int64), settings.quiet_least_s)
    return np.where(interval > 0, due, settings.quiet_change_s)


def gaps(sweep: Sweep, limit: Ints) -> tuple[list[Quiet], list[Back]]:
    """Silences that ended within a sweep; the trail still says what was before it."""
    trail, slots = sweep.slots.trail, sweep.slots
    rows = np.flatnonzero(sweep.timed)
    slot, clock = sweep.slot[rows], sweep.clock_s[rows]
    first = starts_of(slot)
    before = np.empty(len(rows), np.int64)
    before[1:] = clock[:-1]
    before[first] = trail["seen_s"][slot[first]]
    told = np.zeros(len(rows), bool)
    told[first] = trail["quiet"][slot[first]]
    long = (
        (before >= 0)
        & (clock - before >= limit[slot])
        & (before + limit[slot] < slots.facts["valid_to_s"][slot])
    )
    quiets = [
        Quiet(int(slot[i]), int(before[i]), int(before[i] + limit[slot[i]]))
        for i in np.flatnonzero(long & ~told)
    ]
    backs = [
        Back(int(slot[i]), int(sweep.index[rows[i]]), int(clock[i]), int(sweep.at_ms[rows[i]]))
        for i in np.flatnonzero(long | told)
    ]
    return quiets, backs


def hear(sweep: Sweep, position: npt.NDArray[np.uint64]) -> None:
    """Remember when each point of a sweep was heard last, and where first; `position` in the order of the log."""
    rows = np.flatnonzero(sweep.timed)
    slot = sweep.slot[rows]
    last = np.append(starts_of(slot)[1:], len(slot)) - 1 if len(slot) else rows
    first = starts_of(slot)
    born = sweep.slots.trail["born"]
    born[slot[first]] = np.minimum(born[slot[first]], position[sweep.index[rows[first]]])
    sweep.slots.trail["seen_s"][slot[last]] = sweep.clock_s[rows[last]]
    sweep.slots.trail["quiet"][slot[last]] = False


def overdue(slots: SlotTable, limit: Ints, now_s: Ints, some: Slots | None = None) -> list[Quiet]:
    """Points that are overdue by their enterprise's clock and were not told yet; they are told now.

    `now_s` (enterprises,) are the clocks; `some` enterprises only, if given.
    """
    trail, facts = slots.trail, slots.facts
    deadline = trail["seen_s"] + limit
    late = facts["known"] & (trail["seen_s"] >= 0) & ~trail["quiet"]
    late &= (now_s[facts["enterprise"]] >= deadline) & (deadline < facts["valid_to_s"])
    if some is not None and late.any():
        late &= np.isin(facts["enterprise"], some)
    found = np.flatnonzero(late)
    trail["quiet"][found] = True
    return [Quiet(slot, int(trail["seen_s"][slot]), int(deadline[slot])) for slot in found.tolist()]
