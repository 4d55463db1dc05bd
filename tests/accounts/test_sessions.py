"""Sessions: a token stands until its time, a log-out, a closed account or a new password, and cannot be made."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as runs
from hypothesis import strategies as st

from nengliu.accounts import Account, Accounts, Role, Sessions
from nengliu.settings import Settings
from tests.accounts.conftest import ANALYST, PASSWORD, Clock


@pytest.fixture
def sessions(accounts: Accounts) -> Sessions:
    """Sessions of `accounts`."""
    return Sessions(accounts)


@pytest.fixture
def token(sessions: Sessions) -> str:
    """Token of the analyst."""
    account = sessions.accounts.find("li.wei")
    assert account is not None
    return sessions.start(account)


def test_token_stands_for_its_hours_and_no_longer(sessions: Sessions, token: str, clock: Clock) -> None:
    """A session ends by itself, wherever its cookie is kept."""
    clock.now_s += 8 * 3600 - 1
    found = sessions.account(token)
    assert found is not None
    assert found.scope == ANALYST.scope
    clock.now_s += 1
    assert sessions.account(token) is None


def test_logged_out_token_is_worth_nothing_and_others_stand(sessions: Sessions, token: str) -> None:
    """A copy of a cookie dies with the log-out; the same person on another screen stays."""
    account = sessions.account(token)
    assert account is not None
    other = sessions.start(account)
    sessions.end(token, "192.0.2.7")
    assert sessions.account(token) is None
    assert sessions.account(other) is not None
    assert sessions.accounts.deeds()[-1].action == "logout"


@pytest.mark.parametrize("change", ["end_sessions", "remove", "disable", "password", "refresh", "anew"])
def test_change_of_an_account_ends_its_sessions(sessions: Sessions, token: str, change: str) -> None:
    """Closed, erased, given a new password, another scope or logged out everywhere: the next look finds nobody."""
    accounts = sessions.accounts
    if change == "disable":
        accounts.set_disabled("li.wei", disabled=True)
        assert sessions.account(token) is None
        accounts.set_disabled("li.wei", disabled=False)
    elif change == "password":
        accounts.set_password("li.wei", "Another-Pass-77")
    elif change == "refresh":
        accounts.refresh(Account("li.wei", "", Role.ANALYST, region="32"), PASSWORD)
    elif change == "anew":
        accounts.remove("li.wei")
        accounts.add(ANALYST, PASSWORD)
    else:
        getattr(accounts, change)("li.wei")
    assert sessions.account(token) is None


def test_token_of_another_installation_is_nothing(token: str, tmp_path: Path, clock: Clock) -> None:
    """Each installation signs with a key of its own, and its cookie has a name of its own."""
    home = tmp_path / "other"
    other = Accounts(Settings(home=home), clock)
    other.add(ANALYST, PASSWORD)
    foreign = Sessions(other)
    assert foreign.account(token) is None
    assert foreign.cookie != Sessions(Accounts(Settings(home=tmp_path), clock)).cookie
    other.close()


@runs(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_text_made_up_is_no_token(sessions: Sessions, made_up: str) -> None:
    """Whatever somebody writes into the cookie, it is nobody, and never an error."""
    assert sessions.account(made_up) is None


@runs(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_token_changed_by_one_character_is_nothing(
    sessions: Sessions, token: str, data: st.DataObject
) -> None:
    """The signature covers login, version, session and time."""
    place = data.draw(st.integers(0, len(token) - 2))  # of the last one not all bits count in base64
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda c: c != token[place]))
    assert sessions.account(token[:place] + other + token[place + 1 :]) is None


def test_signing_key_is_made_once_for_its_owner_alone(sessions: Sessions, token: str, tmp_path: Path) -> None:
    """A restarted page knows the sessions of the one before."""
    file = tmp_path / "session.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_bytes()) == 64
    assert Sessions(sessions.accounts).account(token) is not None
    assert list(tmp_path.glob("session.key.*")) == []
