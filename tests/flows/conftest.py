"""A log in a temporary file, for sources and sinks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nengliu.bus.sqlite import SqliteLog

PARTITIONS = 4
TOPICS = ("in", "out")


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
