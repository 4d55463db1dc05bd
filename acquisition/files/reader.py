"""Files as tables, in chunks of constant memory: the content decides the format, not the name.

A table gives its column names at once and its rows in chunks.  What cannot be a table at
all (binary, empty, header only, cut short) is an InputError before anything is published.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import numpy.typing as npt

from nengliu.errors import InputError, nearest

CHUNK_ROWS = 16384
_HEAD = 65536
_PIECE = 2**20
_MAGICS = {
    b"PK\x03\x04": "xlsx",
    b"PAR1": "parquet",
    b"\x1f\x8b": "gzip",
    b"\xd0\xcf\x11\xe0": "xls",
    b"%PDF": "PDF",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of numbers: int64, float32 or float64 (n,), and where there is none (n,)."""

    values: npt.NDArray[np.int64] | npt.NDArray[np.float32] | npt.NDArray[np.float64]
    null: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Instants:
    """A column of instants [ms], UTC if `aware`, else local to the map's zone."""

    ms: npt.NDArray[np.int64]
    null: npt.NDArray[np.bool_]
    aware: bool


Cells = Sequence[object] | Numbers | Instants


@dataclass(frozen=True, slots=True)
class Ragged:
    """A row with another number of cells than the header."""

    row: int
    expected: int
    got: int
    text: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows: their numbers in the file (from 1, header counted), and the cells of each wanted column."""

    row: npt.NDArray[np.int64]
    cells: dict[str, Cells]
    ragged: list[Ragged] = field(default_factory=list)

    def __len__(self) -> int:
        """Count the rows that are not ragged."""
        return len(self.row)


class Table(Protocol):
    """An open file: names of its columns, and its rows."""

    names: tuple[str, ...]

    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Yield the rows from the first to the last, once."""

    def position(self) -> int:
        """Bytes of the file read so far."""

    def close(self) -> None:
        """Let go of the file."""


class Counted:
    """A binary file that knows how much of it was read; seeking is allowed (zip and Parquet need it)."""

    def __init__(self, path: Path) -> None:
        self.file: IO[bytes] = path.open("rb")
        self.read_bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Read and count."""
        piece = self.file.read(size)
        self.read_bytes += len(piece)
        return piece

    def __getattr__(self, name: str) -> object:
        """Leave everything else to the file."""
        return getattr(self.file, name)


def format_of(path: Path) -> str:
    """Name the format by content: csv, gzip (a CSV within), xlsx or parquet.

    Raises
    ------
    InputError
        No such file, empty, or a format that is not read; it says what to do.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise InputError(
            f"{path}: expected a file that can be read, got {error.strerror}; check the path"
        ) from error
    if not head:
        raise InputError(f"{path}: expected a table, got an empty file; export it again")
    found = next((name for magic, name in _MAGICS.items() if head.startswith(magic)), "csv")
    if found in ("xlsx", "parquet", "gzip"):
        return found
    if found != "csv":
        office = found in ("xls", "UTF-16")
        cure = (
            "save it as CSV in UTF-8 or as XLSX"
            if office
            else "unpack it, or export it as CSV, XLSX or Parquet"
        )
        raise InputError(f"{path}: expected CSV, XLSX or Parquet, got {found}; {cure}")
    if b"\0" in head or sum(byte < 9 or 13 < byte < 27 for byte in head) > len(head) // 100:
        raise InputError(f"{path}: expected CSV, XLSX or Parquet, got binary data; export the table as CSV")
    return "csv"


def open_text(path: Path, kind: str) -> tuple[IO[bytes], Counted]:
    """Open the bytes of a CSV, unpacked if need be, and the counter of the bytes read."""
    counted = Counted(path)
    if kind == "gzip":
        return gzip.GzipFile(fileobj=counted), counted  # type: ignore[call-overload]
    return counted.file, counted


def detect_encoding(path: Path, kind: str, wanted: str = "auto") -> str:
    """Find the encoding by reading the whole file once: byte-order mark, then UTF-8, then GB18030.

    Each is tried strictly, so a wrong one is never half accepted.

    Raises
    ------
    InputError
        It is none of them, or the packed file is cut short or damaged; the message names the first bad byte.
    """
    tried = {}
    for encoding in ("utf-8-sig", "gb18030") if wanted == "auto" else (wanted,):
        bad = _first_bad(path, kind, encoding)
        if bad is None:
            return encoding
        tried[encoding] = bad
    told = ", ".join(f"no {name} at byte {at}" for name, at in tried.items())
    raise InputError(f"{path}: expected text in UTF-8 or GB18030, got {told}; save it as UTF-8")


def _first_bad(path: Path, kind: str, encoding: str) -> int | None:
    decoder, at = codecs.getincrementaldecoder(encoding)("strict"), 0
    try:
        file, counted = open_text(path, kind)
        with counted.file, file:
            while piece := file.read(_PIECE):
                _refuse_binary(path, piece, at)
                decoder.decode(piece)
                at += len(piece)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return at + error.start
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: expected a whole gzip file, got {error}; copy it again") from error
    return None


def _refuse_binary(path: Path, piece: bytes, at: int) -> None:
    if b"\0" in piece:
        place = at + piece.index(b"\0")
        raise InputError(
            f"{path}: expected text, got a zero byte at {place}; export the table as CSV in UTF-8"
        )


def require(path: Path, names: Sequence[str], wanted: Sequence[str], delimiter: str = "") -> None:
    """Refuse a table that lacks a wanted column, or has it twice; nearest names are told."""
    for column in wanted:
        if column in names and names.count(column) == 1:
            continue
        if column in names:
            raise InputError(
                f"{path}: column {column!r}: expected once, got it {names.count(column)} times; rename one"
            )
        other = next((one for one in ",;\t|" if len(names) == 1 and one != delimiter and one in names[0]), "")
        cure = f"set [file] delimiter = {other!r}" if other else nearest(column, names)
        raise InputError(f"{path}: expected a column {column!r}, got {', '.join(names[:12])}; {cure}")
