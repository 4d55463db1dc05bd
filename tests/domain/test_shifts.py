"""Shifts: who works when, over cycles, midnights, rest days and changes of the calendar."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nengliu.domain.calendars import days_of, shipped_rows
from nengliu.domain.shifts import ShiftCalendar, shift_of, shifts_of, spans
from nengliu.domain.times import CHINA, DAY_MS, QUARTER_MS, day_of, from_ms, to_ms
from nengliu.errors import ContractError

DAYS = days_of(shipped_rows("days")[1])
ROWS = shipped_rows("shifts")[1]
NAMES = sorted({row["calendar"] for row in ROWS})
CALENDARS = {name: shifts_of(ROWS, name, DAYS) for name in NAMES}
NIGHT = {
    "calendar": "c",
    "valid_from": "2026-01-01",
    "valid_to": "",
    "cycle": "1",
    "day": "0",
    "days": "all",
    "start": "20:00",
    "end": "08:00",
    "shift": "night",
    "crew": "A",
}


def who(calendar: ShiftCalendar, *when: int) -> tuple[str, str, str]:
    """Shift, crew and the day it began on, at one instant; empty words for nobody."""
    worked = shift_of(calendar, np.array([to_ms(datetime(*when, tzinfo=CHINA))]))  # type: ignore[misc]
    shift, crew = calendar.names[worked.code[0] - 1] if worked.code[0] else ("", "")
    return shift, crew, str(worked.day.astype("M8[D]")[0])


def looped(name: str, at_ms: int) -> tuple[str, str]:
    """Shift and crew by a loop over rows and the two days that may hold the beginning."""
    moment = from_ms(at_ms)
    for row in (row for row in ROWS if row["calendar"] == name):
        for before in (0, 1):
            began = moment.date() - timedelta(days=before)
            first = datetime.fromisoformat(row["valid_from"]).date()
            if (began - first).days % int(row["cycle"]) != int(row["day"]):
                continue
            start, end = (datetime(began.year, began.month, began.day, tzinfo=CHINA) for _ in range(2))
            hours = [int(row[word][:2]) for word in ("start", "end")]
            start += timedelta(hours=hours[0])
            end += timedelta(hours=hours[1] + (24 if hours[1] <= hours[0] else 0))
            number = np.array([(began - datetime(1970, 1, 1, tzinfo=CHINA).date()).days])
            if start <= moment < end and (row["days"] == "all" or DAYS.kinds(number)[0] == 0):
                return row["shift"], row["crew"]
    return "", ""


@pytest.mark.parametrize("name", NAMES)
@given(at_ms=st.integers(1_600_000_000_000, 1_900_000_000_000))
def test_shift_at_an_instant_is_what_the_rows_say(name: str, at_ms: int) -> None:
    """A loop over the rows finds the same shift and crew."""
    worked = shift_of(CALENDARS[name], np.array([at_ms]))
    code = int(worked.code[0])

    assert (CALENDARS[name].names[code - 1] if code else ("", "")) == looped(name, at_ms)


@pytest.mark.parametrize(("name", "days"), [("four_crews_8h", 8), ("four_crews_12h", 4)])
def test_crews_share_the_work_alike_and_somebody_always_works(name: str, days: int) -> None:
    """Over a cycle each crew works a quarter of the hours, and no quarter-hour is without one."""
    start = to_ms(datetime(2026, 5, 3, tzinfo=CHINA))
    worked = shift_of(CALENDARS[name], start + np.arange(days * 96) * QUARTER_MS)
    crews = [CALENDARS[name].names[code - 1][1] for code in worked.code.tolist()]

    assert worked.code.all()
    assert {crew: crews.count(crew) for crew in "ABCD"} == dict.fromkeys("ABCD", days * 24)


def test_night_shift_belongs_to_the_day_it_began_on() -> None:
    """Half past seven in the morning is still yesterday's night; at eight it is over."""
    calendar = shifts_of([NIGHT], "c", DAYS)

    assert who(calendar, 2026, 3, 1, 20, 0) == ("night", "A", "2026-03-01")
    assert who(calendar, 2026, 3, 2, 7, 59) == ("night", "A", "2026-03-01")
    assert who(calendar, 2026, 3, 2, 8, 0) == ("", "", "2026-03-02")


