"""Link notices: checked, and turned into rows of `link_event` and `missed` (docs/decisions/0015).

What a collector says of its links is kept as it says it.  A missing reading stays missing: nothing
is made of it but a row that says why, and a window shows it as received less than due.

Source: TC 4.3.3-5 and 4.3.7-6 (state of the collection is reported), TC 4.5.12-3; design ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from nengliu.analysis.checks import ENTRY_LIMIT, TEXT_LIMIT, check, check_bounds, check_texts, check_time
from nengliu.analysis.intake.rows import Named, labels
from nengliu.bus import Record
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Reason
from schemas.block import Rows
from schemas.messages import LinkEvent, LinkNotice, Missed

PARAMETER_LIMIT = 1000
"""Characters of a parameter's value: it is what a meter said, and longer than a name."""
_KINDS = frozenset(LinkKind)
_CAUSES = frozenset(reason for reason in Reason if reason >= Reason.TIMEOUT)
_BOUNDS = {"sequence": (0, 2**64 - 1), "received_at_s": (0, 2**32 - 1)}


def check_links(notice: LinkNotice, record: Record, future_s: int) -> None:
    """Refuse a notice that cannot be meant so; times may lie at most `future_s` [s] ahead of the log's append.

    Raises
    ------
    ContractError
        BAD_FIELD, NOT_A_TIME or STAMP_IN_FUTURE, naming the field.
    """
    limit_ms = (record.appended_at_s + future_s) * 1000
    entries = len(notice.events) + sum(len(missed.points) for missed in notice.missed)
    check("entries", entries, sound=entries <= ENTRY_LIMIT)
    check("enterprise", notice.enterprise, sound=notice.enterprise == record.key)
    check("source", notice.source, sound=bool(notice.source))
    check_texts("source", (notice.source,))
    check_time("received_at_s", notice.received_at_s * 1000, limit_ms)
    check_bounds(notice, _BOUNDS)
    for event in notice.events:
        _check_event(event, limit_ms)
    for missed in notice.missed:
        _check_missed(missed, limit_ms)


def link_rows(notice: LinkNotice, record: Record) -> list[Rows]:
    """Rows of `link_event` and `missed`; none of a table the notice says nothing for."""
    found = [_event_rows(notice, record), _missed_rows(notice, record)]
    return [rows for rows in found if len(rows)]


def _check_event(event: LinkEvent, limit_ms: int) -> None:
    check("kind", event.kind, sound=event.kind in _KINDS)
    check("reason", event.reason, sound=event.reason == Reason.NONE or event.reason in _CAUSES)
    check_texts("line, meter", (event.line, event.meter))
    _check_parameters(event.parameters)
    check_time("at_ms", event.at_ms, limit_ms)
    check_time("since_ms", event.since_ms, limit_ms)


def _check_missed(missed: Missed, limit_ms: int) -> None:
    check("reason", missed.reason, sound=missed.reason in _CAUSES)
    check_time("first_ms", missed.first_ms, limit_ms)
    check_time("last_ms", missed.last_ms, limit_ms)
    span_ms = missed.last_ms - missed.first_ms
    check("last_ms", missed.last_ms, sound=span_ms >= 0)
    check("count", missed.count, sound=1 <= missed.count <= span_ms + 1 and missed.count < 2**32)
    check("points", "none" if not missed.points else "an empty name", sound=all(missed.points or ("",)))
    check_texts("points", missed.points)
    _check_parameters(missed.parameters)


def _check_parameters(parameters: dict[str, str]) -> None:
    check("parameters", f"{len(parameters)} of them", sound=len(parameters) <= TEXT_LIMIT)
    check_texts("parameters", tuple(parameters))
    check_texts("parameters", tuple(parameters.values()), PARAMETER_LIMIT)


def _event_rows(notice: LinkNotice, record: Record) -> Rows:
    events = notice.events
    columns: Named = {
        "kind": np.array([event.kind for event in events], np.uint8),
        "item": np.arange(len(events), dtype=np.uint32),
        "at": np.array([event.at_ms for event in events], np.int64),
        "line": labels([event.line for event in events]),
        "meter": labels([event.meter for event in events]),
        "reason": np.array([event.reason for event in events], np.uint16),
        "since": np.array([event.since_ms for event in events], np.int64),
        "parameters": labels([_json(event.parameters) for event in events]),
    }
    return Rows("link_event", columns | _common(notice, record, len(events)))


def _missed_rows(notice: LinkNotice, record: Record) -> Rows:
    each = list(_each_point(notice))
    columns: Named = {
        "point": labels([point for point, _ in each]),
        "first_at": np.array([missed.first_ms for _, missed in each], np.int64),
        "last_at": np.array([missed.last_ms for _, missed in each], np.int64),
        "count": np.array([missed.count for _, missed in each], np.uint32),
        "reason": np.array([missed.reason for _, missed in each], np.uint16),
        "parameters": labels([_json(missed.parameters) for _, missed in each]),
    }
    return Rows("missed", columns | _common(notice, record, len(each)))


def _each_point(notice: LinkNotice) -> Iterator[tuple[str, Missed]]:
    for missed in notice.missed:
        for point in missed.points:
            yield point, missed


def _common(notice: LinkNotice, record: Record, n: int) -> Named:
    return {
        "enterprise": labels([notice.enterprise] * n),
        "source": labels([notice.source] * n),
        "sequence": np.full(n, notice.sequence, np.uint64),
        "received_at": np.full(n, notice.received_at_s, np.int64),
        "position": np.full(n, record.position, np.uint64),
    }


def _json(parameters: dict[str, str]) -> str:
    return json.dumps(parameters, ensure_ascii=False, sort_keys=True)
