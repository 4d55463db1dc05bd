"""Days, months and years of China civil time, as the page moves through them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from nengliu.domain.times import CHINA


class Grain(StrEnum):
    """Length of the period the page speaks of."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class Compare(StrEnum):
    """What the period is compared with."""

    OFF = "off"
    PREVIOUS = "previous"  # the period before
    CYCLE = "cycle"  # the same weekday a week ago; the same month a year ago


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open span ``[first, after)`` of China civil days."""

    first: date
    after: date

    @property
    def start(self) -> datetime:
        """Instant at which the first day begins."""
        return midnight(self.first)

    @property
    def end(self) -> datetime:
        """Instant at which the span is over."""
        return midnight(self.after)

    @property
    def days(self) -> int:
        """Count the days."""
        return (self.after - self.first).days


def midnight(day: date) -> datetime:
    """Instant at which a China civil day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=CHINA)


def span_of(grain: Grain, day: date) -> Span:
    """Give the period of a grain that holds a day.

    >>> span_of(Grain.MONTH, date(2026, 2, 11))
    Span(first=datetime.date(2026, 2, 1), after=datetime.date(2026, 3, 1))
    """
    if grain is Grain.DAY:
        return Span(day, day + timedelta(days=1))
    if grain is Grain.MONTH:
        return Span(day.replace(day=1), shift(Grain.MONTH, day.replace(day=1), 1))
    return Span(date(day.year, 1, 1), date(day.year + 1, 1, 1))


def shift(grain: Grain, day: date, steps: int) -> date:
    """Move a day by whole periods; the day of the month is kept where it exists.

    >>> shift(Grain.MONTH, date(2026, 3, 31), -1)
    datetime.date(2026, 2, 28)
    """
    if grain is Grain.DAY:
        return day + timedelta(days=steps)
    months = steps if grain is Grain.MONTH else 12 * steps
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    first = date(year, month + 1, 1)
    following = date(year + month // 11, (month + 1) % 12 + 1, 1)
    return first + timedelta(days=min(day.day, (following - first).days) - 1)


def compared(grain: Grain, day: date, compare: Compare) -> date | None:
    """Give the day in the period that is compared with, or None.

    >>> compared(Grain.DAY, date(2026, 3, 9), Compare.CYCLE)
    datetime.date(2026, 3, 2)
    """
    if compare is Compare.OFF:
        return None
    if compare is Compare.PREVIOUS or grain is Grain.YEAR:
        return shift(grain, day, -1)
    return day - timedelta(days=7) if grain is Grain.DAY else shift(Grain.YEAR, day, -1)


def trailing(grain: Grain, day: date) -> tuple[str, Span]:
    """Give the level and span of the small trend in a card: 21 days, 12 months."""
    if grain is Grain.DAY:
        return "day", Span(day - timedelta(days=20), day + timedelta(days=1))
    last = day if grain is Grain.MONTH else date(day.year, 12, 1)
    after = span_of(Grain.MONTH, last).after
    return "month", Span(shift(Grain.YEAR, after, -1), after)
