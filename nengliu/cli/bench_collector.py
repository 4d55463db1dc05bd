"""What `nengliu bench edge` measures of a collector: 64 meters on two lines and 200 Modbus TCP meters, each 10 s.

Simulator and collector are the product's own commands, each in a process of its own; the
figures are those of the collector's process alone, once it runs evenly.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from nengliu.bus.open import open_log
from nengliu.cli.bench_report import Fact
from nengliu.cli.language import say
from nengliu.settings import Settings
from schemas.messages import Frame, decode
from schemas.topics import RAW

CPU_GOAL, MEMORY_GOAL = 10.0, 150.0
"""Per cent of a core, and MiB.  Source: ours (a gateway's board does other work too)."""
LINES, ON_LINE, TCP_METERS, INTERVAL_S = 2, 32, 200, 10
WARM_S, MEASURE_S = 20, 60
SCENE = """
name = "bench"
duration_s = 3600
interval_s = {interval}
"""
LINE = """
[[lines]]
name = "line-{number}"
kind = "serial-tcp"
baud = 9600
reply_ms = [20, 60]
[[lines.meters]]
name = "d{number}-"
protocol = "dlt645-2007"
address = "0000000{number}0001"
count = {count}
items = ["energy", "power"]
"""
TCP_LINE = """
[[lines]]
name = "tcp-{number}"
kind = "modbus-tcp"
reply_ms = [1, 5]
pause_ms = 0
[[lines.meters]]
name = "t{number}"
protocol = "modbus-tcp"
address = "1"
items = ["energy", "energy_export", "power", "voltage_a", "voltage_b", "voltage_c", "current_a", "current_b"]
"""


def collector_figures() -> list[Fact]:
    """Measure a collector that reads 264 meters every 10 s and sends what it reads into a log in a file."""
    with tempfile.TemporaryDirectory(prefix="nengliu-") as name:
        home = Path(name)
        (home / "bench.toml").write_text(_scene(), encoding="utf-8")
        with _serving(home), _collecting(home) as process:
            time.sleep(WARM_S)
            began_s, before = time.time(), process.cpu_times()
            time.sleep(MEASURE_S)
            after, ended_s = process.cpu_times(), time.time()
            memory = process.memory_info().rss / 2**20
        busy_s = after.user + after.system - before.user - before.system
        frames = _frames(home, began_s, ended_s)
    due = (LINES * ON_LINE + TCP_METERS) * MEASURE_S // INTERVAL_S
    what = f"Collector: {LINES * ON_LINE} meters on {LINES} lines, {TCP_METERS} Modbus TCP meters, each {INTERVAL_S} s"
    return [
        Fact(f"{what}: of a core", 100 * busy_s / (ended_s - began_s), "%", CPU_GOAL, most=True),
        Fact("Collector: memory", memory, "MiB", MEMORY_GOAL, most=True),
        Fact("Collector: frames in the log of those due meanwhile", 100 * frames / due, "%", 99.0),
    ]


def _scene() -> str:
    lines = [LINE.format(number=number, count=ON_LINE) for number in range(1, LINES + 1)]
    lines += [TCP_LINE.format(number=number) for number in range(1, TCP_METERS + 1)]
    return SCENE.format(interval=INTERVAL_S) + "".join(lines)


@contextmanager
def _serving(home: Path) -> Iterator[None]:
    """Run the simulator until its lines can be read."""
    words = ["simulate", "fleet", "--scenario", "bench.toml", "--write-config", "collector.toml"]
    with _process(home, words) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == say("up.ctrl_c") + "\n":
                break
        yield


@contextmanager
def _collecting(home: Path) -> Iterator[psutil.Process]:
    with _process(home, ["collect", "--config", "collector.toml"]) as process:
        yield psutil.Process(process.pid)


@contextmanager
def _process(home: Path, words: list[str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-P", "-m", "nengliu.cli", *words]
    environment = os.environ | {"NENGLIU_HOME": str(home), "NENGLIU_BUS": ""}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=home, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


def _frames(home: Path, began_s: float, ended_s: float) -> int:
    """Count the frames of slots of the measured time."""
    found = 0
    with open_log(Settings(home=home)) as log:
        for partition in range(log.partitions(RAW)):
            offset = 0
            while batch := log.read(RAW, partition, offset, 1000):
                offset = batch[-1].offset + 1
                messages = (decode(record.value) for record in batch)
                found += sum(
                    began_s <= int(message.read_at_ms[0]) / 1000 < ended_s
                    for message in messages
                    if isinstance(message, Frame)
                )
    return found
