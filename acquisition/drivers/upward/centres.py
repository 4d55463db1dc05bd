"""The centres of a collector: the log of each, what it is to get, and since when.

A changed point list holds for what is read from then on: what was put before goes out by the
list of its time, so that a repetition has the same bytes whatever was configured meanwhile.
A centre that is new gets all that is held by its list; one that is gone keeps its backlog.
Source: TC 4.3.3-2, 4.3.8-2; docs/decisions/0033.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from acquisition.drivers.config import CollectorConfig
from acquisition.drivers.keeping.buffer import Buffer, Pending
from acquisition.drivers.plans import EVERYTHING, CentrePlan
from acquisition.drivers.upward.view import Columns, Doc, View
from nengliu.bus import Log
from nengliu.bus.open import connect_log, open_log
from nengliu.domain.points import Column, Schema
from nengliu.errors import InputError, LogError
from nengliu.settings import Settings

Project = Callable[[Pending], bytes | None]
"""Gives what a centre gets of a message; None: nothing."""


class _Era(msgspec.Struct, frozen=True):
    """What a centre gets of the messages above `after`; no doc: everything."""

    after: int
    doc: Doc | None


_eras = msgspec.json.Decoder(list[_Era])
_columns = msgspec.json.Decoder(tuple[Column, ...])


def open_centre(settings: Settings, plan: CentrePlan, folder: Path | None) -> Log:
    """Open the log of a centre; `folder` is where collector.toml and the files it names lie.

    Raises
    ------
    LogError
        It cannot be reached, or its password file cannot be read.
    """
    if not plan.bus:
        return open_log(replace(settings, home=Path(plan.home)) if plan.home else settings)
    beside = folder or Path()
    asked = replace(
        settings,
        bus=plan.bus,
        bus_security=plan.security,
        bus_mechanism=plan.mechanism,
        bus_user=plan.user,
        bus_password=_password(beside / plan.password_file) if plan.password_file else "",
        bus_ca=str(beside / plan.ca) if plan.ca else "",
    )
    return connect_log(asked)


def _password(file: Path) -> str:
    """Read the password anew at each connection, so that it can be changed while the collector runs."""
    try:
        return file.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LogError(
            f"{file}: expected a password on its first line, got: {error}; correct the file"
        ) from error


def centre_status(buffer: Buffer, name: str, configured: Collection[str]) -> dict[str, Any]:
    """Give the state of a centre, and what it still misses; one that is no longer configured, too."""
    live, backfill = buffer.queued(name)
    oldest = buffer.live(name, 1)
    state, since_ms = buffer.state(f"log/{name}") or ("", 0)
    return {
        "name": name,
        "configured": name in configured,
        "state": state.lower() or "new",
        "since_ms": since_ms,
        "queued": live,
        "backfill": backfill,
        "oldest_ms": oldest[0].at_ms if oldest else 0,
    }


def check_schemas(buffer: Buffer, schemas: Sequence[Schema]) -> None:
    """Refuse a number of a column list that stood for other columns before: its readings would be misread.

    Raises
    ------
    InputError
        Naming the number and what to do.
    """
    for schema in schemas:
        known = columns_of(buffer, schema.schema)
        if known is not None and known != tuple(schema.columns):
            raise InputError(
                f"schema {schema.schema}: expected the columns it had before ({_named(known)}), got "
                f"{_named(schema.columns)}; give the meter a schema number never used before"
            )


def keep_schemas(buffer: Buffer, schemas: Sequence[Schema], now_ms: int) -> None:
    """Remember the columns of each number, for as long as the buffer lives."""
    for schema in schemas:
        if columns_of(buffer, schema.schema) is None:
            buffer.put_state(f"schema/{schema.schema}", msgspec.json.encode(schema.columns).decode(), now_ms)


def columns_of(buffer: Buffer, schema: int) -> Columns | None:
    """Give the columns of a number; None if it was never declared."""
    kept = buffer.state(f"schema/{schema}")
    return None if kept is None else _columns.decode(kept[0])


def projection(buffer: Buffer, config: CollectorConfig, plan: CentrePlan, now_ms: int) -> Project:
    """Give what a centre gets of each message, and keep since when it is so.

    Call it before the centre is first asked for in the buffer: one it does not know yet gets
    its list from the beginning.
    """
    kept = buffer.state(f"view/{plan.name}")
    eras = _eras.decode(kept[0]) if kept else [_Era(0, None)] if buffer.knows(plan.name) else []
    doc = _doc(config, plan)
    if not eras or eras[-1].doc != doc:
        eras.append(_Era(buffer.last if eras else 0, doc))
    done = buffer.done(plan.name)
    while len(eras) > 1 and eras[1].after <= done:
        eras.pop(0)
    text = msgspec.json.encode(eras).decode()
    if kept is None or kept[0] != text:
        buffer.put_state(f"view/{plan.name}", text, now_ms)
        buffer.flush()
    return _by_era(plan.name, eras, lambda schema: columns_of(buffer, schema))


def _by_era(centre: str, eras: list[_Era], columns: Callable[[int], Columns | None]) -> Project:
    starts = [era.after for era in eras]
    views = [View(centre, era.doc, columns) if era.doc else None for era in eras]

    def project(row: Pending) -> bytes | None:
        view = views[max(bisect_left(starts, row.sequence) - 1, 0)]
        return row.value if view is None else view.project(row.value)

    return project


def _doc(config: CollectorConfig, plan: CentrePlan) -> Doc | None:
    if plan.points == EVERYTHING:
        return None
    wanted = set(plan.points)
    meters = [
        (line.line, meter.meter)
        for line in config.wiring().lines
        for meter in line.meters
        if not wanted.isdisjoint(meter.points)
    ]
    return Doc(tuple(sorted(wanted)), tuple(sorted(meters)))


def _named(columns: Sequence[Column]) -> str:
    return ", ".join(f"{one.point} [{one.unit}, {one.decimals}]" for one in columns)
