"""`nengliu retention`: which months of raw readings are older than they must be kept, and with `--apply` their end.

A month goes when the audit of it finds nothing, and after every flow has passed the notice that tells the horizon: from
then on a reading of an older time is held for a person, so nothing is computed again from what has gone (law 4,
docs/decisions/0009).
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from nengliu import settings as settings_of
from nengliu.cli.bar import bar
from nengliu.cli.checks import Check
from nengliu.cli.language import examples, say
from nengliu.domain.retention import gone_before_ms, horizon_ms
from nengliu.domain.times import from_ms
from nengliu.settings import Settings

if TYPE_CHECKING:
    from nengliu.storage.retention import Month

PATIENCE_S = 30.0
"""Flows that run pass a notice within an epoch or two [s]."""
FLOWS = ("ingest", "rollups")
"""Flows that read or write raw readings."""
SAMPLE = 20
"""Points of each part of a month whose windows are computed anew before it goes."""


@click.command(help=say("command.retention"), epilog=examples("retention"))
@click.option("--apply", "applied", is_flag=True, help=say("option.retention_apply"))
def retention(*, applied: bool) -> None:
    """Show what would go; let it go with `--apply`."""
    from nengliu.storage import connect, disconnect

    settings, now_ms = settings_of.load(), int(time.time() * 1000)
    client = connect(settings)
    try:
        begins_ms = horizon_ms(now_ms, settings.retention_days)
        raw, histories = going(client, settings, now_ms)
        _show([*raw, *histories], begins_ms)
        if applied and raw:
            _audit(client, settings, raw, begins_ms)
            _tell(client, settings, begins_ms)
        if applied:
            _let_go(client, [*raw, *histories])
        elif raw or histories:
            click.echo(say("retention.preview"), err=True)
    finally:
        disconnect(client)


def going(client: Any, settings: Settings, now_ms: int) -> tuple[list[Month], list[Month]]:
    """Months of raw readings and of histories that need not be kept any longer."""
    from nengliu.storage.retention import HISTORIES, RAW, months

    raw = months(client, RAW, gone_before_ms(horizon_ms(now_ms, settings.retention_days)))
    if not settings.history_days:
        return raw, []
    return raw, months(client, HISTORIES, horizon_ms(now_ms, settings.history_days))


def kept_check(client: Any, settings: Settings) -> Check:
    """Since when readings are kept, as the doctor tells it; flows that do not agree on it are a fault."""
    from nengliu.storage.retention import horizons

    raw, histories = going(client, settings, int(time.time() * 1000))
    waiting, known = len({month.start_ms for month in [*raw, *histories]}), horizons(client)
    if not known:
        return Check("kept", ok=True, found=say("doctor.kept_all", waiting=waiting))
    begins_ms = max(known.values())
    behind = [f"{flow} {part}" for flow, part in _wanted(settings) if known.get((flow, part), 0) < begins_ms]
    if behind:
        return Check(
            "kept", ok=False, found=say("doctor.kept_apart", flows=", ".join(behind)), cure=say("cure.kept")
        )
    begins = f"{from_ms(begins_ms):%Y-%m-%d}"
    return Check("kept", ok=True, found=say("doctor.kept_from", begins=begins, waiting=waiting))


def _show(found: list[Month], begins_ms: int) -> None:
    click.echo(say("retention.begins", begins=f"{from_ms(begins_ms):%Y-%m-%d}"))
    for month in found:
        name = f"{from_ms(month.start_ms):%Y-%m}"
        size = f"{month.disk_bytes / 1e6:,.1f}"
        click.echo(say("retention.month", month=name, table=month.table, rows=f"{month.rows:,}", size=size))
    if not found:
        click.echo(say("retention.nothing"))


def _audit(client: Any, settings: Settings, raw: list[Month], begins_ms: int) -> None:
    """Audit what goes, and the month that then is the oldest: it will have no month before it to be audited with."""
    from nengliu.cli.audit import sentence
    from nengliu.cli.audit_look import Audit, Recomputed
    from nengliu.storage import Asker
    from nengliu.storage.retention import horizons

    start_ms = raw[0].start_ms
    if horizons(client):  # the last time the oldest month was audited with the one before it
        start_ms = int(from_ms(start_ms + 32 * 86_400_000).replace(day=1, hour=0).timestamp() * 1000)
    asker = Asker(settings, patience_s=10)
    whole = Audit(settings, asker, "", start_ms, begins_ms, Recomputed(SAMPLE, 0), 3.0 * settings.epoch_s)
    try:
        with bar(say("retention.audit"), len(whole.batches()) * len(whole.months())) as step:
            for _ in whole.run():
                step()
    finally:
        asker.close()
    if whole.findings:
        click.echo(sentence(whole.findings[0]), err=True)
        click.echo(say("retention.differs", count=len(whole.findings)), err=True)
        sys.exit(3)


def _tell(client: Any, settings: Settings, begins_ms: int) -> None:
    """Tell the log the horizon, and wait until every flow has passed it in every partition."""
    from nengliu.bus.open import open_log, publish
    from schemas.messages import RetentionNotice

    if _passed(client, settings, begins_ms):
        return
    with open_log(settings) as log:
        publish(log, RetentionNotice(begins_ms, int(time.time())))
    until = time.monotonic() + PATIENCE_S
    while not _passed(client, settings, begins_ms):
        if time.monotonic() > until:
            click.echo(say("retention.waiting"), err=True)
            sys.exit(3)
        time.sleep(0.2)


def _passed(client: Any, settings: Settings, begins_ms: int) -> bool:
    from nengliu.storage.retention import horizons

    known = horizons(client)
    return all(known.get(one, 0) >= begins_ms for one in _wanted(settings))


def _wanted(settings: Settings) -> list[tuple[str, int]]:
    return [(flow, partition) for flow in FLOWS for partition in range(settings.partitions)]


def _let_go(client: Any, found: list[Month]) -> None:
    from nengliu.storage.retention import drop

    with bar(say("retention.dropping"), len(found)) as step:
        for month in found:
            drop(client, month)
            step()
    click.echo(
        say("retention.gone", months=len(found), size=f"{sum(m.disk_bytes for m in found) / 1e6:,.1f}")
    )
