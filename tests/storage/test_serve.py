"""The embedded store as a process: one owner, a clean end, and no lies after a crash."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.httputil import default_pool_manager
from fixtures_store import kill_store, start_store, stop_store

from nengliu.domain.scope import SYSTEM
from nengliu.errors import StorageError
from nengliu.settings import Settings
from nengliu.storage import Writer, ask, connect, migrate
from nengliu.storage.client import speaking
from schemas.block import Rows

_TRY = """
import sys
from pathlib import Path
from nengliu.errors import StorageError
from nengliu.storage import serve
try:
    serve(Path(sys.argv[1]), {arguments})
except StorageError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[tuple[Settings, subprocess.Popen[bytes]]]:
    """A store of the test's own, which the test may kill."""
    process = start_store(tmp_path)
    yield Settings(home=tmp_path), process
    kill_store(process)


def test_store_asked_to_stop_ends_cleanly(own_store: tuple[Settings, subprocess.Popen[bytes]]) -> None:
    """SIGTERM ends the store with 0 and takes the port away, so that clients hear that it does not run."""
    settings, process = own_store
    connect(settings).close()
    assert stop_store(process) == 0
    assert not (settings.store_home / "port").exists()
    with pytest.raises(StorageError, match="does not run; start it with `nengliu store`"):
        connect(settings)


def test_store_of_a_folder_in_use_is_refused(own_store: tuple[Settings, subprocess.Popen[bytes]]) -> None:
    """A second process on the same folder says who owns it and what to do, and does not disturb the first."""
    settings, process = own_store
    code = _TRY.replace("{arguments}", "")
    second = subprocess.run(
        [sys.executable, "-c", code, str(settings.store_home)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 1
    assert f"StoreLocked: {settings.store_home}: another process (id {process.pid})" in second.stderr
    assert connect(settings).command("SELECT 1", use_database=False) == 1


def test_store_killed_leaves_a_port_that_misleads_nobody(
    own_store: tuple[Settings, subprocess.Popen[bytes]], store_home: Path
) -> None:
    """After kill -9 the port file stays: nobody answers there, or another store does, and both are told."""
    settings, process = own_store
    kill_store(process)
    port = settings.store_home / "port"
    assert port.exists()
    with pytest.raises(StorageError, match="does not answer; start it"):
        connect(settings)
    port.write_text((store_home / "store" / "port").read_text())
    with pytest.raises(StorageError, match="left over from a store that was killed"):
        connect(settings)
    again = start_store(settings.home)
    assert connect(settings).command("SELECT 1", use_database=False) == 1
    assert stop_store(again) == 0


def test_store_without_room_on_the_disk_says_so(tmp_path: Path) -> None:
    """When the disk has less than the room to keep free, writing fails with the cure and reading goes on."""
    settings = Settings(home=tmp_path)
    process = start_store(tmp_path, code=_TRY.replace("{arguments}", "keep_free_mib=10**9"))
    try:
        client = connect(settings)
        with pytest.raises(StorageError, match="disk of the store is full; make room"):
            migrate(client, settings.database)  # the ledger itself is a row
        assert client.command("SELECT 1", use_database=False) == 1
    finally:
        kill_store(process)


def test_store_speaks_china_time(client: Client) -> None:
    """The engine's zone is that of the periods."""
    assert client.command("SELECT timezone()") == "Asia/Shanghai"


def test_store_fresh_takes_little_memory(own_store: tuple[Settings, subprocess.Popen[bytes]]) -> None:
    """A store with tables and a few rows leaves the demonstration more than 1 GB of its 1.5 GB."""
    settings, process = own_store
    client = connect(settings)
    migrate(client, settings.database)
    assert ask(client, "enterprises", SYSTEM).num_rows == 0
    assert psutil.Process(process.pid).memory_info().rss < 450 * 2**20


def test_store_question_over_its_memory_is_refused(client: Client) -> None:
    """A question that needs more memory than the store may take fails alone; the store lives."""
    greedy = "SELECT length(groupArray(repeat('x', 1000) || toString(number))) FROM numbers(10000000)"
    with pytest.raises(StorageError, match=r"(?i)memory limit"), speaking("store"):
        client.query(greedy)
    assert client.command("SELECT 1") == 1


def test_store_interrupted_from_the_keyboard_ends_cleanly(tmp_path: Path) -> None:
    """SIGINT is as good as SIGTERM."""
    process = start_store(tmp_path)
    default_pool_manager().clear()
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0


def test_writer_of_a_table_that_is_not_there_is_told_to_migrate(
    store_settings: Settings, rows: Callable[..., Rows]
) -> None:
    """Rows for a table that is not there are refused at once; the sentence says what to run."""
    writer = Writer(Settings(home=store_settings.home, database="nowhere"), patience_s=5)
    writer.write(rows("reading"))
    with pytest.raises(StorageError, match="nengliu migrate"):
        writer.flush()
