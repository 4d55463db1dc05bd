"""Questions of the pages, answered as frames: every one asked with a scope, cached with the scope in the key.

A page asks here and nowhere else.  Sums over time come from the named queries of the store; what is done here
is only to put rows side by side (by item, by period) and to fill the periods nobody reported with gaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from dashboards.cache import LIVE, STILL, kept
from dashboards.periods import Span, midnight
from dashboards.ui.theme import item_order
from nengliu.domain.scope import Scope
from nengliu.domain.times import CHINA
from nengliu.settings import Settings, load

COAL = ["coal_kgce", "coal_equal_kgce", "co2_kg"]
HISTORIC = ("windows", "structure", "completeness", "revisions")  # questions that can be asked as of a day
SETTLED_S = 2 * 3600
"""What changes a period within two hours after its end is the end of its data, and no correction [s]."""
QUALITIES = ("good", "late", "substituted", "manual", "suspect", "bad")

Value = str | int | datetime


class Questions(Protocol):
    """Whoever answers named queries: the store, or a fixture."""

    def ask(self, name: str, scope: Scope, as_of: date | None, parameters: Mapping[str, Value]) -> pa.Table:
        """Answer one named query within a scope, as known at the end of day `as_of` (None: now)."""


@dataclass(frozen=True, slots=True)
class Asker:
    """What all questions of one page run share: who asks, and as of which day."""

    scope: Scope
    as_of: date | None = None

    def ask(self, name: str, live: bool = False, **parameters: Value) -> pd.DataFrame:
        """Ask a named query; times in the answer are naive China civil time."""
        cached = _live if live else _still
        as_of = self.as_of if name in HISTORIC else None
        return cached(name, self.scope, as_of, tuple(sorted(parameters.items())))


@cache
def source() -> Questions:
    """Open the store of this installation once per process."""
    return open_store(load())


def open_store(settings: Settings) -> Questions:
    """Open the store that the settings name."""
    from dashboards.store import StoreQuestions

    return StoreQuestions(settings)


def _answer(
    name: str, scope: Scope, as_of: date | None, parameters: tuple[tuple[str, Value], ...]
) -> pd.DataFrame:
    return _frame(source().ask(name, scope, as_of, dict(parameters)))


_live, _still = kept(LIVE)(_answer), kept(STILL)(_answer)


def _frame(table: pa.Table) -> pd.DataFrame:
    frame = table.to_pandas(strings_to_categorical=False)
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            frame[name] = column.dt.tz_convert("Asia/Shanghai").dt.tz_localize(None).astype("datetime64[ns]")
        elif isinstance(column.dtype, pd.CategoricalDtype):
            frame[name] = column.astype(str)
    return frame


# -- questions ---------------------------------------------------------------------------------------------


def enterprises(asker: Asker) -> pd.DataFrame:
    """Which enterprises may the reader see, and how fresh are they?"""
    return asker.ask("enterprises", live=True)


@kept(STILL)
def points(asker: Asker, enterprise: str) -> pd.DataFrame:
    """Which points does an enterprise have; energy at the boundary first."""
    frame = asker.ask("points", enterprise=enterprise)
    rank = frame["metering_level"].replace(0, 9)
    order = frame.assign(_rank=rank, _item=frame["item"].map(item_order))
    return (
        order.sort_values(["_rank", "_item", "point"]).drop(columns=["_rank", "_item"]).reset_index(drop=True)
    )


def windows(
    asker: Asker, level: str, enterprise: str, span: Span, point: str = "", live: bool = False
) -> pd.DataFrame:
    """What was used in each period of a span, by one point or by all?"""
    frame = asker.ask(
        "windows", live, level=level, enterprise=enterprise, point=point, start=span.start, end=span.end
    )
    return frame.sort_values(["point", "period_start"], ignore_index=True)


def structure(asker: Asker, level: str, enterprise: str, span: Span, live: bool = False) -> pd.DataFrame:
    """How much of each item crossed the boundary of the enterprise in a span?"""
    frame = asker.ask("structure", live, level=level, enterprise=enterprise, start=span.start, end=span.end)
    return frame.assign(_item=frame["item"].map(item_order)).sort_values("_item").drop(columns="_item")


@kept(STILL)
def revisions(asker: Asker, level: str, enterprise: str, span: Span) -> pd.DataFrame:
    """Which numbers of a span changed after they were settled, by how much and why; the newest first."""
    return asker.ask(
        "revisions",
        level=level,
        enterprise=enterprise,
        start=span.start,
        end=span.end,
        settled_s=SETTLED_S,
    )


def links(asker: Asker, enterprise: str) -> pd.DataFrame:
    """How do the collectors of an enterprise, their lines and meters stand?"""
    return asker.ask("links", live=True, enterprise=enterprise)


def missed(asker: Asker, enterprise: str, span: Span) -> pd.DataFrame:
    """Which due readings of a span could not be taken, and why?"""
    return asker.ask("missed", live=True, enterprise=enterprise, start=span.start, end=span.end)


def freshness(asker: Asker, enterprise: str) -> pd.DataFrame:
    """When did each point report last?"""
    return asker.ask("freshness", live=True, enterprise=enterprise)


@kept(LIVE)
def completeness(
    asker: Asker,
    enterprise: str,
    span: Span,
    seen: tuple[datetime | None, datetime | None],
    live: bool = False,
) -> pd.DataFrame:
    """What was received of what was due by now, by point and day, and with which quality?

    A point of the catalogue without a row on a day on which the enterprise was heard (`seen`: its first and
    newest reading) was silent: nothing received, everything due.  Of the running day only the part that has
    passed is due.
    """
    frame = asker.ask("completeness", live, enterprise=enterprise, start=span.start, end=span.end)
    frame = pd.concat([frame, _silent(frame, points(asker, enterprise), span, seen)], ignore_index=True)
    passed = (pd.Timestamp(now()) - frame["period_start"]).dt.total_seconds() / 86_400
    frame["due"] = np.floor(frame["due"].astype(float) * passed.clip(0, 1) + 1e-6)
    return frame.sort_values(["point", "period_start"], ignore_index=True)


def owed(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows in which something was due, none of them more than full (the running interval may have come)."""
    due = frame[frame["due"] > 0]
    return due.assign(received=due[["received", "due"]].min(axis=1))


