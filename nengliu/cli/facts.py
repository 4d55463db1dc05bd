"""Facts worth looking at, computed from the store and held against the simulator's truth log."""

from __future__ import annotations

import csv
import functools
import time
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING, Any

from nengliu.cli.language import language, say
from nengliu.domain.times import DAY_MS, Level

if TYPE_CHECKING:
    from acquisition.simulator.province import Province
    from nengliu.settings import Settings

WRONG_SHOWN = 5
INCIDENTS = 100_000
"""More than a history has."""


def facts(settings: Settings, province: Province) -> Iterator[str]:
    """Say what the windows add up to, what became of every reading, and which incident to look at."""
    yield _conservation(settings, province)
    yield _intake(settings, province)
    yield from _incident(settings)


def ask(settings: Settings, name: str, **parameters: Any) -> list[dict[str, Any]]:
    """Ask the store a named question as the system; rows as dictionaries."""
    from nengliu import storage
    from nengliu.domain.scope import SYSTEM

    client: Any = storage.connect(settings)
    try:
        rows: list[dict[str, Any]] = storage.ask(client, name, SYSTEM, **parameters).to_pylist()
    finally:
        storage.disconnect(client)
    return rows


def received(province: Province) -> dict[str, int]:
    """Give the span of receipt of everything the province ever sent [ms, UTC]."""
    return {"start": province.start_ms, "end": time.time_ns() // 1_000_000 + DAY_MS}


def _conservation(settings: Settings, province: Province) -> str:
    """Hold the sum of the quarter-hours of each point against the truth log, plant by plant."""
    from acquisition.simulator.plant import truth

    span = {"start": province.start_ms, "end": province.end_ms}
    wrong: dict[str, int] = {}
    points = periods = 0
    for plant in province.plants:
        code = plant.enterprise.enterprise
        rows = ask(settings, "totals", level=Level.QUARTER, enterprise=code, **span)
        found = {row["point"]: int(row["used"]) for row in rows}
        for point, months in truth(plant).items():
            used = sum(months.values())
            points += 1
            if found.get(point) != used:
                wrong[f"{plant.site.slug}/{point}"] = found.get(point, 0) - used
        periods += sum(row["periods"] for row in rows if row["point"] in found)
    if wrong:
        some = dict(list(wrong.items())[:WRONG_SHOWN])
        return say("fact.differs", count=len(wrong), wrong=some)
    return say("fact.conserved", points=points, plants=len(province.plants), periods=f"{periods:,}")


def _intake(settings: Settings, province: Province) -> str:
    names = ("received", "valid", "duplicate", "quarantined", "difference")
    rows = ask(settings, "intake", **received(province))
    codes = [plant.enterprise.enterprise for plant in province.plants]
    days = [
        row for code in codes for row in ask(settings, "completeness", enterprise=code, **received(province))
    ]
    tally = {name: f"{sum(int(row[name]) for row in rows):,}" for name in names}
    return say("fact.intake", late=f"{sum(int(row['late']) for row in days):,}", **tally)


@functools.cache
def _causes() -> dict[int, dict[str, str]]:
    text = resources.files("schemas").joinpath("codes/causes.csv").read_text(encoding="utf-8")
    return {int(row["id"]): row for row in csv.DictReader(text.splitlines())}


def _incident(settings: Settings) -> Iterator[str]:
    """Name the newest meter fault of the history that is over, or the newest incident of any kind."""
    rows = ask(settings, "incidents", limit=INCIDENTS)
    over = [row for row in rows if row["cleared_at"] is not None]
    newest = sorted(over or rows, key=lambda row: (row["class"] == "meter", row["opened_at"]))
    if not newest:
        return
    row = newest[-1]
    yield say(
        "fact.incident",
        count=f"{len(rows):,}",
        open=sum(row["state"] != "closed" and row["cleared_at"] is None for row in rows),
        name=row["name"] if language() == "zh" else row["name_en"],
        cause=_causes()[row["cause"]][language()],
        opened=f"{row['opened_at']:%Y-%m-%d %H:%M}",
        point=row["point"] or row["meter"] or row["line"] or row["source"],
    )
