"""What one centre still misses: its cursor into the buffer, and the gaps it left behind.

*Live* is what lies above the cursor.  After a break what is pending becomes a *gap* and the
cursor jumps to the head.  Everything here is durable when a method returns, or unchanged
when it raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from acquisition.drivers.keeping.buffer_file import BufferFile, Pending
from schemas.messages import mark_backfilled

BATCH_ROWS = 500
"""Rows that are sent at once; of a backfill the oldest so many may have arrived without an acknowledgement."""


Span = tuple[int, int]
"""Sequences in (after, last]."""


@dataclass(slots=True)
class _Gap:
    """Rows in (after, last] wait for a later sending; those up to `plain` were tried live."""

    after: int
    last: int
    plain: int
    rows: int


class Centre:
    """How far one centre is: has all live rows up to `live`, was tried up to `tried`; `rows` lie above `live`."""

    def __init__(self, file: BufferFile, name: str, head: int) -> None:
        """Find a centre; one never heard of is entered, durably, and misses everything that is held."""
        self._file, self._name = file, name
        with file.writing("enter a centre"):
            file.execute("INSERT OR IGNORE INTO cursor VALUES (?, 0, 0)", name)
            self._live, self._tried = file.execute(
                "SELECT live, tried FROM cursor WHERE centre = ?", name
            ).fetchone()
            self._gaps = self._true_gaps()
            self.rows = self._count(self._live, head)

    def done(self) -> int:
        """Give the sequence up to which this centre has everything."""
        return min((gap.after for gap in self._gaps), default=self._live)

    def missing(self) -> int:
        """Count the rows of gaps."""
        return sum(gap.rows for gap in self._gaps)

    def pending(self, head: int, limit: int) -> list[Pending]:
        """Give the oldest live rows."""
        return self._file.rows(self._live, head, limit)

    def missed_spans(self, head: int) -> list[Span]:
        """Give the ranges (after, last] of what it misses."""
        return [(gap.after, gap.last) for gap in self._gaps] + [(self._live, head)]

    def tried_spans(self) -> list[Span]:
        """Give the ranges (after, last] of what it misses and may have been tried with: their bytes are fixed."""
        spans = [(gap.after, min(gap.plain, gap.last)) for gap in self._gaps] + [(self._live, self._tried)]
        if head := self.backfill(BATCH_ROWS):
            spans.append((self._gaps[0].after, head[-1].sequence))
        return [(after, last) for after, last in spans if last > after]

    def recount(self, head: int) -> None:
        """Count anew what it misses, after rows went."""
        with self._file.writing("count what is missing"):
            gaps, rows = self._true_gaps(), self._count(self._live, head)
        self._gaps, self.rows = gaps, rows

    def try_live(self, last_sequence: int) -> None:
        """Note that live rows up to here are tried."""
        if last_sequence <= self._tried:
            return
        with self._file.writing("note a try"):
            self._file.execute("UPDATE cursor SET tried = ? WHERE centre = ?", last_sequence, self._name)
        self._tried = last_sequence

    def ack_live(self, last_sequence: int) -> None:
        """Note that live rows up to here have arrived; ValueError if they were never tried."""
        if last_sequence > self._tried:
            raise ValueError(f"expected a sequence that was tried, up to {self._tried}; got {last_sequence}")
        if last_sequence <= self._live:
            return
        with self._file.writing("note an acknowledgement"):
            rows = self._count(self._live, last_sequence)
            self._file.execute("UPDATE cursor SET live = ? WHERE centre = ?", last_sequence, self._name)
        self._live, self.rows = last_sequence, self.rows - rows

    def make_gap(self, head: int, before_ms: int) -> int:
        """Turn the live rows up to the newest one put before `before_ms` into a gap; say how many."""
        with self._file.writing("note a gap"):
            found = self._file.execute(
                "SELECT sequence FROM reading WHERE sequence > ? AND sequence <= ? AND at_ms < ? "
                "ORDER BY sequence DESC LIMIT 1",
                self._live,
                head,
                before_ms,
            ).fetchone()
            if found is None:
                return 0
            rows = self.rows - self._count(found[0], head)
            gap = _Gap(self._live, found[0], max(self._live, self._tried), rows)
            self._file.execute(
                "INSERT INTO gap VALUES (?, ?, ?, ?)", self._name, gap.last, gap.after, gap.plain
            )
            self._file.execute("UPDATE cursor SET live = ? WHERE centre = ?", gap.last, self._name)
        self._live, self.rows = gap.last, self.rows - rows
        self._gaps.append(gap)
        return rows

    def backfill(self, limit: int) -> list[Pending]:
        """Give the oldest rows of the gaps; marked, unless they were tried live."""
        found: list[Pending] = []
        for gap in self._gaps:
            if len(found) == limit:
                break
            for row in self._file.rows(gap.after, gap.last, limit - len(found)):
                plain = row.sequence <= gap.plain
                found.append(row if plain else replace(row, value=mark_backfilled(row.value)))
        return found

    def ack_backfill(self, last_sequence: int) -> None:
        """Note that rows of gaps up to here have arrived."""
        done = [gap for gap in self._gaps if gap.last <= last_sequence]
        part = [gap for gap in self._gaps if gap.after < last_sequence < gap.last]
        if not done and not part:
            return
        with self._file.writing("note an acknowledgement"):
            for gap in done:
                self._file.execute("DELETE FROM gap WHERE centre = ? AND last = ?", self._name, gap.last)
            rows = [self._count(gap.after, last_sequence) for gap in part]
            for gap in part:
                statement = "UPDATE gap SET after = ? WHERE centre = ? AND last = ?"
                self._file.execute(statement, last_sequence, self._name, gap.last)
        for gap, sent in zip(part, rows, strict=True):
            gap.after, gap.rows = last_sequence, gap.rows - sent
        self._gaps = self._gaps[len(done) :]

    def _true_gaps(self) -> list[_Gap]:
        """Read the gaps; one whose last rows went ends before, or with its last row it would never end."""
        found = self._file.execute(
            "SELECT after, last, plain, (SELECT coalesce(max(sequence), 0) FROM reading "
            "WHERE sequence > gap.after AND sequence <= gap.last) FROM gap WHERE centre = ? ORDER BY last",
            self._name,
        ).fetchall()
        gaps = []
        for after, last, plain, end in found:
            place = self._name, last
            if not end:
                self._file.execute("DELETE FROM gap WHERE centre = ? AND last = ?", *place)
                continue
            if end < last:
                self._file.execute("UPDATE gap SET last = ? WHERE centre = ? AND last = ?", end, *place)
            gaps.append(_Gap(after, end, plain, self._count(after, end)))
        return gaps

    def _count(self, after: int, last: int) -> int:
        statement = "SELECT count(*) FROM reading WHERE sequence > ? AND sequence <= ?"
        (found,) = self._file.execute(statement, after, last).fetchone()
        return int(found)


def without(spans: Sequence[Span], taken: Sequence[Span]) -> list[Span]:
    """Give what lies in one of `spans` and in none of `taken`, in order and each sequence once.

    >>> without([(0, 5), (3, 9), (20, 20)], [(1, 2), (4, 6), (8, 30)])
    [(0, 1), (2, 4), (6, 8)]
    """
    edges = sorted({edge for span in (*spans, *taken) for edge in span})
    pieces = [
        (after, last)
        for after, last in pairwise(edges)
        if _covers(spans, after, last) and not _covers(taken, after, last)
    ]
    joined: list[Span] = []
    for after, last in pieces:
        if joined and joined[-1][1] == after:
            joined[-1] = joined[-1][0], last
        else:
            joined.append((after, last))
    return joined


def _covers(spans: Sequence[Span], after: int, last: int) -> bool:
    return any(first <= after and last <= end for first, end in spans)
