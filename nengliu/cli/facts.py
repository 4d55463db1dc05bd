"""Facts worth looking at, computed from the store and held against the simulator's truth log."""

from __future__ import annotations

import csv
import functools
import time
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from nengliu.cli.language import language, say
from nengliu.domain.points import Kind
from nengliu.domain.times import DAY_MS, Level, day_of, day_start

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
    yield from _incident(settings, province)


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
    """Hold the sum of the days of each point against the truth log, over all whole days of the history."""
    from acquisition.simulator.plant import truth

    first, last = (int(day) for day in day_of(np.array([province.start_ms - 1, province.end_ms])))
    start, end = (int(at_ms) for at_ms in day_start(np.array([first + 1, last])))
    rows = ask(settings, "totals", level=Level.DAY, enterprise="", start=start, end=end)
    found = {(row["enterprise"], row["point"]): int(row["used"]) for row in rows}
    wrong: dict[str, int] = {}
    for plant in province.plants:
        for point, used in truth(plant, start, end).items():
            got = found.get((plant.enterprise.enterprise, point), 0)
            if got != used:
                wrong[f"{plant.site.slug}/{point}"] = got - used
    if wrong:
        some = dict(list(wrong.items())[:WRONG_SHOWN])
        return say("fact.differs", count=len(wrong), wrong=some)
    points = sum(channel.kind is not Kind.GAUGE for plant in province.plants for channel in plant.channels)
    about = {"points": points, "plants": len(province.plants), "days": f"{points * (last - first - 1):,}"}
    return say("fact.conserved", **about)


def _intake(settings: Settings, province: Province) -> str:
    names = ("received", "valid", "duplicate", "quarantined", "difference")
    rows = ask(settings, "intake", **received(province))
    return say("fact.intake", **{name: f"{sum(int(row[name]) for row in rows):,}" for name in names})


@functools.cache
def _causes() -> dict[int, dict[str, str]]:
    text = resources.files("schemas").joinpath("codes/causes.csv").read_text(encoding="utf-8")
    return {int(row["id"]): row for row in csv.DictReader(text.splitlines())}


def _incident(settings: Settings, province: Province) -> Iterator[str]:
    """Name the newest meter fault of the history that is over, or the newest incident of any kind."""
    found = ask(settings, "incidents", limit=INCIDENTS)
    rows = [row for row in found if row["opened_at"].timestamp() * 1000 <= province.end_ms]
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
        point=place_of(province, row),
    )


def place_of(province: Province, incident: Mapping[str, Any]) -> str:
    """Name the points that an incident befell, in the reader's language; else what it hangs on."""
    is_chinese = language() == "zh"
    names = {
        channel.point: channel.name if is_chinese else channel.name_en
        for plant in province.plants
        if plant.enterprise.enterprise == incident["enterprise"]
        for channel in plant.channels
    }
    found = [names[point] for point in incident["members"] if point in names]
    return ("、" if is_chinese else ", ").join(found) or incident["line"] or incident["source"]
