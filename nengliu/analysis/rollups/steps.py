"""All that rollups do with a shard: windows, the points computed of them, and the totals in space above both.

Each step sees the rows of those before it, in the order they were made, and every notice at its place among them.
"""

from __future__ import annotations

from collections.abc import Iterable

from nengliu.analysis.rollups.computing import ComputedShard
from nengliu.analysis.rollups.shard import CONCERNS, WindowShard
from nengliu.analysis.totals.shard import TotalShard
from schemas.block import Block, Rows, Sheaf
from schemas.messages import Notice

Item = tuple[int, Block | Sheaf | Notice]
"""Position and message."""


class RollupShard:
    """Windows, computed points and totals of one shard, which share one catalogue; plain Python, no stream."""

    def __init__(self, windows: WindowShard, computed: ComputedShard, totals: TotalShard) -> None:
        """Put the steps one upon the other."""
        self._windows, self._computed, self._totals = windows, computed, totals

    def run(self, items: Iterable[Item]) -> list[Rows]:
        """Take messages in; readings are joined up to the next notice that concerns windows."""
        out: list[Rows] = []
        waiting: list[Item] = []
        for position, message in items:
            if isinstance(message, CONCERNS):
                out += self._readings(waiting)
                out += self._notice(message, position)
                waiting = []
            else:
                waiting.append((position, message))
        return out + self._readings(waiting)

    def seal(self) -> None:
        """End an epoch: what came before the last one is stored and may be forgotten."""
        self._windows.seal()
        self._computed.seal(self._stored)
        self._totals.seal(self._stored)

    @property
    def _stored(self) -> int:
        """Positions below are surely stored."""
        return self._windows.ledger.stored

    def _readings(self, items: list[Item]) -> list[Rows]:
        return self._above(self._windows.run(items)) if items else []

    def _notice(self, notice: Notice, position: int) -> list[Rows]:
        """Totals look at the catalogue as it was, formulas at what it has become."""
        self._windows.ledger.reach(position)
        before = self._totals.take(notice, self._stored)
        rows = self._windows.take(notice, position)
        rows += self._computed.add(rows, self._stored)
        rows += self._computed.take(notice, position, self._stored)
        return before + self._totals.add(rows, self._stored) + rows

    def _above(self, rows: list[Rows]) -> list[Rows]:
        """Totals, and the rows of windows and computed points they rest on.

        Totals are stored first: once windows are stored, a replay cannot see any more which periods a notice changed.
        """
        rows = rows + self._computed.add(rows, self._stored)
        return self._totals.add(rows, self._stored) + rows
