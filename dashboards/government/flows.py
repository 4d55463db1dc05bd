"""The charts of the overview: deviation from the budget path, and where energy goes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pandas as pd
import streamlit as st

from dashboards import data
from dashboards.cache import STILL, kept
from dashboards.charts.base import Measure, Spec
from dashboards.charts.deviation import deviation
from dashboards.charts.flow import Link, Stage, flow
from dashboards.enterprise.context import item_name
from dashboards.formats import DASH, scale_for, stamp
from dashboards.government import figures
from dashboards.government.cities import names, rows_of
from dashboards.government.context import Context
from dashboards.government.places import industry_name
from dashboards.ui import parts
from dashboards.ui.theme import QUIET, item_colour, item_order
from nengliu.domain.grades import tolerance

HEIGHT = 228
PLACES = 9  # the largest places of the diagram; the others are one

Drawn = tuple[Spec | None, str, datetime | None]


def deviation_card(context: Context) -> None:
    """Draw how far the energy used since New Year is from the budget path."""
    text = context.text
    spec, unit, _ = deviation_drawing(context)
    year = figures.last_day(context).year
    with st.container(key="card_path", height="stretch"):
        st.html(parts.title(text("overview.path_title", year=year), text("overview.path_note", unit=unit)))
        if spec is None:
            why, hint = figures.unjudged(figures.budget(context))
            parts.nothing(text(why), text(hint), HEIGHT)
        else:
            alt = text("overview.path_alt", year=year, unit=unit)
            parts.chart(spec, height=HEIGHT, alt=alt, key="chart_path")
        st.html(f'<div class="nl-src">{text("overview.path_source")}</div>')


@kept(STILL)
def deviation_drawing(context: Context) -> Drawn:
    """Give the chart of the deviation and its unit; no chart without a target."""
    frame = figures.with_grades(figures.budget(context), figures.last_day(context))
    gaps = (frame["used_kgce"] - frame["budget_kgce"]).abs()
    if gaps.isna().all():
        return None, "tce", None
    limit = tolerance(figures.last_day(context))
    largest = max(float(gaps.max()), float((frame["budget_kgce"] * limit).max()))
    measure = Measure("", *scale_for(context.text, largest, "kgce"))
    months = context.text("overview.months").split(",")
    return deviation(frame, limit, measure, months, context.ink), measure.unit, None


def flow_card(context: Context) -> None:
    """Draw the flow of energy from items over industries to places."""
    text = context.text
    spec, unit, known = flow_drawing(context)
    below = rows_of(context)
    with st.container(key="card_flow", height="stretch"):
        note = text("overview.flow_note", unit=unit, reach=text(f"reach.{context.filters.reach}"))
        st.html(parts.title(text("overview.flow"), note))
        if spec is None:
            parts.nothing(text("empty.title"), text("overview.silent_hint"), HEIGHT)
        else:
            alt = text("overview.flow_alt", place=text(f"overview.column_{below}"), unit=unit)
            parts.chart(spec, height=HEIGHT, alt=alt, key="chart_flow")
        line = text("source.line", table=text("overview.source"), known=stamp(known) if known else DASH)
        st.html(f'<div class="nl-src">{line} · {text("overview.flow_source")}</div>')


@kept(STILL)
def flow_drawing(context: Context) -> Drawn:
    """Give the diagram, its unit and the newest receipt behind it."""
    text = context.text
    below = rows_of(context)
    first = figures.energy(context, "industry", "item")
    second = figures.energy(context, below, "industry")
    first, second = (frame[frame["coal_kgce"].fillna(0) > 0] for frame in (first, second))
    if first.empty:
        return None, "tce", None
    called = names(context) if below == "enterprise" else {}
    largest = _largest(second)
    place = {
        node: (called.get(node) or context.known.name(node, text))
        if node in largest
        else text("overview.others")
        for node in second["node"].astype(str).unique()
    }
    industries = {code: industry_name(code, text, short=True) for code in first["node"].astype(str).unique()}
    measure = Measure("", *scale_for(text, float(first["coal_kgce"].sum()), "kgce"))
    links = _links(first, lambda part: item_name(text, part), industries)
    links += _links(second, lambda part: industries.get(part, part), place)
    spec = flow(_stages(context, first, industries, list(place.values())), links, measure, context.ink)
    return spec, measure.unit, data.known_at(first)


def _largest(frame: pd.DataFrame) -> set[str]:
    sums = frame.groupby("node")["coal_kgce"].sum()
    return {str(node) for node in sums.nlargest(PLACES).index}


def _links(frame: pd.DataFrame, named: Callable[[str], str], nodes: dict[str, str]) -> list[Link]:
    """Give the links by name: the part feeds the node; nodes that share a name are one."""
    found: dict[tuple[str, str], float] = {}
    for node, part, amount in zip(frame["node"], frame["part"], frame["coal_kgce"], strict=True):
        pair = (named(str(part)), nodes[str(node)])
        found[pair] = found.get(pair, 0.0) + float(amount)
    return [(source, target, amount) for (source, target), amount in found.items()]


def _stages(
    context: Context, first: pd.DataFrame, industries: dict[str, str], places: list[str]
) -> list[Stage]:
    dark, text = context.theme.dark, context.text
    slugs = sorted(first["part"].astype(str).unique(), key=item_order)
    unique = list(dict.fromkeys(places))
    return [
        Stage({item_name(text, slug): item_colour(slug, dark) for slug in slugs}),
        Stage({name: QUIET[n % len(QUIET)] for n, name in enumerate(industries.values())}),
        Stage(dict.fromkeys(unique, context.theme.primary)),
    ]
