"""A patient way to the store for processes that live long: questions outlive its restart."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pyarrow as pa

from nengliu.domain.scope import Scope
from nengliu.settings import Settings
from nengliu.storage.connection import Connection
from nengliu.storage.queries import ask


class Asker:
    """Asks named questions; when the store is away it looks for it again, up to `patience_s` seconds."""

    def __init__(self, settings: Settings, *, patience_s: float = 60.0) -> None:
        """Connect at the first question."""
        self._connection = Connection(settings, patience_s)

    def ask(
        self, name: str, scope: Scope, as_of: datetime | date | None = None, **parameters: Any
    ) -> pa.Table:
        """Answer a named question (see `nengliu.storage.ask`).

        Raises
        ------
        InputError
            No such question, or a parameter that does not fit.
        StorageError
            The store stayed away longer than the patience, or refuses.
        """
        return self._connection.run(lambda client: ask(client, name, scope, as_of, **parameters))

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()
