"""Write rows in large batches: exactly once in `FINAL`, whatever dies in between.

A batch that was sealed keeps its bytes and its token until the store acknowledged it, so a
retry after a lost answer is recognised by the store (token) and, beyond its memory, by the
key of the table (ReplacingMergeTree).  Tables go out in an order that loses nothing in a
crash: what a value supersedes is kept before the value that supersedes it is written.
"""

from __future__ import annotations

import uuid
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import lz4.frame
from clickhouse_connect.driver.client import Client

from nengliu.errors import StorageError
from nengliu.settings import Settings
from nengliu.storage.connection import Connection
from nengliu.storage.native import encode
from schemas.block import Arrays, Rows

_ORDER = ("enterprise", "point", "frame_schema", "wiring", "book", "reading_superseded", "quarantine")
_LAST = ("import_run", "intake")
"""The tally goes last: what it counts is there when it is."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows of one table as they go out, the same bytes and token at every try."""

    table: str
    rows: int
    token: str
    body: bytes


class Writer:
    """Writes `Rows` to the store; not for several threads at once.

    Parameters
    ----------
    settings
        Where the store is; read again at every retry, since a restarted store has a new port.
    limit_rows
        `write` flushes before it would hold more rows than this: the caller waits (back-pressure).
    patience_s
        How long `flush` tries again while the store is away, busy or full [s].
    """

    def __init__(self, settings: Settings, *, limit_rows: int = 600_000, patience_s: float = 60.0) -> None:
        self.settings = settings
        self.limit_rows = limit_rows
        self._connection = Connection(settings, patience_s)
        self._types: dict[str, dict[str, str]] = {}
        self._held: dict[str, list[Rows]] = {}
        self._sealed: deque[_Batch] = deque()

    @property
    def held(self) -> int:
        """Rows that were given and not yet acknowledged by the store; one that holds many readings counts as those."""
        return sum(map(_weight, _flat(self._held))) + sum(batch.rows for batch in self._sealed)

    def write(self, rows: Rows) -> None:
        """Take rows; flush first when they would be too many to hold.

        Raises
        ------
        StorageError
            The flush failed; `rows` were not taken, everything held before is still held.
        """
        if not len(rows):
            return
        if self._held and self.held + _weight(rows) > self.limit_rows:
            self.flush()
        self._held.setdefault(rows.table, []).append(rows)

    def flush(self) -> None:
        """Return when the store holds everything that was written.

        Raises
        ------
        StorageError
            The store stayed away, or refuses; the rows are still held and the next flush tries again.
        ContractError
            Rows that do not fit their table; those rows are given up.
        """
        self._seal()
        while self._sealed:
            self._connection.run(self._send)
            self._sealed.popleft()

    def close(self) -> None:
        """Flush and let go of the connection."""
        try:
            self.flush()
        finally:
            self._connection.close()

    def __enter__(self) -> Self:
        """Use as a context: leaving it without an error flushes."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Flush after success; after an error only let go."""
        if kind is None:
            self.close()
        else:
            self._connection.close()

    def _seal(self) -> None:
        """Turn what is held into batches, superseded values before those that supersede them."""
        for table in sorted(self._held, key=_rank):
            types = self._columns(table)
            held = self._held.pop(table)
            body = lz4.frame.compress(encode(held, types))
            rows = sum(map(_weight, held))
            self._sealed.append(_Batch(table, rows, str(uuid.uuid4()), body))

    def _send(self, client: Client) -> None:
        batch = self._sealed[0]
        client.raw_insert(
            batch.table,
            insert_block=batch.body,
            fmt="Native",
            compression="lz4",
            # the merge repairs duplicates anyway; doing it in the insert costs a third (measured)
            settings={"insert_deduplication_token": batch.token, "optimize_on_insert": 0},
        )

    def _columns(self, table: str) -> dict[str, str]:
        """Names and types of a table's columns, asked once."""
        if table not in self._types:
            found = self._connection.run(lambda client: columns_of(client, self.settings.database, table))
            if not found:
                raise StorageError(f"{self.settings.database}.{table}: no such table; run `nengliu migrate`")
            self._types[table] = found
        return self._types[table]


def columns_of(client: Client, database: str, table: str) -> dict[str, str]:
    """Names and types of the columns of a table; empty when there is no such table."""
    query = (
        "SELECT name, type FROM system.columns "
        "WHERE database = {database:String} AND table = {table:String} ORDER BY position"
    )
    rows = client.query(query, parameters={"database": database, "table": table}).result_rows
    return {str(name): str(kind) for name, kind in rows}


def _weight(rows: Rows) -> int:
    """Rows, or the numbers in their longest list column: what bounds the memory of a batch."""
    lists = [len(column.values) for column in rows.columns.values() if isinstance(column, Arrays)]
    return max([len(rows), *lists])


def _flat(held: dict[str, list[Rows]]) -> list[Rows]:
    return [rows for batch in held.values() for rows in batch]


def _rank(table: str) -> tuple[int, str]:
    if table in _ORDER:
        return _ORDER.index(table), table
    if table.endswith("_history"):
        return len(_ORDER), table
    if table in _LAST:
        return len(_ORDER) + 2, table
    return len(_ORDER) + 1, table
