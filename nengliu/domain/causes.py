"""Causes of incidents, and the evidence they rest on: two closed lists.

The words lie in `schemas/codes/causes.csv` (id, code, class, severity, zh, en, advice_zh, advice_en)
and `schemas/codes/evidence.csv` (code, zh, en with {parameters}).
Source: TC 4.5.12-3 (tell meter faults from faults of the communication); domain.md 6.2; split ours.
"""

from __future__ import annotations

import csv
import functools
from enum import IntEnum, StrEnum
from importlib import resources


class CauseClass(StrEnum):
    """Where the cause lies, and so who has to act."""

    LINK = "link"
    METER = "meter"
    CONFIGURATION = "configuration"
    POWER = "power"


class Cause(IntEnum):
    """What an incident is; numbers are stored and never re-used, the hundred tells the class."""

    COLLECTOR_SILENT = 101
    LINE_DOWN = 102
    METER_SILENT = 103
    DAMAGED = 104
    LATE = 105
    CLOCK = 106
    DUPLICATE = 107
    CACHED_VALUE = 108
    LOSS = 109
    ACCESS = 110
    BACKWARD = 201
    JUMP = 202
    STUCK = 203
    OVER_RANGE = 204
    NEGATIVE = 205
    OVER_POWER = 206
    RESET = 207
    SELF_REPORTED = 208
    CONSTANT = 209
    UNIT = 301
    UNKNOWN_POINT = 302
    REFUSES = 303
    POWER_LOSS = 401


class Evidence(StrEnum):
    """What was seen; a rule says evidence, never a cause (`nengliu.analysis.watch.diagnosis` decides)."""

    COLLECTOR_QUIET = "COLLECTOR_QUIET"
    LINE_QUIET = "LINE_QUIET"
    METER_QUIET = "METER_QUIET"
    COLLECTOR_STOPPED = "COLLECTOR_STOPPED"
    LINE_DOWN = "LINE_DOWN"
    METER_DOWN = "METER_DOWN"
    METER_REFUSES = "METER_REFUSES"
    ANSWER_DAMAGED = "ANSWER_DAMAGED"
    MESSAGE_DAMAGED = "MESSAGE_DAMAGED"
    CAME_LATE = "CAME_LATE"
    BACKFILLED = "BACKFILLED"
    CLOCK_OFF = "CLOCK_OFF"
    STAMP_AHEAD = "STAMP_AHEAD"
    CAME_AGAIN = "CAME_AGAIN"
    CONTRADICTED = "CONTRADICTED"
    HOLES = "HOLES"
    CAUGHT_UP = "CAUGHT_UP"
    ACCESS_REFUSED = "ACCESS_REFUSED"
    UNIT_REFUSED = "UNIT_REFUSED"
    POINT_UNKNOWN = "POINT_UNKNOWN"
    WENT_BACKWARD = "WENT_BACKWARD"
    BEGAN_ANEW = "BEGAN_ANEW"
    JUMPED = "JUMPED"
    OVER_RATED = "OVER_RATED"
    STOOD_STILL = "STOOD_STILL"
    VALUE_CONSTANT = "VALUE_CONSTANT"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    BELOW_ZERO = "BELOW_ZERO"
    MARKED_BAD = "MARKED_BAD"
    POWER_GONE = "POWER_GONE"


@functools.cache
def _table() -> dict[int, dict[str, str]]:
    text = resources.files("schemas").joinpath("codes/causes.csv").read_text(encoding="utf-8")
    return {int(row["id"]): row for row in csv.DictReader(text.splitlines())}


def class_of(cause: Cause) -> CauseClass:
    """Class of a cause.

    >>> class_of(Cause.STUCK).value
    'meter'
    """
    return CauseClass(_table()[cause]["class"])


def severity_of(cause: Cause) -> int:
    """Severity of a cause: 1 (worst) to 3.

    >>> severity_of(Cause.COLLECTOR_SILENT)
    1
    """
    return int(_table()[cause]["severity"])
