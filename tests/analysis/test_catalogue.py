"""Catalogue: dated facts told by notices; what is fixed stays fixed, and nothing unreadable gets in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from factories import ENTERPRISE, OTHER, make_catalogue, make_meter, make_point, make_schema

from nengliu.analysis.catalogue import Catalogue, step_worth
from nengliu.analysis.intake.candidates import path_of
from nengliu.domain.points import Column, Enterprise, Kind, Point
from nengliu.errors import ContractError
from schemas.messages import BookNotice, EnterpriseNotice, ImportNotice, Notice, PointNotice, SchemaNotice

FACTOR = {
    "item": "heat",
    "factor": "coal",
    "basis": "calorific",
    "valid_from": "2000-01-01",
    "valid_to": "",
    "value": "1.5",
}


def refused(catalogue: Catalogue, notice: Notice) -> tuple[str, str]:
    """Reason and field of a notice that must be refused."""
    with pytest.raises(ContractError) as caught:
        catalogue.take(notice, 9)
    return caught.value.reason, caught.value.parameters.get("field", "")


@pytest.mark.parametrize(
    "notice",
    [
        PointNotice(make_point()),
        SchemaNotice(make_schema()),
        EnterpriseNotice(Enterprise(ENTERPRISE, "厂")),
        BookNotice("d", (FACTOR,)),
    ],
)
def test_notice_told_again_changes_nothing(notice: Notice) -> None:
    """The first telling is news, the second is not, be it the same object or an equal one."""
    catalogue = Catalogue()

    assert catalogue.take(notice, 1)
    assert not catalogue.take(notice, 2)
    assert not catalogue.take(type(notice)(**{n: getattr(notice, n) for n in notice.__struct_fields__}), 3)


def test_notice_of_an_import_is_no_fact_of_the_catalogue() -> None:
    """An import that ended changes nothing the readings depend on."""
    assert not Catalogue().take(ImportNotice(ENTERPRISE, "d", 1, "f", 1, 1, 1, 0, 0), 1)


def test_enterprise_and_book_may_change() -> None:
    """Names and factors are told anew, and the newest holds."""
    catalogue = Catalogue()
    catalogue.take(EnterpriseNotice(Enterprise(ENTERPRISE, "旧")), 1)
    catalogue.take(BookNotice("d", (FACTOR,)), 2)

    assert catalogue.take(EnterpriseNotice(Enterprise(ENTERPRISE, "新")), 3)
    assert catalogue.take(BookNotice("e", ()), 4)
    assert catalogue.enterprises[ENTERPRISE].name == "新"
    assert (catalogue.book.digest, catalogue.book.spans) == ("e", {})


def test_point_changed_takes_the_new_position_and_keeps_its_service() -> None:
    """A new name or limit is a new version; the meter's service keeps the position that told of it."""
    catalogue = make_catalogue(make_point())

    assert catalogue.take(PointNotice(make_point(name="新名", maximum=5)), 7)
    facts = catalogue.points[ENTERPRISE, "e-main"]
    assert (facts.position, facts.point.name, facts.point.maximum) == (7, "新名", 5)
    assert [(s.position, s.last_position) for s in facts.services] == [(1, 0)]


@pytest.mark.parametrize(
    ("change", "field"),
    [({"unit": "MWh"}, "unit"), ({"decimals": 3}, "decimals"), ({"kind": Kind.PERIOD, "meters": ()}, "kind")],
)
def test_point_with_another_unit_decimals_or_kind_is_refused(change: dict[str, Any], field: str) -> None:
    """What a tick means is fixed for life (D2): the old definition stands."""
    catalogue = make_catalogue(make_point())

    assert refused(catalogue, PointNotice(make_point(**change))) == ("BAD_FIELD", field)
    assert catalogue.points[ENTERPRISE, "e-main"].point == make_point()


