"""Racks of one shard: which frames hold plain rows that are surely new, and where those rows are kept.

A row is new without a search if it lies beyond everything that was ever said of its points: each list has a
`front`, at least the newest time accepted for any of its points.  What is not beyond is settled by the ledger,
reading by reading; before that the rows kept here of the points it speaks of are lifted into the ledger, so that
a key is always found in one place.  An hour is whole in its rack from `mixed` on: before, the ledger has (or may
have) some of its readings.
Source: docs/decisions/0023; laws 2 and 7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nengliu.analysis.intake.candidates import Path
from nengliu.analysis.intake.chunks import Vocabulary
from nengliu.analysis.intake.plain import Listing, listing_of
from nengliu.analysis.intake.rack import Laid, Rack, Swath
from nengliu.analysis.ledger import TIME_BITS, Ledger
from nengliu.analysis.sorted import compact
from nengliu.domain.times import HOUR_MS, day_of, day_start
from schemas.messages import Frame

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Slots = npt.NDArray[np.int32]
Key = tuple[int, int]
"""Schema and origin, within an enterprise."""
MOST = 8_000_000
"""Readings beyond which only this hour and the one before stay: of a million points a day would be a gigabyte."""
_NEVER = -1
_UNMET = -2
"""Front of a list whose points were not asked for yet."""


class Place(NamedTuple):
    """Where a list is: its rack, its number there, its number among all."""

    rack: Rack
    number: int
    id: int


@dataclass(frozen=True, slots=True)
class Spans:
    """What some messages span of some lists: number of the list, order of the message, first and last time [ms]."""

    list_id: Ints
    message: Ints
    first_ms: Ints
    last_ms: Ints


class Racks:
    """All racks of a shard, beside its ledger."""

    def __init__(self, ledger: Ledger) -> None:
        """Keep rows beside a ledger, as long as it does."""
        self._ledger = ledger
        self._racks: dict[tuple[int, int, bool], Rack] = {}
        self._known: dict[str, dict[Key, Place]] = {}
        self._places: dict[str, dict[Key, Place | None]] = {}
        self._all: list[Place] = []
        self._home = np.empty(0, np.int32)  # first list of each slot of the ledger, or -1
        self._others: dict[int, list[int]] = {}  # lists of a slot beyond its first
        self._siblings: dict[int, set[int]] = {}  # lists that share a slot
        self.most = MOST
        self._trim_beyond = ledger.max_rows
        self.front = np.empty(0, np.int64)
        self.mixed = np.empty(0, np.int64)
        self._words = Vocabulary((), (), ())
        self._enterprises: dict[str, int] = {}
        self._names: dict[str, int] = {}

    # -- lists ---------------------------------------------------------------------------------------------------

    def forget(self, enterprise: str) -> None:
        """Work the lists of an enterprise out anew: the catalogue has changed."""
        self._places.pop(enterprise, None)

    def place(self, frame: Frame, columns: Callable[[Frame], list[Path]]) -> Place | None:
        """Where the list of a frame is, if it can be taken whole; `columns` are asked for at first sight."""
        places = self._places.setdefault(frame.enterprise, {})
        key = frame.schema, frame.origin
        if key not in places:
            places[key] = self._meet(frame, listing_of(columns(frame)))
        return places[key]

    def _meet(self, frame: Frame, listing: Listing | None) -> Place | None:
        """Take in what the catalogue says now of the list of a frame."""
        place = self._known.get(frame.enterprise, {}).get((frame.schema, frame.origin))
        if listing is None:
            return None
        if place is not None and place.rack.converted == listing.converted:
            place.rack.revise(place.number, listing)
            return place
        if place is not None:
            self.lift(np.array([place.id]))
        return self._enter(frame, listing)

    def _enter(self, frame: Frame, listing: Listing) -> Place:
        key = len(listing.points), int(frame.origin), listing.converted
        rack = self._racks.get(key)
        if rack is None:
            rack = self._racks[key] = Rack(key[0], frame.origin, converted=key[2])
        slots, list_id = self._ledger.slots(listing.points), len(self._all)
        columns = {
            "id": np.array(list_id),
            "enterprise": np.array(self._enterprises.setdefault(frame.enterprise, len(self._enterprises))),
            "slots": slots,
            "names": np.array([self._names.setdefault(p, len(self._names)) for _, p in listing.points]),
            "units": np.array([self._ledger.unit(unit) for unit in listing.units]),
        }
        place = Place(rack, rack.enter(listing, columns), list_id)
        self._all.append(place)
        self._known.setdefault(frame.enterprise, {})[frame.schema, frame.origin] = place
        self.front = np.append(self.front, _UNMET)
        self.mixed = np.append(self.mixed, 0)
        self._house(slots, list_id)
        return place

    def _house(self, slots: Slots, list_id: int) -> None:
        """Note which points a list has, and which lists share one with it."""
        room = len(self._ledger.points)
        if room > len(self._home):
            self._home = np.append(self._home, np.full(2 * room - len(self._home), -1, np.int32))
        for slot in slots[self._home[slots] >= 0].tolist():
            for other in (int(self._home[slot]), *self._others.get(slot, ())):
                self._siblings.setdefault(list_id, set()).add(other)
                self._siblings.setdefault(other, set()).add(list_id)
            self._others.setdefault(slot, []).append(list_id)
        self._home[slots[self._home[slots] < 0]] = list_id

    def of_slots(self, slots: Slots) -> tuple[Ints, Ints]:
        """Every list of every slot: the place of the slot, the number of the list."""
        home = np.full(len(slots), -1, np.int32)
        inside = slots < len(self._home)
        home[inside] = self._home[slots[inside]]
        place = np.flatnonzero(home >= 0)
        if not self._others:
            return place, home[place].astype(np.int64)
        more = [(i, other) for i in place.tolist() for other in self._others.get(int(slots[i]), ())]
        extra = np.array(more, np.int64).reshape(-1, 2)
        return np.append(place, extra[:, 0]), np.append(home[place].astype(np.int64), extra[:, 1])

    def _with_siblings(self, list_ids: Ints) -> Ints:
        found = set(list_ids.tolist())
        if self._siblings:
            found |= {other for one in list_ids.tolist() for other in self._siblings.get(one, ())}
        return np.array(sorted(found), np.int64)

    def words(self) -> Vocabulary:
        """Words of all labels as of now."""
        held = self._words
        known = self._enterprises, self._names, self._ledger.units
        if list(map(len, known)) != list(map(len, (held.enterprises, held.names, held.units))):
            self._words = Vocabulary(tuple(known[0]), tuple(known[1]), tuple(known[2]))
        return self._words

    # -- what is new ---------------------------------------------------------------------------------------------

    def beyond(self, asked: Spans, barriers: Spans) -> tuple[Bools, Bools]:
        """Which of the `asked` are new for their time alone, and which may be new among the rows of their list.

        The first lie beyond the front and everything earlier in the batch, asked or barrier; the second where all
        that is held of their points lies in one rack, and beyond the barriers.  `asked` has sound times in order;
        the fate of none of them decides over another.
        """
        self._ask(asked)
        others = [barriers, self._shared(asked)]
        front = np.maximum(_reached(asked, asked.last_ms, others), self.front[asked.list_id])
        beyond = asked.first_ms > front
        if beyond.all():
            return beyond, ~beyond
        others_ms = _reached(asked, np.full(len(beyond), _NEVER), others)
        among = (asked.first_ms >= self.mixed[asked.list_id]) & (asked.first_ms > others_ms)
        return beyond, among

    def _shared(self, asked: Spans) -> Spans:
        """What frames span of the lists that share points with theirs."""
        some = [
            (other, i)
            for i, one in enumerate(asked.list_id.tolist() if self._siblings else ())
            for other in self._siblings.get(one, ())
        ]
        other, i = np.array(some, np.int64).reshape(-1, 2).T
        return Spans(other, asked.message[i], asked.first_ms[i], asked.last_ms[i])

    def _ask(self, asked: Spans) -> None:
        """Learn the front of lists that are met for the first time; their points are asked of the loader at once."""
        new = self.front[asked.list_id] == _UNMET
        if not new.any():
            return
        list_ids, place = compact(asked.list_id[new])
        first = np.full(len(list_ids), 2**TIME_BITS)
        np.minimum.at(first, place, asked.first_ms[new])
        self.know(list_ids, first)
        for one in list_ids.tolist():
            rack, number, _ = self._all[one]
            newest = int(self._ledger.newest(rack.lists["slots"][number]).max())
            for other in self._siblings.get(one, ()):
                newest = max(newest, int(self.front[other]))
            self.front[one] = max(newest, _NEVER)
            self.mixed[one] = max(self.mixed[one], _hour_after(newest))

    def fetch(self, list_ids: Ints, first_ms: int) -> None:
        """Bring all readings of lists from a day on into the ledger, and of those that share points with them."""
        list_ids = self._with_siblings(list_ids)
        self.know(list_ids, np.full(len(list_ids), first_ms))
        self.lift(list_ids)

    def know(self, list_ids: Ints, first_ms: Ints) -> None:
        """Make sure that the ledger holds the readings of the lists' points from a day on that are not kept here."""
        slots = [
            rack.lists["slots"][number] for rack, number, _ in map(self._all.__getitem__, list_ids.tolist())
        ]
        start = np.repeat(day_start(day_of(first_ms)), [len(some) for some in slots])
        slot, place = compact(np.concatenate(slots))
        first = np.full(len(slot), 2**TIME_BITS)
        np.minimum.at(first, place, start)
        self._ledger.know(slot.astype(np.int32), first)

    def put(self, rack: Rack, swath: Swath) -> Laid:
        """Keep rows that are new; say where they lie."""
        laid = rack.put(swath)
        self._ledger.took(int(swath.rows["position"][-1]))
        list_id = rack.lists["id"][swath.rows["number"]]
        np.maximum.at(self.front, list_id, swath.rows["read_at_ms"])
        for one in set(list_id.tolist()) & self._siblings.keys():
            for other in self._siblings[one]:
                self._reach(np.array([other]), self.front[[one]])
        return laid

    # -- the ledger's side ---------------------------------------------------------------------------------------

    def lift(self, list_ids: Ints) -> None:
        """Bring the rows of lists, and of those that share points with them, into the ledger."""
        list_ids = self._with_siblings(list_ids)
        by_rack: dict[int, list[Place]] = {}
        for place in map(self._all.__getitem__, list_ids.tolist()):
            if place.rack.lists["last"][place.number] >= 0:
                by_rack.setdefault(id(place.rack), []).append(place)
        for places in by_rack.values():
            self._ledger.absorb(*places[0].rack.lift(np.array([place.number for place in places])))
            mine = np.array([place.id for place in places])
            self.mixed[mine] = np.maximum(self.mixed[mine], _hour_after(self.front[mine]))

    def reached(self, slots: Slots, at_ms: Ints) -> None:
        """Learn of readings that the ledger has taken."""
        slot, place = compact(slots)
        newest = np.full(len(slot), _NEVER)
        np.maximum.at(newest, place, at_ms)
        some, list_id = self.of_slots(slot.astype(np.int32))
        self._reach(list_id, newest[some])

    def _reach(self, list_id: Ints, at_ms: Ints) -> None:
        met = self.front[list_id] != _UNMET
        np.maximum.at(self.front, list_id[met], at_ms[met])
        np.maximum.at(self.mixed, list_id, _hour_after(at_ms))

    def trim(self) -> None:
        """Forget what is surely stored and a while behind the newest, if there is much of it; places change."""
        ledger = self._ledger
        for rack in self._racks.values():
            rack.tidy()
        if ledger.loader is None or self._held() <= self._trim_beyond:
            return
        newest = int(self.front.max())
        self._forget_before(int(day_start(day_of(np.array([newest - ledger.keep_ms])))[0]))
        if self._held() > self.most:
            self._forget_before(newest // HOUR_MS * HOUR_MS - HOUR_MS)
        self._trim_beyond = max(ledger.max_rows, 2 * self._held())

    def _held(self) -> int:
        """Count the readings held."""
        return sum(map(len, self._racks.values()))

    def _forget_before(self, horizon_ms: int) -> None:
        """Forget what was read before an instant and is surely stored."""
        for rack in self._racks.values():
            gone = rack.drop(horizon_ms, self._ledger.stored)
            some = gone >= 0
            list_id = rack.lists["id"][some]
            self.mixed[list_id] = np.maximum(self.mixed[list_id], _hour_after(gone[some]))
            self._ledger.forgot(np.unique(rack.lists["slots"][some]), horizon_ms)


def _reached(asked: Spans, last_ms: Ints, others: list[Spans]) -> Ints:
    """Newest time that was reached before each of the asked in its list, by asked (as `last_ms` says) and others."""
    n, parts = len(asked.list_id), [asked, *others]
    own, message = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("list_id", "message")
    )
    last = np.concatenate([last_ms, *(part.last_ms for part in others)])
    order = np.lexsort((message, own))
    starts = np.append(True, own[order][1:] != own[order][:-1])
    group = np.cumsum(starts) << (TIME_BITS + 1)
    reached = np.maximum.accumulate(group + np.clip(last[order], _NEVER, 2**TIME_BITS)) - group
    before = np.empty(len(order), np.int64)
    before[order] = np.where(starts, _NEVER, np.append(_NEVER, reached[:-1]))
    return before[:n]


def _hour_after(at_ms: npt.ArrayLike) -> Ints:
    """End of the hour that holds an instant [ms]; 0 for none."""
    return np.asarray((np.asarray(at_ms) // HOUR_MS + 1) * HOUR_MS)
