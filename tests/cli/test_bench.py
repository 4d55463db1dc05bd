"""The benchmark beside a bus: it uses brokers of its own only, and its ratio is that of the figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from broker.server import Broker

from nengliu.bus.open import open_log
from nengliu.cli.bench import Load, Result, bus_table, emptied
from nengliu.errors import InputError
from nengliu.settings import Settings
from schemas.topics import RAW


def test_bus_table_shows_rates_as_parts_of_the_file() -> None:
    """A bus that costs a quarter more CPU and as much time has 0.80 of the file's rate, and 1.00 by the clock."""
    load = Load("load", 1, 900, 96)
    table = bus_table(Result(load, 3.0, 1.0, 4.0, 0, {}), Result(load, 4.0, 1.0, 4.0, 0, {}))

    assert table.splitlines()[-1].split(" | ")[2:] == ["0.80", f"{load.readings / 4:,.0f}", "1.00 |"]


@pytest.mark.broker
def test_bus_in_use_is_refused_and_keeps_its_readings(empty_kafka: Broker, tmp_path: Path) -> None:
    """Brokers that hold messages beyond the book are not measured on, and lose nothing."""
    settings = Settings(home=tmp_path, bus=empty_kafka.bootstrap)
    with open_log(settings) as log:
        log.append(RAW, [("key", b"1"), ("key", b"2")])
        held = _held(settings)

    with pytest.raises(InputError, match=empty_kafka.bootstrap), emptied(settings):
        pytest.fail("it began to measure")
    assert _held(settings) == held


@pytest.mark.broker
def test_measured_bus_is_left_empty(empty_kafka: Broker, tmp_path: Path) -> None:
    """After the measurement the topics hold the book at most, so that it can be repeated."""
    settings = Settings(home=tmp_path, bus=empty_kafka.bootstrap)
    with emptied(settings), open_log(settings) as log:
        log.append(RAW, [("key", b"1")] * 10)

    assert max(_held(settings)) <= 1


def _held(settings: Settings) -> list[int]:
    with open_log(settings) as log:
        return [log.bounds(RAW, partition).end for partition in range(log.partitions(RAW))]
