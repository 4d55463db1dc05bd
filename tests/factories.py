"""Factories: valid things with defaults, each field of which a test may override."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from nengliu.analysis.catalogue import Catalogue
from nengliu.bus import OFFSET_BITS, Record
from nengliu.domain.links import LinkKind
from nengliu.domain.points import Column, Kind, Meter, Point, Schema
from nengliu.domain.quality import Origin
from schemas.block import Block
from schemas.messages import (
    Frame,
    LinkEvent,
    LinkNotice,
    Message,
    Missed,
    Notice,
    PointNotice,
    RowsFrame,
    SchemaNotice,
    encode,
)

ENTERPRISE = "91320000MA1EXAMPL3"
OTHER = "91320000MA1EXAMPL7"
AT_MS = 1_700_000_000_000 // 900_000 * 900_000
AT_S = AT_MS // 1000
TIME = "2023-11-14T22:00:00+00:00"
GENERATION = 1 << OFFSET_BITS
POINT_ID = "e-main"


def make_meter(**given: Any) -> Meter:
    """Make a meter of kWh with two decimals that has served for ever."""
    return Meter(**({"from_ms": 0, "unit": "kWh", "decimals": 2} | given))


def make_point(point: str = POINT_ID, kind: Kind = Kind.COUNTER, **given: Any) -> Point:
    """Make a point of electricity; a counter has one meter unless others are given."""
    fixed: dict[str, Any] = {
        "enterprise": ENTERPRISE,
        "point": point,
        "name": point,
        "kind": kind,
        "item": "electricity",
        "unit": "kWh",
        "decimals": 2,
        "meters": (make_meter(),) if kind is Kind.COUNTER else (),
    }
    return Point(**(fixed | given))


def make_schema(columns: Sequence[tuple[str, str, int]] = ((POINT_ID, "kWh", 2),), **given: Any) -> Schema:
    """Make a column list, number 1 unless told."""
    fixed: dict[str, Any] = {"enterprise": ENTERPRISE, "schema": 1}
    return Schema(columns=tuple(Column(*column) for column in columns), **(fixed | given))


def make_frame(values: Sequence[Sequence[int]] = ((100,),), **given: Any) -> Frame:
    """Make a frame: a row of values per quarter of an hour from `AT_MS` on."""
    matrix = np.array(values, np.int64)
    fixed: dict[str, Any] = {
        "enterprise": ENTERPRISE,
        "schema": 1,
        "source": "collector-1",
        "sequence": AT_S << 32 | 1,
        "received_at_s": AT_S + 900 * len(matrix),
        "read_at_ms": AT_MS + 900_000 * np.arange(len(matrix)),
        "values": matrix,
    }
    return Frame(**(fixed | given))


def make_rows(values: Sequence[int] = (100,), **given: Any) -> RowsFrame:
    """Make loose readings of column 0, a quarter of an hour apart."""
    n = len(values)
    fixed: dict[str, Any] = {
        "enterprise": ENTERPRISE,
        "schema": 1,
        "source": "file.csv",
        "sequence": AT_S << 32 | 1,
        "column": np.zeros(n, np.uint32),
        "read_at_ms": AT_MS + 900_000 * np.arange(n),
        "values": np.array(values, np.int64),
        "received_at_s": np.full(n, AT_S + 900 * n),
        "quality": np.zeros(n, np.uint8),
        "reason": np.zeros(n, np.uint16),
        "origin": Origin.FILE,
    }
    return RowsFrame(**(fixed | given))


def make_links(
    events: Sequence[LinkEvent] = (), missed: Sequence[Missed] = (), number: int = 1, **given: Any
) -> LinkNotice:
    """Make the `number`-th link notice of a collector; without anything given it is a heartbeat."""
    if not events and not missed:
        events = [LinkEvent(AT_MS, LinkKind.HEARTBEAT, parameters={"queued": "0"})]
    fixed: dict[str, Any] = {
        "enterprise": ENTERPRISE,
        "source": "collector-1",
        "sequence": AT_S << 32 | number,
        "received_at_s": AT_S,
    }
    return LinkNotice(events=tuple(events), missed=tuple(missed), **(fixed | given))


def make_json(**given: Any) -> dict[str, Any]:
    """Make the JSON of one reading as a foreign sender would write it."""
    fixed = {
        "v": 1,
        "enterprise": ENTERPRISE,
        "point": POINT_ID,
        "read_at": TIME,
        "value": "1.00",
        "unit": "kWh",
    }
    return fixed | given


def make_record(value: bytes | Message | dict[str, Any] | list[Any], offset: int = 0, **given: Any) -> Record:
    """Make a record of the raw topic; messages are encoded, dictionaries and lists become JSON."""
    if isinstance(value, dict | list):
        value = json.dumps(value).encode()
    elif not isinstance(value, bytes):
        value = encode(value)
    fixed: dict[str, Any] = {
        "topic": "readings.raw",
        "partition": 0,
        "generation": 1,
        "offset": offset,
        "key": ENTERPRISE,
        "value": value,
        "appended_at_s": AT_S + 86_400,
    }
    return Record(**(fixed | given))


def make_log(messages: Sequence[bytes | Message | dict[str, Any] | list[Any]], **given: Any) -> list[Record]:
    """Make records of one partition, offsets counting from 0."""
    return [make_record(message, offset, **given) for offset, message in enumerate(messages)]


def make_catalogue(*points: Point, schema: Schema | None = None) -> Catalogue:
    """Make a catalogue that was told of points (one counter unless given) and a column list of them all."""
    points = points or (make_point(),)
    catalogue = Catalogue()
    for notice in make_notices(*points, schema=schema):
        catalogue.take(notice, 1)
    return catalogue


def make_notices(*points: Point, schema: Schema | None = None) -> list[Notice]:
    """Make the notices that declare points and a column list of them in their own unit and decimals."""
    columns = [(p.point, p.unit, p.decimals) for p in points]
    return [*(PointNotice(p) for p in points), SchemaNotice(schema or make_schema(columns))]


def make_block(readings: Sequence[dict[str, int | str]], **given: Any) -> Block:
    """Make a block from dictionaries with point, at_ms, ticks, sequence, position and the rest at choice."""

    def column(name: str, dtype: str, default: int) -> Any:
        return np.array([r.get(name, default) for r in readings], dtype)

    points = list(dict.fromkeys(str(r.get("point", POINT_ID)) for r in readings))
    fixed: dict[str, Any] = {
        "points": tuple((ENTERPRISE, point) for point in points),
        "slot": np.array([points.index(str(r.get("point", POINT_ID))) for r in readings], np.int32),
        "read_at_ms": column("at_ms", "i8", AT_MS),
        "ticks": column("ticks", "i8", 100),
        "quality": column("quality", "u1", 0),
        "reason": column("reason", "u2", 0),
        "origin": column("origin", "u1", 0),
        "received_at_s": column("received_at_s", "i8", AT_S),
        "sequence": column("sequence", "u8", 1),
        "position": column("position", "u8", GENERATION),
        "sent": column("sent", "i8", 100),
        "units": (("kWh", 2),),
        "sent_unit": np.zeros(len(readings), np.uint16),
        "verdict": column("verdict", "u1", 0),
    }
    return Block(**(fixed | given))


def payload_of(text: str) -> bytes:
    """Bytes of a whole message as the quarantine keeps them."""
    return base64.b64decode(text)


def collector_toml(port: int = 1) -> str:
    """Write the configuration of a collector with one meter on one line."""
    return f"""
name = "workshop"
[enterprise]
enterprise = "91370200MA0DEM0PLD"
[[lines]]
name = "line"
host = "127.0.0.1"
port = {port}
[[lines.meters]]
name = "main"
unit = 1
map = "generic"
interval_s = 60
schema = 101
[lines.meters.points]
energy = "e-main"
"""
