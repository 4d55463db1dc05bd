"""The live part of the overview: headline with coverage and freshness, and the six indicators."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import pandas as pd
import streamlit as st

from dashboards import data
from dashboards.cache import LIVE, kept
from dashboards.charts import spark
from dashboards.enterprise.context import item_name
from dashboards.enterprise.live import completeness_mark, freshness_mark
from dashboards.formats import DASH, age, amount, number, percent, stamp
from dashboards.government import figures
from dashboards.government.context import Context
from dashboards.government.grades import MARKS
from dashboards.government.places import Places, places
from dashboards.i18n import Text
from dashboards.ui.parts import pill
from dashboards.ui.theme import item_colour

FULL_ONLINE, FAIR_ONLINE = 0.98, 0.9
STEADY = 0.0005  # a change below this is written as none


@st.fragment(run_every="10s")
def headline(context: Context) -> None:
    """Draw the line of name, freshness and coverage, every ten seconds; when a day is over, the whole page anew."""
    known = places(context.asker)
    if known.edge != context.known.edge:
        st.rerun()
    st.html(headline_words(context, known))


def headline_words(context: Context, known: Places) -> str:
    """Give the headline: name, mark of simulation, data until, connected, online."""
    text, filters = context.text, context.filters
    rows = known.within(context.region, filters.industry)
    name = known.name(context.region, text) if context.region else text("choice.nation")
    words = [f"<h1>{escape(text('overview.title', name=name))}</h1>", simulated(text, rows)]
    last = rows["last_at"].max() if len(rows) else pd.NaT
    if pd.isna(last):
        words.append(f"<span>{escape(text('head.never'))}</span>")
    else:
        passed = data.now() - last
        kind, mark = freshness_mark(passed)
        words.append(f"<span>{escape(text('head.until', at=stamp(last)[5:]))}</span>")
        words.append(pill(kind, mark, age(text, passed)))
    connected, all_of, online = (int(rows[c].sum()) for c in ("connected", "enterprises", "online"))
    before, after = escape(text("overview.connected")), escape(text("overview.of_all", n=f"{all_of:,}"))
    words.append(f"<span>{before} <b>{connected:,}</b> {after}</span>")
    words.append(_online(text, online, connected))
    return f'<div class="nl-head">{"".join(words)}</div>'


def simulated(text: Text, rows: pd.DataFrame) -> str:
    """Give the mark of simulated data, where some enterprise is simulated."""
    some, everyone = int(rows["simulated"].sum()), int(rows["enterprises"].sum())
    if not some:
        return ""
    key = "enterprise.simulated" if some == everyone else "overview.partly_simulated"
    return pill("sim", "◇", text(key))


def _online(text: Text, online: int, connected: int) -> str:
    part = data.share(online, connected)
    if part is None:
        return ""
    kind, mark = (
        ("good", "●") if part >= FULL_ONLINE else ("warn", "▲") if part >= FAIR_ONLINE else ("bad", "■")
    )
    return pill(kind, mark, f"{text('overview.online')} {percent(part)}")


@dataclass(frozen=True, slots=True)
class Indicator:
    """One card: label, number with unit, a pill, a line below, and a picture already written."""

    label: str
    value: tuple[str, str]
    pill: str
    line: str
    picture: str


@st.fragment(run_every="10s")
def indicators(context: Context) -> None:
    """Draw the six indicators; runs by itself every ten seconds."""
    st.html(indicators_written(context))


@kept(LIVE)
def indicators_written(context: Context) -> str:
    """Give the indicators as one grid."""
    total = _first(figures.energy(context))
    cards = (
        _energy(context, total),
        _intensity(context),
        _budget(context),
        _electricity(context),
        _complete(context, total),
        _incidents(context),
    )
    return f'<div class="nl-figs">{"".join(map(_card, cards))}</div>'


def _card(card: Indicator) -> str:
    figure, unit = card.value
    return (
        f'<div class="nl-kpi"><div class="l"><span class="t">{escape(card.label)}</span>{card.pill}</div>'
        f'<div class="v">{figure}<small>{escape(unit)}</small></div>'
        f'<div class="s">{escape(card.line)}</div>{card.picture}</div>'
    )


def _first(frame: pd.DataFrame) -> dict[str, object]:
    return data.records(frame.head(1))[0] if len(frame) else {}


def _float(row: dict[str, object], name: str) -> float | None:
    value = row.get(name)
    return float(value) if isinstance(value, int | float) and not pd.isna(value) else None


def change_pill(text: Text, change: float | None, key: str = "") -> str:
    """Give the pill of a change: more energy is worse."""
    if change is None or pd.isna(change):
        return ""
    words = text(f"versus.{key}") if key else ""
    if abs(change) < STEADY:
        return pill("flat", "", f"±0% {words}".strip())
    return pill("bad" if change > 0 else "good", "↑" if change > 0 else "↓", f"{change:+.1%} {words}".strip())


def _versus(context: Context) -> str:
    return {0: "", 1: "month"}.get(context.filters.months_back, "year")


def _image(address: str, words: str) -> str:
    return f'<img alt="{escape(words)}" src="{address}">'


def _trend(text: Text, name: str, values: list[float | None], colour: str, bars: bool = False) -> str:
    drawn = spark.columns(values, colour) if bars else spark.area(values, colour)
    return _image(drawn, text("kpi.trend", name=name))


def _values(frame: pd.DataFrame, column: str) -> list[float | None]:
    return [None if pd.isna(value) else float(value) for value in frame[column]]


def _energy(context: Context, total: dict[str, object]) -> Indicator:
    text = context.text
    label = text("overview.energy", reach=text(f"reach.{context.filters.reach}"))
    change = _float(total, "change") if context.filters.months_back else None
    months = figures.series(context, "month", figures.trend_months(context))
    line = text("overview.estimated", share=percent(_float(total, "estimated_share") or 0.0))
    if lacking := str(total.get("unknown_items") or ""):
        line = text("overview.lacking", names=item_names(text, lacking))
    return Indicator(
        label,
        amount(text, _float(total, "coal_kgce"), "kgce"),
        change_pill(text, change, _versus(context)),
        line,
        _trend(text, label, _values(months, "coal_kgce"), context.theme.primary),
    )


def item_names(text: Text, slugs: str) -> str:
    """Name items given by their codes with commas between."""
    return text("list.join").join(item_name(text, slug) for slug in slugs.split(","))


def _intensity(context: Context) -> Indicator:
    text = context.text
    row = _first(figures.intensity(context))
    months = figures.intensity(context, each="month", span=figures.trend_months(context))
    label = text("overview.intensity")
    line = (
        text("overview.valued", until=row["last_period"], n=row["enterprises"])
        if row
        else text("overview.no_value")
    )
    return Indicator(
        label,
        (number(_float(row, "intensity")), text("overview.intensity_unit")),
        change_pill(text, _float(row, "change") if context.filters.months_back else None, _versus(context)),
        line,
        _trend(text, label, _values(months, "intensity"), context.theme.primary),
    )


def _budget(context: Context) -> Indicator:
    text = context.text
    path = figures.budget(context)
    row = _first(figures.with_grades(figures.to_date(path), figures.last_day(context)))
    target, used, due = (_float(row, name) for name in ("target_tce", "used_kgce", "budget_kgce"))
    label = text("overview.budget", year=figures.last_day(context).year)
    if not target or used is None or due is None:
        return Indicator(label, (DASH, ""), "", text(figures.unjudged(path)[0]), "")
    kind, mark = MARKS[int(row["grade"])]  # type: ignore[call-overload]
    whole, unit = amount(text, target * 1000, "kgce")
    bar = bullet(used / 1000 / target, due / 1000 / target, kind)
    return Indicator(
        label,
        (percent(used / 1000 / target), ""),
        pill(kind, mark, text("overview.of_path", deviation=f"{_float(row, 'deviation') or 0:+.1%}")),
        text("overview.path", due=percent(due / 1000 / target), target=f"{whole} {unit}"),
        f'<div class="nl-bullet big">{bar}</div>',
    )


def bullet(used: float, due: float, kind: str) -> str:
    """Give a bar of what is used of the year's budget, with a black tick where the path stands."""
    return (
        f'<span class="b"><i class="nl-fill-{kind}" style="width:{min(used, 1) * 100:.1f}%"></i>'
        f'<u style="left:{min(due, 1) * 100:.1f}%"></u></span>'
    )


