"""Sessions: a signed token that names an account, until a time, and dies with the account's version."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from itsdangerous import BadData, URLSafeSerializer

from nengliu.accounts.account import Account
from nengliu.accounts.store import Accounts


class Sessions:
    """Gives tokens, and tells whose they are.

    The token is signed with a key of the installation: whoever holds one can neither change nor lengthen it.
    """

    def __init__(self, accounts: Accounts) -> None:
        """Read the signing key, or make it at first use."""
        self.accounts = accounts
        self.hours = accounts.settings.session_h
        key = _key(accounts.settings.session_key_path)
        self._signer = URLSafeSerializer(
            key,
            salt="nengliu session",
            signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
        )
        mark = hashlib.sha256(key + b"cookie").hexdigest()[:8]
        self.cookie = f"nengliu_{mark}"
        """Name of the cookie: a host's cookies are the same on every port, and installations differ."""

    def start(self, account: Account) -> str:
        """Give a new token for an account that has just logged in."""
        until_s = int(self.accounts.clock()) + self.hours * 3600
        token = self._signer.dumps([account.login, account.version, secrets.token_hex(8), until_s])
        return str(token)

    def account(self, token: str) -> Account | None:
        """Give the account of a token; None for one that is forged, over, or ended."""
        found = self._read(token)
        return self.accounts.standing(*found[:3]) if found else None

    def end(self, token: str, address: str = "") -> None:
        """Log a session out; a copy of its token is worth nothing from now on."""
        if found := self._read(token):
            login, _, session, until_s = found
            self.accounts.end(session, until_s)
            self.accounts.note(login, "logout", address=address)

    def _read(self, token: str) -> tuple[str, int, str, int] | None:
        try:
            login, version, session, until_s = self._signer.loads(token)
        except (BadData, ValueError, TypeError):
            return None
        return (login, version, session, until_s) if until_s > self.accounts.clock() else None


def _key(file: Path) -> bytes:
    """Read the key; made whole under another name first, so that nobody ever reads half of one."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.{os.getpid()}")
        with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
            stream.write(secrets.token_hex(32).encode())
        with suppress(FileExistsError):
            os.link(fresh, file)
        fresh.unlink()
    return file.read_bytes()
