"""What entering by hand has in common on the command line: who enters, for whom, from which file, what was wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nengliu import settings as settings_of
from nengliu.analysis.forms.sheets import TEMPLATES, Heads, Line, Template, read_form
from nengliu.cli.imports import reason_text
from nengliu.cli.language import say
from nengliu.domain.scope import SYSTEM, Scope
from nengliu.errors import InputError, nearest
from schemas.messages import ActivityNotice, EntryNotice, RejectedRow

if TYPE_CHECKING:
    import pyarrow as pa

    from nengliu.settings import Settings

SHOWN = 20
"""Mistakes of a file that are shown; the count says how many there are."""
MAY_ENTER = ("operator", "enterprise")
"""Roles that enter: the enterprise for itself, the operator for anyone; the government reads what it is told."""
Ask = Callable[..., "pa.Table"]
by_option = click.option("--by", default="", metavar="LOGIN", help=say("entry.by"))
yes_option = click.option("--yes", "-y", is_flag=True, help=say("entry.yes"))


@dataclass(frozen=True, slots=True)
class Writer:
    """Who enters: login, what he may see, and the way to ask within it."""

    login: str
    scope: Scope
    settings: Settings
    ask: Ask


@contextmanager
def writing(login: str, enterprise: str) -> Iterator[Writer]:
    """Open the store for somebody who enters for an enterprise.

    Raises
    ------
    InputError
        There is no such account, it may not enter, or the enterprise is not within its scope.
    """
    from nengliu import storage

    settings = settings_of.load()
    name, scope = _who(settings, login)
    client = storage.connect(settings)
    try:
        ask = partial(storage.ask, client)
        codes = [str(row["enterprise"]) for row in rows_of(ask("enterprises", scope))]
        if enterprise not in codes:
            raise InputError(say("entry.not_yours", enterprise=enterprise, near=nearest(enterprise, codes)))
        yield Writer(name, scope, settings, ask)
    finally:
        storage.disconnect(client)


def _who(settings: Settings, login: str) -> tuple[str, Scope]:
    from nengliu.accounts import Accounts
    from nengliu.cli.users import BY

    if not login:
        return BY, SYSTEM
    with closing(Accounts(settings)) as accounts:
        account = accounts.known(login)
    if account.disabled or account.role not in MAY_ENTER:
        raise InputError(say("entry.may_not", login=account.login))
    return account.login, account.scope


def send(writer: Writer, notice: EntryNotice | ActivityNotice, detail: str) -> None:
    """Write into the audit log who enters what, and append it to the log."""
    from nengliu.accounts import Accounts
    from nengliu.bus.open import open_log, publish_entered

    action = "entry" if isinstance(notice, EntryNotice) else "activity"
    with closing(Accounts(writer.settings)) as accounts:
        accounts.note(writer.login, action, f"{notice.enterprise} {detail}")
    with open_log(writer.settings) as log:
        publish_entered(log, notice)


def form_of(file: Path, heads: Heads, needed: Sequence[str]) -> list[Line]:
    """Read a form from disk.

    Raises
    ------
    InputError
        It is not there, or no such form.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(say("entry.no_file", file=file, error=error.strerror)) from error
    lines = read_form(content, file.name, heads, needed)
    if not lines:
        raise InputError(say("entry.empty", file=file))
    return lines


def refuse(rejected: Sequence[RejectedRow]) -> None:
    """Tell every mistake with its row; a form with one is not taken at all.

    Raises
    ------
    InputError
        There is a mistake.
    """
    for one in rejected[:SHOWN]:
        where = f"{one.point} {one.text}".strip() if one.point not in one.text else one.text
        click.echo(say("entry.mistake", row=one.row, why=reason_text(one), text=where), err=True)
    if rejected:
        raise InputError(say("entry.refused", count=len(rejected)))


def write_template(file: Path, form: Template) -> None:
    """Write a form to fill in, by the ending of its name.

    Raises
    ------
    InputError
        The ending is neither .csv nor .xlsx, or the file is there already.
    """
    kind = file.suffix.removeprefix(".").lower()
    if kind not in TEMPLATES:
        raise InputError(say("entry.ending", file=file))
    if file.exists():
        raise InputError(say("entry.exists", file=file))
    file.write_bytes(TEMPLATES[kind][0](form))
    click.echo(say("entry.template", file=file, rows=len(form.rows)))


def now_s() -> int:
    """Tell the second it is."""
    return int(time.time())


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """Give an answer row by row."""
    found: list[dict[str, Any]] = table.to_pylist()
    return found
