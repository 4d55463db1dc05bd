"""How often a carrier is to be read at least, and which points of a configuration are read more seldom.

The floors are data (`sampling_floors.csv`): by item of the point, or by its unit where the item does
not say what it is.  Source: TC 4.3.6.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from importlib import resources

from acquisition.drivers.config import CollectorConfig
from nengliu.domain.points import Point

HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Floor:
    """A least number of readings an hour, and what it holds for."""

    clause: str
    per_hour: int
    items: tuple[str, ...]
    units: tuple[str, ...]
    zh: str
    en: str

    def holds_for(self, point: Point) -> bool:
        """Say whether it speaks of a point."""
        return point.item in self.items and (not self.units or point.unit in self.units)


@dataclass(frozen=True, slots=True)
class Seldom:
    """A point that is read more seldom than its carrier wants."""

    line: str
    meter: str
    point: Point
    interval_s: int
    floor: Floor


@functools.cache
def floors() -> tuple[Floor, ...]:
    """Read the floors."""
    text = resources.files("acquisition.drivers.lines").joinpath("sampling_floors.csv").read_text("utf-8")
    return tuple(
        Floor(
            row["clause"],
            int(row["per_hour"]),
            tuple(row["items"].split()),
            tuple(row["units"].split()),
            row["zh"],
            row["en"],
        )
        for row in csv.DictReader(text.splitlines())
    )


def too_seldom(config: CollectorConfig) -> list[Seldom]:
    """Find the points of the configuration that are read more seldom than their carrier wants.

    A point that this configuration does not introduce has an item we do not know: nothing is said of it.
    """
    known = {point.point: point for point in config.points}
    found = []
    for line in config.lines:
        for meter in line.meters:
            for name in meter.points:
                point = known.get(name)
                for floor in floors() if point is not None else ():
                    if (
                        point is not None
                        and floor.holds_for(point)
                        and meter.interval_s * floor.per_hour > HOUR_S
                    ):
                        found.append(Seldom(line.name, meter.name, point, meter.interval_s, floor))
    return found
