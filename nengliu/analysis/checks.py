"""Checks of what a notice says: bounds, texts, times; what fails is refused with a closed reason (law 6)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from nengliu.errors import ContractError

TEXT_LIMIT = 200
"""Characters of a name."""
ENTRY_LIMIT = 100_000
"""Entries in one notice: a day's outage of a large collector is a hundredth of it."""
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode categories that a name has no use for: they hide text, turn it around or break lines."""


def check_bounds(value: object, bounds: Mapping[str, tuple[int, int]]) -> None:
    """Refuse numbers of a notice that lie outside what can be stored; None is no number.

    Raises
    ------
    ContractError
        BAD_FIELD, naming the field.
    """
    for name, (low, high) in bounds.items():
        got = getattr(value, name)
        if got is not None and not low <= got <= high:
            msg = f"{name}: expected {low} to {high}, got {got}"
            raise ContractError("BAD_FIELD", msg, field=name, got=got)


def check(field: str, got: object, *, sound: bool) -> None:
    """Refuse a field of a notice unless it is `sound`.

    Raises
    ------
    ContractError
        BAD_FIELD, naming the field.
    """
    if not sound:
        raise ContractError("BAD_FIELD", f"{field} cannot be {got!r}", field=field, got=got)


def check_texts(field: str, texts: Iterable[str], limit: int = TEXT_LIMIT) -> None:
    """Refuse texts of more than `limit` characters."""
    longest = max(map(len, texts), default=0)
    check(field, f"{longest} characters", sound=longest <= limit)


def check_names(field: str, names: Iterable[str], limit: int = TEXT_LIMIT) -> None:
    """Refuse names that are too long or hold a character nobody can see."""
    names = list(names)
    check_texts(field, names, limit)
    for name in names:
        check(field, name, sound=not any(unicodedata.category(letter) in _UNSEEN for letter in name))


def check_time(field: str, at_ms: int, limit_ms: int) -> None:
    """Refuse an instant before 1970, or after `limit_ms`.

    Raises
    ------
    ContractError
        NOT_A_TIME or STAMP_IN_FUTURE.
    """
    if at_ms < 0:
        raise ContractError("NOT_A_TIME", f"{field}: expected an instant since 1970, got {at_ms}", got=at_ms)
    if at_ms > limit_ms:
        msg = f"{field}: expected at most {limit_ms} (when the log took it, and a little), got {at_ms}"
        raise ContractError("STAMP_IN_FUTURE", msg, got=at_ms, limit=limit_ms)
