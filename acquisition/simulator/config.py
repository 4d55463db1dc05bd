"""The collector's configuration for a fleet: which registers of which meter are which point.

Written as text, because the form of `collector.toml` belongs to the driver and the rooms do
not import each other; `examples/collector/README.md` is the page of the form.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from acquisition.simulator.fleet import Fleet
from acquisition.simulator.meters import Meter
from acquisition.simulator.plant import Plant, notices
from nengliu.domain.points import Enterprise, Kind, Point
from nengliu.domain.points import Meter as Service
from schemas.messages import PointNotice

HOST = "127.0.0.1"
FIRST_SCHEMA = 101
"""Number of the first meter's frames; the history of the demonstration has 1."""
BENCH_ENTERPRISE = Enterprise(
    "91370200MA0DEMFLT2",
    "青岚示例仪表群（模拟）",
    "Qinglan example fleet (simulated)",
    region="370200",
    industry="3484",
    simulated=True,
)
BENCH_REGISTERS: tuple[tuple[str, Kind, str, str, int], ...] = (
    ("energy", Kind.COUNTER, "electricity", "kWh", 2),
    ("power", Kind.GAUGE, "active_power", "kW", 2),
    ("current_a", Kind.GAUGE, "measurement", "A", 3),
    ("current_b", Kind.GAUGE, "measurement", "A", 3),
    ("current_c", Kind.GAUGE, "measurement", "A", 3),
    ("voltage_a", Kind.GAUGE, "measurement", "V", 1),
    ("voltage_b", Kind.GAUGE, "measurement", "V", 1),
    ("voltage_c", Kind.GAUGE, "measurement", "V", 1),
    ("power_factor", Kind.GAUGE, "measurement", "1", 3),
    ("frequency", Kind.GAUGE, "measurement", "Hz", 2),
    ("power_a", Kind.GAUGE, "active_power", "kW", 2),
    ("power_b", Kind.GAUGE, "active_power", "kW", 2),
    ("power_c", Kind.GAUGE, "active_power", "kW", 2),
    ("apparent_power", Kind.GAUGE, "measurement", "kVA", 2),
    ("demand", Kind.GAUGE, "active_power", "kW", 2),
    ("temperature", Kind.GAUGE, "measurement", "degC", 1),
    ("energy_reactive", Kind.COUNTER, "measurement", "kvarh", 2),
    ("energy_export", Kind.COUNTER, "electricity", "kWh", 2),
    ("amount", Kind.COUNTER, "measurement", "1", 3),
    ("value", Kind.GAUGE, "measurement", "1", 3),
)
"""Registers of the map `generic` in the order in which a fleet of R registers takes them."""


def plant_config(
    fleet: Fleet, plant: Plant, interval_s: int, since_ms: int | None, *, host: str = HOST, prefix: str = ""
) -> str:
    """Write collector.toml for the plant: its points but the output, which no register tells per interval.

    Parameters
    ----------
    interval_s
        Seconds between two readings of a meter.
    host
        Address at which the collector finds the fleet.
    since_ms
        Instant from which the points exist, their first registers unknown [ms, UTC]; None when the
        plant's history is told as well, and the points are those of its notices.
    prefix
        Stands before the names of the plant's lines in the fleet, not in the configuration.
    """
    points = [
        notice.value
        for notice in notices(plant)
        if isinstance(notice, PointNotice) and notice.value.kind is not Kind.PERIOD
    ]
    if since_ms is not None:
        points = [_since(point, since_ms) for point in points]
    read: dict[str, dict[str, Any]] = {}
    for channel in plant.channels:
        if channel.follows:
            read[channel.follows]["power"] = channel.point
        elif channel.meter is not None:
            read[channel.point] = _counter(channel.point, channel.unit, channel.meter["decimals"])
    lines = [line for line in fleet.lines if line.name.startswith(prefix)]
    wired = [
        (
            line.name.removeprefix(prefix),
            fleet.ports[line.name],
            [(m, read.get(m.name, {})) for m in line.meters],
        )
        for line in lines
    ]
    return _text(plant.site.slug, _introduction(plant.enterprise, points), host, wired, interval_s)


