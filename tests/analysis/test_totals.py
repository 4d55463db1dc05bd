"""Totals by hand-made cases: coal, factors that change, huge values, silence, moves, and what is asked of the store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from memory_store import plain
from test_totals_laws import END, QUARTER, START, E, Store, Windows

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.totals.directory import Directory
from nengliu.analysis.totals.plants import periods_of, unite
from nengliu.analysis.totals.shard import TotalShard
from nengliu.analysis.totals.shelf import Shelf
from nengliu.analysis.totals.sums import join
from nengliu.domain.points import Enterprise, Kind, Meter, Point, Seat, Stay
from nengliu.domain.quality import Reason
from nengliu.errors import ContractError
from schemas.block import Labels
from schemas.messages import BookNotice, EnterpriseNotice, PointNotice

MARCH, FEBRUARY = END // 1000, (END - 28 * 86_400_000) // 1000


def _point(name, place="", level=1, **more):
    meter = Meter(0, "GJ", 2)
    return Point(
        E,
        name,
        name,
        Kind.COUNTER,
        "heat",
        "GJ",
        2,
        metering_level=level,
        place=place,
        meters=(meter,),
        **more,
    )


def _factor(value, first, last=""):
    row = {"item": "heat", "factor": "coal", "basis": "calorific", "value": value}
    return row | {"valid_from": first, "valid_to": last}


class Plant:
    """A shard of totals with its catalogue, its windows and its store."""

    def __init__(self, *points, factors=(), enterprise=None):
        self.store, self.windows, self.position = Store(), Windows(), 0
        self.catalogue = Catalogue()
        self.shard = TotalShard(self.catalogue, self.store)
        self.tell(BookNotice("book", tuple(factors)))
        self.tell(EnterpriseNotice(enterprise or Enterprise(E, "e", region="320100", industry="C31")))
        for point in points:
            self.tell(PointNotice(point))

    def tell(self, notice):
        """Take a notice in."""
        self.position += 1
        for rows in self.shard.take(notice, self.position):
            self.store.write(rows)
        self.catalogue.take(notice, self.position)
        for rows in self.shard.add([], self.position):
            self.store.write(rows)

    def read(self, *amounts, due=0):
        """Take windows in: (point, quarter start [ms], ticks)."""
        self.position += 1
        row = {
            "estimated": 0,
            "received": 1,
            "reason": 0,
            "known_at": 1,
            "revision": self.position,
            "due": due,
        }
        said = self.windows.say([(point, at, row | {"used": used}) for point, at, used in amounts])
        for rows in [*self.shard.add(said, self.position), *said]:
            self.store.write(rows)

    def total(self, level, node="", start=None):
        """The one total of a node; of several periods that which begins at `start` [s]."""
        rows = [
            r
            for (_, n, _, _, s), r in self.store.totals[f"total_{level}"].items()
            if n == node and start in (None, s)
        ]
        assert len(rows) == 1
        return rows[0]


def test_month_that_holds_a_change_of_factor_counts_each_day_by_its_own():
    """Law 9: coal is the amount times the factor of its days, also in the month."""
    factors = (_factor("30", "2026-01-01", "2026-02-28"), _factor("40", "2026-02-28"))
    plant = Plant(_point("a"), factors=factors)
    plant.read(("a", START, 1000), ("a", END - QUARTER, 2000))
    assert plant.total("month")["used"] == 3000
    assert plant.total("month")["coal_kgce"] == 10.0 * 30 + 20.0 * 40
    assert np.isnan(plant.total("month")["co2_kg"])


def test_month_without_a_change_is_one_product():
    """The exact sum times the factor, rounded once."""
    plant = Plant(_point("a"), factors=(_factor("34.12", "2026-01-01"),))
    plant.read(("a", START, 1001), ("a", END - QUARTER, 2003))
    assert plant.total("month")["coal_kgce"] == 30.04 * 34.12


def test_silent_point_leaves_a_partial_sum_with_its_coverage():
    """Law 5: silence is never zero and blocks no total."""
    plant = Plant(_point("a", "n"), _point("b", "n"), _point("manual", "n", interval_s=3600))
    plant.read(("a", START, 5), ("b", START, 7))
    row = plant.total("hour", "n")
    assert (row["used"], row["points"], row["points_due"], row["received"], row["due"]) == (12, 2, 3, 2, 9)


def test_silent_meter_above_reporting_parts_is_not_heard():
    """A node whose meter is silent has no value, and shows what its parts say."""
    plant = Plant(_point("grid", "n"), _point("a", "n/a", 2), _point("b", "n/b", 2))
    plant.read(("a", START, 5), ("b", START, 7))
    row = plant.total("15min", "n")
    assert (row["points"], row["used"], row["parts"], row["members"]) == (0, 0, 12, 2)


def test_sum_that_int64_cannot_hold_ends_at_the_limit_and_says_so():
    """Huge values neither wrap around nor stop the flow."""
    plant = Plant(_point("a", "n"), _point("b", "n"))
    plant.read(("a", START, 2**63 - 1), ("b", START, 5))
    row = plant.total("15min", "n")
    assert (row["used"], row["reason"]) == (2**63 - 1, Reason.OUT_OF_INT64)


def test_point_moved_in_mid_month_leaves_its_past_where_it_was():
    """The day and the month of the move are cut at the quarter; before and after it each node has its own."""
    plant = Plant(_point("a", "n"), _point("b", "n"), _point("c", "m"), _point("d", "m"))
    at = START + 50 * QUARTER
    plant.read(*((p, at - QUARTER, 1) for p in "abcd"), *((p, at, 10) for p in "abcd"))
    assert [plant.total("month", node)["used"] for node in "nm"] == [22, 22]
    plant.tell(PointNotice(_point("b", "m", places=(Stay(0, "n"), Stay(at - 1, "m")))))
    assert [plant.total("month", node)["used"] for node in "nm"] == [12, 32]
    assert plant.total("15min", "n", (at - QUARTER) // 1000)["used"] == 2
    assert plant.total("15min", "m", at // 1000)["used"] == 30
    gone = plant.total("15min", "n", at // 1000)
    assert (gone["points_due"], gone["members_due"], gone["used"]) == (
        0,
        0,
        0,
    )  # one point is left: it is that point


def test_enterprise_that_moves_carries_its_region_of_the_period():
    """What was used before the move stays with the old region."""
    seats = (Seat(0, "320100", "C31"), Seat(START + 86_400_000, "320500", "C30"))
    plant = Plant(_point("a"), enterprise=Enterprise(E, "e", region="320500", industry="C30", stays=seats))
    plant.read(("a", START, 1), ("a", START + 86_400_000, 2))
    days = plant.store.totals["total_day"].values()
    assert {row["used"]: (row["region"], row["industry"]) for row in days} == {
        1: ("320100", "C31"),
        2: ("320500", "C30"),
    }


def test_corrected_region_is_written_over_all_its_totals():
    """A region that was wrong is wrong nowhere any more."""
    plant = Plant(_point("a"))
    plant.read(("a", START, 1), ("a", END, 2))
    plant.tell(EnterpriseNotice(Enterprise(E, "e", region="330000", industry="C31")))
    rows = [row for table in plant.store.totals.values() for row in table.values()]
    assert {row["region"] for row in rows} == {"330000"}
    assert {row["revision"] for row in rows} == {plant.position}


def test_computed_point_owes_what_its_rows_say():
    """A point without an interval of its own brings its due readings along, in a split month, too."""
    plant = Plant(replace(_point("sum"), kind=Kind.PERIOD, meters=(), interval_s=0), _point("b", "n"))
    plant.read(("sum", START, 5), due=8)
    assert [plant.total(level)["due"] for level in ("15min", "month")] == [9, 8 + 28 * 96]
    plant.tell(PointNotice(_point("b", "m", places=(Stay(0, "n"), Stay(START + 3600_000, "m")))))
    assert plant.total("month")["due"] == 8 + 28 * 96


class Counted(Store):
    """Counts what is asked."""

    asked = 0

    def windows(self, level, spans, before):
        """Window rows of enterprises in spans."""
        self.asked += 1
        return super().windows(level, spans, before)


def test_store_is_asked_at_first_sight_and_not_for_what_comes_next():
    """A live stream asks once for each level and plant; a period that all its points fill asks nothing."""
    catalogue, store = Catalogue(), Counted()
    shard, windows = TotalShard(catalogue, store), Windows()
    for position, name in enumerate("abc", 1):
        catalogue.take(PointNotice(_point(name)), position)
    row = {"used": 1, "estimated": 0, "received": 1, "reason": 0, "known_at": 1}
    for i in range(8):
        shard.add(windows.say([("a", START + i * QUARTER, row | {"revision": 10 + i})]), 10)
        shard.seal(10 + i)
    assert store.asked == 4
    shard.add(windows.say([(name, START - QUARTER, row | {"revision": 30}) for name in "abc"]), 10)
    assert store.asked == 4
    shard.add(windows.say([("a", START - 2 * QUARTER, row | {"revision": 40})]), 10)
    assert store.asked == 5  # the quarter-hour; the periods above it are held


def test_pages_that_are_stored_and_old_are_given_up():
    """Memory holds the newest period of each level, not the history."""
    catalogue, store = Catalogue(), Store()
    shard, windows = TotalShard(catalogue, store), Windows()
    for position, name in enumerate("ab", 1):
        catalogue.take(PointNotice(_point(name)), position)
    row = {"used": 1, "estimated": 0, "received": 1, "reason": 0, "known_at": 1}
    for i in range(200):
        said = windows.say([("a", START + i * QUARTER, row | {"revision": 10 + i})])
        for rows in [*shard.add(said, 10 + i), *said]:
            store.write(rows)
        shard.seal(10 + i)
    assert len(shard._shelf) <= 12


@pytest.mark.parametrize(
    "stays",
    [
        (Stay(5, "m"), Stay(5, "n")),
        (Stay(9, "m"), Stay(5, "n")),
        (Stay(0, "n"), Stay(5, "m")),
    ],
)
def test_dated_places_out_of_order_or_ending_elsewhere_are_refused(stays):
    """A path of places is in order of time and ends where the point is now."""
    with pytest.raises(ContractError, match="places"):
        Catalogue().take(PointNotice(_point("a", "n", places=stays)), 1)


def test_seats_that_end_elsewhere_are_refused():
    """Region and industry are those of the last seat."""
    wrong = Enterprise(E, "e", region="320100", industry="C31", stays=(Seat(0, "110000", "C31"),))
    with pytest.raises(ContractError, match="stays"):
        Catalogue().take(EnterpriseNotice(wrong), 1)


def test_names_in_any_dictionary_are_found():
    """Dictionaries may grow, be others, or share their codes; a point that no total counts has no place."""
    catalogue = Catalogue()
    for position, name in enumerate("abc"):
        catalogue.take(PointNotice(_point(name, level=0 if name == "c" else 1)), position)
    shelf = Shelf(catalogue)
    directory = Directory(shelf.plant)
    codes = np.array([0, 1, 0], np.int32)
    for who, what in (
        (Labels(codes * 0, (E,)), Labels(codes, ("b", "a"))),
        (Labels(codes * 0, (E, "f")), Labels(codes[::-1] * 2, ("b", "a", "c", "d"))),
        (Labels(codes, (E, E)), Labels(codes, ("b", "c"))),
        (Labels(codes * 0, (E,)), Labels(codes, ("b", "a"))),
    ):
        number, place = directory.find(who, what)
        assert number.tolist() == [0, 0, 0]
        assert place.tolist() == ["abc".index(name) for name in plain(what)]
    catalogue.take(PointNotice(_point("Z")), 9)
    shelf.forget(E)
    directory.forget(0)
    assert directory.find(Labels(codes * 0, (E,)), Labels(codes, ("b", "Z")))[1].tolist() == [1, 3, 1]
    assert directory.find(Labels(codes * 0, (E,)), Labels(codes, ("b", "x")))[1].tolist() == [1, -1, 1]


def test_layouts_are_taken_in_any_order_as_if_laid_out_so():
    """Layouts named twice, or in another order, are the same as laid one after the other."""
    catalogue = Catalogue()
    for position, (name, place) in enumerate(zip("abcd", ("m", "m", "n", "n/o"), strict=True)):
        catalogue.take(PointNotice(_point(name, place, level=1 + position % 2)), position)
        other = replace(_point(name, "m"), enterprise="f")
        catalogue.take(PointNotice(other), position)
    shelf = Shelf(catalogue)
    first, second = (shelf.plant(code).layouts[0] for code in (E, "f"))
    found, expected = join([first, second]).of(np.array([1, 0, 1])), join([second, first, second])
    for name in ("terms", "sums", "cells", "place", "weight", "first", "cell_first", "which"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    assert all(np.array_equal(column, expected.facts[name]) for name, column in found.facts.items())


def test_periods_of_several_tables_are_united():
    """A period that rows of two tables touched is computed once."""
    first, second = (Shelf(Catalogue()).plant(code) for code in (E, "f"))
    second.number = 1
    found = unite([periods_of(second, [900, 0]), periods_of(first, [900]), periods_of(second, [900])])
    assert [(plant.code, at) for plant, at in zip(found.owners(), found.start_s.tolist(), strict=True)] == [
        (E, 900),
        ("f", 0),
        ("f", 900),
    ]
