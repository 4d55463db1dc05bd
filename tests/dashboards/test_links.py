"""Links put in order: a parent explains its children."""

from __future__ import annotations

from typing import Any

from dashboards.enterprise.links import collectors, troubles


def row(state: str, line: str = "", meter: str = "", source: str = "gw") -> dict[str, Any]:
    return {"source": source, "line": line, "meter": meter, "state": state}


def causes(*rows: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """What is wrong with the only collector: line/meter of each cause, and the meters it explains."""
    (found,) = collectors(rows)
    return [(f"{c['line']}/{c['meter']}", [child["meter"] for child in below]) for c, below in found.causes]


def test_collector_that_is_silent_explains_all_below() -> None:
    """One cause, however many meters."""
    assert causes(row("silent"), row("unknown", "a"), row("unknown", "a", "1"), row("unknown", "b", "2")) == [
        ("/", ["1", "2"])
    ]


def test_line_that_is_down_explains_its_own_meters_only() -> None:
    """A meter of another line is a cause of its own."""
    found = causes(
        row("up"), row("down", "a"), row("unknown", "a", "1"), row("up", "b"), row("down", "b", "2")
    )
    assert found == [("a/", ["1"]), ("b/2", [])]


def test_meter_that_refuses_answers_all_the_same() -> None:
    """A refusal is a cause, and still an answer."""
    (found,) = collectors([row("up"), row("refuses", "a", "1"), row("up", "a", "2"), row("down", "a", "3")])
    assert (found.answering, found.meters, len(found.causes)) == (2, 3, 2)


def test_lines_tell_how_many_of_their_meters_answer() -> None:
    """Each line stands with its own meters, one that is down with none."""
    rows = [row("up"), row("down", "b"), row("unknown", "b", "1"), row("up", "a", "1"), row("down", "a", "2")]
    (found,) = collectors(rows)
    assert found.lines == (("a", 1, 2), ("b", 0, 1))


def test_collectors_of_a_unit_are_counted_with_their_causes() -> None:
    """Equal names below different collectors do not mix."""
    rows = [
        row("up"),
        row("down", "a", "1"),
        row("up", source="gw2"),
        row("up", "a", "1", "gw2"),
        row("silent", source="gw3"),
    ]
    assert troubles(rows) == (3, 2)
    assert troubles([]) == (0, 0)
