"""`nengliu up`: the whole installation in one command, supervised until Ctrl-C."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import click

from nengliu import settings as settings_of
from nengliu import telemetry
from nengliu.cli.health import collector_lives, collectors, lives, page_answers, reachable
from nengliu.cli.language import examples, say
from nengliu.cli.nightly import Nightly
from nengliu.cli.supervise import TICK_S, Part, Supervisor, owning
from nengliu.cli.tick import ticking
from nengliu.cli.users import tell_if_nobody
from nengliu.errors import InputError, LogError, NengliuError
from nengliu.settings import Profile, Settings

ENOUGH_BYTES = 2**30
"""Less free space than this and the store could not merge: we do not start (1 GiB)."""
STORE_START_S = 60.0
"""A store of many parts opens in seconds; a minute means that something is wrong."""
PORTS_TRIED = 20
COLLECTOR = "collector"
"""Part that runs all collectors of the installation."""
TIDY_S = 3600.0


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
        if self.settings.store:
            from nengliu.storage import await_store

            await_store(self.settings, STORE_START_S)
        else:
            self.start("store")
            self.supervisor.wait_ready("store", STORE_START_S)
        _migrate(self.supervisor)

    def start_rest(self) -> None:
        """Start every part that does not run yet."""
        self.start(*(part.name for part in self.supervisor.parts))


@click.command(help=say("command.up"), epilog=examples("up"))
@click.option("--port", type=click.IntRange(1, 65_535), default=None, help=say("option.port"))
@click.option("--host", default="127.0.0.1", show_default=True, help=say("option.host"))
@click.option(
    "--profile", type=click.Choice([p.value for p in Profile]), default=None, help=say("option.profile")
)
def up(port: int | None, host: str, profile: str | None) -> None:
    """Start the parts of the profile, and keep them alive."""
    from nengliu.bus.open import open_log

    with running(port, host, profile) as installation:
        installation.store_ready()
        open_log(installation.settings).close()
        installation.start_rest()
        tell_if_nobody(installation.settings)
        watch(installation, lambda: False)


@contextmanager
def running(port: int | None, host: str = "127.0.0.1", profile: str | None = None) -> Iterator[Installation]:
    """Own the installation while the body runs; Ctrl-C and SIGTERM end it and stop the parts in order."""
    settings = settings_of.load()
    settings = replace(settings, profile=Profile(profile or settings.profile))
    check_room(settings.home)
    with owning(settings.home) as note, _interruptible(), _told(settings.home / "logs" / "supervisor.log"):
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
    """Keep the parts alive and the log's clock going, show all on one line, until `done` says so; tidy up hourly."""
    with ticking(installation.settings):
        _watch(installation, done)


def _watch(installation: Installation, done: Callable[[], bool]) -> None:
    nightly = Nightly(installation.settings)
    try:
        _watch_all(installation, nightly, done)
    finally:
        nightly.stop()


def _watch_all(installation: Installation, nightly: Nightly, done: Callable[[], bool]) -> None:
    shown, tidy_at = "", time.monotonic() + TIDY_S
    while not done():
        installation.supervisor.tick()
        nightly.tick(time.time())
        if time.monotonic() > tidy_at:
            tidy(installation)
            tidy_at = time.monotonic() + TIDY_S
        line = status_line(installation)
        if line != shown:
            installation.note(parts=installation.supervisor.processes())
            _show(line)
            shown = line
        time.sleep(TICK_S)


def status_line(installation: Installation) -> str:
    """Say on one line how each part is, and where the page is."""
    signs = {"ready": "●", "starting": "◌", "waiting": "✗", "held": "‖"}
    states = installation.supervisor.states()
    parts = "  ".join(f"{part_name(name)} {signs[state]}" for name, state in states.items())
    dead = [name for name, state in states.items() if state == "waiting"]
    if dead:
        return parts + "  " + say("up.dead", file=installation.supervisor.log_file(dead[0]))
    return f"{parts}  {installation.address}  {say('up.ctrl_c')}"


