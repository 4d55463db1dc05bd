"""Messages as rows of a table: JSON becomes cells under ``topic#path``, numbers as exact decimals.

A message is a record, a list of records, or holds such a list under a path.  A record's leaves
become rows of a long table, which a map then reads: ``key``, ``value`` and the columns of
its stamp.  What no point of the map is called is passed over.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Container, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn

from acquisition.drivers.sources.plans import RECEIVED
from nengliu.errors import ContractError

LARGEST = 2**20
"""Bytes of a message."""
DEEPEST = 16
"""Steps of a path."""
LONGEST = 1000
"""Characters of a path: a name that is as long as the message must not be copied for each of its leaves."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a message keeps its records, and a record its device and its stamp."""

    records: str
    device: str
    stamps: tuple[str, ...]
    keys: Container[str]


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: its key, what stands there, and the cells of its stamp."""

    key: str
    value: object
    stamps: tuple[object, ...]


def cells_of(topic: str, payload: bytes, shape: Shape, received_ms: int) -> list[Cell]:
    """Read a message.

    Raises
    ------
    ContractError
        TOO_LARGE, NOT_A_MESSAGE (no JSON), or UNKNOWN_POINT (nothing in it is wanted).
    """
    if len(payload) > LARGEST:
        raise ContractError("TOO_LARGE", f"{topic}: a message too large", limit=LARGEST, got=len(payload))
    try:
        message = json.loads(payload, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        told = repr(payload[:40])[2:-1]
        raise ContractError("NOT_A_MESSAGE", f"{topic}: expected JSON, got {told}", got=told) from error
    received = dt.datetime.fromtimestamp(received_ms / 1000, dt.UTC)
    found: list[Cell] = []
    for record in _records(message, shape.records):
        stamps = tuple(received if one == RECEIVED else _at(record, message, one) for one in shape.stamps)
        name = _at(record, message, shape.device) if shape.device else None
        head = topic if name is None else f"{topic}/{name}"
        found += [Cell(key, leaf, stamps) for key, leaf in _leaves(record, head) if key in shape.keys]
    if not found:
        raise ContractError("UNKNOWN_POINT", f"{topic}: no wanted value in it", point=topic)
    return found


def _records(message: object, path: str) -> list[object]:
    """Find the records of a message."""
    within = _step_to(message, path) if path else message
    return within if isinstance(within, list) else [within]


def _at(record: object, message: object, path: str) -> object:
    """Find what a record says under a path, or else the message around it."""
    found = _step_to(record, path)
    return _step_to(message, path) if found is None else found


def _step_to(where: object, path: str) -> object:
    for step in path.split("."):
        if isinstance(where, dict):
            where = where.get(step)
        elif isinstance(where, list) and step.isdecimal() and int(step) < len(where):
            where = where[int(step)]
        else:
            return None
    return where


def _leaves(value: object, topic: str, path: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    """Give what stands under each path: ``topic`` for a bare value, ``topic#a.b`` within a record."""
    if not isinstance(value, dict | list):
        yield (f"{topic}#{path}" if path else topic), value
    elif depth < DEEPEST and len(path) <= LONGEST:
        for name, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(one, topic, f"{path}.{name}" if path else str(name), depth + 1)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
