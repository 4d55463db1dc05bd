"""A centre asks: it gets exactly one answer, whoever dies, and only of what is its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import ENTERPRISE, make_point
from meters import START_MS, make_config, make_line, make_meter, raises
from uplink.centres_rig import Centres, play
from uplink.rig import Weather

from acquisition.drivers.config import CollectorConfig
from acquisition.drivers.plans import CentrePlan
from nengliu.bus.sqlite import SqliteLog
from nengliu.domain.links import LinkKind
from nengliu.domain.points import Enterprise, Kind
from nengliu.domain.quality import Origin, Reason
from schemas.messages import Frame, LinkEvent, LinkNotice
from schemas.orders import CommandNotice, ConfigNotice
from schemas.topics import COMMANDS
from tests.analysis.intake_mix import shard, table

ASKS = CentrePlan("asks", commands=True)


def config_of(*centres: CentrePlan) -> CollectorConfig:
    line = make_line(make_meter(1, 900), make_meter(2, 900))
    other = make_line(make_meter(1, 900, name="m1", schema=9, items=_other()), name="other")
    return make_config(line, other, centres=centres or (ASKS,))


def _other() -> object:
    return tuple((item, f"x-{item.name}") for item, _ in make_meter(1).items)


def asked(request: str, *points: str, seconds: int = 60, **given: object) -> CommandNotice:
    """Ask at the second minute of the story."""
    now_s = START_MS // 1000 + 120
    fixed = {"by": "li", "at_s": now_s, "points": points}
    return CommandNotice(ENTERPRISE, "c1", request, now_s + seconds, **(fixed | given))  # type: ignore[arg-type]


def answers(rig: Centres, centre: str = "asks") -> list[LinkEvent]:
    return rig.events(centre, LinkKind.COMMAND_ANSWERED)


def commanded(rig: Centres, centre: str = "asks") -> list[Frame]:
    return [frame for frame in rig.frames(centre) if frame.origin is Origin.COMMAND]


def run(
    home: Path, *orders: CommandNotice, config: CollectorConfig | None = None, minutes: float = 5
) -> Centres:
    async def story(rig: Centres) -> None:
        await rig.go(2)
        for order in orders:
            rig.order(rig.config.centres[0].name, order)
        await rig.go(minutes)

    return play(home, config or config_of(), story)


def test_command_is_answered_with_values_between_slots(tmp_path: Path) -> None:
    """What is asked for is read now, not at the next slot; the answer names the request and who asked."""
    rig = run(tmp_path, asked("r1", "m2-r1"))

    (answer,) = answers(rig)
    wanted = {"request": "r1", "outcome": "ok", "centre": "asks", "by": "li", "asked": "1", "came": "1"}
    assert answer.parameters == wanted | {"values": "m2-r1=10.1 kW"}
    assert (answer.line, answer.meter, answer.reason) == ("line", "m2", Reason.NONE)
    assert 0 <= answer.at_ms - (START_MS + 120_000) <= 5_000
    (frame,) = commanded(rig)
    assert frame.values[0, 1] == 101
    assert frame.values[0, 0] == -(2**63)
    assert START_MS + 120_000 <= frame.read_at_ms[0] <= START_MS + 125_000


def test_command_answer_and_its_values_are_one_transaction(tmp_path: Path) -> None:
    """The frame has the sequence before its answer, and nothing lies between them."""
    rig = run(tmp_path, asked("r1", "m2-r1"))

    (frame,) = commanded(rig)
    notices = [one for one in rig.messages("asks") if isinstance(one, LinkNotice)]
    (notice,) = [one for one in notices if any(e.kind == LinkKind.COMMAND_ANSWERED for e in one.events)]
    assert notice.sequence == frame.sequence + 1


def test_command_for_a_meter_reads_all_of_it(tmp_path: Path) -> None:
    """A meter is named by line and name where its name alone is not enough."""
    rig = run(
        tmp_path,
        asked("r1", meter="m2"),
        asked("r2", meter="other/m1"),
        asked("r3", meter="m1"),
        asked("r4", meter="m7"),
    )

    outcomes = {one.parameters["request"]: one.parameters["outcome"] for one in answers(rig)}
    assert outcomes == {"r1": "ok", "r2": "ok", "r3": "refused", "r4": "refused"}
    assert sorted(frame.schema for frame in commanded(rig)) == [2, 9]


def test_command_of_several_meters_is_one_answer(tmp_path: Path) -> None:
    """Points of two lines are asked for at once, and answered together."""
    rig = run(tmp_path, asked("r1", "m1-r0", "x-r1", "m2-r0", "m1-r0"))

    (answer,) = answers(rig)
    assert (answer.parameters["asked"], answer.parameters["came"]) == ("3", "3")
    assert (answer.line, answer.meter) == ("", "")
    assert len(commanded(rig)) == 3


@pytest.mark.parametrize(("reason", "outcome"), [("TIMEOUT", "timeout"), ("REFUSED", "refused")])
def test_command_that_gets_no_value_says_why(tmp_path: Path, reason: str, outcome: str) -> None:
    """A meter that is silent and one that refuses are told apart, and neither leaves the centre waiting."""

    async def story(rig: Centres) -> None:
        await rig.go(2)
        rig.meters["line"].manners[2] = raises(reason, code=6)
        rig.order("asks", asked("r1", "m2-r1"))
        await rig.go(5)

    rig = play(tmp_path, config_of(), story)

    (answer,) = answers(rig)
    assert (answer.parameters["outcome"], answer.parameters["came"]) == (outcome, "0")
    assert answer.reason == Reason[reason]
    assert commanded(rig) == []


def test_command_that_comes_in_parts_says_what_is_missing(tmp_path: Path) -> None:
    """Of two meters one is silent: the value of the other is there, and the outcome says that not all came."""

    async def story(rig: Centres) -> None:
        await rig.go(2)
        rig.meters["line"].manners[2] = raises("TIMEOUT")
        rig.order("asks", asked("r1", "m1-r0", "m2-r0"))
        await rig.go(5)

    rig = play(tmp_path, config_of(), story)

    (answer,) = answers(rig)
    assert (answer.parameters["outcome"], answer.parameters["came"], answer.parameters["asked"]) == (
        "timeout",
        "1",
        "2",
    )
    assert [frame.schema for frame in commanded(rig)] == [1]


def test_command_is_answered_once_for_each_name(tmp_path: Path) -> None:
    """A request that is repeated, at once or after a restart, gets the one answer it had."""

    async def story(rig: Centres) -> None:
        await rig.go(2)
        rig.order("asks", asked("r1", "m2-r1"))
        rig.order("asks", asked("r1", "m2-r1"))
        await rig.go(1)
        await rig.die()
        rig.start()
        rig.order("asks", asked("r1", "m2-r1", seconds=600))
        rig.order("asks", asked("r2", "m2-r1", seconds=600))
        await rig.go(2)

    rig = play(tmp_path, config_of(), story)

    assert [one.parameters["request"] for one in answers(rig)] == ["r1", "r2"]


def test_command_whose_collector_dies_is_answered_by_the_next(tmp_path: Path) -> None:
    """Killed while the meter is asked: the next process asks again, and says so once."""

    async def story(rig: Centres) -> None:
        await rig.go(2)
        rig.meters["line"].takes_ms = 20_000
        rig.order("asks", asked("r1", "m2-r1", seconds=300))
        await rig.go(0.2)
        await rig.die()
        assert answers(rig) == []
        rig.meters["line"].takes_ms = 0
        rig.start()
        await rig.go(1)

    rig = play(tmp_path, config_of(), story)

    (answer,) = answers(rig)
    assert answer.parameters["outcome"] == "ok"


def test_command_that_comes_too_late_is_a_timeout(tmp_path: Path) -> None:
    """The collector was away until it was over: the centre is told, and no meter is asked."""

    async def story(rig: Centres) -> None:
        await rig.go(2)
        await rig.stop()
        rig.order("asks", asked("r1", "m2-r1"))
        await rig.clock.sleep_until(START_MS + 600_000)
        rig.start()
        await rig.go(1)

    rig = play(tmp_path, config_of(), story)

    (answer,) = answers(rig)
    assert (answer.parameters["outcome"], answer.reason) == ("timeout", Reason.COLLECTOR_DOWN)
    assert commanded(rig) == []


def test_command_of_a_life_before_is_passed_over_by_a_new_collector(tmp_path: Path) -> None:
    """A collector that never heard this centre does not answer what was over long ago, but what is not."""

    async def story(rig: Centres) -> None:
        await rig.stop()
        rig.order("asks", asked("r1", "m2-r1", seconds=-100))
        rig.order("asks", asked("r2", "m2-r1", seconds=600))
        rig.start()
        await rig.go(3)

    rig = play(tmp_path, config_of(CentrePlan("asks")), lambda rig: _started(rig, story))

    assert [one.parameters["request"] for one in answers(rig)] == ["r2"]


async def _started(rig: Centres, story: object) -> None:
    await rig.go(1)
    rig.config = config_of()
    await story(rig)  # type: ignore[operator]


def test_command_for_points_of_another_centre_is_refused(tmp_path: Path) -> None:
    """A centre reads its own points; the others get the readings that are theirs, and no word of the answer."""
    some = CentrePlan("some", points=("m1-r0",), commands=True)
    config = config_of(some, CentrePlan("other", points=("m1-r0", "m1-r1")))
    rig = run(
        tmp_path, asked("r1", "m1-r0"), asked("r2", "m1-r1"), asked("r3", meter="line/m1"), config=config
    )

    found = {one.parameters["request"]: one.parameters for one in answers(rig, "some")}
    assert {name: one["outcome"] for name, one in found.items()} == {"r1": "ok", "r2": "refused", "r3": "ok"}
    assert found["r3"]["asked"] == "1"
    assert answers(rig, "other") == []
    assert len(commanded(rig, "other")) == 2


def test_command_of_a_centre_that_may_only_configure_is_refused(tmp_path: Path) -> None:
    """Whoever may not ask is told so."""
    rig = run(tmp_path, asked("r1", "m1-r0"), config=config_of(CentrePlan("asks", configure=True)))

    (answer,) = answers(rig)
    assert (answer.parameters["outcome"], answer.parameters["error"]) == (
        "refused",
        "the centre may not ask for readings",
    )


def test_order_for_somebody_else_is_passed_over(tmp_path: Path) -> None:
    """Another collector, and bytes that are no order, hold up nobody."""

    async def story(rig: Centres) -> None:
        await rig.go(2)
        rig.order("asks", replace_source(asked("r1", "m1-r0"), "c2"))
        with SqliteLog(rig.path("asks"), synchronous="OFF") as log:
            log.append(COMMANDS, [(ENTERPRISE, b"NL garbage of any kind"), ("other", b"")])
        rig.order("asks", asked("r2", "m1-r0"))
        await rig.go(2)

    rig = play(tmp_path, config_of(), story)

    assert [one.parameters["request"] for one in answers(rig)] == ["r2"]


def replace_source(order: CommandNotice, source: str) -> CommandNotice:
    return CommandNotice(ENTERPRISE, source, order.request, order.deadline_s, points=order.points)


def test_orders_of_a_log_laid_anew_are_taken(tmp_path: Path) -> None:
    """A centre that lost its log begins at offset 0 of a new generation; its orders are heard all the same."""

    async def story(rig: Centres) -> None:
        await rig.go(2)
        for n in range(5):
            rig.order("asks", asked(f"a{n}", "m1-r0"))
        await rig.go(1)
        with SqliteLog(rig.path("asks"), synchronous="OFF") as log:
            log.renew(COMMANDS)
        rig.order("asks", asked("b0", "m1-r0", seconds=300))
        await rig.go(1)

    rig = play(tmp_path, config_of(), story)

    assert [one.parameters["request"] for one in answers(rig)][-1] == "b0"
    assert len(answers(rig)) == 6


def test_centre_that_is_away_is_asked_less_and_less(tmp_path: Path) -> None:
    """A log that cannot be reached is opened at most once a minute for its orders, and heard again when it is back."""

    async def story(rig: Centres) -> None:
        await rig.go(2)
        weather = rig.weather["asks"] = Weather()
        await rig.die()
        weather.down = True
        rig.start()
        await rig.go(60)
        assert weather.opened < 150  # uplink and orders
        weather.down = False
        rig.order("asks", asked("r1", "m1-r0", seconds=7200))
        await rig.go(3)

    rig = play(tmp_path, config_of(), story)

    assert [one.parameters["request"] for one in answers(rig)] == ["r1"]


def test_config_without_a_file_is_passed_over(tmp_path: Path) -> None:
    """A collector that was not started from a file has nothing to go back to, and takes none."""

    async def story(rig: Centres) -> None:
        await rig.go(2)
        rig.order("asks", ConfigNotice(ENTERPRISE, "c1", "v1", "name = 1"))  # type: ignore[arg-type]
        rig.order("asks", asked("r1", "m1-r0"))
        await rig.go(2)

    rig = play(tmp_path, config_of(), story)

    assert [one.parameters["request"] for one in answers(rig)] == ["r1"]


def test_ingest_of_each_centre_takes_all_that_it_gets(tmp_path: Path) -> None:
    """Whole or laid down to some points: nothing is held back, and the answer stands among the link events."""
    points = tuple(
        make_point(point, Kind.GAUGE, unit="kW", item="active_power", decimals=1)
        for point in ("m1-r0", "m1-r1", "m2-r0", "m2-r1")
    )
    some = CentrePlan("some", points=("m1-r0", "m2-r0", "m2-r1"), commands=True)
    line = make_line(make_meter(1, 60), make_meter(2, 60))
    config = make_config(
        line, centres=(some, CentrePlan("all")), points=points, enterprise=Enterprise(ENTERPRISE, "示例厂")
    )
    rig = run(tmp_path, asked("r1", "m1-r0"), config=config)

    for centre, wanted in (("some", {"m1-r0", "m2-r0", "m2-r1"}), ("all", {point.point for point in points})):
        outcome = shard().add(rig.records(centre))
        assert table(outcome, "quarantine") == []
        readings = table(outcome, "reading")
        assert {row["point"] for row in readings} == wanted
        commanded_rows = [row for row in readings if row["origin"] == Origin.COMMAND]
        assert [(row["point"], row["ticks"]) for row in commanded_rows] == [("m1-r0", 100)]
        told = [row for row in table(outcome, "link_event") if row["kind"] == LinkKind.COMMAND_ANSWERED]
        assert len(told) == 1  # whoever gets everything sees it, too
        assert '"request": "r1"' in told[0]["parameters"]
