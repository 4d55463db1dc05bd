"""A plant's past as messages for the log: readings of a day in one message, in order of receipt.

The history holds what real years hold: silent lines whose registers catch up, readings that
come late, twice or all at once, registers that stick or jump, one rollover and one change of a meter.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from acquisition.simulator.load import QUARTERS, uniform
from acquisition.simulator.plant import (
    BLOCK_DAYS,
    SCHEMA,
    Plant,
    line_of,
    meter_points,
    readings,
    steps,
)
from acquisition.simulator.site import Flaw, FlawKind
from nengliu.domain.links import LinkKind
from nengliu.domain.points import Kind
from nengliu.domain.quality import Origin, Reason
from nengliu.domain.times import DAY_MS, HOUR_MS, QUARTER_MS, Level, day_of, day_start, period_start_ms
from schemas.messages import MISSING, Frame, LinkEvent, LinkNotice, Missed, RowsFrame

TWICE_IN = 400
"""One message in so many is delivered twice, as every bus does now and then."""
HELD_PER_S = 10
"""Stamps that a collector sends per second when it is on line again."""
_UNREAD = {
    FlawKind.METER: Reason.TIMEOUT,
    FlawKind.LINE: Reason.LINE_DOWN,
    FlawKind.STOPPED: Reason.COLLECTOR_DOWN,
}

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Readings in order of receipt: column, stamp [ms], value and receipt [s], each int64 (n,)."""

    column: Int64s
    read_at_ms: Int64s
    values: Int64s
    received_at_s: Int64s

    def take(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64] | slice) -> Rows:
        """Keep some of them."""
        return Rows(*(getattr(self, one.name)[which] for one in fields(self)))

    def join(self, later: Rows) -> Rows:
        """Put others beside them; all are in order of receipt again."""
        joined = Rows(
            *(np.concatenate([getattr(self, one.name), getattr(later, one.name)]) for one in fields(self))
        )
        return joined.take(np.argsort(joined.received_at_s, kind="stable"))


END_S = 2**62
"""After everything [s]."""
NO_ROWS = Rows(*(np.empty(0, np.int64) for _ in range(4)))


def history(plant: Plant) -> Iterator[RowsFrame | LinkNotice]:
    """Tell the past in order of receipt."""
    return itertools.chain.from_iterable(days_of(plant))


