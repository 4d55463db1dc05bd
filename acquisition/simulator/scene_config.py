"""The collector's configuration for a scene: every line as its port says, every meter with the map of its protocol.

Written as text, because the form of `collector.toml` belongs to the driver and the rooms do
not import each other; `examples/collector/README.md` is the page of the form.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from acquisition.simulator.carriers import Carrier, PtyCarrier, TcpCarrier
from acquisition.simulator.config import FIRST_SCHEMA, pairs
from acquisition.simulator.journal import changes, point_of
from acquisition.simulator.moment import PanelItem, panel, table
from acquisition.simulator.scene import Placed, Scene
from nengliu.domain.points import Enterprise, Kind, Point
from nengliu.domain.points import Meter as Service

ENTERPRISE = Enterprise(
    "91370200MA0DEMFLT3",
    "青岚示例表计群（模拟）",
    "Qinglan example scene (simulated)",
    region="370200",
    industry="3484",
    simulated=True,
)


@dataclass(frozen=True, slots=True)
class PointForm:
    """How an item of a panel is booked as a point: the item of the catalogue and the decimals of its ticks."""

    item: str
    decimals: int


def collector_text(
    scene: Scene, places: Mapping[str, Mapping[str, Any]] | None = None, *, host: str = ""
) -> str:
    """Write collector.toml for a scene that is served.

    Parameters
    ----------
    places
        By line, the keys that say where it is (device, or host and port); for the others those of the
        scene's own ports.
    host
        Address at which the collector finds the TCP ports; that on which they listen without it.
    """
    found = {name: place_of(carrier, host) for name, carrier in scene.carriers.items()} | dict(places or {})
    lines = [*pairs({"name": f"scene-{scene.told.name}"}), "", "[enterprise]", *pairs(asdict(ENTERPRISE))]
    for placed in scene.meters:
        for point in points_of(scene, placed):
            told = asdict(point)
            del told["enterprise"]
            lines += ["", "[[points]]", *pairs(told)]
    schema = itertools.count(FIRST_SCHEMA)
    for line in scene.told.lines:
        told = {"name": line.name, "kind": line.kind, **found[line.name]}
        told |= {"timeout_s": line.timeout_s, "pause_ms": line.pause_ms}
        lines += ["", "[[lines]]", *pairs(told)]
        for placed in scene.meters:
            if placed.line is line:
                lines += _meter(scene, placed, next(schema))
    return "\n".join(lines) + "\n"


def points_of(scene: Scene, placed: Placed) -> Iterator[Point]:
    """Give the points of a meter, a change of the meter booked with both registers."""
    meter = placed.station.meter
    for item in placed.table.items:
        one, form = panel()[item], _form(item, placed.table.carrier)
        point = Point(
            ENTERPRISE.enterprise,
            point_of(meter.name, item),
            f"{meter.name} {item}",
            Kind.COUNTER if one.counter else Kind.GAUGE,
            form.item,
            one.unit,
            form.decimals,
            interval_s=placed.table.interval_s or scene.told.interval_s,
            metering_level=2 if item in ("energy", "volume", "heat") else 0,
            place=f"main/{placed.line.name}/{meter.name}",
            valid_from_ms=scene.start_ms,
        )
        yield replace(point, meters=_services(scene, placed, one)) if one.counter else point


def _services(scene: Scene, placed: Placed, one: PanelItem) -> tuple[Service, ...]:
    """Say which meters stood there, one after the other."""
    own = Service(scene.start_ms, one.unit, one.decimals, modulus=placed.station.meter.modulus)
    found = [own]
    for from_ms, last, first in changes(scene, placed):
        found[-1] = replace(found[-1], last=last)
        found.append(replace(own, from_ms=from_ms, first=first))
    return tuple(found)


def _form(item: str, carrier: str) -> PointForm:
    rows = {(row["item"], row["carrier"]): row for row in table("points")}
    row = rows.get((item, carrier)) or rows.get((item, ""))
    if row is None:
        return PointForm("measurement", panel()[item].decimals)
    return PointForm(row["point_item"], int(row["decimals"]))


def _meter(scene: Scene, placed: Placed, schema: int) -> list[str]:
    station, told = placed.station, placed.table
    where: dict[str, Any] = {"address": station.address}
    if told.protocol.startswith("modbus"):
        where = {"unit": int(station.address)}
    own = {"name": station.name, **where, "map": told.map or default_map(told.protocol, told.carrier)}
    own |= {"interval_s": told.interval_s or scene.told.interval_s, "schema": schema}
    if told.frozen:
        own["frozen"] = True
    read = {item: point_of(station.name, item) for item in told.items}
    return ["", "[[lines.meters]]", *pairs(own), "[lines.meters.points]", *pairs(read)]


def default_map(protocol: str, carrier: str) -> str:
    """Name the shipped map that reads a meter of a protocol without habits of its own."""
    if protocol == "cjt188":
        return f"cjt188_{carrier or 'water'}"
    return protocol.replace("-", "_") if protocol.startswith("dlt645") else "generic"


def place_of(carrier: Carrier, host: str = "") -> dict[str, Any]:
    """Say where a line is reached; a pseudo-terminal knows no parity."""
    if isinstance(carrier, PtyCarrier):
        return {"device": str(carrier.path), "baud": carrier.bus.terms.speed.baud, "parity": "N"}
    assert isinstance(carrier, TcpCarrier)
    baud = carrier.bus.terms.speed.baud
    return {"host": host or carrier.host, "port": carrier.port} | ({"baud": baud} if baud else {})
