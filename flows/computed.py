"""What computed points ask of the store: the windows of the points their formulas speak of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from flows.restating import rows_of
from nengliu.analysis.named_rows import Pair
from nengliu.domain.scope import SYSTEM
from nengliu.domain.times import Level
from nengliu.storage import Asker
from schemas.block import Rows


class StoredWindows:
    """Stored windows of points (see `nengliu.analysis.rollups.operands.WindowLoader`)."""

    def __init__(self, asker: Asker) -> None:
        """Ask nothing yet."""
        self._asker = asker

    def windows(
        self, level: Level, points: Sequence[Pair], from_ms: int, to_ms: int, before: int
    ) -> Rows | None:
        """Window rows of points from an instant to another [ms, UTC], below a position of the log."""
        wanted: dict[str, Any] = {"level": level, "points": [*points], "position": max(before, 0)}
        wanted |= {"from_ms": from_ms, "start": from_ms, "end": to_ms}
        table = self._asker.ask("state_operands", SYSTEM, None, **wanted)
        return rows_of(f"window_{level}", table) if table.num_rows else None

    def months(self, points: Sequence[Pair], from_ms: int) -> list[int]:
        """Starts [ms, UTC] of the months, from the one that holds an instant on, in which points have windows."""
        table = self._asker.ask("state_restate_months", SYSTEM, points=[*points], from_ms=from_ms)
        found: list[int] = np.array(table["month_ms"].to_pylist(), np.int64).tolist()
        return found
