"""`nengliu demo`: a simulated province with two years of history, live, in one command and without a network.

The history is told into the log while the flows read it.  What comes after it is read on the wire: the
simulated meters and the collectors of all plants run as two more parts, on ports of the loopback.  Only the
output has no meter; its amounts are booked as plants do, after each quarter-hour.  While the demonstration
is off nobody reads, and at the next start the collectors say so; the story is not told afterwards in its
place, because a gap with its reason is what the product must show well (and the registers lose nothing of it).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.panel import Panel

from nengliu.cli.facts import ask, facts
from nengliu.cli.language import examples, language, say
from nengliu.cli.scenario import SCENARIOS, Scenario, load_scenario, time_of_day
from nengliu.cli.supervise import TICK_S, Part
from nengliu.cli.telling import Booking, Told, begin, tell
from nengliu.cli.up import COLLECTOR, Installation, collect_part, is_free, parts_of, running, watch
from nengliu.domain.causes import Cause
from nengliu.errors import InputError

if TYPE_CHECKING:
    from acquisition.simulator.province import Province
    from nengliu.settings import Settings

DAYS, ENTERPRISES = 760, 40
"""What is told unless somebody wants less: 25 months of all plants."""
INTERVAL_S = 20
"""Seconds between two readings of a meter: a page that is looked at for a minute must have moved."""
HEARTBEAT_S = 20
"""Seconds between two signs of life of a collector: a visitor should not wait minutes to see one missed."""
FIRST_PORT, PORTS_TRIED = 15_020, 4_000
"""Where the meters' lines listen, two of each plant: below the ports that the system gives away by itself."""
MARK = "# Written by `nengliu demo` at each start; changes are lost.\n"
"""First line of a collector's configuration, by which we know our own from somebody else's."""
HOST = "127.0.0.1"
"""The simulated meters answer this machine only."""
METERS_START_S = 60.0
"""The meters draw what they have counted so far before they answer: seconds for two years of forty plants."""
LEAD_S = 15
"""The scenario's clock starts so long after the parts were started, when they have surely read once [s]."""


@click.command(help=say("command.demo"), epilog=examples("demo"))
@click.option("--days", type=click.IntRange(2, 1100), show_default=str(DAYS), help=say("option.days"))
@click.option(
    "--enterprises", type=click.IntRange(1, 40), show_default=str(ENTERPRISES), help=say("option.plants")
)
@click.option(
    "--scenario",
    type=click.Choice(SCENARIOS),
    default="watch",
    show_default=True,
    help=say("option.scenario"),
)
@click.option("--port", type=click.IntRange(1, 65_535), default=None, help=say("option.port"))
@click.option("--host", default="127.0.0.1", show_default=True, help=say("option.host"))
@click.option("--once", is_flag=True, help=say("option.once"))
def demo(
    days: int | None, enterprises: int | None, scenario: str, port: int | None, host: str, *, once: bool
) -> None:
    """Show the product on a simulated province."""
    console = Console(stderr=True)
    with running(port, host) as installation:
        console.print(say("demo.opening", home=installation.settings.home), soft_wrap=True)
        console.print(say("demo.simulated"), style="bold", soft_wrap=True)
        told = begin(installation.settings.home / "demo.json", days, enterprises, default=(DAYS, ENTERPRISES))
        installation.store_ready()
        installation.start(*(part.name for part in installation.supervisor.parts if part.name != COLLECTOR))
        told = tell(installation, told, console)
        show_page(installation, console)
        show_logins(installation, told, console)
        for number, fact in enumerate(facts(installation.settings, told.province), 1):
            console.print(f"  {number}. {fact}", highlight=False, soft_wrap=True)
        if not once:
            plan = go_live(installation, told, load_scenario(scenario))
            show_plan(plan, told.province, console)
            live(installation, told, plan)


def show_page(installation: Installation, console: Console) -> None:
    """Wait for the page and print its address so that nobody misses it."""
    while not installation.page_answers():
        installation.supervisor.tick()
        time.sleep(TICK_S)
    console.print(Panel.fit(f"[bold]{installation.address}[/bold]", title=say("demo.page"), padding=(1, 4)))


def show_logins(installation: Installation, told: Told, console: Console) -> None:
    """Make one account per role, or bring them back to what they were, and print how to log in."""
    from nengliu.accounts import Account, Role
    from nengliu.accounts.demo import demo_logins

    plant = told.province.plants[-1 if told.enterprises == 1 else 1].enterprise
    city = plant.region
    wanted = (
        Account("analyst", say("demo.analyst"), Role.ANALYST, region="990000"),
        Account("officer", say("demo.officer"), Role.ENFORCEMENT, region=city),
        Account("plant", say("demo.plant"), Role.ENTERPRISE, enterprise=plant.enterprise),
        Account("operator", say("demo.operator"), Role.OPERATOR),
    )
    console.print(say("demo.logins"))
    name = f"，{plant.name}" if language() == "zh" else f", {plant.name_en}"
    for login in demo_logins(installation.settings, wanted):
        about = f"{login.account.name}{name}" if login.account.enterprise else login.account.name
        console.print(
            f"  {login.account.login:<10} {login.password}   {about}", highlight=False, soft_wrap=True
        )


