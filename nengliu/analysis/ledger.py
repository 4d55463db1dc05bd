"""Ledger: the readings of one shard, sorted, one per (point, time, origin), who speaks first going first.

Merging a block settles duplicates and conflicts exactly as if its readings had come one
by one: of two values for one key the larger source sequence wins (equal sequence: the
larger ticks), an equal value is a duplicate.  The ledger holds every reading of a slot
from `known_from` on, and the last one before it; what it does not hold it asks of a
loader, which must not return anything newer than the shard has reached (law 7).
Source: docs/decisions/0005; laws 2, 3 and 7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.sorted import Columns, Keys, Sorted, compact, starts_of
from nengliu.domain.quality import SPEAKS_FIRST
from nengliu.domain.times import DAY_MS, day_of, day_start
from schemas.block import Block, Verdict

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Slots = npt.NDArray[np.int32]
Loader = Callable[[list[tuple[str, str]], Ints, int], Block | None]
"""``loader(points, from_ms, before_position)``: readings of each point from its time on, and the last before."""

COLUMNS = {
    "ticks": "i8",
    "quality": "u1",
    "reason": "u2",
    "received_at_s": "i8",
    "sequence": "u8",
    "position": "u8",
}
AS_SENT = {"sent": "i8", "sent_unit": "u2"}
ORIGIN_BITS = 3
TIME_BITS = 42
MAX_SLOTS = 2 ** (64 - ORIGIN_BITS - TIME_BITS)
ALL_KNOWN = -(2**62)
UNKNOWN = 2**62
_ORIGINS = np.array([*SPEAKS_FIRST, *(n for n in range(2**ORIGIN_BITS) if n not in SPEAKS_FIRST)], np.uint8)
_RANKS = np.argsort(_ORIGINS).astype(np.uint64)
"""Rank of each origin: of several at one instant the lowest rank counts."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Outcome of a merge: a verdict per reading, and the rows that lost their place."""

    verdict: npt.NDArray[np.uint8]
    repeated: npt.NDArray[np.bool_]  # an equal value that came with another receipt than the one that stands
    accepted_keys: Keys  # distinct and ascending, of new and replaced readings
    raised_keys: Keys  # the same of those that only got a later sequence
    superseded_keys: npt.NDArray[np.uint64]
    superseded: Columns
    displaced: npt.NDArray[np.bool_]  # of the superseded: it stood until now, rather than lost on arrival


def key_of(slot: Array, at_ms: Array, origin: Array | int = 0) -> npt.NDArray[np.uint64]:
    """Pack slot, time [ms] and rank of the origin into one sortable number."""
    high = slot.astype(np.uint64) << np.uint64(TIME_BITS + ORIGIN_BITS)
    return high | at_ms.astype(np.uint64) << np.uint64(ORIGIN_BITS) | rank_of(origin)


def rank_of(origin: Array | int) -> npt.NDArray[np.uint64]:
    """Place of each origin in the order in which they speak."""
    found: npt.NDArray[np.uint64] = _RANKS.take(origin)  # twice as fast as an index
    return found


def slot_of(key: npt.NDArray[np.uint64]) -> Slots:
    """Slot packed in each key."""
    return (key >> np.uint64(TIME_BITS + ORIGIN_BITS)).astype(np.int32)


def at_of(key: npt.NDArray[np.uint64]) -> Ints:
    """Time [ms] packed in each key."""
    return ((key >> np.uint64(ORIGIN_BITS)) & np.uint64(2**TIME_BITS - 1)).astype(np.int64)


