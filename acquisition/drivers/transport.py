"""The way to the meters of one line, as its scheduler sees it."""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """One connection that answers one request at a time; it never asks twice by itself."""

    async def connect(self) -> None:
        """Open the connection anew; LinkError LINE_DOWN if it cannot be had in time."""

    async def read(self, unit: int, function: int, address: int, count: int) -> list[int]:
        """Read `count` words from `address` on, function 3 or 4.

        Raises
        ------
        LinkError
            TIMEOUT; LINE_DOWN (the connection is lost); MISMATCH (another meter or request was answered);
            DAMAGED; or the meter's own refusal: CONFIG, GATEWAY, REFUSED with its `code`.
        """

    async def close(self) -> None:
        """Let go of the connection; harmless if there is none."""
