"""`nengliu restate`: what another book of factors would change, and with `--apply` the change itself.

The preview reads the stored rows and restates them with the function the flow uses, so that it says exactly what
the flow will write; nothing is written by the command.  `--apply` appends the book to every partition of the log:
at that place the flow restates the days and months of the items whose factor changed (docs/decisions/0027).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
import pyarrow as pa

from flows.restating import RestateLoader
from nengliu import settings as settings_of
from nengliu.analysis.named_rows import Pair, table_of
from nengliu.analysis.rollups.restate import (
    AMOUNTS,
    DAY,
    HISTORY,
    MONTH,
    About,
    Change,
    Restater,
    Told,
    changes,
)
from nengliu.bus.open import open_log, publish
from nengliu.cli.bar import Step, bar
from nengliu.cli.language import examples, say
from nengliu.cli.query import FORMATS, show
from nengliu.domain.books import Book, book_of, check_factors, read_factors, shipped_factors
from nengliu.domain.scope import SYSTEM
from nengliu.domain.times import from_ms
from nengliu.errors import InputError
from nengliu.storage import Asker
from schemas.block import Rows
from schemas.messages import BookNotice

Factors = tuple[dict[str, str], ...]
_AHEAD = 2**63
"""Beyond every position of the log: the preview sees all that is stored."""
_SHOWN_MS = 4_102_416_000_000
"""2100-01-01 in China: a span that lasts longer has no end for a reader [ms]."""

_SHOWN_AS = {"coal_kgce": ("coal", "tce"), "coal_equal_kgce": ("coal_equal", "tce"), "co2_kg": ("co2", "t")}


@dataclass(slots=True)
class Tally:
    """What a restatement does to the rows of one item."""

    days: set[int] = field(default_factory=set)
    enterprises: set[str] = field(default_factory=set)
    day_rows: int = 0
    month_rows: int = 0
    worth: dict[str, list[float]] = field(default_factory=lambda: {name: [0.0, 0.0] for name in AMOUNTS})
    """Coal and CO2 [kg] of the days before and after."""


@click.command(help=say("command.restate"), epilog=examples("restate"))
@click.option("--book", type=click.Path(exists=True, dir_okay=False, path_type=Path), help=say("option.book"))
@click.option("--apply", "applied", is_flag=True, help=say("option.apply"))
@click.option("--format", "form", type=click.Choice(FORMATS[:3]), default="table", help=say("option.format"))
def restate(book: Path | None, applied: bool, form: str) -> None:
    """Show what a book changes; tell it to the log with `--apply`."""
    now = settings_of.load()
    digest, factors = shipped_factors() if book is None else _read(book)
    asker = Asker(now)
    try:
        with bar(say("restate.looking"), now.partitions) as step:
            shown = preview(asker, now.partitions, digest, factors, step)
    finally:
        asker.close()
    if shown.num_rows or form != "table":
        show(shown, form, None)
    if not applied:
        click.echo(say("restate.preview" if shown.num_rows else "restate.same", digest=digest), err=True)
        return
    with open_log(now) as log:
        publish(log, BookNotice(digest, factors, int(time.time())))
    click.echo(say("restate.applied", digest=digest, partitions=now.partitions), err=True)


def preview(
    asker: Asker, partitions: int, digest: str, factors: Factors, step: Step = lambda *_: None
) -> pa.Table:
    """Say item by item what the flow would write: days, enterprises, rows, and the totals before and after."""
    new = book_of(digest, factors)
    found: dict[str, Tally] = {}
    spans: dict[str, set[Change]] = {}
    for partition in range(partitions):
        old = stored_book(asker, partition)
        for change in changes(old, new):
            spans.setdefault(change.item, set()).add(change)
            found.setdefault(change.item, Tally())
        loader = RestateLoader(asker, partition, partitions)
        said = Restater(loader).restate(old, new, Told(_AHEAD, 0), _AHEAD, _unheard)
        _count(said, loader, found)
        step()
    return _shown(found, spans)


def _unheard(pair: Pair) -> About:
    """Nothing is remembered by a preview: every row it looks at is stored."""
    raise AssertionError(pair)


def stored_book(asker: Asker, partition: int) -> Book:
    """The book in force in a partition; an empty one before the first."""
    rows = asker.ask("state_book", SYSTEM, partition=partition, position=_AHEAD).to_pylist()
    if not rows:
        return Book()
    notice = msgspec.json.decode(rows[0]["definition"], type=BookNotice)
    return book_of(notice.digest, notice.factors)


def _read(file: Path) -> tuple[str, Factors]:
    digest, factors = read_factors(file.read_text(encoding="utf-8-sig"))
    try:
        check_factors(factors)
    except (KeyError, ValueError) as error:
        raise InputError(say("error.bad_book", file=file, why=error)) from error
    return digest, factors


def _count(said: Iterable[Rows], loader: RestateLoader, found: dict[str, Tally]) -> None:
    """Add up what is said: the history has the rows as they stand, the days as they would be."""
    for rows in said:
        table = table_of([rows])
        assert table is not None
        items = np.array([loader.item(pair) for pair in table.pairs], object)[table.owner]
        for item in sorted(set(items.tolist())):
            part, tally = table.take(items == item), found[item]
            if rows.table == MONTH:
                tally.month_rows += len(part)
                continue
            after = int(rows.table == DAY)
            for name, sums in tally.worth.items():
                sums[after] += float(np.nansum(part.columns[name]))
            if rows.table == HISTORY:
                tally.day_rows += len(part)
                tally.days |= set(part.columns["period_start"].tolist())
                tally.enterprises |= {part.pairs[owner][0] for owner in np.unique(part.owner).tolist()}


def _shown(found: dict[str, Tally], spans: dict[str, set[Change]]) -> pa.Table:
    """One row an item, and nothing for a book that says the same."""
    rows = []
    for item, tally in sorted(found.items()):
        starts, ends = [c.from_ms for c in spans[item]], [c.to_ms for c in spans[item]]
        row: dict[str, Any] = {"item": item, "from": _day(min(starts)), "to": _day(max(ends))}
        row |= {"days": len(tally.days), "enterprises": len(tally.enterprises)}
        row |= {"day_rows": tally.day_rows, "month_rows": tally.month_rows}
        for name, (before, after) in tally.worth.items():
            what, unit = _SHOWN_AS[name]
            row |= {f"{what}_before_{unit}": round(before / 1000, 6)}
            row |= {f"{what}_after_{unit}": round(after / 1000, 6)}
        rows.append(row)
    return pa.Table.from_pylist(rows)


def _day(at_ms: int) -> str:
    return "" if at_ms >= _SHOWN_MS else f"{from_ms(at_ms):%Y-%m-%d}"
