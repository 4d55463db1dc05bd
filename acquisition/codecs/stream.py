"""Frames in a dirty stream: found again after preambles, echoes, garbage, cuts and glued neighbours.

A frame begins with 68H, tells its length in its header, and ends with the sum of its bytes and 16H.
A 68H may also stand in an address, in data or in noise.  So every 68H is a candidate; the one whose
whole frame ends first is taken, and a candidate that still waits for bytes (a cut frame) never holds
back a whole one that came after it.  What is found does not depend on how the bytes were cut.
Source: DL/T 645-2007 chapter 5, CJ/T 188-2004 chapter 6; rules of `protocols.md` 1.3.
"""

from __future__ import annotations

from collections.abc import Callable

START, END, WAKE = 0x68, 0x16, 0xFE

Bounds = Callable[[bytearray, int], int]
"""Where the frame that begins at a place ends, as far as its header is there; 0: none begins here."""


class FrameScanner:
    """Cuts whole frames out of what comes; memory bounded by the longest frame.

    Parameters
    ----------
    bounds
        What the protocol says of its header.  A header that is not all there ends beyond what is held.
    """

    __slots__ = ("_bounds", "_held", "noise")

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._held = bytearray()
        self.noise = 0
        """Bytes dropped so far that were neither a frame nor wake-up."""

    @property
    def pending(self) -> int:
        """Bytes held that may become a frame."""
        return len(self._held)

    def feed(self, data: bytes) -> list[bytes]:
        """Take what came, in pieces of any size; give the frames that ended in it, in the order of their ends."""
        held = self._held
        judged = len(held)
        held += data
        found: list[bytes] = []
        start = 0
        while True:
            begin, end = self._earliest(start, judged)
            if not end:
                break
            found.append(bytes(held[begin:end]))
            self._drop(start, begin)
            start = end
        self._drop(start, begin)
        del held[:begin]
        return found

    def _earliest(self, start: int, judged: int) -> tuple[int, int]:
        """Find the frame that ends first; without one, end 0 and the place from which bytes must be kept.

        What ended within the first `judged` bytes was judged when it ended, and was no frame.
        """
        held, size = self._held, len(self._held)
        begin, first_end, keep = 0, 0, size
        at = held.find(START, start)
        while at >= 0 and (not first_end or at < first_end):
            end = self._bounds(held, at)
            if end > size:
                keep = min(keep, at)
            elif end > judged and (not first_end or end < first_end) and _closes(held, at, end):
                begin, first_end = at, end
            at = held.find(START, at + 1)
        return (begin, first_end) if first_end else (keep, 0)

    def _drop(self, start: int, stop: int) -> None:
        self.noise += stop - start - self._held.count(WAKE, start, stop)


def _closes(held: bytearray, at: int, end: int) -> bool:
    """Whether a frame ends with its sum and 16H."""
    return held[end - 1] == END and sum(held[at : end - 2]) & 0xFF == held[end - 2]
