"""Candidates: the readings of some messages as columns, before anything is believed of them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Catalogue, Facts
from nengliu.domain.points import Kind
from nengliu.domain.units import factor
from nengliu.errors import ContractError

Ints = npt.NDArray[np.int64]
_LARGEST = 2**62


@dataclass(frozen=True, slots=True)
class Path:
    """How values of one column (point, unit and decimals as sent) become ticks.

    One span per meter: from when, numerator and denominator of steps per sent digit, modulus, ticks per step.
    `refusal` is the reason why no value of the column can be taken.
    """

    enterprise: str
    point: str
    unit: str
    decimals: int
    refusal: str = ""
    evidence: tuple[tuple[str, str], ...] = ()
    facts: Facts | None = None
    spans: tuple[tuple[int, int, int, int, int], ...] = ()


def path_of(catalogue: Catalogue, enterprise: str, point: str, unit: str, decimals: int) -> Path:
    """Work out the path of a column; a column that cannot be taken gets a refusal, not an error."""
    facts = catalogue.points.get((enterprise, point))
    if facts is None:
        return Path(enterprise, point, unit, decimals, "UNKNOWN_POINT", (("point", point),))
    known = facts.point
    if known.formulas:
        return Path(enterprise, point, unit, decimals, "COMPUTED_POINT", (("point", point),), facts)
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
        return Path(enterprise, point, unit, decimals, error.reason, tuple(error.parameters.items()), facts)
    return Path(enterprise, point, unit, decimals, "", (), facts, spans)


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

    def take(self, mask: npt.NDArray[np.bool_]) -> Candidates:
        """Keep some of the readings."""
        return Candidates(*(getattr(self, f.name)[mask] for f in fields(self)))


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