def test_last_night_of_an_old_calendar_ends_in_the_new_one() -> None:
    """A change at midnight does not send the night home; the new rows begin with the new day's shifts."""
    day = {**NIGHT, "valid_from": "2026-03-02", "start": "06:00", "end": "18:00", "shift": "day", "crew": "B"}
    calendar = shifts_of([{**NIGHT, "valid_to": "2026-03-02"}, day], "c", DAYS)

    assert who(calendar, 2026, 3, 2, 5, 45) == ("night", "A", "2026-03-01")
    assert who(calendar, 2026, 3, 2, 6, 0) == ("day", "B", "2026-03-02")
    assert who(calendar, 2026, 3, 2, 22, 0) == ("", "", "2026-03-02")
    assert who(calendar, 2025, 12, 31, 22, 0) == ("", "", "2025-12-31")


def test_day_work_rests_on_holidays_and_works_the_days_given_for_them() -> None:
    """The calendar of shifts follows the announced days."""
    hours = [who(CALENDARS["day_work"], 2026, 2, day, 9)[0] for day in (13, 14, 15, 16, 24, 28)]

    assert hours == ["day", "day", "", "", "day", "day"]
    assert who(CALENDARS["day_work"], 2026, 2, 13, 12, 30)[0] == ""


def test_shift_of_many_instants_is_the_shift_of_each() -> None:
    """Order and number of instants do not matter."""
    at_ms = to_ms(datetime(2026, 2, 10, tzinfo=CHINA)) + np.arange(0, 9 * DAY_MS, 7 * QUARTER_MS)
    shuffled = np.random.default_rng(1).permutation(len(at_ms))
    whole = shift_of(CALENDARS["four_crews_12h"], at_ms)
    mixed = shift_of(CALENDARS["four_crews_12h"], at_ms[shuffled])

    assert np.array_equal(whole.code[shuffled], mixed.code)
    assert np.array_equal(whole.day[shuffled], mixed.day)
    assert ((day_of(at_ms) - whole.day) >= 0).all()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{**NIGHT, "day": "1"}], "expected a day below the cycle"),
        ([{**NIGHT, "cycle": "400"}], "expected a day below the cycle"),
        ([NIGHT, {**NIGHT, "cycle": "2"}], "expected a cycle of 1 days"),
        ([{**NIGHT, "start": "20:05"}], "quarter-hour"),
        ([{**NIGHT, "days": "feast"}], "FEAST"),
    ],
)
def test_shift_that_cannot_be_meant_so_is_refused(rows: list[dict[str, str]], said: str) -> None:
    """A row that cannot be read is named."""
    with pytest.raises(ContractError, match=said) as caught:
        shifts_of(rows, "c", DAYS)
    assert caught.value.reason == "BAD_FIELD"


@pytest.mark.parametrize("name", NAMES)
@given(start=st.integers(1_600_000_000_000, 1_900_000_000_000), days=st.integers(1, 9))
def test_shifts_of_a_span_cover_what_is_worked_and_nothing_else(name: str, start: int, days: int) -> None:
    """Every quarter-hour lies in the span that its shift says, and those of nobody in none."""
    start = start // QUARTER_MS * QUARTER_MS
    at_ms = start + np.arange(days * 96) * QUARTER_MS
    worked = shift_of(CALENDARS[name], at_ms)
    found = spans(CALENDARS[name], start, start + days * DAY_MS)
    inside = (at_ms[:, None] >= found.from_ms) & (at_ms[:, None] < found.to_ms)

    assert (inside.sum(1) == (worked.code > 0)).all()
    assert (inside @ found.code == worked.code).all()
    assert (inside @ found.day == np.where(worked.code > 0, worked.day, 0)).all()
    assert (found.to_ms > start).all()
    assert (found.from_ms < start + days * DAY_MS).all()


def test_shifts_of_a_new_calendar_override_the_old_one_that_was_left_open() -> None:
    """A span and an instant say the same where two calendars hold on one day."""
    day = {**NIGHT, "valid_from": "2026-03-02", "start": "06:00", "end": "18:00", "shift": "day", "crew": "B"}
    calendar = shifts_of([NIGHT, day], "c", DAYS)
    start = to_ms(datetime(2026, 3, 1, 12, tzinfo=CHINA))
    found = spans(calendar, start, start + 2 * DAY_MS)

    assert [calendar.names[code - 1][0] for code in found.code.tolist()] == ["night", "day", "day"]
    assert who(calendar, 2026, 3, 2, 22, 0) == ("", "", "2026-03-02")
