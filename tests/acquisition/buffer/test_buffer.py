"""The buffer: sequences, states, room, and what a file on a disk can suffer."""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from acquisition.drivers.keeping import buffer as buffer_module
from acquisition.drivers.keeping import buffer_file
from acquisition.drivers.keeping.buffer import DAY_MS, NUMBER_BITS, Buffer
from nengliu.errors import LogError
from schemas.messages import mark_backfilled

AT_MS = 1_700_000_000_000
SMALL_ROOM = 64 * 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Path of a buffer file in a folder that is not there yet."""
    return tmp_path / "deep" / "buffer.sqlite"


@pytest.fixture
def buffer(path: Path) -> Iterator[Buffer]:
    """Open a buffer in its first boot."""
    buffer = Buffer(path)
    buffer.boot(AT_MS)
    yield buffer
    buffer._waiting_bytes = 0
    buffer.close()


def put(buffer: Buffer, count: int = 1, at_ms: int = AT_MS, size: int = 16) -> list[int]:
    """Put messages and flush them; give their sequences."""
    sequences = [buffer.next_sequence() for _ in range(count)]
    for sequence in sequences:
        buffer.put("e", at_ms, sequence, b"NL\1\1\1\0" + bytes(size))
    buffer.flush()
    return sequences


def held(buffer: Buffer) -> set[int]:
    """Name every row of the file, whoever has it."""
    return {sequence for (sequence,) in buffer._file.execute("SELECT sequence FROM reading")}


def fill_up(buffer: Buffer, kept: list[int]) -> None:
    """Put until the buffer refuses; `kept` gets what it took."""
    while True:
        kept += put(buffer, 1, size=3000)


class TestSequence:
    """One rising sequence per collector."""

    def test_boot_clock_ran_back_second_still_rises(self, path: Path) -> None:
        """A later boot is later, even if the clock has lost its battery."""
        firsts = []
        for now_ms in (AT_MS, AT_MS, 0):
            buffer = Buffer(path)
            boot_s = buffer.boot(now_ms)
            firsts.append(buffer.next_sequence())
            assert firsts[-1] == boot_s << NUMBER_BITS | 1
            buffer.close()

        assert firsts == [AT_MS // 1000 + n << NUMBER_BITS | 1 for n in range(3)]

    def test_boot_clock_beyond_2038_refused_with_cure(self, buffer: Buffer) -> None:
        """A clock that the sequence cannot hold is named, and nothing is changed by it."""
        with pytest.raises(LogError, match="set the clock"):
            buffer.boot(2**31 * 1000)

        assert buffer.boot(0) == AT_MS // 1000 + 1

    def test_next_sequence_without_boot_refused(self, path: Path) -> None:
        """A number belongs to a boot."""
        buffer = Buffer(path)

        with pytest.raises(ValueError, match="boot"):
            buffer.next_sequence()
        buffer.close()

    def test_put_out_of_order_refused(self, buffer: Buffer) -> None:
        """A row below one that may be sent already would never be sent."""
        first, second = buffer.next_sequence(), buffer.next_sequence()
        buffer.put("e", AT_MS, second, b"")

        with pytest.raises(ValueError, match="expected a sequence above"):
            buffer.put("e", AT_MS, first, b"")


class TestCentres:
    """What each centre gets."""

    def test_put_not_flushed_is_not_sent(self, buffer: Buffer) -> None:
        """Write before send: what is not on the disk is not given out."""
        buffer.put("e", AT_MS, buffer.next_sequence(), b"value")

        assert buffer.live("c", 10) == []
        buffer.flush()
        assert [row.value for row in buffer.live("c", 10)] == [b"value"]

    def test_make_gap_tried_keeps_its_bytes_untried_is_marked(self, buffer: Buffer) -> None:
        """What may have arrived is repeated as it was; only what was never tried says that it comes late."""
        sequences = put(buffer, 4)
        buffer.try_live("c", sequences[1])

        assert buffer.make_gap("c") == 4
        values = [row.value for row in buffer.backfill("c", 10)]
        plain = b"NL\1\1\1\0" + bytes(16)
        assert values == [plain, plain, mark_backfilled(plain), mark_backfilled(plain)]

    def test_backfill_limit_spans_gaps(self, buffer: Buffer) -> None:
        """Two breaks are one backlog, oldest first; what was sent live between them is not in it."""
        first = put(buffer, 2)
        buffer.make_gap("c")
        between = put(buffer, 2)
        buffer.try_live("c", between[-1])
        buffer.ack_live("c", between[-1])
        second = put(buffer, 2)
        buffer.make_gap("c")

        assert [row.sequence for row in buffer.backfill("c", 3)] == [*first, second[0]]
        buffer.ack_backfill("c", second[0])
        assert buffer.queued("c") == (0, 1)
        assert [row.sequence for row in buffer.backfill("c", 3)] == [second[1]]

    def test_ack_live_untried_refused(self, buffer: Buffer) -> None:
        """An acknowledgement of what was never sent is a broken program."""
        sequences = put(buffer, 2)
        buffer.try_live("c", sequences[0])

        with pytest.raises(ValueError, match="that was tried"):
            buffer.ack_live("c", sequences[1])

    def test_live_new_centre_gets_all_that_is_held(self, buffer: Buffer) -> None:
        """A centre added later misses nothing that is still here."""
        sequences = put(buffer, 3)
        buffer.try_live("c", sequences[-1])
        buffer.ack_live("c", sequences[-1])

        assert buffer.queued("d") == (3, 0)
        assert [row.sequence for row in buffer.live("d", 10)] == sequences


class TestState:
    """What the collector remembers."""

    def test_state_put_is_seen_at_once_and_kept_over_a_restart(self, path: Path) -> None:
        """States are durable with the messages of the same flush."""
        buffer = Buffer(path)
        assert buffer.state("line/a") is None
        buffer.put_state("line/a", "DOWN", AT_MS)
        assert buffer.state("line/a") == ("DOWN", AT_MS)
        buffer.flush()
        buffer.put_state("line/a", "UP", AT_MS + 1)
        buffer._file.close()

        buffer = Buffer(path)
        assert buffer.state("line/a") == ("DOWN", AT_MS)
        buffer.close()


class TestRoom:
    """Days, room and a full disk."""

    def test_trim_keeps_days_and_what_somebody_misses(self, buffer: Buffer) -> None:
        """A row goes when its days are over and both centres have it, not before."""
        old = put(buffer, 2)
        put(buffer, 2, AT_MS + 10 * DAY_MS)
        for centre in ("c", "d"):
            buffer.try_live(centre, old[-1])
        buffer.ack_live("c", old[-1])
        late_ms = AT_MS + 16 * DAY_MS

        assert buffer.trim(late_ms) == 0
        buffer.ack_live("d", old[-1])
        assert buffer.trim(AT_MS + 14 * DAY_MS) == 0
        assert buffer.trim(late_ms) == 2
        assert buffer.queued("c") == buffer.queued("d") == (2, 0)

    def test_trim_without_any_centre_keeps_the_days(self, buffer: Buffer) -> None:
        """A collector without an uplink keeps its days and no more."""
        put(buffer, 3)

        assert buffer.trim(AT_MS + 14 * DAY_MS) == 0
        assert buffer.trim(AT_MS + 16 * DAY_MS) == 3

    def test_trim_few_rows_per_call(self, buffer: Buffer, monkeypatch: pytest.MonkeyPatch) -> None:
        """A trim never holds up the polls for long."""
        monkeypatch.setattr(buffer_module, "TRIM_ROWS", 2)
        put(buffer, 3)

        assert [buffer.trim(AT_MS + 16 * DAY_MS) for _ in range(3)] == [2, 1, 0]

    def test_flush_full_room_keeps_what_is_in_and_what_waits(self, path: Path) -> None:
        """What does not fit is refused, stays in memory, and goes in when there is room."""
        buffer = Buffer(path, room_bytes=SMALL_ROOM)
        buffer.boot(AT_MS)
        kept: list[int] = []
        with pytest.raises(LogError, match=r"room given to the buffer, is full.*all that is in stays"):
            fill_up(buffer, kept)
        assert buffer.fill() > 0.9
        assert [row.sequence for row in buffer.live("c", 1000)] == kept

        buffer.try_live("c", kept[-1])
        buffer.ack_live("c", kept[-1])
        assert buffer.trim(AT_MS) == len(kept)
        buffer.flush()
        assert buffer.queued("c") == (1, 0)
        buffer.close()

    def test_trim_scarce_room_never_forgets_what_is_missed(self, path: Path) -> None:
        """However full: what a centre misses stays, and new rows are refused instead."""
        buffer = Buffer(path, room_bytes=SMALL_ROOM)
        buffer.boot(AT_MS)
        buffer.queued("c")
        with pytest.raises(LogError):
            fill_up(buffer, [])

        assert buffer.trim(AT_MS + 100 * DAY_MS) == 0
        with pytest.raises(LogError):
            buffer.close()

    def test_put_memory_full_refused(self, buffer: Buffer, monkeypatch: pytest.MonkeyPatch) -> None:
        """While the disk refuses, memory does not grow without bound."""
        monkeypatch.setattr(buffer_module, "WAITING_BYTES", 100)
        buffer.put("e", AT_MS, buffer.next_sequence(), bytes(90))

        with pytest.raises(LogError, match=r"1 messages wait in memory.*free space"):
            buffer.put("e", AT_MS, buffer.next_sequence(), bytes(90))

    def test_fill_counts_the_disk_as_the_room(self, buffer: Buffer, monkeypatch: pytest.MonkeyPatch) -> None:
        """A disk with no space left is full, whatever room was promised."""
        assert buffer.fill() < 0.01
        monkeypatch.setattr(buffer_module.shutil, "disk_usage", lambda _: _Usage())

        assert buffer.fill() == 1.0


class _Usage:
    free = 0


class TestFile:
    """Whose file it is, and what becomes of it."""

    def test_open_syncs_every_flush(self, buffer: Buffer) -> None:
        """What was flushed survives a power cut: WAL with synchronous FULL."""
        assert buffer._file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert buffer._file.execute("PRAGMA synchronous").fetchone() == (2,)

    def test_open_twice_refused(self, buffer: Buffer, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two collectors on one buffer would give one sequence twice."""
        monkeypatch.setattr(buffer_file, "TIMEOUT_S", 0.05)

        with pytest.raises(LogError, match="another collector has it open"):
            Buffer(buffer.path)

    def test_open_newer_layout_refused(self, path: Path) -> None:
        """A file of a later version is left alone."""
        Buffer(path).close()
        with sqlite3.connect(path) as connection:
            connection.execute(f"PRAGMA user_version = {buffer_file.SCHEMA_VERSION + 1}")
        connection.close()

        with pytest.raises(LogError, match=r"version 2, this program knows up to 1; .*newer program"):
            Buffer(path)

    def test_open_file_of_another_program_refused(self, tmp_path: Path) -> None:
        """A SQLite file that is not ours is not written into."""
        with sqlite3.connect(tmp_path / "cookies.sqlite") as connection:
            connection.execute("CREATE TABLE moz (a)")
        connection.close()

        with pytest.raises(LogError, match="another SQLite file; check the path"):
            Buffer(tmp_path / "cookies.sqlite")

    def test_open_no_database_refused(self, tmp_path: Path) -> None:
        """A file that is no database is named as such."""
        (tmp_path / "notes.txt").write_text("readings " * 1000)

        with pytest.raises(LogError, match="not a buffer file"):
            Buffer(tmp_path / "notes.txt")

    def test_open_directory_refused(self, tmp_path: Path) -> None:
        """A folder is no buffer."""
        with pytest.raises(LogError, match="cannot be opened"):
            Buffer(tmp_path)

    def test_open_folder_that_cannot_be_made_refused(self, tmp_path: Path) -> None:
        """A path through a file is a LogError, not an OSError."""
        (tmp_path / "file").touch()

        with pytest.raises(LogError, match="cannot open"):
            Buffer(tmp_path / "file" / "buffer.sqlite")

    @pytest.mark.parametrize("place", ["folder", "file"])
    def test_open_read_only_refused_with_cure(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        """A folder or file that may not be written is named with its cure (asked of the system: root may all)."""
        Buffer(path).close()
        closed = path if place == "file" else path.parent
        monkeypatch.setattr(buffer_file.os, "access", lambda asked, mode: asked != closed)

        with pytest.raises(LogError, match=rf"{closed} is read-only; give this user the right to write it"):
            Buffer(path)

    def test_flush_read_only_file_refused_with_cure(self, buffer: Buffer) -> None:
        """A file that has become read-only is named with its cure; what waits stays waiting."""
        buffer._file.execute("PRAGMA query_only = 1")
        with pytest.raises(LogError, match="right to write the file and its folder"):
            put(buffer)
        buffer._file.execute("PRAGMA query_only = 0")
        buffer.flush()

        assert buffer.queued("c") == (1, 0)

    def test_read_damaged_file_refused_with_cure(self, path: Path) -> None:
        """Damage inside the file is an error that says what to do, never wrong rows."""
        buffer = Buffer(path)
        buffer.boot(AT_MS)
        put(buffer, 200, size=500)
        buffer.close()
        with path.open("r+b") as file:
            file.seek(2 * 4096)
            file.write(b"\xff" * (path.stat().st_size - 2 * 4096))

        with pytest.raises(LogError, match=r"damaged.*move it away"):
            Buffer(path).live("c", 1000)


WRITER = """
import sys
from pathlib import Path
from acquisition.drivers.keeping.buffer import Buffer
path, stop = Path(sys.argv[1]), sys.argv[2]
buffer = Buffer(path)
buffer.boot(0)
sent = open(sys.argv[3], "ab", buffering=0)
turn = 0
while True:
    turn += 1
    for _ in range(3):
        sequence = buffer.next_sequence()
        buffer.put("e", 0, sequence, b"NL\\1\\1\\1\\0" + sequence.to_bytes(8, "big"))
    buffer.flush()
    print("F", sequence, flush=True)
    if turn % 7 == 0:
        buffer.make_gap("c")
    for live, rows in ((True, buffer.live("c", 2)), (False, buffer.backfill("c", 3))):
        if not rows:
            continue
        if live:
            buffer.try_live("c", rows[-1].sequence)
        sent.write(b"".join(row.value for row in rows))
        (buffer.ack_live if live else buffer.ack_backfill)("c", rows[-1].sequence)
        print("A", rows[-1].sequence, flush=True)
"""
"""Puts, sends into a file (14 bytes a row) and acknowledges, until it is killed; says what is durable."""


def test_kill_9_any_moment_everything_unacknowledged_comes_again_byte_equal(tmp_path: Path) -> None:
    """Killed again and again, the collector sends every flushed row, and no row in two versions."""
    path, sent = tmp_path / "buffer.sqlite", tmp_path / "sent"
    flushed, lines = 0, 0
    for wait in (3, 40, 111, 200, 57):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), "0", str(sent)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(wait):
            kind, _, sequence = process.stdout.readline().partition(" ")
            flushed = int(sequence) if kind == "F" else flushed
        process.kill()
        rest = process.communicate()[0].splitlines()
        flushed = max([flushed, *(int(line[2:]) for line in rest if line.startswith("F"))])
        lines += wait + len(rest)

    buffer = Buffer(path)
    while rows := buffer.backfill("c", 1000):
        with sent.open("ab") as file:
            file.write(b"".join(row.value for row in rows))
        buffer.ack_backfill("c", rows[-1].sequence)
    with sent.open("ab") as file:
        file.write(b"".join(row.value for row in buffer.live("c", 10**6)))
    rows_held = held(buffer)
    buffer.close()
    data = sent.read_bytes()
    values = [data[at : at + 14] for at in range(0, len(data), 14)]
    versions: dict[bytes, set[bytes]] = {}
    for value in values:
        versions.setdefault(value[6:], set()).add(value)

    assert flushed in rows_held
    assert {int.from_bytes(sequence, "big") for sequence in versions} == rows_held
    assert [versions[key] for key in versions if len(versions[key]) > 1] == []
    assert lines > 400


def test_kill_file_size_limit_keeps_what_was_flushed(tmp_path: Path) -> None:
    """When the system refuses to let the file grow, all that was flushed stays readable."""
    path = tmp_path / "buffer.sqlite"

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    code = WRITER.replace("sequence.to_bytes(8", "bytes(3000) + sequence.to_bytes(8").replace(
        "make_gap", "queued"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, str(path), "0", str(tmp_path / "sent")],
        capture_output=True, text=True, preexec_fn=limit, check=False, timeout=60,
    )  # fmt: skip
    flushed = [int(line[2:]) for line in process.stdout.splitlines() if line.startswith("F")]

    assert process.returncode == 1
    assert "LogError" in process.stderr
    buffer = Buffer(path)
    assert set(flushed) <= held(buffer)
    assert len(flushed) > 3
    buffer.close()