def origin_of(key: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Origin packed in each key."""
    return _ORIGINS.take((key & np.uint64(2**ORIGIN_BITS - 1)).view(np.int64))


@dataclass(frozen=True, slots=True)
class _Aside:
    """Readings that `_trim` forgot, held until everything up to position `until` is surely stored."""

    until: int
    keys: Keys
    columns: Columns


class Ledger:
    """Readings of a shard as sorted columns; see the head of this file."""

    def __init__(
        self,
        loader: Loader | None = None,
        keep_ms: int = DAY_MS,
        max_rows: int = 200_000,
        *,
        as_sent: bool = True,
    ) -> None:
        """Start empty; beyond `max_rows` only the newest `keep_ms` stay; `as_sent`: keep the sender's values too."""
        self.loader, self.keep_ms, self.max_rows = loader, keep_ms, max_rows
        self.points: list[tuple[str, str]] = []
        self.units: list[tuple[str, int]] = []
        self.dtypes = COLUMNS | AS_SENT if as_sent else COLUMNS
        self.rows = Sorted(self.dtypes)
        self.known_from: Ints = np.empty(0, np.int64)
        self._room: Ints = np.empty(64, np.int64)
        self._slots: dict[tuple[str, str], int] = {}
        self._units: dict[tuple[str, int], int] = {}
        self.stored = -1  # positions below are surely stored, and this shard's past: they may be loaded
        self._sealed = self._open = 0
        self._aside: list[_Aside] = []
        self._raised: list[tuple[int, Keys]] = []  # their position does not tell that they changed
        self._trim_beyond = max_rows

    def slot(self, point: tuple[str, str]) -> int:
        """Number of a point within this shard, given at first sight."""
        found = self._slots.get(point)
        if found is None:
            found = self._slots[point] = len(self.points)
            if found >= MAX_SLOTS:
                msg = f"expected at most {MAX_SLOTS} points in a shard; use more partitions"
                raise OverflowError(msg)
            self.points.append(point)
            if found == len(self._room):
                self._room = np.append(self._room, np.empty(found, np.int64))
            self._room[found] = UNKNOWN if self.loader else ALL_KNOWN
            self.known_from = self._room[: found + 1]
        return found

    def slots(self, points: tuple[tuple[str, str], ...]) -> Slots:
        """Numbers of several points."""
        return np.array([self.slot(point) for point in points], np.int32)

    def find(self, points: Sequence[tuple[str, str]]) -> Slots:
        """Numbers of points as far as they have one, else -1."""
        return np.array([self._slots.get(point, -1) for point in points], np.int32)

    def merge(self, block: Block, slot: Slots | None = None) -> Merge:
        """Take a block in, in log order, with the slots of its readings if they are known; `Merge` is the answer."""
        if slot is None:
            slot = self.slots(block.points)[block.slot] if len(block) else block.slot
        if len(block):
            self.reach(int(block.position.min()))
        self._trim()
        self._know_for(slot, block.read_at_ms)
        keys = key_of(slot, block.read_at_ms, block.origin)
        columns = self._columns_of(block)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        merged = self._settle(keys, {name: column[order] for name, column in columns.items()})
        accepted = keys[merged.verdict <= Verdict.REPLACED]
        raised = keys[merged.verdict == Verdict.RAISED]
        verdict, repeated = np.empty(len(block), np.uint8), np.empty(len(block), bool)
        verdict[order], repeated[order] = merged.verdict, merged.repeated
        if len(block):
            self.took(int(block.position.max()))
        accepted, raised = accepted[starts_of(accepted)], raised[starts_of(raised)]
        if len(raised):
            self._raised.append((self._open, raised))
        return replace(merged, verdict=verdict, repeated=repeated, accepted_keys=accepted, raised_keys=raised)

    def absorb(self, keys: Keys, columns: Columns) -> None:
        """Take in readings, distinct and all of one's own, that were kept elsewhere until now."""
        order = np.argsort(keys, kind="stable")
        self._settle(keys[order], {name: columns[name][order] for name in self.dtypes})

    def unit(self, unit: tuple[str, int]) -> int:
        """Number of a unit and its decimals as sent, given at first sight."""
        if unit not in self._units:
            self._units[unit] = len(self.units)
            self.units.append(unit)
        return self._units[unit]

    def newest(self, slots: Slots) -> Ints:
        """Time [ms] of the newest reading held of each slot, or -1; all but older ones are held (see `know`)."""
        if not len(self.rows.keys):
            return np.full(len(slots), -1, np.int64)
        last = key_of(slots, np.full(len(slots), 2**TIME_BITS - 1), 2**ORIGIN_BITS - 1)
        place = np.searchsorted(self.rows.keys, last, side="right") - 1
        key = self.rows.keys[np.maximum(place, 0)]
        return np.where((place >= 0) & (slot_of(key) == slots), at_of(key), -1)

    def forgot(self, slots: Slots, before_ms: int) -> None:
        """Learn that readings of `slots` before an instant are held no more where they were kept beside."""
        self.known_from[slots] = np.maximum(self.known_from[slots], before_ms)

    def reach(self, position: int) -> None:
        """Learn where this run of the shard begins; only the first call counts."""
        if self.stored < 0:
            self.stored = position

    def took(self, position: int) -> None:
        """Learn that readings up to a position were taken in since the epoch began, here or beside."""
        self._open = max(self._open, position)

    def know(self, slots: Slots, from_ms: Ints) -> None:
        """Make sure every reading of `slots` from `from_ms` on, and the one before, is held."""
        missing = self.known_from[slots] > from_ms
        if not missing.any() or self.loader is None:
            return
        slots, from_ms = slots[missing], from_ms[missing]
        points = [self.points[slot] for slot in slots.tolist()]
        found = self.loader(points, from_ms, self.stored)
        earliest = np.full(len(self.points), UNKNOWN, np.int64)
        parts = [(aside.keys, aside.columns) for aside in self._aside]
        if found is not None and len(found):
            at_slot = self.slots(found.points)[found.slot]
            parts.insert(0, (key_of(at_slot, found.read_at_ms, found.origin), self._columns_of(found)))
        for keys, columns in parts:
            wanted = np.isin(slot_of(keys), slots)
            order = np.flatnonzero(wanted)[np.lexsort((columns["position"][wanted], keys[wanted]))]
            np.minimum.at(earliest, slot_of(keys[order]), at_of(keys[order]))
            self._settle(keys[order], {name: column[order] for name, column in columns.items()})
        # with a reading before the wanted time there may be more of them; without one there is nothing to know
        self.known_from[slots] = np.where(earliest[slots] < from_ms, from_ms, ALL_KNOWN)

    def seal(self) -> None:
        """End an epoch: what came before the last one is surely stored and need not be held."""
        ready, self._sealed = self._sealed, self._open
        self.stored = max(self.stored, ready + 1 if ready else self.stored)
        self._aside = [aside for aside in self._aside if aside.until > ready]
        self._raised = [(until, keys) for until, keys in self._raised if until > ready]

    def _trim(self) -> None:
        """Put readings before the horizon aside, but for each slot's last; `know` finds them again."""
        if self.loader is None or len(self.rows.keys) <= self._trim_beyond:
            return
        at, slot = at_of(self.rows.keys), slot_of(self.rows.keys)
        horizon = int(day_start(day_of(at.max(keepdims=True) - self.keep_ms))[0])
        old = at < horizon
        last_old = old & np.append(~old[1:] | (slot[1:] != slot[:-1]), True)
        drop = old & ~last_old
        touched, _ = compact(slot[drop])
        self.known_from[touched] = np.maximum(self.known_from[touched], horizon)
        unsure = self.rows.columns["position"] >= np.uint64(max(self.stored, 0))
        for _, raised in self._raised:
            unsure |= np.isin(self.rows.keys, raised)
        unsure &= drop
        columns = {name: column[unsure] for name, column in self.rows.columns.items()}
        self._aside.append(_Aside(self._open, self.rows.keys[unsure], columns))
        self.rows.keep(~drop)
        self._trim_beyond = max(self.max_rows, 2 * len(self.rows.keys))

    def _know_for(self, slot: Slots, at_ms: Ints) -> None:
        if self.loader is None or not len(slot):
            return
        first = np.full(len(self.points), UNKNOWN, np.int64)
        np.minimum.at(first, slot, at_ms)
        seen = np.flatnonzero(first < UNKNOWN).astype(np.int32)
        self.know(seen, day_start(day_of(first[seen])))

    def _columns_of(self, block: Block) -> Columns:
        columns: Columns = {name: getattr(block, name) for name in self.dtypes}
        if "sent_unit" not in columns:
            return columns
        codes = np.array([self.unit(unit) for unit in block.units], np.uint16)
        columns["sent_unit"] = codes[block.sent_unit] if len(block) else block.sent_unit
        return columns

    def _settle(self, keys: npt.NDArray[np.uint64], columns: Columns) -> Merge:
        """Merge readings sorted by (key, log order)."""
        place = np.searchsorted(self.rows.keys, keys)
        inside = np.minimum(place, max(len(self.rows.keys) - 1, 0))
        stands = (self.rows.keys[inside] == keys) if len(self.rows.keys) else np.zeros(len(keys), bool)
        again = np.zeros(len(keys), bool)
        again[1:] = keys[1:] == keys[:-1]
        verdict = np.zeros(len(keys), np.uint8)
        same = (
            stands & (self.rows.columns["ticks"][inside] == columns["ticks"])
            if len(self.rows.keys)
            else stands
        )
        plain = (
            same & ~(columns["sequence"] > self.rows.columns["sequence"][inside])
            if len(self.rows.keys)
            else same
        )
        group = again | np.append(again[1:], False)
        easy = np.flatnonzero(plain & ~group)
        verdict[easy] = Verdict.DUPLICATE
        repeated = np.zeros(len(keys), bool)
        standing = self.rows.columns["received_at_s"][inside[easy]]
        repeated[easy] = standing != columns["received_at_s"][easy]
        fresh = ~stands & ~again
        hard = np.flatnonzero((stands | again) & ~(plain & ~group))
        self.rows.insert(place[fresh], keys[fresh], {name: column[fresh] for name, column in columns.items()})
        return self._argue(hard, keys, columns, verdict, repeated)

    def _argue(
        self,
        hard: npt.NDArray[np.intp],
        keys: npt.NDArray[np.uint64],
        columns: Columns,
        verdict: npt.NDArray[np.uint8],
        repeated: npt.NDArray[np.bool_],
    ) -> Merge:
        """Settle, one by one, the few readings whose key was taken."""
        lost_keys: list[int] = []
        lost: dict[str, list[int]] = {name: [] for name in self.dtypes}
        displaced: list[bool] = []
        for i, at in zip(hard.tolist(), np.searchsorted(self.rows.keys, keys[hard]).tolist(), strict=True):
            new = {name: int(columns[name][i]) for name in self.dtypes}
            old = {name: int(self.rows.columns[name][at]) for name in self.dtypes}
            verdict[i] = judge(new, old)
            repeated[i] = new["ticks"] == old["ticks"] and new["received_at_s"] != old["received_at_s"]
            if verdict[i] == Verdict.RAISED:
                self.rows.columns["sequence"][at] = new["sequence"]
            if verdict[i] in (Verdict.REPLACED, Verdict.LOST):
                loser = old if verdict[i] == Verdict.REPLACED else new
                lost_keys.append(int(keys[i]))
                displaced.append(loser is old)
                for name in self.dtypes:
                    lost[name].append(loser[name])
            if verdict[i] == Verdict.REPLACED:
                for name in self.dtypes:
                    self.rows.columns[name][at] = new[name]
        superseded: Columns = {n: np.array(lost[n], d) for n, d in self.dtypes.items()}
        lost_at, stood = np.array(lost_keys, np.uint64), np.array(displaced, bool)
        return Merge(verdict, repeated, keys[:0], keys[:0], lost_at, superseded, stood)


def judge(new: dict[str, int], old: dict[str, int]) -> Verdict:
    """Decide between two readings of one key (law 2).

    >>> judge({"ticks": 5, "sequence": 9}, {"ticks": 4, "sequence": 7}).name
    'REPLACED'
    """
    if new["ticks"] == old["ticks"]:
        return Verdict.RAISED if new["sequence"] > old["sequence"] else Verdict.DUPLICATE
    later = (new["sequence"], new["ticks"]) > (old["sequence"], old["ticks"])
    return Verdict.REPLACED if later else Verdict.LOST
