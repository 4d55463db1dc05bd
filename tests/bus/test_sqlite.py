"""The SQLite log: the conformance suite, and what a file on a disk can suffer."""

from __future__ import annotations

import re
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bus.conformance import LogConformance, OpenLog, read_all

from nengliu.bus import Bounds, partition_of
from nengliu.bus.sqlite import SCHEMA_VERSION, SqliteLog
from nengliu.errors import LogError

APPENDER = """
import sys
from nengliu.bus.sqlite import SqliteLog
path, name, batches, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
log = SqliteLog(path)
for batch in range(batches):
    log.append("t", [(f"k{i}", f"{name} {batch} {i}".encode()) for i in range(size)])
    print(batch, flush=True)
"""
"""Appends batches of `size` messages over several keys and says each one that was returned."""


def appender(path: Path, name: str, batches: int, size: int) -> subprocess.Popen[str]:
    """Start a process that appends."""
    command = [sys.executable, "-c", APPENDER, str(path), name, str(batches), str(size)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Path of a log file in a folder that is not there yet."""
    return tmp_path / "deep" / "log.sqlite"


@pytest.fixture
def log(path: Path) -> Iterator[SqliteLog]:
    """Open a log with a topic ``t`` of two partitions, one ``s`` of a single one."""
    with SqliteLog(path, timeout_s=0.2) as log:
        log.create("t", 2)
        log.create("s", 1)
        yield log


class TestSqliteLog(LogConformance):
    """The SQLite log is a log."""

    @pytest.fixture
    def open_log(self, path: Path) -> OpenLog:
        """Open the same file again."""
        return lambda: SqliteLog(path)

    @pytest.fixture
    def topic(self) -> str:
        """Name the topic; every test has its own file."""
        return "readings.raw"


class TestFile:
    """Whose file it is, and what becomes of it."""

    def test_open_default_syncs_every_commit(self, log: SqliteLog) -> None:
        """An append is on the disk when it returns: WAL with synchronous FULL."""
        assert log._execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert log._execute("PRAGMA synchronous").fetchone() == (2,)

    def test_open_bench_setting_is_obeyed(self, path: Path) -> None:
        """Benches may ask for less."""
        with SqliteLog(path, synchronous="NORMAL") as log:
            assert log._execute("PRAGMA synchronous").fetchone() == (1,)

    def test_open_newer_layout_refused(self, path: Path) -> None:
        """A file of a later version is left alone."""
        SqliteLog(path).close()
        with sqlite3.connect(path) as connection:
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        connection.close()

        with pytest.raises(LogError, match=r"version 2, this program knows up to 1; .*newer program"):
            SqliteLog(path)

    def test_open_file_of_another_program_refused(self, tmp_path: Path) -> None:
        """A SQLite file that is not ours is not written into."""
        with sqlite3.connect(tmp_path / "cookies.sqlite") as connection:
            connection.execute("CREATE TABLE moz (a)")
        connection.close()

        with pytest.raises(LogError, match="another SQLite file"):
            SqliteLog(tmp_path / "cookies.sqlite")

    def test_open_no_database_refused(self, tmp_path: Path) -> None:
        """A file that is no database is named as such."""
        (tmp_path / "notes.txt").write_text("readings " * 1000)

        with pytest.raises(LogError, match="not a log file"):
            SqliteLog(tmp_path / "notes.txt")

    def test_open_folder_that_cannot_be_made_refused(self, tmp_path: Path) -> None:
        """A path through a file is a LogError, not an OSError."""
        (tmp_path / "file").touch()

        with pytest.raises(LogError, match="cannot open"):
            SqliteLog(tmp_path / "file" / "log.sqlite")

    def test_open_directory_refused(self, tmp_path: Path) -> None:
        """A folder is no log."""
        with pytest.raises(LogError, match="cannot be opened"):
            SqliteLog(tmp_path)

    def test_open_by_many_at_once_lays_one_set_of_tables(self, path: Path) -> None:
        """Processes that start together on a new file do not trip over one another."""
        code = (
            "import sys; from nengliu.bus.sqlite import SqliteLog; log = SqliteLog(sys.argv[1]); "
            "log.create('t', 2); log.append('t', [('a', b'1')])"
        )
        many = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(6)]

        assert [process.wait(20) for process in many] == [0] * 6
        with SqliteLog(path) as log:
            assert len(read_all(log, "t", partition_of("a", 2))) == 6

    def test_read_damaged_page_is_a_log_error(self, path: Path) -> None:
        """Damage on the disk is said as such, with a cure."""
        with SqliteLog(path) as log:
            log.create("t", 1)
            log.append("t", [("a", bytes(3000))] * 200)
        with path.open("r+b") as file:
            for page in range(5, path.stat().st_size // 16384):
                file.seek(page * 16384)
                file.write(b"\xff" * 16384)

        with SqliteLog(path) as log, pytest.raises(LogError, match=r"damaged.*restore"):
            log.read("t", 0, 0, 1000)

    def test_append_read_only_file_is_a_log_error(self, log: SqliteLog) -> None:
        """A file one may not write says so."""
        log._execute("PRAGMA query_only = 1")

        with pytest.raises(LogError, match="read-only"):
            log.append("t", [("a", b"")])

    def test_close_used_after_is_a_log_error(self, path: Path) -> None:
        """A closed log refuses work in our words."""
        log = SqliteLog(path)
        log.close()

        with pytest.raises(LogError, match="closed"):
            log.partitions("t")


class TestDisk:
    """The disk fills up."""

    def test_append_full_disk_leaves_nothing_and_goes_on(self, log: SqliteLog) -> None:
        """A batch that does not fit is not there at all; with space again the log goes on."""
        log.append("t", [("a", b"kept"), ("b", b"kept")])
        before = [log.bounds("t", p) for p in range(2)]
        (pages,) = log._execute("PRAGMA page_count").fetchone()
        log._execute(f"PRAGMA max_page_count = {pages + 5}")

        with pytest.raises(LogError, match=r"disk is full.*free space"):
            log.append("t", [(f"k{i}", bytes(4000)) for i in range(200)])
        assert [log.bounds("t", p) for p in range(2)] == before
        log._execute("PRAGMA max_page_count = 1000000")
        assert len(log.append("t", [(f"k{i}", bytes(4000)) for i in range(200)])) == 200

    def test_append_file_size_limit_keeps_what_was_returned(self, path: Path) -> None:
        """When the system refuses to let the file grow, all that was returned stays readable."""
        with SqliteLog(path) as log:
            log.create("t", 2)

        def limit() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

        code = APPENDER.replace('f"{name} {batch} {i}".encode()', "bytes(4000)")
        process = subprocess.run(
            [sys.executable, "-c", code, str(path), "x", "100", "10"],
            capture_output=True, text=True, preexec_fn=limit, check=False,
        )  # fmt: skip
        returned = len(process.stdout.split())

        assert process.returncode == 1
        assert "LogError" in process.stderr
        with SqliteLog(path) as log:
            assert sum(len(read_all(log, "t", p)) for p in range(2)) == 10 * returned
            assert returned > 0


class TestTurns:
    """Several processes and threads at one file."""

    def test_append_while_another_writes_waits_then_says_locked(self, log: SqliteLog, path: Path) -> None:
        """A writer that never ends is an error after the timeout, not a hang."""
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()

        with pytest.raises(LogError, match="locked by another process"):
            log.append("t", [("a", b"")])
        assert 0.15 < time.monotonic() - started < 5
        other.execute("ROLLBACK")
        assert len(log.append("t", [("a", b"")])) == 1
        other.close()

    def test_append_while_another_reads_does_not_wait(self, log: SqliteLog, path: Path) -> None:
        """A reader in the middle of its snapshot holds up nobody, and does not see what comes after."""
        log.append("s", [("a", b"1")])
        reader = SqliteLog(path)
        with reader._reading("look"):
            before = reader._execute("SELECT count(*) FROM message").fetchone()
            log.append("s", [("a", b"2")])

            assert reader._execute("SELECT count(*) FROM message").fetchone() == before
        assert len(reader.read("s", 0, 0, 9)) == 2
        reader.close()

    def test_read_while_another_writes_does_not_wait(self, log: SqliteLog, path: Path) -> None:
        """A writer in the middle of its transaction holds up no reader."""
        log.append("s", [("a", b"1")])
        writer = SqliteLog(path)
        with writer._writing("write"):
            assert [r.value for r in log.read("s", 0, 0, 9)] == [b"1"]
        writer.close()

    def test_append_by_processes_at_once_loses_and_splits_nothing(self, log: SqliteLog, path: Path) -> None:
        """Three writers at once: every message once, each writer's in its order, offsets dense."""
        writers = [appender(path, f"w{n}", 30, 7) for n in range(3)]
        for process in writers:
            process.communicate(timeout=30)
        found: dict[str, list[tuple[int, int]]] = {}
        for partition in range(2):
            records = read_all(log, "t", partition)
            assert [r.offset for r in records] == list(range(len(records)))
            for record in records:
                name, batch, i = record.value.split()
                found.setdefault(f"{name!r} {partition}", []).append((int(batch), int(i)))

        assert all(messages == sorted(messages) for messages in found.values())
        assert sum(map(len, found.values())) == 3 * 30 * 7
        assert sum(len(set(messages)) for messages in found.values()) == 3 * 30 * 7

    def test_append_by_threads_on_one_object_takes_turns(self, log: SqliteLog) -> None:
        """Threads may share one log."""

        def work() -> None:
            for _ in range(25):
                log.append("s", [("a", b"1"), ("a", b"2")])
                log.read("s", 0, 0, 5)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert log.bounds("s", 0) == Bounds(1, 0, 200)
        assert [r.value for r in read_all(log, "s", 0)] == [b"1", b"2"] * 100

    @pytest.mark.parametrize("returned", [1, 15, 60])
    def test_append_killed_keeps_whole_batches(self, log: SqliteLog, path: Path, returned: int) -> None:
        """After kill -9 every batch that was returned is there, and none is there in part."""
        with appender(path, "w", 100_000, 9) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(returned)]
            process.kill()
            said += process.stdout.readlines()
        batches: dict[int, int] = {}
        for partition in range(2):
            for record in read_all(log, "t", partition):
                batch = int(record.value.split()[1])
                batches[batch] = batches.get(batch, 0) + 1

        assert set(batches.values()) == {9}
        assert set(range(len([line for line in said if line.endswith("\n")]))) <= set(batches)
        assert len(log.append("t", [("a", b"w -1 0")])) == 1


