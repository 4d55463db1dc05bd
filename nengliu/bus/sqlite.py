"""The durable log in one SQLite file: WAL, dense offsets, one transaction per append.

Layout (``PRAGMA user_version`` = `SCHEMA_VERSION`)::

    topic    name, partitions, generation                 one row per topic
    lane     number, topic, partition, first, next        one row per partition
    message  place, appended_at_s, key, value             place = lane << 48 | offset

A lane is a partition's number in this file.  With the lane in the high bits the table's
own B-tree is the index: an append goes to the end of its lane, a read is one range scan.

Why WAL: readers see a snapshot and never block the writer, nor it them.  Writers of several
processes take turns (`timeout_s`).  ``synchronous=FULL`` syncs the WAL at each commit, so what
`append` returned outlives a power cut; ``NORMAL`` may lose the newest appends then and
is meant for benches.

A topic laid anew by `SqliteLog.renew` starts at offset 0 with a higher generation, so its
positions stay above all earlier ones.  A *lost* file cannot know its past: create the
topic and renew it with ``above`` = the newest generation found in the store.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self

from nengliu.bus import OFFSET_BITS, Bounds, Record, check_partitions, partition_of
from nengliu.bus.cures import explained, primary
from nengliu.errors import LogError, LogRefused, NoTopic

SCHEMA_VERSION = 1
APPLICATION_ID = 0x4E4C4F47
"""``NLOG``: a file of somebody else is refused instead of written into."""
PAGE_BYTES = 16384
"""A frame of 4 KB stays in its page; 4 KB pages chain overflow pages and append slower (measured)."""
CHECKPOINT_PAGES = 2048
"""Copy the WAL into the file every 32 MB: rarely enough for bursts, and the WAL stays small."""
TRIM_ROWS = 5000
"""Rows forgotten per transaction, so that a trim never holds up an append for long."""

_SCHEMA = (
    """CREATE TABLE topic (name TEXT PRIMARY KEY, partitions INTEGER NOT NULL, generation INTEGER NOT NULL)
    STRICT, WITHOUT ROWID""",
    """CREATE TABLE lane (number INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    first INTEGER NOT NULL, next INTEGER NOT NULL, UNIQUE (topic, partition)) STRICT""",
    """CREATE TABLE message (place INTEGER PRIMARY KEY, appended_at_s INTEGER NOT NULL, key TEXT NOT NULL,
    value BLOB NOT NULL) STRICT""",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_CURES = {
    sqlite3.SQLITE_CORRUPT: ("the file is damaged", "restore a backup, or move it away and renew the topics"),
    sqlite3.SQLITE_NOTADB: ("it is not a log file", "check the path"),
}


class SqliteLog:
    """A durable log in one file; several processes may hold it open at once.

    One object may be shared by threads (calls take turns); for reads beside writes within
    one process open a second object.

    Parameters
    ----------
    path
        The file; it and its folder are made if missing.  ``-wal`` and ``-shm`` lie beside it.
    synchronous
        FULL: an append is on the disk when it returns.
    timeout_s
        How long a call waits for a writer of another process before it raises [s].

    Raises
    ------
    LogError
        The file cannot be opened, is no log of ours, or is of a newer version.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        synchronous: Literal["FULL", "NORMAL", "OFF"] = "FULL",
        timeout_s: float = 30.0,
    ) -> None:
        self.path = Path(path)
        self._timeout_s = timeout_s
        self._lock = threading.RLock()
        with self._explained("open"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.path, timeout=timeout_s, isolation_level=None, check_same_thread=False
            )
            try:
                self._open(synchronous)
            except (sqlite3.Error, LogError):
                self._connection.close()
                raise

    def create(self, topic: str, partitions: int) -> None:
        """Create `topic` with generation 1; nothing happens if it is there with as many partitions.

        Raises
        ------
        LogError
            It is there with another number of partitions, or the number is not positive.
        """
        check_partitions(topic, partitions)
        with self._writing(f"create {topic}"):
            found = self._execute("SELECT partitions FROM topic WHERE name = ?", topic).fetchone()
            if found is None:
                self._lay(topic, partitions, 1)
            elif found[0] != partitions:
                raise LogRefused(
                    f"{self.path}: topic {topic} has {found[0]} partitions, {partitions} were asked for; a "
                    "topic keeps its number (it decides an enterprise's shard) until renew() lays it anew"
                )

    def renew(self, topic: str, partitions: int | None = None, above: int = 0) -> int:
        """Lay `topic` anew: all its records go, offsets start at 0, the generation rises.

        Parameters
        ----------
        partitions
            New number of partitions; None keeps it.
        above
            The new generation is larger than this as well.

        Returns
        -------
        int
            The new generation.
        """
        with self._writing(f"renew {topic}"):
            kept, generation = self._topic(topic)
            check_partitions(topic, partitions := kept if partitions is None else partitions)
            for (lane,) in self._execute("SELECT number FROM lane WHERE topic = ?", topic).fetchall():
                self._execute("DELETE FROM message WHERE place BETWEEN ? AND ?", *_span(lane))
            self._execute("DELETE FROM lane WHERE topic = ?", topic)
            self._execute("DELETE FROM topic WHERE name = ?", topic)
            self._lay(topic, partitions, generation := max(generation, above) + 1)
            return generation

    def partitions(self, topic: str) -> int:
        """Count the partitions of `topic`; LogError if there is no such topic."""
        with self._reading(f"read {topic}"):
            return self._topic(topic)[0]

    def append(self, topic: str, messages: Sequence[tuple[str, bytes]]) -> list[int]:
        """Append ``(key, value)`` pairs in one transaction; on the disk when it returns their positions."""
        if not messages:
            return []
        with self._writing(f"append to {topic}"):
            partitions, generation = self._topic(topic)
            lanes = self._execute(
                "SELECT number, next FROM lane WHERE topic = ? ORDER BY partition", topic
            ).fetchall()
            ends = [end for _, end in lanes]
            now_s = int(time.time())
            rows: list[tuple[int, int, str, bytes]] = []
            positions: list[int] = []
            for key, value in messages:
                partition = partition_of(key, partitions)
                offset = ends[partition]
                ends[partition] = offset + 1
                rows.append((lanes[partition][0] << OFFSET_BITS | offset, now_s, key, value))
                positions.append(generation << OFFSET_BITS | offset)
            self._connection.executemany("INSERT INTO message VALUES (?, ?, ?, ?)", rows)
            for (lane, before), end in zip(lanes, ends, strict=True):
                if end != before:
                    self._execute("UPDATE lane SET next = ? WHERE number = ?", end, lane)
        return positions

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """Read at most `limit` records from `offset` on; empty at the end of the log.

        Below the first record held, it begins at that first record: the caller sees the
        gap in the offsets.
        """
        with self._reading(f"read {topic}[{partition}]@{offset}"):
            lane, held = self._lane(topic, partition)
            start, end = max(offset, held.first), held.end
            rows = self._execute(
                "SELECT place, key, value, appended_at_s FROM message WHERE place >= ? AND place < ? "
                "ORDER BY place LIMIT ?",
                lane << OFFSET_BITS | start,
                lane << OFFSET_BITS | end,
                limit,
            ).fetchall()
        base = lane << OFFSET_BITS
        return [
            Record(topic, partition, held.generation, place - base, key, value, at_s)
            for place, key, value, at_s in rows
        ]

    def bounds(self, topic: str, partition: int) -> Bounds:
        """Say which offsets the partition holds, and of which generation."""
        with self._reading(f"read {topic}[{partition}]"):
            return self._lane(topic, partition)[1]

    def trim(self, topic: str, before_s: int, below: Mapping[int, int] | None = None) -> int:
        """Forget the records at the head of each partition that were appended before `before_s`.

        Only a head is forgotten, so offsets stay dense even if the clock once ran back.  The offset
        ``below[partition]`` and all after it stay; without `below` the time alone decides.
        """
        gone = 0
        for partition in range(self.partitions(topic)):
            limit = None if below is None else below.get(partition, 0)
            while (step := self._trim_some(topic, partition, before_s, limit)) > 0:
                gone += step
        return gone

    def close(self) -> None:
        """Let go of the file; the last to close folds the WAL into it."""
        with self._lock, self._explained("close"):
            self._connection.close()

    def __enter__(self) -> Self:
        """Use the log in a ``with`` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it at the end of the block."""
        self.close()

    # -- one partition -------------------------------------------------------------------

    def _trim_some(self, topic: str, partition: int, before_s: int, limit: int | None) -> int:
        with self._writing(f"trim {topic}[{partition}]"):
            lane, held = self._lane(topic, partition)
            base = lane << OFFSET_BITS
            end = held.end if limit is None else max(min(held.end, limit), held.first)
            until = base | min(end, held.first + TRIM_ROWS)
            young = self._execute(
                "SELECT place FROM message WHERE place >= ? AND place < ? AND appended_at_s >= ? "
                "ORDER BY place LIMIT 1",
                base | held.first,
                until,
                before_s,
            ).fetchone()
            first = (until if young is None else young[0]) - base
            if first > held.first:
                self._execute("DELETE FROM message WHERE place >= ? AND place < ?", base, base | first)
                self._execute("UPDATE lane SET first = ? WHERE number = ?", first, lane)
            return first - held.first

    def _lay(self, topic: str, partitions: int, generation: int) -> None:
        self._execute("INSERT INTO topic VALUES (?, ?, ?)", topic, partitions, generation)
        (free,) = self._execute("SELECT coalesce(max(number), 0) + 1 FROM lane").fetchone()
        for partition in range(partitions):
            self._execute("INSERT INTO lane VALUES (?, ?, ?, 0, 0)", free + partition, topic, partition)

    def _topic(self, topic: str) -> tuple[int, int]:
        found = self._execute("SELECT partitions, generation FROM topic WHERE name = ?", topic).fetchone()
        if found is None:
            known = ", ".join(name for (name,) in self._execute("SELECT name FROM topic ORDER BY name"))
            raise NoTopic(f"{self.path}: no topic {topic!r}; there are: {known or 'none'}; create it")
        return int(found[0]), int(found[1])

    def _lane(self, topic: str, partition: int) -> tuple[int, Bounds]:
        found = self._execute(
            "SELECT number, generation, first, next FROM lane JOIN topic ON name = topic "
            "WHERE topic = ? AND partition = ?",
            topic,
            partition,
        ).fetchone()
        if found is None:
            partitions, _ = self._topic(topic)
            raise LogRefused(
                f"{self.path}: {topic} has partitions 0 to {partitions - 1}, not {partition}; check it"
            )
        number, generation, first, end = found
        return int(number), Bounds(int(generation), int(first), int(end))

    # -- the file ------------------------------------------------------------------------

    def _open(self, synchronous: str) -> None:
        """Check whose file it is, lay the tables of a new one, and set WAL."""
        with self._reading("open"):  # one snapshot: another process may be laying the tables just now
            (application,) = self._execute("PRAGMA application_id").fetchone()
            (version,) = self._execute("PRAGMA user_version").fetchone()
            (tables,) = self._execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if application not in (0, APPLICATION_ID) or (application == 0 and tables):
            raise LogRefused(f"{self.path}: expected a Nengliu log, got another SQLite file; check the path")
        if version > SCHEMA_VERSION:
            raise LogRefused(
                f"{self.path}: its layout is version {version}, this program knows up to {SCHEMA_VERSION}; "
                "install the newer program"
            )
        self._patiently(f"PRAGMA page_size = {PAGE_BYTES}")
        self._patiently("PRAGMA journal_mode = WAL")
        for pragma in (f"synchronous = {synchronous}", f"wal_autocheckpoint = {CHECKPOINT_PAGES}"):
            self._execute(f"PRAGMA {pragma}")
        self._execute(f"PRAGMA journal_size_limit = {2 * CHECKPOINT_PAGES * PAGE_BYTES}")
        if version == 0:
            with self._writing("create the tables"):
                # Another process may have laid them while we waited for the lock.
                if self._execute("PRAGMA user_version").fetchone()[0] == 0:
                    for statement in _SCHEMA:
                        self._execute(statement)

    def _patiently(self, statement: str) -> None:
        """Repeat while locked: SQLite does not wait by itself when the journal mode changes."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                self._execute(statement)
            except sqlite3.OperationalError as error:
                if primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
            else:
                return

    def _execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        """Hold the one writer's lock; commit at the end, leave nothing behind otherwise."""
        with self._lock, self._explained(what):
            self._execute("BEGIN IMMEDIATE")
            try:
                yield
                self._execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._execute("ROLLBACK")

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        """See one snapshot over several statements; holds no lock that a writer feels."""
        with self._lock, self._explained(what):
            self._execute("BEGIN")
            try:
                yield
            finally:
                if self._connection.in_transaction:
                    self._execute("COMMIT")

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Turn what SQLite and the system say into a LogError that names place and cure."""
        with explained(self.path, what, _CURES):
            yield


def _span(lane: int) -> tuple[int, int]:
    return lane << OFFSET_BITS, (lane + 1 << OFFSET_BITS) - 1
