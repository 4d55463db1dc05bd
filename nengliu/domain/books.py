"""Books: dated factors with source and edition, looked up by item, use and day.

A book is data (`schemas/books/*.csv`) that reaches the flows as a notice in the log, so
that a figure can be traced to the edition it was computed with (laws 7 and 9).
Source: GB/T 2589-2020 (calorific and equivalent value); TC 4.5.4-4.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources

import numpy as np
import numpy.typing as npt

from nengliu.domain.points import FOREVER_MS
from nengliu.domain.times import CHINA, to_ms

Key = tuple[str, str, str]
COAL = ("coal", "calorific")
COAL_EQUAL = ("coal", "equivalent")
CO2 = ("co2", "")


@dataclass(frozen=True, slots=True)
class Book:
    """Factors in force, by ``(item, factor, basis)``, each a list of ``(from_ms, to_ms, value)``."""

    digest: str = ""
    spans: Mapping[Key, tuple[tuple[int, int, float], ...]] = field(default_factory=dict)

    def values(
        self, item: str, use: tuple[str, str], day_ms: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Factor per unit of the item on each day; NaN where the book has none.

        >>> book = book_of("x", [{"item": "heat", "factor": "coal", "basis": "calorific", "value": "34.12",
        ...                       "valid_from": "2000-01-01", "valid_to": ""}])
        >>> book.values("heat", COAL, np.array([1_600_000_000_000]))
        array([34.12])
        """
        found = np.full(len(day_ms), np.nan)
        for start, end, value in self.spans.get((item, *use), ()):
            found[(day_ms >= start) & (day_ms < end)] = value
        return found


def book_of(digest: str, factors: Iterable[Mapping[str, str]]) -> Book:
    """Make a book from rows with item, factor, basis, valid_from, valid_to (empty: open) and value."""
    spans: dict[Key, list[tuple[int, int, float]]] = {}
    for row in factors:
        span = (
            _day_ms(row["valid_from"]),
            _day_ms(row["valid_to"]) if row["valid_to"] else FOREVER_MS,
            float(row["value"]),
        )
        spans.setdefault((row["item"], row["factor"], row["basis"]), []).append(span)
    return Book(digest, {key: tuple(sorted(rows)) for key, rows in spans.items()})


def shipped_factors() -> tuple[str, tuple[dict[str, str], ...]]:
    """Digest and rows of the book that ships with the product."""
    text = resources.files("schemas").joinpath("books/factors.csv").read_text(encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()[:12], tuple(csv.DictReader(text.splitlines()))


def _day_ms(day: str) -> int:
    return to_ms(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=CHINA))
