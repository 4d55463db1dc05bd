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
        self._seen_ms = 0
        self._newer, self._older, self._end = 0, depth + 1, depth + 1
        self._older_ms = 0
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
        self._begin()

    def next_back(self, now_ms: int) -> int | None:
        """Give how far back the newest missed hour is to be asked for, 1 the newest that is frozen; None: none is."""
        newest_ms = now_ms // HOUR_MS * HOUR_MS
        if newest_ms != self._seen_ms:  # what was number 1 is number 2 now
            self._seen_ms, self._end = newest_ms, self._depth + 1
            self._begin()
        oldest_ms = newest_ms - (self._depth - 1) * HOUR_MS
        self._hours = {hour_ms for hour_ms in self._hours if hour_ms >= oldest_ms}
        while self._hours:
            guess = (newest_ms - max(self._hours)) // HOUR_MS + 1 + self._shift
            if self._newer + 1 < self._older:
                return min(max(guess, self._newer + 1), self._older - 1)
            self._hours.remove(max(self._hours))  # its neighbours have met: it was not frozen
            self._go_on()
        return None

    def found(self, back: int, hour_ms: int) -> bool:
        """Take note that `back` is this hour; say whether it was missed."""
        wanted_ms = max(self._hours)
        self._shift += (hour_ms - wanted_ms) // HOUR_MS
        if hour_ms > wanted_ms:
            self._newer = max(self._newer, back)
        elif hour_ms < wanted_ms:
            self._older, self._older_ms = back, hour_ms
        if hour_ms not in self._hours:
            return False
        self._hours.remove(hour_ms)
        self.filled += 1
        if hour_ms == wanted_ms:
            self._newer = back
            self._go_on()
        return True

    def give_up_from(self, back: int) -> None:
        """Take note that the meter keeps nothing so far back, nor further."""
        self._end = min(self._end, back)
        self._older, self._older_ms = min(self._older, back), 0

    def text(self) -> str:
        """Write the hours as ranges, first and last of each."""
        ranges: list[tuple[int, int]] = []
        for hour_ms in sorted(self._hours):
            if ranges and hour_ms - ranges[-1][1] == HOUR_MS:
                ranges[-1] = ranges[-1][0], hour_ms
            else:
                ranges.append((hour_ms, hour_ms))
        return msgspec.json.encode(ranges).decode()

    def _begin(self) -> None:
        """Forget between which numbers the wanted hour must lie."""
        self._newer, self._older, self._older_ms = 0, self._end, 0

    def _go_on(self) -> None:
        """Go on to the next hour, which is older: what is newer than the one before is newer than it, too."""
        if self._hours and self._older_ms >= max(self._hours):
            self._older, self._older_ms = self._end, 0
