"""`nengliu health PART`: is this part alive; asked by the supervisor and by a container's health check.

Signs of life are what a part does anyway: the store and the page answer, a flow holds its recovery store and
notes where it resumed and then, with the epochs it ends, how far it got (so it is unhealthy while the log or the
store is away), a collector renews its status file with every heartbeat.
"""

from __future__ import annotations

import fcntl
import http.client
import ipaddress
import json
import sys
import time
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import click
import psutil

from nengliu import settings as settings_of
from nengliu.cli.language import examples, say
from nengliu.errors import InputError
from nengliu.settings import Settings

FLOWS = {"flow": "embedded", "ingest": "ingest", "rollups": "rollups", "anomaly": "anomaly"}
"""Flow of each part that runs one; a part that takes some partitions only is named after them: ``flow-0-1``."""
FLOW_S = 30.0
"""A flow that did not end an epoch for this long, and three epochs more, is stuck (a wide import may take seconds)."""
TICK_S = 30.0
"""Between two ticks of the log's clock, and the patience with it: silence is noticed in minutes."""
AUDIT_S = 60.0
"""Between two looks of the nightly audit at the clock."""
SIGNS = {"tick": TICK_S, "audit": AUDIT_S}
"""Parts that do little but touch a file of their name, and how often [s]."""
COLLECTOR_S = 30.0
"""A collector renews its status file with each heartbeat; this much later it is stuck."""


@click.command(help=say("command.health"), epilog=examples("health"))
@click.argument("part")
def health(part: str) -> None:
    """Exit 0 if the part is alive, 3 if not."""
    settings = settings_of.load()
    alive = lives(replace(settings, port=_noted_port(settings)), part)
    click.echo(say("health.alive" if alive else "health.dead", part=part))
    if not alive:
        sys.exit(3)


def _noted_port(settings: Settings) -> int:
    """Port of the page as the supervisor noted it (`up --port`), else that of the settings."""
    try:
        noted = json.loads((settings.home / "up.lock").read_text(encoding="utf-8") or "{}")
        return urlparse(str(noted["address"])).port or settings.port
    except (OSError, ValueError, KeyError, TypeError):
        return settings.port


def lives(settings: Settings, part: str, started_s: float = 0.0, host: str = "127.0.0.1") -> bool:
    """Whether a part shows a sign of life later than `started_s` [s since 1970].

    Raises
    ------
    InputError
        There is no part of that name.
    """
    if part == "store":
        return store_answers(settings)
    if part == "dashboard":
        return page_answers(settings.port, host)
    if part in FLOWS:  # by itself, or shared out
        return all(flow_lives(settings, one, started_s) for one in shares_of(settings, part) or [part])
    if part.partition("-")[0] in FLOWS:
        return flow_lives(settings, part, started_s)
    if part in SIGNS:
        return _is_fresh(_written_s(sign_file(settings, part)), started_s, 3 * SIGNS[part])
    files = collectors(settings)
    if part in files and part != "collector":
        return collector_lives(settings, files[part], started_s)
    if part == "collector" and files:  # one process runs them all
        return all(collector_lives(settings, file, started_s) for file in files.values())
    known = ", ".join(["store", "dashboard", *SIGNS, *FLOWS, *files])
    raise InputError(say("error.no_part", part=part, known=known))


def store_answers(settings: Settings) -> bool:
    """Whether the store in force takes connections."""
    if settings.store:
        from nengliu.errors import StorageError
        from nengliu.storage import await_store

        try:
            await_store(settings, 0.0)
        except StorageError:
            return False
        return True
    try:
        return answers(int((settings.store_home / "port").read_text()), "/ping")
    except (OSError, ValueError):
        return False


def page_answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether the page is there."""
    return answers(port, "/_stcore/health", host)


def flow_lives(settings: Settings, part: str, started_s: float = 0.0) -> bool:
    """Whether the process of a flow is there, and resumed or ended an epoch lately."""
    patience_s = FLOW_S + 3 * settings.epoch_s
    return flow_runs(settings, part) and _is_fresh(flow_noted_s(settings, part), started_s, patience_s)


def sign_file(settings: Settings, part: str) -> Path:
    """File that a part touches as its sign of life."""
    return settings.home / part


def show_life(settings: Settings, part: str) -> None:
    """Touch the file that `nengliu health` looks at; on a full disk it tells the truth by its age."""
    with suppress(OSError):
        settings.home.mkdir(parents=True, exist_ok=True)
        sign_file(settings, part).touch()


def flow_runs(settings: Settings, part: str) -> bool:
    """Whether a process holds the recovery store of a flow; the system lets go of it however that process ends."""
    try:
        with (_folder(settings, part) / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def flow_noted_s(settings: Settings, part: str) -> float:
    """When a flow last noted how far it is, as it does when it resumes and with its epochs [s since 1970]; 0: never."""
    from flows.resume import FILE

    return _written_s(_folder(settings, part) / FILE)


def shares_of(settings: Settings, part: str) -> list[str]:
    """Name the parts among which a flow that ever ran here is shared out: itself if it takes all partitions."""
    from flows.shares import shares

    found = [share.name for share, _ in shares(settings.recovery_path) if share.flow == FLOWS[part]]
    return [part + name.removeprefix(FLOWS[part]) for name in found]


def left_out(settings: Settings, part: str) -> list[int]:
    """Partitions that none of the parts takes among which a flow is shared out."""
    from flows.shares import share_named

    taken = [share_named(name) for name in shares_of(settings, part)]
    every = range(settings.partitions) if taken else ()
    return [partition for partition in every if not any(share.takes(partition) for share in taken)]


def _folder(settings: Settings, part: str) -> Path:
    """Folder of the recovery store of a part that runs a flow."""
    kind, dash, partitions = part.partition("-")
    return settings.recovery_path / f"{FLOWS[kind]}{dash}{partitions}"


def collector_lives(settings: Settings, config: Path, started_s: float = 0.0) -> bool:
    """Whether the process of a collector is there and renewed its status file with its last heartbeat."""
    status = read_status(settings, config)
    patience_s = float(status.get("heartbeat_s", 0)) + COLLECTOR_S
    return process_lives(status) and _is_fresh(
        _written_s(status_file(settings, config)), started_s, patience_s
    )


def process_lives(status: Mapping[str, Any]) -> bool:
    """Whether the process that wrote a status file is there still."""
    return bool(psutil.pid_exists(int(status.get("process", -1))))


def collectors(settings: Settings) -> dict[str, Path]:
    """Configuration of each collector of this installation, by the name of its part."""
    return {file.stem: file for file in sorted(settings.home.glob("collector*.toml"))}


def status_file(settings: Settings, config: Path) -> Path:
    """File in which the collector of a configuration says how it is."""
    try:
        name = tomllib.loads(config.read_text(encoding="utf-8")).get("name", config.stem)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        name = config.stem
    return settings.collector_path / f"{name}.json"


def read_status(settings: Settings, config: Path) -> dict[str, Any]:
    """Give what a collector last said of itself; empty if it never said anything."""
    try:
        found = json.loads(status_file(settings, config).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def reachable(host: str) -> str:
    """Give the address under which this machine reaches a server that listens on `host`."""
    try:
        anywhere = ipaddress.ip_address(host).is_unspecified
    except ValueError:  # a name
        anywhere = False
    return "127.0.0.1" if anywhere else host


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


def _is_fresh(written_s: float, started_s: float, patience_s: float) -> bool:
    return written_s > max(started_s, time.time() - patience_s)


def _written_s(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
