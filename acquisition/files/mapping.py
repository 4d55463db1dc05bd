"""MAP.toml: what a file says, put in words once; `examples/maps/README.md` is the page for people.

A map names the enterprise, how the file is written, how its stamps are meant and which
column (wide form) or which value of the point column (long form) is which point.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from acquisition.files.catalogue import Series, read_series
from acquisition.files.keys import Keys
from acquisition.files.stamps import StampRule, check_format, zone_of
from nengliu.domain.points import Enterprise, Kind
from nengliu.domain.quality import Origin
from nengliu.errors import InputError

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""Characters of a unit code; no I, O, S, V, Z.  Source: GB 32100-2015."""
NULLS = ("", "#N/A", "N/A", "NA", "null", "NULL", "--", "-", "Not Available")
"""Texts that say there is no value, unless the map lists its own."""
ENCODINGS = ("auto", "utf-8", "utf-8-sig", "gb18030")
MARKS = ("start", "end", "instant")


@dataclass(frozen=True, slots=True)
class FileRule:
    """How the file is written.

    Parameters
    ----------
    encoding
        auto (byte-order mark, then UTF-8, then GB18030, each strictly), or one of them.
    skip, skip_after
        Lines before the header, and after it, that are no data.
    header
        False: columns are named 1, 2, 3 ...
    nulls
        Texts of a cell that holds no value.
    """

    encoding: str = "auto"
    delimiter: str = ","
    sheet: str = ""
    skip: int = 0
    header: bool = True
    skip_after: int = 0
    nulls: frozenset[str] = frozenset(NULLS)
    origin: Origin = Origin.FILE


@dataclass(frozen=True, slots=True)
class TimeRule:
    """What the stamps mean.

    Parameters
    ----------
    mark
        A stamp names the start or the end of its interval, or an instant.
    clock
        free: rows need no order; strict: a stamp before the previous row's is rejected;
        repair: it is repaired where the order of rows proves the true time.
    received
        now, stamp, or the column that says when the value was received.
    """

    stamp: StampRule
    mark: str
    interval_s: int
    clock: str
    received: str | StampRule


@dataclass(frozen=True, slots=True)
class LongRule:
    """The columns of a long file: which point, which value, and in which unit (empty: none says)."""

    column: str
    value: str
    unit: str


@dataclass(frozen=True, slots=True)
class Map:
    """A map as understood; `text` is its canonical form, comments and order left out."""

    enterprise: Enterprise
    file: FileRule
    time: TimeRule
    series: tuple[Series, ...]
    long: LongRule | None
    text: str

    def columns(self) -> tuple[str, ...]:
        """Names of the file's columns that are needed."""
        names = list(self.time.stamp.columns)
        if isinstance(self.time.received, StampRule):
            names += self.time.received.columns
        if self.long is None:
            names += [series.source for series in self.series]
        else:
            names += [self.long.column, self.long.value, self.long.unit]
        return tuple(dict.fromkeys(name for name in names if name))


