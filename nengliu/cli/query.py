"""`nengliu query`: ask the store one of its named questions."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nengliu.cli.language import examples, say
from nengliu.domain.scope import SYSTEM
from nengliu.domain.times import CHINA
from nengliu.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from nengliu.storage.queries import Question

FORMATS = ("table", "csv", "json", "xlsx")


@click.command(help=say("command.query"), epilog=examples("query"))
@click.argument("name", required=False)
@click.option("--set", "given", multiple=True, metavar="KEY=VALUE", help=say("option.set"))
@click.option("--as-of", metavar="TIME", default=None, help=say("option.as_of"))
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help=say("option.format"),
)
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), default=None, help=say("option.output")
)
def query(
    name: str | None, given: tuple[str, ...], as_of: str | None, form: str, output: Path | None
) -> None:
    """Ask a named question."""
    from nengliu import settings, storage
    from nengliu.storage.queries import questions

    if name is None:
        _list(questions())
        return
    if form == "xlsx" and output is None:
        raise InputError(say("error.xlsx_needs_file"))
    parameters = read_parameters(given, questions().get(name))
    known = storage.connect(settings.load())
    try:
        table = storage.ask(known, name, SYSTEM, as_of=known_by(as_of) if as_of else None, **parameters)
    finally:
        storage.disconnect(known)
    show(table, form, output)


def read_parameters(given: tuple[str, ...], question: Question | None) -> dict[str, object]:
    """Turn ``key=value`` texts into what the question takes, by the kind of each parameter.

    Raises
    ------
    InputError
        A text without ``=``, a time that is none, a number that is none.
    """
    kinds = {parameter.name: parameter.kind for parameter in question.parameters} if question else {}
    found: dict[str, object] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(say("error.no_equals", text=text))
        found[key] = _value(f"--set {key}", kinds.get(key, "text"), value)
    return found


def instant(where: str, text: str) -> datetime:
    """Read a time of the user, in China civil time unless it names its zone.

    >>> instant("start", "2026-03-01").isoformat()
    '2026-03-01T00:00:00+08:00'
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(say("error.no_time", where=where, text=text)) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=CHINA)


def known_by(text: str) -> datetime | date:
    """Read until when something was known: a day means its end, in China.

    >>> known_by("2026-03-01"), known_by("2026-03-01T08:00").isoformat()
    (datetime.date(2026, 3, 1), '2026-03-01T08:00:00+08:00')
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        return instant("--as-of", text)


def show(table: pa.Table, form: str, output: Path | None) -> None:
    """Print or write an answer in the form that was asked for."""
    if form == "xlsx":
        assert output is not None
        _write_xlsx(table, output)
    elif output is not None:
        output.write_text(_text(table, form), encoding="utf-8")
    elif form == "table":
        _print_table(table)
    else:
        sys.stdout.write(_text(table, form))


def _value(where: str, kind: str, text: str) -> object:
    if kind == "instant":
        return instant(where, text)
    if kind == "integer":
        if not text.isdecimal():
            raise InputError(say("error.no_number", where=where, text=text))
        return int(text)
    return text.split(",") if kind == "texts" else text


def _list(known: dict[str, Question]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(say("query.name"), say("query.asks"), say("query.parameters"))
    for question in known.values():
        if question.name.startswith(("state_", "audit_")):
            continue  # those are the flows' and the audit's
        words = (p.name if p.default is None else f"({p.name})" for p in question.parameters)
        table.add_row(question.name, question.asks, " ".join(words))
    Console().print(table)


def _plain(value: object) -> object:
    return value.isoformat(sep=" ") if isinstance(value, datetime) else value


def _seconds(value: object) -> object:
    """Write an instant to the second: in a table for the eye, the rest is noise."""
    return value.isoformat(sep=" ", timespec="seconds") if isinstance(value, datetime) else value


def _text(table: pa.Table, form: str) -> str:
    import io

    import msgspec
    from rich.console import Console

    if form == "json":
        return "".join(msgspec.json.encode(row).decode() + "\n" for row in table.to_pylist())
    if form == "csv":
        return _csv(table)
    stream = io.StringIO()
    Console(file=stream, width=200).print(_rich(table))
    return stream.getvalue()


def _csv(table: pa.Table) -> str:
    import csv
    import io

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows([_plain(value) for value in row.values()] for row in table.to_pylist())
    return stream.getvalue()


def _print_table(table: pa.Table) -> None:
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=240)
    console.print(_rich(table))


def _rich(table: pa.Table) -> object:
    from rich.table import Table

    shown = Table(*table.column_names, caption=say("query.rows", count=table.num_rows))
    for row in table.to_pylist():
        shown.add_row(*("" if value is None else str(_seconds(value)) for value in row.values()))
    return shown


def _write_xlsx(table: pa.Table, output: Path) -> None:
    import xlsxwriter

    with xlsxwriter.Workbook(str(output), {"constant_memory": True, "nan_inf_to_errors": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, table.column_names)
        for number, row in enumerate(table.to_pylist(), 1):
            sheet.write_row(number, 0, [_plain(value) for value in row.values()])
