"""Random plants for the laws: what meters said, as messages of the log, and beside each what it means.

A story is a list of events in the order of the log.  An event is one message with the readings in it as plain
tuples, so that a judge who never opens the message knows what was told.  All is drawn from one seed.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np

from nengliu.bus import OFFSET_BITS, Record
from nengliu.domain.points import Column, Enterprise, Kind, Meter, Point, Schema, Stay
from nengliu.domain.quality import Origin, Quality
from nengliu.domain.times import from_ms
from schemas.messages import (
    MISSING,
    BookNotice,
    EnterpriseNotice,
    Frame,
    PointNotice,
    RowsFrame,
    SchemaNotice,
    TickNotice,
    encode,
    mark_backfilled,
)

ENTERPRISES = ("91320000MA1EXAMPL3", "91320000MA1EXAMPL7")
HOUR_MS, DAY_MS, WEEK_MS = 3_600_000, 86_400_000, 7 * 86_400_000
STARTS = [  # a plain day, and the evening before a new month and a new year (China time)
    1_700_000_000_000 // 900_000 * 900_000,
    1_701_345_600_000,
    1_704_022_200_000,
]
GARBAGE = (b"", b"garbage", b"NL\x09", b"{broken")


@dataclass(frozen=True, slots=True)
class Said:
    """One reading as a message tells it: steps of a register, or ticks; quality as sent, `backfilled` or not."""

    enterprise: str
    point: str
    at: int
    ticks: int
    sequence: int
    received: int
    origin: int = Origin.TIMED
    quality: int = Quality.GOOD
    backfilled: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A message under its key: the readings it tells, how many parts of it must be refused, the point it declares."""

    key: str
    value: bytes
    said: tuple[Said, ...] = ()
    refused: int = 0
    point: Point | None = None


@dataclass(slots=True)
class Story:
    """Events in the order of the log, the notices that open it first."""

    seed: int
    events: list[Event] = field(default_factory=list)
    changed: bool = False
    """A meter was exchanged, or another notice restates what stands."""

    def records(self, partitions: int) -> list[list[Record]]:
        """The log: records of each partition; an enterprise has one of its own while they last."""
        found: list[list[Record]] = [[] for _ in range(partitions)]
        for event in self.events:
            part = ENTERPRISES.index(event.key) % partitions
            found[part].append(
                Record("readings.raw", part, 1, len(found[part]), event.key, event.value, APPENDED_S)
            )
        return found

    def positions(self, partitions: int) -> list[int]:
        """Position of each event."""
        ends, found = [0] * partitions, []
        for event in self.events:
            part = ENTERPRISES.index(event.key) % partitions
            found.append(1 << OFFSET_BITS | ends[part])
            ends[part] += 1
        return found


APPENDED_S = max(STARTS) // 1000 + 90 * 86_400
"""When the log took every message [s]: after all of them were received."""


def tell(seed: int) -> Story:
    """Draw a story of one or two plants."""
    rng = random.Random(seed)
    story = Story(seed)
    timed: list[tuple[float, Event]] = []
    for enterprise in ENTERPRISES[: rng.choice([1, 1, 2])]:
        plant = Plant(rng, enterprise)
        story.events += plant.opening()
        timed += plant.messages()
        story.changed |= plant.changed
    calm = rng.random() < 0.4
    timed = [
        (at + (0 if calm else rng.choice([0, 0, 0, rng.uniform(0, 7200)])), event) for at, event in timed
    ]
    story.events += [event for _, event in sorted(timed, key=lambda item: item[0])]
    for _ in range(rng.choice([0, 1, 3])):  # delivered once more, as it was
        again = rng.choice([event for event in story.events if event.point is None])
        story.events.insert(rng.randrange(story.events.index(again), len(story.events)) + 1, again)
    return story


