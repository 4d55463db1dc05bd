"""Scenarios: what is announced is what the simulator is ordered to do, at plants that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from acquisition.simulator.faults import read_faults
from acquisition.simulator.fleet import Fleet, province_lines
from acquisition.simulator.province import PLANTS, Province
from nengliu.cli.scenario import SCENARIOS, Scenario, load_scenario
from nengliu.domain.times import DAY_MS

START_MS = 1_795_233_600_000 + 100_000


def laid(name: str, plants: int = PLANTS) -> tuple[Scenario, Province]:
    province = Province(7, START_MS // DAY_MS * DAY_MS - 3 * DAY_MS, 3, plants)
    return load_scenario(name).laid(province, START_MS), province


@pytest.mark.parametrize("plants", [1, 8, PLANTS])
@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario_strikes_meters_that_are_there(tmp_path: Path, name: str, plants: int) -> None:
    """Whatever befalls a line or a meter can be ordered of the simulator, in a small province too."""
    scenario, province = laid(name, plants)
    fleet = Fleet(province_lines(province, province.end_ms), lambda: START_MS)
    file = tmp_path / "faults.toml"
    file.write_text(scenario.faults_text() or "faults = []", encoding="utf-8")
    faults = read_faults(file, 0)
    fleet.add(*faults)

    assert len(faults) + len([e for e in scenario.events if e.kind == "stopped"]) == len(scenario.events) > 0
    assert all(fault.line for fault in faults)
    assert all(fault.from_ms >= START_MS - 900_000 for fault in faults)


@pytest.mark.parametrize("plants", [8, PLANTS])
def test_watch_brings_both_classes_within_three_minutes_and_ends_them(plants: int) -> None:
    """A visitor need not wait long for a fault of a link and one of a meter, and sees both mend."""
    scenario, _ = laid("watch", plants)
    early = [event for event in scenario.events if event.after_s <= 120 and 0 < event.for_s <= 240]

    assert {event.cause for event in early} == {"link", "meter"}


def test_timeline_names_every_event_in_both_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The console says who, what and until when."""
    scenario, province = laid("watch")
    told = {}
    for language in ("en", "zh"):
        monkeypatch.setenv("NENGLIU_LANG", language)
        told[language] = list(scenario.timeline(province))

    assert len(told["en"]) == len(told["zh"]) == len(scenario.events)
    assert "(simulated): the water meter does not answer (until " in told["en"][0]
    assert "（模拟）：水表不应答（至 " in told["zh"][0]


def test_collector_of_the_scenario_stands_still_when_it_is_ordered() -> None:
    """Outside of its time it runs."""
    scenario, _ = laid("watch")
    (slug,) = scenario.stopped()
    event = next(event for event in scenario.events if event.kind == "stopped")
    begins_ms = START_MS + event.after_s * 1000

    assert [
        scenario.collectors(at_ms)[slug]
        for at_ms in (START_MS, begins_ms, begins_ms + event.for_s * 1000 - 1, begins_ms + event.for_s * 1000)
    ] == [False, True, True, False]


def test_what_comes_back_spares_the_edges_of_the_quarters(tmp_path: Path) -> None:
    """The calm scenario's meter is silent in every quarter-hour, and well when a window begins."""
    scenario, _ = laid("calm", 1)
    file = tmp_path / "faults.toml"
    file.write_text(scenario.faults_text(), encoding="utf-8")
    (fault,) = read_faults(file, 0)
    hour_ms = (START_MS // 3_600_000 + 1) * 3_600_000
    minutes = [minute for minute in range(60) if fault.holds(hour_ms + 60_000 * minute)]

    assert fault.strikes("media", "water")
    assert minutes == [15 * quarter + minute for quarter in range(4) for minute in (3, 4, 5, 6)]
