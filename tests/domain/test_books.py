"""Books: factors are dated, half-open in China-civil days, and shipped with source and edition."""

from __future__ import annotations

import csv
from datetime import datetime
from importlib import resources
from itertools import groupby, pairwise

import numpy as np
import pytest

from nengliu.domain.books import CO2, COAL, COAL_EQUAL, Book, Whose, book_of, check_factors, shipped_factors
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


@pytest.mark.parametrize(
    ("whose", "found"),
    [
        (Whose(), 1.5),
        (Whose("E1", "110000"), 1.5),
        (Whose("E1", "320500"), 2.0),
        (Whose("E2", "320583"), 3.0),
        (Whose("E3", "320500"), 4.0),
    ],
)
def test_factor_of_the_nearest_place_goes_before_the_table(whose: Whose, found: float) -> None:
    """Measured at the enterprise > supplier > province > table, in whatever order the book has them."""
    rows = [
        OLD | {"region": "E3", "value": "9", "preference": "2"},
        OLD | {"region": "E3", "value": "4", "preference": "1"},
        OLD,
        OLD | {"region": "3205|44", "value": "2"},
        OLD | {"region": "320583", "value": "3"},
        OLD | {"region": "320500", "value": "7", "preference": ""},
    ]
    at = np.array([day("2015-01-01")])
    for order in (rows, rows[::-1]):
        book = book_of("d", order)
        assert book.values("heat", COAL, at, whose) == found
        assert book.values_by(
            "heat", COAL, np.repeat(at, 2), np.array([1, 0]), [Whose(), whose]
        ).tolist() == [found, 1.5]


def test_measured_heat_value_is_a_factor_of_coal_by_both_values() -> None:
    """A fuel of 20.934 MJ/kg is 714.3 kgce a ton, calorific and equivalent alike: a fuel is a primary energy."""
    coal = OLD | {"item": "standard_coal", "factor": "lhv", "basis": "", "value": "29.3076"}
    heat = OLD | {
        "item": "raw_coal",
        "factor": "lhv",
        "basis": "",
        "value": "20934",
        "region": "E1",
        "preference": "1",
    }
    table = OLD | {"item": "raw_coal", "value": "700"}
    book = book_of("d", [heat, table, coal])
    at = np.array([day("2015-01-01")])

    assert round(float(book.values("raw_coal", COAL, at, Whose("E1"))[0]), 1) == 714.3
    assert round(float(book.values("raw_coal", COAL_EQUAL, at, Whose("E1"))[0]), 1) == 714.3
    assert book.values("raw_coal", COAL, at, Whose("E2")) == 700
    with pytest.raises(ValueError, match="standard_coal"):
        book_of("d", [heat])


def test_book_of_an_old_log_still_means_its_table() -> None:
    """Rows told before there were places and preferences hold everywhere."""
    assert (
        book_of("d", [NEW]).values("heat", COAL, np.array([day("2024-01-01")]), Whose("E", "320500")) == 2.5
    )


@pytest.mark.parametrize(
    "change", [{"value": "much"}, {"value": "inf"}, {"valid_from": "someday"}, {"valid_to": "2020-13-01"}]
)
def test_book_with_a_broken_row_is_refused(change: dict[str, str]) -> None:
    """A factor that cannot be read is an error of the book."""
    with pytest.raises(ValueError, match=r"."):
        book_of("d", [OLD | change])


def test_book_that_ships_names_source_and_edition_of_every_factor() -> None:
    """No number without source (law 9), no factor for an item nobody knows, no overlapping spans."""
    digest, rows = shipped_factors()
    text = resources.files("schemas").joinpath("codes/items.csv").read_text("utf-8")
    slugs = {row["slug"] for row in csv.DictReader(text.splitlines())}

    check_factors(rows)
    assert len(digest) == 12
    assert all(row["source"] and row["edition"] and row["verified"] in ("true", "false") for row in rows)
    assert {row["item"] for row in rows} <= slugs | {"", "standard_coal"}
    for spans in book_of(digest, rows).spans.values():
        alike = groupby(sorted(spans, key=lambda s: (s[3:], s)), key=lambda s: s[3:])
        assert all(one.to_ms <= two.from_ms for _, same in alike for one, two in pairwise(same))


@pytest.mark.parametrize("places", ["", "31", "31|32"])
def test_book_that_says_two_things_of_one_place_is_refused(places: str) -> None:
    """Also where one of the rows speaks of another place besides; two places and two preferences are two things."""
    row = OLD | {"region": places, "source": "s", "edition": "e"}
    other = row | {"region": "31" if places else "", "value": "9"}

    with pytest.raises(ValueError, match="two rows of one place"):
        check_factors([row, other])
    check_factors([row, other | {"region": "44"}])
    check_factors([row, other | {"preference": "2"}])


def test_book_without_source_is_refused() -> None:
    """Law 9: no number without source."""
    with pytest.raises(ValueError, match="expected a source and an edition"):
        check_factors([OLD | {"source": " ", "edition": "e"}])
