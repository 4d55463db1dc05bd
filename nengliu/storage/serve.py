"""The embedded store: one process that owns a folder and answers as a genuine ClickHouse server.

The chdb wheel carries the engine's own `clickhouse-local` program; ``SYSTEM START LISTEN``
opens in it the HTTP interface of every ClickHouse server, so that all other processes use
the stock client and only the address differs from production.  ``HOME/port`` appears once
the listener accepts connections: it is discovery and readiness in one.

Source: ClickHouse PR 101143 (SYSTEM START LISTEN in clickhouse-local); chdb-core
programs/local/LocalChdb.cpp.  The entry works once per process, hence a process of its own.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from xml.sax.saxutils import escape

from nengliu.errors import StorageError, StoreLocked

TIMEZONE = "Asia/Shanghai"

_CONFIG = """<clickhouse>
  <listen_host>127.0.0.1</listen_host><http_port>{port}</http_port>
  <log-level>warning</log-level>
  <logger><log>{home}/engine.log</log><size>10M</size><count>3</count></logger>
  <backups><allowed_path>{home}/backups/</allowed_path></backups>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <mark_cache_size>33554432</mark_cache_size>
  <index_mark_cache_size>8388608</index_mark_cache_size>
  <primary_index_cache_size>67108864</primary_index_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <mmap_cache_size>0</mmap_cache_size>
  <background_pool_size>2</background_pool_size>
  <background_merges_mutations_concurrency_ratio>1</background_merges_mutations_concurrency_ratio>
  <background_common_pool_size>2</background_common_pool_size>
  <background_schedule_pool_size>4</background_schedule_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <max_thread_pool_size>256</max_thread_pool_size>
  <merge_tree>
    <min_bytes_for_wide_part>67108864</min_bytes_for_wide_part>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
    <auto_statistics_types></auto_statistics_types>
    <min_parts_to_merge_at_once>8</min_parts_to_merge_at_once>
    <merge_selector_base>10</merge_selector_base>
    {spare}
  </merge_tree>
  <storage_configuration><disks><default>
    <keep_free_space_bytes>{keep_free}</keep_free_space_bytes>
  </default></disks></storage_configuration>
</clickhouse>
"""
"""Merges wait for eight parts, and no statistics are made at the insert: half the CPU of a bulk load (measured).
Two merges at a time and small caches: the demonstration has two cores and 1.5 GB for everything.
Parts up to 64 MiB in one file instead of one per column: 100,000 window rows then cost half (measured).
fsync: an acknowledged insert must outlive a power cut, because the flows move their resume point after it.
Statements under way at the stop get 5 s (fixed in the engine; idle connections of living clients count);
after that the engine ends the process at once, which loses nothing that was acknowledged."""

_SPARE = "".join(
    f"<number_of_free_entries_in_pool_to_{what}>1</number_of_free_entries_in_pool_to_{what}>"
    for what in ("execute_mutation", "lower_max_size_of_merge", "execute_optimize_entire_partition")
)
"""A pool of two cannot keep the usual 8 to 25 places free before it merges well."""

_MIB = 2**20
_NEW_PORT = "port.new"
_LOOK_S = 0.01


def serve(home: Path, port: int = 0, *, memory_mib: int = 512, keep_free_mib: int = 128) -> int:
    """Own `home` and answer on loopback until SIGTERM or SIGINT; 0 after a clean stop.

    Call it in the main thread of a process that does nothing else: the engine starts once per process.

    Parameters
    ----------
    home
        Folder of the data; made if it is not there.
    port
        Port to listen on; 0 lets the system choose.
    memory_mib
        Queries, inserts and merges together may take this much [MiB]; beyond it a question fails.  The
        process itself takes about 300 more, and freed memory goes back to the system after seconds:
        985 MB at the very peak of hostile questions (measured).
    keep_free_mib
        Inserts are refused while the disk has less free space than this [MiB], because the log lies
        on the same disk and must still be able to write.

    Raises
    ------
    StoreLocked
        Another process owns `home`.
    StorageError
        The folder cannot be used, or the engine ended by itself.
    """
    home = home.expanduser().absolute()
    with _owned(home):
        sizes = {"spare": _SPARE, "memory": memory_mib * _MIB, "keep_free": keep_free_mib * _MIB}
        _lay_out(home, _CONFIG.format(home=escape(str(home)), port=port, **sizes))
        try:
            return _run(home)
        finally:
            (home / "port").unlink(missing_ok=True)


@contextmanager
def _owned(home: Path) -> Iterator[None]:
    """Hold the lock of `home`; the system lets it go however the process ends."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{home}: cannot keep a store here ({error}); choose another folder") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(lock, 32, 0).decode().strip() or "unknown"
        os.close(lock)
        raise StoreLocked(_locked(home, owner)) from error
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


