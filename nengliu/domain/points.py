"""The catalogue: enterprises, points and the meters that stood at them, as dated facts.

A point is an enterprise code plus a stable id of its own.  Its canonical unit and its
number of decimals never change (a new quantum is a new point), so every amount of a
point is a whole number of *ticks*: one tick is ``10 ** -decimals`` of the unit.
Source: docs/decisions/0001 and 0002; TC 4.4.2; NHJC-04 `collectItemConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

FOREVER_MS = 2**62


class Kind(StrEnum):
    """What a value of a point says."""

    COUNTER = "counter"  # cumulative register: energy is a difference of two readings
    GAUGE = "gauge"  # instantaneous: mean, min, max, last
    PERIOD = "period"  # amount of one interval, stamped at the interval's start


class Flow(StrEnum):
    """How an amount stands to the node it is measured at (GB/T 2589: nothing is counted twice)."""

    IN = "in"  # delivered
    OUT = "out"  # handed on across the boundary: counts minus
    OWN = "own"  # secondary energy or media, made inside: supply of the node, not of the enterprise
    FEEDSTOCK = "feedstock"  # delivered, and used as material
    RENEWABLE = "renewable"  # delivered, new renewable energy


@dataclass(frozen=True, slots=True)
class Stay:
    """A point's place from an instant [ms, UTC] until the next stay begins; the first holds before it, too."""

    from_ms: int
    place: str


@dataclass(frozen=True, slots=True)
class Seat:
    """Region and industry of an enterprise, dated like a `Stay`."""

    from_ms: int
    region: str
    industry: str


@dataclass(frozen=True, slots=True)
class Tariffed:
    """The tariff of `schemas/books/tariffs.csv` by which a point's energy is paid, from an instant [ms, UTC] on."""

    from_ms: int
    tariff: str


@dataclass(frozen=True, slots=True)
class Formula:
    """How a point is computed from others of its enterprise, from an instant [ms, UTC] until the next formula begins.

    The language is that of `nengliu.domain.formulas`: ``a + "b-2" * 0.5``.
    """

    from_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Meter:
    """One meter's service at a point, from `from_ms` until the next meter starts.

    Parameters
    ----------
    from_ms
        Instant of installation [ms, UTC].
    unit, decimals
        Unit and decimals of the register's last digit (one *step*).
    multiplier
        CT x PT or pulse factor; a step is worth ``multiplier`` of the register's unit.
    modulus
        Register steps after which it starts again at 0 (0: never).
    first, last
        Register [steps] when it was installed and when it was taken out; `last` is
        None while it serves.  Without them the energy over a change is unknown.
    """

    from_ms: int
    unit: str
    decimals: int
    multiplier: int = 1
    modulus: int = 0
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A place where something is measured.

    Parameters
    ----------
    enterprise, point
        18-character unit code and the id within it: the key of everything.
    name, name_en
        What people call it, in Chinese and English.
    kind, item
        How it counts, and the item of `schemas/codes/items.csv` (electricity, heat ...).
    unit, decimals
        Canonical unit of the item and decimals of one tick.
    interval_s
        Seconds between due readings; 0 for a change-of-value source (nothing is due).
    hold_s
        Seconds a gauge's value stays valid without a successor.
    metering_level
        1 boundary of the enterprise (counts in its total), 2 sub-unit, 3 equipment,
        0 not energy (output, temperature).  Source: NHJC-04 meteringLevel.
    valid_from_ms, valid_to_ms
        The point exists in ``[valid_from_ms, valid_to_ms)``.
    minimum, maximum
        Official limits per reading [ticks], or None.  Source: NHJC-04 dataValueMin/Max.
    place
        Path under the enterprise: plant/process/unit/equipment.
    tariffs
        Dated tariffs, oldest first; before the first, and if empty, its energy has no price.
    rated
        Most it can use [ticks per hour], from the rated power or the contract capacity, or None.
    meters
        Dated meters of a counter, oldest first; empty for other kinds.
    places
        Dated places, oldest first, the last of them `place`; empty: it never moved.
    flow
        How its amounts count where it stands.
    formulas
        Dated formulas of a point that is computed and not measured, oldest first.
    """

    enterprise: str
    point: str
    name: str
    kind: Kind
    item: str
    unit: str
    decimals: int
    interval_s: int = 900
    name_en: str = ""
    hold_s: int = 1800
    metering_level: int = 1
    valid_from_ms: int = 0
    valid_to_ms: int = FOREVER_MS
    minimum: int | None = None
    maximum: int | None = None
    place: str = ""
    meters: tuple[Meter, ...] = ()
    rated: int | None = None
    tariffs: tuple[Tariffed, ...] = ()
    places: tuple[Stay, ...] = ()
    flow: Flow = Flow.IN
    formulas: tuple[Formula, ...] = ()


@dataclass(frozen=True, slots=True)
class Enterprise:
    """A key energy-using unit: 18-character code, names, region (GB/T 2260), industry (GB/T 4754).

    `stays` are dated seats, oldest first, the last of them with its region and industry; empty: it never moved.
    """

    enterprise: str
    name: str
    name_en: str = ""
    region: str = ""
    industry: str = ""
    simulated: bool = False
    stays: tuple[Seat, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a frame: which point, and the unit and decimals the sender uses."""

    point: str
    unit: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Schema:
    """A fixed, versioned list of columns; `schema` is its number within the enterprise."""

    enterprise: str
    schema: int
    columns: tuple[Column, ...] = field(default_factory=tuple)
