"""Templates of key equipment: which points a boiler, a fan, a pump ... should have; data in TOML, one file each.

What is required, and whether a value is shown or summed up, is the technical code's; each file says its source.
Source: TC 4.5.3 table 4.5.3, TC 4.3.6.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from importlib import resources

import msgspec

from acquisition.drivers.meters.register_maps import check_unit
from acquisition.drivers.tables import convert, need, once
from nengliu.domain.points import FOREVER_MS, Flow, Formula, Kind, Meter, Point
from nengliu.errors import InputError, nearest

EQUIPMENT_LEVEL, NOT_ENERGY = 3, 0
"""Metering level of a counter at an equipment, and of what is no amount.  Source: GB 17167."""
MEASUREMENT = "measurement"


class Option(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way an equipment may be built: a hot-water boiler, one that burns coal."""

    name: str
    zh: str
    en: str


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ways of which an equipment has exactly one; the first unless another is named."""

    name: str
    options: tuple[Option, ...]


class EquipmentPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One point of a template.

    Parameters
    ----------
    name
        Id within the equipment.
    row
        Row of the table it fulfils, as printed; empty: the table does not ask for it.
    only
        Option with which it is there; empty: always.
    reads
        Item of a map that usually feeds it; empty: no meter of ours tells it.
    formula
        How it is computed; names in braces are points of the same equipment.
    """

    name: str
    zh: str
    en: str
    kind: Kind
    item: str
    unit: str
    decimals: int
    interval_s: int
    required: bool
    row: str = ""
    only: str = ""
    reads: str = ""
    flow: Flow = Flow.IN
    formula: str = ""


class Equipment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of equipment and its points."""

    title: str
    title_en: str
    clause: str
    source: str
    verified: bool
    points: tuple[EquipmentPoint, ...]
    choices: tuple[Choice, ...] = ()

    def chosen(self, wanted: Collection[str] = (), *, optional: bool = False) -> tuple[EquipmentPoint, ...]:
        """Give its points with the options that are wanted, and the first of each choice where none is.

        Raises
        ------
        InputError
            An option that is not known, or two of one choice.
        """
        known = [option.name for choice in self.choices for option in choice.options]
        for name in wanted:
            if name not in known:
                raise InputError(
                    f"option: expected one of this template, got {name!r}; {nearest(name, known)}"
                )
        held = {"", *(_of(choice, wanted) for choice in self.choices)}
        return tuple(one for one in self.points if one.only in held and (one.required or optional))


@dataclass(frozen=True, slots=True)
class Tag:
    """What makes an equipment one of a plant: the beginning of its ids and names, and its place."""

    prefix: str
    name: str
    name_en: str
    place: str = ""


def _of(choice: Choice, wanted: Collection[str]) -> str:
    named = [option.name for option in choice.options if option.name in wanted]
    if len(named) > 1:
        raise InputError(f"option: expected one {choice.name}, got {' and '.join(named)}")
    return named[0] if named else choice.options[0].name


def shipped_equipment() -> tuple[str, ...]:
    """Name the templates that come along."""
    folder = resources.files("acquisition.drivers.meters").joinpath("templates")
    return tuple(sorted(one.name[:-5] for one in folder.iterdir() if one.name.endswith(".toml")))


@functools.cache
def load_equipment(name: str) -> Equipment:
    """Read a shipped template by its name; InputError for an unknown one, with the nearest."""
    shipped = shipped_equipment()
    if name not in shipped:
        raise InputError(f"equipment: expected a shipped template, got {name!r}; {nearest(name, shipped)}")
    text = resources.files("acquisition.drivers.meters").joinpath(f"templates/{name}.toml").read_text("utf-8")
    return parse_equipment(text, f"templates/{name}.toml")


def parse_equipment(text: str, where: str) -> Equipment:
    """Read a template from TOML; InputError with the place for what cannot be."""
    parts = (Equipment, EquipmentPoint, Choice, Option)
    known = [name for part in parts for name in part.__struct_fields__]
    found = convert(tomllib.loads(text, parse_float=Decimal), Equipment, where, known)
    options = [option.name for choice in found.choices for option in choice.options]
    once(options, where, "option")
    for one in found.points:
        told = f"{where} point {one.name}"
        need(one.only in ("", *options), told, "only", "an option of a choice", one.only)
        need(one.required <= bool(one.row), told, "row", "the row of the table that requires it", "none")
        need(
            bool(one.formula) == (one.interval_s == 0),
            told,
            "interval_s",
            "0 where it is computed",
            one.interval_s,
        )
        check_unit(one.unit, one.unit, told)
    for option in options or [""]:
        once((one.name for one in found.points if one.only in ("", option)), where, "point")
    return found


def as_points(chosen: Iterable[EquipmentPoint], tag: Tag, enterprise: str) -> tuple[Point, ...]:
    """Make points of the catalogue of a template's points, for one equipment of an enterprise."""
    chosen = tuple(chosen)
    ids = {one.name: f"{tag.prefix}-{one.name.replace('_', '-')}" for one in chosen}
    return tuple(_point(one, ids, tag, enterprise) for one in chosen)


def _point(one: EquipmentPoint, ids: dict[str, str], tag: Tag, enterprise: str) -> Point:
    energy = one.kind is Kind.COUNTER and one.item != MEASUREMENT
    point = Point(
        enterprise,
        ids[one.name],
        f"{tag.name}{one.zh}",
        one.kind,
        one.item,
        one.unit,
        one.decimals,
        interval_s=one.interval_s,
        name_en=f"{tag.name_en} {one.en[0].lower()}{one.en[1:]}",
        metering_level=EQUIPMENT_LEVEL if energy else NOT_ENERGY,
        valid_to_ms=FOREVER_MS,
        place=tag.place,
        flow=one.flow,
    )
    if one.formula:
        return replace(point, formulas=(Formula(0, one.formula.format_map(ids)),))
    return replace(point, meters=(Meter(0, one.unit, one.decimals),)) if one.kind is Kind.COUNTER else point
