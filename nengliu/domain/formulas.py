"""Formula points: the language of sums, differences and ratios of points, and what it may mean.

    formula  = term { ("+" | "-") term }        term = factor { ("*" | "/") factor }
    factor   = "-" factor | number | point | "(" formula ")"
    point    = letters, digits and "_", not beginning with a digit, or any id in double quotes

A formula means one of three things: a sum of *amounts* with whole weights, in ticks of the point, exact; a sum of
*gauges*; or a *ratio*, quotients of such sums and a constant, computed from the sums of each period and never averaged.
Source: domain.md 1.5 (arithmetic relation of meters) and 3 (unit consumption; a denominator of 0 is undefined).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter

import numpy as np
import numpy.typing as npt

from nengliu.domain.points import Kind, Point
from nengliu.domain.units import dimension, factor
from nengliu.errors import ContractError

Ints = npt.NDArray[np.int64]
Find = Callable[[str], Point | None]
LONGEST = 4000
"""Characters of a formula."""
_DEEPEST = 50
_LARGEST = 2**62
_TOKEN = re.compile(
    r'\s*(?:(?P<number>\d{1,18}(?:\.\d{1,18})?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|"(?P<quoted>[^"]+)"|(?P<sign>[-+*/()]))'
)


@dataclass(frozen=True, slots=True)
class Expression:
    """A formula in its normal form: ``constant + sum of weighted points + sum of quotients of such sums``."""

    constant: Fraction = Fraction(0)
    points: Mapping[str, Fraction] = field(default_factory=dict)
    quotients: tuple[tuple[Mapping[str, Fraction], Mapping[str, Fraction]], ...] = ()

    @property
    def operands(self) -> tuple[str, ...]:
        """Every point it speaks of, in order of their ids."""
        sides = [side for quotient in self.quotients for side in quotient]
        return tuple(sorted({point for side in (self.points, *sides) for point in side}))


@dataclass(frozen=True, slots=True)
class Side:
    """A sum of weighted operands; whole weights of ticks, or weights of the means of gauges."""

    weights: tuple[tuple[str, int], ...]
    divisor: int
    gauge: bool


@dataclass(frozen=True, slots=True)
class Computed:
    """A formula of a point that fits the points it speaks of.

    Attributes
    ----------
    from_ms
        Since when it holds [ms, UTC].
    position
        Log position that told of it.
    operands
        Ids of the points it speaks of, in order.
    total
        The sum, of an amount in ticks of the point (divisor 1), of gauges in its unit; None for a ratio.
    shares
        Of amounts, how often each operand of `total` is contained: what is proportional to its amount (standard coal,
        CO2) is contained as often.
    constant, quotients
        Of a ratio, in the unit of the point: the constant, and numerator, denominator and scale of each quotient.
    """

    from_ms: int
    position: int
    operands: tuple[str, ...]
    total: Side | None
    shares: tuple[float, ...] = ()
    constant: float = 0.0
    quotients: tuple[tuple[Side, Side, float], ...] = ()


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Read a formula.

    Raises
    ------
    ContractError
        BAD_FIELD: what was expected, and where.

    >>> parse('a - 0.5 * "b-2"').points
    {'a': Fraction(1, 1), 'b-2': Fraction(-1, 2)}
    """
    if len(text) > LONGEST:
        raise _refusal(f"expected at most {LONGEST} characters, got {len(text)}")
    parser = _Parser(text)
    found = parser.sum(0)
    if parser.kind:
        raise parser.unexpected("an operator or the end")
    return found


def compute(point: Point, find: Find, position: Callable[[int], int]) -> tuple[Computed, ...]:
    """Fit the formulas of a point to the points they speak of.

    Parameters
    ----------
    find
        Point of the same enterprise by id, None where there is none.
    position
        Log position that told of the i-th formula.

    Raises
    ------
    ContractError
        BAD_FIELD (language, order, kind, item, a cycle), UNKNOWN_POINT, WRONG_UNIT, NOT_EXACT.
    """
    if not point.formulas:
        return ()
    starts = [formula.from_ms for formula in point.formulas]
    if starts != sorted(set(starts)):
        raise _refusal(f"point {point.point}: expected formulas by ascending from_ms", "order")
    if point.interval_s or point.meters or point.kind is Kind.COUNTER:
        what = "kind period or gauge, interval_s 0 and no meters"
        raise _refusal(f"point {point.point}: a computed point has {what}", "measured")
    fitted = tuple(
        _fit(point, parse(formula.text), find, formula.from_ms, position(i))
        for i, formula in enumerate(point.formulas)
    )
    _refuse_cycle(point, find)
    return fitted


def operands_of(point: Point) -> tuple[str, ...]:
    """Ids of all points that the formulas of a point speak of, whenever."""
    return tuple(sorted({name for formula in point.formulas for name in parse(formula.text).operands}))


