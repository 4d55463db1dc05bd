"""What `nengliu bench edge` measures of the simulator: five hundred meters in one process, read by the drivers."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import psutil

from acquisition.drivers.clock import SystemClock
from acquisition.drivers.config import load_config
from acquisition.drivers.line_config import Line
from acquisition.drivers.lines.transports import transport_of
from nengliu.cli.bench_report import Fact
from nengliu.cli.language import say

ROUND_S = 10.0
"""Every meter is read once in so many seconds, as the issue asks of a collector's Modbus TCP meters."""


def fleet_figures(rounds: int = 3) -> list[Fact]:
    """Measure a process that serves 500 meters on 14 lines of four protocols and writes its truth log."""
    with tempfile.TemporaryDirectory(prefix="nengliu-") as name, _serving(Path(name)) as process:
        began, before = time.monotonic(), process.cpu_times()
        answers = asyncio.run(_read(Path(name) / "c.toml", rounds))
        after, took_s = process.cpu_times(), time.monotonic() - began
        busy_s = after.user + after.system - before.user - before.system
        return [
            Fact(
                f"Simulator: answers of 500 meters, each read every {ROUND_S:.0f} s",
                answers / took_s,
                "answers/s",
            ),
            Fact("Simulator: a core meanwhile", 100 * busy_s / took_s, "%"),
            Fact("Simulator: memory of the process", process.memory_info().rss / 2**20, "MiB"),
        ]


@contextmanager
def _serving(folder: Path) -> Iterator[psutil.Process]:
    """Run the simulator in a process of its own until its lines can be read."""
    command = [sys.executable, "-P", "-m", "nengliu.cli", "simulate", "fleet", "--scenario", "hundreds"]
    command += ["--write-config", "c.toml", "--truth", "t.jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdout is not None
        list(takewhile(lambda line: line != say("up.ctrl_c") + "\n", process.stdout))
        try:
            yield psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGINT)


async def _read(file: Path, rounds: int) -> int:
    """Read every line on its own, round by round; give the number of answers."""
    return sum(await asyncio.gather(*(_read_line(line, rounds) for line in load_config(file).lines)))


async def _read_line(line: Line, rounds: int) -> int:
    transport, answers = transport_of(line, SystemClock()), 0
    await transport.connect()
    for _ in range(rounds):
        began = time.monotonic()
        for meter in line.meters:
            for block in meter.blocks():
                await transport.ask(meter.address, block)
                answers += 1
        await asyncio.sleep(max(0.0, ROUND_S - (time.monotonic() - began)))
    await transport.close()
    return answers
