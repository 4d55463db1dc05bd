"""The SQLite file of a collector's buffer: whose it is, its layout, its transactions.

Layout (``PRAGMA user_version`` = `SCHEMA_VERSION`)::

    reading  sequence, at_ms, key, value       one row per message of the collector, in its order
    cursor   centre, live, tried               sent live up to; tried live up to
    gap      centre, last, after, plain        still to be sent later: (after, last]; unmarked up to plain
    state    name, value, since_ms             what the collector must remember over a restart
    boot     boot_s                            the newest boot: one row

One process owns the file while it runs (``locking_mode = EXCLUSIVE``): two collectors on one
buffer would give one sequence twice.  The lock ends with the process, however it ends.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nengliu.bus.cures import explained
from nengliu.errors import LogError

SCHEMA_VERSION = 1
APPLICATION_ID = 0x4E4C4246
"""``NLBF``: a file of somebody else is refused instead of written into."""
PAGE_BYTES = 4096
"""A commit writes whole pages: small ones spare the flash card of a collector."""
TIMEOUT_S = 5.0
"""How long to wait for a collector that is just stopping to let go of the file [s]."""

Synchronous = Literal["FULL", "NORMAL", "OFF"]

_SCHEMA = (
    """CREATE TABLE reading (sequence INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, key TEXT NOT NULL,
    value BLOB NOT NULL) STRICT""",
    """CREATE TABLE cursor (centre TEXT PRIMARY KEY, live INTEGER NOT NULL, tried INTEGER NOT NULL)
    STRICT, WITHOUT ROWID""",
    """CREATE TABLE gap (centre TEXT NOT NULL, last INTEGER NOT NULL, after INTEGER NOT NULL,
    plain INTEGER NOT NULL, PRIMARY KEY (centre, last)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL, since_ms INTEGER NOT NULL)
    STRICT, WITHOUT ROWID""",
    "CREATE TABLE boot (boot_s INTEGER NOT NULL) STRICT",
    "INSERT INTO boot VALUES (0)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_LOCKED = "another collector has it open", "stop that one, or give this one a buffer file of its own"
_CURES = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_FULL: (
        "the disk, or the room given to the buffer, is full",
        "free space, give it more room, or bring the log back so that it can empty; all that is in stays",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "the file is damaged",
        "keep a copy and move it away: a new one is begun; look at the disk",
    ),
    sqlite3.SQLITE_NOTADB: ("it is not a buffer file", "check the path"),
}


@dataclass(frozen=True, slots=True)
class Pending:
    """A message as it goes to the log; `at_ms` is when the collector put it [ms, UTC]."""

    sequence: int
    at_ms: int
    key: str
    value: bytes


class BufferFile:
    """One open buffer file.

    Parameters
    ----------
    path
        The file; it and its folder are made if missing.  ``-wal`` lies beside it.
    room_bytes
        How large it may become [bytes].
    synchronous
        FULL: a transaction is on the disk when it ends.

    Raises
    ------
    LogError
        The file cannot be opened, is no buffer, is of a newer version, or another process has it.
    """

    def __init__(self, path: Path, room_bytes: int, synchronous: Synchronous) -> None:
        self.path = path
        with self.explained("open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            for place in (path.parent, path):  # SQLite would speak of a failing disk
                if place.exists() and not os.access(place, os.W_OK):
                    raise LogError(
                        f"{path}: cannot open: {place} is read-only; give this user the right to write it"
                    )
            self._connection = sqlite3.connect(path, timeout=TIMEOUT_S, isolation_level=None)
            try:
                self._open(room_bytes, synchronous)
            except (sqlite3.Error, LogError):
                self._connection.close()
                raise

    def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        """Run one statement; errors of SQLite are for the caller's `explained` or `writing`."""
        return self._connection.execute(statement, values)

    def execute_many(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Run one statement for each of `rows`, within a transaction of the caller."""
        self._connection.executemany(statement, rows)

    def rows(self, after: int, last: int, limit: int) -> list[Pending]:
        """Read the oldest messages in (after, last], at most `limit`."""
        with self.explained("read"):
            found = self.execute(
                "SELECT sequence, at_ms, key, value FROM reading WHERE sequence > ? AND sequence <= ? "
                "ORDER BY sequence LIMIT ?",
                after,
                last,
                limit,
            ).fetchall()
        return [Pending(*row) for row in found]

    @contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Run one transaction: on the disk at the end, or nothing of it."""
        with self.explained(what):
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self.execute("ROLLBACK")

    def explained(self, what: str) -> AbstractContextManager[None]:
        """Turn what SQLite and the system say into a LogError that names place and cure."""
        return explained(self.path, what, _CURES)

    def used_bytes(self) -> int:
        """Count the bytes in use; pages that trimming freed are free [bytes]."""
        return PAGE_BYTES * (self._number("PRAGMA page_count") - self._number("PRAGMA freelist_count"))

    def give_room(self, room_bytes: int) -> None:
        """Change how large the file may become [bytes]; it never becomes smaller than it is."""
        self.execute(f"PRAGMA max_page_count = {max(room_bytes // PAGE_BYTES, 1)}")

    def close(self) -> None:
        """Let go of the file; the WAL is folded into it."""
        with self.explained("close"):
            self._connection.close()

    def _open(self, room_bytes: int, synchronous: str) -> None:
        self.execute("PRAGMA locking_mode = EXCLUSIVE")
        application, version = self._number("PRAGMA application_id"), self._number("PRAGMA user_version")
        tables = self._number("SELECT count(*) FROM sqlite_schema")
        if application not in (0, APPLICATION_ID) or (application == 0 and tables):
            raise LogError(
                f"{self.path}: expected a collector's buffer, got another SQLite file; check the path"
            )
        if version > SCHEMA_VERSION:
            raise LogError(
                f"{self.path}: its layout is version {version}, this program knows up to {SCHEMA_VERSION}; "
                "install the newer program"
            )
        for pragma in (f"page_size = {PAGE_BYTES}", "journal_mode = WAL", f"synchronous = {synchronous}"):
            self.execute(f"PRAGMA {pragma}")
        self.give_room(room_bytes)
        if version == 0:
            with self.writing("create the tables"):
                for statement in _SCHEMA:
                    self.execute(statement)

    def _number(self, statement: str) -> int:
        (found,) = self.execute(statement).fetchone()
        return int(found)
