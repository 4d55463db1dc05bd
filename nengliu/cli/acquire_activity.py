"""`nengliu acquire activity`: output, its value, plans, staff and shifts, by month or day, entered or from a form."""

from __future__ import annotations

from pathlib import Path

import click

from nengliu.analysis.forms.production import HEADS, NEEDED, activities_of, measures, period_of, template
from nengliu.analysis.forms.sheets import Line
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
)
from nengliu.cli.language import examples, language, say
from nengliu.cli.query import FORMATS, instant, known_by, show
from nengliu.domain.times import DAY_MS
from nengliu.errors import ContractError, InputError
from schemas.messages import Activity, ActivityNotice


@click.group(help=say("acquire.activity"), epilog=examples("activity"))
def activity() -> None:
    """Hold the sub-commands together."""


@activity.command("set", help=say("entry.figure"), epilog=examples("activity"))
@click.argument("enterprise")
@click.argument("period")
@click.argument("measure", type=click.Choice(list(measures())))
@click.argument("value")
@click.option("--product", default="", help=say("entry.product"))
@click.option("--source", default="", help=say("entry.source"))
@by_option
def set_figure(  # noqa: PLR0913 - one parameter per argument
    enterprise: str, period: str, measure: str, value: str, *, product: str, source: str, by: str
) -> None:
    """Tell one figure, or take it back (VALUE: withdrawn)."""
    cells = {"period": period, "measure": measure, "value": value, "product": product, "source": source}
    with writing(by, enterprise) as writer:
        _tell(writer, enterprise, [Line(1, cells)], "entered")


@activity.command("file", help=say("entry.figures"), epilog=examples("activity"))
@click.argument("enterprise")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@by_option
def from_file(enterprise: str, file: Path, *, by: str) -> None:
    """Import the figures of a form, all or none."""
    lines = form_of(file, HEADS, NEEDED)
    with writing(by, enterprise) as writer:
        _tell(writer, enterprise, lines, "imported")


@activity.command("template", help=say("entry.blank"), epilog=examples("activity"))
@click.argument("enterprise")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--period", "periods", multiple=True, required=True, metavar="2026-03", help=say("entry.period")
)
@by_option
def make_template(enterprise: str, file: Path, *, periods: tuple[str, ...], by: str) -> None:
    """Write a form with a row per measure, product and period."""
    named = [_period(period) for period in periods]
    with writing(by, enterprise) as writer:
        span = {"start": 0, "end": now_s() * 1000 + 366 * DAY_MS}
        told = rows_of(writer.ask("activities", writer.scope, enterprise=enterprise, **span))
    products = sorted({row["product"] for row in told} - {""})
    write_template(file, template(named, products, chinese=language() == "zh"))


@activity.command("list", help=say("entry.told"), epilog=examples("activity"))
@click.argument("enterprise")
@click.option(
    "--from", "start", default="2000-01-01", show_default=True, metavar="TIME", help=say("entry.first")
)
@click.option("--to", "end", default="2100-01-01", show_default=True, metavar="TIME", help=say("entry.last"))
@click.option("--as-of", metavar="TIME", default=None, help=say("option.as_of"))
@click.option("--versions", is_flag=True, help=say("entry.versions"))
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", help=say("option.format"))
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help=say("option.output"))
@by_option
def list_figures(  # noqa: PLR0913 - one parameter per option
    enterprise: str,
    *,
    start: str,
    end: str,
    as_of: str | None,
    versions: bool,
    form: str,
    output: Path | None,
    by: str,
) -> None:
    """Show what was told, as it stands, as it was known, or in all its versions."""
    if form == "xlsx" and output is None:
        raise InputError(say("error.xlsx_needs_file"))
    span = {"start": instant("--from", start), "end": instant("--to", end)}
    with writing(by, enterprise) as writer:
        name = "activity_versions" if versions else "activities"
        known = known_by(as_of) if as_of else None
        found = writer.ask(name, writer.scope, as_of=known, enterprise=enterprise, **span)
    show(found, form, output)


def _tell(writer: Writer, enterprise: str, lines: list[Line], origin: str) -> None:
    figures, rejected = activities_of(lines)
    refuse(rejected)
    told = tuple(_signed(one, writer.login) for one in figures)
    send(writer, ActivityNotice(enterprise, told, origin, writer.login, now_s()), f"{len(told)} figures")
    click.echo(say("entry.told_now", count=len(told), by=writer.login))


def _signed(one: Activity, login: str) -> Activity:
    """Name who reported a figure where no document is named."""
    return Activity(one.measure, one.period, one.value, one.unit, one.source or login)


def _period(text: str) -> str:
    try:
        return period_of(text)
    except ContractError as error:
        raise InputError(say("error.no_time", where="--period", text=text)) from error
