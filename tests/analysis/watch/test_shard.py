"""The watch as a whole: what a plant's readings, links and clocks become."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from factories import AT_MS, AT_S, ENTERPRISE, make_meter, make_point
from watch.scene import METERS, QUARTER_S, Scene, block, evidence, plant, spell, wiring

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.watch.settings import WatchSettings
from nengliu.analysis.watch.shard import WatchShard
from nengliu.domain.causes import Cause
from nengliu.domain.points import Kind
from nengliu.domain.quality import Origin, Reason
from nengliu.errors import LogRefused
from schemas.block import Verdict
from schemas.messages import PointNotice

ALL = tuple(METERS)


def test_a_calm_plant_has_no_incident() -> None:
    """A day of four meters says nothing."""
    scene = Scene()
    scene.run(0, 96)
    assert scene.rows == {}


# silence


def test_a_silent_collector_is_one_incident_with_all_its_points() -> None:
    """Nothing comes any more: by the ticks of the clock the collector is silent, since its last sign of life."""
    scene = Scene()
    scene.run(0, 10)
    scene.tick(13)
    assert scene.causes == [(Cause.COLLECTOR_SILENT, "collector", ALL)]
    assert scene.only["opened_at"] == AT_MS + 9 * QUARTER_S * 1000 + 5000
    assert scene.only["state"] == "active_unack"

    scene.run(20, 21)
    assert scene.only["state"] == "cleared_unack"
    assert scene.only["cleared_at"] == AT_MS + 20 * QUARTER_S * 1000 + 5000


def test_a_silent_line_is_one_incident_while_the_other_line_sends() -> None:
    """Two meters of one line are silent, those of the other are not."""
    scene = Scene()
    scene.run(0, 10)
    scene.run(10, 20, without="cd")
    assert scene.causes == [(Cause.LINE_DOWN, "line", ("c", "d"))]


def test_a_silent_meter_is_one_incident() -> None:
    """One meter is silent among its neighbours."""
    scene = Scene()
    scene.run(0, 10)
    scene.run(10, 20, without="b")
    assert scene.causes == [(Cause.METER_SILENT, "meter", ("b",))]


def test_a_point_of_a_meter_that_answers_is_silent_alone() -> None:
    """Of a meter with two points one comes."""
    scene = Scene([*plant(), wiring({"l1": {"m": ("a", "b"), "n": ("c", "d")}})])
    scene.run(0, 10)
    scene.run(10, 20, without="b")
    assert scene.causes == [(Cause.METER_SILENT, "point", ("b",))]


def test_two_missed_readings_are_no_silence() -> None:
    """A gap of three intervals between readings is below the limit of C1."""
    scene = Scene()
    scene.run(0, 10)
    scene.run(10, 12, without="b")
    scene.run(12, 20)
    assert scene.rows == {}


def test_a_parent_that_falls_silent_later_takes_its_child_in() -> None:
    """First one meter, then the whole collector: the meter's incident ends in the collector's."""
    scene = Scene()
    scene.run(0, 10)
    scene.run(10, 20, without="b")
    scene.tick(23)
    states = {row["root"]: row["state"] for row in scene.rows.values()}
    assert states == {"meter": "closed", "collector": "active_unack"}
    assert "joined" in scene.said


def test_a_child_that_stays_silent_after_its_parent_is_an_incident_of_its_own() -> None:
    """The collector comes back without one meter."""
    scene = Scene()
    scene.run(0, 10)
    scene.tick(13)
    scene.run(20, 40, without="b")
    assert {(cause, root, len(members)) for cause, root, members in scene.causes} == {
        (Cause.COLLECTOR_SILENT, "collector", 4),
        (Cause.METER_SILENT, "meter", 1),
    }


def test_a_point_that_ended_is_not_missed() -> None:
    """After `valid_to` nothing is due."""
    notices = plant(valid_to_ms=AT_MS + 10 * QUARTER_S * 1000)
    scene = Scene(notices)
    scene.run(0, 10)
    scene.tick(20)
    assert scene.rows == {}


def test_unwired_points_of_an_enterprise_are_silent_together() -> None:
    """A sender that declared no wiring is one thing."""
    scene = Scene(plant()[:-1])
    scene.run(0, 10)
    scene.tick(13)
    assert scene.causes == [(Cause.COLLECTOR_SILENT, "enterprise", ALL)]


def test_an_unwired_point_is_silent_with_the_only_collector() -> None:
    """What nobody wired most likely comes by the only way there is."""
    scene = Scene([*plant(), wiring({"l1": {"a": ("a",), "b": ("b",), "c": ("c",)}})])
    scene.run(0, 10)
    scene.tick(14.5)
    assert scene.causes == [(Cause.COLLECTOR_SILENT, "collector", ALL)]
    scene.send({"point": "d", "at": 15, "ticks": 2500})
    assert scene.only["state"] == "active_unack"


def test_a_change_of_value_source_may_be_silent_for_hours() -> None:
    """Without an interval nothing is due; after six hours somebody should look."""
    scene = Scene(plant(interval_s=0))
    scene.run(0, 10)
    scene.tick(30)
    assert scene.rows == {}
    scene.tick(33.5)
    assert scene.causes == [(Cause.COLLECTOR_SILENT, "collector", ALL)]


def test_nobody_is_silent_while_nobody_watched() -> None:
    """Ticks that stop and go on: the watch was away, and everybody begins anew."""
    scene = Scene()
    scene.run(0, 10)
    scene.tick(10)
    scene.ticked = 0
    scene.tick(400)
    assert scene.rows == {}


def test_quick_polls_break_nothing() -> None:
    """A collector that polls every 20 s for points of 15 minutes."""
    scene = Scene()
    for i in range(600):
        scene.send(*({"point": m, "at": i / 45, "ticks": 1000 + i // 3} for m in METERS))
    assert scene.rows == {}


# the way


def test_data_that_come_late_explain_the_silence() -> None:
    """What was silent and sends all afterwards was late: the incident is reclassified, not doubled."""
    scene = Scene()
    scene.run(0, 10)
    scene.tick(16)
    late = [
        {"point": m, "at": at, "ticks": 1000 + 100 * at, "late_s": (20 - at) * 900}
        for at in range(10, 20)
        for m in METERS
    ]
    scene.send(*late)
    scene.run(20, 40)
    assert scene.causes == [(Cause.LATE, "collector", ALL)]
    assert "reclassified" in scene.said
    assert evidence(scene.only) == ["COLLECTOR_QUIET", "CAME_LATE"]


def test_repetitions_of_one_meter_are_one_incident() -> None:
    """A gateway that sends again, under another receipt."""
    scene = Scene()
    scene.run(0, 4)
    for at in range(4, 12):
        again = {"point": "a", "at": at, "ticks": 1000 + 100 * at, "verdict": Verdict.DUPLICATE, "late_s": 40}
        scene.run(at, at + 1)
        scene.send(again)
    scene.run(12, 40)
    assert scene.causes == [(Cause.DUPLICATE, "meter", ("a",))]
    assert scene.only["state"] == "cleared_unack"


def test_what_all_meters_show_at_once_is_the_collectors() -> None:
    """A clock of the gateway that is two minutes off makes one incident, not four."""
    scene = Scene()
    scene.run(0, 10)
    for at in range(10, 20):
        scene.send(*({"point": m, "at": at, "ticks": 1000 + 100 * at, "late_s": 125} for m in METERS))
    assert scene.causes == [(Cause.CLOCK, "collector", ALL)]


def test_stamps_in_the_future_are_the_clocks() -> None:
    """Refused readings are a sign of life and evidence of the clock; the meter is not silent."""
    scene = Scene()
    scene.run(0, 10)
    for at in range(10, 30):
        scene.run(at, at + 1, without="a")
        refused = {"verdict": Verdict.REFUSED, "reason": Reason.STAMP_IN_FUTURE, "late_s": -28_800 + 5}
        scene.send({"point": "a", "at": at + 32, "ticks": 0, **refused})
    assert scene.causes == [(Cause.CLOCK, "meter", ("a",))]


def test_lost_readings_are_one_incident() -> None:
    """Every third reading of a meter is missing, for a day."""
    scene = Scene()
    for at in range(96):
        scene.run(at, at + 1, without="b" if at % 3 == 1 else "")
    scene.run(96, 150)
    assert scene.causes == [(Cause.LOSS, "meter", ("b",))]


# the meter


def test_a_meter_that_stands_among_its_neighbours_is_stuck() -> None:
    """Four intervals without movement while three others move."""
    scene = Scene()
    scene.run(0, 20)
    scene.run(20, 40, still="b")
    for at in range(40, 60):
        scene.send(*({"point": m, "at": at, "ticks": 1000 + 100 * (at - 20 * (m == "b"))} for m in METERS))
    assert scene.causes == [(Cause.STUCK, "meter", ("b",))]
    assert scene.only["opened_at"] == AT_MS + 19 * QUARTER_S * 1000
    assert scene.only["state"] == "cleared_unack"


def test_a_standstill_that_is_caught_up_was_an_old_value() -> None:
    """The real register comes back with all that was used: a fault of the way."""
    scene = Scene()
    scene.run(0, 48)
    scene.run(48, 60, still="b")
    scene.run(60, 80)
    assert scene.causes == [(Cause.CACHED_VALUE, "meter", ("b",))]
    assert scene.only["class"] == "link"
    assert scene.said == ["opened", "reclassified", "cleared"]


def test_a_plant_that_stops_shows_nothing() -> None:
    """All witnesses are still."""
    scene = Scene()
    scene.run(0, 20)
    scene.run(20, 80, still="abcd")
    for at in range(80, 100):
        scene.send(*({"point": m, "at": at, "ticks": 1000 + 100 * (at - 60)} for m in METERS))
    assert scene.rows == {}


def test_a_meter_that_rests_every_night_is_told_twice_at_most() -> None:
    """What comes regularly is a rest, not a fault."""
    scene = Scene()
    register = 0
    for at in range(96 * 12):
        register += 100 * (at % 96 >= 40)
        ticks = dict.fromkeys(METERS, 1000 + 100 * at) | {"b": register}
        scene.send(*({"point": m, "at": at, "ticks": value} for m, value in ticks.items()))
    assert len(scene.rows) <= 2


@pytest.mark.parametrize(
    ("steps", "cause"),
    [
        ((-(10**6),), Cause.RESET),
        ((-900,), Cause.BACKWARD),
        ((-100, -100, -100), Cause.BACKWARD),
        ((500_000,), Cause.JUMP),
        ((20_000,), Cause.OVER_POWER),
        ((9000, -8900), Cause.BACKWARD),
    ],
)
def test_a_step_no_meter_makes_is_one_incident(steps: tuple[int, ...], cause: Cause) -> None:
    """Backward, begun anew, a jump, more than rated, a spike: one incident of the meter."""
    scene, register = Scene(), 600_000
    for at in range(40):
        register = max(register + (steps[at - 10] if 0 <= at - 10 < len(steps) else 100), 0)
        ticks = dict.fromkeys(METERS, 1000 + 100 * at) | {"a": register}
        scene.send(*({"point": m, "at": at, "ticks": value} for m, value in ticks.items()))
    assert scene.causes == [(cause, "meter", ("a",))]


def test_a_legal_rollover_is_silent() -> None:
    """From above 90 % of the modulus to below 10 %."""
    scene = Scene()
    for at in range(40):
        scene.send({"point": "a", "at": at, "ticks": (10**8 - 1050 + 100 * at) % 10**8})
    assert scene.rows == {}


def test_a_declared_change_of_the_meter_is_silent() -> None:
    """A new meter begins at its own register."""
    scene = Scene()
    scene.run(0, 10)
    changed = (make_meter(last=2000), make_meter(from_ms=AT_MS + 8500 * 1000, first=0))
    scene.take(PointNotice(make_point("a", rated=40_000, meters=changed)))
    for at in range(10, 30):
        ticks = dict.fromkeys(METERS, 1000 + 100 * at) | {"a": 100 * (at - 10)}
        scene.send(*({"point": m, "at": at, "ticks": value} for m, value in ticks.items()))
    assert scene.rows == {}


def test_a_gap_suspends_the_rules_of_the_meter() -> None:
    """After a gap a register may have risen by all that the rated power allows meanwhile."""
    scene = Scene()
    scene.run(0, 10)
    scene.run(10, 30, without="a")
    scene.run(30, 40)
    assert {row["class"] for row in scene.rows.values()} == {"link"}


def test_values_out_of_range_count_from_the_third() -> None:
    """Two are chance."""
    scene = Scene()
    for at in range(2):
        scene.send({"point": "a", "at": at, "ticks": 1000 + at, "reason": Reason.OVER_RANGE, "quality": 5})
    assert scene.rows == {}
    scene.send({"point": "a", "at": 2, "ticks": 1002, "reason": Reason.OVER_RANGE, "quality": 5})
    assert scene.causes == [(Cause.OVER_RANGE, "meter", ("a",))]


def test_a_sender_that_doubts_its_data_is_believed() -> None:
    """Bad quality from the sender, twice."""
    scene = Scene()
    for at in range(3):
        scene.send({"point": "a", "at": at, "ticks": 1000 + 100 * at, "quality": 6})
    assert scene.causes == [(Cause.SELF_REPORTED, "meter", ("a",))]


def test_a_gauge_that_never_changes_while_registers_move_is_constant() -> None:
    """Eight intervals of exactly one value."""
    scene = Scene([*plant(), PointNotice(make_point("t", Kind.GAUGE, unit="degC"))])
    for at in range(30):
        values = {"t": 650 if at > 5 else 600 + at} | dict.fromkeys(METERS, 1000 + 100 * at)
        scene.send(*({"point": p, "at": at, "ticks": v} for p, v in values.items()))
    assert scene.causes == [(Cause.CONSTANT, "point", ("t",))]


def test_dead_supplies_that_answer_are_a_power_loss() -> None:
    """Feeder and main show zero: one incident of the main, and the register below is not stuck."""
    notices = [
        *plant(place="plant/hall"),
        PointNotice(make_point("main", Kind.GAUGE, unit="kW", place="plant")),
        PointNotice(make_point("feeder", Kind.GAUGE, unit="kW", place="plant/hall")),
        PointNotice(
            make_point("water", unit="m3", item="water", place="yard", meters=(make_meter(unit="m3"),))
        ),
    ]
    scene = Scene(notices)
    for at in range(40):
        dead = 15 <= at < 30
        alive = at if at < 15 else max(at - 15, 15)
        values = dict.fromkeys(METERS, 1000 + 100 * alive)
        values |= {"main": 0 if dead else 800 + at, "feeder": 0 if dead else 500 + at, "water": 100 * at}
        scene.send(*({"point": p, "at": at, "ticks": v} for p, v in values.items()))
    assert scene.causes == [(Cause.POWER_LOSS, "point", ("feeder",))]
    assert scene.only["class"] == "power"


def test_imports_and_typed_values_say_nothing_of_the_way() -> None:
    """A file of last year is neither late nor silent, and its jump is found."""
    scene = Scene()
    for at in range(40):
        jump = 10_000_000 * (at >= 20)
        scene.send(
            {"point": "a", "at": at, "ticks": 1000 + 100 * at + jump, "origin": Origin.FILE, "late_s": 10**7}
        )
    scene.send({"point": "b", "at": 0, "ticks": 5, "origin": Origin.MANUAL, "late_s": 10**7})
    assert scene.causes == [(Cause.JUMP, "meter", ("a",))]


# the whole


def test_the_same_evidence_begins_an_incident_again() -> None:
    """Within two hours after it was over it is the same incident."""
    scene = Scene()
    scene.run(0, 10)
    scene.tick(13)
    scene.run(14, 16)
    scene.tick(20)
    assert len(scene.rows) == 1
    assert scene.said == ["opened", "cleared", "reopened"]


def test_what_ended_and_nobody_saw_is_closed_after_thirty_days() -> None:
    """By the clock of the stream."""
    scene = Scene()
    scene.run(0, 10)
    scene.tick(13)
    scene.run(14, 40)
    scene.send(*({"point": m, "at": 16 + 31 * 96, "ticks": 300_000} for m in METERS))
    first = min(scene.rows.values(), key=lambda row: row["opened_at"])
    assert first["state"] == "closed"
    assert first["closed_by"] == ""


def test_a_told_history_plant_by_plant_silences_nobody() -> None:
    """A day of one plant, then the same day of another: each has its own clock."""
    scene = Scene()
    scene.run(0, 96)
    other = "91320000MA1EXAMPL7"
    point = make_point("a", enterprise=other)
    scene.take(PointNotice(point))
    for at in range(96):
        scene.position += 1
        scene.keep(
            scene.shard.add(block(scene.position, [{"point": "a", "at": at, "ticks": 100 * at}], other))
        )
    scene.run(96, 120)
    assert scene.rows == {}


def test_a_snapshot_is_a_copy_and_goes_on() -> None:
    """What follows a snapshot does not change it, and a shard made from it says the same from there on."""
    scene = Scene()
    scene.run(0, 10)
    scene.run(10, 18, without="b", still="c")
    state = scene.shard.snapshot()
    kept = pickle.dumps(state)
    resumed = Scene([], WatchShard(scene.shard.catalogue, state=pickle.loads(kept)))
    resumed.position = scene.position
    for one in (scene, resumed):
        one.run(18, 30)
    assert pickle.dumps(state) == kept
    assert resumed.rows.items() <= scene.rows.items()
    assert len(resumed.rows) == 2


def test_a_state_of_another_layout_is_refused() -> None:
    """Nothing in it can be trusted, and the log says everything again: the sentence says what to do."""
    scene = Scene()
    state = scene.shard.snapshot()
    assert isinstance(state, dict)
    for other in (state | {"layout": 1}, {k: v for k, v in state.items() if k != "layout"}, [1]):
        with pytest.raises(LogRefused, match="remove its folder"):
            WatchShard(Catalogue(), state=other)


def test_rows_say_what_was_seen_in_words_with_units() -> None:
    """Evidence is a code with parameters; registers stand in their unit."""
    scene = Scene()
    scene.run(0, 10)
    scene.run(10, 11, step=10)
    found = json.loads(next(iter(scene.rows.values()))["evidence"])
    assert found[0]["code"] == "WENT_BACKWARD"
    assert found[0]["parameters"] == {"before": "19.00 kWh", "after": "11.00 kWh", "count": "1"}


def test_an_incident_is_named_by_its_root_and_the_place_of_its_first_evidence() -> None:
    """The same log gives the same names; another position another one."""
    names = []
    for extra in (0, 0, 1):
        scene = Scene()
        for _ in range(extra):
            scene.tick(0.5)
        scene.run(0, 10)
        scene.tick(13)
        names.append(scene.only["incident"])
    assert names[0] == names[1] != names[2]
    assert len(names[0]) == 16


def test_an_empty_shard_says_nothing() -> None:
    """Ticks, empty blocks and unknown enterprises do no harm."""
    shard = WatchShard(Catalogue(), WatchSettings())
    scene = Scene([], shard)
    scene.tick(1)
    rows: list[Any] = shard.add(block(5, [{"point": "x", "at": 0}]).take(slice(0, 0)))
    assert [*map(spell, rows), *scene.rows] == []
    assert ENTERPRISE not in shard.slots.enterprises
    assert AT_S > 0
