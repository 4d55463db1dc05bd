"""Loose readings as sheaves of width one, so that they may lie in plates like frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.block import Block, Sheaf, Verdict

Pair = tuple[str, str]


@dataclass(slots=True)
class Loose:
    """Makes sheaves of blocks; keeps the lists of one point it made, and what it made of a list of points last."""

    _lists: dict[Pair, tuple[Pair, ...]]
    _last: tuple[tuple[Pair, ...], tuple[tuple[Pair, ...], ...]] = ((), ())

    def split(self, block: Block) -> tuple[list[Sheaf], Block]:
        """Sheaves of the points all of whose readings are plain and of one origin; the block of all others."""
        plain = (block.verdict == Verdict.NEW) & (block.quality == 0) & (block.reason == 0)
        plain &= block.origin == block.origin[0]
        if not plain.all():
            odd = np.zeros(len(block.points), bool)
            odd[block.slot[~plain]] = True
            plain = ~odd[block.slot]
        rest = block.take(~plain)
        if not plain.any():
            return [], rest
        return [self._sheaf(block if plain.all() else block.take(plain))], rest

    def _sheaf(self, block: Block) -> Sheaf:
        points = block.points
        if self._last[0] is not points:
            made = tuple(self._lists.setdefault(point, (point,)) for point in points)
            self._last = points, made
        ticks = block.ticks[:, None]
        return Sheaf(
            lists=self._last[1],
            row_list=block.slot,
            read_at_ms=block.read_at_ms,
            received_at_s=block.received_at_s,
            sequence=block.sequence,
            position=block.position,
            ticks=ticks,
            sent=ticks,
            units=(_UNIT,) * len(points),
            origin=int(block.origin[0]),
        )


_UNIT: tuple[tuple[str, int], ...] = (("", 0),)
"""What was sent does not matter to windows."""
