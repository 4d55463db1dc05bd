"""`nengliu audit`: does everything that must agree agree; nothing is changed (docs/decisions/0028)."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from nengliu import settings as settings_of
from nengliu.cli.bar import bar
from nengliu.cli.language import examples, say
from nengliu.cli.nightly import keep_watch
from nengliu.cli.query import instant
from nengliu.domain.times import CHINA, from_ms, to_ms
from nengliu.errors import InputError

if TYPE_CHECKING:
    from nengliu.analysis.audit import Finding
    from nengliu.cli.audit_look import Audit

DIFFERS = 3
"""Exit code when anything differs."""
SHOWN = 200
"""So many findings are shown as sentences; JSON has all."""
SAMPLE = "20"


@click.command(help=say("command.audit"), epilog=examples("audit"))
@click.option("--from", "start", metavar="TIME", default=None, help=say("option.audit_from"))
@click.option("--to", "end", metavar="TIME", default=None, help=say("option.audit_to"))
@click.option("--enterprise", metavar="CODE", default="", help=say("option.audit_enterprise"))
@click.option(
    "--recompute",
    "sample",
    metavar="N|all",
    default=SAMPLE,
    show_default=True,
    help=say("option.audit_recompute"),
)
@click.option("--nightly", is_flag=True, help=say("option.audit_nightly"))
@click.option(
    "--format", "form", type=click.Choice(("text", "json")), default="text", help=say("option.format")
)
def audit(
    start: str | None, end: str | None, enterprise: str, sample: str, form: str, *, nightly: bool
) -> None:
    """Compare registers, windows, tallies and readings of whole months."""
    from nengliu.cli.audit_look import Audit, Recomputed
    from nengliu.storage import Asker

    settings = settings_of.load()
    if nightly:
        keep_watch(settings)
    start_ms, end_ms = span(start, end)
    asker = Asker(settings, patience_s=10)
    recomputed = Recomputed(_count(sample), int(time.time()) // 86_400)
    whole = Audit(settings, asker, enterprise, start_ms, end_ms, recomputed, 3.0 * settings.epoch_s)
    try:
        _run(whole)
    finally:
        asker.close()
    _show(whole, form)
    if whole.findings:
        sys.exit(DIFFERS)


def span(start: str | None, end: str | None) -> tuple[int, int]:
    """Span [ms, UTC] that a person named: without an end up to now, without a start from the month before its end on.

    Raises
    ------
    InputError
        No times, or the end is not after the start.
    """
    end_at = instant("--to", end) if end else from_ms(int(time.time() * 1000))
    start_at = instant("--from", start) if start else _month_before(end_at)
    if start_at >= end_at:
        raise InputError(say("error.audit_span", start=start_at, end=end_at))
    return to_ms(start_at), to_ms(end_at)


def _month_before(end: datetime) -> datetime:
    """Start of the China month before the one that holds `end`."""
    first = end.astimezone(CHINA).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first - timedelta(days=1)).replace(day=1)


def _count(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal():
        raise InputError(say("error.no_number", where="--recompute", text=text))
    return int(text)


def _run(whole: Audit) -> None:
    """Do the parts of the work one after the other, with a bar for the eye."""
    with bar(say("audit.bar"), len(whole.batches()) * len(whole.months())) as step:
        for start_ms, _ in whole.run():
            step(text=say("audit.month", month=f"{from_ms(start_ms):%Y-%m}"))


def _show(whole: Audit, form: str) -> None:
    months = whole.months()
    first, last = from_ms(months[0][0]), from_ms(months[-1][1])
    if form == "json":
        about: dict[str, Any] = {
            "from": first.isoformat(),
            "to": last.isoformat(),
            "recomputed_points": len(whole.recomputed.looked_at),
            "findings": [_plain(finding) for finding in whole.findings],
        }
        click.echo(json.dumps(about, ensure_ascii=False, indent=2))
        return
    for finding in whole.findings[:SHOWN]:
        click.echo(sentence(finding))
    if len(whole.findings) > SHOWN:
        click.echo(say("audit.more", count=len(whole.findings) - SHOWN))
    key = "audit.differs" if whole.findings else "audit.agrees"
    span = {"start": f"{first:%Y-%m}", "end": f"{from_ms(months[-1][0]):%Y-%m}"}
    click.echo(say(key, count=len(whole.findings), points=len(whole.recomputed.looked_at), **span))


def sentence(finding: Finding) -> str:
    """Say a finding: where, what was expected, what was found, what probably happened, what to do."""
    level = say(f"audit.level_{finding.level}") if finding.level else ""
    at = from_ms(finding.at_ms).isoformat(sep=" ", timespec="minutes")
    return say(
        "audit.finding",
        check=say(f"audit.{finding.check}"),
        enterprise=finding.enterprise,
        subject=finding.subject or "-",
        at=f"{at} {level}".strip(),
        expected=_said(finding.expected),
        got=_said(finding.got),
        why=say(f"why.{finding.why}"),
        cure=say(f"why.{finding.why}_cure"),
    )


def _said(values: dict[str, int | float | None]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "-"


def _plain(finding: Finding) -> dict[str, Any]:
    """A finding for machines: the instant in ISO 8601, all else as it is."""
    found = asdict(finding)
    return found | {"at": from_ms(found.pop("at_ms")).isoformat()}
