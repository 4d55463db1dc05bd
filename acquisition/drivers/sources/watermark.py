"""Watermarks of a database: where a look begins, as the database itself writes it.

A watermark is an instant, a number, or a text that sorts as time does (SQLite and many
exports keep instants so).  It is kept over restarts as text with its kind.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from nengliu.errors import LinkError

Watermark = dt.datetime | int | Decimal | str


def before(mark: Watermark, overlap: int) -> Watermark:
    """Give the watermark `overlap` before: seconds of an instant, units of a number.

    A text that is no instant has nothing before it: it is given back as it is.

    >>> before(1000, 60), before("2026-01-01 00:00:30", 60)
    (940, '2025-12-31 23:59:30')
    >>> before("2026-01-01T00:00:30.250Z", 30)
    '2026-01-01T00:00:00.250Z'
    """
    if isinstance(mark, dt.datetime):
        return mark - dt.timedelta(seconds=overlap)
    if isinstance(mark, str):
        return _text_before(mark, overlap)
    return mark - overlap


def taken(cell: object, column: str) -> Watermark:
    """Take the watermark of a row.

    Raises
    ------
    LinkError
        CONFIG: the column holds something that is none.
    """
    if isinstance(cell, dt.datetime | Decimal | str) or (
        isinstance(cell, int) and not isinstance(cell, bool)
    ):
        return cell
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    if isinstance(cell, dt.date):
        return dt.datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001 - as the database means it
    told = f"watermark {column}: expected an instant, a whole number or a text, got {cell!r}"
    raise LinkError("CONFIG", told, got=told)


def spelled(mark: Watermark) -> tuple[str, str]:
    """Spell a watermark for the collector's memory: its kind and itself."""
    if isinstance(mark, dt.datetime):
        return "instant", mark.isoformat()
    return ("text", mark) if isinstance(mark, str) else ("number", str(mark))


def read(kind: str, text: str) -> Watermark:
    """Read what `spelled` wrote.

    >>> read(*spelled(Decimal("7.5"))), read(*spelled(12))
    (Decimal('7.5'), 12)
    """
    if kind == "instant":
        return dt.datetime.fromisoformat(text)
    if kind == "text":
        return text
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else number


def _text_before(mark: str, overlap: int) -> str:
    """Shift an instant and write it in the same manner, so that it still sorts among the others."""
    try:
        at = dt.datetime.fromisoformat(mark) - dt.timedelta(seconds=overlap)
    except (ValueError, OverflowError):
        return mark
    head = mark[:-1] if mark.endswith("Z") else mark
    if len(head) <= 10:
        return at.date().isoformat() if "-" in mark else mark
    fraction = head[19:].partition("+")[0].partition("-")[0]
    shown = at.replace(tzinfo=None).isoformat(sep=head[10], timespec="microseconds")
    digits = len(fraction) - 1 if fraction[:1] in (".", ",") else 0
    return (
        shown[:19] + (fraction[0] + shown[20:26].ljust(digits, "0")[:digits] if digits else "") + _zone(mark)
    )


def _zone(mark: str) -> str:
    """The zone as a text of an instant spells it."""
    if mark.endswith("Z"):
        return "Z"
    for sign in ("+", "-"):
        at = mark.find(sign, 19)
        if at >= 0:
            return mark[at:]
    return ""
