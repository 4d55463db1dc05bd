"""Ranking and structure: regions, industries and enterprises by one measure, with the way down to each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import data, export
from dashboards.cache import STILL, kept
from dashboards.charts import ranking as ranking_chart
from dashboards.charts.base import Spec
from dashboards.charts.ranking import Ranked
from dashboards.enterprise.context import item_name
from dashboards.enterprise.toolbar import bound
from dashboards.filters import choice
from dashboards.formats import DASH, percent, stamp
from dashboards.government import figures
from dashboards.government.cities import names, standing, within_one
from dashboards.government.context import Context, context_of
from dashboards.government.filters import toolbar
from dashboards.government.grades import grade_pill, signed
from dashboards.government.headline import simulated
from dashboards.government.measures import BY, RANKINGS, Ranking
from dashboards.government.places import industry_name
from dashboards.i18n import Text
from dashboards.ui import parts
from dashboards.ui.frame import Frame
from dashboards.ui.theme import item_colour, item_order

Row = dict[str, Any]
DRAWN = 20  # nodes in a picture
LISTED = 200  # nodes in the table; the files hold all


@dataclass(frozen=True, slots=True)
class View:
    """What the address asks of this page beside the filters: nodes, measure."""

    by: str
    ranking: Ranking


def render(frame: Frame) -> None:
    """Draw the page within its frame, for the address of this session."""
    context = context_of(frame)
    if context is None:
        return
    view = read(context)
    with st.container(key="summary", horizontal=True, vertical_alignment="center"):
        with st.container(key="summary_words", width="stretch"):
            st.html(crumbs(context, view))
        toolbar(context.filters, context.known, context.text)
    _choices(context, view)
    if ranked(context, view.by)["coal_kgce"].isna().all():
        where = context.known.name(context.region, context.text) or context.text("choice.nation")
        with st.container(key="card_ranking"):
            parts.nothing(
                context.text("overview.silent", name=where), context.text("overview.silent_hint"), 320
            )
        return
    _cards(context, view)
    st.html(f'<div class="nl-foot">{context.text("overview.foot")}</div>')


def read(context: Context) -> View:
    """Read nodes and measure; what is missing or wrong falls back to the next thing below."""
    below = "enterprise" if context.filters.industry else "industry" if within_one(context) else "region"
    by = choice(st.query_params.get("by"), BY, below)
    return View(by, RANKINGS[choice(st.query_params.get("measure"), list(RANKINGS), "energy")])


def crumbs(context: Context, view: View) -> str:
    """Give the way from the whole to here, each step a link."""
    text, known, filters = context.text, context.known, context.filters
    whole = known.name(known.root, text) if known.root else text("choice.nation")
    steps = [(whole, {"region": "", "industry": ""})]
    if filters.region:
        steps.append((known.name(filters.region, text), {"industry": ""}))
    if filters.industry:
        steps.append((industry_name(filters.industry, text), {}))
    links = [
        f'<a target="_self" href="{escape(context.address(measure=view.ranking.key, **change))}">{escape(name)}</a>'
        for name, change in steps[:-1]
    ]
    links.append(f"<h1>{escape(text('ranking.title', name=steps[-1][0]))}</h1>")
    joined = '<span class="q" aria-hidden="true">/</span>'.join(links)
    mark = simulated(text, known.within(context.region, filters.industry))
    span = filters.span
    days = f"{span.first:%Y-%m-%d} {DASH} {figures.last_day(context):%Y-%m-%d}"
    return f'<nav class="nl-head" aria-label="{escape(text("ranking.way"))}">{joined}{mark}<span>{days}</span></nav>'


def _choices(context: Context, view: View) -> None:
    text = context.text
    with st.container(key="choices_ranking", horizontal=True, vertical_alignment="center"):
        _choice("by", list(BY), view.by, text)
        _choice("measure", list(RANKINGS), view.ranking.key, text)


def _choice(name: str, options: list[str], value: str, text: Text) -> None:
    st.segmented_control(
        text(f"ranking.{name}"),
        options,
        format_func=lambda option: text(f"ranking.{name}_{option}"),
        required=True,
        wrap=True,
        label_visibility="collapsed",
        **bound(name, value),
    )


@kept(STILL)
def ranked(context: Context, by: str) -> pd.DataFrame:
    """Give how each node stands, with its electricity, its name and its share of all energy."""
    frame = standing(context, by)
    electricity = figures.energy(context, by, only="electricity").set_index("node")["used"]
    total = frame["coal_kgce"].sum(min_count=1)
    return frame.assign(
        electricity_used=frame["node"].map(electricity).astype(float),
        name=[_name(context, by, str(node)) for node in frame["node"]],
        share=frame["coal_kgce"] / total,
    )


def _name(context: Context, by: str, node: str) -> str:
    if by == "region":
        return context.known.name(node, context.text)
    return industry_name(node, context.text) if by == "industry" else names(context).get(node, node)


def _sorted(context: Context, view: View) -> pd.DataFrame:
    frame = ranked(context, view.by)
    return frame.sort_values(view.ranking.column, ascending=False, na_position="last", ignore_index=True)


def _cards(context: Context, view: View) -> None:
    text = context.text
    drawn = min(len(ranked(context, view.by)), DRAWN)
    left, right = st.columns([1, 1], gap="xsmall")
    with left, st.container(key="card_bars", height="stretch"):
        spec, unit = bars(context, view)
        title = text(f"ranking.measure_{view.ranking.key}")
        st.html(parts.title(title, f"{unit} · {text('ranking.first', n=drawn)}"))
        alt = text("ranking.bars_alt", measure=title, by=text(f"ranking.by_{view.by}"), unit=unit)
        parts.chart(spec, height=ranking_chart.height(drawn), alt=alt, key="chart_rank")
    with right, st.container(key="card_mix", height="stretch"):
        st.html(parts.title(text("ranking.structure"), text("ranking.structure_note")))
        alt = text("ranking.structure_alt", by=text(f"ranking.by_{view.by}"))
        spec = structure(context, view)
        parts.chart(spec, height=ranking_chart.height(drawn), alt=alt, key="chart_structure")
    with st.container(key="card_pareto"):
        st.html(parts.title(text("ranking.pareto"), text("ranking.pareto_note")))
        alt = text("ranking.pareto_alt", by=text(f"ranking.by_{view.by}"))
        parts.chart(pareto(context, view), height=236, alt=alt, key="chart_pareto")
    _table_card(context, view)


@kept(STILL)
def bars(context: Context, view: View) -> tuple[Spec, str]:
    """Give the bars of the measure and their unit."""
    frame, ranking = _sorted(context, view).head(DRAWN), view.ranking
    divisor, unit = ranking.scale(frame[ranking.column], context.text)
    rows = [
        Ranked(
            row["name"],
            None if pd.isna(row[ranking.column]) else float(row[ranking.column]) / divisor,
            ranking.write(row[ranking.column], context.text),
            ranking.colour(row[ranking.column], int(row["grade"]), context.theme),
        )
        for row in data.records(frame)
    ]
    return ranking_chart.bars(rows, unit, context.ink), unit


@kept(STILL)
def structure(context: Context, view: View) -> Spec:
    """Give of each node how its energy divides into items."""
    order = _sorted(context, view).head(DRAWN)
    frame = figures.energy(context, view.by, "item").pivot_table(
        index="node", columns="part", values="coal_kgce", observed=True
    )
    part = frame.div(frame.sum(axis=1), axis=0).reindex(order["node"]) * 100
    slugs = sorted(part.columns, key=item_order)
    called = {slug: item_name(context.text, slug) for slug in slugs}
    shares = {called[slug]: [None if pd.isna(v) else float(v) for v in part[slug]] for slug in slugs}
    colours = {called[slug]: item_colour(slug, context.theme.dark) for slug in slugs}
    return ranking_chart.structure(order["name"].tolist(), shares, colours, context.ink)


@kept(STILL)
def pareto(context: Context, view: View) -> Spec:
    """Give the shares of all energy, the largest first, and their running sum."""
    frame = ranked(context, view.by).dropna(subset=["share"]).sort_values("share", ascending=False)
    frame = frame.head(DRAWN)
    words = (context.text("ranking.share"), context.text("ranking.running"))
    return ranking_chart.pareto(frame["name"].tolist(), (frame["share"] * 100).tolist(), words, context.ink)


# -- the table ---------------------------------------------------------------------------------------------


def _table_card(context: Context, view: View) -> None:
    text = context.text
    frame = _sorted(context, view)
    known: datetime | None = data.known_at(frame)
    with st.container(key="card_table"):
        note = text("ranking.rows", n=f"{len(frame):,}")
        st.html(parts.title(text("ranking.table"), note))
        st.html(
            f'<div class="nl-scroll nl-wide" tabindex="0" role="region" '
            f'aria-label="{escape(text("ranking.table"))}">{table(context, view)}</div>'
        )
        line = text("source.line", table=text("overview.source"), known=stamp(known))
        with st.container(key="foot_ranking", horizontal=True, vertical_alignment="center"):
            st.html(f'<div class="nl-src">{escape(line)}</div>', width="stretch")
            for kind in export.FILES:
                _download(context, view, line, kind)


def _download(context: Context, view: View, line: str, kind: str) -> None:
    """Offer a file; it is built when it is asked for, not before."""
    build, mime = export.FILES[kind]
    st.download_button(
        context.text(f"numbers.{kind}"),
        data=lambda: build(sheet(context, view, line)),
        file_name=f"ranking_{view.by}_{figures.last_day(context):%Y%m%d}.{kind}",
        mime=mime,
        key=f"get_{kind}_ranking",
        type="tertiary",
        icon=":material/download:",
        on_click="ignore",
    )


@kept(STILL)
def table(context: Context, view: View) -> str:
    """Give the nodes as rows, each leading one step down."""
    text = context.text
    heads = (
        ("", f"ranking.by_{view.by}"),
        ("", "ranking.measure_energy"),
        ("h", "ranking.share"),
        ("h", "ranking.measure_change"),
        ("h", "ranking.measure_electricity"),
        ("h", "ranking.measure_intensity"),
        ("h", "overview.column_intensity"),
        ("", "ranking.measure_deviation"),
        ("h", "overview.column_complete"),
        ("h", "column.estimated"),
    )
    head = "".join(f'<th class="{kind}">{escape(text(key))}</th>' for kind, key in heads)
    rows = "".join(
        _line(context, view, row, n)
        for n, row in enumerate(data.records(_sorted(context, view).head(LISTED)), 1)
    )
    return f'<table class="nl-tab nl-cities"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _line(context: Context, view: View, row: Row, n: int) -> str:
    text, grade = context.text, int(row["grade"])
    written = {key: escape(found.write(row[found.column], text)) for key, found in RANKINGS.items()}
    deviation = f"{text(f'grade.{grade}')} {signed(row['deviation'])}" if grade else ""
    return (
        f'<tr><td class="n"><span class="k">{n}</span><a target="_self" '
        f'href="{escape(_down(context, view, str(row["node"])))}">{escape(str(row["name"]))}</a></td>'
        f'<td>{written["energy"]}</td><td class="h">{percent(row["share"])}</td>'
        f'<td class="h">{written["change"]}</td><td class="h">{written["electricity"]}</td>'
        f'<td class="h">{written["intensity"]}</td><td class="h">{signed(row["intensity_change"])}</td>'
        f"<td>{grade_pill(text, grade, deviation or DASH)}</td>"
        f'<td class="h">{percent(data.share(row["received"], row["due"]))}</td>'
        f'<td class="h">{percent(row["estimated_share"])}</td></tr>'
    )


def _down(context: Context, view: View, node: str) -> str:
    """Give the address one step below a node: a region's industries, an industry's enterprises, an enterprise."""
    if view.by == "enterprise":
        gone = dict.fromkeys(("region", "industry", "month", "period", "compare"), "")
        return context.address("enterprise", **gone, enterprise=node)
    below = {"region": "industry", "industry": "enterprise"}[view.by]
    return context.address(**{view.by: node}, by=below, measure=view.ranking.key)


_EXPORTED = {
    "coal_kgce": "ranking.energy_tce",
    "share": "ranking.share",
    "change": "ranking.measure_change",
    "electricity_used": "ranking.electricity_kwh",
    "intensity": "ranking.intensity_tce",
    "intensity_change": "overview.column_intensity",
    "target_tce": "ranking.target_tce",
    "budget_kgce": "ranking.budget_tce",
    "deviation": "ranking.measure_deviation",
    "grade": "overview.column_path",
    "received": "column.received",
    "due": "column.due",
    "estimated_share": "column.estimated",
    "known_at": "column.known_at",
}


def sheet(context: Context, view: View, line: str) -> export.Sheet:
    """Make the whole table for people to take away; amounts in tce and kWh, shares as fractions."""
    text = context.text
    frame = _sorted(context, view)
    frame = frame.assign(coal_kgce=frame["coal_kgce"] / 1000, budget_kgce=frame["budget_kgce"] / 1000)
    columns = {text(key): frame[name] for name, key in _EXPORTED.items()}
    head = {text("ranking.code"): frame["node"], text("column.name"): frame["name"]}
    heading = text("ranking.title", name=context.known.name(context.region, text))
    if simulated(text, context.known.within(context.region, context.filters.industry)):
        line = f"{line} · {text('enterprise.simulated')}"
    name = f"ranking_{view.by}_{figures.last_day(context):%Y%m%d}"
    return export.Sheet(name, heading, line, pd.DataFrame({**head, **columns}))
