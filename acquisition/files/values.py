"""Values: text, cells or numbers become whole ticks; text goes through decimals, never through a float.

A column of floats has no decimals of its own: it is rounded to the declared ones, and a
value that this moves by more than half a unit in its 9th significant digit counts as
*rounded*, unless the rounded number gives the same float again (then nothing was lost;
for a value that has the precision of a float32, the same float32).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from acquisition.files.catalogue import Series
from acquisition.files.reader import Cells, Instants, Numbers
from nengliu.domain.points import Kind
from nengliu.domain.quality import Reason
from nengliu.domain.units import factor
from nengliu.errors import ContractError

LARGEST = 2**63 - 1
"""Beyond it no tick is stored; -2**63 is the sign for no reading and is refused too."""
SIGNIFICANT = 9
"""Digits a meter's value is trusted to; nine tell any two float32 apart."""
LONGEST = 100
"""Characters of a number; more is no reading of a meter."""

_PLAIN = re.compile(r"([+-]?[0-9]{1,18})(?:\.([0-9]*))?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_WORDS = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Values:
    """Ticks (n,), the reason why there is none (n,), and which were rounded (n,)."""

    ticks: npt.NDArray[np.int64]
    reason: npt.NDArray[np.uint16]
    rounded: npt.NDArray[np.bool_]


class ValueReader:
    """Reads the values of one series as its map entry says."""

    def __init__(self, series: Series, nulls: frozenset[str]) -> None:
        self.series, self.nulls = series, nulls
        self.decimals = series.column.decimals
        gauge = series.point.kind is Kind.GAUGE
        self.round_text = series.rounding == "half-even" or (series.rounding == "auto" and gauge)
        self.round_floats = series.rounding != "exact"
        self.units: dict[str, bool] = {}

    def read(self, cells: Cells) -> Values:
        """Turn cells into ticks; never raises for a cell."""
        if isinstance(cells, Numbers):
            return self._numbers(cells)
        if isinstance(cells, Instants):
            return _all(len(cells.ms), Reason.NOT_A_NUMBER)
        return self._cells(cells)

    def accepts_unit(self, text: str) -> bool:
        """Say whether `text` is the unit the map declares, by any of its names."""
        known = self.units.get(text)
        if known is None:
            if len(self.units) > 1000:
                self.units.clear()
            known = self.units[text] = self._same_unit(text.strip())
        return known

    def _same_unit(self, text: str) -> bool:
        unit = self.series.column.unit
        if self.series.labels:
            return text in self.series.labels or text == unit
        try:
            return text == unit or factor(text, unit) == 1
        except ContractError:
            return False

    def _cells(self, cells: Sequence[object]) -> Values:
        found = _all(len(cells), Reason.NONE)
        ticks, reason, rounded = found.ticks, found.reason, found.rounded
        decimals, floats = self.decimals, []
        for i, cell in enumerate(cells):
            if type(cell) is str:
                plain = None if self.series.suffix else _PLAIN.fullmatch(cell)
                if plain is not None:
                    whole, part = plain[1], plain[2] or ""
                    spare = decimals - len(part)
                    if spare >= 0 and len(whole) + decimals < 18:
                        ticks[i] = int(whole + part) * 10**spare
                        continue
                ticks[i], reason[i], rounded[i] = self._text(cell)
            elif isinstance(cell, float | np.floating):
                floats.append(i)
            else:
                ticks[i], reason[i], rounded[i] = self._cell(cell)
        if floats:
            part_values = np.array([cells[i] for i in floats], np.float64)
            of_floats = self._numbers(Numbers(part_values, np.zeros(len(floats), bool)))
            ticks[floats], reason[floats], rounded[floats] = (
                of_floats.ticks,
                of_floats.reason,
                of_floats.rounded,
            )
        return found

    def _cell(self, cell: object) -> tuple[int, Reason, bool]:
        if cell is None:
            return 0, Reason.EMPTY_VALUE, False
        if isinstance(cell, bool) or not isinstance(cell, int | Decimal):
            return 0, Reason.NOT_A_NUMBER, False
        return self._text(str(cell), bare=True)

    def _text(self, text: str, *, bare: bool = False) -> tuple[int, Reason, bool]:
        text = unicodedata.normalize("NFKC", text).strip() if len(text) <= LONGEST else text
        if text in self.nulls:
            return 0, Reason.EMPTY_VALUE, False
        if len(text) > LONGEST:
            return 0, Reason.NOT_A_NUMBER, False
        if self.series.suffix and not bare:
            number = _NUMBER.match(text)
            if number is None:
                return 0, _no_number(text), False
            if not self.accepts_unit(text[number.end() :]):
                return 0, Reason.WRONG_UNIT, False
            text = number[0]
        if not _NUMBER.fullmatch(text):
            return 0, _no_number(text), False
        return self._decimal(Decimal(text))

    def _decimal(self, value: Decimal) -> tuple[int, Reason, bool]:
        sign, digits, exponent = value.as_tuple()
        assert isinstance(exponent, int)
        whole, shift = int("".join(map(str, digits))), exponent + self.decimals
        if whole and value.adjusted() + self.decimals > 20:
            return 0, Reason.OUT_OF_INT64, False
        moved = False
        if shift >= 0 or not whole:
            ticks = whole * 10 ** max(shift, 0) if whole else 0
        else:
            ticks, rest = divmod(whole, 10**-shift)
            if rest:
                if not self.round_text:
                    return 0, Reason.NOT_EXACT, False
                exact = Fraction(whole, 10**-shift)
                ticks = round(exact)
                moved = abs(exact - ticks) * 2 > Fraction(10) ** (
                    value.adjusted() + self.decimals - SIGNIFICANT + 1
                )
        if ticks > LARGEST:
            return 0, Reason.OUT_OF_INT64, False
        return (-ticks if sign else ticks), Reason.NONE, moved

    def _numbers(self, cells: Numbers) -> Values:
        found = _all(len(cells.values), Reason.NONE)
        values, scale = cells.values, 10**self.decimals
        if values.dtype == np.int64:
            limit = LARGEST // scale
            over = (values > limit) | (values < -limit)
            found.ticks[:] = np.where(over, 0, values) * scale
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                product = np.rint(values.astype(np.float64) * scale)
                over = np.abs(product) >= 2.0**63
            finite = np.isfinite(values)
            found.reason[~finite] = Reason.NOT_FINITE
            over &= finite
            found.ticks[:] = np.where(over | ~finite, 0, product).astype(np.int64)
            found.rounded[:] = _moved(values, found.ticks, scale) & finite & ~over & ~cells.null
            if not self.round_floats:
                found.reason[found.rounded] = Reason.NOT_EXACT
                found.rounded[:] = False
        found.reason[over] = Reason.OUT_OF_INT64
        found.reason[cells.null] = Reason.EMPTY_VALUE
        return found


def _moved(
    values: npt.NDArray[np.int64] | npt.NDArray[np.float32] | npt.NDArray[np.float64],
    ticks: npt.NDArray[np.int64],
    scale: int,
) -> npt.NDArray[np.bool_]:
    back = ticks / scale
    exact = values.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        digit = np.floor(np.log10(np.abs(exact))) - SIGNIFICANT + 1
        moved = np.abs(back - exact) > 0.5 * 10.0**digit
        narrow = values.astype(np.float32)
        same = (back == exact) | ((narrow == exact) & (back.astype(np.float32) == narrow))
    return np.asarray(moved & ~same & (exact != 0), bool)


def _no_number(text: str) -> Reason:
    return Reason.NOT_FINITE if _WORDS.fullmatch(text) else Reason.NOT_A_NUMBER


def _all(n: int, reason: Reason) -> Values:
    return Values(np.zeros(n, np.int64), np.full(n, reason, np.uint16), np.zeros(n, bool))
