"""Books of tariffs and factors, tariffs of points and named products: kept with their time, or refused whole."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from factories import AT_S, ENTERPRISE, GENERATION, make_point, make_record
from intake_mix import shard, table

from nengliu.domain.books import shipped_factors
from nengliu.domain.calendars import shipped_rows
from nengliu.domain.points import Tariffed
from schemas.messages import Activity, ActivityNotice, BookNotice, Notice, PointNotice, TariffNotice

HOURS, PRICES, DAYS = (shipped_rows(book)[1] for book in ("tariffs", "tariff_prices", "days"))
TARIFFS = TariffNotice("t1", HOURS, PRICES, DAYS, AT_S)
BOOK = BookNotice(*shipped_factors(), AT_S)
AHEAD_S = AT_S + 86_400 + 301
"""First second too far ahead of the log's clock."""


def told(notice: Notice) -> Any:
    """What becomes of a notice alone in the log."""
    return shard().add([make_record(notice)])


def activity(measure: str, unit: str = "t") -> ActivityNotice:
    """One figure of a month."""
    return ActivityNotice(ENTERPRISE, (Activity(measure, "2026-03", 1.0, unit, ""),))


def tariffed(*tariffs: Tariffed) -> PointNotice:
    """A point with tariffs."""
    return PointNotice(make_point(tariffs=tariffs))


def test_tariffs_are_kept_with_the_time_the_log_took_them_and_stay_here() -> None:
    """No flow needs them; the cost of days is computed from what is stored."""
    outcome = told(TARIFFS)
    (row,) = table(outcome, "tariff")

    assert outcome.onward == []
    assert (row["digest"], row["position"], row["known_at"]) == (
        "t1",
        GENERATION,
        make_record(TARIFFS).appended_at_s,
    )
    assert msgspec.json.decode(row["definition"], type=TariffNotice) == TARIFFS


def test_book_goes_on_once_and_is_kept() -> None:
    """The same edition told again changes nothing, whenever it is told."""
    outcome = shard().add([make_record(BOOK), make_record(msgspec.structs.replace(BOOK, at_s=AT_S + 1), 1)])

    assert [notice for _, notice in outcome.onward] == [BOOK]
    assert len(table(outcome, "book")) == 1


@pytest.mark.parametrize(
    "notice", [tariffed(Tariffed(0, "a"), Tariffed(9, "b")), activity("output:cement"), activity("output")]
)
def test_dated_tariffs_and_named_products_are_taken(notice: Notice) -> None:
    """What can be meant so is kept."""
    assert [rows.table for rows in told(notice).rows] == [
        "point" if isinstance(notice, PointNotice) else "activity"
    ]


@pytest.mark.parametrize(
    "notice",
    [
        msgspec.structs.replace(TARIFFS, at_s=AHEAD_S),
        msgspec.structs.replace(TARIFFS, hours=HOURS[1:]),
        msgspec.structs.replace(TARIFFS, prices=({"tariff": HOURS[0]["tariff"]},)),
        msgspec.structs.replace(BOOK, at_s=AHEAD_S),
        msgspec.structs.replace(BOOK, digest="b", factors=({"item": "heat"},)),
        tariffed(Tariffed(9, "a"), Tariffed(0, "b")),
        tariffed(Tariffed(0, "a\u200b")),
        activity("value_added:cement", "10k CNY"),
        activity("output:ce\u200bment"),
    ],
)
def test_what_cannot_be_meant_so_is_refused_whole(notice: Notice) -> None:
    """A time ahead of the log, hours without a band, a price without a value, tariffs in no order, unseen letters."""
    outcome = told(notice)

    assert [rows.table for rows in outcome.rows if rows.table not in ("quarantine", "intake")] == []
    assert len(table(outcome, "quarantine")) == 1
    assert outcome.onward == [] or not any(isinstance(message, type(notice)) for _, message in outcome.onward)
