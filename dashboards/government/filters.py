"""The filters of the government pages: read from the address, checked, and written back to it.

What the address names wrongly falls back to the nearest thing that exists; a plain sentence says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import TypeVar

import streamlit as st

from dashboards.enterprise.toolbar import bound
from dashboards.government.places import ALL, Places, industry_name, padded, prefix
from dashboards.i18n import Text
from dashboards.periods import Grain, Span, shift


class Reach(StrEnum):
    """How much time the page speaks of, up to the chosen month."""

    MONTH = "month"
    YEAR = "year"  # since New Year
    ROLLING = "rolling"  # twelve months


class Against(StrEnum):
    """What the time is compared with."""

    LAST_YEAR = "last_year"
    PREVIOUS = "previous"  # the month before
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Filters:
    """One view of a region; every field but `edge` and `notes` is a parameter of the address.

    Parameters
    ----------
    region
        Code of a part of the root, empty for the whole root.
    industry
        Division of GB/T 4754, empty for all.
    month
        First day of the month the view ends with.
    edge
        Day after the last whole one that has data.
    notes
        What the address named wrongly: (key of the sentence, the word).
    """

    region: str
    industry: str
    month: date
    edge: date
    reach: Reach = Reach.YEAR
    against: Against = Against.LAST_YEAR
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def span(self) -> Span:
        """Give the whole days the view speaks of."""
        after = min(shift(Grain.MONTH, self.month, 1), self.edge)
        if self.reach is Reach.MONTH:
            return Span(self.month, after)
        if self.reach is Reach.YEAR:
            return Span(self.month.replace(month=1), after)
        return Span(shift(Grain.MONTH, self.month, -11), after)

    @property
    def months_back(self) -> int:
        """Give how many months the compared time lies back; 0: there is no comparison."""
        if self.against is Against.OFF:
            return 0
        return 1 if self.against is Against.PREVIOUS and self.reach is Reach.MONTH else 12

    @property
    def before(self) -> Span:
        """Give as many days of the compared time, an empty span without one."""
        back, span = self.months_back, self.span
        if not back:
            return Span(span.first, span.first)
        first = shift(Grain.MONTH, span.first, -back)
        if span.after.day == 1:
            return Span(first, shift(Grain.MONTH, span.after, -back))
        last = shift(Grain.MONTH, span.after - timedelta(days=1), -back)
        return Span(first, last + timedelta(days=1))

    @property
    def is_running(self) -> bool:
        """Say whether the chosen month is not over."""
        return self.edge < shift(Grain.MONTH, self.month, 1)


E = TypeVar("E", bound=StrEnum)


def read(query: Mapping[str, str], known: Places) -> Filters:
    """Read the filters of a reader who can see at least one month of data.

    Parameters
    ----------
    query
        Parameters of the address: region, industry, month (2026-03), period, compare.
    known
        What there is to choose from.
    """
    assert known.edge is not None
    notes: list[tuple[str, str]] = []
    region = _among(query.get("region", ""), known.children, "choice.no_region", notes)
    industry = _among(query.get("industry", ""), known.industries, "choice.no_industry", notes)
    return Filters(
        region=region,
        industry=industry,
        month=_month(query.get("month", ""), known.months, notes),
        edge=known.edge,
        reach=_one_of(Reach, query.get("period", ""), Reach.YEAR, notes),
        against=_one_of(Against, query.get("compare", ""), Against.LAST_YEAR, notes),
        notes=tuple(notes),
    )


def _among(word: str, known: list[str], note: str, notes: list[tuple[str, str]]) -> str:
    """Give a code, the known one its digits begin with, or nothing."""
    if not word or word in known:
        return word
    near = [code for code in known if word.startswith(prefix(code)) and prefix(code)]
    if near:
        return near[0]
    whole = padded(word) if word.isdigit() else word
    if whole in known:
        return whole
    notes.append((note, word))
    return ALL


def _month(word: str, known: list[date], notes: list[tuple[str, str]]) -> date:
    """Give a month with data: the chosen one, the nearest one, or the newest."""
    if not word:
        return known[0]
    try:
        wanted = date.fromisoformat(f"{word[:7]}-01")
    except ValueError:
        notes.append(("choice.no_month", word))
        return known[0]
    found = min(known, key=lambda month: abs((month - wanted).days))
    if found != wanted:
        notes.append(("choice.no_month", word))
    return found


def _one_of(kind: type[E], word: str, default: E, notes: list[tuple[str, str]]) -> E:
    try:
        return kind(word or default)
    except ValueError:
        notes.append(("choice.no_choice", word))
        return default


# -- the bar ---------------------------------------------------------------------------------------------------


def toolbar(filters: Filters, known: Places, text: Text, *, against: bool = True) -> None:
    """Draw the choices; each writes its parameter into the address.  What is compared is chosen where `against`."""
    with st.container(key="choices", horizontal=True, vertical_alignment="center", width="content"):
        regions = {code: _region_label(code, known, text) for code in (ALL, *known.children)}
        _select("region", filters.region, regions, text, 118)
        industries = {ALL: text("choice.all_industries")}
        industries |= {code: industry_name(code, text) for code in known.industries}
        _select("industry", filters.industry, industries, text, 124)
        months = {f"{month:%Y-%m}": f"{month:%Y-%m}" for month in known.months}
        _select("month", f"{filters.month:%Y-%m}", months, text, 98)
        st.segmented_control(
            text("choice.reach"),
            [str(reach) for reach in Reach],
            format_func=lambda reach: text(f"reach.{reach}"),
            required=True,
            label_visibility="collapsed",
            **bound("period", str(filters.reach)),
        )
        if against:
            _against(filters, text)


def _region_label(code: str, known: Places, text: Text) -> str:
    if code:
        return known.name(code, text)
    return text("choice.whole", name=known.name(known.root, text)) if known.root else text("choice.nation")


def _select(name: str, value: str, options: dict[str, str], text: Text, width: int) -> None:
    st.selectbox(
        text(f"choice.{name}"),
        list(options),
        format_func=lambda option: options.get(option, option),
        label_visibility="collapsed",
        width=width,
        **bound(name, value),
    )


def _against(filters: Filters, text: Text) -> None:
    options = [a for a in Against if a is not Against.PREVIOUS or filters.reach is Reach.MONTH]
    shown = filters.against if filters.against in options else Against.LAST_YEAR
    _select("compare", str(shown), {str(a): text(f"against.{a}") for a in options}, text, 120)


def sentences(filters: Filters, text: Text) -> list[str]:
    """Say what the address named wrongly and what is shown instead."""
    return [text(key, word=word) for key, word in filters.notes]
