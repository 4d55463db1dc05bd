"""An import as messages: catalogue, readings, what was rejected, and what became of it all.

Order in the log, all with the enterprise as key:

1. in one append, all or nothing: an `ImportNotice` of 0 rows ("begun", which makes the
   source sequence of this import known), the enterprise, its points, the column list;
2. `RowsFrame` of at most 4,096 readings received on one day, `RejectedNotice` as they come;
3. an `ImportNotice` with the counts.

The same file with the same map has the same digest.  If its base sequence is known from
an earlier run, whole or cut off, it is used again: then every frame is the same byte by
byte (sequence and receipt come from the base), the store finds only duplicates, and no
row changes, revision included.  That is how an import that was cut off is resumed, too:
by running it again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from acquisition.files.mapping import Map
from acquisition.files.order import ByReceipt
from acquisition.files.rows import Counts, Interpreter, Readings, interpret, join
from acquisition.files.tables import digest_of, open_table
from nengliu.analysis.sorted import starts_of
from nengliu.bus import Log
from nengliu.domain.points import Schema
from nengliu.domain.times import day_of
from nengliu.errors import InputError
from schemas import topics
from schemas.messages import (
    EnterpriseNotice,
    ImportNotice,
    Message,
    PointNotice,
    RejectedNotice,
    RejectedRow,
    RowsFrame,
    SchemaNotice,
    encode,
)

FRAME_ROWS = 4096
"""Readings of one frame at most; fixed, since frame borders decide the source sequence."""
REJECTED_ROWS = 500
APPEND_MESSAGES = 32
"""Messages of one durable append: 131,072 readings, about 1 MB."""
SURELY_WRONG = 1000
"""Values without one reading among them that stop an import before anything is published."""

FindImport = Callable[[str, str], int | None]
"""Base sequence of an earlier import, by enterprise and digest."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import read and what became of it; ``values == readings + rejected``."""

    enterprise: str
    digest: str
    source: str
    schema: int
    sequence_base: int
    again: bool
    rows: int
    values: int
    readings: int
    rejected: int
    repaired: int
    rounded: int
    frames: int
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """The identity of one import.

    Parameters
    ----------
    base
        Source sequence of its first frame: second << 32 | millisecond << 22, so two
        imports never share one and the later import wins a conflict.
    catalogue
        The catalogue goes with it; False if the store is known to have it.
    """

    enterprise: str
    digest: str
    base: int
    again: bool
    catalogue: bool

    @property
    def source(self) -> str:
        """Name of the source in readings and in the quarantine."""
        return f"file:{self.digest[:12]}"

    @property
    def started_at_s(self) -> int:
        """When the first run of this import began [s, UTC]."""
        return self.base >> 32


def new_base(now_s: float) -> int:
    """Base sequence of an import that begins now.

    >>> new_base(1_500_000_000.5) == 1_500_000_000 << 32 | 500 << 22
    True
    """
    ms = int(now_s * 1000)
    return ms // 1000 << 32 | ms % 1000 << 22


def schema_of(plan: Map) -> Schema:
    """Column list of a map; its number follows from the columns, so equal lists share one."""
    columns = tuple(series.column for series in plan.series)
    spelled = msgspec.json.encode([(one.point, one.unit, one.decimals) for one in columns])
    number = int.from_bytes(hashlib.sha256(spelled).digest()[:4]) | 2**31
    return Schema(plan.enterprise.enterprise, number, columns)


def plan_run(
    plan: Map, digest: str, find_import: FindImport, remembered: int | None = None, now_s: float | None = None
) -> Run:
    """Find the identity of an import.

    Parameters
    ----------
    find_import
        What the store knows; it took in begun and catalogue together, so neither is sent again.
    remembered
        Base of an earlier run that the store may not have seen; the catalogue is sent again.
    """
    enterprise = plan.enterprise.enterprise
    stored = find_import(enterprise, digest)
    if stored is not None:
        return Run(enterprise, digest, stored, again=True, catalogue=False)
    if remembered is not None:
        return Run(enterprise, digest, remembered, again=True, catalogue=True)
    return Run(
        enterprise, digest, new_base(time.time() if now_s is None else now_s), again=False, catalogue=True
    )


