"""Checks of the TOML files of a collector: every fault is told with its file, its key and the nearest valid word."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from nengliu.errors import InputError, nearest

T = TypeVar("T")


def read(file: Path) -> dict[str, Any]:
    """Read a TOML file; InputError if it is none."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    except FileNotFoundError as error:
        raise InputError(f"{file}: there is no such file; see examples/collector/README.md") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            f"{file}: expected TOML in UTF-8, got: {error}; see examples/collector/README.md"
        ) from error


def convert(table: object, kind: type[T], where: str, known: Iterable[str]) -> T:
    """Make a `kind` of a table; InputError for an unknown key, with the nearest of `known`, or a wrong type."""
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        unknown = re.search(r"unknown field `(.+?)`", str(error))
        cure = f"; {nearest(unknown[1], known)}" if unknown else ""
        raise InputError(f"{where}: {error}{cure}") from error


def need(fits: object, where: str, key: str, expected: str, got: object) -> None:
    """Refuse what does not fit, saying where, what was expected and what was got."""
    if not fits:
        raise InputError(f"{where}: {key}: expected {expected}, got {got!r}")


def once(names: Iterable[object], where: str, what: str) -> None:
    """Refuse names that come twice."""
    twice = [str(name) for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"{where}: expected every {what} once, got {', '.join(twice)} twice")
