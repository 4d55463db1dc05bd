"""A real store for tests: one engine per session, and databases that every test finds empty.

Register with ``pytest_plugins = ["fixtures_store"]`` in the top conftest.  Fixtures: `store_home` (session);
`store_settings` and `client` (empty tables), `lend_database` (several such), `fresh_settings` (a database that
may be spoilt).  `start_store`, `stop_store` and `kill_store` are for tests that want a store of their own.
"""

from __future__ import annotations

import ctypes
import itertools
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.httputil import default_pool_manager

from nengliu.errors import StorageError
from nengliu.settings import Settings
from nengliu.storage import await_store, connect, migrate

_SERVE = (
    "import sys; from nengliu.storage import serve; sys.exit(serve(__import__('pathlib').Path(sys.argv[1])))"
)
_ROOMY = _SERVE.replace("argv[1])", "argv[1]), memory_mib=2048")
"""The engine counts some 1.7 MiB more for every database laid and dropped, for ever: hundreds of tests need room
(measured; a store that keeps its tables counts right)."""
_PR_SET_PDEATHSIG = 1
_numbers = itertools.count()


def start_store(home: Path, *, code: str = _SERVE, wait_s: float = 30) -> subprocess.Popen[bytes]:
    """Start a store that owns ``home/store`` and return when it answers; it dies with the tests."""
    said = home / "store.txt"
    with said.open("wb") as file:
        command = [sys.executable, "-c", code, str(home / "store")]
        process = subprocess.Popen(command, stdout=file, stderr=file, preexec_fn=_die_with_parent)  # noqa: PLW1509
    try:
        await_store(Settings(home=home), wait_s, alive=lambda: process.poll() is None)
    except StorageError as error:
        kill_store(process)
        raise RuntimeError(f"the store did not start: {said.read_text()[-2000:]}") from error
    return process


def stop_store(process: subprocess.Popen[bytes]) -> int:
    """Stop a store as a supervisor does; idle connections go first, since the engine waits for them."""
    default_pool_manager().clear()
    process.terminate()
    try:
        return process.wait(timeout=15)
    finally:
        kill_store(process)


def kill_store(process: subprocess.Popen[bytes]) -> None:
    """End a store as a power cut does."""
    process.kill()
    process.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@pytest.fixture(scope="session")
def store_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Home of an installation whose store runs for the whole session."""
    home = tmp_path_factory.mktemp("installation")
    process = start_store(home, code=_ROOMY)
    yield home
    stop_store(process)


@pytest.fixture(scope="session")
def shelf() -> list[Settings]:
    """Databases with all tables that no test uses now: laying the tables costs more than most tests."""
    return []


@pytest.fixture
def lend_database(store_home: Path, shelf: list[Settings]) -> Iterator[Callable[[], Settings]]:
    """Lend databases with all tables, empty; the test may fill the tables, but not change or drop them."""
    lent = []

    def lend() -> Settings:
        settings = shelf.pop() if shelf else Settings(home=store_home, database=f"lent_{next(_numbers)}")
        lent.append(settings)
        client = connect(settings)
        migrate(client, settings.database)
        _empty(client)
        client.close()
        return settings

    yield lend
    shelf.extend(reversed(lent))


def _empty(client: Client) -> None:
    filled = (
        "SELECT name FROM system.tables "
        "WHERE database = currentDatabase() AND total_rows > 0 AND name != 'migration'"
    )
    for (name,) in client.query(filled).result_rows:
        client.command(f"TRUNCATE TABLE {name}")


@pytest.fixture
def store_settings(lend_database: Callable[[], Settings]) -> Settings:
    """Settings of an empty database with all tables; the test may fill them, but not change or drop them."""
    return lend_database()


@pytest.fixture
def fresh_settings(store_home: Path) -> Iterator[Settings]:
    """Settings of a database of the test's own, with all tables."""
    settings = Settings(home=store_home, database=f"test_{next(_numbers)}")
    client = connect(settings)
    migrate(client, settings.database)
    yield settings
    client.command(f"DROP DATABASE {settings.database}", use_database=False)
    client.close()


@pytest.fixture
def client(store_settings: Settings) -> Iterator[Client]:
    """Client of the database of `store_settings`."""
    found = connect(store_settings)
    yield found
    found.close()
