"""The way to the meters of one line, as its scheduler sees it."""

from __future__ import annotations

from typing import Protocol

from acquisition.codecs.exchange import Answer, Block


class Transport(Protocol):
    """One connection that answers one request at a time; whether it is worth a second try is the scheduler's to say."""

    async def connect(self) -> None:
        """Open the connection anew; LinkError LINE_DOWN if it cannot be had in time."""

    async def ask(self, address: str, block: Block) -> Answer:
        """Ask the meter at `address` for a block of its items.

        Raises
        ------
        LinkError
            TIMEOUT; LINE_DOWN (the connection is lost); MISMATCH (another meter or request was answered);
            DAMAGED; or the meter's own refusal: CONFIG, GATEWAY, REFUSED with its `code`.
        """

    async def close(self) -> None:
        """Let go of the connection; harmless if there is none."""
