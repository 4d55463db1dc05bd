"""Errors of the driver as sentences with a cure."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from nengliu.domain.scope import SYSTEM
from nengliu.errors import StorageError
from nengliu.settings import Settings
from nengliu.storage import ask, await_store, connect
from nengliu.storage.client import dsn, explain, is_passing


@pytest.mark.parametrize(
    ("code", "cure", "passing"),
    [
        (243, "disk of the store is full; make room", True),
        (81, "run `nengliu migrate`", False),
        (60, "run `nengliu migrate`", False),
        (516, "check user and password in NENGLIU_STORE", False),
        (241, "the store refuses: ", True),
        (62, "the store refuses: Syntax error", False),
    ],
)
def test_error_of_the_engine_becomes_a_sentence_with_a_cure(code: int, cure: str, passing: bool) -> None:
    """Each kind of refusal says what to do, and whether waiting helps."""
    error = DatabaseError(f"x: Code: {code}. DB::Exception: Syntax error: here. (version 26.9)", code=code)
    assert cure in str(explain(error, "http://u:secret@host:8123"))
    assert is_passing(error) is passing
    assert explain(error, "http://host").retry is passing


def test_error_names_the_place_without_its_password() -> None:
    """Messages end up in logs; passwords do not."""
    said = str(explain(DatabaseError("no", code=1), "http://u:secret@host:8123"))
    assert "secret" not in said
    assert "u:***@host" in said


def test_error_of_a_full_disk_in_the_words_of_the_system_is_known() -> None:
    """Some layers of the engine pass on the system's own text."""
    error = DatabaseError("Code: 75. DB::ErrnoException: write: errno: 28, No space left on device", code=75)
    assert "disk of the store is full" in str(explain(error, "http://h"))
    assert is_passing(error)


def test_connect_server_that_is_away_says_how_to_start_it(tmp_path: object) -> None:
    """A DSN nobody answers at is an error of its own kind, and passing."""
    with pytest.raises(StorageError, match="does not answer") as caught:
        connect(Settings(store="http://127.0.0.1:1"))
    assert isinstance(caught.value.__cause__, OperationalError)
    assert is_passing(caught.value.__cause__)


def test_connect_ignores_a_proxy_for_the_own_machine(
    store_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy of the environment is never asked for our own loopback."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert connect(store_settings).command("SELECT 1") == 1


def test_connect_by_dsn_reaches_the_same_database(store_settings: Settings) -> None:
    """The DSN of a server and the port file of the embedded store lead to the same client."""
    port = (store_settings.store_home / "port").read_text().strip()
    client = connect(
        Settings(store=f"http://default@127.0.0.1:{port}/other", database=store_settings.database)
    )
    assert client.database == store_settings.database
    assert ask(client, "enterprises", SYSTEM).num_rows == 0


def test_client_is_shared_by_threads(client: Client) -> None:
    """Threads of one process may ask at once."""
    answers: list[object] = []
    threads = [threading.Thread(target=lambda: answers.append(client.command("SELECT 1"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [1] * 8


def test_ask_before_the_first_migration_says_what_to_run(store_settings: Settings) -> None:
    """A database that is not there is not a riddle."""
    client = connect(Settings(home=store_settings.home, database="not_yet"))
    with pytest.raises(StorageError, match="nengliu migrate"):
        ask(client, "enterprises", SYSTEM)


def test_store_that_starts_late_is_awaited(store_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever needs the store waits for it, and goes on as soon as it takes connections."""
    tries: list[int] = []

    def late(settings: Settings) -> Client:
        tries.append(1)
        if len(tries) < 3:
            raise StorageError("not yet")
        return connect(settings)

    monkeypatch.setattr("nengliu.storage.client.connect", late)
    await_store(store_settings, 10)

    assert len(tries) == 3


def test_store_that_cannot_come_is_given_up(tmp_path: Path) -> None:
    """After its time, or as soon as its process is gone, the wait ends with what the last try said."""
    settings = Settings(home=tmp_path)
    with pytest.raises(StorageError, match="does not run"):
        await_store(settings, 0.1)
    began = time.monotonic()
    with pytest.raises(StorageError, match="does not run"):
        await_store(settings, 60, alive=lambda: False)

    assert time.monotonic() - began < 5


def test_await_store_that_refuses_us_does_not_wait(store_settings: Settings) -> None:
    """A wrong user or password does not get better with time: it is said at once, without the password."""
    address = dsn(store_settings).replace("default@", "nobody:wrong-word@")
    started = time.monotonic()

    with pytest.raises(StorageError, match="refuses this user; check user and password") as caught:
        await_store(Settings(store=address), 60)
    assert time.monotonic() - started < 5
    assert not caught.value.retry
    assert "wrong-word" not in str(caught.value)
