"""collector.toml and the register maps: what is read, from where, as which point; checked before anything runs.

A map says how one model of meter is read; collector.toml says which meters hang on which
line and which register is which point.  Every fault is told with its file, its key and
the nearest valid word.  `examples/collector/README.md` is the page for people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from acquisition.codecs.registers import Register
from acquisition.drivers.register_maps import (
    Block,
    RegisterMap,
    check_register,
    check_unit,
    load_map,
    merge,
)
from acquisition.drivers.tables import convert, need, once, read
from nengliu.domain.formulas import parse
from nengliu.domain.points import Column, Enterprise, Kind, Point, Schema
from nengliu.domain.points import Meter as Service
from nengliu.errors import ContractError, InputError, nearest
from schemas.messages import WiredLine, WiredMeter, WiringNotice

DAY_S = 86_400
LEAST_DAYS = 15
"""So long a collector must hold its readings.  Source: TC 4.3.4."""
T = TypeVar("T")


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
    buffer: BufferPlan

    def schemas(self) -> tuple[Schema, ...]:
        """Column lists of its frames, one for each meter."""
        meters = (meter for line in self.lines for meter in line.meters)
        return tuple(Schema(self.code, meter.schema, meter.columns()) for meter in meters)

    def wiring(self) -> WiringNotice:
        """Which point hangs on which meter and line."""
        lines = (
            WiredLine(line.name, tuple(WiredMeter(meter.name, meter.points) for meter in line.meters))
            for line in self.lines
        )
        return WiringNotice(self.code, self.name, tuple(lines))


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


class BufferPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the buffer keeps readings and sends what had to wait.

    Parameters
    ----------
    keep_days
        How long a reading is kept although the log has it [d].
    room_mb
        How large the file may become [MiB].
    late_s
        Readings that waited longer go out behind new ones, marked as sent later [s].
    backfill_per_s
        How many messages of those go out per second.
    """

    keep_days: int = 15
    room_mb: int = 1024
    late_s: int = 60
    backfill_per_s: int = 200


