"""What was known at an instant, of everything that is no window: catalogue, incidents, readings, costs.

A catalogue table keeps every version with the instant at which the log took it; a table whose rows are replaced in
place has a `*_history` with each version ever written.  Windows are in `nengliu.storage.windows`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kept:
    """How a table's versions are told apart: its key, its version and since when it was known.

    `describes`: who was not described yet at an instant is described by the first version.  Readings are known from
    their receipt at the edge, which may lie before the log that told of their point; without it an imported
    history would have no past.
    """

    keys: str
    version: str = "position"
    known: str = "known_at"
    history: bool = False
    describes: bool = False


KEPT = {
    "enterprise": Kept("enterprise", describes=True),
    "point": Kept("enterprise, point", describes=True),
    "book": Kept("partition", describes=True),
    "tariff": Kept("partition"),
    "import_run": Kept("enterprise, digest"),
    "region": Kept("region", history=True, describes=True),
    "target": Kept("region, enterprise, metric, period", history=True),
    "activity": Kept("enterprise, measure, period", history=True),
    "manual_entry": Kept("enterprise, point, read_at, position, item"),
    "incident": Kept("enterprise, incident", "revision", "updated_at", history=True),
    "cost_day": Kept("enterprise, point, period_start", "revision", history=True),
}
"""Tables a question may read the newest versions of."""


def known(column: str, as_of: bool) -> str:
    """Predicate: it was known by the instant of the question, if it names one."""
    return f"toUnixTimestamp({column}) <= {{as_of:Int64}}" if as_of else "true"


def newest(table: str, as_of: bool, predicate: str) -> str:
    """Subquery of the newest version of each row of `table`, as known at the instant asked for.

    `predicate` speaks of the key only: what a version says may not decide which version is the newest.
    """
    kept = KEPT[table]
    if kept.history and not as_of:
        return f"(SELECT * FROM {table} FINAL WHERE {predicate})"
    source = f"{table}_history" if kept.history else table
    then = known(kept.known, as_of)
    order = f"{kept.version} DESC"
    if kept.describes and as_of:
        then, order = "true", f"{then} DESC, if({then}, -1, 1) * toInt64({kept.version})"
    return f"""(
        SELECT * FROM {source} FINAL WHERE {predicate} AND {then}
        ORDER BY {kept.keys}, {order} LIMIT 1 BY {kept.keys}
    )"""


def readings(as_of: bool, predicate: str) -> str:
    """Subquery of the readings under `predicate`: those that stand, or those that stood at the instant asked for.

    Of the values for one time the later sequence stood, on a tie the larger ticks (docs/decisions/0005).
    """
    if not as_of:
        return f"(SELECT * FROM reading WHERE {predicate})"
    columns = "enterprise, point, read_at, origin, ticks, quality, reason, received_at, sequence, position"
    both = f"{columns}, sent, sent_unit, sent_decimals"
    lost = f"(SELECT {both}, toStartOfHour(read_at) AS period_start FROM reading_superseded FINAL)"
    return f"""(
        SELECT * FROM (
            SELECT {both} FROM reading WHERE {predicate} AND {known("received_at", as_of)}
            UNION ALL SELECT {both} FROM {lost} WHERE {predicate} AND {known("received_at", as_of)}
        )
        ORDER BY enterprise, point, read_at, origin, sequence DESC, ticks DESC
        LIMIT 1 BY enterprise, point, read_at, origin
    )"""
