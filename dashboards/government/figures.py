"""The questions of the government pages, asked for a context; rows come back ready, nothing is summed here."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pandas as pd

from dashboards import data
from dashboards.government.context import Context
from dashboards.periods import Grain, Span, midnight, shift
from dashboards.ui.theme import is_energy, items
from nengliu.domain.grades import grade

ENERGY = ",".join(slug for slug in items() if is_energy(slug))
"""Items that count in the comprehensive energy."""
TREND_MONTHS = 24
TREND_DAYS = 21


def energy(context: Context, by: str = "", part: str = "", only: str = ENERGY) -> pd.DataFrame:
    """What crossed the boundary in the chosen time, and how that differs from the time compared with?"""
    span, before = context.filters.span, context.filters.before
    return context.asker.ask(
        "energy",
        **_where(context, by),
        part=part,
        items=only,
        start=span.start,
        end=span.end,
        before_start=before.start,
        before_end=before.end,
    )


def series(context: Context, level: str, span: Span, by: str = "", only: str = ENERGY) -> pd.DataFrame:
    """What crossed the boundary in each month or day of a span?"""
    return context.asker.ask(
        "energy_series", level=level, **_where(context, by), items=only, start=span.start, end=span.end
    )


def intensity(context: Context, by: str = "", each: str = "", span: Span | None = None) -> pd.DataFrame:
    """How much energy did a unit of value added take, and how did that change?"""
    span = span or context.filters.span
    return context.asker.ask(
        "intensity",
        **_where(context, by),
        each=each,
        items=ENERGY,
        start=span.start,
        end=span.end,
        months_back=context.filters.months_back or 12,
    )


def budget(context: Context, by: str = "") -> pd.DataFrame:
    """How far is the energy used since New Year from the budget path, month by month?"""
    end = midnight(context.filters.span.after)
    return context.asker.ask("budget", **_where(context, by), items=ENERGY, end=end)


def _where(context: Context, by: str) -> dict[str, Any]:
    return {
        "by": by,
        "digits": context.known.children_digits,
        "region": context.region,
        "industry": context.filters.industry,
    }


def to_date(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the newest month of each node of `budget` that has been judged, with its grade; nodes are the index."""
    known = frame[frame["used_kgce"].notna()].sort_values("month").drop_duplicates("node", keep="last")
    return known.set_index("node")


def unjudged(frame: pd.DataFrame) -> tuple[str, str]:
    """Give sentence and hint (keys) why rows of `budget` carry no deviation: no target, or no data since New Year."""
    if frame["target_tce"].notna().any():
        return "overview.not_whole", "overview.not_whole_hint"
    return "overview.no_target", "overview.no_target_hint"


def with_grades(frame: pd.DataFrame, on: date) -> pd.DataFrame:
    """Put beside each deviation its grade, 0 where there is none."""
    grades = [grade(None if pd.isna(d) else float(d), on) or 0 for d in frame["deviation"]]
    return frame.assign(grade=grades)


def standing(context: Context, by: str) -> pd.DataFrame:
    """Put side by side what is known of each node: energy, intensity, budget and grade; worst deviation first."""
    known = energy(context, by).set_index("node")
    value = intensity(context, by).set_index("node")[["intensity", "change"]]
    path = to_date(budget(context, by))[["used_kgce", "budget_kgce", "deviation", "target_tce"]]
    joined = known.join(value.rename(columns={"change": "intensity_change"})).join(path)
    graded = with_grades(joined, last_day(context))
    return graded.sort_values(["deviation", "coal_kgce"], ascending=False, na_position="last").reset_index()


def last_day(context: Context) -> date:
    """Give the last whole day the view speaks of."""
    return shift(Grain.DAY, context.filters.span.after, -1)


def trend_months(context: Context, months: int = TREND_MONTHS) -> Span:
    """Give the whole months up to the chosen one; a running month would look like a fall and is left out."""
    month = context.filters.month
    after = month if context.filters.is_running else shift(Grain.MONTH, month, 1)
    return Span(shift(Grain.MONTH, after, -months), after)


def trend_days(context: Context, days: int = TREND_DAYS) -> Span:
    """Give the whole days up to the last one of the view."""
    after = context.filters.span.after
    return Span(shift(Grain.DAY, after, -days), after)


def incident_days(context: Context) -> pd.DataFrame:
    """How many incidents stood open at the end of each of the last days?"""
    tomorrow = data.now().date() + timedelta(days=1)
    return context.asker.ask(
        "incident_days",
        live=True,
        region=context.region,
        industry=context.filters.industry,
        end=midnight(tomorrow),
        days=TREND_DAYS,
    )
