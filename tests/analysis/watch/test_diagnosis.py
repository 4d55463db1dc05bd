"""The table of diagnosis: every row of it, and that nothing stands outside."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from factories import ENTERPRISE, make_point
from watch.scene import Scene

from nengliu.analysis.watch.diagnosis import TABLE, cause_after, mermaid, track_of
from nengliu.analysis.watch.incident import Moment
from nengliu.analysis.watch.lives import AFTERWARDS, Sighting
from nengliu.domain.causes import Cause, CauseClass, Evidence, class_of
from schemas.messages import PointNotice

OPENERS = {cause: evidence for evidence, cause in TABLE[None].items()}
ROWS = [(state, evidence, cause) for state, row in TABLE.items() for evidence, cause in row.items()]


@pytest.mark.parametrize(("state", "evidence", "cause"), ROWS, ids=str)
def test_every_row_decides_an_incident(state: Cause | None, evidence: Evidence, cause: Cause) -> None:
    """Evidence that opens gives the cause; evidence in a state changes it, and the journal says so."""
    scene = Scene([PointNotice(make_point("a"))])
    incidents, root = scene.shard.incidents, scene.shard.tree.leaf(0)
    told = [evidence] if state is None else [OPENERS[state], evidence]
    for position, one in enumerate(told, 10):
        moment = Moment(position, 1000)
        incidents.see(root, CauseClass.LINK, [Sighting(one, 0, 5, 5, 5, moment, 1, {})], moment)
    scene.keep(incidents.rows())

    assert scene.only["cause"] == cause
    assert scene.only["class"] == class_of(cause)
    changed = [row for row in scene.journal if row["what"] == "reclassified"]
    assert [row["cause"] for row in changed] == ([] if state is None or state is cause else [cause])
    assert scene.only["enterprise"] == ENTERPRISE


def test_every_cause_can_be_reached() -> None:
    """No cause is a word only."""
    assert {cause for _, _, cause in ROWS} == set(Cause)


def test_all_evidence_opens_or_joins() -> None:
    """Evidence that opens nothing alone is of what comes after a silence."""
    assert {evidence for evidence in Evidence if evidence not in TABLE[None]} <= AFTERWARDS


def test_unlisted_evidence_changes_nothing() -> None:
    """A jump does not hide that a register stood."""
    assert cause_after(Cause.STUCK, Evidence.MARKED_BAD) is Cause.STUCK
    assert cause_after(None, Evidence.BACKFILLED) is None


def test_a_class_is_that_of_the_first_cause() -> None:
    """Evidence belongs to the class of what it opens; what only joins belongs to the link."""
    assert track_of(Evidence.STOOD_STILL) is CauseClass.METER
    assert track_of(Evidence.BACKFILLED) is CauseClass.LINK


def test_picture_shows_every_state() -> None:
    """The picture for the documents is drawn from the table."""
    picture = mermaid()
    assert all(cause.name in picture for cause in Cause)
    assert "STUCK --> CACHED_VALUE: CAUGHT_UP" in picture


def test_the_picture_in_the_documents_is_the_table() -> None:
    """Every arrow of the decision record is a row of the table, and no row that changes a cause is missing."""
    text = (Path(__file__).parents[3] / "docs/decisions/0019-incidents-and-their-causes.md").read_text(
        "utf-8"
    )
    picture = text.split("```mermaid")[1].split("```")[0]
    groups = {name: words.split(", ") for words, name in re.findall(r'state "([^"]+)" as (\w+)', picture)}
    drawn = set()
    for before, after, label in re.findall(r"(\w+) --> (\w+): (.+)", picture):
        for state in groups.get(before, [before]):
            for cause in groups.get(after, [after]):
                own = [OPENERS[Cause[cause]].value]
                codes = own if label == "its own evidence" else label.upper().replace(" ", "_").split(",_")
                drawn |= {(Cause[state], Evidence(code), Cause[cause]) for code in codes}
    assert drawn == {(state, evidence, cause) for state, evidence, cause in ROWS if state is not None}
