"""Books: dated factors with source and edition, looked up by item, use, place and day.

A book is data (`schemas/books/*.csv`) that reaches the flows as a notice in the log, so
that a figure can be traced to the edition it was computed with (laws 7 and 9).  A row is keyed
by item, use (factor and basis), scheme, place and day; of several that fit, the measured heat value
of an enterprise goes before the figure of its province, and that before the table.
Source: GB/T 2589-2020 (calorific and equivalent value, order of preference); TC 4.5.4-4.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nengliu.domain.points import FOREVER_MS
from nengliu.domain.times import CHINA, to_ms

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Use = tuple[str, str]
Key = tuple[str, str, str]
COAL = ("coal", "calorific")
COAL_EQUAL = ("coal", "equivalent")
CO2 = ("co2", "")
USES = (COAL, COAL_EQUAL, CO2)
"""What a day row keeps of an amount: standard coal by both values, and CO2."""
DEDUCTIBLE = "deductible"
"""Factor of rows that say which share of a point's use is not counted in the controlled total; basis: the use."""
_TABLE = 3
"""Preference of a row that names none (books told before there were preferences): the table's."""
_PLACES = "|"


class Whose(NamedTuple):
    """For whom a factor is asked: code of the enterprise, and GB/T 2260 code of its region."""

    enterprise: str = ""
    region: str = ""


NOBODY = Whose()


class Span(NamedTuple):
    """A factor in force in ``[from_ms, to_ms)`` at some places ('' alone: everywhere)."""

    from_ms: int
    to_ms: int
    value: float
    places: tuple[str, ...] = ("",)
    preference: int = _TABLE

    def fits(self, whose: Whose) -> bool:
        """Say whether it speaks of somebody: the enterprise itself, or a region it lies in."""
        return any(place == whose.enterprise or whose.region.startswith(place) for place in self.places)


@dataclass(frozen=True, slots=True)
class Book:
    """Factors in force, by ``(item, factor, basis)``; of a key's spans the later ones go before."""

    digest: str = ""
    spans: Mapping[Key, tuple[Span, ...]] = field(default_factory=dict)

    def values(self, item: str, use: Use, day_ms: Ints, whose: Whose = NOBODY) -> Floats:
        """Factor per unit of the item on each day; NaN where the book has none.

        >>> book = book_of("x", [{"item": "heat", "factor": "coal", "basis": "calorific", "value": "34.12",
        ...                       "valid_from": "2000-01-01", "valid_to": ""}])
        >>> book.values("heat", COAL, np.array([1_600_000_000_000]))
        array([34.12])
        """
        found = np.full(len(day_ms), np.nan)
        for span in self.spans.get((item, *use), ()):
            if span.fits(whose):
                found[(day_ms >= span.from_ms) & (day_ms < span.to_ms)] = span.value
        return found

    def values_by(self, item: str, use: Use, day_ms: Ints, owner: Ints, whose: Sequence[Whose]) -> Floats:
        """The same for many at once: `owner` (n,) says which of `whose` each day is asked for."""
        if not self.is_local(item, use):
            return self.values(item, use, day_ms)
        alike = [self.nearest(item, use, one) for one in whose]
        distinct = list(dict.fromkeys(alike))
        number = np.array([distinct.index(one) for one in alike])[owner]
        found = np.full(len(day_ms), np.nan)
        for i, one in enumerate(distinct):
            mask = number == i
            found[mask] = self.values(item, use, day_ms[mask], one)
        return found

    def nearest(self, item: str, use: Use, whose: Whose) -> Whose:
        """Keep of somebody what the book makes a difference of: the nearest region it names, the unit if it does."""
        named = {place for span in self.spans.get((item, *use), ()) for place in span.places}
        regions = [place for place in named if whose.region.startswith(place)]
        return Whose(whose.enterprise if whose.enterprise in named else "", max(regions, key=len, default=""))

    def is_local(self, item: str, use: Use) -> bool:
        """Say whether the factor differs from place to place."""
        return any(span.places != ("",) for span in self.spans.get((item, *use), ()))


