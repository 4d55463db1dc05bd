"""Reaping: the frames of a batch become swaths of plain new rows; what is not surely so is left standing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nengliu.analysis.intake.candidates import Candidates, join
from nengliu.analysis.intake.opening import Opener
from nengliu.analysis.intake.rack import Pile, Rack, Swath
from nengliu.analysis.intake.racks import Place, Racks, Spans
from nengliu.analysis.intake.validate import Limits
from nengliu.analysis.ledger import TIME_BITS, Ledger
from nengliu.analysis.sorted import compact
from schemas.messages import Frame

Ints = npt.NDArray[np.int64]
Parts = list[tuple[int, Candidates | Frame]]
"""Readings to be judged one by one, with the number of their message in the batch."""


@dataclass(slots=True)
class Piles:
    """Frames of a batch by rack."""

    by_rack: dict[int, tuple[Rack, Pile]] = field(default_factory=dict)

    def add(self, place: Place, frame: Frame, message: int) -> None:
        """Lay a frame on the pile of its rack."""
        found = self.by_rack.get(id(place.rack))
        if found is None:
            found = self.by_rack[id(place.rack)] = place.rack, Pile()
        pile = found[1]
        pile.numbers.append(place.number)
        pile.frames.append(frame)
        pile.messages.append(message)


@dataclass(frozen=True, slots=True)
class Clock:
    """When the log took each message of a batch [s], and where its readings stand in it."""

    appended_at_s: Ints
    position: npt.NDArray[np.uint64]


class Reaped(NamedTuple):
    """Rows that are plain and new, and frames that were delivered before, word for word."""

    swaths: list[tuple[Rack, Swath]]
    again: list[tuple[int, Frame]]


class Reaper:
    """Sorts what can be taken whole from what must be judged reading by reading; see `Racks`."""

    def __init__(self, racks: Racks, ledger: Ledger, opener: Opener) -> None:
        self._racks, self._ledger, self._opener = racks, ledger, opener

    def reap(self, piles: Piles, parts: Parts, clock: Clock, limits: Limits) -> Reaped:
        """Sort the piles; frames that are neither whole new nor whole told again are added to `parts`."""
        cut = []
        for rack, pile in piles.by_rack.values():
            swath, fits = rack.cut(pile, clock.appended_at_s, clock.position, limits)
            parts += self._leave(pile, ~fits)
            cut.append((rack, pile, swath, np.flatnonzero(fits)))
        if not cut:
            return Reaped([], [])
        asked = _joined([_spans(rack, pile, swath, some) for rack, pile, swath, some in cut])
        if not len(asked.list_id):
            return Reaped([], [])
        beyond, among = self._racks.beyond(asked, self._barriers(parts))
        found: list[tuple[Rack, Swath]] = []
        again: list[tuple[int, Frame]] = []
        start = 0
        for rack, pile, swath, some in cut:
            own = slice(start, start + len(some))
            messages = np.array(pile.messages)[some]
            alone, repeated = _among(rack, swath, messages, among[own] & ~beyond[own])
            new = beyond[own] | alone
            start += len(some)
            parts += self._leave(pile, some[~new & ~repeated])
            again += self._leave(pile, some[repeated])
            whole = np.zeros(len(clock.position), bool)
            whole[messages[new]] = True
            kept = swath.keep(whole[swath.message])
            if len(kept):
                found.append((rack, kept))
        return Reaped(found, again)

    def glean(self, parts: Parts) -> Candidates:
        """All parts as one, in order of their messages; frames are spelled out together."""
        frames = [(message, part) for message, part in parts if isinstance(part, Frame)]
        found = [part for _, part in parts if isinstance(part, Candidates)]
        for message, part in parts:
            if isinstance(part, Candidates):
                part.message[:] = message
        if frames:
            found.append(
                self._opener.spread([frame for _, frame in frames], [number for number, _ in frames])
            )
        candidates = join(found)
        if (candidates.message[1:] >= candidates.message[:-1]).all():
            return candidates
        return candidates.take(np.argsort(candidates.message, kind="stable"))

    def _leave(
        self, pile: Pile, some: npt.NDArray[np.bool_] | npt.NDArray[np.intp]
    ) -> list[tuple[int, Frame]]:
        places = np.arange(len(pile.frames))[some].tolist()
        return [(pile.messages[i], pile.frames[i]) for i in places]

    def _barriers(self, parts: Parts) -> Spans:
        """What loose readings span of the lists that have their points."""
        found, paths = [_nothing()], self._opener.paths
        for message, part in parts:
            if isinstance(part, Frame):
                used = self._opener.list_of(part)
                last = np.full(len(used), part.read_at_ms.max(initial=-1))
            else:
                used, place = compact(part.path)
                last = np.full(len(used), -1, np.int64)
                np.maximum.at(last, place, part.read_at_ms)
            slots = self._ledger.find([paths[i].pair for i in used.tolist()])
            known = slots >= 0
            some, list_id = self._racks.of_slots(slots[known])
            last = last[known][some]
            found.append(Spans(list_id, np.full(len(list_id), message), last, last))
        return _joined(found)


def _among(
    rack: Rack, swath: Swath, messages: Ints, asked: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which of the asked messages share no time with their list, in the rack or in the batch; which only say again.

    What is said again stands in the rack with the same ticks, receipt and sequence or a later one.
    """
    if not asked.any():
        return asked, asked
    sound, wanted = (np.zeros(int(swath.message.max()) + 1, bool) for _ in range(2))
    sound[messages], wanted[messages[asked]] = True, True
    rows = np.flatnonzero(sound[swath.message])
    column = {name: swath.rows[name][rows] for name in ("number", "read_at_ms")}
    times = column["read_at_ms"] + (column["number"].astype(np.int64) << TIME_BITS)
    _, place, count = np.unique(times, return_inverse=True, return_counts=True)
    some = wanted[swath.message[rows]]
    rows, once = rows[some], count[place[some]] == 1
    held = rack.find(swath.rows["number"][rows], swath.rows["read_at_ms"][rows])
    same = once & (held >= 0)
    same[same] = rack.same(held[same], swath, rows[same])
    differs, fails = (np.zeros(len(sound), bool) for _ in range(2))
    differs[swath.message[rows][~same]] = True
    fails[swath.message[rows][~once | (held >= 0)]] = True
    return asked & ~fails[messages], asked & ~differs[messages]


def _spans(rack: Rack, pile: Pile, swath: Swath, some: npt.NDArray[np.intp]) -> Spans:
    """First and last time of some frames of a pile, whose rows are in order."""
    counts = np.array([len(frame.read_at_ms) for frame in pile.frames])
    ends = np.cumsum(counts)
    at = swath.rows["read_at_ms"]
    return Spans(
        rack.lists["id"][np.array(pile.numbers)[some]].astype(np.int64),
        np.array(pile.messages)[some],
        at[(ends - counts)[some]],
        at[ends[some] - 1],
    )


def _nothing() -> Spans:
    none = np.empty(0, np.int64)
    return Spans(none, none, none, none)


def _joined(spans: list[Spans]) -> Spans:
    names = ("list_id", "message", "first_ms", "last_ms")
    return Spans(*(np.concatenate([getattr(one, name) for one in spans]) for name in names))
