"""Lines: every slot ends as values or as missing readings, and a dead meter holds up nobody."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meters import MINUTE, START_MS, Desk, Manners, Meters, answers, make_line, make_meter, raises, run_line
from virtual import VirtualClock

from nengliu.domain.quality import Reason
from nengliu.errors import LinkError


def test_healthy_meters_give_a_row_per_slot() -> None:
    """Each due instant, the first included, has one row stamped with it, in the ticks of the registers."""
    desk = Desk()

    run_line(make_line(make_meter(1), make_meter(2, interval_s=120)), 4 * MINUTE - 1, desk)

    assert [(name, (at - START_MS) // MINUTE) for name, at, _ in desk.rows] == [
        ("m1", 0),
        ("m2", 0),
        ("m1", 1),
        ("m1", 2),
        ("m2", 2),
        ("m1", 3),
    ]
    assert desk.rows[0][2] == {"m1-r0": 100, "m1-r1": 101}
    assert desk.missed == []
    assert desk.said() == [("LINE_UP", "", "NONE"), ("METER_UP", "m1", "NONE"), ("METER_UP", "m2", "NONE")]


def test_start_between_slots_waits_for_the_next() -> None:
    """A collector that starts within an interval reads first at the next whole multiple."""
    desk = Desk()

    run_line(make_line(), 2 * MINUTE, desk, start_ms=START_MS + 1)

    assert [at - START_MS for _, at, _ in desk.rows] == [MINUTE, 2 * MINUTE]


@pytest.mark.parametrize(("takes_ms", "stamp"), [(1000, 0), (1001, 1001)])
def test_stamp_is_the_due_instant_if_the_answer_came_soon(takes_ms: int, stamp: int) -> None:
    """Within the alignment a reading bears its due instant, later the true one."""
    desk = Desk()

    run_line(make_line(), MINUTE - 1, desk, lambda meters: setattr(meters, "takes_ms", takes_ms))

    assert [at - START_MS for _, at, _ in desk.rows] == [stamp]


@pytest.mark.parametrize("reason", ["TIMEOUT", "GATEWAY"])
def test_dead_meter_is_asked_last_and_never_twice_in_a_row(reason: str) -> None:
    """Its second try comes after the others, its probes after them too, with growing pauses between.

    A gateway that reports it costs its own timeout each time, so that is no different.
    """
    desk = Desk()
    line = make_line(*(make_meter(unit, interval_s=10) for unit in (1, 2, 3)))

    meters = run_line(line, 120_000 - 1, desk, lambda meters: meters.manners.update({1: raises(reason)}))

    assert meters.units()[:7] == [1, 2, 3, 1, 2, 3, 1]
    assert all((a, b) != (1, 1) for a, b in pairwise(meters.units()))
    assert [at - START_MS for at, unit, _, _ in meters.asked if unit == 1] == [
        0,
        0,
        10_000,
        20_000,
        30_000,
        50_000,
        90_000,
    ]
    assert [name for name, _, _ in desk.rows].count("m2") == 12
    assert desk.lost() == {("m1-r0", reason): 12, ("m1-r1", reason): 12}
    assert desk.said() == [
        ("LINE_UP", "", "NONE"),
        ("METER_UP", "m2", "NONE"),
        ("METER_UP", "m3", "NONE"),
        ("METER_DOWN", "m1", reason),
    ]
    assert desk.missed[0].parameters == ({"meter": "m1"} if reason == "TIMEOUT" else {})


def test_gateway_that_reports_a_dead_meter_keeps_its_connection() -> None:
    """The report is an answer: the way to the other meters is well."""
    desk = Desk()
    line = make_line(make_meter(1), make_meter(2))

    meters = run_line(
        line, 3 * MINUTE - 1, desk, lambda meters: meters.manners.update({1: raises("GATEWAY", code=11)})
    )

    assert len(meters.connects) == 1
    assert [name for name, _, _ in desk.rows] == ["m2"] * 3
    assert desk.missed[0].parameters == {"code": "11"}


def test_single_silence_is_made_good_within_the_slot() -> None:
    """A meter that answers at its second try loses nothing and is not told."""
    desk, silences = Desk(), [LinkError("TIMEOUT", "")]

    def shy(address: int, count: int) -> list[int]:
        if silences:
            raise silences.pop()
        return answers(address, count)

    line = make_line(make_meter(1), make_meter(2))
    meters = run_line(line, MINUTE - 1, desk, lambda meters: meters.manners.update({1: shy}))

    assert meters.units() == [1, 2, 1]
    assert desk.missed == []
    assert ("METER_DOWN", "m1", "TIMEOUT") not in desk.said()
    assert len(desk.rows) == 2


def test_meter_that_comes_back_is_told_with_since_when_it_was_away() -> None:
    """METER_UP carries the instant from which it was down."""
    desk = Desk()

    async def script(meters: Meters, clock: VirtualClock) -> None:
        await clock.sleep_until(START_MS + 90_000)
        meters.manners[1] = raises("TIMEOUT")
        await clock.sleep_until(START_MS + 270_000)
        del meters.manners[1]

    run_line(make_line(make_meter(1), make_meter(2)), 6 * MINUTE - 1, desk, script=script)

    down, up = desk.events[-2:]
    assert [name for name, _, _ in desk.said()[-2:]] == ["METER_DOWN", "METER_UP"]
    assert (down.at_ms, up.at_ms, up.since_ms) == (START_MS + 120_000, START_MS + 300_000, down.at_ms)
    assert [(one.first_ms - START_MS) // MINUTE for one in desk.missed] == [2, 3, 4]


@pytest.mark.parametrize(
    ("reason", "parameters"),
    [("REFUSED", {"code": "6"}), ("CONFIG", {"code": "1"})],
)
def test_refusal_keeps_the_meter_up(reason: str, parameters: dict[str, str]) -> None:
    """A meter that refuses is alive: told once, its registers missing with the code."""
    desk = Desk()

    meters = run_line(
        make_line(),
        3 * MINUTE - 1,
        desk,
        lambda meters: meters.manners.update({1: raises(reason, **parameters)}),
    )

    assert len(meters.asked) == 3
    assert desk.said() == [("LINE_UP", "", "NONE"), ("METER_REFUSES", "m1", reason)]
    assert desk.lost() == {("m1-r0", reason): 3, ("m1-r1", reason): 3}
    assert desk.missed[0].parameters == parameters


def test_refused_block_is_read_register_by_register() -> None:
    """Reading over a hole is given up for good; the registers that exist are not lost for a moment."""
    desk = Desk()

    def with_hole(address: int, count: int) -> list[int]:
        if address <= 1 < address + count:
            raise LinkError("CONFIG", "hole", code=2)
        return answers(address, count)

    line = make_line(make_meter(1, registers=3, gap=1))
    meters = run_line(line, 2 * MINUTE - 1, desk, lambda meters: meters.manners.update({1: with_hole}))

    single = [(0, 1), (2, 1), (4, 1)]
    assert [(address, count) for _, _, address, count in meters.asked] == [(0, 5), *single, *single]
    assert [set(values) for _, _, values in desk.rows] == [{"m1-r0", "m1-r1", "m1-r2"}] * 2
    assert desk.missed == []
    assert ("METER_REFUSES", "m1", "CONFIG") not in desk.said()


def test_single_register_that_is_refused_leaves_the_others() -> None:
    """A row holds what there is, and what is not there is missing with its reason."""
    desk = Desk()

    def partly(address: int, count: int) -> list[int]:
        if address <= 2 < address + count:
            raise LinkError("CONFIG", "none", code=2)
        return answers(address, count)

    line = make_line(make_meter(1, registers=3, gap=1, max_gap=0))
    run_line(line, MINUTE - 1, desk, lambda meters: meters.manners.update({1: partly}))

    assert desk.rows[0][2] == {"m1-r0": 100, "m1-r2": 104}
    assert desk.lost() == {("m1-r1", "CONFIG"): 1}
    assert ("METER_REFUSES", "m1", "CONFIG") in desk.said()


def test_half_an_answer_is_kept() -> None:
    """A meter that falls silent in the middle is not dead; what it said counts."""
    desk = Desk()

    def half(address: int, count: int) -> list[int]:
        if address:
            raise LinkError("TIMEOUT", "")
        return answers(address, count)

    line = make_line(make_meter(1, registers=2, gap=1, max_gap=0))
    meters = run_line(line, MINUTE - 1, desk, lambda meters: meters.manners.update({1: half}))

    assert [address for _, _, address, _ in meters.asked] == [0, 2, 2]
    assert desk.rows[0][2] == {"m1-r0": 100}
    assert desk.lost() == {("m1-r1", "TIMEOUT"): 1}
    assert desk.said() == [("LINE_UP", "", "NONE"), ("METER_UP", "m1", "NONE")]


@pytest.mark.parametrize(("reason", "kind"), [("DAMAGED", "ANSWER_DAMAGED"), ("MISMATCH", "METER_FOREIGN")])
def test_unusable_answer_is_told_once(reason: str, kind: str) -> None:
    """Damage and mix-ups are told when they begin and end, and lose only what they touch."""
    desk = Desk()

    async def script(meters: Meters, clock: VirtualClock) -> None:
        await clock.sleep_until(START_MS + 3 * MINUTE - 1)
        del meters.manners[1]

    line = make_line(make_meter(1), make_meter(2))
    run_line(
        line,
        4 * MINUTE + 1,
        desk,
        lambda meters: meters.manners.update({1: raises(reason, got="x")}),
        script=script,
    )

    told = [said for said in desk.said() if said[1] == "m1"]
    assert told == [(kind, "m1", reason), ("METER_UP", "m1", "NONE")]
    assert desk.lost() == {("m1-r0", reason): 3, ("m1-r1", reason): 3}
    assert [name for name, _, _ in desk.rows].count("m2") == 5


def test_line_that_cannot_be_had_loses_all_its_meters_without_asking() -> None:
    """LINE_DOWN is told once, tried again with growing pauses, and told when it is over."""
    desk = Desk()

    async def script(meters: Meters, clock: VirtualClock) -> None:
        await clock.sleep_until(START_MS + 100_000)
        meters.refuses_connections = False

    line = make_line(make_meter(1), make_meter(2))
    meters = run_line(
        line,
        3 * MINUTE - 1,
        desk,
        lambda meters: setattr(meters, "refuses_connections", True),
        script=script,
        start_ms=START_MS,
    )

    assert [at - START_MS for at in meters.connects] == [0, 1000, 3000, 7000, 15000, 31000, 60000, 120000]
    assert desk.said()[:2] == [("LINE_DOWN", "", "LINE_DOWN"), ("LINE_UP", "", "NONE")]
    assert [at - START_MS for at, _, _, _ in meters.asked] == [120_000, 120_000]
    assert desk.lost() == {(f"m{unit}-r{n}", "LINE_DOWN"): 2 for unit in (1, 2) for n in (0, 1)}
    assert desk.missed[0].parameters == {"line": "line"}


def test_connection_lost_between_rounds_costs_nothing() -> None:
    """Many meters hang up when they are idle: one new connection, and the slot is read."""
    desk, lost = Desk(), []

    def idle(address: int, count: int) -> list[int]:
        lost.append(len(lost))
        if len(lost) == 2:
            raise LinkError("LINE_DOWN", "hung up")
        return answers(address, count)

    meters = run_line(make_line(), 3 * MINUTE - 1, desk, lambda meters: meters.manners.update({1: idle}))

    assert len(meters.connects) == 2
    assert len(desk.rows) == 3
    assert desk.missed == []


def test_meter_that_makes_the_line_break_leaves_the_others() -> None:
    """Who hangs up at every request is down himself; the rest of the line is read on."""
    desk = Desk()
    line = make_line(make_meter(1), make_meter(2), make_meter(3))

    meters = run_line(
        line, 2 * MINUTE - 1, desk, lambda meters: meters.manners.update({1: raises("LINE_DOWN")})
    )

    assert [name for name, _, _ in desk.rows] == ["m2", "m3"] * 2
    assert ("METER_DOWN", "m1", "LINE_DOWN") in desk.said()
    assert ("LINE_DOWN", "", "LINE_DOWN") not in desk.said()
    assert all((a, b) != (1, 1) for a, b in pairwise(meters.units()[1:]))


def test_half_open_connection_is_replaced() -> None:
    """If the first request of a round meets silence, the connection may be dead: the next gets a new one."""
    desk = Desk()

    async def script(meters: Meters, clock: VirtualClock) -> None:
        await clock.sleep_until(START_MS + 30_000)
        dead = len(meters.connects)

        def gone(address: int, count: int) -> list[int]:
            if len(meters.connects) == dead:
                raise LinkError("TIMEOUT", "")
            return answers(address, count)

        meters.manners |= {1: gone, 2: gone}

    line = make_line(make_meter(1), make_meter(2))
    meters = run_line(line, 2 * MINUTE - 1, desk, script=script)

    assert len(meters.connects) == 2
    assert desk.missed == []
    assert len(desk.rows) == 4


@pytest.mark.parametrize(
    ("kind", "reason", "is_opened_anew"),
    [
        ("serial", "TIMEOUT", False),
        ("serial", "DAMAGED", False),
        ("serial-tcp", "DAMAGED", False),
        ("serial-tcp", "TIMEOUT", True),
        ("modbus-tcp", "DAMAGED", True),
        ("modbus-tcp", "TIMEOUT", True),
    ],
)
def test_connection_is_opened_anew_where_that_can_help(kind: str, reason: str, is_opened_anew: bool) -> None:
    """A stream may be half open or out of step; a port is neither, and a line finds its frames again."""
    line = make_line(make_meter(1), make_meter(2), kind=kind)

    meters = run_line(
        line, 2 * MINUTE - 1, Desk(), lambda meters: meters.manners.update({1: raises(reason, got="x")})
    )

    assert (len(meters.connects) > 1) is is_opened_anew


def test_slot_that_another_overtook_is_an_overrun() -> None:
    """A line that is too slow loses whole slots, told as such, and never more than it must."""
    desk = Desk()
    line = make_line(make_meter(1, interval_s=10))

    run_line(line, 120_000 - 1, desk, lambda meters: setattr(meters, "takes_ms", 25_000))

    assert {reason for _, reason in desk.lost()} == {"OVERRUN"}
    assert len(desk.rows) + desk.lost()["m1-r0", "OVERRUN"] in (9, 10, 11)
    assert len(desk.rows) == 4


def test_pause_lies_between_two_requests() -> None:
    """A line may ask for quiet between requests."""
    desk = Desk()

    meters = run_line(make_line(make_meter(1), make_meter(2), pause_ms=300), MINUTE - 1, desk)

    assert [at - START_MS for at, _, _, _ in meters.asked] == [0, 300]


def test_register_without_a_value_is_missing_alone() -> None:
    """A register that says "nothing here" is missing with NO_DATA and touches no other."""
    desk = Desk()
    meter = make_meter(1)
    (first, point), second = meter.items
    line = make_line(replace(meter, items=((replace(first, invalid=(100,)), point), second)))

    run_line(line, MINUTE - 1, desk)

    assert desk.rows[0][2] == {"m1-r1": 101}
    assert desk.lost() == {("m1-r0", "NO_DATA"): 1}


def test_restart_tells_the_slots_it_slept_through() -> None:
    """After a break each meter has one range of COLLECTOR_DOWN between its last slot and its next."""
    desk = Desk()
    line = make_line(make_meter(1), make_meter(2, interval_s=120))
    run_line(line, 2 * MINUTE + 1, desk)
    before = list(desk.events)

    run_line(line, 4 * MINUTE, desk, start_ms=START_MS + 6 * MINUTE + 30_000)

    assert [(one.first_ms - START_MS, one.last_ms - START_MS, one.count) for one in desk.missed] == [
        (3 * MINUTE, 6 * MINUTE, 4),
        (4 * MINUTE, 6 * MINUTE, 2),
    ]
    assert {one.reason for one in desk.missed} == {Reason.COLLECTOR_DOWN}
    assert desk.events == before  # nothing changed: nothing is told again
    slots = [at for name, at, _ in desk.rows if name == "m1"]
    assert slots == [START_MS + n * MINUTE for n in (0, 1, 2, 7, 8, 9, 10)]


def test_restart_within_the_interval_loses_nothing() -> None:
    """A quick restart neither repeats a slot nor leaves one out."""
    desk = Desk()
    run_line(make_line(), MINUTE + 1, desk)

    run_line(make_line(), 2 * MINUTE + 1, desk, start_ms=START_MS + MINUTE)

    assert [at - START_MS for _, at, _ in desk.rows] == [0, MINUTE, 2 * MINUTE, 3 * MINUTE]
    assert desk.missed == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(["ok", "TIMEOUT", "LINE_DOWN", "DAMAGED", "GATEWAY", "REFUSED"]),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 9000),
)
def test_every_slot_is_a_value_or_missing(fates: list[str], takes_ms: int) -> None:
    """Whatever the meters do, due = received + missing, for every point."""
    desk, turn = Desk(), iter(range(10**6))

    def fate(address: int, count: int) -> list[int]:
        now = fates[next(turn) % len(fates)]
        return answers(address, count) if now == "ok" else raises(now, code=4)(address, count)

    manners: dict[int, Manners] = {1: fate, 2: fate}

    def prepare(meters: Meters) -> None:
        meters.manners, meters.takes_ms = manners, takes_ms

    line = make_line(make_meter(1, interval_s=10), make_meter(2, interval_s=30, gap=1))
    run_line(line, 10 * MINUTE - 1, desk, prepare)

    for meter, interval_ms in (("m1", 10_000), ("m2", 30_000)):
        for n in (0, 1):
            point = f"{meter}-r{n}"
            got = sum(point in values for _, _, values in desk.rows)
            lost = sum(count for (name, _), count in desk.lost().items() if name == point)
            done = desk.states[f"slot/line/{meter}"][1]
            assert got + lost == (done - START_MS) // interval_ms + 1
