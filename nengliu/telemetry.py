"""Telemetry: what happened, as named events; each is a counter and a log line.

Levels speak of consequence: DEBUG a normal step, INFO a change of state an operator wants
to find later, WARNING unexpected but nothing is lost, ERROR data is lost or a person must
act.  Normal operation is silent at INFO.  A log line is one line: time, level, event and
``key=value`` pairs; values of people never appear in it.

    >>> emit(ReadingsQuarantined(3, reason="WRONG_UNIT"))
    >>> snapshot()["nengliu_ingest_quarantined_readings_total{reason=WRONG_UNIT}"] >= 3
    True
"""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, fields
from threading import Lock
from typing import ClassVar, TextIO

logger = logging.getLogger("nengliu")
logger.addHandler(logging.NullHandler())  # a library is silent until `configure` is called
speaker: ContextVar[str] = ContextVar("speaker", default="")
"""Of several collectors in one process the one that speaks; its name opens the text of its log lines."""
_counts: Counter[str] = Counter()
_lock = Lock()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened `count` times; further fields are its closed labels."""

    metric: ClassVar[str] = ""
    level: ClassVar[int] = logging.DEBUG

    count: int


@dataclass(frozen=True, slots=True)
class ReadingsReceived(Event):
    """Readings came out of the log, before any of them was judged."""

    metric: ClassVar[str] = "nengliu_ingest_received_readings_total"


@dataclass(frozen=True, slots=True)
class ReadingsAccepted(Event):
    """Readings were found valid and went on."""

    metric: ClassVar[str] = "nengliu_ingest_valid_readings_total"


@dataclass(frozen=True, slots=True)
class ReadingsDuplicate(Event):
    """Readings repeated what was known already; nothing changed."""

    metric: ClassVar[str] = "nengliu_ingest_duplicate_readings_total"


@dataclass(frozen=True, slots=True)
class ReadingsQuarantined(Event):
    """Readings were held back, with their payload, for a reason of the closed list."""

    metric: ClassVar[str] = "nengliu_ingest_quarantined_readings_total"
    level: ClassVar[int] = logging.WARNING

    reason: str = "NONE"


@dataclass(frozen=True, slots=True)
class ReadingsConflicting(Event):
    """Another value stood at the same point and time; the later source sequence won."""

    metric: ClassVar[str] = "nengliu_ingest_conflicting_readings_total"
    level: ClassVar[int] = logging.WARNING


@dataclass(frozen=True, slots=True)
class RowsWritten(Event):
    """Rows were acknowledged by the store."""

    metric: ClassVar[str] = "nengliu_storage_written_rows_total"

    table: str = ""


@dataclass(frozen=True, slots=True)
class WritesRetried(Event):
    """The store was away or busy; the same batch is sent again."""

    metric: ClassVar[str] = "nengliu_storage_retried_batches_total"
    level: ClassVar[int] = logging.WARNING

    table: str = ""


@dataclass(frozen=True, slots=True)
class FlowResumed(Event):
    """A flow took up its work at `position` of a partition."""

    metric: ClassVar[str] = "nengliu_flows_resumed_partitions_total"
    level: ClassVar[int] = logging.INFO

    flow: str = ""
    partition: int = 0
    position: int = 0


@dataclass(frozen=True, slots=True)
class PartRestarted(Event):
    """The supervisor started a part again that had ended."""

    metric: ClassVar[str] = "nengliu_cli_restarted_parts_total"
    level: ClassVar[int] = logging.WARNING

    part: str = ""
    exit_status: int = 0


@dataclass(frozen=True, slots=True)
class MetersPolled(Event):
    """Requests went to meters, answered or not."""

    metric: ClassVar[str] = "nengliu_drivers_polled_meters_total"


@dataclass(frozen=True, slots=True)
class ReadingsMissed(Event):
    """Due readings could not be taken; the link notices say which."""

    metric: ClassVar[str] = "nengliu_drivers_missed_readings_total"

    reason: str = "NONE"


@dataclass(frozen=True, slots=True)
class CollectorFailed(Event):
    """One of several collectors in a process broke; it is started again, the others go on."""

    metric: ClassVar[str] = "nengliu_drivers_failed_collectors_total"
    level: ClassVar[int] = logging.ERROR

    error: str = ""


@dataclass(frozen=True, slots=True)
class LinkChanged(Event):
    """A collector, one of its lines or meters, or its uplink changed its state."""

    metric: ClassVar[str] = "nengliu_drivers_changed_links_total"
    level: ClassVar[int] = logging.INFO

    kind: str = ""
    reason: str = "NONE"
    line: str = ""
    meter: str = ""


@dataclass(frozen=True, slots=True)
class ClockNotSet(Event):
    """The machine's clock shows a time before 2020: a collector waits until somebody, or NTP, sets it."""

    metric: ClassVar[str] = "nengliu_drivers_unset_clocks_total"
    level: ClassVar[int] = logging.WARNING


@dataclass(frozen=True, slots=True)
class BufferRefused(Event):
    """The disk took neither readings nor status; what came waits in memory for the next try."""

    metric: ClassVar[str] = "nengliu_drivers_refused_writes_total"
    level: ClassVar[int] = logging.ERROR


@dataclass(frozen=True, slots=True)
class RecordsTrimmed(Event):
    """Records left the log: older than it must keep them, and read by every flow."""

    metric: ClassVar[str] = "nengliu_bus_trimmed_records_total"
    level: ClassVar[int] = logging.INFO


@dataclass(frozen=True, slots=True)
class AuditEnded(Event):
    """The nightly audit is over; what it found is in its report."""

    metric: ClassVar[str] = "nengliu_cli_audits_total"
    level: ClassVar[int] = logging.INFO

    findings: int


_UNCOUNTED = ("position", "partition", "exit_status", "line", "meter", "findings")
"""Fields with unbounded values: in the log line only, never a label of a counter."""


def emit(event: Event) -> None:
    """Count an event and write its log line; an event that happened no times is nothing."""
    if event.count == 0:
        return
    labels = {f.name: getattr(event, f.name) for f in fields(event) if f.name != "count"}
    counted = ",".join(f"{name}={value}" for name, value in labels.items() if name not in _UNCOUNTED)
    with _lock:
        _counts[f"{event.metric}{{{counted}}}" if counted else event.metric] += event.count
    if logger.isEnabledFor(event.level):
        pairs = " ".join(
            f"{name}={_plain(value)}" for name, value in {"count": event.count, **labels}.items()
        )
        logger.log(event.level, "%s %s", type(event).__name__, pairs)


def snapshot() -> dict[str, int]:
    """Say how often each event happened in this process, by metric and labels."""
    with _lock:
        return dict(_counts)


def reset() -> None:
    """Forget all counts; for tests."""
    with _lock:
        _counts.clear()


def configure(*, debug: bool = False, stream: TextIO | None = None) -> None:
    """Write log lines to `stream` (standard error), one event a line."""
    handler = logging.StreamHandler(stream or sys.stderr)
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(speaker)s%(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(_name_speaker)
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG if debug else logging.INFO)


def _name_speaker(record: logging.LogRecord) -> bool:
    """Put the speaker's name into a record; all of them pass."""
    name = speaker.get()
    record.speaker = f"[{name}] " if name else ""
    return True


def _plain(value: object) -> str:
    """Keep a value on one line and in one word."""
    return str(value).replace("\\", "\\\\").replace("\n", "\\n").replace(" ", "\\s") or '""'
