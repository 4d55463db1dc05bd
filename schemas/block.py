"""Block: many readings of one shard as columns; the only thing that flows between steps.

Columns are equally long numpy arrays.  `slot` indexes `points`, the list of
``(enterprise, point)`` pairs this block speaks of; a block is self-contained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from typing import Any, Self

import numpy as np
import numpy.typing as npt


class Verdict(IntEnum):
    """What became of a reading; up to `REPLACED` it was accepted, beyond it is evidence only."""

    NEW = 0
    REPLACED = 1  # accepted: it won over another value
    DUPLICATE = 2
    RAISED = 3  # duplicate with a later sequence, which is remembered; never leaves the ledger
    LOST = 4  # another value with a later sequence stands
    REFUSED = 5  # held back; `reason` says why


@dataclass(frozen=True, slots=True)
class Block:
    """Candidate or judged readings of one shard, in log order.

    Attributes
    ----------
    points
        ``(enterprise, point)`` per slot.
    slot : int32 (n,)
    read_at_ms : int64 (n,)
        Event time [ms, UTC]; for an interval amount the start of the interval.
    ticks : int64 (n,)
        Register steps of a counter, ticks of the point otherwise (after unit and multiplier).
    quality : uint8 (n,)
        `nengliu.domain.quality.Quality`.
    reason : uint16 (n,)
        `nengliu.domain.quality.Reason`.
    origin : uint8 (n,)
        `nengliu.domain.quality.Origin`.
    received_at_s : int64 (n,)
        When the edge received it [s, UTC].
    sequence : uint64 (n,)
        Source order: boot second << 32 | number; of two values for one key the larger wins.
    position : uint64 (n,)
        Log generation << 48 | offset where the edge log first accepted it (revision).
    sent : int64 (n,)
        The value as sent, in `sent_unit` of the slot's column, `sent_decimals` decimals.
    units
        ``(unit, decimals)`` as sent, indexed by `sent_unit`.
    sent_unit : uint16 (n,)
    verdict : uint8 (n,)
        `Verdict`: accepted, or evidence of what was repeated, contradicted or refused.
    """

    points: tuple[tuple[str, str], ...]
    slot: npt.NDArray[np.int32]
    read_at_ms: npt.NDArray[np.int64]
    ticks: npt.NDArray[np.int64]
    quality: npt.NDArray[np.uint8]
    reason: npt.NDArray[np.uint16]
    origin: npt.NDArray[np.uint8]
    received_at_s: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.uint64]
    position: npt.NDArray[np.uint64]
    sent: npt.NDArray[np.int64]
    units: tuple[tuple[str, int], ...]
    sent_unit: npt.NDArray[np.uint16]
    verdict: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        """Count the readings."""
        return len(self.slot)

    def take(self, some: slice | npt.NDArray[Any]) -> Self:
        """Keep some of the readings: a slice, a mask or places in any order."""
        arrays = {name: getattr(self, name)[some] for name in ARRAYS}
        return type(self)(points=self.points, units=self.units, **arrays)

    def accepted(self) -> Self:
        """Keep what was accepted."""
        mask = self.verdict <= Verdict.REPLACED
        return self if mask.all() else self.take(mask)


ARRAYS = tuple(column.name for column in fields(Block) if column.name not in ("points", "units"))
"""Names of a block's columns."""


def join(blocks: list[Block]) -> Block:
    """Put blocks one after the other; those of one origin share their points and cost no more than a copy."""
    if len(blocks) == 1:
        return blocks[0]
    points = {point: i for i, point in enumerate(dict.fromkeys(p for b in blocks for p in b.points))}
    units = {unit: i for i, unit in enumerate(dict.fromkeys(u for b in blocks for u in b.units))}
    slots = [np.array([points[point] for point in b.points], np.int32)[b.slot] for b in blocks]
    sent_units = [np.array([units[unit] for unit in b.units], np.uint16)[b.sent_unit] for b in blocks]
    arrays = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in ARRAYS}
    arrays |= {"slot": np.concatenate(slots), "sent_unit": np.concatenate(sent_units)}
    return Block(points=tuple(points), units=tuple(units), **arrays)


