"""`nengliu repair`: windows that disagree with the level below or with their readings, computed anew from these.

Looks with the eyes of the audit, computes with the functions of the rollups; without `--apply` it only says what it
would write.  To run it again, or beside the flows, does no harm: rows bear the revision their readings have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from flows.computed import StoredWindows
from flows.totals import TotalLoader
from nengliu import settings as settings_of
from nengliu.analysis.audit_recompute import LEVELS, Described, compare, recompute, recompute_formulas
from nengliu.analysis.mending import Mending, mend
from nengliu.analysis.rollups.computing import ComputedShard
from nengliu.analysis.totals.shard import TotalShard
from nengliu.cli.audit import span
from nengliu.cli.audit_look import (
    CHECKS,
    NOW,
    Audit,
    Part,
    Recomputed,
    block_of,
    operands,
    stored_columns,
    within,
)
from nengliu.cli.bar import bar
from nengliu.cli.language import examples, say
from nengliu.domain.times import STORED, from_ms
from schemas.block import Rows

if TYPE_CHECKING:
    from nengliu.storage import Writer

TELLING = ("registers", "levels", "decimals", "revisions")
"""Looks of the audit that tell of windows."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is to be mended of a month: windows of points, and totals of whole enterprises."""

    start_ms: int
    mendings: list[Mending]
    enterprises: set[str]


@click.command(help=say("command.repair"), epilog=examples("repair"))
@click.option("--from", "start", metavar="TIME", default=None, help=say("option.repair_from"))
@click.option("--to", "end", metavar="TIME", default=None, help=say("option.repair_to"))
@click.option("--enterprise", metavar="CODE", default="", help=say("option.only_enterprise"))
@click.option("--all", "every", is_flag=True, help=say("option.repair_all"))
@click.option("--apply", "applied", is_flag=True, help=say("option.repair_apply"))
def repair(start: str | None, end: str | None, enterprise: str, *, every: bool, applied: bool) -> None:
    """Find and mend windows of whole months."""
    from nengliu.storage import Asker, Writer, connect, disconnect

    settings = settings_of.load()
    start_ms, end_ms = span(start, end)
    asker, client = Asker(settings, patience_s=10), connect(settings)
    work = Audit(settings, asker, enterprise, start_ms, end_ms, Recomputed(0, 0), 0.0)
    try:
        with Writer(settings) as writer:
            points, rows, sums = _run(work, every, (writer, client) if applied else None)
    finally:
        disconnect(client)
        asker.close()
    key = "repair.clean" if not sums else "repair.applied" if applied else "repair.preview"
    click.echo(say(key, points=points, rows=rows, sums=sums))


def _run(work: Audit, every: bool, store: tuple[Writer, Any] | None) -> tuple[int, int, int]:
    """Mend part by part; count point-months, their rows, and enterprises whose totals are made anew."""
    points = rows = sums = 0
    with bar(say("repair.looking"), len(work.batches()) * len(work.months())) as step:
        for part in parts(work):
            found = look(part, every)
            names = _show(found)
            if store is not None:
                write(found, part, *store)
            points, rows = points + len(names), rows + sum(map(len, found.mendings))
            sums += len(found.enterprises)
            step()
    return points, rows, sums


def parts(work: Audit) -> Iterator[Part]:
    """The parts of the work, one after the other."""
    for batch in work.batches():
        catalogue, described = work.catalogue(batch)
        for start_ms, end_ms in work.months():
            yield Part(work.asker, batch, start_ms, end_ms, catalogue, described)


