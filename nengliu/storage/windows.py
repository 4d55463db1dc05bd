"""Where window rows are read from: the tables as they are, or as they were known at an instant.

The history keeps quarter-hours and days that a later day of knowledge superseded.  Levels without a table, and all
levels as of an instant, are folded from rows below by the rules of the rollups; what is due is due in the whole period.
"""

from __future__ import annotations

from nengliu.domain.quality import GRAVITY
from nengliu.domain.times import CHINA_OFFSET_MS, STORED, Level

_PERIOD = {
    Level.QUARTER: "toStartOfFifteenMinutes({at})",
    Level.HOUR: "toStartOfHour({at})",
    Level.DAY: "toDateTime(toDate({at}), 'Asia/Shanghai')",
    Level.WEEK: "toDateTime(toMonday({at}), 'Asia/Shanghai')",
    Level.MONTH: "toDateTime(toStartOfMonth({at}), 'Asia/Shanghai')",
    Level.REPORT_MONTH: (
        "toDateTime(addMonths(toStartOfMonth({at}), if(toMonth({at}) = 2, -1, 0)), 'Asia/Shanghai')"
    ),
    Level.THREE_MONTHS: "toDateTime(toStartOfQuarter({at}), 'Asia/Shanghai')",
    Level.YEAR: "toDateTime(toStartOfYear({at}), 'Asia/Shanghai')",
}
_NEXT = {
    Level.QUARTER: "addMinutes({at}, 15)",
    Level.HOUR: "addHours({at}, 1)",
    Level.DAY: "addDays({at}, 1)",
    Level.WEEK: "addDays({at}, 7)",
    Level.MONTH: "addMonths({at}, 1)",
    Level.REPORT_MONTH: "addMonths({at}, if(toMonth({at}) = 1, 2, 1))",
    Level.THREE_MONTHS: "addMonths({at}, 3)",
    Level.YEAR: "addYears({at}, 1)",
}
COAL_LEVELS = tuple(level for level in Level if level not in (Level.QUARTER, Level.HOUR))
"""Levels at which standard coal, CO2 and cost are known."""
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
    base = base_of(level, as_of)
    rows = _known(base, predicate) if as_of else f"window_{base} FINAL WHERE {predicate}"
    found = f"(SELECT *{_coal(base)} FROM {rows})"
    return found if base is level else _folded(level, base, found, predicate)


def versions(level: Level, as_of: bool, predicate: str) -> str:
    """Subquery of every version kept of the rows that `level` is folded from, those that stand among them."""
    base = base_of(level, as_of=True)
    known = " AND toUnixTimestamp(known_at) <= {as_of:Int64}" if as_of else ""
    where = f"FINAL WHERE {predicate}{known}"
    return f"""(
        SELECT *{_coal(base)} FROM window_{base} {where}
        UNION ALL
        SELECT *{_coal(base)} FROM window_{base}_history {where}
    )"""


def period(level: Level, at: str) -> str:
    """SQL of the start of the period of `level` that holds `at`, a DateTime of China."""
    return _PERIOD[level].format(at=at)


def following(level: Level, at: str) -> str:
    """SQL of the start of the period after the one that starts at `at`, a DateTime of China."""
    return _NEXT[level].format(at=at)


def base_of(level: Level, as_of: bool = False) -> Level:
    """Level whose rows are read: of the past only quarter-hours and days are kept."""
    if as_of:
        return Level.QUARTER if level in (Level.QUARTER, Level.HOUR) else Level.DAY
    if level in STORED:
        return level
    return Level.DAY if level is Level.WEEK else Level.MONTH


def _coal(level: Level) -> str:
    return "" if level in COAL_LEVELS else f", {_NO_COAL}"


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


def _folded(level: Level, base: Level, found: str, predicate: str) -> str:
    """Rows of `level` from rows of `base`; what is due does not depend on what is known.

    Rows say what was due in their own periods, as the point was described then; periods without a row add what the
    point as it is described now would owe in them.
    """
    sums = ", ".join(f"sum(b.{name}) AS {name}" for name in (*_SUMS, *_COAL_SUMS))
    sums += "".join(f", toUInt32(sum(b.{name})) AS {name}" for name in _COUNTS)
    whole = _due("s.start_of", following(level, "s.start_of"))
    told = f"arraySum(at -> {_due('at', following(base, 'at'))}, s.begins)"
    return f"""(
        SELECT s.* EXCEPT (due_below, start_of, begins), s.start_of AS period_start,
            toUInt32(greatest(0, s.due_below + {whole} - {told})) AS due
        FROM (
            SELECT enterprise, point, {period(level, "b.period_start")} AS start_of, any(b.decimals) AS decimals,
                {sums},{_OF_VALUES},
                toInt64(sum(b.due)) AS due_below, groupArray(b.period_start) AS begins, {_GRAVEST} AS reason,
                argMax(b.book, b.revision) AS book,
                max(b.known_at) AS known_at, max(b.revision) AS revision
            FROM {found} AS b
            GROUP BY enterprise, point, start_of
        ) AS s
        LEFT JOIN (
            SELECT enterprise, point, argMax(interval_s, position) * 1000 AS step_ms,
                toUnixTimestamp64Milli(argMax(valid_from, position)) AS from_ms,
                JSONExtractInt(argMax(definition, position), 'valid_to_ms') AS to_ms
            FROM point WHERE enterprise IN (SELECT enterprise FROM window_{base} WHERE {predicate})
            GROUP BY enterprise, point
        ) AS p USING (enterprise, point)
    )"""


def _due(start: str, end: str) -> str:
    """SQL of the readings a point owes between two instants: stamps at multiples of its interval in China time."""
    first = f"greatest(toUnixTimestamp({start}) * 1000, p.from_ms) + {CHINA_OFFSET_MS}"
    last = f"least(toUnixTimestamp({end}) * 1000, p.to_ms) + {CHINA_OFFSET_MS}"
    step = "greatest(p.step_ms, 1)"
    count = f"intDiv({last} - 1, {step}) - intDiv({first} - 1, {step})"
    return f"if(p.step_ms = 0 OR {last} <= {first}, 0, {count})"
