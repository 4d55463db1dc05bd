"""The store behind the questions: named queries over HTTP, one client per process."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow as pa

from dashboards.data import Value
from nengliu import storage
from nengliu.domain.scope import Scope
from nengliu.errors import StorageError
from nengliu.settings import Settings


class StoreQuestions:
    """Answers named queries from the store of an installation.

    A restarted embedded store listens on a new port, so a failed question connects anew once.
    """

    def __init__(self, settings: Settings) -> None:
        """Remember where the store is; the connection is made by the first question."""
        self.settings = settings
        self._client: Any = None
        self._lock = threading.Lock()

    def ask(self, name: str, scope: Scope, as_of: date | None, parameters: Mapping[str, Value]) -> pa.Table:
        """Answer one named query."""
        client, fresh = self._connected()
        try:
            return storage.ask(client, name, scope, as_of=as_of, **parameters)
        except StorageError:
            if fresh:
                raise
            self._forget(client)
        return storage.ask(self._connected()[0], name, scope, as_of=as_of, **parameters)

    def _connected(self) -> tuple[Any, bool]:
        with self._lock:
            fresh = self._client is None
            if fresh:
                self._client = storage.connect(self.settings)
            return self._client, fresh

    def _forget(self, client: Any) -> None:
        with self._lock:
            if self._client is client:
                self._client = None