def go_live(installation: Installation, told: Told, scenario: Scenario) -> Scenario:
    """Start the meters and their collectors as parts of this installation, on ports that are free now."""
    province, home = told.province, installation.settings.home
    plan = scenario.laid(province, time.time_ns() // 1_000_000 + LEAD_S * 1000)
    faults = home / "demo-faults.toml"
    faults.write_text(plan.faults_text(), encoding="utf-8")
    port = free_ports(HOST, 2 * len(province.plants))
    files = write_configs(home, province, port)
    words = ("simulate", "--host", HOST, "--port", str(port), "--faults", str(faults))
    command = (sys.executable, "-P", "-m", "nengliu.cli", *words)
    simulator = Part("simulator", command, lambda _started_s: not is_free(port, HOST))
    stopped = plan.stopped()
    own = [collect_part(installation.settings, f"{COLLECTOR}-{slug}", [files[slug]]) for slug in stopped]
    rest = [file for slug, file in files.items() if slug not in stopped]
    parts = [part for part in parts_of(installation.settings, installation.host) if part.name != COLLECTOR]
    collectors = [collect_part(installation.settings, COLLECTOR, rest)] if rest else []
    installation.supervisor.parts = [*parts[:-1], simulator, *collectors, *own, parts[-1]]
    installation.start(simulator.name)
    installation.supervisor.wait_ready(
        simulator.name, METERS_START_S
    )  # else every line begins with a failure
    acknowledge_stops(installation.settings)
    installation.start_rest()
    return plan


def acknowledge_stops(settings: Settings) -> None:
    """Take note of the collectors that are silent because the demonstration was off: they close once they are back.

    It is said through the log, as people say it; forty of them would hide what a visitor came to see.
    """
    from nengliu.bus.open import open_log, publish_action
    from schemas.messages import ActionNotice

    silent = ask(
        settings, "incidents", cause=int(Cause.COLLECTOR_SILENT), state="active_unack", limit=ENTERPRISES
    )
    with open_log(settings) as log:
        for row in silent:
            names = row["enterprise"], row["incident"], "acknowledge", "demo"
            publish_action(log, ActionNotice(*names, int(time.time()), say("demo.was_off")))


def free_ports(host: str, count: int) -> int:
    """Give the first of so many free ports in a row; two demonstrations that start together look elsewhere.

    Raises
    ------
    InputError
        There is no such row.
    """
    blocks = PORTS_TRIED // count
    for n in range(blocks):
        port = FIRST_PORT + count * ((os.getpid() + n) % blocks)
        if all(is_free(one, host) for one in range(port, port + count)):
            return port
    raise InputError(say("error.no_ports", first=FIRST_PORT, last=FIRST_PORT + PORTS_TRIED - 1))


def write_configs(home: Path, province: Province, port: int) -> dict[str, Path]:
    """Write the collectors' configurations for plants whose lines listen from a port on; by the plant's slug.

    Raises
    ------
    InputError
        A collector of this folder is somebody else's.
    """
    from acquisition.simulator.config import plant_config
    from acquisition.simulator.fleet import Fleet, line_prefix, province_lines

    for file in home.glob("collector*.toml"):
        if not file.read_text(encoding="utf-8").startswith(MARK):
            raise InputError(say("error.other_config", file=file))
        file.unlink()
    fleet = Fleet(province_lines(province, province.end_ms), lambda: province.end_ms, host=HOST)
    fleet.ports |= {line.name: port + n for n, line in enumerate(fleet.lines)}
    files = {plant.site.slug: home / f"collector-{plant.site.slug}.toml" for plant in province.plants}
    for plant in province.plants:
        text = plant_config(fleet, plant, INTERVAL_S, None, host=HOST, prefix=line_prefix(province, plant))
        beat = f"heartbeat_s = {HEARTBEAT_S}\n"
        files[plant.site.slug].write_text(MARK + beat + text, encoding="utf-8")
    return files


def show_plan(plan: Scenario, province: Province, console: Console) -> None:
    """Print what will happen, where and when."""
    now = time_of_day(time.time_ns() // 1_000_000)
    console.print(say("demo.live", seconds=INTERVAL_S, now=now), highlight=False, soft_wrap=True)
    for line in plan.timeline(province):
        console.print(f"  {line}", highlight=False, soft_wrap=True)
    console.print(say("demo.ctrl_c"))


def live(installation: Installation, told: Told, plan: Scenario) -> None:
    """Watch over the parts, stop and wake the collectors of the scenario, book the output of each quarter-hour."""
    with booking(installation, told) as book:

        def step() -> bool:
            now_ms = time.time_ns() // 1_000_000
            for slug, is_stopped in plan.collectors(now_ms).items():
                installation.supervisor.hold(f"{COLLECTOR}-{slug}", is_held=is_stopped)
            book(now_ms)
            return False

        watch(installation, step)


@contextmanager
def booking(installation: Installation, told: Told) -> Iterator[Booking]:
    """Hold the log open for the amounts that the plants book."""
    from nengliu.bus.open import open_log

    log = open_log(installation.settings)
    try:
        yield Booking(installation.settings.home / "demo.json", told, log)
    finally:
        log.close()
