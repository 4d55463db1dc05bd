"""Calendars: what kind of day a China civil day is, as dated data; and how calendars of hours are written.

The State Council announces the holidays of each year, and the weekend days that are worked for them
(`schemas/books/days.csv`); what is not announced follows the week.  Source: the yearly notices named in the rows.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum
from importlib import resources

import numpy as np
import numpy.typing as npt

from nengliu.domain.points import FOREVER_MS
from nengliu.domain.times import CHINA, to_ms
from nengliu.errors import ContractError

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8]
Row = Mapping[str, str]
DAY_QUARTERS = 96
_EPOCH = date(1970, 1, 1)
_YEARS = range(2000, 2101)
"""Years in which a day of every year (``*-05-01``) is repeated."""
_MONDAY, _SATURDAY = 3, 5
"""1970-01-01 was a Thursday: three days after a Monday; the weekend begins five days after one."""


class DayKind(IntEnum):
    """Kind of a day: worked, the weekend, or an announced holiday."""

    WORK = 0
    REST = 1
    HOLIDAY = 2


@dataclass(frozen=True, slots=True)
class DayCalendar:
    """Announced days of one calendar, as day numbers (since 1970-01-01): holidays, and weekend days that are worked."""

    holidays: Ints
    worked: Ints

    def kinds(self, day: Ints) -> Codes:
        """`DayKind` of each day number; what is not announced is work from Monday to Friday.

        >>> days = np.array(["2026-02-14", "2026-02-17", "2026-03-01", "2026-03-02"], "M8[D]").astype(np.int64)
        >>> [DayKind(kind).name for kind in days_of(shipped_rows("days")[1]).kinds(days)]
        ['WORK', 'HOLIDAY', 'REST', 'WORK']
        """
        kinds = np.where((day + _MONDAY) % 7 >= _SATURDAY, DayKind.REST, DayKind.WORK).astype(np.uint8)
        kinds[np.isin(day, self.worked)] = DayKind.WORK
        kinds[np.isin(day, self.holidays)] = DayKind.HOLIDAY
        return kinds


def days_of(rows: Iterable[Row], calendar: str = "china") -> DayCalendar:
    """Make the day calendar of a name from rows with on (``*`` for every year), days and kind (holiday, work).

    Raises
    ------
    ContractError
        BAD_FIELD: a row that cannot be read.
    """
    found: dict[str, set[int]] = {"holiday": set(), "work": set()}
    for row in rows:
        with reading(row):
            if row["calendar"] == calendar:
                found[row["kind"]].update(_run(row["on"], int(row["days"])))
    return DayCalendar(*(np.array(sorted(found[kind]), np.int64) for kind in ("holiday", "work")))


def shipped_rows(book: str) -> tuple[str, tuple[dict[str, str], ...]]:
    """Digest and rows of a book of calendars that ships with the product: days, tariffs, tariff_prices, shifts."""
    text = resources.files("schemas").joinpath(f"books/{book}.csv").read_text(encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()[:12], tuple(csv.DictReader(text.splitlines()))


@contextmanager
def reading(row: Row) -> Iterator[None]:
    """Refuse a row that cannot be read, by name.

    Raises
    ------
    ContractError
        BAD_FIELD, with the row.
    """
    try:
        yield
    except (KeyError, ValueError) as error:
        msg = f"row {dict(row)}: {error!r}"
        raise ContractError("BAD_FIELD", msg, field=error, got=dict(row)) from error


def valid_ms(row: Row) -> tuple[int, int]:
    """Instants [ms, UTC] from and until which a row holds; an empty ``valid_to`` is for ever."""
    until = row["valid_to"]
    return _midnight(row["valid_from"]), _midnight(until) if until else FOREVER_MS


def quarters(row: Row) -> slice:
    """Quarter-hours of the day from ``start`` to ``end`` (HH:MM); one that ends before it starts goes on tomorrow.

    >>> quarters({"start": "08:00", "end": "24:00"}), quarters({"start": "20:00", "end": "08:00"})
    (slice(32, 96, None), slice(80, 128, None))
    """
    start, end = (_quarter(row[name]) for name in ("start", "end"))
    return slice(start, end if end > start else end + DAY_QUARTERS)


def day_kinds(row: Row) -> list[DayKind]:
    """Kinds of days a row speaks of: all, or some of work, rest, holiday with spaces between."""
    words = row["days"].split()
    return [*DayKind] if words == ["all"] else [DayKind[word.upper()] for word in words]


def months(row: Row) -> list[int]:
    """Months a row speaks of, from 0 for January: all, or numbers and ranges with spaces between.

    >>> months({"months": "12 1-2"})
    [11, 0, 1]
    """
    if row["months"] == "all":
        return [*range(12)]
    found: list[int] = []
    for word in row["months"].split():
        first, _, last = word.partition("-")
        found += [*range(int(first) - 1, int(last or first))]
    if not found or not {*found} <= {*range(12)}:
        raise ValueError(f"expected months 1 to 12, got {row['months']!r}")
    return found


def _quarter(text: str) -> int:
    hour, _, minute = text.partition(":")
    number, rest = divmod(int(hour) * 60 + int(minute), 15)
    if rest or not 0 <= number <= DAY_QUARTERS:
        raise ValueError(f"expected a quarter-hour of the day as HH:MM, got {text!r}")
    return number


def _run(on: str, days: int) -> set[int]:
    starts = [on.replace("*", str(year)) for year in _YEARS] if "*" in on else [on]
    firsts = [date.fromisoformat(start) for start in starts]
    return {(first + timedelta(days=n) - _EPOCH).days for first in firsts for n in range(days)}


def _midnight(day: str) -> int:
    return to_ms(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=CHINA))
