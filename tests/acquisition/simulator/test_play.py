"""Forty faults over two hours in virtual time, against the collector's own lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from play import START_MS, play

from acquisition.simulator.scene_file import SceneFile, load_scene, shrunk

HOUR_MS = 3_600_000


def without(told: SceneFile, *names: str) -> SceneFile:
    """Leave out lines, and what only a centre would see."""
    lines = [line for line in told.lines if line.name not in names]
    faults = [one for one in told.faults if one.line not in names and one.cls != "uplink"]
    return replace(told, lines=lines, faults=faults)


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The truth log of two runs of the serial lines, which take no real time."""
    told = without(load_scene("forty"), "lan")
    one, other = (play(told, tmp_path_factory.mktemp("play")) for _ in range(2))
    return one.log.getvalue(), other.log.getvalue()


def test_same_seed_gives_the_same_two_hours(serial: tuple[str, str]) -> None:
    """Every request, answer and instant repeats."""
    one, other = serial

    assert one == other
    assert len(one) > 10**6


def test_truth_log_tells_each_answer_once_and_whole(serial: tuple[str, str]) -> None:
    """Meters, points and faults first, answers in order; what went out spoilt says so."""
    rows = [json.loads(line) for line in serial[0].splitlines()]
    kinds = [row["is"] for row in rows]
    answers = [row for row in rows if row["is"] == "answer"]

    assert kinds[0] == "scene"
    assert set(kinds[: kinds.index("answer")]) == {"scene", "meter", "point", "fault"}
    assert len({(row["line"], row["meter"], row["asked_ms"]) for row in answers}) == len(answers)
    for row in answers:
        assert row["whole"] or row["faults"]
        assert bool(row["sent"]) == bool(row["sent_ms"])
        if "silent" in row["faults"]:
            assert not row["sent"]


@pytest.mark.parametrize(("factor", "start_ms"), [(1, START_MS), (8, START_MS + HOUR_MS - 395_000)])
def test_what_arrives_is_the_truth_and_every_fault_is_seen(
    tmp_path: Path, factor: int, start_ms: int
) -> None:
    """No value that was not shown, no sum that was not used, nothing twice, a sign of every fault."""
    told = without(load_scene("forty"), "lan")

    found = play(shrunk(told, factor) if factor > 1 else told, tmp_path, start_ms=start_ms).judged()

    assert found.unseen == []
    assert found.never_shown == []
    assert found.sums == []
    assert found.twice == []
    assert found.unexplained == []
    assert found.checked[0] == 32
    assert found.checked[1] > 3000
