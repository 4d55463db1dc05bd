"""Tokens of the look, light and dark; colours are Okabe-Ito based and fixed per meaning."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of one theme by role."""

    dark: bool
    card: str
    page: str
    line: str
    soft: str
    ink: str
    body: str
    muted: str
    grid: str
    primary: str
    reference: str  # the period compared with: grey, dashed
    gap: str
    good: tuple[str, str]  # text, background
    warn: tuple[str, str]
    bad: tuple[str, str]
    simulated: tuple[str, str]
    grade0: str  # fills of the grades of deviation, 0 not known, 1 worst; they differ in lightness too
    grade1: str
    grade2: str
    grade3: str

    def grade(self, number: int) -> str:
        """Give the fill of a grade of deviation."""
        return (self.grade0, self.grade1, self.grade2, self.grade3)[number]


LIGHT = Theme(
    dark=False,
    card="#FFFFFF",
    page="#F1F4F8",
    line="#DDE3EA",
    soft="#EEF1F5",
    ink="#16202C",
    body="#445264",
    muted="#5A6878",
    grid="#E6EBF1",
    primary="#0B5CAD",
    reference="#7C8998",
    gap="#8C97A5",
    good=("#00695E", "#E0F2EF"),
    warn=("#8A5100", "#FFF1D6"),
    bad=("#B3261E", "#FBE4E1"),
    simulated=("#5B3A86", "#EFE6FA"),
    grade0="#D3DAE2",
    grade1="#C8402F",
    grade2="#F2B84B",
    grade3="#7CC5B5",
)
DARK = Theme(
    dark=True,
    card="#151F2E",
    page="#0D1420",
    line="#263447",
    soft="#1D2939",
    ink="#E6EDF5",
    body="#C3CFDC",
    muted="#9FB0C3",
    grid="#243246",
    primary="#5AA9F0",
    reference="#8FA0B4",
    gap="#64748B",
    good=("#7FD6C4", "#12312F"),
    warn=("#FFC56B", "#3A2C12"),
    bad=("#FF9A8F", "#431D1B"),
    simulated=("#CDB4F2", "#2E2145"),
    grade0="#33445B",
    grade1="#C4453A",
    grade2="#D99A2B",
    grade3="#3BA896",
)

# Quality classes differ in lightness and, in charts, in shape or hatching as well as in colour.
QUALITY_COLOURS = {
    "good": "#7CC5B5",
    "late": "#6DA3D4",
    "estimated": "#B9C4D0",
    "substituted": "#9C7BB0",
    "manual": "#CC79A7",
    "suspect": "#D1495B",
    "bad": "#7F1D1D",
    "missing": "#DCE2E9",
}
QUALITY_DARK = {
    "good": "#2F8F80",
    "suspect": "#F0798A",
    "bad": "#FF5A4D",
    "missing": "#33445B",
    "estimated": "#5C6C80",
}
# Places and industries have no colour of their own; a row of quiet ones tells neighbours apart.
QUIET = ("#6C8EBF", "#82A67D", "#B98E6F", "#9A7FB5", "#5FA3A6", "#C07A8C", "#8A94A6", "#A9A159")
OTHER = "#8C8C8C"
# On a dark card these colours of the code list would vanish; same hue, lighter.
_LIFTED = {
    "#0B5CAD": "#4A9BE8",
    "#5B4636": "#8C6E58",
    "#A67C52": "#CFA77A",
    "#7A5195": "#A67CC4",
    "#3D8C84": "#62B5AC",
}


def theme(dark: bool) -> Theme:
    """Give the tokens of a theme."""
    return DARK if dark else LIGHT


def quality_colour(kind: str, dark: bool) -> str:
    """Give the fixed colour of a quality class."""
    return QUALITY_DARK.get(kind, QUALITY_COLOURS[kind]) if dark else QUALITY_COLOURS[kind]


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the item code list, as far as the page needs it."""

    slug: str
    unit: str
    zh: str
    en: str
    colour: str
    nhjc_class: str


@cache
def items() -> dict[str, Item]:
    """Read the code list of items: names and fixed colours, in its order."""
    source = files("schemas").joinpath("codes", "items.csv").read_text(encoding="utf-8")
    return {
        row["slug"]: Item(row["slug"], row["unit"], row["zh"], row["en"], row["colour"], row["nhjc_class"])
        for row in csv.DictReader(source.splitlines())
    }


def item_colour(slug: str, dark: bool = False) -> str:
    """Give the fixed colour of an item; grey for one the code list does not know."""
    item = items().get(slug)
    colour = item.colour if item else OTHER
    return _LIFTED.get(colour.upper(), colour) if dark else colour


def is_energy(slug: str) -> bool:
    """Say whether an item counts in the comprehensive energy: classes 01 and 02 of NHJC-04."""
    item = items().get(slug)
    return item is not None and item.nhjc_class in ("01", "02")


def item_order(slug: str) -> int:
    """Give the place of an item in the code list; unknown ones come last."""
    order = list(items())
    return order.index(slug) if slug in order else len(order)
