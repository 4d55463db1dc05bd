"""Access: what was refused at the door, as evidence of the way, of a clock, of a meter or of the set-up.

Source: domain.md 6.2, C4, C6 and C8; schemas/codes/reasons.csv.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nengliu.analysis.watch.sweep import Stream
from nengliu.domain.causes import Evidence
from nengliu.domain.quality import Origin, Reason
from schemas.block import Verdict

EVIDENCE = {
    Reason.TRUNCATED: Evidence.MESSAGE_DAMAGED,
    Reason.CORRUPT: Evidence.MESSAGE_DAMAGED,
    Reason.NOT_A_MESSAGE: Evidence.MESSAGE_DAMAGED,
    Reason.TOO_LARGE: Evidence.MESSAGE_DAMAGED,
    Reason.MISSING_FIELD: Evidence.MESSAGE_DAMAGED,
    Reason.BAD_FIELD: Evidence.MESSAGE_DAMAGED,
    Reason.NOT_A_NUMBER: Evidence.MESSAGE_DAMAGED,
    Reason.NOT_FINITE: Evidence.MESSAGE_DAMAGED,
    Reason.NOT_A_TIME: Evidence.MESSAGE_DAMAGED,
    Reason.EMPTY_VALUE: Evidence.MESSAGE_DAMAGED,
    Reason.RAGGED_ROW: Evidence.MESSAGE_DAMAGED,
    Reason.WRONG_VERSION: Evidence.ACCESS_REFUSED,
    Reason.UNKNOWN_SCHEMA: Evidence.ACCESS_REFUSED,
    Reason.WRONG_ENTERPRISE: Evidence.ACCESS_REFUSED,
    Reason.UNKNOWN_POINT: Evidence.POINT_UNKNOWN,
    Reason.BEFORE_POINT: Evidence.POINT_UNKNOWN,
    Reason.AFTER_POINT: Evidence.POINT_UNKNOWN,
    Reason.WRONG_UNIT: Evidence.UNIT_REFUSED,
    Reason.NOT_EXACT: Evidence.UNIT_REFUSED,
    Reason.STAMP_IN_FUTURE: Evidence.STAMP_AHEAD,
    Reason.CLOCK_STEP_BACK: Evidence.STAMP_AHEAD,
    Reason.NEGATIVE_REGISTER: Evidence.OUT_OF_RANGE,
    Reason.OVER_MODULUS: Evidence.OUT_OF_RANGE,
    Reason.OUT_OF_INT64: Evidence.OUT_OF_RANGE,
    Reason.OVER_RANGE: Evidence.OUT_OF_RANGE,
}
"""What a refusal is evidence of."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """Refused readings of one point for one reason in one message: the first, and the rest as a number.

    `at_ms` and `until_ms` are when the first and the last were received.
    """

    evidence: Evidence
    reason: Reason
    point: tuple[str, str]
    index: int
    at_ms: int
    until_ms: int
    last: int
    count: int
    ahead_s: int


def refusals(stream: Stream) -> list[Refusals]:
    """Gather what was refused in a stream, message by message; imports have their own report."""
    block, order = stream.block, stream.order
    refused = np.flatnonzero((block.verdict[order] == Verdict.REFUSED) & (block.origin[order] != Origin.FILE))
    if not len(refused):
        return []
    place = order[refused]
    group = block.slot[place].astype(np.int64) << 16 | block.reason[place]
    by_group = np.argsort(group, kind="stable")
    refused, place, group = refused[by_group], place[by_group], group[by_group]
    sent = block.position[place]
    start = np.flatnonzero(np.append(True, (group[1:] != group[:-1]) | (sent[1:] != sent[:-1])))
    found = []
    for first, end in zip(start.tolist(), [*start[1:].tolist(), len(group)], strict=True):
        at, last = int(place[first]), end - 1
        reason = Reason(int(block.reason[at]))
        if reason not in EVIDENCE:
            continue
        found.append(
            Refusals(
                EVIDENCE[reason],
                reason,
                block.points[int(block.slot[at])],
                int(refused[first]),
                int(block.received_at_s[at]) * 1000,
                int(block.received_at_s[place[last]]) * 1000,
                int(refused[last]),
                end - first,
                int(block.read_at_ms[at]) // 1000 - int(block.received_at_s[at]),
            )
        )
    return found
