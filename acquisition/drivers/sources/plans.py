"""`[[feeds]]` of collector.toml: which database, topics or folder is read, and by which map; checked before it runs.

A feed's `map` is the map file of `nengliu import`: one language says what the cells of a
table mean, whether they come from a file, a query or messages.  Its points become those
of the collector.  `examples/collector/README.md` is the page for people.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from acquisition.drivers.tables import convert, need, once
from nengliu.domain.points import Point, Schema
from nengliu.domain.quality import Origin
from nengliu.errors import InputError, nearest
from schemas.messages import WiredLine, WiredMeter

if TYPE_CHECKING:  # a collector without feeds does not carry the readers of tables
    from acquisition.files.mapping import Map

RECEIVED = "received"
"""Column of a map that stands for the instant at which a message came."""
KEY, VALUE = "key", "value"
"""Columns of a message as a table: ``topic#path`` and what stands there."""


class SqlTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A database that is asked every so often.

    Parameters
    ----------
    url
        Where it is, as SQLAlchemy writes it, without the password.
    query
        A SELECT that gives the columns of the map and the watermark.
    watermark
        Column that only grows: an instant, a number, or a text that sorts as time does.
    overlap
        How far behind the newest watermark each look begins [s, or units of a number].
    start
        Watermark the first look begins at; empty: at the beginning.
    page
        Rows of one request.
    """

    name: str
    map: str
    url: str
    query: str
    watermark: str
    overlap: int = 3600
    start: str | int = ""
    every_s: int = 60
    page: int = 2000
    timeout_s: float = 60.0
    password_file: str = ""
    silent_s: int = 0


class MqttTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Topics of a broker.

    Parameters
    ----------
    records
        Path of a list of records within a message; empty: the message, or each of its list, is one.
    device
        Path, within a record, of the name that is put behind the topic; empty: none.
    ca_file
        Certificates that the broker's must be signed by; empty: those of the system, if `tls`.
    """

    name: str
    map: str
    host: str
    topics: list[str]
    port: int = 1883
    user: str = ""
    password_file: str = ""
    tls: bool = False
    ca_file: str = ""
    client_id: str = ""
    records: str = ""
    device: str = ""
    timeout_s: float = 10.0
    silent_s: int = 0


class FolderTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A folder that files are dropped in.

    Parameters
    ----------
    pattern
        Names that are taken, as a shell writes them.
    settle_s
        A file is taken when nobody has written to it for so long [s].
    """

    name: str
    map: str
    folder: str
    pattern: str = "*"
    every_s: int = 10
    settle_s: int = 10
    silent_s: int = 0


FeedTable = SqlTable | MqttTable | FolderTable
KINDS: dict[str, type[FeedTable]] = {"sql": SqlTable, "mqtt": MqttTable, "folder": FolderTable}
ORIGINS = {SqlTable: Origin.SQL, MqttTable: Origin.TIMED, FolderTable: Origin.FILE}
"""How a reading of a feed came to be, unless its map says so itself."""


@dataclass(frozen=True)
class FeedPlan:
    """A feed as understood; `beside` is the folder that its relative paths begin at."""

    told: FeedTable
    map: Map
    collector: str
    beside: Path

    @property
    def name(self) -> str:
        """Name of the feed: that of its line and of its meter in link events."""
        return self.told.name

    @property
    def kind(self) -> str:
        """Kind as the file says it."""
        return next(kind for kind, table in KINDS.items() if isinstance(self.told, table))

    @property
    def schema(self) -> Schema:
        """Column list of its rows."""
        from acquisition.files.publish import schema_of

        return schema_of(self.map)

    @property
    def points(self) -> tuple[str, ...]:
        """Points it feeds, in the order of the columns."""
        return tuple(series.point.point for series in self.map.series)

    @property
    def origin(self) -> Origin:
        """How its readings come to be."""
        return ORIGINS[type(self.told)]

    def catalogue(self) -> tuple[Point, ...]:
        """Points as its map introduces them."""
        return tuple(series.point for series in self.map.series)

    def wired(self) -> WiredLine:
        """Which points hang on it."""
        return WiredLine(self.name, (WiredMeter(self.name, self.points),))

    def path(self, told: str) -> Path:
        """A path as the file meant it."""
        return self.beside / told

    def password(self) -> str | None:
        """Read the password; None if there is none.

        Raises
        ------
        InputError
            Its file cannot be read.
        """
        file = "" if isinstance(self.told, FolderTable) else self.told.password_file
        if not file:
            return None
        try:
            return self.path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            told = f"feed {self.name}: password_file: expected a text file that can be read, got {error}"
            raise InputError(told) from error


def read_feeds(
    tables: Sequence[dict[str, Any]], file: Path, name: str, code: str, folder: Path | None = None
) -> tuple[FeedPlan, ...]:
    """Read the `[[feeds]]` of collector `name` of enterprise `code`; `file` is its collector.toml.

    Paths are relative to `folder`, or else to where the file lies.

    Raises
    ------
    InputError
        An unknown key or kind, a map that does not fit, or something that cannot be; the message names it.
    """
    feeds = tuple(_feed(dict(table), file, folder or file.parent, name, code) for table in tables)
    once((feed.name for feed in feeds), str(file), "feed")
    once((point for feed in feeds for point in feed.points), str(file), "point of a feed")
    return feeds


def check_beside(feeds: Sequence[FeedPlan], lines: Iterable[str], points: Iterable[str], where: str) -> None:
    """Refuse a feed that is called as a line is, or reads a point that a meter reads.

    Raises
    ------
    InputError
        It does.
    """
    once([*lines, *(feed.name for feed in feeds)], where, "line or feed")
    once([*points, *(point for feed in feeds for point in feed.points)], where, "point that is read")


def _feed(table: dict[str, Any], file: Path, folder: Path, collector: str, code: str) -> FeedPlan:
    where = f"{file} feed {table.get('name', '?')}"
    kind = str(table.pop("kind", ""))
    if kind not in KINDS:
        raise InputError(f"{where}: kind: expected {', '.join(KINDS)}, got {kind!r}; {nearest(kind, KINDS)}")
    told = convert(table, KINDS[kind], where, KINDS[kind].__struct_fields__)
    need(re.fullmatch(r"[A-Za-z0-9._-]{1,64}", told.name), where, "name", "letters, digits, . _ -", told.name)
    need(0 <= told.silent_s <= 366 * 86_400, where, "silent_s", "0 to 31622400", told.silent_s)
    _CHECKS[type(told)](told, where)
    from acquisition.files.mapping import load_map

    try:
        plan = load_map(folder / told.map)
    except InputError as error:
        raise InputError(f"{where}: map: {error}") from error
    return FeedPlan(told, _fitting(plan, told, where, code), collector, folder)


def _fitting(plan: Map, told: FeedTable, where: str, code: str) -> Map:
    """Take a map as a feed can use it."""
    mine = plan.enterprise.enterprise
    need(mine == code, where, "map: [enterprise] code", f"{code} as the collector", mine)
    need(plan.time.received == "now", where, "map: [time] received", "now", plan.time.received)
    if isinstance(told, FolderTable):
        return plan
    need(plan.time.clock != "repair", where, "map: [time] clock", "free: rows have no order here", "repair")
    if isinstance(told, MqttTable):
        need(plan.long, where, "map: [points]", f'column = "{KEY}", value = "{VALUE}"', "none")
        assert plan.long is not None
        named = plan.long.column, plan.long.value, plan.long.unit
        need(named == (KEY, VALUE, ""), where, "map: [points]", f'column = "{KEY}", value = "{VALUE}"', named)
    return replace(plan, time=replace(plan.time, clock="free"))


def _check_sql(told: SqlTable, where: str) -> None:
    first = told.query.strip().split(maxsplit=1)[0].upper() if told.query.strip() else ""
    need(first in ("SELECT", "WITH"), where, "query", "a SELECT (a collector only reads)", told.query[:40])
    need(";" not in told.query, where, "query", "one statement without ;", told.query[-40:])
    need(told.watermark, where, "watermark", "the name of a column", told.watermark)
    need(0 <= told.overlap <= 366 * 86_400, where, "overlap", "0 to 31622400", told.overlap)
    need(1 <= told.every_s <= 86_400, where, "every_s", "1 to 86400", told.every_s)
    need(1 <= told.page <= 100_000, where, "page", "1 to 100000", told.page)
    need(0 < told.timeout_s <= 3600, where, "timeout_s", "more than 0, at most 3600", told.timeout_s)


def _check_mqtt(told: MqttTable, where: str) -> None:
    need(told.topics, where, "topics", "at least one", "none")
    need(1 <= told.port <= 65535, where, "port", "1 to 65535", told.port)
    need(0 < told.timeout_s <= 60, where, "timeout_s", "more than 0, at most 60", told.timeout_s)
    for topic in told.topics:
        fits = topic and "#" not in topic[:-1] and len(topic.encode()) < 65536 and "\0" not in topic
        need(fits, where, "topics", "topic filters, # only at the end", topic)


def _check_folder(told: FolderTable, where: str) -> None:
    need(told.folder, where, "folder", "a path", told.folder)
    need(1 <= told.every_s <= 86_400, where, "every_s", "1 to 86400", told.every_s)
    need(1 <= told.settle_s <= 86_400, where, "settle_s", "1 to 86400", told.settle_s)


_CHECKS: dict[type[FeedTable], Any] = {
    SqlTable: _check_sql,
    MqttTable: _check_mqtt,
    FolderTable: _check_folder,
}
