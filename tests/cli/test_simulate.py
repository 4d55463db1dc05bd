"""`nengliu simulate` as a process: it serves, says what to type next, and tells the truth when it ends."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusTcpClient

from acquisition.drivers.config import load_config
from acquisition.simulator.fleet import Fleet, plant_lines
from acquisition.simulator.plant import plant_until
from nengliu.cli import simulate
from nengliu.cli.telling import SEED, Told, write_told
from nengliu.errors import InputError


def free_port(lines: int = 2) -> int:
    """The first of so many free ports in a row."""
    while True:
        with ExitStack() as open_ones:
            first = open_ones.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                for n in range(1, lines):
                    open_ones.enter_context(socket.socket()).bind(("127.0.0.1", port + n))
            except (OSError, OverflowError):
                continue
            return port


@contextmanager
def simulating(home: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run the command until it says how to stop it; the lines it said until then."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "nengliu.cli",
        "--lang",
        "en",
        "--home",
        str(home),
        "simulate",
        *arguments,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=home) as process:
        assert process.stdout is not None
        try:
            said = list(takewhile(lambda line: line != "(Ctrl-C stops)\n", process.stdout))
            assert process.poll() is None, said
            yield process, said
        finally:
            process.kill()


def read(port: int, unit: int, count: int = 46) -> list[int]:
    async def run() -> list[int]:
        client = AsyncModbusTcpClient("127.0.0.1", port=port, retries=0)
        await client.connect()
        answer = await client.read_holding_registers(0, count=count, device_id=unit)
        client.close()
        return [*answer.registers]

    return asyncio.run(run())


def test_simulated_plant_serves_until_told_to_stop_and_leaves_the_truth(tmp_path: Path) -> None:
    """Meters answer, the configuration fits them, and at the end the truth holds what the registers went."""
    port = free_port()
    options = ["--port", str(port), "--write-config", "c.toml", "--truth", "t.csv", "--speed", "3600"]
    with simulating(tmp_path, *options) as (process, said):
        config = load_config(tmp_path / "c.toml")
        first = read(port, 1)
        second = read(port, 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()))
    grid = [row for row in rows if row["meter"] == "grid"]

    assert [line.port for line in config.lines] == [port, port + 1]
    assert f"  electricity: 127.0.0.1:{port}, unit ids 1 to 4\n" in said
    assert said[-1] == "Next, in another terminal: nengliu collect --config c.toml\n"
    assert int(grid[0]["register_from"]) <= first[3] + (first[2] << 16) <= second[3] + (second[2] << 16)
    assert sum(int(row["used_steps"]) for row in grid) == int(grid[-1]["register_to"]) - int(
        grid[0]["register_from"]
    )


def test_simulated_plant_goes_on_with_the_demonstration_of_the_folder(tmp_path: Path) -> None:
    """Where a demonstration was told, the registers on the wire continue its story."""
    plant = plant_until(SEED, time.time_ns() // 1_000_000 - 3_600_000, 3)
    write_told(tmp_path / "demo.json", Told(SEED, plant.start_ms, 3, 1, complete=True))
    port = free_port()
    with simulating(tmp_path, "--port", str(port), "--write-config", "c.toml") as (_, said):
        before_ms = time.time_ns() // 1_000_000
        words = read(port + 1, 5)
        after_ms = time.time_ns() // 1_000_000
    fleet = Fleet(plant_lines(plant), lambda: 0)
    shown = int.from_bytes(b"".join(word.to_bytes(2) for word in words[12:16]))

    assert any("plants of the demonstration" in line for line in said)
    assert fleet.register("media", "gas", before_ms) <= shown <= fleet.register("media", "gas", after_ms)
    assert load_config(tmp_path / "c.toml").points[0].meters[0].from_ms == plant.start_ms


def test_simulated_province_writes_a_configuration_for_each_collector(tmp_path: Path) -> None:
    """Of several plants each has a file of its own, and the next command names them all."""
    plant = plant_until(SEED, time.time_ns() // 1_000_000 - 3_600_000, 3)
    write_told(tmp_path / "demo.json", Told(SEED, plant.start_ms, 3, 2, complete=True))
    with simulating(tmp_path, "--port", str(free_port(4)), "--write-config", "c.toml") as (_, said):
        pass
    configs = [load_config(tmp_path / f"c-{slug}.toml") for slug in ("qinglan", "chiqiao-steel")]

    assert [line.name for config in configs for line in config.lines] == ["electricity", "media"] * 2
    assert len({line.port for config in configs for line in config.lines}) == 4
    assert said[-1].endswith("nengliu collect --config c-qinglan.toml --config c-chiqiao-steel.toml\n")


def test_simulated_fleet_spreads_over_lines_and_writes_json_lines(tmp_path: Path) -> None:
    """A fleet without a plant: so many meters, lines and registers; the truth as JSON when the file says so."""
    port = free_port()
    options = ["--meters", "4", "--lines", "2", "--registers", "3", "--interval", "10"]
    files = ["--write-config", "c.toml", "--truth", "t.jsonl", "--port", str(port)]
    with simulating(tmp_path, *options, *files) as (process, said):
        assert len(read(port + 1, 2)) == 46
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    spans = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()]

    assert said[0].startswith("4 simulated meters")
    assert {one["meter"] for one in spans} == {"m0001", "m0002", "m0003", "m0004"}
    assert {len(m.points) for line in load_config(tmp_path / "c.toml").lines for m in line.meters} == {3}


def refused(monkeypatch: pytest.MonkeyPatch, home: Path, *arguments: str) -> str:
    """What the command says when it cannot do as it is told."""
    monkeypatch.setenv("NENGLIU_LANG", "en")
    monkeypatch.setenv("NENGLIU_HOME", str(home))
    monkeypatch.chdir(home)
    with pytest.raises(InputError) as caught:
        simulate.simulate.main([*arguments], standalone_mode=False)
    return str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--lines", "2"], "--meters"),
        (["--faults", "nowhere.toml"], "nowhere.toml"),
        (["--truth", "no/truth.csv"], "no/truth.csv"),
        (["--write-config", "no/c.toml"], "no/c.toml"),
        (["--meters", "500", "--lines", "1"], "take 3 lines"),
        (["--host", "192.0.2.1"], "--host"),
        (["--port", "65535"], "--port"),
    ],
)
def test_wish_that_cannot_be_met_is_told_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], told: str
) -> None:
    """A mistake is the user's to mend: the message names what to change."""
    port = [] if "--port" in arguments else ["--port", str(free_port())]

    assert told in refused(monkeypatch, tmp_path, *port, *arguments)


