"""Business layer of validation: what a value claims about its meter (TC 4.4.3-2, law 6).

Pure functions over arrays; a refusal is a closed reason, not an exception.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nengliu.analysis.intake.candidates import Candidates, Judged, Numbers, Path, numbers_of
from nengliu.analysis.sorted import compact
from nengliu.domain.quality import Origin, Quality, Reason

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_LIMIT = float(2**62)


@dataclass(frozen=True, slots=True)
class Limits:
    """Tolerances of time [s]: how far ahead a stamp may be, and when a timed reading counts as late.

    `begins_ms`: what was read before is beyond the retention of raw readings [ms, UTC].
    """

    future_s: int = 300
    lateness_s: int = 3600
    begins_ms: int = 0


def judge(candidates: Candidates, paths: list[Path], limits: Limits, appended_at_s: Ints) -> Judged:
    """Turn sent values into ticks and judge them; the first refusal of a reading is its reason.

    `appended_at_s` (n,) is when the log took the reading's message [s]: a receipt after that is a wrong clock.
    """
    n = len(candidates.path)
    if not n:
        return Judged(candidates.sent, candidates.quality, candidates.reason)
    used, place = compact(candidates.path)
    paths, candidates = [paths[number] for number in used.tolist()], replace(candidates, path=place)
    judged = Judged(np.zeros(n, np.int64), candidates.quality.copy(), candidates.reason.copy())
    open_ = np.ones(n, bool)
    facts = numbers_of(paths, candidates.path)
    _refuse_columns(judged, open_, candidates, paths)
    _refuse_times(judged, open_, candidates, facts, limits)
    received = candidates.received_at_s
    _refuse(judged, open_, "STAMP_IN_FUTURE", received > appended_at_s + limits.future_s)
    _refuse(judged, open_, "NOT_A_TIME", received < 0)
    spans = _spans(candidates, paths, facts)
    _convert(judged, open_, candidates, facts, spans)
    _mark(judged, open_, candidates, facts, limits, spans.worth)
    return judged


def _refuse(judged: Judged, open_: Bools, reason: str, mask: Bools) -> None:
    mask = mask & open_
    if mask.any():
        open_ &= ~mask
        judged.refused[reason] = judged.refused.get(reason, np.zeros(len(mask), bool)) | mask


def _refuse_columns(judged: Judged, open_: Bools, candidates: Candidates, paths: list[Path]) -> None:
    for reason in {path.refusal for path in paths if path.refusal}:
        of_path = np.array([path.refusal == reason for path in paths])
        _refuse(judged, open_, reason, of_path[candidates.path])


def _refuse_times(
    judged: Judged, open_: Bools, candidates: Candidates, facts: Numbers, limits: Limits
) -> None:
    at = candidates.read_at_ms
    _refuse(judged, open_, "NOT_A_TIME", (at < 0) | (at >= 2**42))
    _refuse(judged, open_, "STAMP_IN_FUTURE", at > (candidates.received_at_s + limits.future_s) * 1000)
    _refuse(judged, open_, "BEYOND_RETENTION", at < limits.begins_ms)
    _refuse(judged, open_, "BEFORE_POINT", at < facts.from_ms)
    _refuse(judged, open_, "AFTER_POINT", at >= facts.to_ms)


class _Spans(NamedTuple):
    """What the meter says that served at each reading's time (n,): steps per sent digit, modulus, ticks per step."""

    top: Ints
    bottom: Ints
    modulus: Ints
    worth: Ints


def _convert(judged: Judged, open_: Bools, candidates: Candidates, facts: Numbers, spans: _Spans) -> None:
    top, bottom, modulus, worth = spans
    gauge, counter = facts.gauge.astype(bool), facts.counter.astype(bool)
    size = np.abs(candidates.sent.astype(np.float64)) * top
    _refuse(judged, open_, "OUT_OF_INT64", (size > _LIMIT) | (size / bottom * worth > _LIMIT))
    judged.ticks[:], inexact = convert(np.where(open_, candidates.sent, 0), top, bottom, gauge)
    _refuse(judged, open_, "NOT_EXACT", inexact)
    _refuse(judged, open_, "NEGATIVE_REGISTER", counter & (judged.ticks < 0))
    _refuse(judged, open_, "OVER_MODULUS", counter & (modulus > 0) & (judged.ticks >= modulus))


def convert(sent: Ints, top: Ints, bottom: Ints, gauge: Bools) -> tuple[Ints, Bools]:
    """Steps of values as sent, ``sent * top / bottom``: a gauge is rounded half to even; say where others have a rest.

    >>> convert(np.array([15, 25, 15]), np.array([1]), np.array([10]), np.array([True, True, False]))[0].tolist()
    [2, 2, 1]
    """
    whole, rest = np.divmod(sent * top, bottom)
    up = gauge & ((2 * rest > bottom) | ((2 * rest == bottom) & (whole % 2 == 1)))
    return whole + up, ~gauge & (rest != 0)


def _spans(candidates: Candidates, paths: list[Path], facts: Numbers) -> _Spans:
    top, bottom, modulus, worth = facts.top, facts.bottom, facts.modulus, facts.worth
    for number, path in enumerate(paths):
        for start, n, d, m, w in path.spans[1:]:
            mask = (candidates.path == number) & (candidates.read_at_ms >= start)
            top[mask], bottom[mask], modulus[mask], worth[mask] = n, d, m, w
    return _Spans(top, bottom, modulus, worth)


def _mark(
    judged: Judged, open_: Bools, candidates: Candidates, facts: Numbers, limits: Limits, worth: Ints
) -> None:
    ticks = judged.ticks * worth  # a register's steps in ticks of the point
    over = open_ & ((ticks < facts.low) | (ticks > facts.high))
    judged.quality[over], judged.reason[over] = Quality.SUSPECT, Reason.OVER_RANGE
    due_s = candidates.read_at_ms // 1000 + facts.span_s + limits.lateness_s
    timed = (candidates.origin == Origin.TIMED) | (candidates.origin == Origin.COMMAND)
    late = open_ & timed & (judged.quality == Quality.GOOD) & (candidates.received_at_s > due_s)
    judged.quality[late], judged.reason[late] = Quality.LATE, Reason.ARRIVED_LATE
