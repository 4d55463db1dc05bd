"""Where: the tile-grid map of the parts of the region, and the table of how each stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import data
from dashboards.cache import STILL, kept
from dashboards.charts import spark
from dashboards.formats import DASH, percent, stamp
from dashboards.government import figures
from dashboards.government.context import Context
from dashboards.government.grades import MARKS, grade_pill, rule, signed
from dashboards.government.headline import bullet
from dashboards.ui import parts

Row = dict[str, Any]
SHOWN = 14  # rows of the table; all of them are on the ranking page


def map_card(context: Context) -> None:
    """Draw the parts of the region as tiles, coloured by their deviation; each leads to itself."""
    text = context.text
    with st.container(key="card_map", height="stretch"):
        st.html(parts.title(text("overview.map"), text("overview.map_note")))
        st.html(tiles(context))
        st.html(legend(context))
        st.html(f'<div class="nl-src">{escape(text("overview.not_forecast"))}</div>')


@kept(STILL)
def tiles(context: Context) -> str:
    """Give the tile-grid map; a part without a place on it stands in the row below."""
    known = context.known
    rows = {str(row["node"]): row for row in data.records(standing_of_root(context))}
    places = _grid(known.regions, known.children)
    cells = [_tile(context, code, rows.get(code), places[code]) for code in known.children if code in places]
    lines = max((row for row, _ in places.values()), default=1)
    columns = max((column for _, column in places.values()), default=1)
    name = known.name(known.root, context.text) if known.root else context.text("choice.nation")
    back = (
        f'<a class="nl-all" target="_self" href="{escape(context.address(region=""))}">'
        f"{escape(context.text('choice.whole', name=name))}</a>"
        if context.filters.region
        else ""
    )
    return (
        f'<div class="nl-tiles" role="group" aria-label="{escape(context.text("overview.map"))}" '
        f'style="--rows:{lines};--columns:{columns}">{"".join(cells)}</div>{back}'
    )


def standing_of_root(context: Context) -> pd.DataFrame:
    """Give how every part of the root stands, under the chosen industry and time."""
    return standing(_whole(context), "region")


def _whole(context: Context) -> Context:
    return replace(context, filters=replace(context.filters, region=""))


@kept(STILL)
def standing(context: Context, by: str) -> pd.DataFrame:
    """Give how each node stands, once for map, table and ranking."""
    return figures.standing(context, by)


def _grid(regions: pd.DataFrame, children: list[str]) -> dict[str, tuple[int, int]]:
    """Give each part its row and column from 1; those without a place of their own fill rows below."""
    placed = regions[regions["region"].isin(children)].drop_duplicates(["row", "column"])
    if len(placed) < min(len(children), 2):
        width = max(round(len(children) ** 0.5 + 0.4), 1)
        return {code: (n // width + 1, n % width + 1) for n, code in enumerate(children)}
    top, left = int(placed["row"].min()), int(placed["column"].min())
    found = {
        str(r["region"]): (int(r["row"]) - top + 1, int(r["column"]) - left + 1) for r in data.records(placed)
    }
    width, below = max(c for _, c in found.values()), max(r for r, _ in found.values())
    for n, code in enumerate(code for code in children if code not in found):
        found[code] = (below + 1 + n // width, n % width + 1)
    return found


def _tile(context: Context, code: str, row: Row | None, place: tuple[int, int]) -> str:
    text = context.text
    grade, deviation = (int(row["grade"]), row["deviation"]) if row else (0, None)
    name = context.known.name(code, text)
    here = code == context.filters.region
    words = text("overview.tile", name=name, grade=text(f"grade.{grade}"), deviation=signed(deviation))
    return (
        f'<a class="nl-tile g{grade}{" on" if here else ""}" target="_self" title="{escape(words)}" '
        f'aria-label="{escape(words)}"{" aria-current=true" if here else ""} '
        f'href="{escape(context.address(region="" if here else code))}" '
        f'style="grid-area:{place[0]}/{place[1]}">'
        f'<b><i aria-hidden="true">{MARKS[grade][1]}</i>{escape(name)}</b><span>{signed(deviation)}</span></a>'
    )


@kept(STILL)
def legend(context: Context) -> str:
    """Say what the grades mean and how many parts have each."""
    text = context.text
    counts = standing_of_root(context)["grade"].value_counts()
    missing = len(context.known.children) - int(counts.sum())
    words = []
    for grade in (1, 2, 3, 0):
        n = int(counts.get(grade, 0)) + (missing if grade == 0 else 0)
        if grade or n:
            meaning = rule(text, grade, figures.last_day(context))
            words.append(f"<span>{grade_pill(text, grade, meaning)} <b>{n}</b></span>")
    return f'<div class="nl-legend">{"".join(words)}</div>'


def table_card(context: Context) -> None:
    """Draw the table of the parts; within one part, of its enterprises."""
    text = context.text
    below = rows_of(context)
    with st.container(key="card_cities", height="stretch"):
        st.html(parts.title(text(f"overview.table_{below}"), text("overview.table_note")))
        frame = standing(context, below) if below == "enterprise" else standing_of_root(context)
        if frame["coal_kgce"].isna().all():
            where = context.known.name(context.region, text)
            parts.nothing(text("overview.silent", name=where), text("overview.silent_hint"), 300)
        else:
            st.html(
                f'<div class="nl-scroll nl-tall" tabindex="0" role="region" '
                f'aria-label="{escape(text(f"overview.table_{below}"))}">{table(context)}</div>'
            )
        st.html(_foot(context, frame, below))


def within_one(context: Context) -> bool:
    """Say whether the page speaks of one part only, so that its enterprises are listed."""
    return bool(context.filters.region) or len(context.known.children) <= 1


def rows_of(context: Context) -> str:
    """Give what the table lists: the parts of the root, or the enterprises of one part."""
    return "enterprise" if within_one(context) else "region"


@kept(STILL)
def names(context: Context) -> dict[str, str]:
    """Give the names of the enterprises in the reader's language."""
    frame = data.enterprises(context.asker)
    return {
        str(row["enterprise"]): context.text.either(str(row["name"]), str(row["name_en"]))
        or str(row["enterprise"])
        for row in data.records(frame)
    }


