"""Notices of wiring, people, clocks, regions, targets, output and values entered by hand, checked.

A notice that cannot be meant so is refused whole; the tables then hold nothing a page could stumble over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np

from nengliu.analysis.checks import ENTRY_LIMIT, check, check_bounds, check_names, check_texts, check_time
from nengliu.bus import Record
from nengliu.domain.calendars import days_of
from nengliu.domain.retention import DAYS_MIN
from nengliu.domain.tariffs import tariffs_of
from nengliu.domain.times import DAY_MS, Level, period_start_ms
from schemas.foreign import exact
from schemas.messages import (
    ActionNotice,
    Activity,
    ActivityNotice,
    BookNotice,
    EntryNotice,
    Notice,
    RegionNotice,
    RetentionNotice,
    Target,
    TargetNotice,
    TariffNotice,
    TickNotice,
    WiringNotice,
)

COMMENT_LIMIT = 1000
"""Characters of what a person writes."""
ACTIONS = ("acknowledge", "shelve", "unshelve", "close")
METRICS = {"energy_total": "tce", "energy_intensity": "tce/10k CNY"}
"""What a target may limit, and its unit."""
MEASURES = {
    "output_value": "10k CNY",
    "value_added": "10k CNY",
    "output": "t",
    "plan": "t",
    "staff": "persons",
    "shifts": "shifts",
}
"""What an enterprise reports of a month or day, and its unit, as in `measures.csv`; money at comparable prices."""
OF_PRODUCTS = ("output", "plan")
"""What may be told product by product: ``output:cement``."""
COUNTED = ("plan", "staff", "shifts")
"""What is never below zero; an output may be corrected by a negative one, value added may be a loss."""
ACTIVITY_ORIGINS = ("entered", "imported", "uploaded", "simulated")
VALUE_LIMIT = 40
"""Characters of a value entered by hand: 18 digits, a sign, a point, and room."""
_YEAR, _MONTH = r"[12]\d{3}", r"[12]\d{3}-(?:0[1-9]|1[0-2])"
_DAY = _MONTH + r"-(?:0[1-9]|[12]\d|3[01])"
_LATEST_S = 2**32 - 1
_DATED = (
    ActionNotice | TickNotice | BookNotice | TariffNotice | RetentionNotice | ActivityNotice | EntryNotice
)


def check_notice(notice: Notice, record: Record, future_s: int) -> None:
    """Refuse a notice that cannot be meant so; what happened may lie `future_s` [s] ahead of the log's append.

    Raises
    ------
    ContractError
        BAD_FIELD, NOT_A_TIME or STAMP_IN_FUTURE, naming the field.
    """
    limit_s = record.appended_at_s + future_s
    if isinstance(notice, _DATED):
        check_time("at_s", notice.at_s * 1000, limit_s * 1000)
        check_bounds(notice, {"at_s": (0, _LATEST_S)})
    found = _CHECKS.get(type(notice))
    if found is not None:
        found(notice)


def _check_wiring(notice: WiringNotice) -> None:
    lines = notice.lines
    meters = [meter for line in lines for meter in line.meters]
    points = [point for meter in meters for point in meter.points]
    entries = len(lines) + len(meters) + len(points)
    check("lines", f"{entries} entries", sound=entries <= ENTRY_LIMIT)
    check("enterprise", notice.enterprise, sound=bool(notice.enterprise))
    _check_words("source", [notice.source])
    _check_once("line", [line.line for line in lines])
    for line in lines:
        _check_once("meter", [meter.meter for meter in line.meters])
    _check_once("points", points)


def _check_action(notice: ActionNotice) -> None:
    check("enterprise", notice.enterprise, sound=bool(notice.enterprise))
    check("incident", notice.incident, sound=bool(re.fullmatch("[0-9a-f]{16}", notice.incident)))
    check("action", notice.action, sound=notice.action in ACTIONS)
    _check_words("by", [notice.by])
    check_texts("reason", [notice.reason], COMMENT_LIMIT)
    check_bounds(notice, {"until_s": (0, _LATEST_S)})
    if notice.action == "shelve":
        check("reason", notice.reason, sound=bool(notice.reason.strip()))
        check("until_s", notice.until_s, sound=notice.until_s > notice.at_s)


def _check_region(notice: RegionNotice) -> None:
    _check_code(notice.region)
    if notice.parent:
        _check_code(notice.parent, "parent")
    check("parent", notice.parent, sound=notice.parent != notice.region)
    _check_words("name", [notice.name])
    check_names("name_en", [notice.name_en])
    check_bounds(notice, {"row": (0, 255), "column": (0, 255)})


def _check_target(notice: TargetNotice) -> None:
    _check_code(notice.region)
    _check_figures("metric", METRICS, f"{_YEAR}|{_MONTH}", notice.targets)
    for target in notice.targets:
        check("value", target.value, sound=target.value >= 0)


def _check_activity(notice: ActivityNotice) -> None:
    check("enterprise", notice.enterprise, sound=bool(notice.enterprise))
    _check_figures("measure", MEASURES, f"{_MONTH}|{_DAY}", notice.activities)
    for one in notice.activities:
        counted = one.measure.partition(":")[0] in COUNTED
        check("value", one.value, sound=one.value is None or not counted or one.value >= 0)
        check("period", one.period, sound=is_period(one.period))
    check("origin", notice.origin, sound=notice.origin in ACTIVITY_ORIGINS)
    check_names("by", [notice.by])
    check("by", notice.by, sound=bool(notice.by) or notice.origin not in ("entered", "imported"))


def is_period(text: str) -> bool:
    """Whether a text names a month or a day there is.

    >>> is_period("2026-02"), is_period("2026-02-28"), is_period("2026-02-30")
    (True, True, False)
    """
    try:
        date.fromisoformat(text if len(text) > len("2026-02") else f"{text}-01")
    except ValueError:
        return False
    return re.fullmatch(f"{_MONTH}|{_DAY}", text) is not None


def _check_entry(notice: EntryNotice) -> None:
    """Refuse values nobody answers for, or that are no numbers; what a number means for its point is judged later."""
    check("enterprise", notice.enterprise, sound=bool(notice.enterprise))
    check("rows", f"{len(notice.rows)} entries", sound=0 < len(notice.rows) <= ENTRY_LIMIT)
    _check_words("by", [notice.by])
    for row in notice.rows:
        check_texts("value", [row.value], VALUE_LIMIT)
        exact(row.value)
    _check_words("point", [row.point for row in notice.rows])
    check_names("unit", [row.unit for row in notice.rows])
    check("why", "no reason", sound=all(row.why.strip() for row in notice.rows))
    check_names("why", [row.why for row in notice.rows], COMMENT_LIMIT)
    keys = [(row.point, row.read_at_ms) for row in notice.rows]
    check("read_at_ms", "the same point and time twice", sound=len(keys) == len(set(keys)))


def _check_tariff(notice: TariffNotice) -> None:
    rows = len(notice.hours) + len(notice.prices) + len(notice.days)
    check("hours", f"{rows} entries", sound=rows <= ENTRY_LIMIT)
    tariffs_of(notice.hours, notice.prices, days_of(notice.days))


def _check_retention(notice: RetentionNotice) -> None:
    """Refuse a horizon that is no start of a month, or would have less than three years kept (TC 4.1.4)."""
    latest_ms = notice.at_s * 1000 - DAYS_MIN * DAY_MS
    check_bounds(notice, {"begins_ms": (0, max(latest_ms, 0))})
    starts = int(period_start_ms(Level.MONTH, np.array([notice.begins_ms]))[0]) == notice.begins_ms
    check("begins_ms", notice.begins_ms, sound=starts)


def _check_figures(
    field: str, units: dict[str, str], periods: str, figures: tuple[Target, ...] | tuple[Activity, ...]
) -> None:
    """Check what is said of each period: a known word in its unit, a finite amount, a source one can read."""
    check("figures", f"{len(figures)} of them", sound=len(figures) <= ENTRY_LIMIT)
    for one in figures:
        word, _, product = getattr(one, field).partition(":")
        check(field, word, sound=word in units and (not product or word in OF_PRODUCTS))
        check("unit", one.unit, sound=one.unit == units[word])
        check("period", one.period, sound=bool(re.fullmatch(periods, one.period)))
        check("value", one.value, sound=one.value is None or math.isfinite(one.value))
    check_names("source", [one.source for one in figures])
    check_names(field, [getattr(one, field) for one in figures])
    keys = [(getattr(one, field), one.period) for one in figures]
    check("period", "the same twice", sound=len(keys) == len(set(keys)))


def _check_code(code: str, field: str = "region") -> None:
    check(field, code, sound=bool(re.fullmatch("[0-9]{6}", code)))


def _check_words(field: str, names: list[str]) -> None:
    check(field, "an empty name", sound=all(names))
    check_names(field, names)


def _check_once(field: str, names: list[str]) -> None:
    _check_words(field, names)
    check(field, "the same name twice", sound=len(names) == len(set(names)))


_CHECKS: dict[type[Any], Callable[[Any], None]] = {
    WiringNotice: _check_wiring,
    ActionNotice: _check_action,
    RegionNotice: _check_region,
    TargetNotice: _check_target,
    ActivityNotice: _check_activity,
    EntryNotice: _check_entry,
    TariffNotice: _check_tariff,
    RetentionNotice: _check_retention,
}
