"""A connection that outlives the store: it waits, looks for the store anew and tries again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from nengliu.errors import StorageError
from nengliu.settings import Settings
from nengliu.storage.client import connect, disconnect, dsn, explain

_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 2.0
"""A restarted store answers after half a second; a longer wait only delays the way back."""

X = TypeVar("X")


class Connection:
    """One client of the store in force, opened when it is needed; not for several threads at once.

    Parameters
    ----------
    settings
        Where the store is; read again at every try, since a restarted store has a new port.
    patience_s
        How long to try while the store is away, busy or full [s].
    """

    def __init__(self, settings: Settings, patience_s: float) -> None:
        self.settings = settings
        self.patience_s = patience_s
        self._client: Client | None = None

    def run(self, step: Callable[[Client], X]) -> X:
        """Do `step`, which must bear repetition; again while the store is away, busy or full.

        Raises
        ------
        StorageError
            The store refuses, or stayed away for longer than the patience.
        """
        until, wait = time.monotonic() + self.patience_s, _FIRST_WAIT_S
        while True:
            try:
                return step(self._open())
            except (ClickHouseError, StorageError) as error:
                failure = explain(error, self._where()) if isinstance(error, ClickHouseError) else error
            self.close()
            if not failure.retry:
                raise failure
            if time.monotonic() + wait > until:
                raise StorageError(f"{failure} (gave up after {self.patience_s:g} s)") from failure
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)

    def close(self) -> None:
        """Let go of the client; the next step opens one again."""
        if self._client is not None:
            disconnect(self._client)
            self._client = None

    def _open(self) -> Client:
        if self._client is None:
            self._client = connect(self.settings)
        return self._client

    def _where(self) -> str:
        try:
            return dsn(self.settings)
        except StorageError:
            return str(self.settings.store_home)
