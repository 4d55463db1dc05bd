"""Passwords: argon2id at rest, and what a password must have."""

from __future__ import annotations

import secrets
from enum import StrEnum
from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LONGEST = 128
"""Longer passwords are refused before they cost anything."""
_KINDS = (str.islower, str.isupper, str.isdigit, lambda c: not c.isalnum())
_DIFFERENT = 5
_TOO_COMMON = ("password", "admin", "qwerty", "123456", "nengliu", "welcome", "abc123", "111111")
_ALOUD = "abcdefghijkmnpqrstuvwxyz23456789"
_HASHER = PasswordHasher()
_TURNS = BoundedSemaphore(2)
"""A hash takes 64 MiB and a tenth of a second: so many at a time, or log-ins could take the machine."""


class Weakness(StrEnum):
    """Why a password is not taken."""

    SHORT = "short"
    LONG = "long"
    PLAIN = "plain"  # fewer than three of: small, capital, digit, other
    COMMON = "common"  # holds the login or a word everybody tries, or repeats few characters


def weakness(password: str, login: str, shortest: int) -> Weakness | None:
    """Say what a password lacks, None if nothing.

    Source: GB/T 22239-2019 8.1.4.1 a asks for complexity; the figures are ours.

    >>> weakness("Tr1ckle-Charge", "li.wei", 10), weakness("short1A", "li.wei", 10)
    (None, <Weakness.SHORT: 'short'>)
    """
    if len(password) < shortest:
        return Weakness.SHORT
    if len(password) > LONGEST:
        return Weakness.LONG
    if sum(any(map(kind, password)) for kind in _KINDS) < 3:
        return Weakness.PLAIN
    folded = password.lower()
    known = any(word in folded for word in (*_TOO_COMMON, login.lower()) if word)
    return Weakness.COMMON if known or len(set(password)) < _DIFFERENT else None


def hashed(password: str) -> str:
    """Give what is kept of a password."""
    with _TURNS:
        return _HASHER.hash(password)


def fits(kept: str | None, password: str) -> bool:
    """Say whether a password is the one kept; takes as long where there is none to compare with."""
    if len(password) > LONGEST:
        password, kept = "", None
    with _TURNS:
        try:
            return _HASHER.verify(kept or _nobody(), password) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def stale(kept: str) -> bool:
    """Say whether a kept password was hashed more cheaply than is done today."""
    return _HASHER.check_needs_rehash(kept)


def drawn() -> str:
    """Draw a password nobody can guess, in groups that can be read aloud: about 75 random bits."""
    groups = ["".join(secrets.choice(_ALOUD) for _ in range(5)) for _ in range(3)]
    groups[0] = groups[0].capitalize()
    password = "-".join(groups)
    return drawn() if weakness(password, "", len(password)) else password


@cache
def _nobody() -> str:
    return _HASHER.hash(secrets.token_hex(16))
