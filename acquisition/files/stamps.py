"""Stamps: text, cells or numbers become instants; what is ambiguous is refused, never guessed.

Local civil time with daylight saving has hours that come twice and hours that never
come; a stamp in one of them has no certain instant and is rejected with the reason.
China civil time is UTC+8 throughout (`nengliu.domain.times`), whatever the time-zone
database says of 1986-1991.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from acquisition.files.reader import Cells, Instants, Numbers
from nengliu.domain.times import CHINA_OFFSET_MS, DAY_MS, QUARTER_MS
from nengliu.errors import nearest

Int64s = npt.NDArray[np.int64]
NAT = -(2**63)
"""No instant."""
EARLIEST_MS = 0
LATEST_MS = 4_102_444_800_000
"""1970-01-01 and 2100-01-01: beyond lies no meter's history, and the store's DateTime ends in 2106."""
AS_CHINA = "local-as-china"
"""Zone: the place's own civil time is taken as China civil time, so its days and months stay its own."""

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - local time; the zone of the map comes after
_EPOCH_UTC = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EPOCH_MS = _EPOCH.toordinal() * DAY_MS
_MS = dt.timedelta(milliseconds=1)
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?")
_GROUPS = {"Y": r"(?P<Y>\d{4})", "m": r"(?P<m>\d{1,2})", "d": r"(?P<d>\d{1,2})"} | {
    name: rf"(?P<{name}>\d{{1,2}})" for name in "HMS"
}
Parser = Callable[[str], tuple[int, bool]]
"""Text to (milliseconds, whether they are UTC rather than local); ValueError if it is no such text."""


@dataclass(frozen=True, slots=True)
class StampRule:
    """Which columns hold a stamp (several are joined by a space), how it is written, and in which zone."""

    columns: tuple[str, ...]
    formats: tuple[str, ...] = ("iso",)
    zone: str = "Asia/Shanghai"


@dataclass(frozen=True, slots=True)
class Stamps:
    """Instants [ms, UTC] (n,), `NAT` where there is none, and why there is none."""

    at_ms: Int64s
    why: dict[int, str]


def zone_of(name: str) -> int | zoneinfo.ZoneInfo:
    """Understand a zone: its fixed offset [ms], or its rules.

    Raises
    ------
    ValueError
        It is neither an offset nor a zone of the database.

    >>> zone_of("+05:30") // 60_000
    330
    >>> zone_of("Asia/Shanghai") == zone_of("local-as-china") == 8 * 3_600_000
    True
    """
    if name in ("Asia/Shanghai", "PRC", AS_CHINA):
        return CHINA_OFFSET_MS
    if name in ("UTC", "Z", "GMT"):
        return 0
    found = _OFFSET.fullmatch(name)
    if found and int(found[2]) <= 14:
        minutes = int(found[2]) * 60 + int(found[3] or 0)
        return (minutes if found[1] == "+" else -minutes) * 60_000
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        known = [AS_CHINA, "Asia/Shanghai", "UTC", "+08:00", *sorted(zoneinfo.available_timezones())]
        raise ValueError(
            f"zone: expected an IANA zone or an offset, got {name!r}; {nearest(name, known)}"
        ) from error


def check_format(pattern: str) -> None:
    """Refuse what is neither iso, epoch_s, epoch_ms nor a strptime format (ValueError)."""
    if pattern in ("iso", "epoch_s", "epoch_ms"):
        return
    if "%" not in pattern:
        known = nearest(pattern, ("iso", "epoch_s", "epoch_ms", "%Y-%m-%d %H:%M"))
        raise ValueError(
            f"format: expected iso, epoch_s, epoch_ms or strptime codes, got {pattern!r}; {known}"
        )
    sample = dt.datetime(2018, 12, 31, 23, 59, 58, tzinfo=dt.UTC)
    try:
        dt.datetime.strptime(sample.strftime(pattern), pattern)  # noqa: DTZ007 - only tried
    except (ValueError, re.error) as error:
        raise ValueError(f"format: expected strptime codes, got {pattern!r}: {error}") from error


