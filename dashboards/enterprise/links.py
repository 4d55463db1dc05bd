"""Links put in order: what is wrong with each collector, and what is only a consequence of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

ANSWERING = ("up", "refuses", "damaged")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Collector:
    """A collector with what is wrong below it: each cause with the links it explains.

    `lines` are named in order, each with its meters that answer and with all of them.
    """

    row: Row
    meters: int
    answering: int
    causes: tuple[tuple[Row, tuple[Row, ...]], ...]
    lines: tuple[tuple[str, int, int], ...] = ()


def collectors(rows: Sequence[Row]) -> list[Collector]:
    """Put the rows of `links` together by collector, those with something wrong first as they came."""
    heads = [row for row in rows if not row["line"] and not row["meter"]]
    return [_collector(head, [r for r in rows if r["source"] == head["source"]]) for head in heads]


def _collector(head: Row, rows: list[Row]) -> Collector:
    meters = [row for row in rows if row["meter"]]
    below = [row for row in rows if row is not head]
    causes: list[tuple[Row, tuple[Row, ...]]] = []
    if head["state"] != "up":
        causes.append((head, tuple(meters)))
    else:
        for row in below:
            if row["state"] not in ("up", "unknown"):
                own = [m for m in meters if not row["meter"] and m["line"] == row["line"]]
                causes.append((row, tuple(own)))
    answers = [(str(row["line"]), row["state"] in ANSWERING) for row in meters]
    by_line = {
        name: [well for line, well in answers if line == name] for name in sorted({n for n, _ in answers})
    }
    lines = tuple((name, sum(each), len(each)) for name, each in by_line.items())
    return Collector(head, len(meters), sum(well for _, well in answers), tuple(causes), lines)


def name_of(row: Row) -> str:
    """Write a line, or a meter behind its line.

    >>> name_of({"line": "rs485", "meter": "m3"}), name_of({"line": "rs485", "meter": ""})
    ('rs485 / m3', 'rs485')
    """
    return " / ".join(part for part in (row["line"], row["meter"]) if part)


def troubles(rows: Sequence[Row]) -> tuple[int, int]:
    """Count collectors, and causes of what does not work."""
    found = collectors(rows)
    return len(found), sum(len(collector.causes) for collector in found)
