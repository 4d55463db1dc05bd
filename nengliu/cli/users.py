"""`nengliu user`: who may log in to the page, and what was done there."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from nengliu import settings as settings_of
from nengliu.cli.language import examples, say
from nengliu.cli.logs import seconds_of
from nengliu.domain.times import CHINA
from nengliu.errors import InputError

if TYPE_CHECKING:
    from nengliu.accounts import Accounts
    from nengliu.settings import Settings

ROLES = ("analyst", "enforcement", "enterprise", "operator")
BY = "command line"
"""Whose deed a change of accounts is: whoever may write the installation's folder."""


@click.group(help=say("command.user"), epilog=examples("user"))
def user() -> None:
    """Manage accounts."""


@user.command(help=say("user.add"), epilog=examples("user_add"))
@click.argument("login")
@click.option("--role", type=click.Choice(ROLES), required=True, help=say("option.role"))
@click.option("--name", default="", help=say("option.user_name"))
@click.option("--region", default="", help=say("option.user_region"))
@click.option("--enterprise", default="", help=say("option.user_enterprise"))
def add(login: str, role: str, name: str, region: str, enterprise: str) -> None:
    """Open an account."""
    from nengliu.accounts import Account, Role, checked

    account = checked(Account(login, name, Role(role), region, enterprise))
    with _opened() as accounts:
        if accounts.find(account.login) is not None:
            raise InputError(say("error.login_taken", login=account.login))
        accounts.add(account, _asked(accounts, account.login))
        limits = f" {account.region}{account.enterprise}".rstrip()
        accounts.note(BY, "user_add", f"{account.login} {account.role}{limits}")
    click.echo(say("user.added", login=account.login, role=say(f"role.{role}")))


@user.command("list", help=say("user.list"), epilog=examples("user_list"))
def list_users() -> None:
    """Show the accounts."""
    with _opened() as accounts:
        rows = [
            (
                a.login,
                a.name,
                say(f"role.{a.role}"),
                a.region + a.enterprise,
                _state(a.disabled),
                _moment(seen_s),
            )
            for a, seen_s in accounts.everyone()
        ]
    _table(say("user.columns"), rows)


@user.command(help=say("user.passwd"), epilog=examples("user_passwd"))
@click.argument("login")
def passwd(login: str) -> None:
    """Give an account a new password."""
    with _known(login) as (accounts, known):
        accounts.set_password(known, _asked(accounts, known))
        accounts.note(BY, "user_passwd", known)
    click.echo(say("user.changed", login=known))


@user.command(help=say("user.disable"), epilog=examples("user_disable"))
@click.argument("login")
def disable(login: str) -> None:
    """Close an account."""
    with _known(login) as (accounts, known):
        accounts.set_disabled(known, disabled=True)
        accounts.note(BY, "user_disable", known)
    click.echo(say("user.disabled", login=known))


@user.command(help=say("user.enable"), epilog=examples("user_enable"))
@click.argument("login")
def enable(login: str) -> None:
    """Open an account again."""
    with _known(login) as (accounts, known):
        accounts.set_disabled(known, disabled=False)
        accounts.note(BY, "user_enable", known)
    click.echo(say("user.enabled", login=known))


@user.command(help=say("user.logout"), epilog=examples("user_logout"))
@click.argument("login")
def logout(login: str) -> None:
    """End all sessions of an account."""
    with _known(login) as (accounts, known):
        accounts.end_sessions(known)
        accounts.note(BY, "user_logout", known)
    click.echo(say("user.logged_out", login=known))


@user.command(help=say("user.remove"), epilog=examples("user_remove"))
@click.argument("login")
def remove(login: str) -> None:
    """Erase an account."""
    with _known(login) as (accounts, known):
        accounts.remove(known)
        accounts.note(BY, "user_remove", known)
    click.echo(say("user.removed", login=known))


@user.command(help=say("user.audit"), epilog=examples("user_audit"))
@click.option("--login", default="", help=say("option.audit_login"))
@click.option("--since", default=None, metavar="10m", help=say("option.since"))
@click.option(
    "--limit", type=click.IntRange(1), default=1000, show_default=True, help=say("option.audit_limit")
)
def audit(login: str, since: str | None, limit: int) -> None:
    """Show the audit log."""
    after_s = int(time.time()) - seconds_of(since) if since else 0
    with _opened() as accounts:
        deeds = accounts.deeds(login.strip().lower(), after_s, limit)
    _table(
        say("user.audit_columns"), [(_moment(d.at_s), d.login, d.action, d.detail, d.address) for d in deeds]
    )


def tell_if_nobody(settings: Settings) -> None:
    """Say how to open the first account while there is none; there are none by default, with known passwords."""
    from nengliu.accounts import Accounts

    accounts = Accounts(settings)
    if not accounts.everyone():
        click.echo(say("user.none", home=settings.home), err=True)
    accounts.close()


@contextmanager
def _opened() -> Iterator[Accounts]:
    from nengliu.accounts import Accounts

    accounts = Accounts(settings_of.load())
    try:
        yield accounts
    finally:
        accounts.close()


@contextmanager
def _known(login: str) -> Iterator[tuple[Accounts, str]]:
    """Open the accounts and give the login as it is kept."""
    with _opened() as accounts:
        yield accounts, accounts.known(login).login


def _asked(accounts: Accounts, login: str) -> str:
    """Ask for a new password twice, or read it from a pipe; it never stands on the command line."""
    from nengliu.accounts.passwords import weakness

    if sys.stdin.isatty():
        password = click.prompt(say("user.password"), hide_input=True, confirmation_prompt=say("user.repeat"))
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    shortest = accounts.settings.password_length
    if weak := weakness(password, login, shortest):
        raise InputError(say(f"weak.{weak}", shortest=shortest))
    return str(password)


def _state(disabled: bool) -> str:
    return say("user.closed") if disabled else say("user.open")


def _moment(at_s: int) -> str:
    """Write an instant in China civil time; nothing for never."""
    return f"{datetime.fromtimestamp(at_s, UTC).astimezone(CHINA):%Y-%m-%d %H:%M:%S}" if at_s else ""


def _table(columns: str, rows: list[tuple[Any, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns.split("|"))
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row))
    (Console() if sys.stdout.isatty() else Console(width=160)).print(table)
