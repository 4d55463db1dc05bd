"""Log-ins of a demonstration: one per role, with passwords drawn once per installation."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from nengliu.accounts import passwords
from nengliu.accounts.account import Account
from nengliu.accounts.store import Accounts
from nengliu.errors import InputError
from nengliu.settings import Settings


@dataclass(frozen=True, slots=True)
class DemoLogin:
    """What the demonstration prints: an account and the password to log in with."""

    account: Account
    password: str


def demo_logins(settings: Settings, wanted: Iterable[Account]) -> list[DemoLogin]:
    """Make the accounts of a demonstration, or bring them back to what was printed at its first start.

    Parameters
    ----------
    settings
        Of the installation; the passwords lie in ``demo-logins.json`` of its folder, for its owner only.
    wanted
        The accounts, one per role.
    """
    file = settings.home / "demo-logins.json"
    known = _read(file)
    accounts = Accounts(settings)
    try:
        logins = [_made(accounts, account, known) for account in wanted]
    finally:
        accounts.close()
    _write(file, {login.account.login: login.password for login in logins})
    return logins


def _made(accounts: Accounts, account: Account, known: dict[str, str]) -> DemoLogin:
    password = known.get(account.login) or passwords.drawn()
    if accounts.find(account.login) is None:
        return DemoLogin(accounts.add(account, password), password)
    found = accounts.refresh(account, password)
    return DemoLogin(found, password)


def _read(file: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(
            f"{file}: expected the log-ins of the demonstration, got {error}; delete it"
        ) from error


def _write(file: Path, passwords_of: dict[str, str]) -> None:
    with os.fdopen(os.open(file, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as stream:
        stream.write(msgspec.json.format(msgspec.json.encode(passwords_of)))
