"""Feeds as collector.toml tells them, for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acquisition.drivers.sources.plans import FeedPlan, read_feeds

CODE = "91320000MA1EXAMPL3"
HEAD = f'[enterprise]\ncode = "{CODE}"\nname = "示例厂"\n'
TIME = '[time]\ncolumn = "at"\nformat = "%Y-%m-%d %H:%M:%S"\n'
ENERGY = (
    '[[point]]\ncolumn = "kwh"\nid = "e-main"\nkind = "counter"\nitem = "electricity"\n'
    'unit = "kWh"\ndecimals = 2\n'
)
POWER = (
    '[[point]]\ncolumn = "kw"\nid = "p-main"\nkind = "gauge"\nitem = "measurement"\n'
    'unit = "kW"\ndecimals = 1\n'
)
QUERY = "SELECT at, kwh, kw, changed FROM reading"


def make_plan(beside: Path, kind: str, map_text: str = HEAD + TIME + ENERGY + POWER, **told: Any) -> FeedPlan:
    """Write a map and read a feed that uses it."""
    (beside / "map.toml").write_text(map_text, encoding="utf-8")
    table = {"name": "mes", "kind": kind, "map": "map.toml"} | told
    return read_feeds([table], beside / "collector.toml", "c1", CODE)[0]


def sql_plan(folder: Path, **told: Any) -> FeedPlan:
    given = {"url": "sqlite:///plant.db", "query": QUERY, "watermark": "changed", "overlap": 600}
    return make_plan(folder, "sql", **(given | told))
