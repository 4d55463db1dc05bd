"""`nengliu demo`: a simulated plant with a year of history, live, in one command and without a network.

The history is told into the log.  What comes after it is read on the wire: the simulated meters and a
collector run as two more parts, on ports of the loopback.  Only the output has no meter; its amounts are
booked as a plant does, after each quarter-hour.  While the demonstration is off nobody reads, and at the
next start the collector says so; the story is not told afterwards in its place, because a gap with its
reason is what the product must show well (and the registers lose nothing of it).
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from nengliu.cli.facts import ask, facts, received
from nengliu.cli.language import examples, say
from nengliu.cli.supervise import TICK_S, Part
from nengliu.cli.up import Installation, is_free, parts_of, running, watch
from nengliu.domain.times import QUARTER_MS
from nengliu.errors import InputError, StorageError

if TYPE_CHECKING:
    from acquisition.simulator.plant import Plant
    from nengliu.bus import Log
    from schemas.messages import Frame, Notice

SEED = 20170930
"""Day the document that ordered the monitoring was issued (NDRC-2017); any number would do."""
INTERVAL_S = 20
"""Seconds between two readings of a meter: a page that is looked at for a minute must have moved."""
FIRST_PORT, PORT_PAIRS = 15_020, 2_000
"""Where the meters' two lines listen: below the ports that the system gives away by itself."""
MARK = "# Written by `nengliu demo` at each start; changes are lost.\n"
"""First line of the collector's configuration, by which we know our own from somebody else's."""
BATCH = 500
"""Messages per append: at most this many are told twice if the demonstration is killed while it writes."""
POLL_S = 1.0
COLLECTOR = "collector"
HOST = "127.0.0.1"
"""The simulated meters answer this machine only."""


@dataclass(frozen=True, slots=True)
class Told:
    """What of the plant's story lies in the log; kept in ``HOME/demo.json``, so nothing is told twice.

    `last_ms` is the instant up to which the output was booked [ms, UTC]; older versions told all points up to it.
    """

    seed: int
    start_ms: int
    days: int
    messages: int = 0
    readings: int = 0
    complete: bool = False
    last_ms: int = 0

    @property
    def plant(self) -> Plant:
        """The plant this story is of."""
        from acquisition.simulator.plant import Plant

        return Plant(self.seed, self.start_ms, self.days)


@click.command(help=say("command.demo"), epilog=examples("demo"))
@click.option("--days", type=click.IntRange(2, 1100), default=365, show_default=True, help=say("option.days"))
@click.option("--port", type=int, default=None, help=say("option.port"))
@click.option("--host", default="127.0.0.1", show_default=True, help=say("option.host"))
@click.option("--once", is_flag=True, help=say("option.once"))
def demo(days: int, port: int | None, host: str, *, once: bool) -> None:
    """Show the product on a simulated plant."""
    console = Console(stderr=True)
    with running(port, host) as installation:
        console.print(say("demo.opening", home=installation.settings.home))
        if not installation.settings.store:
            installation.start("store")
        told = tell_history(installation, days, console)
        installation.store_ready()
        installation.start(*(part.name for part in installation.supervisor.parts if part.name != COLLECTOR))
        await_history(installation, told, console)
        if not once:
            go_live(installation, told)
        show_page(installation, console)
        found = [*facts(installation.settings, told.plant), say("fact.silent", seconds=INTERVAL_S)]
        for number, fact in enumerate(found[: -1 if once else None], 1):
            console.print(f"  {number}. {fact}", highlight=False)
        if not once:
            console.print(say("demo.live", seconds=INTERVAL_S))
            book(installation, told)


