"""Figures of production as people write them: rows of a form become activities, mistakes reasons with their row."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.resources import files

from nengliu.analysis.checks import TEXT_LIMIT
from nengliu.analysis.forms.sheets import Heads, Line, Template
from nengliu.analysis.notices import COUNTED, MEASURES, OF_PRODUCTS, is_period
from nengliu.domain.quality import Reason
from nengliu.errors import ContractError
from schemas.messages import Activity, RejectedRow

HEADS: Heads = {
    "period": ("期间", "period", "月份", "日期"),
    "measure": ("指标", "measure"),
    "product": ("产品", "product"),
    "value": ("数值", "value"),
    "unit": ("单位", "unit"),
    "source": ("来源说明", "source", "来源", "说明"),
}
NEEDED = ("period", "measure", "value")
TAKEN_BACK = ("撤回", "withdrawn")
"""In the column of the value: the figure is taken back."""
_MONTH = re.compile(r"(\d{4})[-/.年]?(\d{1,2})月?")
_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?: 00:00:00)?")
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_LARGEST = Decimal(10) ** 15


@dataclass(frozen=True, slots=True)
class Measure:
    """One kind of figure, with its unit and its names (`schemas/codes/measures.csv`)."""

    measure: str
    unit: str
    zh: str
    en: str


@cache
def measures() -> dict[str, Measure]:
    """Kinds of figures by name, in the order of their list."""
    text = files("schemas").joinpath("codes/measures.csv").read_text(encoding="utf-8")
    return {row["measure"]: Measure(**row) for row in csv.DictReader(text.splitlines())}


def activities_of(lines: Sequence[Line]) -> tuple[tuple[Activity, ...], list[RejectedRow]]:
    """Make figures of the rows of a form; what cannot be one is told with its row and reason."""
    found: dict[tuple[str, str], Activity] = {}
    rejected: list[RejectedRow] = []
    for line in lines:
        try:
            one = _activity(line)
            if (one.measure, one.period) in found:
                raise _bad("period", f"{one.period} {one.measure}", "VALUE_CONFLICT")
            found[one.measure, one.period] = one
        except ContractError as error:
            parameters = {name: str(value) for name, value in error.parameters.items()}
            text = " | ".join(cell for cell in line.cells.values() if cell)[:TEXT_LIMIT]
            rejected.append(RejectedRow(line.row, int(Reason[error.reason]), "", text, parameters))
    return tuple(found.values()), rejected


def figure(measure: str, product: str, period: str, value: str, source: str) -> Activity:
    """Make a figure of what was written into a form.

    Raises
    ------
    ContractError
        BAD_FIELD, EMPTY_VALUE, NOT_A_NUMBER, NOT_FINITE or OUT_OF_INT64, naming the field.
    """
    cells = {"measure": measure, "product": product, "period": period, "value": value, "source": source}
    return _activity(Line(0, cells))


def _activity(line: Line) -> Activity:
    measure, period = measure_of(line.get("measure")), period_of(line.get("period"))
    product = " ".join(line.get("product").split())
    if product and (
        measure not in OF_PRODUCTS or not product.isprintable() or len(product) > TEXT_LIMIT // 2
    ):
        raise _bad("product", product)
    unit = line.get("unit")
    if unit and unit not in unit_words(measure):
        raise ContractError("WRONG_UNIT", f"{measure}: {unit!r}", expected=MEASURES[measure], got=unit)
    text = line.get("value")
    value = None if text.casefold() in TAKEN_BACK else amount(text)
    if value is not None and value < 0 and measure in COUNTED:
        raise _bad("value", text)
    source = line.get("source")
    if len(source) > TEXT_LIMIT or not source.isprintable():
        raise _bad("source", source[:TEXT_LIMIT])
    return Activity(f"{measure}:{product}" if product else measure, period, value, MEASURES[measure], source)


def measure_of(text: str) -> str:
    """Name of a kind of figure as it may be written: its name, or its words in either language.

    Raises
    ------
    ContractError
        MISSING_FIELD or BAD_FIELD.
    """
    if not text:
        raise ContractError("MISSING_FIELD", "measure", field="measure")
    for one in measures().values():
        if text.casefold() in (one.measure, one.zh, one.en.casefold()):
            return one.measure
    raise _bad("measure", text)


def period_of(text: str) -> str:
    """Month or day as it may be written, as the log says it.

    >>> period_of("2026年3月"), period_of("2026/3/5"), period_of("202603")
    ('2026-03', '2026-03-05', '2026-03')

    Raises
    ------
    ContractError
        MISSING_FIELD or NOT_A_TIME.
    """
    if not text:
        raise ContractError("MISSING_FIELD", "period", field="period")
    parts = _MONTH.fullmatch(text) or _DAY.fullmatch(text)
    found = "-".join([parts[1], *(part.zfill(2) for part in parts.groups()[1:])]) if parts else ""
    if not is_period(found):
        raise ContractError("NOT_A_TIME", f"expected a month or a day, got {text!r}", got=text)
    return found


def amount(text: str) -> float:
    """Amount as it may be written, thousands grouped or not.

    >>> amount("1,234.5")
    1234.5

    Raises
    ------
    ContractError
        EMPTY_VALUE, NOT_A_NUMBER, NOT_FINITE or OUT_OF_INT64.
    """
    if not text:
        raise ContractError("EMPTY_VALUE", "expected a number, got nothing")
    bare = text.replace(",", "") if _GROUPED.fullmatch(text) else text
    try:
        value = Decimal(bare)
    except InvalidOperation as error:
        raise ContractError("NOT_A_NUMBER", f"expected a number, got {text!r}", got=text) from error
    if not value.is_finite():
        raise ContractError("NOT_FINITE", f"expected a finite number, got {text!r}", got=text)
    if abs(value) > _LARGEST:
        raise ContractError("OUT_OF_INT64", f"expected at most {_LARGEST}, got {text!r}", got=text)
    return float(value)


def unit_words(measure: str) -> tuple[str, ...]:
    """Words by which the unit of a measure may be named."""
    unit = MEASURES[measure]
    return (unit, *_UNIT_WORDS.get(unit, ()))


_UNIT_WORDS = {"10k CNY": ("万元",), "t": ("吨",), "persons": ("人",), "shifts": ("班", "班次")}


def template(periods: Sequence[str], products: Sequence[str], *, chinese: bool) -> Template:
    """Give the form of some periods: a row per measure, of those told by product one per product."""
    rows = [
        [period, one.zh if chinese else one.en, product, "", units(chinese=chinese)[one.unit], ""]
        for period in periods
        for one in measures().values()
        for product in (products if products and one.measure in OF_PRODUCTS else [""])
    ]
    words = [one.zh if chinese else one.en for one in measures().values()]
    return Template([names[0 if chinese else 1] for names in HEADS.values()], rows, {1: words})


def units(*, chinese: bool) -> dict[str, str]:
    """How the units of the measures are written in a language."""
    return {unit: _UNIT_WORDS[unit][0] if chinese else unit for unit in MEASURES.values()}


def _bad(field: str, got: str, reason: str = "BAD_FIELD") -> ContractError:
    return ContractError(reason, f"{field}: {got!r}", field=field, got=got)