class _File(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    enterprise: dict[str, Any]
    lines: list[_LineTable]
    points: list[dict[str, Any]] = []
    align_ms: int = 1000
    heartbeat_s: int = 60
    buffer: BufferPlan = BufferPlan()


_KNOWN = [
    name for part in (_File, BufferPlan, _LineTable, _MeterTable, _Overlay) for name in part.__struct_fields__
]


def load_config(file: Path) -> CollectorConfig:
    """Read collector.toml and the maps it names.

    Raises
    ------
    InputError
        Unreadable, an unknown key or word, or something that cannot be: the message names it.
    """
    told = convert(read(file), _File, str(file), _KNOWN)
    where = str(file)
    need(re.fullmatch(r"[A-Za-z0-9._-]{1,64}", told.name), where, "name", "letters, digits, . _ -", told.name)
    need(0 <= told.align_ms <= 60_000, where, "align_ms", "0 to 60000", told.align_ms)
    need(1 <= told.heartbeat_s <= 3600, where, "heartbeat_s", "1 to 3600", told.heartbeat_s)
    _check_buffer(told.buffer, f"{where} [buffer]")
    code = str(told.enterprise.get("enterprise", ""))
    need(re.fullmatch(r"[0-9A-Z]{18}", code), where, "[enterprise] enterprise", "18 characters", code)
    named = set(told.enterprise) - {"enterprise"}
    config = CollectorConfig(
        name=told.name,
        code=code,
        align_ms=told.align_ms,
        heartbeat_s=told.heartbeat_s,
        enterprise=_plain(told.enterprise, Enterprise, f"{where} [enterprise]") if named else None,
        points=tuple(_point(one, code, where, n) for n, one in enumerate(told.points, 1)),
        lines=tuple(_line(one, file) for one in told.lines),
        buffer=told.buffer,
    )
    _check_overlaps(config, where)
    return config


def _point(table: dict[str, Any], code: str, where: str, n: int) -> Point:
    where = f"{where} [[points]] {n}"
    meters = table.get("meters", [])
    services = tuple(_plain({"from_ms": 0} | one, Service, f"{where} meters") for one in meters)
    found = _plain({"enterprise": code} | table | {"meters": ()}, Point, where)
    need(found.enterprise == code, where, "enterprise", code, found.enterprise)
    for formula in found.formulas:
        try:
            parse(formula.text)
        except ContractError as error:
            raise InputError(f"{where}: {error}") from error
    return replace(found, meters=services)


def _line(told: _LineTable, file: Path) -> Line:
    where = f"{file} line {told.name}"
    need(1 <= told.port <= 65535, where, "port", "1 to 65535", told.port)
    need(0 < told.timeout_s <= 60, where, "timeout_s", "more than 0, at most 60", told.timeout_s)
    need(0 <= told.pause_ms <= 60_000, where, "pause_ms", "0 to 60000", told.pause_ms)
    meters = tuple(_meter(one, file, where) for one in told.meters)
    need(meters, where, "meters", "at least one [[lines.meters]]", "none")
    return Line(told.name, told.host, told.port, told.timeout_s, told.pause_ms, meters)


def _meter(told: _MeterTable, file: Path, where: str) -> Meter:
    where = f"{where} meter {told.name}"
    need(0 <= told.unit <= 255, where, "unit", "a Modbus unit from 0 to 255", told.unit)
    need(1 <= told.interval_s <= DAY_S, where, "interval_s", f"1 to {DAY_S}", told.interval_s)
    need(1 <= told.schema < 2**32, where, "schema", "a number from 1 to 4294967295", told.schema)
    try:
        plan = load_map(told.map, file.parent)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    registers = {register.name: register for register in plan.registers}
    for name in told.points:
        if name not in registers:
            raise InputError(f"{where}: points: map {told.map} has no {name!r}; {nearest(name, registers)}")
    wanted = [(registers[name], told.points[name]) for name in registers if name in told.points]
    need(wanted, where, "points", "at least one register = point", "none")
    found = tuple(_laid_over(register, wish, where) for register, wish in wanted)
    return Meter(told.name, told.unit, plan, told.interval_s, told.schema, found)


def _laid_over(register: Register, wish: str | _Overlay, where: str) -> tuple[Register, str]:
    if isinstance(wish, str):
        return register, wish
    given = {name: getattr(wish, name) for name in ("scale", "offset", "unit", "decimals")}
    found = replace(register, **{name: value for name, value in given.items() if value is not None})
    check_register(found, f"{where} points {register.name}")
    return found, wish.point


def _check_buffer(plan: BufferPlan, where: str) -> None:
    at_least = f"{LEAST_DAYS} (TC 4.3.4) to 3660"
    need(LEAST_DAYS <= plan.keep_days <= 3660, where, "keep_days", at_least, plan.keep_days)
    need(16 <= plan.room_mb <= 2**20, where, "room_mb", "16 to 1048576", plan.room_mb)
    need(1 <= plan.late_s <= 3600, where, "late_s", "1 to 3600", plan.late_s)
    need(1 <= plan.backfill_per_s <= 10_000, where, "backfill_per_s", "1 to 10000", plan.backfill_per_s)


def _check_overlaps(config: CollectorConfig, where: str) -> None:
    need(config.lines, where, "lines", "at least one [[lines]]", "none")
    meters = [meter for line in config.lines for meter in line.meters]
    once((line.name for line in config.lines), where, "line")
    for line in config.lines:
        once((meter.name for meter in line.meters), f"{where} line {line.name}", "meter")
    once((meter.schema for meter in meters), where, "schema")
    once((point for meter in meters for point in meter.points), where, "point that is read")
    once((point.point for point in config.points), where, "[[points]] point")
    introduced = {point.point: point for point in config.points}
    for line in config.lines:
        for meter in line.meters:
            for register, name in meter.registers:
                if name in introduced:
                    told = f"{where} line {line.name} meter {meter.name} points {register.name}"
                    _check_fit(register, introduced[name], told)


def _check_fit(register: Register, point: Point, where: str) -> None:
    """Refuse what ingest would hold back reading by reading."""
    check_unit(register.unit, point.unit, where)
    need(point.kind is not Kind.PERIOD, where, "kind", "a counter or a gauge", point.kind.value)


def _plain(table: dict[str, Any], kind: type[T], where: str) -> T:
    """Make a dataclass of the catalogue from a table of its fields."""
    known = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    for name in table:
        if name not in known:
            raise InputError(f"{where}: unknown key {name!r}; {nearest(name, known)}")
    return convert(table, kind, where, known)