def book_of(digest: str, factors: Iterable[Mapping[str, str]]) -> Book:
    """Make a book from its rows.

    A row has item, factor, basis, valid_from, valid_to (empty: open) and value, and may have `region`
    (codes of regions or enterprises, with ``|`` between; empty: everywhere) and `preference` (1 goes before 3;
    empty: held for reference and never used).  The heat value of a fuel (factor `lhv`) is a factor of standard
    coal by both values, since a fuel is a primary energy: divided by that of the item `standard_coal`.

    Raises
    ------
    KeyError, ValueError
        A column that is missing, a number or day that is none.
    """
    spans: dict[Key, list[Span]] = {}
    heats: list[tuple[str, Span]] = []
    for row in factors:
        preference = row.get("preference", str(_TABLE))
        span = Span(
            _day_ms(row["valid_from"]),
            _day_ms(row["valid_to"]) if row["valid_to"] else FOREVER_MS,
            _number(row["value"]),
            tuple(sorted(row.get("region", "").split(_PLACES))),
            int(preference or 0),
        )
        if row["factor"] == "lhv":
            heats.append((row["item"], span))
        elif preference:
            spans.setdefault((row["item"], row["factor"], row["basis"]), []).append(span)
    for item, span in heats:
        if item != "standard_coal" and span.preference:
            of_coal = span._replace(value=span.value / _heat_of_coal(heats, span.from_ms))
            for use in (COAL, COAL_EQUAL):
                spans.setdefault((item, *use), []).append(of_coal)
    return Book(digest, {key: tuple(sorted(rows, key=_rank)) for key, rows in spans.items()})


def check_factors(factors: Sequence[Mapping[str, str]]) -> None:
    """Refuse a book that could not be traced or that says two things at once, before it is told to anybody.

    Raises
    ------
    KeyError, ValueError
        What `book_of` raises; a row without source or edition (law 9); two rows of one use, place and preference
        that hold on the same day.
    """
    for row in factors:
        if not row["source"].strip() or not row["edition"].strip():
            msg = f"{row['item']} {row['factor']}: expected a source and an edition"
            raise ValueError(msg)
    for (item, *use), spans in book_of("", factors).spans.items():
        held = [(place, each.preference, each.from_ms, each.to_ms) for each in spans for place in each.places]
        for (*one, _, until), (*two, since, _) in pairwise(sorted(held)):
            if one == two and since < until:
                msg = f"{item} {' '.join(use)}: two rows of one place hold on the same day"
                raise ValueError(msg)


def shipped_factors() -> tuple[str, tuple[dict[str, str], ...]]:
    """Digest and rows of the book that ships with the product."""
    return read_factors(resources.files("schemas").joinpath("books/factors.csv").read_text(encoding="utf-8"))


def read_factors(text: str) -> tuple[str, tuple[dict[str, str], ...]]:
    """Digest and rows of a book as a table with a header, commas between."""
    return hashlib.sha256(text.encode()).hexdigest()[:12], tuple(csv.DictReader(text.splitlines()))


def _rank(span: Span) -> tuple[int, int, int]:
    """Order in which spans are laid over each other: the most preferred and the nearest place last."""
    return -span.preference, max(len(place) for place in span.places), span.from_ms


def _heat_of_coal(heats: list[tuple[str, Span]], at_ms: int) -> float:
    """Heat [MJ] of 1 kgce on a day."""
    for item, span in heats:
        if item == "standard_coal" and span.from_ms <= at_ms < span.to_ms:
            return span.value
    msg = "a heat value needs that of standard_coal, in force on the same day"
    raise ValueError(msg)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        msg = f"expected a finite number, got {text!r}"
        raise ValueError(msg)
    return value


def _day_ms(day: str) -> int:
    return to_ms(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=CHINA))