@dataclass(frozen=True, slots=True)
class Sheaf:
    """Joined frames of equal width: each row holds every point of one list at one time.

    What is in a sheaf is plain: newly accepted, of good quality or merely late, of one origin, with no value missing.
      It says in 8 bytes a reading what a `Block` says in 68; `block` spells it out.

    Attributes
    ----------
    lists
        Point lists of ``(enterprise, point)``, each `c` long, all distinct.
    row_list : int32 (f,)
        Which list a row fills.
    read_at_ms, received_at_s : int64 (f,)
    sequence, position : uint64 (f,)
        As in `Block`; rows lie in order of position.
    ticks : int64 (f, c)
    sent : int64 (f, c)
        The same array as `ticks` where nothing is converted.
    units
        ``(unit, decimals)`` as sent, for each list and column.
    origin
        `nengliu.domain.quality.Origin` of all rows.
    quality : uint8 (f,)
        Of all readings of a row: good, or late.
    reason : uint16 (f,)
        How they came, if not simply on time; not given: all rows are good.
    """

    lists: tuple[tuple[tuple[str, str], ...], ...]
    row_list: npt.NDArray[np.int32]
    read_at_ms: npt.NDArray[np.int64]
    received_at_s: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.uint64]
    position: npt.NDArray[np.uint64]
    ticks: npt.NDArray[np.int64]
    sent: npt.NDArray[np.int64]
    units: tuple[tuple[tuple[str, int], ...], ...]
    origin: int = 0
    quality: npt.NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    reason: npt.NDArray[np.uint16] = field(default_factory=lambda: np.empty(0, np.uint16))

    def __post_init__(self) -> None:
        """Give every row its marks."""
        if len(self.quality) != len(self.row_list):
            object.__setattr__(self, "quality", np.zeros(len(self.row_list), np.uint8))
            object.__setattr__(self, "reason", np.zeros(len(self.row_list), np.uint16))

    def __len__(self) -> int:
        """Count the readings."""
        return int(self.ticks.size)

    def take(self, some: slice | npt.NDArray[Any]) -> Sheaf:
        """Keep some of the rows."""
        if isinstance(some, np.ndarray) and some.dtype == np.bool_:
            some = np.flatnonzero(some)  # a mask would be counted anew for every column
        same = self.sent is self.ticks
        rows = {name: getattr(self, name)[some] for name in _ROW_ARRAYS}
        return replace(self, **rows, sent=rows["ticks"] if same else self.sent[some])

    def block(self) -> Block:
        """Spell out every reading, row by row."""
        f, c = self.ticks.shape
        points = {pair: i for i, pair in enumerate(dict.fromkeys(p for points in self.lists for p in points))}
        units = {pair: i for i, pair in enumerate(dict.fromkeys(u for units in self.units for u in units))}
        slot = np.array([[points[pair] for pair in each] for each in self.lists], np.int32).reshape(-1, c)
        unit = np.array([[units[pair] for pair in each] for each in self.units], np.uint16).reshape(-1, c)
        by_row = {name: np.repeat(getattr(self, name), c) for name in _ROW_ARRAYS[1:-1]}
        return Block(
            points=tuple(points),
            slot=slot[self.row_list].ravel(),
            ticks=self.ticks.ravel(),
            origin=np.full(f * c, self.origin, np.uint8),
            sent=self.sent.ravel(),
            units=tuple(units),
            sent_unit=unit[self.row_list].ravel(),
            verdict=np.zeros(f * c, np.uint8),
            **by_row,
        )


def join_sheaves(sheaves: list[Sheaf]) -> Sheaf:
    """Put sheaves of one width and origin one after the other."""
    if len(sheaves) == 1:
        return sheaves[0]
    number: dict[tuple[tuple[str, str], ...], int] = {}
    seen: dict[int, int] = {}  # most sheaves of a stream share the very same lists
    units: list[tuple[tuple[str, int], ...]] = []
    places = []
    for sheaf in sheaves:
        for points, sent in zip(sheaf.lists, sheaf.units, strict=True):
            if id(points) not in seen:
                seen[id(points)] = number.setdefault(points, len(number))
                units += [sent] if len(units) < len(number) else []
        places.append(np.array([seen[id(points)] for points in sheaf.lists], np.int32)[sheaf.row_list])
    same = all(sheaf.sent is sheaf.ticks for sheaf in sheaves)
    rows = {name: np.concatenate([getattr(sheaf, name) for sheaf in sheaves]) for name in _ROW_ARRAYS[1:]}
    sent_rows = rows["ticks"] if same else np.concatenate([sheaf.sent for sheaf in sheaves])
    row_list = np.concatenate(places)
    return Sheaf(
        tuple(number), row_list, sent=sent_rows, units=tuple(units), origin=sheaves[0].origin, **rows
    )


_ROW_ARRAYS = (
    "row_list",
    "read_at_ms",
    "received_at_s",
    "sequence",
    "position",
    "quality",
    "reason",
    "ticks",
)
"""Columns of a sheaf that have one entry, or one line, a row."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows for one table of the store: column name -> equally long numpy array or list.

    Strings are given as numpy object arrays or as ``(codes, dictionary)`` through
    `Labels`, lists of strings as `Lists`, lists of numbers as `Arrays`; times are integers
    (ms for DateTime64(3), s for DateTime).
    """

    table: str
    columns: Mapping[str, npt.NDArray[Any] | Labels | Lists | Arrays]

    def __len__(self) -> int:
        """Count the rows."""
        return len(next(iter(self.columns.values())))

    @property
    def nbytes(self) -> int:
        """What the columns take in memory, about [bytes]."""
        return sum(column.nbytes for column in self.columns.values())


@dataclass(frozen=True, slots=True)
class Labels:
    """A dictionary-coded text column: ``dictionary[codes[i]]``."""

    codes: npt.NDArray[Any]
    dictionary: tuple[str, ...]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.codes)

    @property
    def nbytes(self) -> int:
        """As an array: of the codes, since dictionaries are shared."""
        return self.codes.nbytes


@dataclass(frozen=True, slots=True)
class Lists:
    """A column of lists of texts."""

    values: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.values)

    @property
    def nbytes(self) -> int:
        """As an array: one place a text."""
        return 8 * sum(map(len, self.values))


@dataclass(frozen=True, slots=True)
class Arrays:
    """A column of lists of numbers: the i-th is ``values[ends[i - 1]:ends[i]]``."""

    ends: npt.NDArray[np.int64]
    values: npt.NDArray[Any]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.ends)

    @property
    def nbytes(self) -> int:
        """As an array."""
        return self.ends.nbytes + self.values.nbytes
