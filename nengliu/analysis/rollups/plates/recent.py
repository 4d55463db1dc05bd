"""Recent: the sheaves a shard took in that may not be stored yet, as one more source of the ledger's loader.

What lies in plates is not in the ledger.  When the general way needs those readings it asks the loader, which gives
what the store has below the shard's start and, by this, everything since.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nengliu.analysis.ledger import Loader
from schemas.block import Block, Sheaf, join

Ints = npt.NDArray[np.int64]


class Recent:
    """Sheaves of a shard in order (see the head of this file)."""

    def __init__(self, stored: Loader | None) -> None:
        """`stored`: the loader of what is in the store; None keeps every sheaf for good."""
        self.stored = stored
        self._sheaves: list[Sheaf] = []

    def keep(self, sheaf: Sheaf) -> None:
        """Keep a sheaf until `forget` says that it is stored."""
        self._sheaves.append(sheaf)

    def forget(self, before: int) -> None:
        """Let go of sheaves that are surely stored: all of them below position `before`."""
        if self.stored is not None:
            self._sheaves = [sheaf for sheaf in self._sheaves if int(sheaf.position[-1]) >= before]

    def load(self, points: list[tuple[str, str]], from_ms: Ints, before: int) -> Block | None:
        """As `Loader`: what is stored below a position, and of the sheaves kept everything of these points."""
        found = self.stored(points, from_ms, before) if self.stored is not None else None
        wanted = set(points)
        parts = [part for sheaf in self._sheaves for part in _of(sheaf, wanted)]
        if found is not None and len(found):
            parts.insert(0, found)
        return join(parts) if parts else None


def _of(sheaf: Sheaf, wanted: set[tuple[str, str]]) -> list[Block]:
    """Readings of some points in a sheaf."""
    blocks = []
    enterprises = {enterprise for enterprise, _ in wanted}
    for number, points in enumerate(sheaf.lists):
        if points[0][0] not in enterprises:
            continue
        columns = [i for i, point in enumerate(points) if point in wanted]
        if columns:
            blocks.append(narrowed(sheaf.take(sheaf.row_list == number), number, columns))
    return blocks


def narrowed(sheaf: Sheaf, number: int, columns: list[int]) -> Block:
    """Some columns of a sheaf all of whose rows are of list `number`, spelled out."""
    rows = len(sheaf.row_list)
    ticks = np.ascontiguousarray(sheaf.ticks[:, columns])
    part = Sheaf(
        lists=(tuple(sheaf.lists[number][i] for i in columns),),
        row_list=np.zeros(rows, np.int32),
        read_at_ms=sheaf.read_at_ms,
        received_at_s=sheaf.received_at_s,
        sequence=sheaf.sequence,
        position=sheaf.position,
        ticks=ticks,
        sent=ticks if sheaf.sent is sheaf.ticks else np.ascontiguousarray(sheaf.sent[:, columns]),
        units=(tuple(sheaf.units[number][i] for i in columns),),
        origin=sheaf.origin,
        quality=sheaf.quality,
        reason=sheaf.reason,
    )
    return part.block()