def order(points: Mapping[str, Point]) -> list[str]:
    """Ids of the computed points of one enterprise, each behind the computed points it speaks of.

    >>> from nengliu.domain.points import Formula
    >>> def of(name, text):
    ...     return Point("e", name, "", Kind.PERIOD, "heat", "GJ", 2, interval_s=0, formulas=(Formula(0, text),))
    >>> order({"a": of("a", "b + x"), "b": of("b", "x"), "x": Point("e", "x", "", Kind.PERIOD, "heat", "GJ", 2)})
    ['b', 'a']
    """
    graph = {name: operands_of(point) for name, point in points.items() if point.formulas}
    return [name for name in TopologicalSorter(graph).static_order() if name in graph]


def in_force(starts_ms: Sequence[int], period_start_ms: Ints) -> Ints:
    """Which of the dated formulas holds in each period (n,): the one at its start; -1 before the first."""
    return np.searchsorted(np.array(starts_ms, np.int64), period_start_ms, side="right") - 1


def _refusal(message: str, got: object = "") -> ContractError:
    return ContractError("BAD_FIELD", f"formulas: {message}", field="formulas", got=got or message)


# -- the language --------------------------------------------------------------------------------------


class _Parser:
    """Recursive descent over the tokens of one formula; `kind` is that of the token ahead, "" at the end."""

    def __init__(self, text: str) -> None:
        """Look at the first token."""
        self.text, self.place, self.start = text.rstrip(), 0, 0
        self.kind, self.word = "", ""
        self.next()

    def next(self) -> None:
        """Move one token on."""
        if self.place == len(self.text):
            self.kind, self.word, self.start = "", "", self.place
            return
        match = _TOKEN.match(self.text, self.place)
        if match is None:
            self.word = self.text[self.place :].split(maxsplit=1)[0]
            self.start = self.text.index(self.word, self.place)
            raise self.unexpected("a number, a point, an operator or a parenthesis")
        self.start, self.place = match.start(str(match.lastgroup)), match.end()
        self.kind, self.word = str(match.lastgroup), str(match[str(match.lastgroup)])

    def unexpected(self, expected: str) -> ContractError:
        """Say what was expected in the place of the token ahead."""
        got = self.word or "the end"
        return _refusal(f"expected {expected} at character {self.start + 1}, got {got!r}", got)

    def sum(self, depth: int) -> Expression:
        """``term { ("+" | "-") term }``."""
        found = self._term(depth)
        while self.word in ("+", "-") and self.kind == "sign":
            sign = self.word
            self.next()
            more = self._term(depth)
            found = _add(found, more if sign == "+" else _scale(more, Fraction(-1)))
        return found

    def _term(self, depth: int) -> Expression:
        found = self._factor(depth)
        while self.word in ("*", "/") and self.kind == "sign":
            sign = self.word
            self.next()
            more = self._factor(depth)
            found = _multiply(found, more) if sign == "*" else _divide(found, more)
        return found

    def _factor(self, depth: int) -> Expression:
        if depth > _DEEPEST:
            raise _refusal(f"expected at most {_DEEPEST} levels of signs and parentheses")
        kind, word = self.kind, self.word
        if kind == "number":
            self.next()
            return Expression(Fraction(word))
        if kind in ("name", "quoted"):
            self.next()
            return Expression(points={word: Fraction(1)})
        if word == "-" and kind == "sign":
            self.next()
            return _scale(self._factor(depth + 1), Fraction(-1))
        if word == "(" and kind == "sign":
            self.next()
            found = self.sum(depth + 1)
            if self.word != ")" or self.kind != "sign":
                raise self.unexpected("a closing parenthesis")
            self.next()
            return found
        raise self.unexpected("a number, a point or a parenthesis")


def _constant(one: Expression) -> bool:
    return not one.points and not one.quotients


def _add(one: Expression, other: Expression) -> Expression:
    names = {**one.points, **other.points}
    weights = {
        name: one.points.get(name, Fraction(0)) + other.points.get(name, Fraction(0)) for name in names
    }
    kept = {name: weight for name, weight in weights.items() if weight}
    return Expression(one.constant + other.constant, kept, one.quotients + other.quotients)


def _scale(one: Expression, by: Fraction) -> Expression:
    def scaled(side: Mapping[str, Fraction]) -> Mapping[str, Fraction]:
        return {name: weight * by for name, weight in side.items() if by}

    quotients = tuple((scaled(top), bottom) for top, bottom in one.quotients)
    return Expression(one.constant * by, scaled(one.points), quotients)


def _multiply(one: Expression, other: Expression) -> Expression:
    if _constant(other):
        return _scale(one, other.constant)
    if _constant(one):
        return _scale(other, one.constant)
    raise _refusal("points may be multiplied by numbers only, not by each other")


