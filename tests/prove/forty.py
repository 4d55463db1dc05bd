"""Point 2: a fleet with forty faults, two hours in virtual time in memory, fifteen minutes in real time over ptys.

The collector is the product's, from its configuration to its log; what is judged is what the store holds after the
flows have taken the log in.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import rig

sys.path.insert(0, str(Path(__file__).parents[1] / "acquisition"))

import edge
from virtual import MemoryWire, VirtualClock

from acquisition.drivers.clock import Clock, SystemClock
from acquisition.drivers.collector import Collector, run_collector
from acquisition.drivers.config import CollectorConfig, load_config
from acquisition.drivers.line_config import Line
from acquisition.drivers.lines.half_duplex import HalfDuplex
from acquisition.drivers.lines.transport import Transport
from acquisition.drivers.lines.transports import transport_of
from acquisition.drivers.plans import CentrePlan
from acquisition.simulator.faults import FaultKind
from acquisition.simulator.journal import Journal
from acquisition.simulator.judge import Arrived, Judge, Sign
from acquisition.simulator.scene import Scene
from acquisition.simulator.scene_config import ENTERPRISE, collector_text
from acquisition.simulator.scene_file import SceneFile, load_scene, on_ptys, shrunk
from nengliu.bus import Log
from nengliu.bus.open import open_log
from nengliu.domain.quality import Origin
from nengliu.domain.times import DAY_MS, HOUR_MS, QUARTER_MS
from nengliu.errors import LogError
from nengliu.storage import connect

FASTER = 8
"""Two hours in fifteen minutes."""
UPS = {"METER_UP", "LINE_UP", "LINE_CLEAR", "METER_STATUS_CLEAR", "LOG_UP", "BACKFILL_DONE"}
LEAST_EDGES = 10
AFTER_MS = 60_000
"""The scene goes on for so long behind its end, so that every register is read once more."""


class ShiftedClock(SystemClock):
    """The wall's clock set to another time, so that an hour ends in the middle of the proof."""

    def __init__(self, by_ms: int) -> None:
        self._by_ms = by_ms

    def now_ms(self) -> int:
        """Give the time [ms, UTC]."""
        return super().now_ms() + self._by_ms


class Gate:
    """A log that cannot be reached while the scene says so."""

    def __init__(self, log: Log, is_cut: Callable[[], bool]) -> None:
        self._log, self._is_cut = log, is_cut

    def __getattr__(self, name: str) -> Any:
        if name == "append" and self._is_cut():
            raise LogError("the way up is cut")
        return getattr(self._log, name)


@dataclass
class Stage:
    """One scene on its way through the product."""

    scene: Scene
    config: CollectorConfig
    clock: Clock
    installation: rig.Installation
    transport: Callable[[Line], Transport]

    def log_of(self, centre: CentrePlan) -> Log:
        """Open the log of the installation, behind the gate."""
        del centre
        opened = open_log(self.installation.settings)
        return Gate(opened, lambda: self.scene.holds(FaultKind.UPLINK))  # type: ignore[return-value]


def prove(report: rig.Report, seed: int, which: Sequence[str]) -> None:
    """Play the scene both ways."""
    told = load_scene("forty")
    if "virtual" in which:
        with rig.Installation() as installation:
            began = time.monotonic()
            truth = asyncio.run(_virtually(told, installation, seed))
            _judge(report, "2 virtual", installation, truth)
            report.note(f"two hours in {time.monotonic() - began:.0f} s of real time, seed {seed}")
    if "real" in which:
        with rig.Installation() as installation:
            truth = asyncio.run(_really(on_ptys(shrunk(told, FASTER)), installation, seed))
            _judge(report, "2 real", installation, truth)


