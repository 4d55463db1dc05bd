"""Frames and drawings of the cards, cached by reader, filters, language and theme."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd

from dashboards import data
from dashboards.cache import STILL, kept
from dashboards.charts import bars as bar_chart
from dashboards.charts import curve as curve_chart
from dashboards.charts import quality as quality_chart
from dashboards.charts import structure as structure_chart
from dashboards.charts.base import Ink, Labels, Measure, Reference, Spec
from dashboards.enterprise.context import GAUGE, Context, item_name
from dashboards.filters import TOTAL, Basis, Filters
from dashboards.formats import number, scale_for, unit_label
from dashboards.periods import Compare, Grain, Span, compared, shift, span_of
from dashboards.ui.theme import item_colour

COAL = {Basis.CALORIFIC: "coal_kgce", Basis.EQUAL: "coal_equal_kgce"}
SHOWN_POINTS = 24  # more rows than this are read in the table, not in a picture


@dataclass(frozen=True)
class Drawing:
    """A chart with what its foot says; `spec` is None where there is nothing to draw."""

    spec: Spec | None
    unit: str = ""
    known_at: datetime | None = None


def _ink(context: Context) -> Ink:
    return Ink(context.text, context.theme)


@kept(STILL)
def curve(context: Context) -> Drawing:
    """Draw the quarter-hours of the chosen point, with the span compared with."""
    drawn, unit = look(context), context.filters.enterprise
    frame = data.quarters(context.asker, unit, context.point, curve_span(context.filters))
    if frame["mean" if drawn.gauge else "used"].isna().all():
        return Drawing(None, drawn.unit)
    span, reference = curve_reference(context.filters), None
    if span is not None:
        other = data.quarters(context.asker, unit, context.point, span)
        reference = Reference(other, context.text("compare.with", label=f"{span.first:%m-%d}"), {})
    spec = curve_chart.curve(frame, reference, drawn, _ink(context), context.last_at)
    return Drawing(spec, drawn.unit, data.known_at(frame))


def look(context: Context) -> curve_chart.Look:
    """Give how the chosen point is drawn; an amount is one per quarter-hour."""
    row = context.point_row(context.point)
    gauge = str(row["kind"]) == GAUGE
    unit = unit_label(context.text, str(row["unit"]))
    shown = unit if gauge else context.text("curve.per_quarter", unit=unit)
    colour = item_colour(str(row["item"]), context.theme.dark)
    return curve_chart.Look(context.point_names[context.point], shown, colour, gauge)


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


@kept(STILL)
def bars(context: Context) -> Drawing:
    """Draw days of the month or months of the year, all energy or one item."""
    filters = context.filters
    level, span = filters.bars_span
    frame = _chosen(context, level, span)
    measure = _bars_measure(context, frame)
    if measure is None:
        return Drawing(None)
    labels = axis_labels(level, span)
    marked = f"{filters.day:%m-%d}" if filters.grain is Grain.DAY else ""
    spec = bar_chart.bars(
        frame, _bars_reference(context, level, labels), measure, labels, _ink(context), marked
    )
    return Drawing(spec, measure.unit, data.known_at(frame))


def _chosen(context: Context, level: str, span: Span) -> pd.DataFrame:
    """Give the rows of the chosen item, or all rows, with the items' names."""
    frame = data.by_item(context.asker, level, context.filters.enterprise, span)
    if context.energy != TOTAL:
        frame = frame[frame["item"] == context.energy]
    return frame.assign(name=[context.item_name(i) for i in frame["item"]])


def _bars_measure(context: Context, frame: pd.DataFrame) -> Measure | None:
    column = COAL[context.filters.basis] if context.energy == TOTAL else "used"
    if frame.empty or frame[column].isna().all():
        return None
    unit = "kgce" if context.energy == TOTAL else str(frame["unit"].iloc[0])
    largest = frame.groupby("period_start")[column].sum().abs().max()
    return Measure(column, *scale_for(context.text, float(largest), unit))


