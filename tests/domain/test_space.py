"""Space: whose amounts a node counts, once each, and since when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nengliu.domain.points import FOREVER_MS, Enterprise, Flow, Kind, Point, Seat, Stay
from nengliu.domain.space import Role, affected, eras, moved, place_at

QUARTER = 900_000


def _point(name, place, level=1, flow=Flow.IN, item="electricity", **more):
    more = {"metering_level": level, "flow": flow, "place": place, **more}
    return Point("e", name, name, Kind.COUNTER, item, "kWh", 2, **more)


def _sums(points, at=0):
    """{(node, item): {role: {point: weight}}} of the era that holds an instant, and the value's role under 'value'."""
    era = [era for era in eras(points) if era.from_ms <= at][-1]
    return {
        (cell.node, cell.item): {
            role.name: {points[term.point].point: term.weight for term in terms}
            for role, terms in cell.terms.items()
        }
        | {"value": cell.value.name}
        for cell in era.cells
    }


def test_node_with_a_meter_shows_it_beside_its_parts():
    """A node's own meter is its value; what lies below it stands beside it, so that the difference is the loss."""
    found = _sums([_point("grid", "main"), _point("melt", "main/melt", 2), _point("roll", "main/roll", 2)])
    main = found["main", "electricity"]
    assert main == {"METERED": {"grid": 1}, "PARTS": {"melt": 1, "roll": 1}, "value": "METERED"}
    assert found["", "electricity"]["METERED"] == {"grid": 1}
    assert ("main/melt", "electricity") not in found  # one point below it: it is that point


def test_node_without_a_meter_is_the_sum_of_its_children():
    """A node without a meter of its own counts what its children count, each child by its own meter if it has one."""
    points = [_point("a", "w/x"), _point("a1", "w/x/1", 2), _point("b1", "w/y/1"), _point("b2", "w/y/2")]
    assert _sums(points)["w", "electricity"] == {"PARTS": {"a": 1, "b1": 1, "b2": 1}, "value": "PARTS"}


def test_deeper_meters_at_one_place_are_parts():
    """Where a plant names one place for all its points, boundary and sub-meters are told apart by level."""
    found = _sums([_point("grid", ""), _point("hall", "", 2), _point("drive", "", 3)])
    assert found["", "electricity"] == {
        "METERED": {"grid": 1},
        "PARTS": {"hall": 1, "drive": 1},
        "value": "METERED",
    }


def test_self_made_steam_counts_in_nodes_and_not_in_the_enterprise():
    """Secondary energy is supply inside, and neither bought nor used twice (GB/T 2589)."""
    made = _point("boiler", "main", 2, Flow.OWN, "steam")
    found = _sums([_point("coal", "main", item="coal"), made, _point("a", "main/a", 2, item="steam"),
                   _point("b", "main/b", 2, item="steam")])  # fmt: skip
    steam = found["", "steam"]
    assert steam == {"METERED": {"boiler": 1}, "PARTS": {"a": 1, "b": 1}, "value": "USED"}
    assert found["main", "steam"] == {"PARTS": {"a": 1, "b": 1}, "value": "PARTS"}


def test_own_power_adds_to_what_a_metered_node_received():
    """What is made inside feeds the node beside its meter, and does not cross the enterprise's boundary."""
    points = [_point("grid", "main"), _point("pv", "main", 2, Flow.OWN), _point("hall", "main/h", 2)]
    found = _sums(points)
    assert found["main", "electricity"]["METERED"] == {"grid": 1, "pv": 1}
    assert found["", "electricity"]["USED"] == {"grid": 1}
    assert found["", "electricity"]["METERED"] == {"grid": 1, "pv": 1}


