"""Log-ins of the demonstration: drawn once, the same at every start, for the owner of the folder alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from nengliu.accounts import Account, Accounts, Role
from nengliu.accounts.demo import demo_logins
from nengliu.errors import InputError
from nengliu.settings import Settings

WANTED = (
    Account("analyst", "分析员", Role.ANALYST, region="990000"),
    Account("officer", "监察员", Role.ENFORCEMENT, region="990100"),
    Account("plant", "能源管理员", Role.ENTERPRISE, enterprise="91370200MA0DEM0PLD"),
    Account("operator", "值班员", Role.OPERATOR),
)


def test_demo_logins_of_a_second_start_are_those_of_the_first(tmp_path: Path) -> None:
    """What was printed once still works, whatever was done to the accounts meanwhile."""
    settings = Settings(home=tmp_path)
    first = demo_logins(settings, WANTED)
    accounts = Accounts(settings)
    accounts.set_password("analyst", "Another-Pass-77")
    accounts.set_disabled("officer", disabled=True)
    accounts.remove("plant")
    second = demo_logins(settings, WANTED)
    assert [login.password for login in second] == [login.password for login in first]
    assert len({login.password for login in first}) == 4
    for login in second:
        found = accounts.enter(login.account.login, login.password)
        assert isinstance(found, Account)
        assert found.scope == login.account.scope
    accounts.close()


def test_demo_logins_lie_in_a_file_of_their_owner(tmp_path: Path) -> None:
    """The passwords can be read again by whoever owns the installation, by nobody else; a damaged file says so."""
    demo_logins(Settings(home=tmp_path), WANTED)
    file = tmp_path / "demo-logins.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("{")
    with pytest.raises(InputError, match=r"demo-logins\.json"):
        demo_logins(Settings(home=tmp_path), WANTED)


def test_demo_logins_left_alone_keep_their_sessions(tmp_path: Path) -> None:
    """A start that changes nothing logs nobody out."""
    settings = Settings(home=tmp_path)
    versions = [login.account.version for login in demo_logins(settings, WANTED)]
    assert [login.account.version for login in demo_logins(settings, WANTED)] == versions
