"""What the quality page asks: who is heard, what came of what was due, what was held back, which faults there were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from dashboards import data
from dashboards.cache import LIVE, STILL, kept
from dashboards.government.context import Context
from dashboards.government.places import CITY_DIGITS, division, industry_name, padded
from dashboards.periods import midnight

COUNTS = ("due", "received", "late", "substituted", "manual", "suspect", "bad", "estimated_points", "points")
SILENT_ROWS = 200


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, both counted."""

    part: float
    whole: float

    @property
    def value(self) -> float | None:
        """Give the share, None where the whole is nothing."""
        return data.share(self.part, self.whole)


def _narrow(context: Context) -> dict[str, str]:
    return {"region": context.region, "industry": context.filters.industry}


@kept(LIVE)
def online(context: Context) -> pd.DataFrame:
    """Who is heard now, by city and industry: region, industry, enterprises, heard, points, points_heard."""
    return context.asker.ask("quality_online", live=True, **_narrow(context))


def grouped(context: Context, frame: pd.DataFrame, by: str) -> pd.DataFrame:
    """Put the rows of `online` together by ``city`` or ``industry``, the least heard first."""
    if by == "city":
        codes = [padded(str(code)[:CITY_DIGITS]) for code in frame["region"]]
        name = {code: context.known.name(code, context.text) for code in codes}
    else:
        codes = [division(str(code)) for code in frame["industry"]]
        name = {code: industry_name(code, context.text) for code in codes}
    sums = frame.assign(code=codes).groupby("code")[["enterprises", "heard", "points", "points_heard"]].sum()
    found = sums.reset_index().assign(share=lambda f: f["heard"] / f["enterprises"])
    found.insert(1, "name", found["code"].map(name))
    return found.sort_values(["share", "code"], ignore_index=True)


@kept(STILL)
def days(context: Context) -> pd.DataFrame:
    """What came of what was due, by enterprise and day of the span."""
    span = context.filters.span
    return context.asker.ask("quality_days", live=False, **_narrow(context), start=span.start, end=span.end)


def names(context: Context) -> dict[str, str]:
    """Give enterprise -> name in the reader's language."""
    return {
        str(row["enterprise"]): context.text.either(str(row["name"]), str(row["name_en"]))
        or str(row["enterprise"])
        for row in data.records(data.enterprises(context.asker))
    }


def by_unit(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the days of each enterprise together, the least complete first; `complete` and `late_share` are 0 to 1."""
    sums = frame.groupby("enterprise", as_index=False)[list(COUNTS)].sum()
    found = sums.assign(
        complete=sums["received"] / sums["due"].replace(0, np.nan),
        late_share=sums["late"] / sums["received"].replace(0, np.nan),
        estimated_share=sums["estimated_points"] / sums["points"].replace(0, np.nan),
        suspect_share=(sums["suspect"] + sums["bad"]) / sums["received"].replace(0, np.nan),
    )
    return found.sort_values(["complete", "enterprise"], na_position="first", ignore_index=True)


def total(frame: pd.DataFrame, part: str, whole: str) -> Share:
    """Give a share over all enterprises and days."""
    return Share(float(frame[part].sum()), float(frame[whole].sum()))


def matrix(context: Context) -> pd.DataFrame:
    """Which incidents there were in the span: region, class, cause, count, open."""
    start = context.filters.span.start
    return context.asker.ask("quality_matrix", live=False, **_narrow(context), start=start, end=_end(context))


def quarantined(context: Context) -> pd.DataFrame:
    """What was held back in the span: reason, count, enterprises, last_at, example."""
    start = context.filters.span.start
    return context.asker.ask("quality_quarantine", start=start, end=_end(context))


def _end(context: Context) -> datetime:
    """Give the end of what is judged by its receipt: a view of the newest month reaches to the running day."""
    newest = context.filters.month == context.known.months[0]
    return midnight(data.now().date() + timedelta(days=1)) if newest else context.filters.span.end


@kept(LIVE)
def silent(context: Context) -> pd.DataFrame:
    """Which points are silent beyond their due time, the longest first."""
    return context.asker.ask("quality_silent", live=True, **_narrow(context), limit=SILENT_ROWS)