async def _virtually(told: SceneFile, installation: rig.Installation, seed: int) -> list[dict[str, Any]]:
    """All serial lines in memory, the Modbus TCP line on loopback; the clock moves on when nobody has work left."""
    start_ms = (time.time_ns() // 1_000_000 - DAY_MS) // HOUR_MS * HOUR_MS - 5000
    clock = VirtualClock(start_ms)

    def transport(line: Line) -> Transport:
        if line.kind == "modbus-tcp":
            return clock.watch(transport_of(line, clock))
        return HalfDuplex(MemoryWire(scene.buses[line.name], clock), clock, line.timeout_s, line.baud)

    places = {line.name: _nowhere(line.kind, line.baud) for line in told.lines if line.kind != "modbus-tcp"}
    with (installation.home / "truth.jsonl").open("w+") as out, clock.ruling():
        scene, journal = _scene(told, start_ms, clock, seed, out)
        for line in told.lines:
            if line.kind == "modbus-tcp":
                await scene.open(line.name, installation.home)
        stage = _stage(scene, clock, installation, transport, places)
        await _play(stage)
        journal.used(scene.spans(scene.start_ms, scene.end_ms))
    return _rows(installation)


async def _really(told: SceneFile, installation: rig.Installation, seed: int) -> list[dict[str, Any]]:
    """All lines on ptys and ports; the clock is shifted so that an hour ends in the middle."""
    now_ms = time.time_ns() // 1_000_000
    start_ms = (now_ms - DAY_MS) // HOUR_MS * HOUR_MS - told.duration_s * 1000 // 2
    clock = ShiftedClock(start_ms - now_ms)
    with (installation.home / "truth.jsonl").open("w+") as out:
        scene, journal = _scene(told, start_ms, clock, seed, out)
        await scene.serve(installation.home)
        stage = _stage(scene, clock, installation, lambda line: transport_of(line, clock), {})
        await _play(stage)
        journal.used(scene.spans(scene.start_ms, scene.end_ms))
    return _rows(installation)


def _scene(told: SceneFile, start_ms: int, clock: Clock, seed: int, out: Any) -> tuple[Scene, Journal]:
    journal = Journal(out)
    scene = Scene(told, start_ms, clock.now_ms, seed=seed, tell=journal.answered)
    journal.begin(scene)
    return scene, journal


def _stage(
    scene: Scene,
    clock: Clock,
    installation: rig.Installation,
    transport: Callable[[Line], Transport],
    places: dict[str, dict[str, Any]],
) -> Stage:
    file = installation.home / "collector.toml"
    file.write_text(collector_text(scene, places), encoding="utf-8")
    return Stage(scene, load_config(file), clock, installation, transport)


def _nowhere(kind: str, baud: int) -> dict[str, Any]:
    """Keys of a line that runs in memory."""
    if kind == "serial":
        return {"device": "/memory", "baud": baud}
    return {"host": "memory", "port": 1, "baud": baud}


async def _play(stage: Stage) -> None:
    """Run the collector as the scene says: not while it is stopped, and a moment longer than the scene."""
    scene, clock, running = stage.scene, stage.clock, None
    while clock.now_ms() < scene.end_ms + AFTER_MS:
        await scene.mind()
        stopped = scene.holds(FaultKind.STOPPED)
        if stopped and running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            running = None
        elif not stopped and running is None:
            running = asyncio.create_task(_collect(stage, []))
        if running is not None and running.done():
            running.result()
        await clock.sleep_until(clock.now_ms() + 500)
    assert running is not None
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    collectors: list[Collector] = []
    last = asyncio.create_task(_collect(stage, collectors))  # once more, to send what waits and end cleanly
    await clock.sleep_until(clock.now_ms() + 2 * AFTER_MS)
    await collectors[0].stop()
    await last
    await scene.stop()


async def _collect(stage: Stage, ready: list[Collector]) -> None:
    how = stage.installation.settings, stage.config, stage.clock, stage.transport
    await run_collector(*how, on_ready=ready.append, log_of=stage.log_of)


def _rows(installation: rig.Installation) -> list[dict[str, Any]]:
    lines = (installation.home / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


# -- what the store holds --------------------------------------------------------------------


def _judge(
    report: rig.Report, name: str, installation: rig.Installation, truth: list[dict[str, Any]]
) -> None:
    """Hold what the store has against the truth log."""
    installation.flow()
    readings, twice = _readings(installation)
    signs = list(_signs(installation, truth))
    found = Judge(truth).judge(readings, signs)
    faults = [row for row in truth if row["is"] == "fault" and row["evidence"]]
    counters, checked = found.checked
    report.point(
        f"{name}: every value that arrived was shown by its meter then",
        f"{checked} values, {len(found.never_shown)} were not {found.never_shown[:3] or ''}",
        holds=not found.never_shown and checked > 1000,
    )
    report.point(
        f"{name}: the sum of what arrived is the truth to the last digit",
        f"{counters - len(found.sums)} of {counters} registers {found.sums[:3] or ''}",
        holds=not found.sums and counters >= 20,
    )
    report.point(
        f"{name}: every fault has its link event or its missing reading",
        f"{len(faults) - len(found.unseen)} of {len(faults)} {', '.join(found.unseen)}",
        holds=not found.unseen and len(faults) >= 40,
    )
    report.point(
        f"{name}: nothing twice",
        f"{len(found.twice)} readings, {twice} sequences in the log twice with other bytes",
        holds=not found.twice and not twice,
    )
    if truth[0]["end_ms"] - truth[0]["start_ms"] > 4 * QUARTER_MS:  # else no quarter-hour lies in it whole
        _windows(report, name, installation, truth, readings)
    odd = Counter(f"{sign.name} {sign.line}/{sign.meter}" for sign in found.unexplained)
    report.note(f"{len(found.unexplained)} signs of no ordered fault: {dict(odd.most_common(6))}")


def _readings(installation: rig.Installation) -> tuple[list[Arrived], int]:
    """Readings of the store, and how many sequences of the log came with two contents."""
    client = connect(installation.settings)
    query = (
        "SELECT point, toUnixTimestamp64Milli(read_at), sent, sent_decimals, origin FROM reading "
        "WHERE enterprise = %(e)s"
    )
    rows = client.query(query, parameters={"e": ENTERPRISE.enterprise}).result_rows
    client.close()
    bytes_of: dict[int, set[bytes]] = {}
    with installation.log() as log:
        for partition in range(log.partitions(edge.RAW)):
            for record in edge.records(log, partition):
                message = edge.decode(record.value)
                if isinstance(message, edge.Frame | edge.LinkNotice):
                    bytes_of.setdefault(message.sequence, set()).add(record.value)
    differ = sum(len(found) > 1 for found in bytes_of.values())
    return [Arrived(*row[:4], Origin(row[4]).name.lower()) for row in rows], differ


def _signs(installation: rig.Installation, truth: list[dict[str, Any]]) -> Iterator[Sign]:
    """Link events and missing readings, by the product's questions."""
    span = _span(truth)
    for row in installation.ask("link_events", enterprise=ENTERPRISE.enterprise, limit=100_000, **span):
        if row["kind"] not in UPS:
            at_ms = edge.instant_ms(str(row["at"]))
            yield Sign(str(row["kind"]), str(row["line"]), str(row["meter"]), at_ms, at_ms)
    owner = {row["point"]: (row["line"], row["meter"]) for row in truth if row["is"] == "point"}
    for row in installation.ask("missed", enterprise=ENTERPRISE.enterprise, **span):
        first, last = (edge.instant_ms(str(row[key])) for key in ("first_at", "last_at"))
        yield Sign(str(row["reason"]), *owner[str(row["point"])], first, last)


def _span(truth: list[dict[str, Any]]) -> dict[str, str]:
    """Parameters of the questions: the time of the scene and an hour around it."""
    scene = next(row for row in truth if row["is"] == "scene")
    around = scene["start_ms"] - HOUR_MS, scene["end_ms"] + HOUR_MS
    return dict(zip(("start", "end"), map(edge.text_of, around), strict=True))


def _windows(
    report: rig.Report,
    name: str,
    installation: rig.Installation,
    truth: list[dict[str, Any]],
    readings: list[Arrived],
) -> None:
    """Hold the quarter-hours of `nengliu query windows` against what was used, from the first edge read to the last."""
    span = _span(truth)
    told: dict[str, list[tuple[int, Decimal]]] = defaultdict(list)
    for row in installation.ask("windows", level="15min", enterprise=ENTERPRISE.enterprise, **span):
        if row["used"] is not None:
            told[str(row["point"])].append(
                (edge.instant_ms(str(row["period_start"])), Decimal(str(row["used"])))
            )
    judge, right, wrong = Judge(truth), 0, {}
    for point, (line, meter) in _registers(truth).items():
        edges = [one for one in readings if one.point == point and _is_edge(one, line, meter, truth)]
        if len(edges) < 2:
            continue
        first, last = min(edges, key=lambda one: one.at_ms), max(edges, key=lambda one: one.at_ms)
        amount = sum((used for at_ms, used in told[point] if first.at_ms <= at_ms < last.at_ms), Decimal(0))
        used = judge._match(last).true - judge._match(first).true  # type: ignore[union-attr]
        if amount == Decimal(used).scaleb(-first.decimals):
            right += 1
        else:
            wrong[point] = str(amount), used
    report.point(
        f"{name}: `nengliu query windows` adds up to what was used, from the first edge that was read to the last",
        f"{right} of {right + len(wrong)} meters {dict(list(wrong.items())[:3]) or ''}",
        holds=not wrong and right >= LEAST_EDGES,
    )


def _registers(truth: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Main registers of meters whose truth is knowable: line and meter by point."""
    meters = {row["meter"]: row for row in truth if row["is"] == "meter" and row["knowable"]}
    return {
        row["point"]: (row["line"], row["meter"])
        for row in truth
        if row["is"] == "point" and row["item"] in ("energy", "volume", "heat") and row["meter"] in meters
    }


def _is_edge(one: Arrived, line: str, meter: str, truth: list[dict[str, Any]]) -> bool:
    """Whether a reading lies on the edge of a quarter-hour and its register showed the truth."""
    lies = (
        row
        for row in truth
        if row["is"] == "fault"
        and row["kind"] in ("stuck", "jump")
        and (row["line"], row["meter"]) == (line, meter)
    )
    is_right = not any(row["from_ms"] <= one.at_ms < row["to_ms"] for row in lies)
    return one.at_ms % QUARTER_MS == 0 and is_right