def tell_history(installation: Installation, days: int, console: Console) -> Told:
    """Write the plant's history into the log, from where an earlier start left off."""
    from acquisition.simulator.plant import plant_until

    file = installation.settings.home / "demo.json"
    told = read_told(file)
    if told is None:
        plant = plant_until(SEED, time.time_ns() // 1_000_000, days)
        told = Told(SEED, plant.start_ms, days, last_ms=plant.end_ms)
    elif days not in (told.days, 365):
        raise InputError(say("error.other_days", days=told.days, home=installation.settings.home))
    if told.complete:
        return told
    with console.status(say("demo.writing", days=told.days)):
        for step in append_story(installation, told):
            write_told(file, step)
            installation.supervisor.tick()
            told = step
    return told


def append_story(installation: Installation, told: Told) -> Iterator[Told]:
    """Append what was not told yet, a batch at a time; each item says how far the story is now."""
    from acquisition.simulator.plant import history, notices
    from nengliu.bus.open import open_log

    log = open_log(installation.settings)
    story = itertools.chain(notices(told.plant), history(told.plant))
    try:
        rest = itertools.islice(story, told.messages, None)
        for batch in iter(lambda: list(itertools.islice(rest, BATCH)), []):
            append(log, batch)
            told = replace(told, messages=told.messages + len(batch), readings=told.readings + count(batch))
            yield told
        yield replace(told, complete=True)
    finally:
        log.close()


def await_history(installation: Installation, told: Told, console: Console) -> None:
    """Watch the readings arrive in the store, with a bar, until all of them are counted there."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(say("demo.loading"), total=told.readings)
        shown = False
        asked_at = 0.0
        while True:
            installation.supervisor.tick()
            if time.monotonic() - asked_at > POLL_S:
                arrived = readings_in_store(installation, told)
                asked_at = time.monotonic()
                progress.update(task, completed=min(arrived, told.readings))
                if arrived >= told.readings:
                    return
                if arrived and not shown and installation.page_answers():
                    progress.console.print(say("demo.first_data", address=installation.address))
                    shown = True
            time.sleep(TICK_S)


def readings_in_store(installation: Installation, told: Told) -> int:
    """Count the readings of the history that the store has taken in, whatever became of them."""
    from acquisition.simulator.plant import SOURCE, enterprise

    try:
        rows = ask(
            installation.settings, "intake", enterprise=enterprise().enterprise, **received(told.plant)
        )
    except StorageError:  # it starts, or was killed and comes back
        return 0
    return sum(row["received"] for row in rows if row["source"] == SOURCE)


def show_page(installation: Installation, console: Console) -> None:
    """Wait for the page and print its address so that nobody misses it."""
    while not installation.page_answers():
        installation.supervisor.tick()
        time.sleep(TICK_S)
    console.print(Panel.fit(f"[bold]{installation.address}[/bold]", title=say("demo.page"), padding=(1, 4)))


def go_live(installation: Installation, told: Told) -> None:
    """Start the meters and their collector as parts of this installation, on ports that are free now."""
    port = free_ports(HOST)
    write_config(installation.settings.home / "collector.toml", told, port)
    simulator = Part("simulator", simulator_command(port), lambda _started_s: not is_free(port, HOST))
    parts = parts_of(installation.settings, installation.host)
    at = [part.name for part in parts].index(COLLECTOR)
    installation.supervisor.parts = [*parts[:at], simulator, *parts[at:]]
    installation.start_rest()


def simulator_command(port: int) -> tuple[str, ...]:
    """Give the command that serves the plant's meters from a port on, with the fault that the facts speak of."""
    faults = resources.files("acquisition.simulator").joinpath("demo_faults.toml")
    words = ("simulate", "--host", HOST, "--port", str(port), "--faults", str(faults))
    return (sys.executable, "-P", "-m", "nengliu.cli", *words)


def free_ports(host: str) -> int:
    """Give a free port with a free one after it; two demonstrations that start together look at different ones."""
    for n in range(PORT_PAIRS):
        port = FIRST_PORT + 2 * ((os.getpid() + n) % PORT_PAIRS)
        if is_free(port, host) and is_free(port + 1, host):
            return port
    raise InputError(say("error.no_ports", first=FIRST_PORT, last=FIRST_PORT + 2 * PORT_PAIRS - 1))


def write_config(file: Path, told: Told, port: int) -> None:
    """Write the collector's configuration for the plant whose lines listen from a port on.

    Raises
    ------
    InputError
        The file there is somebody else's.
    """
    from acquisition.simulator.config import plant_config
    from acquisition.simulator.fleet import Fleet, plant_lines

    if file.exists() and not file.read_text(encoding="utf-8").startswith(MARK):
        raise InputError(say("error.other_config", file=file))
    fleet = Fleet(plant_lines(told.plant), lambda: told.plant.end_ms, host=HOST)
    fleet.ports |= {line.name: port + n for n, line in enumerate(fleet.lines)}
    file.write_text(MARK + plant_config(fleet, told.plant, INTERVAL_S, None, host=HOST), encoding="utf-8")


def book(installation: Installation, told: Told) -> None:
    """Watch over the parts, and book the output of each quarter-hour that ends."""
    from acquisition.simulator.plant import booked
    from nengliu.bus.open import open_log

    file = installation.settings.home / "demo.json"
    log = open_log(installation.settings)
    boot_s, numbers = int(time.time()), itertools.count(1)

    def step() -> bool:
        nonlocal told
        now_ms = time.time_ns() // 1_000_000
        if now_ms // QUARTER_MS > told.last_ms // QUARTER_MS:
            frame = booked(told.plant, told.last_ms, now_ms, boot_s, next(numbers))
            if frame is not None:
                append(log, [frame])
            told = replace(told, last_ms=now_ms)
            write_told(file, told)
        return False

    try:
        watch(installation, step)
    finally:
        log.close()


def read_told(file: Path) -> Told | None:
    """Read how far the story is; None if it never began."""
    try:
        return Told(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise InputError(say("error.demo_file", file=file, error=error)) from error


def write_told(file: Path, told: Told) -> None:
    """Write how far the story is, whole or not at all."""
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(told)), encoding="utf-8")
    fresh.replace(file)


def append(log: Log, messages: Iterable[Notice | Frame]) -> None:
    """Append messages of the plant, which all share the partition of its enterprise."""
    from acquisition.simulator.plant import enterprise
    from schemas.messages import encode
    from schemas.topics import RAW

    log.append(RAW, [(enterprise().enterprise, encode(message)) for message in messages])


def count(messages: Iterable[Notice | Frame]) -> int:
    """Count the readings in some messages."""
    from acquisition.simulator.plant import readings_of
    from schemas.messages import Frame

    return sum(readings_of(message) for message in messages if isinstance(message, Frame))
