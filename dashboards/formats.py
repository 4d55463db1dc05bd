"""Numbers, units and times as people read them; nothing is computed here."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from dashboards.i18n import Text

DASH = "\u2013"


def digits_for(value: float) -> int:
    """Choose the decimals that keep about four figures.

    >>> [digits_for(x) for x in (0.1234, 5.678, 123.4, 5678.9)]
    [3, 2, 1, 0]
    """
    size = abs(value)
    if size >= 1000 or size == 0:
        return 0
    return 1 if size >= 100 else 2 if size >= 1 else 3


def number(value: float | None, digits: int | None = None) -> str:
    """Write a number with thousands separators; a dash where there is none.

    >>> number(1234.5, 1), number(float("nan")) == DASH, number(0.0)
    ('1,234.5', True, '0')
    """
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:,.{digits_for(value) if digits is None else digits}f}"


def unit_label(text: Text, unit: str) -> str:
    """Write a canonical unit for people.

    >>> unit_label(Text("en"), "m3")
    'm³'
    """
    return text.get(f"unit.{unit}", unit)


def amount(text: Text, value: float | None, unit: str) -> tuple[str, str]:
    """Write an amount in the unit of its size: (number, unit).

    >>> amount(Text("en"), 1_234_500.0, "kWh")
    ('1.23', 'GWh')
    >>> amount(Text("zh_CN"), 1_234_500.0, "kWh")[0]
    '123.5'
    """
    if value is None or not math.isfinite(value):
        return DASH, unit_label(text, unit)
    divisor, label = scale_for(text, abs(value), unit)
    return number(value / divisor), label


def scale_for(text: Text, largest: float, unit: str) -> tuple[float, str]:
    """Choose one divisor and label for all values of a chart, by the largest of them."""
    divisor, label = 1.0, unit_label(text, unit)
    for size, name in text.scales(unit):
        if largest >= size:
            divisor, label = size, name
    return divisor, label


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share as percent; never 100 % unless it is whole.

    >>> percent(0.99996), percent(1.0), percent(None) == DASH
    ('99.9%', '100%', True)
    """
    if share is None or not math.isfinite(share):
        return DASH
    if share >= 1:
        return "100%"
    return f"{min(share * 100, 100 - 10**-digits):.{digits}f}%"


def age(text: Text, passed: timedelta, kind: str = "age") -> str:
    """Write how long ago something was; with `kind` "old" as a bare length of time.

    >>> age(Text("en"), timedelta(minutes=12)), age(Text("en"), timedelta(minutes=12), "old")
    ('12 min ago', '12 min')
    """
    seconds = passed.total_seconds()
    if seconds < 90:
        return text(f"{kind}.now")
    for limit, size, key in ((5400, 60, "minutes"), (172_800, 3600, "hours"), (63_072_000, 86_400, "days")):
        if seconds < limit:
            return text(f"{kind}.{key}", n=int(seconds // size))
    return text(f"{kind}.years", n=int(seconds // 31_557_600))


def stamp(at: datetime | None, seconds: bool = False) -> str:
    """Write an instant of China civil time; a dash where there is none."""
    if at is None:
        return DASH
    return f"{at:%Y-%m-%d %H:%M:%S}" if seconds else f"{at:%Y-%m-%d %H:%M}"
