"""Plays a scene in virtual time against the collector's own lines: what the tests of the simulator share.

Lines of serial kinds run in memory, those of Modbus TCP on loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meters import Desk
from virtual import MemoryWire, VirtualClock

from acquisition.drivers.config import CollectorConfig, load_config
from acquisition.drivers.line_config import Line
from acquisition.drivers.lines.half_duplex import HalfDuplex
from acquisition.drivers.lines.line import LineTask
from acquisition.drivers.lines.transport import Transport
from acquisition.drivers.lines.transports import transport_of
from acquisition.simulator.faults import FaultKind
from acquisition.simulator.journal import Journal
from acquisition.simulator.judge import Arrived, Judge, Judgement, Sign
from acquisition.simulator.scene import Scene
from acquisition.simulator.scene_config import collector_text
from acquisition.simulator.scene_file import SceneFile
from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Reason

START_MS = 1_780_000_000_000 // 3_600_000 * 3_600_000 - 5000
STEP_MS = 1000
DOWN = frozenset(kind.name for kind in LinkKind) - {"METER_UP", "LINE_UP", "LINE_CLEAR", "METER_STATUS_CLEAR"}


@dataclass
class Played:
    """A scene that was played: its truth log, and what the lines handed in."""

    config: CollectorConfig
    scene: Scene
    desk: Desk = field(default_factory=Desk)
    log: io.StringIO = field(default_factory=io.StringIO)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The truth log."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def readings(self) -> Iterator[Arrived]:
        """Give what arrived, as the judge takes it."""
        decimals = {c.point: c.decimals for schema in self.config.schemas() for c in schema.columns}
        for (_, at_ms, values), (origin, _, _) in zip(self.desk.rows, self.desk.marks, strict=True):
            for point, ticks in values.items():
                yield Arrived(point, at_ms, ticks, decimals[point], origin.name)

    def signs(self) -> Iterator[Sign]:
        """Give what arrived that is no value."""
        owner = {
            point: (line.name, meter.name)
            for line in self.config.lines
            for meter in line.meters
            for point in meter.points
        }
        for event in self.desk.events:
            if (name := LinkKind(event.kind).name) in DOWN:
                yield Sign(name, event.line, event.meter, event.at_ms, event.at_ms)
        for one in self.desk.missed:
            for place in {owner[point] for point in one.points}:
                yield Sign(Reason(one.reason).name, *place, one.first_ms, one.last_ms)

    def judged(self) -> Judgement:
        """Hold what arrived against the truth."""
        return Judge(self.rows).judge(self.readings(), self.signs())


def play(told: SceneFile, folder: Path, *, seed: int = 7, start_ms: int = START_MS) -> Played:
    """Play a scene from beginning to end; clocks and status words are read at the full hour."""
    return asyncio.run(_play(told, folder, seed, start_ms))


async def _play(told: SceneFile, folder: Path, seed: int, start_ms: int) -> Played:
    clock = VirtualClock(start_ms)
    log = io.StringIO()
    journal = Journal(log)
    scene = Scene(told, start_ms, clock.now_ms, seed=seed, tell=journal.answered)
    journal.begin(scene)
    with clock.ruling():
        await _serve_tcp(scene, folder)
        try:
            played = Played(_config(scene, folder), scene, log=log)
            await _run(played, clock)
        finally:
            await scene.stop()
    return played


async def _serve_tcp(scene: Scene, folder: Path) -> None:
    """Open the ports of the lines that do not run in memory."""
    for line in scene.told.lines:
        if line.kind == "modbus-tcp":
            await scene.open(line.name, folder)


def _config(scene: Scene, folder: Path) -> CollectorConfig:
    places: dict[str, dict[str, Any]] = {}
    for line in scene.told.lines:
        if line.kind == "serial":
            places[line.name] = {"device": f"/memory/{line.name}", "baud": line.baud}
        elif line.kind == "serial-tcp":
            places[line.name] = {"host": "memory", "port": 1, "baud": line.baud}
    file = folder / "collector.toml"
    file.write_text(collector_text(scene, places), encoding="utf-8")
    return load_config(file)


def _transport(line: Line, scene: Scene, clock: VirtualClock) -> Transport:
    if line.kind == "modbus-tcp":
        return clock.watch(transport_of(line, clock))
    return HalfDuplex(MemoryWire(scene.buses[line.name], clock), clock, line.timeout_s, line.baud)


async def _run(played: Played, clock: VirtualClock) -> None:
    """Run the lines as the scene says: not while the collector is stopped."""
    tasks: list[asyncio.Task[None]] = []
    while clock.now_ms() < played.scene.end_ms:
        await played.scene.mind()
        stopped = played.scene.holds(FaultKind.STOPPED)
        if stopped and tasks:
            await _cancel(tasks)
            tasks = []
        elif not stopped and not tasks:
            tasks = [
                asyncio.create_task(
                    LineTask(
                        line,
                        _transport(line, played.scene, clock),
                        clock,
                        played.desk,
                        played.config.align_ms,
                    ).run()
                )
                for line in played.config.lines
            ]
        for task in tasks:
            if task.done():
                task.result()
        await clock.sleep_until(clock.now_ms() + STEP_MS)
    await _cancel(tasks)


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
