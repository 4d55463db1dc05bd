"""Sweep: a block as the detectors see it, ordered by point and within a point as it came.

Readings of one message count as one moment, ordered by their receipt, so that neither the order of
rows in a message nor the cuts of batches matter.  `Walk` follows each point's newest event time: only
readings that go beyond it speak of the meter; those behind it speak of the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.sorted import starts_of
from nengliu.analysis.watch.slots import COUNTER, PERIOD, Ints, Slots, SlotTable
from nengliu.domain.quality import Origin, Reason
from schemas.block import Block, Verdict

Bools = npt.NDArray[np.bool_]
Index = npt.NDArray[np.intp]
TIME_BITS = 42


@dataclass(frozen=True, slots=True)
class Sweep:
    """Readings of known points, by slot and, within a slot, as they came; see the head of this file.

    Attributes
    ----------
    slots
        Facts and trail of every slot, as they were before this block.
    slot, at_ms, ticks, received_s : (n,)
    quality, reason, verdict : (n,)
    index : int64 (n,)
        Place in the block in the order of the log.
    clock_s : int64 (n,)
        The enterprise's clock when the reading came: the newest receipt so far.
    timed : bool (n,)
        It came by itself, so its arrival says something: no import, nothing typed in.
    walk
        Steps of the points along their event time.
    lane, lane_rank : int64 (readings of the block,)
        Place of each reading of the block when they are ordered by enterprise; number of the enterprise there.
    lane_enterprise : int32 (enterprises in the block,)
    """

    slots: SlotTable
    slot: Slots
    at_ms: Ints
    ticks: Ints
    received_s: Ints
    quality: npt.NDArray[np.uint8]
    reason: npt.NDArray[np.uint16]
    verdict: npt.NDArray[np.uint8]
    index: Ints
    clock_s: Ints
    timed: Bools
    walk: Walk
    lane: Ints
    lane_rank: Ints
    lane_enterprise: Slots

    def fact(self, name: str) -> npt.NDArray[np.int64]:
        """Facts of each reading's point."""
        return np.asarray(self.slots.facts[name][self.slot])


@dataclass(frozen=True, slots=True)
class Walk:
    """Readings beyond everything their point had shown before, with the reading before each (`came` says if any).

    Attributes
    ----------
    slot, at_ms, ticks, clock_s, index : (m,)
    before_ms, before_ticks, before_clock_s : int64 (m,)
    came : bool (m,)
        There is a reading before, of the same meter.
    stays : bool (m,)
        It shows what the reading before showed (an interval amount never stays).
    since_ms : int64 (m,)
        When the reading before was first shown.
    delta : int64 (m,)
        Steps of the register, over a legal rollover; of an interval amount the amount, of a gauge the difference.
    """

    slot: Slots
    at_ms: Ints
    ticks: Ints
    clock_s: Ints
    index: Ints
    before_ms: Ints
    before_ticks: Ints
    before_clock_s: Ints
    came: Bools
    delta: Ints
    stays: Bools
    since_ms: Ints

    def span_ms(self) -> Ints:
        """Time a step may have taken [ms]: since the register moved last, or by the receipts if that is longer."""
        waited = np.where(self.before_clock_s >= 0, self.clock_s - self.before_clock_s, 0)
        since_ms = np.minimum(self.since_ms, self.before_ms)
        return np.asarray(np.maximum(self.at_ms - since_ms, waited * 1000))

    def last(self) -> Index:
        """Place of each slot's last row."""
        return (
            np.flatnonzero(np.append(self.slot[1:] != self.slot[:-1], True))
            if len(self.slot)
            else self.index[:0]
        )


@dataclass(frozen=True, slots=True)
class Stream:
    """A block in the order of the log, with the clock of each enterprise."""

    block: Block
    order: Index
    enterprise: npt.NDArray[np.int32]
    clock_s: Ints
    by_enterprise: Index
    rank: Ints
    first: Index

    def clocks(self) -> dict[int, tuple[Ints, Index]]:
        """Of each enterprise in the block: its clock at each of its readings, and their places."""
        bounds = [*self.first.tolist(), len(self.by_enterprise)]
        found = {}
        for start, end in pairwise(bounds):
            places = self.by_enterprise[start:end]
            found[int(self.enterprise[places[0]])] = self.clock_s[places], places
        return found


