"""What is drawn of an incident: the span around it, its points, and the point beside it that shows the plant ran."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from dashboards import data
from dashboards.cache import LIVE, kept
from dashboards.charts import evidence as chart
from dashboards.charts.base import Ink, Spec
from dashboards.charts.evidence import Around, Trace
from dashboards.data import Asker
from dashboards.formats import unit_label
from dashboards.i18n import Text
from dashboards.incidents.words import Row
from dashboards.ui.frame import Frame
from dashboards.ui.theme import item_colour
from nengliu.domain.times import CHINA

SHORT = timedelta(hours=8)  # spans that are drawn reading by reading
LONGEST = timedelta(days=5)
LEAST = timedelta(hours=3)  # shown before and after, so that the eye has something to compare with
SHOWN_POINTS = 24
GAUGE = "gauge"


@dataclass(frozen=True)
class Drawing:
    """A chart with what its head says; `spec` is None where there is nothing to draw."""

    spec: Spec | None
    name: str = ""
    witness: str = ""


def around(row: Row, at: datetime) -> Around:
    """Give the span to draw: the incident with as much before and after, at most some days; `at` is now."""
    begin: datetime = row["opened_at"]
    end: datetime | None = None if pd.isna(row["cleared_at"]) else row["cleared_at"]
    margin = max(LEAST, min(((end or at) - begin) / 2, timedelta(hours=24)))
    first = begin - margin
    after = min(at if end is None else end + margin, at, first + LONGEST)
    after = max(after, begin)
    return Around(begin, end, _cut(first), _cut(after) + timedelta(minutes=15))


def _cut(at: datetime) -> datetime:
    return pd.Timestamp(at).floor("15min").to_pydatetime()


def catalogue(frame: Frame, row: Row) -> pd.DataFrame:
    """Give the points of the incident's enterprise."""
    return data.points(frame.asker, str(row["enterprise"]))


def point_names(text: Text, points: pd.DataFrame) -> dict[str, str]:
    """Give point -> name in the reader's language."""
    return {
        str(row["point"]): text.either(str(row["name"]), str(row["name_en"])) or str(row["point"])
        for row in data.records(points)
    }


def drawn_points(row: Row, points: pd.DataFrame) -> list[str]:
    """Give the points of the incident that the catalogue knows, its root first."""
    known = set(points["point"])
    wanted = [str(row["point"]), *(str(point) for point in row["members"])]
    if str(row["root"]) == "enterprise" and len(wanted) == 1:
        wanted += [str(point) for point in points["point"]]
    return [point for point in dict.fromkeys(wanted) if point in known]


def witness_of(point: str, members: list[str], points: pd.DataFrame) -> str:
    """Choose the point beside it: of the same item, else the electricity of the boundary, parents first.

    Nothing is chosen among the incident's own members: they know no more than the point itself.
    """
    own = points[points["point"] == point].iloc[0]
    others = points[~points["point"].isin([point, *members])]
    alike = others[(others["item"] == own["item"]) & (others["kind"] == own["kind"])]
    power = others[(others["item"] == "electricity") & (others["metering_level"] == 1)]
    found = alike if len(alike) else power
    if found.empty:
        return ""
    rank = found["metering_level"].replace(0, 9)
    return str(found.assign(_rank=rank).sort_values(["_rank", "point"])["point"].iloc[0])


@kept(LIVE)
def _readings(asker: Asker, enterprise: str, point: str, first: datetime, after: datetime) -> pd.DataFrame:
    """Give a point's readings as they came."""
    frame = asker.ask(
        "readings", live=True, enterprise=enterprise, point=point, start=_zoned(first), end=_zoned(after)
    )
    return frame.rename(columns={"read_at": "at"})[["at", "value"]]


