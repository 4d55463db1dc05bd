"""Frames and drawings of the cards, cached by reader, filters, language and theme."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd
import streamlit as st

from dashboards import data
from dashboards.charts import bars as bar_chart
from dashboards.charts import curve as curve_chart
from dashboards.charts import quality as quality_chart
from dashboards.charts import structure as structure_chart
from dashboards.charts.base import Spec
from dashboards.data import STILL_S, Asker
from dashboards.enterprise.context import item_name
from dashboards.filters import TOTAL, Basis, Filters
from dashboards.formats import number, scale_for, unit_label
from dashboards.i18n import Text
from dashboards.periods import Compare, Grain, Span, compared, shift, span_of
from dashboards.ui.theme import item_colour, theme

COAL = {Basis.CALORIFIC: "coal_kgce", Basis.EQUAL: "coal_equal_kgce"}
Seen = tuple[datetime | None, datetime | None]
SHOWN_POINTS = 24  # more rows than this are read in the table, not in a picture


@dataclass(frozen=True)
class Drawing:
    """A chart with what its foot says; `spec` is None where there is nothing to draw."""

    spec: Spec | None
    unit: str = ""
    known_at: datetime | None = None


@st.cache_data(ttl=STILL_S, max_entries=500, show_spinner=False)
def curve(
    asker: Asker,
    filters: Filters,
    point: str,
    look: curve_chart.Look,
    language: str,
    dark: bool,
    until: datetime | None,
) -> Drawing:
    """Draw the quarter-hours of the chosen point, with the span compared with."""
    text = Text(language)
    span = curve_span(filters)
    frame = data.quarters(asker, filters.enterprise, point, span)
    column = "mean" if look.gauge else "used"
    if frame[column].isna().all():
        return Drawing(None, look.unit)
    other, name = None, ""
    reference = curve_reference(filters)
    if reference is not None:
        other = data.quarters(asker, filters.enterprise, point, reference)
        name = text("compare.with", label=f"{reference.first:%m-%d}")
    spec = curve_chart.curve(frame, other, look, text, theme(dark), name, until)
    return Drawing(spec, look.unit, data.known_at(frame))


def curve_span(filters: Filters) -> Span:
    """Give the days of the curve: it ends with the chosen day."""
    return Span(shift(Grain.DAY, filters.day, 1 - filters.days), shift(Grain.DAY, filters.day, 1))


def curve_reference(filters: Filters) -> Span | None:
    """Give the days the curve is compared with: the day before (as many days before), or the week before."""
    if filters.compare is Compare.OFF:
        return None
    steps = filters.days if filters.compare is Compare.PREVIOUS else 7
    span = curve_span(filters)
    return Span(shift(Grain.DAY, span.first, -steps), shift(Grain.DAY, span.after, -steps))


@st.cache_data(ttl=STILL_S, max_entries=500, show_spinner=False)
def bars(asker: Asker, filters: Filters, energy: str, language: str, dark: bool) -> Drawing:
    """Draw days of the month or months of the year, all energy or one item."""
    text = Text(language)
    level, span = filters.bars_span
    frame = chosen(data.by_item(asker, level, filters.enterprise, span), energy)
    value = COAL[filters.basis] if energy == TOTAL else "used"
    if frame.empty or frame[value].isna().all():
        return Drawing(None)
    unit = "kgce" if energy == TOTAL else str(frame["unit"].iloc[0])
    largest = frame.groupby("period_start")[value].sum().abs().max()
    divisor, label = scale_for(text, float(largest), unit)
    other, other_labels, other_name = None, {}, ""
    reference = bars_reference(filters)
    if reference is not None:
        other = chosen(data.by_item(asker, level, filters.enterprise, reference), energy)
        other_labels = dict(zip(axis_labels(level, reference), axis_labels(level, span).values(), strict=False))
        other_name = text("compare.with", label=period_label(level, reference))
    marked = f"{filters.day:%m-%d}" if filters.grain is Grain.DAY else ""
    spec = bar_chart.bars(
        frame,
        other,
        text,
        theme(dark),
        value=value,
        divisor=divisor,
        unit=label,
        labels=axis_labels(level, span),
        other_labels=other_labels,
        names={i: item_name(text, i) for i in frame["item"].unique()},
        other_name=other_name,
        marked=marked,
    )
    return Drawing(spec, label, data.known_at(frame))


def chosen(frame: pd.DataFrame, energy: str) -> pd.DataFrame:
    """Give the rows of one item, or all rows that count as energy."""
    return frame if energy == TOTAL else frame[frame["item"] == energy]


def bars_reference(filters: Filters) -> Span | None:
    """Give the month or year the bars are compared with."""
    grain = Grain.YEAR if filters.grain is Grain.YEAR else Grain.MONTH
    other: date | None = compared(grain, filters.day.replace(day=1), filters.compare)
    return None if other is None else span_of(grain, other)


def axis_labels(level: str, span: Span) -> dict[pd.Timestamp, str]:
    """Give period start -> label for each day or month of a span."""
    if level == "month":
        starts = pd.date_range(span.first, span.after, freq="MS", inclusive="left")
        return {start: f"{start:%Y-%m}" for start in starts}
    return {start: f"{start:%m-%d}" for start in pd.date_range(span.first, span.after, freq="D", inclusive="left")}


def period_label(level: str, span: Span) -> str:
    """Write a month (of days) or a year (of months) briefly."""
    return f"{span.first:%Y}" if level == "month" else f"{span.first:%Y-%m}"


@st.cache_data(ttl=STILL_S, max_entries=500, show_spinner=False)
def structure(asker: Asker, filters: Filters, language: str, dark: bool) -> Drawing:
    """Draw the ring of energy by item in standard coal."""
    text = Text(language)
    frame = data.structure(asker, level_of(filters.grain), filters.enterprise, filters.span)
    value = COAL[filters.basis]
    total = frame[value].sum(min_count=1)
    if pd.isna(total) or total <= 0:
        return Drawing(None)
    divisor, unit = scale_for(text, float(total), "kgce")
    spec = structure_chart.ring(
        frame,
        theme(dark),
        value=value,
        divisor=divisor,
        unit=unit,
        total=number(float(total) / divisor),
        names={i: item_name(text, i) for i in frame["item"]},
    )
    return Drawing(spec, unit)


def level_of(grain: Grain) -> str:
    """Give the level whose windows make up a period."""
    return "day" if grain is Grain.DAY else "month"


def trust_span(filters: Filters) -> Span:
    """Give the days whose completeness is shown: the month, or the year."""
    return filters.span if filters.grain is Grain.YEAR else span_of(Grain.MONTH, filters.day)


@st.cache_data(ttl=STILL_S, max_entries=500, show_spinner=False)
def heat(asker: Asker, filters: Filters, names: dict[str, str], seen: Seen, language: str, dark: bool) -> Drawing:
    """Draw completeness by point and day."""
    span = trust_span(filters)
    frame = data.completeness(asker, filters.enterprise, span, seen)
    if frame.empty or not (frame["due"] > 0).any():
        return Drawing(None)
    shown = dict(list(names.items())[:SHOWN_POINTS])
    spec = quality_chart.heat(frame, shown, axis_labels("day", span), Text(language), theme(dark))
    return Drawing(spec)


@st.cache_data(ttl=STILL_S, max_entries=500, show_spinner=False)
def mix(asker: Asker, filters: Filters, names: dict[str, str], seen: Seen, language: str, dark: bool) -> Drawing:
    """Draw the mix of quality by point over the period."""
    frame = mixture(data.completeness(asker, filters.enterprise, filters.span, seen))
    if frame.empty or not (frame[["due", "received"]] > 0).any().any():
        return Drawing(None)
    shown = dict(list(names.items())[:SHOWN_POINTS])
    return Drawing(quality_chart.mix(frame, shown, Text(language), theme(dark)))


def mixture(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the days of each point together: what was due, received, and of which class."""
    return frame.groupby("point", as_index=False)[["due", "received", *data.QUALITIES]].sum()


def look(row: pd.Series, name: str, text: Text, dark: bool) -> curve_chart.Look:
    """Give how a point is drawn; an amount is one per quarter-hour."""
    gauge = str(row["kind"]) == "gauge"
    unit = unit_label(text, str(row["unit"]))
    shown = unit if gauge else text("curve.per_quarter", unit=unit)
    return curve_chart.Look(name, shown, item_colour(str(row["item"]), dark), gauge)
