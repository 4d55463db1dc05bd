"""Scenarios of the demonstration: faults of meters and of links, laid out from the start of its live part.

A scenario is a file of data beside the simulator (`acquisition/simulator/scenarios/*.toml`).  What befalls a meter or
a line goes to the simulator as faults; a collector that stands still is a process that the demonstration stops.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import resources
from typing import TYPE_CHECKING

import msgspec

from nengliu.cli.language import language, say
from nengliu.domain.times import CHINA

if TYPE_CHECKING:
    from acquisition.simulator.province import Province

SCENARIOS = ("watch", "calm", "flood")
_STOPPED = "stopped"
"""Kind of an event that befalls the collector itself."""


class Event(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One thing that happens: to a plant's collector, to one of its lines, or to a meter of it.

    Parameters
    ----------
    site
        Slug of the plant.
    kind
        Kind of a simulator's fault, or ``stopped``.
    cause
        Class of the incident that should come of it: link or meter.
    after_s, for_s
        When it begins after the start of the live part, and how long it lasts; 0: until the end [s].
    every_s
        It comes back so often, and `after_s` counts from the multiples of it in China's day; 0: never [s].
    zh, en
        What a visitor is told.
    """

    site: str
    kind: str
    cause: str
    zh: str
    en: str
    line: str = ""
    meter: str = ""
    value: int = 0
    after_s: int = 0
    for_s: int = 0
    every_s: int = 0


class _File(msgspec.Struct, forbid_unknown_fields=True):
    events: list[Event]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Events in order of time, relative to `start_ms` [ms, UTC], of the plants that are there."""

    events: tuple[Event, ...]
    start_ms: int = 0
    sites: frozenset[str] = field(default_factory=frozenset)

    def laid(self, province: Province, start_ms: int) -> Scenario:
        """Lay the scenario out from an instant [ms, UTC], without what befalls plants that are not there."""
        sites = frozenset(plant.site.slug for plant in province.plants)
        there = tuple(event for event in self.events if event.site in sites)
        return replace(self, events=there, start_ms=start_ms, sites=sites)

    def faults_text(self) -> str:
        """Write the faults for the simulator, as TOML."""
        return "\n".join(self._fault(event) for event in self.events if event.kind != _STOPPED)

    def stopped(self) -> tuple[str, ...]:
        """Slugs of the plants whose collectors stand still at times."""
        return tuple(dict.fromkeys(event.site for event in self.events if event.kind == _STOPPED))

    def collectors(self, now_ms: int) -> dict[str, bool]:
        """Say of each such collector whether it stands still at an instant [ms, UTC]."""
        after_s = (now_ms - self.start_ms) / 1000
        found = dict.fromkeys(self.stopped(), False)
        for event in self.events:
            if event.kind == _STOPPED:
                found[event.site] |= event.after_s <= after_s < event.after_s + event.for_s
        return found

    def timeline(self, province: Province) -> Iterator[str]:
        """Tell when what happens where, in the reader's language."""
        names = {plant.site.slug: plant.enterprise for plant in province.plants}
        for event in self.events:
            who = names[event.site]
            name, what = (who.name, event.zh) if language() == "zh" else (who.name_en, event.en)
            yield say(
                f"demo.{event.cause}",
                at=time_of_day(self._start(event)),
                until=say("demo.until", at=time_of_day(self._start(event) + event.for_s * 1000))
                if event.for_s
                else "",
                name=name,
                what=what,
            ).rstrip()

    def _start(self, event: Event) -> int:
        """When an event begins [ms, UTC]."""
        every_ms = event.every_s * 1000
        start_ms = self.start_ms // every_ms * every_ms if every_ms else self.start_ms
        return start_ms + event.after_s * 1000

    def _fault(self, event: Event) -> str:
        line = f"{event.site}/{event.line}" if len(self.sites) > 1 else event.line
        from_ms = self._start(event)
        rows: dict[str, object] = {"kind": event.kind, "line": line, "meter": event.meter, "from_ms": from_ms}
        if event.value:
            rows["value"] = event.value
        if event.every_s:
            rows |= {"every_s": event.every_s, "for_s": event.for_s}
        elif event.for_s:
            rows["to_ms"] = from_ms + event.for_s * 1000
        return "\n".join(["[[faults]]", *(f"{key} = {json.dumps(value)}" for key, value in rows.items()), ""])


def load_scenario(name: str) -> Scenario:
    """Read a scenario by its name."""
    text = (
        resources.files("acquisition.simulator")
        .joinpath("scenarios", f"{name}.toml")
        .read_text(encoding="utf-8")
    )
    events = msgspec.convert(tomllib.loads(text), _File).events
    return Scenario(tuple(sorted(events, key=lambda event: event.after_s)))


def time_of_day(at_ms: int) -> str:
    """Give the time of day in China, as the pages do.

    >>> time_of_day(0)
    '08:00:00'
    """
    return f"{datetime.fromtimestamp(at_ms / 1000, CHINA):%H:%M:%S}"
