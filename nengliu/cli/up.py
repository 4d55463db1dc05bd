"""`nengliu up`: the whole installation in one command, supervised until Ctrl-C."""

from __future__ import annotations

import http.client
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import click

from nengliu import settings as settings_of
from nengliu.cli.language import examples, say
from nengliu.cli.supervise import TICK_S, Part, Supervisor, owning
from nengliu.errors import InputError, NengliuError
from nengliu.settings import Settings

ENOUGH_BYTES = 2**30
"""Less free space than this and the store could not merge: we do not start (1 GiB)."""
STORE_START_S = 60.0
"""A store of many parts opens in seconds; a minute means that something is wrong."""
PORTS_TRIED = 20


class NoRoomError(NengliuError):
    """The disk has too little free space to start."""

    code = "NO_ROOM"
    exit_code = 3


@dataclass(frozen=True, slots=True)
class Installation:
    """A running installation: its settings in force, its supervisor and the host its page listens on."""

    settings: Settings
    supervisor: Supervisor
    host: str
    note: Callable[..., None]

    @property
    def address(self) -> str:
        """Where a browser finds the page."""
        return f"http://{reachable(self.host)}:{self.settings.port}"

    def page_answers(self) -> bool:
        """Whether the page is there."""
        return page_answers(self.settings.port, self.host)

    def start(self, *names: str) -> None:
        """Start parts and note their process ids, so that a later start can end leftovers."""
        for name in names:
            self.supervisor.start(name)
        self.note(parts=self.supervisor.processes())

    def store_ready(self) -> None:
        """Start the store if it is ours, wait for it, and bring the tables up to date."""
        if not self.settings.store:
            self.start("store")
            self.supervisor.wait_ready("store", STORE_START_S)
        _migrate(self.supervisor)


@click.command(help=say("command.up"), epilog=examples("up"))
@click.option("--port", type=int, default=None, help=say("option.port"))
@click.option("--host", default="127.0.0.1", show_default=True, help=say("option.host"))
def up(port: int | None, host: str) -> None:
    """Start store, flows and page, and keep them alive."""
    from nengliu.bus.open import open_log

    with running(port, host) as installation:
        installation.store_ready()
        open_log(installation.settings).close()
        installation.start("flow", "dashboard")
        watch(installation, lambda: False)


@contextmanager
def running(port: int | None, host: str = "127.0.0.1") -> Iterator[Installation]:
    """Own the installation while the body runs; Ctrl-C and SIGTERM end it and stop the parts in order."""
    settings = settings_of.load()
    check_room(settings.home)
    with owning(settings.home) as note, _interruptible():
        settings = replace(settings, port=choose_port(port, settings, host))
        supervisor = Supervisor(parts_of(settings, host), settings.home / "logs")
        installation = Installation(settings, supervisor, host, note)
        note(address=installation.address)
        try:
            yield installation
        except KeyboardInterrupt as asked:
            click.echo("\n" + say("up.stopping", asked=str(asked) or "Ctrl-C"), err=True)
        finally:
            supervisor.stop()
    click.echo(say("up.stopped", home=settings.home), err=True)


def watch(installation: Installation, done: Callable[[], bool]) -> None:
    """Keep the parts alive and show their state on one line, until `done` says so."""
    shown = ""
    while not done():
        installation.supervisor.tick()
        line = status_line(installation)
        if line != shown:
            installation.note(parts=installation.supervisor.processes())
            _show(line)
            shown = line
        time.sleep(TICK_S)


def status_line(installation: Installation) -> str:
    """Say on one line how each part is, and where the page is."""
    signs = {"ready": "●", "starting": "◌", "waiting": "✗"}
    states = installation.supervisor.states()
    parts = "  ".join(f"{say(f'part.{name}')} {signs[state]}" for name, state in states.items())
    dead = [name for name, state in states.items() if state == "waiting"]
    if dead:
        return parts + "  " + say("up.dead", file=installation.supervisor.log_file(dead[0]))
    return f"{parts}  {installation.address}  {say('up.ctrl_c')}"


def parts_of(settings: Settings, host: str) -> list[Part]:
    """List the parts this installation runs itself; a store given by address is somebody else's."""
    command = (sys.executable, "-P", "-m", "nengliu.cli")
    page = ("dashboard", "--port", str(settings.port), "--host", host)
    parts = [
        Part("store", (*command, "store"), lambda: store_answers(settings)),
        Part("flow", (*command, "flow", "all")),
        Part("dashboard", (*command, *page), lambda: page_answers(settings.port, host), patience_s=3),
    ]
    return parts[1:] if settings.store else parts


def reachable(host: str) -> str:
    """Give the address under which this machine reaches a server that listens on `host`."""
    return "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - nothing is bound here


def store_answers(settings: Settings) -> bool:
    """Whether the embedded store of this installation takes connections."""
    try:
        return answers(int((settings.store_home / "port").read_text()), "/ping")
    except (OSError, ValueError):
        return False


def page_answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether the page is there."""
    return answers(port, "/_stcore/health", host)


def answers(port: int, path: str, host: str = "127.0.0.1", timeout_s: float = 1.0) -> bool:
    """Whether something on `host` answers `path` with 200."""
    connection = http.client.HTTPConnection(reachable(host), port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def check_room(home: Path) -> None:
    """Refuse to start on a disk that is nearly full."""
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < ENOUGH_BYTES:
        raise NoRoomError(say("error.no_room", home=home, free=free // 2**20, needed=ENOUGH_BYTES // 2**20))


def choose_port(wanted: int | None, settings: Settings, host: str) -> int:
    """Give the page's port: the one that was asked for, or else the next free one after the default.

    Raises
    ------
    InputError
        The port somebody asked for is taken, or every port tried is.
    """
    explicit = wanted is not None or settings.port != Settings().port
    first = wanted if wanted is not None else settings.port
    if is_free(first, host):
        return first
    if not explicit:
        for port in range(first + 1, first + PORTS_TRIED):
            if is_free(port, host):
                click.echo(say("up.other_port", taken=first, port=port), err=True)
                return port
    raise InputError(say("error.port_taken", port=first, other=first + 1))


def is_free(port: int, host: str) -> bool:
    """Whether a server could listen on `port` of `host`."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):
            return False
        return True


def _migrate(supervisor: Supervisor) -> None:
    """Bring the tables up to date in a process of its own: the supervisor stays small."""
    command = [sys.executable, "-P", "-m", "nengliu.cli", "migrate"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=dict(supervisor.environment), check=False
    )
    if done.returncode != 0:
        raise NengliuError(done.stderr.strip().removeprefix("nengliu: ") or say("error.migrate"))


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the body as Ctrl-C does."""
    heard = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]  # nohup
    before = {number: signal.signal(number, _interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def _show(line: str) -> None:
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        click.echo("\r\033[K" + line[:width], nl=False, err=True)
    else:
        click.echo(line, err=True)