def _silent(
    frame: pd.DataFrame, catalogue: pd.DataFrame, span: Span, seen: tuple[datetime | None, datetime | None]
) -> pd.DataFrame:
    """Give rows of zero received for the days on which a point of the catalogue has no row."""
    first, last = seen
    if first is None or last is None:
        return frame.iloc[:0]
    begin = max(pd.Timestamp(span.first), pd.Timestamp(first).normalize())
    days = pd.date_range(
        begin, min(pd.Timestamp(span.after) - pd.Timedelta(days=1), pd.Timestamp(last)), freq="D"
    )
    timed = catalogue[catalogue["interval_s"] > 0]
    every = timed[["point", "interval_s", "valid_from"]].merge(
        pd.Series(days, name="period_start"), how="cross"
    )
    every = every[every["valid_from"] <= every["period_start"]]
    have = pd.MultiIndex.from_frame(frame[["point", "period_start"]])
    gone = every[~pd.MultiIndex.from_frame(every[["point", "period_start"]]).isin(have)]
    rows = gone[["point", "period_start"]].assign(due=86_400 // gone["interval_s"], received=0)
    return rows.assign(**dict.fromkeys(QUALITIES, 0))


def now() -> datetime:
    """Give the China civil time without zone, as frames carry it."""
    return datetime.now(CHINA).replace(tzinfo=None)


# -- rows side by side ---------------------------------------------------------------------------------------


def quarters(asker: Asker, enterprise: str, point: str, span: Span) -> pd.DataFrame:
    """Give every quarter-hour of a span for one point; a quarter nobody reported has no value."""
    frame = windows(asker, "15min", enterprise, span, point)
    index = pd.date_range(span.first, span.after, freq="15min", inclusive="left", name="period_start")
    return frame.set_index("period_start").reindex(index).reset_index()


@kept(LIVE)
def by_item(asker: Asker, level: str, enterprise: str, span: Span, live: bool = False) -> pd.DataFrame:
    """Put the boundary points' windows together by item and period.

    Columns: item, unit, period_start, used, estimated, coal_kgce, coal_equal_kgce, co2_kg, received, due,
    known_at.
    """
    frame = windows(asker, level, enterprise, span, live=live)
    frame = frame[(frame["metering_level"] == 1) & (frame["kind"] != "gauge")]
    columns = [*COAL, "used", "estimated", "received", "due"]
    grouped = frame.groupby(["item", "period_start"], sort=True)
    sums = grouped[columns].sum(min_count=1)
    holes = frame[COAL].isna().groupby([frame["item"], frame["period_start"]]).any()
    sums[COAL] = sums[COAL].mask(holes)  # a part without a factor: the sum would be wrong, so there is none
    sums[["unit", "known_at"]] = grouped.agg({"unit": "first", "known_at": "max"})
    return sums.reset_index()


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the rows one by one, each by column name."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def last_days(frame: pd.DataFrame, today: date) -> dict[str, date]:
    """Give the China civil day of each enterprise's newest reading, today for one without."""
    return {
        str(row["enterprise"]): today if pd.isna(row["last_at"]) else row["last_at"].date()
        for row in records(frame)
    }


def known_at(*frames: pd.DataFrame) -> datetime | None:
    """Give the newest receipt behind some frames, or None."""
    found = [f["known_at"].max() for f in frames if "known_at" in f and len(f)]
    known = [at for at in found if not pd.isna(at)]
    return max(known).to_pydatetime() if known else None


def share(received: float, due: float) -> float | None:
    """Give received / due where something was due."""
    return min(float(received) / float(due), 1.0) if due and np.isfinite(due) and due > 0 else None


def closed(span: Span, last_read_at: datetime | None) -> bool:
    """Say whether the data run to the end of a span, so that it may be compared with a whole one."""
    return last_read_at is not None and midnight(span.after).replace(
        tzinfo=None
    ) <= last_read_at + pd.Timedelta("15min")
