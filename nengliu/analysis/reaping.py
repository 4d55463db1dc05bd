"""Reaping: the frames of a batch become swaths of plain new rows; what is not surely so is left standing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nengliu.analysis.candidates import Candidates, join
from nengliu.analysis.ledger import TIME_BITS, Ledger
from nengliu.analysis.opening import Opener
from nengliu.analysis.rack import Pile, Rack, Swath
from nengliu.analysis.racks import Place, Racks, Spans
from nengliu.analysis.sorted import compact
from nengliu.analysis.validate import Limits
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


class Reaper:
    """Sorts what can be taken whole from what must be judged reading by reading; see `Racks`."""

    def __init__(self, racks: Racks, ledger: Ledger, opener: Opener) -> None:
        self._racks, self._ledger, self._opener = racks, ledger, opener

    def reap(self, piles: Piles, parts: Parts, clock: Clock, limits: Limits) -> list[tuple[Rack, Swath]]:
        """Rows of the piles that are plain and new; frames that are not whole so are added to `parts`."""
        cut = []
        for rack, pile in piles.by_rack.values():
            swath, fits = rack.cut(pile, clock.appended_at_s, clock.position, limits)
            parts += self._leave(pile, ~fits)
            cut.append((rack, pile, swath, np.flatnonzero(fits)))
        if not cut:
            return []
        asked = _joined([_spans(rack, pile, swath, some) for rack, pile, swath, some in cut])
        if not len(asked.list_id):
            return []
        beyond, among = self._racks.beyond(asked, self._barriers(parts))
        found, start = [], 0
        for rack, pile, swath, some in cut:
            own = slice(start, start + len(some))
            messages = np.array(pile.messages)[some]
            new = beyond[own] | _alone(rack, swath, messages, among[own] & ~beyond[own])
            start += len(some)
            parts += self._leave(pile, some[~new])
            whole = np.zeros(len(clock.position), bool)
            whole[messages[new]] = True
            kept = swath.keep(whole[swath.message])
            if len(kept):
                found.append((rack, kept))
        return found

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

    def _leave(self, pile: Pile, some: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Parts:
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
            slots = self._ledger.find([(paths[i].enterprise, paths[i].point) for i in used.tolist()])
            known = slots >= 0
            some, list_id = self._racks.of_slots(slots[known])
            last = last[known][some]
            found.append(Spans(list_id, np.full(len(list_id), message), last, last))
        return _joined(found)


def _alone(rack: Rack, swath: Swath, messages: Ints, asked: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which of the asked messages have no row at a time that its list has already, in the rack or in the batch."""
    if not asked.any():
        return asked
    count = int(swath.message.max()) + 1
    sound, wanted, taken = (np.zeros(count, bool) for _ in range(3))
    sound[messages], wanted[messages[asked]] = True, True
    rows = sound[swath.message]
    number, at, message = swath.rows["number"][rows], swath.rows["read_at_ms"][rows], swath.message[rows]
    _, place, times = np.unique(
        at + (number.astype(np.int64) << TIME_BITS), return_inverse=True, return_counts=True
    )
    some = wanted[message]
    held = rack.find(number[some], at[some]) >= 0
    taken[message[some][held | (times[place[some]] > 1)]] = True
    return asked & ~taken[messages]


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
