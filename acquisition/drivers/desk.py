"""What lines and their connections hand in, as they see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from nengliu.domain.quality import Origin, Quality
from schemas.messages import LinkEvent, Missed


class Columns(Protocol):
    """What a row belongs to: a meter, or a feed; `schema` is the column list of its `points`."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def schema(self) -> int:
        """Number of its column list."""

    @property
    def points(self) -> tuple[str, ...]:
        """Points it feeds, in the order of the columns."""


class Desk(Protocol):
    """What a line hands in; all of one turn of the loop becomes durable together."""

    def row(
        self,
        meter: Columns,
        read_at_ms: int,
        values: Mapping[str, int],
        *,
        origin: Origin = Origin.TIMED,
        quality: Mapping[str, Quality] | None = None,
        raw: bytes = b"",
    ) -> None:
        """Take the values of a meter by point [ticks]; `quality` holds what is not good, `raw` the answers."""

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
