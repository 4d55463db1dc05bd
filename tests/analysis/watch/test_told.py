"""What is refused at the door, and what a collector tells of its links: one cause is one incident, where it lies."""

from __future__ import annotations

import dataclasses

import pytest
from factories import AT_MS, make_meter, make_point
from watch.scene import QUARTER_S, Scene

from nengliu.domain.causes import Cause
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Reason
from schemas.block import Verdict
from schemas.messages import PointNotice


@pytest.mark.parametrize(
    ("point", "reason", "cause", "root"),
    [
        ("nobody", Reason.UNKNOWN_POINT, Cause.UNKNOWN_POINT, "enterprise"),
        ("", Reason.WRONG_ENTERPRISE, Cause.ACCESS, "enterprise"),
        ("", Reason.CORRUPT, Cause.DAMAGED, "enterprise"),
        ("a", Reason.WRONG_UNIT, Cause.UNIT, "meter"),
        ("a", Reason.NEGATIVE_REGISTER, Cause.OVER_RANGE, "meter"),
    ],
)
def test_refusals_speak_of_what_they_name(point: str, reason: Reason, cause: Cause, root: str) -> None:
    """Of a point, or of the enterprise where none is known."""
    scene = Scene()
    scene.send({"point": point, "at": 0, "reason": reason, "verdict": Verdict.REFUSED})
    assert scene.causes == [(cause, root, (point,) if point else ())]


DOWN, UP, DAMAGED = LinkKind.METER_DOWN, LinkKind.METER_UP, LinkKind.ANSWER_DAMAGED
A, B = {"line": "l1", "meter": "a"}, {"line": "l1", "meter": "b"}
TOLD: dict[str, tuple[list[tuple[float, LinkKind, dict[str, str]]], list[tuple[Cause, str, str]]]] = {
    "a meter is down for good": ([(4, DOWN, A)], [(Cause.METER_SILENT, "meter", "active_unack")]),
    "it is up again": ([(4, DOWN, A), (5, UP, A)], [(Cause.METER_SILENT, "meter", "cleared_unack")]),
    "it was down for a moment": (
        [(4, DOWN, A), (4.1, UP, A)],
        [(Cause.METER_SILENT, "meter", "cleared_unack")],
    ),
    "it comes and goes": (
        [(4 + i / 15, DOWN if i % 2 == 0 else UP, A) for i in range(20)],
        [(Cause.METER_SILENT, "meter", "cleared_unack")],
    ),
    "meters first, then their line": (
        [(4, DOWN, A), (4.1, LinkKind.LINE_DOWN, {"line": "l1"}), (4.2, DOWN, B)],
        [(Cause.LINE_DOWN, "line", "active_unack")],
    ),
    "a line told meter by meter": (
        [(4, DOWN, A), (4.1, DOWN, B)],
        [(Cause.LINE_DOWN, "line", "active_unack")],
    ),
    "and up again meter by meter": (
        [(4, DOWN, A), (4.1, DOWN, B), (8, UP, A), (8.1, UP, B)],
        [(Cause.LINE_DOWN, "line", "cleared_unack")],
    ),
    "up again but for one": (
        [(4, DOWN, A), (4.1, DOWN, B), (8, UP, A)],
        [(Cause.LINE_DOWN, "line", "cleared_unack"), (Cause.METER_SILENT, "meter", "active_unack")],
    ),
    "answers of one meter are damaged": ([(4, DAMAGED, A)], [(Cause.DAMAGED, "meter", "active_unack")]),
    "a line that damages": (
        [(4, DAMAGED, A), (4.1, DAMAGED, B)],
        [(Cause.DAMAGED, "line", "active_unack")],
    ),
    "a line that damages for a moment": (
        [(4, DAMAGED, A), (4.02, DAMAGED, B), (4.04, UP, A), (4.06, UP, B)],
        [(Cause.DAMAGED, "line", "cleared_unack")],
    ),
    "one is down and then damaged": (
        [(4, DOWN, A), (4.05, DAMAGED, A)],
        [(Cause.DAMAGED, "meter", "active_unack")],
    ),
    "one is down, another damaged": (
        [(4, DOWN, A), (4.05, DAMAGED, B)],
        [(Cause.METER_SILENT, "meter", "active_unack"), (Cause.DAMAGED, "meter", "active_unack")],
    ),
    "a line is up again": (
        [(4, LinkKind.LINE_DOWN, {"line": "l1"}), (5, LinkKind.LINE_UP, {"line": "l1"})],
        [(Cause.LINE_DOWN, "line", "cleared_unack")],
    ),
    "a collector stops and starts": (
        [(4, LinkKind.COLLECTOR_STOPPED, {}), (5, LinkKind.COLLECTOR_STARTED, {})],
        [(Cause.COLLECTOR_SILENT, "collector", "cleared_unack")],
    ),
    "a collector that starts anew says anew what is down": (
        [(4, DOWN, A), (6, LinkKind.COLLECTOR_STARTED, {})],
        [(Cause.METER_SILENT, "meter", "cleared_unack")],
    ),
}


@pytest.mark.parametrize(("events", "expected"), TOLD.values(), ids=TOLD)
def test_links_begin_and_end_incidents(
    events: list[tuple[float, LinkKind, dict[str, str]]], expected: list[tuple[Cause, str, str]]
) -> None:
    """What a collector tells of its links is one incident for one cause."""
    scene = Scene()
    for quarter in range(10):
        scene.run(quarter, quarter + 1)
        for at, kind, names in events:
            if quarter <= at < quarter + 1:
                scene.link(at + 0.01, kind, **names)
    found = sorted(scene.rows.values(), key=lambda row: (row["opened_at"], row["incident"]))
    assert [(row["cause"], row["root"], row["state"]) for row in found] == expected


def test_a_meter_that_refuses_is_not_silent_as_well() -> None:
    """The readings that stay away belong to the refusal."""
    scene = Scene()
    scene.run(0, 10)
    scene.link(10, LinkKind.METER_REFUSES, line="l1", meter="a", reason=Reason.REFUSED)
    scene.run(10, 20, without="a")
    assert scene.causes == [(Cause.REFUSES, "meter", ("a",))]


def test_the_silence_of_a_point_that_is_retired_ends() -> None:
    """Somebody declares afterwards that it was taken out."""
    scene = Scene()
    scene.run(0, 10)
    scene.run(10, 20, without="b")
    assert scene.only["state"] == "active_unack"
    ended = make_point("b", rated=40_000, meters=(make_meter(modulus=10**8),))
    scene.take(PointNotice(dataclasses.replace(ended, valid_to_ms=AT_MS + 10 * QUARTER_S * 1000)))
    assert scene.only["state"] == "cleared_unack"


def test_a_meter_that_refuses_is_a_matter_of_its_set_up() -> None:
    """REFUSES belongs to the configuration."""
    scene = Scene()
    scene.link(1, LinkKind.METER_REFUSES, line="l1", meter="a", reason=Reason.REFUSED)
    assert scene.only["class"] == "configuration"
    scene.link(2, LinkKind.METER_UP, line="l1", meter="a")
    assert scene.only["state"] == "cleared_unack"
