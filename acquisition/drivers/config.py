"""collector.toml and the register maps: what is read, from where, as which point; checked before anything runs.

A map says how one model of meter is read; collector.toml says which meters hang on which
line and which register is which point.  Every fault is told with its file, its key and
the nearest valid word.  `examples/collector/README.md` is the page for people.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from acquisition.codecs.registers import ORDERS, Register, RegisterType, exact
from nengliu.domain.points import Column, Enterprise, Kind, Point, Schema
from nengliu.domain.points import Meter as Service
from nengliu.domain.units import factor
from nengliu.errors import ContractError, InputError

MOST_REGISTERS = 125
"""Registers one request may ask for.  Source: Modbus application protocol, functions 3 and 4."""
DAY_S = 86_400
FUNCTIONS = (3, 4)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RegisterMap:
    """How a model of meter is read.

    Parameters
    ----------
    max_registers
        Registers one request may ask for.
    max_gap
        Registers nobody wants that are read along rather than asked around.
    """

    name: str
    title: str
    source: str
    max_registers: int
    max_gap: int
    registers: tuple[Register, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that one request reads."""

    function: int
    address: int
    count: int
    registers: tuple[Register, ...]


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter on a line: its Modbus unit, its map, when it is due, and which register is which point."""

    name: str
    unit: int
    map: RegisterMap
    interval_s: int
    schema: int
    registers: tuple[tuple[Register, str], ...]

    @property
    def points(self) -> tuple[str, ...]:
        """Points it feeds, in the order of its frame's columns."""
        return tuple(point for _, point in self.registers)

    def columns(self) -> tuple[Column, ...]:
        """Columns of its frames."""
        return tuple(Column(point, one.unit, one.decimals) for one, point in self.registers)

    def blocks(self) -> tuple[Block, ...]:
        """Requests that read all of it."""
        return merge((one for one, _ in self.registers), self.map.max_registers, self.map.max_gap)


@dataclass(frozen=True, slots=True)
class Line:
    """One connection: a meter of its own, or a gateway with several behind it."""

    name: str
    host: str
    port: int
    timeout_s: float
    pause_ms: int
    meters: tuple[Meter, ...]


@dataclass(frozen=True, slots=True)
class CollectorConfig:
    """All that a collector does; `enterprise` and `points` are what it introduces itself."""

    name: str
    code: str
    align_ms: int
    heartbeat_s: int
    enterprise: Enterprise | None
    points: tuple[Point, ...]
    lines: tuple[Line, ...]

    def schemas(self) -> tuple[Schema, ...]:
        """Column lists of its frames, one for each meter."""
        meters = (meter for line in self.lines for meter in line.meters)
        return tuple(Schema(self.code, meter.schema, meter.columns()) for meter in meters)


