"""Accounts of an installation of the test's own, with a clock that stands until it is moved and a cheap hash."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from nengliu.accounts import Account, Accounts, Role, passwords
from nengliu.settings import Settings

PASSWORD = "Tr1ckle-Charge"
ANALYST = Account("li.wei", "李伟", Role.ANALYST, region="3205")


@dataclass
class Clock:
    """Says what time it is."""

    now_s: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(autouse=True)
def cheap_hash(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hash in a millisecond."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords._nobody.cache_clear()
    yield
    passwords._nobody.cache_clear()


@pytest.fixture
def clock() -> Clock:
    """The clock of `accounts`."""
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    """Accounts with one analyst, whose password is `PASSWORD`."""
    found = Accounts(Settings(home=tmp_path), clock)
    found.add(ANALYST, PASSWORD)
    yield found
    found.close()
