"""An account: a login with its role and the limits of what it may see."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from nengliu.domain.scope import Scope
from nengliu.errors import InputError, nearest

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{1,31}")
_REGION = re.compile(r"[1-9]\d(\d\d){0,2}")
_ENTERPRISE = re.compile(r"[0-9A-Z]{18}")
LONGEST_NAME = 60


class Role(StrEnum):
    """What a reader is here for; decides the pages and, with region or enterprise, the scope."""

    ANALYST = "analyst"
    ENFORCEMENT = "enforcement"
    ENTERPRISE = "enterprise"
    OPERATOR = "operator"


GOVERNMENT = (Role.ANALYST, Role.ENFORCEMENT)


@dataclass(frozen=True, slots=True)
class Account:
    """One account without its password.

    Parameters
    ----------
    login
        Name to log in with, in small letters.
    name
        Name that is shown; personal data.
    role
        Decides pages and scope.
    region
        Prefix of the region's code (GB/T 2260) a government role is limited to.
    enterprise
        Code of the enterprise an enterprise role is limited to.
    version
        Number that every session of the account bears; a new one ends them all.
    disabled
        Whether nobody may log in.
    """

    login: str
    name: str
    role: Role
    region: str = ""
    enterprise: str = ""
    version: int = 0
    disabled: bool = False

    @property
    def scope(self) -> Scope:
        """What the account may see; a forgotten limit sees nothing.

        >>> Account("a", "A", Role.ANALYST, region="3205").scope
        Scope(role='analyst', region='3205', enterprise='')
        """
        if self.role is Role.OPERATOR:
            return Scope("nation")
        if self.role is Role.ENTERPRISE:
            return Scope("enterprise", enterprise=self.enterprise)
        return Scope(str(self.role), region=self.region)


def checked(account: Account) -> Account:
    """Give an account whose fields are in order: trimmed, its region as a prefix.

    >>> checked(Account("Li.Wei ", "", Role.ANALYST, region="320500")).region
    '3205'

    Raises
    ------
    InputError
        A login, name or code nobody can have, or a limit that does not fit the role.
    """
    login = account.login.strip().lower()
    name = " ".join(account.name.split()) or login
    if not _LOGIN.fullmatch(login):
        raise InputError(
            f"login {login!r}: expected 2 to 32 letters, digits or . _ @ -, a letter or digit first"
        )
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(f"name of {login}: expected at most {LONGEST_NAME} printable characters")
    region, enterprise = account.region.strip(), account.enterprise.strip().upper()
    if (account.role in GOVERNMENT) != bool(region):
        raise InputError(f"{account.role}: expected {_limits(account.role)}, got region {region!r}")
    if (account.role is Role.ENTERPRISE) != bool(enterprise):
        raise InputError(f"{account.role}: expected {_limits(account.role)}, got enterprise {enterprise!r}")
    if region and not _REGION.fullmatch(region):
        raise InputError(f"region {region!r}: expected 2, 4 or 6 digits (GB/T 2260), e.g. 3205")
    if enterprise and not _ENTERPRISE.fullmatch(enterprise):
        raise InputError(f"enterprise {enterprise!r}: expected 18 digits and capital letters (GB 32100)")
    return replace(account, login=login, name=name, region=_prefix(region), enterprise=enterprise)


def role_of(word: str) -> Role:
    """Give the role of a word.

    Raises
    ------
    InputError
        Nobody has such a role.
    """
    try:
        return Role(word)
    except ValueError as error:
        raise InputError(f"role {word!r}: {nearest(word, Role)}") from error


def _limits(role: Role) -> str:
    if role in GOVERNMENT:
        return "a region and no enterprise"
    return "an enterprise and no region" if role is Role.ENTERPRISE else "neither region nor enterprise"


def _prefix(region: str) -> str:
    """Cut the empty lower levels off a code, so that a province's holds its cities."""
    while region.endswith("00"):
        region = region[:-2]
    return region
