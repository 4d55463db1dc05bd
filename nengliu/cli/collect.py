"""`nengliu collect`: read the meters of collector.toml into the buffer, and from there to the log."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import click

from acquisition.codecs.exchange import Block
from acquisition.codecs.modbus import RegisterBlock
from acquisition.drivers.clock import SystemClock
from acquisition.drivers.collector import Collector, run_collector
from acquisition.drivers.config import CollectorConfig, load_config
from acquisition.drivers.desk import Columns
from acquisition.drivers.lines.line import LineTask
from acquisition.drivers.lines.transports import transport_of
from nengliu import settings, telemetry
from nengliu.cli.acquire_feeds import list_feeds
from nengliu.cli.imports import reason_text
from nengliu.cli.language import examples, say
from nengliu.cli.listing import number, print_columns
from nengliu.cli.parts import _follow_supervisor
from nengliu.cli.supervise import FIRST_PAUSE_S, LONGEST_PAUSE_S
from nengliu.domain.quality import Origin, Quality
from nengliu.settings import Settings
from schemas.messages import LinkEvent, Missed, RejectedRow


@click.command(help=say("command.collect"), epilog=examples("collect"))
@click.option(
    "--config", "files", type=click.Path(path_type=Path), multiple=True, help=say("option.collector")
)
@click.option("--check", is_flag=True, help=say("option.check"))
@click.option("--once", is_flag=True, help=say("option.once_collect"))
@click.pass_context
def collect(ctx: click.Context, files: tuple[Path, ...], *, check: bool, once: bool) -> None:
    """Read meters."""
    now = settings.load()
    files = files or (now.home / "collector.toml",)
    if check or once:
        for config in map(load_config, files):
            if check:
                _show_plan(config)
            else:
                asyncio.run(_show_once(config))
        return
    _follow_supervisor()
    telemetry.configure(debug=bool(ctx.obj))
    asyncio.run(collect_all(now, files))


async def collect_all(now: Settings, files: Sequence[Path]) -> None:
    """Run the collectors of some configurations until a signal asks to stop.

    A single one that fails ends the process.  Of several each is started again by itself, after a pause that
    grows, and the others go on: a disk that is full, or a file with a mistake, is no fault of theirs.
    """
    running: dict[Path, Collector] = {}
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    ending = asyncio.create_task(_end(stop, running))
    try:
        if len(files) == 1:
            await _collect(now, files[0], running, stop)
        else:
            await asyncio.gather(*(_keep(now, file, running, stop) for file in files))
    finally:
        ending.cancel()


async def _end(stop: asyncio.Event, running: dict[Path, Collector]) -> None:
    """Let the signal end all collectors cleanly."""
    await stop.wait()
    await asyncio.gather(*(collector.stop() for collector in running.values()))


async def _collect(now: Settings, file: Path, running: dict[Path, Collector], stop: asyncio.Event) -> None:
    """Run one collector to its end; it is among the running ones meanwhile."""

    def ready(collector: Collector) -> None:
        running[file] = collector
        if stop.is_set():
            stopping.append(asyncio.create_task(collector.stop()))

    stopping: list[asyncio.Task[None]] = []
    try:
        await run_collector(now, load_config(file), on_ready=ready)
    finally:
        running.pop(file, None)


async def _keep(now: Settings, file: Path, running: dict[Path, Collector], stop: asyncio.Event) -> None:
    """Run one collector of several, again and again if it fails, until it is asked to stop."""
    telemetry.speaker.set(file.stem.removeprefix("collector-"))
    for failures in itertools.count():
        task = asyncio.create_task(_collect(now, file, running, stop))
        await asyncio.wait([task])
        error = task.exception()
        if error is None or stop.is_set():
            return
        telemetry.emit(telemetry.CollectorFailed(1, error=str(error) or type(error).__name__))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), min(FIRST_PAUSE_S * 2**failures, LONGEST_PAUSE_S))


def _show_plan(config: CollectorConfig) -> None:
    """Print what would be read."""
    rows = [say("collect.plan_columns").split("|")]
    for line in config.lines:
        for meter in line.meters:
            blocks = " ".join(map(_said, meter.blocks()))
            cells = (meter.address, meter.map.name, meter.interval_s, meter.schema, len(meter.items), blocks)
            rows.append([f"{line.name} {line.where}", meter.name, *map(str, cells)])
    meters = [meter for line in config.lines for meter in line.meters]
    if meters:
        print_columns(rows)
    if config.feeds:
        list_feeds(config.feeds)
    requests = sum(len(meter.blocks()) for meter in meters)
    readings = sum(len(meter.items) for meter in meters)
    counts = {"lines": len(config.lines), "meters": len(meters), "requests": requests, "readings": readings}
    counts |= {"feeds": len(config.feeds)}
    click.echo(say("collect.plan", name=config.name, **counts))


@dataclass
class _Shown:
    """What one round brought, for the eye; writes nothing."""

    values: dict[str, int] = field(default_factory=dict)
    missed: dict[str, Missed] = field(default_factory=dict)
    kept: dict[str, tuple[str, int]] = field(default_factory=dict)

    def row(
        self,
        meter: Columns,
        read_at_ms: int,
        values: Mapping[str, int],
        *,
        origin: Origin = Origin.TIMED,
        quality: Mapping[str, Quality] | None = None,
        raw: bytes = b"",
    ) -> None:
        """Take the values of a meter."""
        del meter, read_at_ms, origin, quality, raw
        self.values |= values

    def miss(self, missed: Missed) -> None:
        """Take readings that are missing."""
        self.missed |= dict.fromkeys(missed.points, missed)

    def tell(self, event: LinkEvent) -> None:
        """Take a change of a link, which the reasons say as well."""

    def polled(self) -> None:
        """Count nothing."""

    def put_state(self, name: str, value: str, since_ms: int) -> None:
        """Keep a state for this one round."""
        self.kept[name] = value, since_ms

    def state(self, name: str) -> tuple[str, int] | None:
        """Give a state of this one round."""
        return self.kept.get(name)


async def _show_once(config: CollectorConfig) -> None:
    """Read every meter once and print what came."""
    shown, clock = _Shown(), SystemClock()
    lines = [LineTask(line, transport_of(line, clock), clock, shown, 0) for line in config.lines]
    await asyncio.gather(*(line.once() for line in lines))
    rows = [tuple(say("collect.once_columns").split("|"))]
    for line in config.lines:
        for meter in line.meters:
            for item, point in meter.items:
                place = (line.name, meter.name, item.name, point)
                rows.append((*place, *_cells(shown, point, item.decimals, item.unit)))
    if config.lines:
        print_columns(rows)
    click.echo(say("collect.once", values=len(shown.values), missed=len(shown.missed)))
    for feed in config.feeds:
        click.echo(say("collect.once_feed", feed=feed.name))


def _said(block: Block) -> str:
    """Say what a request asks for."""
    if isinstance(block, RegisterBlock):
        return f"{block.function}:{block.address}+{block.count}"
    return "+".join(item.name for item in block.items)


def _cells(shown: _Shown, point: str, decimals: int, unit: str) -> tuple[str, str, str]:
    if point in shown.values:
        return number(shown.values[point], decimals), unit, ""
    missed = shown.missed[point]
    return "", unit, reason_text(RejectedRow(0, missed.reason, point, parameters=missed.parameters))
