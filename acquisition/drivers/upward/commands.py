"""Reading by command: a centre asks for values, and always gets exactly one answer.

The values travel as a frame of origin COMMAND, the answer as the link event COMMAND_ANSWERED with
the name of the request and its outcome: ``ok`` (all values came), ``timeout`` (nobody answered in
time) or ``refused`` (by the meter, or because the centre may not ask for it).
Source: TC 4.3.3-5, 4.3.7-2; the outcomes are ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from acquisition.codecs.exchange import Answer
from acquisition.drivers.config import Meter
from acquisition.drivers.intake import Intake
from acquisition.drivers.lines.line import LineTask
from acquisition.drivers.plans import EVERYTHING, CentrePlan
from acquisition.drivers.upward.clock_source import kept_clock
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Origin, Reason
from nengliu.errors import LinkError
from schemas.messages import LinkEvent
from schemas.orders import CommandNotice

Place = tuple[str, str]
"""Line and meter."""
GRACE_MS = 2000
"""How much later than its deadline a line may answer before it counts as silent [ms]."""
LONGEST_TEXT = 1000
"""Characters of what an answer shows of its values; all of them are in the frame."""
LONGEST_NAME = 200
UNHEARD = frozenset(("TIMEOUT", "LINE_DOWN", "GATEWAY", "COLLECTOR_DOWN"))
"""Reasons for which a request counts as not answered in time; any other one is a refusal."""


@dataclass
class _Outcome:
    """What became of a request so far."""

    wanted: int
    got: list[str] = field(default_factory=list)
    trouble: LinkError | None = None
    refused: str = ""

    @property
    def word(self) -> str:
        if self.refused:
            return "refused"
        if self.trouble is None and len(self.got) == self.wanted:
            return "ok"
        return "timeout" if self.trouble is not None and self.trouble.reason in UNHEARD else "refused"


class Commands:
    """Answers the requests of one centre.

    Parameters
    ----------
    lines
        The lines of the collector, running.
    """

    def __init__(self, plan: CentrePlan, lines: Sequence[LineTask], desk: Intake) -> None:
        self._plan, self._desk, self._clock = plan, desk, desk.clock
        self._places: dict[Place, tuple[LineTask, Meter]] = {
            (line.line.name, device.meter.name): (line, device.meter)
            for line in lines
            for device in line.devices
        }
        self._of_point = {
            point: place for place, (_, meter) in self._places.items() for point in meter.points
        }

    async def answer(self, command: CommandNotice, *, first: bool) -> None:
        """Read what is asked for and say what came; a request of a name that was answered is passed over.

        Parameters
        ----------
        first
            Nothing of this centre was ever taken before: what is over already was answered by an earlier
            life, or is of no use to anybody.
        """
        name = command.request[:LONGEST_NAME]
        late = self._true_ms() >= command.deadline_s * 1000
        if self._desk.state(f"request/{name}") is not None or (late and first):
            return
        wanted = self._wanted(command)
        outcome = _Outcome(sum(map(len, wanted.values())))
        if not self._plan.commands:
            outcome.refused = "the centre may not ask for readings"
        elif not wanted:
            outcome.refused = "no meter or point of this name that the centre may ask for"
        elif late:
            outcome.trouble = LinkError("COLLECTOR_DOWN", "the request came too late")
        else:
            deadline_ms = command.deadline_s * 1000 - self._true_ms() + self._clock.now_ms()
            asking = (self._ask(place, points, deadline_ms) for place, points in wanted.items())
            found = await asyncio.gather(*asking)
            if self._desk.state(f"request/{name}") is not None:  # two centres asked under one name
                return
            for (place, points), answer in zip(wanted.items(), found, strict=True):
                self._hand_in(self._places[place][1], points, answer, outcome)
        self._tell(command, name, wanted, outcome)

    def _wanted(self, command: CommandNotice) -> dict[Place, tuple[str, ...]]:
        """Points that are asked for, by meter; nothing if one of them is not there or not for this centre."""
        everything = self._plan.points == EVERYTHING
        points = tuple(dict.fromkeys(command.points))
        if command.meter:
            points = tuple(p for p in self._points_of(command.meter) if everything or p in self._plan.points)
        found: dict[Place, tuple[str, ...]] = {}
        for point in points:
            if point not in self._of_point or not (everything or point in self._plan.points):
                return {}
            place = self._of_point[point]
            found[place] = (*found.get(place, ()), point)
        return found

    def _points_of(self, meter: str) -> tuple[str, ...]:
        """Points of a meter, ``line/meter`` or its name alone; none if two lines have one of that name."""
        fits = [place for place in self._places if meter in ("/".join(place), place[1])]
        return self._places[fits[0]][1].points if len(fits) == 1 else ()

    async def _ask(self, place: Place, points: Sequence[str], deadline_ms: int) -> Answer | LinkError:
        """Have a line ask a meter; a line that does not come back counts as silent."""
        line, meter = self._places[place]
        items = tuple(item.name for item, point in meter.items if point in points)
        answer = line.command(meter.name, items, deadline_ms)
        watch = asyncio.ensure_future(self._clock.sleep_until(deadline_ms + GRACE_MS))
        waiting: list[asyncio.Future[Any]] = [answer, watch]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watch.cancel()
        if answer.done():
            return answer.result()
        answer.cancel()
        return LinkError("TIMEOUT", "no answer in time", meter=meter.name)

    def _hand_in(
        self, meter: Meter, points: Sequence[str], answer: Answer | LinkError, outcome: _Outcome
    ) -> None:
        """Hand in the values of one meter, and note what is missing."""
        if isinstance(answer, LinkError):
            outcome.trouble = outcome.trouble or answer
            return
        asked = {item.name: point for item, point in meter.items if point in points}
        units = {column.point: column for column in meter.columns()}
        values = {point: ticks for point, ticks in meter.by_point(answer.values).items() if point in points}
        for point, ticks in values.items():
            shown = Decimal(ticks).scaleb(-units[point].decimals)
            outcome.got.append(f"{point}={shown:f} {units[point].unit}".rstrip())
        if len(values) < len(points):
            lost = next((answer.lost[name] for name in asked if name in answer.lost), None)
            outcome.trouble = outcome.trouble or lost or LinkError("NO_DATA", "the meter gave no value")
        if values:
            quality = {asked[name]: one for name, one in answer.quality.items() if name in asked}
            now_ms = self._clock.now_ms()
            self._desk.row(meter, now_ms, values, origin=Origin.COMMAND, quality=quality, raw=answer.raw)

    def _tell(self, command: CommandNotice, name: str, wanted: Collection[Place], outcome: _Outcome) -> None:
        now_ms = self._clock.now_ms()
        trouble = outcome.trouble
        parameters = dict(trouble.parameters) if trouble else {}
        parameters |= {
            "request": name,
            "outcome": outcome.word,
            "centre": self._plan.name,
            "by": command.by[:LONGEST_NAME],
            "asked": str(outcome.wanted),
            "came": str(len(outcome.got)),
            "values": _cut("; ".join(outcome.got)),
        }
        if outcome.refused:
            parameters["error"] = outcome.refused
        line, meter = "", ""
        if len(wanted) == 1:
            ((line, meter),) = wanted
        reason = Reason[trouble.reason] if trouble else Reason.NONE
        self._desk.tell(LinkEvent(now_ms, LinkKind.COMMAND_ANSWERED, line, meter, reason, 0, parameters))
        self._desk.put_state(f"request/{name}", outcome.word, now_ms)

    def _true_ms(self) -> int:
        """Give the time as the time server sees it, where one was asked [ms, UTC]."""
        kept = kept_clock(self._desk)
        return self._clock.now_ms() + (kept.offset_ms if kept else 0)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
