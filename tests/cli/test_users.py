"""`nengliu user`: accounts are opened, closed and listed; a password never stands on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nengliu.accounts import Account, Accounts, passwords
from nengliu.cli import users
from nengliu.cli.users import tell_if_nobody, user
from nengliu.errors import InputError
from nengliu.settings import Settings

PASSWORD = "Tr1ckle-Charge"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of an installation that speaks English."""
    from argon2 import PasswordHasher

    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    monkeypatch.setenv("NENGLIU_HOME", str(tmp_path))
    monkeypatch.setenv("NENGLIU_LANG", "en")
    return tmp_path


def run(*arguments: str, typed: str = "") -> Result:
    """Run a command whose standard input is a pipe; errors come as they are."""
    return CliRunner().invoke(user, arguments, input=typed, catch_exceptions=False)


def opened(login: str = "li.wei", *limits: str) -> Result:
    """Open an account, an analyst's unless told otherwise."""
    return run("add", login, *(limits or ("--role", "analyst", "--region", "320500")), typed=f"{PASSWORD}\n")


def entered(home: Path, password: str = PASSWORD) -> bool:
    """Whether the analyst can log in."""
    accounts = Accounts(Settings(home=home))
    found = accounts.enter("li.wei", password)
    accounts.close()
    return isinstance(found, Account)


def test_account_added_can_log_in_and_is_listed(home: Path) -> None:
    """The password comes from the pipe; the list shows role and limit, never a hash."""
    assert "li.wei (analyst) is open" in opened().output
    assert entered(home)
    shown = run("list").output
    assert "3205" in shown
    assert "argon2" not in shown


def test_account_of_a_person_is_asked_twice(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal the password is typed unseen, and once more."""
    asked: list[object] = []

    def prompt(words: str, **options: object) -> str:
        asked.append((words, options))
        return PASSWORD

    monkeypatch.setattr("click.prompt", prompt)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    accounts = Accounts(Settings(home=home))
    assert users._asked(accounts, "li.wei") == PASSWORD
    accounts.close()
    assert asked == [("New password", {"hide_input": True, "confirmation_prompt": "Once more"})]


def test_password_too_weak_says_what_is_missing(home: Path) -> None:
    """The sentence is in the reader's language and does not repeat the password."""
    with pytest.raises(InputError, match="at least 10 characters") as caught:
        run("add", "li.wei", "--role", "operator", typed="Sh0rt-x\n")
    assert "Sh0rt-x" not in str(caught.value)
    assert "li.wei" not in run("list").output


def test_password_is_no_argument(home: Path) -> None:
    """Nothing of `add` or `passwd` takes a password where other users of the machine could read it."""
    for command in ("add", "passwd"):
        assert not [p.name for p in user.commands[command].params if "password" in str(p.name)]


def test_account_without_its_limit_is_refused(home: Path) -> None:
    """A forgotten region would be an account that sees nothing; a login taken keeps its owner."""
    with pytest.raises(InputError, match="a region and no enterprise"):
        opened("li.wei", "--role", "enforcement")
    opened()
    with pytest.raises(InputError, match="already"):
        opened()


@pytest.mark.parametrize("command", ["passwd", "disable", "enable", "logout", "remove"])
def test_change_of_an_account_is_told_and_written_down(home: Path, command: str) -> None:
    """Each change says what it did, and stands in the audit log; an unknown login names the nearest."""
    opened()
    assert "li.wei" in run(command, "Li.Wei", typed="Another-Pass-77\n").output
    assert f"user_{command}" in run("audit").output
    with pytest.raises(InputError, match="no account"):
        run(command, "wei.li", typed="Another-Pass-77\n")


def test_disabled_and_renewed_account_behaves_so(home: Path) -> None:
    """Closed, nobody gets in; opened again with a new password, only by that one."""
    opened()
    run("disable", "li.wei")
    assert not entered(home)
    run("enable", "li.wei")
    run("passwd", "li.wei", typed="Another-Pass-77\n")
    assert not entered(home)
    assert entered(home, "Another-Pass-77")
    run("remove", "li.wei")
    assert not entered(home, "Another-Pass-77")


def test_audit_log_is_shown_by_login_and_age(home: Path) -> None:
    """What people did is found again; names with brackets are shown as they are."""
    opened()
    entered(home)
    assert "login" in run("audit", "--login", "LI.WEI", "--since", "1d").output
    assert "user_add" not in run("audit", "--login", "li.wei").output
    opened("plant", "--role", "enterprise", "--enterprise", "91370200MA0DEM0PLD", "--name", "[red]x[/red]")
    assert "[red]x[/red]" in run("list").output


def test_first_start_tells_how_to_open_an_account_and_then_no_more(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While nobody could log in, `nengliu up` says what to run."""
    tell_if_nobody(Settings(home=home))
    assert f"nengliu --home {home} user add" in capsys.readouterr().err
    opened()
    tell_if_nobody(Settings(home=home))
    assert capsys.readouterr().err == ""
