"""The answers of the meters as they came over the line, for whoever doubts a value; nothing else depends on them.

They lie in a file of their own beside the buffer, which others may read while the collector
runs.  A disk that refuses costs frames, never readings.
Source: protocols.md 5.4 (raw frame in hex); the file is ours, docs/decisions/0033.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from nengliu import telemetry
from nengliu.errors import InputError

DAY_MS = 86_400_000
PAGE_BYTES = 4096
TRIM_ROWS = 5000
MOST_WAITING = 10_000
"""Frames that wait in memory while the disk refuses; beyond it they are let go."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meter (number INTEGER PRIMARY KEY, line TEXT NOT NULL, meter TEXT NOT NULL,
    UNIQUE (line, meter)) STRICT;
CREATE TABLE IF NOT EXISTS frame (number INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, meter INTEGER NOT NULL,
    raw BLOB NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True)
class KeptFrame:
    """What a meter answered in one slot, and when [ms, UTC]."""

    at_ms: int
    line: str
    meter: str
    raw: bytes


class FrameFile:
    """Keeps the answers of a collector's meters.

    Parameters
    ----------
    keep_days
        How long [d].
    room_bytes
        How large the file may become [bytes]; the oldest frames go before.
    """

    def __init__(self, path: Path, keep_days: int, room_bytes: int) -> None:
        self._keep_ms, self._room_pages = keep_days * DAY_MS, max(room_bytes // PAGE_BYTES, 1)
        self._waiting: list[tuple[int, str, str, bytes]] = []
        self._numbers: dict[tuple[str, str], int] = {}
        self._connection = sqlite3.connect(path, timeout=5.0, isolation_level=None)
        for pragma in (f"page_size = {PAGE_BYTES}", "journal_mode = WAL", "synchronous = NORMAL"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_SCHEMA)

    def put(self, line: str, meter: str, at_ms: int, raw: bytes) -> None:
        """Take what a meter answered; kept after `flush`."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append((at_ms, line, meter, raw))

    def flush(self) -> None:
        """Write what waits; if the disk refuses it waits on, as far as there is memory."""
        if not self._waiting:
            return
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                rows = [(at_ms, self._number(line, meter), raw) for at_ms, line, meter, raw in self._waiting]
                self._connection.executemany("INSERT INTO frame (at_ms, meter, raw) VALUES (?, ?, ?)", rows)
        except sqlite3.Error:
            self._numbers.clear()
            telemetry.emit(telemetry.BufferRefused(1))
        else:
            self._waiting.clear()

    def trim(self, now_ms: int) -> int:
        """Let the oldest frames go that are past their days, or that there is no room for; say how many."""
        try:
            used = self._pragma("page_count") - self._pragma("freelist_count")
            before_ms = 2**63 - 1 if used > self._room_pages else now_ms - self._keep_ms
            oldest = "SELECT number FROM frame ORDER BY number LIMIT ?"
            statement = f"DELETE FROM frame WHERE number IN ({oldest}) AND at_ms < ?"
            return self._connection.execute(statement, (TRIM_ROWS, before_ms)).rowcount
        except sqlite3.Error:
            telemetry.emit(telemetry.BufferRefused(1))
            return 0

    def close(self) -> None:
        """Write what waits and let go of the file."""
        self.flush()
        self._connection.close()

    def _number(self, line: str, meter: str) -> int:
        key = line, meter
        if key not in self._numbers:
            self._connection.execute("INSERT OR IGNORE INTO meter (line, meter) VALUES (?, ?)", key)
            found = self._connection.execute("SELECT number FROM meter WHERE line = ? AND meter = ?", key)
            (self._numbers[key],) = found.fetchone()
        return self._numbers[key]

    def _pragma(self, name: str) -> int:
        (found,) = self._connection.execute(f"PRAGMA {name}").fetchone()
        return int(found)


def read_frames(path: Path, meter: str, after_ms: int, limit: int) -> Iterator[KeptFrame]:
    """Give the newest kept frames of a meter, the newest first, while its collector runs or not.

    Raises
    ------
    InputError
        There is no such file, or it cannot be read.
    """
    if not path.exists():
        raise InputError(f"{path}: expected kept frames, got no file; set keep_frames = true in [buffer]")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            rows = connection.execute(
                "SELECT at_ms, line, m.meter, raw FROM frame JOIN meter AS m ON m.number = frame.meter "
                "WHERE m.meter = ? AND at_ms >= ? ORDER BY frame.number DESC LIMIT ?",
                (meter, after_ms, limit),
            )
            for row in rows:
                yield KeptFrame(*row)
    except sqlite3.Error as error:
        raise InputError(f"{path}: expected a file of kept frames, got: {error}") from error
