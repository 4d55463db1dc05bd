"""The filters of the page: read from the address, checked, and written back to it.

The address is the only memory of a choice, so every view can be linked to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TypeVar

from dashboards.periods import Compare, Grain, Span, compared, span_of

TOTAL = "total"
SPANS = (1, 3, 7)


class Basis(StrEnum):
    """How energy is turned into standard coal (GB/T 2589)."""

    CALORIFIC = "calorific"  # dangliang: by its own heat
    EQUAL = "equal"  # dengjia: by the energy spent to make it


@dataclass(frozen=True, slots=True)
class Filters:
    """One view of one enterprise; every field is a parameter of the address."""

    enterprise: str
    day: date
    grain: Grain = Grain.DAY
    compare: Compare = Compare.PREVIOUS
    basis: Basis = Basis.CALORIFIC
    point: str = ""
    energy: str = TOTAL
    days: int = 1
    as_of: date | None = None

    @property
    def span(self) -> Span:
        """Give the chosen period."""
        return span_of(self.grain, self.day)

    @property
    def compared_span(self) -> Span | None:
        """Give the period it is compared with."""
        other = compared(self.grain, self.day, self.compare)
        return None if other is None else span_of(self.grain, other)

    @property
    def bars_span(self) -> tuple[str, Span]:
        """Give level and span of the bars: days of the month, or months of the year."""
        if self.grain is Grain.YEAR:
            return "month", self.span
        return "day", span_of(Grain.MONTH, self.day)


FIRST_DAY = date(2000, 1, 1)
LAST_DAY = date(2100, 12, 31)
E = TypeVar("E", bound=StrEnum)


def _one_of(kind: type[E], text: str | None, default: E) -> E:
    try:
        return kind(text or default)
    except ValueError:
        return default


def _day(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if FIRST_DAY <= day <= LAST_DAY else None


def choice(text: str | None, known: Sequence[str], default: str) -> str:
    """Give a text that must be one of the known ones, else the default."""
    return text if text is not None and text in known else default


def read(query: Mapping[str, str], enterprises: Sequence[str], last_days: Mapping[str, date]) -> Filters:
    """Read the filters; what is missing or wrong in the address falls back to a useful default.

    Parameters
    ----------
    query
        Parameters of the address.
    enterprises
        Codes the reader may see, at least one.
    last_days
        China civil day of each enterprise's newest reading: the default day, so that imported
        history opens where its data are and not on an empty today.
    """
    enterprise = choice(query.get("enterprise"), enterprises, enterprises[0])
    days = query.get("days", "1")
    return Filters(
        enterprise=enterprise,
        day=_day(query.get("date")) or last_days[enterprise],
        grain=_one_of(Grain, query.get("period"), Grain.DAY),
        compare=_one_of(Compare, query.get("compare"), Compare.PREVIOUS),
        basis=_one_of(Basis, query.get("basis"), Basis.CALORIFIC),
        point=query.get("point", ""),
        energy=query.get("energy", TOTAL),
        days=int(days) if days in {str(n) for n in SPANS} else 1,
        as_of=_day(query.get("as_of")),
    )
