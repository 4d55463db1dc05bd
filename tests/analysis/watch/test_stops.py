"""What stands: a plant that stops is no fault, however it stops; a meter, a line or a gateway that freezes is one."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from factories import AT_MS, make_meter, make_point
from watch.scene import QUARTER_S, Scene, wiring

from nengliu.analysis.watch.shard import WatchShard
from nengliu.domain.causes import Cause
from schemas.messages import PointNotice

LINES, PER_LINE = 4, 5
NAMES = [f"m{i:02d}" for i in range(LINES * PER_LINE)]
FROM, TO, END = 40, 72, 110
Stands = Callable[[int, int], bool]


def hall() -> Scene:
    """Twenty counters on four lines of one collector."""
    points = [PointNotice(make_point(n, rated=4_000_000, meters=(make_meter(modulus=10**9),))) for n in NAMES]
    lines = {f"l{k}": {n: (n,) for n in NAMES[k * PER_LINE : (k + 1) * PER_LINE]} for k in range(LINES)}
    return Scene([*points, wiring(lines)])


def told(stands: Stands, caught_up: bool = False, end: int = END, again_at: int = -1, per: int = 1) -> Scene:
    """Let the hall run; `stands(meter, at)` says which register shows no use, or gives it in one step afterwards.

    At `again_at` the watch starts again from its snapshot; a message holds `per` quarters.
    """
    scene, rows = hall(), list[dict[str, Any]]()
    shown, used = [10_000] * len(NAMES), [0] * len(NAMES)
    for at in range(end):
        if at == again_at:
            assert not scene.rows
            state = pickle.loads(pickle.dumps(scene.shard.snapshot()))
            scene.shard = WatchShard(scene.shard.catalogue, state=state)
        for m in range(len(NAMES)):
            used[m] += 100 + m
            if not stands(m, at):
                shown[m] += used[m] if caught_up else 100 + m
                used[m] = 0
        rows += [{"point": n, "at": at, "ticks": shown[m]} for m, n in enumerate(NAMES)]
        if len(rows) >= per * len(NAMES):
            scene.send(*rows)
            rows = []
    return scene


def of(meters: int | range, first: int = FROM, end: int = TO) -> Stands:
    """These meters stand in these quarters."""
    some = range(meters, meters + 1) if isinstance(meters, int) else meters
    return lambda m, at: m in some and first <= at < end


def in_stages(stop_every: int, start_every: int) -> Stands:
    """One meter after another stops, and starts again."""
    return lambda m, at: FROM + m * stop_every // 2 <= at < TO + m * start_every // 2


STUCK, CACHED = Cause.STUCK, Cause.CACHED_VALUE
CASES: dict[str, tuple[Stands, list[tuple[Cause, str, int]]]] = {
    "one freezes": (of(7), [(STUCK, "meter", 1)]),
    "two freeze": (lambda m, at: m in (7, 12) and FROM <= at < TO, [(STUCK, "meter", 1)] * 2),
    "a line freezes": (of(range(5, 10)), [(STUCK, "line", 5)]),
    "the plant stops": (of(range(20)), []),
    "it stops but for one": (of(range(1, 20)), []),
    "it stops but for four": (of(range(4, 20)), []),
    "it stops in stages over five hours": (in_stages(2, 1), []),
    "it starts in stages over ten hours": (in_stages(1, 4), []),
}


@pytest.mark.parametrize(("stands", "expected"), CASES.values(), ids=CASES)
def test_what_stands_is_judged_by_its_neighbours(
    stands: Stands, expected: list[tuple[Cause, str, int]]
) -> None:
    """A meter among running ones is a fault, a line is one fault, and a plant that stops is none."""
    scene = told(stands)
    assert [(cause, root, len(members)) for cause, root, members in scene.causes] == expected


@pytest.mark.parametrize(
    ("meters", "root", "n"),
    [(of(7), ["meter"], 1), (of(range(5, 10)), ["line"], 5), (of(range(20)), ["collector"], 20)],
    ids=["meter", "line", "gateway"],
)
def test_old_values_of_one_way_are_one_incident(meters: Stands, root: list[str], n: int) -> None:
    """A gateway that shows its last frame and catches up is one fault of the way, where all of it hangs."""
    scene = told(meters, caught_up=True)
    assert [(cause, root) for cause, root, _ in scene.causes] == [(CACHED, where) for where in root]
    assert len(scene.only["members"]) == n


def test_two_old_values_are_two() -> None:
    """Two meters are no line."""
    scene = told(lambda m, at: m in (7, 12) and FROM <= at < TO, caught_up=True)
    assert [(cause, root) for cause, root, _ in scene.causes] == [(CACHED, "meter")] * 2


def test_a_stuck_register_is_known_within_two_hours() -> None:
    """Two intervals to be noticed, and three and a half in which nobody follows."""
    scene = told(of(7))
    assert scene.only["opened_at"] == AT_MS + (FROM - 1) * QUARTER_S * 1000
    assert scene.only["raised_at"] * 1000 - scene.only["opened_at"] <= 2 * 3_600_000


def test_a_stand_that_waits_goes_on_over_a_snapshot() -> None:
    """What was noticed before a restart is raised after it, as without one."""
    assert told(of(7), again_at=FROM + 3).rows == told(of(7)).rows


def test_hours_at_which_a_machine_rests_every_week_are_no_fault() -> None:
    """One machine rests from six to fourteen each day and its neighbours do not: after a week nobody is told."""
    scene = told(lambda m, at: m == 3 and 24 <= at % 96 < 56, end=3 * 7 * 96, per=96)
    week = AT_MS + 7 * 86_400_000
    assert [row["opened_at"] for row in scene.rows.values() if row["opened_at"] > week] == []


def test_a_machine_with_habits_can_still_be_stuck() -> None:
    """The same machine stands through a day in which it is due."""
    rests: Stands = lambda m, at: m == 3 and 24 <= at % 96 < 56  # noqa: E731 - a table of one row
    scene = told(lambda m, at: rests(m, at) or (m == 3 and 15 * 96 <= at < 17 * 96), end=18 * 96, per=96)
    week = AT_MS + 7 * 86_400_000
    assert [row["cause"] for row in scene.rows.values() if row["opened_at"] > week] == [Cause.STUCK]
