"""Accounts and audit log: who gets in, who is kept out, and what is written about it."""

from __future__ import annotations

import sqlite3
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from nengliu.accounts import Account, Accounts, Refused, Role, passwords
from nengliu.accounts.store import AccountsError
from nengliu.errors import InputError
from nengliu.settings import Settings
from tests.accounts.conftest import ANALYST, PASSWORD, Clock


def actions(accounts: Accounts) -> list[tuple[str, str]]:
    """Give the audit log as pairs of login and action."""
    return [(deed.login, deed.action) for deed in accounts.deeds()]


def test_file_of_the_accounts_is_its_owners_alone(accounts: Accounts, tmp_path: Path) -> None:
    """Neither the file nor what SQLite lays beside it can be read by others, and no password is in it."""
    files = list(tmp_path.glob("accounts.db*"))
    assert len(files) >= 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert PASSWORD.encode() not in b"".join(file.read_bytes() for file in files)


def test_login_with_the_right_password_enters_in_any_writing(accounts: Accounts, clock: Clock) -> None:
    """Logins know no capitals; who entered is known with the time of it."""
    found = accounts.enter(" Li.Wei ", PASSWORD, "192.0.2.7")
    assert isinstance(found, Account)
    assert (found.login, found.scope.region) == ("li.wei", "3205")
    assert accounts.everyone()[0][1] == int(clock.now_s)
    (deed,) = accounts.deeds()
    assert (deed.login, deed.action, deed.address) == ("li.wei", "login", "192.0.2.7")


def test_wrong_password_unknown_login_and_closed_account_look_the_same(accounts: Accounts) -> None:
    """Nobody learns from the answer which logins there are; what an unknown one typed is not written down."""
    accounts.set_disabled("li.wei", disabled=True)
    answers = [
        accounts.enter(*pair) for pair in (("li.wei", PASSWORD), ("li.wei", "no"), ("My-Secret-1", "no"))
    ]
    assert answers == [Refused()] * 3
    assert actions(accounts) == [("li.wei", "login_failed"), ("li.wei", "login_failed"), ("", "login_failed")]
    accounts.set_disabled("li.wei", disabled=False)
    assert isinstance(accounts.enter("li.wei", PASSWORD), Account)


@pytest.mark.parametrize("login", ["li.wei", "nobody.here"])
def test_repeated_failures_pause_a_login_known_or_not(accounts: Accounts, clock: Clock, login: str) -> None:
    """After five failures no password is looked at for a quarter of an hour, then all begins anew."""
    for _ in range(5):
        assert accounts.enter(login, "wrong") == Refused()
    clock.now_s += 60
    assert accounts.enter(login, PASSWORD) == Refused(wait_s=840)
    assert accounts.deeds()[-1].action == "login_paused"
    clock.now_s += 841
    again = accounts.enter(login, PASSWORD)
    assert isinstance(again, Account) is (login == "li.wei")


def test_success_and_a_new_password_forget_the_failures(accounts: Accounts) -> None:
    """Only failures in a row count."""
    for _ in range(3):
        for _ in range(4):
            accounts.enter("li.wei", "wrong")
        assert isinstance(accounts.enter("li.wei", PASSWORD), Account)
    for _ in range(5):
        accounts.enter("li.wei", "wrong")
    accounts.set_password("li.wei", "Another-Pass-77")
    assert isinstance(accounts.enter("li.wei", "Another-Pass-77"), Account)


def test_many_attempts_at_once_get_no_more_tries(accounts: Accounts) -> None:
    """An attempt counts before it is looked at: of thirty at once five are."""
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(accounts.enter("li.wei", "no"))) for _ in range(30)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answer == Refused() for answer in found) == 5


def test_audit_log_only_grows(accounts: Accounts, tmp_path: Path) -> None:
    """Not even with the file in hand does a row change or go by an ordinary statement."""
    accounts.note("li.wei", "incident_acknowledge", "0123456789abcdef")
    with sqlite3.connect(tmp_path / "accounts.db") as db:
        for statement in ("DELETE FROM audit", "UPDATE audit SET login = 'x'"):
            with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                db.execute(statement)
    db.close()
    assert actions(accounts) == [("li.wei", "incident_acknowledge")]


def test_deeds_are_found_by_login_and_time(accounts: Accounts, clock: Clock) -> None:
    """The newest rows are given, in the order in which they were done."""
    for login in ("a", "b", "a"):
        clock.now_s += 10
        accounts.note(login, "x")
    assert [deed.login for deed in accounts.deeds(limit=2)] == ["b", "a"]
    assert len(accounts.deeds("a")) == 2
    assert [deed.login for deed in accounts.deeds(since_s=int(clock.now_s))] == ["a"]


def test_account_taken_unknown_or_weak_is_refused(accounts: Accounts) -> None:
    """The error says what was wrong, and never the password."""
    with pytest.raises(InputError, match="taken"):
        accounts.add(replace(ANALYST, login="LI.WEI"), PASSWORD)
    with pytest.raises(InputError, match=r"li\.wei"):
        accounts.set_password("li.we", PASSWORD)
    with pytest.raises(InputError, match="short") as caught:
        accounts.add(replace(ANALYST, login="other"), "Sh0rt-x")
    assert "Sh0rt-x" not in str(caught.value)


def test_removed_account_is_erased_and_leaves_the_audit_log(accounts: Accounts, tmp_path: Path) -> None:
    """Personal data go with the account; what was done under its login stays."""
    accounts.enter("li.wei", PASSWORD)
    accounts.remove("li.wei")
    assert accounts.find("li.wei") is None
    with sqlite3.connect(tmp_path / "accounts.db") as db:
        assert db.execute("SELECT count() FROM account WHERE name = ?", (ANALYST.name,)).fetchone() == (0,)
    db.close()
    assert actions(accounts) == [("li.wei", "login")]


def test_hash_of_yesterday_is_renewed_at_the_next_login(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the cost is raised, whoever logs in gets the new one without noticing."""
    dearer = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    monkeypatch.setattr(passwords, "_HASHER", dearer)
    assert isinstance(accounts.enter("li.wei", PASSWORD), Account)
    kept = accounts._secret("li.wei")
    assert kept is not None
    assert not dearer.check_needs_rehash(kept[0])
    assert isinstance(accounts.enter("li.wei", PASSWORD), Account)


def test_two_processes_share_the_accounts(accounts: Accounts, clock: Clock) -> None:
    """What the command line changes holds for the page at once."""
    other = Accounts(accounts.settings, clock)
    other.add(Account("plant", "", Role.ENTERPRISE, enterprise="91370200MA0DEM0PLD"), PASSWORD)
    assert accounts.find("plant") is not None
    other.close()


def test_file_that_cannot_be_used_says_which(tmp_path: Path) -> None:
    """A later version or a foreign file is one sentence with its name."""
    with sqlite3.connect(tmp_path / "accounts.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(AccountsError, match="version 99"):
        Accounts(Settings(home=tmp_path))
    (tmp_path / "accounts.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(AccountsError, match=r"accounts\.db"):
        Accounts(Settings(home=tmp_path))
