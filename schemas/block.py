"""Block: many readings of one shard as columns; the only thing that flows between steps.

Columns are equally long numpy arrays.  `slot` indexes `points`, the list of
``(enterprise, point)`` pairs this block speaks of; a block is self-contained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Block:
    """Accepted or candidate readings of one shard, in log order.

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

    def __len__(self) -> int:
        """Count the readings."""
        return len(self.slot)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows for one table of the store: column name -> equally long numpy array or list.

    Strings are given as numpy object arrays or as ``(codes, dictionary)`` through
    `Labels`; times are integers (ms for DateTime64(3), s for DateTime).
    """

    table: str
    columns: Mapping[str, npt.NDArray[Any] | Labels]

    def __len__(self) -> int:
        """Count the rows."""
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True, slots=True)
class Labels:
    """A dictionary-coded text column: ``dictionary[codes[i]]``."""

    codes: npt.NDArray[Any]
    dictionary: tuple[str, ...]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.codes)