def part_name(name: str) -> str:
    """Give a part's name in the reader's language; a collector with a part of its own keeps the end of its name."""
    kind, dash, rest = name.partition("-")
    return f"{say(f'part.{kind}')}{dash}{rest}"


def tidy(installation: Installation) -> None:
    """Set long log files aside, and forget beside the main loop what the log keeps longer than it must."""
    installation.supervisor.set_logs_aside()
    for work in (trim, refresh_costs):
        threading.Thread(target=work, args=(installation.settings,), daemon=True).start()


def trim(settings: Settings) -> None:
    """Forget the head of the log that is old and that every flow has read; a failure waits for the next hour."""
    from flows.resume import resume_points
    from nengliu.bus.open import trim_logs

    try:
        gone = trim_logs(settings, resume_points(settings))
    except LogError as error:
        telemetry.logger.warning("LogNotTrimmed %s", error)
    else:
        telemetry.emit(telemetry.RecordsTrimmed(gone))


def refresh_costs(settings: Settings) -> None:
    """Bring the cost of days up to date; what cannot be done now waits for the next hour."""
    from nengliu.cli.cost import refresh

    try:
        refresh(settings)
    except NengliuError as error:
        telemetry.logger.warning("CostNotRefreshed %s", error)


def parts_of(settings: Settings, host: str) -> list[Part]:
    """List the parts the profile runs itself, in the order of their start; a store given by address is not ours."""
    flows = ("flow",) if settings.profile is Profile.ACCESS_END else ("ingest", "rollups", "anomaly")
    commands: dict[str, tuple[str, ...]] = {} if settings.store else {"store": ("store",)}
    commands |= {name: ("flow", "all" if name == "flow" else name) for name in flows}
    commands["dashboard"] = ("dashboard", "--port", str(settings.port), "--host", host)
    parts = [_part(settings, name, words, host) for name, words in commands.items()]
    files = list(collectors(settings).values())
    return [*parts[:-1], collect_part(settings, COLLECTOR, files), parts[-1]] if files else parts


def collect_part(settings: Settings, name: str, files: Sequence[Path]) -> Part:
    """Make the part that runs the collectors of some configurations in one process."""
    words = ["collect", *(word for file in files for word in ("--config", str(file)))]
    command = (sys.executable, "-P", "-m", "nengliu.cli", *words)
    return Part(
        name, command, lambda started: all(collector_lives(settings, file, started) for file in files)
    )


def _part(settings: Settings, name: str, words: tuple[str, ...], host: str) -> Part:
    command = (sys.executable, "-P", "-m", "nengliu.cli", *words)
    patience_s = 3.0 if name == "dashboard" else 8.0
    return Part(name, command, lambda started_s: lives(settings, name, started_s, host), patience_s)


def check_room(home: Path) -> None:
    """Refuse to start on a disk that is nearly full."""
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    if not place.is_dir():
        raise InputError(say("error.no_folder", home=home, file=place))
    free = shutil.disk_usage(place).free
    if free < ENOUGH_BYTES:
        raise NoRoomError(say("error.no_room", home=home, free=free // 2**20, needed=ENOUGH_BYTES // 2**20))


def choose_port(wanted: int | None, settings: Settings, host: str) -> int:
    """Give the page's port: the one that was asked for, or else the next free one after the default.

    Raises
    ------
    InputError
        The port somebody asked for is taken, or every port tried is; or nobody could listen on that host.
    """
    if not is_free(0, host):
        raise InputError(say("error.no_host", host=host))
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
def _told(file: Path) -> Iterator[None]:
    """Write what the supervisor itself has to tell into its own log file while the body runs."""
    file.parent.mkdir(parents=True, exist_ok=True)
    before = telemetry.logger.handlers
    with file.open("a", encoding="utf-8") as stream:
        telemetry.configure(stream=stream)
        try:
            yield
        finally:
            telemetry.logger.handlers = before


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
