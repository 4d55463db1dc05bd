"""`nengliu simulate fleet`: a scenario of buses in real time, on pseudo-terminals and TCP ports, with its truth log."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from nengliu.cli.health import reachable
from nengliu.cli.language import examples, say
from nengliu.cli.simulate import running_clock, save
from nengliu.cli.telling import SEED
from nengliu.domain.times import QUARTER_MS
from nengliu.errors import InputError

if TYPE_CHECKING:
    from acquisition.simulator.journal import Journal
    from acquisition.simulator.scene import Scene

POLL_S = 0.25
FORTY = "forty"
_OBEYED = {"stopped": "simulate.halt", "uplink": "simulate.uplink"}
"""Kinds of faults that whoever plays the scenario must obey, and what is said of them."""


@dataclass(frozen=True, slots=True)
class FleetWishes:
    """What the command line asked for; the options say what each is."""

    scenario: str
    seed: int
    truth: Path | None
    write_config: Path | None
    speed: float
    shrink: int
    pty: bool
    host: str
    port: int


@click.command(help=say("simulate.fleet_help"), epilog=examples("simulate_fleet"))
@click.option("--scenario", default=FORTY, show_default=True, help=say("simulate.scenario"))
@click.option("--seed", type=int, default=SEED, show_default=True, help=say("option.sim_seed"))
@click.option("--truth", type=click.Path(path_type=Path), help=say("simulate.truth_log"))
@click.option("--write-config", type=click.Path(path_type=Path), help=say("option.sim_config"))
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help=say("option.sim_speed"),
)
@click.option(
    "--shrink", type=click.IntRange(1, 60), default=1, show_default=True, help=say("simulate.shrink")
)
@click.option("--pty", is_flag=True, help=say("simulate.pty"))
@click.option("--host", default="127.0.0.1", show_default=True, help=say("option.sim_host"))
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, show_default=True, help=say("simulate.port")
)
def fleet(**told: Any) -> None:
    """Play a scenario until Ctrl-C."""
    asyncio.run(run(FleetWishes(**told)))


async def run(wishes: FleetWishes) -> None:
    """Serve the scenario until a signal asks to stop, and write the truth meanwhile."""
    from acquisition.simulator.journal import Journal

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with ExitStack() as stack:
        out = stack.enter_context(_opened(wishes.truth)) if wishes.truth else None
        journal = Journal(out) if out is not None else None
        scene = scene_of(wishes, running_clock(wishes.speed), journal)
        folder = _folder(wishes, stack)
        try:
            await _serve(scene, folder, wishes)
            describe(wishes, scene)
            if journal is not None:
                journal.begin(scene)
            await play(scene, journal, stop)
        finally:
            await scene.stop()
    click.echo(say("simulate.stopped"))


def scene_of(wishes: FleetWishes, clock: Callable[[], int], journal: Journal | None) -> Scene:
    """Make the scene that was wished for, beginning now.

    Raises
    ------
    InputError
        There is no such scenario, or it cannot be played.
    """
    from acquisition.simulator.scene import Scene
    from acquisition.simulator.scene_file import load_scene, on_ptys, shrunk

    told = load_scene(wishes.scenario)
    if wishes.shrink > 1:
        told = shrunk(told, wishes.shrink)
    if wishes.pty:
        told = on_ptys(told)
    tell = journal.answered if journal is not None else None
    return Scene(told, clock(), clock, seed=wishes.seed, rate=wishes.speed, tell=tell)


def describe(wishes: FleetWishes, scene: Scene) -> None:
    """Say what answers where, and what to type next."""
    from acquisition.simulator.scene_config import collector_text, place_of

    faults = len(scene.ordered)
    click.echo(say("simulate.scene", name=scene.told.name, count=len(scene.meters), faults=faults))
    for name, carrier in scene.carriers.items():
        place = place_of(carrier)
        where = place.get("device") or f"{wishes.host}:{place['port']}"
        count = len(carrier.bus.stations)
        click.echo(say("simulate.bus", name=name, where=where, baud=place.get("baud", "-"), count=count))
    if wishes.truth is not None:
        click.echo(say("simulate.journal", file=wishes.truth))
    if wishes.write_config is None:
        click.echo(say("simulate.no_config"))
    else:
        save(wishes.write_config, collector_text(scene, host=reachable(wishes.host)))
        click.echo(say("simulate.next", files=f"--config {wishes.write_config}"))
    click.echo(say("up.ctrl_c"))


async def play(scene: Scene, journal: Journal | None, stop: asyncio.Event) -> None:
    """Close and open ports as the scenario says, and tell of its faults; at the end of each quarter what was used."""
    told_ms, minded_ms = scene.start_ms, scene.start_ms
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), POLL_S)
        except TimeoutError:
            await scene.mind()
        now_ms = scene.clock()
        for one in scene.ordered:
            if one.fault.kind in _OBEYED and minded_ms < one.fault.from_ms <= now_ms:
                seconds = (one.fault.to_ms - one.fault.from_ms) // 1000
                click.echo(say(_OBEYED[one.fault.kind], id=one.id, seconds=seconds))
        minded_ms = now_ms
        until_ms = now_ms if stop.is_set() else now_ms // QUARTER_MS * QUARTER_MS
        if journal is not None and until_ms > told_ms:
            journal.used(scene.spans(told_ms, until_ms))
            told_ms = until_ms


async def _serve(scene: Scene, folder: Path, wishes: FleetWishes) -> None:
    try:
        await scene.serve(folder, host=wishes.host, port=wishes.port)
    except (OSError, OverflowError) as error:
        told = say("error.no_listen", host=wishes.host, port=wishes.port, error=error)
        raise InputError(told) from error


def _folder(wishes: FleetWishes, stack: ExitStack) -> Path:
    """Where the links to the pseudo-terminals lie: beside the configuration, or in a folder that vanishes."""
    if wishes.write_config is not None:
        return wishes.write_config.resolve().parent
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nengliu-")))


def _opened(file: Path) -> TextIO:
    try:
        return file.open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(say("error.no_write", file=file, error=error)) from error
