"""collector.toml as a scan proposes it: the line, its meters, and a point for each value that matters.

Names and places are for a person to correct; ids, units, multipliers of 1 and intervals work as they
stand.  A point is in its item's unit, with as many decimals as keep the register's last digit.
Source: TC 4.3.6 (the interval of 15 minutes keeps every floor but that of temperatures); the rest is ours.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from typing import Any

from acquisition.codecs.exchange import Item
from acquisition.codecs.fields import Field
from acquisition.codecs.fields import Kind as FieldKind
from acquisition.drivers.meters.catalogue import MeterItem, about, meter_items
from acquisition.drivers.meters.meter_maps import shipped_maps
from acquisition.drivers.scanning.fitting import Fit
from acquisition.drivers.scanning.habits import PROTOCOL as CJT188
from acquisition.drivers.scanning.habits import detected_of, own_text
from acquisition.drivers.scanning.scan import Found, Report
from acquisition.drivers.scanning.writing import pairs, point_lines, text_of
from nengliu.domain.points import Kind, Meter, Point
from nengliu.domain.units import factor

INTERVAL_S = 900
MOST_DECIMALS = 12
WATER_UNIT = "t"
"""Water is counted by the tonne; a cubic metre of it counts as one."""
PREFIXES = {"modbus": "unit", "dlt645-2007": "meter", "dlt645-1997": "meter"}
NOT_ENERGY = ("07", "04")
"""Classes of items that are no energy and no medium: operating values, products."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose points they are, and how often they are due."""

    enterprise: str
    interval_s: int


@dataclass(frozen=True, slots=True)
class Proposed:
    """A meter as it is proposed: its name, the fit by which it is read, and its points by item."""

    name: str
    found: Found
    fit: Fit
    interval_s: int
    points: dict[str, Point]


def propose(report: Report, enterprise: str, interval_s: int = INTERVAL_S) -> list[Proposed]:
    """Give each meter that a map fits a name, and its values points, due every `interval_s` [s]."""
    proposed: list[Proposed] = []
    for found in report.meters:
        if found.fits:
            taken = {one.name for one in proposed}
            proposed.append(_proposed(found, Asked(enterprise, interval_s), taken))
    return proposed


def config_text(report: Report, proposed: Sequence[Proposed], name: str, enterprise: str) -> str:
    """Write collector.toml for the meters of one line."""
    lines = [
        "# Proposed by a scan: compare `nengliu collect --once` with the meters' displays; correct names and places;",
        "# give what crosses the boundary of the enterprise `metering_level = 1`: only that counts in its total.",
        *pairs({"name": name}),
        "",
        "[enterprise]  # with a name, region and industry the collector introduces the enterprise",
        *pairs({"enterprise": enterprise}),
    ]
    for one in proposed:
        for item, point in one.points.items():
            lines += point_lines(point, f"{item} of {one.name}")
    lines += ["", "[[lines]]", *pairs(_line(report, name))]
    for number, one in enumerate(proposed, 1):
        lines += _meter_lines(one, number)
    for found in report.meters:
        if not found.fits:
            lines += ["", f"# {found.met.protocol} {found.met.address} answered; no shipped map fits it"]
    return text_of(lines)


def own_maps(proposed: Iterable[Proposed]) -> dict[str, str]:
    """Give the files of maps that belong beside collector.toml, because no shipped one has the meter's habits."""
    found: dict[str, str] = {}
    for one in proposed:
        detected = detected_of([one.fit])
        if one.fit.map.name not in shipped_maps() and detected is not None:
            found[one.fit.map.name] = own_text(detected)
    return found


def _line(report: Report, name: str) -> dict[str, Any]:
    way, setting = report.way, report.setting
    table = {"name": f"{name}-1", "kind": way.kind, "host": way.host, "port": way.port or None}
    if way.kind != "modbus-tcp" and setting is not None:
        table |= {"device": way.device, "baud": setting.baud}
        table |= {"parity": setting.parity} if way.kind == "serial" else {}
    return table


