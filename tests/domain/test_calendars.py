"""Calendars: announced days go before the week, and a row that cannot be read is refused by name."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nengliu.domain.calendars import DayKind, day_kinds, days_of, months, quarters, shipped_rows
from nengliu.errors import ContractError

ROWS = shipped_rows("days")[1]
BOOKS = ("days", "tariffs", "tariff_prices", "shifts")


def announced(kind: str) -> set[date]:
    """Days of the shipped calendar, by plain loops."""
    rows = [row for row in ROWS if row["calendar"] == "china" and row["kind"] == kind]
    return {
        date.fromisoformat(row["on"]) + timedelta(days=n) for row in rows for n in range(int(row["days"]))
    }


@pytest.mark.parametrize("book", BOOKS)
def test_book_that_ships_says_source_edition_and_whether_it_is_verified(book: str) -> None:
    """No date and no price without source (law 9)."""
    digest, rows = shipped_rows(book)

    assert len(digest) == 12
    assert rows
    assert all(row["source"] and row["edition"] and row["verified"] in ("true", "false") for row in rows)


@given(day=st.dates(date(2018, 1, 1), date(2026, 12, 31)))
def test_kind_of_a_day_is_what_was_announced_or_else_the_week(day: date) -> None:
    """A loop over the rows finds the same kind."""
    number = np.array([(day - date(1970, 1, 1)).days])
    week = DayKind.REST if day.weekday() >= 5 else DayKind.WORK
    expected = (
        DayKind.HOLIDAY if day in announced("holiday") else DayKind.WORK if day in announced("work") else week
    )

    assert days_of(ROWS).kinds(number)[0] == expected


def test_days_worked_for_a_holiday_are_weekend_days_and_no_holidays() -> None:
    """What is announced makes sense: nobody is told to work on a Tuesday, or on the holiday itself."""
    assert {day.weekday() for day in announced("work")} == {5, 6}
    assert not announced("work") & announced("holiday")


def test_year_without_announcement_follows_the_week() -> None:
    """Of 2040 nothing is known: Mondays to Fridays are worked."""
    days = np.arange(366) + (date(2040, 1, 1) - date(1970, 1, 1)).days

    assert np.bincount(days_of(ROWS).kinds(days), minlength=3).tolist() == [261, 105, 0]


def test_day_of_every_year_is_repeated() -> None:
    """A row with a star holds each year."""
    calendar = days_of([{"calendar": "c", "on": "*-12-31", "days": "2", "kind": "holiday"}], "c")
    new_year = (date(2031, 1, 1) - date(1970, 1, 1)).days

    assert calendar.kinds(np.arange(new_year - 2, new_year + 2)).tolist() == [0, 2, 2, 0]


@pytest.mark.parametrize("change", [{"on": "2026-02-30"}, {"days": "x"}, {"kind": "feast"}])
def test_day_that_cannot_be_read_is_refused(change: dict[str, str]) -> None:
    """The row is named."""
    with pytest.raises(ContractError, match=next(iter(change.values()))) as caught:
        days_of([ROWS[0] | change])
    assert caught.value.reason == "BAD_FIELD"


def test_words_of_a_row_of_hours_are_read_as_people_write_them() -> None:
    """Months with ranges, kinds of days, hours that pass midnight."""
    assert months({"months": "11-12 2"}) == [10, 11, 1]
    assert months({"months": "all"}) == list(range(12))
    assert day_kinds({"days": "rest holiday"}) == [DayKind.REST, DayKind.HOLIDAY]
    assert day_kinds({"days": "all"}) == list(DayKind)
    assert quarters({"start": "00:00", "end": "24:00"}) == slice(0, 96)
    assert quarters({"start": "22:30", "end": "06:15"}) == slice(90, 121)


@pytest.mark.parametrize("text", ["0", "13", "3-13", "", "x"])
def test_months_that_are_none_are_refused(text: str) -> None:
    """A year has twelve months, and a row speaks of at least one."""
    with pytest.raises(ValueError, match=r"months|invalid"):
        months({"months": text})


@pytest.mark.parametrize("text", ["08:10", "25:00", "-1:00", "8", "24:15"])
def test_hours_off_the_quarter_are_refused(text: str) -> None:
    """An edge within a window could not be told by the window."""
    with pytest.raises(ValueError, match=r"quarter-hour|invalid"):
        quarters({"start": text, "end": "12:00"})
