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
    LINE_NOISY = 13
    LINE_CLEAR = 14
    METER_UP = 21
    METER_DOWN = 22
    METER_REFUSES = 23
    ANSWER_DAMAGED = 24
    METER_CLOCK_OFF = 25
    METER_CLOCK_SET = 26
    METER_STATUS = 27
    METER_STATUS_CLEAR = 28
    GAP_FILLED = 29
    METER_FOREIGN = 30
    LOG_UP = 31
    LOG_DOWN = 32
    QUEUE_HIGH = 33
    BACKFILL_DONE = 34
    BAD_ACKNOWLEDGEMENT = 35
    DATA_DROPPED = 36
    CLOCK_OFFSET = 41
    CLOCK_TRUE = 42
    CLOCK_UNSURE = 43
    CLOCK_SET = 44
    CONFIG_APPLIED = 51
    CONFIG_REFUSED = 52
    CONFIG_ROLLED_BACK = 53
    COMMAND_ANSWERED = 54
