"""`nengliu bench`: readings per CPU-second of this product and of its peers, over the same data in the same run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TextIO, TypeAlias, TypeVar

import click

from nengliu.cli import bench_chain as chain
from nengliu.cli import bench_national as nation
from nengliu.cli import bench_ours as ours
from nengliu.cli import bench_peers as peers
from nengliu.cli.bench_buffer import buffer_figures
from nengliu.cli.bench_collector import collector_figures
from nengliu.cli.bench_data import Telemetry
from nengliu.cli.bench_edge import codec_figures
from nengliu.cli.bench_equal import DiffersError, Windows
from nengliu.cli.bench_fleet import fleet_figures
from nengliu.cli.bench_layout import layout_table, measure_layouts
from nengliu.cli.bench_report import (
    UNIT,
    Fact,
    Figure,
    as_json,
    chart,
    fact_table,
    facts_of,
    headline,
    table,
    write,
)
from nengliu.cli.bench_store import WAYS, clickhouse
from nengliu.cli.bench_watch import measure_watch
from nengliu.cli.language import examples, say
from nengliu.domain.times import Level

METERS = 2_500
"""Meters of four channels at scale 1."""
WATCH_DAYS = 30
"""Days of the province the watch takes in at scale 1: 1.1 million readings."""
PICTURE = "pictures/bench-rollups.svg"
"""Chart, beside the Markdown file."""
PARTS = ("frames", "day", "rows", "json", "ingest", "two", "chain", "stock", "engines", "flink", "pathway")
"""What `bench rollups` measures, each beside Polars and the limit."""
FRAMES = {400: 80e6, 40: 50e6, 8: None}
"""Widths of frames, and the rate wanted of each."""
Truth = dict[Level, Windows]
T = TypeVar("T")


@dataclass
class Measured:
    """Figures and facts of `bench rollups` so far."""

    figures: list[Figure] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


_scale = click.option(
    "--scale",
    type=click.FloatRange(0.001, 100),
    default=1.0,
    show_default=True,
    help=say("option.bench_scale"),
)
_target = click.option(
    "--write",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help=say("option.bench_write"),
)
_report = click.option("--json", "report", type=click.File("w"), default=None, help=say("option.bench_json"))
_bus = click.option("--bus", default="", help=say("option.bench_bus"))


@click.group(help=say("command.bench"), epilog=examples("bench"), invoke_without_command=True)
@_scale
@_target
@_bus
@click.pass_context
def bench(ctx: click.Context, scale: float, target: Path | None, bus: str) -> None:
    """Run all benchmarks, or the one that is named."""
    if ctx.invoked_subcommand is not None:
        return
    ctx.invoke(rollups, scale=scale, target=target, bus=bus, report=None, only=())
    points = max(1000, round(nation.POINTS * scale))
    ctx.invoke(national, points=points, minutes=nation.MINUTES, report=None, target=target, watch=False)
    ctx.invoke(edge, report=None, target=target)
    ctx.invoke(watch, scale=scale, target=target)
    ctx.invoke(layout, scale=scale, target=target)


@bench.command(help=say("command.bench_rollups"), epilog=examples("bench_rollups"))
@_scale
@_target
@_bus
@_report
@click.option("--only", type=click.Choice(PARTS), multiple=True, help=say("option.bench_only"))
def rollups(
    scale: float, target: Path | None, bus: str, report: TextIO | None, only: tuple[str, ...]
) -> None:
    """Measure windows: ours and the peers', once they were found to be the same."""
    found = measure_rollups(scale, only or PARTS, bus)
    facts = facts_of(found.figures) + found.facts
    beside = [fact for fact in facts if fact.unit != UNIT]
    tables = [table(found.figures), *([fact_table(beside)] if beside else []), *found.tables]
    text = "\n\n".join([headline("nengliu bench rollups"), *tables])
    _say(text, facts, report)
    if target is not None:
        write(target, "rollups", f"{text}\n\n![{UNIT}]({PICTURE})")
        picture = target.parent / PICTURE
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_text(chart(found.figures), encoding="utf-8")
    if found.wrong:
        click.echo("\n".join(found.wrong), err=True)
        sys.exit(1)


@bench.command(help=say("command.bench_national"), epilog=examples("bench_national"))
@click.option(
    "--points",
    type=click.IntRange(min=1000),
    default=nation.POINTS,
    show_default=True,
    help=say("option.bench_points"),
)
@click.option(
    "--minutes",
    type=click.IntRange(1, 60),
    default=nation.MINUTES,
    show_default=True,
    help=say("option.bench_minutes"),
)
@click.option("--watch/--no-watch", default=False, show_default=True, help=say("option.bench_watch"))
@_report
@_target
def national(points: int, minutes: int, report: TextIO | None, target: Path | None, *, watch: bool) -> None:
    """Measure the load of a country."""
    facts = nation.measure(points, minutes, watch=watch)
    _tell("national", [headline("nengliu bench national"), fact_table(facts)], target, facts, report)


