"""The rows that keep a notice, with the position that carried it in their key or as their version."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import numpy as np

from nengliu.analysis.intake.rows import Named, labels
from nengliu.bus import Record
from schemas.block import Rows
from schemas.foreign import exact
from schemas.messages import (
    ActivityNotice,
    BookNotice,
    EnterpriseNotice,
    EntryNotice,
    ImportNotice,
    Notice,
    PointNotice,
    RegionNotice,
    RetentionNotice,
    SchemaNotice,
    TargetNotice,
    TariffNotice,
    WiringNotice,
)

Kept = dict[str, Any]
"""One row by column."""


def notice_rows(told: Iterable[tuple[Notice, Record]]) -> Iterator[Rows]:
    """Rows that keep notices, a table at a time and in order of the log; none of one that says nothing."""
    tables: dict[str, list[Kept]] = {}
    for notice, record in told:
        table, keep = _KEEPERS[type(notice)]
        where = {"position": record.position, "known_at": record.appended_at_s}
        if isinstance(notice, BookNotice | TariffNotice | RetentionNotice):
            where["partition"] = record.partition
        tables.setdefault(table, []).extend(row | where for row in keep(notice))
    for table, rows in tables.items():
        if rows:
            columns: Named = {name: _column([row[name] for row in rows]) for name in rows[0]}
            yield Rows(table, columns)


def _enterprise(notice: EnterpriseNotice) -> list[Kept]:
    names = ("enterprise", "name", "name_en", "region", "industry", "simulated")
    row = {name: getattr(notice.value, name) for name in names}
    return [row | {"stays": _json(notice.value.stays)}]


def _point(notice: PointNotice) -> list[Kept]:
    point = notice.value
    names = ("enterprise", "point", "name", "name_en", "item", "unit", "place")
    numbers = ("decimals", "interval_s", "metering_level")
    row = {name: getattr(point, name) for name in (*names, *numbers)}
    return [row | {"kind": point.kind.value, "valid_from": point.valid_from_ms, "definition": _json(point)}]


def _schema(notice: SchemaNotice) -> list[Kept]:
    schema = notice.value
    return [{"enterprise": schema.enterprise, "schema": schema.schema, "definition": _json(schema)}]


def _book(notice: BookNotice | TariffNotice) -> list[Kept]:
    return [{"digest": notice.digest, "definition": _json(notice)}]


def _horizon(notice: RetentionNotice) -> list[Kept]:
    return [{"flow": "ingest", "begins_at": notice.begins_ms}]


def passed_rows(notice: RetentionNotice, position: int, partition: int) -> Rows:
    """Row that says that rollups have passed the notice: nothing before it is under way any more."""
    return Rows(
        "horizon",
        {
            "flow": labels(["rollups"]),
            "partition": np.array([partition]),
            "position": np.array([position]),
            "begins_at": np.array([notice.begins_ms]),
            "known_at": np.array([notice.at_s]),
        },
    )


def _import(notice: ImportNotice) -> list[Kept]:
    row = msgspec.structs.asdict(notice)
    return [row | {"started_at": row.pop("started_at_s")}]


def _wiring(notice: WiringNotice) -> list[Kept]:
    return [{"enterprise": notice.enterprise, "source": notice.source, "definition": _json(notice)}]


def _region(notice: RegionNotice) -> list[Kept]:
    return [msgspec.structs.asdict(notice)]


def _target(notice: TargetNotice) -> list[Kept]:
    whose = {"enterprise": notice.enterprise, "region": notice.region}
    return [whose | msgspec.structs.asdict(target) for target in notice.targets]


def _activity(notice: ActivityNotice) -> list[Kept]:
    whose = {"enterprise": notice.enterprise, "origin": notice.origin, "by": notice.by, "at": notice.at_s}
    return [
        whose | msgspec.structs.asdict(one) | {"value": math.nan if one.value is None else one.value}
        for one in notice.activities
    ]


def _entry(notice: EntryNotice) -> list[Kept]:
    rows = []
    for item, row in enumerate(notice.rows):
        sent, decimals = exact(row.value)
        value = {"sent": sent, "sent_decimals": decimals, "sent_unit": row.unit}
        place = {"enterprise": notice.enterprise, "point": row.point, "read_at": row.read_at_ms, "item": item}
        rows.append(place | value | {"by": notice.by, "at": notice.at_s, "why": row.why})
    return rows


_KEEPERS: dict[type[Any], tuple[str, Callable[[Any], list[Kept]]]] = {
    EnterpriseNotice: ("enterprise", _enterprise),
    PointNotice: ("point", _point),
    SchemaNotice: ("frame_schema", _schema),
    BookNotice: ("book", _book),
    TariffNotice: ("tariff", _book),
    RetentionNotice: ("horizon", _horizon),
    ImportNotice: ("import_run", _import),
    WiringNotice: ("wiring", _wiring),
    RegionNotice: ("region", _region),
    TargetNotice: ("target", _target),
    ActivityNotice: ("activity", _activity),
    EntryNotice: ("manual_entry", _entry),
}


def _column(values: list[Any]) -> Any:
    return labels(values) if values and isinstance(values[0], str) else np.array(values)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
