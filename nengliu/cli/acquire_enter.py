"""`nengliu acquire enter`: values of meters by hand, one by one or from a form; who, when and why is kept with each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nengliu.analysis.forms.sheets import Line
from nengliu.analysis.forms.values import (
    HEADS,
    NEEDED,
    Neighbour,
    can_take,
    doubts,
    entries_of,
    points_of,
    refusals,
    template,
    time_of,
    written_time,
)
from nengliu.cli.acquire_forms import (
    Writer,
    by_option,
    form_of,
    now_s,
    refuse,
    rows_of,
    send,
    write_template,
    writing,
    yes_option,
)
from nengliu.cli.language import examples, language, say
from nengliu.cli.query import FORMATS, show
from nengliu.domain.quality import Origin
from nengliu.domain.times import DAY_MS
from nengliu.errors import ContractError, InputError
from schemas.messages import Entered, EntryNotice

if TYPE_CHECKING:
    from nengliu.domain.points import Point


@click.group(help=say("acquire.enter"), epilog=examples("enter"))
def enter() -> None:
    """Hold the sub-commands together."""


@enter.command(help=say("entry.value"), epilog=examples("enter"))
@click.argument("enterprise")
@click.argument("point")
@click.option("--at", "at", required=True, metavar="TIME", help=say("entry.at"))
@click.option("--value", required=True, metavar="NUMBER", help=say("entry.number"))
@click.option("--why", required=True, help=say("entry.why"))
@click.option("--unit", default="", help=say("entry.unit"))
@by_option
@yes_option
def value(  # noqa: PLR0913 - one parameter per option
    enterprise: str, point: str, *, at: str, value: str, why: str, unit: str, by: str, yes: bool
) -> None:
    """Enter one value."""
    cells = {"point": point, "read_at": at, "value": value, "unit": unit, "why": why}
    with writing(by, enterprise) as writer:
        _enter(writer, enterprise, [Line(1, cells)], insist=yes)


@enter.command("file", help=say("entry.file"), epilog=examples("enter"))
@click.argument("enterprise")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@by_option
@yes_option
def from_file(enterprise: str, file: Path, *, by: str, yes: bool) -> None:
    """Enter the values of a form, all or none."""
    lines = form_of(file, HEADS, NEEDED)
    with writing(by, enterprise) as writer:
        _enter(writer, enterprise, lines, insist=yes)


@enter.command("template", help=say("entry.form"), epilog=examples("enter"))
@click.argument("enterprise")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--at", "at", default="", metavar="TIME", help=say("entry.at"))
@by_option
def make_template(enterprise: str, file: Path, *, at: str, by: str) -> None:
    """Write a form with a row per point."""
    with writing(by, enterprise) as writer:
        form = template(_points(writer, enterprise), _time(at), chinese=language() == "zh")
    write_template(file, form)


@enter.command("list", help=say("entry.list"), epilog=examples("enter"))
@click.argument("enterprise")
@click.option("--point", default="", help=say("entry.point"))
@click.option("--days", type=click.IntRange(1), default=30, show_default=True, help=say("entry.days"))
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", help=say("option.format"))
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help=say("option.output"))
@by_option
def list_entries(enterprise: str, *, point: str, days: int, form: str, output: Path | None, by: str) -> None:
    """Show what was entered, and what became of it."""
    if form == "xlsx" and output is None:
        raise InputError(say("error.xlsx_needs_file"))
    end = now_s() * 1000 + 60_000
    with writing(by, enterprise) as writer:
        span = {"start": end - days * DAY_MS, "end": end}
        found = writer.ask("entries", writer.scope, enterprise=enterprise, point=point, **span)
    show(found, form, output)


def _enter(writer: Writer, enterprise: str, lines: Sequence[Line], *, insist: bool) -> None:
    """Check rows as ingest will, ask where something looks odd, and send them as one."""
    points = _points(writer, enterprise)
    rows, rejected = entries_of(lines, points)
    at_s = now_s()
    if not rejected:
        rejected = refusals(points, rows, at_s, writer.settings.future_s)
    refuse(rejected)
    odd = [line for row in rows for line in _odd(writer, points, row)]
    for line in odd:
        click.echo(line, err=True)
    if odd and not insist and not click.confirm(say("entry.insist"), err=True):
        raise InputError(say("entry.not_sent"))
    send(writer, EntryNotice(enterprise, writer.login, at_s, tuple(rows)), f"{len(rows)} values")
    click.echo(say("entry.sent", count=len(rows), by=writer.login))


def _odd(writer: Writer, points: Sequence[Point], row: Entered) -> list[str]:
    point = next(point for point in points if point.point == row.point)
    asked = {"enterprise": point.enterprise, "point": point.point, "at": row.read_at_ms}
    around = [
        Neighbour(
            one["side"],
            int(one["read_at"].timestamp() * 1000),
            Decimal(f"{one['value']:.{one['decimals']}f}"),
            one["unit"],
            Origin(one["origin"]),
        )
        for one in rows_of(writer.ask("neighbours", writer.scope, **asked))
    ]
    about = {"point": row.point, "at": written_time(row.read_at_ms), "value": row.value}
    return [say(f"entry.{doubt}", **about) for doubt in doubts(point, row, around)]


def _points(writer: Writer, enterprise: str) -> list[Point]:
    """Points of an enterprise that take entries."""
    found = rows_of(writer.ask("definitions", writer.scope, enterprise=enterprise))
    return [point for point in points_of(row["definition"] for row in found) if can_take(point)]


def _time(text: str) -> int:
    try:
        return time_of(text or date.today().isoformat())  # noqa: DTZ011 - the day of who asks
    except ContractError as error:
        raise InputError(say("error.no_time", where="--at", text=text)) from error
