"""`nengliu acquire plan`: what the lines of collector.toml have to do, and whether they can."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import click

from acquisition.drivers.config import CollectorConfig, load_config
from acquisition.drivers.lines.prediction import REPLY_MS, LinePlan, plan_line
from acquisition.drivers.lines.sampling import too_seldom
from nengliu import settings
from nengliu.cli.language import examples, language, say
from nengliu.cli.listing import print_columns
from nengliu.errors import InputError

COLUMNS = ("line", "where", "baud", "meters", "requests", "characters", "cycle_s", "load", "dead_s", "fits")


@click.command(help=say("acquire.plan"), epilog=examples("acquire_plan"))
@click.option("--config", "file", type=click.Path(path_type=Path), help=say("option.collector"))
@click.option(
    "--reply-ms",
    type=click.IntRange(0, 5000),
    default=REPLY_MS,
    show_default=True,
    help=say("plan.opt_reply"),
)
@click.option("--export", type=click.Path(path_type=Path), help=say("plan.opt_export"))
def plan(file: Path | None, reply_ms: int, export: Path | None) -> None:
    """Show the plan."""
    config = load_config(file or settings.load().home / "collector.toml")
    plans = [plan_line(line, reply_ms) for line in config.lines]
    print_columns([tuple(say("plan.columns").split("|")), *map(_shown, plans)])
    warnings = [*_tight(plans), *_seldom(config)]
    for warning in warnings:
        click.echo(warning)
    click.echo(say("plan.total", lines=len(plans), warnings=len(warnings)))
    if export is not None:
        _write(export, plans)
        click.echo(say("plan.exported", file=export))


def _cells(plan: LinePlan) -> tuple[str, ...]:
    line = plan.line
    baud = str(line.baud) if line.kind.startswith("serial") else ""
    return (
        line.name,
        line.where,
        baud,
        str(len(line.meters)),
        str(plan.requests),
        str(plan.characters) if baud else "",
        f"{plan.cycle_ms / 1000:.1f}",
        f"{100 * (plan.load + plan.upkeep):.1f}",
        f"{plan.dead_ms / 1000:.1f}",
    )


def _shown(plan: LinePlan) -> tuple[str, ...]:
    mark = "plan.over" if not plan.fits else "plan.tight" if plan.is_tight else "plan.fits"
    return (*_cells(plan), say(mark))


def _tight(plans: Sequence[LinePlan]) -> list[str]:
    """Say which lines have too much to do, and which intervals they could hold."""
    found = []
    for one in plans:
        if one.is_tight:
            load = f"{100 * (one.load + one.upkeep):.0f}"
            wanted = sorted({meter.interval_s for meter in one.line.meters})
            longer = {meter.interval_s: one.longer_s(meter) for meter in one.line.meters}
            cure = ", ".join(f"{before} -> {longer[before]}" for before in wanted)
            found.append(
                say(
                    "plan.warn_over" if not one.fits else "plan.warn_tight",
                    line=one.line.name,
                    load=load,
                    cure=cure,
                )
            )
    return found


def _seldom(config: CollectorConfig) -> list[str]:
    """Say which points are read more seldom than their carrier wants."""
    zh = language() == "zh"
    return [
        say(
            "plan.warn_seldom",
            line=one.line,
            meter=one.meter,
            point=one.point.point,
            name=one.point.name if zh else one.point.name_en or one.point.name,
            interval_s=one.interval_s,
            most_s=3600 // one.floor.per_hour,
            carrier=one.floor.zh if zh else one.floor.en,
            clause=one.floor.clause,
        )
        for one in too_seldom(config)
    ]


def _write(file: Path, plans: Sequence[LinePlan]) -> None:
    """Write the plan as CSV, one row per line."""
    try:
        with file.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(COLUMNS)
            writer.writerows((*_cells(one), int(one.fits)) for one in plans)
    except OSError as error:
        raise InputError(f"{file}: expected a file that can be written, got: {error}") from error