@kept(LIVE)
def _quarters(
    asker: Asker, enterprise: str, point: str, first: datetime, after: datetime, gauge: bool
) -> pd.DataFrame:
    """Give a point's quarter-hours, NaN where nothing came or what stands there is only spread over a gap."""
    frame = asker.ask(
        "windows",
        True,
        level="15min",
        enterprise=enterprise,
        point=point,
        start=_zoned(first),
        end=_zoned(after),
    )
    frame = frame.set_index("period_start")
    last = min(after, data.now())
    slots = pd.date_range(first, last, freq="15min", inclusive="left", name="at")
    value = frame["mean" if gauge else "used"].where(frame["received"] > 0)
    return value.astype(float).reindex(slots).rename("value").reset_index()


def _zoned(at: datetime) -> datetime:
    return at.replace(tzinfo=CHINA)


def readings(frame: Frame, row: Row, point: str, span: Around, registers: bool) -> Drawing:
    """Draw a point around the incident: its readings as they came (`registers`), or by quarter-hours."""
    points = catalogue(frame, row)
    members = [str(member) for member in row["members"]]
    trace = _trace(frame, row, point, points, span, registers)
    other = witness_of(point, members, points)
    beside = _trace(frame, row, other, points, span, registers) if other else None
    if trace.frame["value"].isna().all() and (beside is None or beside.frame["value"].isna().all()):
        return Drawing(None, trace.name)
    steps = registers and str(_row_of(points, point)["kind"]) != GAUGE
    whole = _with_gaps(trace, points, point, span) if registers else trace
    spec = chart.readings(whole, beside, span, Ink(frame.text, frame.theme), step=steps)
    return Drawing(spec, trace.name, "" if beside is None else beside.name)


def _trace(frame: Frame, row: Row, point: str, points: pd.DataFrame, span: Around, registers: bool) -> Trace:
    about, unit, text = _row_of(points, point), str(row["enterprise"]), frame.text
    gauge = str(about["kind"]) == GAUGE
    if registers:
        values = _readings(frame.asker, unit, point, span.first, span.after)
    else:
        values = _quarters(frame.asker, unit, point, span.first, span.after, gauge)
    label = unit_label(text, str(about["unit"]))
    shown = label if registers or gauge else text("curve.per_quarter", unit=label)
    colour = item_colour(str(about["item"]), frame.theme.dark)
    return Trace(point_names(text, points)[point], shown, colour, values)


def _row_of(points: pd.DataFrame, point: str) -> pd.Series:
    return points[points["point"] == point].iloc[0]


def _with_gaps(trace: Trace, points: pd.DataFrame, point: str, span: Around) -> Trace:
    """Put a hole where a due reading did not come, so that no line is drawn across a silence."""
    interval = int(_row_of(points, point)["interval_s"])
    if not interval or trace.frame.empty:
        return trace
    step, came = pd.Timedelta(seconds=interval), trace.frame["at"]
    last = min(span.after, data.now())
    due = pd.date_range(came.iloc[0].floor(step), last, freq=step, inclusive="left")
    gone = due[~due.isin(came.dt.floor(step))]
    holes = pd.DataFrame({"at": gone, "value": np.nan})
    frame = pd.concat([trace.frame, holes], ignore_index=True).sort_values("at", ignore_index=True)
    return Trace(trace.name, trace.unit, trace.colour, frame)


def presence(frame: Frame, row: Row, span: Around) -> Drawing:
    """Draw what arrived of what was due, by point and quarter-hour; nothing where no point is timed."""
    points = catalogue(frame, row)
    names = point_names(frame.text, points)
    shown = drawn_points(row, points)[:SHOWN_POINTS]
    if not shown:
        return Drawing(None)
    last = min(span.after, _cut(data.now()))
    cut = Around(span.begin, span.end, span.first, max(last, span.first + timedelta(minutes=15)))
    answer = frame.asker.ask(
        "presence",
        live=True,
        enterprise=str(row["enterprise"]),
        points=",".join(shown),
        start=_zoned(cut.first),
        end=_zoned(cut.after),
    )
    unique = {point: f"{names[point]} {point}" for point in shown}
    return Drawing(chart.presence(answer, unique, cut, Ink(frame.text, frame.theme)))
