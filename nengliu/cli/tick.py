"""`nengliu tick`: the log's clock goes on though nobody sends, so that silence is noticed (docs/decisions/0017).

The supervisor ticks by itself; where the parts run as services this is one of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from nengliu import settings as settings_of
from nengliu import telemetry
from nengliu.bus.open import connect_log, publish_tick
from nengliu.cli.health import TICK_S, show_life
from nengliu.cli.language import examples, say
from nengliu.errors import LogError
from nengliu.settings import Settings


@click.command(help=say("command.tick"), epilog=examples("tick"))
@click.pass_context
def tick(ctx: click.Context) -> None:
    """Tick until it is stopped."""
    telemetry.configure(debug=bool(ctx.obj))
    keep_time(settings_of.load(), threading.Event())


@contextmanager
def ticking(settings: Settings) -> Iterator[None]:
    """Tick beside the body."""
    ended = threading.Event()
    threading.Thread(target=keep_time, args=(settings, ended), daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def keep_time(settings: Settings, ended: threading.Event) -> None:
    """Tick until `ended`; who comes back with us has until the first tick to say so."""
    show_life(settings, "tick")
    while not ended.wait(TICK_S):
        tick_once(settings)


def tick_once(settings: Settings) -> None:
    """Append the time to the log; while the log is away the next tick tries again."""
    try:
        with connect_log(settings) as log:
            publish_tick(log, int(time.time()))
    except LogError as error:
        telemetry.logger.warning("LogNotTicked %s", error)
    else:
        show_life(settings, "tick")
