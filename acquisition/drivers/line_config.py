"""`[[lines]]` of collector.toml: which meters hang on which line, how they are asked, and which item is which point.

Every fault is told with its file, its key and the nearest valid word.
`examples/collector/README.md` is the page for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import msgspec

from acquisition.codecs.exchange import Block, Item
from acquisition.codecs.registers import Register
from acquisition.drivers.meters.meter_maps import MeterMap, load_map
from acquisition.drivers.meters.register_maps import check_register, check_unit
from acquisition.drivers.tables import need
from nengliu.domain.points import Column
from nengliu.domain.units import dimension
from nengliu.errors import InputError, nearest

DAY_S = 86_400
FRAMED = ("modbus", "dlt645-2007", "dlt645-1997", "cjt188")
PROTOCOLS = {
    "modbus-tcp": ("modbus",),
    "serial": FRAMED,
    "serial-tcp": FRAMED,
    "opcua": ("opcua",),
}
"""Kinds of lines, and what is spoken on them."""
PARITIES = ("N", "E", "O")
_CURRENT = ("current", "power", "energy", "reactive_power", "reactive_energy", "apparent_power")
_VOLTAGE = ("voltage", "power", "energy", "reactive_power", "reactive_energy", "apparent_power")


@dataclass(frozen=True, slots=True)
class Scaled:
    """An item as a point takes it: behind transformers, or in another unit or resolution.

    Parameters
    ----------
    step, shift
        Ticks of the point = ticks of the item * step + shift.
    """

    name: str
    unit: str
    decimals: int
    step: int
    shift: int


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter on a line: its address, its map, when it is due, and which item is which point.

    Parameters
    ----------
    address
        As its protocol writes it: a Modbus unit, the digits on its plate, a prefix of nodes.
    frozen
        Whether its hourly frozen values are read, at the hours and for hours that were missed.
    """

    name: str
    address: str
    map: MeterMap
    interval_s: int
    schema: int
    items: tuple[tuple[Item, str], ...]
    frozen: bool = False

    @property
    def points(self) -> tuple[str, ...]:
        """Points it feeds, in the order of its frame's columns."""
        return tuple(point for _, point in self.items)

    def columns(self) -> tuple[Column, ...]:
        """Columns of its frames."""
        return tuple(Column(point, one.unit, one.decimals) for one, point in self.items)

    def blocks(self) -> tuple[Block, ...]:
        """Requests that read all of it."""
        return self.map.blocks([one for one, _ in self.items])

    def by_point(self, values: Mapping[str, int]) -> dict[str, int]:
        """Turn the values of an answer, by item, into those of its points [ticks]."""
        return {
            point: values[one.name] * one.step + one.shift if isinstance(one, Scaled) else values[one.name]
            for one, point in self.items
            if one.name in values
        }


@dataclass(frozen=True, slots=True)
class Line:
    """One connection: a meter of its own, a gateway or a serial line with several behind it, a server.

    Parameters
    ----------
    kind
        One of `PROTOCOLS`.
    device, baud, parity, stop_bits
        Of a serial port; `baud` also of the one behind a converter.
    url, user, password_file, security, max_age_s
        Of a server.
    """

    name: str
    timeout_s: float
    pause_ms: int
    meters: tuple[Meter, ...]
    kind: str = "modbus-tcp"
    host: str = ""
    port: int = 0
    device: str = ""
    baud: int = 2400
    parity: str = "E"
    stop_bits: int = 1
    url: str = ""
    user: str = ""
    password_file: str = ""
    security: str = ""
    max_age_s: int = 0

    @property
    def where(self) -> str:
        """Where it is, for people."""
        return {"serial": self.device, "opcua": self.url}.get(self.kind, f"{self.host}:{self.port}")


class Overlay(msgspec.Struct, forbid_unknown_fields=True):
    """What a point wants differently from the map of its meter."""

    point: str
    scale: Decimal | None = None
    offset: Decimal | None = None
    unit: str | None = None
    decimals: int | None = None


class MeterTable(msgspec.Struct, forbid_unknown_fields=True):
    """`[[lines.meters]]`."""

    name: str
    map: str
    schema: int
    points: dict[str, str | Overlay]
    unit: int | None = None
    address: str | None = None
    interval_s: int = 900
    ct_ratio: Decimal = Decimal(1)
    pt_ratio: Decimal = Decimal(1)
    frozen: bool = False


class LineTable(msgspec.Struct, forbid_unknown_fields=True):
    """`[[lines]]`."""

    name: str
    meters: list[MeterTable]
    kind: str = "modbus-tcp"
    host: str = ""
    port: int = 0
    device: str = ""
    baud: int = 2400
    parity: str = "E"
    stop_bits: int = 1
    url: str = ""
    user: str = ""
    password_file: str = ""
    security: str = ""
    max_age_s: int = 0
    timeout_s: float = 1.0
    pause_ms: int = 0


def read_line(told: LineTable, file: Path, folder: Path) -> Line:
    """Check a line and its meters, whose maps lie relative to `folder`; InputError names what is wrong."""
    where = f"{file} line {told.name}"
    if told.kind not in PROTOCOLS:
        raise InputError(f"{where}: kind: unknown {told.kind!r}; {nearest(told.kind, PROTOCOLS)}")
    port = told.port or (502 if told.kind == "modbus-tcp" else 0)
    _check_way(told, port, where)
    need(0 < told.timeout_s <= 60, where, "timeout_s", "more than 0, at most 60", told.timeout_s)
    need(0 <= told.pause_ms <= 60_000, where, "pause_ms", "0 to 60000", told.pause_ms)
    meters = tuple(_meter(one, told.kind, folder, where) for one in told.meters)
    need(meters, where, "meters", "at least one [[lines.meters]]", "none")
    given = {name: getattr(told, name) for name in LineTable.__struct_fields__}
    if told.password_file:
        given["password_file"] = str(folder / told.password_file)
    return Line(**(given | {"port": port, "meters": meters}))


