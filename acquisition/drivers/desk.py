"""What lines and their connections hand in, as they see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from acquisition.drivers.config import Meter
from schemas.messages import LinkEvent, Missed


class Desk(Protocol):
    """What a line hands in; all of one turn of the loop becomes durable together."""

    def row(self, meter: Meter, read_at_ms: int, values: Mapping[str, int]) -> None:
        """Take the values of a meter by point [ticks]."""

    def miss(self, missed: Missed) -> None:
        """Take due readings that are missing."""

    def tell(self, event: LinkEvent) -> None:
        """Take a change of a link."""

    def polled(self) -> None:
        """Count an exchange."""

    def put_state(self, name: str, value: str, since_ms: int) -> None:
        """Keep a state over restarts."""

    def state(self, name: str) -> tuple[str, int] | None:
        """Give a kept state."""
