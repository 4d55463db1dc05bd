"""Notices of wiring, people, clocks, regions, targets and output, checked.

A notice that cannot be meant so is refused whole; the tables then hold nothing a page could stumble over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from nengliu.analysis.checks import ENTRY_LIMIT, check, check_bounds, check_names, check_texts, check_time
from nengliu.bus import Record
from nengliu.domain.calendars import days_of
from nengliu.domain.retention import DAYS_MIN
from nengliu.domain.tariffs import tariffs_of
from nengliu.domain.times import DAY_MS, Level, period_start_ms
from schemas.messages import (
    ActionNotice,
    Activity,
    ActivityNotice,
    BookNotice,
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
MEASURES = {"output_value": "10k CNY", "value_added": "10k CNY", "output": "t"}
"""What an enterprise reports of a month, and its unit; money at comparable prices; ``output:cement`` of one product."""
_YEAR, _MONTH = r"[12]\d{3}", r"[12]\d{3}-(?:0[1-9]|1[0-2])"
_LATEST_S = 2**32 - 1


def check_notice(notice: Notice, record: Record, future_s: int) -> None:
    """Refuse a notice that cannot be meant so; what happened may lie `future_s` [s] ahead of the log's append.

    Raises
    ------
    ContractError
        BAD_FIELD, NOT_A_TIME or STAMP_IN_FUTURE, naming the field.
    """
    limit_s = record.appended_at_s + future_s
    if isinstance(notice, ActionNotice | TickNotice | BookNotice | TariffNotice | RetentionNotice):
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
    _check_figures("measure", MEASURES, _MONTH, notice.activities)


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
        check(field, word, sound=word in units and (not product or word == "output"))
        check("unit", one.unit, sound=one.unit == units[word])
        check("period", one.period, sound=bool(re.fullmatch(periods, one.period)))
        check("value", one.value, sound=math.isfinite(one.value))
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
    TariffNotice: _check_tariff,
    RetentionNotice: _check_retention,
}
