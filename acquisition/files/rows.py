"""Rows become readings: stamps, values and clock put together, with every value accounted for.

What is counted is a *value*: in wide form a row holds one per [[point]] column, in long
form one.  Each value becomes one reading or one rejected entry, so
``values == readings + rejected`` always, and a bad stamp in a row of three columns is
three rejected entries, one per point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from acquisition.files.clock import Memory, Verdict, settle
from acquisition.files.mapping import Map
from acquisition.files.reader import Cells, Chunk, Instants, Numbers
from acquisition.files.stamps import NAT, StampReader, StampRule
from acquisition.files.values import ValueReader
from nengliu.domain.points import Kind
from nengliu.domain.quality import Quality, Reason
from nengliu.domain.times import from_ms
from schemas.messages import RejectedRow

Int64s = npt.NDArray[np.int64]
SHOWN = 200
"""Characters of a bad cell that are kept as evidence."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Accepted values as columns; `row` is the row of the file they came from."""

    row: Int64s
    column: npt.NDArray[np.uint32]
    read_at_ms: Int64s
    values: Int64s
    received_at_s: Int64s
    quality: npt.NDArray[np.uint8]
    reason: npt.NDArray[np.uint16]

    def __len__(self) -> int:
        """Count the readings."""
        return len(self.row)

    def take(self, chosen: Int64s | slice) -> Readings:
        """Pick some, in the order given."""
        return Readings(*(getattr(self, one.name)[chosen] for one in fields(self)))


def join(parts: Sequence[Readings]) -> Readings:
    """Put readings one after another."""
    if not parts:
        empty = np.zeros(0, np.int64)
        return Readings(
            empty,
            empty.astype(np.uint32),
            empty,
            empty,
            empty,
            empty.astype(np.uint8),
            empty.astype(np.uint16),
        )
    return Readings(
        *(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Readings))
    )


@dataclass(slots=True)
class Counts:
    """What an import has seen; ``values == readings + rejected``."""

    rows: int = 0
    values: int = 0
    readings: int = 0
    rejected: int = 0
    repaired: int = 0
    rounded: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def refuse(self, reason: Reason, n: int = 1) -> None:
        """Count values that were rejected."""
        self.rejected += n
        self.reasons[reason.name] = self.reasons.get(reason.name, 0) + n


