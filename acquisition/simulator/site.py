"""What a fictitious plant is: its enterprise, its points with their loads and meters, and what went wrong in its past.

Forty of them make the province of the demonstration (`yunlan/*`): one TOML file per industry says how
such a plant works, `sites.csv` who they are and how large, `flaws.csv` what happened to which of them.
All figures and names are *ours*; nothing describes a real enterprise.
"""

from __future__ import annotations

import csv
import functools
import tomllib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import resources
from typing import Any

import msgspec

from acquisition.simulator.load import Load
from nengliu.domain.points import Enterprise, Kind

PLATE = 2.0
"""What the plate says is this often the load at full order, which noise and years of growth may exceed (ours)."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One point of a plant: what it is called, how it counts and how much it uses."""

    point: str
    name: str
    name_en: str
    kind: Kind
    item: str
    unit: str
    decimals: int
    level: int
    place: str
    load: Load | None = None
    sum_of: tuple[str, ...] = ()
    share: float = 1.0
    follows: str = ""
    meter: dict[str, int] | None = None

    @property
    def step(self) -> float:
        """Worth of one register step, or of one tick, in the unit of the point."""
        if self.meter is None:
            return float(10.0**-self.decimals)
        return float(self.meter["multiplier"] * 10.0 ** -self.meter["decimals"])

    @property
    def ticks_per_step(self) -> int:
        """Ticks of the point that one register step is worth; 1 without a register."""
        if self.meter is None:
            return 1
        return int(self.meter["multiplier"] * 10 ** (self.decimals - self.meter["decimals"]))


class FlawKind(StrEnum):
    """What happened to some points, or to all of a plant, in its past."""

    METER = "meter"  # their meters did not answer: readings are missing, registers go on
    LINE = "line"  # the line they hang on was cut: the same
    STOPPED = "stopped"  # the collector did not run: nothing was read
    HELD = "held"  # the collector was off line: its readings come later, all at once
    STUCK = "stuck"  # the registers stayed where they were, and were right again afterwards
    SHIFTED = "shifted"  # the registers showed `value` steps more (less), and were right again afterwards
    TWICE = "twice"  # the gateway repeated what they sent, `value` seconds later


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that went wrong, so many hours before the end of the history and for so long."""

    kind: FlawKind
    points: tuple[str, ...]
    before_end_h: float
    hours: float
    value: int = 0


@dataclass(frozen=True, slots=True)
class MeterChange:
    """A meter was changed: when, which share of that quarter-hour the old one saw, where the new one began."""

    point: str
    before_end_h: float
    spent: float
    first: int


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A plant without its story: there is one object of each, so it is compared and hashed as what it is.

    Parameters
    ----------
    slug
        Short name; the plant's collector is called so.
    number
        Makes its noise differ from that of the others.
    value_added, output_value
        Of one tonne of its product [10k CNY, comparable prices].
    """

    slug: str
    enterprise: Enterprise
    number: int
    channels: tuple[Channel, ...]
    value_added: float
    output_value: float
    flaws: tuple[Flaw, ...] = ()
    change: MeterChange | None = None

    def column(self, point: str) -> int:
        """Place of a point among the columns of its frames."""
        return self._places()[point]

    def channel(self, point: str) -> Channel:
        """Give one channel by its point."""
        return self.channels[self.column(point)]

    def _places(self) -> dict[str, int]:
        return {channel.point: column for column, channel in enumerate(self.channels)}


@functools.cache
def sites() -> tuple[Site, ...]:
    """All plants of the province; the first few are of different industries and cities."""
    growth = {row["region"]: float(row["growth"]) for row in rows_of("regions.csv") if row["growth"]}
    return tuple(_site(row, growth[row["region"]]) for row in rows_of("sites.csv"))


def first_site() -> Site:
    """The plant that the simulator serves when it is not told otherwise: the machine works."""
    return sites()[0]


def rows_of(name: str) -> Iterator[dict[str, str]]:
    """Read the rows of a CSV file of the province."""
    text = resources.files(__package__).joinpath("yunlan", name).read_text(encoding="utf-8")
    return iter(csv.DictReader(text.splitlines()))


@functools.cache
def _template(name: str) -> dict[str, Any]:
    text = resources.files(__package__).joinpath("yunlan", f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _site(row: dict[str, str], growth: float) -> Site:
    told = _template(row["template"])
    number = 0 if row["slug"] == "qinglan" else zlib.crc32(row["slug"].encode())
    scale, growth = float(row["scale"]), growth + float(row["growth_by"])
    channels = (msgspec.convert(channel, Channel) for channel in told["channels"])
    return Site(
        slug=row["slug"],
        enterprise=Enterprise(
            row["enterprise"], row["name"], row["name_en"], row["region"], told["industry"], simulated=True
        ),
        number=number,
        channels=tuple(_sized(channel, scale, growth, number) for channel in channels),
        value_added=told["value_added"],
        output_value=told["output_value"],
        flaws=tuple(_flaw(flaw) for flaw in rows_of("flaws.csv") if flaw["slug"] == row["slug"]),
        change=msgspec.convert(told["meter_change"], MeterChange) if "meter_change" in told else None,
    )


def _sized(channel: Channel, scale: float, growth: float, number: int) -> Channel:
    """Make a template's channel that of one plant: its size, its growth, where its register began."""
    if channel.load is not None:
        load = channel.load
        sizes = {name: getattr(load, name) * scale for name in ("base", "peak", "summer", "winter")}
        channel = replace(channel, load=replace(load, growth=growth, **sizes))
    if channel.meter is not None and "first" not in channel.meter:
        first = zlib.crc32(f"{number}/{channel.point}".encode()) % (channel.meter["modulus"] // 2)
        channel = replace(channel, meter=channel.meter | {"first": first})
    return channel


def _flaw(row: dict[str, str]) -> Flaw:
    points = tuple(filter(None, row["points"].split(";")))
    value = int(row["value"] or 0)
    return Flaw(FlawKind(row["kind"]), points, float(row["before_end_h"]), float(row["hours"]), value)


def rated(site: Site, channel: Channel) -> int:
    """Most that a counter can use in an hour, or that a power can be, by its plate [ticks]."""
    used = site.channel(channel.follows) if channel.follows else channel
    parts = [site.channel(name) for name in used.sum_of] or [used]
    most = sum(p.load.peak + max(p.load.summer, p.load.winter) for p in parts if p.load is not None)
    return round(PLATE * most / used.share * 10.0**channel.decimals)
