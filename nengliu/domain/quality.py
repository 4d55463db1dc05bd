"""Quality: one class and one reason code on every value; text is made in the reader's language.

The closed list of reasons lies in `schemas/codes/reasons.csv` (id, code, layer, zh, en).
Source: TC 3.0.2-1 and 4.4.3-2 (check on the network, communication and business layer).
"""

from __future__ import annotations

from enum import IntEnum


class Quality(IntEnum):
    """Class of trust of a reading; the order is storage, not rank."""

    GOOD = 0
    LATE = 1
    ESTIMATED = 2
    SUBSTITUTED = 3
    MANUAL = 4
    SUSPECT = 5
    BAD = 6
    MISSING = 7


class Origin(IntEnum):
    """How a reading came to be; part of its key, so a manual value stands beside a timed one."""

    TIMED = 0
    COMMAND = 1
    BACKFILL = 2
    MANUAL = 3
    FILE = 4
    OPC = 5
    SQL = 6


SPEAKS_FIRST = (
    Origin.TIMED,
    Origin.COMMAND,
    Origin.BACKFILL,
    Origin.OPC,
    Origin.SQL,
    Origin.FILE,
    Origin.MANUAL,
)
"""Of several origins at one instant the first of these counts: what a machine said goes before what people say.

Source: TC 4.3.5-3 (entry by hand supplements collection); the order within is ours (docs/decisions/0035).
"""


class Reason(IntEnum):
    """Why a reading is not simply good, or why a record was held back."""

    NONE = 0
    # network layer: the bytes themselves
    TRUNCATED = 101
    CORRUPT = 102
    NOT_A_MESSAGE = 103
    TOO_LARGE = 104
    # communication layer: the message as an agreement between two ends
    WRONG_VERSION = 201
    UNKNOWN_SCHEMA = 202
    WRONG_ENTERPRISE = 203
    MISSING_FIELD = 204
    BAD_FIELD = 205
    SCHEMA_CAME = 206
    TOO_MANY_WAIT = 207
    # business layer: the value as a statement about a meter
    UNKNOWN_POINT = 301
    WRONG_UNIT = 302
    NOT_A_NUMBER = 303
    NOT_FINITE = 304
    NOT_A_TIME = 305
    STAMP_IN_FUTURE = 306
    BEFORE_POINT = 307
    AFTER_POINT = 308
    NEGATIVE_REGISTER = 309
    OVER_MODULUS = 310
    OUT_OF_INT64 = 311
    OVER_RANGE = 312
    NOT_EXACT = 313
    CLOCK_STEP_BACK = 314
    EMPTY_VALUE = 315
    RAGGED_ROW = 316
    BEYOND_RETENTION = 317
    COMPUTED_POINT = 318
    # marks on accepted readings and windows
    CLOCK_REPAIRED = 401
    ARRIVED_LATE = 402
    REGISTER_BACKWARD = 403
    ROLLOVER = 404
    METER_CHANGED = 405
    INTERPOLATED = 406
    VALUE_CONFLICT = 407
    BACKFILLED = 408
    PARTIAL = 409
    # collector: why a due reading is missing, or an answer was no value
    TIMEOUT = 501
    LINE_DOWN = 502
    COLLECTOR_DOWN = 503
    GATEWAY = 504
    REFUSED = 505
    CONFIG = 506
    MISMATCH = 507
    DAMAGED = 508
    NO_DATA = 509
    BAD_BCD = 510
    OVERRUN = 511
    CLOCK_SET = 512
    UNKNOWN_UNIT = 513
    NOT_ASKED = 514
    DROPPED = 515


_OF_THE_WAY = (Reason.CLOCK_REPAIRED, Reason.ARRIVED_LATE, Reason.BACKFILLED)
GRAVITY = tuple(sorted(Reason, key=lambda reason: (reason not in (Reason.NONE, *_OF_THE_WAY), reason)))
"""All reasons, the gravest last: how a value came to us never hides what is wrong with it."""
