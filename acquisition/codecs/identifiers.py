"""Data identifiers of DL/T 645: what each holds, as data files say (`data/dlt645_2007.csv`, `data/dlt645_1997.csv`).

Columns: `identifier` (hex, highest byte first; its last byte may be a range, ``[01-3E]``: how far back),
`items` in the order in which they are sent, `format` and `unit` (one for all, or one for each item),
`stamp` (the identifier, without its last byte, that holds the time of these values), `then` (the
identifier that completes it), texts, `source`, and `verified`: ``frame`` (seen in a real frame) or ``no``.
"""

from __future__ import annotations

import csv
import functools
import re
from dataclasses import dataclass
from importlib import resources

from acquisition.codecs.dlt645 import EDITIONS
from acquisition.codecs.fields import Field, field
from nengliu.errors import InputError, nearest

_RANGE = re.compile(r"([0-9A-F]*)\[([0-9A-F]{2})-([0-9A-F]{2})\]")


@dataclass(frozen=True, slots=True)
class Identifier:
    """What one data identifier holds.

    Parameters
    ----------
    identifier
        Hex, highest byte first.
    fields
        In the order in which they are sent.
    stamp
        Identifier that holds the time of these values; empty: they hold now.
    then
        Identifier whose value completes this one (the time to a date); empty: it is complete.
    """

    identifier: str
    fields: tuple[Field, ...]
    stamp: str
    then: str
    zh: str
    en: str
    verified: str


@dataclass(frozen=True, slots=True)
class _Row:
    stem: str
    low: int
    high: int
    row: dict[str, str]


def identifier(edition: str, wanted: str) -> Identifier:
    """Look up what an identifier holds.

    Raises
    ------
    InputError
        The data file of this edition does not have it.

    >>> found = identifier("dlt645-2007", "0202FF00")
    >>> [one.name for one in found.fields], found.fields[0].unit
    (['current_a', 'current_b', 'current_c'], 'A')
    """
    found = find(edition, wanted)
    if found is None:
        near = nearest(wanted.upper(), identifiers(edition))
        raise InputError(f"identifier: {edition} knows none of {wanted!r}; {near}")
    return found


@functools.lru_cache(maxsize=4096)
def find(edition: str, wanted: str) -> Identifier | None:
    """Look up what an identifier holds; None if the data file of this edition does not have it."""
    code = wanted.upper()
    for one in _table(edition).get(code[:-2], ()) if _is_hex(code) else ():
        if one.low <= int(code[-2:], 16) <= one.high:
            row = one.row
            stamp = row["stamp"] and row["stamp"] + code[-2:]
            return Identifier(code, fields(row), stamp, row["then"], row["zh"], row["en"], row["verified"])
    return None


def identifiers(edition: str) -> tuple[str, ...]:
    """Name all identifiers of an edition, those of a range by its first."""
    return tuple(f"{one.stem}{one.low:02X}" for rows in _table(edition).values() for one in rows)


def fields(row: dict[str, str]) -> tuple[Field, ...]:
    """Make the fields of a row with `items`, `format` and `unit`."""
    names = row["items"].split()
    formats, units = row["format"].split(), row["unit"].split()
    formats = formats * len(names) if len(formats) == 1 else formats
    units = units * len(names) if len(units) == 1 else units
    return tuple(field(*one) for one in zip(names, formats, units, strict=True))


def _is_hex(code: str) -> bool:
    return re.fullmatch("[0-9A-F]+", code) is not None


@functools.cache
def _table(edition: str) -> dict[str, list[_Row]]:
    """Rows of an edition by their identifiers without the last byte."""
    if edition not in EDITIONS:
        raise InputError(f"edition: {edition!r} is unknown; {nearest(edition, EDITIONS)}")
    name = edition.replace("-", "_")
    text = resources.files("acquisition.codecs").joinpath(f"data/{name}.csv").read_text(encoding="utf-8")
    table: dict[str, list[_Row]] = {}
    for row in csv.DictReader(text.splitlines()):
        ranged = _RANGE.fullmatch(row["identifier"])
        stem, low, high = (
            ranged.groups() if ranged else (row["identifier"][:-2], *[row["identifier"][-2:]] * 2)
        )
        table.setdefault(stem, []).append(_Row(stem, int(low, 16), int(high, 16), row))
    return table
