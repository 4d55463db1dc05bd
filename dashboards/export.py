"""Tables as files: CSV a spreadsheet opens in Chinese, XLSX with its source and its day of knowledge."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pandas as pd
import xlsxwriter

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as people take it away.

    Parameters
    ----------
    name
        File name without its ending.
    heading, source
        Head line of the sheet, and the line that says where and as of when.
    frame
        The rows with written column names.
    """

    name: str
    heading: str
    source: str
    frame: pd.DataFrame


def csv(sheet: Sheet) -> bytes:
    """Write the bare table, UTF-8 with a mark so that spreadsheets read the Chinese."""
    safe = sheet.frame.copy()
    for column in safe.select_dtypes(include=["object", "string"]).columns:
        safe[column] = safe[column].map(_harmless)
    return safe.to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")


def _harmless(value: object) -> object:
    """Keep a text from being run as a formula; numbers written as text stay as they are."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def xlsx(sheet: Sheet) -> bytes:
    """Write a formatted workbook: head line, source line, frozen header, filters, fitting widths."""
    buffer = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "nan_inf_to_errors": False,
    }
    with xlsxwriter.Workbook(buffer, options) as book:
        page = book.add_worksheet()
        page.write_string(0, 0, sheet.heading, book.add_format({"bold": True, "font_size": 14}))
        page.write_string(1, 0, sheet.source, book.add_format({"font_color": "#5A6878", "italic": True}))
        _rows(book, page, sheet.frame)
        page.freeze_panes(4, 1)
        page.autofilter(3, 0, 3 + len(sheet.frame), max(len(sheet.frame.columns) - 1, 0))
        page.set_landscape()
        page.fit_to_pages(1, 0)
        page.repeat_rows(3)
    return buffer.getvalue()


FILES = {
    "csv": (csv, "text/csv"),
    "xlsx": (xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
"""How each kind of file is built, and its type."""


def _rows(book: xlsxwriter.Workbook, page: xlsxwriter.worksheet.Worksheet, frame: pd.DataFrame) -> None:
    head = book.add_format(
        {"bold": True, "bg_color": "#EEF1F5", "bottom": 1, "text_wrap": True, "valign": "top"}
    )
    moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
    figure = book.add_format({"num_format": "#,##0.00##"})
    whole = book.add_format({"num_format": "#,##0"})
    for index, name in enumerate(frame.columns):
        column = frame[name]
        page.write_string(3, index, str(name), head)
        page.set_column(index, index, _width(str(name), column))
        for row, value in enumerate(column, start=4):
            if pd.isna(value):
                continue
            if isinstance(value, pd.Timestamp):
                page.write_datetime(row, index, value.to_pydatetime(), moment)
            elif isinstance(value, int | float):
                page.write_number(
                    row, index, value, whole if pd.api.types.is_integer_dtype(column) else figure
                )
            else:
                page.write_string(row, index, str(value))


def _width(name: str, column: pd.Series) -> int:
    """Give a column's width: a Chinese character takes two places."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return 17
    longest = max([name, *(str(value) for value in column.head(200))], key=_places)
    return min(max(_places(longest) + 2, 9), 44)


def _places(words: str) -> int:
    return sum(2 if ord(c) > 0x2E80 else 1 for c in words)