def load_map(path: Path) -> Map:
    """Read a map from a file.

    Raises
    ------
    InputError
        It cannot be read, is no TOML, or says something a map cannot say; the message names the key.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: expected a map as TOML in UTF-8, got {error}; see nengliu import --help"
        ) from error
    return parse_map(text, path.name)


def parse_map(text: str, where: str = "map") -> Map:
    """Read a map from TOML text; InputError as `load_map`."""
    try:
        table = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: expected TOML, got: {error}") from error
    keys = Keys(table, where)
    enterprise = _enterprise(keys.within("enterprise"))
    file, time = _file(keys.within("file")), _time(keys.within("time"))
    long = _long(keys.within("points")) if keys.has("points") else None
    defaults, tables = keys.within("defaults"), keys.each("point")
    keys.close()
    if not tables:
        raise InputError(
            f"{where}: expected at least one [[point]], got none; describe each column that is wanted"
        )
    series = read_series(enterprise.enterprise, tables, defaults, time.interval_s, long=long is not None)
    _check_marks(where, time, series)
    canonical = json.dumps(table, sort_keys=True, default=str, ensure_ascii=False)
    return Map(enterprise, file, time, series, long, canonical)


def check_character(code: str) -> str:
    """Check character of the first 17 characters of a unit code (GB 32100-2015).

    >>> check_character("91320000MA1EXAMPL")
    '3'
    """
    total = sum(ALPHABET.index(one) * pow(3, n, 31) for n, one in enumerate(code[:17]))
    return ALPHABET[-total % 31]


def _enterprise(keys: Keys) -> Enterprise:
    code, check = keys.text("code"), keys.flag("check", True)
    if not re.fullmatch(f"[{ALPHABET}]{{18}}", code):
        keys.fail("code", "18 characters of 0-9 and A-Y without I, O, S, V, Z (unified social credit code)")
    if check and code[17] != check_character(code):
        cure = "correct the code, or set check = false if it is no real one"
        keys.fail("code", f"check character {check_character(code)} at the end (GB 32100)", cure)
    name = keys.text("name", code)
    region, industry = keys.text("region", ""), keys.text("industry", "")
    if region and not re.fullmatch(r"\d{6}", region):
        keys.fail("region", "6 digits (GB/T 2260)")
    if industry and not re.fullmatch(r"[A-T]\d{0,4}", industry):
        keys.fail("industry", "a letter and up to 4 digits (GB/T 4754), such as C3110")
    found = Enterprise(code, name, keys.text("name_en", ""), region, industry, keys.flag("simulated", False))
    keys.close()
    return found


def _file(keys: Keys) -> FileRule:
    origins = {origin.name.lower(): origin for origin in Origin}
    found = FileRule(
        encoding=keys.choice("encoding", ENCODINGS, "auto"),
        delimiter=keys.text("delimiter", ","),
        sheet=keys.text("sheet", ""),
        skip=keys.whole("skip", 0),
        header=keys.flag("header", True),
        skip_after=keys.whole("skip_after", 0),
        nulls=frozenset(keys.texts("nulls", NULLS)),
        origin=origins[keys.choice("origin", tuple(origins), "file")],
    )
    if len(found.delimiter) != 1:
        keys.fail("delimiter", "one character")
    keys.close()
    return found


def _time(keys: Keys) -> TimeRule:
    stamp = _stamp(keys)
    interval_s = keys.seconds("interval", 0)
    clocks = ("free", "strict", "repair")
    clock = keys.choice("clock", clocks, "strict" if interval_s else "free")
    if clock == "repair" and not interval_s:
        keys.fail("interval", "the interval of the rows, since clock = repair needs it", 'such as "15min"')
    mark = keys.choice("stamp", MARKS, "instant")
    received: str | StampRule = "now"
    if isinstance(keys.table.get("received"), dict):
        inner = keys.within("received")
        received = _stamp(inner, stamp)
        inner.close()
    else:
        received = keys.choice("received", ("now", "stamp"), "now")
    keys.close()
    return TimeRule(stamp, mark, interval_s, clock, received)


def _stamp(keys: Keys, like: StampRule | None = None) -> StampRule:
    columns = keys.texts("column")
    formats = keys.texts("format", like.formats if like else ("iso",))
    zone = keys.text("zone", like.zone if like else "Asia/Shanghai")
    try:
        zone_of(zone)
        for pattern in formats:
            check_format(pattern)
    except ValueError as error:
        raise InputError(f"{keys.where}: {error}") from error
    if len(formats) > 1 and any(pattern.startswith("epoch") for pattern in formats):
        keys.fail("format", "an epoch format alone, or several others")
    return StampRule(columns, formats, zone)


def _long(keys: Keys) -> LongRule:
    found = LongRule(keys.text("column"), keys.text("value"), keys.text("unit", ""))
    keys.close()
    return found


def _check_marks(where: str, time: TimeRule, series: tuple[Series, ...]) -> None:
    for point in (one.point for one in series if one.point.kind is Kind.PERIOD):
        if time.mark == "instant":
            raise InputError(
                f"{where}: [time] stamp: expected start or end, since {point.point} is a period's amount; "
                "say whether a stamp names the start or the end of its interval"
            )
        if not point.interval_s:
            told = f"{where}: {point.point}: expected an interval, since it is an amount per interval"
            raise InputError(f"{told}; set [time] interval")
