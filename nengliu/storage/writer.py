"""Write rows in large batches: exactly once in `FINAL`, whatever dies in between.

A batch that was sealed keeps its bytes and its token until the store acknowledged it, so a
retry after a lost answer is recognised by the store (token) and, beyond its memory, by the
key of the table (ReplacingMergeTree).  Tables go out in an order that loses nothing in a
crash: what a value supersedes is kept before the value that supersedes it is written.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import lz4.frame
from clickhouse_connect.driver.client import Client

from nengliu.errors import StorageError
from nengliu.settings import Settings
from nengliu.storage.connection import Connection
from nengliu.storage.native import encode
from schemas.block import Rows

LIMIT_BYTES = 192 << 20
"""A writer holds no more than this: an insert costs the store 4 to 10 ms before its first row (measured), so few."""
INSERT_BYTES = 64 << 20
"""One insert brings about so much at most, some 600,000 windows: the store holds it twice while it sorts."""

_ORDER = ("enterprise", "point", "frame_schema", "wiring", "book", "reading_superseded", "quarantine")
_LAST = ("import_run", "intake")
"""The tally goes last: what it counts is there when it is."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows of one table as they go out, the same bytes and token at every try."""

    table: str
    size: int
    token: str
    body: bytes


class Writer:
    """Writes `Rows` to the store; not for several threads at once.

    Parameters
    ----------
    settings
        Where the store is; read again at every retry, since a restarted store has a new port.
    limit_bytes
        `write` flushes before it would hold more than this: the caller waits (back-pressure).
    patience_s
        How long `flush` tries again while the store is away, busy or full [s].
    """

    def __init__(
        self, settings: Settings, *, limit_bytes: int = LIMIT_BYTES, patience_s: float = 60.0
    ) -> None:
        self.settings = settings
        self.limit_bytes = limit_bytes
        self._connection = Connection(settings, patience_s)
        self._types: dict[str, dict[str, str]] = {}
        self._held: dict[str, list[Rows]] = {}
        self._sealed: deque[_Batch] = deque()
        self._sizes: dict[str, int] = {}

    @property
    def held(self) -> int:
        """What was given and not yet acknowledged by the store [bytes, as given]."""
        return sum(self._sizes.values()) + sum(batch.size for batch in self._sealed)

    def write(self, rows: Rows) -> None:
        """Take rows; flush first when they would be too many to hold.

        Raises
        ------
        StorageError
            The flush failed; `rows` were not taken, everything held before is still held.
        """
        if not len(rows):
            return
        size = rows.nbytes
        if self._held and self.held + size > self.limit_bytes:
            self.flush()
        self._held.setdefault(rows.table, []).append(rows)
        self._sizes[rows.table] = self._sizes.get(rows.table, 0) + size

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
            del self._sizes[table]
            for batch in _cut(held):
                size = sum(rows.nbytes for rows in batch)
                body = _packed(encode(batch, types))
                self._sealed.append(_Batch(table, size, str(uuid.uuid4()), body))

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


def _cut(held: list[Rows]) -> Iterator[list[Rows]]:
    """Rows of one table as they go out together."""
    batch: list[Rows] = []
    size = 0
    for rows in held:
        if batch and size + rows.nbytes > INSERT_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(rows)
        size += rows.nbytes
    yield batch


def _packed(parts: list[bytes | memoryview]) -> bytes:
    """One frame of lz4, made piece by piece: what goes out is never laid together at its full size."""
    frame = lz4.frame.LZ4FrameCompressor()
    return b"".join([frame.begin(), *map(frame.compress, parts), frame.flush()])


def _rank(table: str) -> tuple[int, str]:
    if table in _ORDER:
        return _ORDER.index(table), table
    if table.endswith("_history"):
        return len(_ORDER), table
    if table in _LAST:
        return len(_ORDER) + 2, table
    return len(_ORDER) + 1, table
