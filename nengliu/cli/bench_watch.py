"""The bench of the rules: readings per CPU-second of the watch alone, over a province's days with a few faults in them.

Forty plants of ten registers, read every quarter of an hour; one message per plant and day, a hundred
messages to a block, as a told history comes.  One plant in ten has a fault each day, of seven kinds in turn.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.watch.shard import WatchShard
from nengliu.domain.points import Kind, Meter, Point
from schemas.block import Block, join
from schemas.messages import Notice, PointNotice, WiredLine, WiredMeter, WiringNotice

PLANTS, POINTS, QUARTERS, PER_BLOCK = 40, 10, 96, 100
START_S = 1_735_660_800
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class WatchResult:
    """What the watch took in, in which time, and what it said."""

    readings: int
    cpu_s: float
    live_ms: float
    rows: int

    def line(self) -> str:
        """The figures as a sentence."""
        rate = self.readings / self.cpu_s
        said = f"{self.readings:,} readings, {self.rows:,} rows of incidents and journal"
        return f"Watch alone: **{rate:,.0f}** readings/CPU-s ({said}); {self.live_ms:.2f} ms per live message of 10."


def measure_watch(days: int) -> WatchResult:
    """Let the watch take some days of the province in, and then an hour of live messages."""
    shard, position = WatchShard(Catalogue()), 0
    for notice in _catalogue():
        position += 1
        shard.take(notice, position)
    blocks = list(_blocks(days, position + 1))
    began = time.process_time()
    rows = sum(len(rows) for block in blocks for rows in shard.add(block))
    cpu_s = time.process_time() - began
    live = list(_live(days, int(blocks[-1].position[-1]) + 1))
    began = time.process_time()
    for block in live:
        shard.add(block)
    live_ms = (time.process_time() - began) / len(live) * 1000
    return WatchResult(sum(map(len, blocks)), cpu_s, live_ms, rows)


def _code(plant: int) -> str:
    return f"9199000000000000{plant:02d}"


def _catalogue() -> Iterator[Notice]:
    for plant in range(PLANTS):
        names = [f"p{i}" for i in range(POINTS)]
        for name in names:
            meter = Meter(0, "kWh", 2, modulus=10**9)
            yield PointNotice(
                Point(
                    _code(plant),
                    name,
                    name,
                    Kind.COUNTER,
                    "electricity",
                    "kWh",
                    2,
                    meters=(meter,),
                    rated=4000,
                )
            )
        yield WiringNotice(
            _code(plant), "gateway", (WiredLine("line", tuple(WiredMeter(n, (n,)) for n in names)),)
        )


def _blocks(days: int, position: int) -> Iterator[Block]:
    rng = np.random.default_rng(0)
    register = rng.integers(0, 10**8, (PLANTS, POINTS))
    waiting: list[Block] = []
    for day in range(days):
        for plant in range(PLANTS):
            steps = rng.integers(50, 700, (QUARTERS, POINTS))
            kept = _fault(steps, int(rng.integers(7)) if (plant + day) % 10 == 0 else 7)
            values = register[plant] + np.cumsum(steps, axis=0)
            register[plant] = values[-1]
            at_s = START_S + (day * QUARTERS + np.arange(QUARTERS)) * 900
            waiting.append(_message(plant, position, at_s, values, kept))
            position += 1
            if len(waiting) == PER_BLOCK:
                yield join(waiting)
                waiting = []
    if waiting:
        yield join(waiting)


def _fault(steps: Ints, kind: int) -> Bools:
    """Change a day's steps by a fault, and say which readings come: gap, outage, loss, frozen, jump, backward, rest."""
    kept = np.ones(steps.shape, bool)
    if kind == 0:
        kept[30:50, 3] = False
    elif kind == 1:
        kept[30:50] = False
    elif kind == 2:
        kept[20:70:3, 2] = False
    elif kind == 3:
        steps[30:60, 1] = 0
    elif kind == 4:
        steps[40, 5] = 900_000
    elif kind == 5:
        steps[40, 5] = -3_000
    elif kind == 6:
        steps[20:60] = 0
    return kept


def _message(plant: int, position: int, at_s: Ints, values: Ints, kept: Bools) -> Block:
    n = int(kept.sum())
    row, column = np.nonzero(kept)
    return Block(
        points=tuple((_code(plant), f"p{i}") for i in range(POINTS)),
        slot=column.astype(np.int32),
        read_at_ms=at_s[row] * 1000,
        ticks=values[row, column],
        quality=np.zeros(n, np.uint8),
        reason=np.zeros(n, np.uint16),
        origin=np.zeros(n, np.uint8),
        received_at_s=at_s[row] + 5,
        sequence=np.full(n, position, np.uint64),
        position=np.full(n, position, np.uint64),
        sent=values[row, column],
        units=(("kWh", 2),),
        sent_unit=np.zeros(n, np.uint16),
        verdict=np.zeros(n, np.uint8),
    )


def _live(days: int, position: int) -> Iterator[Block]:
    """Messages of one plant each, every 20 s."""
    for i in range(500):
        plant, turn = i % PLANTS, i // PLANTS
        at_s = np.array([START_S + days * QUARTERS * 900 + turn * 20])
        values = np.full((1, POINTS), 5 * 10**8 + turn)
        yield _message(plant, position + i, at_s, values, np.ones((1, POINTS), bool))
