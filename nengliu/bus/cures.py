"""What SQLite says, put as an error that names the place and the cure; for every file of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nengliu.errors import LogError, LogRefused

_CURES = {
    sqlite3.SQLITE_BUSY: ("it is locked by another process", "let that process finish, or stop it"),
    sqlite3.SQLITE_LOCKED: ("it is locked by another process", "let that process finish, or stop it"),
    sqlite3.SQLITE_FULL: ("the disk is full", "free space, then start again; nothing was half written"),
    sqlite3.SQLITE_READONLY: ("it is read-only", "give this user the right to write the file and its folder"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "check that the folder exists and may be written"),
    sqlite3.SQLITE_PERM: ("access is denied", "give this user the right to read and write the file"),
    sqlite3.SQLITE_IOERR: ("the disk failed or is full", "look at the system journal and at the space left"),
    sqlite3.SQLITE_TOOBIG: ("a message is too large", "split it: a value stays below 10**9 bytes"),
}
_PASSING = (0, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
"""Codes of states that may pass by themselves; 0 is what no code tells."""


@contextmanager
def explained(path: Path, what: str, own: Mapping[int, tuple[str, str]]) -> Iterator[None]:
    """Turn what SQLite and the system say into a LogError that names place and cure.

    Parameters
    ----------
    own
        Result codes that mean something particular for this kind of file: its reason and its cure.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        unknown = str(error), "look at the message above"
        reason, cure = own.get(code := primary(error)) or _CURES.get(code, unknown)
        kind = LogError if code in _PASSING else LogRefused
        raise kind(f"{path}: cannot {what}: {reason} ({error}); {cure}") from error


def primary(error: Exception) -> int:
    """Primary SQLite result code: the low byte of the extended one (0 if there is none)."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
