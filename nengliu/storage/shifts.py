"""Shift calendars for questions: the shifts of a span as rows that windows are joined with."""

from __future__ import annotations

from functools import cache

from nengliu.domain.calendars import days_of, shipped_rows
from nengliu.domain.shifts import ShiftCalendar, shifts_of, spans
from nengliu.errors import InputError, nearest

STRUCTURE = ("one UInt8", "from_s Int64", "to_s Int64", "day Int32", "shift String", "crew String")
"""Columns of the rows; `one` is for a join that wants something to be equal."""


@cache
def calendars() -> dict[str, ShiftCalendar]:
    """The calendars that ship with the product, by name."""
    rows, days = shipped_rows("shifts")[1], days_of(shipped_rows("days")[1])
    return {name: shifts_of(rows, name, days) for name in sorted({row["calendar"] for row in rows})}


def calendar_name(where: str, value: object) -> str:
    """Take the name of a calendar.

    Raises
    ------
    InputError
        No such calendar.
    """
    if not isinstance(value, str) or value not in calendars():
        raise InputError(f"{where}: no calendar {value!r}; {nearest(str(value), calendars())}")
    return value


def shift_rows(name: str, start_ms: int, end_ms: int) -> list[list[int | str]]:
    """Every shift of a span [ms, UTC] as a row of `STRUCTURE`."""
    calendar = calendars()[name]
    found = spans(calendar, start_ms, end_ms)
    columns = (found.from_ms // 1000, found.to_ms // 1000, found.day, found.code)
    return [
        [1, first, end, day, *calendar.names[code - 1]]
        for first, end, day, code in zip(*(column.tolist() for column in columns), strict=True)
    ]
