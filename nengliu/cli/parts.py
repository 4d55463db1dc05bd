"""The parts of an installation, each a command that runs in the foreground until it is stopped."""

from __future__ import annotations

import ctypes
import importlib
import os
import platform
import signal
import sys
import threading
import time
from dataclasses import replace

import click

from nengliu import __version__, settings
from nengliu.cli.language import examples, say

SUPERVISOR = "NENGLIU_SUPERVISOR"
"""Process id of the supervisor in the environment of its parts: a part ends when its supervisor is killed."""
FLOWS = {
    name: f"flows.{'embedded' if name == 'all' else name}" for name in ("all", "ingest", "rollups", "anomaly")
}
"""Module of each flow; loaded when it is to run."""
LEFT_S = 10.0
"""Time a part has to end by itself after its supervisor died [s]."""
_PR_SET_PDEATHSIG = 1


@click.command(help=say("command.store"), epilog=examples("store"))
@click.option("--port", default=0, help=say("option.store_port"))
def store(port: int) -> None:
    """Own the embedded store."""
    _follow_supervisor()
    from nengliu.storage import serve

    sys.exit(serve(settings.load().store_home, port))


@click.command(help=say("command.migrate"), epilog=examples("migrate"))
def migrate() -> None:
    """Bring the tables up to date."""
    from nengliu import storage

    now = settings.load()
    applied = storage.migrate(storage.connect(now), now.database)
    click.echo(say("migrate.applied", names=", ".join(applied)) if applied else say("migrate.nothing"))


@click.command(help=say("command.flow"), epilog=examples("flow"))
@click.argument("name", type=click.Choice(list(FLOWS)), default="all")
@click.option("--stop-at-end", is_flag=True, help=say("option.stop_at_end"))
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help=say("option.workers")
)
@click.option("--partitions", default="", metavar="0,1|0-31", help=say("option.partitions"))
@click.pass_context
def flow(ctx: click.Context, name: str, workers: int, partitions: str, *, stop_at_end: bool) -> None:
    """Run the flows."""
    _follow_supervisor(
        signal.SIGKILL
    )  # it would wait for a store that ends too; a replay repeats what it held
    from flows.shares import parse_partitions
    from nengliu import telemetry

    telemetry.configure(debug=bool(ctx.obj))
    taken = parse_partitions(partitions) if partitions else ()
    run = importlib.import_module(FLOWS[name]).run
    run(settings.load(), stop_at_end=stop_at_end, workers=workers, partitions=taken)


@click.command(help=say("command.dashboard"), epilog=examples("dashboard"))
@click.option("--port", type=int, default=None, help=say("option.port"))
@click.option("--host", default="127.0.0.1", show_default=True, help=say("option.host"))
def dashboard(port: int | None, host: str) -> None:
    """Serve the page."""
    _follow_supervisor()
    from dashboards import launch

    now = settings.load()
    now = replace(now, port=port or now.port)
    command = launch.command(now, host)
    sys.stdout.flush()
    os.execve(command[0], command, launch.environment(now))  # noqa: S606


@click.command(help=say("command.version"))
def version() -> None:
    """Say which version runs, on what."""
    machine = f"{platform.system()} {platform.machine()}"
    click.echo(f"nengliu {__version__} (Python {platform.python_version()}, {machine})")


def _follow_supervisor(number: int = signal.SIGTERM) -> None:
    """Ask the system to end this process when its supervisor dies, however it dies (Linux only)."""
    supervisor = os.environ.get(SUPERVISOR)
    if not supervisor or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number))
    if os.getppid() != int(supervisor):  # it died before we could ask
        sys.exit(1)
    threading.Thread(target=_end_after, args=(int(supervisor),), daemon=True).start()


def _end_after(supervisor: int) -> None:
    """End this process as a kill does if it still runs `LEFT_S` after its supervisor died.

    The store was seen to sleep through its signal, once in many kills; what it acknowledged is on the disk.
    """
    while os.getppid() == supervisor:
        time.sleep(1)
    time.sleep(LEFT_S)
    os.kill(os.getpid(), signal.SIGKILL)
