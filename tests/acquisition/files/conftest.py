"""Maps, files and a log in memory for the tests of the import."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from acquisition.files.mapping import Map, parse_map
from nengliu.bus import Record, partition_of
from schemas.messages import Message, decode

HEAD = """
[enterprise]
code = "91320000MA1EXAMPL3"
name = "示例厂"
"""
STEEL_TIME = """
[time]
column = "date"
format = "%d/%m/%Y %H:%M"
stamp = "end"
interval = "15min"
clock = "repair"
"""
POINT = """
[[point]]
column = "kwh"
id = "e-main"
kind = "period"
item = "electricity"
"""


class MemoryLog:
    """A log that keeps what was appended; appends after `budget` messages fail."""

    def __init__(self, budget: int = 10**9) -> None:
        self.records: list[Record] = []
        self.budget = budget

    def append(self, topic: str, messages: Sequence[tuple[str, bytes]]) -> list[int]:
        """Keep messages, all or nothing."""
        if len(self.records) + len(messages) > self.budget:
            raise KeyboardInterrupt
        first = len(self.records)
        for key, value in messages:
            place = len(self.records)
            self.records.append(Record(topic, partition_of(key, 1), 1, place, key, value, 0))
        return [record.position for record in self.records[first:]]

    def messages(self) -> list[Message]:
        """Decode everything."""
        return [decode(record.value) for record in self.records]


@pytest.fixture
def log() -> MemoryLog:
    """An empty log."""
    return MemoryLog()


@pytest.fixture
def make_log() -> Callable[[int], MemoryLog]:
    """A log that breaks after so many messages."""
    return MemoryLog


@pytest.fixture
def make_map() -> Callable[..., Map]:
    """A map of one 15-minute point; every part can be replaced."""

    def make(time: str = STEEL_TIME, point: str = POINT, extra: str = "", head: str = HEAD) -> Map:
        return parse_map(head + time + extra + point)

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write text or bytes to a file of the test's folder."""

    def make(content: str | bytes, name: str = "data.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return make


@pytest.fixture
def real_file() -> Callable[[str], Path]:
    """A file of the real data sets, or the test is skipped with the reason."""

    def find(name: str) -> Path:
        beside = Path(__file__).parents[3].parent / "shared" / "data"
        path = Path(os.environ.get("NENGLIU_DATA", beside)) / name
        if not path.is_file():
            pytest.skip(f"{name} is not there; set NENGLIU_DATA to the folder of the real data sets")
        return path

    return find


@pytest.fixture
def example_map() -> Callable[[str], Path]:
    """The path of a map of examples/maps."""
    return lambda name: Path(__file__).parents[3] / "examples" / "maps" / f"{name}.toml"
