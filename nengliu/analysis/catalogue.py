"""Catalogue of a shard: points, frame schemas and books as the log has told them so far.

Its state is a function of the log prefix: notices are taken in order, and what came
before the shard's start is asked of a loader once per enterprise (docs/decisions/0007).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from nengliu.analysis.checks import check, check_bounds, check_names
from nengliu.domain.books import Book, book_of
from nengliu.domain.formulas import Computed, compute
from nengliu.domain.points import FOREVER_MS, Enterprise, Formula, Kind, Meter, Point, Schema, Seat, Stay
from nengliu.domain.space import affected, moved
from nengliu.domain.units import factor
from nengliu.errors import ContractError
from schemas.messages import (
    BookNotice,
    EnterpriseNotice,
    Notice,
    PointNotice,
    RetentionNotice,
    SchemaNotice,
    WiringNotice,
)

Loader = Callable[[str, int], Iterable[tuple[int, Notice]]]
"""``loader(enterprise, before_position)``: its notices with their positions, oldest first."""


_LARGEST = 2**62
_POINT_BOUNDS = {
    "decimals": (0, 18),
    "interval_s": (0, 2**32 - 1),
    "hold_s": (0, 2**32 - 1),
    "metering_level": (0, 255),
    "valid_from_ms": (-_LARGEST, _LARGEST),
    "valid_to_ms": (-_LARGEST, _LARGEST),
    "minimum": (-_LARGEST, _LARGEST),
    "maximum": (-_LARGEST, _LARGEST),
    "rated": (1, _LARGEST),
}
_METER_BOUNDS = {
    "from_ms": (-_LARGEST, _LARGEST),
    "decimals": (0, 18),
    "multiplier": (1, _LARGEST),
    "modulus": (0, _LARGEST),
    "first": (0, _LARGEST),
    "last": (0, _LARGEST),
}
"""What the store can hold and int64 can count; a notice beyond it is refused before it can stop the flow."""


@dataclass(frozen=True, slots=True)
class Service:
    """A meter's service in whole ticks: from when, what a step is worth, and where that is told in the log."""

    meter: Meter
    ticks_per_step: int
    position: int
    last_position: int = 0


ALL_ITEMS = ""


class Shaped(NamedTuple):
    """A notice changed totals of an item, or of all of them, in a span of time [ms, UTC]."""

    from_ms: int
    to_ms: int
    item: str
    position: int


