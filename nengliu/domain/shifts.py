"""Shifts: which shift and which crew works at an instant, by named calendars that are dated data.

A calendar (`schemas/books/shifts.csv`) is a cycle of days, counted from the day it holds from; each day of the cycle
has shifts with start, end and crew, on all days or on some kinds of days.  A shift that passes midnight belongs to
the day it began on.  Source: ours (the usual patterns of continuous plants; a plant replaces them by its own).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nengliu.domain.calendars import (
    DAY_QUARTERS,
    Codes,
    DayCalendar,
    DayKind,
    Ints,
    Row,
    day_kinds,
    quarters,
    reading,
    valid_ms,
)
from nengliu.domain.times import CHINA_OFFSET_MS, QUARTER_MS, day_of, day_start

_LONGEST_CYCLE = 366


@dataclass(frozen=True, slots=True)
class Rotation:
    """A cycle in force in ``[from_ms, to_ms)``: codes by day of the cycle, kind of day and quarter-hour (n, 3, 192).

    The quarter-hours go on into the next day, since a shift may.
    """

    from_ms: int
    to_ms: int
    codes: Codes


@dataclass(frozen=True, slots=True)
class ShiftCalendar:
    """A named calendar; a code of a rotation is 1 + the place in `names`, pairs of (shift, crew)."""

    names: tuple[tuple[str, str], ...]
    rotations: tuple[Rotation, ...]
    days: DayCalendar


@dataclass(frozen=True, slots=True)
class Worked:
    """Who works: `code` (n,) as in the calendar, 0 for nobody; `day` (n,): the day number the shift began on."""

    code: Codes
    day: Ints


@dataclass(frozen=True, slots=True)
class Spans:
    """Shifts one after the other (n,): from, to [ms, UTC], code as in the calendar, and the day number it began on."""

    from_ms: Ints
    to_ms: Ints
    code: Ints
    day: Ints


def shifts_of(rows: Iterable[Row], calendar: str, days: DayCalendar) -> ShiftCalendar:
    """Make the shift calendar of a name; of one date a later row overrides, of two dates the later one.

    Raises
    ------
    ContractError
        BAD_FIELD: a row that cannot be read.
    """
    names: dict[tuple[str, str], int] = {}
    found: dict[tuple[int, int], Codes] = {}
    for row in rows:
        with reading(row):
            if row["calendar"] == calendar:
                _put(row, found, names.setdefault((row["shift"], row["crew"]), len(names) + 1))
    rotations = [Rotation(start, end, codes) for (start, end), codes in sorted(found.items())]
    return ShiftCalendar(tuple(names), tuple(rotations), days)


def shift_of(calendar: ShiftCalendar, at_ms: Ints) -> Worked:
    """Who works at each instant (n,) [ms, UTC]."""
    day = day_of(at_ms)
    quarter = (at_ms + CHINA_OFFSET_MS) // QUARTER_MS % DAY_QUARTERS
    code, began = np.zeros(len(at_ms), np.uint8), day.copy()
    for before in (1, 0):  # a shift that began today ends what is left of yesterday's
        here = _codes(calendar, day - before, quarter + before * DAY_QUARTERS)
        code = np.where(here > 0, here, code)
        began = np.where(here > 0, day - before, began)
    return Worked(code, began)


def spans(calendar: ShiftCalendar, start_ms: int, end_ms: int) -> Spans:
    """Every shift that lies in ``[start_ms, end_ms)`` [ms, UTC] at least in part, in order of time, whole."""
    found = [np.empty((4, 0), np.int64)]
    wanted = day_of(np.array([start_ms, end_ms - 1]))
    for number, rotation in enumerate(calendar.rotations):
        first, end = _days_of(rotation)
        day = np.arange(max(first, wanted[0] - 1), min(end, wanted[1] + 1))
        for since, until in map(_days_of, calendar.rotations[number + 1 :]):  # a later one overrides
            day = day[(day < since) | (day >= until)]
        turn, kind = (day - first) % len(rotation.codes), calendar.days.kinds(day)
        for t, k in np.ndindex(rotation.codes.shape[:2]):
            on = day[(turn == t) & (kind == k)]
            found += [
                np.stack(
                    [
                        day_start(on) + a * QUARTER_MS,
                        day_start(on) + b * QUARTER_MS,
                        np.full(len(on), code),
                        on,
                    ]
                )
                for a, b, code in _runs(rotation.codes[t, k])
            ]
    whole = np.concatenate(found, axis=1)
    whole = whole[:, (whole[1] > start_ms) & (whole[0] < end_ms)]
    return Spans(*whole[:, np.argsort(whole[0], kind="stable")])


def _runs(codes: Codes) -> list[tuple[int, int, int]]:
    """First, end and code of each run of quarter-hours that somebody works."""
    edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    return [(a, b, int(codes[a])) for a, b in pairwise(edges) if codes[a]]


def _codes(calendar: ShiftCalendar, day: Ints, quarter: Ints) -> Codes:
    """Codes of the shifts that began on `day`, so many quarter-hours after its midnight."""
    kind = calendar.days.kinds(day)
    code = np.zeros(len(day), np.uint8)
    for rotation in calendar.rotations:
        first, end = _days_of(rotation)
        held = (day >= first) & (day < end)
        turn = (day[held] - first) % len(rotation.codes)
        code[held] = rotation.codes[turn, kind[held], quarter[held]]
    return code


def _days_of(rotation: Rotation) -> tuple[int, int]:
    """Day numbers from and until which a rotation is in force."""
    first, end = day_of(np.array([rotation.from_ms, rotation.to_ms])).tolist()
    return first, end


def _put(row: Row, found: dict[tuple[int, int], Codes], code: int) -> None:
    cycle, turn = int(row["cycle"]), int(row["day"])
    if not 0 <= turn < cycle <= _LONGEST_CYCLE:
        raise ValueError(
            f"expected a day below the cycle of 1 to {_LONGEST_CYCLE} days, got {turn} of {cycle}"
        )
    codes = found.setdefault(valid_ms(row), np.zeros((cycle, len(DayKind), 2 * DAY_QUARTERS), np.uint8))
    if len(codes) != cycle:
        raise ValueError(f"expected a cycle of {len(codes)} days as in the rows before, got {cycle}")
    part = quarters(row)
    codes[turn, day_kinds(row), part] = code