def _electricity(context: Context) -> Indicator:
    text = context.text
    days = figures.series(context, "day", figures.trend_days(context), only="electricity")
    values = _values(days, "used")
    last, before = (values[-1], values[-2]) if len(values) > 1 else (None, None)
    label = text("overview.electricity", day=f"{figures.last_day(context):%m-%d}")
    heard = int(days["enterprises"].iloc[-1]) if len(days) else 0
    return Indicator(
        label,
        amount(text, last, "kWh"),
        change_pill(text, last / before - 1 if last is not None and before else None, "day"),
        text("overview.heard", n=heard),
        _trend(text, label, values, item_colour("electricity", context.theme.dark), bars=True),
    )


def _complete(context: Context, total: dict[str, object]) -> Indicator:
    text = context.text
    part = data.share(_float(total, "received") or 0.0, _float(total, "due") or 0.0)
    kind, mark = completeness_mark(part)
    days = figures.series(context, "day", figures.trend_days(context))
    shares = [
        data.share(received, due)
        for received, due in zip(days["received"].tolist(), days["due"].tolist(), strict=True)
    ]
    label = text("overview.complete")
    received, due = (f"{int(_float(total, name) or 0):,}" for name in ("received", "due"))
    good = context.theme.good[0]
    return Indicator(
        label,
        (percent(part), ""),
        pill(kind, mark, text(f"complete.{kind}")),
        text("kpi.received", received=received, due=due),
        _trend(text, label, shares, good),
    )


def _incidents(context: Context) -> Indicator:
    text, filters = context.text, context.filters
    days = figures.incident_days(context)
    counts = context.asker.ask("incident_counts", live=True, region=context.region, industry=filters.industry)
    standing = counts[~counts["state"].isin(["closed", "shelved"])]
    sums = days.groupby("day")["open"].sum()
    wanted = pd.date_range(end=pd.Timestamp(data.now()).normalize(), periods=figures.TREND_DAYS)
    trend: list[float | None] = [float(sums.get(day, 0.0)) for day in wanted]
    by_class = standing.groupby("class")["count"].sum()
    line = text("list.join").join(
        text("overview.of_class", name=text.get(f"incident_class.{name}", str(name)), n=int(n))
        for name, n in by_class.sort_values(ascending=False).items()
    )
    more = int(sums.get(wanted[-1], 0)) - int(sums.get(wanted[-2], 0))
    kind, mark = ("bad", "↑") if more > 0 else ("good", "↓") if more < 0 else ("flat", "")
    label = text("overview.incidents")
    return Indicator(
        label,
        (f"{int(standing['count'].sum()):,}", text("overview.incidents_unit")),
        pill(kind, mark, f"{more:+d} {text('versus.day')}" if more else f"±0 {text('versus.day')}"),
        line or text("overview.calm"),
        _trend(text, label, trend, context.theme.warn[0]),
    )