def test_meter_change_told_in_two_steps_keeps_the_position_of_each_fact() -> None:
    """A new service has the position that told of it; so has the last register of the old one, whenever it comes."""
    old, new = make_meter(), make_meter(from_ms=1000, first=0)
    catalogue = make_catalogue(make_point(meters=(old,)))

    def told(*meters: Any, position: int) -> list[tuple[int, int]]:
        catalogue.take(PointNotice(make_point(meters=meters)), position)
        return [(s.position, s.last_position) for s in catalogue.points[ENTERPRISE, "e-main"].services]

    assert told(old, new, position=5) == [(1, 5), (5, 0)]
    assert told(replace(old, last=900), new, position=8) == [(1, 8), (5, 0)]
    assert told(replace(old, last=900), replace(new, modulus=10), position=9) == [(1, 8), (9, 0)]
    assert told(replace(old, last=901, multiplier=2), replace(new, modulus=10), position=12) == [
        (12, 12),
        (9, 0),
    ]


def test_meters_out_of_order_or_missing_are_refused() -> None:
    """A counter has at least one meter, and they follow one another."""
    two = (make_meter(from_ms=5), make_meter(from_ms=5))

    assert refused(Catalogue(), PointNotice(make_point(meters=()))) == ("MISSING_FIELD", "meters")
    assert refused(Catalogue(), PointNotice(make_point(meters=two))) == ("BAD_FIELD", "meters")
    assert refused(Catalogue(), PointNotice(make_point(meters=(make_meter(from_ms=6), two[0])))) == (
        "BAD_FIELD",
        "meters",
    )


@pytest.mark.parametrize(
    ("meter", "worth"),
    [
        ({}, 1),
        ({"multiplier": 8000}, 8000),
        ({"decimals": 0}, 100),
        ({"unit": "MWh", "decimals": 3}, 100),
        ({"unit": "万kWh", "decimals": 4, "multiplier": 3}, 300),
        ({"unit": "GJ", "decimals": 0, "multiplier": 9}, 250_000),
        ({"decimals": 4, "multiplier": 100}, 1),
    ],
)
def test_step_of_a_register_is_a_whole_number_of_ticks(meter: dict[str, Any], worth: int) -> None:
    """Unit, decimals and multiplier make the worth of one step, exactly."""
    assert step_worth(make_point(), make_meter(**meter)) == worth


@pytest.mark.parametrize(
    "meter",
    [
        {"decimals": 3},
        {"unit": "GJ"},
        {"unit": "Wh", "decimals": 2},
        {"multiplier": 2**62 + 1},
        {"multiplier": 0},
    ],
)
def test_step_that_is_no_whole_number_of_ticks_is_refused(meter: dict[str, Any]) -> None:
    """A register finer than the point, or one no int64 can count, is refused when it is told of."""
    with pytest.raises(ContractError) as caught:
        step_worth(make_point(), make_meter(**meter))

    assert caught.value.reason == "NOT_EXACT"
    assert "got" in caught.value.parameters


def test_unit_of_a_point_must_be_known_and_of_its_meters_kind() -> None:
    """An unknown unit, or a meter of another dimension, makes no point."""
    assert refused(Catalogue(), PointNotice(make_point("t", Kind.GAUGE, unit="°X")))[0] == "WRONG_UNIT"
    assert refused(Catalogue(), PointNotice(make_point(meters=(make_meter(unit="m3"),))))[0] == "WRONG_UNIT"


@pytest.mark.parametrize(
    ("point", "field"),
    [
        (make_point(decimals=-1), "decimals"),
        (make_point(decimals=19), "decimals"),
        (make_point("t", Kind.GAUGE, decimals=300), "decimals"),
        (make_point(interval_s=-1), "interval_s"),
        (make_point(hold_s=2**32), "hold_s"),
        (make_point(metering_level=256), "metering_level"),
        (make_point(valid_from_ms=2**70), "valid_from_ms"),
        (make_point(valid_to_ms=-(2**63)), "valid_to_ms"),
        (make_point(minimum=-(2**63)), "minimum"),
        (make_point(maximum=2**64), "maximum"),
        (make_point(meters=(make_meter(decimals=10**9),)), "decimals"),
        (make_point(meters=(make_meter(multiplier=0),)), "multiplier"),
        (make_point(meters=(make_meter(modulus=-1),)), "modulus"),
        (make_point(meters=(make_meter(first=-1),)), "first"),
        (make_point(meters=(make_meter(last=2**63),)), "last"),
        (make_point(meters=(make_meter(from_ms=2**63),)), "from_ms"),
    ],
)
def test_point_with_a_number_the_store_cannot_hold_is_refused(point: Point, field: str) -> None:
    """A wild number is a refusal with evidence, not a flow that stops at every start."""
    catalogue = Catalogue()

    assert refused(catalogue, PointNotice(point)) == ("BAD_FIELD", field)
    assert catalogue.points == {}


