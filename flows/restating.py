"""What a restatement asks of the store: the points of some items in a partition, and their rows month by month."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from nengliu.analysis.named_rows import Pair
from nengliu.analysis.rollups.restate import DAY, MONTH, About, Change, Stored
from nengliu.domain.points import Seat
from nengliu.domain.scope import SYSTEM
from nengliu.domain.times import Level, next_period_ms
from nengliu.storage import Asker
from schemas.block import Labels, Rows

POINTS = 2_000
"""Points whose month is restated at once: some 60,000 rows."""


class RestateLoader:
    """Stored rows of one partition of the log (see `nengliu.analysis.rollups.restate.Loader`)."""

    def __init__(self, asker: Asker, partition: int, partitions: int) -> None:
        """Ask nothing yet."""
        self._asker, self._partition, self._partitions = asker, partition, partitions
        self._about: dict[Pair, About] = {}

    def months(self, changed: Sequence[Change], before: int) -> Iterable[int]:
        """Starts of the months in which points of the changed items have days that a change speaks of."""
        items = sorted({change.item for change in changed})
        self._about = self._points(items, before)
        if not self._about:
            return []
        start = max(min(change.from_ms for change in changed), 0)
        table = self._asker.ask("state_restate_months", SYSTEM, points=[*self._about], from_ms=start)
        found = np.array(table["month_ms"].to_pylist(), np.int64)
        ends = next_period_ms(Level.MONTH, found)
        spoken = np.zeros(len(found), bool)
        for change in changed:
            spoken |= (found < change.to_ms) & (ends > change.from_ms)
        return [int(month) for month in found[spoken]]

    def load(self, items: Sequence[str], month_ms: int, before: int) -> Iterator[Stored]:
        """Rows of one month, some points at a time."""
        pairs = [pair for pair, what in self._about.items() if what.item in items]
        for first in range(0, len(pairs), POINTS):
            some = pairs[first : first + POINTS]
            wanted: dict[str, Any] = {"points": some, "from_ms": month_ms}
            days = self._asker.ask("state_restate_days", SYSTEM, position=before, **wanted)
            if days.num_rows:
                months = self._asker.ask("state_restate_rows", SYSTEM, **wanted)
                about = {pair: self._about[pair] for pair in some}
                yield Stored(rows_of(DAY, days), rows_of(MONTH, months), about)

    def item(self, pair: Pair) -> str:
        """Item of a point that was found."""
        return self._about[pair].item

    def _points(self, items: list[str], before: int) -> dict[Pair, About]:
        where: dict[str, Any] = {"partition": self._partition, "partitions": self._partitions}
        table = self._asker.ask("state_restate_points", SYSTEM, items=items, position=before, **where)
        return {(row["enterprise"], row["point"]): _about(row) for row in table.to_pylist()}


def _about(row: dict[str, Any]) -> About:
    stays = msgspec.json.decode(row["stays"] or "[]", type=tuple[Seat, ...])
    return About(row["item"], row["region"], stays)


def rows_of(table: str, answer: pa.Table) -> Rows:
    """Give an answer as rows of a table, texts by codes and dictionary."""
    return Rows(table, {name: _column(answer.column(name)) for name in answer.column_names})


def _column(column: Any) -> Any:
    whole = column.combine_chunks()
    if pa.types.is_string(whole.type):
        whole = whole.dictionary_encode()
    if isinstance(whole, pa.DictionaryArray):
        codes = whole.indices.to_numpy(zero_copy_only=False).astype(np.int32)
        return Labels(codes, tuple(str(text) for text in whole.dictionary.to_pylist()))
    return whole.to_numpy(zero_copy_only=False)
