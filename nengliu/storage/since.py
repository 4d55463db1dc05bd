"""What points had said from an instant on, and last before it, as of a position of the log."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nengliu.domain.scope import SYSTEM, Scope

Ints = npt.NDArray[np.int64]
Points = list[tuple[str, str]]

LOOKBACKS_MS = (7_200_000, 172_800_000, 0)
"""How far back the last reading before is looked for [ms], step by step: a point that speaks has it in the first, and
only for one that fell silent everything is looked through (0)."""


class Asks(Protocol):
    """Who answers named questions: `nengliu.storage.Asker`."""

    def ask(self, name: str, scope: Scope, **parameters: Any) -> pa.Table:
        """Answer a question."""


def readings_since(store: Asks, points: Points, from_ms: Ints, position: int) -> pa.Table:
    """Readings of each point from its instant on and the last before it, losers included, in no order.

    Parameters
    ----------
    from_ms : int64 (n,)
        An instant for each point [ms, UTC].
    position
        Only what was accepted below it.

    Notes
    -----
    Points that were silent for long are asked for by themselves: in the question of all the others their last
    reading would have the whole time between read for every point.
    """
    since, near = _since(store, points, from_ms, position)
    told = {"position": position}
    parts = [
        store.ask("state_readings", SYSTEM, points=[points[i] for i in some], from_ms=since[some], **told)
        for some in (np.flatnonzero(near), np.flatnonzero(~near))
        if len(some)
    ]
    return pa.concat_tables(parts).unify_dictionaries() if parts else pa.table({})


def _since(store: Asks, points: Points, from_ms: Ints, position: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Time of the last reading before each instant, or the instant; and which were found without going far back."""
    since, near = from_ms.copy(), np.ones(len(points), bool)
    missing = np.arange(len(points))
    for lookback_ms in LOOKBACKS_MS:
        if not len(missing):
            break
        asked = {"points": [points[i] for i in missing], "before_ms": from_ms[missing], "position": position}
        table = store.ask("state_last", SYSTEM, **asked, lookback_ms=lookback_ms)
        names = zip(table["enterprise"].to_pylist(), table["point"].to_pylist(), strict=True)
        last = dict(zip(names, table["read_at_ms"].to_numpy().tolist(), strict=True))
        found = np.array([points[i] in last for i in missing])
        since[missing[found]] = np.array([last[points[i]] for i in missing[found]], np.int64)
        near[missing[found]] = lookback_ms > 0
        missing = missing[~found]
    return since, near
