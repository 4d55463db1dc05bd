"""`nengliu simulate`: the fictitious plant, or a fleet of like meters, on real Modbus TCP."""

from __future__ import annotations

import asyncio
import errno
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nengliu import settings
from nengliu.cli.health import reachable
from nengliu.cli.language import examples, say
from nengliu.cli.parts import _follow_supervisor
from nengliu.cli.telling import SEED, read_told
from nengliu.domain.times import QUARTER_MS
from nengliu.errors import InputError

if TYPE_CHECKING:
    from acquisition.simulator.fleet import Fleet
    from acquisition.simulator.province import Province

ORIGIN_MS = 1_735_660_800_000
"""2025-01-01 00:00 in China: the registers of the plant count from here, so every start shows the same ones."""
LINES_SHOWN = 8
POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asked for; the options say what each is."""

    port: int
    host: str
    meters: int | None
    registers: int | None
    lines: int | None
    interval: int
    faults: Path | None
    write_config: Path | None
    truth: Path | None
    speed: float
    seed: int


class SimulateGroup(click.Group):
    """The command, and its sub-command, which is loaded when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the sub-commands."""
        del ctx
        return ["fleet"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one; None if there is none of that name."""
        del ctx
        if cmd_name != "fleet":
            return None
        from nengliu.cli.simulate_fleet import fleet

        return fleet


@click.group(
    cls=SimulateGroup,
    invoke_without_command=True,
    help=say("command.simulate"),
    epilog=examples("simulate"),
)
@click.option(
    "--port", type=click.IntRange(1, 65_535), default=15_020, show_default=True, help=say("option.sim_port")
)
@click.option("--host", default="127.0.0.1", show_default=True, help=say("option.sim_host"))
@click.option("--meters", type=click.IntRange(1, 20_000), help=say("option.sim_meters"))
@click.option("--registers", type=click.IntRange(1, 20), help=say("option.sim_registers"))
@click.option("--lines", type=click.IntRange(1, 2_000), help=say("option.sim_lines"))
@click.option(
    "--interval",
    type=click.IntRange(1, 86_400),
    default=20,
    show_default=True,
    help=say("option.sim_interval"),
)
@click.option("--faults", type=click.Path(path_type=Path), help=say("option.sim_faults"))
@click.option("--write-config", type=click.Path(path_type=Path), help=say("option.sim_config"))
@click.option("--truth", type=click.Path(path_type=Path), help=say("option.sim_truth"))
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help=say("option.sim_speed"),
)
@click.option("--seed", type=int, default=SEED, show_default=True, help=say("option.sim_seed"))
@click.pass_context
def simulate(ctx: click.Context, /, **told: Any) -> None:
    """Serve simulated meters until Ctrl-C, unless a sub-command does."""
    if ctx.invoked_subcommand is not None:
        return
    _follow_supervisor()
    wishes = Wishes(**told)
    if wishes.meters is None and (wishes.lines or wishes.registers):
        raise InputError(say("error.lines_only"))
    asyncio.run(run(wishes))


async def run(wishes: Wishes) -> None:
    """Serve the meters until a signal asks to stop, and write the truth meanwhile."""
    clock = running_clock(wishes.speed)
    start_ms = clock()
    province, is_story = province_of(wishes)
    fleet = await serve(wishes, province, clock)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        describe(wishes, fleet, len(province.plants))
        if is_story:
            click.echo(say("simulate.story", home=settings.load().home))
        if wishes.write_config is not None:
            since_ms = None if is_story else start_ms // QUARTER_MS * QUARTER_MS
            files = write_configs(wishes, fleet, province, since_ms)
            click.echo(say("simulate.next", files=" ".join(f"--config {file}" for file in files)))
        else:
            click.echo(say("simulate.no_config"))
        click.echo(say("up.ctrl_c"))
        await tell_truth(wishes.truth, fleet, start_ms, stop)
    finally:
        await fleet.stop()
    click.echo(say("simulate.stopped"))


def running_clock(speed: float) -> Callable[[], int]:
    """Give a clock [ms, UTC] that shows the wall's time now and goes on `speed` times as fast."""
    start_ns, began_ns = time.time_ns(), time.monotonic_ns()

    def now_ms() -> int:
        if speed == 1:
            return time.time_ns() // 1_000_000
        return int(start_ns + (time.monotonic_ns() - began_ns) * speed) // 1_000_000

    return now_ms


def province_of(wishes: Wishes) -> tuple[Province, bool]:
    """Choose the plants: those of the demonstration if this installation holds one (True), else the first alone."""
    from acquisition.simulator.province import Province

    told = read_told(settings.load().home / "demo.json") if wishes.meters is None else None
    if told is not None:
        return told.province, True
    return Province(wishes.seed, ORIGIN_MS, 1, 1), False


