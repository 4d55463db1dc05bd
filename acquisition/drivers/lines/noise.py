"""Noise: answers of several meters damaged in one round are the line's fault, not theirs."""

from __future__ import annotations

from acquisition.drivers.clock import Clock
from acquisition.drivers.desk import Desk
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Reason
from schemas.messages import LinkEvent

SEVERAL = 2
"""So many damaged meters make a noisy line: one may be damaged by itself."""


class Noise:
    """Whether a line is noisy, told when it begins and ends."""

    def __init__(self, line: str, clock: Clock, desk: Desk) -> None:
        self._line, self._clock, self._desk = line, clock, desk
        kept = desk.state(f"noise/{line}")
        self._since_ms = kept[1] if kept else 0

    def judge(self, damaged: int, answered: int) -> None:
        """Take note of a round: how many meters' answers were damaged, and how many meters answered."""
        is_noisy = damaged >= SEVERAL
        is_clear = damaged == 0 and answered >= SEVERAL
        if is_noisy and not self._since_ms:
            self._turn(LinkKind.LINE_NOISY, {"damaged": str(damaged)}, self._clock.now_ms())
        elif is_clear and self._since_ms:
            self._turn(LinkKind.LINE_CLEAR, {}, 0)

    def _turn(self, kind: LinkKind, parameters: dict[str, str], since_ms: int) -> None:
        before_ms, self._since_ms = self._since_ms, since_ms
        self._desk.put_state(f"noise/{self._line}", "", since_ms)
        reason = Reason.DAMAGED if kind is LinkKind.LINE_NOISY else Reason.NONE
        self._desk.tell(LinkEvent(self._clock.now_ms(), kind, self._line, "", reason, before_ms, parameters))
