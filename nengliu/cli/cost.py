"""`nengliu cost`: bring the cost of days up to date, and tell the log which tariffs are in force.

The cost of a day is a function of its quarter-hours, its point and the book of tariffs (`nengliu.analysis.costs`).
The command looks for days whose cost is of an older state of them, however old the days are, and computes those
again; stopped at any place it simply goes on the next time.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from flows.restating import rows_of
from nengliu import settings as settings_of
from nengliu.analysis.costs import Payer, Quarters, Tariffs, cost_rows
from nengliu.analysis.named_rows import owners_of
from nengliu.bus import partition_of
from nengliu.bus.open import open_log, publish
from nengliu.cli.bar import bar
from nengliu.cli.language import examples, say
from nengliu.domain.calendars import days_of, shipped_rows
from nengliu.domain.points import Point
from nengliu.domain.scope import SYSTEM
from nengliu.domain.tariffs import tariffs_of
from nengliu.domain.times import day_of
from nengliu.errors import InputError
from nengliu.settings import Settings
from nengliu.storage import Asker, Writer
from schemas.messages import TariffNotice

DAYS = 20_000
"""Days computed at once: two million quarter-hours."""
_DAY_BITS = 32


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did: days computed, of how many points that have a tariff."""

    days: int
    points: int


@click.command(help=say("command.cost"), epilog=examples("cost"))
@click.option("--tell", is_flag=True, help=say("option.cost_tell"))
@click.option("--enterprise", metavar="CODE", default="", help=say("option.only_enterprise"))
def cost(tell: bool, enterprise: str) -> None:
    """Compute what is out of date."""
    now = settings_of.load()
    if tell:
        click.echo(say("cost.told", digest=tell_tariffs(now), partitions=now.partitions))
        return
    with bar(say("cost.days"), None) as told:
        done = refresh(now, enterprise, told)
    if not done.points:
        raise InputError(say("error.no_tariffs"))
    click.echo(say("cost.done", days=done.days, points=done.points))


def tell_tariffs(settings: Settings) -> str:
    """Append the shipped tariffs to every partition of the log; say their digest."""
    (hours, prices, days), digests = zip(
        *((rows, digest) for digest, rows in map(shipped_rows, ("tariffs", "tariff_prices", "days"))),
        strict=True,
    )
    digest = hashlib.sha256("".join(digests).encode()).hexdigest()[:12]
    with open_log(settings) as log:
        publish(log, TariffNotice(digest, hours, prices, days, int(time.time())))
    return digest


def refresh(
    settings: Settings, enterprise: str = "", told: Callable[[int], None] = lambda _: None
) -> Refreshed:
    """Compute the cost of every day that has none or one of an older state; tell after each step how many were."""
    asker = Asker(settings)
    days = points = 0
    try:
        with Writer(settings) as writer:
            books = _books(asker)
            for partition, payers in _payers(asker, settings.partitions, enterprise).items():
                if partition in books:
                    points += len(payers)
                    days += _refresh_part(asker, writer, payers, books[partition], told)
    finally:
        asker.close()
    return Refreshed(days, points)


def _refresh_part(
    asker: Asker, writer: Writer, payers: list[Payer], book: Tariffs, told: Callable[[int], None]
) -> int:
    pairs = [(payer.point.enterprise, payer.point.point) for payer in payers]
    wanted: dict[str, Any] = {"points": pairs, "from_ms": 0, "digest": book.digest, "limit": DAYS}
    table, done = asker.ask("state_cost_days", SYSTEM, **wanted), 0
    while table.num_rows:
        writer.write(cost_rows(payers, book, _quarters(asker, pairs, table)))
        writer.flush()
        done += table.num_rows
        told(table.num_rows)
        before, table = table, asker.ask("state_cost_days", SYSTEM, **wanted)
        if table.equals(before):  # the flow writes faster than we: the rest is for the next time
            break
    return done


def _books(asker: Asker) -> dict[int, Tariffs]:
    """The book of tariffs of each partition."""
    found = {}
    for row in asker.ask("state_tariffs", SYSTEM).to_pylist():
        notice = msgspec.json.decode(row["definition"], type=TariffNotice)
        by_name = tariffs_of(notice.hours, notice.prices, days_of(notice.days))
        found[row["partition"]] = Tariffs(row["digest"], by_name, row["position"], notice.at_s)
    return found


def _payers(asker: Asker, partitions: int, enterprise: str) -> dict[int, list[Payer]]:
    """Points with a tariff, by partition of the log."""
    found: dict[int, list[Payer]] = {}
    for row in asker.ask("state_payers", SYSTEM, enterprise=enterprise).to_pylist():
        point = msgspec.json.decode(row["definition"], type=Point)
        payers = found.setdefault(partition_of(point.enterprise, partitions), [])
        payers.append(Payer(point, row["position"]))
    return found


def _quarters(asker: Asker, pairs: list[tuple[str, str]], days: pa.Table) -> Quarters:
    """The quarter-hours of some days."""
    number = {pair: i for i, pair in enumerate(pairs)}
    payer, day_ms = _owners(days, number), days["day_ms"].to_numpy().astype(np.int64)
    order = np.lexsort((day_ms, payer))
    payer, day_ms = payer[order], day_ms[order]
    wanted: dict[str, Any] = {"points": [pairs[i] for i in payer.tolist()], "from_ms": day_ms.tolist()}
    read = asker.ask("state_cost_windows", SYSTEM, **wanted)
    start_ms = read["start_ms"].to_numpy().astype(np.int64)
    keys = payer << _DAY_BITS | day_of(day_ms)
    day = np.searchsorted(keys, _owners(read, number) << _DAY_BITS | day_of(start_ms))
    used, estimated, known_at_s = (
        read[name].to_numpy().astype(np.int64) for name in ("used", "estimated", "known_at_s")
    )
    day_revision = days["day_revision"].to_numpy().astype(np.uint64)[order]
    revision = read["revision"].to_numpy().astype(np.uint64)
    return Quarters(payer, day_ms, day_revision, day, start_ms, used, estimated, known_at_s, revision)


def _owners(table: pa.Table, number: dict[tuple[str, str], int]) -> npt.NDArray[np.int64]:
    owner, pairs = owners_of(rows_of("", table))
    return np.array([number[pair] for pair in pairs], np.int64)[owner]
