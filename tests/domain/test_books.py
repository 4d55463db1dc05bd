"""Books: factors are dated, half-open in China-civil days, and shipped with source and edition."""

from __future__ import annotations

import csv
from datetime import datetime
from importlib import resources
from itertools import pairwise

import numpy as np
import pytest

from nengliu.domain.books import CO2, COAL, Book, book_of, shipped_factors
from nengliu.domain.times import CHINA, to_ms

OLD = {
    "item": "heat",
    "factor": "coal",
    "basis": "calorific",
    "valid_from": "2000-01-01",
    "valid_to": "2020-01-01",
    "value": "1.5",
}
NEW = OLD | {"valid_from": "2020-01-01", "valid_to": "", "value": "2.5"}


def day(text: str) -> int:
    """Midnight in China."""
    return to_ms(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=CHINA))


@pytest.mark.parametrize("rows", [[OLD, NEW], [NEW, OLD]])
def test_factor_changes_at_midnight_in_china(rows: list[dict[str, str]]) -> None:
    """The last millisecond has the old factor, midnight the new one, and order in the book is nothing."""
    days = np.array(
        [
            day("2000-01-01") - 1,
            day("2000-01-01"),
            day("2020-01-01") - 1,
            day("2020-01-01"),
            day("2100-01-01"),
        ]
    )
    found = book_of("d", rows).values("heat", COAL, days)

    assert np.array_equal(found, [np.nan, 1.5, 1.5, 2.5, 2.5], equal_nan=True)


def test_factor_that_is_not_in_the_book_is_not_a_number() -> None:
    """Nothing is assumed: another item, another use, or an empty book gives NaN, never zero."""
    at = np.array([day("2020-06-01")])

    for book, item, use in (
        (book_of("d", [NEW]), "water", COAL),
        (book_of("d", [NEW]), "heat", CO2),
        (Book(), "heat", COAL),
    ):
        assert np.isnan(book.values(item, use, at)).all()


@pytest.mark.parametrize("change", [{"value": "much"}, {"valid_from": "someday"}, {"valid_to": "2020-13-01"}])
def test_book_with_a_broken_row_is_refused(change: dict[str, str]) -> None:
    """A factor that cannot be read is an error of the book."""
    with pytest.raises(ValueError, match=r"."):
        book_of("d", [OLD | change])


def test_book_that_ships_names_source_and_edition_of_every_factor() -> None:
    """No number without source (law 9), no factor for an item nobody knows, no overlapping spans."""
    digest, rows = shipped_factors()
    text = resources.files("schemas").joinpath("codes/items.csv").read_text("utf-8")
    slugs = {row["slug"] for row in csv.DictReader(text.splitlines())}

    assert len(digest) == 12
    assert all(row["source"] and row["edition"] and row["verified"] in ("true", "false") for row in rows)
    assert {row["item"] for row in rows} <= slugs
    for spans in book_of(digest, rows).spans.values():
        assert all(one[1] <= two[0] for one, two in pairwise(spans))