@bench.command(help=say("command.bench_edge"), epilog=examples("bench_edge"))
@_report
@_target
def edge(report: TextIO | None, target: Path | None) -> None:
    """Measure the lower edge: codecs, buffer, collector and simulator."""
    facts = [*codec_figures(), *buffer_figures(), *collector_figures(), *fleet_figures()]
    _tell("edge", [headline("nengliu bench edge"), fact_table(facts)], target, facts, report)


@bench.command(help=say("command.bench_watch"), epilog=examples("bench_watch"))
@_scale
@_target
def watch(scale: float, target: Path | None) -> None:
    """Measure the rules alone."""
    days = max(2, round(WATCH_DAYS * scale))
    _tell("watch", [headline("nengliu bench watch"), measure_watch(days).line()], target)


@bench.command(help=say("command.bench_layout"), epilog=examples("bench_layout"))
@_scale
@_target
def layout(scale: float, target: Path | None) -> None:
    """Measure how raw readings may rest in the store."""
    _tell("layout", [headline("nengliu bench layout"), layout_table(measure_layouts(scale))], target)


def _say(text: str, facts: Sequence[Fact], report: TextIO | None) -> None:
    """Print what was measured, and give the numbers to a file; both at once cannot go to standard output."""
    if report is None or report.name != "<stdout>":
        click.echo(text)
    if report is not None:
        report.write(as_json(facts) + "\n")


def _tell(
    name: str,
    paragraphs: Sequence[str],
    target: Path | None,
    facts: Sequence[Fact] = (),
    report: TextIO | None = None,
) -> None:
    """Print what was measured, give its numbers to a file and write it if asked."""
    text = "\n\n".join(paragraphs)
    _say(text, facts, report)
    if target is not None:
        write(target, name, text)


def measure_rollups(scale: float, parts: Sequence[str], bus: str = "") -> Measured:
    """Measure the parts asked for at a scale; Polars' windows are the truth of them all."""
    data, found = Telemetry(max(100, round(METERS * scale / 100) * 100)), Measured()
    figure, truth = peers.by_polars(data)
    for part in parts:
        if part == "chain":
            _measure_chain(scale, bus, found)
        elif part == "two":
            found.facts.append(ours.two_processes(data))
        else:
            for make in _MAKERS[part]:
                found.figures += _unless_wrong(partial(make, data, truth), found)
    found.figures += [figure, peers.memcpy(data)]
    return found


def _unless_wrong(make: Callable[[], T], found: Measured) -> list[T]:
    """What is measured; nothing of a path whose windows differ, which is noted instead."""
    try:
        return [make()]
    except DiffersError as error:
        found.wrong.append(error.message)
        found.figures.append(Figure(error.path, missing=say("bench.differs")))
        return []


def _day(data: Telemetry, _: Truth, *, width: int, goal: float | None) -> Figure:
    """Frames of a whole day: the windows still open in the end weigh as they do in service."""
    day = replace(data, minutes=24 * 60)
    figure = ours.frames(day, peers.by_polars(day)[1], width, goal)
    return replace(figure, name=f"{figure.name}, a whole day")


def _stock(data: Telemetry, _: Truth, *, tuned: bool) -> Figure:
    """Stock Bytewax has a truth of its own: it gets no late readings."""
    return peers.stock(data, tuned=tuned)


_Maker: TypeAlias = Callable[[Telemetry, Truth], Figure]
_MAKERS: dict[str, list[_Maker]] = {
    "frames": [partial(ours.frames, width=width, goal=goal) for width, goal in FRAMES.items()],
    "day": [partial(_day, width=width, goal=goal) for width, goal in FRAMES.items()],
    "rows": [partial(ours.arrow_rows, goal=20e6)],
    "json": [partial(ours.json_columns, goal=12e6), partial(ours.json_single, goal=1.5e6)],
    "ingest": [partial(ours.through_ingest, form=form) for form in ours.FORMS],
    "stock": [partial(_stock, tuned=tuned) for tuned in (False, True)],
    "engines": [peers.duckdb, *(partial(clickhouse, way=way) for way in WAYS)],
    "flink": [peers.flink],
    "pathway": [peers.pathway],
}


def _measure_chain(scale: float, bus: str, found: Measured) -> None:
    """From the log to the store, without and with the watch; over a bus beside, if one is given."""
    results = []
    for load in chain.loads(scale):
        for watched in (False, True):
            results += _unless_wrong(partial(chain.measure, load, watch=watched), found)
    found.figures += [result.figure() for result in results]
    found.facts += [result.fact() for result in results if not result.watch]
    if seen := [result for result in results if result.watch]:
        found.tables.append(chain.share_table(seen))
    if bus and results:
        file = results[-1]
        found.tables.append(chain.bus_table(file, chain.measure(file.load, bus)))
