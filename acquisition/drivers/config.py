"""collector.toml and the register maps: what is read, from where, as which point; checked before anything runs.

A map says how one model of meter is read; collector.toml says which meters hang on which
line and which register is which point.  Every fault is told with its file, its key and
the nearest valid word.  `examples/collector/README.md` is the page for people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from acquisition.codecs.exchange import Item
from acquisition.drivers.line_config import Line, LineTable, Meter, MeterTable, Overlay, read_lines
from acquisition.drivers.meters.register_maps import check_unit
from acquisition.drivers.plans import (
    DEFAULT_CENTRES,
    TABLES,
    CentrePlan,
    ClockPlan,
    RemotePlan,
    check_centres,
    check_clock,
    check_remote,
)
from acquisition.drivers.sources.plans import FeedPlan, check_beside, read_feeds
from acquisition.drivers.tables import convert, need, once, read
from nengliu.domain.formulas import parse
from nengliu.domain.points import Enterprise, Kind, Point, Schema
from nengliu.domain.points import Meter as Service
from nengliu.errors import ContractError, InputError, nearest
from schemas.messages import WiredLine, WiredMeter, WiringNotice

__all__ = ["BufferPlan", "CollectorConfig", "Line", "Meter", "load_config"]

LEAST_DAYS = 15
"""So long a collector must hold its readings.  Source: TC 4.3.4."""
T = TypeVar("T")
_CLOCK, _REMOTE = ClockPlan(), RemotePlan()


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
    centres: tuple[CentrePlan, ...] = DEFAULT_CENTRES
    clock: ClockPlan = _CLOCK
    remote: RemotePlan = _REMOTE
    file: Path | None = None
    feeds: tuple[FeedPlan, ...] = ()

    def catalogue(self) -> tuple[Point, ...]:
        """Points that it introduces: its own, and those that the maps of its feeds describe."""
        own = {point.point for point in self.points}
        found = (point for feed in self.feeds for point in feed.catalogue() if point.point not in own)
        return (*self.points, *found)

    def schemas(self) -> tuple[Schema, ...]:
        """Column lists of its frames, one for each meter and feed."""
        meters = (meter for line in self.lines for meter in line.meters)
        found = (Schema(self.code, meter.schema, meter.columns()) for meter in meters)
        return (*found, *(feed.schema for feed in self.feeds))

    def wiring(self) -> WiringNotice:
        """Which point hangs on which meter and line."""
        lines = (
            WiredLine(line.name, tuple(WiredMeter(meter.name, meter.points) for meter in line.meters))
            for line in self.lines
        )
        return WiringNotice(self.code, self.name, (*lines, *(feed.wired() for feed in self.feeds)))


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
    keep_frames
        Whether the answers of the meters are kept as they came, as long as the readings.
    """

    keep_days: int = 15
    room_mb: int = 1024
    late_s: int = 60
    backfill_per_s: int = 200
    keep_frames: bool = False


class _File(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    enterprise: dict[str, Any]
    lines: list[LineTable] = []
    feeds: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    align_ms: int = 1000
    heartbeat_s: int = 60
    buffer: BufferPlan = BufferPlan()
    centres: tuple[CentrePlan, ...] = DEFAULT_CENTRES
    clock: ClockPlan = ClockPlan()
    remote: RemotePlan = RemotePlan()


_KNOWN = [
    name
    for part in (_File, BufferPlan, *TABLES, LineTable, MeterTable, Overlay)
    for name in part.__struct_fields__
]


def load_config(file: Path, folder: Path | None = None) -> CollectorConfig:
    """Read collector.toml and the maps it names, relative to `folder` or else beside it.

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
        lines=read_lines(told.lines, file, folder),
        buffer=told.buffer,
        centres=told.centres,
        clock=told.clock,
        remote=told.remote,
        file=file,
        feeds=read_feeds(told.feeds, file, told.name, code, folder),
    )
    _check_overlaps(config, where)
    names = {point.point for point in config.points}
    names |= {point for line in config.lines for meter in line.meters for point in meter.points}
    names |= {point for feed in config.feeds for point in feed.points}
    check_centres(config.centres, names, where)
    check_clock(config.clock, f"{where} [clock]")
    check_remote(config.remote, f"{where} [remote]")
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


def _check_buffer(plan: BufferPlan, where: str) -> None:
    at_least = f"{LEAST_DAYS} (TC 4.3.4) to 3660"
    need(LEAST_DAYS <= plan.keep_days <= 3660, where, "keep_days", at_least, plan.keep_days)
    need(16 <= plan.room_mb <= 2**20, where, "room_mb", "16 to 1048576", plan.room_mb)
    need(1 <= plan.late_s <= 3600, where, "late_s", "1 to 3600", plan.late_s)
    need(1 <= plan.backfill_per_s <= 10_000, where, "backfill_per_s", "1 to 10000", plan.backfill_per_s)


def _check_overlaps(config: CollectorConfig, where: str) -> None:
    need(config.lines or config.feeds, where, "lines", "at least one [[lines]] or [[feeds]]", "none")
    meters = [meter for line in config.lines for meter in line.meters]
    once((line.name for line in config.lines), where, "line")
    for line in config.lines:
        once((meter.name for meter in line.meters), f"{where} line {line.name}", "meter")
    once((meter.schema for meter in meters), where, "schema")
    read_points = [point for meter in meters for point in meter.points]
    check_beside(config.feeds, [line.name for line in config.lines], read_points, where)
    once((point.point for point in config.points), where, "[[points]] point")
    introduced = {point.point: point for point in config.points}
    for line in config.lines:
        for meter in line.meters:
            for item, name in meter.items:
                if name in introduced:
                    told = f"{where} line {line.name} meter {meter.name} points {item.name}"
                    _check_fit(item, introduced[name], told)


def _check_fit(item: Item, point: Point, where: str) -> None:
    """Refuse what ingest would hold back reading by reading."""
    check_unit(item.unit, point.unit, where)
    need(point.kind is not Kind.PERIOD, where, "kind", "a counter or a gauge", point.kind.value)


def _plain(table: dict[str, Any], kind: type[T], where: str) -> T:
    """Make a dataclass of the catalogue from a table of its fields."""
    known = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    for name in table:
        if name not in known:
            raise InputError(f"{where}: unknown key {name!r}; {nearest(name, known)}")
    return convert(table, kind, where, known)
