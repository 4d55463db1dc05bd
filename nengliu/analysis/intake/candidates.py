"""Candidates: the readings of some messages as columns, before anything is believed of them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Catalogue, Facts
from nengliu.domain.points import Kind, Point
from nengliu.domain.units import factor
from nengliu.errors import ContractError

Ints = npt.NDArray[np.int64]
_LARGEST = 2**62


@dataclass(frozen=True, slots=True)
class Path:
    """How values of one column (point, unit and decimals as sent) become ticks.

    One span per meter: from when, numerator and denominator of steps per sent digit, modulus, ticks per step.
    `refusal` is the reason why no value of the column can be taken.  `numbers` are those of `Numbers`.
    """

    enterprise: str
    point: str
    unit: str
    decimals: int
    refusal: str = ""
    evidence: tuple[tuple[str, str], ...] = ()
    facts: Facts | None = None
    spans: tuple[tuple[int, int, int, int, int], ...] = ()
    numbers: tuple[int, ...] = (0, 0, 0, 0, -_LARGEST, _LARGEST, 0, 1, 1, 0, 1)

    @property
    def pair(self) -> tuple[str, str]:
        """Enterprise and id of the point."""
        return (self.enterprise, self.point) if self.facts is None else self.facts.pair


class Numbers(NamedTuple):
    """What is known of the columns of some paths, as columns themselves; spans: those of the first meter."""

    from_ms: Ints
    to_ms: Ints
    gauge: Ints
    counter: Ints
    low: Ints
    high: Ints
    span_s: Ints
    top: Ints
    bottom: Ints
    modulus: Ints
    worth: Ints


def numbers_of(paths: list[Path], path: Ints) -> Numbers:
    """Facts of each reading's path (n,)."""
    return Numbers(*np.array([one.numbers for one in paths], np.int64).T[:, path])


def path_of(catalogue: Catalogue, enterprise: str, point: str, unit: str, decimals: int) -> Path:
    """Work out the path of a column; a column that cannot be taken gets a refusal, not an error."""
    facts = catalogue.points.get((enterprise, point))
    if facts is None:
        return Path(enterprise, point, unit, decimals, "UNKNOWN_POINT", (("point", point),))
    known = facts.point
    if known.formulas:
        return Path(
            enterprise,
            point,
            unit,
            decimals,
            "COMPUTED_POINT",
            (("point", point),),
            facts,
            (),
            _numbers(known),
        )
    try:
        if known.kind is Kind.COUNTER:
            spans = tuple(
                (
                    s.meter.from_ms,
                    *_ratio(unit, decimals, s.meter.unit, s.meter.decimals),
                    s.meter.modulus,
                    s.ticks_per_step,
                )
                for s in facts.services
            )
        else:
            spans = ((0, *_ratio(unit, decimals, known.unit, known.decimals), 0, 1),)
    except ContractError as error:
        evidence = tuple(error.parameters.items())
        return Path(enterprise, point, unit, decimals, error.reason, evidence, facts, (), _numbers(known))
    return Path(enterprise, point, unit, decimals, "", (), facts, spans, _numbers(known, spans[0]))


def _numbers(point: Point, span: tuple[int, ...] = (0, 1, 1, 0, 1)) -> tuple[int, ...]:
    return (
        point.valid_from_ms,
        point.valid_to_ms,
        point.kind is Kind.GAUGE,
        point.kind is Kind.COUNTER,
        -_LARGEST if point.minimum is None else point.minimum,
        _LARGEST if point.maximum is None else point.maximum,
        point.interval_s if point.kind is Kind.PERIOD else 0,
        *span[1:],
    )


@cache
def _ratio(unit: str, decimals: int, target: str, target_decimals: int) -> tuple[int, int]:
    ratio = factor(unit, target) * Fraction(10) ** (target_decimals - decimals)
    if max(ratio.numerator, ratio.denominator) > _LARGEST:
        msg = f"{decimals} decimals of {unit} cannot be counted in {target_decimals} decimals of {target}"
        raise ContractError("OUT_OF_INT64", msg, got=f"1e-{decimals} {unit}")
    return ratio.numerator, ratio.denominator


@dataclass(slots=True)
class Candidates:
    """Equally long columns; `path` indexes `paths`, `message` the messages they came in.

    All are int64 but `sequence` (uint64); `item` numbers a reading within its message.
    """

    path: Ints
    read_at_ms: Ints
    sent: Ints
    quality: Ints
    reason: Ints
    origin: Ints
    received_at_s: Ints
    sequence: npt.NDArray[np.uint64]
    message: Ints
    item: Ints

    def take(self, some: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Candidates:
        """Keep some of the readings: a mask, or places in any order."""
        return Candidates(*(getattr(self, f.name)[some] for f in fields(self)))


def join(parts: list[Candidates]) -> Candidates:
    """Put candidates one after the other."""
    return Candidates(
        *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Candidates))
    )


@dataclass(slots=True)
class Judged:
    """What the business layer says of candidates: ticks, quality and reason, and which are refused why."""

    ticks: Ints
    quality: Ints
    reason: Ints
    refused: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
