"""The numbers behind each card, as tables with written column names: for reading and for taking away."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from dashboards import data
from dashboards.charts.curve import states
from dashboards.enterprise import views
from dashboards.enterprise.context import GAUGE, Context, item_name
from dashboards.export import Sheet
from dashboards.filters import TOTAL
from dashboards.formats import unit_label
from dashboards.i18n import Text

Maker = Callable[[Context], pd.DataFrame]


def sheet(context: Context, card: str, line: str) -> Sheet:
    """Make the table of a card with its head line and its line of source and knowledge."""
    text, filters = context.text, context.filters
    frame = MAKERS[card](context)
    heading = f"{context.name} · {text(f'card.{card}')}"
    as_of = filters.as_of.isoformat() if filters.as_of else text("as_of.newest")
    source = text("source.sheet", line=line, as_of=as_of)
    if context.simulated:
        source = f"{source} · {text('enterprise.simulated')}"
    return Sheet(f"{filters.enterprise}_{card}_{filters.day:%Y%m%d}", heading, source, frame)


def _named(frame: pd.DataFrame, text: Text, units: dict[str, str] | None = None) -> pd.DataFrame:
    """Give columns their written names, with their unit where they have one."""
    names = {c: text(f"column.{c}") for c in frame.columns}
    for column, unit in (units or {}).items():
        names[column] = f"{names[column]} [{unit}]"
    return frame.rename(columns=names)


def curve(context: Context) -> pd.DataFrame:
    """Give each quarter-hour of the chosen point with its state."""
    text = context.text
    row = context.point_row(context.point)
    gauge = str(row["kind"]) == GAUGE
    span = views.curve_span(context.filters)
    frame = data.quarters(context.asker, context.filters.enterprise, context.point, span)
    frame["state"] = [text("quality.gap" if s == "gap" else f"quality.{s}") for s in states(frame, gauge)]
    values = ["mean", "low", "high", "last"] if gauge else ["used", "estimated"]
    unit = unit_label(text, str(row["unit"]))
    columns = ["period_start", *values, "state", "covered_s", "received", "due", "known_at"]
    return _named(frame[columns], text, dict.fromkeys(values, unit))


def structure(context: Context) -> pd.DataFrame:
    """Give each item at the boundary in its own unit, in standard coal both ways, and its carbon dioxide."""
    text, filters = context.text, context.filters
    frame = data.structure(context.asker, views.level_of(filters.grain), filters.enterprise, filters.span)
    return _items(frame, text, ["item", "used", "unit"])


def _items(frame: pd.DataFrame, text: Text, first: list[str]) -> pd.DataFrame:
    part = 100 * frame["received"] / frame["due"].replace(0, np.nan)
    shown = frame.assign(
        item=[item_name(text, i) for i in frame["item"]],
        unit=[unit_label(text, u) for u in frame["unit"]],
        coal_tce=frame["coal_kgce"] / 1000,
        coal_equal_tce=frame["coal_equal_kgce"] / 1000,
        co2_t=frame["co2_kg"] / 1000,
        complete=part.clip(upper=100).round(2),
    )
    columns = [*first, "coal_tce", "coal_equal_tce", "co2_t", "received", "due", "complete"]
    units = {"coal_tce": "tce", "coal_equal_tce": "tce", "co2_t": "t", "complete": "%"}
    return _named(shown[columns], text, units)


def bars(context: Context) -> pd.DataFrame:
    """Give the items of each day or month, the period compared with below."""
    filters, asker = context.filters, context.asker
    level, span = filters.bars_span
    parts = [data.by_item(asker, level, filters.enterprise, span)]
    reference = views.bars_reference(filters)
    if reference is not None:
        parts.append(data.by_item(asker, level, filters.enterprise, reference))
    frame = pd.concat([p for p in parts if len(p)] or parts[:1], ignore_index=True)
    if context.energy != TOTAL:
        frame = frame[frame["item"] == context.energy]
    frame = frame.sort_values(["period_start", "item"], ascending=[False, True])
    return _items(frame, context.text, ["period_start", "item", "used", "estimated", "unit"])


def points(context: Context) -> pd.DataFrame:
    """Give each point with its newest reading."""
    text = context.text
    fresh = data.freshness(context.asker, context.filters.enterprise)
    frame = context.points.merge(
        fresh[["point", "last_read_at", "last_received_at"]], on="point", how="left", validate="one_to_one"
    )
    names = context.point_names
    frame = frame.assign(
        name=[names[p] for p in frame["point"]],
        item=[context.item_name(i) for i in frame["item"]],
        unit=[unit_label(text, u) for u in frame["unit"]],
        kind=[text.get(f"kind.{k}", k) for k in frame["kind"]],
    )
    columns = [
        "point",
        "name",
        "item",
        "kind",
        "unit",
        "metering_level",
        "place",
        "last_read_at",
        "last_received_at",
    ]
    return _named(frame[columns], text)


def heat(context: Context) -> pd.DataFrame:
    """Give received and due of each point and day with the counts by quality."""
    span = views.trust_span(context.filters)
    frame = views.trust(context, span)
    return _trust(context, frame, ["period_start", "point", "name"])


def mix(context: Context) -> pd.DataFrame:
    """Give the counts by quality of each point over the period."""
    frame = views.mixture(views.trust(context, context.filters.span))
    return _trust(context, frame, ["point", "name"])


def _trust(context: Context, frame: pd.DataFrame, first: list[str]) -> pd.DataFrame:
    names = context.point_names
    part = (100 * frame["received"] / frame["due"].replace(0, np.nan)).clip(upper=100).round(2)
    shown = frame.assign(name=[names.get(p, p) for p in frame["point"]], complete=part)
    return _named(
        shown[[*first, "complete", "received", "due", *data.QUALITIES]], context.text, {"complete": "%"}
    )


def collection(context: Context) -> pd.DataFrame:
    """Give every collector, line and meter as it stands."""
    text = context.text
    frame = data.links(context.asker, context.filters.enterprise)
    frame = frame.assign(
        link=[text(f"link.{state}") for state in frame["state"]],
        heard_at=frame["last_at"],
        reason=[reason_words(text, code) for code in frame["reason"]],
    )
    return _named(frame[["source", "line", "meter", "link", "since", "reason", "heard_at", "queued"]], text)


def missed(context: Context) -> pd.DataFrame:
    """Give the due readings of the period that were not taken, one row per point and run."""
    text, filters, names = context.text, context.filters, context.point_names
    frame = data.missed(context.asker, filters.enterprise, filters.span)
    frame = frame.assign(
        name=[names.get(point, point) for point in frame["point"]],
        reason=[reason_words(text, code) for code in frame["reason"]],
    )
    return _named(frame[["point", "name", "first_at", "last_at", "count", "reason", "source"]], text)


def reason_words(text: Text, code: str) -> str:
    """Write why something is down in a few words; the code itself where it is not known."""
    return text.get(f"reason.{code}", code)


def changes(context: Context) -> pd.DataFrame:
    """Give every later change of a number with its reasons."""
    text, frame = context.text, views.changes(context)
    join = text("list.join")
    shown = frame.assign(
        name=[context.point_names.get(point, point) for point in frame["point"]],
        unit=[unit_label(text, unit) for unit in frame["unit"]],
        why=[join.join(text(f"revision.{code}") for code in codes.split(",")) for codes in frame["why"]],
    )
    numbers = ["old", "new", "difference", "unit", "coal_difference_kgce"]
    return _named(
        shown[["known_at", "point", "name", "period_start", *numbers, "why", "received_at", "position"]], text
    )


MAKERS: dict[str, Maker] = {
    "curve": curve,
    "structure": structure,
    "bars": bars,
    "points": points,
    "heat": heat,
    "mix": mix,
    "collection": collection,
    "missed": missed,
    "changes": changes,
}
