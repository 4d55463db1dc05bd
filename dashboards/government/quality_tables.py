"""The tables and figures of the quality page, written as HTML from the frames of `trust`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from html import escape

import pandas as pd

from dashboards import data
from dashboards.charts.base import Labels
from dashboards.enterprise.live import completeness_mark
from dashboards.enterprise.sheets import reason_words
from dashboards.formats import DASH, age, percent, stamp
from dashboards.government import trust
from dashboards.government.context import Context
from dashboards.government.headline import simulated
from dashboards.government.places import CITY_DIGITS, padded
from dashboards.incidents.words import CLASSES, Row, cause_name, class_pill, link
from dashboards.periods import Span
from dashboards.ui.parts import pill

Table = Callable[[Context], str]
SHOWN = 60
_WIDE = {"table.last", "trust.column_received", "trust.column_estimated", "trust.column_newest"}
"""Columns a phone leaves out."""
FULL_ONLINE, FAIR_ONLINE = 0.98, 0.9
LATE_WARN, LATE_BAD = 0.05, 0.2


def headline(context: Context) -> str:
    """Give the head line: of which region, until when, simulated or not."""
    text, known = context.text, context.known
    rows = known.within(context.region, context.filters.industry)
    name = known.name(context.region, text) if context.region else text("choice.nation")
    last = rows["last_at"].max() if len(rows) else pd.NaT
    until = text("head.never") if pd.isna(last) else text("head.until", at=stamp(last)[5:])
    span = context.filters.span
    return (
        f'<div class="nl-head"><h1>{escape(text("trust.title", name=name))}</h1>{simulated(text, rows)}'
        f"<span>{escape(until)}</span>"
        f"<span>{span.first} {DASH} {span.after - timedelta(days=1)}</span></div>"
    )


def figures(context: Context) -> str:
    """Give the six figures: heard enterprises and points, completeness, lateness, estimates, held back."""
    text, frame = context.text, trust.days(context)
    heard = trust.online(context)
    units, points = trust.total(heard, "heard", "enterprises"), trust.total(heard, "points_heard", "points")
    complete, late = trust.total(frame, "received", "due"), trust.total(frame, "late", "received")
    estimated = trust.total(frame, "estimated_points", "points")
    suspect = trust.Share(float((frame["suspect"] + frame["bad"]).sum()), float(frame["received"].sum()))
    cards = (
        _figure(context, "heard", units, _online_mark(units.value)),
        _figure(context, "points", points, _online_mark(points.value)),
        _figure(context, "complete", complete, completeness_mark(complete.value)),
        _figure(context, "late", late, _late_mark(late.value)),
        _figure(context, "estimated", estimated, _late_mark(estimated.value)),
        _figure(context, "suspect", suspect, _late_mark(suspect.value)),
    )
    held = int(trust.quarantined(context)["count"].sum())
    note = f'<div class="nl-src">{escape(text("trust.held_all", n=f"{held:,}"))}</div>' if held else ""
    return f'<div class="nl-figs">{"".join(cards)}</div>{note}'


def _figure(context: Context, name: str, share: trust.Share, mark: tuple[str, str]) -> str:
    text = context.text
    written = percent(share.value)
    number, unit = written.removesuffix("%"), "%" if written.endswith("%") else ""
    line = text(f"trust.of_{name}", part=f"{share.part:,.0f}", whole=f"{share.whole:,.0f}")
    return (
        f'<div class="nl-kpi"><div class="l"><span class="t">{escape(text(f"trust.figure_{name}"))}</span>'
        f"{pill(*mark, text(f'trust.mark_{mark[0]}'))}</div>"
        f'<div class="v">{number}<small>{unit}</small></div><div class="s">{escape(line)}</div></div>'
    )


def _online_mark(share: float | None) -> tuple[str, str]:
    if share is None:
        return "flat", "◌"
    return ("good", "●") if share >= FULL_ONLINE else ("warn", "▲") if share >= FAIR_ONLINE else ("bad", "■")


def _late_mark(share: float | None) -> tuple[str, str]:
    if share is None:
        return "flat", "◌"
    return ("good", "●") if share < LATE_WARN else ("warn", "▲") if share < LATE_BAD else ("bad", "■")


def online(context: Context) -> str:
    """Give who is heard, by city and by industry, the worst first."""
    text, frame = context.text, trust.online(context)
    if frame.empty:
        return ""
    head = _head(
        context, "trust.column_group", "trust.column_units", "trust.column_points", "trust.column_share"
    )
    body = []
    for by in ("city", "industry"):
        body.append(f'<tr class="grp"><td colspan="4">{escape(text(f"trust.by_{by}"))}</td></tr>')
        body += [_group(context, by, row) for row in data.records(trust.grouped(context, frame, by))]
    return f'<table class="nl-tab">{head}<tbody>{"".join(body)}</tbody></table>'


def _group(context: Context, by: str, row: Row) -> str:
    name = {"city": "region", "industry": "industry"}[by]
    address = context.address("gov-quality", **{name: str(row["code"])})
    share = data.share(row["heard"], row["enterprises"])
    return (
        f'<tr><td class="n"><a href="{escape(address)}" target="_self">{escape(str(row["name"]))}</a></td>'
        f"<td>{row['heard']:,} / {row['enterprises']:,}</td>"
        f"<td>{row['points_heard']:,} / {row['points']:,}</td>"
        f"<td>{pill(*_online_mark(share), percent(share))}</td></tr>"
    )


def _head(context: Context, *keys: str) -> str:
    cells = "".join(
        f"<th{' class=h' if key in _WIDE else ''}>{escape(context.text(key))}</th>" for key in keys
    )
    return f"<thead><tr>{cells}</tr></thead>"


def matrix(context: Context) -> str:
    """Give the incidents of the span: causes by class in the rows, cities in the columns."""
    frame = trust.matrix(context)
    if frame.empty:
        return ""
    codes = [padded(str(code)[:CITY_DIGITS]) for code in frame["region"]]
    frame = frame.assign(city=codes)
    cities = sorted(set(codes))
    table = frame.pivot_table(
        index=["class", "cause"], columns="city", values="count", aggfunc="sum", fill_value=0
    )
    most = max(int(table.to_numpy().max()), 1)
    text, known = context.text, context.known
    named = "".join(f"<th>{escape(known.name(city, text))}</th>" for city in cities)
    head = (
        f"<tr><th>{escape(text('trust.column_cause'))}</th>{named}<th>{escape(text('table.sum'))}</th></tr>"
    )
    order = [kind for kind in (*CLASSES, *sorted(set(frame["class"]) - set(CLASSES))) if kind in table.index]
    body = []
    for kind in order:
        rows = table.loc[kind]
        sums = "".join(f"<td>{int(rows[city].sum()):,}</td>" for city in cities)
        body.append(
            f'<tr class="grp"><td>{class_pill(text, kind)}</td>{sums}<td>{int(rows.to_numpy().sum()):,}</td></tr>'
        )
        for cause in rows.index:
            counts = [int(rows.loc[cause, city]) for city in cities]
            body.append(_matrix_row(context, int(cause), cities, counts, most))
    return f'<table class="nl-tab nl-matrix"><thead>{head}</thead><tbody>{"".join(body)}</tbody></table>'


def _matrix_row(context: Context, cause: int, cities: list[str], counts: list[int], most: int) -> str:
    cells = "".join(
        f'<td style="--s:{round(70 * count / most)}%">'
        + (link("incidents", f"{count:,}", **_query(context, region=city, cause=str(cause))) if count else "")
        + "</td>"
        for city, count in zip(cities, counts, strict=True)
    )
    name = escape(cause_name(context.text, cause))
    return f'<tr><td class="n i">{name}</td>{cells}<td>{sum(counts):,}</td></tr>'


def _query(context: Context, **more: str) -> dict[str, str]:
    language = context.text.language
    return {**more, "state": "all", "lang": language if language == "en" else ""}


def silent(context: Context) -> str:
    """Give the points that are silent longest, with their enterprise."""
    frame = trust.silent(context)
    if frame.empty:
        return ""
    text = context.text
    head = _head(context, "trust.column_unit", "table.point", "table.last", "trust.column_silent")
    rows = "".join(_silent_row(context, row) for row in data.records(frame.head(SHOWN)))
    total = int(frame["total"].iloc[0])
    more = (
        f"<tr><td colspan=4>{escape(text('trust.more', n=f'{total - SHOWN:,}'))}</td></tr>"
        if total > SHOWN
        else ""
    )
    return f'<table class="nl-tab">{head}<tbody>{rows}{more}</tbody></table>'


def _silent_row(context: Context, row: Row) -> str:
    text, last = context.text, row["last_received_at"]
    unit = unit_link(context, str(row["enterprise"]), text.either(str(row["name"]), str(row["name_en"])))
    point = text.either(str(row["point_name"]), str(row["point_name_en"])) or str(row["point"])
    if pd.isna(last):
        since, length = DASH, pill("flat", "◌", text("points.never"))
    else:
        since = stamp(last)[5:]
        length = pill("bad", "■", age(text, timedelta(seconds=float(row["silent_s"])), "old"))
    return (
        f'<tr><td class="n">{unit}</td><td class="n">{escape(point)}</td>'
        f'<td class="h">{since}</td><td>{length}</td></tr>'
    )


def unit_link(context: Context, code: str, name: str) -> str:
    """Give the way to an enterprise's page."""
    language = context.text.language
    return link("enterprise", name or code, enterprise=code, lang=language if language == "en" else "")