def _locked(home: Path, owner: str) -> str:
    return (
        f"{home}: another process (id {owner}) serves this store already; use that one, "
        "stop it first, or give this installation another NENGLIU_HOME"
    )


def _lay_out(home: Path, config: str) -> None:
    """Write what the engine reads, and take away the port of a predecessor that was killed."""
    for name in ("port", _NEW_PORT):
        (home / name).unlink(missing_ok=True)
    try:
        (home / "config.xml").write_text(config)
        os.chdir(home)  # the program reads ./config.xml; it has no other way in
    except OSError as error:
        raise StorageError(f"{home}: cannot write the engine's settings ({error})") from error
    os.environ["TZ"] = TIMEZONE  # <timezone> of the settings is not read by this program
    time.tzset()


class _Engine:
    """The engine in its thread; `stop` ends it from a signal handler."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.reader, self.writer = os.pipe()
        self.asked, self.ended = threading.Event(), threading.Event()
        self.failure = ""

    def run(self) -> None:
        """Serve; the last statement reads the pipe, so closing the pipe ends the program."""
        from chdb import _chdb  # 0.3 s and 200 MB: only the process that serves pays

        place = str(self.home / _NEW_PORT).replace("\\", "\\\\").replace("'", "\\'")
        script = f"""SYSTEM START LISTEN HTTP;
            SELECT getServerPort('http_port') INTO OUTFILE '{place}' TRUNCATE FORMAT TSV;
            SELECT * FROM file('/dev/fd/{self.reader}', LineAsString) FORMAT Null"""
        try:
            _chdb.query(script, "TabSeparated", path=str(self.home / "data"))  # type: ignore[attr-defined]
        except RuntimeError as error:
            self.failure = str(error)
        finally:
            self.ended.set()

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        """Ask for the end, once; no client is sent here any more."""
        if not self.asked.is_set():
            self.asked.set()
            (self.home / "port").unlink(missing_ok=True)
            os.close(self.writer)


def _run(home: Path) -> int:
    engine = _Engine(home)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, engine.stop)
    threading.Thread(target=engine.run, name="store", daemon=True).start()
    _announce(home, engine)
    while not engine.ended.wait(1):  # a bare wait() would keep signals from being handled on some systems
        pass
    if engine.asked.is_set():
        return 0
    raise _ended(home, engine.failure)


def _announce(home: Path, engine: _Engine) -> None:
    """Show the port in one step once the engine wrote it: a client never reads half of it."""
    new = home / _NEW_PORT
    while not engine.ended.is_set() and not engine.asked.is_set():
        if new.is_file() and new.read_text().endswith("\n"):
            new.replace(home / "port")
            return
        time.sleep(_LOOK_S)


def _ended(home: Path, failure: str) -> StorageError:
    """Tell why the engine ended by itself."""
    if "Cannot lock file" in failure:
        return StoreLocked(_locked(home, "unknown"))
    if "Address already in use" in failure:
        return StorageError(f"{home}: the port is taken; choose another one, or 0 to let the system choose")
    if "No space left" in failure:
        return StorageError(f"{home}: the disk is full; make room and start the store again")
    said = failure.strip().splitlines()[0][:300] if failure.strip() else "it said nothing"
    return StorageError(f"{home}: the engine ended by itself ({said}); see {home / 'engine.log'}")