class StampReader:
    """Reads the stamps of one column as its rule says."""

    def __init__(self, rule: StampRule) -> None:
        self.rule, self.zone = rule, zone_of(rule.zone)
        self.scale = {"epoch_s": 1000, "epoch_ms": 1}.get(rule.formats[0], 0)
        self.parsers = [] if self.scale else [parser_of(pattern) for pattern in rule.formats]
        self.offsets: dict[int, int | str] = {}

    def read(self, cells: Cells) -> Stamps:
        """Turn cells into instants; never raises for a cell."""
        why: dict[int, str] = {}
        if isinstance(cells, Instants):
            ms = np.where(cells.null, NAT, cells.ms)
            aware = np.full(len(ms), cells.aware)
        elif isinstance(cells, Numbers):
            ms, aware = self._numbers(cells)
        else:
            ms, aware = self._cells(cells)
        if not aware.all():
            ms = self._to_utc(ms, ~aware, why)
        outside = (ms != NAT) & ((ms < EARLIEST_MS) | (ms >= LATEST_MS))
        why |= dict.fromkeys(np.flatnonzero(outside).tolist(), "out_of_range")
        return Stamps(np.where(outside, NAT, ms), why)

    def _numbers(self, cells: Numbers) -> tuple[Int64s, npt.NDArray[np.bool_]]:
        scale = self.scale or 1
        with np.errstate(invalid="ignore", over="ignore"):
            usable = ~cells.null & np.isfinite(cells.values) & (np.abs(cells.values) < 2**62 // 1000)
        if not self.scale:
            usable[:] = False
        values = np.where(usable, cells.values, 0)
        ms = values * scale if values.dtype == np.int64 else np.rint(values.astype(np.float64) * scale)
        return np.where(usable, ms.astype(np.int64), NAT), np.ones(len(ms), bool)

    def _cells(self, cells: Sequence[object]) -> tuple[Int64s, npt.NDArray[np.bool_]]:
        ms, aware = np.full(len(cells), NAT, np.int64), np.ones(len(cells), bool)
        first = self.parsers[0] if self.parsers else _epoch(self.scale)
        for i, cell in enumerate(cells):
            try:
                ms[i], aware[i] = first(cell) if type(cell) is str else self._cell(cell)
            except (ValueError, ArithmeticError):
                if type(cell) is str:
                    ms[i], aware[i] = self._otherwise(cell.strip())
        return ms, aware

    def _cell(self, cell: object) -> tuple[int, bool]:
        if isinstance(cell, dt.datetime):
            return _of_datetime(cell)
        if isinstance(cell, dt.date):
            return _of_datetime(dt.datetime(cell.year, cell.month, cell.day))  # noqa: DTZ001
        if isinstance(cell, int | float) and not isinstance(cell, bool) and self.scale:
            return round(cell * self.scale), True
        return NAT, True

    def _otherwise(self, text: str) -> tuple[int, bool]:
        for parser in self.parsers or [_epoch(self.scale)]:
            try:
                return parser(text)
            except (ValueError, ArithmeticError):
                continue
        return NAT, True

    def _to_utc(self, ms: Int64s, local: npt.NDArray[np.bool_], why: dict[int, str]) -> Int64s:
        rows = np.flatnonzero(local & (np.abs(ms) < 2**50))
        found = np.where(local, NAT, ms)
        if isinstance(self.zone, int):
            found[rows] = ms[rows] - self.zone
            return found
        quarters, of_row = np.unique(ms[rows] // QUARTER_MS, return_inverse=True)
        offsets = [self._offset(int(quarter)) for quarter in quarters]
        for n, offset in enumerate(offsets):
            if isinstance(offset, str):
                why |= dict.fromkeys(rows[of_row == n].tolist(), offset)
        table = np.array([NAT if isinstance(offset, str) else offset for offset in offsets], np.int64)
        certain = table[of_row] != NAT
        found[rows[certain]] = ms[rows[certain]] - table[of_row[certain]]
        return found

    def _offset(self, quarter: int) -> int | str:
        """Offset [ms] in force during a local quarter-hour, or why it is not certain."""
        known = self.offsets.get(quarter)
        if known is None:
            if not 0 <= quarter * QUARTER_MS < LATEST_MS + DAY_MS:
                return "out_of_range"
            known = self.offsets[quarter] = _certain_offset(quarter * QUARTER_MS, self.zone)
        return known


def _certain_offset(local_ms: int, zone: int | zoneinfo.ZoneInfo) -> int | str:
    assert isinstance(zone, zoneinfo.ZoneInfo)
    local = (_EPOCH + dt.timedelta(milliseconds=local_ms)).replace(tzinfo=zone)
    early, late = local.utcoffset(), local.replace(fold=1).utcoffset()
    assert early is not None
    assert late is not None
    if early > late:
        return "ambiguous_local_time"
    if early < late:
        return "no_such_local_time"
    return early // _MS


def parser_of(pattern: str) -> Parser:
    """Make the parser of a strptime format or of iso; 24:00 is the next day's 0:00.

    >>> parser_of("%d/%m/%Y %H:%M")("31/12/2018 24:00") == parser_of("iso")("2019-01-01T00:00")
    True
    """
    if pattern == "iso":
        return lambda text: _of_datetime(dt.datetime.fromisoformat(text))
    codes = re.findall(r"%(.)", pattern)
    separated = not re.search(r"%.%|%.\d", pattern)
    if (
        set(codes) <= set("YmdHMS")
        and len(set(codes)) == len(codes)
        and {"Y", "m", "d"} <= set(codes)
        and separated
    ):
        return _numeric(pattern)
    return lambda text: _of_datetime(dt.datetime.strptime(text, pattern))  # noqa: DTZ007


def _numeric(pattern: str) -> Parser:
    parts = re.split(r"%(.)", pattern)
    literal = [re.escape(part) if n % 2 == 0 else _GROUPS[part] for n, part in enumerate(parts)]
    match = re.compile("".join(literal), re.ASCII).fullmatch
    days: dict[tuple[str, str, str], int] = {}

    def parse(text: str) -> tuple[int, bool]:
        found = match(text)
        if found is None:
            raise ValueError(text)
        at = found.groupdict("0")
        day = at["Y"], at["m"], at["d"]
        if (start := days.get(day)) is None:
            if len(days) > 1000:
                days.clear()
            start = days[day] = (
                dt.date(int(day[0]), int(day[1]), int(day[2])).toordinal() * DAY_MS - _EPOCH_MS
            )
        hour, minute, second = int(at.get("H", 0)), int(at.get("M", 0)), int(at.get("S", 0))
        if minute > 59 or second > 59 or hour > 24 or (hour == 24 and minute + second):
            raise ValueError(text)
        return start + ((hour * 60 + minute) * 60 + second) * 1000, False

    return parse


def _epoch(scale: int) -> Parser:
    def parse(text: str) -> tuple[int, bool]:
        return round(Decimal(text) * scale), True

    return parse


def _of_datetime(moment: dt.datetime) -> tuple[int, bool]:
    if moment.tzinfo is None:
        return round((moment - _EPOCH) / _MS), False
    return round((moment - _EPOCH_UTC) / _MS), True
