"""What there is to look at: regions, industries, how far they are connected, and how new the data are."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, cached_property
from importlib.resources import files

import pandas as pd

from dashboards.cache import LIVE, kept
from dashboards.data import Asker
from dashboards.i18n import Text

ALL = ""
CITY_DIGITS = 4


@dataclass(frozen=True)
class Places:
    """Regions and enterprises within the reader's scope.

    Parameters
    ----------
    regions
        Rows of `regions`: code, names, parent, place on the tile-grid map.
    coverage
        Rows of `coverage`: enterprises, connected and online, by county and industry.
    """

    regions: pd.DataFrame
    coverage: pd.DataFrame

    @cached_property
    def root(self) -> str:
        """Give the digits all enterprises have in common, whole levels only; nothing for the nation."""
        codes = self.coverage["region"].astype(str)
        shared = [n for n in (6, 4, 2) if codes.str[:n].nunique() == 1]
        digits = min(shared[0], CITY_DIGITS) if shared else 0
        return str(codes.iloc[0])[:digits] if digits and len(codes) else ALL

    @cached_property
    def children_digits(self) -> int:
        """Give how many digits tell the parts of the root apart: provinces of the nation, cities of a province."""
        return min(len(self.root) + 2, 6)

    @cached_property
    def children(self) -> list[str]:
        """Give the codes of the parts of the root that have a name or an enterprise, in order."""
        digits = self.children_digits
        here = self.regions["region"].astype(str)
        named = [code for code in here if code.startswith(self.root) and _level(code) == digits]
        used = [padded(str(code)[:digits]) for code in self.coverage["region"]]
        return sorted({*named, *used})

    @cached_property
    def industries(self) -> list[str]:
        """Give the divisions of GB/T 4754 that have an enterprise, in order."""
        return sorted({division(str(code)) for code in self.coverage["industry"]})

    def name(self, region: str, text: Text) -> str:
        """Give the name of a region; its code where it has none."""
        return text.either(*self._names.get(padded(region), ("", ""))) or region

    @cached_property
    def _names(self) -> dict[str, tuple[str, str]]:
        columns = (self.regions[name].astype(str) for name in ("region", "name", "name_en"))
        return {code: (name, english) for code, name, english in zip(*columns, strict=True)}

    def within(self, region: str, industry: str) -> pd.DataFrame:
        """Give the rows of `coverage` of a region and an industry."""
        rows = self.coverage
        near = rows["region"].astype(str).str.startswith(prefix(region))
        return rows[near & rows["industry"].astype(str).str.startswith(industry)]

    @cached_property
    def last_at(self) -> datetime | None:
        """Give the newest reading, None where there is none."""
        last = self.coverage["last_at"].max() if len(self.coverage) else pd.NaT
        return None if pd.isna(last) else last.to_pydatetime()

    @cached_property
    def edge(self) -> date | None:
        """Give the day after the last whole one: the day of the newest reading, which still runs."""
        return self.last_at.date() if self.last_at else None

    @cached_property
    def months(self) -> list[date]:
        """Give the first days of the months with a whole day of data, the newest first."""
        first = self.coverage["first_at"].min() if len(self.coverage) else pd.NaT
        if pd.isna(first) or self.edge is None:
            return []
        last = max(self.edge - timedelta(days=1), first.date())
        found = pd.date_range(first.date().replace(day=1), last, freq="MS")
        return [month.date() for month in found[::-1]]


@kept(LIVE)
def places(asker: Asker) -> Places:
    """Ask for the places of a reader."""
    return Places(asker.ask("regions"), asker.ask("coverage", live=True))


def padded(region: str) -> str:
    """Fill a prefix to a whole code.

    >>> padded("9901")
    '990100'
    """
    return region.ljust(6, "0") if region else region


def prefix(region: str) -> str:
    """Give the digits of a code that its parts share.

    >>> prefix("990100"), prefix("990000"), prefix("110105")
    ('9901', '99', '110105')
    """
    return region[: _level(region)] if region else region


def _level(region: str) -> int:
    return 2 if region.endswith("0000") else 4 if region.endswith("00") else 6


def division(industry: str) -> str:
    """Give the division of an industry.

    >>> division("C3110"), division("3391")
    ('C31', '33')
    """
    return industry[:3] if industry[:1].isalpha() else industry[:2]


@cache
def _divisions() -> dict[str, tuple[str, str, str]]:
    source = files("schemas").joinpath("codes", "industries.csv").read_text(encoding="utf-8")
    return {
        row["code"]: (row["zh"], row["zh_short"], row["en"]) for row in csv.DictReader(source.splitlines())
    }


def industry_name(code: str, text: Text, *, short: bool = False) -> str:
    """Give the name of a division, for a chart its short one; its code where the list lacks it.

    >>> industry_name("C31", Text("en")), industry_name("X", Text("en"))
    ('Ferrous metals', 'X')
    """
    if code not in _divisions():
        return code
    whole, brief, english = _divisions()[code]
    return text.either(brief if short else whole, english)
