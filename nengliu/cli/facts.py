"""Three facts worth looking at, computed from the store and held against the simulator's truth log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nengliu.cli.language import say
from nengliu.domain.times import DAY_MS, Level

if TYPE_CHECKING:
    from acquisition.simulator.plant import Plant
    from nengliu.settings import Settings

GRID = "grid"
"""Point of the incoming electricity: it has the rollover, and what its line did not send."""


def facts(settings: Settings, plant: Plant) -> Iterator[str]:
    """Say what the windows add up to, what became of every reading, and how yesterday compares."""
    yield _conservation(settings, plant)
    yield _intake(settings, plant)
    if plant.days > 9:
        yield _yesterday(settings, plant)


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


def received(plant: Plant) -> dict[str, int]:
    """Give the span of receipt of everything the plant ever sent [ms, UTC]."""
    return {"start": plant.start_ms, "end": time.time_ns() // 1_000_000 + DAY_MS}


def _conservation(settings: Settings, plant: Plant) -> str:
    from acquisition.simulator.plant import enterprise, truth

    span: dict[str, int] = {"start": plant.start_ms, "end": plant.end_ms}
    rows = ask(settings, "totals", level=Level.QUARTER, enterprise=enterprise().enterprise, **span)
    found = {row["point"]: int(row["used"]) for row in rows}
    true = {point: sum(months.values()) for point, months in truth(plant).items()}
    row = next((row for row in rows if row["point"] == GRID), None)
    if row is None:
        return say("fact.no_data")
    wrong = {point: found.get(point, 0) - used for point, used in true.items() if found.get(point) != used}
    used = f"{int(row['used']) / 10 ** row['decimals']:,.2f} {row['unit']}"
    if wrong:
        return say("fact.differs", used=used, wrong=wrong)
    return say("fact.conserved" if plant.changed else "fact.conserved_short", used=used, points=len(true))


def _intake(settings: Settings, plant: Plant) -> str:
    from acquisition.simulator.plant import enterprise

    code, names = enterprise().enterprise, ("received", "valid", "duplicate", "quarantined", "difference")
    rows = ask(settings, "intake", enterprise=code, **received(plant))
    days = ask(settings, "completeness", enterprise=code, **received(plant))
    tally = {name: f"{sum(int(row[name]) for row in rows):,}" for name in names}
    return say("fact.intake", late=f"{sum(int(row['late']) for row in days):,}", **tally)


def _yesterday(settings: Settings, plant: Plant) -> str:
    from acquisition.simulator.plant import enterprise

    span = {"start": plant.end_ms - 10 * DAY_MS, "end": plant.end_ms}
    rows = ask(settings, "windows", level=Level.DAY, enterprise=enterprise().enterprise, point=GRID, **span)
    whole = [row for row in rows if row["covered_s"] >= 86_400]
    if len(whole) < 8:
        return say("fact.no_data")
    last, before = whole[-1], whole[-8]
    change = 100 * (last["used"] / before["used"] - 1)
    day = last["period_start"].strftime("%Y-%m-%d")
    return say("fact.yesterday", day=day, used=f"{last['used'] / 1000:,.1f}", change=f"{change:+.1f}")