def _bars_reference(context: Context, level: str, labels: Labels) -> Reference | None:
    span = bars_reference(context.filters)
    if span is None:
        return None
    places = dict(zip(axis_labels(level, span), labels.values(), strict=False))
    name = context.text("compare.with", label=period_label(level, span))
    return Reference(_chosen(context, level, span), name, places)


def bars_reference(filters: Filters) -> Span | None:
    """Give the month or year the bars are compared with."""
    grain = Grain.YEAR if filters.grain is Grain.YEAR else Grain.MONTH
    other: date | None = compared(grain, filters.day.replace(day=1), filters.compare)
    return None if other is None else span_of(grain, other)


def axis_labels(level: str, span: Span) -> Labels:
    """Give period start -> label for each day or month of a span."""
    if level == "month":
        months = pd.date_range(span.first, span.after, freq="MS", inclusive="left")
        return {start: f"{start:%Y-%m}" for start in months}
    days = pd.date_range(span.first, span.after, freq="D", inclusive="left")
    return {start: f"{start:%m-%d}" for start in days}


def period_label(level: str, span: Span) -> str:
    """Write a month (of days) or a year (of months) briefly."""
    return f"{span.first:%Y}" if level == "month" else f"{span.first:%Y-%m}"


@kept(STILL)
def structure(context: Context) -> Drawing:
    """Draw the ring of energy by item in standard coal."""
    filters = context.filters
    frame = data.structure(context.asker, level_of(filters.grain), filters.enterprise, filters.span)
    column = COAL[filters.basis]
    total = frame[column].sum(min_count=1)
    if pd.isna(total) or total <= 0:
        return Drawing(None)
    measure = Measure(column, *scale_for(context.text, float(total), "kgce"))
    named = frame.assign(name=[item_name(context.text, i) for i in frame["item"]])
    spec = structure_chart.ring(named, measure, number(float(total) / measure.divisor), context.theme)
    return Drawing(spec, measure.unit, data.known_at(frame))


def level_of(grain: Grain) -> str:
    """Give the level whose windows make up a period."""
    return "day" if grain is Grain.DAY else "month"


def trust_span(filters: Filters) -> Span:
    """Give the days whose completeness is shown: the month, or the year."""
    return filters.span if filters.grain is Grain.YEAR else span_of(Grain.MONTH, filters.day)


def trust(context: Context, span: Span) -> pd.DataFrame:
    """Give what was received and due, by point and day of a span."""
    return data.completeness(context.asker, context.filters.enterprise, span, context.seen)


@kept(STILL)
def heat(context: Context) -> Drawing:
    """Draw completeness by point and day."""
    span = trust_span(context.filters)
    frame = trust(context, span)
    if not (frame["due"] > 0).any():
        return Drawing(None)
    spec = quality_chart.heat(frame, _shown(context), axis_labels("day", span), _ink(context))
    return Drawing(spec, "%", data.known_at(frame))


@kept(STILL)
def mix(context: Context) -> Drawing:
    """Draw the mix of quality by point over the period."""
    days = trust(context, context.filters.span)
    if not (days[["due", "received"]] > 0).any().any():
        return Drawing(None)
    spec = quality_chart.mix(mixture(days), _shown(context), _ink(context))
    return Drawing(spec, "%", data.known_at(days))


def _shown(context: Context) -> dict[str, str]:
    return dict(list(context.point_names.items())[:SHOWN_POINTS])


def mixture(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the days of each point together: what was due, received, and of which class."""
    return frame.groupby("point", as_index=False)[["due", "received", *data.QUALITIES]].sum()


CHANGED = {"day": "hour", "month": "day", "year": "month"}
"""Periods whose corrections are shown, by the grain of the page."""


def changes(context: Context) -> pd.DataFrame:
    """Give the corrections of the period's numbers, the newest first."""
    filters = context.filters
    return data.revisions(context.asker, CHANGED[str(filters.grain)], filters.enterprise, filters.span)
