"""Parquet: row groups in batches; text, integers, floats, decimals and timestamps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from acquisition.files.reader import CHUNK_ROWS, Cells, Chunk, Instants, Numbers
from nengliu.errors import InputError

_PER_MS = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}


class Parquet:
    """A Parquet file as a table.

    Raises
    ------
    InputError
        It is damaged, or holds no row.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.size, self.done = path, path.stat().st_size, 0
        try:
            self.file = pq.ParquetFile(path, pre_buffer=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{path}: expected a Parquet file, got {error}; export it again") from error
        self.rows = self.file.metadata.num_rows
        self.names = tuple(self.file.schema_arrow.names)
        if not self.rows:
            self.file.close()
            raise InputError(f"{path}: expected rows, got an empty table; export it again")

    def position(self) -> int:
        """Bytes of the file read so far (estimated by rows)."""
        return self.size * self.done // self.rows

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()

    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Yield the rows from the first to the last, once; rows are numbered from 1."""
        try:
            for batch in self.file.iter_batches(
                batch_size=CHUNK_ROWS, columns=list(columns), use_threads=False
            ):
                row = np.arange(self.done + 1, self.done + len(batch) + 1, dtype=np.int64)
                self.done += len(batch)
                yield Chunk(row, {name: cells_of(batch.column(name)) for name in columns})
        except (pa.ArrowInvalid, OSError) as error:
            where = f"{self.path}: row {self.done + 1}"
            raise InputError(f"{where}: expected a whole Parquet file, got {error}; copy it again") from error


def cells_of(column: object) -> Cells:
    """Turn an Arrow column into cells without loss."""
    array = cast(Any, column)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    null = np.asarray(array.is_null(), bool)
    if pa.types.is_timestamp(kind):
        up, down = _PER_MS[kind.unit]
        return Instants(_numpy(array.cast(pa.int64())) // down * up, null, kind.tz is not None)
    if pa.types.is_uint64(kind) or pa.types.is_float16(kind):
        return list(array.to_pylist())
    if pa.types.is_integer(kind):
        return Numbers(_numpy(array.cast(pa.int64())), null)
    if pa.types.is_floating(kind):
        return Numbers(_numpy(array), null)
    return list(array.to_pylist())


def _numpy(array: Any) -> Any:
    return array.fill_null(0).to_numpy(zero_copy_only=False)
