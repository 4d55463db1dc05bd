"""Hours of which a meter has not told its values: found in what it froze, later, one question at a time.

A meter numbers what it froze from the newest back, and skips the hours in which it had no power.
So the number of an hour is guessed from the clock, and corrected by the hour each answer bears.
Source: DL/T 645-2007 annex A (frozen data 05 04); protocols 5.2, 5.4.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from nengliu.domain.times import HOUR_MS

_ranges = msgspec.json.Decoder(list[tuple[int, int]])


class Gaps:
    """Missed hours of one meter.

    Parameters
    ----------
    depth
        How many hours the meter keeps.
    kept
        As `text` gave it before a restart.
    """

    def __init__(self, depth: int, kept: str = "") -> None:
        self._depth = depth
        self._hours: set[int] = set()
        for first_ms, last_ms in _ranges.decode(kept) if kept else ():
            self._hours |= set(range(first_ms, last_ms + 1, HOUR_MS))
        self._shift = 0
        self._tried: set[int] = set()
        self.filled = 0

    def __len__(self) -> int:
        """Count them."""
        return len(self._hours)

    def __contains__(self, hour_ms: int) -> bool:
        """Say whether it is one."""
        return hour_ms in self._hours

    def miss(self, slots: Iterable[int]) -> None:
        """Note the slots among these at which the meter froze its values."""
        hours = self._hours | {slot_ms for slot_ms in slots if slot_ms % HOUR_MS == 0}
        self._hours = set(sorted(hours)[-self._depth :])
        self._tried.clear()

    def next_back(self, now_ms: int) -> int | None:
        """Give how far back the newest missed hour is to be asked for, 1 the newest that is frozen; None: none is."""
        newest_ms = now_ms // HOUR_MS * HOUR_MS
        oldest_ms = newest_ms - (self._depth - 1) * HOUR_MS
        self._hours = {hour_ms for hour_ms in self._hours if hour_ms >= oldest_ms}
        while self._hours:
            back = (newest_ms - max(self._hours)) // HOUR_MS + 1 + self._shift
            if 1 <= back <= self._depth and back not in self._tried:
                return back
            self.give_up(max(self._hours))
        return None

    def found(self, back: int, hour_ms: int) -> bool:
        """Take note that `back` is this hour; say whether it was missed."""
        self._tried.add(back)
        wanted_ms = max(self._hours)
        self._shift += (hour_ms - wanted_ms) // HOUR_MS
        if hour_ms not in self._hours:
            return False
        self._hours.discard(hour_ms)
        self.filled += 1
        self._tried.clear()
        return True

    def give_up(self, hour_ms: int) -> None:
        """Let go of an hour that the meter does not have."""
        self._hours.discard(hour_ms)
        self._tried.clear()

    def give_up_older(self) -> None:
        """Let go of all that is left: the meter keeps nothing so old."""
        self._hours.clear()

    def text(self) -> str:
        """Write the hours as ranges, first and last of each."""
        ranges: list[tuple[int, int]] = []
        for hour_ms in sorted(self._hours):
            if ranges and hour_ms - ranges[-1][1] == HOUR_MS:
                ranges[-1] = ranges[-1][0], hour_ms
            else:
                ranges.append((hour_ms, hour_ms))
        return msgspec.json.encode(ranges).decode()
