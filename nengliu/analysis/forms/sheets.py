"""Tables people fill in: CSV or XLSX as bytes, read by the heads of their columns, and written as templates.

The row of heads may stand anywhere among the first rows, so that a sheet that was exported with a title can be
filled in and handed back.
"""

from __future__ import annotations

import csv
import io
import itertools
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import openpyxl
import xlsxwriter
from openpyxl.utils.exceptions import InvalidFileException

from nengliu.errors import InputError

LARGEST = 16 * 1024 * 1024
"""Bytes of a file that is looked at: a year of figures of a thousand products is a hundredth of it."""
LONGEST = 20_000
"""Rows of a file; what is longer is an import of history (`nengliu import`) and no form."""
_HEAD_ROWS = 10
_ENCODINGS = ("utf-8-sig", "gb18030")
Heads = Mapping[str, tuple[str, ...]]
"""Name of a column -> the heads by which it is known, first the Chinese and then the English one."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a form: its number in the file, from 1, and the text of each column that was found."""

    row: int
    cells: Mapping[str, str]

    def get(self, name: str) -> str:
        """Give the text of a column; nothing where the file has no such column."""
        return self.cells.get(name, "")


@dataclass(frozen=True, slots=True)
class Template:
    """A form to fill in: heads, rows that are given, and the words a column may hold."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    choices: Mapping[int, Sequence[str]]


def read_form(content: bytes, name: str, heads: Heads, needed: Sequence[str]) -> list[Line]:
    """Read the rows of a form, blank ones left out.

    Parameters
    ----------
    name
        Name of the file; its ending says whether it is CSV or XLSX.
    needed
        Columns without which it is not this form.

    Raises
    ------
    InputError
        It is no table, too large, or lacks a column.
    """
    if len(content) > LARGEST:
        raise InputError(f"{name}: expected at most {LARGEST >> 20} MiB, got {len(content) >> 20}; cut it up")
    ending = name.rpartition(".")[2].lower()
    if ending not in ("csv", "xlsx"):
        raise InputError(f"{name}: expected a file .csv or .xlsx; save it as one of them")
    rows = _csv(content, name) if ending == "csv" else _xlsx(content, name)
    columns = _headed(rows, heads, needed)
    if not columns:
        wanted = ", ".join(" / ".join(heads[key][:2]) for key in needed)
        raise InputError(f"{name}: expected a row with the heads {wanted}; start from the template")
    found: list[Line] = []
    for number, cells in rows:
        texts = {key: cells[i] if i < len(cells) else "" for key, i in columns.items()}
        if any(texts.values()):
            found.append(Line(number, texts))
        if len(found) > LONGEST:
            raise InputError(f"{name}: expected at most {LONGEST} rows; cut it up, or use `nengliu import`")
    return found


def _headed(rows: Iterator[tuple[int, list[str]]], heads: Heads, needed: Sequence[str]) -> dict[str, int]:
    """Go on to the row of heads and give the place of each column; nothing if there is none."""
    for _, cells in itertools.islice(rows, _HEAD_ROWS):
        known = _columns(cells, heads)
        if set(needed) <= known.keys():
            return known
    return {}


def _columns(cells: Sequence[str], heads: Heads) -> dict[str, int]:
    """Place of each known head in a row."""
    by_head = {head.casefold(): key for key, names in heads.items() for head in names}
    found: dict[str, int] = {}
    for place, cell in enumerate(cells):
        key = by_head.get(cell.casefold())
        if key is not None:
            found.setdefault(key, place)
    return found


def _csv(content: bytes, name: str) -> Iterator[tuple[int, list[str]]]:
    for encoding in _ENCODINGS:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        break
    else:
        raise InputError(f"{name}: expected UTF-8 or GB 18030 text; save it as CSV UTF-8")
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in reader:
            yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        raise InputError(f"{name}: line {reader.line_num}: expected CSV, got {error}") from error


def _xlsx(content: bytes, name: str) -> Iterator[tuple[int, list[str]]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book[book.sheetnames[0]]
        if hasattr(sheet, "reset_dimensions"):
            sheet.reset_dimensions()
        for number, row in enumerate(sheet.iter_rows(max_row=LONGEST + 2 * _HEAD_ROWS), 1):
            yield number, [_text(cell) for cell in row]
    except (
        zipfile.BadZipFile,
        zlib.error,
        InvalidFileException,
        KeyError,
        ValueError,
        SyntaxError,
        EOFError,
    ) as error:
        raise InputError(f"{name}: expected an XLSX workbook, got {error}; save it again as XLSX") from error


def _text(cell: Any) -> str:
    """Text of a cell: numbers to the 15 digits a spreadsheet shows, a date without a day as a month."""
    value = cell.value
    if isinstance(value, datetime | date):
        shown = str(cell.number_format).lower()
        if "d" not in shown and "日" not in shown:
            return f"{value:%Y-%m}"
        return value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, float):
        return f"{value:.15g}"
    return "" if value is None else str(value).strip()


def template_csv(form: Template) -> bytes:
    """Write a form as CSV, UTF-8 with a mark so that spreadsheets read the Chinese."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(form.heads)
    writer.writerows(form.rows)
    return stream.getvalue().encode("utf-8-sig")


def template_xlsx(form: Template) -> bytes:
    """Write a form as a workbook: cells are text, so that a month stays a month; words to choose from where known."""
    buffer = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(buffer, options) as book:
        page = book.add_worksheet()
        text = book.add_format({"num_format": "@"})
        head = book.add_format({"bold": True, "bg_color": "#EEF1F5", "bottom": 1})
        page.set_column(0, len(form.heads) - 1, 18, text)
        page.freeze_panes(1, 0)
        for column, name in enumerate(form.heads):
            page.write_string(0, column, name, head)
        for number, row in enumerate(form.rows, 1):
            for column, value in enumerate(row):
                page.write_string(number, column, value, text)
        for column, words in form.choices.items():
            page.data_validation(1, column, LONGEST, column, {"validate": "list", "source": list(words)})
    return buffer.getvalue()


TEMPLATES = {
    "csv": (template_csv, "text/csv"),
    "xlsx": (template_xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
"""How each kind of template is written, and its type."""