def in_stream(block: Block, enterprises: npt.NDArray[np.int32], now_s: Ints) -> Stream:
    """Order a block by message and receipt, and follow the clocks.

    Parameters
    ----------
    enterprises : int32 (points of the block,)
        Number of each point's enterprise.
    now_s : int64 (enterprises,)
        Clock of each enterprise before the block.
    """
    receipt = _receipt(block)
    order = _order(block, receipt)
    enterprise = enterprises[block.slot[order]]
    by_enterprise = np.argsort(enterprise.astype(np.uint16), kind="stable")
    first = starts_of(enterprise[by_enterprise])
    moment = receipt[order][by_enterprise]
    rank = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(moment))))
    moment[first] = np.maximum(moment[first], now_s[enterprise[by_enterprise[first]]])
    clock = np.empty(len(moment), np.int64)
    clock[by_enterprise] = running_max(rank, moment)
    return Stream(block, order, enterprise, clock, by_enterprise, rank, first)


def _receipt(block: Block) -> Ints:
    """When each reading moves the clock to [s]: an import to what it tells of, a refused receipt nowhere."""
    imported = block.origin == Origin.FILE
    refused = np.flatnonzero(block.verdict == Verdict.REFUSED)
    if not imported.any() and not len(refused):
        return block.received_at_s
    receipt = np.where(imported, block.read_at_ms // 1000, block.received_at_s)
    reason = block.reason[refused]
    stamped = block.read_at_ms[refused] > block.received_at_s[refused] * 1000
    wild = (reason == Reason.NOT_A_TIME) | ((reason == Reason.STAMP_IN_FUTURE) & ~stamped)
    receipt[refused[wild]] = -1
    return receipt


def _order(block: Block, receipt: Ints) -> Index:
    """Places of the readings by message, then by receipt, then by event time; usually they lie so already."""
    steps = np.diff(block.position.astype(np.int64)), np.diff(receipt), np.diff(block.read_at_ms)
    back = (steps[0] < 0) | ((steps[0] == 0) & ((steps[1] < 0) | ((steps[1] == 0) & (steps[2] < 0))))
    if not back.any():
        return np.arange(len(block))
    return np.lexsort((block.read_at_ms, receipt, block.position))


def running_max(rank: npt.NDArray[np.int64], values: Ints) -> Ints:
    """Newest so far within each rank; ranks ascend, values lie in ``[-1, 2**TIME_BITS)``."""
    base = rank.astype(np.int64) << TIME_BITS
    return np.asarray(np.maximum.accumulate(base + values + 1) - base - 1)


def sweep_of(stream: Stream, slots: SlotTable, numbers: Slots) -> Sweep:
    """Order a stream's readings of known points by slot; `numbers` are the slots of the block's points, -1: unknown."""
    block, order = stream.block, stream.order
    slot = numbers[block.slot[order]]
    index = np.flatnonzero(slot >= 0) if (numbers < 0).any() else np.arange(len(slot))
    index = index[_by_slot(slot[index], len(slots))]
    place = order[index]
    origin = block.origin[place]
    timed = (origin != Origin.FILE) & (origin != Origin.MANUAL)
    columns: dict[str, Any] = {
        "slot": slot[index],
        "at_ms": block.read_at_ms[place],
        "ticks": block.ticks[place],
        "received_s": block.received_at_s[place],
        "quality": block.quality[place],
        "reason": block.reason[place],
        "verdict": block.verdict[place],
        "index": index,
        "clock_s": stream.clock_s[index],
    }
    counts = (columns["verdict"] <= Verdict.REPLACED) & (origin != Origin.MANUAL)
    walk = _walk(
        slots, {name: columns[name][counts] for name in ("slot", "at_ms", "ticks", "clock_s", "index")}
    )
    lane = np.empty(len(order), np.int64)
    lane[stream.by_enterprise] = np.arange(len(order))
    lane_enterprise = stream.enterprise[stream.by_enterprise[stream.first]]
    return Sweep(
        slots=slots,
        timed=timed,
        walk=walk,
        lane=lane,
        lane_rank=stream.rank,
        lane_enterprise=lane_enterprise,
        **columns,
    )


def _by_slot(slot: Slots, size: int) -> Index:
    narrow = slot.astype(np.uint16) if size < 2**16 else slot  # 16 bits are sorted by counting
    return np.argsort(narrow, kind="stable")


def _walk(slots: SlotTable, columns: dict[str, Any]) -> Walk:
    slot = columns["slot"]
    first = starts_of(slot)
    trail = {name: slots.trail[name][slot[first]] for name in ("at_ms", "ticks", "clock_s")}
    rank = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(slot))))
    before_max = np.empty(len(slot), np.int64)
    before_max[1:] = columns["at_ms"][:-1]
    before_max[first] = trail["at_ms"]
    before_max = running_max(rank, before_max)
    ahead = columns["at_ms"] > before_max
    kept = {name: column[ahead] for name, column in columns.items()}
    start = starts_of(kept["slot"])
    seeds = rank[ahead][start]
    before = {}
    for name in ("at_ms", "ticks", "clock_s"):
        shifted = np.empty(len(kept["slot"]), np.int64)
        shifted[1:] = kept[name][:-1]
        shifted[start] = trail[name][seeds]
        before[name] = shifted
    came = (before["at_ms"] >= 0) & ~_changed(slots, kept["slot"], before["at_ms"], kept["at_ms"])
    stays = came & (kept["ticks"] == before["ticks"]) & (slots.facts["kind"][kept["slot"]] != PERIOD)
    return Walk(
        **kept,
        before_ms=before["at_ms"],
        before_ticks=before["ticks"],
        before_clock_s=before["clock_s"],
        came=came,
        delta=_delta(slots, kept, before["ticks"]),
        stays=stays,
        since_ms=_since(kept["at_ms"], stays, start, slots.trail["since_ms"][slot[first]][seeds]),
    )


