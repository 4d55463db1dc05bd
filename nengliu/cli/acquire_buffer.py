"""`nengliu acquire frames` and `forget-centre`: what lies in a collector's buffer beside the readings."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import click

from acquisition.drivers.collector import buffer_path, owned
from acquisition.drivers.keeping.buffer import Buffer
from acquisition.drivers.keeping.frames import read_frames
from nengliu import settings as settings_of
from nengliu.cli.language import examples, say
from nengliu.cli.logs import seconds_of
from nengliu.domain.times import CHINA
from nengliu.errors import InputError, nearest
from nengliu.settings import Settings

_collector = click.option("--collector", default="", help=say("order.opt_collector"))


@click.command(help=say("acquire.frames"), epilog=examples("acquire_frames"))
@click.argument("meter")
@_collector
@click.option("--since", default="1d", show_default=True, metavar="10m", help=say("option.since"))
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help=say("order.opt_limit"))
def frames(meter: str, collector: str, since: str, limit: int) -> None:
    """Print the newest answers of a meter, in hex."""
    path = _buffer(settings_of.load(), collector).with_suffix(".frames")
    after_ms = 1000 * (int(time.time()) - seconds_of(since))
    shown = 0
    for frame in read_frames(path, meter, after_ms, limit):
        at = datetime.fromtimestamp(frame.at_ms / 1000, UTC).astimezone(CHINA)
        click.echo(f"{at:%Y-%m-%d %H:%M:%S}  {frame.line}  {frame.meter}  {frame.raw.hex(' ').upper()}")
        shown += 1
    if not shown:
        click.echo(say("order.no_frames", meter=meter, since=since))


@click.command("forget-centre", help=say("acquire.forget-centre"), epilog=examples("acquire_forget_centre"))
@click.argument("name")
@_collector
@click.option("--yes", is_flag=True, help=say("order.opt_yes"))
def forget_centre(name: str, collector: str, *, yes: bool) -> None:
    """Let the backlog of a centre go that is no longer configured."""
    path = _buffer(settings_of.load(), collector)
    with owned(path):
        buffer = Buffer(path)
        try:
            if not buffer.knows(name):
                raise InputError(say("order.no_centre", name=name, nearest=nearest(name, buffer.centres())))
            rows = sum(buffer.queued(name))
            if yes or click.confirm(say("order.forget", name=name, rows=rows)):
                buffer.forget(name)
                click.echo(say("order.forgotten", name=name, rows=rows))
        finally:
            buffer.close()


def _buffer(settings: Settings, collector: str) -> Path:
    """Buffer of a collector of this installation; of the only one if none is named."""
    there = sorted(file.stem for file in settings.collector_path.glob("*.sqlite"))
    if not collector and len(there) == 1:
        return buffer_path(settings, there[0])
    if not there:
        raise InputError(say("order.none_ran", folder=settings.home))
    if collector not in there:
        raise InputError(say("order.which", collector=collector, there=", ".join(there)))
    return buffer_path(settings, collector)
