"""Where window rows are read from: the tables as they are, or as they were known at an instant.

The history keeps quarter-hours and days that a later day of knowledge superseded; hours as
of an instant are summed from quarter-hours, months from days, by the rules of the rollups.
"""

from __future__ import annotations

from nengliu.domain.quality import GRAVITY
from nengliu.domain.times import Level

_BASE = {
    Level.QUARTER: Level.QUARTER,
    Level.HOUR: Level.QUARTER,
    Level.DAY: Level.DAY,
    Level.MONTH: Level.DAY,
}
_PERIOD = {
    Level.HOUR: "toStartOfHour(period_start)",
    Level.MONTH: "toDateTime(toStartOfMonth(period_start), 'Asia/Shanghai')",
}
_NO_COAL = "nan AS coal_kgce, nan AS coal_equal_kgce, nan AS co2_kg, '' AS book"
_SUMS = ("used", "estimated")
_COUNTS = ("covered_s", "received", "good", "late", "substituted", "manual", "suspect", "bad")
_COAL_SUMS = ("coal_kgce", "coal_equal_kgce", "co2_kg")
_OF_VALUES = """
                sumIf(b.mean * b.covered_s, isFinite(b.mean))
                    / sumIf(b.covered_s, isFinite(b.mean)) AS mean,
                if(countIf(isFinite(b.low)) = 0, nan, minIf(b.low, isFinite(b.low))) AS low,
                if(countIf(isFinite(b.high)) = 0, nan, maxIf(b.high, isFinite(b.high))) AS high,
                if(countIf(isFinite(b.last)) = 0, nan,
                    argMaxIf(b.last, b.period_start, isFinite(b.last))) AS last"""
"""Of a gauge: periods without a value do not speak, and without any the result is NaN."""
_GRAVEST = f"argMax(b.reason, indexOf({[*map(int, GRAVITY)]}, toInt64(b.reason)))"


def source(level: Level, as_of: bool, predicate: str) -> str:
    """Subquery of the window rows of `level` under `predicate`, with the same columns at every level."""
    if not as_of:
        return f"(SELECT *{_coal(level)} FROM window_{level} FINAL WHERE {predicate})"
    base = _BASE[level]
    known = f"(SELECT *{_coal(base)} FROM {_known(base, predicate)})"
    return known if base is level else _summed(level, known, predicate)


def _coal(level: Level) -> str:
    return "" if level in (Level.DAY, Level.MONTH) else f", {_NO_COAL}"


def _known(base: Level, predicate: str) -> str:
    """The newest revision known at {as_of} of each row, whether it still stands or was superseded."""
    known = f"WHERE {predicate} AND toUnixTimestamp(known_at) <= {{as_of:Int64}}"
    return f"""(
        SELECT * FROM (
            SELECT * FROM window_{base} FINAL {known}
            UNION ALL
            SELECT * FROM window_{base}_history FINAL {known}
        )
        ORDER BY enterprise, point, period_start, revision DESC
        LIMIT 1 BY enterprise, point, period_start
    )"""


def _summed(level: Level, known: str, predicate: str) -> str:
    """Rows of `level` from those of the level below; what is due does not depend on what is known."""
    sums = ", ".join(f"sum(b.{name}) AS {name}" for name in (*_SUMS, *_COAL_SUMS))
    sums += "".join(f", toUInt32(sum(b.{name})) AS {name}" for name in _COUNTS)
    return f"""(
        SELECT s.* EXCEPT (due_below, start_of), s.start_of AS period_start,
            if(d.due > 0, d.due, s.due_below) AS due
        FROM (
            SELECT enterprise, point, {_PERIOD[level]} AS start_of, any(b.decimals) AS decimals,
                {sums},{_OF_VALUES},
                toUInt32(sum(b.due)) AS due_below, {_GRAVEST} AS reason,
                argMax(b.book, b.revision) AS book,
                max(b.known_at) AS known_at, max(b.revision) AS revision
            FROM {known} AS b
            GROUP BY enterprise, point, start_of
        ) AS s
        LEFT JOIN (
            SELECT enterprise, point, period_start AS start_of, due
            FROM window_{level} FINAL WHERE {predicate}
        ) AS d USING (enterprise, point, start_of)
    )"""