class Publisher:
    """Writes one import to the log; frames are cut the same whatever the chunks were."""

    def __init__(self, log: Log, plan: Map, run: Run, file: str) -> None:
        self.log, self.plan, self.run, self.file = log, plan, run, file
        self.schema = schema_of(plan)
        self.frames = 0
        self.waiting: list[Readings] = []
        self.held = 0
        self.rejected: list[RejectedRow] = []
        self.messages: list[tuple[str, bytes]] = []

    def open(self) -> None:
        """Publish that the import has begun, and its catalogue, in one append."""
        if not self.run.catalogue:
            return
        notices: list[Message] = [self._notice(Counts()), EnterpriseNotice(self.plan.enterprise)]
        notices += [PointNotice(series.point) for series in self.plan.series]
        self._send(*notices, SchemaNotice(self.schema))
        self._flush()

    def add(self, readings: Readings) -> None:
        """Publish readings, in frames of 4,096."""
        self.waiting.append(readings)
        self.held += len(readings)
        if self.held >= FRAME_ROWS:
            self._cut(whole=True)

    def reject(self, rows: list[RejectedRow]) -> None:
        """Publish what was refused."""
        self.rejected += rows
        while len(self.rejected) >= REJECTED_ROWS:
            self._send_rejected(self.rejected[:REJECTED_ROWS])
            self.rejected = self.rejected[REJECTED_ROWS:]

    def close(self, counts: Counts) -> None:
        """Publish the rest and what became of it."""
        self._cut(whole=False)
        if self.rejected:
            self._send_rejected(self.rejected)
        self._send(self._notice(counts))
        self._flush()

    def _cut(self, *, whole: bool) -> None:
        readings = join(self.waiting)
        end = len(readings) // FRAME_ROWS * FRAME_ROWS if whole else len(readings)
        for start in range(0, end, FRAME_ROWS):
            part = readings.take(slice(start, min(start + FRAME_ROWS, end)))
            for day in _days(part):
                self._send(self._frame(part.take(day)))
        self.waiting = [readings.take(slice(end, None))]
        self.held = len(readings) - end

    def _frame(self, part: Readings) -> RowsFrame:
        sequence = self.run.base + self.frames
        self.frames += 1
        return RowsFrame(
            enterprise=self.run.enterprise,
            schema=self.schema.schema,
            source=self.run.source,
            sequence=sequence,
            column=part.column,
            read_at_ms=part.read_at_ms,
            values=part.values,
            received_at_s=part.received_at_s,
            quality=part.quality,
            reason=part.reason,
            origin=self.plan.file.origin,
        )

    def _send_rejected(self, rows: list[RejectedRow]) -> None:
        self._send(RejectedNotice(self.run.enterprise, self.run.source, self.run.started_at_s, tuple(rows)))

    def _notice(self, counts: Counts) -> ImportNotice:
        return ImportNotice(
            enterprise=self.run.enterprise,
            digest=self.run.digest,
            sequence_base=self.run.base,
            file=self.file,
            started_at_s=self.run.started_at_s,
            rows=counts.values,
            readings=counts.readings,
            repaired=counts.repaired,
            rejected=counts.rejected,
        )

    def _send(self, *messages: Message) -> None:
        self.messages += [(self.run.enterprise, encode(message)) for message in messages]
        if len(self.messages) >= APPEND_MESSAGES:
            self._flush()

    def _flush(self) -> None:
        if self.messages:
            self.log.append(topics.RAW, self.messages)
            self.messages = []


def _days(part: Readings) -> list[slice]:
    """Runs of readings received on one China day: the history keeps one version a day of knowledge."""
    if not len(part):
        return []
    day = day_of(part.received_at_s * 1000)
    edges = starts_of(day).tolist()
    return [slice(start, end) for start, end in zip(edges, [*edges[1:], len(part)], strict=True)]


