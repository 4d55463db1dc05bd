"""Parts of collector.toml as text, for what a template or a scan proposes; a person reads and changes it afterwards.

Keys that hold what they hold anyway are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any

from nengliu.domain.points import Meter, Point

_NEVER = object()


def pairs(table: Mapping[str, object]) -> Iterator[str]:
    """Write the keys of a table that have a value.

    >>> list(pairs({"name": "锅炉", "address": "", "meters": [{"unit": "kWh"}]}))
    ['name = "锅炉"', 'meters = [{ unit = "kWh" }]']
    """
    return (f"{key} = {_value(value)}" for key, value in table.items() if value not in (None, "", (), []))


def point_lines(point: Point, remark: str = "") -> list[str]:
    """Write one [[points]] table, with a remark behind its head."""
    table = _changed(point)
    table.pop("enterprise")
    table["decimals"], table["interval_s"] = point.decimals, point.interval_s
    table["metering_level"] = point.metering_level
    table["meters"] = [_meter(one) for one in point.meters]
    table["formulas"] = [asdict(one) for one in point.formulas]
    return ["", f"[[points]]{remark and f'  # {remark}'}", *pairs(table)]


def text_of(lines: Iterable[str]) -> str:
    """Join lines to the text of a file."""
    return "\n".join(lines).strip("\n") + "\n"


def _meter(one: Meter) -> dict[str, Any]:
    return _changed(one) | {"decimals": one.decimals}


def _changed(one: Any) -> dict[str, Any]:
    """Give the fields of a dataclass that do not hold their default."""
    found = asdict(one)
    return {name: found[name] for name, default in _defaults(one) if found[name] != default}


def _defaults(one: Any) -> Iterator[tuple[str, object]]:
    return ((item.name, _NEVER if item.default is MISSING else item.default) for item in fields(one))


def _value(value: object) -> str:
    """Write one TOML value."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(pairs(value)) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)
