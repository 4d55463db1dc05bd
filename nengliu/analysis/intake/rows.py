"""Rows of intake: readings, what lost, what was held back, and tallies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.ledger import Ledger
from nengliu.analysis.sorted import Columns, compact
from nengliu.bus import Record
from nengliu.domain.quality import Reason
from schemas.block import Block, Labels, Rows

Named = dict[str, npt.NDArray[Any] | Labels]


@dataclass(slots=True)
class Tally:
    """Count of one message, to balance: received = valid + duplicate + quarantined (law 3).

    `position` is where its readings stand in the log: later than its record, if that had to wait.
    """

    record: Record
    position: int
    source: str = ""
    received_at_s: int = 0
    received: int = 0
    quarantined: int = 0
    duplicate: int = 0
    conflicts: int = 0

    @property
    def valid(self) -> int:
        """Readings accepted."""
        return self.received - self.duplicate - self.quarantined


@dataclass(frozen=True, slots=True)
class Held:
    """Something held back: a reading, a row of a file or a whole message."""

    tally: Tally
    item: int
    reason: Reason
    point: str
    evidence: dict[str, str]
    payload: str


def reading_rows(table: str, ledger: Ledger, slots: npt.NDArray[np.int32], columns: Columns) -> Rows:
    """Rows of `reading` or `reading_superseded`; `columns` as the ledger has them, with read_at_ms and origin."""
    used, codes = compact(slots)
    pairs = [ledger.points[slot] for slot in used.tolist()]
    unit = columns["sent_unit"].astype(np.int32)
    decimals = np.array([decimals for _, decimals in ledger.units], np.uint8)
    return Rows(
        table,
        {
            "enterprise": Labels(codes, tuple(pair[0] for pair in pairs)),
            "point": Labels(codes, tuple(pair[1] for pair in pairs)),
            "read_at": columns["read_at_ms"],
            "origin": columns["origin"],
            "ticks": columns["ticks"],
            "quality": columns["quality"],
            "reason": columns["reason"],
            "received_at": columns["received_at_s"],
            "sequence": columns["sequence"],
            "position": columns["position"],
            "sent": columns["sent"],
            "sent_unit": Labels(unit, tuple(name for name, _ in ledger.units)),
            "sent_decimals": decimals[unit],
        },
    )


def newest_rows(block: Block) -> Rows:
    """Rows of `point_newest`: when each point of a block spoke first and last."""
    slots, at = compact(block.slot)
    first, last = np.full(len(slots), 2**62), np.zeros(len(slots), np.int64)
    received = np.zeros(len(slots), np.int64)
    np.minimum.at(first, at, block.read_at_ms)
    np.maximum.at(last, at, block.read_at_ms)
    np.maximum.at(received, at, block.received_at_s)
    pairs = [block.points[slot] for slot in slots.tolist()]
    return Rows(
        "point_newest",
        {
            "enterprise": labels([enterprise for enterprise, _ in pairs]),
            "point": labels([point for _, point in pairs]),
            "first_read_at": first,
            "last_read_at": last,
            "last_received_at": received,
        },
    )


def quarantine_rows(held: list[Held]) -> Rows:
    """Rows of `quarantine`."""
    return Rows(
        "quarantine",
        {
            "position": np.array([h.tally.record.position for h in held], np.uint64),
            "item": np.array([h.item for h in held], np.uint32),
            "partition": np.array([h.tally.record.partition for h in held], np.uint32),
            "enterprise": labels([h.tally.record.key for h in held]),
            "point": labels([h.point for h in held]),
            "source": labels([h.tally.source for h in held]),
            "reason": np.array([h.reason for h in held], np.uint16),
            "parameters": labels([json.dumps(h.evidence, ensure_ascii=False) for h in held]),
            "payload": labels([h.payload for h in held]),
            "received_at": np.array([h.tally.received_at_s for h in held], np.int64),
        },
    )


def intake_rows(tallies: list[Tally]) -> Rows:
    """Rows of `intake`, one per message that held readings."""
    counted = [tally for tally in tallies if tally.received]
    numbers = [
        (
            t.record.partition,
            t.record.position,
            t.received_at_s,
            t.received,
            t.duplicate,
            t.quarantined,
            t.conflicts,
        )
        for t in counted
    ]
    partition, position, received_at, received, duplicate, quarantined, conflicts = (
        zip(*numbers, strict=True) if numbers else ((),) * 7
    )
    accepted = [t.valid for t in counted]
    columns: Named = {
        "enterprise": labels([t.record.key for t in counted]),
        "source": labels([t.source for t in counted]),
        "partition": np.array(partition, np.uint32),
        "position": np.array(position, np.uint64),
        "received_at": np.array(received_at, np.int64),
        "received": np.array(received, np.uint32),
        "valid": np.array(accepted, np.uint32),
        "duplicate": np.array(duplicate, np.uint32),
        "quarantined": np.array(quarantined, np.uint32),
        "conflicts": np.array(conflicts, np.uint32),
    }
    return Rows("intake", columns)


def labels(values: list[str]) -> Labels:
    """Texts as codes and dictionary."""
    numbers = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return Labels(np.array([numbers[value] for value in values], np.int32), tuple(numbers))
