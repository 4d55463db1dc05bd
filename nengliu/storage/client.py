"""Reach the store: the embedded one of this installation, or a ClickHouse server by its DSN."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error
from clickhouse_connect.driver.httputil import default_pool_manager

from nengliu.errors import StorageError, StorageRefused
from nengliu.settings import Settings

for _chatty in ("clickhouse_connect", "urllib3.connectionpool"):
    logging.getLogger(_chatty).setLevel(
        logging.ERROR
    )  # they log what they also raise; our sentence is enough

AWAIT_S = 0.05
"""Pause between two tries to reach a store that is starting [s]."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SETTINGS = {
    "max_partitions_per_insert_block": 0,  # an import of years touches more than the usual 100 months
    "do_not_merge_across_partitions_select_final": 1,  # valid: the partition is a function of the key
    "optimize_move_to_prewhere_if_final": 1,  # only conditions on the key move: what replaces what stays untouched
    "max_bytes_before_external_group_by": 128 * 2**20,  # what does not fit the memory of a small store
    "max_bytes_before_external_sort": 128 * 2**20,  # goes through its disk instead of failing
    "distributed_foreground_insert": 1,  # a cluster acknowledges only what a shard holds
    "optimize_skip_unused_shards": 1,
}

_START = "start it with `nengliu store` or `nengliu up`"
_DISK_FULL = (243,)  # NOT_ENOUGH_SPACE
_NO_SCHEMA = (60, 81)  # UNKNOWN_TABLE, UNKNOWN_DATABASE
_REFUSED = (192, 193, 194, 497, 516)  # unknown user, wrong password, access denied
_PASSING = (*_DISK_FULL, 159, 202, 209, 210, 236, 241, 242, 252, 319, 999)
"""Conditions that can pass by waiting: full, timeout, too many queries, network, aborted, memory, read-only,
too many parts, unknown insert state, keeper."""


def connect(settings: Settings) -> Client:
    """Open a client of the store in force; it may be shared by threads.

    Raises
    ------
    StorageError
        The store is away or refuses; the message says how to get it back.
    """
    address = dsn(settings)
    loopback = urlparse(address).hostname in _LOOPBACK
    with speaking(address):
        client = clickhouse_connect.get_client(
            dsn=address,
            database="default",  # ours may not be there before the first migration
            autogenerate_session_id=False,  # a session forbids two threads at once
            compress="lz4",
            connect_timeout=5,
            settings=dict(_SETTINGS),
            # a proxy of the environment is not asked for our own loopback
            pool_mgr=default_pool_manager() if loopback else None,
        )
        if not settings.store:
            _check_owner(client, settings.store_home)
    client.database = settings.database
    return client


def await_store(
    settings: Settings, timeout_s: float = 60.0, alive: Callable[[], bool] = lambda: True
) -> None:
    """Wait until the store in force takes connections, as long as `alive` says that it may still come.

    Raises
    ------
    StorageError
        It refuses us, did not answer within `timeout_s` [s], or `alive` gave it up; the last try's message.
    """
    until = time.monotonic() + timeout_s
    while True:
        try:
            disconnect(connect(settings))
        except StorageError as error:
            if not error.retry or time.monotonic() > until or not alive():
                raise
            time.sleep(AWAIT_S)
        else:
            return


def disconnect(client: Client) -> None:
    """Let go of a client and of the connections its driver keeps open: the store waits for them when it stops."""
    client.close_connections()
    client.close()


def dsn(settings: Settings) -> str:
    """Address of the store: the setting, or the port the embedded store wrote when it was ready."""
    if settings.store:
        return settings.store
    file = settings.store_home / "port"
    try:
        port = int(file.read_text())
    except (OSError, ValueError) as error:
        raise StorageError(f"the store of {settings.home} does not run; {_START}") from error
    return f"http://default@127.0.0.1:{port}"


def _check_owner(client: Client, home: Path) -> None:
    """Refuse another store that took over the port of one that was killed."""
    found = client.command("SELECT path FROM system.disks WHERE name = 'default'", use_database=False)
    if Path(str(found)).resolve() != (home / "data").resolve():
        disconnect(client)
        raise StorageError(
            f"{home / 'port'} is left over from a store that was killed (its port now serves {found}); "
            f"{_START}"
        )


@contextmanager
def speaking(where: str) -> Iterator[None]:
    """Turn the driver's errors into one sentence with a cure."""
    try:
        yield
    except ClickHouseError as error:
        raise explain(error, where) from error


def explain(error: ClickHouseError, where: str) -> StorageError:
    """Say what a driver's error means and what to do about it."""
    code = error.code if isinstance(error, Error) else None
    said = _sentence(str(error)) or type(error).__name__
    place = _without_password(where)
    if code in _DISK_FULL or "No space left on device" in str(error):
        return StorageError(f"{place}: the disk of the store is full; make room, writing goes on by itself")
    if code in _REFUSED:
        return StorageRefused(
            f"{place}: the store refuses this user; check user and password in NENGLIU_STORE"
        )
    if code in _NO_SCHEMA:
        return StorageRefused(f"{place}: the tables are not there ({said}); run `nengliu migrate`")
    if code is None and _is_transport(error):
        return StorageError(f"{place}: the store does not answer; {_START}")
    kind = StorageError if is_passing(error) else StorageRefused
    return kind(f"{place}: the store refuses: {said}; look at the store's own log")


def is_passing(error: ClickHouseError) -> bool:
    """Whether waiting can help: the store is away, busy, full or short of memory."""
    code = error.code if isinstance(error, Error) else None
    if code is None:
        return _is_transport(error)
    return code in _PASSING or "No space left on device" in str(error)


def _is_transport(error: ClickHouseError) -> bool:
    """Whether the error comes from the way to the store (the driver keeps the cause)."""
    return error.__cause__ is not None


def _sentence(said: str) -> str:
    """The engine's own words, without the driver's and the version."""
    first = said.strip().splitlines()[0] if said.strip() else ""
    return re.sub(r"^.*DB::Exception: |\s*\(version .*$|\s*\(for url .*$", "", first)[:500]


def _without_password(where: str) -> str:
    parts = urlparse(where)
    return where.replace(f":{parts.password}@", ":***@") if parts.password else where