@dataclass(frozen=True, slots=True)
class Facts:
    """A point with the positions that told of it; `pair`, its enterprise and id, serves as key wherever it is known."""

    point: Point
    position: int
    services: tuple[Service, ...] = ()
    computed: tuple[Computed, ...] = ()
    shaped: tuple[Shaped, ...] = ()
    pair: tuple[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Make the key."""
        object.__setattr__(self, "pair", (self.point.enterprise, self.point.point))


def step_worth(point: Point, meter: Meter) -> int:
    """Ticks of the point in one step of the meter's register.

    Raises
    ------
    ContractError
        WRONG_UNIT for another dimension, NOT_EXACT when a step is no whole number of ticks.
    """
    worth = _worth(meter.unit, point.unit, meter.multiplier, point.decimals - meter.decimals)
    if worth.denominator != 1 or not 1 <= worth <= _LARGEST:
        where = f"point {point.point}: one step of its meter ({meter.unit}, {meter.decimals} decimals)"
        msg = f"{where} is {worth} ticks; expected a whole number: give the point more decimals"
        raise ContractError("NOT_EXACT", msg, point=point.point, got=worth)
    return int(worth)


@lru_cache(maxsize=4096)
def _worth(source: str, target: str, multiplier: int, decimals: int) -> Fraction:
    """Ticks in one step; a million meters are of a few kinds."""
    return factor(source, target) * multiplier * Fraction(10) ** decimals


class Catalogue:
    """What one shard knows of its enterprises."""

    def __init__(self, loader: Loader | None = None) -> None:
        """Start empty; `loader` tells what came before."""
        self.points: dict[tuple[str, str], Facts] = {}
        self.schemas: dict[tuple[str, int], Schema] = {}
        self.enterprises: dict[str, Enterprise] = {}
        self.seated: dict[str, tuple[Shaped, ...]] = {}
        """Where notices changed the region or the industry of an enterprise."""
        self.names: dict[str, list[str]] = {}
        """Ids of each enterprise's points, in the order they were told of."""
        self.wiring: dict[str, dict[str, WiringNotice]] = {}
        """Enterprise -> collector -> how it was last wired."""
        self.book = Book()
        self.begins_ms = 0
        """Since when raw readings are kept [ms, UTC]: nothing before may be computed again."""
        self._loader = loader
        self._known: set[str] = set()

    def know(self, enterprise: str, before: int) -> None:
        """Load an enterprise at first sight, as it stood before a position."""
        if enterprise in self._known:
            return
        self._known.add(enterprise)
        for position, notice in self._loader(enterprise, before) if self._loader else ():
            self.take(notice, position)

    def take(self, notice: Notice, position: int) -> bool:
        """Take a notice in; say whether it changed anything.

        Raises
        ------
        ContractError
            The notice contradicts what is fixed: a point's kind, unit or decimals, a schema's columns.
        """
        if isinstance(notice, PointNotice):
            return self._take_point(notice.value, position)
        if isinstance(notice, SchemaNotice):
            return self._take_schema(notice.value)
        if isinstance(notice, EnterpriseNotice):
            value = notice.value
            _check_stays("stays", value.stays, (value.region, value.industry))
            old = self.enterprises.get(value.enterprise)
            changed = old != value
            if changed:
                self.enterprises[value.enterprise] = value
                span = moved(old, value)
                shaped = (Shaped(*span, ALL_ITEMS, position),) if span else ()
                self.seated[value.enterprise] = self.seated.get(value.enterprise, ()) + shaped
            return changed
        if isinstance(notice, WiringNotice):
            wired = self.wiring.setdefault(notice.enterprise, {})
            changed = wired.get(notice.source) != notice
            wired[notice.source] = notice
            return changed
        if isinstance(notice, BookNotice):
            return self._take_book(notice)
        if isinstance(notice, RetentionNotice):
            changed = notice.begins_ms > self.begins_ms
            self.begins_ms = max(self.begins_ms, notice.begins_ms)
            return changed
        return False

    def _take_book(self, notice: BookNotice) -> bool:
        changed = self.book.digest != notice.digest
        try:
            self.book = book_of(notice.digest, notice.factors)
        except (KeyError, ValueError) as error:
            msg = f"book {notice.digest}: {error!r}"
            raise ContractError("BAD_FIELD", msg, field="factors", got=error) from error
        return changed

    def _take_point(self, point: Point, position: int) -> bool:
        old = self.points.get((point.enterprise, point.point))
        if old is not None and old.point == point:
            return False
        if old is not None:
            _check_fixed(old.point, point)
        facts = _measured(point, old, position)
        if point.formulas:
            facts = replace(facts, computed=self._computed(point, old, position))
        if old is None:
            self.names.setdefault(point.enterprise, []).append(point.point)
        self.points[facts.pair] = facts
        return True

    def _computed(self, point: Point, old: Facts | None, position: int) -> tuple[Computed, ...]:
        """Formulas of a computed point, each with the position since which it has held for all it holds for now."""
        told = {} if old is None else _ends(old.point)
        ends = _ends(point)

        def find(name: str) -> Point | None:
            facts = self.points.get((point.enterprise, name))
            return None if facts is None else facts.point

        def told_at(i: int) -> int:
            formula = point.formulas[i]
            if old is None or formula not in told or told[formula] < ends[formula]:
                return position
            return old.computed[old.point.formulas.index(formula)].position

        for formula in point.formulas:
            check_bounds(formula, {"from_ms": (-_LARGEST, _LARGEST)})
        return compute(point, find, told_at)

    def _take_schema(self, schema: Schema) -> bool:
        check_bounds(schema, {"schema": (0, 2**32 - 1)})
        for column in schema.columns:
            check_bounds(column, {"decimals": (0, 18)})
        key = schema.enterprise, schema.schema
        fresh = key not in self.schemas
        if self.schemas.setdefault(key, schema) != schema:
            msg = f"schema {schema.schema} of {schema.enterprise} has other columns; use a new number"
            raise ContractError("BAD_FIELD", msg, field="schema", got=schema.schema)
        return fresh


@lru_cache(maxsize=4096)
def _measured(point: Point, old: Facts | None, position: int) -> Facts:
    """Facts of a point but for its formulas; the catalogues of one process, which learn of it in turn, share them."""
    check_bounds(point, _POINT_BOUNDS)
    _check_stays("places", point.places, point.place)
    _check_tariffs(point)
    return Facts(point, position, _services(point, old, position), shaped=_shaped(point, old, position))


def _shaped(point: Point, old: Facts | None, position: int) -> tuple[Shaped, ...]:
    """Where notices changed totals by this point, this one included; if its item changes, those of both items."""
    before = () if old is None else old.shaped
    span = affected(None if old is None else old.point, point)
    items = {point.item} | (set() if old is None else {old.point.item})
    return before if span is None else (*before, *(Shaped(*span, item, position) for item in sorted(items)))


def _check_stays(field: str, stays: Sequence[Stay | Seat], last: str | tuple[str, str]) -> None:
    """Refuse dated places that are in no order, or do not end where the point (the enterprise) is now."""
    if not stays:
        return
    starts = [stay.from_ms for stay in stays]
    check(field, "order", sound=starts == sorted(set(starts)))
    for stay in stays:
        check_bounds(stay, {"from_ms": (-_LARGEST, _LARGEST)})
    newest = stays[-1]
    at = newest.place if isinstance(newest, Stay) else (newest.region, newest.industry)
    check(field, at, sound=at == last)


def _check_tariffs(point: Point) -> None:
    if not point.tariffs:
        return
    starts = [tariff.from_ms for tariff in point.tariffs]
    check("tariffs", "order", sound=starts == sorted(set(starts)))
    check_names("tariffs", [tariff.tariff for tariff in point.tariffs])
    for tariff in point.tariffs:
        check_bounds(tariff, {"from_ms": (-_LARGEST, _LARGEST)})


def _check_fixed(old: Point, new: Point) -> None:
    for name in ("kind", "unit", "decimals"):
        if getattr(old, name) != getattr(new, name):
            was, got = getattr(old, name), getattr(new, name)
            msg = f"point {new.point}: {name} is fixed as {was}, got {got}; make a new point"
            raise ContractError("BAD_FIELD", msg, field=name, got=got)
    if bool(old.formulas) != bool(new.formulas):
        was = "computed" if old.formulas else "measured"
        msg = f"point {new.point} is {was} for its life; make a new point"
        raise ContractError("BAD_FIELD", msg, field="formulas", got=was)
    if new.formulas and new.formulas[0].from_ms > old.formulas[0].from_ms:
        msg = f"point {new.point}: its first formula cannot begin later than it was told before"
        raise ContractError("BAD_FIELD", msg, field="formulas", got=new.formulas[0].from_ms)


def _ends(point: Point) -> dict[Formula, int]:
    """Until when each formula of a point holds [ms, UTC]."""
    starts = [formula.from_ms for formula in point.formulas[1:]]
    return dict(zip(point.formulas, [*starts, FOREVER_MS], strict=False))


def _services(point: Point, old: Facts | None, position: int) -> tuple[Service, ...]:
    if point.kind is not Kind.COUNTER:
        factor(point.unit, point.unit)
        return ()
    if not point.meters:
        raise ContractError(
            "MISSING_FIELD", f"counter {point.point}: expected at least one meter", field="meters"
        )
    if [m.from_ms for m in point.meters] != sorted({m.from_ms for m in point.meters}):
        raise ContractError(
            "BAD_FIELD", f"counter {point.point}: meters by ascending from_ms", field="meters", got="order"
        )
    found = []
    for i, meter in enumerate(point.meters):
        check_bounds(meter, _METER_BOUNDS)
        service = Service(
            meter, step_worth(point, meter), position, position if i + 1 < len(point.meters) else 0
        )
        before = old.services[i] if old is not None and i < len(old.services) else None
        if before is not None and replace(before.meter, last=None) == replace(meter, last=None):
            same_last = before.meter.last == meter.last and before.last_position
            service = replace(
                service,
                position=before.position,
                last_position=before.last_position if same_last else service.last_position,
            )
        found.append(service)
    return tuple(found)
