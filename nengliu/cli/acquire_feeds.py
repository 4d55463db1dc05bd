"""`nengliu acquire feeds`: the sources that are no meters: what they are to give, and what they give now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from acquisition.drivers.clock import SystemClock
from acquisition.drivers.config import load_config
from acquisition.drivers.desk import Columns
from acquisition.drivers.sources.plans import FeedPlan, FolderTable, SqlTable
from acquisition.drivers.sources.start import feeds_of
from nengliu import settings
from nengliu.cli.imports import reason_text
from nengliu.cli.language import examples, say
from nengliu.cli.listing import number, print_columns
from nengliu.domain.quality import Origin, Quality
from nengliu.domain.times import from_ms
from nengliu.errors import InputError, nearest
from schemas.messages import LinkEvent, Missed, RejectedRow

SHOWN = 40
"""Values, and refused ones, that are printed."""


@click.command(help=say("acquire.feeds"), epilog=examples("acquire_feeds"))
@click.option("--config", "file", type=click.Path(path_type=Path), help=say("option.collector"))
@click.option("--try", "wanted", metavar="NAME", help=say("feeds.opt_try"))
@click.option(
    "--seconds",
    type=click.FloatRange(1, 3600),
    default=20.0,
    show_default=True,
    help=say("feeds.opt_seconds"),
)
def feeds(file: Path | None, wanted: str | None, seconds: float) -> None:
    """List the feeds of a collector, or try one."""
    plans = {plan.name: plan for plan in load_config(file or settings.load().home / "collector.toml").feeds}
    if wanted is None:
        list_feeds([*plans.values()])
        return
    if wanted not in plans:
        raise InputError(f"--try: expected a feed of the file, got {wanted!r}; {nearest(wanted, plans)}")
    tray = _Tray()
    (feed,) = feeds_of([plans[wanted]], SystemClock())
    asyncio.run(feed.sample(tray, seconds))
    _show(plans[wanted], tray)


class _Tray:
    """What a feed handed in, for the eye; writes nothing."""

    def __init__(self) -> None:
        self.values: list[tuple[int, str, int]] = []
        self.rejected: list[RejectedRow] = []

    def row(
        self,
        meter: Columns,
        read_at_ms: int,
        values: Mapping[str, int],
        *,
        origin: Origin = Origin.TIMED,
        quality: Mapping[str, Quality] | None = None,
        raw: bytes = b"",
    ) -> None:
        """Take the values of an instant."""
        del meter, origin, quality, raw
        self.values += [(read_at_ms, point, ticks) for point, ticks in values.items()]

    def reject(self, source: str, rows: Sequence[RejectedRow]) -> None:
        """Take what could not become a reading."""
        del source
        self.rejected += rows

    def miss(self, missed: Missed) -> None:
        """Take nothing: a feed has no slots."""

    def tell(self, event: LinkEvent) -> None:
        """Take no change: a failure is raised."""

    def polled(self) -> None:
        """Count nothing."""

    def put_state(self, name: str, value: str, since_ms: int) -> None:
        """Remember nothing."""

    def state(self, name: str) -> tuple[str, int] | None:
        """Know nothing."""
        del name
        return None

    async def durable(self) -> None:
        """Return: nothing is kept."""


def list_feeds(plans: Sequence[FeedPlan]) -> None:
    """Print what feeds are to give."""
    print_columns([tuple(say("feeds.columns").split("|")), *map(_listed, plans)])


def _listed(plan: FeedPlan) -> tuple[str, ...]:
    told = plan.told
    if isinstance(told, SqlTable):
        where = told.url
    elif isinstance(told, FolderTable):
        where = str(plan.path(told.folder))
    else:
        where = f"{told.host}:{told.port} {' '.join(told.topics)}"
    return plan.name, plan.kind, where, told.map, str(len(plan.points)), str(told.silent_s or "")


def _show(plan: FeedPlan, tray: _Tray) -> None:
    """Print values, and what was refused with its reason."""
    columns = {series.point.point: series.column for series in plan.map.series}
    rows = [tuple(say("feeds.value_columns").split("|"))]
    for at_ms, point, ticks in tray.values[:SHOWN]:
        column = columns[point]
        at = from_ms(at_ms).isoformat(sep=" ", timespec="milliseconds")
        rows.append((at, point, number(ticks, column.decimals), column.unit))
    print_columns(rows)
    for one in tray.rejected[:SHOWN]:
        click.echo(
            say("feeds.refused", row=one.row, point=one.point, text=one.text[:60], reason=reason_text(one))
        )
    click.echo(say("feeds.total", values=len(tray.values), refused=len(tray.rejected)))
