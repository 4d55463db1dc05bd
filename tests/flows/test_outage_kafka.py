"""A flow whose broker goes away: it waits, goes on by itself when the broker is back, and can be stopped meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bus.conformance import read_all
from bus.mock_cluster import PRODUCE, MockCluster, library
from confluent_kafka import KafkaError

from nengliu.bus.kafka import Access, KafkaLog
from nengliu.errors import LogError

pytestmark = pytest.mark.skipif(library() is None, reason="the Kafka library is not the wheel's own")

COPYING = Path(__file__).with_name("copying.py")
PATIENCE_S = 8.0
"""So long a supervisor waits for a part that it asked to stop."""


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """A broker in memory with both topics."""
    found = MockCluster()
    for name in ("in.g1", "out.g1"):
        found.lay(name, 2)
    yield found
    found.close()


@pytest.fixture
def log(cluster: MockCluster) -> Iterator[KafkaLog]:
    """The same log as the flow's."""
    with KafkaLog(Access(cluster.bootstrap), timeout_s=20) as found:
        yield found


@pytest.fixture
def flow(cluster: MockCluster, log: KafkaLog, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A flow that runs and has copied something."""
    fill(log, range(20))
    with start(cluster, tmp_path) as process:
        until(lambda: len(copied(log)) == 20)
        yield process
        process.kill()


def start(cluster: MockCluster, folder: Path, *more: str) -> subprocess.Popen[bytes]:
    """Start the flow in a process of its own."""
    command = [sys.executable, str(COPYING), str(folder), "0.05", "1", *more]
    environment = os.environ | {"BROKERS": cluster.bootstrap}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def fill(log: KafkaLog, numbers: range) -> None:
    """Append numbered messages."""
    log.append("in", [(f"k{number % 7}", b"%06d" % number) for number in numbers])


def copied(log: KafkaLog) -> set[int]:
    """Numbers of the messages that arrived."""
    return {int(record.value) for partition in range(2) for record in read_all(log, "out", partition)}


def until(condition: Callable[[], object], timeout_s: float = 30) -> float:
    """Wait for a condition; how long it took [s]."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s
        time.sleep(0.05)
    return time.monotonic() - started


def test_flow_goes_on_by_itself_when_the_broker_is_back(
    cluster: MockCluster, log: KafkaLog, flow: subprocess.Popen[bytes]
) -> None:
    """The same process takes up its work within seconds of the broker (0.2 to 3.5 measured), and copies all."""
    cluster.up(is_up=False)
    time.sleep(4)
    cluster.up(is_up=True)
    fill(log, range(20, 40))
    resumed_s = until(lambda: len(copied(log)) == 40)
    sys.stderr.write(f"goes on {resumed_s:.2f} s after the broker is back\n")

    assert flow.poll() is None
    assert resumed_s < 6


@pytest.mark.parametrize("away_s", [0.0, 3.0])
def test_flow_asked_to_stop_while_the_broker_is_away_ends_in_time(
    cluster: MockCluster, flow: subprocess.Popen[bytes], away_s: float
) -> None:
    """A read that waits does not keep the flow from ending before a supervisor loses its patience."""
    cluster.up(is_up=False)
    time.sleep(away_s)
    assert flow.poll() is None
    flow.terminate()

    assert flow.wait(PATIENCE_S) in {0, LogError.exit_code}


def test_flow_asked_to_stop_in_an_append_that_waits_ends_in_time_and_repeats_it(
    cluster: MockCluster, log: KafkaLog, flow: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """What a broken off append held is read again by the next run: nothing is lost."""
    log.append("in", [("k", b"000020")])
    cluster.fail(PRODUCE, KafkaError.REQUEST_TIMED_OUT, 10_000)
    time.sleep(1)
    flow.terminate()
    flow.wait(PATIENCE_S)
    cluster.heal(PRODUCE)
    with start(cluster, tmp_path, "--to-end") as again:
        again.wait(30)

    assert copied(log) == set(range(21))
