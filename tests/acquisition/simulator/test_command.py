"""`nengliu simulate fleet` as a process: the driver reads over its ports, in real time, what its truth log says."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import pytest
from meters import Desk

from acquisition.drivers.clock import SystemClock
from acquisition.drivers.config import CollectorConfig, load_config
from acquisition.drivers.lines.line import LineTask
from acquisition.drivers.lines.transports import transport_of
from acquisition.simulator.judge import Arrived, Judge

SCENARIO = """
name = "tiny"
duration_s = 600
interval_s = 60
[[lines]]
name = "north"
baud = 9600
[[lines.meters]]
name = "e"
protocol = "dlt645-2007"
address = "000000000161"
count = 3
items = ["energy", "power"]
[[lines]]
name = "west"
kind = "serial-tcp"
baud = 19200
[[lines.meters]]
name = "r"
protocol = "modbus-rtu"
address = "1"
count = 3
items = ["energy"]
[[lines.meters]]
name = "w1"
protocol = "cjt188"
address = "78330011223344"
items = ["volume"]
[[lines]]
name = "lan"
kind = "modbus-tcp"
[[lines.meters]]
name = "t"
protocol = "modbus-tcp"
address = "1"
count = 2
items = ["energy", "value"]
[[faults]]
id = "gone"
kind = "silent"
class = "power"
line = "north"
meter = "e2"
evidence = ["METER_DOWN", "TIMEOUT"]
"""


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run the command until it says how to stop it; the lines it said until then."""
    (folder / "tiny.toml").write_text(SCENARIO, encoding="utf-8")
    command = [sys.executable, "-P", "-m", "nengliu.cli", "--lang", "en", "simulate", "fleet"]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdout is not None
        try:
            said = list(takewhile(lambda line: line != "(Ctrl-C stops)\n", process.stdout))
            assert process.poll() is None, said
            yield process, said
        finally:
            process.kill()


async def once(config: CollectorConfig, desk: Desk) -> None:
    """Ask every meter once over its real port."""
    clock = SystemClock()
    lines = (LineTask(line, transport_of(line, clock), clock, desk, config.align_ms) for line in config.lines)
    await asyncio.gather(*(line.once() for line in lines))


@pytest.mark.parametrize("options", [[], ["--pty"]])
def test_driver_reads_over_real_ports_what_the_truth_log_says(tmp_path: Path, options: list[str]) -> None:
    """Serial line, converter and gateway; the one that is silent is missed, and no process is left behind."""
    told = [
        "--scenario",
        "tiny.toml",
        "--write-config",
        "c.toml",
        "--truth",
        "t.jsonl",
        "--seed",
        "3",
        *options,
    ]
    desk = Desk()
    with serving(tmp_path, *told) as (process, said):
        config = load_config(tmp_path / "c.toml")
        asyncio.run(once(config, desk))
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0

    assert "tiny: 9 simulated meters answer, 1 faults" in said[0]
    assert said[-1] == "Next, in another terminal: nengliu collect --config c.toml\n"
    kinds = {line.name: line.kind for line in config.lines}
    assert kinds == {"north": "serial", "west": "serial" if options else "serial-tcp", "lan": "modbus-tcp"}
    rows = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()]
    decimals = {c.point: c.decimals for schema in config.schemas() for c in schema.columns}
    arrived = [Arrived(p, at, v, decimals[p]) for _, at, values in desk.rows for p, v in values.items()]
    found = Judge(rows).judge(arrived, [])
    assert (found.never_shown, found.twice) == ([], [])
    assert {one.point.split("-")[0] for one in arrived} == {"e1", "e3", "r1", "r2", "r3", "w1", "t1", "t2"}
    assert {point for point, _ in desk.lost()} == {"e2-energy", "e2-power"}
    used = [row for row in rows if row["is"] == "use"]
    assert {row["meter"] for row in used} == {"e1", "e2", "e3", "r1", "r2", "r3", "w1", "t1", "t2"}
    assert not list(tmp_path.glob("tty-*"))


def test_wrong_scenario_is_one_line(tmp_path: Path) -> None:
    """A scenario that is not there, and exit code 2: your input."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "nengliu.cli",
        "--lang",
        "en",
        "simulate",
        "fleet",
        "--scenario",
        "no",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    assert done.returncode == 2
    assert done.stderr.startswith("nengliu: no: expected a scenario file, or forty")
    assert done.stderr.count("\n") == 1