def test_taken_port_is_told_with_another_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two simulators cannot share a port: the second says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        assert f"port {port} is taken" in refused(monkeypatch, tmp_path, "--port", port)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_simulator_ends_with_its_supervisor(tmp_path: Path) -> None:
    """A supervisor that is killed takes its meters along."""
    port = free_port()
    script = (
        "import os, subprocess, sys, time\n"
        "os.environ['NENGLIU_SUPERVISOR'] = str(os.getpid())\n"
        f"subprocess.Popen([sys.executable, '-P', '-m', 'nengliu.cli', 'simulate', '--port', '{port}'])\n"
        "time.sleep(60)\n"
    )
    environment = os.environ | {"NENGLIU_HOME": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-P", "-c", script], env=environment, stdout=subprocess.DEVNULL
    ) as supervisor:
        try:
            assert _answers(port, is_wanted=True)
        finally:
            supervisor.kill()
    assert _answers(port, is_wanted=False)


def test_clock_of_a_fast_plant_starts_at_the_wall_and_runs_ahead() -> None:
    """At speed 1 it is the wall's clock; at speed 1000 it goes a second a millisecond."""
    fast = simulate.running_clock(1000)
    assert abs(simulate.running_clock(1)() - time.time() * 1000) < 1000
    first = fast()
    time.sleep(0.02)
    assert fast() - first >= 20_000


def _answers(port: int, *, is_wanted: bool) -> bool:
    """Wait up to ten seconds until somebody, or nobody, listens."""
    for _ in range(100):
        with socket.socket() as one:
            if (one.connect_ex(("127.0.0.1", port)) == 0) == is_wanted:
                return True
        time.sleep(0.1)
    return False
