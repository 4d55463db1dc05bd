"""What one centre gets to see: every message laid down to a list of points, always to the same bytes.

A frame with other columns needs a column list of its own; its number is made of what the list
holds, so that it is the same after every restart and another one for every other list.
A message of which nothing is left is not for this centre.
Source: TC 4.3.3-2 (several centres at once); the point lists are ours, docs/decisions/0033.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import singledispatchmethod

import msgspec
import numpy as np

from nengliu.domain.links import LinkKind
from nengliu.domain.points import Column, Schema
from schemas.envelope import is_backfilled
from schemas.messages import (
    MISSING,
    EnterpriseNotice,
    Frame,
    LinkEvent,
    LinkNotice,
    Message,
    Missed,
    PointNotice,
    SchemaNotice,
    WiredLine,
    WiredMeter,
    WiringNotice,
    decode,
    encode,
    mark_backfilled,
)

DERIVED = 2**31
"""Numbers of column lists that were made for a centre begin here."""
PRIVATE = frozenset(
    (
        LinkKind.LOG_UP,
        LinkKind.LOG_DOWN,
        LinkKind.BACKFILL_DONE,
        LinkKind.BAD_ACKNOWLEDGEMENT,
        LinkKind.COMMAND_ANSWERED,
    )
)
"""Events that speak of one centre, named in ``centre``, and are no business of another one."""
Columns = tuple[Column, ...]


class Doc(msgspec.Struct, frozen=True):
    """What a centre is to get, as it is kept: names of points, and the meters (line, meter) that feed one of them."""

    points: tuple[str, ...]
    meters: tuple[tuple[str, str], ...]


class View:
    """Lays messages down to the points of one centre.

    Parameters
    ----------
    columns_of
        Column list of a number that a frame may name; None: it was never declared.
    """

    def __init__(self, centre: str, doc: Doc, columns_of: Callable[[int], Columns | None]) -> None:
        self._centre, self._columns_of = centre, columns_of
        self._points, self._meters = frozenset(doc.points), frozenset(doc.meters)
        self._lines = frozenset(line for line, _ in doc.meters)
        self._laid: dict[tuple[str, int], tuple[int, list[int]] | None] = {}

    def project(self, value: bytes) -> bytes | None:
        """Give the bytes for this centre; None if nothing in them is for it."""
        message = decode(value)
        found = self._project(message)
        if found is None or found is message:
            return None if found is None else value
        return mark_backfilled(encode(found)) if is_backfilled(value) else encode(found)

    @singledispatchmethod
    def _project(self, message: Message) -> Message | None:
        """Pass nothing on that is not known to be for this centre."""
        del message
        return None

    @_project.register
    def _(self, message: EnterpriseNotice) -> Message | None:
        return message

    @_project.register
    def _(self, message: PointNotice) -> Message | None:
        return message if message.value.point in self._points else None

    @_project.register
    def _(self, message: SchemaNotice) -> Message | None:
        schema = message.value
        laid = self._lay(schema.enterprise, schema.schema, schema.columns)
        if laid is None or laid[0] == schema.schema:
            return None if laid is None else message
        return SchemaNotice(Schema(schema.enterprise, laid[0], tuple(schema.columns[at] for at in laid[1])))

    @_project.register
    def _(self, message: WiringNotice) -> Message | None:
        lines = []
        for line in message.lines:
            kept = ((one.meter, tuple(filter(self._points.__contains__, one.points))) for one in line.meters)
            meters = tuple(WiredMeter(meter, points) for meter, points in kept if points)
            if meters:
                lines.append(WiredLine(line.line, meters))
        return msgspec.structs.replace(message, lines=tuple(lines))

    @_project.register
    def _(self, message: LinkNotice) -> Message | None:
        events = tuple(filter(self._concerns, message.events))
        missed = tuple(filter(None, map(self._missed, message.missed)))
        if not events and not missed:
            return None
        if len(events) == len(message.events) and missed == message.missed:
            return message
        return msgspec.structs.replace(message, events=events, missed=missed)

    @_project.register
    def _(self, message: Frame) -> Message | None:
        columns = self._columns_of(message.schema)
        laid = None if columns is None else self._lay(message.enterprise, message.schema, columns)
        if laid is None or laid[0] == message.schema:
            return None if laid is None else message
        schema, kept = laid
        values = np.ascontiguousarray(message.values[:, kept])
        if (values == MISSING).all():
            return None
        quality = None if message.quality is None else np.ascontiguousarray(message.quality[:, kept])
        quality = quality if quality is not None and quality.any() else None
        return msgspec.structs.replace(message, schema=schema, values=values, quality=quality)

    def _concerns(self, event: LinkEvent) -> bool:
        if event.kind in PRIVATE:
            return event.parameters.get("centre") == self._centre
        if event.meter:
            return (event.line, event.meter) in self._meters
        return not event.line or event.line in self._lines

    def _missed(self, missed: Missed) -> Missed | None:
        points = tuple(filter(self._points.__contains__, missed.points))
        if len(points) == len(missed.points):
            return missed
        return msgspec.structs.replace(missed, points=points) if points else None

    def _lay(self, enterprise: str, schema: int, columns: Columns) -> tuple[int, list[int]] | None:
        """Give the number of a column list for this centre and which columns are in it; None: none is."""
        key = enterprise, schema
        if key not in self._laid:
            kept = [at for at, column in enumerate(columns) if column.point in self._points]
            whole = len(kept) == len(columns)
            number = schema if whole else derived(enterprise, schema, [columns[at] for at in kept])
            self._laid[key] = (number, kept) if kept else None
        return self._laid[key]


def derived(enterprise: str, schema: int, columns: list[Column]) -> int:
    """Give the number of a column list that is a part of another one."""
    text = msgspec.json.encode((enterprise, schema, columns))
    return DERIVED | int.from_bytes(hashlib.sha256(text).digest()[:4]) % DERIVED