def _proposed(found: Found, asked: Asked, taken: set[str]) -> Proposed:
    fit = found.fits[0]
    digits = found.met.address.lstrip("0") or "0"
    name = f"{_prefix(fit)}-{digits}"
    while name in taken:
        name += "b"
    points = {}
    for item in fit.map.items:
        told = _told(fit, item.name)
        if told is not None and told.taken and item.name in fit.values:
            points[item.name] = _point(asked, name, digits, item, told)
    return Proposed(name, found, fit, asked.interval_s, points)


def _prefix(fit: Fit) -> str:
    return PREFIXES.get(fit.map.protocol) or _layout(fit)


def _layout(fit: Fit) -> str:
    """Say what a CJ/T 188 meter counts: water, heat or gas."""
    if fit.map.name in shipped_maps():
        return str(about(fit.map.name).profile["layout"])
    detected = detected_of([fit])
    return (detected.layout if detected else None) or "meter"


def _told(fit: Fit, name: str) -> MeterItem | None:
    """Tell about an item; a water meter's volume is water."""
    known = meter_items()
    special = f"{_layout(fit)}/{name}" if fit.map.protocol == CJT188 else ""
    return known.get(special) or known.get(name)


def _point(asked: Asked, meter: str, digits: str, item: Item, told: MeterItem) -> Point:
    unit = _unit(item, told)
    wanted, decimals, is_energy = _catalogue(told, unit, item.decimals)
    counter = told.kind is Kind.COUNTER
    services = (Meter(0, unit, item.decimals, modulus=_modulus(item)),) if counter else ()
    return Point(
        asked.enterprise,
        f"{meter}-{item.name.replace('_', '-')}",
        f"{digits}号表{told.zh}",
        told.kind,
        told.item,
        wanted,
        decimals,
        interval_s=asked.interval_s,
        name_en=f"Meter {digits}: {told.en[0].lower()}{told.en[1:]}",
        metering_level=2 if counter and is_energy else 0,
        meters=services,
    )


def _unit(item: Item, told: MeterItem) -> str:
    return WATER_UNIT if told.item == "water" else item.unit


def _catalogue(told: MeterItem, unit: str, decimals: int) -> tuple[str, int, bool]:
    """Give unit and decimals of a point, and whether its item is energy or a medium."""
    row = _items()[told.item]
    if row["slug"] == "measurement":
        return unit, decimals, False
    step = factor(unit, row["unit"]) * Fraction(1, 10**decimals)
    needed = next(
        (one for one in range(MOST_DECIMALS + 1) if (step * 10**one).denominator == 1), int(row["decimals"])
    )
    return row["unit"], max(needed, int(row["decimals"])), row["nhjc_class"] not in NOT_ENERGY


def _modulus(item: Item) -> int:
    """Steps after which a register of digits starts again at 0; 0 where that is not known."""
    is_digits = isinstance(item, Field) and item.kind is FieldKind.BCD
    return 10 ** (2 * item.size) if is_digits and isinstance(item, Field) else 0


def _meter_lines(one: Proposed, number: int) -> list[str]:
    met, others = one.found.met, _alternatives(one)
    address = {"unit": int(met.address)} if met.protocol == "modbus" else {"address": met.address}
    remark = f"  # fits as well: {', '.join(others)}" if others else ""
    table = (
        {"name": one.name}
        | address
        | {"map": one.fit.map.name, "interval_s": one.interval_s, "schema": number}
    )
    told = [line + remark * line.startswith("map ") for line in pairs(table)]
    read = {item: _wish(one.fit, item, point) for item, point in one.points.items()}
    return ["", "[[lines.meters]]", *told, "[lines.meters.points]", *pairs(read)]


def _alternatives(one: Proposed) -> list[str]:
    """Name the maps that read the meter just as well."""
    return [fit.map.name for fit in one.found.fits[1:] if fit.is_as_good(one.fit)]


def _wish(fit: Fit, name: str, point: Point) -> str | dict[str, str]:
    told = _told(fit, name)
    item = next(one for one in fit.map.items if one.name == name)
    if told is not None and _unit(item, told) != item.unit:
        return {"point": point.point, "unit": _unit(item, told)}
    return point.point


@functools.cache
def _items() -> dict[str, dict[str, str]]:
    text = resources.files("schemas").joinpath("codes/items.csv").read_text("utf-8")
    return {row["slug"]: row for row in csv.DictReader(text.splitlines())}
