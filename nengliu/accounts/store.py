"""Accounts and the audit log in one SQLite file of the installation, readable to its owner only.

Layout (``PRAGMA user_version`` = `SCHEMA_VERSION`)::

    account   login, name, role, region, enterprise, password, version, disabled, created_s, seen_s
    attempt   who, failures, at_s       log-ins in a row that failed; `who` is a digest of what was typed
    ended     session, until_s          sessions logged out before their time
    audit     number, at_s, login, action, detail, address     only ever grows: triggers refuse the rest
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nengliu.accounts import passwords
from nengliu.accounts.account import Account, Role, checked
from nengliu.accounts.passwords import weakness
from nengliu.errors import InputError, NengliuError, nearest
from nengliu.settings import Settings

SCHEMA_VERSION = 1
_BUSY_S = 10.0
_LAYOUT = f"""
CREATE TABLE account (login TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, region TEXT NOT NULL,
  enterprise TEXT NOT NULL, password TEXT NOT NULL, version INTEGER NOT NULL, disabled INTEGER NOT NULL,
  created_s INTEGER NOT NULL, seen_s INTEGER NOT NULL) STRICT;
CREATE TABLE attempt (who TEXT PRIMARY KEY, failures INTEGER NOT NULL, at_s INTEGER NOT NULL) STRICT;
CREATE TABLE ended (session TEXT PRIMARY KEY, until_s INTEGER NOT NULL) STRICT;
CREATE TABLE audit (number INTEGER PRIMARY KEY AUTOINCREMENT, at_s INTEGER NOT NULL, login TEXT NOT NULL,
  action TEXT NOT NULL, detail TEXT NOT NULL, address TEXT NOT NULL) STRICT;
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
PRAGMA user_version = {SCHEMA_VERSION};
"""
_FIELDS = "login, name, role, region, enterprise, version, disabled"


class AccountsError(NengliuError):
    """The file of the accounts cannot be opened, read or written."""

    code = "ACCOUNTS"
    exit_code = 3


@dataclass(frozen=True, slots=True)
class Refused:
    """A log-in that was not let in; `wait_s` > 0: too many failed, none is looked at for so long [s]."""

    wait_s: int = 0


@dataclass(frozen=True, slots=True)
class Deed:
    """One row of the audit log."""

    at_s: int
    login: str
    action: str
    detail: str
    address: str


class Accounts:
    """The accounts of an installation; one object may serve many threads."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        """Open the file, and lay it at first use.

        Raises
        ------
        AccountsError
            The file cannot be opened, or is of a later version.
        """
        self.settings = settings
        self.clock = clock
        self._file = settings.accounts_path
        self._lock = threading.RLock()
        with self._speaking():
            self._connection = _open(self._file)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    # -- accounts ---------------------------------------------------------------------------------------

    def add(self, account: Account, password: str) -> Account:
        """Add an account.

        Raises
        ------
        InputError
            The login is taken, a field is not in order, or the password is too weak.
        """
        account = replace(checked(account), version=_version())
        kept = self._kept(account.login, password)
        row = (*_row(account), kept, int(self.clock()), 0)
        with self._writing() as db:
            if self._find(account.login) is not None:
                raise InputError(
                    f"login {account.login!r} is taken; choose another one, or `nengliu user passwd`"
                )
            db.execute(
                f"INSERT INTO account ({_FIELDS}, password, created_s, seen_s) VALUES ({_marks(10)})", row
            )
        return account

    def find(self, login: str) -> Account | None:
        """Give an account by its login."""
        with self._reading():
            return self._find(login)

    def known(self, login: str) -> Account:
        """Give the account of a login as somebody wrote it.

        Raises
        ------
        InputError
            There is none; the nearest are named.
        """
        login = login.strip().lower()
        if account := self.find(login):
            return account
        raise InputError(f"no account {login!r}; {nearest(login, [a.login for a, _ in self.everyone()])}")

    def everyone(self) -> list[tuple[Account, int]]:
        """Give every account with the second it last logged in (0: never), by login."""
        with self._reading() as db:
            rows = db.execute(f"SELECT {_FIELDS}, seen_s FROM account ORDER BY login").fetchall()
        return [(_account(row[:-1]), row[-1]) for row in rows]

    def set_password(self, login: str, password: str) -> None:
        """Give an account a new password, end its sessions and forget its failed log-ins."""
        login = self.known(login).login
        self._change(login, "password", self._kept(login, password))
        with self._writing() as db:
            db.execute("DELETE FROM attempt WHERE who = ?", (_digest(login),))

    def refresh(self, account: Account, password: str) -> Account:
        """Bring an account that exists back to what is given, its password included; nothing happens if it is."""
        account = checked(account)
        kept, found = self._secret(account.login) or ("", account)
        if not passwords.fits(kept, password):
            self.set_password(account.login, password)
        if replace(account, version=found.version) != found:
            with self._writing() as db:
                db.execute(
                    "UPDATE account SET (name, role, region, enterprise, version, disabled) = "
                    f"({_marks(6)}) WHERE login = ?",
                    (*_row(replace(account, version=_version()))[1:], account.login),
                )
        return self.known(account.login)

    def set_disabled(self, login: str, *, disabled: bool) -> None:
        """Close an account to its owner, or open it again; either ends its sessions."""
        self._change(self.known(login).login, "disabled", int(disabled))

    def end_sessions(self, login: str) -> None:
        """Log an account out everywhere."""
        self._change(self.known(login).login, "version", _version())

    def remove(self, login: str) -> None:
        """Erase an account and with it the personal data it holds; the audit log keeps the login."""
        login = self.known(login).login
        with self._writing() as db:
            db.execute("DELETE FROM account WHERE login = ?", (login,))

    # -- logging in -------------------------------------------------------------------------------------

    def enter(self, login: str, password: str, address: str = "") -> Account | Refused:
        """Let somebody in whose password fits; every attempt is in the audit log.

        An attempt counts before it is looked at, so that many at once do not get more tries, and whoever is
        unknown is looked at as long as the others.
        """
        login = login.strip().lower()
        wait_s = self._counted(_digest(login))
        row = self._secret(login)
        known = login if row else ""  # what was typed may be a password in the wrong field
        if wait_s:
            self.note(known, "login_paused", address=address)
            return Refused(wait_s)
        kept, account = row or (None, None)
        if not passwords.fits(kept, password) or account is None or account.disabled:
            self.note(known, "login_failed", "disabled" if account and account.disabled else "", address)
            return Refused()
        self._entered(login, password, str(kept))
        self.note(login, "login", address=address)
        return account

    def _counted(self, who: str) -> int:
        """Count an attempt; give for how long no further one is looked at [s], 0 if this one is."""
        now_s, limit, pause_s = int(self.clock()), self.settings.login_failures, self.settings.login_pause_s
        with self._writing() as db:
            db.execute("DELETE FROM attempt WHERE at_s <= ?", (now_s - pause_s,))
            found = db.execute("SELECT failures, at_s FROM attempt WHERE who = ?", (who,)).fetchone()
            if found and found[0] >= limit:
                return max(int(found[1]) + pause_s - now_s, 1)
            db.execute(
                "INSERT INTO attempt VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET failures = failures + 1, at_s = ?",
                (who, now_s, now_s),
            )
        return 0

    def _entered(self, login: str, password: str, kept: str) -> None:
        renewed = passwords.hashed(password) if passwords.stale(kept) else kept
        with self._writing() as db:
            db.execute("DELETE FROM attempt WHERE who = ?", (_digest(login),))
            db.execute(
                "UPDATE account SET seen_s = ?, password = ? WHERE login = ? AND password = ?",
                (int(self.clock()), renewed, login, kept),
            )

    # -- sessions ---------------------------------------------------------------------------------------

    def standing(self, login: str, version: int, session: str) -> Account | None:
        """Give the account of a session that still stands: not logged out, closed, or ended everywhere."""
        with self._reading() as db:
            account = self._find(login)
            over = db.execute("SELECT 1 FROM ended WHERE session = ?", (session,)).fetchone()
        stands = account is not None and account.version == version and not account.disabled and not over
        return account if stands else None

    def end(self, session: str, until_s: int) -> None:
        """Log one session out; it is remembered until it would have ended by itself."""
        with self._writing() as db:
            db.execute("DELETE FROM ended WHERE until_s < ?", (int(self.clock()),))
            db.execute("INSERT OR IGNORE INTO ended VALUES (?, ?)", (session, until_s))

    # -- audit ------------------------------------------------------------------------------------------

    def note(self, login: str, action: str, detail: str = "", address: str = "") -> None:
        """Add a row to the audit log."""
        row = (int(self.clock()), login, action, detail[:500], address[:64])
        with self._writing() as db:
            db.execute("INSERT INTO audit (at_s, login, action, detail, address) VALUES (?, ?, ?, ?, ?)", row)

    def deeds(self, login: str = "", since_s: int = 0, limit: int = 1000) -> list[Deed]:
        """Give the newest rows of the audit log, oldest first; of one login if it is named."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT at_s, login, action, detail, address FROM audit WHERE at_s >= ? AND (? = '' OR login = ?) "
                "ORDER BY number DESC LIMIT ?",
                (since_s, login, login, limit),
            ).fetchall()
        return [Deed(*row) for row in reversed(rows)]

    # -- below ------------------------------------------------------------------------------------------

    def _kept(self, login: str, password: str) -> str:
        if weak := weakness(password, login, self.settings.password_length):
            raise InputError(f"password of {login}: expected a stronger one, got one that is too {weak}")
        return passwords.hashed(password)

    def _change(self, login: str, field: str, value: object) -> None:
        with self._writing() as db:
            db.execute(f"UPDATE account SET {field} = ? WHERE login = ?", (value, login))
            db.execute("UPDATE account SET version = ? WHERE login = ?", (_version(), login))

    def _find(self, login: str) -> Account | None:
        row = self._connection.execute(f"SELECT {_FIELDS} FROM account WHERE login = ?", (login,)).fetchone()
        return _account(row) if row else None

    def _secret(self, login: str) -> tuple[str, Account] | None:
        with self._reading() as db:
            row = db.execute(f"SELECT password, {_FIELDS} FROM account WHERE login = ?", (login,)).fetchone()
        return (row[0], _account(row[1:])) if row else None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._speaking():
            yield self._connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._speaking(), self._connection as db:  # ends in a commit, after an error in none
            db.execute("BEGIN IMMEDIATE")
            yield db

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise AccountsError(
                f"{self._file}: cannot be used ({error}); see rights and room of its folder"
            ) from error