def _since(at_ms: Ints, stays: Bools, start: Index, seeds: Ints) -> Ints:
    """When the value before each row was first shown; `seeds` of the slots whose rows begin at `start`."""
    since = np.empty(len(at_ms), np.int64)
    since[1:] = shown(at_ms, stays, start, seeds)[:-1]
    since[start] = seeds
    return since


def shown(values: Ints, stays: Bools, start: Index, seeds: Ints) -> Ints:
    """Of each row the value at the last row up to it that did not stay, or its slot's seed."""
    count = np.diff(np.append(start, len(values)))
    begin = np.repeat(start, count)
    anchor = np.maximum.accumulate(np.where(stays, -1, np.arange(len(values))))
    return np.where(anchor >= begin, values[anchor], np.repeat(seeds, count))


def _changed(slots: SlotTable, slot: Slots, before_ms: Ints, at_ms: Ints) -> Bools:
    """Whether another meter took over between two readings (only a point with several meters can tell)."""
    changed = np.zeros(len(slot), bool)
    several = np.flatnonzero(slots.facts["meters"][slot] > 1)
    for one in np.unique(slot[several]).tolist():
        mine = several[slot[several] == one]
        starts = slots.changes[one]
        served = (np.searchsorted(starts, at[mine], side="right") for at in (before_ms, at_ms))
        changed[mine] = np.not_equal(*served)
    return changed


def _delta(slots: SlotTable, kept: dict[str, Any], before: Ints) -> Ints:
    kind, modulus = slots.facts["kind"][kept["slot"]], slots.facts["modulus"][kept["slot"]]
    delta = np.where(kind == PERIOD, kept["ticks"], kept["ticks"] - before)
    down = np.flatnonzero((kind == COUNTER) & (delta < 0) & (modulus > 0))
    if len(down):
        top = modulus[down]
        over = (before[down] > 0.9 * top) & (kept["ticks"][down] < 0.1 * top)
        delta[down[over]] += top[over]
    return np.asarray(delta)
