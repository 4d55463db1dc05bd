"""Messages that wait for their column list: held whole, and opened when the list is declared.

Who waits at a position is a function of the log before it, and of nothing else: what was held before this run is
asked of a loader once, released or not, as of where the run begins (law 7; docs/decisions/0023).
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

from nengliu.analysis.intake.rows import Held, Tally
from nengliu.bus import Record
from nengliu.domain.quality import Reason
from schemas.messages import MAX_BODY

WAIT_LIMIT = 1_000
"""Messages of one enterprise that may wait: a day of a collector that sends every minute and a half.  Ours."""
WAIT_ITEM = 2**32 - 1
"""Number of the row that holds the message itself, apart from those of its readings."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message as the log brought it, and the list it waits for."""

    record: Record
    schema: int


Loader = Callable[[int], list[Waiting]]
"""``loader(before_position)``: what waited as of a position, in order of the log."""


class WaitingRoom:
    """What waits in one shard."""

    def __init__(self, loader: Loader | None = None) -> None:
        """Start empty; the loader tells who waits from before this run."""
        self._loader = loader
        self._waiting: dict[str, list[Waiting]] | None = None

    def admit(self, record: Record, schema: int, before: int) -> bool:
        """Let a message wait; say whether there is room for it."""
        own = self._known(before).setdefault(record.key, [])
        size = sum(len(one.record.value) for one in own) + len(record.value)
        if len(own) >= WAIT_LIMIT or size > MAX_BODY:
            return False
        own.append(Waiting(record, schema))
        return True

    def release(self, enterprise: str, schema: int, before: int) -> list[Record]:
        """Let the messages go that waited for a list, in order of the log."""
        known = self._known(before)
        own = known.pop(enterprise, [])
        stay = [one for one in own if one.schema != schema]
        if stay:
            known[enterprise] = stay
        return [one.record for one in own if one.schema == schema]

    def _known(self, before: int) -> dict[str, list[Waiting]]:
        if self._waiting is None:
            self._waiting = {}
            for one in self._loader(before) if self._loader else ():
                self._waiting.setdefault(one.record.key, []).append(one)
        return self._waiting


def waiting_row(tally: Tally, schema: int, released: int = 0) -> Held:
    """What the quarantine keeps of a message that waits, or of one that was released at a position."""
    evidence = {"got": str(schema), "appended_at_s": str(tally.record.appended_at_s)}
    if released:
        evidence["released"] = str(released)
    reason = Reason.SCHEMA_CAME if released else Reason.UNKNOWN_SCHEMA
    payload = base64.b64encode(tally.record.value).decode()
    return Held(tally, WAIT_ITEM, reason, "", evidence, payload)
