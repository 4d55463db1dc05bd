"""Windows as the paths of the benchmark made them, and the proof that two paths made the same ones.

No speed is printed of a path whose windows differ: `compare` names the first that does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import click
import numpy as np
import numpy.typing as npt

from nengliu.cli.bench_data import DECIMALS
from nengliu.cli.language import say
from nengliu.domain.times import Level, from_ms
from schemas.block import Labels, Rows

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
LEVELS = (Level.QUARTER, Level.HOUR, Level.DAY, Level.MONTH)
CLOSE = 1e-9
"""Relative difference up to which two means are the same number, added up in another order."""


class DiffersError(click.ClickException):
    """The windows of a path are not those expected; the message names the first of them."""

    def __init__(self, path: str, message: str) -> None:
        """Say which path has no figure, and why."""
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of one level, sorted by point and start.

    Attributes
    ----------
    point, start_s : int64 (n,)
        Number of the point; start of the window [s, UTC].
    used : int64 (n,)
        Consumption [ticks].
    low, high, mean, last : float64 (n,)
        Of the readings in the window, in the unit of the point.
    received : int64 (n,)
        Readings in the window.
    """

    point: Ints
    start_s: Ints
    used: Ints
    low: Floats
    high: Floats
    mean: Floats
    last: Floats
    received: Ints

    @classmethod
    def of(cls, columns: dict[str, npt.NDArray[np.generic]]) -> Windows:
        """Sort columns of the same names by point and start."""
        order = np.lexsort((columns["start_s"], columns["point"]))
        kinds = {field.name: np.int64 if "Ints" in str(field.type) else np.float64 for field in fields(cls)}
        return cls(**{name: columns[name][order].astype(kind) for name, kind in kinds.items()})  # type: ignore[arg-type]

    def stored(self, is_register: npt.NDArray[np.bool_]) -> Windows:
        """What our tables keep: of a register what was used, of a power its low, high, mean and last."""
        register = is_register[self.point]
        gauge = {name: np.where(register, np.nan, getattr(self, name)) for name in _GAUGE}
        used = np.where(register, self.used, 0)
        return Windows(self.point, self.start_s, used, received=self.received, **gauge)

    def __len__(self) -> int:
        """Count the windows."""
        return len(self.point)


_GAUGE = ("low", "high", "mean", "last")


def in_units(ticks: npt.NDArray[np.generic]) -> Floats:
    """Ticks of the benchmark's points as values in their unit."""
    return np.asarray(ticks.astype(np.float64) / 10**DECIMALS)


def windows_of(rows: Sequence[Rows], level: Level, width: int) -> Windows:
    """What a table holds in the end: of each window the row with the newest revision.

    Parameters
    ----------
    rows
        In the order in which they were said; of equal revisions the last one stands.
    width
        Columns of a list: a point is number list x width + column.
    """
    own = [each for each in rows if each.table == f"window_{level}"]
    if not own:
        return Windows.of({field.name: np.empty(0) for field in fields(Windows)})
    point = np.concatenate([_numbers(each, width) for each in own])
    columns = {name: np.concatenate([np.asarray(each.columns[name]) for each in own]) for name in _TAKEN}
    start = columns["period_start"]
    order = np.lexsort((np.arange(len(point)), columns["revision"], start, point))
    newest = np.ones(len(order), bool)
    newest[:-1] = (np.diff(point[order]) != 0) | (np.diff(start[order]) != 0)
    kept = order[newest]
    columns = {name: column[kept] for name, column in columns.items()}
    return Windows.of(columns | {"point": point[kept], "start_s": columns["period_start"]})


_TAKEN = ("period_start", "used", *_GAUGE, "received", "revision")


def _numbers(rows: Rows, width: int) -> Ints:
    """Number of the point of each row, from codes like 913200000000000012 and p003."""
    enterprise, point = rows.columns["enterprise"], rows.columns["point"]
    assert isinstance(enterprise, Labels)
    assert isinstance(point, Labels)
    lists = np.array([int(name[8:]) for name in enterprise.dictionary])[enterprise.codes]
    columns = np.array([int(name[1:]) for name in point.dictionary])[point.codes]
    return np.asarray(lists * width + columns)


def compare(path: str, level: Level, found: Windows, expected: Windows) -> None:
    """Refuse windows that are not those expected.

    Raises
    ------
    DiffersError
        Names the path and the first window that differs, with both values.
    """
    pairs = [np.stack([each.point, each.start_s]) for each in (found, expected)]
    if pairs[0].shape != pairs[1].shape or (pairs[0] != pairs[1]).any():
        _tell_missing(path, level, found, expected)
    for name in ("used", "received", *_GAUGE):
        ours, theirs = getattr(found, name), getattr(expected, name)
        rtol = CLOSE if name == "mean" else 0.0
        differs = ~np.isclose(ours, theirs, rtol=rtol, atol=0.0, equal_nan=True)
        if differs.any():
            at = int(np.flatnonzero(differs)[0])
            where = _window(expected.point[at], expected.start_s[at])
            raise _differs(path, level, where, name, (ours[at], theirs[at]))


def _tell_missing(path: str, level: Level, found: Windows, expected: Windows) -> None:
    """Raise with the first window that only one side has."""
    sides = [set(zip(each.point.tolist(), each.start_s.tolist(), strict=True)) for each in (found, expected)]
    point, start_s = min(sides[0] ^ sides[1])
    pair = ("there", "none") if (point, start_s) in sides[0] else ("none", "there")
    raise _differs(path, level, _window(point, start_s), "window", pair)


def _differs(path: str, level: Level, window: str, what: str, pair: tuple[object, object]) -> DiffersError:
    """The error of a value that was found, and expected otherwise."""
    words = {"path": path, "level": level, "window": window, "what": what}
    return DiffersError(path, say("error.bench_differs", found=pair[0], expected=pair[1], **words))


def _window(point: int, start_s: int) -> str:
    return f"point {point}, {from_ms(int(start_s) * 1000):%Y-%m-%d %H:%M}"