class TestTrim:
    """Old records go."""

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
        """Set the second in which the log believes to be."""
        return lambda now_s: monkeypatch.setattr("nengliu.bus.sqlite.time.time", lambda: float(now_s))

    def test_trim_by_age_forgets_the_head_only(self, log: SqliteLog, clock: Callable[[int], None]) -> None:
        """Records before the limit go, the others keep their offsets."""
        for second in (10, 20, 30):
            clock(second)
            log.append("s", [("a", b"%d" % second)] * 2)

        assert log.trim("s", 20) == 2
        assert log.bounds("s", 0) == Bounds(1, 2, 6)
        assert [(r.offset, r.appended_at_s) for r in log.read("s", 0, 0, 2)] == [(2, 20), (3, 20)]

    def test_trim_after_clock_ran_back_keeps_offsets_dense(
        self, log: SqliteLog, clock: Callable[[int], None]
    ) -> None:
        """An old stamp behind a young one is not cut out of the middle."""
        for second in (30, 10, 40):
            clock(second)
            log.append("s", [("a", b"")])

        assert log.trim("s", 20) == 0
        assert [r.offset for r in read_all(log, "s", 0)] == [0, 1, 2]

    def test_trim_in_several_steps_forgets_all(
        self, log: SqliteLog, clock: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A long trim is cut into transactions and comes to the same."""
        monkeypatch.setattr("nengliu.bus.sqlite.TRIM_ROWS", 7)
        clock(10)
        log.append("t", [(f"k{i}", b"") for i in range(50)])
        clock(20)
        log.append("t", [(f"k{i}", b"") for i in range(20)])

        assert log.trim("t", 20) == 50
        assert sum(len(read_all(log, "t", p)) for p in range(2)) == 20

    def test_trim_frees_space_for_later_appends(self, log: SqliteLog) -> None:
        """A log trimmed as it grows stays about as large as what it holds."""
        for _ in range(3):
            log.append("s", [("a", bytes(4000))] * 500)
            log.trim("s", 2**40)
        (pages,) = log._execute("PRAGMA page_count").fetchone()

        assert pages * 16384 < 2 * 500 * 6000


def test_message_of_log_error_names_the_file_and_the_place(log: SqliteLog, path: Path) -> None:
    """Whoever reads the message knows the file, what was tried, and what to do."""
    log._execute("PRAGMA query_only = 1")

    with pytest.raises(LogError, match=re.escape(str(path)) + r": cannot append to t: .*; give this user"):
        log.append("t", [("a", b"")])