class Plant:
    """One enterprise with two registers, a gauge and a period amount, and everything that happens to their readings."""

    def __init__(self, rng: random.Random, enterprise: str) -> None:
        self.rng, self.enterprise = rng, enterprise
        self.start = rng.choice(STARTS)
        self.step = rng.choice([900_000, 900_000, 300_000, 60_000])
        self.count = rng.randrange(4, 40)
        self.sequence = 0
        self.points = [self._counter("c0"), self._counter("c1"), self._gauge(), self._period()]
        self.rates = {p.point: rng.choice([0, 40, 4_000, 90_000]) for p in self.points}
        self.bases = {p.point: rng.randrange(0, 10_000) for p in self.points}
        self.end = self.start + self.count * self.step
        self.change: tuple[int, int] | None = (
            None  # when the meter of c0 was exchanged, and its first register
        )
        self.reset = self.start + rng.randrange(1, 6) * HOUR_MS if rng.random() < 0.2 else None
        self.changed = False

    def _counter(self, name: str) -> Point:
        modulus = self.rng.choice([0, 10_000, 100_000])
        meter = Meter(
            0, "kWh", self.rng.choice([0, 2]), multiplier=self.rng.choice([1, 3, 80]), modulus=modulus
        )
        interval = self.rng.choice([900, 900, 300, 3600, 0])
        fixed = (self.enterprise, name, name, Kind.COUNTER, "electricity", "kWh", 2)
        return Point(*fixed, interval_s=interval, meters=(meter,), place="plant/a")

    def _gauge(self) -> Point:
        hold = self.rng.choice([600, 1800, 7200])
        top = self.rng.choice([None, 9_000])
        fixed = (self.enterprise, "g", "g", Kind.GAUGE, "active_power", "kW", 1)
        interval = self.rng.choice([900, 60, 0])
        return Point(*fixed, interval_s=interval, hold_s=hold, maximum=top, metering_level=0)

    def _period(self) -> Point:
        fixed = (self.enterprise, "p", "p", Kind.PERIOD, "electricity", "kWh", 2)
        return Point(
            *fixed,
            interval_s=3600 if self.rng.random() < 0.2 else self.step // 1000,
            metering_level=2,
        )

    def opening(self) -> list[Event]:
        """Notices that declare the plant."""
        columns = tuple(Column(p.point, p.unit, _decimals(p)) for p in self.points)
        notices = [
            BookNotice("book-1", ()),
            EnterpriseNotice(Enterprise(self.enterprise, "厂", region="320500")),
            *(PointNotice(p) for p in self.points),
            SchemaNotice(Schema(self.enterprise, 1, columns)),
            SchemaNotice(Schema(self.enterprise, 2, columns[::-1])),
        ]
        return [self._notice(notice) for notice in notices]

    def _notice(self, notice: object) -> Event:
        point = notice.value if isinstance(notice, PointNotice) else None
        return Event(self.enterprise, encode(notice), point=point)

    def messages(self) -> list[tuple[float, Event]]:
        """Everything after the opening, each with the second it reaches the log."""
        if self.rng.random() < 0.4:
            self._exchange()
        found = [*self._frames(), *self._loose(), *self._asides()]
        if self.change is not None:
            found += self._told_change()
        if self.rng.random() < 0.3:
            found.append(self._told_move())
        return found

    # -- what a meter shows ------------------------------------------------------------------

    def value(self, point: Point, at: int) -> int:
        """Register steps, or ticks, at an instant."""
        rate, base = self.rates[point.point], self.bases[point.point]
        if point.kind is not Kind.COUNTER:
            return base + (at // 1000 * 7919 + rate) % 5_000
        since, first = self.start - 4 * WEEK_MS, base
        if point.point == "c0" and self.change is not None and at >= self.change[0]:
            since, first = self.change
        if point.point == "c1" and self.reset is not None and at >= self.reset:
            since, first = self.reset, 0
        steps = first + (at - since) * rate // HOUR_MS
        modulus = point.meters[0].modulus
        return steps % modulus if modulus else steps

    def _said(self, point: Point, at: int, received: int, sequence: int, **given: int) -> Said:
        fixed = {"ticks": self.value(point, at), "origin": Origin.TIMED} | given
        return Said(self.enterprise, point.point, at, sequence=sequence, received=received, **fixed)

    def _number(self) -> int:
        self.sequence += 1
        return self.start // 1000 << 32 | self.sequence

    # -- frames: the dense way, in order -----------------------------------------------------

    def _frames(self) -> list[tuple[float, Event]]:
        """Frames of every point at every step; some are lost, some come later as backfill."""
        height = self.rng.choice([1, 1, 1, 4, 16])
        stamps = [self.start + i * self.step for i in range(self.count)]
        if self.rng.random() < 0.2:
            stamps = [at + 2_417 for at in stamps]  # a clock that never stands on the edge
        away = self._away(stamps)
        found = []
        for first in range(0, len(stamps), height):
            part = stamps[first : first + height]
            inside = [at for at in part if not (away and away[0] <= at < away[1])]
            if inside:
                found.append(
                    self._frame(inside, inside[-1] // 1000 + self.rng.choice([1, 1, 20]), marked=False)
                )
        if away and away[2]:
            missed = [at for at in stamps if away[0] <= at < away[1]]
            back = away[1] // 1000 + 60
            found += [
                self._frame(missed[i : i + height], back + i, marked=True)
                for i in range(0, len(missed), height)
            ]
        return found

    def _away(self, stamps: list[int]) -> tuple[int, int, bool] | None:
        """An outage: from, to, and whether the collector kept what it read."""
        if self.rng.random() < 0.4:
            return None
        first = self.rng.choice(stamps)
        return first, first + self.rng.choice([1, 3, 12]) * self.step, self.rng.random() < 0.7

    def _frame(self, stamps: list[int], received: int, *, marked: bool) -> tuple[float, Event]:
        schema = self.rng.choice([1, 1, 1, 2])
        columns = self.points if schema == 1 else self.points[::-1]
        sequence = self._number()
        values, quality = np.empty((len(stamps), 4), np.int64), np.zeros((len(stamps), 4), np.uint8)
        said, refused, holes = [], 0, self.rng.random() < 0.2
        for row, at in enumerate(stamps):
            for column, point in enumerate(columns):
                one = self._said(point, at, received, sequence, backfilled=marked)
                if holes and self.rng.random() < 0.15:
                    values[row, column] = MISSING
                    continue
                if holes and point.kind is Kind.COUNTER and self.rng.random() < 0.05:
                    values[row, column], refused = -1, refused + 1
                    continue
                if holes and self.rng.random() < 0.1:
                    one = replace(one, quality=Quality.SUSPECT)
                values[row, column], quality[row, column] = one.ticks, one.quality
                said.append(one)
        frame = Frame(
            self.enterprise,
            schema,
            "collector-1",
            sequence,
            received,
            np.array(stamps, np.int64),
            values,
            quality if quality.any() else None,
        )
        value = mark_backfilled(encode(frame)) if marked else encode(frame)
        return float(received), Event(self.enterprise, value, tuple(said), refused)

    # -- loose readings: late, twice, with other values, by other ways ------------------------

    def _loose(self) -> list[tuple[float, Event]]:
        found = []
        for _ in range(self.rng.choice([0, 2, 6, 14])):
            point = self.rng.choice(self.points)
            at = self._instant(point)
            received = at // 1000 + self.rng.choice([2, 30, 600, 5 * 3600, 30 * 3600, 21 * 86_400])
            twist = self.rng.random()
            ticks = self.value(point, at) + (self.rng.randrange(1, 50) if twist < 0.3 else 0)
            if point.kind is Kind.COUNTER and point.meters[0].modulus:
                ticks %= point.meters[0].modulus
            origin = self.rng.choice([Origin.TIMED, Origin.TIMED, Origin.MANUAL, Origin.FILE])
            one = self._said(point, at, received, self._number(), ticks=ticks, origin=origin)
            found.append((float(received), self.rng.choice([self._row, self._json])(point, one)))
        return found

    def _instant(self, point: Point) -> int:
        """On a step of the frames, beside it, days before or after, or in another month."""
        on_step = self.start + self.rng.randrange(self.count) * self.step
        far = self.rng.choice(
            [0] * 12 + [-5 * HOUR_MS, 26 * HOUR_MS] * 3 + [-3 * DAY_MS, 9 * DAY_MS, 33 * DAY_MS]
        )
        return on_step + far + self.rng.choice([0, 0, 437_123, 1, 450_000])

    def _row(self, point: Point, one: Said) -> Event:
        rows = RowsFrame(
            self.enterprise,
            1,
            "file.csv",
            one.sequence,
            column=np.array([self.points.index(point)], np.uint32),
            read_at_ms=np.array([one.at], np.int64),
            values=np.array([one.ticks], np.int64),
            received_at_s=np.array([one.received], np.int64),
            quality=np.array([one.quality], np.uint8),
            reason=np.zeros(1, np.uint16),
            origin=Origin(one.origin),
        )
        return Event(self.enterprise, encode(rows), (one,))

    def _json(self, point: Point, one: Said) -> Event:
        said = {
            "v": 1,
            "enterprise": self.enterprise,
            "point": point.point,
            "read_at": from_ms(one.at).isoformat(),
            "received_at": from_ms(one.received * 1000).isoformat(),
            "value": f"{Decimal(one.ticks).scaleb(-_decimals(point)):f}",
            "unit": point.unit,
            "sequence": one.sequence,
        }
        return Event(self.enterprise, json.dumps(said).encode(), (replace(one, origin=Origin.TIMED),))

    # -- notices on the way ------------------------------------------------------------------

    def _exchange(self) -> None:
        """The meter of c0 is exchanged at some instant."""
        at = self.start + self.rng.randrange(1, self.count) * self.step + self.rng.choice([0, 61_000])
        self.change, self.changed = (at, self.rng.randrange(0, 900)), True

    def _told_change(self) -> list[tuple[float, Event]]:
        """The notice of the exchange: in time or late, with both registers or (in time) without."""
        at, first = self.change
        old = self.points[0].meters[0]
        known = self.rng.random() < 0.7
        self.change, last = None, 0
        last = self.value(self.points[0], at)
        self.change = (at, first)
        fresh = replace(old, from_ms=at, first=first if known else None, multiplier=self.rng.choice([1, 5]))
        gone = replace(old, last=last if known else None)
        told = replace(self.points[0], meters=(gone, fresh))
        delay = self.rng.choice([-7200, 0, 5 * 3600, 4 * 86_400])
        found = [(at / 1000 + delay, self._notice(PointNotice(told)))]
        if known and self.rng.random() < 0.3:  # the last register becomes known after the exchange
            half = replace(told, meters=(replace(gone, last=None), fresh))
            found = [(at / 1000 + delay, self._notice(PointNotice(half))),
                     (at / 1000 + delay + 15_000, self._notice(PointNotice(told)))]  # fmt: skip
        return found

    def _told_move(self) -> tuple[float, Event]:
        """Point c1 moves to another plant at some instant; told in time or days after."""
        at = self.start + self.rng.randrange(self.count) * self.step + self.rng.choice([0, 61_000])
        places = (Stay(0, "plant/a"), Stay(at, "plant/b"))
        told = replace(self.points[1], places=places, place="plant/b")
        return at / 1000 + self.rng.choice([-7200, 600, 4 * 86_400]), self._notice(PointNotice(told))

    def _asides(self) -> list[tuple[float, Event]]:
        """Messages that change no window: ticks, a new name, what nobody can read."""
        found = []
        for _ in range(self.rng.choice([0, 1, 4])):
            at = self.start / 1000 + self.rng.uniform(0, self.count * self.step / 1000)
            draw = self.rng.random()
            if draw < 0.4:
                found.append((at, self._notice(TickNotice(int(at)))))
            else:
                found.append((at, Event(self.enterprise, self.rng.choice(GARBAGE), refused=1)))
        return found


def _decimals(point: Point) -> int:
    return point.meters[0].decimals if point.meters else point.decimals