def nothing_known(enterprise: str, digest: str) -> int | None:
    """Know of no earlier import."""
    del enterprise, digest
    return None


@dataclass(frozen=True, slots=True)
class Options:
    """How an import runs; none of it changes a reading but `future_s`.

    Parameters
    ----------
    future_s
        A stamp this far ahead of its receipt is rejected [s].
    folder
        Where readings are sorted by receipt, if the map asks for it (None: the system's).
    on_begin
        Told once, just before the first message: keep `Run.base` for the case that the import is cut off.
    on_rejected
        Told every rejected value, in the order of the file.
    on_progress
        Told the phase (digest, rows, publish) and how far it has come: bytes of the file, or readings.
    """

    future_s: int = 300
    folder: Path | None = None
    on_begin: Callable[[Run], None] | None = None
    on_rejected: Callable[[list[RejectedRow]], None] | None = None
    on_progress: Callable[[str, int], None] | None = None

    def progress(self, phase: str, done: int) -> None:
        """Tell how far it has come, if anybody listens."""
        if self.on_progress:
            self.on_progress(phase, done)


def import_file(
    path: Path,
    plan: Map,
    log: Log,
    *,
    find_import: FindImport = nothing_known,
    run: Run | None = None,
    options: Options = Options(),
) -> ImportReport:
    """Publish a file to the log.

    Parameters
    ----------
    find_import
        Base sequence of an earlier import of the same file and map, by enterprise and digest.
    run
        The identity, if the caller has planned it already (`plan_run`).

    Raises
    ------
    InputError
        The file is no table, lacks a column, or nothing in its first rows can be understood;
        nothing is published then.
    LogError
        The log cannot be written; run the import again, it continues with the same sequence.
    """
    if run is None:
        run = plan_run(
            plan, digest_of(path, plan, lambda done: options.progress("digest", done)), find_import
        )
    publisher = Publisher(log, plan, run, path.name)
    interpreter = Interpreter(plan, run.started_at_s, options.future_s)
    with ExitStack() as stack:
        table = open_table(path, plan)
        stack.callback(table.close)
        sorter = stack.enter_context(ByReceipt(options.folder)) if plan.time.received != "now" else None
        for n, part in enumerate(interpret(table.chunks(plan.columns()), interpreter)):
            if n == 0:
                _refuse_nonsense(path, interpreter.counts, part.rejected)
                if options.on_begin:
                    options.on_begin(run)
                publisher.open()
            (publisher if sorter is None else sorter).add(part.readings)
            publisher.reject(part.rejected)
            if options.on_rejected:
                options.on_rejected(part.rejected)
            options.progress("rows", table.position())
        for readings in sorter.drain() if sorter else ():
            publisher.add(readings)
            options.progress("publish", publisher.frames * FRAME_ROWS)
        publisher.close(interpreter.counts)
    return _report(run, publisher, interpreter.counts)


def _refuse_nonsense(path: Path, counts: Counts, rejected: list[RejectedRow]) -> None:
    if counts.readings or counts.rejected < SURELY_WRONG:
        return
    first = rejected[0]
    most = max(counts.reasons, key=lambda reason: counts.reasons[reason])
    raise InputError(
        f"{path}: row {first.row}: expected values as the map describes them, got {counts.rejected} values "
        f"of which none can be understood (mostly {most}; the first is {first.text!r}); correct the map; "
        "nothing was published"
    )


def _report(run: Run, publisher: Publisher, counts: Counts) -> ImportReport:
    return ImportReport(
        enterprise=run.enterprise,
        digest=run.digest,
        source=run.source,
        schema=publisher.schema.schema,
        sequence_base=run.base,
        again=run.again,
        rows=counts.rows,
        values=counts.values,
        readings=counts.readings,
        rejected=counts.rejected,
        repaired=counts.repaired,
        rounded=counts.rounded,
        frames=publisher.frames,
        reasons=dict(counts.reasons),
    )
