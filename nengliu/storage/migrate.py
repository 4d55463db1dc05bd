"""Lay the tables: forward-only migrations of `schemas/tables`, each applied once.

A migration that was applied may not change any more; what must change is a new file.
Every statement can be run twice, so a migration that was cut short is simply run again.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

from clickhouse_connect.driver.client import Client

from nengliu.errors import InputError, StorageError
from nengliu.storage.client import speaking

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOKEN = re.compile(r"--[^\n]*|'(?:[^'\\]|\\.|'')*'|;|[^-';]+|-", re.DOTALL)
_LEDGER = """CREATE TABLE IF NOT EXISTS {database}.migration (
    name String, checksum String COMMENT 'SHA-256 of the file', applied_at DateTime('UTC')
) ENGINE = {replicated}ReplacingMergeTree ORDER BY name"""
_DEDUP = "non_replicated_deduplication_window = 1000"
"""A retry of an insert is known again among the last 1,000 inserts of a table; a writer has one in flight."""


def migrate(client: Client, database: str, *, replicated: bool = False) -> list[str]:
    """Apply what is missing, in order, and say what was applied.

    Parameters
    ----------
    replicated
        Lay replicated tables (a cluster with Keeper and macros).

    Raises
    ------
    StorageError
        An applied migration has changed, or the database was laid by a newer program.
    """
    if not _NAME.fullmatch(database):
        raise InputError(f"database: expected letters, digits and _, got {database!r}")
    words = _words(replicated)
    with speaking(client.uri):
        client.command(f"CREATE DATABASE IF NOT EXISTS {database}", use_database=False)
        client.command(_fill(_LEDGER, {**words, "database": database}), use_database=False)
        known = _known(client, database)
        wanted = migrations()
        _check(known, wanted, database)
        todo = [name for name in wanted if name not in known]
        for name in todo:
            _apply(client, database, name, wanted[name], words)
    return todo


def migrations() -> dict[str, str]:
    """The migrations of this program: name -> text, in order."""
    folder = files("schemas") / "tables"
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return {name.removesuffix(".sql"): (folder / name).read_text(encoding="utf-8") for name in found}


def statements(text: str) -> list[str]:
    r"""Cut a script at its semicolons, but not at those in texts and comments.

    >>> statements("-- a; b\nSELECT ';' ; SELECT 2")
    ["SELECT ';'", 'SELECT 2']
    """
    found, current = [], ""
    for piece in _TOKEN.findall(text):
        if piece == ";":
            found.append(current.strip())
            current = ""
        elif not piece.startswith("--"):
            current += piece
    found.append(current.strip())
    return [statement for statement in found if statement]


def dump(client: Client, database: str) -> str:
    """What stands in the database, as SHOW CREATE says it, without the database's name."""
    with speaking(client.uri):
        query = "SELECT name FROM system.tables WHERE database = {database:String} ORDER BY name"
        names = [row[0] for row in client.query(query, parameters={"database": database}).result_rows]
        shown = [client.query(f"SHOW CREATE TABLE {database}.`{name}`").result_rows[0][0] for name in names]
    return "\n".join(text.replace(f"{database}.", "").strip() + ";\n" for text in shown)


def checksum(text: str) -> str:
    """SHA-256 of a migration as it lies in the package."""
    return hashlib.sha256(text.encode()).hexdigest()


def _words(replicated: bool) -> dict[str, str]:
    if replicated:  # replicated tables know repeated inserts by themselves
        return {"replicated": "Replicated", "dedup": ""}
    return {"replicated": "", "dedup": f"{_DEDUP}, "}


def _fill(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace("{" + word + "}", value)
    return text


def _known(client: Client, database: str) -> dict[str, str]:
    rows = client.query(f"SELECT name, checksum FROM {database}.migration FINAL").result_rows
    return {str(name): str(digest) for name, digest in rows}


def _check(known: dict[str, str], wanted: dict[str, str], database: str) -> None:
    newer = sorted(set(known) - set(wanted))
    if newer:
        raise StorageError(
            f"{database}: laid by a newer program (it has {', '.join(newer)}, unknown here); "
            "install that version, tables do not go back"
        )
    for name, digest in known.items():
        if digest != checksum(wanted[name]):
            raise StorageError(
                f"schemas/tables/{name}.sql was changed after it was applied to {database}; "
                "restore the file and put the change into a new one with the next number"
            )


def _apply(client: Client, database: str, name: str, text: str, words: dict[str, str]) -> None:
    before = client.database
    client.database = database
    try:
        for statement in statements(_fill(text, words)):
            client.command(statement)
        client.command(
            f"INSERT INTO {database}.migration SELECT {{name:String}}, {{checksum:String}}, now()",
            parameters={"name": name, "checksum": checksum(text)},
        )
    finally:
        client.database = before
