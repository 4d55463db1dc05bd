"""An incident: what it is, how it stands (ISA-18.2), what is known of it, and the rows it makes.

Source: design.md section 5; ISA-18.2 (states, shelving); dashboards/README.md section 2.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nengliu.analysis.intake.rows import labels
from nengliu.analysis.watch.tree import Node
from nengliu.domain.causes import Cause, Evidence, class_of, severity_of
from schemas.block import Lists, Rows


class Moment(NamedTuple):
    """A place in the log and the clock there."""

    position: int
    clock_s: int


class Entry(NamedTuple):
    """A line of the journal."""

    enterprise: str
    incident: str
    position: int
    item: int
    at_ms: int
    what: str
    by: str
    cause: int
    parameters: str


@dataclass(slots=True)
class Seen:
    """Evidence in an incident: one entry per kind, with the first parameters and how often it came."""

    code: Evidence
    at_ms: int
    parameters: dict[str, str]
    count: int = 1


@dataclass(slots=True)
class Incident:
    """State of one incident; times in seconds but for event times [ms]."""

    incident: str
    root: Node
    cause: Cause
    opened_ms: int
    raised_s: int
    members: set[str]
    state: str = "active_unack"
    seen: dict[Evidence, Seen] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    until_ms: int = 0
    hold_s: int = 0
    timer_s: int = 0
    cleared_ms: int = 0
    cleared_s: int = 0
    updated_s: int = 0
    shelved_until: int = 0
    shelve_reason: str = ""
    acknowledged_s: int = 0
    acknowledged_by: str = ""
    closed_s: int = 0
    closed_by: str = ""
    comment: str = ""
    count: int = 0
    revision: int = 0

    @property
    def active(self) -> bool:
        """Whether what it says still lasts."""
        return self.state.startswith("active")

    def settle(self) -> None:
        """Bring the state in line with what is known of clearing and acknowledging."""
        if self.closed_s:
            self.state = "closed"
        elif not self.cleared_s:
            self.state = "active_ack" if self.acknowledged_s else "active_unack"
        else:
            self.state = "cleared_unack"


def name_of(root: Node, position: int, track: str) -> str:
    """Sixteen hex digits: a function of the root, the class it began with and the position of the first evidence.

    >>> name_of(Node("meter", "91320000MA1EXAMPL3", "gw", "l", "m"), 7, "link")
    '96fce8f4ac6e5282'
    """
    return hashlib.sha256("|".join((*root, str(position), track)).encode()).hexdigest()[:16]


def rows_of(incidents: list[Incident], kept: int) -> Rows:
    """Rows of `incident`."""
    return Rows(
        "incident",
        {
            "enterprise": labels([i.root.enterprise for i in incidents]),
            "incident": labels([i.incident for i in incidents]),
            "class": labels([class_of(i.cause).value for i in incidents]),
            "cause": _numbers([i.cause for i in incidents], "u2"),
            "severity": _numbers([severity_of(i.cause) for i in incidents], "u1"),
            "state": labels([i.state for i in incidents]),
            "shelved_until": _numbers([i.shelved_until for i in incidents]),
            "shelve_reason": labels([i.shelve_reason for i in incidents]),
            "root": labels([i.root.kind for i in incidents]),
            "source": labels([i.root.source for i in incidents]),
            "line": labels([i.root.line for i in incidents]),
            "meter": labels([i.root.meter for i in incidents]),
            "point": labels([i.root.point for i in incidents]),
            "members": Lists(tuple(tuple(sorted(i.members)) for i in incidents)),
            "opened_at": _numbers([i.opened_ms for i in incidents]),
            "raised_at": _numbers([i.raised_s for i in incidents]),
            "cleared_at": _numbers([i.cleared_ms for i in incidents]),
            "updated_at": _numbers([i.updated_s for i in incidents]),
            "acknowledged_at": _numbers([i.acknowledged_s for i in incidents]),
            "acknowledged_by": labels([i.acknowledged_by for i in incidents]),
            "closed_at": _numbers([i.closed_s for i in incidents]),
            "closed_by": labels([i.closed_by for i in incidents]),
            "comment": labels([i.comment for i in incidents]),
            "evidence": labels([_evidence(i, kept) for i in incidents]),
            "count": _numbers([i.count for i in incidents], "u4"),
            "revision": _numbers([i.revision for i in incidents], "u8"),
        },
    )


def journal_of(entries: list[Entry]) -> Rows:
    """Rows of `incident_event`."""
    return Rows(
        "incident_event",
        {
            "enterprise": labels([e.enterprise for e in entries]),
            "incident": labels([e.incident for e in entries]),
            "position": _numbers([e.position for e in entries], "u8"),
            "item": _numbers([e.item for e in entries], "u4"),
            "at": _numbers([e.at_ms for e in entries]),
            "what": labels([e.what for e in entries]),
            "by": labels([e.by for e in entries]),
            "cause": _numbers([e.cause for e in entries], "u2"),
            "parameters": labels([e.parameters for e in entries]),
        },
    )


def _evidence(incident: Incident, kept: int) -> str:
    seen = list(incident.seen.values())[-kept:]
    return json.dumps(
        [
            {"code": s.code.value, "at_ms": s.at_ms, "parameters": s.parameters | {"count": str(s.count)}}
            for s in seen
        ],
        ensure_ascii=False,
    )


def _numbers(values: list[Any], dtype: str = "i8") -> npt.NDArray[Any]:
    return np.array(values, dtype)
