"""Opening a file as the table it is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from acquisition.files.delimited import Delimited
from acquisition.files.mapping import Map
from acquisition.files.parquet import Parquet
from acquisition.files.reader import Table, format_of, require
from acquisition.files.workbook import Workbook
from nengliu.errors import InputError

_PIECE = 2**20


def open_table(path: Path, plan: Map) -> Table:
    """Open `path` and check that it has the columns the map speaks of.

    Raises
    ------
    InputError
        It is no table, or lacks a column; where, expected, got and what to do.
    """
    kind = format_of(path)
    table: Table
    if kind == "xlsx":
        table = Workbook(path, plan.file)
    elif kind == "parquet":
        table = Parquet(path)
    else:
        table = Delimited(path, kind, plan.file)
    try:
        require(path, table.names, plan.columns(), plan.file.delimiter)
    except InputError:
        table.close()
        raise
    return table


def digest_of(path: Path, plan: Map, progress: Callable[[int], None] | None = None) -> str:
    """SHA-256 of the file and the map: the same import is known again, whatever the file is called."""
    found = hashlib.sha256(hashlib.sha256(plan.text.encode()).digest())
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                found.update(piece)
                if progress:
                    progress(file.tell())
    except OSError as error:
        raise InputError(
            f"{path}: expected a file that can be read, got {error.strerror}; check the path"
        ) from error
    return found.hexdigest()
