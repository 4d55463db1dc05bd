"""The points a map describes, with defaults from the item list, as catalogue entries and columns."""

from __future__ import annotations

import csv
import functools
import itertools
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources

from acquisition.files.keys import Keys
from nengliu.domain.points import FOREVER_MS, Column, Kind, Meter, Point
from nengliu.domain.units import factor
from nengliu.errors import ContractError, InputError, nearest

NOT_ENERGY = ("04", "07")
"""NHJC classes whose points are no energy: output and operating values."""
MAX_DECIMALS = 12


@dataclass(frozen=True, slots=True)
class Item:
    """An item of `schemas/codes/items.csv`."""

    slug: str
    nhjc_class: str
    unit: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Series:
    """One stream of values in the file and the point it belongs to.

    Parameters
    ----------
    source
        Name of the column (wide form) or value of the point column (long form).
    labels
        How the file spells the unit, beside its names in `schemas/codes/units.csv`.
    suffix
        A cell holds number and unit, as in ``265.8MWh``.
    rounding
        exact: a text with more decimals is refused; half-even: it is rounded; auto: exact
        for amounts and registers, half-even for gauges and for columns of floats.
    """

    source: str
    point: Point
    column: Column
    labels: frozenset[str]
    suffix: bool
    rounding: str


@functools.cache
def items() -> dict[str, Item]:
    """Items by slug."""
    text = resources.files("schemas").joinpath("codes/items.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {
        row["slug"]: Item(row["slug"], row["nhjc_class"], row["unit"], int(row["decimals"])) for row in rows
    }


def read_series(
    enterprise: str, tables: list[Keys], defaults: Keys, interval_s: int, *, long: bool
) -> tuple[Series, ...]:
    """Read the [[point]] tables of a map, each laid over [defaults].

    Raises
    ------
    InputError
        An unknown key, item, unit or kind, or the same column or id twice.
    """
    found: list[Series] = []
    for keys in tables:
        keys.table = defaults.table | keys.table
        found.append(_series(enterprise, keys, interval_s, long))
        keys.close()
    if not set(defaults.table) <= set(tables[0].asked):
        Keys(defaults.table, defaults.where).close()
    for what in ("source", "id"):
        names = [one.source if what == "source" else one.point.point for one in found]
        twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
        if twice:
            raise InputError(
                f"{tables[0].where}: expected every {what} once, got {', '.join(sorted(twice))} twice"
            )
    return tuple(found)


def _series(enterprise: str, keys: Keys, interval_s: int, long: bool) -> Series:
    source = keys.text("match" if long else "column")
    point_id = keys.text("id", source)
    kind = Kind(keys.choice("kind", tuple(Kind)))
    item = _item(keys)
    unit = keys.text("unit", item.unit)
    decimals = keys.whole("decimals", item.decimals, 0, MAX_DECIMALS)
    meters = _meters(keys, unit, decimals) if kind is Kind.COUNTER else ()
    own = keys.text("point_unit", unit if item.slug == "measurement" else item.unit)
    ticks = _point_decimals(
        keys, item, own, meters or (Meter(0, unit, decimals),), exact=kind is Kind.COUNTER
    )
    interval = keys.seconds("interval", interval_s)
    point = Point(
        enterprise=enterprise,
        point=point_id,
        name=keys.text("name", point_id),
        kind=kind,
        item=item.slug,
        unit=own,
        decimals=ticks,
        interval_s=interval,
        name_en=keys.text("name_en", ""),
        hold_s=keys.seconds("hold", max(1800, 2 * interval)),
        metering_level=keys.whole("metering_level", 0 if item.nhjc_class in NOT_ENERGY else 1, 0, 3),
        valid_from_ms=keys.moment_ms("valid_from", 0),
        valid_to_ms=keys.moment_ms("valid_to", FOREVER_MS),
        minimum=keys.steps("minimum", ticks),
        maximum=keys.steps("maximum", ticks),
        place=keys.text("place", ""),
        meters=meters,
    )
    labels = frozenset(keys.texts("unit_labels", ()))
    rounding = keys.choice("rounding", ("auto", "exact", "half-even"), "auto")
    return Series(
        source, point, Column(point_id, unit, decimals), labels, keys.flag("suffix", False), rounding
    )


def _item(keys: Keys) -> Item:
    slug = keys.text("item")
    if slug not in items():
        keys.fail("item", "an item of schemas/codes/items.csv", nearest(slug, items()))
    return items()[slug]


def _meters(keys: Keys, unit: str, decimals: int) -> tuple[Meter, ...]:
    tables = keys.each("meter")
    if not tables:
        multiplier = keys.whole("multiplier", 1, 1)
        return (Meter(0, unit, decimals, multiplier, keys.steps("modulus", decimals) or 0),)
    found = [_meter(one, unit, decimals) for one in tables]
    if any(a.from_ms >= b.from_ms for a, b in itertools.pairwise(found)):
        keys.fail("meter", "meters in the order of their dates")
    return tuple(found)


def _meter(keys: Keys, unit: str, decimals: int) -> Meter:
    decimals = keys.whole("decimals", decimals, 0, MAX_DECIMALS)
    found = Meter(
        from_ms=keys.moment_ms("from", 0),
        unit=keys.text("unit", unit),
        decimals=decimals,
        multiplier=keys.whole("multiplier", 1, 1),
        modulus=keys.steps("modulus", decimals) or 0,
        first=keys.steps("first", decimals),
        last=keys.steps("last", decimals),
    )
    keys.close()
    return found


def _point_decimals(keys: Keys, item: Item, unit: str, meters: tuple[Meter, ...], *, exact: bool) -> int:
    needed = item.decimals
    for meter in meters:
        try:
            step = factor(meter.unit, unit) * meter.multiplier / 10**meter.decimals
        except ContractError as error:
            raise InputError(f"{keys.where}: unit: {error}") from error
        found = _decimals_for(step)
        if found is None and exact:
            keys.fail(
                "unit",
                f"a unit that is a decimal multiple of {unit}",
                "set point_unit to the register's unit",
            )
        needed = max(needed, found or 0)
    return keys.whole("point_decimals", needed, 0, MAX_DECIMALS)


def _decimals_for(step: Fraction) -> int | None:
    for decimals in range(MAX_DECIMALS + 1):
        if (step * 10**decimals).denominator == 1:
            return decimals
    return None
