"""A feed: a source whose rows bear stamps of their own, and the state of the way to it.

A feed hands in rows and its own memory in the same turn of the loop, so that they become
durable together: after a crash it goes on where its rows end, and nothing is handed in twice.
The way to it has the states of a line, the source those of a meter that was not heard.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np

from acquisition.drivers.clock import Clock
from acquisition.drivers.desk import Desk
from acquisition.drivers.lines.states import LineLink, MeterLink, State, line_connected, line_refused
from acquisition.drivers.sources.plans import FeedPlan
from acquisition.files.rows import Readings, Understood, join
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Origin, Quality, Reason
from nengliu.errors import LinkError
from schemas.messages import LinkEvent, RejectedRow

SHOWN = 200
"""Characters of what a database or broker said that go into an event."""
_line_link = msgspec.json.Decoder(LineLink)
_meter_link = msgspec.json.Decoder(MeterLink)


class FeedDesk(Desk, Protocol):
    """What a feed hands in; all of one turn of the loop becomes durable together."""

    def reject(self, source: str, rows: Sequence[RejectedRow]) -> None:
        """Take what could not become a reading: it goes into the quarantine with its reason."""

    async def durable(self) -> None:
        """Return when all that was handed in is on the disk."""


class Feed(Protocol):
    """A source that comes by itself, or is looked at by its own rules."""

    @property
    def name(self) -> str:
        """Its name."""

    async def run(self, desk: FeedDesk) -> None:
        """Hand in what comes, for ever: until cancelled."""

    async def sample(self, desk: FeedDesk, within_s: float) -> None:
        """Hand in a first piece of what there is, for the eye, and leave the source as it is.

        Raises
        ------
        LinkError, InputError
            The source cannot be had, or is not as its map says.
        """


@dataclass(frozen=True, slots=True)
class Source:
    """What the rows of a feed belong to: the column list `schema` with its `points`."""

    name: str
    schema: int
    points: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Values of one instant by point [ticks], and those of them that are not simply good."""

    at_ms: int
    values: dict[str, int]
    quality: dict[str, Quality]

    def hand_in(self, desk: Desk, source: Source, origin: Origin) -> None:
        """Give it to the collector."""
        desk.row(source, self.at_ms, self.values, origin=origin, quality=self.quality or None)


def rows_of(readings: Readings, points: tuple[str, ...]) -> Iterator[Row]:
    """Join readings of one instant to rows; of two values for one point and instant the later comes later."""
    order = np.argsort(readings.read_at_ms, kind="stable")
    row: Row | None = None
    for i in order.tolist():
        at_ms, point = int(readings.read_at_ms[i]), points[int(readings.column[i])]
        if row is None or row.at_ms != at_ms or point in row.values:
            if row is not None:
                yield row
            row = Row(at_ms, {}, {})
        row.values[point] = int(readings.values[i])
        if readings.quality[i]:
            row.quality[point] = Quality(int(readings.quality[i]))
    if row is not None:
        yield row


def keep_last(desk: Desk, name: str, rows: Sequence[Row]) -> None:
    """Keep the newest stamp of rows that a feed handed in together, for those who look at its state."""
    if rows:
        desk.put_state(f"last/{name}", "", max(row.at_ms for row in rows))


def hand_in(desk: FeedDesk, plan: FeedPlan, source: Source, parts: Sequence[Understood]) -> None:
    """Hand in what was understood, and what was not."""
    rows = list(rows_of(join([part.readings for part in parts]), plan.points))
    for row in rows:
        row.hand_in(desk, source, plan.origin)
    keep_last(desk, plan.name, rows)
    rejected = tuple(one for part in parts for one in part.rejected)
    if rejected:
        desk.reject(plan.name, rejected)


class FeedLink:
    """The state of the way to a source, and of the source itself.

    Parameters
    ----------
    silent_s
        A source that gives nothing for so long counts as down [s]; 0: it may be silent.
    """

    def __init__(self, name: str, clock: Clock, desk: Desk, silent_s: int) -> None:
        self.name, self._clock, self._desk, self._silent_ms = name, clock, desk, silent_s * 1000
        kept = desk.state(f"line/{name}")
        self.link = _line_link.decode(kept[0]) if kept else LineLink()
        kept = desk.state(f"meter/{name}/{name}")
        self.source = _meter_link.decode(kept[0]) if kept else MeterLink()
        self._heard_ms = clock.steady_ms()

    @property
    def retry_ms(self) -> int:
        """Pause before the next try after so many failures [ms]; 0 if it is up."""
        return self.link.retry_ms - self._clock.now_ms() if self.link.state is State.DOWN else 0

    def up(self) -> None:
        """Note that the source can be reached."""
        self._turn(*line_connected(self.link, self._clock.now_ms()), {}, Reason.NONE)

    def down(self, error: LinkError) -> None:
        """Note that it cannot."""
        told = {"line": self.name, "got": str(error.parameters.get("got", error))[:SHOWN]}
        self._turn(*line_refused(self.link, self._clock.now_ms()), told, Reason.LINE_DOWN)
        self._heard_ms = self._clock.steady_ms()  # while the way is down, its silence says nothing

    def heard(self) -> None:
        """Note that the source gave something."""
        self._heard_ms = self._clock.steady_ms()
        if self._silent_ms and self.source.state is not State.UP:
            self._turn_source(State.UP, LinkKind.METER_UP, Reason.NONE, {})

    def watch(self) -> None:
        """Look whether the source has been silent for too long."""
        silent = self._clock.steady_ms() - self._heard_ms >= self._silent_ms
        if self._silent_ms and silent and self.source.state is not State.DOWN:
            self._turn_source(State.DOWN, LinkKind.METER_DOWN, Reason.TIMEOUT, {"meter": self.name})

    def _turn(self, link: LineLink, kind: LinkKind | None, told: dict[str, str], reason: Reason) -> None:
        before, self.link = self.link, link
        if link != before:
            self._desk.put_state(f"line/{self.name}", msgspec.json.encode(link).decode(), link.since_ms)
        if kind is not None:
            now_ms = self._clock.now_ms()
            self._desk.tell(LinkEvent(now_ms, kind, self.name, "", reason, before.since_ms, told))

    def _turn_source(self, state: State, kind: LinkKind, reason: Reason, told: dict[str, str]) -> None:
        now_ms, before = self._clock.now_ms(), self.source
        self.source = MeterLink(state, now_ms, reason.name if reason else "", told)
        name = f"meter/{self.name}/{self.name}"
        self._desk.put_state(name, msgspec.json.encode(self.source).decode(), now_ms)
        self._desk.tell(LinkEvent(now_ms, kind, self.name, self.name, reason, before.since_ms, told))


async def look_for_ever(
    look: Callable[[], Awaitable[bool]], link: FeedLink, clock: Clock, every_s: int
) -> None:
    """Look at a source every so often, and less often while it cannot be reached.

    Parameters
    ----------
    look
        Hands in what is new and says whether there was anything; LinkError if the source cannot be had.
    """
    while True:
        try:
            heard = await look()
        except LinkError as error:
            link.down(error)
        else:
            link.up()
            if heard:
                link.heard()
        link.watch()
        await clock.sleep_until(clock.now_ms() + max(every_s * 1000, link.retry_ms))