def units(context: Context) -> str:
    """Give each enterprise with its completeness and the shares of late, estimated and suspect data."""
    frame = trust.by_unit(trust.days(context))
    if frame.empty:
        return ""
    text, known = context.text, trust.names(context)
    keys = (
        "column_unit",
        "column_complete",
        "column_received",
        "column_late",
        "column_estimated",
        "column_suspect",
    )
    head = _head(context, *(f"trust.{key}" for key in keys))
    rows = "".join(_unit_row(context, row, known) for row in data.records(frame.head(SHOWN)))
    more = len(frame) - SHOWN
    rest = f"<tr><td colspan=6>{escape(text('trust.more', n=f'{more:,}'))}</td></tr>" if more > 0 else ""
    return f'<table class="nl-tab">{head}<tbody>{rows}{rest}</tbody></table>'


def _unit_row(context: Context, row: Row, known: dict[str, str]) -> str:
    code, part = str(row["enterprise"]), _number(row["complete"])
    late, estimated, suspect = (
        percent(_number(row[name])) for name in ("late_share", "estimated_share", "suspect_share")
    )
    shares = f"<td>{late}</td><td class='h'>{estimated}</td><td>{suspect}</td>"
    return (
        f'<tr><td class="n">{unit_link(context, code, known.get(code, code))}</td>'
        f"<td>{pill(*completeness_mark(part), percent(part))}</td>"
        f"<td class='h'>{row['received']:,} / {row['due']:,}</td>{shares}</tr>"
    )


