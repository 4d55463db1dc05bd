"""The answers as they came: kept beside the buffer, read while the collector runs, never in its way."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from acquisition.drivers.keeping.frames import DAY_MS, FrameFile, read_frames
from nengliu import telemetry
from nengliu.errors import InputError

AT_MS = 1_700_000_000_000


def test_frames_are_read_while_they_are_written(tmp_path: Path) -> None:
    """The newest come first, of one meter, from an instant on; a name on two lines is two meters."""
    frames = FrameFile(tmp_path / "c.frames", 15, 2**20)
    for n in range(5):
        frames.put("north", "m1", AT_MS + n, bytes([0x68, n]))
        frames.put("south", "m2", AT_MS + n, bytes([0x68, 99]))
    frames.put("south", "m1", AT_MS + 9, b"\x16")
    frames.flush()

    found = list(read_frames(tmp_path / "c.frames", "m1", AT_MS + 3, 10))
    assert [(one.at_ms - AT_MS, one.line, one.raw) for one in found] == [
        (9, "south", b"\x16"),
        (4, "north", b"\x68\x04"),
        (3, "north", b"\x68\x03"),
    ]
    assert len(list(read_frames(tmp_path / "c.frames", "m1", 0, 2))) == 2
    frames.close()


def test_frames_go_when_their_days_are_over_or_the_room_is_taken(tmp_path: Path) -> None:
    """Fifteen days are kept; with too little room the oldest go before."""
    frames = FrameFile(tmp_path / "c.frames", 15, 2**20)
    for day in range(20):
        frames.put("north", "m1", AT_MS + day * DAY_MS, bytes(100))
    frames.flush()
    assert frames.trim(AT_MS + 20 * DAY_MS) == 5
    frames.close()

    small = FrameFile(tmp_path / "small.frames", 15, 20 * 4096)
    for n in range(6000):
        small.put("north", "m1", AT_MS + n, bytes(100))
    small.flush()
    assert small.trim(AT_MS) == 5000
    assert small.trim(AT_MS) == 1000
    small.close()


def test_frames_disk_that_refuses_costs_frames_only(tmp_path: Path) -> None:
    """What cannot be written waits, and is bounded; it is an error in the log of the program, nothing more."""
    telemetry.reset()
    frames = FrameFile(tmp_path / "c.frames", 15, 2**20)
    other = sqlite3.connect(tmp_path / "c.frames", isolation_level=None)
    frames._connection.execute("PRAGMA busy_timeout = 1")
    other.execute("BEGIN EXCLUSIVE")
    frames.put("north", "m1", AT_MS, b"\x68")
    frames.flush()
    assert telemetry.snapshot()["nengliu_drivers_refused_writes_total"] == 1
    other.execute("ROLLBACK")
    other.close()
    frames.flush()

    assert [one.raw for one in read_frames(tmp_path / "c.frames", "m1", 0, 9)] == [b"\x68"]
    frames.close()


def test_frames_that_are_not_kept_are_told_with_the_cure(tmp_path: Path) -> None:
    """Who asks for frames that nobody keeps is told how to keep them."""
    with pytest.raises(InputError, match="keep_frames = true"):
        list(read_frames(tmp_path / "none.frames", "m1", 0, 9))
