"""Stores of several tenants, every table filled by its own columns: whatever table comes next is filled too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from clickhouse_connect.driver.client import Client

from nengliu.domain.scope import Scope
from nengliu.storage.queries import Question


@dataclass(frozen=True, slots=True)
class Tenant:
    """One enterprise; `number` makes every value of it its own."""

    code: str
    region: str
    number: int


TENANTS = (
    Tenant("91320100TENANT0001", "320100", 1),
    Tenant("91320500TENANT0002", "320500", 2),
    Tenant("91320500TENANT0003", "320500", 3),
    Tenant("91440100TENANT0004", "440100", 4),
)
NOBODY = Tenant("", "", 5)
"""Rows that name no enterprise: unreadable messages and the like."""
NOON = datetime.now(UTC).replace(hour=4, minute=0, second=0, microsecond=0) - timedelta(days=1)
"""Noon of yesterday in China: readings expire, so the rows are young."""
_CHINA = timedelta(hours=8)
_SHARED = {"book", "migration"}
_TEXTS = {
    "kind": "counter",
    "item": "electricity",
    "unit": "kWh",
    "industry": "C30",
    "state": "active_unack",
    "class": "meter",
    "root": "meter",
    "what": "opened",
    "measure": "value_added",
    "metric": "energy_total",
    "definition": "{}",
    "parameters": "{}",
    "evidence": "[]",
    "stays": "[]",
}
_NUMBERS = {
    "metering_level": 1,
    "severity": 1,
    "interval_s": 900,
    "cause": 201,
    "reason": 501,
    "decimals": 2,
    "depth": 0,
}

_ODD = {("window_hour", "used"): 999, ("window_15min", "revision"): 999, ("window_month", "decimals"): 3}
"""What does not agree with the rest, so that the audit has something to say."""
_ODD |= {("quarantine", "item"): 2**32 - 1, ("quarantine", "partition"): 0}
"""A message that waits."""


def fill(client: Client, database: str, tenants: Iterable[Tenant], regions: Iterable[str]) -> None:
    """Put rows of some tenants, and of some regions themselves, into every table of a database."""
    found = client.query(
        "SELECT table, groupArray((name, type)) FROM system.columns WHERE database = {db:String} AND table IN "
        "(SELECT name FROM system.tables WHERE database = {db:String} AND engine LIKE '%MergeTree') GROUP BY table",
        parameters={"db": database},
    ).result_rows
    tenants = [*tenants]
    for table, columns in found:
        if table in _SHARED:
            continue
        names = [name for name, _ in columns]
        rows = [] if "enterprise" not in names else [_row(table, columns, tenant) for tenant in tenants]
        if "region" in names and table != "enterprise":
            rows += [_row(table, columns, Tenant("", region, int(region[:4]) % 7)) for region in regions]
        if rows:
            client.insert(table, rows, column_names=names, database=database)


def _row(table: str, columns: list[tuple[str, str]], tenant: Tenant) -> list[Any]:
    return [_value(table, name, kind, tenant) for name, kind in columns]


def _value(table: str, name: str, kind: str, tenant: Tenant) -> Any:
    if name in ("enterprise", "region"):
        return tenant.code if name == "enterprise" else tenant.region
    if table == "point" and name == "definition":
        return '{"tariffs": [{"from_ms": 0, "tariff": "any"}]}'
    if kind.startswith("Array"):
        text = "String" in kind
        return [f"point-{tenant.number}" if text else _value(table, name, kind[6:-1], tenant)]
    if "DateTime" in kind:
        return _instant(table, name)
    if "String" in kind:
        return _text(table, name, tenant)
    return _number(table, name, kind, tenant)


def _text(table: str, name: str, tenant: Tenant) -> str:
    if name == "period":
        return f"{NOON + _CHINA:%Y-%m}" if table.startswith("activity") else f"{NOON + _CHINA:%Y}"
    return _TEXTS.get(name, f"{name}-{tenant.number}")


def _number(table: str, name: str, kind: str, tenant: Tenant) -> bool | float:
    if kind == "Bool":
        return tenant.number % 2 == 0
    if "Float" in kind:
        return float(1 << 3 * tenant.number)
    if table.startswith("window") and table.endswith("history") and name in ("used", "revision"):
        return tenant.number  # another one than what stands
    return _ODD.get((table, name), _NUMBERS.get(name, 10 + tenant.number))


def _instant(table: str, name: str) -> datetime:
    if name in ("cleared_at", "closed_at", "acknowledged_at", "shelved_until", "valid_from"):
        return datetime.fromtimestamp(0, UTC)
    if name != "period_start":
        return NOON
    day = (NOON + _CHINA).replace(hour=0)
    if "day" in table:
        return day - _CHINA
    return day.replace(day=1) - _CHINA if "month" in table else NOON


def parameters(question: Question, tenant: Tenant | None) -> dict[str, Any]:
    """Give parameters that ask a question for everybody, or for one tenant by name, region and all."""
    named = tenant or TENANTS[-1]
    ms = int(NOON.timestamp() * 1000)
    month_ms = int(_instant("window_month", "period_start").timestamp() * 1000)
    day_ms = 86_400_000
    by_name = {
        "enterprise": tenant.code if tenant else "",
        "region": re.sub("(00)+$", "", tenant.region) if tenant else "",
        "point": f"point-{named.number}",
        "incident": f"incident-{named.number}",
        "start": ms - 40 * day_ms,
        "end": ms + 2 * day_ms,
        "now": ms + 2 * 3_600_000,
        "at": ms,
        "position": 2**62,
        "partition": 0,
        "level": "day",
        "enterprises": [each.code for each in TENANTS],
        "points": [(each.code, f"point-{each.number}") for each in TENANTS],
        "from_ms": month_ms,
        "spans": [(each.code, month_ms - 40 * day_ms, ms + 2 * day_ms) for each in TENANTS],
        "before_ms": ms + day_ms,
        "items": ["electricity"],
        "partitions": 1,
        "digest": "another",
        "read_from": ms - 40 * day_ms,
        "services": [[each.code, f"point-{each.number}", 0, 0, 1, 0, False, 0, 0, 0, 1] for each in TENANTS],
    }
    kinds = {
        "points": ("points",),
        "texts": ("enterprises", "items"),
        "text": ("enterprise", "region", "point", "incident", "digest"),
    }
    if question.name == "state_cost_windows":
        by_name["from_ms"] = int((NOON + _CHINA).replace(hour=0).timestamp() * 1000) - 8 * 3_600_000
    return {
        p.name: by_name[p.name]
        for p in question.parameters
        if p.name in by_name
        and (p.kind not in kinds or p.name in kinds[p.kind])
        and _is_wanted(p.name, p.default, tenant)
    }


def _is_wanted(name: str, default: object, tenant: Tenant | None) -> bool:
    """Leave a narrowing text at its default unless somebody is named."""
    return tenant is not None or default is None or name not in ("enterprise", "region", "point", "incident")


def seen_by(scope: Scope) -> tuple[list[Tenant], list[str]]:
    """Give the tenants and the regions' own rows a scope may see, worked out without the program under test."""
    regions = sorted({tenant.region for tenant in TENANTS})
    if scope.role in ("nation", "system"):
        return [*TENANTS, NOBODY], regions
    if scope.role == "enterprise" and scope.enterprise:
        return [t for t in TENANTS if t.code == scope.enterprise and t.region.startswith(scope.region)], []
    if scope.role in ("analyst", "enforcement", "planner") and scope.region:
        own = [t for t in TENANTS if t.region.startswith(scope.region)]
        return own, [region for region in regions if region.startswith(scope.region)]
    return [], []
