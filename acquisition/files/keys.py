"""Reading a TOML table key by key, so that a misspelt key is named with its nearest valid ones."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NoReturn

from nengliu.domain.times import CHINA, to_ms
from nengliu.errors import InputError, nearest

_DURATION = re.compile(r"(\d+)\s*(s|min|m|h|d|秒|分钟|小时|天)")
_SECONDS = {"s": 1, "秒": 1, "min": 60, "m": 60, "分钟": 60, "h": 3600, "小时": 3600, "d": 86400, "天": 86400}


class Keys:
    """One TOML table; what nobody asked for by `close` is an unknown key.

    Parameters
    ----------
    table
        As `tomllib` gives it, numbers with a point as `Decimal`.
    where
        File and table, for messages.
    """

    def __init__(self, table: dict[str, object], where: str) -> None:
        self.table, self.where = table, where
        self.asked: list[str] = []

    def fail(self, name: str, expected: str, cure: str = "") -> NoReturn:
        """Refuse the value of `name`."""
        if name in self.table:
            got = f"got {self.table[name]!r}"
        else:
            near = difflib.get_close_matches(name, set(self.table) - set(self.asked), n=1, cutoff=0.6)
            got = f"it is missing (perhaps {near[0]!r} is meant)" if near else "it is missing"
        raise InputError(f"{self.where}: {name}: expected {expected}, {got}{'; ' + cure if cure else ''}")

    def has(self, name: str) -> bool:
        """Say whether the table holds `name`."""
        self.asked.append(name)
        return name in self.table

    def text(self, name: str, default: str | None = None) -> str:
        """Take a text; without a default it must be there and not be empty."""
        if not self.has(name) and default is not None:
            return default
        value = self.table.get(name)
        if not isinstance(value, str) or (default is None and not value.strip()):
            self.fail(name, "a text" if default is not None else "a text that is not empty")
        return value

    def texts(self, name: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """Take a text or a list of texts."""
        if not self.has(name) and default is not None:
            return tuple(default)
        value = self.table.get(name)
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not found or not all(isinstance(one, str) for one in found):
            self.fail(name, "a text or a list of texts")
        return tuple(found)

    def choice(self, name: str, options: Sequence[str], default: str | None = None) -> str:
        """Take one of a closed list of words."""
        value = self.text(name, default)
        if value not in options:
            self.fail(name, f"one of {', '.join(options)}", nearest(value, options))
        return value

    def whole(self, name: str, default: int | None = None, low: int = 0, high: int = 2**63 - 1) -> int:
        """Take a whole number in ``[low, high]``."""
        if not self.has(name) and default is not None:
            return default
        value = self.table.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.fail(name, f"a whole number from {low} to {high}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Take true or false."""
        value = self.table.get(name) if self.has(name) else default
        if not isinstance(value, bool):
            self.fail(name, "true or false")
        return value

    def seconds(self, name: str, default: int) -> int:
        """Take a span: 900, "15min", "1h", "1d", "15分钟"."""
        value = self.table.get(name) if self.has(name) else default
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            self.fail(name, 'seconds, or a span such as "15min", "1h", "1d"')
        return int(found[1]) * _SECONDS[found[2]]

    def moment_ms(self, name: str, default: int) -> int:
        """Take an instant [ms, UTC]; a day or a time without offset is China civil time."""
        value = self.table.get(name) if self.has(name) else default
        if isinstance(value, str):
            try:
                value = dt.datetime.fromisoformat(value)
            except ValueError:
                self.fail(
                    name, 'an ISO 8601 day or time, such as "2018-01-01" or "2018-01-01T08:00:00+08:00"'
                )
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            value = dt.datetime(value.year, value.month, value.day, tzinfo=CHINA)
        if isinstance(value, dt.datetime):
            return to_ms(value if value.tzinfo else value.replace(tzinfo=CHINA))
        if value is not default or isinstance(value, bool):
            self.fail(name, "a day or a time")
        return default

    def steps(self, name: str, decimals: int) -> int | None:
        """Take a number with a point as whole steps of ``10 ** -decimals``, exactly; None if absent."""
        if not self.has(name):
            return None
        value = self.table.get(name)
        number = isinstance(value, str | int | Decimal) and not isinstance(value, bool)
        scaled = _shifted(str(value), decimals) if number else None
        if scaled is None:
            self.fail(name, f"a number with at most {decimals} decimals")
        return scaled

    def within(self, name: str) -> Keys:
        """Take a table; an absent one is empty."""
        value = self.table.get(name, {}) if self.has(name) else {}
        if not isinstance(value, dict):
            self.fail(name, f"a table [{name}]")
        return Keys(value, f"{self.where} [{name}]")

    def each(self, name: str) -> list[Keys]:
        """Take an array of tables; an absent one is empty."""
        value = self.table.get(name, []) if self.has(name) else []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self.fail(name, f"tables [[{name}]]")
        return [Keys(one, f"{self.where} [[{name}]] {n}") for n, one in enumerate(value, 1)]

    def close(self) -> None:
        """Refuse keys nobody asked for."""
        for name in self.table:
            if name not in self.asked:
                near = nearest(name, dict.fromkeys(self.asked))
                raise InputError(f"{self.where}: unknown key {name!r}; {near}")


def _shifted(text: str, decimals: int) -> int | None:
    try:
        sign, digits, exponent = Decimal(text).as_tuple()
    except ArithmeticError:
        return None
    if not isinstance(exponent, int) or abs(exponent + decimals) > 40:
        return None
    whole, rest = divmod(int("".join(map(str, digits)) or "0") * 10 ** max(0, exponent + decimals), 1)
    if exponent + decimals < 0:
        whole, rest = divmod(whole, 10 ** -(exponent + decimals))
    return None if rest else (-whole if sign else whole)
