"""Ask the store named questions: one `.sql` per question, one scope and one time of knowledge for all.

A question's file begins with a comment that `ask` reads: what is asked, ``parameters:``
with name, kind and default, ``columns:``.  Values reach the server as bound parameters,
never as text.  These marks are filled in here:

``{scope}``
    predicate over a column `enterprise` that says what the reader may see; every file has it or the next.
``{scope_region_rows}``
    the same over a column `region`, for rows that belong to a region and to no enterprise.
``{windows(predicate)}``
    the window rows of the question's level under `predicate`, as they are or as of a day;
    ``{windows(month: predicate)}``: those of a level the question names.
``{period(at)}``, ``{next(at)}``
    start of the period of the question's level that holds `at`, and of the one after.
``{newest(table: predicate)}``, ``{readings(predicate)}``
    newest versions of the rows of a table of `nengliu.storage.known`, and readings, as they are or as known then.
``{versions(predicate)}``
    every version kept of the window rows that the question's level is folded from.
``{known(column)}``
    predicate: the receipt in `column` was known by the instant asked for; true for now.
``{totals(predicate)}``
    the rows of totals of the question's level under `predicate`, as they are or, from the day up, as known then.
``{part(name)}``
    the text of `queries/parts/name.sql`, which several questions share.
``{name(list, column)}``
    the name of a stored number of a closed list: `reason` or `kind` (of a link event); the number where it has none.
``wanted``
    a temporary table of what is asked with: points, enterprises (or items, in its column `enterprise`), spans,
    services of meters, too many for a parameter; or the shifts of a calendar.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.external import ExternalData

from nengliu.domain.links import LinkKind
from nengliu.domain.quality import Reason
from nengliu.domain.scope import Scope
from nengliu.domain.times import CHINA, DAY_MS, Level, next_period_ms, period_start_ms, to_ms
from nengliu.errors import InputError
from nengliu.storage.client import speaking
from nengliu.storage.known import known, newest, readings
from nengliu.storage.shifts import STRUCTURE, calendar_name, shift_rows
from nengliu.storage.totals import total_source
from nengliu.storage.windows import COAL_LEVELS, following, period, source, versions

_HEADER = re.compile(r"^-- (parameters|columns|level|present): *(.*(?:\n--   .*)*)", re.MULTILINE)
_PARAMETER = re.compile(r"(?P<name>\w+) (?P<kind>\w+)(?: = (?P<default>'[^']*'|-?\d+))?")
_WINDOWS = re.compile(r"\{windows\((?:(?P<level>day|month):)?(?P<predicate>.*?)\)\}", re.DOTALL)
_PAST = re.compile(
    r"\{(?P<which>newest|readings|versions|known)\((?:(?P<table>\w+):\s)?(?P<text>.*?)\)\}", re.DOTALL
)
_TOTALS = re.compile(r"\{totals\((?P<predicate>.*?)\n\)\}", re.DOTALL)
_EDGE = re.compile(r"\{(?P<which>period|next)\((?P<at>.*?)\)\}")
_PART = re.compile(r"\{part\((?P<name>\w+)\)\}")
_NAME = re.compile(r"\{name\((?P<list>\w+), (?P<column>[\w.]+)\)\}")
_LISTS: dict[str, type[IntEnum]] = {"reason": Reason, "kind": LinkKind}

_SERVICE = (
    "enterprise String",
    "point String",
    "from_ms Int64",
    "modulus Int64",
    "worth Int64",
    "came Int64",
    "is_known Bool",
    "gone Int64",
    "gone_from_ms Int64",
    "gone_modulus Int64",
    "gone_worth Int64",
)
"""A meter's service, as the audit asks with it: since when, modulus, ticks per step, its first register; of the meter
before it the same; `is_known`: both registers at the exchange are."""

_NATION = ("nation", "system")
_GOVERNMENT = ("analyst", "planner", "enforcement")
_OWN_REGION = (
    "enterprise IN (SELECT enterprise FROM enterprise GROUP BY enterprise "
    "HAVING startsWith(argMax(region, position), {scope_region:String}))"
)
_REGION_ROWS = "startsWith(region, {scope_region:String})"
_OWN_ENTERPRISE = "enterprise = {scope_enterprise:String}"
_NOBODY = "false"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a question: its kind says what is taken, `default` None that it must be given."""

    name: str
    kind: str
    default: str | int | None


