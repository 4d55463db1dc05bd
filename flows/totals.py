"""What the step of totals asks of the store when it resumes: windows of enterprises, and days that have totals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nengliu.analysis.totals.shelf import Span
from nengliu.domain.scope import SYSTEM
from nengliu.domain.times import Level
from nengliu.storage import Asker
from schemas.block import Labels, Rows

LATEST_MS = (2**32 - 1) // 86_400 * 86_400_000
"""No period starts later: times of the store end there [ms, UTC]."""


class TotalLoader:
    """Serves `nengliu.analysis.totals.shelf.WindowLoader` from the store."""

    def __init__(self, asker: Asker) -> None:
        """Ask with the scope of the system."""
        self._asker = asker

    def windows(self, level: Level, spans: Sequence[Span], before: int) -> Rows | None:
        """Window rows of enterprises, each from an instant to another [ms, UTC]; None if there are none."""
        inside = [(code, max(start, 0), min(end, LATEST_MS)) for code, start, end in spans]
        bounds = {"start": min(start for _, start, _ in inside), "end": max(end for _, _, end in inside)}
        table = self._asker.ask(
            "state_windows", SYSTEM, None, level=level, spans=inside, position=max(before, 0), **bounds
        )
        if not table.num_rows:
            return None
        names = ("used", "estimated", "received", "due", "reason", "revision")
        columns: dict[str, Any] = {name: _labels(table, name) for name in ("enterprise", "point")}
        columns |= {name: _array(table, name) for name in names}
        columns |= {"period_start": _array(table, "period_start_s"), "known_at": _array(table, "known_at_s")}
        return Rows(f"window_{level}", columns)

    def days(self, before: int) -> dict[str, tuple[int, int]]:  # noqa: ARG002 - all days are said: more is allowed
        """Span of days [ms, UTC] of which each enterprise has totals."""
        table = self._asker.ask("state_total_days", SYSTEM).to_pylist()
        return {row["enterprise"]: (row["from_ms"], row["to_ms"]) for row in table}


def _labels(table: pa.Table, name: str) -> Labels:
    column = table.column(name).combine_chunks()
    if not isinstance(column, pa.DictionaryArray):
        column = column.dictionary_encode()
    return Labels(
        column.indices.to_numpy(zero_copy_only=False), tuple(map(str, column.dictionary.to_pylist()))
    )


def _array(table: pa.Table, name: str) -> npt.NDArray[np.generic]:
    found: npt.NDArray[np.generic] = table.column(name).combine_chunks().to_numpy(zero_copy_only=False)
    return found
