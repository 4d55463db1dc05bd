"""The judge of the laws: what stands and what every window is, by loops over dictionaries, beside the engine.

Written from docs/decisions/0005, 0011 and 0012.  Amounts are exact integers and fractions; means are floats.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import nan

from plant_story import Event, Said

from nengliu.domain.points import Kind, Meter, Point
from nengliu.domain.quality import Origin, Quality, Reason
from nengliu.domain.times import CHINA_OFFSET_MS, from_ms, to_ms

QUARTER_MS, DAY_MS = 900_000, 86_400_000
FIRST = dict(zip([0, 1, 2, 5, 6, 4, 3], range(7), strict=True))
"""Of several origins at one instant: what collectors read, then OPC, SQL, files, and what people say last."""
CLASSES = ("good", "late", "substituted", "manual", "suspect", "bad")
ORDER = sorted(Reason, key=lambda r: (r not in (Reason.NONE, Reason.CLOCK_REPAIRED, Reason.ARRIVED_LATE,
                                                Reason.BACKFILLED), r))  # fmt: skip
WHOLE = (
    "used",
    "estimated",
    "decimals",
    "covered_s",
    "received",
    "due",
    *CLASSES,
    "reason",
    "known_at",
    "revision",
)
REAL = ("mean", "low", "high", "last")


@dataclass(slots=True)
class Reading:
    """A reading that stands, as judged by ingest."""

    said: Said
    position: int
    quality: int
    reason: int
    sequence: int

    def __lt__(self, other: Reading) -> bool:
        return self.said.at < other.said.at


@dataclass(slots=True)
class Service:
    """A meter, and the positions that told of it and of its last register."""

    meter: Meter
    worth: int
    told: int
    last_told: int


@dataclass(slots=True)
class Truth:
    """What the log amounts to."""

    standing: dict[tuple[str, str, int, int], Reading] = field(default_factory=dict)
    tallies: dict[tuple[str, int], tuple[int, int, int, int]] = field(default_factory=dict)
    points: dict[tuple[str, str], Point] = field(default_factory=dict)
    services: dict[tuple[str, str], list[Service]] = field(default_factory=dict)


def judge(events: list[Event], positions: list[int]) -> Truth:
    """Read a log from its beginning: what stands in the end, and the tally of each message."""
    truth = Truth()
    for event, position in zip(events, positions, strict=True):
        if event.point is not None:
            _learn(truth, event.point, position)
        valid = duplicate = 0
        for said in event.said:
            won = _settle(truth, said, position)
            valid, duplicate = valid + won, duplicate + (not won)
        if event.said or event.refused:
            counts = len(event.said) + event.refused, valid, duplicate, event.refused
            truth.tallies[event.key, position] = counts
    return truth


def _learn(truth: Truth, point: Point, position: int) -> None:
    key = point.enterprise, point.point
    if truth.points.get(key) == point:
        return
    old, truth.points[key] = truth.services.get(key, []), point
    found = []
    for i, meter in enumerate(point.meters):
        worth = meter.multiplier * 10 ** (point.decimals - meter.decimals)
        service = Service(meter, worth, position, position if i + 1 < len(point.meters) else 0)
        if i < len(old) and _same_but_last(old[i].meter, meter):
            service.told = old[i].told
            if old[i].meter.last == meter.last and old[i].last_told:
                service.last_told = old[i].last_told
        found.append(service)
    truth.services[key] = found


def _same_but_last(a: Meter, b: Meter) -> bool:
    names = ("from_ms", "unit", "decimals", "multiplier", "modulus", "first")
    return all(getattr(a, name) == getattr(b, name) for name in names)


def _settle(truth: Truth, said: Said, position: int) -> bool:
    """Whether a reading is accepted."""
    key = said.enterprise, said.point, said.at, said.origin
    old = truth.standing.get(key)
    quality, reason = _mark(truth.points[said.enterprise, said.point], said)
    if old is not None and old.said.ticks == said.ticks:
        old.sequence = max(old.sequence, said.sequence)
        return False
    if old is not None and (said.sequence, said.ticks) <= (old.sequence, old.said.ticks):
        return False
    truth.standing[key] = Reading(said, position, quality, reason, said.sequence)
    return True


def _mark(point: Point, said: Said) -> tuple[int, int]:
    """Quality and reason: over its range, later than an hour, kept during a break."""
    quality, reason = said.quality, 0
    if quality == Quality.GOOD and said.backfilled:
        quality, reason = Quality.LATE, Reason.BACKFILLED
    if point.maximum is not None and said.ticks > point.maximum:
        quality, reason = Quality.SUSPECT, Reason.OVER_RANGE
    lasts = point.interval_s if point.kind is Kind.PERIOD else 0
    timed = said.origin in (Origin.TIMED, Origin.COMMAND)
    if timed and quality == Quality.GOOD and said.received > said.at // 1000 + lasts + 3600:
        quality, reason = Quality.LATE, Reason.ARRIVED_LATE
    return int(quality), int(reason)


# -- windows -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Cell:
    """One quarter-hour as it grows."""

    used: int = 0
    estimated: int = 0
    covered_ms: int = 0
    weighted: float = 0.0
    values: list[tuple[int, float]] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    reason: int = 0
    known_at: int = 0
    revision: int = 0

    def rest_on(self, known_at: int, revision: int, reason: int = 0) -> None:
        """Rest on something that came at `known_at` and stands at `revision`; the gravest reason stays."""
        self.known_at, self.revision = max(self.known_at, known_at), max(self.revision, revision)
        self.reason = max(self.reason, reason, key=ORDER.index)


@dataclass(slots=True)
class Span:
    """An amount, or a value that is held, over time."""

    start: int
    end: int
    amount: int
    value: float
    known_at: int
    revision: int
    reason: int = 0
    covers: bool = True


def windows(truth: Truth, key: tuple[str, str]) -> dict[str, dict[int, dict[str, object]]]:
    """Rows of every level of one point: level -> period start [ms] -> row."""
    point = truth.points[key]
    speaking: dict[int, Reading] = {}
    for (enterprise, name, at, _), reading in sorted(
        truth.standing.items(), key=lambda item: FIRST[item[0][3]]
    ):
        if (enterprise, name) == key:
            speaking.setdefault(at, reading)
    ordered = [speaking[at] for at in sorted(speaking)]
    cells: dict[int, Cell] = defaultdict(Cell)
    _count(cells, point, ordered)
    for span in _spans(point, ordered, truth.services[key]):
        _pour(cells, span, is_gauge=point.kind is Kind.GAUGE)
    return _levels(point, cells)


def _count(cells: dict[int, Cell], point: Point, ordered: list[Reading]) -> None:
    """Of the readings of one due interval the first is counted; receipt and position are their newest."""
    due: dict[int, list[Reading]] = defaultdict(list)
    step = point.interval_s * 1000
    for i, reading in enumerate(ordered):
        due[(reading.said.at + CHINA_OFFSET_MS) // step if step else i].append(reading)
    for group in due.values():
        first = group[0]
        cell = cells[first.said.at // QUARTER_MS]
        cell.counts[first.quality] += 1
        cell.rest_on(0, 0, first.reason)
        newest = max(r.said.received for r in group), max(r.position for r in group)
        for reading in group:  # any of them may have been the first before
            cells[reading.said.at // QUARTER_MS].rest_on(*newest)


def _spans(point: Point, ordered: list[Reading], services: list[Service]) -> list[Span]:
    if point.kind is Kind.COUNTER:
        return _register_spans(ordered, services)
    found = []
    for i, reading in enumerate(ordered):
        at, known, revision = reading.said.at, reading.said.received, reading.position
        if point.kind is Kind.PERIOD:
            end = at + point.interval_s * 1000
            found.append(Span(at, end, reading.said.ticks, nan, known, revision))
            continue
        end = at + point.hold_s * 1000
        if i + 1 < len(ordered):
            end = min(end, ordered[i + 1].said.at)
        found.append(Span(at, end, 0, reading.said.ticks / 10.0**point.decimals, known, revision))
    return found


def _register_spans(ordered: list[Reading], services: list[Service]) -> list[Span]:
    """Amounts between neighbours of one meter; at an exchange both registers stand, if they are known."""
    stops = []  # (time, meter, read after told, steps, known, revision)
    for reading in ordered:
        number = max(i for i, s in enumerate(services) if s.meter.from_ms <= reading.said.at or i == 0)
        stops.append(
            (reading.said.at, number, 1, reading.said.ticks, reading.said.received, reading.position)
        )
    times = [stop[0] for stop in stops]
    for i in range(1, len(services)):
        old, new = services[i - 1], services[i]
        at = new.meter.from_ms
        between = len(times) > 1 and times[0] < at <= times[-1]
        if between and old.meter.last is not None and new.meter.first is not None:
            around = [max(r for r in ordered if r.said.at < at), min(r for r in ordered if r.said.at >= at)]
            known, newest = max(r.said.received for r in around), max(r.position for r in around)
            newest = max(
                newest, old.told, old.last_told, new.told
            )  # all of it is needed to know either register
            stops.append((at, i - 1, 0, old.meter.last, known, newest))
            stops.append((at, i, 0, new.meter.first, known, newest))
    found = []
    for before, after in pairwise(sorted(stops)):
        if before[1] == after[1]:
            found.append(_register_span(before, after, services[before[1]]))
        elif before[0] < after[0]:  # nobody knows what was used over the exchange
            found.append(_unknown_span(before, after, services[after[1]]))
    return found


def _unknown_span(before: tuple[int, ...], after: tuple[int, ...], service: Service) -> Span:
    """A gap that an exchange of meters left: nothing is claimed of it but that."""
    newest = max(before[4], after[4]), max(before[5], after[5], service.told)
    return Span(before[0], after[0], 0, nan, *newest, int(Reason.METER_CHANGED), covers=False)


def _register_span(before: tuple[int, ...], after: tuple[int, ...], service: Service) -> Span:
    steps, reason, modulus = after[3] - before[3], 0, service.meter.modulus
    if steps < 0:
        reason = int(Reason.REGISTER_BACKWARD)
        if modulus and before[3] > 0.9 * modulus and after[3] < 0.1 * modulus:
            steps, reason = steps + modulus, int(Reason.ROLLOVER)
    revision = max(before[5], after[5], service.told)
    return Span(before[0], after[0], steps * service.worth, nan, max(before[4], after[4]), revision, reason)


def _pour(cells: dict[int, Cell], span: Span, *, is_gauge: bool) -> None:
    first, last = span.start // QUARTER_MS, max((span.end - 1) // QUARTER_MS, span.start // QUARTER_MS)
    done = 0
    for window in range(first, last + 1):
        left, right = max(window * QUARTER_MS, span.start), min((window + 1) * QUARTER_MS, span.end)
        until = span.amount
        if right < span.end:
            until = (Fraction(span.amount) * (right - span.start) / (span.end - span.start)).__floor__()
        cell, split = cells[window], last > first
        cell.covered_ms += right - left if span.covers else 0
        cell.used += until - done
        cell.estimated += until - done if split and not is_gauge else 0
        if is_gauge:
            cell.weighted += span.value * (right - left)
            cell.values.append((left, span.value))
        marked = span.reason or (int(Reason.INTERPOLATED) if split and not is_gauge else 0)
        cell.rest_on(span.known_at, span.revision, marked)
        done = until


# -- levels --------------------------------------------------------------------------------------


def _levels(point: Point, cells: dict[int, Cell]) -> dict[str, dict[int, dict[str, object]]]:
    quarters = {window * QUARTER_MS: cell for window, cell in cells.items()}
    found = {
        "15min": {start: _row(point, [cell], start, start + QUARTER_MS) for start, cell in quarters.items()}
    }
    for level, width in (("hour", 4 * QUARTER_MS), ("day", DAY_MS)):
        groups: dict[int, list[Cell]] = defaultdict(list)
        for start in sorted(quarters):
            begin = (start + CHINA_OFFSET_MS) // width * width - CHINA_OFFSET_MS
            groups[begin].append(quarters[start])
        found[level] = {start: _row(point, group, start, start + width) for start, group in groups.items()}
    found["month"] = _months(point, found["day"])
    return found


def _row(point: Point, cells: list[Cell], start: int, end: int) -> dict[str, object]:
    covered = sum(cell.covered_ms for cell in cells)
    values = [value for cell in cells for _, value in cell.values]
    latest = [max(cell.values)[1] for cell in cells if cell.values]
    counts = {c.name.lower(): sum(cell.counts[c] for cell in cells) for c in Quality}
    counts["substituted"] += counts.pop("estimated")
    received = sum(counts.values())
    row: dict[str, object] = {name: counts[name] for name in CLASSES}
    row |= {
        "used": sum(cell.used for cell in cells),
        "estimated": sum(cell.estimated for cell in cells),
        "decimals": point.decimals,
        "covered_s": covered // 1000,
        "received": received,
        "due": due(point, start, end),
        "reason": max((cell.reason for cell in cells), key=ORDER.index),
        "known_at": max(cell.known_at for cell in cells),
        "revision": max(cell.revision for cell in cells),
        "mean": sum(cell.weighted for cell in cells) / covered if values and covered else nan,
        "low": min(values, default=nan),
        "high": max(values, default=nan),
        "last": latest[-1] if latest else nan,
    }
    return row


def _months(point: Point, days: dict[int, dict[str, object]]) -> dict[int, dict[str, object]]:
    groups: dict[int, list[dict[str, object]]] = defaultdict(list)
    for start in sorted(days):
        groups[to_ms(from_ms(start).replace(day=1, hour=0, minute=0, second=0, microsecond=0))].append(
            days[start]
        )
    found = {}
    for start, rows in groups.items():
        end = from_ms(start + 32 * DAY_MS).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        row = {
            name: sum(r[name] for r in rows)
            for name in ("used", "estimated", "covered_s", "received", *CLASSES)
        }
        valued = [r for r in rows if r["low"] == r["low"]]
        weight = sum(r["covered_s"] for r in valued)
        row |= {
            "decimals": point.decimals,
            "due": due(point, start, to_ms(end)),
            "reason": max((r["reason"] for r in rows), key=ORDER.index),
            "known_at": max(r["known_at"] for r in rows),
            "revision": max(r["revision"] for r in rows),
            "mean": sum(r["mean"] * r["covered_s"] for r in valued if r["covered_s"]) / weight
            if weight
            else nan,
            "low": min((r["low"] for r in valued), default=nan),
            "high": max((r["high"] for r in valued), default=nan),
            "last": valued[-1]["last"] if valued else nan,
        }
        found[start] = row
    return found


def due(point: Point, start: int, end: int) -> int:
    """Instants of the point's interval (China time) in ``[start, end)`` while it exists."""
    if not point.interval_s:
        return 0
    start, end = max(start, point.valid_from_ms), min(end, point.valid_to_ms)
    step = point.interval_s * 1000
    first = -(-(start + CHINA_OFFSET_MS) // step)
    return max(0, -(-(end + CHINA_OFFSET_MS) // step) - first)
