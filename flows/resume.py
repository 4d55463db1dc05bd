"""What the flows will never read again, so that a log may forget it.

Each process of a flow keeps ``resume.json`` beside its recovery store. From the moment it resumes it says, per
topic and partition, the generation and offset where it did, and later those of the snapshot *before* the last one.
Bytewax gives out records of an epoch only when all earlier epochs are committed, so that snapshot's epoch is:
no resume goes back behind it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from flows.shares import shares
from nengliu import telemetry
from nengliu.bus.open import connect_log
from nengliu.settings import Settings

NOTE_EVERY_S = 10.0
"""Between two notes of a flow: a log is trimmed by the hour, and a note too old only keeps more [s]."""
FILE = "resume.json"

Places = dict[str, dict[str, tuple[int, int]]]
"""Topic -> partition (as text) -> (generation, offset).  Stored data."""

_log = telemetry.logger.getChild(__name__)


class ResumeNotes:
    """The note of one flow; its source parts of all worker threads write into it.

    Parameters
    ----------
    file
        Replaced as a whole, so that a reader sees the one or the other note.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._places: Places = {}
        self._due_at = 0.0

    def note(self, topic: str, partition: int, committed: tuple[int, int]) -> None:
        """Keep where a resume would begin at the earliest: generation and offset; written now and then."""
        with self._lock:
            self._places.setdefault(topic, {})[str(partition)] = committed
            if time.monotonic() >= self._due_at:
                self.write()

    def write(self) -> None:
        """Write the note now; where that fails the old one stays, which keeps more of the log."""
        self._due_at = time.monotonic() + NOTE_EVERY_S
        beside = self._file.with_suffix(".new")
        try:
            beside.write_text(json.dumps(self._places, sort_keys=True), encoding="utf-8")
            beside.replace(self._file)
        except OSError as error:
            _log.warning("%s: cannot note what was read (%s); free space on the disk", self._file, error)


def resume_points(settings: Settings) -> dict[str, dict[int, int]]:
    """First offset of each topic and partition that some flow may still read: what `trim_logs` must keep.

    The minimum over all flows that have a recovery store, running or not; the shares of a flow are taken
    together. A partition that a flow has not noted, or noted in another generation of the log, is kept from
    offset 0; if a recovery store has no readable note at all nothing is named, so that everything stays.
    """
    notes = [(share, _read(folder / FILE)) for share, folder in shares(settings.recovery_path)]
    if not all(places for _, places in notes):
        return {}
    found: dict[str, dict[int, int]] = {}
    with connect_log(settings) as log:
        for topic in sorted({topic for _, places in notes for topic in places}):
            readers = _joined((share.flow, places[topic]) for share, places in notes if topic in places)
            for partition in range(log.partitions(topic)):
                generation = log.bounds(topic, partition).generation
                offsets = [_offset(places.get(str(partition)), generation) for places in readers]
                found.setdefault(topic, {})[partition] = min(offsets)
    return found


def _joined(noted: Iterable[tuple[str, dict[str, tuple[int, int]]]]) -> list[dict[str, tuple[int, int]]]:
    """Join what the shares of each flow noted of a topic; no partition is in two of them."""
    flows: dict[str, dict[str, tuple[int, int]]] = {}
    for flow, places in noted:
        flows.setdefault(flow, {}).update(places)
    return list(flows.values())


def _offset(noted: tuple[int, int] | None, generation: int) -> int:
    """Offset noted for this generation of the log; 0 if the flow has yet to come to it."""
    return noted[1] if noted is not None and noted[0] == generation else 0


def _read(file: Path) -> Places:
    """Read a note; empty if there is none, or a power cut left half of one."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        return {
            topic: {part: (int(at[0]), int(at[1])) for part, at in places.items()}
            for topic, places in said.items()
        }
    except (OSError, ValueError, AttributeError, LookupError, TypeError):
        return {}
