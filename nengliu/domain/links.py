"""Links: the states of collectors, lines and meters, as events that are no readings.

The words lie in `schemas/codes/links.csv` (id, code, down, zh, en).
Source: design.md section 5 (link event); TC 4.3.3 (report a meter that cannot be read).
"""

from __future__ import annotations

from enum import IntEnum


class LinkKind(IntEnum):
    """What a link event says; numbers are stored and never re-used."""

    COLLECTOR_STARTED = 1
    COLLECTOR_STOPPED = 2
    HEARTBEAT = 3
    LINE_UP = 11
    LINE_DOWN = 12
    METER_UP = 21
    METER_DOWN = 22
    METER_REFUSES = 23
    ANSWER_DAMAGED = 24
    LOG_UP = 31
    LOG_DOWN = 32
    QUEUE_HIGH = 33
    BACKFILL_DONE = 34
