"""Where rows of totals are read from: the newest of each, but for nodes that are no more."""

from __future__ import annotations

from nengliu.domain.times import STORED, Level
from nengliu.errors import InputError
from nengliu.storage.windows import base_of

_KEY = "period_start, depth, enterprise, node, item, unit"
_ALIVE = "points_due + meters_due + members_due > 0"
_NO_COAL = "nan AS coal_kgce, nan AS coal_equal_kgce, nan AS co2_kg, '' AS book"


def total_source(level: Level, predicate: str, as_of: bool = False) -> str:
    """Subquery of the rows that a level is summed from under `predicate`, with the same columns at every level.

    `predicate` speaks of the key only: what a version says may not decide which version is the newest.

    Raises
    ------
    InputError
        As of an instant, of a level below the day: of totals the history keeps days and months.
    """
    base = base_of(level)
    if as_of:
        return _known(level, base, predicate)
    coal = f", {_NO_COAL}" if base in STORED[:2] else ""
    return f"(SELECT *{coal} FROM total_{base} FINAL WHERE {predicate} AND {_ALIVE})"


def _known(level: Level, base: Level, predicate: str) -> str:
    """The newest version known at {as_of} of each row, of those that each day of knowledge ended with."""
    if base in STORED[:2]:
        raise InputError(
            f"totals of level {level}: as of a day they are known from the level day up; ask for day"
        )
    return f"""(
        SELECT * FROM (
            SELECT * FROM total_{base}_history FINAL
            WHERE {predicate} AND toUnixTimestamp(known_at) <= {{as_of:Int64}}
            ORDER BY {_KEY}, revision DESC LIMIT 1 BY {_KEY}
        ) WHERE {_ALIVE}
    )"""
