"""Backward clock steps: the order of rows proves the true time, or the row is rejected.

Some files write the row for 24:00 with the old date and 0:00, so the clock steps back
once a day.  A backward row is *repaired* to the previous row's time plus one interval
only if

- the row directly before it was accepted, and
- the row directly after it reads exactly one interval later than the repaired time; or,
  at the end of the file, it reads the right time of day but one day early, after at
  least two rows at regular steps.

Anything else (irregular neighbours, several backward rows at once, an unsorted file) is
not proof and is rejected.  A row that alone runs ahead, while its neighbours are on
schedule without it, is the wrong one and is rejected in their stead.  Pure functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from acquisition.files.stamps import NAT
from nengliu.domain.times import DAY_MS

Int64s = npt.NDArray[np.int64]
SETTLED_RUN = 2
"""Regular steps before the last row of a file that make its repair certain."""


class Verdict(IntEnum):
    """What becomes of a row's stamp."""

    KEPT = 0
    REPAIRED = 1
    REJECTED = 2


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of the rows so far.

    Parameters
    ----------
    last_ms
        True time of the last accepted row, `NAT` before the first.
    adjacent
        That row is the one directly before the next.
    run
        Regular steps that end at it, counted up to `SETTLED_RUN`.
    """

    last_ms: int = NAT
    adjacent: bool = False
    run: int = 0


@dataclass(frozen=True, slots=True)
class Settled:
    """True times [ms] and verdicts of the rows decided on, and what to remember."""

    at_ms: Int64s
    verdict: npt.NDArray[np.uint8]
    memory: Memory


def settle(stamps: Int64s, interval_ms: int, memory: Memory, *, repair: bool, ended: bool) -> Settled:
    """Decide on the stamps of one series in row order, all but the last unless the series has `ended`.

    The last one waits for the row after it: give it again, first, with the next rows.

    Parameters
    ----------
    stamps : int64 (n,)
        As read [ms, UTC]; `NAT` where a row has none.

    >>> quarter = 900_000
    >>> stamps = np.array([94, 95, 0, 97]) * quarter  # 23:30, 23:45, "0:00" of the old day, 0:15
    >>> settled = settle(stamps, quarter, Memory(), repair=True, ended=True)
    >>> (settled.at_ms // quarter).tolist(), settled.verdict.tolist()
    ([94, 95, 96, 97], [0, 0, 1, 0])
    """
    n = len(stamps)
    decided = n if ended else max(n - 1, 0)
    if _in_order(stamps, memory):
        return _all_kept(stamps, decided, interval_ms, memory)
    at_ms, verdict = stamps[:decided].copy(), np.zeros(decided, np.uint8)
    times = stamps.tolist()
    for i in range(decided):
        following = times[i + 1] if i + 1 < n else None
        found, when = _judge(times[i], following, interval_ms, memory, repair)
        at_ms[i], verdict[i] = when, found
        memory = _remember(memory, found, when, interval_ms)
    return Settled(at_ms, verdict, memory)


def _in_order(stamps: Int64s, memory: Memory) -> bool:
    if not len(stamps) or (stamps == NAT).any():
        return False
    return bool(stamps[0] >= memory.last_ms and (np.diff(stamps) >= 0).all())


def _all_kept(stamps: Int64s, decided: int, interval_ms: int, memory: Memory) -> Settled:
    seen = SETTLED_RUN + 1
    if decided > seen:
        memory = Memory()
    for when in stamps[max(decided - seen, 0) : decided].tolist():
        memory = _remember(memory, Verdict.KEPT, when, interval_ms)
    return Settled(stamps[:decided], np.zeros(decided, np.uint8), memory)


def _judge(
    stamp: int, following: int | None, interval_ms: int, memory: Memory, repair: bool
) -> tuple[Verdict, int]:
    due = memory.last_ms + interval_ms
    if stamp == NAT:
        return Verdict.REJECTED, NAT
    if memory.last_ms == NAT or stamp >= memory.last_ms:
        alone = memory.adjacent and interval_ms > 0 and following is not None and due <= following < stamp
        if alone and stamp != due and following in (due, due + interval_ms):
            return Verdict.REJECTED, stamp
        return Verdict.KEPT, stamp
    if not (repair and interval_ms > 0 and memory.adjacent):
        return Verdict.REJECTED, stamp
    if following is None:
        proven = due - stamp == DAY_MS and memory.run >= SETTLED_RUN
    else:
        proven = following == due + interval_ms
    return (Verdict.REPAIRED, due) if proven else (Verdict.REJECTED, stamp)


def _remember(memory: Memory, found: Verdict, when: int, interval_ms: int) -> Memory:
    if found is Verdict.REJECTED:
        return Memory(memory.last_ms, False, 0)
    regular = memory.adjacent and when - memory.last_ms == interval_ms
    return Memory(when, True, min(memory.run + 1, SETTLED_RUN) if regular else 0)
