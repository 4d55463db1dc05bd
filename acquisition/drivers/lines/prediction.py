"""How long the questions of a line take, from the length of their frames and the speed of the line.

Every character is 11 bits; between request and answer a meter thinks, between two exchanges
the line rests.  Source: protocols 5.2 (the table, which the tests reproduce).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from acquisition.codecs.exchange import Block
from acquisition.drivers.config import Line, Meter
from acquisition.drivers.lines.half_duplex import CHARACTER_BITS, GAP_MS, QUIET_MS

REPLY_MS = 200
"""What a typical meter takes before it answers; DL/T 645 allows 20 to 500 ms."""
NETWORK_MS = 20
"""What an exchange over a plant's network takes; assumed, on loopback 0.4 ms were measured."""
TIGHT = 0.8
"""From this load on a line has no time for second tries, dead meters and hours to fill; ours."""
INTERVALS_S = (
    1,
    2,
    5,
    10,
    15,
    20,
    30,
    60,
    120,
    300,
    600,
    900,
    1200,
    1800,
    3600,
    7200,
    14_400,
    43_200,
    86_400,
)
"""Intervals that people choose: they divide the day."""


@dataclass(frozen=True, slots=True)
class LinePlan:
    """What a line has to do.

    Parameters
    ----------
    requests, characters
        Of a round of all its meters.
    cycle_ms
        Time of that round [ms].
    load
        Part of its time that it is busy with slots; more than 1 does not fit.
    upkeep
        Part of its time that clocks and status words take beside.
    dead_ms
        What one dead meter costs a round [ms].
    """

    line: Line
    requests: int
    characters: int
    cycle_ms: float
    load: float
    upkeep: float
    dead_ms: float

    @property
    def fits(self) -> bool:
        """Whether every slot can be read."""
        return self.load <= 1

    @property
    def is_tight(self) -> bool:
        """Whether no time is left for what goes wrong."""
        return self.load + self.upkeep > TIGHT

    def longer_s(self, meter: Meter) -> int:
        """Give the interval at which the line would not be tight if all its meters had theirs so much longer [s]."""
        wanted_s = meter.interval_s * (self.load + self.upkeep) / TIGHT
        return min((one for one in INTERVALS_S if one >= wanted_s), default=INTERVALS_S[-1])


def plan_line(line: Line, reply_ms: int = REPLY_MS) -> LinePlan:
    """Predict what a line has to do."""
    blocks = [meter.blocks() for meter in line.meters]
    each_ms = [_ms(line, some, reply_ms) for some in blocks]
    upkeep_ms = sum(_ms(line, meter.map.upkeep, reply_ms) for meter in line.meters)
    characters = sum(one.request_bytes + one.answer_bytes for some in blocks for one in some)
    busy = zip(each_ms, line.meters, strict=True)
    return LinePlan(
        line,
        sum(map(len, blocks)),
        characters,
        sum(each_ms),
        sum(takes_ms / (1000 * meter.interval_s) for takes_ms, meter in busy),
        upkeep_ms / 3_600_000,
        2 * (1000 * line.timeout_s + QUIET_MS),
    )


def exchange_ms(line: Line, block: Block, reply_ms: int = REPLY_MS) -> float:
    """Predict one exchange [ms]."""
    if line.kind in ("modbus-tcp", "opcua"):
        return NETWORK_MS + line.pause_ms
    characters = block.request_bytes + block.answer_bytes
    return characters * CHARACTER_BITS * 1000 / line.baud + reply_ms + max(GAP_MS, line.pause_ms)


def _ms(line: Line, blocks: Sequence[Block], reply_ms: int) -> float:
    return sum(exchange_ms(line, block, reply_ms) for block in blocks)