async def serve(wishes: Wishes, province: Province, clock: Callable[[], int]) -> Fleet:
    """Open the ports of the plants, or of the fleet that was wished for.

    Raises
    ------
    InputError
        A port cannot be had, or the faults name what is not there.
    """
    from acquisition.simulator.faults import read_faults
    from acquisition.simulator.fleet import LARGEST_UNIT, Fleet, bench_lines, province_lines

    if wishes.meters is None:
        lines = province_lines(province, clock())
    else:
        ports = wishes.lines or -(-wishes.meters // LARGEST_UNIT)
        lines = bench_lines(wishes.meters, ports, wishes.seed, clock())
    faults = read_faults(wishes.faults, clock()) if wishes.faults else ()
    fleet = Fleet(lines, clock, host=wishes.host, port=wishes.port, faults=faults)
    try:
        await fleet.start()
    except (OSError, OverflowError) as error:
        port = wishes.port + len(fleet.ports)
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise InputError(say("error.port_taken", port=port, other=port + 100)) from error
        raise InputError(say("error.no_listen", host=wishes.host, port=port, error=error)) from error
    return fleet


def describe(wishes: Wishes, fleet: Fleet, plants: int) -> None:
    """Say what answers where and what goes wrong, and begin the truth anew."""
    count = sum(len(line.meters) for line in fleet.lines)
    counts = {"count": count, "plants": plants}
    click.echo(say("simulate.plants" if wishes.meters is None else "simulate.fleet", **counts))
    for line in fleet.lines[:LINES_SHOWN]:
        units = {"first": line.meters[0].unit, "last": line.meters[-1].unit}
        click.echo(
            say("simulate.line", name=line.name, host=fleet.host, port=fleet.ports[line.name], **units)
        )
    if len(fleet.lines) > LINES_SHOWN:
        click.echo(say("simulate.more", count=len(fleet.lines) - LINES_SHOWN))
    if wishes.faults is not None:
        click.echo(say("simulate.faults", count=len(fleet.faults), file=wishes.faults))
    if wishes.truth is not None:
        save(wishes.truth, "")
        click.echo(say("simulate.truth", file=wishes.truth))


def write_configs(wishes: Wishes, fleet: Fleet, province: Province, since_ms: int | None) -> list[Path]:
    """Write the collectors' configurations for what is served; of several plants a file for each, named after it."""
    from acquisition.simulator.config import bench_config, plant_config
    from acquisition.simulator.fleet import line_prefix

    host, file, interval_s = reachable(wishes.host), wishes.write_config, wishes.interval
    assert file is not None
    if wishes.meters is not None:
        assert since_ms is not None
        save(file, bench_config(fleet, wishes.registers or 20, interval_s, since_ms, host=host))
        return [file]
    plants = province.plants
    files = [file] if len(plants) == 1 else [file.with_stem(f"{file.stem}-{p.site.slug}") for p in plants]
    for plant, own in zip(plants, files, strict=True):
        told = plant_config(
            fleet, plant, interval_s, since_ms, host=host, prefix=line_prefix(province, plant)
        )
        save(own, told)
    return files


async def tell_truth(file: Path | None, fleet: Fleet, since_ms: int, stop: asyncio.Event) -> None:
    """Wait for the signal; append the truth of every quarter-hour that ends, and at last of the rest."""
    told_ms = since_ms
    while True:
        stopped = await _waited(stop)
        now_ms = fleet.clock()
        until_ms = now_ms if stopped else now_ms // QUARTER_MS * QUARTER_MS
        if file is not None and until_ms > told_ms:
            append_truth(file, fleet, told_ms, until_ms)
            told_ms = until_ms
        if stopped:
            return
        await fleet.mind_ports()


def append_truth(file: Path, fleet: Fleet, from_ms: int, to_ms: int) -> None:
    """Append what was used between two instants to a file: JSON lines if it is called so, else CSV."""
    from acquisition.simulator.truth import truth, write_csv, write_lines

    try:
        with file.open("a", encoding="utf-8", newline="") as out:
            spans = truth(fleet, from_ms, to_ms)
            if file.suffix == ".jsonl":
                write_lines(spans, out)
            else:
                write_csv(spans, out, header=out.tell() == 0)
    except OSError as error:
        raise InputError(say("error.no_write", file=file, error=error)) from error


def save(file: Path, text: str) -> None:
    """Write a file, whole."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(say("error.no_write", file=file, error=error)) from error


async def _waited(stop: asyncio.Event) -> bool:
    """Wait for the signal, but not long; whether it came."""
    try:
        await asyncio.wait_for(stop.wait(), POLL_S)
    except TimeoutError:
        return False
    return True
