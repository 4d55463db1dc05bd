"""Values of meters as people write them: rows of a form become entries; what ingest would refuse is told before.

A refusal is found by the functions that ingest itself judges with, so a form never promises what the stream denies.
A doubt is told to the person, who may insist.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

import msgspec
import numpy as np

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.checks import TEXT_LIMIT, check, check_names
from nengliu.analysis.forms.sheets import Heads, Line, Template
from nengliu.analysis.intake.candidates import Candidates, Path, path_of
from nengliu.analysis.intake.validate import Limits, judge
from nengliu.analysis.notices import COMMENT_LIMIT
from nengliu.domain.points import Kind, Meter, Point
from nengliu.domain.quality import Origin, Quality, Reason
from nengliu.domain.times import CHINA, CHINA_OFFSET_MS, from_ms, to_ms
from nengliu.domain.units import factor
from nengliu.errors import ContractError
from schemas.foreign import exact
from schemas.messages import Entered, PointNotice, RejectedRow

HEADS: Heads = {
    "point": ("测点", "point", "测点编号"),
    "read_at": ("读数时间", "read_at", "时间", "time"),
    "value": ("数值", "value", "读数"),
    "unit": ("单位", "unit"),
    "why": ("填报原因", "why", "原因", "reason"),
}
NEEDED = ("point", "read_at", "value", "why")


class Doubt(StrEnum):
    """What a person should look at before an entry is sent."""

    BELOW_BEFORE = "below_before"
    ABOVE_AFTER = "above_after"
    OFF_INTERVAL = "off_interval"
    AUTOMATIC = "automatic"
    CORRECTS = "corrects"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What a point said before, at or after an instant: as sent, with how it came."""

    side: str
    read_at_ms: int
    value: Decimal
    unit: str
    origin: Origin


def points_of(definitions: Iterable[str]) -> list[Point]:
    """Points by their definitions as the store keeps them; one that only a newer program understands is left out."""
    found = []
    for definition in definitions:
        try:
            found.append(msgspec.json.decode(definition, type=Point))
        except msgspec.MsgspecError:
            continue
    return found


def meter_at(point: Point, at_ms: int) -> Meter | None:
    """Meter that served at an instant, the first one before its service; None of a point that is no counter."""
    if point.kind is not Kind.COUNTER:
        return None
    serving = [meter for meter in point.meters if meter.from_ms <= at_ms]
    return serving[-1] if serving else point.meters[0]


def unit_at(point: Point, at_ms: int) -> str:
    """Unit a person reads: that of the register of a counter, else of the point."""
    meter = meter_at(point, at_ms)
    return point.unit if meter is None else meter.unit


def can_take(point: Point) -> bool:
    """Whether values may be entered for a point: one that is computed takes none."""
    return not point.formulas


def entries_of(
    lines: Sequence[Line], points: Sequence[Point]
) -> tuple[tuple[Entered, ...], list[RejectedRow]]:
    """Make entries of the rows of a form; a unit that is left out is the one of the register, or of the point."""
    known = {point.point: point for point in points}
    found: dict[tuple[str, int], Entered] = {}
    rejected: list[RejectedRow] = []
    for line in lines:
        try:
            one = entry(line, known)
            if (one.point, one.read_at_ms) in found:
                raise ContractError("VALUE_CONFLICT", "the same point and time twice")
            found[one.point, one.read_at_ms] = one
        except ContractError as error:
            rejected.append(_rejected(line.row, line.get("point"), error, line.get("value")))
    return tuple(found.values()), rejected


def entry(line: Line, known: dict[str, Point]) -> Entered:
    """Make an entry of one row of a form.

    Raises
    ------
    ContractError
        MISSING_FIELD, UNKNOWN_POINT, NOT_A_TIME, BAD_FIELD, or what the value is not.
    """
    for name in ("point", "why"):
        if not line.get(name).strip():
            raise ContractError("MISSING_FIELD", name, field=name)
    point = known.get(line.get("point"))
    if point is None:
        raise ContractError("UNKNOWN_POINT", line.get("point"), point=line.get("point"))
    at_ms, value, why = time_of(line.get("read_at")), line.get("value"), line.get("why").strip()
    exact(value)
    check_names("why", [why], COMMENT_LIMIT)
    check("value", value, sound=len(value) < TEXT_LIMIT)
    return Entered(point.point, at_ms, value, line.get("unit") or unit_at(point, at_ms), why)


def time_of(text: str) -> int:
    """Milliseconds of a time as it may be written, in China unless it names its zone.

    >>> time_of("2026/3/1 8:00") == time_of("2026-03-01T00:00:00+00:00")
    True

    Raises
    ------
    ContractError
        MISSING_FIELD or NOT_A_TIME.
    """
    if not text:
        raise ContractError("MISSING_FIELD", "read_at", field="read_at")
    for form in (None, "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M"):
        try:
            moment = (
                datetime.fromisoformat(text)
                if form is None
                else datetime.strptime(text, form).replace(tzinfo=CHINA)
            )
        except ValueError:
            continue
        return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=CHINA))
    raise ContractError("NOT_A_TIME", f"expected a time, got {text!r}", got=text)