@kept(STILL)
def table(context: Context) -> str:
    """Give the parts as rows: grade, change of energy and of intensity, budget used, trend, completeness."""
    text, by = context.text, rows_of(context)
    source = context if by == "enterprise" else _whole(context)
    frame = standing(source, by)
    trends = _trends(figures.series(source, "month", figures.trend_months(context), by))
    called = names(context) if by == "enterprise" else {}
    rows = [_row(context, row, called, trends, n) for n, row in enumerate(data.records(frame.head(SHOWN)), 1)]
    heads = [
        ("", f"overview.column_{by}"),
        ("", "overview.column_path"),
        *([] if by == "enterprise" else [("h", "overview.column_energy")]),
        ("", "overview.column_intensity"),
        ("", "overview.column_budget"),
        ("h", "overview.column_trend"),
        ("h", "overview.column_complete"),
    ]
    head = "".join(f'<th class="{kind}">{escape(text(key))}</th>' for kind, key in heads)
    return f'<table class="nl-tab nl-cities"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _trends(frame: pd.DataFrame) -> dict[str, list[float | None]]:
    return {
        str(node): [None if pd.isna(v) else float(v) for v in rows["coal_kgce"]]
        for node, rows in frame.groupby("node")
    }


def _row(
    context: Context, row: Row, called: dict[str, str], trends: dict[str, list[float | None]], n: int
) -> str:
    text, node, grade = context.text, str(row["node"]), int(row["grade"])
    name = called.get(node) or context.known.name(node, text)
    address = (
        context.address(
            "enterprise", region="", industry="", month="", period="", compare="", enterprise=node
        )
        if called
        else context.address(region=node)
    )
    used = _share(row["used_kgce"], row["target_tce"])
    due = _share(row["budget_kgce"], row["target_tce"])
    bar = "" if used is None or due is None else bullet(used, due, MARKS[grade][0])
    trend = spark.line(trends.get(node, []), context.theme.primary)
    line = text("kpi.trend", name=name)
    energy = "" if called else f'<td class="h">{signed(row["change"])}</td>'
    path = grade_pill(text, grade, f"{text(f'grade.{grade}')} {signed(row['deviation'])}".strip())
    return (
        f'<tr{" class=on" if node == context.filters.region else ""}><td class="n"><span class="k">{n}</span>'
        f'<a target="_self" title="{escape(name)}" href="{escape(address)}">{escape(name)}</a></td><td>{path}</td>'
        f"{energy}<td>{signed(row['intensity_change'])}</td>"
        f'<td><span class="nl-bullet">{bar}</span><span class="nl-pc">{percent(used)}</span></td>'
        f'<td class="h"><img alt="{escape(line)}" src="{trend}"></td>'
        f'<td class="h">{percent(data.share(row["received"], row["due"]))}</td></tr>'
    )


def _share(kgce: float | None, tce: float | None) -> float | None:
    if kgce is None or tce is None or pd.isna(kgce) or pd.isna(tce) or not tce:
        return None
    return float(kgce) / 1000 / float(tce)


def _foot(context: Context, frame: pd.DataFrame, by: str) -> str:
    text = context.text
    known: datetime | None = data.known_at(frame)
    source = text("source.line", table=text("overview.source"), known=stamp(known)) if known else DASH
    more = len(frame) - SHOWN
    address = context.address("gov-ranking", by=by)
    words = text("overview.more", n=more) if more > 0 else text("overview.to_ranking")
    return (
        f'<div class="nl-foots"><span class="nl-src">{escape(source)}</span>'
        f'<a target="_self" href="{escape(address)}">{escape(words)}</a></div>'
    )