@dataclass(frozen=True, slots=True)
class Question:
    """A named query as its file describes it."""

    name: str
    sql: str
    asks: str
    parameters: tuple[Parameter, ...]
    columns: tuple[str, ...]
    level: Level | None
    present: str = ""

    @property
    def has_past(self) -> bool:
        """Whether it can be asked as of a day; else `present` may say why not."""
        return not self.present and any(mark.search(self.sql) for mark in (_WINDOWS, _PAST, _TOTALS))


def ask(
    client: Client, name: str, scope: Scope, as_of: datetime | date | None = None, **parameters: Any
) -> pa.Table:
    """Answer a named question within `scope`.

    Parameters
    ----------
    name
        File name in `nengliu/storage/queries` without ``.sql``.
    scope
        What the reader may see; a scope that names no limit sees nothing (law 10).
    as_of
        What was known at this instant (``known_at <= as_of``) or at the end of this China civil day, None for now.
        Of windows the last row of each day of knowledge is kept, so days are exact; at an instant inside a
        day a row corrected later that day is not found.
    parameters
        As the question's file lists them; instants are aware datetimes or milliseconds.

    Raises
    ------
    InputError
        No such question or parameter, a value of the wrong kind, an as_of of a question that has no past.
    StorageError
        The store is away or refuses.
    """
    question = _find(name)
    values = _take(question, parameters)
    level = values.get("level", question.level)
    if as_of is not None:
        if not question.has_past:
            why = f" ({question.present})" if question.present else ""
            raise InputError(f"{name}: knows only the present{why}; ask it without as_of")
        values["as_of"] = _known_until_s(as_of)
    if level is not None:
        _align(Level(level), values)
    wanted = _wanted(question, values)
    sql = _render(question, scope, level or Level.DAY, as_of is not None)
    bound = {key: value for key, value in values.items() if f"{{{key}:" in sql}
    bound |= {"scope_region": scope.region, "scope_enterprise": scope.enterprise}
    settings = {
        "output_format_arrow_string_as_string": 1,
        "output_format_arrow_low_cardinality_as_dictionary": int(name.startswith("state_")),
    }
    with speaking(f"{client.uri} {name}"):
        answer = client.query_arrow(sql, parameters=bound, settings=settings, external_data=wanted)
    return _stamped_by_end(answer, Level(values["level"])) if values.get("stamp") == "end" else answer


@cache
def questions() -> dict[str, Question]:
    """All named questions, by name."""
    folder = files("nengliu.storage") / "queries"
    found = sorted((entry for entry in folder.iterdir()), key=lambda entry: entry.name)
    names = [(entry.name.removesuffix(".sql"), entry) for entry in found if entry.name.endswith(".sql")]
    return {name: _parse(name, _whole(entry.read_text(encoding="utf-8"))) for name, entry in names}


def _whole(sql: str) -> str:
    """Put the shared parts in."""
    folder = files("nengliu.storage") / "queries" / "parts"
    return _PART.sub(lambda m: (folder / f"{m['name']}.sql").read_text(encoding="utf-8").strip(), sql)


def _find(name: str) -> Question:
    known = questions()
    if name not in known:
        raise InputError(f"no question {name!r}; {_nearest(name, known)}")
    return known[name]


def _nearest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(names) or 'none'}"


def _parse(name: str, sql: str) -> Question:
    header = {key: value.replace("\n--  ", "") for key, value in _HEADER.findall(sql)}
    found = _PARAMETER.finditer(header.get("parameters", ""))
    columns = tuple(word.split(" ")[0] for word in header["columns"].split(", "))
    asks = sql.removeprefix("-- ").splitlines()[0]
    level = Level(header["level"]) if "level" in header else None
    parameters = tuple(_parameter(match) for match in found)
    return Question(name, sql, asks, parameters, columns, level, header.get("present", ""))


