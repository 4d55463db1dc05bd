"""Profiles of CJ/T 188 meters: the layouts are data, the vendors' habits are options.

The standard's own way is the default; nothing is guessed while reading (`cjt188_detect` looks at a
frame and says what it shows).
Source: CJ/T 188-2004 chapters 6 and 8; `protocols.md` 2.1 and 2.2; `data/cjt188_layouts.csv`, `data/cjt188_units.csv`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Any

from acquisition.codecs.fields import Field
from acquisition.codecs.fields import field as digits_of
from acquisition.codecs.words import read_rows
from nengliu.domain.units import factor
from nengliu.errors import ContractError, InputError, nearest

LOW_FIRST, HIGH_FIRST = "low-first", "high-first"
ORDERS = (LOW_FIRST, HIGH_FIRST)
ECHO, ANY = "echo", "any"


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a meter: an `Item`, and the digits it is sent in.

    Parameters
    ----------
    digits
        What stands on the wire.
    coded
        Whether a byte beside the digits names their unit.
    """

    name: str
    unit: str
    decimals: int
    digits: Field
    coded: bool

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return self.digits.size + self.coded

    def worth(self, code: int) -> Fraction | None:
        """Ticks that one step of the digits is worth in the unit of this code; None: no unit of such a value."""
        return _worth(self, code)


@dataclass(frozen=True)
class Profile:
    """How one model of meter is read; keys of the table ``[profile]`` of a map.

    Parameters
    ----------
    layout
        ``water``, ``heat`` or ``gas``.
    meter_type
        First byte of the frame's head, in hex; a reply may bear another.
    identifier
        What is asked, in hex, highest byte first.
    identifier_order
        How the identifier is sent: ``low-first`` (1F 90) or ``high-first``.  A reply may bear either.
    unit_first
        Whether the unit stands before its value.
    clock_order
        ``low-first`` (seconds first) or ``high-first``.
    serial
        ``echo``: the reply bears the number of the request; ``any``: it need not.
    first
        What the first field of a heat meter counts: ``heat_settled`` or ``cold``.
    units, decimals
        By item, where they are not those of the layout.
    digits
        Decimals of the meter's own digits by item, where they are not those of the layout.
    """

    layout: str = "water"
    meter_type: str = "10"
    identifier: str = "901F"
    identifier_order: str = LOW_FIRST
    unit_first: bool = False
    clock_order: str = LOW_FIRST
    serial: str = ECHO
    first: str = "heat_settled"
    units: Mapping[str, str] = field(default_factory=dict, hash=False)
    decimals: Mapping[str, int] = field(default_factory=dict, hash=False)
    digits: Mapping[str, int] = field(default_factory=dict, hash=False)

    @functools.cached_property
    def values(self) -> tuple[Value, ...]:
        """All that the meter sends, in its order."""
        return tuple(self._value(row) for row in layouts()[self.layout])

    def _value(self, row: dict[str, str]) -> Value:
        name = self.first if row["item"] == "heat_settled" else row["item"]
        unit, decimals = row["unit"], int(row["decimals"])
        digits = digits_of(name, row["format"], unit)
        digits = replace(digits, decimals=self.digits.get(name, digits.decimals))
        coded = row["coded"] == "yes"
        if not coded:
            decimals = digits.decimals
        return Value(name, self.units.get(name, unit), self.decimals.get(name, decimals), digits, coded)


def profile(table: Mapping[str, Any]) -> Profile:
    """Make a profile of the table of a map.

    Raises
    ------
    InputError
        A key or a word is unknown, an item is not of the layout, or its unit cannot be made of any the meter sends.
    """
    known = [one.name for one in fields(Profile)]
    for key in table:
        if key not in known:
            raise InputError(f"profile: unknown key {key!r}; {nearest(key, known)}")
    words = {
        "layout": tuple(layouts()),
        "identifier_order": ORDERS,
        "clock_order": ORDERS,
        "serial": (ECHO, ANY),
        "first": ("heat_settled", "cold"),
        "unit_first": (True, False),
    }
    for key, choices in words.items():
        if key in table and table[key] not in choices:
            raise InputError(f"profile: {key}: expected {' or '.join(map(str, choices))}, got {table[key]!r}")
    found = Profile(**table)
    _check_hex("meter_type", found.meter_type, 2)
    _check_hex("identifier", found.identifier, 4)
    _check_items(found)
    return found


def _check_hex(key: str, told: object, width: int) -> None:
    if not isinstance(told, str) or len(told) != width or set(told.upper()) - set("0123456789ABCDEF"):
        raise InputError(f"profile: {key}: expected {width} hex digits, got {told!r}")


def _check_items(found: Profile) -> None:
    values = {one.name: one for one in found.values}
    for key in ("units", "decimals", "digits"):
        for name, told in getattr(found, key).items():
            if name not in values:
                raise InputError(f"profile: {key}: the layout has no {name!r}; {nearest(name, values)}")
            if key != "units" and not (isinstance(told, int) and 0 <= told <= 12):
                raise InputError(f"profile: {key}: {name}: expected 0 to 12, got {told!r}")
    for name, unit in found.units.items():
        sent = values[name].digits.unit
        if not values[name].coded and unit != sent:
            raise InputError(f"profile: units: {name} is sent without a unit: it cannot be told in {unit!r}")
        try:
            factor(sent, unit)
        except ContractError as error:
            raise InputError(f"profile: units: {name}: {error}") from error


@functools.cache
def layouts() -> dict[str, list[dict[str, str]]]:
    """Rows of the layouts by name."""
    return read_rows("cjt188_layouts", "layout")


@functools.cache
def units() -> dict[int, tuple[str, str, Fraction]]:
    """Unit codes: what they are called, and what of which known unit one of them is."""
    rows = read_rows("cjt188_units", "code")
    return {
        int(code, 16): (row["title"], row["unit"], Fraction(row["scale"])) for code, (row,) in rows.items()
    }


@functools.lru_cache(maxsize=4096)
def _worth(value: Value, code: int) -> Fraction | None:
    known = units().get(code)
    if known is None:
        return None
    _, unit, scale = known
    try:
        one = factor(unit, value.unit) * scale
    except ContractError:
        return None
    return one * Fraction(10) ** (value.decimals - value.digits.decimals)
