"""CSV: any of the three line ends, quoted cells, ragged rows kept for the report."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from acquisition.files.mapping import FileRule
from acquisition.files.reader import CHUNK_ROWS, Cells, Chunk, Ragged, detect_encoding, open_text
from nengliu.errors import InputError

SHOWN = 200
"""Characters of a bad row that are kept as evidence."""


class Delimited:
    """A CSV file as a table.

    Raises
    ------
    InputError
        No text, no header, or no row after it.
    """

    def __init__(self, path: Path, kind: str, rule: FileRule) -> None:
        self.path, self.rule = path, rule
        self.encoding = detect_encoding(path, kind, rule.encoding)
        binary, self.counted = open_text(path, kind)
        encoding = "utf-8-sig" if self.encoding == "utf-8" else self.encoding
        self.text = io.TextIOWrapper(binary, encoding=encoding, newline="")
        self.held: list[str] | None = None
        self.lines = sum(1 for _ in itertools.islice(self.text, rule.skip))
        self.reader = csv.reader(self.text, delimiter=rule.delimiter)
        try:
            first = self._next_row()
        except csv.Error as error:
            self.close()
            raise InputError(f"{path}: expected a header, got {error}; export the table as CSV") from error
        if first is None:
            self.close()
            raise InputError(
                f"{path}: expected a header, got an empty table; export it again, or lower [file] skip"
            )
        if rule.header:
            self.names = tuple(name.strip().lstrip("\ufeff") for name in first)
            self.lines += sum(1 for _ in itertools.islice(self.text, rule.skip_after))
            first = self._next_row()
        else:
            self.names = tuple(str(n) for n in range(1, len(first) + 1))
        if first is None:
            self.close()
            raise InputError(
                f"{path}: expected rows after the header, got a header only; export the values too"
            )
        self.held = first

    def position(self) -> int:
        """Bytes of the file read so far."""
        return self.counted.read_bytes or self.counted.file.tell()

    def close(self) -> None:
        """Let go of the file."""
        self.text.close()
        self.counted.file.close()

    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Yield the rows from the first to the last, once; blank lines are no rows."""
        places = [self.names.index(name) for name in columns]
        while True:
            rows, numbers, ragged = self._take()
            if not rows and not ragged:
                return
            cells: dict[str, Cells] = {
                name: [row[place] for row in rows] for name, place in zip(columns, places, strict=True)
            }
            yield Chunk(np.array(numbers, np.int64), cells, ragged)

    def _take(self) -> tuple[list[list[str]], list[int], list[Ragged]]:
        rows: list[list[str]] = []
        numbers: list[int] = []
        ragged: list[Ragged] = []
        width = len(self.names)
        while len(rows) + len(ragged) < CHUNK_ROWS:
            try:
                row = self._next_row()
            except csv.Error as error:
                ragged.append(Ragged(self.lines + self.reader.line_num, width, 0, str(error)))
                continue
            if row is None:
                break
            number = self.lines + self.reader.line_num
            if len(row) == width:
                rows.append(row)
                numbers.append(number)
            else:
                ragged.append(Ragged(number, width, len(row), self.rule.delimiter.join(row)[:SHOWN]))
        return rows, numbers, ragged

    def _next_row(self) -> list[str] | None:
        if self.held is not None:
            held, self.held = self.held, None
            return held
        for row in self.reader:
            if row:
                return row
        return None
