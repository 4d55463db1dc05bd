"""`nengliu doctor`: is this installation healthy, and if not, what to do."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

import click

from nengliu import settings as settings_of
from nengliu.cli.checks import Check, collector_checks, flow_checks, guarded, log_checks
from nengliu.cli.health import page_answers
from nengliu.cli.language import examples, say
from nengliu.cli.nightly import audit_check
from nengliu.cli.retention import kept_check
from nengliu.cli.up import ENOUGH_BYTES, is_free
from nengliu.domain.books import shipped_factors
from nengliu.errors import NengliuError
from nengliu.settings import Settings

OURS = ("nengliu", "flows", "acquisition", "dashboards", "schemas")
CLOCK_FLOOR_S = 1_767_225_600
"""2026-01-01: a clock before it was never set."""
_TAKEN_IN = """SELECT partition, max(position)
FROM (SELECT partition, position FROM intake UNION ALL SELECT partition, position FROM book) GROUP BY partition"""
"""Newest message per partition that left a row; notices of the catalogue leave none here, and readings follow them."""
_BOOKS = "SELECT DISTINCT argMax(digest, position) AS newest FROM book GROUP BY partition ORDER BY newest"
"""Books of factors in force, one digest each: all partitions have the same, unless a flow has yet to read of it."""
_DIGEST = 12
"""Digits of a digest that tell books apart for a reader."""
_SECRET = re.compile(r"(?<=:)[^:@/]+(?=@)|(?<=password=)[^&]+")


@click.command(help=say("command.doctor"), epilog=examples("doctor"))
@click.option("--json", "as_json", is_flag=True, help=say("option.json"))
@click.option("--offline", is_flag=True, help=say("option.offline"))
def doctor(*, as_json: bool, offline: bool) -> None:
    """Examine the installation."""
    checks = list(examine(offline=offline))
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks], ensure_ascii=False, indent=2))
    else:
        for check in checks:
            sign = click.style("✓", fg="green") if check.ok else click.style("✗", fg="red")
            code = "" if check.ok else f" [{check.name}]"
            click.echo(f"{sign} {say(f'doctor.{check.name}')}{code}: {check.found}{_cure(check)}")
    if not all(check.ok for check in checks):
        sys.exit(3)


def examine(*, offline: bool = False) -> Iterator[Check]:
    """Examine everything; `offline` leaves out what needs a running installation."""
    yield _python()
    yield _packages()
    yield _names()
    try:
        settings = settings_of.load()
    except NengliuError as error:
        yield Check("settings", ok=False, found=str(error), cure=say("cure.settings"))
        return
    yield _settings(settings)
    yield _disk(settings)
    yield _clock()
    yield _port(settings)
    if not offline:
        yield from _services(settings)
    yield from collector_checks(settings, offline=offline)
    audited = audit_check(settings)
    if audited is not None:
        yield audited


def origins(settings: Settings) -> dict[str, str]:
    """Say of each setting its value, secrets masked, and where it comes from."""
    file = settings.home / "nengliu.toml"
    in_file = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    found = {}
    for field in fields(Settings):
        variable = f"NENGLIU_{field.name.upper()}"
        origin = (
            variable
            if variable in os.environ
            else str(file)
            if field.name in in_file
            else say("doctor.default")
        )
        value = str(getattr(settings, field.name))
        secret = value and field.name.endswith("password")
        found[field.name] = f"{'***' if secret else masked(value)} ({origin})"
    return found


def masked(text: str) -> str:
    """Hide the password of an address.

    >>> masked("http://flow:secret@store:8123/nengliu")
    'http://flow:***@store:8123/nengliu'
    """
    return _SECRET.sub("***", text)


def _cure(check: Check) -> str:
    return "" if check.ok or not check.cure else f" → {check.cure}"


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    return Check("python", (3, 11) <= sys.version_info[:2] < (3, 13), found, say("cure.python"))


def _packages() -> Check:
    """Whether every package the wheel asks for is there, extras aside (requirements files pin versions)."""
    try:
        wanted = importlib.metadata.requires("nengliu") or []
    except importlib.metadata.PackageNotFoundError:
        return Check("packages", ok=False, found=say("doctor.not_installed"), cure=say("cure.packages"))
    always = (line for line in wanted if "extra ==" not in line)
    names = [re.split(r"[ ;<>=!~\[(]", line, maxsplit=1)[0] for line in always]
    known = {_normal(found.metadata["Name"]) for found in importlib.metadata.distributions()}
    missing = [name for name in names if _normal(name) not in known]
    found = (
        say("doctor.missing", names=", ".join(missing))
        if missing
        else say("doctor.all_there", count=len(names))
    )
    return Check("packages", not missing, found, say("cure.packages"))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _names() -> Check:
    """Whether another distribution lays files into one of our packages: installers do not warn of it."""
    owners = importlib.metadata.packages_distributions()
    strangers = {name: sorted({*owners.get(name, [])} - {"nengliu"}) for name in OURS}
    clashes = {name: owner for name, owner in strangers.items() if owner}
    return Check("names", not clashes, str(clashes) if clashes else say("doctor.no_clash"), say("cure.names"))


def _settings(settings: Settings) -> Check:
    return Check("settings", ok=True, found="; ".join(f"{k} = {v}" for k, v in origins(settings).items()))


def _disk(settings: Settings) -> Check:
    place = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    writable = os.access(place, os.W_OK)
    found = say("doctor.free", folder=place, free=free // 2**20)
    cure = say("cure.disk", needed=ENOUGH_BYTES // 2**20) if writable else say("cure.writable", folder=place)
    return Check("disk", free >= ENOUGH_BYTES and writable, found, cure)


def _clock() -> Check:
    now_s = time.time()
    return Check(
        "clock",
        now_s > CLOCK_FLOOR_S,
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s)),
        say("cure.clock"),
    )


def _port(settings: Settings) -> Check:
    if page_answers(settings.port):
        return Check("port", ok=True, found=say("doctor.page_runs", port=settings.port))
    free = is_free(settings.port, "127.0.0.1")
    found = say("doctor.port_free" if free else "doctor.port_taken", port=settings.port)
    return Check("port", free, found, say("cure.port"))


def _services(settings: Settings) -> Iterator[Check]:
    from nengliu import storage

    stored: dict[int, int] | None = None
    if (
        settings.store or settings.store_home.exists() or not settings.bus
    ):  # else a machine that only collects
        try:
            client = storage.connect(settings)
        except NengliuError as error:
            yield Check("store", ok=False, found=masked(str(error)), cure=say("cure.store"))
        else:
            yield from _store(client, settings)
            stored = _stored(client)
            storage.disconnect(client)
    yield from log_checks(settings, stored)
    yield from flow_checks(settings)


def _store(client: Any, settings: Settings) -> Iterator[Check]:
    found = f"{masked(settings.store) or settings.store_home}, {client.server_version}"
    yield Check("store", ok=True, found=found)
    yield guarded("tables", "cure.store", lambda: _tables(client, settings))
    yield guarded("kept", "cure.tables", lambda: kept_check(client, settings))
    yield guarded("book", "cure.tables", lambda: _book(client))


def _tables(client: Any, settings: Settings) -> Check:
    from nengliu.storage.client import speaking
    from nengliu.storage.migrate import migrations

    with speaking(client.uri):
        applied = {
            row[0] for row in client.query(f"SELECT name FROM {settings.database}.migration").result_rows
        }
    waiting = [name for name in migrations() if name not in applied]
    found = say("doctor.pending", names=", ".join(waiting)) if waiting else say("doctor.tables_current")
    return Check("tables", not waiting, found, say("cure.tables"))


def _book(client: Any) -> Check:
    """Which book of factors is in force: another one than this version ships is no fault, but worth a look."""
    from nengliu.storage.client import speaking

    with speaking(client.uri):
        told = [digest[:_DIGEST] for (digest,) in client.query(_BOOKS).result_rows]
    shipped = shipped_factors()[0][:_DIGEST]
    key = "apart" if len(told) > 1 else "none" if not told else "shipped" if told == [shipped] else "other"
    found = say(f"doctor.book_{key}", told=", ".join(told), shipped=shipped)
    return Check("book", len(told) < 2, found, say("cure.book"))


def _stored(client: Any) -> dict[int, int]:
    """Newest position of the raw topic that the store took in, by partition; nothing if it cannot say."""
    from nengliu.storage.client import speaking

    try:
        with speaking(client.uri):
            return dict(client.query(_TAKEN_IN).result_rows)
    except NengliuError:
        return {}