def days_of(plant: Plant) -> Iterator[list[RowsFrame | LinkNotice]]:
    """Tell the past by China days of receipt, each in order of receipt.

    All plants of a history have as many of them, so that a province is told day by day.
    """
    numbers, waiting = itertools.count(), NO_ROWS
    links = sorted(_links(plant), key=lambda notice: notice.received_at_s)
    first, last = (int(day) for day in day_of(np.array([plant.start_ms, plant.end_ms])))
    ends_s = (day_start(np.arange(first + 1, last + 1)) // 1000).tolist()
    read_s = 0
    for end_s in [*ends_s, END_S]:
        while read_s < min(end_s, plant.end_ms // 1000 + 1):
            waiting, read_s = _read_more(plant, waiting, read_s)
        told: list[RowsFrame | LinkNotice] = []
        while links and links[0].received_at_s < end_s:
            notice = links.pop(0)
            waiting = _tell(plant, waiting, notice.received_at_s, numbers, told)
            told.append(_numbered(plant, notice, next(numbers)))
        waiting = _tell(plant, waiting, end_s, numbers, told)
        yield told


def booked(plant: Plant, after_ms: int, now_ms: int, boot_s: int, number: int) -> Frame | None:
    """One frame of the amounts that no meter shows: of the quarter-hours that ended since `after_ms`, if any did.

    Parameters
    ----------
    after_ms, now_ms
        The quarter-hours ended in ``(after_ms, now_ms]`` and after the history [ms, UTC].
    boot_s, number
        Second the telling began [s, UTC] and the number of the frame since then.
    """
    first = max(after_ms, plant.end_ms) // QUARTER_MS
    starts = np.arange(first, now_ms // QUARTER_MS, dtype=np.int64) * QUARTER_MS
    if not len(starts):
        return None
    values = steps(plant, first - plant.start_ms // QUARTER_MS, len(starts)).copy()
    values[:, [channel.kind is not Kind.PERIOD for channel in plant.channels]] = MISSING
    sequence, received_at_s = boot_s << 32 | number, -(-now_ms // 1000)
    return Frame(
        plant.enterprise.enterprise, SCHEMA, plant.site.slug, sequence, received_at_s, starts, values
    )


def readings_of(message: object) -> int:
    """Count the readings in a message of a story."""
    if isinstance(message, RowsFrame):
        return len(message.column)
    return int((message.values != MISSING).sum()) if isinstance(message, Frame) else 0


def span_of(plant: Plant, flaw: Flaw) -> tuple[int, int]:
    """When a flaw lasts, as [start, end) ms; within one month, and nowhere if the history is too short."""
    start = plant.end_ms - round(flaw.before_end_h * HOUR_MS)
    length = round(flaw.hours * HOUR_MS)
    if start < plant.start_ms + DAY_MS:
        return plant.start_ms, plant.start_ms
    months = period_start_ms(Level.MONTH, np.array([start, start + length], dtype=np.int64))
    start = start if months[0] == months[1] else int(months[1]) + HOUR_MS
    return start, start + length


def _read_more(plant: Plant, waiting: Rows, read_s: int) -> tuple[Rows, int]:
    """Read the next weeks; give all that waits to be told, and the instant up to which it is complete [s]."""
    day = max(read_s * 1000 - plant.start_ms, 0) // DAY_MS
    end = min(day + BLOCK_DAYS, plant.days)
    complete_s = (plant.start_ms + end * DAY_MS) // 1000 + (end == plant.days)
    return waiting.join(_read(plant, day, end)), complete_s


def _tell(
    plant: Plant, rows: Rows, until_s: int, numbers: Iterator[int], told: list[RowsFrame | LinkNotice]
) -> Rows:
    """Put what was received before an instant into a message (now and then it is delivered twice); give the rest."""
    count = int(np.searchsorted(rows.received_at_s, until_s))
    if count:
        number = next(numbers)
        message = _message(plant, rows.take(slice(count)), number)
        twice = int(uniform(plant.noise, np.array([number]))[0]) % TWICE_IN == 0
        told += [message] * (1 + twice)
    return rows.take(slice(count, None))


def _message(plant: Plant, rows: Rows, number: int) -> RowsFrame:
    return RowsFrame(
        plant.enterprise.enterprise,
        SCHEMA,
        plant.site.slug,
        plant.start_ms // 1000 << 32 | number,
        rows.column.astype(np.uint32),
        rows.read_at_ms,
        rows.values,
        rows.received_at_s,
        np.zeros(len(rows.column), np.uint8),
        np.zeros(len(rows.column), np.uint16),
        Origin.TIMED,
    )


def _read(plant: Plant, first_day: int, last_day: int) -> Rows:
    """Readings of some days of the story; the very last instant belongs to the last day."""
    quarters = np.arange(first_day * QUARTERS, last_day * QUARTERS + (last_day == plant.days), dtype=np.int64)
    stamps = plant.start_ms + quarters * QUARTER_MS
    values = readings(plant, stamps)
    column = np.arange(len(plant.channels))
    received = stamps // 1000 + 2 + (uniform(plant.noise, quarters) % np.uint64(7)).astype(np.int64)
    received_at_s = received[:, None] + column // 4  # meters of a line are read one after the other
    told_ms = np.repeat(stamps[:, None], len(column), axis=1)
    told_ms[:, [channel.kind is Kind.PERIOD for channel in plant.channels]] -= QUARTER_MS
    for flaw in plant.site.flaws:
        _spoil(plant, flaw, stamps, values, received_at_s)
    there = values != MISSING
    columns = np.broadcast_to(column, values.shape)
    rows = Rows(columns[there], told_ms[there], values[there], received_at_s[there])
    return _repeated(plant, rows)


def _spoil(plant: Plant, flaw: Flaw, stamps: Int64s, values: Int64s, received_at_s: Int64s) -> None:
    """Lay a flaw over what would have been read."""
    start, end = span_of(plant, flaw)
    rows = np.flatnonzero((stamps > start) & (stamps < end))
    if not len(rows):
        return
    columns = np.array([plant.site.column(point) for point in flaw.points], np.int64)
    where = np.ix_(rows, columns)
    if flaw.kind is FlawKind.HELD:
        columns = _metered(plant)
        waited = (stamps[rows, None] - start) // QUARTER_MS // HELD_PER_S
        received_at_s[np.ix_(rows, columns)] = end // 1000 + waited
    elif flaw.kind is FlawKind.STUCK:
        values[where] = readings(plant, np.array([start // QUARTER_MS * QUARTER_MS]))[0, columns]
    elif flaw.kind is FlawKind.SHIFTED:
        modulus = [(plant.channels[column].meter or {"modulus": 2**62})["modulus"] for column in columns]
        values[where] = (values[where] + flaw.value) % modulus
    elif flaw.kind is FlawKind.STOPPED:
        values[np.ix_(rows, _metered(plant))] = MISSING
    elif flaw.kind is not FlawKind.TWICE:
        values[where] = MISSING


def _metered(plant: Plant) -> Int64s:
    """Columns that a collector reads: all but the amounts that are booked."""
    return np.flatnonzero([channel.kind is not Kind.PERIOD for channel in plant.channels])


def _repeated(plant: Plant, rows: Rows) -> Rows:
    """Let a gateway repeat what it sent, a few seconds later."""
    for flaw in plant.site.flaws:
        if flaw.kind is FlawKind.TWICE:
            start, end = span_of(plant, flaw)
            columns = [plant.site.column(point) for point in flaw.points]
            again = rows.take(
                np.isin(rows.column, columns) & (rows.read_at_ms >= start) & (rows.read_at_ms < end)
            )
            rows = rows.join(
                Rows(again.column, again.read_at_ms, again.values, again.received_at_s + flaw.value)
            )
    return rows


def _numbered(plant: Plant, notice: LinkNotice, number: int) -> LinkNotice:
    sequence = plant.start_ms // 1000 << 32 | number
    return LinkNotice(
        notice.enterprise, notice.source, sequence, notice.received_at_s, notice.events, notice.missed
    )


def _links(plant: Plant) -> Iterator[LinkNotice]:
    """What the collector said of its links over the years: that it started, and how each of the flaws was."""
    yield _notice(plant, plant.start_ms, LinkEvent(plant.start_ms, LinkKind.COLLECTOR_STARTED))
    for flaw in plant.site.flaws:
        start, end = span_of(plant, flaw)
        if end > start:
            yield from _links_of(plant, flaw, start, end)


def _links_of(plant: Plant, flaw: Flaw, start_ms: int, end_ms: int) -> Iterator[LinkNotice]:
    if flaw.kind is FlawKind.HELD:
        down = LinkEvent(start_ms, LinkKind.LOG_DOWN)
        yield _notice(plant, end_ms, down, LinkEvent(end_ms, LinkKind.LOG_UP, since_ms=start_ms))
    elif flaw.kind is FlawKind.STOPPED:
        started = LinkEvent(end_ms, LinkKind.COLLECTOR_STARTED, since_ms=start_ms)
        metered = tuple(channel.point for channel in plant.channels if channel.kind is not Kind.PERIOD)
        yield _notice(plant, end_ms, started, missed=_missed(plant, flaw, metered))
    elif flaw.kind in _UNREAD:
        yield _notice(plant, start_ms + QUARTER_MS, *_fell(plant, flaw, start_ms + QUARTER_MS))
        rose = _rose(plant, flaw, start_ms + QUARTER_MS, end_ms)
        yield _notice(plant, end_ms, *rose, missed=_missed(plant, flaw, flaw.points))


def _fell(plant: Plant, flaw: Flaw, at_ms: int) -> Iterator[LinkEvent]:
    reason = _UNREAD[flaw.kind]
    for line, meter in _places(plant, flaw):
        yield LinkEvent(at_ms, LinkKind.METER_DOWN if meter else LinkKind.LINE_DOWN, line, meter, reason)


def _rose(plant: Plant, flaw: Flaw, since_ms: int, at_ms: int) -> Iterator[LinkEvent]:
    for line, meter in _places(plant, flaw):
        kind = LinkKind.METER_UP if meter else LinkKind.LINE_UP
        yield LinkEvent(at_ms, kind, line, meter, since_ms=since_ms)


def _places(plant: Plant, flaw: Flaw) -> list[tuple[str, str]]:
    """Line and meter of what a flaw silenced: the line itself, or every meter all of whose points are meant."""
    counters = [channel for channel in plant.channels if channel.meter and channel.point in flaw.points]
    if flaw.kind is FlawKind.LINE:
        return sorted({(line_of(channel), "") for channel in counters})
    whole = (c for c in counters if set(meter_points(plant.site, c.point)) <= set(flaw.points))
    return [(line_of(channel), channel.point) for channel in whole]


def _missed(plant: Plant, flaw: Flaw, points: tuple[str, ...]) -> Missed:
    start, end = span_of(plant, flaw)
    stamps = np.arange(start // QUARTER_MS + 1, -(-end // QUARTER_MS)) * QUARTER_MS
    return Missed(int(stamps[0]), int(stamps[-1]), len(stamps), _UNREAD[flaw.kind], points)


def _notice(plant: Plant, at_ms: int, *events: LinkEvent, missed: Missed | None = None) -> LinkNotice:
    code, received_at_s = plant.enterprise.enterprise, -(-at_ms // 1000) + 1
    told = () if missed is None else (missed,)
    return LinkNotice(code, plant.site.slug, 0, received_at_s, events, told)
