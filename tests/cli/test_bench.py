"""The benchmark from log to store: goals, shares, and brokers of its own only beside a bus."""

from __future__ import annotations

from pathlib import Path

import pytest
from broker.server import Broker

from nengliu.bus.open import open_log
from nengliu.cli.bench_chain import Load, Result, bus_table, emptied, shares
from nengliu.errors import InputError
from nengliu.settings import Settings
from schemas.topics import RAW


def make_result(flow_s: float, *, watch: bool = True, raw_bytes: int = 0) -> Result:
    load = Load("load", 1, 900, 2, goal=1000.0, most_bytes=6.0)
    return Result(load, flow_s, 1.0, 4.0, 0, raw_bytes, watch)


def test_bus_table_shows_rates_as_parts_of_the_file() -> None:
    """A bus that costs a quarter more CPU and as much time has 0.80 of the file's rate, and 1.00 by the clock."""
    file = make_result(3.0)
    table = bus_table(file, make_result(4.0))

    assert table.splitlines()[-1].split(" | ")[2:] == ["0.80", f"{file.load.readings / 4:,.0f}", "1.00 |"]


def test_goal_is_asked_of_the_flow_without_the_watch() -> None:
    """9,600 readings in four CPU-seconds are 2,400 a second: above the goal, which the watched flow does not have."""
    figure = make_result(3.0, watch=False).figure()

    assert (figure.rate, figure.goal) == (2400.0, 1000.0)
    assert make_result(3.0).figure().goal is None


def test_bytes_on_disk_hold_up_to_the_limit() -> None:
    """Six bytes a reading are allowed, seven are not."""
    readings = make_result(3.0).load.readings

    assert make_result(3.0, raw_bytes=6 * readings).fact().holds
    assert not make_result(3.0, raw_bytes=7 * readings).fact().holds


def test_shares_of_the_steps_add_up() -> None:
    """Every step has a share, and together they are all of it."""
    found = shares(make_result(3.0))

    assert sum(found.values()) == pytest.approx(1.0)
    assert min(found.values()) >= 0
    assert set(found) == {"ingest", "windows and totals", "watch", "log, stream, insert", "store"}


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