def bench_config(fleet: Fleet, registers: int, interval_s: int, since_ms: int, *, host: str = HOST) -> str:
    """Write collector.toml for a fleet without a plant, with so many registers of each meter (1 to 20)."""
    points: list[Point] = []
    wired: list[_Wired] = []
    wanted = BENCH_REGISTERS[:registers]
    for line in fleet.lines:
        read = [(meter, {row[0]: f"{meter.name}-{row[0]}" for row in wanted}) for meter in line.meters]
        wired.append((line.name, fleet.ports[line.name], read))
        for meter in line.meters:
            told = (_bench_point(meter.name, row, meter.modulus, interval_s) for row in wanted)
            points += (_since(point, since_ms) for point in told)
    return _text("fleet", _introduction(BENCH_ENTERPRISE, points), host, wired, interval_s)


def _since(point: Point, since_ms: int) -> Point:
    """Let a point, and the meter that stands at it now, begin at an instant with an unknown register."""
    meters = tuple(replace(meter, from_ms=since_ms, first=None) for meter in point.meters[-1:])
    return replace(point, valid_from_ms=since_ms, meters=meters)


def _counter(point: str, unit: str, decimals: int) -> dict[str, Any]:
    """Name the register of a counter: `energy` in kWh as it is, anything else laid over `amount`."""
    if (unit, decimals) == ("kWh", 2):
        return {"energy": point}
    return {"amount": {"point": point, "unit": unit, "scale": 10.0**-decimals, "decimals": decimals}}


def _bench_point(meter: str, row: tuple[str, Kind, str, str, int], modulus: int, interval_s: int) -> Point:
    register, kind, item, unit, decimals = row
    point = Point(
        BENCH_ENTERPRISE.enterprise,
        f"{meter}-{register}",
        f"{meter} {register}",
        kind,
        item,
        unit,
        decimals,
        interval_s=interval_s,
        metering_level=1 if register == "energy" else 0,
        place=f"main/{meter}",
    )
    services = (Service(0, unit, decimals, modulus=modulus),) if kind is Kind.COUNTER else ()
    return replace(point, meters=services)


def _introduction(who: Enterprise, points: Iterable[Point]) -> list[str]:
    """Lay out the enterprise and its points."""
    lines = ["[enterprise]", *pairs(asdict(who))]
    for point in points:
        table = asdict(point)
        del table["enterprise"]
        lines += ["", "[[points]]", *pairs(table)]
    return lines


_Wired = tuple[str, int, Sequence[tuple[Meter, Mapping[str, Any]]]]
"""A line's name and port, and its meters with the registers that are points."""


def _text(name: str, introduction: Iterable[str], host: str, wired: Iterable[_Wired], interval_s: int) -> str:
    """Lay everything out as TOML; a meter without a register that is a point is left out."""
    lines = [f"name = {_value(name)}", "", *introduction]
    schema = itertools.count(FIRST_SCHEMA)
    for line, port, meters in wired:
        lines += ["", "[[lines]]", *pairs({"name": line, "host": host, "port": port})]
        for meter, read in meters:
            if read:
                told = {"name": meter.name, "unit": meter.unit, "map": "generic", "interval_s": interval_s}
                lines += ["", "[[lines.meters]]", *pairs(told | {"schema": next(schema)})]
                lines += ["[lines.meters.points]", *pairs(read)]
    return "\n".join(lines) + "\n"


def pairs(table: Mapping[str, Any]) -> Iterator[str]:
    """Write the keys of a table that have a value."""
    return (f"{key} = {_value(value)}" for key, value in table.items() if value not in (None, "", ()))


def _value(value: object) -> str:
    """Write one TOML value."""
    if isinstance(value, dict):
        return "{ " + ", ".join(pairs(value)) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)