def refusals(
    points: Sequence[Point], rows: Sequence[Entered], now_s: int, future_s: int
) -> list[RejectedRow]:
    """Say of which entries ingest would take none, and why; `row` counts the entries from 1."""
    catalogue = Catalogue()
    names = {row.point for row in rows}
    for position, point in enumerate(point for point in points if point.point in names):
        catalogue.take(PointNotice(point), position)
    enterprise = points[0].enterprise if points else ""
    values = [exact(row.value) for row in rows]
    paths = [
        path_of(catalogue, enterprise, row.point, row.unit, decimals)
        for row, (_, decimals) in zip(rows, values, strict=True)
    ]
    n = len(rows)
    told = Candidates(
        path=np.arange(n),
        read_at_ms=np.array([row.read_at_ms for row in rows], np.int64),
        sent=np.array([sent for sent, _ in values], np.int64),
        quality=np.full(n, Quality.MANUAL, np.int64),
        reason=np.zeros(n, np.int64),
        origin=np.full(n, Origin.MANUAL, np.int64),
        received_at_s=np.full(n, now_s, np.int64),
        sequence=np.zeros(n, np.uint64),
        message=np.zeros(n, np.int64),
        item=np.arange(n),
    )
    judged = judge(told, paths, Limits(future_s=future_s), np.full(n, now_s, np.int64))
    return [
        RejectedRow(
            i + 1, int(Reason[reason]), rows[i].point, rows[i].value, _told(reason, rows[i], paths[i], now_s)
        )
        for reason, mask in judged.refused.items()
        for i in np.flatnonzero(mask).tolist()
    ]


def _told(reason: str, row: Entered, path: Path, now_s: int) -> dict[str, str]:
    """Parameters of the sentence of a refusal, for a person: times in China, values with their unit."""
    point = path.facts.point if path.facts else None
    times = {"STAMP_IN_FUTURE": now_s * 1000}
    if point is not None:
        times |= {"BEFORE_POINT": point.valid_from_ms, "AFTER_POINT": point.valid_to_ms}
    if reason in times:
        return {"got": written_time(row.read_at_ms), "limit": written_time(times[reason])}
    modulus = max((span[3] for span in path.spans), default=0)
    return dict(path.evidence) or {"got": f"{row.value} {row.unit}", "limit": str(modulus)}


def doubts(point: Point, row: Entered, neighbours: Sequence[Neighbour]) -> list[Doubt]:
    """Say what of an entry a person should look at: a register that would step back, a time off the interval,
    a value that a meter told, or one that was entered before.
    """
    found: list[Doubt] = []
    value = _in_steps(Decimal(row.value), row.unit, point)
    for one in neighbours:
        if one.side == "at":
            found.append(Doubt.CORRECTS if one.origin is Origin.MANUAL else Doubt.AUTOMATIC)
        elif meter_at(point, one.read_at_ms) is not None and meter_at(point, one.read_at_ms) == meter_at(
            point, row.read_at_ms
        ):
            other = _in_steps(one.value, one.unit, point)
            if one.side == "before" and value < other:
                found.append(Doubt.BELOW_BEFORE)
            if one.side == "after" and value > other:
                found.append(Doubt.ABOVE_AFTER)
    interval_ms = point.interval_s * 1000
    if point.kind is Kind.PERIOD and interval_ms and (row.read_at_ms + CHINA_OFFSET_MS) % interval_ms:
        found.append(Doubt.OFF_INTERVAL)
    return list(dict.fromkeys(found))


def _in_steps(value: Decimal, unit: str, point: Point) -> Fraction:
    return Fraction(value) * factor(unit, point.unit)


def template(points: Sequence[Point], at_ms: int, *, chinese: bool) -> Template:
    """Give the form of one instant: a row per point that takes entries."""
    rows = [
        [point.point, written_time(at_ms), "", unit_at(point, at_ms), ""]
        for point in points
        if can_take(point)
    ]
    return Template([names[0 if chinese else 1] for names in HEADS.values()], rows, {})


def written_time(at_ms: int) -> str:
    """Time in China as people write it.

    >>> written_time(0)
    '1970-01-01 08:00'
    """
    return f"{from_ms(at_ms).astimezone(CHINA):%Y-%m-%d %H:%M}"


def _rejected(row: int, point: str, error: ContractError, text: str) -> RejectedRow:
    parameters = {name: str(value) for name, value in error.parameters.items()}
    return RejectedRow(row, int(Reason[error.reason]), point, text, parameters)