def _open(file: Path) -> sqlite3.Connection:
    """Open the file, made with rights for its owner only (SQLite gives its side files the same)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    db = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("BEGIN IMMEDIATE")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == 0:
        for statement in _statements(_LAYOUT):
            db.execute(statement)
    db.commit()
    if version > SCHEMA_VERSION:
        raise OSError(f"of version {version}, this program knows {SCHEMA_VERSION}")
    return db


def _statements(script: str) -> Iterator[str]:
    """Cut a script into statements; a trigger holds semicolons of its own."""
    part = ""
    for piece in script.split(";"):
        part += piece + ";"
        if sqlite3.complete_statement(part):
            yield part
            part = ""


def _row(account: Account) -> tuple[Any, ...]:
    return (
        account.login,
        account.name,
        str(account.role),
        account.region,
        account.enterprise,
        account.version,
        int(account.disabled),
    )


def _account(row: tuple[Any, ...]) -> Account:
    login, name, role, region, enterprise, version, disabled = row
    return Account(login, name, Role(role), region, enterprise, version, bool(disabled))


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def _version() -> int:
    """Draw the number of an account's sessions: drawn, so that a login added again does not revive old ones."""
    return secrets.randbits(53)


def _digest(login: str) -> str:
    return hashlib.sha256(login.encode()).hexdigest()
