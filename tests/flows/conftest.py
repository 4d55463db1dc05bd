"""A log in a temporary file, a writer that remembers, and flows that copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nengliu.bus.sqlite import SqliteLog
from schemas.block import Rows

PARTITIONS = 4
TOPICS = ("in", "out")


class RecordingWriter:
    """Stands for `nengliu.storage.Writer`: remembers what it was given and what was flushed."""

    def __init__(self, told: list[str] | None = None) -> None:
        self.held: list[Rows] = []
        self.stored: list[Rows] = []
        self.told = [] if told is None else told
        self.fails = False

    def write(self, rows: Rows) -> None:
        """Hold the rows."""
        self.held.append(rows)

    def flush(self) -> None:
        """Store what is held."""
        self.told.append("flush")
        self.stored += self.held
        self.held = []


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    """Path of the log file."""
    return tmp_path / "log.sqlite"


@pytest.fixture
def log(log_path: Path) -> Iterator[SqliteLog]:
    """Open a log with the topics ``in`` and ``out``."""
    with SqliteLog(log_path, synchronous="OFF") as log:
        for topic in TOPICS:
            log.create(topic, PARTITIONS)
        yield log


@pytest.fixture
def open_log(log: SqliteLog, log_path: Path) -> Callable[[], SqliteLog]:
    """Open the same file once more, as the flows do."""
    return lambda: SqliteLog(log_path, synchronous="OFF")