def look(part: Part, every: bool) -> Found:
    """Compute anew the month of the points that something tells of, or of `every` one; keep what differs.

    First those that have readings; formulas see these as they will be mended.
    """
    told = None if every else _told_of(part)
    enterprises = {found.enterprise for found in CHECKS["totals"](part)}
    measured, computed = (_chosen(part, told, is_computed=which) for which in (False, True))
    mendings = []
    if measured.points:
        asked = {"points": measured.points, "from_ms": part.start_ms}
        found = recompute(part.catalogue, block_of(part.ask("audit_readings", **asked)))
        mendings += _differing(part, measured, found)
    if computed.points:
        rows = [mending.rows for mending in mendings if mending.rows is not None]
        found = recompute_formulas(part.catalogue, [*operands(part, computed.points), *rows])
        mendings += _differing(part, computed, found)
    mended = {enterprise for mending in mendings for enterprise, _ in mending.points()}
    return Found(part.start_ms, mendings, enterprises | mended)


def _differing(part: Part, chosen: Described, found: dict[str, list[Rows]]) -> list[Mending]:
    """Hold what was computed of some points against what is stored of them, level by level."""
    mendings = []
    for level, table in LEVELS.items():
        windows = part.ask("audit_windows", level=level, points=chosen.points, from_ms=part.start_ms)
        stored = stored_columns(windows, chosen.points)
        expected = within(found.get(table, []), chosen.points, part)
        differing = list(compare(level, expected, stored, part.catalogue, chosen))
        if differing:
            mendings.append(mend(table, expected, stored, differing, chosen.points))
    return mendings


def _told_of(part: Part) -> set[tuple[str, str]]:
    """Points of the part whose windows disagree with something."""
    return {(found.enterprise, found.subject) for name in TELLING for found in CHECKS[name](part)}


def _chosen(part: Part, wanted: set[tuple[str, str]] | None, *, is_computed: bool) -> Described:
    """Points that have readings, or else formulas, of those that are wanted (None: of all)."""
    places = [
        i
        for i, point in enumerate(part.described.points)
        if bool(part.catalogue.points[point].point.formulas) is is_computed
        and (wanted is None or point in wanted)
    ]
    return replace(
        part.described,
        points=[part.described.points[i] for i in places],
        position=part.described.position[places],
    )


def _show(found: Found) -> set[tuple[str, str]]:
    """Say point by point what is to be written; which points these are."""
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for mending in found.mendings:
        level = mending.table.removeprefix("window_")
        for point in mending.points():
            levels = counts.setdefault(point, {})
            levels[level] = levels.get(level, 0) + 1
    for enterprise in sorted(found.enterprises):
        click.echo(say("repair.totals", enterprise=enterprise, month=f"{from_ms(found.start_ms):%Y-%m}"))
    for (enterprise, name), levels in counts.items():
        told = ", ".join(f"{level} {count}" for level, count in levels.items())
        month = f"{from_ms(found.start_ms):%Y-%m}"
        rows = sum(levels.values())
        click.echo(
            say("repair.found", enterprise=enterprise, point=name, month=month, rows=rows, levels=told)
        )
    return set(counts)


def write(found: Found, part: Part, writer: Writer, client: Any) -> None:
    """Take away what no row can replace; write the rows that were computed anew, and what is made of them."""
    from nengliu.storage.mended import take_away

    for mending in found.mendings:
        if mending.gone:
            take_away(client, mending.table, mending.gone)
    windows = [mending.rows for mending in found.mendings if mending.rows is not None]
    computed = ComputedShard(part.catalogue, StoredWindows(part.asker))
    for rows in [*windows, *computed.add(windows, NOW)]:
        writer.write(rows)
    writer.flush()
    for rows in totals(part, found.enterprises):
        writer.write(rows)
    writer.flush()


def totals(part: Part, enterprises: set[str]) -> list[Rows]:
    """Totals of the month of some enterprises, computed anew from the windows as they are stored now."""
    loader = TotalLoader(part.asker)
    spans = [(enterprise, part.start_ms, part.end_ms) for enterprise in sorted(enterprises)]
    found = [loader.windows(level, spans, NOW) for level in STORED if spans]
    return TotalShard(part.catalogue, loader).add([rows for rows in found if rows is not None], NOW)