class _MapRegister(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    address: int
    type: str
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    unit: str = "1"
    decimals: int = 0
    invalid: list[int] = []
    function: int = 0
    order: str = ""


class _MapFile(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    source: str
    base: int
    registers: list[_MapRegister]
    function: int = 3
    order: str = "ABCD"
    max_registers: int = MOST_REGISTERS
    max_gap: int = 8


class _Overlay(msgspec.Struct, forbid_unknown_fields=True):
    point: str
    scale: Decimal | None = None
    offset: Decimal | None = None
    unit: str | None = None
    decimals: int | None = None


class _MeterTable(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    unit: int
    map: str
    schema: int
    points: dict[str, str | _Overlay]
    interval_s: int = 900


class _LineTable(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    host: str
    meters: list[_MeterTable]
    port: int = 502
    timeout_s: float = 1.0
    pause_ms: int = 0


class _File(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    enterprise: dict[str, Any]
    lines: list[_LineTable]
    points: list[dict[str, Any]] = []
    align_ms: int = 1000
    heartbeat_s: int = 60


def load_config(file: Path) -> CollectorConfig:
    """Read collector.toml and the maps it names.

    Raises
    ------
    InputError
        Unreadable, an unknown key or word, or something that cannot be: the message names it.
    """
    told = _convert(_read(file), _File, str(file))
    where = str(file)
    _need(
        re.fullmatch(r"[A-Za-z0-9._-]{1,64}", told.name), where, "name", "letters, digits, . _ -", told.name
    )
    _need(0 <= told.align_ms <= 60_000, where, "align_ms", "0 to 60000", told.align_ms)
    _need(1 <= told.heartbeat_s <= 3600, where, "heartbeat_s", "1 to 3600", told.heartbeat_s)
    code = str(told.enterprise.get("enterprise", ""))
    _need(re.fullmatch(r"[0-9A-Z]{18}", code), where, "[enterprise] enterprise", "18 characters", code)
    named = set(told.enterprise) - {"enterprise"}
    config = CollectorConfig(
        name=told.name,
        code=code,
        align_ms=told.align_ms,
        heartbeat_s=told.heartbeat_s,
        enterprise=_plain(told.enterprise, Enterprise, f"{where} [enterprise]") if named else None,
        points=tuple(_point(one, code, where, n) for n, one in enumerate(told.points, 1)),
        lines=tuple(_line(one, file) for one in told.lines),
    )
    _check_overlaps(config, where)
    return config


def load_map(name: str, beside: Path | None = None) -> RegisterMap:
    """Read a shipped map by its name, or a file (``*.toml``) relative to the folder `beside`; InputError."""
    shipped = shipped_maps()
    if not name.endswith(".toml"):
        if name not in shipped:
            raise InputError(
                f"map: expected a shipped map or a file *.toml, got {name!r}; {_near(name, shipped)}"
            )
        text = resources.files("acquisition.drivers").joinpath(f"maps/{name}.toml").read_text("utf-8")
        return _map(name, tomllib.loads(text, parse_float=Decimal), f"maps/{name}.toml")
    file = (beside or Path()) / name
    return _map(file.stem, _read(file), str(file))


def shipped_maps() -> tuple[str, ...]:
    """Name the maps that come along."""
    folder = resources.files("acquisition.drivers").joinpath("maps")
    return tuple(sorted(one.name[:-5] for one in folder.iterdir() if one.name.endswith(".toml")))


def merge(registers: Iterable[Register], most: int, gap: int) -> tuple[Block, ...]:
    """Join registers of one function into requests of at most `most` words, reading over up to `gap` words.

    >>> from acquisition.codecs.registers import RegisterType
    >>> wanted = [Register("a", 3, 0, RegisterType.U32), Register("b", 3, 4, RegisterType.U16)]
    >>> [(block.address, block.count) for block in merge(wanted, 125, 2)]
    [(0, 5)]
    """
    blocks: list[Block] = []
    for one in sorted(registers, key=lambda register: (register.function, register.address)):
        last = blocks[-1] if blocks else None
        if last and last.function == one.function and one.address <= last.address + last.count + gap:
            count = max(last.count, one.address + one.length - last.address)
            if count <= most:
                blocks[-1] = replace(last, count=count, registers=(*last.registers, one))
                continue
        blocks.append(Block(one.function, one.address, one.length, (one,)))
    return tuple(blocks)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            f"{file}: expected TOML in UTF-8, got: {error}; see examples/collector/README.md"
        ) from error


def _convert(table: object, kind: type[T], where: str) -> T:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        unknown = re.search(r"unknown field `(.+?)`", str(error))
        near = f"; {_near(unknown[1], _known(kind))}" if unknown else ""
        raise InputError(f"{where}: {error}{near}") from error


def _known(kind: type) -> list[str]:
    parts = (_File, _LineTable, _MeterTable, _Overlay) if kind is _File else (_MapFile, _MapRegister)
    return [name for part in parts for name in part.__struct_fields__]


def _plain(table: dict[str, Any], kind: type[T], where: str) -> T:
    """Make a dataclass of the catalogue from a table of its fields."""
    known = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    for name in table:
        if name not in known:
            raise InputError(f"{where}: unknown key {name!r}; {_near(name, known)}")
    return _convert(table, kind, where)


def _point(table: dict[str, Any], code: str, where: str, n: int) -> Point:
    where = f"{where} [[points]] {n}"
    meters = table.get("meters", [])
    services = tuple(_plain({"from_ms": 0} | one, Service, f"{where} meters") for one in meters)
    found = _plain({"enterprise": code} | table | {"meters": ()}, Point, where)
    _need(found.enterprise == code, where, "enterprise", code, found.enterprise)
    return replace(found, meters=services)


def _line(told: _LineTable, file: Path) -> Line:
    where = f"{file} line {told.name}"
    _need(1 <= told.port <= 65535, where, "port", "1 to 65535", told.port)
    _need(0 < told.timeout_s <= 60, where, "timeout_s", "more than 0, at most 60", told.timeout_s)
    _need(0 <= told.pause_ms <= 60_000, where, "pause_ms", "0 to 60000", told.pause_ms)
    meters = tuple(_meter(one, file, where) for one in told.meters)
    _need(meters, where, "meters", "at least one [[lines.meters]]", "none")
    return Line(told.name, told.host, told.port, told.timeout_s, told.pause_ms, meters)


def _meter(told: _MeterTable, file: Path, where: str) -> Meter:
    where = f"{where} meter {told.name}"
    _need(0 <= told.unit <= 255, where, "unit", "a Modbus unit from 0 to 255", told.unit)
    _need(1 <= told.interval_s <= DAY_S, where, "interval_s", f"1 to {DAY_S}", told.interval_s)
    _need(1 <= told.schema < 2**32, where, "schema", "a number from 1 to 4294967295", told.schema)
    try:
        plan = load_map(told.map, file.parent)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    registers = {register.name: register for register in plan.registers}
    for name in told.points:
        if name not in registers:
            raise InputError(f"{where}: points: map {told.map} has no {name!r}; {_near(name, registers)}")
    wanted = [(registers[name], told.points[name]) for name in registers if name in told.points]
    _need(wanted, where, "points", "at least one register = point", "none")
    found = tuple(_laid_over(register, wish, where) for register, wish in wanted)
    return Meter(told.name, told.unit, plan, told.interval_s, told.schema, found)


def _laid_over(register: Register, wish: str | _Overlay, where: str) -> tuple[Register, str]:
    if isinstance(wish, str):
        return register, wish
    given = {name: getattr(wish, name) for name in ("scale", "offset", "unit", "decimals")}
    found = replace(register, **{name: value for name, value in given.items() if value is not None})
    _check_register(found, f"{where} points {register.name}")
    return found, wish.point


def _map(name: str, table: dict[str, Any], where: str) -> RegisterMap:
    told = _convert(table, _MapFile, where)
    _need(told.base in (0, 1), where, "base", "0 or 1 (the number of the first register)", told.base)
    _need(1 <= told.max_registers <= MOST_REGISTERS, where, "max_registers", "1 to 125", told.max_registers)
    _need(0 <= told.max_gap < told.max_registers, where, "max_gap", "below max_registers", told.max_gap)
    registers = tuple(_register(one, told, where) for one in told.registers)
    _once((one.name for one in registers), where, "register")
    _need(registers, where, "registers", "at least one", "none")
    return RegisterMap(name, told.title, told.source, told.max_registers, told.max_gap, registers)


def _register(told: _MapRegister, plan: _MapFile, where: str) -> Register:
    where = f"{where} register {told.name}"
    if told.type not in tuple(RegisterType):
        raise InputError(f"{where}: type: unknown {told.type!r}; {_near(told.type, RegisterType)}")
    found = Register(
        name=told.name,
        function=told.function or plan.function,
        address=told.address - plan.base,
        type=RegisterType(told.type),
        order=told.order or plan.order,
        scale=told.scale,
        offset=told.offset,
        unit=told.unit,
        decimals=told.decimals,
        invalid=tuple(told.invalid),
    )
    _check_register(found, where)
    return found


def _check_register(one: Register, where: str) -> None:
    reads = "3 or 4 (a collector only reads)"
    _need(one.function in FUNCTIONS, where, "function", reads, one.function)
    _need(one.order in ORDERS, where, "order", ", ".join(ORDERS), one.order)
    _need(0 <= one.address <= 65536 - one.length, where, "address", "0 to 65535 on the wire", one.address)
    _need(0 <= one.decimals <= 12, where, "decimals", "0 to 12", one.decimals)
    _need(one.scale.is_finite() and one.scale != 0, where, "scale", "a number other than 0", one.scale)
    _need(one.offset.is_finite(), where, "offset", "a number", one.offset)
    _check_unit(one.unit, one.unit, where)
    kept = f"enough decimals for scale {one.scale} and offset {one.offset}"
    _need(exact(one), where, "decimals", kept, one.decimals)


def _check_overlaps(config: CollectorConfig, where: str) -> None:
    _need(config.lines, where, "lines", "at least one [[lines]]", "none")
    meters = [meter for line in config.lines for meter in line.meters]
    _once((line.name for line in config.lines), where, "line")
    for line in config.lines:
        _once((meter.name for meter in line.meters), f"{where} line {line.name}", "meter")
    _once((meter.schema for meter in meters), where, "schema")
    _once((point for meter in meters for point in meter.points), where, "point that is read")
    _once((point.point for point in config.points), where, "[[points]] point")
    introduced = {point.point: point for point in config.points}
    for line in config.lines:
        for meter in line.meters:
            for register, name in meter.registers:
                if name in introduced:
                    told = f"{where} line {line.name} meter {meter.name} points {register.name}"
                    _check_fit(register, introduced[name], told)


def _check_fit(register: Register, point: Point, where: str) -> None:
    """Refuse what ingest would hold back reading by reading."""
    _check_unit(register.unit, point.unit, where)
    _need(point.kind is not Kind.PERIOD, where, "kind", "a counter or a gauge", point.kind.value)


def _check_unit(unit: str, wanted: str, where: str) -> None:
    try:
        factor(unit, wanted)
    except ContractError as error:
        raise InputError(f"{where}: unit: {error}") from error


def _need(fits: object, where: str, key: str, expected: str, got: object) -> None:
    if not fits:
        raise InputError(f"{where}: {key}: expected {expected}, got {got!r}")


def _once(names: Iterable[object], where: str, what: str) -> None:
    twice = [str(name) for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"{where}: expected every {what} once, got {', '.join(twice)} twice")


def _near(word: str, known: Iterable[str]) -> str:
    names = [str(name) for name in dict.fromkeys(known)]
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.4)
    return f"nearest: {', '.join(close)}" if close else f"known: {', '.join(names)}"