@dataclass(frozen=True, slots=True)
class Understood:
    """What some rows came to."""

    readings: Readings
    rejected: list[RejectedRow]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows whose cells are read and whose clock is not yet judged; `values` and `usable` are (n, columns)."""

    row: Int64s
    series: npt.NDArray[np.uint32]
    stamp: Int64s
    received: Int64s
    values: Int64s
    usable: npt.NDArray[np.bool_]
    future: npt.NDArray[np.bool_]

    def take(self, chosen: npt.NDArray[np.bool_] | Int64s) -> _Batch:
        return _Batch(*(getattr(self, one.name)[chosen] for one in fields(self)))


class Interpreter:
    """Reads chunks of one file as its map says; keeps at most one row per series back.

    Parameters
    ----------
    plan
        The map.
    received_at_s
        Receipt of every row if the map says ``received = "now"`` [s, UTC].
    future_s
        A stamp this far ahead of its receipt is rejected [s].
    """

    def __init__(self, plan: Map, received_at_s: int, future_s: int = 300) -> None:
        self.plan, self.received_at_s, self.future_s = plan, received_at_s, future_s
        self.counts = Counts()
        self.stamps = StampReader(plan.time.stamp)
        rule = plan.time.received
        self.receipts = StampReader(rule) if isinstance(rule, StampRule) else None
        self.readers = [ValueReader(one, plan.file.nulls) for one in plan.series]
        self.points = [one.point.point for one in plan.series]
        ended = plan.time.mark == "end"
        shift = [
            one.point.interval_s * 1000 if ended and one.point.kind is Kind.PERIOD else 0
            for one in plan.series
        ]
        self.shift = np.array(shift, np.int64)
        self.match = {one.source: n for n, one in enumerate(plan.series)}
        self.memory: dict[int, Memory] = {}
        self.held: _Batch | None = None
        self.rejected: list[RejectedRow] = []

    def add(self, chunk: Chunk) -> Understood:
        """Read some rows; the last row of each series may wait for the next call."""
        self.counts.rows += len(chunk) + len(chunk.ragged)
        for one in chunk.ragged:
            told = {"expected": str(one.expected), "got": str(one.got)}
            self._refuse_row(one.row, Reason.RAGGED_ROW, one.text, told)
        batch = self._wide(chunk) if self.plan.long is None else self._long(chunk)
        return self._judged(batch, ended=False)

    def finish(self) -> Understood:
        """Decide on the rows that waited."""
        return self._judged(None, ended=True)

    def _wide(self, chunk: Chunk) -> _Batch:
        self.counts.values += len(chunk) * len(self.readers)
        n = len(chunk)
        values, usable = np.zeros((n, len(self.readers)), np.int64), np.zeros((n, len(self.readers)), bool)
        stamp, received, bad = self._times(chunk)
        for n_column, (reader, one) in enumerate(zip(self.readers, self.plan.series, strict=True)):
            cells = chunk.cells[one.source]
            read = reader.read(cells)
            usable[:, n_column] = (read.reason == 0) & ~bad
            values[:, n_column] = read.ticks
            self.counts.rounded += int((read.rounded & ~bad).sum())
            for i in np.flatnonzero((read.reason != 0) & ~bad).tolist():
                self._refuse_value(
                    int(chunk.row[i]), Reason(int(read.reason[i])), n_column, text_at(cells, i)
                )
        series = np.zeros(n, np.uint32)
        return _Batch(chunk.row, series, stamp, received, values, usable, self._future(stamp, received))

    def _long(self, chunk: Chunk) -> _Batch:
        assert self.plan.long is not None
        n, rule = len(chunk), self.plan.long
        self.counts.values += n
        names = texts_of(chunk.cells[rule.column])
        series = np.array([self.match.get(name, -1) for name in names], np.int64)
        stamp, received, bad = self._times(chunk, series)
        for i in np.flatnonzero((series < 0) & ~bad).tolist():
            told = {"point": names[i][:SHOWN]}
            self._refuse(int(chunk.row[i]), Reason.UNKNOWN_POINT, names[i][:64], names[i], told)
        usable = (series >= 0) & ~bad
        if rule.unit:
            self._check_units(chunk, series, usable)
        values = np.zeros(n, np.int64)
        cells = chunk.cells[rule.value]
        for n_series in np.unique(series[usable]).tolist():
            chosen = np.flatnonzero(usable & (series == n_series))
            part = pick(cells, chosen)
            read = self.readers[n_series].read(part)
            values[chosen] = read.ticks
            usable[chosen] = read.reason == 0
            self.counts.rounded += int(read.rounded.sum())
            for i in np.flatnonzero(read.reason).tolist():
                row = int(chunk.row[chosen[i]])
                self._refuse_value(row, Reason(int(read.reason[i])), n_series, text_at(part, i))
        known = series >= 0
        future = self._future(stamp, received)
        one = _Batch(
            chunk.row, series.astype(np.uint32), stamp, received, values[:, None], usable[:, None], future
        )
        return one.take(known)

    def _check_units(self, chunk: Chunk, series: Int64s, usable: npt.NDArray[np.bool_]) -> None:
        assert self.plan.long is not None
        units = texts_of(chunk.cells[self.plan.long.unit])
        for i in np.flatnonzero(usable).tolist():
            n = int(series[i])
            if not self.readers[n].accepts_unit(units[i]):
                usable[i] = False
                told = {"expected": self.plan.series[n].column.unit, "got": units[i][:SHOWN]}
                self._refuse(int(chunk.row[i]), Reason.WRONG_UNIT, self.points[n], units[i], told)

    def _times(
        self, chunk: Chunk, series: Int64s | None = None
    ) -> tuple[Int64s, Int64s, npt.NDArray[np.bool_]]:
        """Stamps, receipts, and which rows have no use for lack of one of them."""
        cells = joined(chunk, self.plan.time.stamp.columns)
        read = self.stamps.read(cells)
        stamp, bad = read.at_ms, read.at_ms == NAT
        for i in np.flatnonzero(bad).tolist():
            self._refuse_stamp(chunk, i, series, cells, read.why.get(i, ""))
        if self.receipts is not None:
            cells = joined(chunk, self.receipts.rule.columns)
            read = self.receipts.read(cells)
            lost = (read.at_ms == NAT) & ~bad
            for i in np.flatnonzero(lost).tolist():
                self._refuse_stamp(chunk, i, series, cells, read.why.get(i, ""))
            bad = bad | lost
            received = np.where(lost, 0, read.at_ms // 1000)
        elif self.plan.time.received == "stamp":
            received = np.where(bad, 0, stamp // 1000)
        else:
            received = np.full(len(stamp), self.received_at_s, np.int64)
        return stamp, received, bad

    def _future(self, stamp: Int64s, received: Int64s) -> npt.NDArray[np.bool_]:
        return np.asarray((stamp != NAT) & (stamp // 1000 > received + self.future_s), bool)

    def _judged(self, batch: _Batch | None, *, ended: bool) -> Understood:
        parts = [one for one in (self.held, batch) if one is not None and len(one.row)]
        self.held = None
        if not parts:
            return self._understood([])
        whole = (
            parts[0]
            if len(parts) == 1
            else _Batch(
                *(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(_Batch))
            )
        )
        fresh = len(whole.row) - (len(batch.row) if batch is not None else 0)
        self._refuse_future(whole, fresh)
        if self.plan.time.clock == "free":
            return self._understood([self._readings(whole, whole.stamp, np.zeros(len(whole.row), np.uint8))])
        at_ms, verdict = whole.stamp.copy(), np.full(len(whole.row), 255, np.uint8)
        for series in np.unique(whole.series).tolist():
            chosen = np.flatnonzero(whole.series == series)
            shown = np.where(whole.future[chosen], NAT, whole.stamp[chosen])
            settled = settle(
                shown,
                self.plan.time.interval_s * 1000,
                self.memory.get(series, Memory()),
                repair=self.plan.time.clock == "repair",
                ended=ended,
            )
            self.memory[series] = settled.memory
            at_ms[chosen[: len(settled.at_ms)]] = settled.at_ms
            verdict[chosen[: len(settled.verdict)]] = settled.verdict
        waiting = verdict == 255
        self.held = whole.take(waiting) if waiting.any() else None
        return self._understood([self._readings(whole.take(~waiting), at_ms[~waiting], verdict[~waiting])])

    def _refuse_future(self, batch: _Batch, fresh: int) -> None:
        for i in np.flatnonzero(batch.future[fresh:]) + fresh:
            told = {"got": _shown(batch.stamp[i]), "limit": _shown(batch.received[i] * 1000)}
            self._refuse_usable(batch, int(i), Reason.STAMP_IN_FUTURE, told)
        batch.usable[batch.future] = False

    def _readings(self, batch: _Batch, at_ms: Int64s, verdict: npt.NDArray[np.uint8]) -> Readings:
        for i in np.flatnonzero((verdict == Verdict.REJECTED) & batch.usable.any(axis=1)).tolist():
            told = {"got": _shown(batch.stamp[i]), "limit": _shown(self._before(batch, at_ms, verdict, i))}
            self._refuse_usable(batch, i, Reason.CLOCK_STEP_BACK, told)
        usable = batch.usable & (verdict != Verdict.REJECTED)[:, None]
        row, column = np.nonzero(usable)
        series = column.astype(np.uint32) if self.plan.long is None else batch.series[row]
        repaired = verdict[row] == Verdict.REPAIRED
        self.counts.readings += len(row)
        self.counts.repaired += int(repaired.sum())
        return Readings(
            row=batch.row[row],
            column=series,
            read_at_ms=at_ms[row] - self.shift[series],
            values=batch.values[row, column],
            received_at_s=batch.received[row],
            quality=np.where(repaired, Quality.LATE, Quality.GOOD).astype(np.uint8),
            reason=np.where(repaired, Reason.CLOCK_REPAIRED, Reason.NONE).astype(np.uint16),
        )

    def _before(self, batch: _Batch, at_ms: Int64s, verdict: npt.NDArray[np.uint8], i: int) -> int:
        same = np.flatnonzero((batch.series[:i] == batch.series[i]) & (verdict[:i] != Verdict.REJECTED))
        return int(at_ms[same[-1]]) if len(same) else NAT

    def _understood(self, readings: list[Readings]) -> Understood:
        rejected, self.rejected = sorted(self.rejected, key=lambda one: one.row), []
        return Understood(join(readings), rejected)

    def _refuse_usable(self, batch: _Batch, i: int, reason: Reason, told: dict[str, str]) -> None:
        for column in np.flatnonzero(batch.usable[i]).tolist():
            n = column if self.plan.long is None else int(batch.series[i])
            self._refuse(int(batch.row[i]), reason, self.points[n], told["got"], told)

    def _refuse_value(self, row: int, reason: Reason, n: int, text: str) -> None:
        told = {"got": text[:SHOWN]}
        if reason is Reason.WRONG_UNIT:
            told["expected"] = self.plan.series[n].column.unit
        self._refuse(row, reason, self.points[n], text, told)

    def _refuse_stamp(self, chunk: Chunk, i: int, series: Int64s | None, cells: Cells, why: str) -> None:
        text = text_at(cells, i)
        told = {"got": text[:SHOWN]} | ({"why": why} if why else {})
        row = int(chunk.row[i])
        if series is None:
            self._refuse_row(row, Reason.NOT_A_TIME, text, told, fresh=False)
        else:
            point = self.points[series[i]] if series[i] >= 0 else ""
            self._refuse(row, Reason.NOT_A_TIME, point, text, told)

    def _refuse_row(
        self, row: int, reason: Reason, text: str, told: dict[str, str], *, fresh: bool = True
    ) -> None:
        """Refuse all values of a row; `fresh`: they are not yet counted as seen."""
        points = self.points if self.plan.long is None else [""]
        self.counts.values += len(points) if fresh else 0
        for point in points:
            self._refuse(row, reason, point, text, told)

    def _refuse(self, row: int, reason: Reason, point: str, text: str, told: dict[str, str]) -> None:
        self.counts.refuse(reason)
        self.rejected.append(RejectedRow(row, int(reason), point, text[:SHOWN], told))


def interpret(chunks: Iterator[Chunk], interpreter: Interpreter) -> Iterator[Understood]:
    """Read a whole file as its map says."""
    for chunk in chunks:
        yield interpreter.add(chunk)
    yield interpreter.finish()


def joined(chunk: Chunk, columns: Sequence[str]) -> Cells:
    """Cells of one column, or of several as texts with a space between."""
    if len(columns) == 1:
        return chunk.cells[columns[0]]
    parts = [texts_of(chunk.cells[name]) for name in columns]
    return [" ".join(row) for row in zip(*parts, strict=True)]


def pick(cells: Cells, chosen: Int64s) -> Cells:
    """Some cells of a column."""
    if isinstance(cells, Numbers):
        return Numbers(cells.values[chosen], cells.null[chosen])
    if isinstance(cells, Instants):
        return Instants(cells.ms[chosen], cells.null[chosen], cells.aware)
    return [cells[i] for i in chosen.tolist()]


def text_at(cells: Cells, i: int) -> str:
    """A cell as people see it."""
    if isinstance(cells, Numbers):
        return "" if cells.null[i] else str(cells.values[i])
    if isinstance(cells, Instants):
        return "" if cells.null[i] else _shown(int(cells.ms[i]))
    return "" if cells[i] is None else str(cells[i])


def texts_of(cells: Cells) -> list[str]:
    """A column as texts, blanks around them taken off."""
    if isinstance(cells, Numbers | Instants):
        return [text_at(cells, i) for i in range(len(cells.null))]
    return ["" if cell is None else str(cell).strip() for cell in cells]


def _shown(at_ms: int) -> str:
    return "" if at_ms == NAT or abs(at_ms) > 2**53 else from_ms(int(at_ms)).isoformat(sep=" ")
