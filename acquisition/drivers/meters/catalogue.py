"""What people are told of the shipped maps and of the items of meters: titles, sources, names, plausible ranges; data.

`items.csv` says of each item of a map what it is called, which kind and item of the catalogue a point of it has,
between which values a healthy meter shows it (empty: nothing can be said), and whether a proposal takes it.
Source: the ranges are ours: voltages from the secondary side of a transformer (57.7 V) to 400 V lines with
tolerance, frequencies of 50 and 60 Hz grids.
"""

from __future__ import annotations

import csv
import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from typing import Any

from nengliu.domain.points import Kind


@dataclass(frozen=True, slots=True)
class About:
    """Who made a map of what; `profile` are the habits of a CJ/T 188 meter that it says."""

    title: str
    source: str
    protocol: str
    verified: bool
    profile: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MeterItem:
    """An item that maps name.

    Parameters
    ----------
    kind, item
        Of a point that is fed by it.
    unit, low, high
        A healthy meter shows it between these; None: nothing can be said.
    taken
        Whether a proposal makes a point of it.
    """

    name: str
    zh: str
    en: str
    kind: Kind
    item: str
    unit: str
    low: Decimal | None
    high: Decimal | None
    taken: bool


@functools.cache
def about(name: str) -> About:
    """Tell about a shipped map."""
    text = resources.files("acquisition.drivers.meters").joinpath(f"maps/{name}.toml").read_text("utf-8")
    told = tomllib.loads(text)
    protocol, verified = told.get("protocol", "modbus"), told.get("verified", False)
    return About(told["title"], told["source"], protocol, verified, told.get("profile", {}))


@functools.cache
def meter_items() -> dict[str, MeterItem]:
    """Give the items that shipped maps name."""
    text = resources.files("acquisition.drivers.meters").joinpath("items.csv").read_text("utf-8")
    return {row["name"]: _item(row) for row in csv.DictReader(text.splitlines())}


def _item(row: dict[str, str]) -> MeterItem:
    low, high = (Decimal(row[name]) if row[name] else None for name in ("low", "high"))
    shared = row["name"], row["zh"], row["en"], Kind(row["kind"]), row["item"], row["unit"]
    return MeterItem(*shared, low, high, row["take"] == "yes")
