"""Audit by recomputation: stored windows beside those that stored readings give, by the functions of the rollups.

Windows of computed points are compared with what their formulas give of the stored windows of the measured points they
rest on, as totals are with their points: these windows are compared with their readings themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.audit import Check, Finding, Values, Why, reason_of
from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.named_rows import Pair
from nengliu.analysis.rollups.computing import ComputedShard
from nengliu.analysis.rollups.shard import WindowShard
from nengliu.domain.formulas import operands_of
from nengliu.domain.points import Kind, Point
from nengliu.domain.times import STORED
from schemas.block import Block, Labels, Rows

Columns = dict[str, npt.NDArray[Any]]
AMOUNTS = ("used", "estimated", "decimals")
COUNTS = (
    "covered_s", "received", "due", "good", "late", "substituted", "manual", "suspect", "bad", "reason",
)  # fmt: skip
VALUES = ("mean", "low", "high", "last")
COAL = ("coal_kgce", "coal_equal_kgce", "co2_kg")
NEWEST = ("known_at_s", "revision")
TOLERANCE = 1e-9
"""Means and masses may be added in another order: they agree to this share."""

LEVELS = {str(level): f"window_{level}" for level in STORED}
"""Levels whose rows are compared, and their tables."""


@dataclass(frozen=True, slots=True)
class Described:
    """Since which log position points are as the catalogue has them: older rows may have been counted otherwise."""

    points: list[tuple[str, str]]
    position: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, versions: Mapping[tuple[str, str], Sequence[tuple[int, Point]]]) -> Described:
        """Look through the versions of each point, oldest first, for the last one that changed how windows count.

        Windows of a computed point count as those of the points it rests on.
        """
        points = {pair: found[-1][1] for pair, found in versions.items()}
        own = {pair: _since(found) for pair, found in versions.items()}
        since = [max(own[each] for each in (pair, *rests_on(points, [pair]))) for pair in versions]
        return cls(list(versions), np.array(since, np.uint64))


def _since(versions: Sequence[tuple[int, Point]]) -> int:
    found = 0
    for (_, before), (position, after) in pairwise(versions):
        if _counting(before) != _counting(after):
            found = position
    return found


def _counting(point: Point) -> tuple[int, int, int, int]:
    return point.interval_s, point.hold_s, point.valid_from_ms, point.valid_to_ms


def rests_on(points: Mapping[Pair, Point], computed: Iterable[Pair]) -> list[Pair]:
    """Measured points that the formulas of computed points speak of, themselves or by way of other computed points."""
    waiting = [pair for pair in computed if points[pair].formulas]
    seen = set(waiting)
    while waiting:
        enterprise, name = waiting.pop()
        below = {(enterprise, operand) for operand in operands_of(points[enterprise, name])} - seen
        seen |= below
        waiting += [pair for pair in below if points[pair].formulas]
    return sorted(pair for pair in seen if not points[pair].formulas)


def recompute_formulas(catalogue: Catalogue, windows: Sequence[Rows]) -> dict[str, list[Rows]]:
    """Windows of every level that formulas give of the windows of all levels of a span: table -> rows.

    Only those are whole whose operands (`rests_on`) are all among the windows.
    """
    found: dict[str, list[Rows]] = {}
    for rows in ComputedShard(catalogue).add(windows, 0):
        found.setdefault(rows.table, []).append(rows)
    return found


def recompute(catalogue: Catalogue, block: Block) -> dict[str, list[Rows]]:
    """Windows of every level that the readings of a block give: table -> rows, newest version last.

    The block holds, of each point, every reading of the span, the last one before and the first one after it.
    """
    if not len(block):
        return {}
    shard = WindowShard(catalogue)
    found: dict[str, list[Rows]] = {}
    for rows in shard.add(block.take(np.argsort(block.position, kind="stable"))):
        found.setdefault(rows.table, []).append(rows)
    return found


def columns_of(parts: Sequence[Rows], points: list[tuple[str, str]]) -> Columns:
    """Join rows of some points of one table; the last version of each window stays.  `slot` numbers the point."""
    number = {point: i for i, point in enumerate(points)}
    joined: dict[str, list[npt.NDArray[Any]]] = {}
    for rows in parts:
        for name, column in _plain(rows, number).items():
            joined.setdefault(name, []).append(column)
    columns = {name: np.concatenate(arrays) for name, arrays in joined.items()}
    order = np.lexsort((columns["period_start_s"], columns["slot"]))  # stable: the newest version is the last
    slot, start = columns["slot"][order], columns["period_start_s"][order]
    last = np.append((slot[1:] != slot[:-1]) | (start[1:] != start[:-1]), True)[: len(slot)]
    return {name: column[order][last] for name, column in columns.items()}


def _plain(rows: Rows, number: dict[tuple[str, str], int]) -> Columns:
    enterprise, point = rows.columns["enterprise"], rows.columns["point"]
    assert isinstance(enterprise, Labels)
    assert isinstance(point, Labels)
    pairs = zip(enterprise.codes.tolist(), point.codes.tolist(), strict=True)
    slots = [number.get((enterprise.dictionary[e], point.dictionary[p]), -1) for e, p in pairs]
    found: Columns = {"slot": np.array(slots, np.int64)}
    for name, column in rows.columns.items():
        if isinstance(column, Labels) and name == "book":
            found[name] = np.array(column.dictionary, object)[column.codes]
        elif isinstance(column, np.ndarray):
            found[{"period_start": "period_start_s", "known_at": "known_at_s"}.get(name, name)] = column
    known = found["slot"] >= 0
    return {name: column[known] for name, column in found.items()}


def compare(
    level: str, expected: Columns, got: Columns, catalogue: Catalogue, described: Described
) -> Iterator[Finding]:
    """Compare windows of one level, both in order of slot and time, and tell of each that differs."""
    first, second = (columns["slot"] << 40 | columns["period_start_s"] for columns in (expected, got))
    _, left, right = np.intersect1d(first, second, assume_unique=True, return_indices=True)
    for columns, both, why in ((expected, left, Why.LOST_WINDOW), (got, right, Why.NO_SOURCE)):
        alone = np.setdiff1d(np.arange(len(columns["slot"])), both)
        missing: Values = {"rows": int(why is Why.LOST_WINDOW)}
        found: Values = {"rows": int(why is Why.NO_SOURCE)}
        for i in alone.tolist():
            yield Finding(Check.RECOMPUTED, *_place(level, columns, i, described), missing, found, why)
    if not len(left):
        return
    one = {name: column[left] for name, column in expected.items()}
    other = {name: column[right] for name, column in got.items()}
    unlike = _unlike(one, other, catalogue, described)
    for i in np.flatnonzero(np.logical_or.reduce(list(unlike.values()))).tolist():
        said = [
            {n: _value(columns[n][i]) for n, mask in unlike.items() if mask[i]} for columns in (one, other)
        ]
        why = reason_of(
            *({n: columns[n][i].item() for n in (*AMOUNTS, "revision")} for columns in (one, other))
        )
        yield Finding(Check.RECOMPUTED, *_place(level, one, i, described), said[0], said[1], why)


def _unlike(
    expected: Columns, got: Columns, catalogue: Catalogue, described: Described
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which rows differ, by column."""
    slot = expected["slot"]
    as_now = got["revision"] >= described.position[slot]
    points = [catalogue.points[point].point for point in described.points]
    steady = np.array([point.kind is Kind.COUNTER or bool(point.formulas) for point in points])[slot]
    found = {name: (expected[name] != got[name]) & (as_now | steady) for name in AMOUNTS}
    found |= {name: (expected[name] != got[name]) & as_now for name in COUNTS}
    found |= {name: ~_alike(expected[name], got[name]) & as_now for name in VALUES}
    if "coal_kgce" not in expected:
        return found | {name: expected[name] != got[name] for name in NEWEST}
    same_book = expected["book"] == got["book"]
    found |= {name: ~_alike(expected[name], got[name]) & same_book for name in COAL}
    return found | {name: got[name] < expected[name] for name in NEWEST}  # a restated factor raises both


def _place(level: str, columns: Columns, i: int, described: Described) -> tuple[str, str, str, int]:
    """Enterprise, point, level and start [ms] of a row."""
    enterprise, point = described.points[int(columns["slot"][i])]
    return enterprise, point, level, int(columns["period_start_s"][i]) * 1000


def _alike(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    return np.isclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


def _value(value: Any) -> int | float | None:
    plain = value.item()
    return None if plain != plain else plain  # noqa: PLR0124 - NaN is not equal to itself
