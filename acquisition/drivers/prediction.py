"""How long the questions of a line take, from the length of their frames and the speed of the line.

Every character is 11 bits; between request and answer a meter thinks, between two exchanges
the line rests.  Source: protocols 5.2 (the table, which the tests reproduce).
"""

from __future__ import annotations

from acquisition.codecs.exchange import Block
from acquisition.drivers.config import Line, Meter
from acquisition.drivers.half_duplex import CHARACTER_BITS, GAP_MS

REPLY_MS = 200
"""What a typical meter takes before it answers; DL/T 645 allows 20 to 500 ms."""
TCP_MS = 20
"""What an exchange over Modbus TCP takes on a network of a plant; measured on loopback: 0.4 ms."""


def exchange_ms(line: Line, block: Block, reply_ms: int = REPLY_MS) -> float:
    """Predict one exchange [ms]."""
    if line.kind in ("modbus-tcp", "opcua"):
        return TCP_MS + line.pause_ms
    characters = block.request_bytes + block.answer_bytes
    return characters * CHARACTER_BITS * 1000 / line.baud + reply_ms + max(GAP_MS, line.pause_ms)


def meter_ms(line: Line, meter: Meter, reply_ms: int = REPLY_MS) -> float:
    """Predict what one slot of a meter takes [ms]."""
    return sum(exchange_ms(line, block, reply_ms) for block in meter.blocks())


def cycle_ms(line: Line, reply_ms: int = REPLY_MS) -> float:
    """Predict a round of all meters of a line [ms]."""
    return sum(meter_ms(line, meter, reply_ms) for meter in line.meters)


def load(line: Line, reply_ms: int = REPLY_MS) -> float:
    """Predict which part of its time a line is busy with slots, 1 all of it; more does not fit."""
    return sum(meter_ms(line, meter, reply_ms) / (1000 * meter.interval_s) for meter in line.meters)