def _number(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def held(context: Context) -> str:
    """Give what was held back, by reason, most of it first."""
    frame = trust.quarantined(context)
    if frame.empty:
        return ""
    text = context.text
    head = _head(
        context, "column.reason", "trust.column_held", "trust.column_held_units", "trust.column_newest"
    )
    rows = "".join(
        f'<tr><td class="n w"><b>{escape(reason_sentence(context, str(row["reason"])))}</b></td>'
        f"<td>{row['count']:,}</td><td>{row['enterprises']:,}</td><td class='h'>{stamp(row['last_at'])[5:]}</td></tr>"
        for row in data.records(frame)
    )
    total = f"<td>{escape(text('table.sum'))}</td><td>{int(frame['count'].sum()):,}</td>"
    sums = f'<tr class="sum">{total}<td></td><td class="h"></td></tr>'
    return f'<table class="nl-tab">{head}<tbody>{rows}{sums}</tbody></table>'


def reason_sentence(context: Context, code: str) -> str:
    """Name a reason of the quarantine in words."""
    return context.text.get(f"held.{code}", reason_words(context.text, code))


def heat_note(context: Context, most: int) -> str:
    """Say which enterprises the picture shows."""
    count = trust.days(context)["enterprise"].nunique()
    key = "trust.heat_worst" if count > most else "trust.heat_all"
    return escape(context.text(key, n=min(count, most), all=count))


def day_labels(span: Span) -> Labels:
    """Give day -> label; the year stands where the span is longer than one."""
    long = span.days > 366
    return {
        day: f"{day:%Y-%m-%d}" if long else f"{day:%m-%d}"
        for day in pd.date_range(span.first, span.after, freq="D", inclusive="left")
    }


def distinct(known: dict[str, str], codes: list[str]) -> dict[str, str]:
    """Give code -> name of some enterprises; a name used twice gets its code."""
    named = {code: known.get(code, code) for code in codes}
    twice = {name for name in named.values() if list(named.values()).count(name) > 1}
    return {code: f"{name} {code[-4:]}" if name in twice else name for code, name in named.items()}
