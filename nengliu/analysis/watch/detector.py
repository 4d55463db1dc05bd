"""Detectors: frozen settings that build a logic, which says evidence of readings and then learns from them.

A logic sees every reading once, in the order of the log, in sweeps of any size: what it says must not
depend on where the sweeps are cut (tests/analysis/watch/test_conformance.py runs over the registry).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np

from nengliu.analysis.watch.slots import NEVER, Columns, Ints, Slots
from nengliu.analysis.watch.sweep import Sweep
from nengliu.domain.causes import Evidence


class Word(IntEnum):
    """What evidence can do: open an incident, be told of beforehand, or only prolong what is said already."""

    OPENS = 0
    HINTS = 1
    GOES_ON = 2


@dataclass(frozen=True, slots=True)
class Findings:
    """Evidence of one kind, by slot and, within a slot, as it came.

    Attributes
    ----------
    slot, index, clock_s : (n,)
        As in the sweep.
    at_ms, since_ms : int64 (n,)
        The instant it speaks of, and since when it lasts.
    values
        Parameters of its text: name -> int64 (n,).
    word
        Whether it opens an incident.
    """

    evidence: Evidence
    slot: Slots
    index: Ints
    clock_s: Ints
    at_ms: Ints
    since_ms: Ints
    values: Mapping[str, Ints]
    word: Word = Word.OPENS


class Logic(Protocol):
    """What a detector built: `judge` before `learn`, on every sweep."""

    def judge(self, sweep: Sweep) -> list[Findings]:
        """Say the evidence in a sweep; nothing is learnt by it."""

    def learn(self, sweep: Sweep) -> None:
        """Take the sweep into the state."""

    def snapshot(self) -> object:
        """Copy of the state, which `build` takes back."""


class Detector(Protocol):
    """Settings of one rule, or of several that share a state; frozen."""

    def build(self, resume: object | None = None) -> Logic:
        """Make the logic, from a snapshot if there is one."""


class Repeats:
    """Whether something came often enough: `times` of it within `within_s` of the clock."""

    def __init__(self, times: int, within_s: int) -> None:
        """Nothing came yet."""
        self.times, self.within_s = times, within_s
        names = [f"{what}{i}" for i in range(times - 1) for what in ("clock", "at")]
        self.state = Columns(**dict.fromkeys(names, ("i8", NEVER)))
        self._rows: tuple[Slots, Ints, Ints] = (
            np.empty(0, np.int32),
            np.empty(0, np.int64),
            np.empty(0, np.int64),
        )

    def often(self, slot: Slots, clock_s: Ints, at_ms: Ints) -> tuple[Ints, Ints]:
        """Say which of these rows, by slot, complete the number, and since when [ms] the counted ones came."""
        self._rows = slot, clock_s, at_ms
        if not len(slot):
            return at_ms, at_ms
        back = self.times - 1
        nth = _nth(slot)
        clock, at = np.empty(len(slot), np.int64), np.empty(len(slot), np.int64)
        clock[back:], at[back:] = clock_s[: len(slot) - back], at_ms[: len(slot) - back]
        for i in range(back):  # rows near the start of their slot look into the state
            rows = np.flatnonzero(nth == i)
            clock[rows] = self.state[f"clock{back - 1 - i}"][slot[rows]]
            at[rows] = self.state[f"at{back - 1 - i}"][slot[rows]]
        enough = np.flatnonzero((clock >= 0) & (clock_s - clock <= self.within_s))
        return enough, at[enough]

    def learn(self) -> None:
        """Remember the newest rows of each slot."""
        slot, clock_s, at_ms = self._rows
        if not len(slot):
            return
        from_end = _nth(slot[::-1])[::-1]
        count = np.bincount(slot, minlength=self.state.size)
        touched = np.flatnonzero(count)
        old = {name: self.state[name][touched].copy() for name in self.state.columns}
        for i in range(self.times - 1):
            for what, values in (("clock", clock_s), ("at", at_ms)):
                place = np.flatnonzero(from_end == i)
                column = self.state[f"{what}{i}"]
                column[slot[place]] = values[place]
                for j in range(i):  # fewer rows than places: the older ones move back
                    few = touched[count[touched] == i - j]
                    column[few] = old[f"{what}{j}"][np.searchsorted(touched, few)]
        self._rows = slot[:0], clock_s[:0], at_ms[:0]


def _nth(slot: Slots) -> Ints:
    """Place of each row within its run of equal slots."""
    if not len(slot):
        return np.empty(0, np.int64)
    start = np.flatnonzero(np.append(True, slot[1:] != slot[:-1]))
    return np.arange(len(slot)) - np.repeat(start, np.diff(np.append(start, len(slot))))