def test_schema_number_in_use_keeps_its_columns() -> None:
    """Other columns need a new number, and another enterprise has its own numbers."""
    catalogue = make_catalogue()
    other = (Column("x", "kWh", 2),)

    assert refused(catalogue, SchemaNotice(replace(make_schema(), columns=other))) == ("BAD_FIELD", "schema")
    assert catalogue.schemas[ENTERPRISE, 1] == make_schema()
    assert catalogue.take(SchemaNotice(replace(make_schema(), columns=other, schema=2)), 3)
    assert catalogue.take(SchemaNotice(replace(make_schema(), columns=other, enterprise=OTHER)), 4)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"schema": -1}, "schema"),
        ({"schema": 2**32}, "schema"),
        ({"columns": (Column("a", "kWh", -2),)}, "decimals"),
        ({"columns": (Column("a", "kWh", 10**9),)}, "decimals"),
    ],
)
def test_schema_with_a_number_out_of_bounds_is_refused(change: dict[str, Any], field: str) -> None:
    """Decimals and numbers of a column list are bounded too."""
    assert refused(Catalogue(), SchemaNotice(replace(make_schema(), **change))) == ("BAD_FIELD", field)


@pytest.mark.parametrize("row", [FACTOR | {"value": "x"}, FACTOR | {"valid_from": ""}, {"item": "heat"}])
def test_book_that_cannot_be_read_is_refused_and_the_old_one_holds(row: dict[str, str]) -> None:
    """A broken book is a verdict; factors in force stay in force."""
    catalogue = Catalogue()
    catalogue.take(BookNotice("d", (FACTOR,)), 1)

    assert refused(catalogue, BookNotice("e", (row,))) == ("BAD_FIELD", "factors")
    assert catalogue.book.digest == "d"


def test_enterprise_is_loaded_once_as_of_the_position() -> None:
    """What came before is asked for at first sight, in order, and never again."""
    asked: list[tuple[str, int]] = []

    def loader(enterprise: str, before: int) -> list[tuple[int, Notice]]:
        asked.append((enterprise, before))
        return [(3, PointNotice(make_point(name="old"))), (4, PointNotice(make_point()))]

    catalogue = Catalogue(loader)
    for position in (10, 11):
        catalogue.know(ENTERPRISE, position)

    assert asked == [(ENTERPRISE, 10)]
    assert catalogue.points[ENTERPRISE, "e-main"].position == 4
    assert [s.position for s in catalogue.points[ENTERPRISE, "e-main"].services] == [3]


@pytest.mark.parametrize(
    ("column", "reason", "evidence"),
    [
        (("nobody", "kWh", 2), "UNKNOWN_POINT", {"point": "nobody"}),
        (("e-main", "m3", 2), "WRONG_UNIT", {"expected": "kWh", "got": "m3"}),
        (("e-main", "quux", 2), "WRONG_UNIT", {"got": "quux"}),
        (("e-main", "Wh", 18), "OUT_OF_INT64", {"got": "1e-18 Wh"}),
    ],
)
def test_path_of_a_column_that_cannot_be_taken_is_a_refusal(
    column: tuple[str, str, int], reason: str, evidence: dict[str, str]
) -> None:
    """A column without a way to ticks is a value with evidence, not an error."""
    path = path_of(make_catalogue(), ENTERPRISE, *column)

    assert path.refusal == reason
    assert evidence.items() <= dict(path.evidence).items()


def test_path_has_a_span_per_meter() -> None:
    """Each meter turns what was sent into its own steps."""
    meters = (make_meter(), make_meter(from_ms=1000, unit="MWh", decimals=3, modulus=10**6, multiplier=2))
    path = path_of(make_catalogue(make_point(meters=meters)), ENTERPRISE, "e-main", "kWh", 1)

    assert path.spans == ((0, 10, 1, 0, 1), (1000, 1, 10, 10**6, 200))
