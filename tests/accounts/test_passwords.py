"""Passwords: strong enough, kept as argon2id, compared in the same time whoever asks."""

from __future__ import annotations

import pytest

from nengliu.accounts import passwords
from nengliu.accounts.passwords import Weakness, drawn, fits, hashed, weakness


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("Tr1ckle-Charge", None),
        ("能流-Barometer-9", None),
        ("Ab1-efghi", Weakness.SHORT),
        ("Ab1-" + "x" * 125, Weakness.LONG),
        ("onlysmallletters", Weakness.PLAIN),
        ("small1letters2", Weakness.PLAIN),
        ("My-Password-9", Weakness.COMMON),
        ("Aa1Aa1Aa1Aa1", Weakness.COMMON),
        ("Xx-Li.Wei-2026", Weakness.COMMON),
    ],
)
def test_password_of_each_kind_is_judged(password: str, expected: Weakness | None) -> None:
    """Length, kinds of characters, and what everybody tries first."""
    assert weakness(password, "li.wei", 10) is expected


def test_password_is_kept_as_a_salted_argon2id_hash() -> None:
    """The same password twice gives two hashes, and none holds it."""
    kept = hashed("Tr1ckle-Charge")
    assert kept.startswith("$argon2id$")
    assert kept != hashed("Tr1ckle-Charge")
    assert fits(kept, "Tr1ckle-Charge")
    assert not fits(kept, "tr1ckle-charge")
    assert not fits("nothing an argon2 hash looks like", "Tr1ckle-Charge")


def test_password_of_nobody_costs_as_much_as_that_of_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown login and an endless password are compared with a hash, too, and never fit."""
    looked_at: list[str] = []
    real = passwords._HASHER

    class Spy:
        def hash(self, password: str) -> str:
            return real.hash(password)

        def verify(self, kept: str, password: str) -> bool:
            looked_at.append(kept)
            return real.verify(kept, password)

    monkeypatch.setattr(passwords, "_HASHER", Spy())
    assert not fits(None, "Tr1ckle-Charge")
    assert not fits(hashed("x"), "x" * 129)
    assert len(looked_at) == 2
    assert len({len(kept) for kept in looked_at}) == 1


def test_drawn_password_is_strong_and_never_the_same() -> None:
    """What the program draws passes its own rules."""
    found = {drawn() for _ in range(50)}
    assert len(found) == 50
    assert all(weakness(password, "demo", 10) is None and len(password) == 17 for password in found)


def test_standing_hash_uses_the_parameters_of_today() -> None:
    """The shipped cost is that of the library's recommendation (RFC 9106, low memory): 64 MiB and three passes."""
    from argon2 import PasswordHasher

    shipped = PasswordHasher()
    assert (shipped.memory_cost, shipped.time_cost) == (65_536, 3)
