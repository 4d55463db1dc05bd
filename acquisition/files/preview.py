"""Looking at a file through its map without publishing anything."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from acquisition.files.mapping import Map
from acquisition.files.rows import Counts, Interpreter, Readings, interpret, join
from acquisition.files.tables import open_table
from schemas.messages import RejectedRow


@dataclass(frozen=True, slots=True)
class Preview:
    """The first readings and rejected values, and the counts of the whole file."""

    readings: Readings
    rejected: list[RejectedRow]
    counts: Counts


def preview(
    path: Path,
    plan: Map,
    show: int = 10,
    *,
    future_s: int = 300,
    on_progress: Callable[[str, int], None] | None = None,
    on_rejected: Callable[[list[RejectedRow]], None] | None = None,
) -> Preview:
    """Read a whole file as its map says and keep the first `show` readings and rejected values.

    Raises
    ------
    InputError
        The file is no table, or lacks a column.
    """
    first: list[Readings] = []
    rejected: list[RejectedRow] = []
    interpreter, kept = Interpreter(plan, int(time.time()), future_s), 0
    with closing(open_table(path, plan)) as table:
        for part in interpret(table.chunks(plan.columns()), interpreter):
            if kept < show:
                first.append(part.readings.take(slice(show - kept)))
                kept += len(first[-1])
            rejected += part.rejected[: max(0, show - len(rejected))]
            if on_rejected:
                on_rejected(part.rejected)
            if on_progress:
                on_progress("rows", table.position())
    return Preview(join(first), rejected, interpreter.counts)
