"""Diagnosis: one table of states and evidence decides what an incident is; everything that changes a cause lies here.

A state is a cause, or None before the first evidence; evidence that a state does not list changes nothing.
`mermaid` draws the table for the documents.  Source: domain.md 6.2 and TC 4.5.12-3; the transitions are ours.
"""

from __future__ import annotations

from nengliu.domain.causes import Cause, CauseClass, Evidence, class_of

_LATE = {Evidence.CAME_LATE: Cause.LATE, Evidence.BACKFILLED: Cause.LATE}
_CLOCK = {Evidence.CLOCK_OFF: Cause.CLOCK, Evidence.STAMP_AHEAD: Cause.CLOCK}
_GRAVER = {
    Evidence.WENT_BACKWARD: Cause.BACKWARD,
    Evidence.BEGAN_ANEW: Cause.RESET,
    Evidence.JUMPED: Cause.JUMP,
    Evidence.OVER_RATED: Cause.OVER_POWER,
    Evidence.STOOD_STILL: Cause.STUCK,
}

TABLE: dict[Cause | None, dict[Evidence, Cause]] = {
    None: {
        Evidence.COLLECTOR_QUIET: Cause.COLLECTOR_SILENT,
        Evidence.COLLECTOR_STOPPED: Cause.COLLECTOR_SILENT,
        Evidence.LINE_QUIET: Cause.LINE_DOWN,
        Evidence.LINE_DOWN: Cause.LINE_DOWN,
        Evidence.METER_QUIET: Cause.METER_SILENT,
        Evidence.METER_DOWN: Cause.METER_SILENT,
        Evidence.METER_REFUSES: Cause.REFUSES,
        Evidence.ANSWER_DAMAGED: Cause.DAMAGED,
        Evidence.MESSAGE_DAMAGED: Cause.DAMAGED,
        Evidence.CAME_LATE: Cause.LATE,
        Evidence.CLOCK_OFF: Cause.CLOCK,
        Evidence.STAMP_AHEAD: Cause.CLOCK,
        Evidence.CAME_AGAIN: Cause.DUPLICATE,
        Evidence.HOLES: Cause.LOSS,
        Evidence.CAUGHT_UP: Cause.CACHED_VALUE,
        Evidence.ACCESS_REFUSED: Cause.ACCESS,
        Evidence.UNIT_REFUSED: Cause.UNIT,
        Evidence.POINT_UNKNOWN: Cause.UNKNOWN_POINT,
        **_GRAVER,
        Evidence.VALUE_CONSTANT: Cause.CONSTANT,
        Evidence.OUT_OF_RANGE: Cause.OVER_RANGE,
        Evidence.BELOW_ZERO: Cause.NEGATIVE,
        Evidence.MARKED_BAD: Cause.SELF_REPORTED,
        Evidence.POWER_GONE: Cause.POWER_LOSS,
    },
    # what was silent and comes after all was only late; a wrong clock explains silence, lateness and holes
    Cause.COLLECTOR_SILENT: {**_LATE, **_CLOCK},
    Cause.LINE_DOWN: {**_LATE, **_CLOCK},
    Cause.METER_SILENT: {
        **_LATE,
        **_CLOCK,
        Evidence.HOLES: Cause.LOSS,
        Evidence.METER_REFUSES: Cause.REFUSES,
        Evidence.ANSWER_DAMAGED: Cause.DAMAGED,
        Evidence.LINE_DOWN: Cause.LINE_DOWN,
    },
    Cause.LOSS: {**_LATE, **_CLOCK, Evidence.ANSWER_DAMAGED: Cause.DAMAGED},
    Cause.LATE: _CLOCK,
    Cause.DUPLICATE: _CLOCK,
    # a frozen register that comes back with all it should have counted was an old value on the way
    Cause.STUCK: {
        Evidence.CAUGHT_UP: Cause.CACHED_VALUE,
        Evidence.WENT_BACKWARD: Cause.BACKWARD,
        Evidence.POWER_GONE: Cause.POWER_LOSS,
    },
    Cause.CONSTANT: {
        **_GRAVER,
        Evidence.CAUGHT_UP: Cause.CACHED_VALUE,
        Evidence.POWER_GONE: Cause.POWER_LOSS,
    },
    Cause.OVER_RANGE: _GRAVER,
    Cause.NEGATIVE: _GRAVER,
    Cause.SELF_REPORTED: _GRAVER,
}


def cause_after(cause: Cause | None, evidence: Evidence) -> Cause | None:
    """Say what an incident is after one more piece of evidence; None: this evidence alone opens none.

    >>> cause_after(Cause.STUCK, Evidence.CAUGHT_UP).name
    'CACHED_VALUE'
    """
    return TABLE.get(cause, {}).get(evidence, cause)


def track_of(evidence: Evidence) -> CauseClass:
    """Class of incident a piece of evidence belongs to when it comes alone (what only joins others is of the link)."""
    cause = TABLE[None].get(evidence)
    return CauseClass.LINK if cause is None else class_of(cause)


def mermaid() -> str:
    """Draw the table as a state diagram."""
    lines = ["stateDiagram-v2"]
    for state, row in TABLE.items():
        for target in dict.fromkeys(row.values()):
            label = ", ".join(evidence for evidence, to in row.items() if to is target)
            lines.append(f"  {'[*]' if state is None else state.name} --> {target.name}: {label}")
    return "\n".join(lines)