def _check_way(told: LineTable, port: int, where: str) -> None:
    """Refuse a line that says too little of where it is."""
    if told.kind == "serial":
        need(told.device, where, "device", "a port such as /dev/ttyUSB0", told.device)
    elif told.kind == "opcua":
        need(told.url, where, "url", "opc.tcp://host:4840", told.url)
    else:
        need(told.host, where, "host", "a name or an address", told.host)
        need(1 <= port <= 65535, where, "port", "1 to 65535", port)
    need(300 <= told.baud <= 921_600, where, "baud", "300 to 921600", told.baud)
    need(told.parity in PARITIES, where, "parity", ", ".join(PARITIES), told.parity)
    need(told.stop_bits in (1, 2), where, "stop_bits", "1 or 2", told.stop_bits)


def _meter(told: MeterTable, kind: str, folder: Path, where: str) -> Meter:
    where = f"{where} meter {told.name}"
    need(1 <= told.interval_s <= DAY_S, where, "interval_s", f"1 to {DAY_S}", told.interval_s)
    need(1 <= told.schema < 2**32, where, "schema", "a number from 1 to 4294967295", told.schema)
    try:
        plan = load_map(told.map, folder)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    spoken = ", ".join(PROTOCOLS[kind])
    need(plan.protocol in PROTOCOLS[kind], where, f"map {told.map} on a line {kind}", spoken, plan.protocol)
    address = _address(told, plan, kind, where)
    known = {item.name: item for item in plan.items}
    for name in told.points:
        if name not in known:
            raise InputError(f"{where}: points: map {told.map} has no {name!r}; {nearest(name, known)}")
    wanted = [(known[name], told.points[name]) for name in known if name in told.points]
    need(wanted, where, "points", "at least one register = point", "none")
    items = tuple(_laid_over(item, wish, told, where) for item, wish in wanted)
    if told.frozen:
        need(plan.frozen is not None, where, "frozen", "a map with hourly frozen values", told.map)
    return Meter(told.name, address, plan, told.interval_s, told.schema, items, told.frozen)


def _address(told: MeterTable, plan: MeterMap, kind: str, where: str) -> str:
    """Give the address as text, checked as its protocol has it."""
    if plan.protocol == "modbus" and told.address is None:
        need(told.unit is not None, where, "unit", "a Modbus unit from 0 to 255", told.unit)
    else:
        need(told.unit is None, where, "unit", f"none: {plan.protocol} has an `address`", told.unit)
    address = str(told.unit) if told.address is None else told.address
    if kind != "modbus-tcp" and plan.protocol == "modbus":
        need(told.unit in range(1, 248), where, "unit", "1 to 247 on a serial line", told.unit)
    try:
        plan.check_address(address)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return address


def _laid_over(item: Item, wish: str | Overlay, told: MeterTable, where: str) -> tuple[Item, str]:
    """Lay the wishes of a point and the ratios of the transformers over an item."""
    where = f"{where} points {item.name}"
    check_unit(item.unit, item.unit, where)
    ratio = _ratio(item, told, where)
    if isinstance(wish, str):
        wish = Overlay(wish)
    if isinstance(item, Register):
        given = {name: getattr(wish, name) for name in ("scale", "offset", "unit", "decimals")}
        found = replace(item, **{name: value for name, value in given.items() if value is not None})
        found = replace(found, scale=found.scale * ratio, offset=found.offset * ratio)
        check_register(found, where)
        return found, wish.point
    return _scaled(item, wish, ratio, where), wish.point


def _scaled(item: Item, wish: Overlay, ratio: Decimal, where: str) -> Item:
    unit = wish.unit or item.unit
    decimals = item.decimals if wish.decimals is None else wish.decimals
    need(0 <= decimals <= 12, where, "decimals", "0 to 12", decimals)
    check_unit(unit, unit, where)
    scale = Decimal(1) if wish.scale is None else wish.scale
    need(scale.is_finite() and scale != 0, where, "scale", "a number other than 0", scale)
    step = Fraction(scale * ratio) * Fraction(10) ** (decimals - item.decimals)
    shift = Fraction((wish.offset or Decimal(0)) * ratio) * 10**decimals
    kept = f"enough decimals for scale {scale * ratio} and offset {wish.offset or 0}"
    need(step.denominator == 1 == shift.denominator, where, "decimals", kept, decimals)
    same = (unit, decimals) == (item.unit, item.decimals) and step == 1 and not shift
    return item if same else Scaled(item.name, unit, decimals, int(step), int(shift))


def _ratio(item: Item, told: MeterTable, where: str) -> Decimal:
    """Give by how much the transformers before a meter make a value larger."""
    for name in ("ct_ratio", "pt_ratio"):
        given = getattr(told, name)
        need(given.is_finite() and given > 0, where, name, "a number above 0", given)
    what = dimension(item.unit)
    current = told.ct_ratio if what in _CURRENT else Decimal(1)
    return current * (told.pt_ratio if what in _VOLTAGE else Decimal(1))


def read_lines(told: Iterable[LineTable], file: Path, folder: Path | None) -> tuple[Line, ...]:
    """Check all lines of a file."""
    return tuple(read_line(one, file, folder or file.parent) for one in told)