def _divide(one: Expression, other: Expression) -> Expression:
    if _constant(other):
        if not other.constant:
            raise _refusal("a division by zero")
        return _scale(one, 1 / other.constant)
    if other.constant or other.quotients or one.constant or one.quotients:
        raise _refusal("only a sum of points may be divided by a sum of points")
    return Expression(quotients=((one.points, other.points),))


# -- what it means -------------------------------------------------------------------------------------


def _fit(point: Point, expression: Expression, find: Find, from_ms: int, position: int) -> Computed:
    known = {name: _known(point, name, find) for name in expression.operands}
    if not known:
        raise _refusal(f"point {point.point}: the formula speaks of no point")
    if expression.quotients:
        return _ratio(point, expression, known, from_ms, position)
    if expression.constant:
        raise _refusal(f"point {point.point}: a number cannot be added to an amount", expression.constant)
    total = _side(expression.points, known, point.unit)
    if total.gauge != (point.kind is Kind.GAUGE):
        expected = "gauge" if total.gauge else "period"
        raise _refusal(f"point {point.point}: expected kind {expected}, got {point.kind}", point.kind)
    if total.gauge:
        return Computed(from_ms, position, expression.operands, total)
    shares = tuple(float(expression.points[name]) for name, _ in total.weights)
    return Computed(from_ms, position, expression.operands, _whole(point, total, known), shares)


def _known(point: Point, name: str, find: Find) -> Point:
    found = find(name)
    if found is None:
        raise ContractError(
            "UNKNOWN_POINT", f"point {point.point}: no point {name!r} in the catalogue", point=name
        )
    return found


def _side(weights: Mapping[str, Fraction], known: Mapping[str, Point], unit: str) -> Side:
    """Sum in `unit` of ticks, or of the means of gauges."""
    gauges = {known[name].kind is Kind.GAUGE for name in weights}
    if len(gauges) > 1:
        raise _refusal("amounts and gauges cannot be added to each other")
    gauge = gauges == {True}
    worth = {
        name: weight
        * factor(known[name].unit, unit)
        * (1 if gauge else Fraction(1, 10 ** known[name].decimals))
        for name, weight in weights.items()
    }
    divisor = np.lcm.reduce([weight.denominator for weight in worth.values()], dtype=object)
    whole = tuple((name, int(worth[name] * divisor)) for name in sorted(worth))
    return Side(whole, int(divisor), gauge)


def _whole(point: Point, total: Side, known: Mapping[str, Point]) -> Side:
    """Weights in ticks of the point per tick of each operand."""
    items = {known[name].item for name, _ in total.weights}
    if items != {point.item}:
        got = ", ".join(sorted(items - {point.item}))
        raise _refusal(f"point {point.point}: expected amounts of {point.item} only, got {got}", got)
    ticks = [(name, Fraction(weight * 10**point.decimals, total.divisor)) for name, weight in total.weights]
    for name, weight in ticks:
        if weight.denominator != 1 or abs(weight) > _LARGEST:
            where = f"point {point.point}: one tick of {name} is {weight} ticks"
            msg = f"{where}; expected a whole number: give it more decimals"
            raise ContractError("NOT_EXACT", msg, point=point.point, got=weight)
    return Side(tuple((name, int(weight)) for name, weight in ticks), 1, gauge=False)


def _ratio(
    point: Point, expression: Expression, known: Mapping[str, Point], from_ms: int, position: int
) -> Computed:
    if point.kind is not Kind.GAUGE:
        raise _refusal(f"point {point.point}: expected kind gauge of a ratio, got {point.kind}", point.kind)
    if expression.points:
        raise _refusal(
            f"point {point.point}: an amount cannot be added to a ratio", ", ".join(expression.points)
        )
    percent = 100 if point.unit == "%" else 1
    unit = "1" if percent > 1 else point.unit
    if expression.constant and dimension(unit) != "number":
        raise _refusal(f"point {point.point}: a number cannot be added to {unit}", expression.constant)
    quotients = []
    for top, bottom in expression.quotients:
        if not top:
            raise _refusal(f"point {point.point}: the formula divides nothing")
        units = [min(known[name].unit for name in side) for side in (top, bottom)]
        scale = factor("/".join(units), unit) if units[0] != units[1] else factor("1", unit)
        sides = _side(top, known, units[0]), _side(bottom, known, units[1])
        quotients.append((*sides, float(scale * percent)))
    constant = float(expression.constant * percent * (factor("1", unit) if expression.constant else 1))
    return Computed(from_ms, position, expression.operands, None, (), constant, tuple(quotients))


def _refuse_cycle(point: Point, find: Find) -> None:
    """Refuse a point that is computed from itself; the refusal names the way round."""
    graph: dict[str, tuple[str, ...]] = {}
    ahead = [point]
    while ahead:
        one = ahead.pop()
        graph[one.point] = operands_of(one)
        found = [find(name) for name in graph[one.point] if name not in graph]
        ahead += [other for other in found if other is not None and other.formulas]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        raise _refusal(f"point {point.point} is computed from itself: {cycle}", cycle) from error
