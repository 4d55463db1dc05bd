"""The error tree: an exception is for the program, a verdict is for the meter.

    NengliuError
    ├── SettingsError      a setting is missing or wrong
    ├── InputError         a file or argument the user gave cannot be used
    ├── ContractError      a message, map or row breaks its schema
    ├── LinkError          a meter or the line to it gave no usable answer
    ├── LogError           the durable log cannot be read or written
    │   └── LogRefused     no repetition helps: log-in, rights, a damaged or foreign file
    │       └── NoTopic    the log has no such topic
    ├── StorageError       the store cannot be reached or is busy
    │   ├── StorageRefused no repetition helps: user, password, statement, tables
    │   └── StoreLocked    another process owns the data folder
    └── BackPressure       the receiver asks to wait

Each class carries a closed `code`, whether a retry can help, and the exit code of
the command line (1 our fault, 2 your input, 3 a service is away).  A message says
where, what was expected, what was got and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class NengliuError(Exception):
    """Root of all errors the product raises on purpose."""

    code: ClassVar[str] = "NENGLIU"
    retry: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1


class SettingsError(NengliuError):
    """A setting is missing or cannot be understood."""

    code: ClassVar[str] = "SETTINGS"
    exit_code: ClassVar[int] = 2


class InputError(NengliuError):
    """A file, map or argument given by the user cannot be used."""

    code: ClassVar[str] = "INPUT"
    exit_code: ClassVar[int] = 2


class ContractError(NengliuError):
    """Bytes or fields break the schema they claim; `reason` names the quarantine reason."""

    code: ClassVar[str] = "CONTRACT"

    def __init__(self, reason: str, message: str, **parameters: object) -> None:
        """Keep the closed reason and the parameters of its text beside the sentence for developers."""
        super().__init__(message)
        self.reason = reason
        self.parameters = {name: str(value) for name, value in parameters.items()}


class LinkError(NengliuError):
    """A meter, or the line to it, gave no usable answer; `reason` is a name of `Reason`, 501 and above."""

    code: ClassVar[str] = "LINK"
    retry: ClassVar[bool] = True
    exit_code: ClassVar[int] = 3

    def __init__(self, reason: str, message: str, **parameters: object) -> None:
        """Keep the closed reason and the parameters of its text beside the sentence for developers."""
        super().__init__(message)
        self.reason = reason
        self.parameters = {name: str(value) for name, value in parameters.items()}


class LogError(NengliuError):
    """The durable log cannot be opened, read or written (disk full, locked, corrupt)."""

    code: ClassVar[str] = "LOG"
    retry: ClassVar[bool] = True
    exit_code: ClassVar[int] = 3


class LogRefused(LogError):
    """The durable log, or what it holds, refuses: the same call will fail until a person changes something."""

    code: ClassVar[str] = "LOG_REFUSED"
    retry: ClassVar[bool] = False


class NoTopic(LogRefused):
    """The log has no topic of that name, or has it no more."""

    code: ClassVar[str] = "NO_TOPIC"


class StorageError(NengliuError):
    """The store cannot be reached, or refuses a statement."""

    code: ClassVar[str] = "STORAGE"
    retry: ClassVar[bool] = True
    exit_code: ClassVar[int] = 3


class StorageRefused(StorageError):
    """The store refuses: the same statement will fail until a person changes something."""

    code: ClassVar[str] = "STORAGE_REFUSED"
    retry: ClassVar[bool] = False


class StoreLocked(StorageError):
    """Another process owns the data folder of the embedded store."""

    code: ClassVar[str] = "STORE_LOCKED"
    retry: ClassVar[bool] = False


class BackPressure(NengliuError):
    """The receiver asks to wait `retry_after_s` seconds before the next batch."""

    code: ClassVar[str] = "BACK_PRESSURE"
    retry: ClassVar[bool] = True
    exit_code: ClassVar[int] = 3

    def __init__(self, retry_after_s: float, message: str) -> None:
        """Keep the wanted pause [s] beside the sentence for people."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


def nearest(word: str, known: Iterable[str]) -> str:
    """Name what `word` may have meant, nearest first, or all that is known if nothing is near."""
    names = [name for name in dict.fromkeys(known) if name]
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.4)
    return f"nearest: {', '.join(close)}" if close else f"known: {', '.join(names[:20])}"