def _parameter(match: re.Match[str]) -> Parameter:
    default = match["default"]
    if default is None:
        return Parameter(match["name"], match["kind"], None)
    return Parameter(match["name"], match["kind"], default[1:-1] if default.startswith("'") else int(default))


def _take(question: Question, given: dict[str, Any]) -> dict[str, Any]:
    known = {parameter.name: parameter for parameter in question.parameters}
    for name in given:
        if name not in known:
            raise InputError(f"{question.name}: no parameter {name!r}; {_nearest(name, known)}")
    values: dict[str, Any] = {}
    for name, parameter in known.items():
        value = given.get(name, parameter.default)
        if value is None:
            raise InputError(f"{question.name}: parameter {name!r} is missing ({parameter.kind})")
        values[name] = _KINDS[parameter.kind](f"{question.name}: {name}", value)
    return values


def _text(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{where}: expected a text, got {value!r}")
    return value


def _integer(where: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise InputError(f"{where}: expected a whole number of at least 0, got {value!r}")
    return int(value)


def _instant(where: str, value: object) -> int:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return to_ms(value)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InputError(f"{where}: expected a datetime with a zone, or milliseconds, got {value!r}")
    return int(value)


def _known_until_s(as_of: datetime | date) -> int:
    """Last second [s, UTC] whose receipts count."""
    if isinstance(as_of, datetime):
        return _instant("as_of", as_of) // 1000
    midnight = datetime(as_of.year, as_of.month, as_of.day, tzinfo=CHINA)
    return (to_ms(midnight) + DAY_MS) // 1000 - 1


def _level(where: str, value: object) -> Level:
    levels = [str(level) for level in Level]
    if value not in levels:
        raise InputError(f"{where}: expected one of {', '.join(levels)}, got {value!r}")
    return Level(str(value))


def _coal_level(where: str, value: object) -> Level:
    levels = [str(level) for level in COAL_LEVELS]
    if value not in levels:
        raise InputError(
            f"{where}: expected {', '.join(levels)} (coal is known from the day up), got {value!r}"
        )
    return Level(str(value))


def _stamp(where: str, value: object) -> str:
    if value not in ("start", "end"):
        raise InputError(f"{where}: expected start or end (of the period), got {value!r}")
    return str(value)


def _texts(where: str, value: object) -> list[list[str]]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InputError(f"{where}: expected a list of texts, got {value!r}")
    return [[_text(where, item)] for item in value]


def _points(where: str, value: object) -> list[list[str]]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InputError(f"{where}: expected a list of (enterprise, point), got {value!r}")
    rows = [[] if isinstance(item, str) else list(item) for item in value]
    if not all(len(row) == 2 and all(isinstance(text, str) for text in row) for row in rows):
        raise InputError(f"{where}: expected pairs (enterprise, point)")
    return rows


def _services(where: str, value: object) -> list[list[object]]:
    rows = [] if not isinstance(value, Iterable) else [list(row) for row in value]
    if not rows or not all(len(row) == len(_SERVICE) for row in rows):
        raise InputError(f"{where}: expected rows of {', '.join(_SERVICE)}")
    return rows


def _spans(where: str, value: object) -> list[list[str | int]]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InputError(f"{where}: expected a list of (enterprise, from, to), got {value!r}")
    return [[_text(where, who), _instant(where, start), _instant(where, end)] for who, start, end in value]


def _instants(where: str, value: object) -> list[int]:
    items = value if isinstance(value, list | tuple | np.ndarray) else [value]
    return [_instant(where, item) for item in items]


_KINDS = {
    "text": _text,
    "integer": _integer,
    "instant": _instant,
    "level": _level,
    "coal_level": _coal_level,
    "stamp": _stamp,
    "texts": _texts,
    "points": _points,
    "instants": _instants,
    "spans": _spans,
    "shifts": calendar_name,
    "services": _services,
}


def _align(level: Level, values: dict[str, Any]) -> None:
    """Move start and end up to the next period: the same rows, also when summed from a lower level."""
    for name in ("start", "end"):
        at = np.array([values[name]], dtype=np.int64)
        start = period_start_ms(level, at)
        values[name] = int(np.where(start < at, next_period_ms(level, start), start)[0])


def _stamped_by_end(answer: pa.Table, level: Level) -> pa.Table:
    """Name each period by its end, for readers who stamp it so; its name within the system stays its start."""
    place = answer.column_names.index("period_start")
    column = answer.column(place)
    ends = next_period_ms(level, column.cast(pa.int64()).to_numpy())
    return answer.set_column(place, "period_end", pa.array(ends).cast(column.type))


def _wanted(question: Question, values: dict[str, Any]) -> ExternalData | None:
    kinds = {parameter.kind: parameter.name for parameter in question.parameters}
    if "points" in kinds:
        rows, starts = values.pop(kinds["points"]), values.pop(kinds["instants"])
        if len(starts) not in (1, len(rows)):
            raise InputError(f"{question.name}: {len(rows)} points, {len(starts)} instants; one, or one each")
        starts = starts * len(rows) if len(starts) == 1 else starts
        rows = [[*row, start] for row, start in zip(rows, starts, strict=True)]
        structure = ["enterprise LowCardinality(String)", "point LowCardinality(String)", "from_ms Int64"]
    elif "services" in kinds:
        rows, structure = values.pop(kinds["services"]), [*_SERVICE]
    elif "shifts" in kinds:
        rows = shift_rows(values.pop(kinds["shifts"]), values["start"], values["end"])
        structure = [*STRUCTURE]
    elif "spans" in kinds:
        rows = values.pop(kinds["spans"])
        structure = ["enterprise LowCardinality(String)", "from_ms Int64", "to_ms Int64"]
    elif "texts" in kinds:
        rows, structure = values.pop(kinds["texts"]), ["enterprise String"]
    else:
        return None
    body = b"\n".join(map(msgspec.json.encode, rows))
    return ExternalData(file_name="wanted", data=body, fmt="JSONCompactEachRow", structure=structure)


def _render(question: Question, scope: Scope, level: Level, as_of: bool) -> str:
    def windows(match: re.Match[str]) -> str:
        return source(Level(match["level"] or level), as_of, match["predicate"].strip())

    def edge(match: re.Match[str]) -> str:
        return (period if match["which"] == "period" else following)(level, match["at"])

    def past(match: re.Match[str]) -> str:
        text = match["text"].strip()
        if match["which"] == "newest":
            return newest(match["table"], as_of, text)
        if match["which"] == "versions":
            return versions(level, as_of, text)
        return readings(as_of, text) if match["which"] == "readings" else known(text, as_of)

    def totals(match: re.Match[str]) -> str:
        return total_source(level, match["predicate"].strip(), as_of)

    sql = _TOTALS.sub(totals, _WINDOWS.sub(windows, question.sql))
    sql = _NAME.sub(_named, _EDGE.sub(edge, _PAST.sub(past, sql)))
    sql = sql.replace("{scope_region_rows}", f"({_region_predicate(scope)})")
    return sql.replace("{scope}", f"({_predicate(scope)})")


def _named(match: re.Match[str]) -> str:
    """Expression that gives a number of a closed list its name, nothing for 0."""
    names = {member.value: member.name if member.value else "" for member in _LISTS[match["list"]]}
    column = match["column"]
    return f"transform(toUInt64({column}), {list(names)}, {list(names.values())}, toString({column}))"


def _predicate(scope: Scope) -> str:
    """What `scope` may see, as a condition on `enterprise`; whatever is not known sees nothing."""
    limits = []
    if scope.region:
        limits.append(_OWN_REGION)
    if scope.enterprise:
        limits.append(_OWN_ENTERPRISE)
    if scope.role in _NATION:
        return " AND ".join(limits) or "true"
    if scope.role in _GOVERNMENT and scope.region:
        return " AND ".join(limits)
    if scope.role == "enterprise" and scope.enterprise:
        return " AND ".join(limits)
    return _NOBODY


def _region_predicate(scope: Scope) -> str:
    """What `scope` may see of rows that belong to a region, as a condition on `region`; an enterprise sees none."""
    if scope.enterprise:
        return _NOBODY
    if scope.role in _NATION:
        return _REGION_ROWS if scope.region else "true"
    return _REGION_ROWS if scope.role in _GOVERNMENT and scope.region else _NOBODY
