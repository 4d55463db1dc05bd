"""XLSX: one sheet, read row by row; dates may be cells or text.

openpyxl holds the shared strings of the workbook in memory (a format limit): for
files of many gigabytes CSV or Parquet is the way.
"""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, cast

import numpy as np
import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from acquisition.files.delimited import SHOWN
from acquisition.files.mapping import FileRule
from acquisition.files.reader import CHUNK_ROWS, Cells, Chunk, Counted, Ragged
from nengliu.errors import InputError, nearest

Row = tuple[object, ...]


class Workbook:
    """One sheet of an XLSX file as a table.

    Raises
    ------
    InputError
        No workbook, no such sheet, no header, or no row after it.
    """

    def __init__(self, path: Path, rule: FileRule) -> None:
        self.path, self.rule, self.counted = path, rule, Counted(path)
        self.size = path.stat().st_size
        self.number = 0
        self.book: openpyxl.Workbook | None = None
        self.held: Row | None = None
        try:
            self.rows = self._open()
            self.names = self._names()
        except InputError:
            self.close()
            raise

    def _names(self) -> tuple[str, ...]:
        path, rule = self.path, self.rule
        first = self._next_row(rule.skip)
        if first is None:
            raise InputError(
                f"{path}: expected a header, got an empty sheet; set [file] sheet, or lower [file] skip"
            )
        width = max((n for n, cell in enumerate(first, 1) if cell is not None), default=0)
        names = tuple("" if cell is None else str(cell).strip() for cell in first[:width])
        if rule.header:
            self.held = self._next_row(rule.skip_after)
        else:
            self.held, names = first, tuple(str(n) for n in range(1, width + 1))
        if self.held is None:
            raise InputError(
                f"{path}: expected rows after the header, got a header only; export the values too"
            )
        return names

    def _open(self) -> Iterator[Row]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                self.book = book = openpyxl.load_workbook(
                    cast(IO[bytes], self.counted), read_only=True, data_only=True
                )
        except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, OSError) as error:
            told = f"{self.path}: expected an XLSX workbook, got {error}; save it again as XLSX or CSV"
            raise InputError(told) from error
        names = book.sheetnames
        wanted = self.rule.sheet or names[0]
        if wanted not in names:
            near = nearest(wanted, names)
            raise InputError(f"{self.path}: expected a sheet {wanted!r}, got {', '.join(names)}; {near}")
        sheet = book[wanted]
        if hasattr(sheet, "reset_dimensions"):
            sheet.reset_dimensions()
        return cast(Iterator[Row], sheet.iter_rows(values_only=True))

    def position(self) -> int:
        """Bytes of the file read so far."""
        return min(self.counted.read_bytes, self.size)

    def close(self) -> None:
        """Let go of the file."""
        if self.book is not None:
            self.book.close()
        self.counted.file.close()

    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Yield the rows from the first to the last, once; blank rows are no rows."""
        places = [self.names.index(name) for name in columns]
        width = len(self.names)
        while True:
            rows: list[Row] = []
            numbers: list[int] = []
            ragged: list[Ragged] = []
            while len(rows) + len(ragged) < CHUNK_ROWS and (row := self._next_row()) is not None:
                got = max((n for n, cell in enumerate(row, 1) if cell is not None), default=0)
                if got > width:
                    text = ",".join("" if cell is None else str(cell) for cell in row)
                    ragged.append(Ragged(self.number, width, got, text[:SHOWN]))
                    continue
                rows.append(row + (None,) * (width - len(row)))
                numbers.append(self.number)
            if not rows and not ragged:
                return
            cells: dict[str, Cells] = {
                name: [row[place] for row in rows] for name, place in zip(columns, places, strict=True)
            }
            yield Chunk(np.array(numbers, np.int64), cells, ragged)

    def _next_row(self, skip: int = 0) -> Row | None:
        if self.held is not None:
            held, self.held = self.held, None
            return held
        try:
            for row in self.rows:
                self.number += 1
                if skip > 0:
                    skip -= 1
                elif any(cell is not None and cell != "" for cell in row):
                    return row
        except (zipfile.BadZipFile, zlib.error, SyntaxError, EOFError) as error:
            where = f"{self.path}: row {self.number + 1}"
            raise InputError(
                f"{where}: expected a whole XLSX workbook, got {error}; copy it again"
            ) from error
        return None
