"""An account is in order, or says what is not; its scope has a limit, or none where it may see all."""

from __future__ import annotations

import pytest

from nengliu.accounts import Account, Role, checked
from nengliu.accounts.account import role_of
from nengliu.domain.scope import Scope
from nengliu.errors import InputError

CODE = "91370200MA0DEM0PLD"


@pytest.mark.parametrize(
    ("role", "region", "enterprise", "scope"),
    [
        (Role.ANALYST, "990000", "", Scope("analyst", region="99")),
        (Role.ENFORCEMENT, "320500", "", Scope("enforcement", region="3205")),
        (Role.ENFORCEMENT, "320506", "", Scope("enforcement", region="320506")),
        (Role.ENTERPRISE, "", CODE.lower(), Scope("enterprise", enterprise=CODE)),
        (Role.OPERATOR, "", "", Scope("nation")),
    ],
)
def test_account_of_each_role_has_its_scope(role: Role, region: str, enterprise: str, scope: Scope) -> None:
    """A province's code holds its cities; an enterprise sees itself; the operator sees all."""
    assert checked(Account("a1", "", role, region, enterprise)).scope == scope


@pytest.mark.parametrize(
    "account",
    [
        Account("x", "", Role.OPERATOR),
        Account("-ab", "", Role.OPERATOR),
        Account("a b", "", Role.OPERATOR),
        Account("<script>", "", Role.OPERATOR),
        Account("ab", "x" * 61, Role.OPERATOR),
        Account("ab", "a\x1b[2Jb", Role.OPERATOR),
        Account("ab", "", Role.OPERATOR, region="32"),
        Account("ab", "", Role.OPERATOR, enterprise=CODE),
        Account("ab", "", Role.ANALYST),
        Account("ab", "", Role.ANALYST, enterprise=CODE),
        Account("ab", "", Role.ANALYST, region="3"),
        Account("ab", "", Role.ANALYST, region="%"),
        Account("ab", "", Role.ANALYST, region="000000"),
        Account("ab", "", Role.ENTERPRISE),
        Account("ab", "", Role.ENTERPRISE, region="32"),
        Account("ab", "", Role.ENTERPRISE, enterprise="x' OR 1=1"),
    ],
    ids=lambda account: f"{account.login}-{account.role}-{account.region}{account.enterprise}",
)
def test_account_out_of_order_is_refused(account: Account) -> None:
    """A login nobody can have, a name with control characters, a limit that does not fit the role."""
    with pytest.raises(InputError):
        checked(account)


def test_name_of_an_account_is_trimmed_and_falls_back_to_the_login() -> None:
    """Somebody without a name is shown by the login."""
    assert checked(Account(" Ops ", "", Role.OPERATOR)).name == "ops"
    assert checked(Account("ops", "  李   伟 ", Role.OPERATOR)).name == "李 伟"


def test_role_misspelt_names_the_nearest() -> None:
    """Whoever writes a role wrong is told the right one."""
    assert role_of("analyst") is Role.ANALYST
    with pytest.raises(InputError, match="enforcement"):
        role_of("enforcment")