def test_what_is_handed_on_counts_minus_and_uses_are_kept_apart():
    """Supply to others is deducted; feedstock and new renewable energy are said as parts of what was used."""
    points = [_point("in", "m"), _point("out", "m", 1, Flow.OUT), _point("raw", "m", 1, Flow.FEEDSTOCK)]
    found = _sums(points)["", "electricity"]
    assert found["METERED"] == {"in": 1, "out": -1, "raw": 1}
    assert found["FEEDSTOCK"] == {"raw": 1}


def test_points_of_unlike_decimals_are_summed_in_the_finest():
    """A tick of a coarser point is worth so many ticks of the sum, exactly."""
    points = [_point("a", "m"), replace(_point("b", "m"), decimals=5)]
    assert _sums(points)["m", "electricity"]["METERED"] == {"a": 1000, "b": 1}


def test_meter_below_that_crosses_the_boundary_feeds_the_node_above():
    """A second feed straight into a hall came into the plant, too, though not through the plant's meter."""
    points = [_point("grid", "main"), _point("feed", "main/h"), _point("sub", "main/k", 2)]
    assert _sums(points)["main", "electricity"]["METERED"] == {"grid": 1, "feed": 1}


def test_move_takes_effect_at_the_next_quarter_hour():
    """Before the move a point counts where it was; inside a quarter-hour nothing changes."""
    stays = (Stay(0, "a"), Stay(10 * QUARTER + 1, "b"))
    points = [_point("p", "b", places=stays), _point("q", "a", 1), _point("r", "b", 1)]
    assert [era.from_ms for era in eras(points)] == [-FOREVER_MS, 11 * QUARTER]
    assert place_at(points[0], 11 * QUARTER - 1) == "a"
    assert _sums(points)["a", "electricity"]["METERED"] == {"p": 1, "q": 1}
    assert _sums(points, 11 * QUARTER)["b", "electricity"]["METERED"] == {"p": 1, "r": 1}


def test_meter_that_comes_later_takes_over_from_the_parts():
    """A node is the sum of its parts until it has a meter of its own."""
    points = [_point("late", "m", valid_from_ms=8 * QUARTER), _point("x", "m/x", 2), _point("y", "m/y", 2)]
    assert _sums(points)["m", "electricity"]["value"] == Role.PARTS.name
    assert _sums(points, 8 * QUARTER)["m", "electricity"]["METERED"] == {"late": 1}


def test_points_that_live_apart_need_no_era():
    """Only a hand-over between a meter and its parts cuts time; a point that is not yet there adds nothing."""
    assert len(eras([_point("a", "m"), _point("b", "m/x", 2, valid_from_ms=8 * QUARTER)])) == 1


@pytest.mark.parametrize(
    ("change", "span"),
    [
        ({"name": "new"}, None),
        ({"flow": Flow.OUT}, (0, FOREVER_MS)),
        ({"valid_to_ms": 5 * QUARTER}, (5 * QUARTER, FOREVER_MS)),
        ({"place": "b", "places": (Stay(0, "a"), Stay(QUARTER + 1, "b"))}, (2 * QUARTER, FOREVER_MS)),
        ({"place": "b"}, (-FOREVER_MS, FOREVER_MS)),
    ],
)
def test_notice_affects_totals_from_where_it_differs(change, span):
    """What a new description leaves alone is not said anew."""
    old = _point("p", "a")
    assert affected(old, replace(old, **change)) == span


def test_gauge_belongs_to_no_total():
    """A power has no amount."""
    gauge = replace(_point("p", "a"), kind=Kind.GAUGE)
    assert affected(None, gauge) is None
    assert eras([gauge])[0].cells == ()


def test_enterprise_that_moves_changes_from_then_on():
    """A new seat concerns what comes after it; a new name nothing."""
    old = Enterprise("e", "e", region="320100", industry="C31")
    seats = (Seat(0, "320100", "C31"), Seat(QUARTER, "320500", "C31"))
    assert moved(old, replace(old, name="f")) is None
    assert moved(old, replace(old, region="320500", stays=seats)) == (QUARTER, FOREVER_MS)
